#include "card/domain_profile.h"

#include <array>
#include <set>

#include "card/global_platform.h"
#include "card/iso7816.h"
#include "card/ledger.h"
#include "card/sector_steps.h"
#include "card/toml_table.h"

namespace karta::card {
namespace {

constexpr std::string_view kSchema = "karta.department-profile/1";
constexpr std::size_t kMostFiles = 16, kMostFileOctets = 4096, kMostRecordOctets = 240, kMostRecords = 64;

struct KindRow {
  DepartmentFileKind kind;
  std::string_view name;
  std::uint8_t descriptor;  ///< ISO 7816-4 table 12
};
constexpr auto kKinds = std::to_array<KindRow>({
    {DepartmentFileKind::transparent, "transparent", 0x01},
    {DepartmentFileKind::linear, "linear", 0x02},
    {DepartmentFileKind::variable, "variable", 0x04},
    {DepartmentFileKind::cyclic, "cyclic", 0x06},
});

Result<DepartmentRule> read_rule(TomlTable& table, std::string_view key) {
  const std::string word = TRY(table.text(key)).value_or("department");
  if (word == "department") return DepartmentRule{};
  const auto rule = find_access_rule(word);
  if (!rule) {
    return table.wrong_key(key,
                           "must be \"department\", \"anybody\", \"secure-channel\", \"nobody\" or a sector right");
  }
  return DepartmentRule{*rule, rule->kind != AccessRule::Kind::nobody};
}

Result<std::optional<std::uint8_t>> read_short_id(TomlTable& table) {
  const auto id = static_cast<std::uint8_t>(TRY(table.number("short_id", 0, 0, 30)));
  return id == 0 ? std::optional<std::uint8_t>{} : std::optional<std::uint8_t>(id);
}

/// Text as it stands, or octets in hexadecimal behind "hex:".
Result<Bytes> content_of(const TomlTable& table, const std::string& text) {
  constexpr std::string_view kHex = "hex:";
  if (!text.starts_with(kHex)) return to_bytes(as_bytes(text));
  auto octets = from_hex(std::string_view(text).substr(kHex.size()));
  if (!octets) return table.wrong_key("content", "has \"hex:\" and no hexadecimal digits behind it");
  return octets;
}

Result<DepartmentFile> read_file_table(TomlTable& table) {
  DepartmentFile file;
  file.id = TRY(table.file_id("id", 0));
  if (file.id == 0) return table.wrong("\"id\" is missing");
  file.short_id = TRY(read_short_id(table));
  const std::string kind = TRY(table.text("kind")).value_or("transparent");
  const KindRow* row = nullptr;
  for (const KindRow& one : kKinds) {
    if (one.name == kind) row = &one;
  }
  if (row == nullptr) return table.wrong_key("kind", "must be transparent, linear, variable or cyclic");
  file.kind = row->kind;
  for (const std::string& text : TRY(table.texts("content"))) file.content.push_back(TRY(content_of(table, text)));
  const bool records = file.kind != DepartmentFileKind::transparent;
  std::size_t longest = 0;
  for (const Bytes& one : file.content) longest = std::max(longest, one.size());
  const auto most = static_cast<std::int64_t>(records ? kMostRecordOctets : kMostFileOctets);
  file.octets = static_cast<std::size_t>(TRY(table.number("octets", static_cast<std::int64_t>(longest), 0, most)));
  file.records = static_cast<std::size_t>(
      TRY(table.number("records", static_cast<std::int64_t>(file.content.size()), 0, kMostRecords)));
  if (file.octets == 0 || longest > file.octets)
    return table.wrong_key("octets", "must be as many as the content has, or more");
  if (records && (file.records == 0 || file.content.size() > file.records)) {
    return table.wrong_key("records", "must be as many as the content has, or more");
  }
  if (!records && file.content.size() > 1) return table.wrong_key("content", "of a transparent file is one text");
  if (file.kind == DepartmentFileKind::linear || file.kind == DepartmentFileKind::cyclic) {
    for (Bytes& record : file.content) record.resize(file.octets, 0x00);
  }
  file.read = TRY(read_rule(table, "read"));
  file.update = TRY(read_rule(table, "update"));
  TRY(table.finish());
  return file;
}

Result<DepartmentLedger> read_ledger_table(TomlTable& table) {
  DepartmentLedger ledger;
  ledger.id = TRY(table.file_id("id", 0x0103));
  ledger.short_id = TRY(read_short_id(table)).value_or(static_cast<std::uint8_t>(ledger.id & 0x1F));
  const auto bits = TRY(table.number("key_bits", 128, 128, 256));
  if (bits != 128 && bits != 256) return table.wrong_key("key_bits", "must be 128 or 256");
  ledger.key_octets = static_cast<std::size_t>(bits) / 8;
  ledger.counters = static_cast<std::size_t>(TRY(table.number("counters", 1, 1, kMostLedgerCounters)));
  ledger.entry_octets = static_cast<std::size_t>(TRY(table.number("entry_octets", 16, 8, kMostLedgerEntry)));
  ledger.entries = static_cast<std::size_t>(TRY(table.number("journal", 8, 1, 32)));
  if (ledger.counters * 4 + ledger.entries * ledger.entry_octets + 40 > kMostLedgerOctets) {
    return table.wrong_key("journal", "is longer than a card keeps");
  }
  const std::string product = TRY(table.required_text("product"));
  ledger.product = TRY(content_of(table, product));
  if (ledger.product.empty() || ledger.product.size() > kMostLedgerProduct) {
    return table.wrong_key("product", "has 1 to 160 octets");
  }
  ledger.settlement = TRY(table.boolean("settlement_codes", true));
  ledger.read = TRY(read_rule(table, "read"));
  ledger.sell = TRY(read_rule(table, "sell"));
  ledger.debit = TRY(read_rule(table, "debit"));
  TRY(table.finish());
  return ledger;
}

Result<DepartmentProfile> read_root(TomlTable& root) {
  const std::string schema = TRY(root.required_text("schema"));
  if (schema != kSchema) return root.wrong_key("schema", "must be \"" + std::string(kSchema) + "\"");
  DepartmentProfile profile;
  profile.name = TRY(root.required_text("name"));
  const auto aid = TRY(root.hexadecimal("aid", 7, 7));
  if (!aid || !is_domain_aid(*aid)) return root.wrong("\"aid\" must be F04B41525441 and an octet from 10 to 1F");
  profile.aid = *aid;
  std::set<std::uint16_t> ids = {kDebitKeyFile, kCreditKeyFile, kSettlementKeyFile};
  for (TomlTable& table : TRY(root.tables("file"))) {
    if (profile.files.size() == kMostFiles) return root.wrong("more than 16 [[file]]s");
    profile.files.push_back(TRY(read_file_table(table)));
    if (!ids.insert(profile.files.back().id).second) return table.wrong_key("id", "is used twice");
  }
  if (auto table = TRY(root.table("ledger"))) {
    profile.ledger = TRY(read_ledger_table(*table));
    if (!ids.insert(profile.ledger->id).second) return table->wrong_key("id", "is used twice");
  }
  TRY(root.finish());
  return profile;
}

ChannelRule rule_of(const DepartmentRule& rule) {
  ChannelRule made = channel_rule_of(rule.rule, false);
  // Inside a domain "or the issuer" is who administers it: the department.
  if (rule.department && made.condition != channel_rule::free) made.condition |= channel_rule::or_issuer;
  return made;
}

CommandApdu append_record(ByteView record) { return {0x00, 0xE2, 0x00, 0x00, to_bytes(record)}; }

}  // namespace

Result<DepartmentProfile> parse_department_profile(std::string_view toml, std::string_view source) {
  return read_toml(toml, source, read_root);
}

Result<DepartmentProfile> read_department_profile(const std::string& file) {
  const std::string text = TRY(read_toml_file(file));
  return parse_department_profile(text, file);
}

std::vector<PersonalisationStep> department_steps(const DepartmentProfile& profile, const LedgerData& ledger,
                                                  std::size_t room) {
  std::vector<PersonalisationStep> steps;
  const auto replace = [&](std::uint16_t id) { return StepCommand{delete_file(id), 0, kSwNotFound, {}}; };
  for (const DepartmentFile& file : profile.files) {
    FileToCreate made;
    made.id = file.id;
    made.short_id = file.short_id;
    made.rules = access_nibbles(nibble::free, nibble::free, nibble::free, nibble::never);
    made.channel = ChannelRules{rule_of(file.read), rule_of(file.update)};
    const std::string words = "write file " + hex16(file.id);
    if (file.kind == DepartmentFileKind::transparent) {
      made.size = file.octets;
      steps.push_back(write_file_step(words, made, file.content.empty() ? Bytes{} : file.content.front(), room));
    } else {
      for (const KindRow& row : kKinds) {
        if (row.kind == file.kind) made.descriptor = row.descriptor;
      }
      made.records = RecordsToCreate{static_cast<std::uint8_t>(file.octets), static_cast<std::uint8_t>(file.records)};
      PersonalisationStep step;
      step.words = words;
      step.commands.push_back({create(made), 0, {}, {}});
      for (const Bytes& record : file.content) step.commands.push_back({append_record(record), 0, {}, {}});
      steps.push_back(std::move(step));
    }
    steps.back().commands.insert(steps.back().commands.begin(), replace(file.id));
  }
  if (!profile.ledger) return steps;
  const DepartmentLedger& wanted = *profile.ledger;
  PersonalisationStep away;
  away.words = "remove the ledger of before";
  away.commands.push_back(replace(wanted.id));
  for (const std::uint16_t key : {kDebitKeyFile, kCreditKeyFile, kSettlementKeyFile})
    away.commands.push_back(replace(key));
  steps.push_back(std::move(away));
  const auto key = [&](LedgerKey kind, std::uint16_t file) {
    steps.push_back(ledger_key_step("write the " + std::string(name_of(kind)) + " key", file, ledger.keys.at(kind),
                                    wanted.key_octets, StepPlace::anywhere));
  };
  key(LedgerKey::debit, kDebitKeyFile);
  key(LedgerKey::credit, kCreditKeyFile);
  if (wanted.settlement) key(LedgerKey::settlement, kSettlementKeyFile);
  LedgerFile file;
  file.id = wanted.id;
  file.short_id = wanted.short_id;
  file.product_octets = wanted.product.size();
  file.counters = wanted.counters;
  file.entry_octets = wanted.entry_octets;
  file.entries = wanted.entries;
  file.serial = ledger.serial;
  if (wanted.settlement) file.settlement_key = kSettlementKeyFile;
  file.channel = LedgerRules{rule_of(wanted.read), rule_of(wanted.sell), rule_of(wanted.debit)};
  PersonalisationStep step;
  step.words = "create the ledger and write its product";
  step.commands.push_back({create_ledger(file), 0, {}, {}});
  step.commands.push_back({update_binary(0, wanted.product), 0, {}, {}});
  steps.push_back(std::move(step));
  return steps;
}

Status load_department(Channel& session, const DepartmentProfile& profile, const LedgerData& ledger) {
  if (profile.ledger) {
    const auto good = [&](LedgerKey kind) {
      const auto key = ledger.keys.find(kind);
      return key != ledger.keys.end() && key->second.size() == profile.ledger->key_octets;
    };
    if (ledger.serial.size() != kLedgerSerialOctets || !good(LedgerKey::debit) || !good(LedgerKey::credit) ||
        (profile.ledger->settlement && !good(LedgerKey::settlement))) {
      return fail(ErrorKind::configuration, "the profile has a ledger, and its keys are missing or of another length",
                  "karta domain masters makes them");
    }
  }
  for (const PersonalisationStep& step : department_steps(profile, ledger, session.limits().command_data)) {
    for (const StepCommand& command : step.commands) {
      const ResponseApdu answer = TRY(session.transmit(command.apdu));
      const bool fine = command.also_fine && answer.status == *command.also_fine;
      if (!answer.status.ok() && !fine) return fail(error_of(answer.status, step.words));
    }
  }
  return {};
}

}  // namespace karta::card
