#include "identity/key_config.h"

#include <cstdlib>

namespace karta::identity {
namespace {

constexpr std::string_view kPkcs11 = "pkcs11:";

}  // namespace

bool is_config_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

Result<std::filesystem::path> read_secret_place(service::ConfigTable& table) {
  const auto file = TRY(table.path_if("passphrase_file"));
  const std::string credential = TRY(table.text_or("credential", ""));
  if (file.has_value() == !credential.empty()) {
    return table.bad(file ? "credential" : "key", "needs one of \"passphrase_file\" and \"credential\"");
  }
  if (file) return *file;
  const char* const folder = std::getenv("CREDENTIALS_DIRECTORY");
  if (folder == nullptr) {
    return table.bad(
        "credential",
        "needs systemd's LoadCredential= or LoadCredentialEncrypted= in the unit; by hand \"passphrase_file\" does");
  }
  if (credential.find('/') != std::string::npos || credential == "..") {
    return table.bad("credential", "must be the name of a credential, not a path");
  }
  return std::filesystem::path(folder) / credential;
}

Result<KeyConfig> read_bare_key_config(service::ConfigTable& table) {
  KeyConfig out;
  const std::string key = TRY(table.text("key"));
  const auto resolved = TRY(table.path("key"));
  out.key = key.starts_with(kPkcs11) ? key : resolved.string();
  out.secret_file = TRY(read_secret_place(table));
  return out;
}

Result<KeyConfig> read_key_config(service::ConfigTable& table,
                                  const std::optional<std::filesystem::path>& certificate) {
  KeyConfig out = TRY(read_bare_key_config(table));
  if (certificate) {
    const auto own = TRY(table.path_if("certificate"));
    out.certificate = own.value_or(*certificate);
  } else {
    out.certificate = TRY(table.path("certificate"));
  }
  return out;
}

}  // namespace karta::identity
