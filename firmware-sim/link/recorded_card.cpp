#include "firmware-sim/link/recorded_card.h"

namespace karta::sim {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::steady_clock;

RecordedCard::RecordedCard(unsigned number, CardDevice& card, ApduRecord& record)
    : number_(number), card_(card), record_(record), last_answer_(steady_clock::now()) {}

void RecordedCard::power_on() {
  card_.power_on();
  record_.event(number_, "power-on", card_.atr());
}

void RecordedCard::power_off() {
  card_.power_off();
  record_.event(number_, "power-off");
}

void RecordedCard::reset() {
  card_.reset();
  record_.event(number_, "reset", card_.atr());
}

ByteView RecordedCard::process(ByteView command) {
  const auto arrived = steady_clock::now();
  const ByteView response = card_.process(command);
  const auto answered = steady_clock::now();
  record_.exchange(number_, command, response, duration_cast<microseconds>(arrived - last_answer_),
                   duration_cast<microseconds>(answered - arrived), card_.last_command());
  last_answer_ = answered;
  return response;
}

}  // namespace karta::sim
