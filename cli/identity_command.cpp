#include "cli/identity_command.h"

#include <CLI/CLI.hpp>

#include "base/file.h"
#include "base/random.h"
#include "card/identity_application.h"
#include "cli/console.h"
#include "cli/json_output.h"
#include "cli/sector_output.h"

namespace karta::cli {
namespace {

constexpr std::size_t kNameColumn = 40;

// Born on this day or earlier: `years` are reached today.
std::chrono::year_month_day born_by(Time now, unsigned years) {
  const card::CvDate today = card::cv_date_of(now);
  const std::chrono::year_month_day then = today - std::chrono::years(static_cast<int>(years));
  return then.ok() ? then : then.year() / then.month() / std::chrono::last;
}

struct Findings {
  std::vector<card::DataGroupReading> groups;
  std::optional<bool> age_reached, in_community;
  std::optional<Bytes> pseudonym;
  std::optional<card::DataGroupReading> portrait;
  SectorFindings sectors;
};

Result<Findings> ask(card::IdentityApplication& identity, const IdentityReadArguments& given,
                     const std::optional<card::SectorKey>& sector) {
  Findings findings;
  findings.groups = TRY(identity.read_all());
  if (!given.portrait.empty()) findings.portrait = TRY(identity.read(card::kPortraitGroup));
  if (given.age) findings.age_reached = TRY(identity.born_by_announced_date());
  if (!given.community.empty()) findings.in_community = TRY(identity.lives_in_announced_community());
  if (sector) findings.pseudonym = TRY(identity.pseudonym(*sector));
  findings.sectors = TRY(read_sectors(identity));
  return findings;
}

std::string reason_of(const card::DataGroupReading& group) {
  switch (group.state) {
    case card::DataGroupState::read:
      return group.check == card::DataGroupCheck::signed_by_issuer ? "signed by the issuer"
                                                                   : "not covered by a signature";
    case card::DataGroupState::refused:
      return "refused: the role has no right read-dg" + std::to_string(group.number);
    case card::DataGroupState::denied:
      return "denied by the card";
    case card::DataGroupState::absent:
      return "the card has none";
  }
  return {};
}

std::string padded(std::string text, std::size_t columns) {
  // Characters, not octets: names are UTF-8.
  std::size_t characters = 0;
  for (const char c : text) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  if (characters < columns) text.append(columns - characters, ' ');
  return text;
}

Json json_of(const card::DataGroupReading& group) {
  const card::DataGroupRow& row = *card::find_data_group(group.number);
  Json one{{"number", group.number}, {"name", row.name}, {"state", card::name_of(group.state)}};
  one["value"] = group.value ? Json(card::to_string(*group.value)) : Json();
  one["check"] = group.value ? Json(card::name_of(group.check)) : Json();
  one["reason"] = reason_of(group);
  return one;
}

void show(const card::DataGroupReading& group) {
  const card::DataGroupRow& row = *card::find_data_group(group.number);
  const std::string name = padded("DG" + std::to_string(group.number), 5) + " " + std::string(row.words);
  const std::string value = group.value ? card::to_string(*group.value) + "  " : std::string();
  print(padded(name, kNameColumn + 6) + "  " + value + (group.value ? "(" + reason_of(group) + ")" : reason_of(group)));
}

void show(const card::TerminalRole& role, const card::CvCertificate& terminal, card::IdentityApplication& identity,
          const Findings& findings, const IdentityReadArguments& given) {
  print("role      " + std::string(role.name) + ": " + std::string(role.words) + " (" + terminal.holder() + ")");
  print("card      genuine: signed by \"" + identity.document_signer().subject().display() +
        "\", and the chip has the key that was signed");
  if (const auto index = identity.status_index()) print("status    index " + std::to_string(*index));
  for (const card::DataGroupReading& group : findings.groups) show(group);
  if (findings.portrait) show(*findings.portrait);
  if (findings.age_reached) {
    print(std::string("age       ") + (*findings.age_reached ? "at least " : "under ") + std::to_string(*given.age));
  }
  if (findings.in_community) print(std::string("community ") + (*findings.in_community ? "yes" : "no"));
  show_sectors(findings.sectors);
  if (findings.pseudonym) print("pseudonym " + to_hex(*findings.pseudonym) + " (" + std::string(role.sector) + ")");
}

Json json_of(const card::TerminalRole& role, const card::CvCertificate& terminal, card::IdentityApplication& identity,
             const Findings& findings, const IdentityReadArguments& given, std::string_view reader) {
  Json document = json_document("karta.card.read/1");
  document["reader"] = reader;
  document["role"] = role.name;
  document["terminal"] = terminal.holder();
  document["authority"] = terminal.authority();
  document["rights"] = card::names_of(identity.rights().type, identity.rights().rights);
  document["sector_rights"] = card::names_of_sector_rights(identity.sector_rights());
  add_sectors(document, findings.sectors);
  document["document_signer"] = identity.document_signer().subject().to_text();
  document["status_index"] = identity.status_index() ? Json(*identity.status_index()) : Json();
  document["data_groups"] = Json::array();
  for (const card::DataGroupReading& group : findings.groups) document["data_groups"].push_back(json_of(group));
  if (findings.portrait) document["data_groups"].push_back(json_of(*findings.portrait));
  if (findings.age_reached) document["age"] = {{"years", *given.age}, {"reached", *findings.age_reached}};
  if (findings.in_community)
    document["community"] = {{"asked", given.community}, {"lives_there", *findings.in_community}};
  if (findings.pseudonym) document["pseudonym"] = {{"sector", role.sector}, {"value", to_hex(*findings.pseudonym)}};
  return document;
}

}  // namespace

Result<int> run_identity_read(const IdentityReadArguments& given) {
  const card::TerminalRole& role = *TRY(terminal_role_named(given.role));
  std::optional<card::SectorKey> sector;
  if (given.pseudonym) {
    if (role.sector.empty()) {
      return fail(ErrorKind::usage, "the role \"" + std::string(role.name) + "\" has no sector to ask pseudonyms for");
    }
    sector = TRY(given.store().sector(role.sector));
  }
  SystemRandom random;
  const SystemClock clock;
  card::AuxiliaryData compare;
  if (given.age) compare.born_by = born_by(clock.now(), *given.age);
  if (!given.community.empty()) compare.community = TRY(from_hex(given.community));
  const auto session = TRY(TerminalSession::open(given, compare, random));
  const Findings findings = TRY(ask(session->identity(), given, sector));
  if (findings.portrait && findings.portrait->value) {
    TRY(write_new_file(given.portrait, std::get<Bytes>(*findings.portrait->value), 0600));
  }
  if (given.json) {
    print_json(
        json_of(role, session->terminal(), session->identity(), findings, given, session->connection().reader_name()));
  } else {
    show(role, session->terminal(), session->identity(), findings, given);
  }
  return 0;
}

void add_identity_read_options(CLI::App& command, IdentityReadArguments& arguments) {
  command.add_option("--as", arguments.role, "read the identity application as a terminal of this role");
  add_terminal_options(command, arguments);
  command.add_option("--age", arguments.age, "ask whether the holder has reached this age")->check(CLI::Range(1, 150));
  command.add_option("--community", arguments.community,
                     "ask whether the holder lives in this community (hexadecimal)");
  command.add_option("--portrait", arguments.portrait, "read the portrait, too, into this new file (JPEG)");
  command.add_flag("--pseudonym", arguments.pseudonym, "ask for the pseudonym in the role's sector");
  command.add_flag("--json", arguments.json, "for scripts: karta.card.read/1");
}

}  // namespace karta::cli
