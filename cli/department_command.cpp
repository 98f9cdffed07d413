// karta department: who may ask other departments about citizens, and be asked: add, change, list, show, revoke.
#include <CLI/CLI.hpp>
#include <memory>

#include "base/file.h"
#include "base/random.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/operator.h"
#include "crypto/digest.h"
#include "identity/requests/departments.h"
#include "identity/requests/documents.h"
#include "issuing/centre_config.h"

namespace karta::cli {
namespace {

using identity::Department;
using identity::DepartmentChange;
using identity::DepartmentLedger;
using identity::DepartmentRight;
using identity::RightKind;

constexpr std::size_t kMostCertificateFile = std::size_t{1} << 20;
constexpr std::size_t kTokenOctets = 32;

struct Arguments {
  std::string centre;
  std::string name;
  std::string title;
  std::optional<std::string> title_ru;
  std::string why;
  unsigned days = 0;
  std::vector<std::string> certificates, dropped_certificates;
  std::vector<std::string> ask, answer, delay, drop_ask, drop_answer, drop_delay;
  bool token = false;
  bool json = false;
};

struct RightWords {
  RightKind kind;
  std::string_view name;  ///< in --json
};
constexpr RightWords kRights[] = {{RightKind::ask, "ask"}, {RightKind::answer, "answer"}, {RightKind::delay, "delay"}};
std::string_view name_of(RightKind kind) {
  for (const RightWords& row : kRights) {
    if (row.kind == kind) return row.name;
  }
  return {};
}

/// "insurance=Act 7, article 3"
Result<DepartmentRight> ask_right(const std::string& text) {
  const std::size_t mark = text.find('=');
  if (mark == std::string::npos) {
    return fail(ErrorKind::usage, "\"" + text + "\" names no legal basis", "--ask \"insurance=Act 7, article 3\"");
  }
  return DepartmentRight{RightKind::ask, text.substr(0, mark), text.substr(mark + 1)};
}

Result<std::vector<DepartmentRight>> rights_of(const std::vector<std::string>& ask,
                                               const std::vector<std::string>& answer,
                                               const std::vector<std::string>& delay) {
  std::vector<DepartmentRight> out;
  for (const std::string& one : ask) out.push_back(TRY(ask_right(one)));
  for (const std::string& one : answer) out.push_back({RightKind::answer, one, ""});
  for (const std::string& one : delay) out.push_back({RightKind::delay, "", one});
  return out;
}

/// What the options say; `token` becomes the new token, where one is wanted.
Result<DepartmentChange> change_of(const Arguments& given, SecretBytes& token) {
  DepartmentChange out;
  if (!given.title.empty()) out.title = given.title;
  out.title_ru = given.title_ru;
  if (given.days != 0) out.deadline_days = given.days;
  for (const std::string& file : given.certificates) {
    const Bytes octets = TRY(read_file(file, kMostCertificateFile));
    // Of a chain the first is the department's.
    const auto certificates = crypto::Certificate::many_from_file_octets(octets);
    if (!certificates) {
      return fail(certificates.error().kind, "\"" + file + "\": " + certificates.error().message);
    }
    out.certificates.push_back(certificates->front());
  }
  out.dropped_certificates = given.dropped_certificates;
  out.rights = TRY(rights_of(given.ask, given.answer, given.delay));
  out.dropped_rights = TRY(rights_of(given.drop_ask, given.drop_answer, given.drop_delay));
  if (given.token) {
    SystemRandom random;
    const SecretBytes octets = random.secret(kTokenOctets);
    std::string text = to_base64(octets.expose_secret());
    token = SecretBytes::copy_of(text);
    wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    out.token_hash = crypto::digest(crypto::Hash::sha256, token.expose_secret());
  }
  return out;
}

Json json_of(const Department& one) {
  Json row{{"name", one.name},
           {"title", one.title},
           {"title_ru", one.title_ru.empty() ? Json() : Json(one.title_ru)},
           {"state", identity::name_of(one.state)},
           {"deadline_days", one.deadline_days},
           {"token", one.has_token}};
  row["rights"] = Json::array();
  for (const DepartmentRight& right : one.rights) {
    row["rights"].push_back({{"kind", name_of(right.kind)},
                             {"subject", right.subject.empty() ? Json() : Json(right.subject)},
                             {"legal_basis", right.legal_basis.empty() ? Json() : Json(right.legal_basis)}});
  }
  row["certificates"] = Json::array();
  for (const crypto::Certificate& certificate : one.certificates) {
    row["certificates"].push_back({{"sha256", to_hex(certificate.fingerprint())},
                                   {"subject", certificate.subject().to_text()},
                                   {"not_after", format_time(certificate.not_after())}});
  }
  return row;
}

void show(const Department& one) {
  print("department   " + one.name + ", " + std::string(identity::name_of(one.state)) + ": " + one.title);
  if (!one.title_ru.empty()) print("in Russian   " + one.title_ru);
  print("answers in   " + std::to_string(one.deadline_days) + " days");
  for (const DepartmentRight& right : one.rights) {
    switch (right.kind) {
      case RightKind::ask:
        print("may ask      " + right.subject + ", by " + right.legal_basis);
        break;
      case RightKind::answer:
        print("is asked     " + right.subject);
        break;
      case RightKind::delay:
        print("may delay    disclosure, by " + right.legal_basis);
        break;
    }
  }
  for (const crypto::Certificate& certificate : one.certificates) {
    print("certificate  " + to_hex(certificate.fingerprint()) + " until " + format_time(certificate.not_after()) +
          ", \"" + certificate.subject().to_text() + "\"");
  }
  print(std::string("token        ") + (one.has_token ? "yes" : "no"));
}

struct Centre {
  SystemClock clock;
  SystemRandom random;
  std::optional<identity::Registry> registry;
};
Status open(const Arguments& given, Centre& centre) {
  const issuing::CentreConfig config = TRY(issuing::load_centre_config(given.centre));
  centre.registry = TRY(identity::Registry::open(config.database, centre.clock, centre.random));
  return {};
}

Result<int> show_changed(const Department& department, const Arguments& given, const SecretBytes& token,
                         const char* schema) {
  if (given.json) {
    Json document = json_document(schema);
    document.update(json_of(department));
    if (!token.empty()) document["new_token"] = token.expose_secret_text();
    print_json(document);
    return 0;
  }
  if (token.empty()) {
    show(department);
    return 0;
  }
  say("department \"" + department.name + "\"; its token, which is shown this once:");
  print(std::string(token.expose_secret_text()));
  return 0;
}

Result<int> run_add(const Arguments& given) {
  Centre centre;
  TRY(open(given, centre));
  SecretBytes token;
  const DepartmentChange made = TRY(change_of(given, token));
  const Department out = TRY(DepartmentLedger(*centre.registry).add(given.name, made, {operator_name(), given.why}));
  return show_changed(out, given, token, "karta.department.add/1");
}

Result<int> run_change(const Arguments& given) {
  Centre centre;
  TRY(open(given, centre));
  SecretBytes token;
  const DepartmentChange change = TRY(change_of(given, token));
  const Department out =
      TRY(DepartmentLedger(*centre.registry).change(given.name, change, {operator_name(), given.why}));
  return show_changed(out, given, token, "karta.department.change/1");
}

Result<int> run_revoke(const Arguments& given) {
  Centre centre;
  TRY(open(given, centre));
  const Department out = TRY(DepartmentLedger(*centre.registry).revoke(given.name, {operator_name(), given.why}));
  return show_changed(out, given, {}, "karta.department.revoke/1");
}

Result<int> run_list(const Arguments& given) {
  Centre centre;
  TRY(open(given, centre));
  const auto rows = TRY(DepartmentLedger(*centre.registry).list());
  if (given.json) {
    Json document = json_document("karta.department.list/1");
    document["departments"] = Json::array();
    for (const Department& one : rows) document["departments"].push_back(json_of(one));
    print_json(document);
    return 0;
  }
  for (const Department& one : rows) {
    print(one.name + "  " + std::string(identity::name_of(one.state)) + "  " + one.title);
  }
  if (rows.empty()) say("no department is registered: karta department add");
  return 0;
}

Result<int> run_show(const Arguments& given) {
  Centre centre;
  TRY(open(given, centre));
  DepartmentLedger ledger(*centre.registry);
  const Department one = TRY(ledger.find(given.name));
  const auto events = TRY(ledger.events_of(given.name));
  if (given.json) {
    Json document = json_document("karta.department.show/1");
    document.update(json_of(one));
    document["events"] = Json::array();
    for (const identity::DepartmentEvent& event : events) {
      document["events"].push_back({{"number", event.number},
                                    {"at", format_time(event.at)},
                                    {"actor", event.actor},
                                    {"kind", event.kind},
                                    {"detail", event.detail},
                                    {"reason", event.reason}});
    }
    print_json(document);
    return 0;
  }
  show(one);
  for (const identity::DepartmentEvent& event : events) {
    print(format_time(event.at) + "  " + event.kind + (event.detail.empty() ? "" : " (" + event.detail + ")") +
          ", by " + event.actor + (event.reason.empty() ? "" : ": " + event.reason));
  }
  return 0;
}

}  // namespace

void add_department(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("department", "Departments that ask each other about citizens");
  noun.require_subcommand(1);
  const auto verb = [&](const char* name, const char* words, Result<int> (*run)(const Arguments&)) {
    auto given = std::make_shared<Arguments>();
    CLI::App* const command = noun.add_subcommand(name, words);
    command->add_flag("--json", given->json, "for scripts");
    add_centre_option(*command, given->centre);
    on_call(*command, chosen, [given, run] { return run(*given); });
    return std::pair(command, given);
  };
  const auto name_option = [](CLI::App& command, Arguments& given) {
    command.add_option("name", given.name, "small letters, digits and hyphens")->required();
  };
  const auto facts = [](CLI::App& command, Arguments& given) {
    command.add_option("--title", given.title, "what people read it is called");
    command.add_option("--title-ru", given.title_ru, "the same on Russian pages; --title without it");
    command.add_option("--certificate", given.certificates, "what it signs with (PEM or DER); may be repeated")
        ->check(CLI::ExistingFile);
    command.add_option("--ask", given.ask, "what it may ask and by which law: \"insurance=Act 7, article 3\"");
    command.add_option("--answer", given.answer, "what it may be asked: \"income\"");
    command.add_option("--delay", given.delay, "the law by which it may delay disclosure to the citizen");
    command.add_option("--days", given.days, "it answers in so many days (5)")
        ->check(CLI::Range(1u, identity::kMostDeadlineDays));
    command.add_flag("--token", given.token, "make a bearer token for its program, shown once");
    command.add_option("--why", given.why, "in a few words, for the department's events");
  };
  {
    const auto [command, given] = verb("add", "Register a department", run_add);
    name_option(*command, *given);
    facts(*command, *given);
    command->get_option("--certificate")->required();
    command->footer(
        "Example: karta department add pension-fund --title \"Pension fund\" --certificate fund.pem \\\n"
        "  --ask \"insurance=Act 7, article 3\" --token");
  }
  {
    const auto [command, given] = verb("change", "Add to a department, or take from it", run_change);
    name_option(*command, *given);
    facts(*command, *given);
    command->add_option("--drop-certificate", given->dropped_certificates, "its SHA-256, as `show` prints it");
    command->add_option("--drop-ask", given->drop_ask, "as --ask");
    command->add_option("--drop-answer", given->drop_answer, "as --answer");
    command->add_option("--drop-delay", given->drop_delay, "as --delay");
  }
  verb("list", "The departments", run_list);
  {
    const auto [command, given] = verb("show", "A department with its rights, certificates and events", run_show);
    name_option(*command, *given);
  }
  {
    const auto [command, given] = verb("revoke", "A department asks and answers no more", run_revoke);
    name_option(*command, *given);
    command->add_option("--why", given->why, "in a few words, for the department's events")->required();
  }
}

}  // namespace karta::cli
