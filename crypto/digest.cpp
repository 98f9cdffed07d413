#include "crypto/digest.h"

#include <optional>

#include "crypto/openssl_handles.h"
#include "crypto/streebog.h"

namespace karta::crypto {

const EVP_MD* evp_md(Hash hash) {
  // Fetched once and kept: a fetch per hash costs more than hashing a small message.
  static const auto kFetched = [] {
    std::array<EVP_MD*, kHashes.size()> fetched{};
    for (const HashRow& row : kHashes) {
      if (row.back_end != BackEnd::openssl) continue;
      fetched[static_cast<std::size_t>(row.id)] = EVP_MD_fetch(nullptr, std::string(row.name).c_str(), nullptr);
    }
    ERR_clear_error();
    return fetched;
  }();
  const EVP_MD* const found = kFetched[static_cast<std::size_t>(hash)];
  KARTA_CHECK(found != nullptr);
  return found;
}

struct Hasher::State {
  MdCtxPtr context;  // null: Streebog
  std::optional<Streebog> streebog;
};

Hasher::Hasher(Hash hash) : hash_(hash), state_(std::make_unique<State>()) {
  if (row_of(hash).back_end == BackEnd::gost) {
    state_->streebog.emplace(row_of(hash).octets);
    return;
  }
  state_->context.reset(EVP_MD_CTX_new());
  KARTA_CHECK(state_->context != nullptr && EVP_DigestInit_ex2(state_->context.get(), evp_md(hash), nullptr) == 1);
}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(ByteView octets) {
  if (state_->streebog) {
    state_->streebog->update(octets);
    return;
  }
  KARTA_CHECK(EVP_DigestUpdate(state_->context.get(), octets.data(), octets.size()) == 1);
}

Hasher Hasher::clone() const {
  Hasher out(hash_);
  out.state_->streebog = state_->streebog;
  KARTA_CHECK(state_->streebog || EVP_MD_CTX_copy_ex(out.state_->context.get(), state_->context.get()) == 1);
  return out;
}

Bytes Hasher::finish() {
  if (state_->streebog) return state_->streebog->finish();
  Bytes out(row_of(hash_).octets);
  KARTA_CHECK(EVP_DigestFinal_ex(state_->context.get(), out.data(), nullptr) == 1);
  return out;
}

Bytes digest(Hash hash, ByteView octets) {
  if (row_of(hash).back_end == BackEnd::gost) {
    Streebog streebog(row_of(hash).octets);
    streebog.update(octets);
    return streebog.finish();
  }
  Bytes out(row_of(hash).octets);
  KARTA_CHECK(EVP_Digest(octets.data(), octets.size(), out.data(), nullptr, evp_md(hash), nullptr) == 1);
  return out;
}

Result<Bytes> digest(Hash hash, ContentSource& content) {
  Hasher hasher(hash);
  Bytes scratch;
  for (;;) {
    const ByteView piece = TRY(content.next(scratch));
    if (piece.empty()) return hasher.finish();
    hasher.update(piece);
  }
}

}  // namespace karta::crypto
