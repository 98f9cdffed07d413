// karta stop-list foreign: which certificates of other authorities are revoked, in a filter for those who check
// without a network.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/random.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/secret_input.h"
#include "crypto/x509/crl.h"
#include "identity/stop_list/foreign_filter.h"
#include "issuing/centre.h"

namespace karta::cli {
namespace {

namespace fs = std::filesystem;
using identity::ForeignFilter;

constexpr std::size_t kMostCertificates = 1u << 20;
constexpr unsigned kHours = 26;  // made daily
constexpr std::chrono::minutes kAhead{5};

struct Arguments {
  std::string folder;
  std::string file;
  std::vector<std::string> crls, issuers, certificates, signers;
  std::string out;
  std::uint64_t epoch = 0;
  unsigned hours = kHours;
  bool json = false;
  SecretOptions secret;
};

Result<std::vector<crypto::Certificate>> read_all(const std::vector<std::string>& files) {
  std::vector<crypto::Certificate> out;
  for (const std::string& file : files) {
    const Bytes octets = TRY(read_file(file, kMostCertificates));
    auto some = TRY(crypto::Certificate::many_from_file_octets(octets));
    out.insert(out.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  return out;
}

/// The keys of a list's entries, once its issuer's signature and its dates have been checked.
Status take_crl(const std::string& file, const std::vector<crypto::Certificate>& issuers, Time now,
                std::vector<identity::ForeignKey>& keys) {
  const auto bad = [&](ErrorKind kind, std::string_view what) {
    return fail(kind, "\"" + file + "\": " + std::string(what));
  };
  const Bytes octets = TRY(read_file(file, crypto::Crl::kMostOctets * 2));
  const crypto::Crl crl = TRY(crypto::Crl::from_file_octets(octets));
  if (crl.is_delta()) return bad(ErrorKind::unsupported, "a delta alone does not say who is revoked");
  if (!crl.unknown_critical_extensions().empty())
    return bad(ErrorKind::unsupported, "has a critical extension that is not understood");
  const bool verified = std::any_of(issuers.begin(), issuers.end(), [&](const crypto::Certificate& issuer) {
    if (!(issuer.subject() == crl.issuer()) || !issuer.allows(crypto::KeyUsage::crl_sign)) return false;
    const auto key = issuer.public_key();
    return key && crypto::verify_crl_signature(crl, *key);
  });
  if (!verified) return bad(ErrorKind::untrusted, "is signed by none of the issuers named");
  if (crl.this_update() > now + kAhead) return bad(ErrorKind::untrusted, "lies in the future");
  if (crl.next_update() && *crl.next_update() < now) return bad(ErrorKind::untrusted, "is out of date");
  for (const crypto::CrlEntry& entry : crl.entries())
    keys.push_back(identity::foreign_key(crl.certificate_issuers()[entry.issuer], entry.serial));
  return {};
}

Result<int> run_build(const Arguments& given) {
  const SystemClock clock;
  SystemRandom random;
  const Time now = clock.now();
  const auto issuers = TRY(read_all(given.issuers));
  std::vector<identity::ForeignKey> keys;
  for (const std::string& file : given.crls) TRY(take_crl(file, issuers, now, keys));
  issuing::Centre centre = TRY(issuing::Centre::open(given.folder, clock, random));
  identity::ForeignFilterHead head;
  // Seconds rise by themselves: nobody has to keep a count of filters made.
  head.epoch = given.epoch != 0 ? given.epoch : static_cast<std::uint64_t>(now.time_since_epoch().count());
  head.this_update = now;
  head.next_update = now + std::chrono::hours(given.hours);
  head.issuer = centre.config().name;
  const std::size_t entries = keys.size();
  Bytes body = TRY(identity::encode_foreign_filter(head, std::move(keys)));
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const SecretBytes passphrase = TRY(input->ask({.title = "Filter of foreign certificates",
                                                 .prompt = "passphrase of the issuing CA",
                                                 .warning = "",
                                                 .repeat = false}));
  const auto signer = TRY(centre.unlock_issuing_ca(passphrase));
  const Bytes file = TRY(identity::sign_foreign_filter(std::move(body), *signer));
  TRY(write_new_file(given.out, file, 0644));
  if (given.json) {
    Json document = json_document("karta.stop-list.foreign.build/1");
    document["file"] = given.out;
    document["epoch"] = head.epoch;
    document["listed"] = entries;
    document["octets"] = file.size();
    print_json(document);
  } else {
    print("filter of " + std::to_string(entries) + " certificates, " + std::to_string(file.size()) + " octets, in \"" +
          given.out + "\"");
  }
  return 0;
}

Result<int> run_check(const Arguments& given) {
  const Time now = SystemClock().now();
  std::vector<std::string> named = given.signers;
  if (named.empty()) {
    const auto config = issuing::load_centre_config(given.folder);
    if (!config)
      return fail(ErrorKind::untrusted, "no trust data: nobody was named whose filters count",
                  "--signer FILE, or --dir CENTRE");
    named.push_back(config->issuing.certificate.string());
  }
  const auto signers = TRY(read_all(named));
  const Bytes octets = TRY(read_file(given.file, identity::kMostForeignFilterOctets));
  TRY(ForeignFilter::signer(octets, signers, now));
  const ForeignFilter filter = TRY(ForeignFilter::parse(octets));
  const bool fresh = now <= filter.head().next_update && now + kAhead >= filter.head().this_update;
  const auto certificates = TRY(read_all(given.certificates));
  Json document = json_document("karta.stop-list.foreign.check/1");
  document["issuer"] = filter.head().issuer;
  document["epoch"] = filter.head().epoch;
  document["fresh"] = fresh;
  document["certificates"] = Json::array();
  bool listed = false;
  for (const crypto::Certificate& one : certificates) {
    const bool found = filter.may_list(identity::foreign_key(one));
    listed = listed || found;
    const std::string serial = to_hex(one.serial());
    document["certificates"].push_back(
        {{"issuer", one.issuer().to_text()}, {"serial", serial}, {"verdict", found ? "listed" : "not-listed"}});
    if (!given.json) print(serial + "  " + (found ? "listed" : "not listed") + "  " + one.issuer().display());
  }
  if (given.json) {
    print_json(document);
  } else if (!fresh) {
    print("the filter is out of date: \"not listed\" is not to be relied upon");
  }
  return listed ? 1 : fresh ? 0 : 2;
}

}  // namespace

void add_stop_list_foreign(CLI::App& stop_list_noun, Run& chosen) {
  CLI::App& noun = *stop_list_noun.add_subcommand(
      "foreign", "Revoked certificates of other authorities, which have no status index");
  noun.require_subcommand(1);
  const auto given = std::make_shared<Arguments>();

  CLI::App& build = *noun.add_subcommand("build", "make a filter of other authorities' CRLs");
  build.add_option("--crl", given->crls, "CRLs; may be repeated")->required();
  build.add_option("--issuer", given->issuers, "certificates of those who sign the CRLs")->required();
  build.add_option("--out", given->out, "the filter; must not be there yet")->required();
  build.add_option("--epoch", given->epoch, "higher than any before (default: the time in seconds)");
  build.add_option("--hours", given->hours, "until the next filter is due")
      ->check(CLI::Range(1u, 24u * 366u))
      ->capture_default_str();
  build.add_flag("--json", given->json, "for scripts");
  add_centre_option(build, given->folder);
  add_passphrase_options(build, given->secret);
  on_call(build, chosen, [given] { return run_build(*given); });

  CLI::App& check =
      *noun.add_subcommand("check", "look certificates up; exit 0 not listed, 1 listed, 2 the filter is not fresh");
  check.add_option("file", given->file, "the filter")->required();
  check.add_option("--certificate", given->certificates, "certificates to look up")->required();
  check.add_option("--signer", given->signers,
                   "certificates of the authorities whose filters count (default: the centre's issuing CA)");
  check.add_flag("--json", given->json, "for scripts");
  add_centre_option(check, given->folder);
  on_call(check, chosen, [given] { return run_check(*given); });
}

}  // namespace karta::cli
