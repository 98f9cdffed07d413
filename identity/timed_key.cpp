#include "identity/timed_key.h"

#include <algorithm>

#include "base/base64url.h"
#include "base/be32.h"
#include "base/secret.h"
#include "crypto/digest.h"

namespace karta::identity {
namespace {

constexpr std::size_t kTimeOctets = 4, kKeyOctets = 32, kRandomOctets = 32, kIdOctets = 16;

/// The time, and room for `more` octets behind it.
Bytes begin_with(Time time, std::size_t more) {
  const auto seconds = static_cast<std::uint32_t>(time.time_since_epoch().count());
  Bytes out;
  out.reserve(kTimeOctets + more);
  append_be32(out, seconds);
  return out;
}

}  // namespace

std::string new_timed_secret(Time now, RandomSource& random) {
  Bytes octets = begin_with(now, kRandomOctets);
  octets.resize(kTimeOctets + kRandomOctets);
  random.fill(std::span(octets).subspan(kTimeOctets));
  std::string out = to_base64url(octets);
  wipe(octets);
  return out;
}

Bytes key_of_secret(std::string_view secret) {
  const Bytes hash = crypto::digest(crypto::Hash::sha256, as_bytes(secret));
  if (secret.size() != kTimedSecretLetters) return hash;
  // Eight letters are six octets, the time is the first four.
  const auto head = from_base64url(secret.substr(0, 8));
  if (!head) return hash;
  Bytes out(head->begin(), head->begin() + kTimeOctets);
  out.insert(out.end(), hash.begin(), hash.begin() + (kKeyOctets - kTimeOctets));
  return out;
}

Bytes timed_key(Time time, ByteView hash) {
  Bytes out = begin_with(time, kKeyOctets - kTimeOctets);
  const ByteView part = hash.first(kKeyOctets - kTimeOctets);
  out.insert(out.end(), part.begin(), part.end());
  return out;
}

Bytes first_key_of(Time time) { return begin_with(time, 0); }

std::string new_timed_id(Time now, RandomSource& random) {
  Bytes octets = begin_with(now, kIdOctets - kTimeOctets);
  octets.resize(kIdOctets);
  random.fill(std::span(octets).subspan(kTimeOctets));
  return to_hex(octets);
}

}  // namespace karta::identity
