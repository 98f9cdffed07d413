// Sources: what signatures above the basic level are made with, and who brings it.
//
// A TimestampSource and a RevocationSource stand for services on a network, files, or an authority in this process; a
// test brings its own. Nothing in this room opens a connection.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "crypto/cms/timestamp.h"
#include "crypto/x509/certificate.h"

namespace karta::crypto {

/// Baseline levels (EN 319 122-1 §6, EN 319 142-1 §6): basic, with a time-stamp, with validation data, with a
/// time-stamp over those. Ordered.
enum class SignatureLevel : std::uint8_t { b_b, b_t, b_lt, b_lta };
/// "B-LT"
std::string_view name_of(SignatureLevel level);
/// Reads "B-B", "B-T", "B-LT", "B-LTA" in either case.
std::optional<SignatureLevel> find_signature_level(std::string_view name);

class TimestampSource {
 public:
  virtual ~TimestampSource() = default;
  /// A token over `imprint`, DER.
  virtual Result<Bytes> stamp(const MessageImprint& imprint) = 0;
};

/// CRLs and OCSP answers, DER.
struct RevocationEvidence {
  std::vector<Bytes> crls, ocsp;
};

class RevocationSource {
 public:
  virtual ~RevocationSource() = default;
  /// What is to be had about `certificate` by `issuer`; may be nothing.
  virtual Result<RevocationEvidence> about(const Certificate& certificate, const Certificate& issuer) = 0;
};

/// What a signature is raised with. Pointers may be null where the level asked for does not need them.
struct SignatureServices {
  TimestampSource* timestamps = nullptr;
  RevocationSource* revocation = nullptr;
  std::vector<Certificate> certificates = {};  ///< further ones of paths: roots, time-stamp authorities
  Hash hash = Hash::sha256;                    ///< of what is time-stamped
};

/// The certificates and revocation data that whoever validates later will need.
struct ValidationData {
  std::vector<Certificate> certificates;
  std::vector<Bytes> crls, ocsp;

  void add(const Certificate& certificate);
  void add(const RevocationEvidence& evidence);
};
/// Collects it for the path of `leaf`: issuers are sought among `known` and services.certificates, and revocation data
/// asked for each but the root. A certificate nothing can be learnt of is an error (not_found), unless it needs none.
Status collect_validation_data(const Certificate& leaf, const std::vector<Certificate>& known,
                               const SignatureServices& services, ValidationData& out);

}  // namespace karta::crypto
