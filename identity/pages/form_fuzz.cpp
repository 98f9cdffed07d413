// Forms, cookies and languages as anybody may send them: what was read is written into a page, and nothing in it ends
// the element or the field it stands in.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "identity/pages/cookie.h"
#include "identity/pages/page.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace karta;
  using namespace karta::identity;
  const std::string_view text = as_text({data, size});
  const auto form = FormData::parse(text);
  if (form) {
    for (const auto& [name, value] : form->fields()) {
      Html html;
      html.element("p", value, {{"title", name}, {"href", value}});
      const std::string out = std::move(html).take();
      if (std::count(out.begin(), out.end(), '<') != 2 || std::count(out.begin(), out.end(), '"') != 4) std::abort();
      const auto again = FormData::parse("x=" + encode_percent(value));
      if (!again || again->value("x") != value) std::abort();
      if (is_own_path(value) && (value.size() > 1 && (value[1] == '/' || value[1] == '\\'))) std::abort();
    }
  }
  service::HttpRequest request;
  request.fields = {{"Cookie", text}, {"Accept-Language", text}};
  (void)cookie_of(request, "__Host-karta-session");
  (void)language_of(request, text);
  const std::string location = see_other(text).fields;
  if (std::count(location.begin(), location.end(), '\n') != 3) std::abort();
  return 0;
}
