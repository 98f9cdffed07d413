// CentreConfig: the file karta.toml of an issuing centre, read once at the door.
//
// An issuing centre is a folder. Paths in the file are relative to that folder unless they begin with a slash.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace karta::issuing {

struct CertificateAuthorityConfig {
  std::filesystem::path key;          ///< encrypted PKCS #8 in PEM
  std::filesystem::path certificate;  ///< PEM
};

struct CentreConfig {
  std::filesystem::path folder;
  std::string name;      ///< organisation in the CAs' names
  std::string country;   ///< ISO 3166-1 alpha-2
  std::string database;  ///< of the registry: a file's path, or postgresql://... (service/database.h)
  CertificateAuthorityConfig root;
  CertificateAuthorityConfig issuing;
  CertificateAuthorityConfig document_signer;
  std::filesystem::path card_master;  ///< the master key of the cards' administration keys, encrypted
  std::filesystem::path terminals;    ///< CV certificates of the terminals' authority, verifiers and terminals
  std::filesystem::path card_profiles;
  std::filesystem::path certificate_profiles;
  std::filesystem::path work;     ///< notes on cards in the making; empty when no card is
  std::filesystem::path letters;  ///< PIN letters are written here, readable by the owner only
};

/// The name of the configuration file inside the folder.
inline constexpr std::string_view kCentreFile = "karta.toml";

/// Reads FOLDER/karta.toml. Fails with `ErrorKind::configuration`, naming line and key, on a missing, unknown or
/// mistyped key; with `ErrorKind::not_found` where there is no such file.
Result<CentreConfig> load_centre_config(const std::filesystem::path& folder);

/// Two capital letters, the shape of an ISO 3166-1 alpha-2 code.
bool is_country_code(std::string_view text);

/// The text of a new centre's karta.toml, with a comment above each key. `database`: URL of the registry's store;
/// empty: a file in the folder.
std::string default_centre_config(std::string_view name, std::string_view country, std::string_view database = {});

}  // namespace karta::issuing
