// The published vectors of Magma and Kuznyechik on the gostprov provider: what the block ciphers of later rooms can be
// built on. Modes the provider has run in it as well; those it has not (Magma in ECB, CFB, OFB; MGM; a register longer
// than a block) run on single blocks here.
#include <gtest/gtest.h>
#include <openssl/provider.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "crypto/openssl_handles.h"
#include "crypto/testing.h"

namespace karta::crypto {
namespace {

using nlohmann::json;

Bytes octets(const json& value) { return testing::must(from_hex(value.get<std::string>())); }

class GostProvider : public ::testing::Test {
 protected:
  GostProvider() : library_(OSSL_LIB_CTX_new()), provider_(OSSL_PROVIDER_load(library_, "gostprov")) {}
  ~GostProvider() override {
    if (provider_ != nullptr) OSSL_PROVIDER_unload(provider_);
    OSSL_LIB_CTX_free(library_);
  }

  Bytes cipher(const char* name, const Bytes& key, const Bytes& iv, const Bytes& plain) {
    EVP_CIPHER* const method = EVP_CIPHER_fetch(library_, name, nullptr);
    EXPECT_NE(method, nullptr) << name;
    const CipherCtxPtr context(EVP_CIPHER_CTX_new());
    Bytes out(plain.size() + 32);
    int first = 0, last = 0;
    EXPECT_EQ(EVP_EncryptInit_ex2(context.get(), method, key.data(), iv.empty() ? nullptr : iv.data(), nullptr), 1);
    EXPECT_EQ(EVP_CIPHER_CTX_set_padding(context.get(), 0), 1);
    EXPECT_EQ(EVP_EncryptUpdate(context.get(), out.data(), &first, plain.data(), static_cast<int>(plain.size())), 1);
    EXPECT_EQ(EVP_EncryptFinal_ex(context.get(), out.data() + first, &last), 1);
    out.resize(static_cast<std::size_t>(first + last));
    EVP_CIPHER_free(method);
    return out;
  }

  OSSL_LIB_CTX* library_;
  OSSL_PROVIDER* provider_;
};

/// One of the two ciphers: single blocks by the provider, modes by GOST R 34.13-2015 and what was built on it.
class Modes {
 public:
  using Block = std::function<Bytes(const Bytes& key, const Bytes& block)>;
  Modes(std::size_t octets, Block block) : n_(octets), block_(std::move(block)) {}

  std::size_t octets() const { return n_; }
  Bytes encrypt(const Bytes& key, const Bytes& block) const { return block_(key, block); }

  static Bytes sum(ByteView a, ByteView b) {
    Bytes out;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) out.push_back(a[i] ^ b[i]);
    return out;
  }
  std::vector<Bytes> blocks(ByteView text) const {
    std::vector<Bytes> out;
    for (std::size_t at = 0; at < text.size(); at += n_) {
      out.push_back(to_bytes(text.subspan(at, std::min(n_, text.size() - at))));
    }
    return out;
  }

  Bytes ecb(const Bytes& key, const Bytes& text) const {
    Bytes out;
    for (const Bytes& one : blocks(text)) append(out, encrypt(key, one));
    return out;
  }
  /// CBC, CFB and OFB with a shift register of the length of `iv`.
  enum class Feedback { cbc, cfb, ofb };
  Bytes feedback(Feedback how, const Bytes& key, const Bytes& iv, const Bytes& text) const {
    Bytes out, chain = iv;
    for (const Bytes& one : blocks(text)) {
      const Bytes head(chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(n_));
      const Bytes gamma = how == Feedback::cbc ? Bytes{} : encrypt(key, head);
      const Bytes made = how == Feedback::cbc ? encrypt(key, sum(head, one)) : sum(gamma, one);
      chain.erase(chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(n_));
      append(chain, how == Feedback::ofb ? gamma : made);
      append(out, made);
    }
    return out;
  }
  static void increment(Bytes& number, std::size_t from, std::size_t to) {
    for (std::size_t i = to; i-- > from;) {
      if (++number[i] != 0) return;
    }
  }
  Bytes acpkm(const Bytes& key) const {
    Bytes constant(32);
    for (std::size_t i = 0; i < constant.size(); ++i) constant[i] = static_cast<std::uint8_t>(0x80 + i);
    return ecb(key, constant);
  }
  /// CTR, and CTR-ACPKM where sections have a length (RFC 8645 §6.2.2).
  Bytes ctr(Bytes key, const Bytes& iv, const Bytes& text, std::size_t section = 0) const {
    Bytes counter = iv, out;
    counter.resize(n_);
    for (const Bytes& one : blocks(text)) {
      if (section != 0 && !out.empty() && out.size() % section == 0) key = acpkm(key);
      append(out, sum(encrypt(key, counter), one));
      increment(counter, 0, n_);
    }
    return out;
  }
  Bytes doubled(const Bytes& number) const {
    Bytes out(number);
    for (std::size_t i = 0; i < n_; ++i) {
      out[i] = static_cast<std::uint8_t>(number[i] << 1 | (i + 1 < n_ ? number[i + 1] >> 7 : 0));
    }
    if ((number[0] & 0x80) != 0) out[n_ - 1] ^= n_ == 16 ? 0x87 : 0x1B;
    return out;
  }
  Bytes omac(const Bytes& key, const Bytes& message) const { return mac(message, message.size(), key, {}); }
  /// RFC 8645 §6.3.6; `material` has key and mask of each section.
  Bytes mac(const Bytes& message, std::size_t section, const Bytes& only_key, const Bytes& material) const {
    Bytes state(n_);
    const auto parts = blocks(message);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::size_t at = i * n_ / section * (32 + n_);
      const auto cut = [&](std::size_t from, std::size_t count) {
        return to_bytes(ByteView(material).subspan(at + from, count));
      };
      const Bytes key = material.empty() ? only_key : cut(0, 32);
      Bytes part = parts[i];
      if (i + 1 == parts.size()) {
        Bytes mask = material.empty() ? doubled(encrypt(key, Bytes(n_))) : cut(32, n_);
        if (part.size() < n_) {
          mask = doubled(mask);
          part.push_back(0x80);
          part.resize(n_);
        }
        part = sum(part, mask);
      }
      state = encrypt(key, sum(state, part));
    }
    return state;
  }
  Bytes product(Bytes a, const Bytes& b) const {
    Bytes out(n_);
    for (std::size_t i = 8 * n_; i-- > 0;) {  // the bit of weight x^0 comes last
      const std::size_t bit = 8 * n_ - 1 - i;
      if ((b[n_ - 1 - bit / 8] >> (bit % 8) & 1) != 0) out = sum(out, a);
      a = doubled(a);
    }
    return out;
  }
  /// RFC 9058: what is encrypted, and its tag.
  std::pair<Bytes, Bytes> mgm(const Bytes& key, const Bytes& nonce, const Bytes& aad, const Bytes& plain) const {
    Bytes y = encrypt(key, nonce), first = nonce, tag(n_), text;
    first[0] |= 0x80;
    Bytes z = encrypt(key, first);
    for (const Bytes& one : blocks(plain)) {
      append(text, sum(encrypt(key, y), one));
      increment(y, n_ / 2, n_);
    }
    const auto length = [&](const Bytes& of) {
      Bytes out(n_ / 2);
      for (std::size_t i = 0, bits = of.size() * 8; i < out.size(); ++i, bits >>= 8) {
        out[out.size() - 1 - i] = static_cast<std::uint8_t>(bits);
      }
      return out;
    };
    std::vector<Bytes> all = blocks(aad);
    const auto more = blocks(text);
    all.insert(all.end(), more.begin(), more.end());
    all.push_back(concat({length(aad), length(text)}));
    for (Bytes& one : all) {
      one.resize(n_);
      tag = sum(tag, product(encrypt(key, z), one));
      increment(z, 0, n_ / 2);
    }
    return {text, encrypt(key, tag)};
  }

 private:
  std::size_t n_;
  Block block_;
};

TEST_F(GostProvider, BlockCiphersGiveThePublishedAnswers) {
  ASSERT_NE(provider_, nullptr) << "libengine-gost-openssl";
  const Modes kuznyechik(
      16, [&](const Bytes& key, const Bytes& block) { return cipher("kuznyechik-ecb", key, {}, block); });
  const Modes magma(8, [&](const Bytes& key, const Bytes& block) { return cipher("magma-cbc", key, Bytes(8), block); });
  const std::set<std::string> in_provider = {"kuznyechik-ecb", "kuznyechik-ctr", "magma-ctr"};
  std::ifstream in(std::string(KARTA_SOURCE_DIR) + "/tests/vectors/gost_block_ciphers.json");
  std::size_t done = 0;
  const json vectors = json::parse(in);
  for (const json& one : vectors["entries"]) {
    const auto id = one["id"].get<std::string>();
    const std::string mode = id.substr(id.find('-') + 1);
    const Modes& of = id.starts_with("magma") ? magma : kuznyechik;
    const Bytes key = octets(one["key"]);
    const auto text = [&](const char* name) { return one.contains(name) ? octets(one[name]) : Bytes{}; };
    const auto is = [&](const Bytes& made, const char* name) { EXPECT_EQ(to_hex(made), to_hex(text(name))) << id; };
    ++done;
    if (mode == "block" || mode == "ecb") {
      is(of.ecb(key, text("plain")), "cipher");
    } else if (mode == "ctr") {
      is(of.ctr(key, text("iv"), text("plain")), "cipher");
    } else if (mode == "cbc" || mode == "cfb" || mode == "ofb") {
      const auto how = mode == "cbc"   ? Modes::Feedback::cbc
                       : mode == "cfb" ? Modes::Feedback::cfb
                                       : Modes::Feedback::ofb;
      is(of.feedback(how, key, text("iv"), text("plain")), "cipher");
    } else if (mode == "mac") {
      Bytes made = of.omac(key, text("message"));
      made.resize(one["s_bits"].get<std::size_t>() / 8);
      is(made, "mac");
      is(of.doubled(of.encrypt(key, Bytes(of.octets()))), "k1");
    } else if (mode == "acpkm-keys") {
      Bytes section = key;
      for (const json& next : one["section_keys"]) {
        EXPECT_TRUE(section == octets(next) || (section = of.acpkm(section)) == octets(next)) << id;
      }
    } else if (mode == "ctr-acpkm") {
      is(of.ctr(key, text("iv"), text("plain"), one["section_bytes"]), "cipher");
    } else if (mode.starts_with("omac-acpkm")) {
      const std::size_t section = one["message_section_bytes"];
      const std::size_t sections = (text("message").size() + section - 1) / section;
      const Bytes material = of.ctr(key, Bytes(of.octets() / 2, 0xFF), Bytes(sections * (32 + of.octets())),
                                    one["key_material_section_bytes"]);
      is(of.mac(text("message"), section, {}, material), "mac");
    } else if (mode == "mgm") {
      const auto [made, tag] = of.mgm(key, text("nonce"), text("aad"), text("plain"));
      is(made, "cipher");
      is(tag, "tag");
    } else if (mode == "kexp15") {
      const Bytes mac = of.omac(text("key_mac"), concat({text("iv"), key}));
      is(of.ctr(text("key_enc"), text("iv"), concat({key, mac})), "exported");
    } else {
      ADD_FAILURE() << "a vector of a new kind: " << id;
    }
    if (in_provider.contains(id)) {
      Bytes iv = text("iv");
      if (!iv.empty()) iv.resize(of.octets());
      is(cipher(id.c_str(), key, iv, text("plain")), "cipher");
    }
  }
  EXPECT_EQ(done, 26u);
}

// What is written in docs/gost.md of the provider: if one of these appears, the document is old.
TEST_F(GostProvider, HasNeitherTheOtherModesOfMagmaNorMgm) {
  ASSERT_NE(provider_, nullptr) << "libengine-gost-openssl";
  for (const char* name : {"magma-ecb", "magma-cfb", "magma-ofb", "magma-mgm", "kuznyechik-mgm"}) {
    EVP_CIPHER* const method = EVP_CIPHER_fetch(library_, name, nullptr);
    EXPECT_EQ(method, nullptr) << name;
    EVP_CIPHER_free(method);
  }
  ERR_clear_error();
}

}  // namespace
}  // namespace karta::crypto
