// GOST R 34.10-2012 signatures and Streebog a second, beside the gost engine (the peer, in this process) in the same
// run.
//
//   gost_bench sign | verify
#define OPENSSL_SUPPRESS_DEPRECATED  // the ENGINE interface
#include <openssl/engine.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>

#include "bench.h"
#include "crypto/digest.h"
#include "crypto/gost_key.h"
#include "crypto/key.h"
#include "crypto/testing.h"

using namespace karta;
using namespace karta::bench;
using namespace karta::crypto;
using namespace karta::crypto::testing;

namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;

/// The engine, as the default of all it does, if it is installed.
bool load_engine() {
  ENGINE_load_dynamic();
  ENGINE* const engine = ENGINE_by_id("gost");
  return engine != nullptr && ENGINE_init(engine) == 1 && ENGINE_set_default(engine, ENGINE_METHOD_ALL) == 1;
}

struct Pair {
  const PrivateKey& ours;
  Key theirs;  ///< the same key; null where the engine is not there
  Bytes hashed;
  AlgorithmId algorithm;

  Pair(KeyType type, bool peer)
      : ours(test_key(type)),
        hashed(digest(row_of(default_algorithm(type)).hash, as_bytes("what is signed"))),
        algorithm(default_algorithm(type)) {
    if (!peer) return;
    const SecretBytes der = ours.expose_secret_der();
    const std::uint8_t* at = der.expose_secret().data();
    theirs.reset(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
    demand(theirs != nullptr, "the engine cannot read the key");
  }
};

void bench_sign(bool peer) {
  for (const KeyTypeRow& row : kKeyTypes) {
    if (row.family != KeyFamily::gost) continue;
    const Pair pair(row.id, peer);
    const double ours =
        rate([&] { demand(pair.ours.sign_digest(pair.algorithm, pair.hashed).has_value(), "karta does not sign"); });
    const double theirs = !peer ? 0 : rate([&] {
      const Context context(EVP_PKEY_CTX_new(pair.theirs.get(), nullptr));
      Bytes signature(2 * pair.hashed.size());
      std::size_t octets = signature.size();
      demand(EVP_PKEY_sign_init(context.get()) == 1 &&
                 EVP_PKEY_sign(context.get(), signature.data(), &octets, pair.hashed.data(), pair.hashed.size()) == 1,
             "the engine does not sign");
    });
    show("sign a digest, " + std::string(row.name), ours, "gost engine", theirs);
  }
}

void bench_verify(bool peer) {
  for (const KeyTypeRow& row : kKeyTypes) {
    if (row.family != KeyFamily::gost) continue;
    const Pair pair(row.id, peer);
    const Bytes signature = must(pair.ours.sign_digest(pair.algorithm, pair.hashed));
    const PublicKey& key = pair.ours.public_key();
    const double ours =
        rate([&] { demand(key.verify_digest(pair.algorithm, pair.hashed, signature).has_value(), "karta refuses"); });
    const double theirs = !peer ? 0 : rate([&] {
      const Context context(EVP_PKEY_CTX_new(pair.theirs.get(), nullptr));
      demand(
          EVP_PKEY_verify_init(context.get()) == 1 && EVP_PKEY_verify(context.get(), signature.data(), signature.size(),
                                                                      pair.hashed.data(), pair.hashed.size()) == 1,
          "the engine refuses");
    });
    show("verify a digest, " + std::string(row.name), ours, "gost engine", theirs);
    show("read a public key, " + std::string(row.name), rate([&] { must(PublicKey::from_spki(key.spki())); }),
         "gost engine", !peer ? 0 : rate([&] {
           const std::uint8_t* at = key.spki().data();
           demand(Key(d2i_PUBKEY(nullptr, &at, static_cast<long>(key.spki().size()))) != nullptr, "no public key");
         }));
  }
  const Bytes megabyte(1'000'000, 0x5A);
  for (const Hash hash : {Hash::streebog256, Hash::streebog512}) {
    const char* const name = hash == Hash::streebog256 ? "md_gost12_256" : "md_gost12_512";
    const EVP_MD* const method = peer ? EVP_get_digestbyname(name) : nullptr;
    show("hash 1 MB, " + std::string(row_of(hash).name), rate([&] { (void)digest(hash, megabyte); }), "gost engine",
         method == nullptr ? 0 : rate([&] {
           std::uint8_t out[64];
           demand(EVP_Digest(megabyte.data(), megabyte.size(), out, nullptr, method, nullptr) == 1, "no hash");
         }));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const bool peer = load_engine();
  if (!peer) std::fprintf(stderr, "the gost engine is not installed: no peer to compare with\n");
  if (what == "verify") {
    bench_verify(peer);
  } else if (what == "sign") {
    bench_sign(peer);
  } else {
    std::fprintf(stderr, "usage: gost_bench sign | verify\n");
    return 64;
  }
  return 0;
}
