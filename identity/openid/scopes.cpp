#include "identity/openid/scopes.h"

#include <algorithm>
#include <array>

#include "crypto/jose/json_object.h"

namespace karta::identity {
namespace {

using crypto::json_quoted;

std::string quoted_if(const std::string& text) { return text.empty() ? std::string() : json_quoted(text); }

std::string full_name(const Citizen& citizen) {
  std::string out;
  for (const std::string* part : {&citizen.family, &citizen.given, &citizen.patronymic}) {
    if (part->empty()) continue;
    if (!out.empty()) out += ' ';
    out += *part;
  }
  return quoted_if(out);
}

std::string gender(const Citizen& citizen) {
  if (citizen.sex == Sex::not_stated) return {};
  return citizen.sex == Sex::male ? "\"male\"" : "\"female\"";
}

std::string concessions(const Citizen& citizen) {
  std::string out = "[";
  for (const Concession& one : citizen.concessions) {
    if (out.size() > 1) out += ',';
    out += "{\"kind\":" + json_quoted(row_of(one.kind).name) +
           ",\"valid_from\":" + json_quoted(format_date(one.valid_from));
    if (one.valid_until) out += ",\"valid_until\":" + json_quoted(format_date(*one.valid_until));
    out += '}';
  }
  return out + "]";
}

// Names: OpenID Connect Core §5.1 where it has one.
const std::array<ClaimRow, 15> kClaims = {{
    {"name", "full name", "фамилия, имя, отчество", full_name},
    {"family_name", "family name", "фамилия", [](const Citizen& one) { return quoted_if(one.family); }},
    {"given_name", "given name", "имя", [](const Citizen& one) { return quoted_if(one.given); }},
    {"middle_name", "patronymic", "отчество", [](const Citizen& one) { return quoted_if(one.patronymic); }},
    {"family_name_latin", "family name in Latin letters", "фамилия латинскими буквами",
     [](const Citizen& one) { return quoted_if(one.family_latin); }},
    {"given_name_latin", "given name in Latin letters", "имя латинскими буквами",
     [](const Citizen& one) { return quoted_if(one.given_latin); }},
    {"gender", "sex", "пол", gender},
    {"birthdate", "date of birth", "дата рождения",
     [](const Citizen& one) { return json_quoted(format_date(one.birth_date)); }},
    {"snils", "SNILS", "СНИЛС", [](const Citizen& one) { return json_quoted(one.snils.text()); }},
    {"inn", "INN", "ИНН", [](const Citizen& one) { return one.inn ? json_quoted(one.inn->text()) : std::string(); }},
    {"insurance_number", "number of the medical insurance policy", "номер полиса ОМС",
     [](const Citizen& one) { return one.enp ? json_quoted(one.enp->text()) : std::string(); }},
    {"insurer", "medical insurer", "страховая медицинская организация",
     [](const Citizen& one) { return quoted_if(one.insurer); }},
    {"region", "region", "регион", [](const Citizen& one) { return quoted_if(one.region); }},
    {"concessions", "concessions", "льготы", concessions},
    // No datum, but consented to like one.
    {"offline_access", "access while you are away", "доступ в ваше отсутствие",
     [](const Citizen&) { return std::string(); }},
}};

constexpr std::string_view kProfile[] = {
    "name", "family_name", "given_name", "middle_name", "family_name_latin", "given_name_latin", "gender"};
constexpr std::string_view kBirthdate[] = {"birthdate"};
constexpr std::string_view kSnils[] = {"snils"};
constexpr std::string_view kInn[] = {"inn"};
constexpr std::string_view kInsurance[] = {"insurance_number", "insurer"};
constexpr std::string_view kRegion[] = {"region"};
constexpr std::string_view kConcessions[] = {"concessions"};
constexpr std::string_view kOffline[] = {"offline_access"};

constexpr std::array<ScopeRow, 9> kScopes = {{
    {"openid", "who you are to this portal", "кто вы для этого портала", {}},
    {"offline_access", "access while you are away", "доступ в ваше отсутствие", kOffline},
    {"profile", "name and sex", "имя и пол", kProfile},
    {"birthdate", "date of birth", "дата рождения", kBirthdate},
    {"snils", "SNILS", "СНИЛС", kSnils},
    {"inn", "INN", "ИНН", kInn},
    {"insurance", "medical insurance", "медицинское страхование", kInsurance},
    {"region", "region", "регион", kRegion},
    {"concessions", "concessions", "льготы", kConcessions},
}};

}  // namespace

std::span<const ClaimRow> claim_rows() { return kClaims; }
std::span<const ScopeRow> scope_rows() { return kScopes; }

const ClaimRow* find_claim(std::string_view name) {
  const auto found =
      std::find_if(kClaims.begin(), kClaims.end(), [&](const ClaimRow& one) { return one.name == name; });
  return found == kClaims.end() ? nullptr : &*found;
}
const ScopeRow* find_scope(std::string_view name) {
  const auto found =
      std::find_if(kScopes.begin(), kScopes.end(), [&](const ScopeRow& one) { return one.name == name; });
  return found == kScopes.end() ? nullptr : &*found;
}

std::vector<std::string> claims_of(const std::vector<std::string>& scopes, const std::vector<std::string>& single) {
  std::vector<std::string> out;
  for (const ClaimRow& row : kClaims) {
    bool asked = std::find(single.begin(), single.end(), row.name) != single.end();
    for (const std::string& scope : scopes) {
      const ScopeRow* const known = find_scope(scope);
      asked = asked || (known != nullptr &&
                        std::find(known->claims.begin(), known->claims.end(), row.name) != known->claims.end());
    }
    if (asked) out.emplace_back(row.name);
  }
  return out;
}

std::string claims_json(const Citizen& citizen, const std::vector<std::string>& claims) {
  std::string out;
  for (const std::string& name : claims) {
    const ClaimRow* const row = find_claim(name);
    if (row == nullptr) continue;
    const std::string value = row->json(citizen);
    if (!value.empty()) out += ",\"" + name + "\":" + value;
  }
  return out;
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    out.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
    if (text.empty()) out.emplace_back();
  }
  return out;
}

std::vector<std::string> common_words(std::vector<std::string> words, const std::vector<std::string>& allowed) {
  std::erase_if(
      words, [&](const std::string& one) { return std::find(allowed.begin(), allowed.end(), one) == allowed.end(); });
  return words;
}

std::string join_words(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& one : words) {
    if (!out.empty()) out += ' ';
    out += one;
  }
  return out;
}

}  // namespace karta::identity
