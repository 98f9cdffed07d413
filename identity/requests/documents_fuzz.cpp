// Documents between departments: what is read is written so that it reads the same again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "identity/requests/documents.h"

namespace {

using namespace karta::identity;

template <class Document>
void check(karta::Result<Document> (*read)(std::string_view), std::string_view text) {
  const auto first = read(text);
  if (!first) return;
  const std::string written = write_document(*first);
  const auto second = read(written);
  if (!second || write_document(*second) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(parse_department_request, text);
  check(parse_department_answer, text);
  check(parse_department_receipt, text);
  return 0;
}
