#include "issuing/desk/remote_connection.h"

#include <algorithm>

#include "card/apdu.h"
#include "card/channel.h"

namespace karta::issuing {
namespace {

constexpr std::size_t kHeader = 4;  // CLA INS P1 P2
constexpr std::size_t kInsAt = 1;
constexpr std::uint8_t kGetResponse = 0xC0;
constexpr std::uint8_t kDone[] = {0x90, 0x00};

/// ISO 7816-4 §5.1: an extended length field begins with 00 and is not alone.
bool is_extended(ByteView command) { return command.size() > kHeader + 1 && command[kHeader] == 0x00; }

bool is_done(ByteView answer) { return answer.size() >= 2 && equal(answer.last(2), kDone); }

tl::unexpected<Error> out_of_step(std::string words) {
  return fail(ErrorKind::card_unresponsive, "the counter brought " + std::move(words));
}

}  // namespace

// The next piece of rest_: as much data as fits, and 61xx while there is more (ISO 7816-4 §5.3.4).
Bytes RemoteConnection::next_piece(std::size_t most) {
  const std::size_t data = rest_.size() - 2;
  if (data <= most) return std::exchange(rest_, {});
  Bytes piece(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(most));
  rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(most));
  const std::size_t left = rest_.size() - 2;
  piece.push_back(0x61);
  piece.push_back(left >= card::kShortResponse ? 0x00 : static_cast<std::uint8_t>(left));
  return piece;
}

Result<Bytes> RemoteConnection::transmit(ByteView command) {
  if (command.size() < kHeader)
    return fail(ErrorKind::internal, "a command of " + std::to_string(command.size()) + " octets");
  if (!rest_.empty() && command[kInsAt] == kGetResponse) {
    const std::size_t le = command.size() > kHeader ? command[kHeader] : 0;
    return next_piece(le == 0 ? card::kShortResponse : le);
  }
  rest_.clear();
  waiting_.push_back(to_bytes(command));
  const bool more_follow = (command[0] & card::kClassChaining) != 0;
  if (more_follow && waiting_.size() < kMostTogether) return to_bytes(kDone);

  std::vector<Bytes> sent = std::exchange(waiting_, {});
  const std::size_t count = sent.size();
  std::vector<Bytes> answers = TRY(carrier_.exchange(std::move(sent)));
  if (answers.empty() || answers.size() > count) {
    return out_of_step(std::to_string(answers.size()) + " answers to " + std::to_string(count) + " commands");
  }
  for (std::size_t i = 0; i + 1 < answers.size(); ++i) {
    if (!is_done(answers[i])) return out_of_step("answers behind a refusal");
  }
  if (answers.size() < count && is_done(answers.back())) return out_of_step("too few answers");
  if (answers.back().size() < 2) return out_of_step("an answer without a status word");
  if (answers.back().size() > card::kMaxAnswer) return out_of_step("an answer without end");
  rest_ = std::move(answers.back());
  return next_piece(is_extended(command) ? card::kExtendedResponse : card::kShortResponse);
}

Status RemoteConnection::reset() { return fail(ErrorKind::unsupported, "a card far away is reset at its reader"); }

}  // namespace karta::issuing
