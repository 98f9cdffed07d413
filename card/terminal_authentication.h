// Terminal authentication version 2 (TR-03110-3 §3.3, B.3), the terminal's side: the card learns who is asking.
//
// Runs inside a PACE channel that was opened with the terminal's CHAT. The card checks the certificates from an anchor
// of its own down to the terminal's, then a signature over a challenge, both ends' keys of this session, and what the
// terminal wants compared (age, community). Rights count once chip authentication has followed.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "card/cv_certificate.h"
#include "card/pace.h"
#include "crypto/ec_arithmetic.h"

namespace karta::card {

/// A terminal's certificates and key.
struct TerminalCredentials {
  /// Links from older anchors first, then the verifier's, the terminal's own last. Where several authorities have
  /// certified the verifier, all of its certificates stand here; a card is shown the way from its own anchor.
  std::vector<CvCertificate> chain;
  /// Holds the terminal's key; must outlive the use.
  crypto::Signer* signer = nullptr;

  const CvCertificate& terminal() const { return chain.back(); }
  /// What PACE announces: a terminal with the rights of all the chain in common, or fewer where `wanted` says so.
  Chat announced(std::optional<Rights> wanted = {}) const;
  /// The sector rights all the chain has; a certificate without the extension has none, nor one that breaks its form.
  SectorRights sector_rights() const;
};

/// What the card is asked to compare, never to show (TR-03110-3 A.6.5).
struct AuxiliaryData {
  std::optional<std::chrono::year_month_day> born_by;   ///< true if the holder was born on that day or earlier
  std::optional<std::chrono::year_month_day> valid_on;  ///< true if the card is valid on that day
  std::optional<Bytes> community;                       ///< true if the community's number begins with these octets

  bool empty() const { return !born_by && !valid_on && !community; }
  /// The whole object 67 { 73 { 06, 53 } ... }; empty if there is nothing to compare.
  Bytes encode() const;
};

/// The object identifiers of auxiliary data and of VERIFY, dotted.
inline constexpr std::string_view kDateOfBirthOid = "0.4.0.127.0.7.3.1.4.1", kDateOfExpiryOid = "0.4.0.127.0.7.3.1.4.2",
                                  kCommunityIdOid = "0.4.0.127.0.7.3.1.4.3";

/// The certificates the card needs beyond its anchor `authority` (or `older`), in order. Fails with `untrusted` where
/// the chain reaches neither.
Result<std::vector<CvCertificate>> chain_from(const std::vector<CvCertificate>& chain, std::string_view authority,
                                              std::string_view older);

/// Two commands a certificate, then three. Returns the ephemeral key, which chip authentication must use; `domain` is
/// its standardised parameters. Fails with `untrusted` or `not_permitted` where the card refuses a certificate (the
/// message names it), `invalid_signature` where it refuses the signature.
Result<crypto::EcKeyPair> authenticate_terminal(Channel& channel, const TerminalCredentials& credentials,
                                                const PaceOutcome& pace, std::uint64_t domain,
                                                const AuxiliaryData& auxiliary, RandomSource& random);

}  // namespace karta::card
