// karta cv: certificates of terminals: issue, show, link, verify, request.
#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/file.h"
#include "card/terminal_store.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/secret_input.h"
#include "cli/signing_key.h"

namespace karta::cli {
namespace {

struct StoreArguments {
  std::string centre;
  std::string terminals;
  SecretOptions secret;

  card::TerminalStore store() const {
    return card::TerminalStore(terminals.empty() ? centre + "/terminals" : terminals);
  }
};

void add_store_options(CLI::App& command, StoreArguments& arguments) {
  add_centre_option(command, arguments.centre);
  command.add_option("--terminals", arguments.terminals, "the terminals' folder, instead of the centre's");
}

Result<SecretBytes> passphrase_of(const SecretOptions& secret, const std::string& whose) {
  const auto input = make_secret_input(secret.descriptor, secret.program);
  return input->ask({whose, "passphrase", "", false});
}

Result<crypto::KeyType> curve_named(const std::string& name) {
  const auto type = crypto::find_key_type(name);
  if (type && row_of(*type).family == crypto::KeyFamily::ec) return *type;
  return fail(ErrorKind::usage, "\"" + name + "\" is no curve that cards verify with",
              "p256, p384, brainpoolP256r1, brainpoolP384r1 or brainpoolP512r1");
}

Result<const card::TerminalRole*> role_named(const std::string& name) {
  if (const card::TerminalRole* const role = card::find_terminal_role(name)) return role;
  std::string names = "cvca, dv";
  for (const card::TerminalRole& role : card::terminal_roles()) names += ", " + std::string(role.name);
  return fail(ErrorKind::usage, "\"" + name + "\" is nothing that is issued", "one of: " + names);
}

/// Rights named one by one replace all of the role's, those in the sectors too.
struct NamedRights {
  std::optional<card::Rights> rights;
  std::optional<card::SectorRights> in_sectors;
};
Result<NamedRights> rights_named(const std::vector<std::string>& names) {
  if (names.empty()) return NamedRights{};
  card::Rights rights = 0;
  card::SectorRights in_sectors = 0;
  for (const std::string& name : names) {
    if (const card::SectorRightRow* const row = card::find_sector_right(name)) {
      in_sectors = static_cast<card::SectorRights>(in_sectors | card::right_bit(row->right));
      continue;
    }
    const card::RightRow* const row = card::find_right(card::TerminalType::authentication_terminal, name);
    if (row == nullptr) {
      return fail(ErrorKind::usage, "\"" + name + "\" is no right of a terminal",
                  "docs/terminals-certificates.md lists them: read-dg4, age-verification, read-insurance, ...");
    }
    rights |= card::right_bit(row->bit);
  }
  return NamedRights{rights, in_sectors};
}

Result<card::CvDate> date_of(const std::string& text) {
  const SystemClock clock;
  if (text.empty()) return card::cv_date_of(clock.now());
  const Time time = TRY(parse_time(text));
  return card::cv_date_of(time);
}

std::string joined(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
  return line;
}

// ---- show ----------------------------------------------------------------------------------------------------------

std::string key_text(const card::CvPublicKey& key) {
  std::string text(key.algorithm->name);
  if (key.curve) text += ", " + std::string(row_of(*key.curve).name);
  if (!key.modulus.empty()) text += ", RSA of " + std::to_string(key.modulus.size() * 8) + " bits";
  return text;
}

void show(const card::CvCertificate& certificate) {
  const card::CvContent& content = certificate.content();
  print("holder      " + content.holder);
  print("authority   " + content.authority + (certificate.self_signed() ? " (itself)" : ""));
  print("kind        " + std::string(certificate.link() ? "link to a new cvca" : name_of(content.chat.role)) + ", " +
        std::string(row_of(content.chat.type).name));
  print("valid       " + card::to_string(content.effective) + " to " + card::to_string(content.expiration));
  print("key         " + key_text(content.public_key));
  print("rights      " + joined(card::names_of(content.chat.type, content.chat.rights)));
  for (const card::CvExtension& extension : content.extensions) {
    if (extension.oid == card::kSectorRightsOid) {
      print("sectors     " + joined(card::names_of_sector_rights(certificate.sector_rights())));
      continue;
    }
    const std::string_view name = extension.oid == card::kCvSectorOid        ? "terminal sector"
                                  : extension.oid == card::kCvDescriptionOid ? "description"
                                                                             : std::string_view(extension.oid);
    print("extension   " + std::string(name) + " " + to_hex(extension.content));
  }
}

Json json_of(const card::CvCertificate& certificate) {
  const card::CvContent& content = certificate.content();
  Json one{{"holder", content.holder},
           {"authority", content.authority},
           {"role", name_of(content.chat.role)},
           {"type", row_of(content.chat.type).name},
           {"link", certificate.link()},
           {"effective", card::to_string(content.effective)},
           {"expiration", card::to_string(content.expiration)},
           {"algorithm", content.public_key.algorithm->name}};
  one["curve"] = content.public_key.curve ? Json(row_of(*content.public_key.curve).name) : Json();
  one["rights"] = card::names_of(content.chat.type, content.chat.rights);
  one["sector_rights"] = card::names_of_sector_rights(certificate.sector_rights());
  one["extensions"] = Json::array();
  for (const card::CvExtension& extension : content.extensions) {
    one["extensions"].push_back({{"oid", extension.oid}, {"content", to_hex(extension.content)}});
  }
  return one;
}

Result<int> run_show(const std::vector<std::string>& files, bool json) {
  Json document = json_document("karta.cv.show/1");
  document["certificates"] = Json::array();
  bool first = true;
  for (const std::string& file : files) {
    const card::CvCertificate certificate = TRY(card::read_cv_certificate(file));
    if (json) {
      document["certificates"].push_back(json_of(certificate));
      continue;
    }
    if (!first) print("");
    first = false;
    show(certificate);
  }
  if (json) print_json(document);
  return 0;
}

// ---- issue ---------------------------------------------------------------------------------------------------------

struct IssueArguments {
  StoreArguments store;
  std::string kind;
  std::vector<std::string> rights;
  std::string key_type = "p256";
  std::string country = "RU";
  std::string request;
  unsigned days = 0;
};

Result<int> run_issue(const IssueArguments& given) {
  card::TerminalStore store = given.store.store();
  card::CvIssueOptions options;
  options.key = TRY(curve_named(given.key_type));
  options.days = given.days;
  const NamedRights rights = TRY(rights_named(given.rights));
  options.sector_rights = rights.in_sectors;
  const card::CvDate today = TRY(date_of(""));
  if (given.kind == "cvca") {
    if (std::filesystem::exists(store.folder())) {
      return fail(ErrorKind::already_exists, "\"" + store.folder().string() + "\" has an authority already",
                  "karta cv link makes its successor");
    }
    if (given.country.size() != 2) return fail(ErrorKind::usage, "a country is two capital letters");
    const auto input = make_secret_input(given.store.secret.descriptor, given.store.secret.program);
    const SecretBytes passphrase =
        TRY(input->ask({"A passphrase for the keys of the terminals' authority.", "passphrase", "", true}));
    TRY(store.create(given.country, options, passphrase, today));
    const card::CvCertificate authority = TRY(store.authority());
    say("authority \"" + authority.holder() + "\" and a verifier are in " + store.folder().string());
    return 0;
  }
  const card::CvCertificate above = TRY(given.kind == "dv" ? store.authority() : store.verifier());
  const card::TerminalRole* const role = given.kind == "dv" ? nullptr : TRY(role_named(given.kind));
  std::optional<card::CvRequest> request;
  if (!given.request.empty()) {
    const Bytes octets = TRY(read_file(given.request, card::kMostCvOctets));
    request = TRY(card::CvRequest::parse(octets));
  }
  const SecretBytes passphrase =
      TRY(passphrase_of(given.store.secret, "The key of \"" + above.holder() + "\", which signs."));
  const card::CvCertificate made =
      TRY(role == nullptr && request ? store.issue_verifier(*request, rights.rights, options, passphrase, today)
          : role == nullptr          ? store.issue_verifier(options, passphrase, today)
          : request                  ? store.issue_terminal(*request, *role, rights.rights, options, passphrase, today)
                                     : store.issue_terminal(*role, rights.rights, options, passphrase, today));
  say("issued \"" + made.holder() + "\", valid to " + card::to_string(made.content().expiration));
  print((store.folder() / (made.holder() + std::string(card::kCvSuffix))).string());
  return 0;
}

// ---- link ----------------------------------------------------------------------------------------------------------

Result<int> run_link(const IssueArguments& given) {
  card::TerminalStore store = given.store.store();
  card::CvIssueOptions options;
  options.key = TRY(curve_named(given.key_type));
  options.days = given.days;
  const card::CvCertificate old = TRY(store.authority());
  const SecretBytes passphrase =
      TRY(passphrase_of(given.store.secret, "The key of \"" + old.holder() + "\", which signs its successor."));
  const card::CvDate today = TRY(date_of(""));
  const auto made = TRY(store.roll_over(options, passphrase, today));
  const card::CvCertificate verifier = TRY(store.issue_verifier(
      {.key = options.key, .key_file_iterations = options.key_file_iterations}, passphrase, today));
  say("\"" + made.authority.holder() + "\" follows \"" + old.holder() + "\"; cards learn it from the link");
  say("its verifier is \"" + verifier.holder() + "\"; terminals need new certificates: karta cv issue ROLE");
  print((store.folder() / (old.holder() + "-" + made.authority.holder() + std::string(card::kCvSuffix))).string());
  return 0;
}

// ---- verify --------------------------------------------------------------------------------------------------------

struct VerifyArguments {
  StoreArguments store;
  std::vector<std::string> files;
  std::vector<std::string> anchors;
  std::string at;
  bool json = false;
};

// From the top down, whatever order they were named in.
std::vector<card::CvCertificate> ordered(std::vector<card::CvCertificate> given) {
  std::vector<card::CvCertificate> chain;
  while (!given.empty()) {
    const auto next = std::find_if(given.begin(), given.end(), [&](const card::CvCertificate& one) {
      if (!chain.empty()) return one.authority() == chain.back().holder();
      return std::none_of(given.begin(), given.end(), [&](const card::CvCertificate& other) {
        return !(other == one) && other.holder() == one.authority();
      });
    });
    const auto take = next == given.end() ? given.begin() : next;
    chain.push_back(std::move(*take));
    given.erase(take);
  }
  return chain;
}

Result<int> run_verify(const VerifyArguments& given) {
  std::vector<card::CvCertificate> anchors;
  for (const std::string& file : given.anchors) {
    card::CvCertificate anchor = TRY(card::read_cv_certificate(file));
    anchors.push_back(std::move(anchor));
  }
  if (given.anchors.empty()) anchors = TRY(given.store.store().anchors());
  std::vector<card::CvCertificate> named;
  for (const std::string& file : given.files) {
    card::CvCertificate one = TRY(card::read_cv_certificate(file));
    named.push_back(std::move(one));
  }
  const std::vector<card::CvCertificate> chain = ordered(std::move(named));
  const card::CvDate date = TRY(date_of(given.at));
  const auto trust = card::verify_cv_chain(anchors, chain, date);
  if (given.json) {
    Json document = json_document("karta.cv.verify/1");
    document["valid"] = trust.has_value();
    document["at"] = card::to_string(date);
    document["holder"] = chain.back().holder();
    document["chain"] = Json::array();
    for (const card::CvCertificate& one : chain) document["chain"].push_back(one.holder());
    document["sector_rights"] = trust ? Json(card::names_of_sector_rights(trust->sector_rights)) : Json::array();
    document["rights"] = trust ? Json(card::names_of(trust->chat.type, trust->chat.rights)) : Json::array();
    document["reason"] = trust ? Json() : Json(trust.error().message);
    print_json(document);
    return trust ? 0 : trust.error().exit_code();
  }
  if (!trust) return fail(trust.error());
  print("valid       " + trust->holder + ", a " + std::string(name_of(trust->chat.role)));
  print("rights      " + joined(card::names_of(trust->chat.type, trust->chat.rights)));
  if (trust->sector_rights != 0) print("sectors     " + joined(card::names_of_sector_rights(trust->sector_rights)));
  return 0;
}

// ---- request -------------------------------------------------------------------------------------------------------

struct RequestArguments {
  std::string holder, authority, out, key_out;
  std::string key;  ///< one that is there already
  std::string key_type = "p256";
  SecretOptions secret;
};

Result<int> write_request(const RequestArguments& given, crypto::Signer& signer) {
  for (const crypto::AlgorithmId id : crypto::algorithms_of(signer.public_key())) {
    if (card::find_cv_algorithm(id) == nullptr) continue;
    const Bytes request = TRY(card::make_cv_request(given.authority, given.holder, {}, signer, id));
    TRY(write_new_file(given.out, request, 0644));
    return 0;
  }
  return fail(ErrorKind::unsupported, "cards verify no signature of a " + signer.public_key().type_name() + " key");
}

Result<int> run_request(const RequestArguments& given) {
  const crypto::KeyType type = TRY(curve_named(given.key_type));
  TRY(card::check_cv_reference(given.holder));
  if (given.key.empty() == given.key_out.empty()) {
    return fail(ErrorKind::usage, "a request is for a new key or for one that is there",
                "--key-out FILE, or --key with a file or a PKCS #11 URI");
  }
  for (const std::string* file : {&given.out, &given.key_out}) {
    if (std::filesystem::exists(*file)) return fail(ErrorKind::already_exists, "\"" + *file + "\" exists");
  }
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  if (!given.key.empty()) {
    const auto signer = TRY(open_signer(given.key, "\"" + given.key + "\"", {}, *input));
    TRY(write_request(given, *signer));
    say("another authority certifies it: karta cv issue dv --request " + given.out);
    return 0;
  }
  const SecretBytes passphrase = TRY(input->ask({"A passphrase for the terminal's new key.", "passphrase", "", true}));
  crypto::PrivateKey key = TRY(crypto::PrivateKey::generate(type));
  const std::string pem = TRY(key.to_encrypted_pem(passphrase));
  crypto::SoftwareSigner signer(std::move(key));
  TRY(write_new_file(given.key_out, as_bytes(pem), 0600));
  TRY(write_request(given, signer));
  say("the verifier's centre answers " + given.out + ": karta cv issue ROLE --request " + given.out);
  return 0;
}

}  // namespace

void add_cv(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("cv", "Certificates of terminals: who may read what from cards");
  noun.require_subcommand(1);

  auto issue = std::make_shared<IssueArguments>();
  CLI::App& issuing = *noun.add_subcommand("issue", "A certificate for a role, for a verifier, or a first authority");
  issuing
      .add_option("kind", issue->kind, "clinic, ambulance, pharmacy, transit, counter, age-check, official; dv; cvca")
      ->required();
  add_store_options(issuing, issue->store);
  issuing.add_option("--rights", issue->rights, "these rights instead of the role's, separated by commas")
      ->delimiter(',');
  issuing.add_option("--days", issue->days, "validity (default: cvca 1095, dv 365, terminals 30)")
      ->check(CLI::Range(1, 7300));
  issuing.add_option("--key-type", issue->key_type, "curve of a new authority; all below it have the same")
      ->capture_default_str();
  issuing.add_option("--country", issue->country, "of a new authority: two capitals")->capture_default_str();
  issuing.add_option("--request", issue->request, "certify the key of this request (karta cv request)");
  add_passphrase_options(issuing, issue->store.secret);
  issuing.footer("Example: karta cv issue clinic --days 7 --dir centre");
  on_call(issuing, chosen, [issue] { return run_issue(*issue); });

  auto files = std::make_shared<std::pair<std::vector<std::string>, bool>>();
  CLI::App& showing = *noun.add_subcommand("show", "What certificates say");
  showing.add_option("file", files->first, "certificates, in octets or hexadecimal")->required();
  showing.add_flag("--json", files->second, "for scripts: karta.cv.show/1");
  on_call(showing, chosen, [files] { return run_show(files->first, files->second); });

  auto link = std::make_shared<IssueArguments>();
  CLI::App& linking = *noun.add_subcommand("link", "A new authority, and the link that makes cards accept it");
  add_store_options(linking, link->store);
  linking.add_option("--days", link->days, "validity of the new authority (default: 1095)")->check(CLI::Range(1, 7300));
  linking.add_option("--key-type", link->key_type, "its curve")->capture_default_str();
  add_passphrase_options(linking, link->store.secret);
  on_call(linking, chosen, [link] { return run_link(*link); });

  auto verify = std::make_shared<VerifyArguments>();
  CLI::App& verifying = *noun.add_subcommand("verify", "Check a chain as a card would, and show the rights it leaves");
  verifying.add_option("file", verify->files, "links, verifier, terminal, in any order")->required();
  add_store_options(verifying, verify->store);
  verifying.add_option("--anchor", verify->anchors, "a trusted authority, instead of the centre's");
  verifying.add_option("--at", verify->at, "the day to check for: 2026-11-22 (default: today)");
  verifying.add_flag("--json", verify->json, "for scripts: karta.cv.verify/1");
  on_call(verifying, chosen, [verify] { return run_verify(*verify); });

  auto request = std::make_shared<RequestArguments>();
  CLI::App& requesting =
      *noun.add_subcommand("request", "A request for a certificate, with a new key or one that is there");
  requesting.add_option("holder", request->holder, "the holder reference asked for: RUCLINIC00002")->required();
  requesting.add_option("--authority", request->authority, "the verifier asked: RUKDV00001");
  requesting.add_option("--out", request->out, "the request")->required();
  requesting.add_option("--key-out", request->key_out, "the new key, encrypted");
  requesting.add_option(
      "--key", request->key,
      "no new key, but this one, a file or a PKCS #11 URI: a verifier's, for another region's authority; a "
      "terminal's in a token or on a card");
  requesting.add_option("--key-type", request->key_type, "the authority's curve")->capture_default_str();
  add_passphrase_options(requesting, request->secret);
  on_call(requesting, chosen, [request] { return run_request(*request); });
}

}  // namespace karta::cli
