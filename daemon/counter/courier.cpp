#include "daemon/counter/courier.h"

#include <utility>

#include "card/apdu.h"
#include "card/channel.h"

namespace karta::daemon {
namespace {

constexpr std::uint8_t kHeldBack = 0x61;
constexpr std::uint8_t kGetResponse = 0xC0;
constexpr std::size_t kMostSteps = 4'000;

bool is_done(ByteView answer) {
  return answer.size() >= 2 && answer[answer.size() - 2] == 0x90 && answer[answer.size() - 1] == 0x00;
}

/// The whole answer to one command: what the card holds back is fetched here, not over the network.
Result<Bytes> transmit_whole(card::CardConnection& connection, ByteView command) {
  Bytes answer = TRY(connection.transmit(command));
  for (unsigned rounds = 0; answer.size() >= 2 && answer[answer.size() - 2] == kHeldBack; ++rounds) {
    if (rounds == card::kMaxGetResponses || answer.size() > card::kMaxAnswer) {
      return fail(ErrorKind::card_unresponsive, "the card's answer does not end");
    }
    const Bytes more = TRY(connection.transmit(Bytes{0x00, kGetResponse, 0x00, 0x00, answer.back()}));
    if (more.size() == 2 && more[0] == kHeldBack) {
      return fail(ErrorKind::card_unresponsive, "the card announces an answer and does not give it");
    }
    answer.resize(answer.size() - 2);
    append(answer, more);
  }
  return answer;
}

}  // namespace

Result<std::string> carry(identity::Authority& authority, card::CardConnection& connection, std::string_view request,
                          const CourierOptions& options, CourierCount& count) {
  identity::DeskStep step = TRY(ask(options, [&] { return authority.open_desk(request); }));
  count.session = step.session;
  while (!step.done) {
    if (++count.steps > kMostSteps || step.commands.empty()) {
      return fail(ErrorKind::malformed, "the authority's session does not end");
    }
    identity::DeskReplies replies;
    replies.step = step.number;
    for (const Bytes& command : step.commands) {
      auto answer = transmit_whole(connection, command);
      if (!answer) {
        // Said, so that nobody waits there; whether it is heard changes nothing here.
        replies.replies.clear();
        replies.card_lost = true;
        (void)authority.next_desk(step.session, replies);
        return fail(std::move(answer).error());
      }
      ++count.commands;
      const bool refused = !is_done(*answer);
      replies.replies.push_back(std::move(*answer));
      if (refused) break;  // the rest is not for this state of the card
    }
    if (options.progress) options.progress(step.number, replies.replies.size());
    step = TRY(ask(options, [&] { return authority.next_desk(step.session, replies); }));
  }
  return std::move(step.result);
}

}  // namespace karta::daemon
