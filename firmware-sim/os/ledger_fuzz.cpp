// Transactions under any sequence: a gate and a counter that work as they should, or repeat, reorder and forge, other
// commands in between, and the power going at any write. A small model says what the ledger must hold: after each
// opening it is that, a cut leaves the state before or after and never another, no debit raises a counter, nothing is
// committed that was not ordered under the right key, and no key is in any answer.
//
// Input: an octet for the interface, then steps: an octet for what is done, two for its arguments; a raw command has
// its length in the second and follows.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "firmware-sim/host/coprocessor.h"
#include "firmware-sim/os/test_ledger.h"

namespace karta::os {
namespace {

using Chip = TestChip<sim::Coprocessor>;

constexpr std::size_t kPages = 96;
constexpr u8 kSerial[kSerialBytes] = {0xA0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09};

void must(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "invariant broken: %s\n", what);
  std::abort();
}

const LedgerSample& sample() {
  static const LedgerSample made = [] {
    LedgerSample out;
    out.kept = 3;
    return out;
  }();
  return made;
}

Memory make_card() {
  Chip chip(kPages);
  Card card(chip, kDefaultConfig);
  must(card.format(kSerial) && card.boot(Interface::contact), "a blank card comes up");
  must(send(card, sample().create_df()).sw == 0x9000, "the DF");
  for (const Memory& command : sample().commands()) must(send(card, command).sw == 0x9000, to_hex(command).c_str());
  must(send(card, "0044000002 3F00").sw == 0x9000, "issued");
  return chip.memory;
}

// What the ledger holds, product aside: its rule lets anybody change that here.
struct State {
  bool ratified = true;
  bool credit = false;
  u32 sequence = 0;
  std::vector<u32> counters = {0, 0};
  Memory entry = Memory(16, 0);

  friend bool operator==(const State&, const State&) = default;
};

class Run {
 public:
  explicit Run(Interface interface) : interface_(interface) { start(); }

  void step(u8 what, u8 a, u8 b, const Memory& raw) {
    switch (what % 10) {
      case 0:
        return open(kDebit);
      case 1:
        return open(kCredit);
      case 2:
        return commit(a, b, false);
      case 3:
        return commit(a, b, true);
      case 4:
        return ratify();
      case 5:  // what was sent last, once more
        return other(last_);
      case 6:  // and changed
        if (!last_.empty()) {
          Memory changed = last_;
          changed[(a * 256U + b) % changed.size()] ^= static_cast<u8>(1U << (b & 7));
          if (foreign(changed)) return;
          return other(changed);
        }
        return;
      case 7:
        return chip_.cut_power_at(1 + a % 12, kCuts[b % 4]);
      case 8:
        return start();
      default:
        return other(raw);
    }
  }

  void finish() {
    start();
    open(kDebit);
    must(opened_, "the ledger opens in the end");
    for (const u8 kind : {kDebit, kCredit, kSettlement}) {
      const Memory key = sample().key(kind);
      must(std::search(seen_.begin(), seen_.end(), key.begin(), key.end()) == seen_.end(), "keys stay on the card");
    }
  }

  static Memory image;

 private:
  enum class Session : u8 { none, opened, committed };

  // The card's own rule of what is no class of its own and changes nothing.
  static bool foreign(const Memory& command) {
    if (command.size() < 4) return false;
    const u8 cla = command[0];
    if ((cla & 0xC0) == 0x40) return true;
    return (cla & 0xFB) != 0xA0 && (cla & 0x63) != 0;
  }

  void start() {
    chip_.restore_power();
    if (!begun_) chip_.memory = image;
    begun_ = true;
    card_ = std::make_unique<Card>(chip_, kDefaultConfig);
    must(card_->boot(interface_), "the card comes up, cut or not");
    session_ = Session::none;
    opened_ = false;
    select();
  }
  void select() {
    must(send(*card_, sample().select_df()).sw == 0x9000, "the application is there");
    session_ = Session::none;
  }
  // One command on the line. `after`: what the ledger holds once it has worked.
  Answer exchange(const Memory& command, const std::optional<State>& after = {}) {
    const Answer answer = send(*card_, command);
    if (seen_.size() < 65536) seen_ = seen_ + answer.data;
    last_ = command;
    if (!chip_.powered) {
      must(answer.sw == 0x6581, "a card without power has done nothing it could say");
      if (after) possible_.push_back(*after);
      start();
      return {.sw = 0, .data = {}};
    }
    return answer;
  }

  void open(u8 kind) {
    terminal_ = sample().terminal(kind);
    kind_ = kind;
    opened_ = false;
    session_ = Session::none;
    Answer answer = exchange(terminal_->open_command());
    if (answer.sw == 0) return;
    if (answer.sw != 0x9000) {  // another application may have been selected
      select();
      answer = exchange(terminal_->open_command());
    }
    if (answer.sw == 0) return;
    must(answer.sw == 0x9000, "the ledger opens");
    const LedgerView view = terminal_->read_opening(answer.data);
    const State now{.ratified = view.ratified,
                    .credit = view.credit,
                    .sequence = view.sequence,
                    .counters = view.counters,
                    .entry = view.entry};
    must(std::find(possible_.begin(), possible_.end(), now) != possible_.end(), "the ledger holds what it must");
    possible_ = {now};
    opened_ = true;
    session_ = Session::opened;
  }

  void commit(u8 a, u8 b, bool far) {
    if (!opened_) return;
    const State& before = possible_.front();
    State after = before;
    after.ratified = false;
    after.credit = kind_ == kCredit;
    after.sequence += 1;
    after.counters[0] = far ? a * 0x01000000U : before.counters[0] + a - 128U;
    after.counters[1] += (b % 3) - 1U;
    after.entry = Memory(16, static_cast<u8>(a ^ b));
    const bool in_order = session_ == Session::opened;
    const bool allowed =
        kind_ == kCredit || (after.counters[0] <= before.counters[0] && after.counters[1] <= before.counters[1]);
    session_ = Session::none;
    const bool works = in_order && allowed;
    const Answer answer =
        exchange(terminal_->commit_command(after.counters, after.entry), works ? std::optional(after) : std::nullopt);
    if (answer.sw == 0) return;
    must((answer.sw == 0x9000) == works, "what may be committed is, and nothing else");
    if (!works) return;
    terminal_->read_receipt(answer.data, after.sequence);
    must(cut_out(answer.data, 4, 8) == terminal_->settlement_code(sample().key(kSettlement), after.sequence), "code");
    possible_ = {after};
    session_ = Session::committed;
  }

  void ratify() {
    if (!opened_ || possible_.size() != 1 || possible_.front().sequence == 0 || !terminal_->has_receipt()) return;
    const bool works = session_ == Session::committed;
    State after = possible_.front();
    after.ratified = true;
    session_ = Session::none;
    const Answer answer = exchange(terminal_->ratify_command(), works ? std::optional(after) : std::nullopt);
    if (answer.sw == 0) return;
    must((answer.sw == 0x9000) == works, "what may be ratified is");
    if (works) possible_ = {after};
  }

  // A command that is none of the terminal's, or not in its time.
  void other(const Memory& command) {
    if (command.empty() || command.size() > kMaxCommandBytes) return;
    if (!foreign(command)) session_ = Session::none;
    exchange(command);
  }

  Interface interface_;
  Chip chip_{kPages};
  std::unique_ptr<Card> card_;
  bool begun_ = false;
  std::vector<State> possible_ = {State{}};
  std::optional<LedgerTerminal> terminal_;
  u8 kind_ = kDebit;
  bool opened_ = false;
  Session session_ = Session::none;  // the card's, as the model has it
  Memory last_;
  Memory seen_;
};

Memory Run::image;

void exercise(const u8* data, std::size_t size) {
  if (Run::image.empty()) Run::image = make_card();
  if (size < 1) return;
  Run run((data[0] & 1) != 0 ? Interface::contactless : Interface::contact);
  int steps = 0;
  for (std::size_t at = 1; at + 3 <= size && steps < 64; ++steps) {
    const u8 what = data[at];
    const u8 a = data[at + 1];
    const u8 b = data[at + 2];
    at += 3;
    Memory raw;
    if (what % 10 == 9) {
      const std::size_t n = std::min<std::size_t>(a, size - at);
      raw.assign(data + at, data + at + n);
      at += n;
    }
    run.step(what, a, b, raw);
  }
  run.finish();
}

}  // namespace
}  // namespace karta::os

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  karta::os::exercise(data, size);
  return 0;
}
