// CardProof: what a card's certificate for logging in is worth at this moment.
//
// The certificate must lead to one of the authorities that issue citizens' cards, be written down in the registry as
// one for logging in, be neither revoked nor on hold, and its card must be active and in its time. All of it is looked
// up when it is asked, so a change of a card's state holds from the next log-in on.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "crypto/x509/path.h"
#include "identity/login/sessions.h"
#include "identity/pages/language.h"

namespace karta::identity {

enum class CardRefusal : std::uint8_t {
  broken_token,       ///< what the agent brought cannot be read
  wrong_signature,    ///< not made with the certificate's key for this origin and nonce
  unknown_issuer,     ///< no path to an authority of citizens' cards
  wrong_certificate,  ///< one for signing or for something else
  not_registered,     ///< the registry has given out no such certificate
  certificate_expired,
  certificate_not_yet_valid,
  certificate_revoked,
  certificate_on_hold,
  card_not_active,  ///< made, but not handed over
  card_suspended,
  card_revoked,
  card_expired,
  card_replaced,
};
struct CardRefusalRow {
  CardRefusal refusal;
  std::string_view name;  ///< in events and the log: "card-suspended"
  Words title, text;      ///< for the citizen's page: what it is, and what to do
};
const CardRefusalRow& row_of(CardRefusal refusal);
std::span<const CardRefusalRow> card_refusals();

struct CardJudgement {
  std::optional<CardRefusal> refusal;
  SessionProof proof;  ///< citizen, card, issuer and serial; level and method are the caller's
};

/// Usable from several threads.
class CardAuthorities {
 public:
  /// Reads the files. Errors: not_found, malformed.
  static Result<std::shared_ptr<const CardAuthorities>> open(const std::vector<std::filesystem::path>& roots,
                                                             const std::vector<std::filesystem::path>& authorities);
  explicit CardAuthorities(crypto::PathVerifier verifier) : verifier_(std::move(verifier)) {}
  const crypto::PathVerifier& verifier() const { return verifier_; }

 private:
  crypto::PathVerifier verifier_;
};

/// The certificate alone: that its holder has the key has been shown otherwise (by TLS). Fails as the database does.
Result<CardJudgement> judge_certificate(const CardAuthorities& authorities, const RoomSurroundings& around,
                                        ByteView certificate_der);
/// A web-eid:1.0 token (JSON) for `origin` and `nonce`, and its certificate.
Result<CardJudgement> judge_token(const CardAuthorities& authorities, const RoomSurroundings& around,
                                  std::string_view token_json, std::string_view origin, std::string_view nonce);

}  // namespace karta::identity
