#include "card/personalisation_step.h"

#include <algorithm>

#include "base/tlv.h"
#include "card/iso7816.h"

namespace karta::card {
namespace {

constexpr std::uint8_t kDataCoding = 0x41;

Bytes number16(std::size_t value) {
  Bytes octets;
  append_be16(octets, static_cast<std::uint16_t>(value));
  return octets;
}

// As PlainChannel sends it: `out` data octets, `back` in the answer, Le where `answered`.
WireCount cost(std::size_t out, std::size_t back, std::optional<std::size_t> le, const ChannelLimits& limits) {
  WireCount total;
  while (out > limits.command_data) {
    ++total.commands;
    total.octets_out += encoded_size({0, 0, 0, 0, Bytes(limits.command_data, 0)});
    total.octets_back += 2;
    out -= limits.command_data;
  }
  if (le) le = std::min(*le, limits.response_data);
  ++total.commands;
  total.octets_out += encoded_size({0, 0, 0, 0, Bytes(out, 0), le});
  const std::size_t first = le ? std::min(back, *le) : 0;
  total.octets_back += first + 2;
  // The rest by GET RESPONSE, five octets each.
  for (std::size_t rest = back - first; rest > 0;) {
    const std::size_t part = std::min(rest, kShortResponse);
    ++total.commands;
    total.octets_out += 5;
    total.octets_back += part + 2;
    rest -= part;
  }
  return total;
}

std::size_t padded(std::size_t octets) {
  return octets == 0 ? 0 : octets / crypto::kAesBlock * crypto::kAesBlock + crypto::kAesBlock;
}

}  // namespace

WireCount plain_cost_of(const StepCommand& command, const ChannelLimits& limits) {
  return cost(command.apdu.data.size(), command.octets_back, command.apdu.le, limits);
}

WireCount cost_of(const StepCommand& command, const StepWire& wire) {
  const std::size_t checksum = static_cast<std::size_t>(wire.mode);
  const bool fits = command.apdu.le.value_or(0) <= scp03_room(kShortResponse, security_level::all, wire.mode, false);
  const std::size_t le = fits || wire.limits.response_data <= kShortResponse ? kShortResponse : kExtendedResponse;
  return cost(padded(command.apdu.data.size()) + checksum, padded(command.octets_back) + checksum, le, wire.limits);
}

Bytes access_nibbles(std::uint8_t read_or_use, std::uint8_t update, std::uint8_t remove, std::uint8_t generate) {
  return {static_cast<std::uint8_t>(read_or_use << 4 | update), static_cast<std::uint8_t>(remove << 4 | generate),
          0xFF};
}

// ISO 7816-4 §7.4.3: 62 { 81 size, 82 descriptor, 83 identifier, 84 name, 85 properties, 86 nibbles, 88 short
// identifier, A1 channel rules }.
CommandApdu create(const FileToCreate& file) {
  Bytes content;
  if (file.name.empty() && !file.records) append_tlv(content, 0x80, number16(file.size));
  if (file.records) {
    append_tlv(content, 0x82,
               Bytes{file.descriptor, kDataCoding, 0x00, file.records->octets, 0x00, file.records->count});
  } else {
    append_tlv(content, 0x82, Bytes{file.descriptor});
  }
  append_tlv(content, 0x83, number16(file.id));
  if (!file.name.empty()) append_tlv(content, 0x84, file.name);
  append_tlv(content, 0x85, file.properties);
  append_tlv(content, 0x86, file.rules);
  // Five bits, at the top of the octet.
  if (file.short_id) append_tlv(content, 0x88, Bytes{static_cast<std::uint8_t>(*file.short_id << 3)});
  if (file.channel) {
    append(content, make_tlv(0xA1, {make_tlv(0x81, Bytes{file.channel->read.condition, file.channel->read.bit}),
                                    make_tlv(0x82, Bytes{file.channel->update.condition, file.channel->update.bit})}));
  }
  return create_file(make_tlv(0x62, content));
}

PersonalisationStep write_file_step(std::string words, const FileToCreate& file, ByteView content, std::size_t room) {
  PersonalisationStep step;
  step.words = std::move(words);
  step.commands.push_back({create(file), 0, kSwFileExists, file.id});
  for (std::size_t offset = 0; offset < content.size(); offset += room) {
    const ByteView part = content.subspan(offset, std::min(room, content.size() - offset));
    step.commands.push_back({update_binary(offset, part), 0, {}, {}});
  }
  return step;
}

std::string hex16(std::uint16_t value) { return to_hex_upper(number16(value)); }

}  // namespace karta::card
