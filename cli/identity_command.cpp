#include "cli/identity_command.h"

#include <CLI/CLI.hpp>

#include "base/file.h"
#include "base/random.h"
#include "card/identity_application.h"
#include "card/terminal_store.h"
#include "cli/card_session.h"
#include "cli/json_output.h"
#include "cli/secret_input.h"
#include "issuing/centre_config.h"

namespace karta::cli {
namespace {

constexpr std::size_t kMostCertificateFile = 256 * 1024;
constexpr std::size_t kNameColumn = 40;

Result<const card::TerminalRole*> role_of(const std::string& name) {
  if (const card::TerminalRole* const role = card::find_terminal_role(name)) return role;
  std::string names;
  for (const card::TerminalRole& role : card::terminal_roles()) {
    names += (names.empty() ? "" : ", ") + std::string(role.name);
  }
  return fail(ErrorKind::usage, "\"" + name + "\" is no role", "roles: " + names);
}

Result<std::vector<crypto::Certificate>> issuers_of(const IdentityReadArguments& given) {
  std::vector<std::string> files = given.anchors;
  if (files.empty()) {
    const issuing::CentreConfig config = TRY(issuing::load_centre_config(given.centre));
    files.push_back(config.root.certificate.string());
  }
  std::vector<crypto::Certificate> anchors;
  for (const std::string& file : files) {
    const Bytes octets = TRY(read_file(file, kMostCertificateFile));
    crypto::Certificate anchor = TRY(crypto::Certificate::from_file_octets(octets));
    anchors.push_back(std::move(anchor));
  }
  return anchors;
}

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
};

Result<Findings> ask(card::IdentityApplication& identity, const IdentityReadArguments& given,
                     const std::optional<card::SectorKey>& sector) {
  Findings findings;
  findings.groups = TRY(identity.read_all());
  if (given.age) findings.age_reached = TRY(identity.born_by_announced_date());
  if (!given.community.empty()) findings.in_community = TRY(identity.lives_in_announced_community());
  if (sector) findings.pseudonym = TRY(identity.pseudonym(*sector));
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

void show(const card::TerminalRole& role, const card::CvCertificate& terminal, card::IdentityApplication& identity,
          const Findings& findings, const IdentityReadArguments& given) {
  print("role      " + std::string(role.name) + ": " + std::string(role.words) + " (" + terminal.holder() + ")");
  print("card      genuine: signed by \"" + identity.document_signer().subject().display() +
        "\", and the chip has the key that was signed");
  if (const auto index = identity.status_index()) print("status    index " + std::to_string(*index));
  for (const card::DataGroupReading& group : findings.groups) {
    const card::DataGroupRow& row = *card::find_data_group(group.number);
    std::string name = "DG" + std::to_string(group.number);
    name = padded(name, 5) + " " + std::string(row.words);
    const std::string value = group.value ? card::to_string(*group.value) + "  " : std::string();
    print(padded(name, kNameColumn + 6) + "  " + value +
          (group.value ? "(" + reason_of(group) + ")" : reason_of(group)));
  }
  if (findings.age_reached) {
    print(std::string("age       ") + (*findings.age_reached ? "at least " : "under ") + std::to_string(*given.age));
  }
  if (findings.in_community) print(std::string("community ") + (*findings.in_community ? "yes" : "no"));
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
  document["document_signer"] = identity.document_signer().subject().to_text();
  document["status_index"] = identity.status_index() ? Json(*identity.status_index()) : Json();
  document["data_groups"] = Json::array();
  for (const card::DataGroupReading& group : findings.groups) {
    const card::DataGroupRow& row = *card::find_data_group(group.number);
    Json one{{"number", group.number}, {"name", row.name}, {"state", card::name_of(group.state)}};
    one["value"] = group.value ? Json(card::to_string(*group.value)) : Json();
    one["check"] = group.value ? Json(card::name_of(group.check)) : Json();
    one["reason"] = reason_of(group);
    document["data_groups"].push_back(std::move(one));
  }
  if (findings.age_reached) document["age"] = {{"years", *given.age}, {"reached", *findings.age_reached}};
  if (findings.in_community)
    document["community"] = {{"asked", given.community}, {"lives_there", *findings.in_community}};
  if (findings.pseudonym) document["pseudonym"] = {{"sector", role.sector}, {"value", to_hex(*findings.pseudonym)}};
  return document;
}

}  // namespace

Result<int> run_identity_read(const IdentityReadArguments& given) {
  const card::TerminalRole& role = *TRY(role_of(given.role));
  const std::string folder = given.terminals.empty() ? given.centre + "/terminals" : given.terminals;
  const card::TerminalStore store(folder);
  // What can be known to fail is known before a secret is asked for.
  const auto chain = TRY(store.chain(role));
  const auto issuers = TRY(issuers_of(given));
  std::optional<card::SectorKey> sector;
  if (given.pseudonym) {
    if (role.sector.empty()) {
      return fail(ErrorKind::usage, "the role \"" + std::string(role.name) + "\" has no sector to ask pseudonyms for");
    }
    sector = TRY(store.sector(role.sector));
  }
  const SystemClock clock;
  SystemRandom random;
  card::IdentityRequest request;
  request.issuers = issuers;
  request.at = clock.now();
  if (given.age) request.compare.born_by = born_by(request.at, *given.age);
  if (!given.community.empty()) request.compare.community = TRY(from_hex(given.community));

  const auto passphrase_input = make_secret_input(given.passphrase_descriptor, given.secret.program);
  const SecretBytes passphrase = TRY(passphrase_input->ask(
      {"The key of the terminal \"" + chain.back().holder() + "\".", "passphrase of the terminal's key", "", false}));
  const card::UnlockedTerminal terminal = TRY(store.unlock(role, passphrase));
  request.terminal = &terminal.credentials;

  const bool may_can = terminal.credentials.announced().may(card::kRightCanAllowed);
  request.password =
      given.with == "pin" || (given.with.empty() && !may_can) ? card::PacePassword::pin : card::PacePassword::can;
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const bool pin = request.password == card::PacePassword::pin;
  const SecretBytes secret =
      TRY(input->ask({std::string(role.words) + " reads the card.",
                      pin ? "PIN1 (6 to 8 digits)" : "CAN (6 digits, printed on the card)", "", false}));
  TRY(card::check_presented_pin(pin ? card::PinKind::pin1 : card::PinKind::can, secret));
  request.secret = &secret;

  const auto connection = TRY(connect_card(given.reader));
  const card::Transaction transaction = TRY(card::Transaction::begin(*connection));
  card::PlainChannel plain(*connection);
  auto identity = TRY(card::IdentityApplication::open(plain, request, random));
  const auto asked = ask(identity, given, sector);
  identity.close();
  if (!asked) return fail(asked.error());
  const Findings& findings = *asked;
  if (given.json) {
    print_json(json_of(role, chain.back(), identity, findings, given, connection->reader_name()));
  } else {
    show(role, chain.back(), identity, findings, given);
  }
  return 0;
}

void add_identity_read_options(CLI::App& command, IdentityReadArguments& arguments) {
  command.add_option("--as", arguments.role, "read the identity application as a terminal of this role");
  add_centre_option(command, arguments.centre);
  command.add_option("--terminals", arguments.terminals, "the terminals' folder, instead of the centre's");
  command.add_option("--anchor", arguments.anchors, "the root of genuine cards, instead of the centre's");
  command
      .add_option("--with", arguments.with, "what the holder gives: can or pin (default: the CAN where the role may)")
      ->check(CLI::IsMember({"can", "pin"}));
  command.add_option("--age", arguments.age, "ask whether the holder has reached this age")->check(CLI::Range(1, 150));
  command.add_option("--community", arguments.community,
                     "ask whether the holder lives in this community (hexadecimal)");
  command.add_flag("--pseudonym", arguments.pseudonym, "ask for the pseudonym in the role's sector");
  command.add_flag("--json", arguments.json, "for scripts: karta.card.read/1");
  add_pin_options(command, arguments.secret, "the CAN or the PIN");
  command
      .add_option("--passphrase-fd", arguments.passphrase_descriptor,
                  "read the passphrase of the terminal's key from this file descriptor, one line")
      ->type_name("N");
}

}  // namespace karta::cli
