// Signer: somewhere a private key lives and signs: in this process, on a card, in an HSM, across a network.
//
// Nothing above knows where. A Signer is used by one thread at a time.
#pragma once

#include <vector>

#include "crypto/key.h"

namespace karta::crypto {

class Signer {
 public:
  virtual ~Signer() = default;

  virtual const PublicKey& public_key() const = 0;
  /// DER certificates, end-entity first, then the issuers known; the root need not be there. Empty for a key that has
  /// none yet (a root before its certificate is made).
  virtual const std::vector<Bytes>& certificate_chain() const = 0;
  /// What this key can do, the preferred one first; never empty.
  virtual const std::vector<AlgorithmId>& algorithms() const = 0;

  /// Signs a digest of row_of(algorithm).hash. ECDSA: DER SEQUENCE { r, s } (encode_ecdsa_signature turns a card's
  /// plain r || s into it); RSA: as long as the modulus; GOST: s || r. Ed25519 keys sign messages only and fail here (unsupported).
  virtual Result<Bytes> sign(AlgorithmId algorithm, ByteView digest) = 0;
  /// Signs a message held in memory: hashes it and calls sign(), unless the key must see the message.
  virtual Result<Bytes> sign_message(AlgorithmId algorithm, ByteView message);

  /// True if the key is computed with in this process: no device or line stands between that could return something
  /// else than a signature.
  virtual bool in_process() const { return false; }
  /// True if the key wants its PIN before every single signature (a qualified key).
  virtual bool pin_per_signature() const { return false; }
};

/// A key in this process.
class SoftwareSigner final : public Signer {
 public:
  /// `certificate_chain` as certificate_chain() returns it; that its first key is this one is the caller's duty
  /// (sign_cms and issue_certificate check it).
  explicit SoftwareSigner(PrivateKey key, std::vector<Bytes> certificate_chain = {});

  const PublicKey& public_key() const override { return key_.public_key(); }
  const std::vector<Bytes>& certificate_chain() const override { return certificate_chain_; }
  const std::vector<AlgorithmId>& algorithms() const override { return algorithms_; }
  Result<Bytes> sign(AlgorithmId algorithm, ByteView digest) override;
  Result<Bytes> sign_message(AlgorithmId algorithm, ByteView message) override;
  bool in_process() const override { return true; }

  /// For a CA that has just received its certificate.
  void set_certificate_chain(std::vector<Bytes> chain) { certificate_chain_ = std::move(chain); }

 private:
  PrivateKey key_;
  std::vector<Bytes> certificate_chain_;
  std::vector<AlgorithmId> algorithms_;
};

/// What a key of this kind can sign with, the default first; without the algorithms past their sunset.
std::vector<AlgorithmId> algorithms_of(const PublicKey& key);

/// DER SEQUENCE { r INTEGER, s INTEGER } (RFC 3279 §2.2.3) of r || s, each half as long as the other, as cards and
/// PKCS #11 return them. Fails on an odd length.
Result<Bytes> encode_ecdsa_signature(ByteView r_and_s);
/// The reverse: r || s, each `coordinate_octets` long.
Result<Bytes> decode_ecdsa_signature(ByteView der, std::size_t coordinate_octets);

}  // namespace karta::crypto
