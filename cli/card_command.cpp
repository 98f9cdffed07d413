// karta card: issue a card, look at it, look after its PINs.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <sstream>

#include "base/file.h"
#include "base/random.h"
#include "card/card_state.h"
#include "card/card_type.h"
#include "card/security_module.h"
#include "cli/card_desk.h"
#include "cli/card_session.h"
#include "cli/citizen_argument.h"
#include "cli/commands.h"
#include "cli/identity_command.h"
#include "cli/json_output.h"
#include "cli/operator.h"
#include "cli/prompt_pins.h"
#include "cli/secret_input.h"
#include "crypto/x509/certificate.h"
#include "issuing/administration.h"
#include "issuing/station.h"

namespace karta::cli {
namespace {

// ---- info ----------------------------------------------------------------------------------------------------------

std::string text_of(const card::PinStatus& status, const card::PinState* state) {
  if (state != nullptr && state->transport && !status.blocked) return "the letter's transport PIN: choose your own";
  if (state != nullptr && state->deactivated) return "deactivated";
  if (status.blocked) return "blocked: unblock it with the PUK";
  if (!status.tries_left) return status.verified ? "verified" : "tries not told";
  return std::to_string(*status.tries_left) + (*status.tries_left == 1 ? " try left" : " tries left");
}

std::string key_text(const card::CardKey& key) {
  std::string text = std::string(to_string(key.role)) + "  " + key.label;
  text += "  " + (key.type == nullptr ? std::string("?") : std::string(key.type->name));
  if (key.pin) text += "  " + std::string(card::name_of(*key.pin)) + (key.pin_each_time ? " for every use" : "");
  return text;
}

std::optional<crypto::Certificate> certificate_of(card::ESignApplication& esign, const card::CardCertificate& place) {
  const auto der = esign.read_certificate(place);
  if (!der) return std::nullopt;
  auto certificate = crypto::Certificate::from_der(*der);
  if (!certificate) return std::nullopt;
  return std::move(*certificate);
}

std::string date_of(Time time) { return format_time(time).substr(0, 10); }

Json certificate_json(const card::CardCertificate& place, const std::optional<crypto::Certificate>& certificate) {
  Json row{{"label", place.label}, {"id", to_hex(place.id)}, {"authority", place.authority}};
  row["readable"] = certificate.has_value();
  if (certificate) {
    row["subject"] = certificate->subject().to_text();
    row["issuer"] = certificate->issuer().to_text();
    row["serial"] = to_hex(certificate->serial());
    row["not_after"] = format_time(certificate->not_after());
    if (certificate->status_index()) row["status_index"] = *certificate->status_index();
  }
  return row;
}

Result<int> run_info(const std::string& reader, bool json) {
  auto session = TRY(CardSession::open(reader));
  card::ESignApplication& esign = session->esign();
  const card::CardInfo& info = esign.info();
  const bool initialised = TRY(esign.initialised());
  const auto& connection = session->connection();
  Json document = json_document("karta.card.info/1");
  document["reader"] = connection.reader_name();
  document["atr"] = to_hex(connection.atr());
  document["serial"] = info.serial_hex();
  document["change_counter"] = info.change_counter;
  document["initialised"] = initialised;
  // Only karta's own cards tell.
  const auto state = card::read_card_state(esign.channel());
  document["life"] = state ? Json(card::name_of(state->life)) : Json();
  if (!json) {
    print("reader       " + std::string(connection.reader_name()));
    print("ATR          " + to_hex_upper(connection.atr(), " "));
    print("serial       " + info.serial_hex());
    if (state) print("life         " + std::string(card::name_of(state->life)));
  }
  if (!initialised) {
    if (json) {
      print_json(document);
    } else {
      print("state        blank: no keys, no certificates");
    }
    return 0;
  }
  const card::TokenInfo* const token = TRY(esign.token_info());
  document["label"] = token->label;
  document["manufacturer"] = token->manufacturer;
  if (!json) print("label        " + token->label + (token->manufacturer.empty() ? "" : ", by " + token->manufacturer));
  document["pins"] = Json::array();
  for (const card::PinKind kind : {card::PinKind::pin1, card::PinKind::pin2}) {
    const auto status = esign.pin_status(kind);
    if (!status) continue;  // the card has no such PIN
    Json row{{"pin", card::name_of(kind)}, {"blocked", status->blocked}};
    row["tries_left"] = status->tries_left ? Json(*status->tries_left) : Json();
    const card::PinState* const told = state ? state->pin(kind == card::PinKind::pin2 ? 2 : 1) : nullptr;
    row["transport"] = told != nullptr ? Json(told->transport) : Json();
    document["pins"].push_back(row);
    if (!json) print(std::string(card::name_of(kind)) + "         " + text_of(*status, told));
  }
  document["keys"] = Json::array();
  for (const card::CardKey& key : TRY(esign.keys())) {
    document["keys"].push_back({{"role", to_string(key.role)},
                                {"label", key.label},
                                {"id", to_hex(key.id)},
                                {"type", key.type == nullptr ? "" : key.type->name},
                                {"pin", key.pin ? Json(card::name_of(*key.pin)) : Json()},
                                {"pin_each_time", key.pin_each_time}});
    if (!json) print("key          " + key_text(key));
  }
  document["certificates"] = Json::array();
  for (const card::CardCertificate& place : TRY(esign.certificates())) {
    const auto certificate = certificate_of(esign, place);
    document["certificates"].push_back(certificate_json(place, certificate));
    if (json) continue;
    print("certificate  " + place.label + "  " +
          (certificate ? certificate->subject().display() + ", valid to " + date_of(certificate->not_after())
                       : std::string("unreadable")));
  }
  if (json) print_json(document);
  return 0;
}

// ---- read ----------------------------------------------------------------------------------------------------------

struct ReadArguments {
  std::string reader;
  std::string what;
  std::string out;
  IdentityReadArguments identity;
};

bool names(const std::string& word, const card::CardCertificate& place, std::span<const card::CardKey> keys) {
  if (word == place.label || word == to_hex(place.id)) return true;
  return std::any_of(keys.begin(), keys.end(), [&](const card::CardKey& key) {
    return word == to_string(key.role) && key.id == place.id && !place.authority;
  });
}

Result<int> run_read(const ReadArguments& given) {
  if (!given.identity.role.empty()) {
    IdentityReadArguments identity = given.identity;
    identity.reader = given.reader;
    return run_identity_read(identity);
  }
  auto session = TRY(CardSession::open_issued(given.reader));
  card::ESignApplication& esign = session->esign();
  const auto keys = TRY(esign.keys());
  std::string pem;
  std::string known;
  for (const card::CardCertificate& place : TRY(esign.certificates())) {
    known += (known.empty() ? "\"" : ", \"") + place.label + "\"";
    if (!given.what.empty() && !names(given.what, place, keys)) continue;
    const Bytes der = TRY(esign.read_certificate(place));
    pem += TRY(crypto::Certificate::from_der(der)).to_pem();
  }
  if (pem.empty()) {
    return fail(ErrorKind::not_found, "the card has no certificate \"" + given.what + "\"",
                "it has " + (known.empty() ? std::string("none") : known) + "; AUT, SIG, QES and ENC name a key's");
  }
  if (given.out.empty()) {
    std::fwrite(pem.data(), 1, pem.size(), stdout);
  } else {
    TRY(write_new_file(given.out, as_bytes(pem), 0644));
  }
  return 0;
}

// ---- change-pin, unblock -------------------------------------------------------------------------------------------

struct PinArguments {
  std::string reader;
  std::string pin = "1";
  SecretOptions secret;
  // unblock --letter
  bool letter = false;
  std::string folder, why;
};

/// Asks until the card takes it, a person gives up, or no try is left; a descriptor is asked once.
Result<int> run_change_pin(const PinArguments& given) {
  const card::PinKind kind = given.pin == "2" ? card::PinKind::pin2 : card::PinKind::pin1;
  auto session = TRY(CardSession::open_issued(given.reader));
  const bool unattended = given.secret.descriptor >= 0;
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  PromptPins pins(*input, unattended);
  card::PinRequest request;
  request.kind = kind;
  for (;;) {
    const card::PinStatus status = TRY(session->esign().pin_status(kind));
    if (status.blocked) return fail(ErrorKind::pin_blocked, std::string(card::name_of(kind)) + " is blocked");
    request.tries_left = status.tries_left;
    request.reason = card::PinRequest::Reason::change_old;
    const SecretBytes old_pin = TRY(pins.pin(request));
    TRY(card::check_presented_pin(kind, old_pin));
    request.reason = card::PinRequest::Reason::change_new;
    request.after_wrong = false;
    const SecretBytes new_pin = TRY(pins.pin(request));
    TRY(card::check_new_pin(kind, new_pin));
    const Status changed = session->esign().change_pin(kind, old_pin, new_pin);
    if (changed) {
      say(std::string(card::name_of(kind)) + " is changed");
      return 0;
    }
    if (changed.error().kind != ErrorKind::wrong_pin || unattended) return fail(changed.error());
    request.after_wrong = true;
  }
}

Result<int> run_unblock(const PinArguments& given) {
  const card::PinKind kind = given.pin == "2" ? card::PinKind::pin2 : card::PinKind::pin1;
  if (given.letter) return unblock_by_letter({given.folder, given.reader, given.why, kind, given.secret});
  auto session = TRY(CardSession::open_issued(given.reader));
  const bool unattended = given.secret.descriptor >= 0;
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  PromptPins pins(*input, unattended);
  card::PinRequest request;
  request.kind = kind;
  for (;;) {
    request.reason = card::PinRequest::Reason::unblock_puk;
    const SecretBytes puk = TRY(pins.pin(request));
    TRY(card::check_presented_pin(card::PinKind::puk, puk));
    request.reason = card::PinRequest::Reason::unblock_new;
    request.after_wrong = false;
    const SecretBytes new_pin = TRY(pins.pin(request));
    TRY(card::check_new_pin(kind, new_pin));
    const Status unblocked = session->esign().unblock_pin(kind, puk, new_pin);
    if (unblocked) {
      say(std::string(card::name_of(kind)) + " is unblocked and has its new value");
      return 0;
    }
    if (unblocked.error().kind != ErrorKind::wrong_pin || unattended) return fail(unblocked.error());
    say(unblocked.error().message);
  }
}

// ---- issue ---------------------------------------------------------------------------------------------------------

struct IssueArguments {
  std::string folder;
  std::vector<std::string> readers;
  std::vector<std::string> citizens;
  std::string profile = "citizen";
  std::string module_reader;  // of the module that has the masters
  int module_descriptor = -1;
  bool dry_run = false;
  bool json = false;
  SecretOptions secret;
};

Json json_of(const card::WireCount& count) {
  return {{"commands", count.commands}, {"octets_out", count.octets_out}, {"octets_back", count.octets_back}};
}

Result<int> run_dry(const issuing::Centre& centre, const IssueArguments& given) {
  // Where a card lies in the reader its own limits count; otherwise those of the simulator's contact interface.
  card::ChannelLimits limits = card::card_types().front().limits;
  // A reader that was named must be there.
  const auto connection = connect_card(given.readers.empty() ? "" : given.readers.front());
  if (connection) {
    limits = card::card_type_of((*connection)->atr()).limits;
  } else if (!given.readers.empty()) {
    return fail(connection.error());
  }
  const card::PersonalisationPlan plan = TRY(issuing::plan_issue(centre, given.profile, limits));
  if (given.json) {
    Json document = json_document("karta.card.plan/1");
    document["profile"] = given.profile;
    for (const auto* const phase : {&plan.prepare, &plan.complete}) {
      Json& steps = document[phase == &plan.prepare ? "prepare" : "complete"] = Json::array();
      for (const card::PlanStep& step : *phase) {
        steps.push_back({{"step", step.words},
                         {"commands", step.commands},
                         {"octets_out", step.octets_out},
                         {"octets_back", step.octets_back},
                         {"estimated", step.estimated},
                         {"portrait", step.portrait}});
      }
    }
    document["commands"] = plan.commands();
    document["octets_out"] = plan.octets_out();
    document["octets_back"] = plan.octets_back();
    document["portrait"] = json_of(plan.portrait());
    print_json(document);
    return 0;
  }
  for (const auto* const phase : {&plan.prepare, &plan.complete}) {
    print(phase == &plan.prepare ? "before certification:" : "after certification:");
    for (const card::PlanStep& step : *phase) {
      print("  " + step.words + "  (" + std::to_string(step.commands) +
            (step.commands == 1 ? " command, " : " commands, ") + (step.estimated ? "about " : "") +
            std::to_string(step.octets_out) + " octets out, " + std::to_string(step.octets_back) + " back)");
    }
  }
  print("in all " + std::to_string(plan.commands()) + " commands, about " + std::to_string(plan.octets_out()) +
        " octets out, " + std::to_string(plan.octets_back()) + " back");
  const card::WireCount portrait = plan.portrait();
  if (portrait.commands != 0) {
    print("of these the longest portrait there may be: " + std::to_string(portrait.commands) + " commands, " +
          std::to_string(portrait.octets_out) + " octets out, " + std::to_string(portrait.octets_back) +
          " back; without one the card takes as much less");
  }
  return 0;
}

/// The centre's module of role "issuing", for as long as cards are made: it derives their ledgers' keys.
struct IssuingModule {
  std::unique_ptr<card::CardConnection> connection;
  std::unique_ptr<card::Channel> plain;
};
/// `keys` and `random` must outlive it.
Result<IssuingModule> open_issuing_module(const IssueArguments& given, issuing::IssuingKeys& keys,
                                          RandomSource& random) {
  IssuingModule module;
  const auto input = make_secret_input(given.module_descriptor, "");
  const auto pin = std::make_shared<SecretBytes>(TRY(
      input->ask({"The security module that derives the cards' ledger keys.", "its PIN (6 to 8 digits)", "", false})));
  module.connection = TRY(connect_card(given.module_reader));
  module.plain = std::make_unique<card::PlainChannel>(*module.connection);
  keys.derive_ledger_keys = [connection = module.connection.get(), plain = module.plain.get(), &keys, &random, pin](
                                std::string_view application, ByteView serial) -> Result<card::LedgerMasters> {
    const auto alone = TRY(card::Transaction::begin(*connection));
    const card::CardManagerProfile manager;
    card::IssuerChannelRequest request;
    request.profile = &manager;
    request.master = &keys.card_master;
    const auto issuer = TRY(card::open_issuer_channel(*plain, request, random));
    return card::derive_ledger_keys(*issuer, application, serial, *pin);
  };
  // Not in this program's memory where a module has them.
  keys.transactions.clear();
  return module;
}

/// One reader for each citizen: those named, or all that have a card in them, in pcscd's order.
Result<std::vector<std::string>> readers_for(const IssueArguments& given) {
  card::PcscReaders pcsc;
  auto list = TRY(pcsc.list());
  if (!given.module_reader.empty()) {
    const std::string module = TRY(card::choose_reader(list, given.module_reader));
    std::erase_if(list, [&](const card::ReaderInfo& one) { return one.name == module; });
  }
  std::vector<std::string> chosen;
  if (given.citizens.size() == 1 && given.readers.empty()) {
    chosen.push_back(TRY(card::choose_reader(list, "")));
    return chosen;
  }
  for (const std::string& wanted : given.readers) chosen.push_back(TRY(card::choose_reader(list, wanted)));
  if (given.readers.empty()) {
    for (const card::ReaderInfo& reader : list) {
      if (reader.card_present && chosen.size() < given.citizens.size()) chosen.push_back(reader.name);
    }
  }
  if (chosen.size() == given.citizens.size()) return chosen;
  return fail(
      ErrorKind::usage,
      std::to_string(given.citizens.size()) + " citizens and " + std::to_string(chosen.size()) + " readers with a card",
      "put a blank card for each into a reader of its own, or name as many with --reader");
}

Json json_of(const issuing::IssuedCard& issued) {
  Json row{{"card", identity::format_id(issued.card.id)},
           {"serial", issued.serial},
           {"status_index", issued.card.status_index},
           {"profile", issued.card.profile},
           {"state", identity::row_of(issued.card.state).name},
           {"valid_until", format_time(issued.card.valid_until.value_or(Time{}))},
           {"letter", issued.letter.string()},
           {"made_again", issued.made_again},
           {"commands", issued.wire.commands},
           {"octets_out", issued.wire.octets_out},
           {"octets_back", issued.wire.octets_back},
           {"portrait", json_of(issued.portrait)}};
  row["certificates"] = Json::array();
  for (const auto& [role, certificate] : issued.certificates) {
    row["certificates"].push_back({{"key", role}, {"serial", to_hex(certificate.serial())}});
  }
  return row;
}

void print_issued(const issuing::IssuedCard& issued) {
  if (issued.made_again) say("the making of this card had been interrupted: it was taken up again");
  print("card " + issued.serial + " is " + std::string(identity::row_of(issued.card.state).name) + ", status index " +
        std::to_string(issued.card.status_index) + ", " + std::to_string(issued.wire.commands) + " commands" +
        (issued.portrait.commands == 0 ? std::string() : ", with a portrait"));
  print("letter " + issued.letter.string());
}

void show_step(unsigned step, unsigned steps, std::string_view words) {
  if (!speaks_to_terminal()) return;
  draw_line(std::to_string(step) + " of " + std::to_string(steps) + "  " + std::string(words));
  if (step == steps) clear_line();
}

Result<issuing::IssuedCard> issue_one(issuing::Centre& centre, issuing::IssuingKeys& keys, identity::CitizenId citizen,
                                      const std::string& reader, const std::string& profile, const Clock& clock,
                                      RandomSource& random) {
  card::PcscOptions options;
  options.exclusive = true;  // nobody else talks to a card in the making
  const auto connection = TRY(connect_card(reader, options));
  const issuing::IssueRequest request{citizen, profile, operator_name()};
  return issuing::issue_card(centre, keys, *connection, request, clock, random, show_step);
}

Result<int> run_issue(const IssueArguments& given) {
  const SystemClock clock;
  SystemRandom random;
  auto centre = TRY(issuing::Centre::open(given.folder, clock, random));
  if (given.dry_run) return run_dry(centre, given);
  if (given.citizens.empty()) return fail(ErrorKind::usage, "--citizen is required");
  std::vector<identity::CitizenId> citizens;
  for (const std::string& text : given.citizens) citizens.push_back(TRY(citizen_of(centre.registry(), text)));
  const std::vector<std::string> readers = TRY(readers_for(given));

  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const SecretBytes passphrase = TRY(input->ask({"To certify the cards' keys:", "passphrase of the issuing CA", ""}));
  issuing::IssuingKeys keys = TRY(centre.unlock(passphrase));
  std::optional<IssuingModule> module;
  if (!given.module_reader.empty()) module.emplace(TRY(open_issuing_module(given, keys, random)));
  Json document = json_document("karta.card.issue/1");
  document["cards"] = Json::array();
  int code = 0;
  for (std::size_t i = 0; i < citizens.size(); ++i) {
    const auto issued = issue_one(centre, keys, citizens[i], readers[i], given.profile, clock, random);
    if (!issued) {
      // A card at fault keeps nobody else from getting theirs.
      const int failed = citizens.size() == 1 ? report(issued.error()) : report(readers[i], issued.error());
      if (code == 0) code = failed;
    } else if (given.json) {
      document["cards"].push_back(json_of(*issued));
    } else {
      print_issued(*issued);
    }
  }
  if (given.json) {
    print_json(document);
  } else if (code == 0) {
    say("a letter holds the transport PINs and the PUK: print it, hand it over, destroy the file");
  }
  return code;
}

// ---- update --------------------------------------------------------------------------------------------------------

struct UpdateArguments {
  std::string folder, reader;
  bool concession = false, insurance = false;
  std::vector<std::string> grants;
  SecretOptions secret;
};

struct Grant {
  card::Entitlement entitlement;
  std::uint8_t packages = 0;
};
/// MEDICINE:PACKAGE:COUNT or MEDICINE:PACKAGE:COUNT:UNTIL
Result<Grant> grant_of(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ':');) parts.push_back(part);
  Grant grant;
  unsigned packages = 0;
  const auto number = [](const std::string& digits, auto& value) {
    const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return fault == std::errc() && end == digits.data() + digits.size();
  };
  if (parts.size() < 3 || parts.size() > 4 || !number(parts[1], grant.entitlement.package) ||
      !number(parts[2], packages) || packages == 0 || packages > 255) {
    return fail(ErrorKind::usage, "\"" + text + "\" is no grant",
                "MEDICINE:PACKAGE:COUNT, or :UNTIL behind it: A10BA02:4711:2:2027-06-30");
  }
  grant.entitlement.medicine = parts[0];
  grant.packages = static_cast<std::uint8_t>(packages);
  if (parts.size() == 4) {
    const Time until = TRY(parse_time(parts[3]));
    grant.entitlement.until = std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(until));
  }
  return grant;
}

Result<int> run_update(const UpdateArguments& given) {
  if (!given.concession && !given.insurance && given.grants.empty()) {
    return fail(ErrorKind::usage, "nothing to update is named", "--concession, --insurance, --grant");
  }
  std::vector<Grant> grants;
  for (const std::string& text : given.grants) grants.push_back(TRY(grant_of(text)));
  const SystemClock clock;
  SystemRandom random;
  auto centre = TRY(issuing::Centre::open(given.folder, clock, random));
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const SecretBytes passphrase = TRY(input->ask({"To administer the card:", "passphrase of the issuing centre", ""}));
  const SecretBytes master = TRY(centre.unlock_card_master(passphrase));
  const card::TransactionMasters masters = TRY(centre.unlock_transaction_masters(passphrase));
  card::PcscOptions options;
  options.exclusive = true;
  const auto connection = TRY(connect_card(given.reader, options));
  const auto alone = TRY(card::Transaction::begin(*connection));
  card::PlainChannel plain(*connection);
  auto card = TRY(issuing::administer(centre, master, plain, random));
  const identity::Purpose purpose{operator_name(), "update a card", "card " + identity::format_id(card.record.id)};
  const auto holder = TRY(centre.registry().read_citizen(card.record.citizen, purpose));
  if (given.insurance) {
    TRY(issuing::update_insurance(card, holder.citizen));
    say("the insurance record is the registry's");
  }
  if (given.concession) {
    const identity::Date today = std::chrono::floor<std::chrono::days>(clock.now());
    TRY(issuing::update_concession(card, holder.citizen, masters, today, random));
    say("the concession is the registry's");
  }
  for (const Grant& grant : grants) {
    const auto receipt =
        TRY(issuing::grant_entitlement(card, grant.entitlement, grant.packages, masters, clock.now(), random));
    say(std::to_string(grant.packages) + " of " + grant.entitlement.medicine + " granted, receipt " +
        std::to_string(receipt.sequence));
  }
  return 0;
}

CLI::App& add_pin_verb(CLI::App& noun, Run& chosen, const std::string& name, const std::string& description,
                       const std::string& lines, Result<int> (*run)(const PinArguments&),
                       const std::shared_ptr<PinArguments>& arguments = std::make_shared<PinArguments>()) {
  CLI::App& command = *noun.add_subcommand(name, description);
  command.add_option("--pin", arguments->pin, "which PIN: 1 (everyday) or 2 (qualified signature)")
      ->check(CLI::IsMember({"1", "2"}))
      ->capture_default_str();
  add_reader_option(command, arguments->reader);
  add_pin_options(command, arguments->secret, lines);
  on_call(command, chosen, [arguments, run] { return run(*arguments); });
  return command;
}

}  // namespace

void add_card(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("card", "The card in the reader");
  noun.require_subcommand(0, 1);

  auto issue = std::make_shared<IssueArguments>();
  CLI::App& issuing = *noun.add_subcommand("issue", "Make the blank card in the reader a citizen's card");
  issuing.add_option("--citizen", issue->citizens,
                     "SNILS, or the id that `karta citizen find` shows; several, one blank card in a reader for each");
  issuing.add_option("--profile", issue->profile, "card profile of the issuing centre")->capture_default_str();
  issuing.add_option("--reader", issue->readers, "for each citizen a reader's name, part of it, or number");
  add_centre_option(issuing, issue->folder);
  issuing.add_flag("--dry-run", issue->dry_run, "show the steps and what they cost on the wire; write nothing");
  issuing.add_flag("--json", issue->json, "as karta.card.issue/1 (with --dry-run: karta.card.plan/1)");
  add_passphrase_options(issuing, issue->secret);
  issuing.add_option("--sam", issue->module_reader,
                     "reader with a module of role \"issuing\": the masters of health and transit stay in it");
  issuing
      .add_option("--keys-fd", issue->module_descriptor, "read the module's PIN from this file descriptor, one line")
      ->type_name("N");
  on_call(issuing, chosen, [issue] { return run_issue(*issue); });

  auto update = std::make_shared<UpdateArguments>();
  CLI::App& updating =
      *noun.add_subcommand("update", "Bring an issued card up to date with the registry; grant medicines");
  updating.add_flag("--concession", update->concession, "the concession, and the pass that goes with it");
  updating.add_flag("--insurance", update->insurance, "the insurance record");
  updating.add_option("--grant", update->grants, "MEDICINE:PACKAGE:COUNT[:UNTIL], several");
  add_reader_option(updating, update->reader);
  add_centre_option(updating, update->folder);
  add_passphrase_options(updating, update->secret);
  on_call(updating, chosen, [update] { return run_update(*update); });

  auto reader = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  CLI::App& info = *noun.add_subcommand("info", "What the card is and holds; no PIN needed");
  add_reader_option(info, *reader);
  info.add_flag("--json", *json, "as karta.card.info/1");
  on_call(info, chosen, [reader, json] { return run_info(*reader, *json); });

  auto read = std::make_shared<ReadArguments>();
  CLI::App& reading =
      *noun.add_subcommand("read", "Certificates from the card, as PEM; with --as, all a terminal of a role gets");
  reading.add_option("what", read->what, "AUT, SIG, QES, ENC or a label (default: all)");
  reading.add_option("--out", read->out, "write to this file, which must not exist");
  add_reader_option(reading, read->reader);
  add_identity_read_options(reading, read->identity);
  on_call(reading, chosen, [read] { return run_read(*read); });

  add_pin_verb(noun, chosen, "change-pin", "Choose a PIN; the first time, in place of the letter's transport PIN",
               "the present PIN, then the new one", run_change_pin);
  auto unblock = std::make_shared<PinArguments>();
  CLI::App& unblocking =
      add_pin_verb(noun, chosen, "unblock", "Set a new PIN with the PUK; or, by the issuer, a new transport PIN",
                   "the PUK, then the new PIN; with --letter the centre's passphrase", run_unblock, unblock);
  unblocking.add_flag("--letter", unblock->letter,
                      "at the issuing centre, for a holder who lost PIN and PUK: a letter with a new transport PIN1");
  unblock->why = "PIN and PUK are lost";
  unblocking.add_option("--why", unblock->why, "with --letter: for the card's events")->capture_default_str();
  add_centre_option(unblocking, unblock->folder);
}

}  // namespace karta::cli
