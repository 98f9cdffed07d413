// How deep a JSON text is nested, looked at before it is parsed: nesting without end would cost the parser's stack.
#pragma once

#include <cstddef>
#include <string_view>

namespace karta {

/// Whether more than `most` objects and arrays stand in each other. What is no JSON is for the parser to say.
bool nested_deeper_than(std::string_view json, std::size_t most);

}  // namespace karta
