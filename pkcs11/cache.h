// Cache: public content of cards, in memory and in a folder of the user's.
//
// One file a card, named by its serial number, holding what was read at one value of its change counter. Only public
// octets go in. A file is believed only if it is a plain file of this user's in a folder of this user's that nobody
// else may write, no longer than kMostOctets, and its checksum (SHA-256) is right; it is replaced whole or not at all.
// A broken, foreign or hostile file is the same as none. For several threads.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "card/content_cache.h"

namespace karta::pkcs11 {

class Cache final : public card::ContentCache {
 public:
  /// `folder` empty: memory only.
  explicit Cache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// $XDG_CACHE_HOME/karta, or ~/.cache/karta; empty where neither is known, in programs that run with another user's
  /// rights, and where KARTA_PKCS11_CACHE is "off".
  static std::filesystem::path user_folder();

  std::optional<Bytes> find(ByteView serial, std::uint16_t counter, std::string_view name) override;
  void keep(ByteView serial, std::uint16_t counter, std::string_view name, ByteView content) override;

  static constexpr std::size_t kMostOctets = 256 * 1024;
  static constexpr std::size_t kMostEntries = 256;
  static constexpr std::size_t kMostCards = 64;  ///< in memory

  using Entries = std::map<std::string, Bytes, std::less<>>;
  struct Content {
    std::uint16_t counter = 0;
    Entries entries;
  };
  /// The file's form, and back. Nothing for octets that are not exactly such a file for `serial`.
  static Bytes encode(ByteView serial, const Content& content);
  static std::optional<Content> decode(ByteView serial, ByteView file);

 private:
  std::optional<Content> load(ByteView serial) const;
  void store(ByteView serial, const Content& content) const;

  const std::filesystem::path folder_;
  std::mutex mutex_;
  std::map<std::string, Content> cards_;
};

}  // namespace karta::pkcs11
