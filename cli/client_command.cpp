// karta client: the portals that citizens log in to through karta-identity: add, list, show, change, rotate, revoke;
// keys makes a portal's JWK Set of its certificates.
#include <CLI/CLI.hpp>
#include <memory>

#include "base/file.h"
#include "base/random.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/operator.h"
#include "identity/openid/client_keys.h"
#include "identity/openid/clients.h"
#include "issuing/centre_config.h"

namespace karta::cli {
namespace {

using identity::Client;
using identity::ClientLedger;

constexpr std::size_t kMostDocument = 64u << 10;

struct Arguments {
  std::string centre;
  std::string id;
  std::string file;
  std::vector<std::string> files;
  std::string why;
  bool json = false;
};

/// The registry brings the schema up to date; the ledger has a connection of its own.
struct Opened {
  SystemClock clock;
  SystemRandom random;
  std::optional<identity::Registry> registry;
  std::optional<service::Database> database;
  std::optional<ClientLedger> ledger;
};

Result<std::unique_ptr<Opened>> open_ledger(const Arguments& given) {
  const issuing::CentreConfig config = TRY(issuing::load_centre_config(given.centre));
  auto out = std::make_unique<Opened>();
  out->registry.emplace(TRY(identity::Registry::open(config.database, out->clock, out->random)));
  out->database.emplace(TRY(service::Database::open(config.database)));
  out->ledger.emplace(*out->database, out->clock);
  return out;
}

Result<std::string> read_text(const std::string& file) {
  const Bytes octets = TRY(read_file(file, kMostDocument));
  return std::string(as_text(octets));
}

/// Its members are named by the errors of the ledger; what is no JSON at all is named by its file.
Result<Client> read_client(const std::string& file) {
  const std::string text = TRY(read_text(file));
  auto client = identity::parse_client(text);
  if (!client && !Json::accept(text)) {
    return fail(client.error().kind, "\"" + file + "\": " + client.error().message, client.error().hint);
  }
  return client;
}

Result<Client> client_named(ClientLedger& ledger, const std::string& id) {
  auto client = TRY(ledger.find(id));
  if (!client) return fail(ErrorKind::not_found, "there is no client \"" + id + "\"", "karta client list shows them");
  return std::move(*client);
}

Json json_of(const Client& client) {
  Json out = Json::parse(identity::write_client(client));
  out["state"] = client.active ? "active" : "revoked";
  out["created"] = format_time(client.created);
  out["changed"] = format_time(client.changed);
  return out;
}

const std::string& name_of(const Client& client) { return client.name.in("en"); }

int tell(const Client& client, const Arguments& given, const char* schema, const std::string& words) {
  if (given.json) {
    Json document = json_document(schema);
    document["client"] = json_of(client);
    print_json(document);
    return 0;
  }
  print(words);
  return 0;
}

Result<int> run_add(const Arguments& given) {
  const Client client = TRY(read_client(given.file));
  const auto opened = TRY(open_ledger(given));
  TRY(opened->ledger->add(client, {operator_name(), given.why}));
  const Client added = TRY(client_named(*opened->ledger, client.id));
  return tell(added, given, "karta.client.add/1",
              "client " + added.id + " (" + name_of(added) + ") may let citizens in; it is known by " +
                  (identity::by_certificate(added.authentication) ? "its certificate" : "its keys"));
}

Result<int> run_change(const Arguments& given) {
  const Client client = TRY(read_client(given.file));
  const auto opened = TRY(open_ledger(given));
  const bool changed = TRY(opened->ledger->change(client, {operator_name(), given.why}));
  const Client now = TRY(client_named(*opened->ledger, client.id));
  return tell(now, given, "karta.client.change/1",
              "client " + now.id + (changed ? " is changed; servers take it up within a second" : " was so already"));
}

Result<int> run_rotate(const Arguments& given) {
  const std::string keys = TRY(read_text(given.file));
  const auto opened = TRY(open_ledger(given));
  Client client = TRY(client_named(*opened->ledger, given.id));
  // Read through its document, which checks the keys and writes them in one way.
  Json document = Json::parse(identity::write_client(client));
  Json set = Json::parse(keys, nullptr, false);
  if (!set.is_object()) return fail(ErrorKind::malformed, "\"" + given.file + "\" is no JWK Set", "{\"keys\": [...]}");
  document["jwks"] = std::move(set);
  client = TRY(identity::parse_client(document.dump()));
  const bool changed = TRY(opened->ledger->change(client, {operator_name(), given.why}));
  const Client now = TRY(client_named(*opened->ledger, given.id));
  return tell(now, given, "karta.client.rotate/1",
              "client " + now.id +
                  (changed ? " has new keys; those that are not in the file are refused within two seconds"
                           : " had these keys already"));
}

Result<int> run_keys(const Arguments& given) {
  std::vector<crypto::Certificate> certificates;
  for (const std::string& file : given.files) {
    const Bytes octets = TRY(read_file(file, crypto::Certificate::kMostOctets));
    const auto read = crypto::Certificate::from_file_octets(octets);
    if (!read) {
      return fail(ErrorKind::malformed, "\"" + file + "\" holds no certificate: " + read.error().message,
                  "one certificate a file, PEM or DER; of a portal without one, its JWK Set is its own to make");
    }
    certificates.push_back(*read);
  }
  const std::string set = TRY(identity::jwks_of_certificates(certificates));
  print(Json::parse(set).dump(2));
  return 0;
}

Result<int> run_revoke(const Arguments& given) {
  const auto opened = TRY(open_ledger(given));
  TRY(opened->ledger->revoke(given.id, {operator_name(), given.why}));
  const Client now = TRY(client_named(*opened->ledger, given.id));
  return tell(now, given, "karta.client.revoke/1",
              "client " + now.id + " is revoked; its tokens have ended, and it lets nobody in");
}

Result<int> run_list(const Arguments& given) {
  const auto opened = TRY(open_ledger(given));
  Json document = json_document("karta.client.list/1");
  document["clients"] = Json::array();
  std::string after;
  for (;;) {
    const std::vector<Client> page = TRY(opened->ledger->list(after));
    if (page.empty()) break;
    for (const Client& one : page) {
      if (given.json) {
        document["clients"].push_back(json_of(one));
      } else {
        print(one.id + "  " + (one.active ? "active" : "revoked") + "  " + name_of(one) + "  " + one.origin());
      }
    }
    after = page.back().id;
  }
  if (given.json) print_json(document);
  return 0;
}

Result<int> run_show(const Arguments& given) {
  const auto opened = TRY(open_ledger(given));
  const Client client = TRY(client_named(*opened->ledger, given.id));
  const auto events = TRY(opened->ledger->events_of(given.id));
  if (given.json) {
    Json document = json_document("karta.client.show/1");
    document["client"] = json_of(client);
    document["events"] = Json::array();
    for (const identity::ClientEvent& event : events) {
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
  print(Json::parse(identity::write_client(client)).dump(2, ' ', false, Json::error_handler_t::replace));
  say("client " + client.id + " is " + (client.active ? "active" : "revoked"));
  for (const identity::ClientEvent& event : events) {
    std::string line = format_time(event.at) + "  " + event.kind;
    if (!event.detail.empty()) line += " " + event.detail;
    line += ", by " + event.actor;
    if (!event.reason.empty()) line += ": " + event.reason;
    say(line);
  }
  return 0;
}

}  // namespace

void add_client(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("client", "Portals that citizens log in to");
  noun.require_subcommand(1);
  const auto verb = [&](const char* name, const char* words, Result<int> (*run)(const Arguments&)) {
    auto given = std::make_shared<Arguments>();
    CLI::App* const command = noun.add_subcommand(name, words);
    command->add_flag("--json", given->json, "for scripts");
    add_centre_option(*command, given->centre);
    on_call(*command, chosen, [given, run] { return run(*given); });
    return std::pair(command, given);
  };
  const auto id_option = [](CLI::App& command, Arguments& given) {
    command.add_option("id", given.id, "client_id")->required();
  };
  const auto why_option = [](CLI::App& command, Arguments& given) {
    command.add_option("--why", given.why, "in a few words, for the client's events");
  };
  const auto file_option = [](CLI::App& command, Arguments& given, const char* words) {
    command.add_option("file", given.file, words)->required()->check(CLI::ExistingFile);
  };
  {
    const auto [command, given] = verb("add", "Register a portal", run_add);
    file_option(*command, *given, "its document, JSON (docs/openid.md)");
    why_option(*command, *given);
    command->footer("Example: karta client add portal.json --why \"contract 12\"");
  }
  {
    const auto [command, given] = verb("change", "Put another document in the place of a portal's", run_change);
    file_option(*command, *given, "the whole document, with the same client_id");
    why_option(*command, *given);
    command->footer("Example: karta client show portal > portal.json; edit it; karta client change portal.json");
  }
  {
    const auto [command, given] = verb("rotate", "Put other keys in the place of a portal's", run_rotate);
    id_option(*command, *given);
    command->add_option("--jwks", given->file, "a JWK Set: old and new keys together, later the new ones alone")
        ->required()
        ->check(CLI::ExistingFile);
    why_option(*command, *given);
    command->footer("Example: karta client rotate portal --jwks keys.json");
  }
  {
    auto given = std::make_shared<Arguments>();
    CLI::App* const command =
        noun.add_subcommand("keys", "Print certificates as a JWK Set, for \"jwks\" of a portal that shows them (x5c)");
    command->add_option("file", given->files, "the portal's certificate, PEM or DER")
        ->required()
        ->check(CLI::ExistingFile);
    on_call(*command, chosen, [given] { return run_keys(*given); });
    command->footer(
        "Example: karta client keys portal.pem next.pem > keys.json; karta client rotate portal --jwks keys.json");
  }
  {
    const auto [command, given] = verb("revoke", "End a portal: its tokens, its consents, for good", run_revoke);
    id_option(*command, *given);
    why_option(*command, *given);
    command->footer("Example: karta client revoke portal --why \"the contract has ended\"");
  }
  verb("list", "All portals, revoked ones too", run_list);
  {
    const auto [command, given] = verb("show", "A portal's document, and what was done to it", run_show);
    id_option(*command, *given);
  }
}

}  // namespace karta::cli
