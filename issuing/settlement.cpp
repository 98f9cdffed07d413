#include "issuing/settlement.h"

#include <algorithm>

#include "base/be32.h"
#include "card/transit.h"
#include "crypto/signer.h"

namespace karta::issuing {
namespace {

using card::TapRecord;
using card::TapSettlement;
using identity::JournalFit;
using identity::JournalRecord;

constexpr std::string_view kNames[] = {"broken-chain", "malformed",  "invented",    "doubled", "dropped",
                                       "wrong-amount", "not-opened", "unseen-sale", "unproven"};

Bytes octets_of(const std::vector<std::uint32_t>& counters) {
  Bytes octets;
  for (const std::uint32_t counter : counters) append_be32(octets, counter);
  return octets;
}

void add_to(SettlementTotals& totals, const TapRecord& tap, bool reduced) {
  ++totals.taps;
  switch (tap.product) {
    case card::ProductKind::period:
      ++totals.periods;
      break;
    case card::ProductKind::trips:
      totals.trips += tap.taken;
      break;
    case card::ProductKind::purse:
      totals.purse += tap.taken;
      break;
    case card::ProductKind::none:
      break;
  }
  if (reduced) ++totals.reduced;
}

}  // namespace

std::string_view name_of(SettlementFindingKind kind) { return kNames[static_cast<std::size_t>(kind)]; }
bool is_fault(SettlementFindingKind kind) { return kind < SettlementFindingKind::not_opened; }

std::uint64_t SettlementReport::count(SettlementFindingKind kind) const {
  return static_cast<std::uint64_t>(
      std::count_if(findings.begin(), findings.end(), [&](const auto& finding) { return finding.kind == kind; }));
}
bool SettlementReport::faultless() const {
  return std::none_of(findings.begin(), findings.end(), [](const auto& finding) { return is_fault(finding.kind); });
}

/// One step of a ledger's sequence, as journals tell it.
struct Settlement::Commit {
  bool proven = false;  // somebody has the card's code for it
  bool credit = false;
  std::vector<std::uint32_t> counters;
  Bytes entry;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> openings;  // gate and number
  bool known_open = false;                                        // a settlement says that its gate had opened
  std::string terminal;
  std::uint64_t record = 0;
  std::optional<TapRecord> told;  // by the gate that made it
};
struct Settlement::Ledger {
  std::map<std::uint32_t, Commit> commits;
  std::map<std::pair<std::uint32_t, Bytes>, std::pair<std::string, JournalRecord>> intents;
  std::map<std::pair<std::uint32_t, Bytes>, TapRecord> intended;
};

Settlement::Settlement(card::TransactionKeys* keys, std::vector<crypto::Certificate> anchors)
    : keys_(keys), anchors_(std::move(anchors)) {}
Settlement::~Settlement() = default;

void Settlement::find(SettlementFindingKind kind, const std::string& terminal, std::uint64_t record,
                      const TapRecord* tap, std::string words) {
  SettlementFinding finding;
  finding.kind = kind;
  finding.terminal = terminal;
  finding.record = record;
  if (tap != nullptr) {
    finding.ledger = tap->ledger;
    finding.sequence = tap->sequence;
    finding.gate = tap->gate;
    finding.number = tap->number;
  }
  finding.words = std::move(words);
  report_.findings.push_back(std::move(finding));
}

Status Settlement::add(const std::string& terminal, const std::vector<JournalRecord>& records) {
  for (const JournalRecord& record : records) TRY(add_record(terminal, record));
  return {};
}

Status Settlement::add_record(const std::string& terminal, const JournalRecord& record) {
  const auto chain = chains_.find(terminal);
  if (chain == chains_.end()) {
    // The oldest record there is stands on what was pruned before it.
    if (hash_of(record) != record.hash) {
      find(SettlementFindingKind::broken_chain, terminal, record.number, nullptr, "a record that was changed");
    }
  } else {
    switch (fit_of(chain->second, record)) {
      case JournalFit::next:
      case JournalFit::mended:
        break;
      case JournalFit::repeated:
        if (record.position() == chain->second) return {};
        find(SettlementFindingKind::broken_chain, terminal, record.number, nullptr, "a record that stands there twice");
        return {};
      case JournalFit::gap:
        find(SettlementFindingKind::broken_chain, terminal, record.number, nullptr,
             "records " + std::to_string(chain->second.number + 1) + " to " + std::to_string(record.number - 1) +
                 " are missing");
        break;
      case JournalFit::fork:
        find(SettlementFindingKind::broken_chain, terminal, record.number, nullptr,
             "it does not follow the record before it: two histories, or a record that was changed");
        break;
      case JournalFit::broken:
        find(SettlementFindingKind::broken_chain, terminal, record.number, nullptr, "a record that was changed");
        break;
    }
  }
  chains_.insert_or_assign(terminal, record.position());
  ++report_.records;
  if (record.kind != card::kTapKind && record.kind != card::kTapIntentKind && record.kind != card::kSettledKind &&
      record.kind != card::kRefusalKind) {
    return {};
  }
  if (record.kind == card::kRefusalKind) {
    // A gate that stayed closed for what a record before had announced. Other modes refuse, too.
    const auto refusal = card::GateRefusal::from_json(record.body);
    if (!refusal || !refusal->number || refusal->ledger.empty()) return {};
    const auto ledger = ledgers_.find(refusal->ledger);
    if (ledger == ledgers_.end()) return {};
    for (auto& [sequence, commit] : ledger->second.commits) {
      std::erase(commit.openings, std::pair(refusal->gate, *refusal->number));
    }
    return {};
  }
  const auto tap = TapRecord::from_json(record.body);
  if (!tap) {
    find(SettlementFindingKind::malformed, terminal, record.number, nullptr, tap.error().message);
    return {};
  }
  return tap->form == TapRecord::Form::counted ? add_counted(terminal, record, *tap)
                                               : add_signed(terminal, record, *tap);
}

Result<bool> Settlement::proven(const TapRecord& tap, std::uint32_t sequence, bool credit,
                                const std::vector<std::uint32_t>& counters, ByteView entry, ByteView code) {
  if (keys_ == nullptr) {
    ++report_.codes_unchecked;
    return true;
  }
  const Bytes right = TRY(keys_->settlement_code(credit ? card::LedgerKey::credit : card::LedgerKey::debit, tap.ledger,
                                                 sequence, octets_of(counters), entry));
  return equal(right, code);
}

Status Settlement::add_counted(const std::string& terminal, const JournalRecord& record, const TapRecord& tap) {
  Ledger& ledger = ledgers_[tap.ledger];
  // What the gate saw of a commit somebody else made.
  if (tap.seen) {
    const TapRecord::Seen& seen = *tap.seen;
    const bool right = TRY(proven(tap, seen.sequence, seen.credit, seen.counters, seen.entry, seen.code));
    if (!right) {
      find(SettlementFindingKind::invented, terminal, record.number, &tap,
           "it tells of commit " + std::to_string(seen.sequence) + ", which the card did not make");
    } else {
      Commit& commit = ledger.commits[seen.sequence];
      if (!commit.proven) {
        commit.proven = true;
        commit.credit = seen.credit;
        commit.counters = seen.counters;
        commit.entry = seen.entry;
      }
    }
  }
  if (record.kind == card::kTapIntentKind) {
    ledger.intents.insert_or_assign({tap.sequence, tap.change.entry}, std::pair(terminal, record));
    ledger.intended.insert_or_assign({tap.sequence, tap.change.entry}, tap);
    return {};
  }
  if (record.kind == card::kSettledKind && tap.settlement != TapSettlement::written) return {};
  if (tap.code.empty()) {
    find(SettlementFindingKind::malformed, terminal, record.number, &tap, "a tap without the card's code");
    return {};
  }
  const bool right = TRY(
      proven(tap, tap.sequence, tap.kind == card::LedgerKey::credit, tap.change.counters, tap.change.entry, tap.code));
  if (!right) {
    find(SettlementFindingKind::invented, terminal, record.number, &tap, "the card did not make this code");
    return {};
  }
  Commit& commit = ledger.commits[tap.sequence];
  if (commit.proven && (commit.entry != tap.change.entry || commit.counters != tap.change.counters)) {
    find(SettlementFindingKind::doubled, terminal, record.number, &tap,
         "two commits under one number of the ledger's: a card went back in time");
    return {};
  }
  commit.proven = true;
  commit.credit = tap.kind == card::LedgerKey::credit;
  commit.counters = tap.change.counters;
  commit.entry = tap.change.entry;
  const bool settles = record.kind == card::kSettledKind;
  const bool opens = !settles || tap.opens;
  if (opens) {
    commit.openings.emplace_back(tap.gate, tap.number);
    if (commit.openings.size() > 1) {
      find(SettlementFindingKind::doubled, terminal, record.number, &tap, "the gate opened twice for one commit");
      return {};
    }
  }
  if (settles && tap.opened) commit.known_open = true;
  commit.terminal = terminal;
  commit.record = record.number;
  if (!commit.told || !settles) commit.told = tap;
  if (settles && opens) {
    ++report_.gates[tap.gate].settled;
    ++report_.all.settled;
  }
  return {};
}

Status Settlement::add_signed(const std::string& terminal, const JournalRecord& record, const TapRecord& tap) {
  if (record.kind != card::kTapKind) return {};
  const auto invented = [&](std::string words) -> Status {
    find(SettlementFindingKind::invented, terminal, record.number, &tap, std::move(words));
    return {};
  };
  const auto certificate = crypto::Certificate::from_der(tap.certificate);
  if (!certificate) return invented("its certificate cannot be read");
  if (anchors_.empty()) ++report_.codes_unchecked;
  if (!anchors_.empty()) {
    const auto serial = card::verify_transit_certificate(*certificate, anchors_, record.time);
    if (!serial) return invented(serial.error().message);
    if (*serial != tap.ledger) return invented("its certificate is another ledger's");
  }
  // "KTXP" || nonce (16) || serial (8) || ..
  constexpr std::size_t kHead = 4 + card::kTransactionNonceOctets;
  const ByteView statement(tap.statement);
  if (statement.size() <= kHead + card::kLedgerSerialOctets ||
      !equal(statement.subspan(kHead, card::kLedgerSerialOctets), tap.ledger)) {
    return invented("its statement is of another ledger");
  }
  const auto key = certificate->public_key();
  const auto signature = crypto::encode_ecdsa_signature(tap.signature);
  if (!key || !signature || !key->verify(crypto::AlgorithmId::ecdsa_sha256, statement, *signature)) {
    return invented("the card did not make this signature");
  }
  const auto [before, fresh] = statements_.emplace(tap.statement, terminal);
  if (!fresh) {
    find(SettlementFindingKind::doubled, terminal, record.number, &tap, "one statement of the card's, two taps");
    return {};
  }
  for (SettlementTotals* totals : {&report_.gates[tap.gate], &report_.all}) {
    ++totals->taps;
    ++totals->card_signed;
  }
  return {};
}

/// Commits between two that are known. Whose they were may be told by counters that went up, or by an intent whose
/// answer never came.
void Settlement::judge_gap(const Bytes& serial, const Ledger& ledger, const Commit& before, std::uint32_t from,
                           const Commit& after, std::uint32_t to) {
  TapRecord here;
  here.ledger = serial;
  here.sequence = from + 1;
  bool sold = false;
  for (std::size_t i = 0; i < std::min(before.counters.size(), after.counters.size()); ++i) {
    sold = sold || after.counters[i] > before.counters[i];
  }
  const bool one = to == from + 2;
  if (one && sold) {
    return find(SettlementFindingKind::unseen_sale, {}, 0, &here,
                "a counter of the card went up, and no journal says why");
  }
  if (one) {
    for (const auto& [place, tap] : ledger.intended) {
      if (place.first != from + 1) continue;
      return find(SettlementFindingKind::not_opened, {}, 0, &tap,
                  "the answer was lost, and a later commit shows that it was paid");
    }
  }
  find(SettlementFindingKind::dropped, {}, 0, &here,
       "commits " + std::to_string(from + 1) + " to " + std::to_string(to - 1) + " of the card are in no journal");
}

SettlementReport Settlement::finish() {
  report_.journals = chains_.size();
  report_.ledgers = ledgers_.size();
  for (auto& [serial, ledger] : ledgers_) {
    TapRecord here;
    here.ledger = serial;
    const Commit* before = nullptr;
    std::uint32_t before_sequence = 0;
    for (auto& [sequence, commit] : ledger.commits) {
      if (!commit.proven) continue;
      ++report_.commits;
      here.sequence = sequence;
      if (before != nullptr && sequence > before_sequence + 1) {
        judge_gap(serial, ledger, *before, before_sequence, commit, sequence);
      }
      if (!commit.told) {
        // Seen by another gate only. An intent of the same entry says whose answer was lost.
        const auto intent = ledger.intended.find({sequence, commit.entry});
        if (intent != ledger.intended.end()) {
          find(SettlementFindingKind::not_opened, {}, 0, &intent->second, "paid, and its gate never had the answer");
        } else if (!commit.credit) {
          find(SettlementFindingKind::dropped, {}, 0, &here, "the card made a commit that is in no journal");
        }
      } else {
        const TapRecord& tap = *commit.told;
        const auto entry = card::TransitEntry::parse(commit.entry);
        TapRecord priced = tap;
        if (const auto intent = ledger.intended.find({sequence, commit.entry}); intent != ledger.intended.end()) {
          priced.product = intent->second.product;
          priced.taken = intent->second.taken;
          priced.gate = intent->second.gate;
        }
        const bool reduced = entry && entry->reduced;
        // What a settlement says without opening is a commit whose opening was known, or whose card is stopped.
        add_to(report_.gates[priced.gate], priced, reduced);
        add_to(report_.all, priced, reduced);
        if (commit.openings.empty() && !commit.known_open) {
          find(SettlementFindingKind::not_opened, commit.terminal, commit.record, &tap, "paid, and no gate opened");
        }
        if (before != nullptr && sequence == before_sequence + 1 && entry && entry->slot < commit.counters.size() &&
            entry->slot < before->counters.size()) {
          const std::uint32_t really = before->counters[entry->slot] - commit.counters[entry->slot];
          if (!commit.credit && really != priced.taken) {
            find(SettlementFindingKind::wrong_amount, commit.terminal, commit.record, &tap,
                 "the gate says it took " + std::to_string(priced.taken) + ", the card's counters say " +
                     std::to_string(really));
          }
        }
      }
      before = &commit;
      before_sequence = sequence;
    }
    // Intents nobody knows the end of: those behind the last commit proven.
    for (const auto& [place, tap] : ledger.intended) {
      const auto& [sequence, entry] = place;
      const auto commit = ledger.commits.find(sequence);
      if (commit != ledger.commits.end() && commit->second.proven) continue;
      if (sequence <= before_sequence) continue;
      const auto& [terminal, record] = ledger.intents.at(place);
      find(SettlementFindingKind::unproven, terminal, record.number, &tap,
           "sent to the card, no answer, and the card has not been seen since");
    }
  }
  return std::move(report_);
}

}  // namespace karta::issuing
