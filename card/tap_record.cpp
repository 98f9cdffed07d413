#include "card/tap_record.h"

#include <nlohmann/json.hpp>

namespace karta::card {
namespace {

using Json = nlohmann::json;  // sorted keys: the canonical form

constexpr std::size_t kMostBody = 64 * 1024, kMostOctets = 8 * 1024;
constexpr std::string_view kOpened[] = {"no", "yes", "unknown"};
constexpr std::string_view kSettlements[] = {"written", "superseded"};
constexpr std::string_view kCounted = "counted", kSigned = "signed", kDebit = "debit", kCredit = "credit";

tl::unexpected<Error> bad(std::string_view key) {
  return fail(ErrorKind::malformed, "record of a tap: \"" + std::string(key) + "\" is missing or wrong");
}

Result<Json> object_of(std::string_view body) {
  if (body.size() > kMostBody) return fail(ErrorKind::limit, "record of a tap: too long");
  Json json = Json::parse(body, nullptr, false);
  if (!json.is_object()) return fail(ErrorKind::malformed, "record of a tap: no JSON object");
  return json;
}

template <class Number>
Status read(const Json& json, const char* key, Number& out) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number_unsigned()) return bad(key);
  const auto value = found->get<std::uint64_t>();
  if (value > std::numeric_limits<Number>::max()) return bad(key);
  out = static_cast<Number>(value);
  return {};
}
Status read(const Json& json, const char* key, bool& out) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_boolean()) return bad(key);
  out = found->get<bool>();
  return {};
}
Status read(const Json& json, const char* key, std::string_view& out) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_string()) return bad(key);
  out = found->get_ref<const std::string&>();
  return {};
}
Status read(const Json& json, const char* key, Bytes& out) {
  std::string_view hex;
  TRY(read(json, key, hex));
  if (hex.size() > 2 * kMostOctets) return bad(key);
  auto octets = from_hex(hex);
  if (!octets) return bad(key);
  out = std::move(*octets);
  return {};
}
Status read(const Json& json, const char* key, std::vector<std::uint32_t>& out) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_array() || found->empty() || found->size() > kMostLedgerCounters) {
    return bad(key);
  }
  for (const Json& one : *found) {
    if (!one.is_number_unsigned() || one.get<std::uint64_t>() > 0xFFFFFFFF) return bad(key);
    out.push_back(one.get<std::uint32_t>());
  }
  return {};
}
Status read_entry(const Json& json, Bytes& out) {
  TRY(read(json, "entry", out));
  return out.empty() || out.size() > kMostLedgerEntry ? Status(bad("entry")) : Status();
}
Status read_kind(const Json& json, LedgerKey& out) {
  std::string_view name;
  TRY(read(json, "kind", name));
  if (name != kDebit && name != kCredit) return bad("kind");
  out = name == kDebit ? LedgerKey::debit : LedgerKey::credit;
  return {};
}
Status read_serial(const Json& json, Bytes& out) {
  TRY(read(json, "ledger", out));
  return out.size() == kLedgerSerialOctets ? Status() : Status(bad("ledger"));
}
template <class Enum, std::size_t N>
Status read_name(const Json& json, const char* key, const std::string_view (&names)[N], Enum& out) {
  std::string_view name;
  TRY(read(json, key, name));
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] != name) continue;
    out = static_cast<Enum>(i);
    return {};
  }
  return bad(key);
}

}  // namespace

std::string_view name_of(GateOpened opened) { return kOpened[static_cast<std::size_t>(opened)]; }
std::string_view name_of(TapSettlement settlement) { return kSettlements[static_cast<std::size_t>(settlement)]; }

std::string TapRecord::to_json() const {
  Json json{{"gate", gate}, {"number", number}, {"ledger", to_hex(ledger)}};
  if (status_index) json["status_index"] = *status_index;
  if (form == Form::card_signed) {
    json["form"] = kSigned;
    json["statement"] = to_hex(statement);
    json["signature"] = to_hex(signature);
    json["certificate"] = to_hex(certificate);
    return json.dump();
  }
  json["form"] = kCounted;
  json["kind"] = kind == LedgerKey::debit ? kDebit : kCredit;
  json["sequence"] = sequence;
  json["counters"] = change.counters;
  json["entry"] = to_hex(change.entry);
  if (!code.empty()) json["code"] = to_hex(code);
  if (product != ProductKind::none) {
    json["product"] = name_of(product);
    json["taken"] = taken;
  }
  if (seen) {
    json["seen"] = {{"sequence", seen->sequence},
                    {"kind", seen->credit ? kCredit : kDebit},
                    {"counters", seen->counters},
                    {"entry", to_hex(seen->entry)},
                    {"code", to_hex(seen->code)}};
  }
  if (settlement) {
    json["settlement"] = name_of(*settlement);
    json["opens"] = opens;
    json["opened"] = opened;
  }
  return json.dump();
}

void TapRecord::price(const LedgerState& before, const TransitEntry& entry) {
  const auto pass = TransitPass::parse(before.product, before.counters.size());
  if (!pass || entry.slot >= pass->products.size() || entry.slot >= change.counters.size()) return;
  product = pass->products[entry.slot].kind;
  taken = before.counters[entry.slot] - change.counters[entry.slot];
}

Result<TapRecord> TapRecord::from_json(std::string_view body) {
  const Json json = TRY(object_of(body));
  TapRecord record;
  TRY(read(json, "gate", record.gate));
  TRY(read(json, "number", record.number));
  TRY(read_serial(json, record.ledger));
  if (json.contains("status_index")) TRY(read(json, "status_index", record.status_index.emplace()));
  std::string_view form;
  TRY(read(json, "form", form));
  if (form == kSigned) {
    record.form = Form::card_signed;
    TRY(read(json, "statement", record.statement));
    TRY(read(json, "signature", record.signature));
    TRY(read(json, "certificate", record.certificate));
    return record;
  }
  if (form != kCounted) return bad("form");
  TRY(read_kind(json, record.kind));
  TRY(read(json, "sequence", record.sequence));
  TRY(read(json, "counters", record.change.counters));
  TRY(read_entry(json, record.change.entry));
  if (json.contains("code")) {
    TRY(read(json, "code", record.code));
    if (record.code.size() != kSettlementCodeOctets) return bad("code");
  }
  if (json.contains("product")) {
    std::string_view name;
    TRY(read(json, "product", name));
    const auto kind = find_product_kind(name);
    if (!kind) return bad("product");
    record.product = *kind;
    TRY(read(json, "taken", record.taken));
  }
  if (const auto found = json.find("seen"); found != json.end()) {
    if (!found->is_object()) return bad("seen");
    Seen& seen = record.seen.emplace();
    TRY(read(*found, "sequence", seen.sequence));
    LedgerKey kind = LedgerKey::debit;
    TRY(read_kind(*found, kind));
    seen.credit = kind == LedgerKey::credit;
    TRY(read(*found, "counters", seen.counters));
    TRY(read_entry(*found, seen.entry));
    TRY(read(*found, "code", seen.code));
    if (seen.code.size() != kSettlementCodeOctets) return bad("code");
  }
  if (json.contains("settlement")) {
    TRY(read_name(json, "settlement", kSettlements, record.settlement.emplace()));
    TRY(read(json, "opens", record.opens));
    TRY(read(json, "opened", record.opened));
  }
  return record;
}

std::string GateRefusal::to_json() const {
  Json json{{"gate", gate}, {"mode", "transit"}, {"reason", reason}};
  if (!ledger.empty()) json["ledger"] = to_hex(ledger);
  if (status_index) json["status_index"] = *status_index;
  if (number) json["number"] = *number;
  return json.dump();
}

Result<GateRefusal> GateRefusal::from_json(std::string_view body) {
  const Json json = TRY(object_of(body));
  GateRefusal refusal;
  TRY(read(json, "gate", refusal.gate));
  std::string_view reason;
  TRY(read(json, "reason", reason));
  refusal.reason = reason;
  if (json.contains("ledger")) TRY(read_serial(json, refusal.ledger));
  if (json.contains("status_index")) TRY(read(json, "status_index", refusal.status_index.emplace()));
  if (json.contains("number")) TRY(read(json, "number", refusal.number.emplace()));
  return refusal;
}

std::string PendingTaps::to_json() const {
  Json list = Json::array();
  for (const PendingTap& tap : taps) {
    list.push_back({{"gate", tap.gate},
                    {"number", tap.number},
                    {"opened", name_of(tap.opened)},
                    {"ledger", to_hex(tap.commit.serial)},
                    {"kind", tap.commit.kind == LedgerKey::debit ? kDebit : kCredit},
                    {"sequence", tap.commit.sequence},
                    {"counters", tap.commit.change.counters},
                    {"entry", to_hex(tap.commit.change.entry)}});
  }
  Json json{{"taps", std::move(list)}, {"next", next_number}, {"part", part}, {"parts", parts}};
  for (const NewestTap& one : newest) {
    json["newest"].push_back({{"gate", one.gate}, {"number", one.number}, {"ledger", to_hex(one.ledger)}});
  }
  return json.dump();
}

Result<PendingTaps> PendingTaps::from_json(std::string_view body) {
  const Json json = TRY(object_of(body));
  PendingTaps all;
  TRY(read(json, "next", all.next_number));
  TRY(read(json, "part", all.part));
  TRY(read(json, "parts", all.parts));
  if (all.part == 0 || all.part > all.parts) return bad("part");
  const auto list = json.find("taps");
  if (list == json.end() || !list->is_array() || list->size() > kMostInOne) return bad("taps");
  for (const Json& one : *list) {
    if (!one.is_object()) return bad("taps");
    PendingTap& tap = all.taps.emplace_back();
    TRY(read(one, "gate", tap.gate));
    TRY(read(one, "number", tap.number));
    TRY(read_name(one, "opened", kOpened, tap.opened));
    TRY(read_serial(one, tap.commit.serial));
    TRY(read_kind(one, tap.commit.kind));
    TRY(read(one, "sequence", tap.commit.sequence));
    TRY(read(one, "counters", tap.commit.change.counters));
    TRY(read_entry(one, tap.commit.change.entry));
  }
  const auto newest = json.find("newest");
  if (newest == json.end()) return all;
  if (!newest->is_array() || newest->size() > kMostInOne) return bad("newest");
  for (const Json& one : *newest) {
    if (!one.is_object()) return bad("newest");
    NewestTap& tap = all.newest.emplace_back();
    TRY(read(one, "gate", tap.gate));
    TRY(read(one, "number", tap.number));
    TRY(read_serial(one, tap.ledger));
  }
  return all;
}

}  // namespace karta::card
