// OpenidKeys: what the provider signs with and derives from, opened once for all workers. OpenidSigners: one worker's.
//
// Rotation is a matter of dates: every key of the configuration is published from the start, the one of an algorithm
// whose `from` came last signs, and a key another took over from stays published until everything it signed has ended.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/secret.h"
#include "crypto/signer.h"
#include "identity/openid/config.h"
#include "identity/registry.h"

namespace karta::identity {

class OpenidKeys {
 public:
  using OpenSigner = std::function<Result<std::unique_ptr<crypto::Signer>>()>;
  struct Key {
    crypto::AlgorithmId algorithm;
    Time from;
    crypto::PublicKey key;
    std::string kid;  ///< its thumbprint (RFC 7638)
    OpenSigner open;
  };
  static constexpr std::size_t kLeastSecret = 32;  ///< characters

  /// Fails with configuration if it is shorter than kLeastSecret.
  Status set_secret(const SecretBytes& secret);
  /// Fails with configuration if the key cannot make that algorithm's signatures.
  Status add(const OpenidKeyConfig& config, const crypto::PublicKey& key, OpenSigner open);

  const std::vector<Key>& keys() const { return keys_; }
  /// The key that signs with `algorithm` now; null if there is none.
  const Key* signing_key(crypto::AlgorithmId algorithm, Time now) const;
  const Key* find(std::string_view kid) const;
  /// The JWK Set: all keys but those another has taken over from more than `tail` ago.
  Result<std::string> jwks(Time now, std::chrono::seconds tail) const;
  /// "alg" values there is a key for at present.
  std::vector<std::string> algorithms(Time now) const;

  /// 32 octets from the secret, bound to `label` and `parts`.
  Bytes derive(std::string_view label, std::initializer_list<ByteView> parts) const;
  /// `sub` of a citizen for the portals of a sector, unrelated elsewhere (OpenID Connect Core §8.1).
  std::string subject(std::string_view sector, CitizenId citizen) const;
  /// `sid`: the session, as one client knows it.
  std::string sid(std::string_view client_id, std::string_view session_id) const;

 private:
  std::vector<Key> keys_;
  SecretBytes secret_;
};

class OpenidSigners {
 public:
  explicit OpenidSigners(std::shared_ptr<const OpenidKeys> keys) : keys_(std::move(keys)) {}
  /// A JWT of `payload` in the compact serialisation. Fails with configuration if no key of `algorithm` signs now.
  Result<std::string> sign(crypto::AlgorithmId algorithm, Time now, std::string_view type, std::string_view payload);

 private:
  std::shared_ptr<const OpenidKeys> keys_;
  std::map<std::string, std::unique_ptr<crypto::Signer>, std::less<>> signers_;  // by kid
};

}  // namespace karta::identity
