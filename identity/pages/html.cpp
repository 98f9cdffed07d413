#include "identity/pages/html.h"

#include <algorithm>
#include <array>

namespace karta::identity {
namespace {

constexpr auto kAddresses = std::to_array<std::string_view>({"href", "src", "action", "formaction"});
constexpr auto kBeginnings = std::to_array<std::string_view>({"/", "?", "#", "https://", "http://"});

bool leads_where_it_may(std::string_view address) {
  return address.empty() ||
         std::ranges::any_of(kBeginnings, [&](std::string_view one) { return address.starts_with(one); });
}

}  // namespace

void Html::escape(std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&':
        out_ += "&amp;";
        break;
      case '<':
        out_ += "&lt;";
        break;
      case '>':
        out_ += "&gt;";
        break;
      case '"':
        out_ += "&quot;";
        break;
      case '\'':
        out_ += "&#39;";
        break;
      default:
        // Controls mean nothing on a page; HTML forbids most of them.
        if (static_cast<unsigned char>(c) >= ' ' || c == '\n' || c == '\t') out_ += c;
    }
  }
}

void Html::begin(std::string_view tag, Attributes attributes) {
  out_.append("<").append(tag);
  for (const Attribute& one : attributes) {
    if (!one.there) continue;
    out_.append(" ").append(one.name);
    if (one.bare) continue;
    out_ += "=\"";
    const bool address = std::ranges::find(kAddresses, one.name) != kAddresses.end();
    escape(address && !leads_where_it_may(one.value) ? "#" : one.value);
    out_ += '"';
  }
  out_ += '>';
}

Html& Html::open(std::string_view tag, Attributes attributes) {
  begin(tag, attributes);
  open_.push_back(tag);
  return *this;
}

Html& Html::close(std::size_t count) {
  for (; count > 0; --count) {
    KARTA_CHECK(!open_.empty());
    out_.append("</").append(open_.back()).append(">");
    open_.pop_back();
  }
  return *this;
}

Html& Html::leaf(std::string_view tag, Attributes attributes) {
  begin(tag, attributes);
  return *this;
}

Html& Html::text(std::string_view text) {
  escape(text);
  return *this;
}

Html& Html::element(std::string_view tag, std::string_view text, Attributes attributes) {
  return open(tag, attributes).text(text).close();
}

Html& Html::add(const Html& part) {
  KARTA_CHECK(part.open_.empty());
  out_ += part.out_;
  return *this;
}

std::string Html::take() && {
  KARTA_CHECK(open_.empty());
  return std::move(out_);
}

}  // namespace karta::identity
