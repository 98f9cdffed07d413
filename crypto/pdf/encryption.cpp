#include "crypto/pdf/encryption.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
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

// --- the file's key: §7.6.4 of ISO 32000-2, whose algorithms are named by number ---

constexpr std::uint8_t kPadding[] = {0x28, 0xBF, 0x4E, 0x5E, 0x4E, 0x75, 0x8A, 0x41, 0x64, 0x00, 0x4E,
                                     0x56, 0xFF, 0xFA, 0x01, 0x08, 0x2E, 0x2E, 0x00, 0xB6, 0xD0, 0x68,
                                     0x3E, 0x80, 0x2F, 0x0C, 0xA9, 0xFE, 0x64, 0x53, 0x69, 0x7A};
constexpr std::size_t kMostPassword = 127;

/// What the encryption dictionary says (tables 20 and 21).
struct Security {
  std::int64_t revision = 0;  ///< R
  std::size_t key_octets = 5;
  Bytes owner, user, owner_key, user_key;  ///< O, U, OE, UE
  std::uint32_t permissions = 0;           ///< P
  bool metadata = true;                    ///< EncryptMetadata
  Bytes id;                                ///< the first part of the file's ID
  Method strings = Method::rc4, streams = Method::rc4;
};

class SecurityReader {
 public:
  explicit SecurityReader(const Document& document) : document_(document), last_(document.last()) {}

  Result<Security> read() const {
    const Object* const dictionary = TRY(document_.get(document_.trailer(last_), "Encrypt", last_));
    const Object* const filter = TRY(document_.get(*dictionary, "Filter", last_));
    if (!filter->is_name("Standard")) {
      return fail(ErrorKind::unsupported,
                  "the document is encrypted for certain certificates, or in a way karta has not");
    }
    Security out;
    const std::int64_t version = TRY(number(*dictionary, "V", 0));
    out.revision = TRY(number(*dictionary, "R", 0));
    out.permissions = static_cast<std::uint32_t>(TRY(number(*dictionary, "P", 0)));
    out.owner = TRY(octets(*dictionary, "O"));
    out.user = TRY(octets(*dictionary, "U"));
    out.owner_key = TRY(octets(*dictionary, "OE"));
    out.user_key = TRY(octets(*dictionary, "UE"));
    const Object* const metadata = TRY(document_.get(*dictionary, "EncryptMetadata", last_));
    out.metadata = !metadata->is(Object::Kind::boolean) || metadata->boolean;
    const Object* const id = TRY(document_.get(document_.trailer(last_), "ID", last_));
    if (!id->items.empty()) {
      const Object* const first = TRY(document_.resolve(id->items[0], last_));
      out.id = octets_of(*first);
    }
    const std::int64_t bits = TRY(number(*dictionary, "Length", version == 4 ? 128 : 40));
    if (out.revision < 2 || out.revision > 6 || version < 1 || version == 3 || version > 5) {
      return fail(ErrorKind::unsupported, "the document's cipher is not known");
    }
    if (version == 2 || version == 4) {
      if (bits < 40 || bits > 128 || bits % 8 != 0) return fail(ErrorKind::malformed, "an encryption key of no length");
      out.key_octets = version == 4 ? 16 : static_cast<std::size_t>(bits) / 8;
    }
    if (version == 5) out.key_octets = 32;
    if (version >= 4) {
      out.strings = TRY(method(*dictionary, "StrF"));
      out.streams = TRY(method(*dictionary, "StmF"));
    }
    const bool aes_256 = version == 5;
    const auto fits = [&](Method one) { return one == Method::none || (one == Method::aes_256) == aes_256; };
    const std::size_t wanted = aes_256 ? 48 : 32;
    if ((out.revision >= 5) != aes_256 || !fits(out.strings) || !fits(out.streams) || out.owner.size() < wanted ||
        out.user.size() < wanted || (aes_256 && (out.owner_key.size() != 32 || out.user_key.size() != 32))) {
      return fail(ErrorKind::malformed, "the document's encryption dictionary does not hold together");
    }
    out.owner.resize(wanted);
    out.user.resize(wanted);
    return out;
  }

 private:
  Result<std::int64_t> number(const Object& dictionary, std::string_view key, std::int64_t otherwise) const {
    const Object* const value = TRY(document_.get(dictionary, key, last_));
    return value->is(Object::Kind::integer) ? value->integer : otherwise;
  }
  Result<Bytes> octets(const Object& dictionary, std::string_view key) const {
    const Object* const value = TRY(document_.get(dictionary, key, last_));
    return value->is(Object::Kind::string) ? octets_of(*value) : Bytes{};
  }
  // Tables 20 and 25: the crypt filter of this name.
  Result<Method> method(const Object& dictionary, std::string_view key) const {
    const Object* const name = TRY(document_.get(dictionary, key, last_));
    if (!name->is(Object::Kind::name) || name->text == "Identity") return Method::none;
    const Object* const filters = TRY(document_.get(dictionary, "CF", last_));
    const Object* const filter = TRY(document_.get(*filters, name->text, last_));
    const Object* const cipher = TRY(document_.get(*filter, "CFM", last_));
    if (cipher->is_name("None")) return Method::none;
    if (cipher->is_name("V2")) return Method::rc4;
    if (cipher->is_name("AESV2")) return Method::aes_128;
    if (cipher->is_name("AESV3")) return Method::aes_256;
    return fail(ErrorKind::unsupported, "the document's cipher is not known");
  }

  const Document& document_;
  std::size_t last_;
};

Bytes padded(ByteView password) {
  Bytes out = to_bytes(password.first(std::min<std::size_t>(password.size(), 32)));
  append(out, ByteView(kPadding).first(32 - out.size()));
  return out;
}

/// RC4 with the key, then with the key and each of 1 to 19 in every octet; or back.
Bytes rc4_rounds(ByteView key, Bytes octets, bool back) {
  for (int i = 0; i < 20; ++i) {
    Bytes round = to_bytes(key);
    for (std::uint8_t& one : round) one ^= static_cast<std::uint8_t>(back ? 19 - i : i);
    octets = rc4(round, octets);
    wipe(round);
  }
  return octets;
}

// Algorithm 2.
Bytes key_of(const Security& security, ByteView password) {
  Bytes input = padded(password);
  append(input, security.owner);
  for (int shift : {0, 8, 16, 24}) input.push_back(static_cast<std::uint8_t>(security.permissions >> shift));
  append(input, security.id);
  if (security.revision >= 4 && !security.metadata) append(input, Bytes(4, 0xFF));
  Bytes hash = digest(Hash::md5, input);
  wipe(input);
  const std::size_t octets = security.revision == 2 ? 5 : security.key_octets;
  for (int i = 0; security.revision >= 3 && i < 50; ++i) hash = digest(Hash::md5, ByteView(hash).first(octets));
  hash.resize(octets);
  return hash;
}

// Algorithms 4 to 6: the key if this is the user's password.
std::optional<Bytes> key_of_user(const Security& security, ByteView password) {
  const Bytes key = key_of(security, password);
  if (security.revision == 2) {
    return rc4(key, kPadding) == security.user ? std::optional(key) : std::nullopt;
  }
  const Bytes expected = rc4_rounds(key, digest(Hash::md5, concat({kPadding, security.id})), false);
  return equal(expected, ByteView(security.user).first(16)) ? std::optional(key) : std::nullopt;
}

// Algorithm 7: the owner's password keeps the user's.
std::optional<Bytes> key_of_owner(const Security& security, ByteView password) {
  const std::size_t octets = security.revision == 2 ? 5 : security.key_octets;
  Bytes hash = digest(Hash::md5, padded(password));
  for (int i = 0; security.revision >= 3 && i < 50; ++i) hash = digest(Hash::md5, ByteView(hash).first(octets));
  hash.resize(octets);
  Bytes user = security.revision == 2 ? rc4(hash, security.owner) : rc4_rounds(hash, security.owner, true);
  auto key = key_of_user(security, user);
  wipe(hash);
  wipe(user);
  return key;
}

// Algorithm 2.B; revision 5 stops after its first line.
Bytes hash_of_password(std::int64_t revision, ByteView password, ByteView salt, ByteView user) {
  Bytes key = digest(Hash::sha256, concat({password, salt, user}));
  if (revision == 5) return key;
  std::uint8_t end = 0;
  for (int round = 0; round < 64 || end > round - 32; ++round) {
    const Bytes once = concat({password, key, user});
    Bytes input;
    input.reserve(64 * once.size());
    for (int i = 0; i < 64; ++i) append(input, once);
    const SecretBytes cipher_key(to_bytes(ByteView(key).first(16)));
    const Bytes encrypted = aes_cbc_encrypt(cipher_key, block_of(ByteView(key).subspan(16)), input);
    // The first sixteen octets as a number, modulo three: each power of 256 leaves one.
    const unsigned rest = std::accumulate(encrypted.begin(), encrypted.begin() + 16, 0u) % 3;
    key = digest(rest == 0 ? Hash::sha256 : rest == 1 ? Hash::sha384 : Hash::sha512, encrypted);
    end = encrypted.back();
    wipe(input);
  }
  key.resize(32);
  return key;
}

// Algorithm 2.A: O and U are a hash, a salt to check with, a salt for the key.
std::optional<Bytes> key_of_256(const Security& security, ByteView password) {
  password = password.first(std::min(password.size(), kMostPassword));
  struct Way {
    const Bytes &check, &key;
    ByteView user;
  };
  for (const Way& way :
       {Way{security.user, security.user_key, {}}, Way{security.owner, security.owner_key, security.user}}) {
    const ByteView check(way.check);
    if (!equal(hash_of_password(security.revision, password, check.subspan(32, 8), way.user), check.first(32)))
      continue;
    const SecretBytes between(hash_of_password(security.revision, password, check.subspan(40, 8), way.user));
    return aes_cbc_decrypt(between, AesBlock{}, way.key);
  }
  return std::nullopt;
}

std::optional<Bytes> open(const Security& security, ByteView password) {
  if (security.revision >= 5) return key_of_256(security, password);
  auto key = key_of_user(security, password);
  return key ? key : key_of_owner(security, password);
}

}  // namespace

Result<std::shared_ptr<const ObjectCipher>> open_cipher(const Document& document, const SecretBytes& password) {
  const Security security = TRY(SecurityReader(document).read());
  std::optional<Bytes> key = open(security, password.expose_secret());
  if (!key && !password.empty()) key = open(security, {});
  if (!key) {
    return fail(ErrorKind::not_permitted, "the document is encrypted, and this password does not open it",
                "give its password: --document-password-fd");
  }
  return std::make_shared<const Cipher>(SecretBytes(std::move(*key)), security.strings, security.streams);
}

}  // namespace karta::crypto::pdf
