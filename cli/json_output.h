// JSON for scripts: every document begins with its schema, "karta.<noun>.<verb>/1", and is one object on stdout.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/console.h"

namespace karta::cli {

/// Keys keep the order they were written in.
using Json = nlohmann::ordered_json;

inline Json json_document(const std::string& schema) { return Json{{"schema", schema}}; }

/// Text that is not UTF-8 (a card's label, say) is replaced, not refused.
inline void print_json(const Json& document) {
  print(document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace karta::cli
