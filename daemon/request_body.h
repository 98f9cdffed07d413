// RequestBody: a call's JSON object, asked for its members one by one; one nobody asked for is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "daemon/json.h"

namespace karta::daemon {

/// The object of `octets`: UTF-8 JSON, nested no deeper than 16, no member twice. Fails with `malformed`.
Result<Json> parse_object(ByteView octets);

class RequestBody {
 public:
  static constexpr std::size_t kMostText = 200;

  /// `object` must outlive it.
  explicit RequestBody(const Json& object) : object_(object) {}

  bool has(std::string_view name) const;
  /// Without control characters, at most `most` characters of Unicode (so at most four times
  /// as many octets), not empty. Fails with `usage` where it is missing or of another
  /// form.
  Result<std::string> text(std::string_view name, std::size_t most = kMostText);
  Result<std::string> text_or(std::string_view name, std::string_view otherwise, std::size_t most = kMostText);
  Result<std::int64_t> integer(std::string_view name, std::int64_t least, std::int64_t most);
  Result<std::int64_t> integer_or(std::string_view name, std::int64_t least, std::int64_t most, std::int64_t otherwise);
  Result<bool> boolean_or(std::string_view name, bool otherwise);
  /// Digits: a CAN or PIN.
  Result<SecretBytes> digits(std::string_view name, std::size_t least, std::size_t most);
  /// Fails with `usage` on the first member nobody asked for.
  Status finish() const;

 private:
  const Json* find(std::string_view name);
  const Json& object_;
  std::set<std::string, std::less<>> asked_;
};

/// `object` without the members that are secrets, or say where rather than what ("can", "pin", "reader"), keys sorted:
/// what tells whether two requests ask for the same. What is nobody else's business ("mail") counts, and stands in it
/// as an HMAC-SHA256 under `key`, of this `deed` alone: equal addresses of two deeds look different.
std::string essence_of(const Json& object, const SecretBytes& key, std::string_view deed);

}  // namespace karta::daemon
