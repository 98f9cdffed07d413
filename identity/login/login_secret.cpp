#include "identity/login/login_secret.h"

#include <openssl/evp.h>

#include <memory>

#include "base/base64url.h"
#include "crypto/kdf.h"
#include "identity/login/config.h"

namespace karta::identity {
namespace {

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

constexpr std::size_t kNonce = 12, kTag = 16;
constexpr int kRight = 1;

}  // namespace

Result<LoginSecret> LoginSecret::create(const SecretBytes& secret) {
  if (secret.size() < kLeastSecret) {
    return fail(ErrorKind::usage, "the log-in's secret is too short",
                "at least " + std::to_string(kLeastSecret) + " random characters, on one line: openssl rand -hex 32");
  }
  LoginSecret out;
  out.mac_key_ = crypto::hmac(crypto::Hash::sha256, secret.expose_secret(), {as_bytes("karta login: tickets")});
  out.box_key_ = crypto::hmac(crypto::Hash::sha256, secret.expose_secret(), {as_bytes("karta login: boxes")});
  return out;
}

Bytes LoginSecret::mac(std::string_view use, std::initializer_list<std::string_view> parts) const {
  Bytes message;
  const auto add = [&](std::string_view part) {
    append_be16(message, static_cast<std::uint16_t>(part.size() >> 16));
    append_be16(message, static_cast<std::uint16_t>(part.size()));
    append(message, as_bytes(part));
  };
  add(use);
  for (const std::string_view part : parts) add(part);
  return to_bytes(crypto::hmac(crypto::Hash::sha256, mac_key_.expose_secret(), {message}).expose_secret());
}

std::string LoginSecret::mac_text(std::string_view use, std::initializer_list<std::string_view> parts) const {
  return to_base64url(mac(use, parts));
}

bool LoginSecret::is_mac_text(std::string_view given, std::string_view use,
                              std::initializer_list<std::string_view> parts) const {
  return equal_constant_time(as_bytes(given), as_bytes(mac_text(use, parts)));
}

Bytes LoginSecret::seal(ByteView secret, std::string_view bound_to, RandomSource& random) const {
  Bytes out = random.bytes(kNonce);
  out.resize(kNonce + secret.size() + kTag);
  const Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int length = 0;
  bool done = cipher && EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, box_key_.expose_secret().data(),
                                           out.data()) == kRight;
  done = done && EVP_EncryptUpdate(cipher.get(), nullptr, &length, as_bytes(bound_to).data(),
                                   static_cast<int>(bound_to.size())) == kRight;
  done = done && EVP_EncryptUpdate(cipher.get(), out.data() + kNonce, &length, secret.data(),
                                   static_cast<int>(secret.size())) == kRight;
  done = done && EVP_EncryptFinal_ex(cipher.get(), out.data() + kNonce + length, &length) == kRight;
  done = done &&
         EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTag, out.data() + kNonce + secret.size()) == kRight;
  KARTA_CHECK(done);
  return out;
}

Result<SecretBytes> LoginSecret::open(ByteView sealed, std::string_view bound_to) const {
  const auto refused = [] {
    return fail(ErrorKind::invalid_signature, "what the database keeps for a log-in cannot be opened",
                "is \"secret_file\" of [login] the one it was made with?");
  };
  if (sealed.size() < kNonce + kTag) return refused();
  const ByteView body = sealed.subspan(kNonce, sealed.size() - kNonce - kTag);
  Bytes tag = to_bytes(sealed.last(kTag));
  SecretBytes out(body.size());
  const Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int length = 0;
  bool done = cipher && EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, box_key_.expose_secret().data(),
                                           sealed.data()) == kRight;
  done = done && EVP_DecryptUpdate(cipher.get(), nullptr, &length, as_bytes(bound_to).data(),
                                   static_cast<int>(bound_to.size())) == kRight;
  done = done && EVP_DecryptUpdate(cipher.get(), out.expose_secret_mutable().data(), &length, body.data(),
                                   static_cast<int>(body.size())) == kRight;
  done = done && EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTag, tag.data()) == kRight;
  done = done && EVP_DecryptFinal_ex(cipher.get(), out.expose_secret_mutable().data() + length, &length) == kRight;
  if (!done) return refused();
  return out;
}

}  // namespace karta::identity
