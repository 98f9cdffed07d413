// karta cert: looks at certificates, CRLs and OCSP answers, and says whether a certificate holds, and why.
#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "crypto/x509/path.h"
#include "issuing/centre_config.h"

namespace karta::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::vector<std::string> files;
  std::vector<std::string> anchors;
  std::vector<std::string> intermediates;
  std::vector<std::string> crls;
  std::vector<std::string> ocsp;
  std::vector<std::string> policies;
  crypto::PolicyInputs rules;
  std::string folder;
  std::string at;
  std::string purpose = "any";
  std::string revocation = "auto";
  bool json = false;
};

Result<std::vector<crypto::Certificate>> read_certificates(const std::vector<std::string>& files) {
  std::vector<crypto::Certificate> out;
  for (const std::string& file : files) {
    const Bytes octets = TRY(read_file(file, 16u << 20));
    auto certificates = crypto::Certificate::many_from_file_octets(octets);
    if (!certificates) return fail(certificates.error().kind, "\"" + file + "\": " + certificates.error().message);
    out.insert(out.end(), certificates->begin(), certificates->end());
  }
  return out;
}

/// A policy: an OID, or "any".
Result<std::vector<std::string>> read_policies(const std::vector<std::string>& words) {
  std::vector<std::string> out;
  for (const std::string& word : words) {
    if (!der::oid_from_text(word)) return fail(ErrorKind::usage, "\"" + word + "\" is no policy", "an OID: 1.2.3.4");
    out.push_back(word);
  }
  return out;
}

std::string serial_text(const crypto::Certificate& certificate) { return to_hex_upper(certificate.serial(), ":"); }

Json json_of(const crypto::Certificate& certificate) {
  const auto key = certificate.public_key();
  return Json{
      {"subject", certificate.subject().to_text()},
      {"issuer", certificate.issuer().to_text()},
      {"serial", to_hex(certificate.serial())},
      {"not_before", format_time(certificate.not_before())},
      {"not_after", format_time(certificate.not_after())},
      {"key", key ? key->type_name() : "unknown"},
      {"signature", certificate.signature_algorithm() ? row_of(*certificate.signature_algorithm()).name
                                                      : std::string_view(certificate.signature_algorithm_oid())},
      {"ca", certificate.is_ca()},
      {"sha256", to_hex(certificate.fingerprint())}};
}

Json json_of(const crypto::RevocationResult& result) {
  Json out{{"status", crypto::name_of(result.status)}};
  if (!result.source.empty()) out["source"] = result.source;
  if (!result.reason.empty()) out["reason"] = result.reason;
  if (result.revoked_at) out["revoked_at"] = format_time(*result.revoked_at);
  if (result.revocation_reason) out["revocation_reason"] = crypto::name_of(*result.revocation_reason);
  if (result.this_update) out["this_update"] = format_time(*result.this_update);
  if (result.next_update) out["next_update"] = format_time(*result.next_update);
  return out;
}

/// What a verdict means to a script: 0 valid, 1 refused, 2 not known (no trust data, no path, revocation unknown).
int exit_code_of(crypto::PathFault fault) {
  switch (fault) {
    case crypto::PathFault::none:
      return 0;
    case crypto::PathFault::no_trust_data:
    case crypto::PathFault::no_path:
    case crypto::PathFault::limit:
    case crypto::PathFault::unsupported:
    case crypto::PathFault::revocation_unknown:
      return 2;
    default:
      return 1;
  }
}

std::string_view verdict_of(crypto::PathFault fault) {
  constexpr std::string_view kWords[] = {"VALID", "INVALID", "INDETERMINATE"};
  return kWords[exit_code_of(fault)];
}

Json json_of(const std::string& file, const crypto::PathResult& path) {
  Json out{{"file", file}, {"verdict", verdict_of(path.fault)}, {"fault", crypto::name_of(path.fault)}};
  if (!path.ok()) {
    out["reason"] = path.reason;
    out["at"] = path.at;
  }
  out["chain"] = Json::array();
  for (std::size_t i = 0; i < path.chain.size(); ++i) {
    Json one = json_of(path.chain[i]);
    if (i < path.revocation.size()) one["revocation"] = json_of(path.revocation[i]);
    out["chain"].push_back(std::move(one));
  }
  out["policies"] = Json{{"authority", path.policies.authority_policies}, {"user", path.policies.user_policies}};
  out["other_attempts"] = path.other_attempts;
  return out;
}

void print_text(const std::string& file, const crypto::PathResult& path) {
  print(file + ": " + std::string(verdict_of(path.fault)));
  if (!path.ok()) print("  " + path.reason + " [" + std::string(crypto::name_of(path.fault)) + "]");
  for (std::size_t i = 0; i < path.chain.size(); ++i) {
    const crypto::Certificate& one = path.chain[i];
    const auto key = one.public_key();
    const bool last = i + 1 == path.chain.size();
    print(std::string("  ") +
          (path.ok() && last ? "anchor "
           : i == 0          ? "       "
                             : "by     ") +
          one.subject().to_text());
    print("           serial " + serial_text(one) + ", " + (key ? key->type_name() : "unknown key") + ", " +
          format_time(one.not_before()) + " to " + format_time(one.not_after()));
    if (i < path.revocation.size() && path.revocation[i].status != crypto::RevocationStatus::not_asked) {
      const crypto::RevocationResult& revocation = path.revocation[i];
      print("           revocation: " + std::string(crypto::name_of(revocation.status)) +
            (revocation.source.empty() ? "" : ", " + revocation.source) +
            (revocation.reason.empty() ? "" : " (" + revocation.reason + ")"));
    }
  }
  if (!path.policies.user_policies.empty()) {
    std::string line = "  policies:";
    for (const std::string& policy : path.policies.user_policies) {
      line += " " + (policy == crypto::kAnyPolicyOid ? std::string("any") : policy);
    }
    print(line);
  }
  for (const std::string& attempt : path.other_attempts) print("  another way did not hold: " + attempt);
}

Result<int> run_verify(const Arguments& given) {
  std::vector<crypto::Certificate> anchors = TRY(read_certificates(given.anchors));
  std::vector<crypto::Certificate> intermediates = TRY(read_certificates(given.intermediates));
  if (given.anchors.empty() && fs::exists(fs::path(given.folder) / issuing::kCentreFile)) {
    const auto config = TRY(issuing::load_centre_config(given.folder));
    anchors = TRY(read_certificates({config.root.certificate.string()}));
    const auto own = TRY(read_certificates({config.issuing.certificate.string()}));
    intermediates.insert(intermediates.end(), own.begin(), own.end());
  }
  crypto::RevocationData revocation;
  for (const std::string& file : given.crls) {
    const Bytes octets = TRY(read_file(file, 2 * crypto::Crl::kMostOctets));
    auto crl = crypto::Crl::from_file_octets(octets);
    if (!crl) return fail(crl.error().kind, "\"" + file + "\": " + crl.error().message);
    revocation.add(std::move(*crl));
  }
  for (const std::string& file : given.ocsp) {
    const Bytes octets = TRY(read_file(file, crypto::OcspResponse::kMostOctets));
    auto response = crypto::OcspResponse::from_der(octets);
    if (!response) return fail(response.error().kind, "\"" + file + "\": " + response.error().message);
    if (!response->successful()) {
      warn("\"" + file + "\" says " + std::string(crypto::name_of(response->status())) + " and nothing else");
    }
    revocation.add(std::move(*response));
  }
  crypto::PathOptions options;
  options.at = given.at.empty() ? SystemClock().now() : TRY(parse_time(given.at));
  const auto purpose = crypto::find_purpose(given.purpose);
  if (!purpose) {
    return fail(ErrorKind::usage, "\"" + given.purpose + "\" is no purpose",
                "any, document, authenticate, time-stamp, ocsp, crl or tls-server");
  }
  options.purpose = *purpose;
  options.policies = given.rules;
  options.policies.initial_policies = TRY(read_policies(given.policies));
  options.revocation_data = &revocation;
  if (given.revocation == "required" || (given.revocation == "auto" && !revocation.empty())) {
    options.revocation = crypto::RevocationMode::required;
  } else if (given.revocation == "if-known") {
    options.revocation = crypto::RevocationMode::if_known;
  } else if (given.revocation != "none" && given.revocation != "auto") {
    return fail(ErrorKind::usage, "\"" + given.revocation + "\" is no way to look at revocation",
                "auto, none, if-known or required");
  }

  const crypto::PathVerifier verifier(std::move(anchors), std::move(intermediates));
  Json document = json_document("karta.cert.verify/1");
  document["validated_at"] = format_time(options.at);
  document["certificates"] = Json::array();
  int worst = 0;
  for (const std::string& file : given.files) {
    const auto certificates = TRY(read_certificates({file}));
    // What stands below the first certificate of a file are its own intermediates.
    const std::vector<crypto::Certificate> more(certificates.begin() + 1, certificates.end());
    const crypto::PathResult path = verifier.verify(certificates.front(), more, options);
    const int code = exit_code_of(path.fault);
    // As with signatures: refused is worse than not known.
    if (code != 0 && (worst == 0 || code < worst)) worst = code;
    if (given.json) {
      document["certificates"].push_back(json_of(file, path));
    } else {
      print_text(file, path);
    }
  }
  if (given.json) print_json(document);
  if (!given.json && verifier.anchors().empty()) {
    say("hint: no root to trust was given: --anchor ROOT.pem, or --dir of an issuing centre");
  } else if (!given.json && options.revocation == crypto::RevocationMode::none) {
    say("note: revocation was not looked at; give --crl or --ocsp files");
  }
  return worst;
}

Result<int> run_show(const Arguments& given) {
  Json document = json_document("karta.cert.show/1");
  document["certificates"] = Json::array();
  for (const std::string& file : given.files) {
    for (const crypto::Certificate& one : TRY(read_certificates({file}))) {
      if (given.json) {
        Json row = json_of(one);
        row["file"] = file;
        row["policies"] = one.policies();
        row["extended_key_usage"] = one.extended_key_usage();
        row["crl_urls"] = one.crl_urls();
        row["ocsp_urls"] = one.ocsp_urls();
        row["alternative_names"] = Json::array();
        for (const crypto::GeneralName& name : one.subject_alternative_names()) {
          row["alternative_names"].push_back(crypto::to_text(name));
        }
        document["certificates"].push_back(std::move(row));
        continue;
      }
      const auto key = one.public_key();
      print(one.subject().to_text());
      print("  by       " + one.issuer().to_text());
      print("  serial   " + serial_text(one));
      print("  valid    " + format_time(one.not_before()) + " to " + format_time(one.not_after()));
      print("  key      " + (key ? key->type_name() : "unknown: " + key.error().message) + ", signed with " +
            (one.signature_algorithm() ? std::string(row_of(*one.signature_algorithm()).name)
                                       : one.signature_algorithm_oid()));
      std::string usages;
      for (unsigned bit = 0; one.has_key_usage() && bit <= 8; ++bit) {
        const auto usage = static_cast<crypto::KeyUsage>(bit);
        if (one.allows(usage)) usages += (usages.empty() ? "" : ", ") + std::string(crypto::name_of(usage));
      }
      if (!usages.empty()) print("  for      " + usages);
      if (one.is_ca()) {
        const auto& length = one.basic_constraints()->path_length;
        print("  CA       " + (length ? "with path length " + std::to_string(*length) : std::string("of any depth")));
      }
      for (const crypto::GeneralName& name : one.subject_alternative_names())
        print("  also     " + crypto::to_text(name));
      for (const std::string& policy : one.policies()) print("  policy   " + policy);
      if (const auto& constraints = one.name_constraints()) {
        for (const auto& base : constraints->permitted) print("  permits  " + crypto::to_text(base));
        for (const auto& base : constraints->excluded) print("  excludes " + crypto::to_text(base));
      }
      for (const std::string& url : one.crl_urls()) print("  CRL      " + url);
      for (const std::string& url : one.ocsp_urls()) print("  OCSP     " + url);
      print("  SHA-256  " + to_hex_upper(one.fingerprint(), ":"));
    }
  }
  if (given.json) print_json(document);
  return 0;
}

}  // namespace

void add_cert(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("cert", "Look at certificates, and check whether they hold");
  noun.require_subcommand(1);

  auto verify = std::make_shared<Arguments>();
  CLI::App& verify_command = *noun.add_subcommand("verify", "Check certificates by RFC 5280, and explain the verdict");
  verify_command
      .add_option("file", verify->files, "certificates, PEM or DER; further ones in a file are intermediates")
      ->required();
  verify_command.add_option("--anchor", verify->anchors, "certificates to trust; may be repeated");
  verify_command.add_option("--intermediate", verify->intermediates, "certificates a path may go by; may be repeated");
  verify_command.add_option("--crl", verify->crls, "CRLs: complete, delta, of any issuer; may be repeated");
  verify_command.add_option("--ocsp", verify->ocsp, "OCSP answers, DER; may be repeated");
  verify_command.add_option("--at", verify->at, "the moment to check at (2026-11-21T08:30:00Z); default: now");
  verify_command
      .add_option("--purpose", verify->purpose, "any, document, authenticate, time-stamp, ocsp, crl, tls-server")
      ->capture_default_str();
  verify_command.add_option("--policy", verify->policies, "acceptable policies, OIDs; may be repeated; default: any");
  verify_command.add_flag("--require-explicit-policy", verify->rules.require_explicit_policy,
                          "the path must be valid under an acceptable policy");
  verify_command.add_flag("--inhibit-mapping", verify->rules.inhibit_mapping, "policy mappings do not count");
  verify_command.add_flag("--inhibit-any-policy", verify->rules.inhibit_any_policy,
                          "the policy that stands for any does not count");
  verify_command
      .add_option("--revocation", verify->revocation,
                  "auto (required as soon as --crl or --ocsp is given), none, if-known, required")
      ->capture_default_str();
  add_centre_option(verify_command, verify->folder);
  verify_command.add_flag("--json", verify->json, "as karta.cert.verify/1");
  verify_command.footer(
      "Exit code: 0 valid, 1 invalid, 2 indeterminate (no trust data, no path, revocation not known); of several\n"
      "certificates invalid counts before indeterminate. Nothing is fetched from the network.\n"
      "Example: karta cert verify citizen.pem --anchor root.pem --intermediate ca.pem --crl ca.crl --crl root.crl");
  on_call(verify_command, chosen, [verify] { return run_verify(*verify); });

  auto show = std::make_shared<Arguments>();
  CLI::App& show_command = *noun.add_subcommand("show", "What certificates say");
  show_command.add_option("file", show->files, "certificates, PEM or DER")->required();
  show_command.add_flag("--json", show->json, "as karta.cert.show/1");
  on_call(show_command, chosen, [show] { return run_show(*show); });
}

}  // namespace karta::cli
