#include "daemon/transit/transit_gate.h"

#include "daemon/desk.h"

namespace karta::daemon {
namespace {

using card::GateOpened;
using card::LedgerPhase;
using card::PendingCommit;
using card::TapReason;
using card::TapRecord;
using card::TapSettlement;

constexpr std::uint8_t kInsOpen = 0x32, kInsInternalAuthenticate = 0x88;

/// What OPEN shows of a commit nobody confirmed: whoever made it wants to know of it.
std::optional<TapRecord::Seen> seen_in(const card::LedgerState& state) {
  if (state.ratified || state.sequence == 0) return std::nullopt;
  return TapRecord::Seen{state.sequence, state.last_credit, state.counters, state.last_entry, state.last_code};
}

/// Keys whose own troubles are not taken for the card's: a module that was pulled out is no card that left.
class OwnKeys final : public card::TransactionKeys {
 public:
  explicit OwnKeys(card::TransactionKeys& keys) : keys_(keys) {}
  bool failed() const { return failed_; }
  Result<Bytes> prepare(card::LedgerKey kind, ByteView serial) override { return judged(keys_.prepare(kind, serial)); }
  Result<Bytes> check(const card::LedgerShape& shape, ByteView answer) override {
    return judged(keys_.check(shape, answer));
  }
  Result<Bytes> authorise(ByteView change) override { return judged(keys_.authorise(change)); }
  Result<Bytes> confirm(ByteView answer) override { return judged(keys_.confirm(answer)); }

 private:
  Result<Bytes> judged(Result<Bytes> answer) {
    if (answer || answer.error().kind == ErrorKind::card_insecure) return answer;
    failed_ = true;
    return fail(ErrorKind::configuration, "the gate's keys: " + answer.error().message, answer.error().hint);
  }
  card::TransactionKeys& keys_;
  bool failed_ = false;
};

/// A lease whose keys are opened anew where they failed.
class SpoilingLease {
 public:
  SpoilingLease(KeyRing::Lease lease) : lease_(std::move(lease)), keys_(lease_.keys()) {}
  ~SpoilingLease() {
    if (keys_.failed()) lease_.spoil();
  }
  OwnKeys& keys() { return keys_; }

 private:
  KeyRing::Lease lease_;
  OwnKeys keys_;
};

}  // namespace

Status TransitGate::record(std::string_view kind, const TapRecord& record) {
  TRY(services_.journal.append(kind, record.to_json()));
  return {};
}

bool TransitGate::write_down_the_unwritten() {
  while (!unwritten_.empty()) {
    if (!services_.journal.append(unwritten_.front().first, unwritten_.front().second)) return false;
    unwritten_.pop_front();
    services_.pending.add_unwritten(-1);
  }
  return true;
}

void TransitGate::write_later(std::string_view kind, std::string body) {
  unwritten_.emplace_back(kind, std::move(body));
  services_.pending.add_unwritten(1);
}

// The card says where it was last; the journal whether somebody passed here since. Where the journal is silent the card
// is believed.
bool TransitGate::was_last(const card::LedgerInfo& info, const card::LedgerState& state, const GateTerms& terms) const {
  if (state.sequence == 0) return false;
  const auto last = card::TransitEntry::parse(state.last_entry);
  if (!last || last->terminal != terms.gate.terminal) return false;
  const auto newest = services_.pending.newest(gate_);
  return !newest || equal(newest->ledger, info.serial) || newest->number < last->number;
}

GateResult TransitGate::refuse(GateReason reason, GateResult result, ByteView ledger) {
  result.reason = reason;
  const GateReasonRow& row = row_of(reason);
  if (row.recorded) {
    card::GateRefusal refusal;
    refusal.gate = gate_;
    refusal.reason = row.name;
    refusal.ledger = to_bytes(ledger);
    refusal.status_index = result.status_index;
    if (reason == GateReason::lost_answer) refusal.number = result.number;
    std::string body = refusal.to_json();
    // A lost answer is a fact the next tap stands on: it is written as soon as there is room. Others are only told.
    if (!services_.journal.append(card::kRefusalKind, body) && reason == GateReason::lost_answer) {
      write_later(card::kRefusalKind, std::move(body));
    }
  }
  return result;
}

bool TransitGate::is_too_slow(const Timeline* timeline, std::uint8_t ins, const GateTerms& terms) const {
  if (timeline == nullptr || terms.longest_open.count() == 0) return false;
  for (auto one = timeline->exchanges().rbegin(); one != timeline->exchanges().rend(); ++one) {
    if (one->ins == ins) return one->time > terms.longest_open;
  }
  return false;
}

GateResult TransitGate::tap(card::Channel& channel, const Timeline* timeline, const GateTerms& terms) {
  const PendingTaps::AtWork at_work = services_.pending.at_work();
  const auto judged = [&]() -> GateResult {
    if (terms.closed) return refuse(*terms.closed, {});
    // What cannot be written down is not begun.
    if (!write_down_the_unwritten() || services_.journal.health() == identity::JournalHealth::full) {
      return refuse(GateReason::journal, {});
    }
    if (services_.keys != nullptr) {
      if (auto result = counted(channel, timeline, terms)) return std::move(*result);
    } else if (terms.anchors.empty()) {
      return refuse(GateReason::no_keys, {});
    }
    return card_signed(channel, timeline, terms);
  };
  GateResult result = judged();
  const std::lock_guard lock(mutex_);
  ++by_reason_[static_cast<std::size_t>(result.reason)];
  settled_ += result.settled ? 1 : 0;
  return result;
}

/// Nothing: the card has no key of ours, and may be another region's that signs.
std::optional<GateResult> TransitGate::counted(card::Channel& channel, const Timeline* timeline,
                                               const GateTerms& terms) {
  GateResult result;
  auto lease = services_.keys->lease();
  if (!lease) {
    result.problem = lease.error().message;
    return refuse(GateReason::no_keys, std::move(result));
  }
  SpoilingLease own(std::move(*lease));
  card::Tap tap(channel, own.keys(), terms.gate);
  if (const Status opened = tap.open(); !opened) {
    const GateReason reason = gate_reason_of(said_by_card(opened.error()));
    const bool stranger = reason == GateReason::not_genuine || reason == GateReason::refused;
    if (stranger && !terms.anchors.empty()) return std::nullopt;
    result.problem = opened.error().message;
    // An error status in answer to OPEN comes of a card without the key, too: its ledger is not one of ours.
    return refuse(reason, std::move(result));
  }
  const card::LedgerInfo& info = tap.session()->info();
  const card::LedgerState& state = tap.session()->state();
  if (is_too_slow(timeline, kInsOpen, terms)) return refuse(GateReason::too_slow, std::move(result), info.serial);

  TapRecord entry;
  entry.gate = gate_;
  entry.ledger = info.serial;
  if (const auto pass = card::TransitPass::parse(state.product, state.counters.size())) {
    entry.status_index = result.status_index = pass->status_index;
  }

  // What became of a commit whose outcome was not known. The gate lets pass for it where it had not opened.
  const auto pending = services_.pending.find(info.serial);
  const PendingCommit* to_settle = nullptr;
  if (pending) {
    const card::Settlement became = card::settle(pending->commit, info, state);
    GateOpened opened = pending->opened;
    const bool written = became == card::Settlement::written;
    // RATIFY is sent behind the open gate: a ratified commit has been let through for, whatever became of the output's
    // own record.
    if (written && state.ratified) {
      opened = GateOpened::yes;
    } else if (opened == GateOpened::unknown) {
      opened = GateOpened::no;
    }
    if (written && opened == GateOpened::no) {
      to_settle = &pending->commit;
    } else if (written || became == card::Settlement::superseded) {
      TapRecord known = entry;
      known.number = pending->number;
      known.gate = pending->gate;
      known.sequence = pending->commit.sequence + 1;
      known.change = pending->commit.change;
      if (written) known.code = state.last_code;
      known.settlement = written ? TapSettlement::written : TapSettlement::superseded;
      known.opened = opened == GateOpened::yes;
      if (const Status done = record(card::kSettledKind, known); !done) {
        result.problem = done.error().message;
        return refuse(GateReason::journal, std::move(result), info.serial);
      }
      services_.pending.drop(info.serial);
    }
  }

  if (terms.found_lying && to_settle == nullptr && was_last(info, state, terms)) {
    return refuse(GateReason::pass_back, std::move(result), info.serial);
  }
  entry.number = result.number = services_.pending.take_number();
  entry.seen = to_settle == nullptr ? seen_in(state) : std::nullopt;
  const auto keep = [&](const PendingCommit& commit) -> Status {
    entry.kind = commit.kind;
    entry.sequence = commit.sequence + 1;
    entry.change = commit.change;
    if (const auto written = card::TransitEntry::parse(commit.change.entry)) entry.price(state, *written);
    TRY(record(card::kTapIntentKind, entry));
    services_.pending.keep({gate_, entry.number, GateOpened::no, commit});
    return {};
  };
  auto outcome = tap.decide(entry.number, services_.clock.now(), keep, to_settle, terms.status);
  if (!outcome) {
    result.problem = outcome.error().message;
    const LedgerPhase phase = tap.session()->phase();
    // A refusal of COMMIT has no checksum: it may be forged, and is settled as a lost answer is.
    if (phase == LedgerPhase::lost || phase == LedgerPhase::refused) {
      return refuse(GateReason::lost_answer, std::move(result), info.serial);
    }
    return refuse(gate_reason_of(outcome.error()), std::move(result), info.serial);
  }
  result.counters = outcome->counters;
  result.settled = outcome->settled;
  const GateOpening opening{gate_, entry.number, services_.clock.now()};
  if (outcome->settled) {
    entry.kind = to_settle->kind;
    entry.sequence = outcome->receipt->sequence;
    entry.change = to_settle->change;
    entry.code = outcome->receipt->code;
    entry.settlement = TapSettlement::written;
    entry.opens = outcome->reason == TapReason::open;
    if (const Status done = record(card::kSettledKind, entry); !done) {
      result.settled = false;
      result.problem = done.error().message;
      return refuse(GateReason::journal, std::move(result), info.serial);
    }
    if (!entry.opens) {
      services_.pending.drop(info.serial);
      return refuse(gate_reason_of(outcome->reason), std::move(result), info.serial);
    }
    if (const Status opened = services_.output.open(opening); !opened) {
      // Closed for a trip that was taken: it stays pending, and the refusal's record says that the gate did not open.
      result.settled = false;
      result.problem = opened.error().message;
      services_.pending.keep({gate_, entry.number, GateOpened::no, *to_settle});
      return refuse(GateReason::lost_answer, std::move(result), info.serial);
    }
    services_.pending.drop(info.serial);
    services_.pending.set_newest({gate_, entry.number, info.serial});
    result.entry = outcome->entry;
    result.reason = GateReason::open;
    return result;
  }
  if (outcome->reason != TapReason::open) {
    return refuse(gate_reason_of(outcome->reason), std::move(result), info.serial);
  }
  result.entry = outcome->entry;
  result.reason = GateReason::open;
  if (const Status opened = services_.output.open(opening); !opened) {
    // The trip is taken and the gate stands closed: the holder passes at the next try.
    result.problem = opened.error().message;
    return refuse(GateReason::lost_answer, std::move(result), info.serial);
  }
  services_.pending.set_opened(info.serial);
  services_.pending.set_newest({gate_, entry.number, info.serial});
  if (const Status ratified = tap.ratify(); !ratified)
    result.problem = "the card was not told that its receipt arrived";
  entry.code = outcome->receipt->code;
  entry.seen.reset();  // the intent has told it
  std::string body = entry.to_json();
  if (!services_.journal.append(card::kTapKind, body)) write_later(card::kTapKind, std::move(body));
  services_.pending.drop(info.serial);
  return result;
}

GateResult TransitGate::card_signed(card::Channel& channel, const Timeline* timeline, const GateTerms& terms) {
  GateResult result;
  result.card_signed = true;
  if (terms.anchors_too_old) return refuse(GateReason::trust_list_too_old, std::move(result));
  const Time now = services_.clock.now();
  const auto outcome =
      card::run_signed_tap(channel, terms.anchors, terms.gate, now, services_.random, terms.signed_status);
  if (!outcome) {
    result.problem = outcome.error().message;
    const GateReason reason = gate_reason_of(said_by_card(outcome.error()));
    // A card of ours that has neither key, or one without this form.
    const bool stranger = reason == GateReason::refused || reason == GateReason::no_application;
    return refuse(stranger && services_.keys != nullptr ? GateReason::not_genuine : reason, std::move(result));
  }
  result.status_index = outcome->status_index;
  result.counters = outcome->statement.counters;
  if (is_too_slow(timeline, kInsInternalAuthenticate, terms)) {
    return refuse(GateReason::too_slow, std::move(result), outcome->serial);
  }
  if (outcome->reason != TapReason::open) {
    return refuse(gate_reason_of(outcome->reason), std::move(result), outcome->serial);
  }
  // The card writes nothing: this gate remembers whom it has just let in.
  if (const auto newest = services_.pending.newest(gate_);
      terms.found_lying && newest && equal(newest->ledger, outcome->serial)) {
    return refuse(GateReason::pass_back, std::move(result), outcome->serial);
  }
  const std::chrono::seconds again(terms.gate.pass_back_seconds);
  std::erase_if(passed_, [&](const auto& one) { return now >= one.second + again; });
  if (again.count() != 0 && passed_.contains(outcome->serial)) {
    return refuse(GateReason::pass_back, std::move(result), outcome->serial);
  }
  TapRecord entry;
  entry.form = TapRecord::Form::card_signed;
  entry.gate = gate_;
  entry.number = result.number = services_.pending.take_number();
  entry.ledger = outcome->serial;
  entry.status_index = outcome->status_index;
  entry.statement = outcome->statement.signed_octets;
  entry.signature = outcome->statement.signature;
  entry.certificate = outcome->certificate.der();
  // The journal is the only one that knows of it: it is on disk before the gate opens.
  if (const Status done = record(card::kTapKind, entry); !done) {
    result.problem = done.error().message;
    return refuse(GateReason::journal, std::move(result), outcome->serial);
  }
  passed_.insert_or_assign(outcome->serial, now);
  result.reason = GateReason::open;
  if (const Status opened = services_.output.open({gate_, entry.number, now}); !opened) {
    result.problem = opened.error().message;
    passed_.erase(outcome->serial);
    return refuse(GateReason::lost_answer, std::move(result), outcome->serial);
  }
  services_.pending.set_newest({gate_, entry.number, outcome->serial});
  return result;
}

TransitGate::Counts TransitGate::counts() const {
  const std::lock_guard lock(mutex_);
  Counts counts;
  for (const GateReasonRow& row : gate_reason_rows()) {
    const std::uint64_t count = by_reason_[static_cast<std::size_t>(row.reason)];
    if (row.reason == GateReason::open) {
      counts.opened = count;
    } else if (count != 0) {
      counts.refused.emplace(row.name, count);
    }
  }
  counts.settled = settled_;
  return counts;
}

}  // namespace karta::daemon
