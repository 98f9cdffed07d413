#include "issuing/centre_config.h"

#include <toml++/toml.h>
#include <array>
#include <fstream>
#include <sstream>

namespace karta::issuing {
namespace {

/// One row a key: where it stands, what it may hold, and where its value goes. Reader, check and default text follow
/// it.
struct Key {
  std::string_view section;
  std::string_view name;
  std::string_view default_value;  ///< empty: given by `karta init`
  std::string_view comment;
  bool is_path;
  std::string* (*text)(CentreConfig&);
  std::filesystem::path* (*path)(CentreConfig&);
};

constexpr Key text_key(std::string_view section, std::string_view name, std::string_view comment,
                       std::string* (*text)(CentreConfig&)) {
  return {section, name, "", comment, false, text, nullptr};
}
constexpr Key path_key(std::string_view section, std::string_view name, std::string_view value,
                       std::string_view comment, std::filesystem::path* (*path)(CentreConfig&)) {
  return {section, name, value, comment, true, nullptr, path};
}

constexpr auto kKeys = std::to_array<Key>({
    text_key("centre", "name", "the organisation in the names of its certificate authorities",
             [](CentreConfig& c) { return &c.name; }),
    text_key("centre", "country", "two letters, ISO 3166-1", [](CentreConfig& c) { return &c.country; }),
    Key{"registry", "database", "registry.sqlite",
        "citizens, cards, certificates and the access log: a file, or postgresql://host/database", false,
        [](CentreConfig& c) { return &c.database; }, nullptr},
    path_key("root-ca", "key", "keys/root.key.pem",
             "encrypted PKCS #8; keep it off line once the issuing CA is certified",
             [](CentreConfig& c) { return &c.root.key; }),
    path_key("root-ca", "certificate", "ca/root.crt.pem", "what verifiers trust",
             [](CentreConfig& c) { return &c.root.certificate; }),
    path_key("issuing-ca", "key", "keys/issuing.key.pem", "encrypted PKCS #8",
             [](CentreConfig& c) { return &c.issuing.key; }),
    path_key("issuing-ca", "certificate", "ca/issuing.crt.pem", "signs the cards' certificates",
             [](CentreConfig& c) { return &c.issuing.certificate; }),
    path_key("document-signer", "key", "keys/document-signer.key.pem", "encrypted PKCS #8",
             [](CentreConfig& c) { return &c.document_signer.key; }),
    path_key("document-signer", "certificate", "ca/document-signer.crt.pem",
             "signs what a card says of itself; certified by the root",
             [](CentreConfig& c) { return &c.document_signer.certificate; }),
    path_key("card-manager", "master", "keys/card-master.key.pem",
             "the keys each card is administered with come from it; encrypted",
             [](CentreConfig& c) { return &c.card_master; }),
    path_key("terminals", "folder", "terminals", "who may read what: CV certificates, and their keys, encrypted",
             [](CentreConfig& c) { return &c.terminals; }),
    path_key("profiles", "card", "profiles/card", "one TOML file a kind of card",
             [](CentreConfig& c) { return &c.card_profiles; }),
    path_key("profiles", "certificate", "profiles/certificate", "one TOML file a kind of certificate",
             [](CentreConfig& c) { return &c.certificate_profiles; }),
    path_key("work", "folder", "work", "notes on cards in the making, so that an interrupted one is finished",
             [](CentreConfig& c) { return &c.work; }),
    path_key("letters", "folder", "letters", "PIN letters; print them, then destroy them",
             [](CentreConfig& c) { return &c.letters; }),
});

const Key* find_key(std::string_view section, std::string_view name) {
  for (const Key& key : kKeys) {
    if (key.section == section && key.name == name) return &key;
  }
  return nullptr;
}

std::string place(const std::filesystem::path& file, const toml::source_region& source) {
  return file.filename().string() + " line " + std::to_string(source.begin.line);
}

Status read_section(CentreConfig& config, const std::filesystem::path& file, std::string_view section,
                    const toml::table& table) {
  for (const auto& [name, node] : table) {
    const Key* const key = find_key(section, name.str());
    const std::string full = std::string(section) + "." + std::string(name.str());
    if (key == nullptr) {
      return fail(ErrorKind::configuration, place(file, node.source()) + ": unknown key \"" + full + "\"");
    }
    const auto value = node.value_exact<std::string>();
    if (!value || value->empty()) {
      return fail(ErrorKind::configuration,
                  place(file, node.source()) + ": \"" + full + "\" must be a text, not empty");
    }
    if (key->text != nullptr && !key->default_value.empty() && value->find("://") == std::string::npos) {
      *key->text(config) = (config.folder / *value).string();  // a store that is a file
    } else if (key->is_path) {
      *key->path(config) = config.folder / *value;  // an absolute value replaces the folder
    } else {
      *key->text(config) = *value;
    }
  }
  return {};
}

}  // namespace

bool is_country_code(std::string_view text) {
  return text.size() == 2 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'A' && text[1] <= 'Z';
}

Result<CentreConfig> load_centre_config(const std::filesystem::path& folder) {
  CentreConfig config;
  config.folder = folder;
  const std::filesystem::path file = folder / kCentreFile;
  std::ifstream in(file);
  if (!in) {
    return fail(ErrorKind::not_found, "there is no issuing centre in \"" + folder.string() + "\"",
                "make one: karta init " + folder.string() + "; or name another folder with --dir or KARTA_DIR");
  }
  std::stringstream text;
  text << in.rdbuf();
  toml::table table;
  try {
    table = toml::parse(text.str());
  } catch (const toml::parse_error& error) {
    return fail(ErrorKind::configuration, place(file, error.source()) + ": " + std::string(error.description()));
  }
  for (const auto& [section, node] : table) {
    bool known = false;
    for (const Key& key : kKeys) known = known || key.section == section.str();
    const toml::table* const inner = node.as_table();
    if (!known || inner == nullptr) {
      return fail(ErrorKind::configuration,
                  place(file, node.source()) + ": unknown section \"" + std::string(section.str()) + "\"");
    }
    TRY(read_section(config, file, section.str(), *inner));
  }
  for (const Key& key : kKeys) {
    const bool given = key.is_path ? !key.path(config)->empty() : !key.text(config)->empty();
    if (!given) {
      return fail(ErrorKind::configuration, std::string(kCentreFile) + ": \"" + std::string(key.section) + "." +
                                                std::string(key.name) + "\" is missing (" + std::string(key.comment) +
                                                ")");
    }
  }
  if (!is_country_code(config.country)) {
    return fail(ErrorKind::configuration,
                std::string(kCentreFile) + ": \"centre.country\" must be two capital letters");
  }
  return config;
}

std::string default_centre_config(std::string_view name, std::string_view country, std::string_view database) {
  std::stringstream out;
  out << "# An issuing centre of karta. Paths are relative to this folder.\n";
  std::string_view section;
  for (const Key& key : kKeys) {
    if (key.section != section) out << "\n[" << (section = key.section) << "]\n";
    std::string_view value = key.default_value;
    if (key.name == "name") value = name;
    if (key.name == "country") value = country;
    if (key.name == "database" && !database.empty()) value = database;
    out << key.name << " = " << toml::value<std::string>(std::string(value)) << "  # " << key.comment << "\n";
  }
  return out.str();
}

}  // namespace karta::issuing
