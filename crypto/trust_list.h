// TrustList: whom to trust for what, as the national root says (karta.trust-list/1): JSON inside a CMS signature.
//
// A reader takes a list only under the root it knows, never an older one than it has, and says which of "no list", "not
// trusted" and "stale" is the case.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "crypto/signer.h"
#include "crypto/x509/certificate.h"

namespace karta::crypto {

struct TrustMaterial;

enum class TrustService : std::uint8_t {
  qualified_ca,     ///< issues qualified certificates
  unqualified_ca,   ///< issues everyday certificates
  time_stamp,       ///< a time-stamp authority
  document_signer,  ///< signs the data on cards
  cvca,             ///< a CV certificate authority, for terminals
  log,              ///< signs checkpoints of a log
};
std::string_view name_of(TrustService service);
std::optional<TrustService> find_trust_service(std::string_view name);

struct TrustEntry {
  TrustService service = TrustService::qualified_ca;
  std::string name;    ///< for people
  std::string region;  ///< empty: everywhere
  Bytes certificate;   ///< X.509, or a CV certificate for `cvca`; as it stands
  Time from{};
  std::optional<Time> until;  ///< absent: no end set
};

struct TrustList {
  static constexpr std::size_t kMostOctets = 16u << 20;
  static constexpr std::size_t kMostEntries = 20'000;

  std::uint64_t sequence = 0;
  Time issued_at{};
  Time next_update{};
  std::vector<TrustEntry> entries;

  /// The JSON, without the signature around it. Every key is checked, X.509 certificates are parsed.
  static Result<TrustList> from_json(std::string_view text);
  std::string to_json() const;

  /// X.509 certificates that stand for `service` at `at`.
  std::vector<Certificate> anchors(TrustService service, Time at) const;
  bool stale(Time at) const { return at > next_update; }
};

/// What a verifier of documents takes from a list at `at`: certificate authorities as anchors, time-stamp authorities
/// for time-stamps only, those whose time has passed with their last day, and the day the list is due to be replaced.
TrustMaterial trust_material(const TrustList& list, Time at);

/// Signs `list` into one DER file. The signer must have its certificate (first in its chain).
Result<Bytes> sign_trust_list(const TrustList& list, Signer& signer);

/// Opens a signed list: the signature must be whole, by a certificate with a path to `roots` at `at`, and the list's
/// number no smaller than `least_sequence`. A stale list is returned: stale() tells, and the caller says so. Fails with
/// untrusted (no root given, not by a root given, older than the list known), malformed, invalid_signature.
Result<TrustList> open_trust_list(ByteView file, const std::vector<Certificate>& roots, Time at,
                                  std::uint64_t least_sequence = 0);

}  // namespace karta::crypto
