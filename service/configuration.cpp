#include "service/configuration.h"

#include <toml++/toml.h>

#include <set>

#include "base/file.h"

namespace karta::service {

struct ConfigTable::Impl {
  std::shared_ptr<const toml::table> document;  // keeps `table` alive
  const toml::table* table = nullptr;
  std::filesystem::path file;
  std::string prefix;  // "server."
  std::set<std::string, std::less<>> asked;
  std::vector<ConfigTable> children;  // finished with this one

  std::string place(const toml::source_region& source) const {
    return file.filename().string() + ":" + std::to_string(source.begin.line) + ": ";
  }
  const toml::node* find(std::string_view key) {
    asked.emplace(key);
    return table->get(key);
  }
};

namespace {

using Impl = ConfigTable::Impl;

tl::unexpected<Error> bad_value(const Impl& impl, std::string_view key, const toml::source_region& source,
                                std::string_view what) {
  return fail(ErrorKind::configuration,
              impl.place(source) + "\"" + impl.prefix + std::string(key) + "\" " + std::string(what));
}

ConfigTable child_of(Impl& impl, const toml::table& table, std::string prefix) {
  auto inner = std::make_shared<Impl>();
  inner->document = impl.document;
  inner->table = &table;
  inner->file = impl.file;
  inner->prefix = std::move(prefix);
  impl.children.emplace_back(inner);
  return impl.children.back();
}

}  // namespace

bool ConfigTable::has(std::string_view key) const { return impl_->table->contains(key); }

Result<std::string> ConfigTable::text(std::string_view key) {
  const toml::node* const node = impl_->find(key);
  if (node == nullptr) return bad_value(*impl_, key, impl_->table->source(), "is missing");
  const auto value = node->value_exact<std::string>();
  if (!value || value->empty()) return bad_value(*impl_, key, node->source(), "must be a text, not empty");
  return *value;
}

Result<std::string> ConfigTable::text_or(std::string_view key, std::string_view otherwise) {
  if (!has(key)) {
    impl_->asked.emplace(key);
    return std::string(otherwise);
  }
  return text(key);
}

Result<std::int64_t> ConfigTable::integer_or(std::string_view key, std::int64_t least, std::int64_t most,
                                             std::int64_t otherwise) {
  const toml::node* const node = impl_->find(key);
  if (node == nullptr) return otherwise;
  const auto value = node->value_exact<std::int64_t>();
  if (!value || *value < least || *value > most) {
    return bad_value(*impl_, key, node->source(),
                     "must be a number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return *value;
}

Result<bool> ConfigTable::boolean_or(std::string_view key, bool otherwise) {
  const toml::node* const node = impl_->find(key);
  if (node == nullptr) return otherwise;
  const auto value = node->value_exact<bool>();
  if (!value) return bad_value(*impl_, key, node->source(), "must be true or false");
  return *value;
}

Result<std::vector<std::string>> ConfigTable::texts(std::string_view key) {
  const toml::node* const node = impl_->find(key);
  std::vector<std::string> out;
  if (node == nullptr) return out;
  const auto take = [&](const toml::node& one) {
    const auto value = one.value_exact<std::string>();
    if (!value || value->empty()) return false;
    out.push_back(*value);
    return true;
  };
  bool good = true;
  if (const toml::array* const list = node->as_array()) {
    for (const toml::node& one : *list) good = good && take(one);
  } else {
    good = take(*node);
  }
  if (!good) return bad_value(*impl_, key, node->source(), "must be a list of texts, none of them empty");
  return out;
}

Result<std::filesystem::path> ConfigTable::path(std::string_view key) {
  const std::string value = TRY(text(key));
  return impl_->file.parent_path() / value;
}

Result<std::optional<std::filesystem::path>> ConfigTable::path_if(std::string_view key) {
  std::optional<std::filesystem::path> out;
  impl_->asked.emplace(key);
  if (has(key)) out = TRY(path(key));
  return out;
}

Result<std::vector<std::filesystem::path>> ConfigTable::paths(std::string_view key) {
  std::vector<std::filesystem::path> out;
  for (const std::string& one : TRY(texts(key))) out.push_back(impl_->file.parent_path() / one);
  return out;
}

Result<std::optional<ConfigTable>> ConfigTable::table(std::string_view key) {
  const toml::node* const node = impl_->find(key);
  std::optional<ConfigTable> out;
  if (node == nullptr) return out;
  const toml::table* const inner = node->as_table();
  if (inner == nullptr) return bad_value(*impl_, key, node->source(), "must be a table");
  out = child_of(*impl_, *inner, impl_->prefix + std::string(key) + ".");
  return out;
}

Result<std::vector<ConfigTable>> ConfigTable::tables(std::string_view key) {
  const toml::node* const node = impl_->find(key);
  std::vector<ConfigTable> out;
  if (node == nullptr) return out;
  const toml::array* const list = node->as_array();
  if (list == nullptr || !list->is_homogeneous<toml::table>()) {
    return bad_value(*impl_, key, node->source(), "must be tables: [[" + impl_->prefix + std::string(key) + "]]");
  }
  for (const toml::node& one : *list) {
    out.push_back(child_of(*impl_, *one.as_table(), impl_->prefix + std::string(key) + "."));
  }
  return out;
}

Status ConfigTable::finish() const {
  for (const auto& [key, node] : *impl_->table) {
    if (impl_->asked.contains(key.str())) continue;
    return fail(ErrorKind::configuration,
                impl_->place(key.source()) + "unknown key \"" + impl_->prefix + std::string(key.str()) + "\"");
  }
  for (const ConfigTable& one : impl_->children) TRY(one.finish());
  return {};
}

tl::unexpected<Error> ConfigTable::bad(std::string_view key, std::string_view what) const {
  const toml::node* const node = impl_->table->get(key);
  return bad_value(*impl_, key, node != nullptr ? node->source() : impl_->table->source(), what);
}

Result<Configuration> Configuration::read(const std::filesystem::path& file, std::string_view schema) {
  const Bytes octets = TRY(read_file(file, kMostConfigurationOctets));
  return parse(as_text(octets), file, schema);
}

Result<Configuration> Configuration::parse(std::string_view text, const std::filesystem::path& file,
                                           std::string_view schema) {
  auto impl = std::make_shared<ConfigTable::Impl>();
  impl->file = file;
  try {
    impl->document = std::make_shared<toml::table>(toml::parse(text));
  } catch (const toml::parse_error& error) {
    return fail(ErrorKind::configuration, impl->place(error.source()) + std::string(error.description()));
  }
  impl->table = impl->document.get();
  ConfigTable root(std::move(impl));
  const std::string found = TRY(root.text("schema"));
  if (found != schema) return root.bad("schema", "must be \"" + std::string(schema) + "\"");
  return Configuration(std::move(root));
}

}  // namespace karta::service
