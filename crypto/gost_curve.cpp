#include "crypto/gost_curve.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <vector>

namespace karta::crypto {
namespace {

__extension__ typedef unsigned __int128 Wide;

// The loops over words, written out: at -O2 GCC does not do it by itself, and the arithmetic stands and falls with it.
#if defined(__clang__)
#define KARTA_UNROLL
#else
#define KARTA_UNROLL _Pragma("GCC unroll 8")
#endif

/// An integer of 64 * N bits, the least significant word first.
template <std::size_t N>
using Limbs = std::array<std::uint64_t, N>;

template <std::size_t N>
Limbs<N> load(ByteView big_endian) {
  Limbs<N> out{};
  for (std::size_t i = 0; i < 8 * N; ++i) out[i / 8] |= std::uint64_t{big_endian[8 * N - 1 - i]} << (8 * (i % 8));
  return out;
}

template <std::size_t N>
void store(const Limbs<N>& number, MutableByteView big_endian) {
  for (std::size_t i = 0; i < 8 * N; ++i) {
    big_endian[8 * N - 1 - i] = static_cast<std::uint8_t>(number[i / 8] >> (8 * (i % 8)));
  }
}

template <std::size_t N>
Limbs<N> from_digits(std::string_view hex) {
  Limbs<N> out{};
  for (const char digit : hex) {
    for (std::size_t i = N; i-- > 1;) out[i] = out[i] << 4 | out[i - 1] >> 60;
    out[0] = out[0] << 4 | static_cast<std::uint64_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
  }
  return out;
}

/// sum = a + b + carry; returns the carry. GCC makes one instruction of the intrinsics and many of anything else.
inline std::uint64_t add_words(std::uint64_t& sum, std::uint64_t a, std::uint64_t b, std::uint64_t carry) {
#if defined(__x86_64__)
  unsigned long long out = 0;
  const unsigned char over = _addcarry_u64(static_cast<unsigned char>(carry), a, b, &out);
  sum = out;
  return over;
#else
  const Wide out = Wide{a} + b + carry;
  sum = static_cast<std::uint64_t>(out);
  return static_cast<std::uint64_t>(out >> 64);
#endif
}
inline std::uint64_t subtract_words(std::uint64_t& difference, std::uint64_t a, std::uint64_t b, std::uint64_t borrow) {
#if defined(__x86_64__)
  unsigned long long out = 0;
  const unsigned char under = _subborrow_u64(static_cast<unsigned char>(borrow), a, b, &out);
  difference = out;
  return under;
#else
  const Wide out = Wide{a} - b - borrow;
  difference = static_cast<std::uint64_t>(out);
  return static_cast<std::uint64_t>(out >> 64) & 1;
#endif
}

/// out = a - b; returns the borrow.
template <std::size_t N>
inline std::uint64_t subtract(Limbs<N>& out, const Limbs<N>& a, const Limbs<N>& b) {
  std::uint64_t borrow = 0;
  KARTA_UNROLL
  for (std::size_t i = 0; i < N; ++i) borrow = subtract_words(out[i], a[i], b[i], borrow);
  return borrow;
}

template <std::size_t N>
inline std::uint64_t add(Limbs<N>& out, const Limbs<N>& a, const Limbs<N>& b) {
  std::uint64_t carry = 0;
  KARTA_UNROLL
  for (std::size_t i = 0; i < N; ++i) carry = add_words(out[i], a[i], b[i], carry);
  return carry;
}

/// All ones if `number` is 0, else 0.
template <std::size_t N>
inline std::uint64_t zero_mask(const Limbs<N>& number) {
  std::uint64_t any = 0;
  for (const std::uint64_t word : number) any |= word;
  return ((any | (0 - any)) >> 63) - 1;
}

/// where ? a : b, `where` all ones or 0.
template <std::size_t N>
inline Limbs<N> choose(std::uint64_t where, const Limbs<N>& a, const Limbs<N>& b) {
  Limbs<N> out;
  KARTA_UNROLL
  for (std::size_t i = 0; i < N; ++i) out[i] = (a[i] & where) | (b[i] & ~where);
  return out;
}

template <std::size_t N>
bool less(const Limbs<N>& a, const Limbs<N>& b) {
  Limbs<N> unused;
  return subtract(unused, a, b) != 0;
}

template <std::size_t N>
bool bit(const Limbs<N>& number, std::size_t i) {
  return (number[i / 64] >> (i % 64) & 1) != 0;
}

/// Arithmetic modulo an odd number m. Residues are the numbers themselves where m = 2^(64 N) - c with a small c, as the
/// primes of three sets have it: reduction is then one multiplication by c. Else they have Montgomery's form
/// (x * 2^(64 N) mod m). No branch and no address depends on a residue.
template <std::size_t N>
class Modulus {
 public:
  using Number = Limbs<N>;

  explicit Modulus(const Number& m) : m_(m) {
    Number c;
    subtract(c, Number{}, m);  // 2^(64 N) - m
    if (c[0] < 1u << 16 && std::all_of(c.begin() + 1, c.end(), [](std::uint64_t word) { return word == 0; })) {
      c_ = c[0];
      one_ = Number{1};
      return;
    }
    std::uint64_t inverse = m[0];  // right modulo 2^3, and each step doubles the bits
    for (int i = 0; i < 5; ++i) inverse *= 2 - m[0] * inverse;
    minus_inverse_ = 0 - inverse;
    // 2^(64 N) and its square modulo m, by doubling.
    Number power{1};
    for (std::size_t i = 0; i < 64 * N; ++i) power = add(power, power);
    one_ = power;
    for (std::size_t i = 0; i < 64 * N; ++i) power = add(power, power);
    square_ = power;
  }

  const Number& number() const { return m_; }
  const Number& one() const { return one_; }

  /// Any number of 64 * N bits.
  Number to_residue(const Number& x) const {
    if (c_ == 0) return mul(x, square_);
    Number reduced;
    const std::uint64_t borrow = subtract(reduced, x, m_);
    return choose(0 - borrow, x, reduced);
  }
  Number from_residue(const Number& x) const { return c_ == 0 ? mul(x, Number{1}) : x; }

  Number add(const Number& a, const Number& b) const {
    Number sum, reduced;
    const std::uint64_t carry = crypto::add(sum, a, b);
    const std::uint64_t borrow = subtract(reduced, sum, m_);
    return choose(0 - (borrow & (carry ^ 1)), sum, reduced);
  }
  Number sub(const Number& a, const Number& b) const {
    Number difference, back;
    const std::uint64_t borrow = subtract(difference, a, b);
    crypto::add(back, difference, m_);
    return choose(0 - borrow, back, difference);
  }
  Number twice(const Number& a) const { return add(a, a); }

  /// The product of residues; with one residue and one number, a number.
  [[gnu::noinline]] Number mul(const Number& a, const Number& b) const {
    return c_ == 0 ? mul_montgomery(a, b) : mul_folding(a, b);
  }
  Number sqr(const Number& a) const { return mul(a, a); }

  /// a^(m - 2): the inverse, for prime m; 0 for 0.
  Number inverse(const Number& a) const {
    Number exponent;
    subtract(exponent, m_, Number{2});
    std::array<Number, 16> powers;
    powers[0] = one_;
    for (std::size_t i = 1; i < 16; ++i) powers[i] = mul(powers[i - 1], a);
    Number out = one_;
    for (std::size_t i = 16 * N; i-- > 0;) {
      for (int j = 0; j < 4; ++j) out = sqr(out);
      out = mul(out, powers[exponent[i / 16] >> (4 * (i % 16)) & 15]);  // m is public
    }
    return out;
  }

 private:
  // a * b * 2^(-64 N). One of the two may be any number of 64 * N bits.
  Number mul_montgomery(const Number& a, const Number& b) const {
    std::uint64_t t[N + 2] = {};
    KARTA_UNROLL
    for (std::size_t i = 0; i < N; ++i) {
      std::uint64_t carry = 0;
      KARTA_UNROLL
      for (std::size_t j = 0; j < N; ++j) {
        const Wide sum = Wide{a[j]} * b[i] + t[j] + carry;
        t[j] = static_cast<std::uint64_t>(sum);
        carry = static_cast<std::uint64_t>(sum >> 64);
      }
      const Wide top = Wide{t[N]} + carry;
      t[N] = static_cast<std::uint64_t>(top);
      t[N + 1] = static_cast<std::uint64_t>(top >> 64);

      const std::uint64_t factor = t[0] * minus_inverse_;
      carry = static_cast<std::uint64_t>((Wide{factor} * m_[0] + t[0]) >> 64);
      KARTA_UNROLL
      for (std::size_t j = 1; j < N; ++j) {
        const Wide sum = Wide{factor} * m_[j] + t[j] + carry;
        t[j - 1] = static_cast<std::uint64_t>(sum);
        carry = static_cast<std::uint64_t>(sum >> 64);
      }
      const Wide last = Wide{t[N]} + carry;
      t[N - 1] = static_cast<std::uint64_t>(last);
      t[N] = t[N + 1] + static_cast<std::uint64_t>(last >> 64);
    }
    Number out, reduced;
    std::copy_n(t, N, out.begin());
    const std::uint64_t borrow = subtract(reduced, out, m_);
    return choose(0 - (borrow & (t[N] ^ 1)), out, reduced);
  }

  // The upper half of the product times c goes onto the lower one; what overflows, once more, and again.
  Number mul_folding(const Number& a, const Number& b) const {
    std::uint64_t t[2 * N] = {};
    KARTA_UNROLL
    for (std::size_t i = 0; i < N; ++i) {
      std::uint64_t carry = 0;
      KARTA_UNROLL
      for (std::size_t j = 0; j < N; ++j) {
        const Wide sum = Wide{a[j]} * b[i] + t[i + j] + carry;
        t[i + j] = static_cast<std::uint64_t>(sum);
        carry = static_cast<std::uint64_t>(sum >> 64);
      }
      t[i + N] = carry;
    }
    Number out, reduced;
    std::uint64_t carry = 0;
    KARTA_UNROLL
    for (std::size_t i = 0; i < N; ++i) {
      const Wide sum = Wide{t[i + N]} * c_ + t[i] + carry;
      out[i] = static_cast<std::uint64_t>(sum);
      carry = static_cast<std::uint64_t>(sum >> 64);
    }
    carry = crypto::add(out, out, Number{carry * c_});
    crypto::add(out, out, Number{carry * c_});
    const std::uint64_t borrow = subtract(reduced, out, m_);
    return choose(0 - borrow, out, reduced);
  }

  Number m_, one_, square_{};
  std::uint64_t c_ = 0, minus_inverse_ = 0;
};

template <std::size_t N>
class Group final : public GostGroup {
 public:
  using Number = Limbs<N>;
  static constexpr std::size_t kOctets = 8 * N;
  static constexpr std::size_t kDigits = 16 * N;  // of four bits

  explicit Group(const GostCurveRow& row)
      : p_(from_digits<N>(row.p)),
        q_(from_digits<N>(row.q)),
        cofactor_(row.cofactor),
        a_(p_.to_residue(from_digits<N>(row.a))),
        b_(p_.to_residue(from_digits<N>(row.b))),
        b3_(p_.add(p_.twice(b_), b_)),
        generator_{p_.to_residue(from_digits<N>(row.x)), p_.to_residue(from_digits<N>(row.y))} {
    const Number three = p_.add(p_.twice(p_.one()), p_.one());
    a_is_minus_3_ = p_.sub(Number{}, three) == a_;
    make_tables();
  }

  std::size_t octets() const override { return kOctets; }

  Status check_point(ByteView point) const override {
    const auto bad = [](const char* why) {
      return fail(ErrorKind::malformed, std::string("a GOST public key ") + why);
    };
    if (point.size() != 2 * kOctets) return bad("is of wrong length");
    const Number x = load<N>(point.first(kOctets)), y = load<N>(point.subspan(kOctets));
    if (!less(x, p_.number()) || !less(y, p_.number())) return bad("has a coordinate out of range");
    const Affine at{p_.to_residue(x), p_.to_residue(y)};
    // x^3 + ax + b
    const Number right = p_.add(p_.mul(p_.add(p_.sqr(at.x), a_), at.x), b_);
    if (p_.sqr(at.y) != right) return bad("is not on its curve");
    if (cofactor_ != 1 && !is_identity(sum_of_multiples(Number{}, q_.number(), at))) {
      return bad("is not in the group of prime order");
    }
    return {};
  }

  bool is_scalar(const SecretBytes& scalar) const override {
    if (scalar.size() != kOctets) return false;
    Number number = load<N>(scalar.expose_secret()), unused;
    const bool fits = (zero_mask(number) | (subtract(unused, number, q_.number()) - 1)) == 0;
    forget(number);
    forget(unused);
    return fits;
  }

  Bytes multiply_generator(const SecretBytes& scalar) const override {
    KARTA_CHECK(is_scalar(scalar));
    Number number = load<N>(scalar.expose_secret());
    const Affine product = to_affine(multiple_of_generator(number));
    forget(number);
    return encode(product);
  }

  Result<SecretBytes> multiply(const SecretBytes& scalar, ByteView point) const override {
    KARTA_CHECK(scalar.size() == kOctets && point.size() == 2 * kOctets);
    Number number = load<N>(scalar.expose_secret());
    Projective product = multiple_of(number, {p_.to_residue(load<N>(point.first(kOctets))),
                                              p_.to_residue(load<N>(point.subspan(kOctets))), p_.one()});
    forget(number);
    if (zero_mask(product.z) != 0) return fail(ErrorKind::malformed, "a multiple of a GOST key is the identity");
    Affine affine = to_affine(product);
    Bytes octets = encode(affine);
    forget(affine.x);
    forget(affine.y);
    return SecretBytes(std::move(octets));
  }

  // e = digest mod q, or 1; C = kP; r = x_C mod q; s = rd + ke mod q
  std::optional<Bytes> sign(const SecretBytes& key, const SecretBytes& nonce, ByteView digest) const override {
    KARTA_CHECK(is_scalar(key) && is_scalar(nonce) && digest.size() == kOctets);
    Number d = load<N>(key.expose_secret()), k = load<N>(nonce.expose_secret());
    const Affine c = to_affine(multiple_of_generator(k));
    const Number r = q_.to_residue(p_.from_residue(c.x));
    Number k_residue = q_.to_residue(k), d_residue = q_.to_residue(d);
    const Number s = q_.from_residue(q_.add(q_.mul(r, d_residue), q_.mul(k_residue, digest_residue(digest))));
    for (Number* secret : {&d, &k, &k_residue, &d_residue}) forget(*secret);
    if (zero_mask(r) != 0 || zero_mask(s) != 0) return std::nullopt;
    Bytes out(2 * kOctets);
    store(s, MutableByteView(out).first(kOctets));
    store(q_.from_residue(r), MutableByteView(out).subspan(kOctets));
    return out;
  }

  // z1 = s e^-1, z2 = -r e^-1; R = x of z1 P + z2 Q; R = r
  bool verify(ByteView point, ByteView digest, ByteView signature) const override {
    KARTA_CHECK(point.size() == 2 * kOctets);
    if (digest.size() != kOctets || signature.size() != 2 * kOctets) return false;
    const Number s = load<N>(signature.first(kOctets)), r = load<N>(signature.subspan(kOctets));
    for (const Number& one : {s, r}) {
      if (zero_mask(one) != 0 || !less(one, q_.number())) return false;
    }
    const Number inverse = q_.inverse(digest_residue(digest));
    const Number z1 = q_.mul(inverse, s);  // a residue times a number is a number
    const Number z2 = q_.sub(Number{}, q_.mul(inverse, r));
    const Jacobian c = sum_of_multiples(
        z1, z2, {p_.to_residue(load<N>(point.first(kOctets))), p_.to_residue(load<N>(point.subspan(kOctets)))});
    if (is_identity(c)) return false;
    // x = X / Z^2 without dividing: some r + iq below p has (r + iq) Z^2 = X. p / q is less than the cofactor and one.
    const Number square = p_.sqr(c.z);
    Number candidate = r;
    for (unsigned i = 0; i <= cofactor_; ++i) {
      if (!less(candidate, p_.number())) return false;
      if (p_.mul(p_.to_residue(candidate), square) == c.x) return true;
      if (crypto::add(candidate, candidate, q_.number()) != 0) return false;
    }
    return false;
  }

  Bytes digest_number(ByteView digest) const override {
    KARTA_CHECK(digest.size() == kOctets);
    Bytes out(kOctets);
    store(q_.from_residue(digest_residue(digest)), out);
    return out;
  }

  Bytes order() const override {
    Bytes out(kOctets);
    store(q_.number(), out);
    return out;
  }

 private:
  struct Affine {
    Number x, y;
  };
  /// (X : Y : Z) is (X / Z, Y / Z); the identity is (0 : 1 : 0).
  struct Projective {
    Number x, y, z;
  };
  /// (X, Y, Z) is (X / Z^2, Y / Z^3); the identity has Z = 0.
  struct Jacobian {
    Number x, y, z;
  };

  static void forget(Number& secret) { wipe({reinterpret_cast<std::uint8_t*>(secret.data()), kOctets}); }

  Number digest_residue(ByteView digest) const {
    const Bytes turned(digest.rbegin(), digest.rend());
    const Number e = q_.to_residue(load<N>(turned));
    return choose(zero_mask(e), q_.one(), e);
  }

  Bytes encode(const Affine& point) const {
    Bytes out(2 * kOctets);
    store(p_.from_residue(point.x), MutableByteView(out).first(kOctets));
    store(p_.from_residue(point.y), MutableByteView(out).subspan(kOctets));
    return out;
  }

  Affine to_affine(const Projective& point) const {
    const Number inverse = p_.inverse(point.z);
    return {p_.mul(point.x, inverse), p_.mul(point.y, inverse)};
  }

  Number times_a(const Number& x) const {
    if (a_is_minus_3_) return p_.sub(Number{}, p_.add(p_.twice(x), x));
    return p_.mul(a_, x);
  }

  // Renes, Costello, Batina: Complete addition formulas for prime order elliptic curves (2016), algorithm 1. They hold
  // unless the difference of the two points has order 2, which no two points of the subgroup of odd order have.
  Projective sum(const Projective& left, const Projective& right) const {
    const Number xx = p_.mul(left.x, right.x), yy = p_.mul(left.y, right.y), zz = p_.mul(left.z, right.z);
    const auto cross = [&](const Number& a, const Number& b, const Number& c, const Number& d, const Number& ac,
                           const Number& bd) { return p_.sub(p_.mul(p_.add(a, b), p_.add(c, d)), p_.add(ac, bd)); };
    const Number xy = cross(left.x, left.y, right.x, right.y, xx, yy);
    const Number xz = cross(left.x, left.z, right.x, right.z, xx, zz);
    const Number yz = cross(left.y, left.z, right.y, right.z, yy, zz);
    const Number a_zz = times_a(zz);
    const Number middle = p_.add(p_.mul(b3_, zz), times_a(xz));
    const Number minus = p_.sub(yy, middle), plus = p_.add(yy, middle);
    const Number slope = p_.add(p_.add(p_.twice(xx), xx), a_zz);
    const Number tail = p_.add(p_.mul(b3_, xz), times_a(p_.sub(xx, a_zz)));
    return {p_.sub(p_.mul(xy, minus), p_.mul(yz, tail)), p_.add(p_.mul(minus, plus), p_.mul(slope, tail)),
            p_.add(p_.mul(yz, plus), p_.mul(xy, slope))};
  }

  Projective identity() const { return {Number{}, p_.one(), Number{}}; }

  /// table[digit], reading every entry.
  static Projective look_up(const Projective* table, std::uint64_t digit) {
    Projective out{};
    for (std::uint64_t i = 0; i < 16; ++i) {
      const std::uint64_t where = (((i ^ digit) - 1) >> 63) * ~std::uint64_t{0};
      for (std::size_t j = 0; j < N; ++j) {
        out.x[j] |= table[i].x[j] & where;
        out.y[j] |= table[i].y[j] & where;
        out.z[j] |= table[i].z[j] & where;
      }
    }
    return out;
  }

  static std::uint64_t digit_of(const Number& number, std::size_t i) { return number[i / 16] >> (4 * (i % 16)) & 15; }

  void fill_multiples(Projective* table, const Projective& base) const {
    table[0] = identity();
    for (std::size_t i = 1; i < 16; ++i) table[i] = sum(table[i - 1], base);
  }

  // Digits of four bits; every fourth has a table of its own, and the four sets of them stand 2^4 apart.
  static constexpr std::size_t kSets = 4;
  static constexpr std::size_t kTables = kDigits / kSets;

  Projective multiple_of_generator(const Number& scalar) const {
    Projective out = identity();
    for (std::size_t set = kSets; set-- > 0;) {
      if (set + 1 < kSets) {
        for (int i = 0; i < 4; ++i) out = sum(out, out);
      }
      for (std::size_t i = 0; i < kTables; ++i) {
        out = sum(out, look_up(&comb_[16 * i], digit_of(scalar, kSets * i + set)));
      }
    }
    return out;
  }

  Projective multiple_of(const Number& scalar, const Projective& base) const {
    std::array<Projective, 16> table;
    fill_multiples(table.data(), base);
    Projective out = identity();
    for (std::size_t i = kDigits; i-- > 0;) {
      for (int j = 0; j < 4; ++j) out = sum(out, out);
      out = sum(out, look_up(table.data(), digit_of(scalar, i)));
    }
    return out;
  }

  // --- public scalars: time depends on them ---

  static bool is_identity(const Jacobian& point) { return zero_mask(point.z) != 0; }

  // dbl-2001-b for a = -3, dbl-2007-bl else (Explicit-Formulas Database)
  Jacobian doubled(const Jacobian& point) const {
    if (a_is_minus_3_) {
      const Number delta = p_.sqr(point.z), gamma = p_.sqr(point.y), beta = p_.mul(point.x, gamma);
      const Number product = p_.mul(p_.sub(point.x, delta), p_.add(point.x, delta));
      const Number alpha = p_.add(p_.twice(product), product);
      const Number beta4 = p_.twice(p_.twice(beta));
      Jacobian out;
      out.x = p_.sub(p_.sqr(alpha), p_.twice(beta4));
      out.z = p_.sub(p_.sqr(p_.add(point.y, point.z)), p_.add(gamma, delta));
      out.y = p_.sub(p_.mul(alpha, p_.sub(beta4, out.x)), p_.twice(p_.twice(p_.twice(p_.sqr(gamma)))));
      return out;
    }
    const Number xx = p_.sqr(point.x), yy = p_.sqr(point.y), yyyy = p_.sqr(yy), zz = p_.sqr(point.z);
    const Number s = p_.twice(p_.sub(p_.sqr(p_.add(point.x, yy)), p_.add(xx, yyyy)));
    const Number m = p_.add(p_.add(p_.twice(xx), xx), p_.mul(a_, p_.sqr(zz)));
    Jacobian out;
    out.x = p_.sub(p_.sqr(m), p_.twice(s));
    out.y = p_.sub(p_.mul(m, p_.sub(s, out.x)), p_.twice(p_.twice(p_.twice(yyyy))));
    out.z = p_.sub(p_.sqr(p_.add(point.y, point.z)), p_.add(yy, zz));
    return out;
  }

  // Chord between (u1, s1) and (u2, s2), both over the denominator z; `left` is there to be doubled.
  Jacobian chord(const Jacobian& left, const Number& u1, const Number& s1, const Number& u2, const Number& s2,
                 const Number& z) const {
    const Number h = p_.sub(u2, u1), r = p_.sub(s2, s1);
    if (zero_mask(h) != 0) return zero_mask(r) != 0 ? doubled(left) : Jacobian{};
    const Number hh = p_.sqr(h), hhh = p_.mul(h, hh), v = p_.mul(u1, hh);
    Jacobian out;
    out.x = p_.sub(p_.sub(p_.sqr(r), hhh), p_.twice(v));
    out.y = p_.sub(p_.mul(r, p_.sub(v, out.x)), p_.mul(s1, hhh));
    out.z = p_.mul(z, h);
    return out;
  }

  Jacobian plus(const Jacobian& left, const Affine& right) const {
    if (is_identity(left)) return {right.x, right.y, p_.one()};
    const Number zz = p_.sqr(left.z);
    return chord(left, left.x, left.y, p_.mul(right.x, zz), p_.mul(right.y, p_.mul(left.z, zz)), left.z);
  }

  Jacobian plus(const Jacobian& left, const Jacobian& right) const {
    if (is_identity(left)) return right;
    if (is_identity(right)) return left;
    const Number z1 = p_.sqr(left.z), z2 = p_.sqr(right.z);
    return chord(left, p_.mul(left.x, z2), p_.mul(left.y, p_.mul(right.z, z2)), p_.mul(right.x, z1),
                 p_.mul(right.y, p_.mul(left.z, z1)), p_.mul(left.z, right.z));
  }

  // Signed odd digits, at most one in `width` places that is not 0 (width-w non-adjacent form).
  static constexpr std::size_t kPlaces = 64 * N + 1;
  using Digits = std::array<std::int8_t, kPlaces>;
  static Digits signed_digits(Number number, unsigned width) {
    Digits out{};
    std::uint64_t above = 0;  // bit 64 N
    for (std::size_t i = 0; i < kPlaces; ++i) {
      if ((number[0] & 1) != 0) {
        const auto low = static_cast<int>(number[0] & ((1u << width) - 1));
        const int digit = low < 1 << (width - 1) ? low : low - (1 << width);
        out[i] = static_cast<std::int8_t>(digit);
        if (digit > 0) {
          subtract(number, number, Number{static_cast<std::uint64_t>(digit)});
        } else {
          above += crypto::add(number, number, Number{static_cast<std::uint64_t>(-digit)});
        }
      }
      for (std::size_t j = 0; j + 1 < N; ++j) number[j] = number[j] >> 1 | number[j + 1] << 63;
      number[N - 1] = number[N - 1] >> 1 | above << 63;
      above = 0;
    }
    return out;
  }

  static constexpr unsigned kGeneratorWidth = 8, kPointWidth = 5;

  /// first * generator + second * point
  Jacobian sum_of_multiples(const Number& first, const Number& second, const Affine& point) const {
    std::array<Jacobian, 1 << (kPointWidth - 2)> multiples;
    multiples[0] = {point.x, point.y, p_.one()};
    const Jacobian two = doubled(multiples[0]);
    for (std::size_t i = 1; i < multiples.size(); ++i) multiples[i] = plus(multiples[i - 1], two);

    const Digits of_generator = signed_digits(first, kGeneratorWidth), of_point = signed_digits(second, kPointWidth);
    Jacobian out{};
    for (std::size_t i = kPlaces; i-- > 0;) {
      if (!is_identity(out)) out = doubled(out);
      if (const int digit = of_generator[i]; digit != 0) {
        Affine one = odd_multiples_[static_cast<std::size_t>(digit > 0 ? digit : -digit) / 2];
        if (digit < 0) one.y = p_.sub(Number{}, one.y);
        out = plus(out, one);
      }
      if (const int digit = of_point[i]; digit != 0) {
        Jacobian one = multiples[static_cast<std::size_t>(digit > 0 ? digit : -digit) / 2];
        if (digit < 0) one.y = p_.sub(Number{}, one.y);
        out = plus(out, one);
      }
    }
    return out;
  }

  void make_tables() {
    comb_.resize(16 * kTables);
    Projective base{generator_.x, generator_.y, p_.one()};
    for (std::size_t i = 0; i < kTables; ++i) {
      fill_multiples(&comb_[16 * i], base);
      if (i + 1 == kTables) break;
      for (std::size_t j = 0; j < 4 * kSets; ++j) base = sum(base, base);
    }
    // 1, 3, 5 ... times the generator, made affine with one division.
    std::vector<Jacobian> odd(std::size_t{1} << (kGeneratorWidth - 2));
    odd[0] = {generator_.x, generator_.y, p_.one()};
    const Jacobian two = doubled(odd[0]);
    std::vector<Number> products(odd.size());
    products[0] = odd[0].z;
    for (std::size_t i = 1; i < odd.size(); ++i) {
      odd[i] = plus(odd[i - 1], two);
      products[i] = p_.mul(products[i - 1], odd[i].z);
    }
    odd_multiples_.resize(odd.size());
    Number inverse = p_.inverse(products.back());
    for (std::size_t i = odd.size(); i-- > 0;) {
      const Number own = i == 0 ? inverse : p_.mul(inverse, products[i - 1]);
      inverse = p_.mul(inverse, odd[i].z);
      const Number square = p_.sqr(own);
      odd_multiples_[i] = {p_.mul(odd[i].x, square), p_.mul(odd[i].y, p_.mul(own, square))};
    }
  }

  Modulus<N> p_, q_;
  unsigned cofactor_;
  Number a_, b_, b3_;
  Affine generator_;
  bool a_is_minus_3_ = false;
  std::vector<Projective> comb_;
  std::vector<Affine> odd_multiples_;
};

template <GostCurve Curve>
const GostGroup& group() {
  static const Group<row_of(Curve).field_bits / 64> kGroup(row_of(Curve));
  return kGroup;
}

constexpr bool in_order() {
  for (std::size_t i = 0; i < kGostCurves.size(); ++i) {
    if (static_cast<std::size_t>(kGostCurves[i].id) != i) return false;
  }
  return kGostCurves.size() == static_cast<std::size_t>(GostCurve::example_512) + 1;
}
static_assert(in_order());

}  // namespace

const GostGroup& GostGroup::of(GostCurve curve) {
  switch (curve) {
    case GostCurve::tc26_256_a:
      return group<GostCurve::tc26_256_a>();
    case GostCurve::crypto_pro_a:
      return group<GostCurve::crypto_pro_a>();
    case GostCurve::crypto_pro_b:
      return group<GostCurve::crypto_pro_b>();
    case GostCurve::crypto_pro_c:
      return group<GostCurve::crypto_pro_c>();
    case GostCurve::tc26_512_a:
      return group<GostCurve::tc26_512_a>();
    case GostCurve::tc26_512_b:
      return group<GostCurve::tc26_512_b>();
    case GostCurve::tc26_512_c:
      return group<GostCurve::tc26_512_c>();
    case GostCurve::example_256:
      return group<GostCurve::example_256>();
    case GostCurve::example_512:
      break;
  }
  return group<GostCurve::example_512>();
}

}  // namespace karta::crypto
