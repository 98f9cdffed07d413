// ForeignFilter: which foreign certificates are revoked, for those without a status index: a small set of fingerprints
// keyed by issuer and serial number (docs/stop-list.md).
//
// A binary fuse filter with 16-bit fingerprints (T. M. Graf, D. Lemire, arXiv:2201.01174): 18 bits a certificate. What
// is listed is always found; what is not listed is found by mistake once in 65,536, and whoever meets that asks on
// line. Under one signature, with epoch and validity like a stop-list.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "crypto/signer.h"
#include "crypto/x509/certificate.h"

namespace karta::identity {

inline constexpr std::size_t kMostForeignCertificates = 50'000'000;
inline constexpr std::size_t kMostForeignFilterOctets = 160u << 20;

/// SHA-256 over the issuer's name in its canonical form (crypto::Name::canonical(): the same for all encodings of a
/// name) and the serial number without leading zeros; the first eight octets, little-endian.
using ForeignKey = std::uint64_t;
ForeignKey foreign_key(const crypto::Name& issuer, ByteView serial);
ForeignKey foreign_key(const crypto::Certificate& certificate);

struct ForeignFilterHead {
  std::uint64_t epoch = 0;
  Time this_update{};
  Time next_update{};
  std::string issuer;  ///< who made the filter; UTF-8
};

/// The signed part. Keys may repeat. Fails with limit, and internal in the case (rarer than 10^-9) that no seed works.
Result<Bytes> encode_foreign_filter(const ForeignFilterHead& head, std::vector<ForeignKey> keys);
/// The whole file. The signer must have its certificate: that of a CA that may sign CRLs.
Result<Bytes> sign_foreign_filter(Bytes body, crypto::Signer& signer);

class ForeignFilter {
 public:
  /// Reads a file; keeps its own copy of the fingerprints. The signature is not checked here.
  static Result<ForeignFilter> parse(ByteView file);

  const ForeignFilterHead& head() const { return head_; }
  std::uint64_t count() const { return count_; }  ///< of certificates listed

  /// The signature must be by the key of one of `signers`, valid at `at`: which one; aliases `signers`. Fails with
  /// untrusted, invalid_signature, malformed.
  static Result<const crypto::Certificate*> signer(ByteView file, const std::vector<crypto::Certificate>& signers,
                                                   Time at);

  /// Never false for a certificate that is listed.
  bool may_list(ForeignKey key) const noexcept;

 private:
  ForeignFilterHead head_;
  std::uint64_t count_ = 0;
  std::uint64_t seed_ = 0;
  std::uint32_t segment_ = 0, segments_ = 0;  // fingerprints of a segment (a power of 2); segments a key may begin in
  std::vector<std::uint16_t> fingerprints_;
};

}  // namespace karta::identity
