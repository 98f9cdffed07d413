#include "identity/requests/request_words.h"

#include <algorithm>
#include <array>

#include "identity/requests/documents.h"

namespace karta::identity {
namespace {

constexpr Words kTheRegistry{"the registry", "реестр"};

/// How the log's entry begins; where `names` is true a department follows, up to the colon.
struct LookRow {
  std::string_view begins;
  bool names;
  Words before, after;  ///< around the department
};
constexpr auto kLooks = std::to_array<LookRow>({
    {"asked ", true, {"asked ", "запрос («"}, {"", "»)"}},
    {"answered ", true, {"answered ", "ответ («"}, {"", "»)"}},
    {"looked up", false, {"looked up in the registry", "просмотр в реестре"}, {"", ""}},
    {"took the request", false, {"received the request", "получен запрос"}, {"", ""}},
    {"took the answer", false, {"received the answer", "получен ответ"}, {"", ""}},
});

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t comma = 0; comma != std::string_view::npos;) {
    comma = text.find(',');
    out.emplace_back(text.substr(0, comma));
    if (comma != std::string_view::npos) text.remove_prefix(comma + 1);
  }
  return out;
}

}  // namespace

std::string DepartmentNames::operator()(std::string_view name) const {
  if (name == kRegistryName) return std::string(kTheRegistry.in(language_));
  const auto found = std::ranges::find(titles_, name, &DepartmentTitle::name);
  return found == titles_.end() ? std::string(name) : found->in(language_ == Language::russian);
}

std::string list_of_subjects(const std::vector<std::string>& subjects, Language language) {
  std::string out;
  for (const std::string& one : subjects) {
    const RegistrySubject* const row = find_registry_subject(one);
    out += out.empty() ? "" : "; ";
    out += row == nullptr ? std::string_view(one) : language == Language::russian ? row->words_ru : row->words;
  }
  return out;
}

std::optional<std::string> words_of_look(std::string_view what, const DepartmentNames& names) {
  const std::size_t colon = what.find(": ");
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view head = what.substr(0, colon);
  for (const LookRow& row : kLooks) {
    if (row.names ? !head.starts_with(row.begins) : head != row.begins) continue;
    const std::string department = row.names ? names(head.substr(row.begins.size())) : std::string();
    return std::string(row.before.in(names.language())) + department + std::string(row.after.in(names.language())) +
           ": " + list_of_subjects(split(what.substr(colon + 2)), names.language());
  }
  return std::nullopt;
}

}  // namespace karta::identity
