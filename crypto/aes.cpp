#include "crypto/aes.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "crypto/openssl_handles.h"

namespace karta::crypto {
namespace {

struct AesRow {
  std::size_t key_octets;
  const char* ecb;
  const char* cbc;
};
constexpr auto kRows = std::to_array<AesRow>({
    {16, "AES-128-ECB", "AES-128-CBC"},
    {24, "AES-192-ECB", "AES-192-CBC"},
    {32, "AES-256-ECB", "AES-256-CBC"},
});

const AesRow& row_for(const SecretBytes& key) {
  for (const AesRow& row : kRows) {
    if (row.key_octets == key.size()) return row;
  }
  KARTA_CHECK(!"an AES key of 16, 24 or 32 octets");
  return kRows[0];
}

using CipherPtr = std::unique_ptr<EVP_CIPHER, OpensslFree<EVP_CIPHER_free>>;
using MacPtr = std::unique_ptr<EVP_MAC, OpensslFree<EVP_MAC_free>>;
using MacCtxPtr = std::unique_ptr<EVP_MAC_CTX, OpensslFree<EVP_MAC_CTX_free>>;

// Fetched once: a fetch costs more than the block it is for.
const EVP_CIPHER* fetched(const char* name) {
  static const std::array<CipherPtr, 6> ciphers = [] {
    std::array<CipherPtr, 6> all;
    for (std::size_t i = 0; i < kRows.size(); ++i) {
      all[2 * i].reset(EVP_CIPHER_fetch(nullptr, kRows[i].ecb, nullptr));
      all[2 * i + 1].reset(EVP_CIPHER_fetch(nullptr, kRows[i].cbc, nullptr));
    }
    return all;
  }();
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (name == kRows[i].ecb) return ciphers[2 * i].get();
    if (name == kRows[i].cbc) return ciphers[2 * i + 1].get();
  }
  return nullptr;
}

Bytes run_cipher(const char* name, const SecretBytes& key, const std::uint8_t* iv, ByteView blocks, bool encrypt) {
  KARTA_CHECK(blocks.size() % kAesBlock == 0);
  Bytes out(blocks.size());
  const CipherCtxPtr context(EVP_CIPHER_CTX_new());
  int written = 0;
  int last = 0;
  KARTA_CHECK(context && EVP_CipherInit_ex2(context.get(), fetched(name), key.expose_secret().data(), iv,
                                            encrypt ? 1 : 0, nullptr) == 1);
  KARTA_CHECK(EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1);
  if (!blocks.empty()) {
    KARTA_CHECK(EVP_CipherUpdate(context.get(), out.data(), &written, blocks.data(), static_cast<int>(blocks.size())) ==
                1);
  }
  KARTA_CHECK(EVP_CipherFinal_ex(context.get(), out.data() + written, &last) == 1);
  KARTA_CHECK(static_cast<std::size_t>(written + last) == out.size());
  return out;
}

}  // namespace

AesBlock aes_encrypt_block(const SecretBytes& key, const AesBlock& block) {
  const Bytes out = run_cipher(row_for(key).ecb, key, nullptr, block, true);
  AesBlock result{};
  std::copy(out.begin(), out.end(), result.begin());
  return result;
}

Bytes aes_cbc_encrypt(const SecretBytes& key, const AesBlock& iv, ByteView blocks) {
  return run_cipher(row_for(key).cbc, key, iv.data(), blocks, true);
}

Bytes aes_cbc_decrypt(const SecretBytes& key, const AesBlock& iv, ByteView blocks) {
  return run_cipher(row_for(key).cbc, key, iv.data(), blocks, false);
}

AesBlock aes_cmac(const SecretBytes& key, std::initializer_list<ByteView> parts) {
  static const MacPtr mac(EVP_MAC_fetch(nullptr, "CMAC", nullptr));
  const MacCtxPtr context(EVP_MAC_CTX_new(mac.get()));
  const std::array<OSSL_PARAM, 2> parameters = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, const_cast<char*>(row_for(key).cbc), 0),
      OSSL_PARAM_construct_end()};
  KARTA_CHECK(context && EVP_MAC_init(context.get(), key.expose_secret().data(), key.size(), parameters.data()) == 1);
  for (const ByteView part : parts) {
    if (!part.empty()) KARTA_CHECK(EVP_MAC_update(context.get(), part.data(), part.size()) == 1);
  }
  AesBlock out{};
  std::size_t written = 0;
  KARTA_CHECK(EVP_MAC_final(context.get(), out.data(), &written, out.size()) == 1 && written == out.size());
  return out;
}

void pad_iso9797(Bytes& message, std::size_t block) {
  message.push_back(0x80);
  message.resize((message.size() + block - 1) / block * block, 0x00);
}

Result<std::size_t> unpadded_iso9797(ByteView padded) {
  std::size_t size = padded.size();
  while (size > 0 && padded[size - 1] == 0x00) --size;
  if (size == 0 || padded[size - 1] != 0x80) return fail(ErrorKind::malformed, "a message without its padding");
  return size - 1;
}

}  // namespace karta::crypto
