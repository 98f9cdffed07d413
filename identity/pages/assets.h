// Assets: the files of identity/pages/web as they were when the program was built.
#pragma once

#include <span>
#include <string_view>

namespace karta::identity {

struct Asset {
  std::string_view name;     ///< "pages.css"
  std::string_view content;  ///< UTF-8; of static storage
};
std::span<const Asset> assets();

}  // namespace karta::identity
