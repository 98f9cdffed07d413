// Html: a document or a part of one, written forward. All text and all values of attributes are escaped here, so that
// no page can forget to.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace karta::identity {

/// An attribute. With a bool it stands without a value, or not at all. Addresses (href, src, action) are written only
/// if they lead to this server ("/...", "?...", "#..."), or to https or http; anything else (javascript:) becomes "#".
struct Attribute {
  Attribute(std::string_view attribute_name, std::string_view attribute_value)
      : name(attribute_name), value(attribute_value) {}
  Attribute(std::string_view attribute_name, const std::string& attribute_value)
      : name(attribute_name), value(attribute_value) {}
  Attribute(std::string_view attribute_name, const char* attribute_value)
      : name(attribute_name), value(attribute_value) {}
  Attribute(std::string_view attribute_name, bool is_there) : name(attribute_name), bare(true), there(is_there) {}

  std::string_view name;
  std::string_view value = {};  ///< borrowed for the call
  bool bare = false;
  bool there = true;
};
using Attributes = std::initializer_list<Attribute>;

/// Names of elements and attributes are the program's own words, of static storage, never input.
class Html {
 public:
  Html() { out_.reserve(4096); }

  /// <tag ...>; close() writes its end.
  Html& open(std::string_view tag, Attributes attributes = {});
  /// Ends the element opened last; `count` of them.
  Html& close(std::size_t count = 1);
  /// An element without an end: input, br, meta, link, img.
  Html& leaf(std::string_view tag, Attributes attributes = {});
  Html& text(std::string_view text);
  /// open, text, close.
  Html& element(std::string_view tag, std::string_view text, Attributes attributes = {});
  /// <p>.
  Html& paragraph(std::string_view text) { return element("p", text); }
  /// What another Html has written, as it is; its elements must all be closed.
  Html& add(const Html& part);

  bool empty() const { return out_.empty(); }
  /// What was written; ends the program if an element is still open.
  std::string take() &&;
  const std::string& text_so_far() const { return out_; }

 private:
  void begin(std::string_view tag, Attributes attributes);
  void escape(std::string_view text);

  std::string out_;
  std::vector<std::string_view> open_;
};

}  // namespace karta::identity
