// Requests between departments in words, for pages: what a department is called, what was asked, and what the access
// log says of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/pages/language.h"
#include "identity/requests/departments.h"

namespace karta::identity {

/// What departments are called in `language`; a name nobody is registered under stays as it is.
class DepartmentNames {
 public:
  DepartmentNames(std::vector<DepartmentTitle> titles, Language language)
      : titles_(std::move(titles)), language_(language) {}

  std::string operator()(std::string_view name) const;
  Language language() const { return language_; }
  /// By name, without the registry.
  const std::vector<DepartmentTitle>& titles() const { return titles_; }

 private:
  std::vector<DepartmentTitle> titles_;
  Language language_;
};

/// What was asked, between semicolons. Subjects of departments' own are their words.
std::string list_of_subjects(const std::vector<std::string>& subjects, Language language);

/// AccessEntry::what as RequestLedger writes it ("asked tax-service: income"), in words; none if it is of another kind.
std::optional<std::string> words_of_look(std::string_view what, const DepartmentNames& names);

}  // namespace karta::identity
