// Scopes: what a portal may ask for, and which data of a citizen each stands for. Two tables; all else derives.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "identity/citizen.h"

namespace karta::identity {

/// A datum a portal may learn: a claim of OpenID Connect Core §5.1, or one of ours.
struct ClaimRow {
  std::string_view name;
  std::string_view english, russian;  ///< as the pages name it to the citizen
  /// The claim's value as JSON; empty: the registry has none of this citizen, and the claim is left out.
  std::string (*json)(const Citizen& citizen);
};
std::span<const ClaimRow> claim_rows();
const ClaimRow* find_claim(std::string_view name);

struct ScopeRow {
  std::string_view name;
  std::string_view english, russian;
  std::span<const std::string_view> claims;  ///< in the order of claim_rows()
};
std::span<const ScopeRow> scope_rows();
const ScopeRow* find_scope(std::string_view name);

/// The claims of `scopes` and `single` ones beside them, each once, in the order of claim_rows().
std::vector<std::string> claims_of(const std::vector<std::string>& scopes, const std::vector<std::string>& single = {});

/// The members of a JSON object: ,"name":"…" for each of `claims` that has a value.
std::string claims_json(const Citizen& citizen, const std::vector<std::string>& claims);

/// Words between single blanks; a text that begins or ends with one, or holds two, gives an empty word.
std::vector<std::string> split_words(std::string_view text);
/// The words of `words` that are in `allowed`, too.
std::vector<std::string> common_words(std::vector<std::string> words, const std::vector<std::string>& allowed);
std::string join_words(const std::vector<std::string>& words);

}  // namespace karta::identity
