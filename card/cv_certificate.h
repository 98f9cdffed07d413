// CvCertificate: a card-verifiable certificate (TR-03110-3 appendix C), parsed once, strictly, owning its octets.
//
//   7F21 { 7F4E { 5F29 profile, 42 authority, 7F49 public key, 5F20 holder, 7F4C CHAT, 5F25 from, 5F24 until,
//                 65 extensions OPTIONAL }, 5F37 signature }
//
// A country's authority (CVCA) signs itself and its document verifiers (DV), a verifier signs terminals; a link
// certificate is a new CVCA signed by the old one. Parsing checks structure only: verify_cv_chain() checks the rest.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "card/chat.h"
#include "card/sector_rights.h"
#include "crypto/signer.h"

namespace karta::card {

/// A day; certificates hold the years 2000 to 2099 in six octets of one digit each.
using CvDate = std::chrono::year_month_day;
/// Six octets 00..09: YYMMDD.
Bytes encode_cv_date(CvDate date);
Result<CvDate> parse_cv_date(ByteView six_octets);
/// "2026-11-22"
std::string to_string(CvDate date);
CvDate cv_date_of(Time time);

/// A row: how a certificate's key signs (TR-03110-3 A.6.4.2, A.6.4.3).
struct CvAlgorithm {
  std::string_view oid;  ///< dotted, id-TA-...
  std::string_view name;
  crypto::AlgorithmId algorithm;
};
/// RSA v1.5, RSA PSS and ECDSA with SHA-1, SHA-256 (and 384, 512); SHA-1 for reading old certificates only.
std::span<const CvAlgorithm> cv_algorithms();
/// By the signature algorithm; nullptr for those cards do not use.
const CvAlgorithm* find_cv_algorithm(crypto::AlgorithmId algorithm);

/// 7F49. EC keys below a CVCA leave out the curve: the authority's holds.
struct CvPublicKey {
  const CvAlgorithm* algorithm = nullptr;
  std::optional<crypto::KeyType> curve;  ///< where the domain parameters are in the certificate
  Bytes point;                           ///< EC: uncompressed
  Bytes modulus, exponent;               ///< RSA

  /// The key on `inherited`'s curve where it has none of its own. Fails with `malformed` (no curve known, point off
  /// the curve, RSA too short) or `unsupported`.
  Result<crypto::PublicKey> key(std::optional<crypto::KeyType> inherited) const;
  /// The whole 7F49, with domain parameters if `curve` is set.
  Result<Bytes> encode() const;
};

/// A discretionary data template inside 65: 73 { 06 type, objects }.
struct CvExtension {
  std::string oid;  ///< dotted
  Bytes content;    ///< the objects behind the type, as they stand
};
/// Hash of the provider's description; hashes of the terminal's sector public keys (80 first, 81 second).
inline constexpr std::string_view kCvDescriptionOid = "0.4.0.127.0.7.3.1.3.1";
inline constexpr std::string_view kCvSectorOid = "0.4.0.127.0.7.3.1.3.2";

/// What a certificate says: everything but its signature.
struct CvContent {
  std::string authority;  ///< certification authority reference: whose key signs (2 letters, holder, 5 characters)
  std::string holder;     ///< certificate holder reference
  CvPublicKey public_key;
  Chat chat;
  CvDate effective{}, expiration{};
  std::vector<CvExtension> extensions;

  /// The whole body, 7F4E.
  Result<Bytes> encode() const;
};

inline constexpr std::size_t kMostCvOctets = 8192;
inline constexpr std::size_t kMostCvReference = 16;
inline constexpr std::size_t kMostCvExtensions = 16;

class CvCertificate {
 public:
  /// One whole certificate, nothing behind it. Errors name the object at fault.
  static Result<CvCertificate> parse(ByteView octets);

  const Bytes& octets() const { return octets_; }  ///< whole, 7F21
  /// The whole body 7F4E, and 7F4E with 5F37 behind it (what PSO VERIFY CERTIFICATE takes); the signature's octets.
  ByteView body() const;
  ByteView body_and_signature() const;
  ByteView signature() const;
  const CvContent& content() const { return content_; }
  const Chat& chat() const { return content_.chat; }
  const std::string& authority() const { return content_.authority; }
  const std::string& holder() const { return content_.holder; }
  bool self_signed() const { return content_.authority == content_.holder; }
  /// A CVCA's certificate signed by another key of the same line.
  bool link() const { return content_.chat.role == HolderRole::cvca && !self_signed(); }
  bool expired(CvDate at) const { return content_.expiration < at; }
  /// The extension's content; empty if there is none.
  ByteView extension(std::string_view oid) const;
  /// From its extension (sector_rights.h); none where that is missing or breaks its form, as a card judges it.
  SectorRights sector_rights() const { return parse_sector_rights(extension(kSectorRightsOid)).value_or(0); }

  friend bool operator==(const CvCertificate& a, const CvCertificate& b) { return a.octets_ == b.octets_; }

 private:
  Bytes octets_;
  std::size_t body_at_ = 0, body_octets_ = 0, signature_at_ = 0, signature_octets_ = 0;
  CvContent content_;
};

/// `signer`'s signature over the content, whose authority must be the signer's holder reference. EC signatures are
/// plain: r || s. Fails with `usage` where the key's algorithm is none of cv_algorithms().
Result<CvCertificate> sign_cv_certificate(const CvContent& content, crypto::Signer& signer,
                                          crypto::AlgorithmId algorithm);
/// Succeeds if `key` with `algorithm` signed `octets` (a body, a request); the signature is in the plain form.
Status verify_cv_signature(const crypto::PublicKey& key, crypto::AlgorithmId algorithm, ByteView octets,
                           ByteView signature);

/// What a card trusts: a holder's key with all that is inherited.
struct CvTrust {
  std::string holder;
  crypto::PublicKey key;
  crypto::AlgorithmId algorithm;
  Chat chat;
  CvDate effective, expiration;
  SectorRights sector_rights = 0;

  /// A CVCA by its own certificate; its self-signature is checked if it is one.
  static Result<CvTrust> of(const CvCertificate& anchor);
};

/// `certificate` below `issuer`: reference, signature, order of roles, type, dates at `date` (TR-03110-3 §2.5, rules 24
/// to 27 of docs/terminals-certificates.md). What comes out carries the rights of the whole chain.
/// Fails with `untrusted`, `invalid_signature` or `malformed`; the message says which certificate and why.
Result<CvTrust> verify_cv_link(const CvTrust& issuer, const CvCertificate& certificate, CvDate date);

/// The chain from one of `anchors` down to its last certificate; `chain` may begin with links. Fails as verify_cv_link,
/// and with `untrusted` where no anchor is the first one's authority.
Result<CvTrust> verify_cv_chain(const std::vector<CvCertificate>& anchors, const std::vector<CvCertificate>& chain,
                                CvDate date);

/// A request for a certificate (TR-03110-3 C.2): body without authority's decisions, signed by the key to be certified;
/// 67 around it with the present key's signature where a holder renews.
struct CvRequest {
  std::string holder;     ///< reference asked for
  std::string authority;  ///< the authority asked; may be empty
  CvPublicKey public_key;
  std::vector<CvExtension> extensions;
  std::string renewed_by;  ///< holder reference of the outer signature; empty: none
  Bytes octets;            ///< whole
  Bytes outer_signed;      ///< what the outer signature is over
  Bytes outer_signature;

  /// Structure, and the inner signature: the requester has the key. The outer one is the caller's to check. An EC key
  /// without domain parameters is taken to be on `inherited`.
  static Result<CvRequest> parse(ByteView octets, std::optional<crypto::KeyType> inherited = {});
};
Result<Bytes> make_cv_request(std::string_view authority, std::string_view holder,
                              const std::vector<CvExtension>& extensions, crypto::Signer& signer,
                              crypto::AlgorithmId algorithm);
/// 67 { request, 42 holder, 5F37 } around a request.
Result<Bytes> countersign_cv_request(ByteView request, std::string_view present_holder, crypto::Signer& present,
                                     crypto::AlgorithmId algorithm);

/// The key `signer` has, as a certificate shows it; `with_curve` for a CVCA and for requests.
Result<CvPublicKey> cv_public_key_of(const crypto::PublicKey& key, crypto::AlgorithmId algorithm, bool with_curve);
/// Two upper-case letters of a country, 1 to 9 characters of mnemonic, 5 of sequence number (ISO 8859-1 letters and
/// digits). Fails with `usage`.
Status check_cv_reference(std::string_view reference);

}  // namespace karta::card
