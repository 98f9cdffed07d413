// Published examples (tests/vectors): reading them, and the list of those that karta does not run, each with its
// reason.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/random.h"

namespace karta::testing {

using Json = nlohmann::json;

inline Json read_vectors(std::string_view name) {
  std::ifstream file(std::string(KARTA_SOURCE_DIR "/tests/vectors/") + std::string(name));
  if (!file) ADD_FAILURE() << name << " is missing";
  return Json::parse(file);
}

inline Bytes octets(const Json& hex) {
  auto read = from_hex(hex.get_ref<const std::string&>());
  if (!read) ADD_FAILURE() << read.error().message;
  return read ? std::move(*read) : Bytes{};
}

struct LeftOut {
  std::string_view file;
  std::string_view id;  ///< "*": the whole file
  std::string_view reason;
};
inline constexpr auto kLeftOut = std::to_array<LeftOut>({
    {"icao9303_bac_sm.json", "*",
     "BAC: triple DES under a key from printed data; citizen cards have no MRZ and no 3DES"},
    {"icao9303_active_auth.json", "*",
     "active authentication: RSA challenge of passports; chip authentication replaces it"},
    {"icao9303_pace.json", "pace-dh-gm-aes128",
     "PACE over 1024-bit groups: not strong enough, the card offers curves only"},
    {"icao9303_pace.json", "pace-ecdh-im-aes128", "integrated mapping: generic mapping is the one every terminal has"},
    {"icao9303_pace.json", "pace-dh-im-aes128", "integrated mapping over 1024-bit groups"},
    {"icao9303_pace.json", "pace-ecdh-cam-aes128",
     "chip-authentication mapping is for passports; citizen cards run EAC 2"},
    {"gost_block_ciphers.json", "*", "the GOST suite comes later"},
    {"gost_param_sets.json", "*", "the GOST suite comes later"},
    {"gost_r3410_sign.json", "*", "the GOST suite comes later"},
    {"gost_sespake.json", "*", "the GOST suite comes later"},
    {"gost_streebog_kdf.json", "*", "the GOST suite comes later"},
    {"gost_vko.json", "*", "the GOST suite comes later"},
});

inline bool left_out(std::string_view file, std::string_view id) {
  return std::any_of(kLeftOut.begin(), kLeftOut.end(),
                     [&](const LeftOut& one) { return one.file == file && (one.id == "*" || one.id == id); });
}

/// The entries of one file, a copy: a range-for over a member of a temporary would dangle.
inline Json entries(std::string_view file) { return read_vectors(file).at("entries"); }

/// The entry called `id`.
inline Json entry(std::string_view file, std::string_view id) {
  const Json all = entries(file);
  for (const Json& one : all) {
    if (one.at("id") == id) return one;
  }
  ADD_FAILURE() << file << " has no " << id;
  return {};
}

/// Hands out what it was given, each value once and in order; asked for more or other lengths, the test fails.
class ScriptedRandom final : public RandomSource {
 public:
  explicit ScriptedRandom(std::deque<Bytes> values) : values_(std::move(values)) {}
  void fill(MutableByteView out) override {
    if (values_.empty() || values_.front().size() != out.size()) {
      ADD_FAILURE() << "random octets asked for that the script does not have: " << out.size();
      std::fill(out.begin(), out.end(), std::uint8_t{0x42});
      return;
    }
    std::copy(values_.front().begin(), values_.front().end(), out.begin());
    values_.pop_front();
  }
  bool empty() const { return values_.empty(); }

 private:
  std::deque<Bytes> values_;
};

/// The last `octets` of a number that may have leading zeros too many.
inline Bytes scalar_of(const Json& hex, std::size_t octets_wanted) {
  Bytes value = octets(hex);
  while (value.size() > octets_wanted && value.front() == 0) value.erase(value.begin());
  while (value.size() < octets_wanted) value.insert(value.begin(), 0);
  return value;
}

}  // namespace karta::testing
