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
  StatusIndexRule status_index = StatusIndexRule::none;
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
