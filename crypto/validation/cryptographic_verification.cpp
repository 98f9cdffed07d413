// Cryptographic verification (EN 319 102-1 §5.2.7).
#include <algorithm>

#include "crypto/validation/building_blocks.h"

namespace karta::crypto {
namespace {

/// Encodings of the points of Ed25519 whose order divides 8, the sign of x left aside, and of those that only look
/// different because y is not reduced. Under such a key one signature fits every message, or one in eight.
constexpr auto kSmallOrderPoints = std::to_array<std::string_view>({
    "0000000000000000000000000000000000000000000000000000000000000000",  // order 4
    "0100000000000000000000000000000000000000000000000000000000000000",  // order 1
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",  // order 8
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",  // order 8
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // order 2
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // order 4, y = p
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // order 1, y = p + 1
});

bool has_small_order(const PublicKey& key) {
  if (key.family() != KeyFamily::ed25519) return false;
  Bytes point = to_bytes(key.key_octets());
  point.back() &= 0x7F;
  return std::find(kSmallOrderPoints.begin(), kSmallOrderPoints.end(), to_hex(point)) != kSmallOrderPoints.end();
}

class CryptographicVerification {
 public:
  explicit CryptographicVerification(SignatureUnderValidation& signature) : it_(signature) {}

  void run() {
    if (!it_.content.twice() && it_.hash && it_.content.digest(*it_.hash)) {
      it_.report.content_digest = *it_.content.digest(*it_.hash);
      check_digest();
    }
    if (it_.key && it_.algorithm) check_value();
  }

 private:
  void mention_text_mode(std::size_t offset) {
    it_.find(Severity::warning, "text-mode",
             "the signature covers this text with CR LF line ends; how its lines end is not signed", offset);
  }

  void check_digest() {
    if (!it_.signer.signed_attributes || !it_.message_digest) return;
    it_.hash_right = it_.report.content_digest == *it_.message_digest;
    if (!*it_.hash_right && it_.content.text_digest(*it_.hash) == it_.message_digest) {
      it_.hash_right = true;
      mention_text_mode(it_.message_digest_offset);
    }
    if (!*it_.hash_right) {
      it_.fault(SubIndication::hash_failure, "message-digest-mismatch",
                "the content is not the one that was signed: its " + it_.report.digest +
                    " differs from the message-digest attribute",
                it_.message_digest_offset, "1.2.840.113549.1.9.4");
    }
  }

  void check_value() {
    const CmsSigner& signer = it_.signer;
    if (!it_.key->fits(it_.algorithm->id)) {
      it_.value_right = false;
      it_.fault(SubIndication::sig_crypto_failure, "algorithm-unlike-key",
                "a " + it_.report.key + " key does not sign with " + it_.report.algorithm,
                signer.signature_algorithm.offset);
      return;
    }
    if (has_small_order(*it_.key)) {
      it_.value_right = false;
      it_.fault(SubIndication::sig_crypto_failure, "small-order-key",
                "the key of \"" + it_.report.signer + "\" is a point of small order: one signature fits any content",
                signer.offset);
      return;
    }
    const auto status = signer.signed_attributes
                            // RFC 5652 §5.4: over the DER encoding of the attributes, with the tag of a SET.
                            ? std::optional(verify(signer.signed_attributes->der))
                            : check_plain_value();
    if (!status) return;
    it_.value_right = status->has_value();
    // Without attributes the value stands for the content too: one cannot be told from the other.
    if (!signer.signed_attributes) it_.hash_right = it_.value_right;
    if (*status) return;
    const std::string covered =
        signer.signed_attributes ? "the signed attributes at offset " + std::to_string(signer.signed_attributes->offset)
                                 : "the content";
    it_.fault(SubIndication::sig_crypto_failure, "signature-value",
              "the signature value does not fit " + covered + " and the key of \"" + it_.report.signer + "\"",
              signer.signature_offset);
  }

  Status verify(ByteView message) const {
    return it_.key->verify(it_.algorithm->id, message, it_.signer.signature, it_.algorithm->pss_salt_octets);
  }
  Status verify_digest(ByteView digest) const {
    return it_.key->verify_digest(it_.algorithm->id, digest, it_.signer.signature, it_.algorithm->pss_salt_octets);
  }

  /// Over the content itself, where there are no attributes. Empty: it cannot be checked.
  std::optional<Status> check_plain_value() {
    if (it_.report.content_digest.empty()) return std::nullopt;
    if (row_of(it_.algorithm->id).family == KeyFamily::ed25519) {
      const auto message = it_.content.enveloped();
      if (message) return verify(*message);
      it_.fault(SubIndication::crypto_constraints_failure_no_poe, "unsupported-algorithm",
                "Ed25519 over a detached content without signed attributes is not supported", it_.signer.offset);
      return std::nullopt;
    }
    Status status = verify_digest(it_.report.content_digest);
    if (!status && status.error().kind == ErrorKind::invalid_signature) {
      const auto text = it_.content.text_digest(row_of(it_.algorithm->id).hash);
      if (text && verify_digest(*text)) {
        mention_text_mode(it_.signer.offset);
        return Status{};
      }
    }
    return status;
  }

  SignatureUnderValidation& it_;
};

}  // namespace

void verify_cryptographically(SignatureUnderValidation& signature) {
  signature.enter(BuildingBlock::cryptographic_verification);
  CryptographicVerification(signature).run();
}

}  // namespace karta::crypto
