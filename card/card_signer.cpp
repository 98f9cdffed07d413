#include "card/card_signer.h"

#include "base/der.h"
#include "crypto/digest.h"
#include "crypto/x509/certificate.h"

namespace karta::card {

// EM = maskedDB || H || bc; H = Hash(8 zeros || mHash || salt); DB = PS || 01 || salt; emBits = modulus bits - 1.
Result<Bytes> emsa_pss_encode(crypto::Hash hash, ByteView digest, unsigned modulus_bits, RandomSource& random) {
  const std::size_t hash_octets = crypto::row_of(hash).octets;
  const std::size_t salt_octets = hash_octets;
  const unsigned em_bits = modulus_bits - 1;
  const std::size_t em_octets = (em_bits + 7) / 8;
  if (digest.size() != hash_octets || em_octets < hash_octets + salt_octets + 2) {
    return fail(ErrorKind::limit, "a modulus of " + std::to_string(modulus_bits) +
                                      " bits is too short for RSA-PSS with " + std::string(crypto::row_of(hash).name));
  }
  const Bytes salt = random.bytes(salt_octets);
  const Bytes zeros(8, 0);
  const Bytes h = crypto::digest(hash, concat({zeros, digest, salt}));

  const std::size_t db_octets = em_octets - hash_octets - 1;
  Bytes db(db_octets - salt_octets - 1, 0);
  db.push_back(0x01);
  append(db, salt);

  // MGF1 (RFC 8017 §B.2.1)
  Bytes mask;
  for (std::uint32_t counter = 0; mask.size() < db_octets; ++counter) {
    Bytes seed = h;
    for (int shift = 24; shift >= 0; shift -= 8) seed.push_back(static_cast<std::uint8_t>(counter >> shift));
    append(mask, crypto::digest(hash, seed));
  }
  for (std::size_t i = 0; i < db_octets; ++i) db[i] = static_cast<std::uint8_t>(db[i] ^ mask[i]);
  db[0] = static_cast<std::uint8_t>(db[0] & (0xFF >> (8 * em_octets - em_bits)));

  Bytes em = concat({db, h, Bytes{0xBC}});
  em.insert(em.begin(), (modulus_bits + 7) / 8 - em_octets, 0);
  return em;
}

// DigestInfo ::= SEQUENCE { digestAlgorithm AlgorithmIdentifier, digest OCTET STRING }
Bytes digest_info(crypto::Hash hash, ByteView digest) {
  return der::sequence({der::sequence({der::oid(crypto::row_of(hash).oid), der::null()}), der::octet_string(digest)});
}

Status with_pin(ESignApplication& application, PinSource& pins, PinRequest request,
                const std::function<Status(const SecretBytes&)>& deed, bool look_first) {
  for (bool look = look_first;; look = true) {
    if (look) {
      const PinStatus status = TRY(application.pin_status(request.kind));
      if (status.blocked) {
        return fail(ErrorKind::pin_blocked, "the " + std::string(name_of(request.kind)) + " is blocked");
      }
      request.tries_left = status.tries_left;
    }
    const SecretBytes pin = TRY(pins.pin(request));
    Status done = deed(pin);
    if (done || (done.error().kind != ErrorKind::wrong_pin && done.error().kind != ErrorKind::pin_rejected)) {
      return done;
    }
    request.after_wrong = true;
  }
}

CardSigner::CardSigner(ESignApplication& application, CardKey key, PinSource& pins, RandomSource& random,
                       crypto::PublicKey public_key, std::vector<Bytes> chain)
    : application_(&application),
      key_(std::move(key)),
      pins_(&pins),
      random_(&random),
      public_key_(std::move(public_key)),
      chain_(std::move(chain)),
      algorithms_(crypto::algorithms_of(public_key_)) {}

Result<CardSigner> CardSigner::make(ESignApplication& application, const CardKey& key, PinSource& pins,
                                    RandomSource& random) {
  if (!key.may_sign()) return fail(ErrorKind::usage, "key \"" + key.label + "\" is not for signing");
  auto chain = application.certificate_chain(key);
  if (!chain) {
    if (chain.error().kind != ErrorKind::not_found) return fail(std::move(chain).error());
    const CardPublicKey read = TRY(application.read_public_key(key));
    crypto::PublicKey public_key = TRY(crypto::PublicKey::from_spki(read.subject_public_key_info()));
    return CardSigner(application, key, pins, random, std::move(public_key), {});
  }
  const auto certificate = TRY(crypto::Certificate::from_der(chain->front()));
  crypto::PublicKey public_key = TRY(crypto::PublicKey::from_spki(certificate.spki()));
  return CardSigner(application, key, pins, random, std::move(public_key), std::move(*chain));
}

Result<CardSigner::Input> CardSigner::prepare(crypto::AlgorithmId algorithm, ByteView digest) {
  const crypto::AlgorithmRow& row = crypto::row_of(algorithm);
  if (!public_key_.fits(algorithm) || row.family == crypto::KeyFamily::ed25519) {
    return fail(ErrorKind::unsupported,
                "a " + public_key_.type_name() + " key does not sign with " + std::string(row.name));
  }
  if (digest.size() != crypto::row_of(row.hash).octets) {
    return fail(ErrorKind::usage, "a digest of " + std::to_string(digest.size()) + " octets is none of " +
                                      std::string(crypto::row_of(row.hash).name));
  }
  switch (row.padding) {
    case crypto::Padding::none:
      return Input{SignatureScheme::ecdsa, to_bytes(digest)};
    case crypto::Padding::pkcs1:
      return Input{SignatureScheme::rsa_pkcs1, digest_info(row.hash, digest)};
    case crypto::Padding::pss:
      return Input{SignatureScheme::rsa_raw, TRY(emsa_pss_encode(row.hash, digest, public_key_.bits(), *random_))};
  }
  return fail(ErrorKind::internal, "no such padding");
}

Result<Bytes> CardSigner::sign(crypto::AlgorithmId algorithm, ByteView digest) {
  const Input input = TRY(prepare(algorithm, digest));

  // A PIN given earlier may still stand on the card: the card knows, and says 6982 if not.
  if (!key_.pin_each_time) {
    auto signature = application_->sign(key_, input.scheme, input.octets);
    if (signature || signature.error().kind != ErrorKind::not_permitted || !key_.pin) return signature;
  }
  if (!key_.pin) return fail(ErrorKind::unsupported, "key \"" + key_.label + "\" is under a PIN karta does not know");

  if (!kept_pin_.empty()) {
    // It was right, but another program may have changed the PIN since: the last try is the holder's own.
    const PinStatus status = TRY(application_->pin_status(*key_.pin));
    if (!status.blocked && status.tries_left != 1u) {
      auto signature = application_->sign(key_, input.scheme, input.octets, &kept_pin_);
      if (signature ||
          (signature.error().kind != ErrorKind::wrong_pin && signature.error().kind != ErrorKind::pin_blocked)) {
        return signature;
      }
    }
    kept_pin_ = SecretBytes();
    pin_known_good_ = false;
  }

  PinRequest request;
  request.kind = *key_.pin;
  request.reason = PinRequest::Reason::sign;
  request.label = name_of(*key_.pin);
  request.subject = subject_.empty() ? key_.label : subject_;
  Bytes made;
  const bool look_first = !pin_known_good_;
  pin_known_good_ = false;
  TRY(with_pin(
      *application_, *pins_, std::move(request),
      [&](const SecretBytes& pin) -> Status {
        made = TRY(application_->sign(key_, input.scheme, input.octets, &pin));
        if (!key_.pin_each_time) kept_pin_ = pin.clone();
        return {};
      },
      look_first));
  pin_known_good_ = true;
  return made;
}

}  // namespace karta::card
