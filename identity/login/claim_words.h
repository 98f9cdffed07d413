// What a portal asks for, in the citizen's words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "identity/pages/language.h"

namespace karta::identity {

struct ClaimWords {
  std::string_view claim;  ///< aliases the argument
  std::string_view words;
  std::vector<std::string> claims = {};  ///< all of the argument that these words stand for: `claim` and its parts
};

/// One for each of `claims`, in their order; without the parts of the full name where that is among them, as they tell
/// nothing more.
std::vector<ClaimWords> words_of_claims(const std::vector<std::string>& claims, Language language);
/// The same between commas; empty if there are none.
std::string list_of_claims(const std::vector<std::string>& claims, Language language);

}  // namespace karta::identity
