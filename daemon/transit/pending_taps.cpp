#include "daemon/transit/pending_taps.h"

#include <algorithm>
#include <set>
#include <utility>

namespace karta::daemon {
namespace {

using card::GateOpened;
using card::PendingTap;
using card::TapRecord;
using identity::JournalRecord;

constexpr std::size_t kPage = 500;

/// The number of the record before the newest whole set of pending records; 0: there is none.
Result<std::uint64_t> before_newest_set(const identity::Journal& journal) {
  std::uint64_t end = journal.last().number;
  bool whole = false;  // the last part of a set was met: others' records may stand between its parts
  const std::uint64_t first = journal.anchor().number;
  while (end > first) {
    const std::uint64_t from = end - first > kPage ? end - kPage : first;
    const std::vector<JournalRecord> page = TRY(journal.pages(from, static_cast<std::size_t>(end - from)));
    for (auto record = page.rbegin(); record != page.rend(); ++record) {
      if (record->kind != card::kPendingKind || record->number > end) continue;
      const card::PendingTaps set = TRY(card::PendingTaps::from_json(record->body));
      // A program that was killed while it wrote a set left no last part.
      if (set.part == set.parts) whole = true;
      if (whole && set.part == 1) return record->number - 1;
    }
    end = from;
  }
  return first;
}

/// The commit a record of a counted tap tells of.
PendingTap pending_of(const TapRecord& record, GateOpened opened) {
  return {record.gate, record.number, opened, {record.ledger, record.kind, record.sequence - 1, record.change}};
}

}  // namespace

Result<std::unique_ptr<PendingTaps>> PendingTaps::load(identity::Journal& journal, const LastOpened& last_opened,
                                                       Time now) {
  std::unique_ptr<PendingTaps> out(new PendingTaps);
  std::uint64_t at = TRY(before_newest_set(journal));
  std::map<Bytes, PendingTap> staged;  // of a set whose last part has not come
  std::set<Bytes> settled;             // ledgers whose newest record is a settlement for which the gate was to open
  const auto number_used = [&](std::uint32_t number) { out->next_ = std::max(out->next_, number + 1); };
  for (;;) {
    const std::vector<JournalRecord> page = TRY(journal.pages(at, kPage));
    if (page.empty()) break;
    for (const JournalRecord& record : page) {
      at = record.number;
      if (record.kind == card::kPendingKind) {
        card::PendingTaps set = TRY(card::PendingTaps::from_json(record.body));
        if (set.part == 1) staged.clear();
        for (card::NewestTap& newest : set.newest) out->set_newest(std::move(newest));
        out->next_ = std::max(out->next_, set.next_number);
        for (PendingTap& tap : set.taps) staged.insert_or_assign(tap.commit.serial, std::move(tap));
        if (set.part == set.parts) {
          out->taps_ = std::exchange(staged, {});
          settled.clear();
        }
      } else if (record.kind == card::kRefusalKind) {
        // Other modes refuse, too.
        const auto refusal = card::GateRefusal::from_json(record.body);
        if (!refusal || !refusal->number) continue;
        number_used(*refusal->number);
        const auto found = out->taps_.find(refusal->ledger);
        if (found != out->taps_.end() && found->second.gate == refusal->gate &&
            found->second.number == *refusal->number) {
          found->second.opened = GateOpened::no;
        }
      } else if (record.kind == card::kTapIntentKind || record.kind == card::kTapKind ||
                 record.kind == card::kSettledKind) {
        const TapRecord tap = TRY(TapRecord::from_json(record.body));
        number_used(tap.number);
        if (record.kind == card::kTapKind || (record.kind == card::kSettledKind && tap.opens)) {
          out->set_newest({tap.gate, tap.number, tap.ledger});
        }
        if (tap.form != TapRecord::Form::counted) continue;
        settled.erase(tap.ledger);
        if (record.kind == card::kTapIntentKind) {
          out->taps_.insert_or_assign(tap.ledger, pending_of(tap, GateOpened::unknown));
        } else if (record.kind == card::kSettledKind && tap.opens) {
          // The gate was about to open: whether it did is for its output to tell, below.
          out->taps_.insert_or_assign(tap.ledger, pending_of(tap, GateOpened::unknown));
          settled.insert(tap.ledger);
        } else {
          out->taps_.erase(tap.ledger);
        }
      }
    }
  }
  // What is not known is asked once, before any gate opens again: a gate's numbers go up, so that the newest opening
  // tells of the last one begun.
  std::map<std::uint32_t, std::optional<std::uint32_t>> newest;
  for (auto tap = out->taps_.begin(); tap != out->taps_.end();) {
    PendingTap& one = tap->second;
    if (one.opened == GateOpened::unknown) {
      const auto [known, fresh] = newest.try_emplace(one.gate);
      if (fresh && last_opened) known->second = last_opened(one.gate);
      if (known->second) one.opened = *known->second >= one.number ? GateOpened::yes : GateOpened::no;
    }
    // A settlement is done unless the output knows better: nobody is let through for it twice. Where it does, the
    // journal says that the gate stayed closed for what the settlement's record had announced.
    const bool settlement = settled.contains(tap->first);
    if (settlement && one.opened == GateOpened::no) {
      card::GateRefusal closed;
      closed.gate = one.gate;
      closed.reason = "lost-answer";
      closed.ledger = tap->first;
      closed.number = one.number;
      TRY(journal.append(card::kRefusalKind, closed.to_json()));
    }
    tap = settlement && one.opened != GateOpened::no ? out->taps_.erase(tap) : std::next(tap);
  }
  TRY(out->write_set(journal, now));
  return out;
}

Status PendingTaps::write_set(identity::Journal& journal, Time now) {
  const std::lock_guard lock(mutex_);
  std::vector<PendingTap> all;
  for (const auto& [serial, tap] : taps_) all.push_back(tap);
  const auto parts = static_cast<std::uint32_t>(
      std::max<std::size_t>(1, (all.size() + card::PendingTaps::kMostInOne - 1) / card::PendingTaps::kMostInOne));
  for (std::uint32_t part = 1; part <= parts; ++part) {
    card::PendingTaps set;
    set.next_number = next_;
    set.part = part;
    set.parts = parts;
    for (const auto& [gate, tap] : newest_) {
      if (part == 1 && set.newest.size() < card::PendingTaps::kMostInOne) set.newest.push_back(tap);
    }
    const std::size_t from = (part - 1) * card::PendingTaps::kMostInOne;
    const std::size_t to = std::min(all.size(), from + card::PendingTaps::kMostInOne);
    set.taps.assign(all.begin() + static_cast<std::ptrdiff_t>(from), all.begin() + static_cast<std::ptrdiff_t>(to));
    TRY(journal.append(card::kPendingKind, set.to_json()));
  }
  written_ = now;
  return {};
}

Status PendingTaps::refresh(identity::Journal& journal, Time now) {
  // A clock that went back is no reason to wait for it.
  if (now >= written_ && now - written_ < kSetEvery) return {};
  const std::unique_lock lock(working_, std::try_to_lock);
  if (!lock || unwritten_ > 0) return {};
  return write_set(journal, now);
}

std::optional<card::NewestTap> PendingTaps::newest(std::uint32_t gate) const {
  const std::lock_guard lock(mutex_);
  const auto found = newest_.find(gate);
  return found == newest_.end() ? std::nullopt : std::optional(found->second);
}

void PendingTaps::set_newest(card::NewestTap tap) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t gate = tap.gate;
  newest_.insert_or_assign(gate, std::move(tap));
}

std::optional<PendingTap> PendingTaps::find(ByteView serial) const {
  const std::lock_guard lock(mutex_);
  const auto found = taps_.find(to_bytes(serial));
  return found == taps_.end() ? std::nullopt : std::optional(found->second);
}

void PendingTaps::keep(PendingTap tap) {
  const std::lock_guard lock(mutex_);
  Bytes serial = tap.commit.serial;
  taps_.insert_or_assign(std::move(serial), std::move(tap));
}

void PendingTaps::set_opened(ByteView serial) {
  const std::lock_guard lock(mutex_);
  const auto found = taps_.find(to_bytes(serial));
  if (found != taps_.end()) found->second.opened = GateOpened::yes;
}

void PendingTaps::drop(ByteView serial) {
  const std::lock_guard lock(mutex_);
  taps_.erase(to_bytes(serial));
}

std::size_t PendingTaps::count() const {
  const std::lock_guard lock(mutex_);
  return taps_.size();
}

std::uint32_t PendingTaps::take_number() {
  const std::lock_guard lock(mutex_);
  return next_++;
}

}  // namespace karta::daemon
