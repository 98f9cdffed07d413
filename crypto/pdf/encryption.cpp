#include "crypto/pdf/encryption.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <qpdf/QPDF.hh>
#include <qpdf/QPDFExc.hh>
#include <qpdf/QPDFObjectHandle.hh>
#include <string>
#include <utility>

#include "base/random.h"
#include "crypto/aes.h"
#include "crypto/digest.h"

namespace karta::crypto::pdf {
namespace {

enum class Method { none, rc4, aes_128, aes_256 };

Bytes rc4(ByteView key, ByteView octets) {
  std::array<std::uint8_t, 256> state{};
  std::iota(state.begin(), state.end(), std::uint8_t{0});
  for (unsigned i = 0, j = 0; i < 256; ++i) {
    j = (j + state[i] + key[i % key.size()]) & 0xFF;
    std::swap(state[i], state[j]);
  }
  Bytes out = to_bytes(octets);
  unsigned i = 0, j = 0;
  for (std::uint8_t& octet : out) {
    i = (i + 1) & 0xFF;
    j = (j + state[i]) & 0xFF;
    std::swap(state[i], state[j]);
    octet ^= state[(state[i] + state[j]) & 0xFF];
  }
  return out;
}

AesBlock block_of(ByteView octets) {
  AesBlock out;
  std::copy_n(octets.begin(), out.size(), out.begin());
  return out;
}

class Cipher final : public ObjectCipher {
 public:
  Cipher(SecretBytes key, Method strings, Method streams)
      : key_(std::move(key)), strings_(strings), streams_(streams) {}

  Result<Bytes> encrypt_string(Ref ref, ByteView octets) const override { return encrypt(strings_, ref, octets); }
  Result<Bytes> encrypt_stream(Ref ref, ByteView octets) const override { return encrypt(streams_, ref, octets); }

  Result<Bytes> decrypt_stream(Ref ref, ByteView octets) const override {
    const SecretBytes key = object_key(streams_, ref);
    if (streams_ == Method::none) return to_bytes(octets);
    if (streams_ == Method::rc4) return rc4(key.expose_secret(), octets);
    if (octets.size() < 32 || octets.size() % 16 != 0) return fail(ErrorKind::malformed, "an encrypted stream is cut");
    Bytes out = aes_cbc_decrypt(key, block_of(octets), octets.subspan(kAesBlock));
    const std::uint8_t padding = out.back();
    if (padding == 0 || padding > 16) return fail(ErrorKind::malformed, "an encrypted stream does not decrypt");
    out.resize(out.size() - padding);
    return out;
  }

 private:
  // Algorithm 1 of §7.6.2; AES-256 uses the file's key itself.
  SecretBytes object_key(Method method, Ref ref) const {
    if (method == Method::aes_256 || method == Method::none) return key_.clone();
    Bytes input = to_bytes(key_.expose_secret());
    for (int shift : {0, 8, 16}) input.push_back(static_cast<std::uint8_t>(ref.number >> shift));
    for (int shift : {0, 8}) input.push_back(static_cast<std::uint8_t>(ref.generation >> shift));
    if (method == Method::aes_128) append(input, as_bytes("sAlT"));
    Bytes hashed = digest(Hash::md5, input);
    wipe(input);
    hashed.resize(std::min<std::size_t>(key_.size() + 5, 16));
    return SecretBytes(std::move(hashed));
  }

  Result<Bytes> encrypt(Method method, Ref ref, ByteView octets) const {
    if (method == Method::none) return to_bytes(octets);
    const SecretBytes key = object_key(method, ref);
    if (method == Method::rc4) return rc4(key.expose_secret(), octets);
    SystemRandom random;
    Bytes out = random.bytes(16);
    Bytes padded = to_bytes(octets);
    const std::size_t padding = 16 - padded.size() % 16;
    padded.insert(padded.end(), padding, static_cast<std::uint8_t>(padding));
    append(out, aes_cbc_encrypt(key, block_of(out), padded));
    return out;
  }

  SecretBytes key_;
  Method strings_, streams_;
};

std::optional<Method> method_of(QPDF::encryption_method_e method) {
  switch (method) {
    case QPDF::e_none:
      return Method::none;
    case QPDF::e_rc4:
      return Method::rc4;
    case QPDF::e_aes:
      return Method::aes_128;
    case QPDF::e_aesv3:
      return Method::aes_256;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<std::shared_ptr<const ObjectCipher>> open_cipher(ByteView file, const SecretBytes& password) {
  try {
    QPDF qpdf;
    qpdf.setSuppressWarnings(true);
    qpdf.setAttemptRecovery(false);
    std::string text(password.expose_secret_text());
    qpdf.processMemoryFile("document", reinterpret_cast<const char*>(file.data()), file.size(), text.c_str());
    wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    int r = 0, p = 0, v = 0;
    QPDF::encryption_method_e streams{}, strings{}, files{};
    if (!qpdf.isEncrypted(r, p, v, streams, strings, files)) {
      return fail(ErrorKind::malformed, "the document says it is encrypted, and is not");
    }
    const auto of_strings = method_of(strings), of_streams = method_of(streams);
    if (!of_strings || !of_streams) return fail(ErrorKind::unsupported, "the document's cipher is not known");
    std::string key = qpdf.getEncryptionKey();
    SecretBytes secret = SecretBytes::copy_of(key);
    wipe({reinterpret_cast<std::uint8_t*>(key.data()), key.size()});
    const auto fits = [&](Method method) {
      return (method != Method::aes_128 || secret.size() >= 11) && (method != Method::aes_256 || secret.size() == 32) &&
             !secret.empty();
    };
    if (!fits(*of_strings) || !fits(*of_streams)) return fail(ErrorKind::malformed, "the document's key is too short");
    return std::make_shared<const Cipher>(std::move(secret), *of_strings, *of_streams);
  } catch (const QPDFExc& error) {
    if (error.getErrorCode() == qpdf_e_password) {
      return fail(ErrorKind::not_permitted, "the document is encrypted, and this password does not open it",
                  "give its password: --document-password-fd");
    }
    return fail(error.getErrorCode() == qpdf_e_unsupported ? ErrorKind::unsupported : ErrorKind::malformed,
                "the encrypted document cannot be opened: " + error.getMessageDetail());
  } catch (const std::exception& error) {
    return fail(ErrorKind::malformed, std::string("the encrypted document cannot be opened: ") + error.what());
  }
}

}  // namespace karta::crypto::pdf
