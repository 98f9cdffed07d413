#include "identity/login/claim_words.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "identity/openid/scopes.h"

namespace karta::identity {
namespace {

constexpr std::string_view kFullName = "name";
constexpr auto kPartsOfName = std::to_array<std::string_view>({"family_name", "given_name", "middle_name"});

}  // namespace

std::vector<ClaimWords> words_of_claims(const std::vector<std::string>& claims, Language language) {
  const bool full_name = std::ranges::find(claims, kFullName) != claims.end();
  std::vector<ClaimWords> out;
  for (const std::string& name : claims) {
    if (full_name && std::ranges::find(kPartsOfName, name) != kPartsOfName.end()) continue;
    const ClaimRow* const row = find_claim(name);
    ClaimWords one{name, row == nullptr                  ? std::string_view(name)
                         : language == Language::russian ? row->russian
                                                         : row->english};
    std::ranges::copy_if(claims, std::back_inserter(one.claims), [&](const std::string& other) {
      const bool part = name == kFullName && std::ranges::find(kPartsOfName, other) != kPartsOfName.end();
      return other == name || part;
    });
    out.push_back(std::move(one));
  }
  return out;
}

std::string list_of_claims(const std::vector<std::string>& claims, Language language) {
  std::string out;
  for (const ClaimWords& one : words_of_claims(claims, language)) {
    out += (out.empty() ? "" : ", ") + std::string(one.words);
  }
  return out;
}

}  // namespace karta::identity
