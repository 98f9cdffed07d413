// karta terminal: the terminals of an authority: invite, list, revoke; and, at the terminal, join and renew.
#include <CLI/CLI.hpp>
#include <chrono>

#include "base/random.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/operator.h"
#include "cli/secret_input.h"
#include "identity/authority_client.h"
#include "identity/terminals.h"
#include "issuing/centre_config.h"
#include "issuing/terminal_desk.h"
#include "issuing/terminal_folder.h"

namespace karta::cli {
namespace {

using identity::Terminal;
using identity::TerminalLedger;

struct Arguments {
  std::string centre;
  std::string name;
  std::string role;
  std::string why;
  unsigned hours = 24;
  // At the terminal
  std::string url, roots, folder;
  std::string key_type = "p256";
  std::vector<std::string> rights;
  bool json = false;
  SecretOptions secret;
};

std::string time_or_dash(const std::optional<Time>& time) { return time ? format_time(*time) : "-"; }
Json time_or_null(const std::optional<Time>& time) { return time ? Json(format_time(*time)) : Json(); }

// The ledger keeps to the clock and the randomness it was opened with.
Result<TerminalLedger> open_ledger(const issuing::CentreConfig& config) {
  static const SystemClock clock;
  static SystemRandom random;
  return TerminalLedger(TRY(identity::Registry::open(config.database, clock, random)));
}

Result<const card::TerminalRole*> role_named(const std::string& name) {
  if (const card::TerminalRole* const role = card::find_terminal_role(name)) return role;
  std::string names;
  for (const card::TerminalRole& role : card::terminal_roles()) {
    names += (names.empty() ? "" : ", ") + std::string(role.name);
  }
  return fail(ErrorKind::usage, "\"" + name + "\" is no role of a terminal", "one of: " + names);
}

Json json_of(const Terminal& terminal) {
  return Json{{"terminal", identity::format_id(terminal.id)},
              {"name", terminal.name},
              {"role", terminal.role},
              {"state", identity::name_of(terminal.state)},
              {"cv_line", terminal.cv_line},
              {"cv_sequence", terminal.cv_sequence},
              {"cv_until", time_or_null(terminal.cv_until)},
              {"tls_until", time_or_null(terminal.tls_until)},
              {"last_contact", time_or_null(terminal.last_contact)},
              {"journal_to", terminal.journal_to},
              {"journal_fault", terminal.journal_fault.empty() ? Json() : Json(terminal.journal_fault)}};
}

// ---- at the centre -------------------------------------------------------------------------------------------------

Result<int> run_enrol(const Arguments& given) {
  const card::TerminalRole* const role = TRY(role_named(given.role));
  const issuing::CentreConfig config = TRY(issuing::load_centre_config(given.centre));
  const card::CvCertificate verifier = TRY(card::TerminalStore(config.terminals).verifier());
  TerminalLedger ledger = TRY(open_ledger(config));
  const std::string prefix = issuing::cv_line_prefix(*role, std::string_view(verifier.holder()).substr(0, 2));
  const identity::Invitation made =
      TRY(ledger.invite(given.name, given.role, prefix, std::chrono::hours(given.hours), {operator_name(), given.why}));
  if (given.json) {
    Json document = json_document("karta.terminal.enrol/1");
    document["terminal"] = identity::format_id(made.terminal.id);
    document["name"] = made.terminal.name;
    document["role"] = made.terminal.role;
    document["code"] = made.code.expose_secret_text();
    document["expires"] = format_time(made.expires);
    print_json(document);
    return 0;
  }
  say("terminal \"" + made.terminal.name + "\", " + std::string(role->words) + "; the code is good once, until " +
      format_time(made.expires));
  say("at the terminal: karta terminal join URL --folder DIR --role " + given.role);
  print(std::string(made.code.expose_secret_text()));
  return 0;
}

Result<int> show_one(const Terminal& terminal, TerminalLedger& ledger, bool json) {
  const auto events = TRY(ledger.events_of(terminal.id));
  if (json) {
    Json document = json_document("karta.terminal.list/1");
    Json row = json_of(terminal);
    row["events"] = Json::array();
    for (const identity::TerminalEvent& event : events) {
      row["events"].push_back({{"number", event.number},
                               {"at", format_time(event.at)},
                               {"actor", event.actor},
                               {"kind", event.kind},
                               {"detail", event.detail},
                               {"reason", event.reason}});
    }
    document["terminals"] = Json::array({std::move(row)});
    print_json(document);
    return 0;
  }
  print("terminal    " + terminal.name + " (" + identity::format_id(terminal.id) + "), " +
        std::string(identity::name_of(terminal.state)));
  print("role        " + terminal.role);
  print("references  " + terminal.cv_line + ", " + std::to_string(terminal.cv_sequence) + " given");
  print("certified   CV until " + time_or_dash(terminal.cv_until) + ", TLS until " + time_or_dash(terminal.tls_until));
  print("contact     " + time_or_dash(terminal.last_contact));
  print("journal     " + std::to_string(terminal.journal_to) + " records" +
        (terminal.journal_fault.empty() ? "" : "; " + terminal.journal_fault));
  for (const identity::TerminalEvent& event : events) {
    std::string line = format_time(event.at) + "  " + event.kind;
    if (!event.detail.empty()) line += " " + event.detail;
    line += ", by " + event.actor;
    if (!event.reason.empty()) line += ": " + event.reason;
    print(line);
  }
  return 0;
}

std::string column(const std::string& text, std::size_t width) {
  return text + std::string(text.size() < width ? width - text.size() : 1, ' ');
}

Result<int> run_list(const Arguments& given) {
  const issuing::CentreConfig config = TRY(issuing::load_centre_config(given.centre));
  TerminalLedger ledger = TRY(open_ledger(config));
  if (!given.name.empty()) {
    const Terminal one = TRY(ledger.find(given.name));
    return show_one(one, ledger, given.json);
  }
  Json document = json_document("karta.terminal.list/1");
  document["terminals"] = Json::array();
  std::string after;
  for (;;) {
    const std::vector<Terminal> page = TRY(ledger.list(after));
    if (page.empty()) break;
    for (const Terminal& one : page) {
      if (given.json) {
        document["terminals"].push_back(json_of(one));
        continue;
      }
      // The first to end is what counts.
      const std::optional<Time> until =
          one.cv_until && one.tls_until ? std::min(one.cv_until, one.tls_until) : std::nullopt;
      print(column(one.name, 24) + column(one.role, 11) + column(std::string(identity::name_of(one.state)), 10) +
            "until " + column(time_or_dash(until), 22) + "seen " + column(time_or_dash(one.last_contact), 22) +
            "journal " + std::to_string(one.journal_to) + (one.journal_fault.empty() ? "" : " FAULT"));
    }
    after = page.back().name;
  }
  if (given.json) print_json(document);
  return 0;
}

Result<int> run_revoke(const Arguments& given) {
  const issuing::CentreConfig config = TRY(issuing::load_centre_config(given.centre));
  TerminalLedger ledger = TRY(open_ledger(config));
  const Terminal before = TRY(ledger.find(given.name));
  const Terminal after = TRY(ledger.revoke(before.id, {operator_name(), given.why}));
  if (given.json) {
    Json document = json_document("karta.terminal.revoke/1");
    document.update(json_of(after));
    print_json(document);
    return 0;
  }
  print("terminal " + after.name + " is revoked; the authority refuses it from now on");
  if (after.cv_until) {
    say("cards keep no list of terminals: they accept its CV certificate until " + format_time(*after.cv_until));
  }
  return 0;
}

// ---- at the terminal -----------------------------------------------------------------------------------------------

int show(const identity::TerminalCertificates& got, const Arguments& given, const char* schema) {
  if (given.json) {
    Json document = json_document(schema);
    document["terminal"] = got.terminal;
    document["name"] = got.name;
    document["role"] = got.role;
    document["cv_until"] = format_time(got.cv_until);
    document["tls_until"] = format_time(got.tls_until);
    document["renew_after"] = format_time(got.renew_after);
    document["folder"] = given.folder;
    print_json(document);
    return 0;
  }
  print("terminal " + got.name + " (" + got.terminal + "), " + got.role + ", certified until " +
        format_time(std::min(got.cv_until, got.tls_until)) + "; renews itself after " + format_time(got.renew_after));
  return 0;
}

Result<crypto::KeyType> curve_named(const std::string& name) {
  const auto type = crypto::find_key_type(name);
  if (type && row_of(*type).family == crypto::KeyFamily::ec) return *type;
  return fail(ErrorKind::usage, "\"" + name + "\" is no curve that cards verify with",
              "that of the authority: p256, ...");
}

/// A server the centre certified itself is in nobody's list of roots.
template <class T>
Result<T> by_known_roots(Result<T> answer) {
  if (!answer && answer.error().kind == ErrorKind::untrusted && answer.error().hint.empty() &&
      answer.error().message.find("certificate problem") != std::string::npos) {
    answer.error().hint =
        "--roots FILE says who certified the server: the centre's ca/root.crt.pem, where it was the centre";
  }
  return answer;
}

Result<int> run_join(const Arguments& given) {
  const SystemClock clock;
  const card::TerminalRole* const role = TRY(role_named(given.role));
  const crypto::KeyType type = TRY(curve_named(given.key_type));
  if (!given.url.starts_with("https://")) {
    return fail(ErrorKind::usage, "a code is sent by https only: who hears it enrols in this terminal's place",
                "https://HOST[:PORT]");
  }
  auto client = TRY(identity::AuthorityClient::create({.url = given.url, .roots = given.roots}));
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const SecretBytes code = TRY(input->ask({"The code of karta terminal enrol.", "code", "", false}));
  const SecretBytes passphrase = TRY(input->ask({"A passphrase for the terminal's keys.", "passphrase", "", true}));
  issuing::TerminalFolder folder(given.folder);
  issuing::TerminalFolder::Order order = TRY(folder.order(*role, type, passphrase));
  order.order.rights = given.rights;
  const identity::TerminalCertificates got = TRY(by_known_roots(client.enrol(code, order.order)));
  if (got.role != given.role) {
    return fail(ErrorKind::usage, "the code is that of the role \"" + got.role + "\"",
                "join with --role " + got.role + ": the code is still good for these keys");
  }
  TRY(folder.take(got, order, clock.now(), passphrase));
  return show(got, given, "karta.terminal.join/1");
}

Result<int> run_renew(const Arguments& given) {
  const SystemClock clock;
  issuing::TerminalFolder folder(given.folder);
  auto found = folder.facts(given.role);
  if (!found && found.error().kind != ErrorKind::malformed && given.role.empty()) {
    return fail(ErrorKind::not_found, "\"" + given.folder + "\" is no folder of an enrolled terminal",
                "karta terminal join makes one, with a code of the centre's");
  }
  const issuing::TerminalFacts facts = TRY(std::move(found));
  const card::TerminalRole* const role = TRY(role_named(facts.role));
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const SecretBytes passphrase = TRY(input->ask({"The passphrase of the terminal's keys.", "passphrase", "", false}));
  identity::TlsIdentity tls = TRY(folder.tls(passphrase));
  auto client = TRY(identity::AuthorityClient::create({.url = given.url, .roots = given.roots}, std::move(tls)));
  const card::UnlockedTerminal present = TRY(folder.unlock(*role, passphrase));
  issuing::TerminalFolder::Order order =
      TRY(folder.order(*role, present.signer->public_key().type().value_or(crypto::KeyType::p256), passphrase, nullptr,
                       present.signer.get()));
  order.order.rights = given.rights;
  const identity::TerminalCertificates got = TRY(by_known_roots(client.renew(order.order)));
  TRY(folder.take(got, order, clock.now(), passphrase));
  return show(got, given, "karta.terminal.renew/1");
}

}  // namespace

void add_terminal(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("terminal", "Terminals: enrol, renew, list, revoke");
  noun.require_subcommand(1);
  const auto verb = [&](const char* name, const char* words, Result<int> (*run)(const Arguments&)) {
    auto given = std::make_shared<Arguments>();
    CLI::App* const command = noun.add_subcommand(name, words);
    command->add_flag("--json", given->json, "for scripts");
    on_call(*command, chosen, [given, run] { return run(*given); });
    return std::pair(command, given);
  };
  {
    const auto [command, given] = verb("enrol", "Centre: a one-time code for a terminal", run_enrol);
    command->add_option("name", given->name, "of the terminal: small letters, digits, dots, hyphens")->required();
    command->add_option("--role", given->role, "clinic, ambulance, pharmacy, transit, counter, age-check, official")
        ->required();
    command->add_option("--hours", given->hours, "how long the code is good")
        ->check(CLI::Range(1u, 24u * 31u))
        ->capture_default_str();
    command->add_option("--why", given->why, "in a few words, for the terminal's events");
    add_centre_option(*command, given->centre);
    command->footer("Example: karta terminal enrol clinic-7.reception --role clinic --dir centre");
  }
  {
    const auto [command, given] =
        verb("list", "Centre: the terminals, with their certificates' ends and journals", run_list);
    command->add_option("name", given->name, "one of them, with its events");
    add_centre_option(*command, given->centre);
  }
  {
    const auto [command, given] = verb("revoke", "Centre: a terminal is served no more", run_revoke);
    command->add_option("name", given->name, "its name, or its number of 16 digits")->required();
    command->add_option("--why", given->why, "in a few words, for the terminal's events")->required();
    add_centre_option(*command, given->centre);
  }
  const auto at_terminal = [](CLI::App& command, Arguments& given) {
    command.add_option("url", given.url, "of the authority: https://HOST[:PORT]")->required();
    command.add_option("--folder", given.folder, "where the terminal keeps its keys and certificates")->required();
    command.add_option("--roots", given.roots, "who certified the authority's server (PEM; default: the system's)");
    command.add_option("--rights", given.rights, "these of the role's rights only, separated by commas")
        ->delimiter(',');
    add_passphrase_options(command, given.secret);
  };
  {
    const auto [command, given] = verb("join", "Terminal: keys and certificates, with the code of `enrol`", run_join);
    at_terminal(*command, *given);
    command->add_option("--role", given->role, "as the centre enrolled it")->required();
    command->add_option("--key-type", given->key_type, "the authority's curve")->capture_default_str();
    command->footer(
        "The descriptor's first line is the code, its second the passphrase.\n"
        "Example: karta terminal join https://authority.example --role clinic --folder terminal");
  }
  {
    const auto [command, given] =
        verb("renew", "Terminal: new keys and certificates now (kartad does it by itself)", run_renew);
    at_terminal(*command, *given);
    command->add_option("--role", given->role, "where the folder holds certificates of several");
  }
  add_terminal_watch(noun, chosen);
}

}  // namespace karta::cli
