#include "firmware-sim/os/keys.h"

#include <array>

#include "firmware-sim/os/key_uses.h"

namespace karta::os {
namespace {

// The key file: 0 parts present (2), 2 public exponent (4), 6 uses (key_uses.h), 16 the parts: RSA modulus, p, q, dp,
// dq, q^-1 mod p; EC point, scalar. Public parts come first, so that reading them touches no page that is secret.
constexpr std::size_t kPartsOffset = 16;
static_assert(kUsesOffset + kUsesBytes <= kPartsOffset);

constexpr u16 kHasModulus = 0x01;
constexpr u16 kHasExponent = 0x02;
constexpr u16 kHasPrimeP = 0x04;
constexpr u16 kHasPrimeQ = 0x08;
constexpr u16 kHasExponentP = 0x10;
constexpr u16 kHasExponentQ = 0x20;
constexpr u16 kHasCoefficient = 0x40;
constexpr u16 kRsaComplete = 0x7F;
constexpr u16 kHasModulusFirst = 0x80;
constexpr u16 kEcComplete = 0x01;

constexpr u32 kGeneratedExponent = 65537;

// Right-aligns an integer in a field of fixed size; false when it does not fit.
bool place_integer(ByteSpan field, ByteView value) {
  while (!value.empty() && value[0] == 0) value = value.subspan(1);
  if (value.empty() || value.size() > field.size()) return false;
  wipe(field);
  copy(field.last(value.size()), value);
  return true;
}

HalStatus no_result() { return HalStatus::failed; }

Sw to_sw(HalStatus status, Sw refused) {
  return status == HalStatus::ok ? Sw::ok : status == HalStatus::refused ? refused : Sw::memory_failure;
}

RsaCrt<ByteView> as_view(const RsaCrt<ByteSpan>& key) {
  return {.modulus = key.modulus,
          .prime_p = key.prime_p,
          .prime_q = key.prime_q,
          .exponent_p = key.exponent_p,
          .exponent_q = key.exponent_q,
          .coefficient = key.coefficient};
}

}  // namespace

bool curve_of(u8 domain_parameter_id, Curve& out) {
  struct Row {
    u8 id;
    Curve curve;
  };
  constexpr Row kRows[] = {
      {.id = 0x0C, .curve = Curve::p256},
      {.id = 0x0D, .curve = Curve::brainpool_p256r1},
      {.id = 0x0F, .curve = Curve::p384},
      {.id = 0x10, .curve = Curve::brainpool_p384r1},
      {.id = 0x11, .curve = Curve::brainpool_p512r1},
      {.id = 0x12, .curve = Curve::p521},
  };
  for (const Row& row : kRows) {
    if (row.id != domain_parameter_id) continue;
    out = row.curve;
    return true;
  }
  return false;
}

bool key_shape(const File& file, KeyShape& out) {
  out = {};
  const u16 bits = file.size;
  if (file.kind == FileKind::rsa_key) {
    if (bits < 1024 || bits > 4096 || bits % 256 != 0) return false;
    out.rsa = true;
    out.modulus_bytes = bits / 8;
    out.stored_bytes = kPartsOffset + out.modulus_bytes + 5 * out.modulus_bytes / 2;
    return true;
  }
  if (file.kind != FileKind::ec_key) return false;
  if (const u8 id = file.properties[2]; id != 0) {
    if (!curve_of(id, out.curve)) return false;
  } else {
    out.curve = bits == 256 ? Curve::p256 : bits == 384 ? Curve::p384 : Curve::p521;
  }
  if (bits != (out.curve == Curve::p521 ? 521 : field_bytes(out.curve) * 8)) return false;
  out.stored_bytes = kPartsOffset + point_bytes(out.curve) + field_bytes(out.curve);
  return true;
}

RsaCrt<ByteSpan> Keys::rsa_parts(const KeyShape& shape) {
  const std::size_t k = shape.modulus_bytes;
  const ByteSpan parts = buffer_.subspan(kPartsOffset);
  return {.modulus = parts.first(k),
          .prime_p = parts.subspan(k, k / 2),
          .prime_q = parts.subspan(k + k / 2, k / 2),
          .exponent_p = parts.subspan(2 * k, k / 2),
          .exponent_q = parts.subspan(2 * k + k / 2, k / 2),
          .coefficient = parts.subspan(3 * k, k / 2)};
}

ByteSpan Keys::ec_point(const KeyShape& shape) { return buffer_.subspan(kPartsOffset, point_bytes(shape.curve)); }

ByteSpan Keys::ec_scalar(const KeyShape& shape) {
  return buffer_.subspan(kPartsOffset + point_bytes(shape.curve), field_bytes(shape.curve));
}

Sw Keys::load(const File& file, KeyShape& shape) {
  if (!key_shape(file, shape)) return Sw::incompatible_file;
  return files_.read(file, 0, buffer_.first(shape.stored_bytes));
}

Sw Keys::take(const File& file, bool rsa, KeyShape& shape) {
  KARTA_OS_TRY(load(file, shape));
  if (shape.rsa != rsa) return Sw::incompatible_file;
  if (read_u16(buffer_.data()) != (rsa ? kRsaComplete : kEcComplete)) return Sw::conditions_not_satisfied;
  return spend_use(journal_, files_, file);
}

void Keys::begin_anew() {
  refill_uses(buffer_);
  wipe(buffer_.first(kUsesOffset));
  wipe(buffer_.subspan(kUsesOffset + kUsesBytes));
}

Sw Keys::save(File& file, const KeyShape& shape, u16 stamp) {
  Transaction transaction(journal_, Files::pages_touched(0, shape.stored_bytes));
  KARTA_OS_TRY(transaction.status());
  journal_.set_stamp(stamp);
  KARTA_OS_TRY(files_.write(file, 0, buffer_.first(shape.stored_bytes)));
  return transaction.commit();
}

Sw Keys::generate(File& file, u16 stamp) {
  const WipeOnExit wipe_buffer(buffer_);
  KeyShape shape;
  if (!key_shape(file, shape)) return Sw::incompatible_file;
  KARTA_OS_TRY(files_.read(file, 0, buffer_.first(kPartsOffset)));
  begin_anew();
  HalStatus made = no_result();
  if (shape.rsa) {
    made = hal_.rsa_generate(rsa_parts(shape));
    write_u16(buffer_.data(), kRsaComplete);
    write_u32(buffer_.data() + 2, kGeneratedExponent);
  } else {
    made = hal_.ec_generate(shape.curve, ec_scalar(shape), ec_point(shape));
    write_u16(buffer_.data(), kEcComplete);
  }
  KARTA_OS_TRY(to_sw(made, Sw::memory_failure));
  return save(file, shape, stamp);
}

Sw Keys::place_part(const KeyShape& shape, u8 part, ByteView value) {
  u16 present = read_u16(buffer_.data());
  if (!shape.rsa) {
    if (part == static_cast<u8>(KeyPart::coefficient)) {
      if (!place_integer(ec_scalar(shape), value)) return Sw::incorrect_data;
      KARTA_OS_TRY(to_sw(hal_.ec_public_point(shape.curve, ec_scalar(shape), ec_point(shape)), Sw::incorrect_data));
      write_u16(buffer_.data(), kEcComplete);
      return Sw::ok;
    }
    // The card has computed the point itself; what is handed in must be the same.
    if (part != static_cast<u8>(KeyPart::exponent_q)) return Sw::referenced_data_not_found;
    if (present != kEcComplete) return Sw::conditions_not_satisfied;
    return equal(ec_point(shape), value) ? Sw::ok : Sw::incorrect_data;
  }

  const RsaCrt<ByteSpan> rsa = rsa_parts(shape);
  const auto take = [&](ByteSpan field, u16 flag) {
    if (!place_integer(field, value)) return Sw::incorrect_data;
    present = static_cast<u16>(present | flag);
    return Sw::ok;
  };
  Sw sw = Sw::ok;
  switch (static_cast<KeyPart>(part)) {
    case KeyPart::modulus:
      sw = take(rsa.modulus, kHasModulus);
      break;
    case KeyPart::modulus_first:
      if (value.size() != 128 || shape.modulus_bytes < 256) return Sw::wrong_length;
      copy(rsa.modulus, value);
      present = static_cast<u16>((present & ~kHasModulus) | kHasModulusFirst);
      break;
    case KeyPart::modulus_rest:
      if ((present & kHasModulusFirst) == 0) return Sw::conditions_not_satisfied;
      if (value.size() != shape.modulus_bytes - 128) return Sw::wrong_length;
      copy(rsa.modulus.subspan(128), value);
      present = static_cast<u16>((present & ~kHasModulusFirst) | kHasModulus);
      break;
    case KeyPart::public_exponent: {
      u8 exponent[4];
      if (!place_integer(exponent, value) || (exponent[3] & 1) == 0 || read_u32(exponent) < 3) {
        return Sw::incorrect_data;
      }
      copy(buffer_.subspan(2, 4), exponent);
      present = static_cast<u16>(present | kHasExponent);
      break;
    }
    case KeyPart::prime_p:
      sw = take(rsa.prime_p, kHasPrimeP);
      break;
    case KeyPart::prime_q:
      sw = take(rsa.prime_q, kHasPrimeQ);
      break;
    case KeyPart::exponent_p:
      sw = take(rsa.exponent_p, kHasExponentP);
      break;
    case KeyPart::exponent_q:
      sw = take(rsa.exponent_q, kHasExponentQ);
      break;
    case KeyPart::coefficient:
      sw = take(rsa.coefficient, kHasCoefficient);
      break;
    default:
      return Sw::referenced_data_not_found;
  }
  KARTA_OS_TRY(sw);
  write_u16(buffer_.data(), present);
  return Sw::ok;
}

bool Keys::works(const KeyShape& shape) {
  if (!shape.rsa) return true;  // the point was computed from the scalar
  // The number two, as long as any modulus.
  static constexpr auto kProbe = [] {
    std::array<u8, kMaxModulusBytes> octets{};
    octets.back() = 2;
    return octets;
  }();
  u8 result[kMaxModulusBytes];
  return hal_.rsa_private(as_view(rsa_parts(shape)), read_u32(buffer_.data() + 2),
                          ByteView(kProbe).last(shape.modulus_bytes),
                          ByteSpan(result).first(shape.modulus_bytes)) == HalStatus::ok;
}

Sw Keys::import_part(File& file, u8 part, ByteView value, u16 stamp) {
  const WipeOnExit wipe_buffer(buffer_);
  KeyShape shape;
  KARTA_OS_TRY(load(file, shape));
  const u16 complete = shape.rsa ? kRsaComplete : kEcComplete;
  // The first part of a new import ends the old key: never parts of two keys in one file. (An EC point is a check of
  // the key that is there.)
  if (read_u16(buffer_.data()) == complete && (shape.rsa || part == static_cast<u8>(KeyPart::coefficient))) {
    begin_anew();
  }
  Sw sw = place_part(shape, part, value);
  const bool finished = read_u16(buffer_.data()) == complete;
  if (sw == Sw::ok && finished && !works(shape)) sw = Sw::incorrect_data;
  if (sw != Sw::ok) {
    // A whole key that fails its test is destroyed; a part that is refused changes nothing.
    if (sw == Sw::incorrect_data && finished) {
      begin_anew();
      KARTA_OS_TRY(save(file, shape, stamp));
    }
    return sw;
  }
  return save(file, shape, stamp);
}

Sw Keys::read_public(const File& file, bool rsa, std::size_t offset, ByteSpan out) {
  KeyShape shape;
  if (!key_shape(file, shape) || shape.rsa != rsa) return Sw::incompatible_file;
  u8 present[2];
  KARTA_OS_TRY(files_.read(file, 0, present));
  if (read_u16(present) != (rsa ? kRsaComplete : kEcComplete)) return Sw::conditions_not_satisfied;
  return files_.read(file, offset, out);
}

Sw Keys::modulus(const File& file, ByteSpan out) { return read_public(file, true, kPartsOffset, out); }

Sw Keys::public_point(const File& file, ByteSpan out) { return read_public(file, false, kPartsOffset, out); }

Sw Keys::public_exponent(const File& file, u32& out) {
  u8 octets[4];
  KARTA_OS_TRY(read_public(file, true, 2, octets));
  out = read_u32(octets);
  return Sw::ok;
}

Sw Keys::rsa_private(const File& file, ByteView in, ByteSpan out) {
  const WipeOnExit wipe_buffer(buffer_);
  KeyShape shape;
  KARTA_OS_TRY(take(file, true, shape));
  return to_sw(hal_.rsa_private(as_view(rsa_parts(shape)), read_u32(buffer_.data() + 2), in, out), Sw::incorrect_data);
}

Sw Keys::ec_sign(const File& file, ByteView digest, ByteSpan raw) {
  const WipeOnExit wipe_buffer(buffer_);
  KeyShape shape;
  KARTA_OS_TRY(take(file, false, shape));
  return to_sw(hal_.ec_sign(shape.curve, ec_scalar(shape), digest, raw), Sw::incorrect_data);
}

Sw Keys::ec_agree(const File& file, ByteView point, ByteSpan x) {
  const WipeOnExit wipe_buffer(buffer_);
  KeyShape shape;
  KARTA_OS_TRY(take(file, false, shape));
  return to_sw(hal_.ec_agree(shape.curve, ec_scalar(shape), point, x), Sw::incorrect_data);
}

}  // namespace karta::os
