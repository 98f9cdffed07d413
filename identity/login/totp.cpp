#include "identity/login/totp.h"

#include "crypto/kdf.h"
#include "identity/pages/form.h"

namespace karta::identity {

std::int64_t totp_step(Time time) { return time.time_since_epoch() / kTotpStep; }

SecretBytes totp_code(const SecretBytes& secret, std::int64_t step, std::size_t digits) {
  Bytes counter(8);
  for (std::size_t i = 0; i < counter.size(); ++i) {
    counter[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(step) >> (8 * (counter.size() - 1 - i)));
  }
  const SecretBytes mac = crypto::hmac(crypto::Hash::sha1, secret.expose_secret(), {counter});
  const ByteView octets = mac.expose_secret();
  // RFC 4226 §5.3: dynamic truncation.
  const std::size_t offset = octets.back() & 0x0Fu;
  std::uint32_t number =
      (octets[offset] & 0x7Fu) << 24 | octets[offset + 1] << 16 | octets[offset + 2] << 8 | octets[offset + 3];
  SecretBytes out(digits);
  for (std::size_t i = digits; i-- > 0; number /= 10) {
    out.expose_secret_mutable()[i] = static_cast<std::uint8_t>('0' + number % 10);
  }
  return out;
}

std::optional<std::int64_t> match_totp(const SecretBytes& secret, std::string_view code, Time now, std::int64_t after) {
  const std::int64_t present = totp_step(now);
  std::optional<std::int64_t> found;
  for (std::int64_t step = present - 1; step <= present + 1; ++step) {
    const bool equal = totp_code(secret, step).equals(as_bytes(code));
    if (equal && step > after) found = step;
  }
  return found;
}

SecretBytes to_base32(const SecretBytes& secret) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const ByteView octets = secret.expose_secret();
  SecretBytes out((octets.size() * 8 + 4) / 5);
  MutableByteView text = out.expose_secret_mutable();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t bit = i * 5, octet = bit / 8;
    const std::uint32_t window =
        static_cast<std::uint32_t>(octets[octet]) << 8 | (octet + 1 < octets.size() ? octets[octet + 1] : 0u);
    text[i] = static_cast<std::uint8_t>(kLetters[window >> (11 - bit % 8) & 0x1Fu]);
  }
  return out;
}

SecretBytes totp_uri(const SecretBytes& secret, std::string_view issuer, std::string_view account) {
  const SecretBytes letters = to_base32(secret);
  const std::string before = "otpauth://totp/" + encode_percent(issuer) + ":" + encode_percent(account) + "?secret=",
                    after = "&issuer=" + encode_percent(issuer) + "&algorithm=SHA1&digits=6&period=30";
  return SecretBytes(concat({as_bytes(before), letters.expose_secret(), as_bytes(after)}));
}

}  // namespace karta::identity
