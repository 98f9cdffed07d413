// GOST curves: the elliptic curves of GOST R 34.10-2012 and their arithmetic.
//
// Numbers are big-endian octets as long as the field (32 or 64); a point is x || y of such numbers. The curves stand in
// one table; parameter-set OIDs, several of which name one curve, are those of gost_key.h.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "base/secret.h"

namespace karta::crypto {

enum class GostCurve : std::uint8_t {
  tc26_256_a,
  crypto_pro_a,
  crypto_pro_b,
  crypto_pro_c,
  tc26_512_a,
  tc26_512_b,
  tc26_512_c,
  example_256,
  example_512,
};

/// y^2 = x^3 + ax + b over the integers modulo p; (x, y) generates the subgroup of prime order q. Hexadecimal.
struct GostCurveRow {
  GostCurve id;
  std::uint16_t field_bits;
  std::uint8_t cofactor;
  std::string_view p, a, b, q, x, y;
};

// RFC 7836 appendix A (tc26), RFC 4357 §11.4 (CryptoPro), RFC 7091 §7 (examples). The curves with cofactor 4 are
// twisted Edwards curves by birth; this is their Weierstrass form, in which keys and signatures are exchanged.
inline constexpr auto kGostCurves = std::to_array<GostCurveRow>({
    {.id = GostCurve::tc26_256_a,
     .field_bits = 256,
     .cofactor = 4,
     .p = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffd97",
     .a = "c2173f1513981673af4892c23035a27ce25e2013bf95aa33b22c656f277e7335",
     .b = "295f9bae7428ed9ccc20e7c359a9d41a22fccd9108e17bf7ba9337a6f8ae9513",
     .q = "400000000000000000000000000000000fd8cddfc87b6635c115af556c360c67",
     .x = "91e38443a5e82c0d880923425712b2bb658b9196932e02c78b2582fe742daa28",
     .y = "32879423ab1a0375895786c4bb46e9565fde0b5344766740af268adb32322e5c"},
    {.id = GostCurve::crypto_pro_a,
     .field_bits = 256,
     .cofactor = 1,
     .p = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffd97",
     .a = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffd94",
     .b = "00000000000000000000000000000000000000000000000000000000000000a6",
     .q = "ffffffffffffffffffffffffffffffff6c611070995ad10045841b09b761b893",
     .x = "0000000000000000000000000000000000000000000000000000000000000001",
     .y = "8d91e471e0989cda27df505a453f2b7635294f2ddf23e3b122acc99c9e9f1e14"},
    {.id = GostCurve::crypto_pro_b,
     .field_bits = 256,
     .cofactor = 1,
     .p = "8000000000000000000000000000000000000000000000000000000000000c99",
     .a = "8000000000000000000000000000000000000000000000000000000000000c96",
     .b = "3e1af419a269a5f866a7d3c25c3df80ae979259373ff2b182f49d4ce7e1bbc8b",
     .q = "800000000000000000000000000000015f700cfff1a624e5e497161bcc8a198f",
     .x = "0000000000000000000000000000000000000000000000000000000000000001",
     .y = "3fa8124359f96680b83d1c3eb2c070e5c545c9858d03ecfb744bf8d717717efc"},
    {.id = GostCurve::crypto_pro_c,
     .field_bits = 256,
     .cofactor = 1,
     .p = "9b9f605f5a858107ab1ec85e6b41c8aacf846e86789051d37998f7b9022d759b",
     .a = "9b9f605f5a858107ab1ec85e6b41c8aacf846e86789051d37998f7b9022d7598",
     .b = "000000000000000000000000000000000000000000000000000000000000805a",
     .q = "9b9f605f5a858107ab1ec85e6b41c8aa582ca3511eddfb74f02f3a6598980bb9",
     .x = "0000000000000000000000000000000000000000000000000000000000000000",
     .y = "41ece55743711a8c3cbf3783cd08c0ee4d4dc440d4641a8f366e550dfdb3bb67"},
    {.id = GostCurve::tc26_512_a,
     .field_bits = 512,
     .cofactor = 1,
     .p = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
          "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffdc7",
     .a = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
          "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffdc4",
     .b = "e8c2505dedfc86ddc1bd0b2b6667f1da34b82574761cb0e879bd081cfd0b6265"
          "ee3cb090f30d27614cb4574010da90dd862ef9d4ebee4761503190785a71c760",
     .q = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
          "27e69532f48d89116ff22b8d4e0560609b4b38abfad2b85dcacdb1411f10b275",
     .x = "0000000000000000000000000000000000000000000000000000000000000000"
          "0000000000000000000000000000000000000000000000000000000000000003",
     .y = "7503cfe87a836ae3a61b8816e25450e6ce5e1c93acf1abc1778064fdcbefa921"
          "df1626be4fd036e93d75e6a50e3a41e98028fe5fc235f5b889a589cb5215f2a4"},
    {.id = GostCurve::tc26_512_b,
     .field_bits = 512,
     .cofactor = 1,
     .p = "8000000000000000000000000000000000000000000000000000000000000000"
          "000000000000000000000000000000000000000000000000000000000000006f",
     .a = "8000000000000000000000000000000000000000000000000000000000000000"
          "000000000000000000000000000000000000000000000000000000000000006c",
     .b = "687d1b459dc841457e3e06cf6f5e2517b97c7d614af138bcbf85dc806c4b289f"
          "3e965d2db1416d217f8b276fad1ab69c50f78bee1fa3106efb8ccbc7c5140116",
     .q = "8000000000000000000000000000000000000000000000000000000000000001"
          "49a1ec142565a545acfdb77bd9d40cfa8b996712101bea0ec6346c54374f25bd",
     .x = "0000000000000000000000000000000000000000000000000000000000000000"
          "0000000000000000000000000000000000000000000000000000000000000002",
     .y = "1a8f7eda389b094c2c071e3647a8940f3c123b697578c213be6dd9e6c8ec7335"
          "dcb228fd1edf4a39152cbcaaf8c0398828041055f94ceeec7e21340780fe41bd"},
    {.id = GostCurve::tc26_512_c,
     .field_bits = 512,
     .cofactor = 4,
     .p = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
          "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffdc7",
     .a = "dc9203e514a721875485a529d2c722fb187bc8980eb866644de41c68e1430645"
          "46e861c0e2c9edd92ade71f46fcf50ff2ad97f951fda9f2a2eb6546f39689bd3",
     .b = "b4c4ee28cebc6c2c8ac12952cf37f16ac7efb6a9f69f4b57ffda2e4f0de5ade0"
          "38cbc2fff719d2c18de0284b8bfef3b52b8cc7a5f5bf0a3c8d2319a5312557e1",
     .q = "3fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
          "c98cdba46506ab004c33a9ff5147502cc8eda9e7a769a12694623cef47f023ed",
     .x = "e2e31edfc23de7bdebe241ce593ef5de2295b7a9cbaef021d385f7074cea043a"
          "a27272a7ae602bf2a7b9033db9ed3610c6fb85487eae97aac5bc7928c1950148",
     .y = "f5ce40d95b5eb899abbccff5911cb8577939804d6527378b8c108c3d2090ff9b"
          "e18e2d33e3021ed2ef32d85822423b6304f726aa854bae07d0396e9a9addc40f"},
    {.id = GostCurve::example_256,
     .field_bits = 256,
     .cofactor = 1,
     .p = "8000000000000000000000000000000000000000000000000000000000000431",
     .a = "0000000000000000000000000000000000000000000000000000000000000007",
     .b = "5fbff498aa938ce739b8e022fbafef40563f6e6a3472fc2a514c0ce9dae23b7e",
     .q = "8000000000000000000000000000000150fe8a1892976154c59cfc193accf5b3",
     .x = "0000000000000000000000000000000000000000000000000000000000000002",
     .y = "08e2a8a0e65147d4bd6316030e16d19c85c97f0a9ca267122b96abbcea7e8fc8"},
    {.id = GostCurve::example_512,
     .field_bits = 512,
     .cofactor = 1,
     .p = "4531acd1fe0023c7550d267b6b2fee80922b14b2ffb90f04d4eb7c09b5d2d15d"
          "f1d852741af4704a0458047e80e4546d35b8336fac224dd81664bbf528be6373",
     .a = "0000000000000000000000000000000000000000000000000000000000000000"
          "0000000000000000000000000000000000000000000000000000000000000007",
     .b = "1cff0806a31116da29d8cfa54e57eb748bc5f377e49400fdd788b649eca1ac43"
          "61834013b2ad7322480a89ca58e0cf74bc9e540c2add6897fad0a3084f302adc",
     .q = "4531acd1fe0023c7550d267b6b2fee80922b14b2ffb90f04d4eb7c09b5d2d15d"
          "a82f2d7ecb1dbac719905c5eecc423f1d86e25edbe23c595d644aaf187e6e6df",
     .x = "24d19cc64572ee30f396bf6ebbfd7a6c5213b3b3d7057cc825f91093a68cd762"
          "fd60611262cd838dc6b60aa7eee804e28bc849977fac33b4b530f1b120248a9a",
     .y = "2bb312a43bd2ce6e0d020613c857acddcfbf061e91e5f2c3f32447c259f39b2c"
          "83ab156d77f1496bf7eb3351e1ee4e43dc1a18b91b24640b6dbb92cb1add371e"},
});

constexpr const GostCurveRow& row_of(GostCurve id) { return kGostCurves[static_cast<std::size_t>(id)]; }

/// The group of one curve. Objects live as long as the program and serve all threads.
class GostGroup {
 public:
  static const GostGroup& of(GostCurve curve);
  virtual ~GostGroup() = default;

  /// Of a number: 32 or 64.
  virtual std::size_t octets() const = 0;

  /// Succeeds for a point of the subgroup of order q other than the identity; fails with `malformed`.
  virtual Status check_point(ByteView point) const = 0;
  /// True if 0 < scalar < q. Time does not depend on the scalar, nor does that of the functions with a SecretBytes.
  virtual bool is_scalar(const SecretBytes& scalar) const = 0;
  /// scalar * generator. `scalar` satisfies is_scalar.
  virtual Bytes multiply_generator(const SecretBytes& scalar) const = 0;
  /// scalar * point, as key agreement wants it; `scalar` below 2^(8 * octets()), `point` one that check_point accepts.
  /// Fails with `malformed` where that is the identity.
  virtual Result<SecretBytes> multiply(const SecretBytes& scalar, ByteView point) const = 0;

  /// GOST R 34.10-2012 §6.1: s || r for `digest`, as the hash function returned it (its first octet is the least
  /// significant). `key` and `nonce` satisfy is_scalar. Empty where this nonce does not serve (r or s is 0).
  virtual std::optional<Bytes> sign(const SecretBytes& key, const SecretBytes& nonce, ByteView digest) const = 0;
  /// §6.2. `point` is one that check_point accepts; `signature` is s || r of any content and length.
  virtual bool verify(ByteView point, ByteView digest, ByteView signature) const = 0;
  /// The number a digest stands for, modulo q, 0 replaced by 1 (§6.1 step 2).
  virtual Bytes digest_number(ByteView digest) const = 0;
  /// q
  virtual Bytes order() const = 0;
};

}  // namespace karta::crypto
