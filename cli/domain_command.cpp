// karta domain: a department's own part of a card, under keys the issuer never sees.
//
//   department   karta domain offer NAME --aid AID --trust root.crt.pem     reads the card, writes NAME.offer
//   issuer       karta domain load NAME.offer                              makes the domain, writes NAME.receipt
//   department   karta domain accept NAME                                  checks the receipt, writes NAME.keys.pem
//   department   karta domain write NAME --file 0101 CONTENT               from now on alone with the card
//   department   karta domain apply NAME profile.toml                      all of its application at once
#include <CLI/CLI.hpp>

#include <filesystem>

#include "base/file.h"
#include "base/random.h"
#include "card/domain_profile.h"
#include "card/iso7816.h"
#include "card/key_set_file.h"
#include "card/personalisation_step.h"
#include "cli/card_session.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/operator.h"
#include "cli/secret_input.h"
#include "crypto/pem.h"
#include "crypto/x509/path.h"
#include "issuing/desk/card_deeds.h"

namespace karta::cli {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMostFile = 64 * 1024;

struct Arguments {
  std::string name, reader, folder, aid, out;
  std::vector<std::string> trust;
  std::string file, content, masters;
  unsigned key_bits = 256, key_version = 1;
  bool free_to_read = false;
  SecretOptions secret;
};

fs::path beside(const std::string& name, const char* ending) {
  fs::path path = name;
  path += ending;
  return path;
}

Result<SecretBytes> ask_passphrase(const SecretOptions& options, const std::string& title, bool fresh) {
  const auto input = make_secret_input(options.descriptor, options.program);
  SecretBytes passphrase = TRY(input->ask({title, "passphrase of the domain's keys", "", fresh}));
  if (fresh && passphrase.size() < issuing::kShortestPassphrase) {
    return fail(ErrorKind::usage, "the passphrase is too short",
                "it protects the domain's keys: take at least 8 characters, better a sentence");
  }
  return passphrase;
}

Result<std::vector<crypto::Certificate>> certificates_in(const std::vector<std::string>& files) {
  std::vector<crypto::Certificate> all;
  for (const std::string& file : files) {
    const Bytes octets = TRY(read_file(file, crypto::Certificate::kMostOctets));
    all.push_back(TRY(crypto::Certificate::from_file_octets(octets)));
  }
  return all;
}

/// The card's agreement key, on the word of the centre that issued it.
Result<crypto::Certificate> agreement_certificate(CardSession& session, const std::vector<crypto::Certificate>& anchors,
                                                  Time now) {
  std::vector<crypto::Certificate> between;
  for (const card::CardCertificate& place : TRY(session.esign().certificates())) {
    if (!place.authority) continue;
    const Bytes der = TRY(session.esign().read_certificate(place));
    between.push_back(TRY(crypto::Certificate::from_der(der)));
  }
  auto file = card::read_file(session.esign().channel(), card::Path{card::kEfAgreementCertificate});
  if (!file) {
    return fail(ErrorKind::card_unknown, "the card has no key for departments' domains: " + file.error().message);
  }
  auto certificate = TRY(crypto::Certificate::from_der(*file));
  const auto path = crypto::verify_path(certificate, between, anchors, now, crypto::Purpose::any);
  if (!path.ok()) {
    return fail(ErrorKind::untrusted, "the certificate of the card's agreement key: " + path.reason,
                "--trust takes the root of the centre that issued the card");
  }
  // The key must be this card's, not another one's copied here.
  if (certificate.subject().display() != "card " + session.esign().info().serial_hex()) {
    return fail(ErrorKind::untrusted, "the certificate of the agreement key names another card");
  }
  return certificate;
}

Result<int> run_offer(const Arguments& given) {
  const Bytes aid = TRY(from_hex(given.aid));
  if (given.trust.empty())
    return fail(ErrorKind::usage, "--trust is required", "the issuing centre's root certificate");
  const auto anchors = TRY(certificates_in(given.trust));
  const SystemClock clock;
  SystemRandom random;
  auto session = TRY(CardSession::open_issued(given.reader));
  const auto certificate = TRY(agreement_certificate(*session, anchors, clock.now()));
  const crypto::PublicKey key = TRY(certificate.public_key());
  if (!key.type() || key.family() != crypto::KeyFamily::ec) {
    return fail(ErrorKind::unsupported, "the card's agreement key is on no curve karta knows");
  }
  const card::DomainOffer offer =
      TRY(card::DomainOffer::make(aid, session->esign().info().serial, *key.type(), key.key_octets(),
                                  static_cast<std::uint8_t>(given.key_version), given.key_bits / 8, random));
  const SecretBytes passphrase = TRY(ask_passphrase(given.secret, "A passphrase for the domain's keys.", true));
  const std::string sealed = TRY(card::seal_domain_offer(offer, passphrase, crypto::PrivateKey::kIterations, random));
  TRY(write_new_file(beside(given.name, ".half.pem"), as_bytes(sealed), 0600));
  Json document = json_document("karta.domain.offer/1");
  document["card"] = to_hex_upper(offer.serial);
  document["aid"] = to_hex_upper(offer.aid);
  document["message"] = to_hex_upper(offer.message);
  TRY(write_new_file(beside(given.name, ".offer"), as_bytes(document.dump(2) + "\n"), 0644));
  say("give " + given.name + ".offer to the issuer, and keep " + given.name + ".half.pem until the receipt is here");
  return 0;
}

struct OfferFile {
  Bytes serial, aid, message;
};
Result<OfferFile> read_offer(const fs::path& path) {
  const Bytes text = TRY(read_file(path, kMostFile));
  const Json document = Json::parse(as_text(text), nullptr, false);
  const auto field = [&](const char* name) -> Result<Bytes> {
    if (!document.is_object() || !document.contains(name) || !document[name].is_string()) {
      return fail(ErrorKind::malformed, "\"" + path.string() + "\" is no offer: it lacks \"" + name + "\"");
    }
    return from_hex(document[name].get<std::string>());
  };
  OfferFile offer;
  offer.serial = TRY(field("card"));
  offer.aid = TRY(field("aid"));
  offer.message = TRY(field("message"));
  return offer;
}

Result<int> run_load(const Arguments& given) {
  const OfferFile offer = TRY(read_offer(given.name));
  const SystemClock clock;
  SystemRandom random;
  auto centre = TRY(issuing::Centre::open(given.folder, clock, random));
  card::PcscOptions options;
  options.exclusive = true;
  const auto connection = TRY(connect_card(given.reader, options));
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const SecretBytes passphrase = TRY(input->ask({"To administer the card:", "passphrase of the issuing centre", ""}));
  const SecretBytes master = TRY(centre.unlock_card_master(passphrase));
  const auto alone = TRY(card::Transaction::begin(*connection));
  card::PlainChannel plain(*connection);
  auto card = TRY(issuing::administer(centre, master, plain, random));
  if (offer.serial != card.channel->greeting().serial) {
    return fail(ErrorKind::card_unknown, "the offer is for card " + to_hex_upper(offer.serial) + ", not " +
                                             to_hex_upper(card.channel->greeting().serial));
  }
  issuing::DeskWork work{centre, clock, random, {operator_name(), "karta domain load"}};
  const issuing::LoadedApplication loaded = TRY(issuing::load_application(work, card, offer.aid, offer.message));
  fs::path out = given.out.empty() ? fs::path(given.name).replace_extension(".receipt") : fs::path(given.out);
  TRY(write_new_file(out, as_bytes(to_hex_upper(loaded.receipt) + "\n"), 0644));
  say("domain " + to_hex_upper(offer.aid) + " is on card " + to_hex_upper(offer.serial) + "; give " + out.string() +
      " to the department");
  return 0;
}

Result<int> run_accept(const Arguments& given) {
  const fs::path half = beside(given.name, ".half.pem"), kept = beside(given.name, ".keys.pem");
  const Bytes pem = TRY(read_file(half, kMostFile));
  const Bytes text = TRY(read_file(beside(given.name, ".receipt"), kMostFile));
  std::string_view hex = as_text(text);
  while (!hex.empty() && (hex.back() == '\n' || hex.back() == '\r')) hex.remove_suffix(1);
  const Bytes receipt = TRY(from_hex(hex));
  const SecretBytes passphrase = TRY(ask_passphrase(given.secret, "To open " + half.string() + ":", false));
  const card::DomainOffer offer = TRY(card::open_domain_offer(as_text(pem), passphrase));
  card::DomainKeyFile file;
  file.keys = TRY(offer.finish(receipt));
  file.aid = offer.aid;
  file.serial = offer.serial;
  SystemRandom random;
  const std::string sealed = TRY(card::seal_domain_keys(file, passphrase, crypto::PrivateKey::kIterations, random));
  TRY(write_new_file(kept, as_bytes(sealed), 0600));
  std::error_code ignored;
  fs::remove(half, ignored);  // it has served
  say("the keys of domain " + to_hex_upper(file.aid) + " on card " + to_hex_upper(file.serial) + " are in " +
      kept.string());
  return 0;
}

/// The department's own session with its domain.
Result<std::unique_ptr<card::Scp03Channel>> open_domain(card::Channel& plain, const card::DomainKeyFile& file,
                                                        RandomSource& random) {
  TRY(plain.run(card::select_application(file.aid, card::SelectReturn::nothing), "select the domain"));
  const auto keys = [&](const card::Scp03Greeting& greeting) -> Result<card::Scp03KeySet> {
    if (greeting.serial == file.serial) return file.keys.clone();
    return fail(ErrorKind::card_unknown,
                "these keys are for card " + to_hex_upper(file.serial) + ", not " + to_hex_upper(greeting.serial));
  };
  return card::Scp03Channel::open(
      plain, {.mode = card::Scp03Mode::s16, .level = card::security_level::all, .key_version = 0}, keys, random);
}

Result<int> run_write(const Arguments& given) {
  const Bytes id = TRY(from_hex(given.file));
  if (id.size() != 2) return fail(ErrorKind::usage, "--file takes four hexadecimal digits");
  const Bytes content = TRY(read_file(given.content, card::kMaxFileOctets));
  const Bytes pem = TRY(read_file(beside(given.name, ".keys.pem"), kMostFile));
  const SecretBytes passphrase = TRY(ask_passphrase(given.secret, "To open the domain's keys:", false));
  const card::DomainKeyFile file = TRY(card::open_domain_keys(as_text(pem), passphrase));
  SystemRandom random;
  const auto connection = TRY(connect_card(given.reader));
  const auto alone = TRY(card::Transaction::begin(*connection));
  card::PlainChannel plain(*connection);
  const auto session = TRY(open_domain(plain, file, random));
  const std::uint16_t file_id = load_be16(id);
  // A file that is there is made anew: its length is its content's.
  const card::ResponseApdu gone = TRY(session->transmit(card::delete_file(file_id)));
  if (!gone.status.ok() && gone.status != card::kSwNotFound) {
    return fail(card::error_of(gone.status, "replace the file"));
  }
  card::FileToCreate fresh;
  fresh.id = file_id;
  fresh.size = content.size();
  fresh.rules = card::access_nibbles(card::nibble::free, card::nibble::never, card::nibble::never, card::nibble::never);
  const std::uint8_t reading = given.free_to_read ? card::channel_rule::free : card::channel_rule::secure_channel;
  fresh.channel = card::ChannelRules{{reading}, {card::channel_rule::nobody}};
  const card::PersonalisationStep step =
      card::write_file_step("write the file", fresh, content, session->limits().command_data);
  for (const card::StepCommand& command : step.commands) TRY(session->run(command.apdu, step.words));
  say("file " + given.file + " of domain " + to_hex_upper(file.aid) + " has " + std::to_string(content.size()) +
      " octets");
  return 0;
}

Result<int> run_masters(const Arguments& given) {
  SystemRandom random;
  const SecretBytes passphrase = TRY(ask_passphrase(given.secret, "A passphrase for the ledger's masters.", true));
  card::TransactionMasters masters;
  masters[given.name] = card::generate_ledger_masters(given.key_bits / 8, random);
  const std::string sealed =
      TRY(card::seal_transaction_masters(masters, passphrase, crypto::PrivateKey::kIterations, random));
  const fs::path path = beside(given.name, ".masters.pem");
  TRY(write_new_file(path, as_bytes(sealed), 0600));
  say("masters of ledgers \"" + given.name + "\" are in " + path.string());
  return 0;
}

/// The keys of this card's ledger, from the department's masters; both files are under one passphrase.
Result<card::LedgerData> ledger_of(const Arguments& given, const card::DepartmentProfile& profile,
                                   const SecretBytes& passphrase, RandomSource& random) {
  if (!profile.ledger) return card::LedgerData{};
  if (given.masters.empty()) {
    return fail(ErrorKind::usage, "the profile has a ledger: --masters is required", "karta domain masters makes them");
  }
  const Bytes pem = TRY(read_file(given.masters, kMostFile));
  const card::TransactionMasters masters = TRY(card::open_transaction_masters(as_text(pem), passphrase));
  const auto found = masters.find(profile.name);
  if (found == masters.end()) {
    return fail(ErrorKind::not_found, "\"" + given.masters + "\" holds no masters of \"" + profile.name + "\"");
  }
  return card::LedgerData::derive(found->second, random);
}

Result<int> run_apply(const Arguments& given) {
  const card::DepartmentProfile profile = TRY(card::read_department_profile(given.content));
  const Bytes pem = TRY(read_file(beside(given.name, ".keys.pem"), kMostFile));
  const SecretBytes passphrase = TRY(ask_passphrase(given.secret, "To open the domain's keys:", false));
  const card::DomainKeyFile file = TRY(card::open_domain_keys(as_text(pem), passphrase));
  if (profile.aid != file.aid) {
    return fail(ErrorKind::configuration,
                "the profile is for domain " + to_hex_upper(profile.aid) + ", the keys for " + to_hex_upper(file.aid));
  }
  SystemRandom random;
  const card::LedgerData ledger = TRY(ledger_of(given, profile, passphrase, random));
  const auto connection = TRY(connect_card(given.reader));
  const auto alone = TRY(card::Transaction::begin(*connection));
  card::PlainChannel plain(*connection);
  const auto session = TRY(open_domain(plain, file, random));
  TRY(card::load_department(*session, profile, ledger));
  say("domain " + to_hex_upper(file.aid) + " on card " + to_hex_upper(file.serial) + " has " +
      std::to_string(profile.files.size()) + (profile.files.size() == 1 ? " file" : " files") +
      (profile.ledger ? " and a ledger" : ""));
  return 0;
}

Result<int> run_list(const Arguments& given) {
  const SystemClock clock;
  SystemRandom random;
  auto centre = TRY(issuing::Centre::open(given.folder, clock, random));
  const auto connection = TRY(connect_card(given.reader));
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const SecretBytes passphrase = TRY(input->ask({"To look into the card:", "passphrase of the issuing centre", ""}));
  const SecretBytes master = TRY(centre.unlock_card_master(passphrase));
  const auto alone = TRY(card::Transaction::begin(*connection));
  card::PlainChannel plain(*connection);
  auto card = TRY(issuing::administer(centre, master, plain, random));
  for (const card::GlobalPlatformEntry& entry : TRY(card::list_domains(*card.channel))) {
    if (!card::is_domain_aid(entry.aid)) continue;
    print(to_hex_upper(entry.aid) + ((entry.state & 0x80) != 0 ? "  locked" : "  open"));
  }
  return 0;
}

}  // namespace

void add_domain(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("domain", "A department's own part of a card, under keys the issuer never sees");
  noun.require_subcommand(0, 1);
  const auto verb = [&](const std::string& name, const std::string& words, Result<int> (*run)(const Arguments&)) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* const command = noun.add_subcommand(name, words);
    add_reader_option(*command, arguments->reader);
    add_passphrase_options(*command, arguments->secret);
    on_call(*command, chosen, [arguments, run] { return run(*arguments); });
    return std::pair(command, arguments);
  };
  {
    const auto [command, given] = verb("offer", "Department: begin to agree with the card on keys", run_offer);
    command->add_option("name", given->name, "writes NAME.offer for the issuer and NAME.half.pem to keep")->required();
    command->add_option("--aid", given->aid, "the domain: F04B41525441 and an octet from 10 to 1F")->required();
    command->add_option("--trust", given->trust, "root of the centre that issued the card (PEM or DER)");
    command->add_option("--key-bits", given->key_bits, "of the domain's AES keys")
        ->check(CLI::IsMember({128, 192, 256}))
        ->capture_default_str();
    command->add_option("--key-version", given->key_version, "1 to 127")
        ->check(CLI::Range(1, 127))
        ->capture_default_str();
  }
  {
    const auto [command, given] = verb("load", "Issuer: make the domain and carry the offer to it", run_load);
    command->add_option("offer", given->name, "the department's NAME.offer")->required();
    command->add_option("--out", given->out, "where the receipt goes (default: NAME.receipt beside the offer)");
    add_centre_option(*command, given->folder);
  }
  {
    const auto [command, given] = verb("accept", "Department: check the receipt, keep the keys", run_accept);
    command->add_option("name", given->name, "reads NAME.half.pem and NAME.receipt, writes NAME.keys.pem")->required();
  }
  {
    const auto [command, given] = verb("write", "Department: write a file of its domain", run_write);
    command->add_option("name", given->name, "reads NAME.keys.pem")->required();
    command->add_option("content", given->content, "the file whose octets go onto the card")->required();
    command->add_option("--file", given->file, "identifier on the card, four hexadecimal digits")->required();
    command->add_flag("--free", given->free_to_read, "anybody may read it, also over contactless");
  }
  {
    const auto [command, given] = verb("masters", "Department: make master keys for its ledgers", run_masters);
    command->add_option("name", given->name, "the profile's name; writes NAME.masters.pem")->required();
    command->add_option("--key-bits", given->key_bits, "of the ledgers' AES keys")
        ->check(CLI::IsMember({128, 256}))
        ->default_val(128);
  }
  {
    const auto [command, given] = verb("apply", "Department: make all its profile says in its domain", run_apply);
    command->add_option("name", given->name, "reads NAME.keys.pem")->required();
    command->add_option("profile", given->content, "the department's profile (TOML)")->required();
    command->add_option("--masters", given->masters, "NAME.masters.pem, where the profile has a ledger");
  }
  {
    const auto [command, given] = verb("list", "Issuer: the domains on the card", run_list);
    add_centre_option(*command, given->folder);
  }
}

}  // namespace karta::cli
