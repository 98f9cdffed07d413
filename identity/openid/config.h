// OpenidConfig: [openid] of identity.toml. Docs: docs/openid.md.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/algorithm.h"
#include "identity/key_config.h"
#include "service/ip_address.h"

namespace karta::identity {

/// A key ID tokens and signed answers are signed with. Published from the start; signs from `from` on until a later one
/// of its algorithm takes over; stays published until what it signed has ended.
struct OpenidKeyConfig {
  KeyConfig key;
  crypto::AlgorithmId algorithm = crypto::AlgorithmId::ecdsa_sha256;  ///< ES256, ES384, PS256, EdDSA
  Time from{};
};

struct OpenidConfig {
  std::string issuer;                    ///< "https://id.example": no slash at the end
  std::filesystem::path secret_file;     ///< from which pairwise subjects and nonces are made; never changes
  std::vector<OpenidKeyConfig> keys;     ///< [[openid.key]]
  std::vector<std::string> mtls_listen;  ///< a second listener, that asks for clients' certificates; empty: none
  std::string mtls_address;              ///< its public address: "https://mtls.id.example"
  std::vector<std::filesystem::path> mtls_roots;           ///< who issues those certificates: citizens' too
  bool mtls_names_roots = true;                            ///< clients are told their names
  std::vector<service::Network> mtls_proxy_protocol_from;  ///< balancers before that listener
  bool dpop_nonces = true;                                 ///< RFC 9449 §8: proofs carry a nonce of ours
  std::chrono::seconds request_life{90};                   ///< of a pushed request until the browser brings it
  std::chrono::seconds interaction_life{600};              ///< of a log-in, from the pushed request on
  std::chrono::seconds code_life{60};
  std::chrono::seconds access_life{300};
  std::chrono::days refresh_life{90};
  std::chrono::days consent_life{365};  ///< what consents are given for, if the citizen does not say less
  /// Back-channel log-out goes out with these roots (system's where empty), and to private addresses only if allowed.
  std::optional<std::filesystem::path> logout_roots;
  bool logout_any_address = false;

  std::string endpoint(std::string_view name) const { return issuer + "/openid/" + std::string(name); }
  std::string mtls_endpoint(std::string_view name) const { return mtls_address + "/openid/" + std::string(name); }
};

/// Reads [openid]. Errors: configuration, with line and key.
Result<OpenidConfig> read_openid(service::ConfigTable& table);

}  // namespace karta::identity
