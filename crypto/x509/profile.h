// CertificateProfile: what an issuing centre's TOML file says about one kind of certificate.
//
//   schema = "karta.certificate-profile/1"     # required
//   name = "citizen-qualified"                 # required
//   description = "..."
//   validity_days = 1095                       # required, 1 to 36525
//   key_types = ["p256", "rsa-2048"]           # keys that are certified; default: all of kKeyTypes
//   signature_algorithm = "ecdsa-sha256"       # default: the issuer key's first one
//   key_usage = ["digitalSignature", "nonRepudiation"]
//   extended_key_usage = ["clientAuth", "1.2.643.2.2.34.6"]
//   policies = ["1.2.643.100.113.1"]
//   crl_urls = ["http://..."]   ocsp_urls = [...]   issuer_urls = [...]
//   status_index = "required" | "optional" | "none"    # default "none"
//   critical = ["extKeyUsage"]                 # which of extKeyUsage and certificatePolicies are critical
//   freshest_crl_urls = [...]                  # where delta CRLs are
//   cps_url = "https://..."                    # qualifier of every policy
//   key_identifiers = false                   # default true; a card that has to be read fast does without
//   ocsp_no_check = true                       # an OCSP responder's certificate that is not checked itself
//   policy_mappings = ["1.2.3=1.2.4"]          # CAs only, as the three below
//   require_explicit_policy = 0   inhibit_policy_mapping = 0   inhibit_any_policy = 0
//
//   [name_constraints]                         # CAs only
//   permitted = ["dns:example", "email:.example", "ip:192.0.2.0/24", "dirname:O=Test,C=RU"]
//   excluded = ["uri:.example"]
//
//   [qualified_63fz]                           # order 795 of the Federal Security Service
//   subject_sign_tool = "..."                  # the means the holder signs with
//   sign_tool = "..."   ca_tool = "..."   sign_tool_certificate = "..."   ca_tool_certificate = "..."
//   identification_kind = 0                    # 0 in person, 1 by signature, 2 by passport, 3 by biometry
//
//   [qc_statements]                            # EN 319 412-5
//   type = "esign" | "eseal" | "web"           # required
//   sscd = true                                # the key lives in a qualified device
//   retention_years = 10
//   countries = ["XX"]                         # whose law, where it is not the Union's
//   disclosure = ["en=https://..."]            # PKI disclosure statements, by language
//
//   [basic_constraints]                        # absent: no such extension
//   ca = true
//   path_length = 0                            # only with ca = true
//
//   [subject]                                  # absent: any attribute karta knows may be asked for
//   required = ["CN", "SNILS"]                 # each must be in the request
//   optional = ["SN", "GN", "INN"]             # may be; anything else is refused
//   [subject.fixed]                            # put in front of the requested ones, in the order of C, O, OU, ...
//   C = "RU"
//
// Every key is checked; an unknown one is refused with its line number.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "crypto/algorithm.h"
#include "crypto/x509/certificate.h"

namespace karta::crypto {

enum class StatusIndexRule : std::uint8_t { none, optional, required };

struct CertificateProfile {
  std::string name;
  std::string description;
  unsigned validity_days = 0;
  std::vector<KeyType> key_types;
  std::optional<AlgorithmId> signature_algorithm;
  std::vector<KeyUsage> key_usage;
  std::vector<std::string> extended_key_usage;  ///< dotted OIDs
  std::optional<BasicConstraints> basic_constraints;
  std::vector<std::string> policies;  ///< dotted OIDs
  std::vector<std::string> crl_urls;
  std::vector<std::string> ocsp_urls;
  std::vector<std::string> issuer_urls;
  std::string cps_url;
  bool extended_key_usage_critical = false;
  bool policies_critical = false;
  /// Extensions the profile gives word by word: constraints, mappings, statements; in the order of the comment above.
  std::vector<Extension> extensions;
  StatusIndexRule status_index = StatusIndexRule::none;
  bool key_identifiers = true;                ///< subject's and authority's; without: paths go by names alone
  bool subject_restricted = false;            ///< there is a [subject] table
  std::vector<std::string> subject_required;  ///< names or OIDs of rows of find_name_attribute
  std::vector<std::string> subject_optional;
  std::vector<std::pair<std::string, std::string>> subject_fixed;

  /// Reads TOML text of at most kMostProfileOctets. Fails with configuration; the message begins
  /// "`source_name`:LINE: ".
  static Result<CertificateProfile> from_toml(std::string_view text, std::string_view source_name = "profile");
};
inline constexpr std::size_t kMostProfileOctets = 64 * 1024;

}  // namespace karta::crypto
