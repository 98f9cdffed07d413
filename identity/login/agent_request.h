// AgentRequest: the signed request the log-in sends a browser to the citizen's agent with (docs/login.md), and what the
// agent may answer instead of a token.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/signer.h"
#include "identity/openid/interaction.h"
#include "identity/pages/language.h"

namespace karta::identity {

struct AgentRequest {
  std::string verb = "login";  ///< or "hello": only tell that the agent is there
  std::string issuer;          ///< our address; the signing certificate names its host
  std::string return_uri;
  std::string state;
  std::string nonce;
  const Client* client = nullptr;  ///< null: our own pages
  std::vector<std::string> claims;
  std::string acr = "high";
  std::string locale;
  Time now{}, expires{};
};

/// The compact JWS, typ "karta-agent-request+jwt", with the certificates in x5c. Fails as the signer does.
Result<std::string> sign_agent_request(const AgentRequest& request, crypto::Signer& signer,
                                       crypto::AlgorithmId algorithm, RandomSource& random);

/// What the agent says instead of a token.
struct AgentErrorRow {
  std::string_view error;  ///< "no_card"
  Words title, text;
};
/// The row of an error, or that of "card_error" for one that is not in the table.
const AgentErrorRow& agent_error(std::string_view error);
std::span<const AgentErrorRow> agent_errors();

}  // namespace karta::identity
