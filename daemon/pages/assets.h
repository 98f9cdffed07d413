// Assets: the files of daemon/pages/web as they were when the program was built.
#pragma once

#include <span>
#include <string_view>

namespace karta::daemon {

struct Asset {
  std::string_view name;     ///< "desk.css"
  std::string_view content;  ///< UTF-8; of static storage
};
std::span<const Asset> assets();

}  // namespace karta::daemon
