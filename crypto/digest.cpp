#include "crypto/digest.h"

#include "crypto/openssl_handles.h"

namespace karta::crypto {

const EVP_MD* evp_md(Hash hash) {
  // Fetched once and kept: a fetch per hash costs more than hashing a small message.
  static const auto kFetched = [] {
    std::array<EVP_MD*, kHashes.size()> fetched{};
    for (const HashRow& row : kHashes) {
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
  MdCtxPtr context{EVP_MD_CTX_new()};
  std::size_t octets = 0;
};

Hasher::Hasher(Hash hash) : hash_(hash), state_(std::make_unique<State>()) {
  KARTA_CHECK(state_->context != nullptr && EVP_DigestInit_ex2(state_->context.get(), evp_md(hash), nullptr) == 1);
  state_->octets = row_of(hash).octets;
}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(ByteView octets) {
  KARTA_CHECK(EVP_DigestUpdate(state_->context.get(), octets.data(), octets.size()) == 1);
}

Hasher Hasher::clone() const {
  Hasher out(hash_);
  KARTA_CHECK(EVP_MD_CTX_copy_ex(out.state_->context.get(), state_->context.get()) == 1);
  return out;
}

Bytes Hasher::finish() {
  Bytes out(state_->octets);
  KARTA_CHECK(EVP_DigestFinal_ex(state_->context.get(), out.data(), nullptr) == 1);
  return out;
}

Bytes digest(Hash hash, ByteView octets) {
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
