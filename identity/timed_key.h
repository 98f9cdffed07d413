// Secrets and keys that begin with a time. What is written together then lies together in an index: a write touches the
// page it touched last and not one anywhere in the table, however long that has grown.
//
// A secret tells whoever holds it when it was made, and nothing else; 256 bits of it are random.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"

namespace karta::identity {

inline constexpr std::size_t kTimedSecretLetters = 48;

/// base64url of four octets of time (seconds since 1970, to 2106) and 32 random ones: a cookie, a code, a token.
std::string new_timed_secret(Time now, RandomSource& random);

/// What stands in the registry instead of it: its time, then 224 bits of SHA-256. Of another text than
/// new_timed_secret() makes: 32 octets, too, that no secret has.
Bytes key_of_secret(std::string_view secret);

/// The key of something that ends (or began) at `time` and has this hash, of 28 octets or more.
Bytes timed_key(Time time, ByteView hash);
/// Keys of earlier times are less than this one, those of `time` and later are not.
Bytes first_key_of(Time time);

/// 32 hexadecimal digits, 96 bits of them random.
std::string new_timed_id(Time now, RandomSource& random);

}  // namespace karta::identity
