// TOTP (RFC 6238): the code an app shows, six digits, a new one every 30 seconds, by HMAC-SHA-1: what every app can do.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/secret.h"

namespace karta::identity {

inline constexpr std::size_t kTotpSecretOctets = 20;  ///< RFC 4226 §4 R6: as long as the hash
inline constexpr std::size_t kTotpDigits = 6;
inline constexpr std::chrono::seconds kTotpStep{30};

/// T of RFC 6238 §4.2.
std::int64_t totp_step(Time time);
/// The code of a step (RFC 4226 §5.3).
SecretBytes totp_code(const SecretBytes& secret, std::int64_t step, std::size_t digits = kTotpDigits);
/// The step after `after` of which `code` is, among the present one and one on either side (clocks differ); none: it is
/// wrong, or was used. The work is the same in every case.
std::optional<std::int64_t> match_totp(const SecretBytes& secret, std::string_view code, Time now, std::int64_t after);

/// base32 (RFC 4648 §6) without padding: how apps take secrets typed by hand.
SecretBytes to_base32(const SecretBytes& secret);
/// "otpauth://totp/ISSUER:ACCOUNT?secret=...&issuer=ISSUER": what the QR code holds that apps scan.
SecretBytes totp_uri(const SecretBytes& secret, std::string_view issuer, std::string_view account);

}  // namespace karta::identity
