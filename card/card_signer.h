// CardSigner: a card's key as a crypto::Signer, which asks for the PIN when the card wants it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/random.h"
#include "card/esign.h"
#include "crypto/signer.h"

namespace karta::card {

class CardSigner final : public crypto::Signer {
 public:
  /// Reads the key's certificate and the CA certificates from the card; without a certificate, the public key.
  /// `application`, `pins` and `random` must outlive it. `random` salts RSA-PSS.
  static Result<CardSigner> make(ESignApplication& application, const CardKey& key, PinSource& pins,
                                 RandomSource& random);

  const crypto::PublicKey& public_key() const override { return public_key_; }
  const std::vector<Bytes>& certificate_chain() const override { return chain_; }
  const std::vector<crypto::AlgorithmId>& algorithms() const override { return algorithms_; }
  /// A key under a PIN asks for it once; where the card has forgotten it in between (a reset by another program), it is
  /// presented again from memory, though never for the last try. A qualified key asks for every signature and keeps
  /// nothing. After a wrong PIN the source is asked again, until it is right, blocked, or the source gives up.
  Result<Bytes> sign(crypto::AlgorithmId algorithm, ByteView digest) override;
  bool pin_per_signature() const override { return key_.pin_each_time; }

  const CardKey& key() const { return key_; }
  /// What PinRequest::subject will say from now on: the file's name.
  void set_subject(std::string subject) { subject_ = std::move(subject); }

 private:
  CardSigner(ESignApplication& application, CardKey key, PinSource& pins, RandomSource& random,
             crypto::PublicKey public_key, std::vector<Bytes> chain);
  /// What the card is sent.
  struct Input {
    SignatureScheme scheme;
    Bytes octets;
  };
  Result<Input> prepare(crypto::AlgorithmId algorithm, ByteView digest);

  ESignApplication* application_;
  CardKey key_;
  PinSource* pins_;
  RandomSource* random_;
  crypto::PublicKey public_key_;
  std::vector<Bytes> chain_;
  std::vector<crypto::AlgorithmId> algorithms_;
  std::string subject_;
  SecretBytes kept_pin_;         // the last right one; never that of a key which wants its PIN each time
  bool pin_known_good_ = false;  // the last one was right: its tries are all there
};

/// EMSA-PSS-ENCODE (RFC 8017 §9.1.1) with MGF1 of the same hash and a salt as long as the digest; the block is as long
/// as the modulus. Fails with `limit` where the modulus is too short for the hash.
Result<Bytes> emsa_pss_encode(crypto::Hash hash, ByteView digest, unsigned modulus_bits, RandomSource& random);

/// DigestInfo (RFC 8017 §9.2 note 1).
Bytes digest_info(crypto::Hash hash, ByteView digest);

/// Runs `deed` with a PIN from `pins`, asking again after a wrong one. The tries left are read from the card before
/// each question, so that a blocked PIN is not asked for; before the first one only if `look_first`.
Status with_pin(ESignApplication& application, PinSource& pins, PinRequest request,
                const std::function<Status(const SecretBytes&)>& deed, bool look_first = true);

}  // namespace karta::card
