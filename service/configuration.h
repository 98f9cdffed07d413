// Configuration: a TOML file read once at the door, where every key is known or an error.
//
// A program asks a ConfigTable for its keys one by one and calls finish(): a key nobody asked for is refused. Errors
// name file, line and the whole key: `identity.toml:12: "server.threads" must be 1 to 64`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace karta::service {

inline constexpr std::size_t kMostConfigurationOctets = std::size_t{1} << 20;

/// A table of the file. A view: the Configuration must outlive it.
class ConfigTable {
 public:
  struct Impl;
  explicit ConfigTable(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

  bool has(std::string_view key) const;
  /// A text, not empty. Errors (configuration): missing, of another type, empty.
  Result<std::string> text(std::string_view key);
  Result<std::string> text_or(std::string_view key, std::string_view otherwise);
  Result<std::int64_t> integer_or(std::string_view key, std::int64_t least, std::int64_t most, std::int64_t otherwise);
  Result<bool> boolean_or(std::string_view key, bool otherwise);
  /// An array of texts; a single text counts as one of one. Empty if the key is not there.
  Result<std::vector<std::string>> texts(std::string_view key);
  /// A file or folder: relative ones are taken from the folder of the configuration on.
  Result<std::filesystem::path> path(std::string_view key);
  Result<std::optional<std::filesystem::path>> path_if(std::string_view key);
  /// As texts(), each as path() takes it.
  Result<std::vector<std::filesystem::path>> paths(std::string_view key);
  /// [key]; empty if it is not there.
  Result<std::optional<ConfigTable>> table(std::string_view key);
  /// [[key]], in order; empty if it is not there.
  Result<std::vector<ConfigTable>> tables(std::string_view key);
  /// Fails on the first key that was not asked for, here or in a table taken from here.
  Status finish() const;
  /// An error about the value of `key`: file, line and key come in front of `what`.
  tl::unexpected<Error> bad(std::string_view key, std::string_view what) const;

 private:
  std::shared_ptr<Impl> impl_;
};

class Configuration {
 public:
  /// Errors: not_found, io, limit, configuration (no TOML; another schema than `schema`).
  static Result<Configuration> read(const std::filesystem::path& file, std::string_view schema);
  static Result<Configuration> parse(std::string_view text, const std::filesystem::path& file, std::string_view schema);

  ConfigTable& root() { return root_; }

 private:
  explicit Configuration(ConfigTable root) : root_(std::move(root)) {}
  ConfigTable root_;
};

}  // namespace karta::service
