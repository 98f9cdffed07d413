#include "card/channel.h"

#include <algorithm>

#include "base/secret.h"
#include "base/tlv.h"
#include "card/card_type.h"
#include "card/file.h"
#include "card/iso7816.h"

namespace karta::card {

Result<Bytes> Channel::run(const CommandApdu& command, std::string_view deed) {
  ResponseApdu response = TRY(transmit(command));
  if (!response.status.ok() && response.status != kSwEndOfFile) return fail(error_of(response.status, deed));
  return std::move(response.data);
}

PlainChannel::PlainChannel(CardConnection& connection)
    : connection_(connection), limits_(card_type_of(connection.atr()).limits) {}

// One APDU out, one back, and what came back is no longer than asked for.
Result<ResponseApdu> PlainChannel::exchange(const CommandApdu& command) {
  Bytes octets = TRY(command.encode());
  Result<Bytes> answer = command.sensitive ? connection_.transmit_sensitive(octets) : connection_.transmit(octets);
  if (command.sensitive) wipe(octets);
  if (!answer) return fail(std::move(answer).error());
  auto response = ResponseApdu::parse(*answer);
  if (command.sensitive) wipe(*answer);
  if (response && response->data.size() > command.le.value_or(0)) {
    return fail(ErrorKind::card_unresponsive, "the card answered " + std::to_string(response->data.size()) +
                                                  " octets where " + std::to_string(command.le.value_or(0)) +
                                                  " were asked for");
  }
  return response;
}

// One command that fits, and its whole answer: 6Cxx once, then 61xx as often as it takes.
Result<ResponseApdu> PlainChannel::exchange_whole(const CommandApdu& command) {
  ResponseApdu response = TRY(exchange(command));

  // ISO 7816-4 §5.3.4: 6Cxx, nothing was done, repeat with Le = xx.
  if (response.status.sw1() == 0x6C) {
    if (!command.le) {
      return fail(ErrorKind::card_unresponsive, "the card corrects a length that was not stated");
    }
    CommandApdu again = command;
    again.le = response.status.sw2() == 0 ? kShortResponse : response.status.sw2();
    response = TRY(exchange(again));
    if (response.status.sw1() == 0x6C) {
      return fail(ErrorKind::card_unresponsive, "the card refuses the length it asked for itself");
    }
  }

  // 61xx: xx more octets (00: 256 or more) wait for GET RESPONSE, 00 C0 00 00 xx.
  for (unsigned rounds = 0; response.status.sw1() == 0x61; ++rounds) {
    if (!command.le) return ResponseApdu{{}, kSwOk};  // done, and nobody wants the data
    if (rounds == kMaxGetResponses || response.data.size() > kMaxAnswer) {
      return fail(ErrorKind::card_unresponsive, "the card's answer does not end");
    }
    // Fetching a protected answer is transmission, not a command of the session: its class is that of no secure
    // messaging.
    const std::uint8_t cla = (command.cla & kClassSecure) != 0 ? 0x00 : command.cla & ~kClassChaining;
    CommandApdu get(cla, 0xC0, 0x00, 0x00, {}, response.status.sw2() == 0 ? kShortResponse : response.status.sw2());
    get.sensitive = command.sensitive;
    ResponseApdu more = TRY(exchange(get));
    if (more.status.sw1() == 0x6C) {
      get.le = more.status.sw2() == 0 ? kShortResponse : more.status.sw2();
      more = TRY(exchange(get));
    }
    if (more.data.empty() && more.status.sw1() == 0x61) {
      return fail(ErrorKind::card_unresponsive, "the card announces an answer and does not give it");
    }
    if (command.sensitive) {
      // Not append(): growing would leave the first part behind in freed memory.
      Bytes joined = concat({response.data, more.data});
      wipe(response.data);
      wipe(more.data);
      response.data = std::move(joined);
    } else {
      append(response.data, more.data);
    }
    response.status = more.status;
  }
  if (response.status.sw1() == 0x6C) {
    return fail(ErrorKind::card_unresponsive, "the card refuses the length it asked for itself");
  }
  return response;
}

Result<ResponseApdu> PlainChannel::transmit(const CommandApdu& command) {
  auto response = transmit_whole(command);
  // 61xx parts may add up to more than Le; only 256 and 65,536 ask for all there is.
  const std::size_t asked = command.le.value_or(0);
  if (response && response->data.size() > asked && asked != kShortResponse && asked != kExtendedResponse) {
    if (command.sensitive) wipe(response->data);
    return fail(ErrorKind::card_unresponsive, "the card answered " + std::to_string(response->data.size()) +
                                                  " octets in parts where " + std::to_string(asked) +
                                                  " were asked for");
  }
  return response;
}

// The command in one piece or chained, and its answer however many pieces it comes in.
Result<ResponseApdu> PlainChannel::transmit_whole(const CommandApdu& command) {
  if (command.data.size() <= limits_.command_data && command.le.value_or(0) <= limits_.response_data) {
    return exchange_whole(command);
  }
  CommandApdu last = command;
  if (last.le) last.le = std::min(*last.le, limits_.response_data);

  // ISO 7816-4 §5.3.3: all but the last part with bit 5 of the class; each is answered 9000.
  std::size_t sent = 0;
  while (command.data.size() - sent > limits_.command_data) {
    if (!limits_.chaining) {
      return fail(ErrorKind::limit, "this card takes " + std::to_string(limits_.command_data) +
                                        " octets in a command, not " + std::to_string(command.data.size()));
    }
    const ByteView part = ByteView(command.data).subspan(sent, limits_.command_data);
    CommandApdu link(static_cast<std::uint8_t>(command.cla | kClassChaining), command.ins, command.p1, command.p2,
                     to_bytes(part));
    link.sensitive = command.sensitive;
    ResponseApdu response = TRY(exchange(link));
    if (!response.status.ok()) return response;
    sent += part.size();
  }
  if (sent > 0) {
    if (last.sensitive) wipe(last.data);
    last.data = to_bytes(ByteView(command.data).subspan(sent));
  }
  return exchange_whole(last);
}

// EF.ATR, ISO 7816-4 §12.7.1: 7F66 { 02 longest command APDU, 02 longest response APDU }, whole APDUs in octets.
Result<ChannelLimits> parse_extended_length_information(ByteView ef_atr) {
  const auto found = TRY(find_tlv(ef_atr, 0x7F66));
  if (!found) return ChannelLimits{};
  TlvCursor numbers(found->value);
  const auto number = [&]() -> Result<std::size_t> {
    const Tlv value = TRY(numbers.expect(0x02));
    if (value.value.empty() || value.value.size() > 4) {
      return fail(ErrorKind::malformed, "EF.ATR: a length of " + std::to_string(value.value.size()) + " octets");
    }
    std::size_t total = 0;
    for (const std::uint8_t octet : value.value) total = total << 8 | octet;
    return total;
  };
  const std::size_t command = TRY(number());
  const std::size_t response = TRY(number());
  // Around the data: header 4, Lc 3, Le 2; status word 2.
  ChannelLimits limits;
  if (command > kShortData + 9) limits.command_data = std::min(command - 9, kExtendedData);
  if (response > kShortResponse + 2) limits.response_data = std::min(response - 2, kExtendedResponse);
  return limits;
}

Result<ChannelLimits> read_extended_length_information(Channel& channel) {
  auto content = read_file(channel, Path{kEfAtr});
  if (!content) {
    if (content.error().kind == ErrorKind::not_found) return ChannelLimits{};
    return fail(std::move(content).error());
  }
  return parse_extended_length_information(*content);
}

}  // namespace karta::card
