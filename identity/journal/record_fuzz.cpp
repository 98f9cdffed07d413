// Any octets as an upload and as one record: what is taken is what would be written.
#include <cstdlib>

#include "identity/journal/record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace karta;
  using namespace karta::identity;
  const std::string_view text = as_text(ByteView(data, size));
  if (const auto record = record_from_json_line(text)) {
    if (to_json_line(*record) != text || hash_of(*record) != record->hash) std::abort();
    (void)damage_of(*record);
  }
  if (const auto body = canonical_journal_body(text)) {
    const auto again = canonical_journal_body(*body);
    if (!again || *again != *body) std::abort();
  }
  if (const auto upload = parse_upload(text)) {
    const auto again = parse_upload(format_upload(upload->terminal, upload->records));
    if (!again || again->records != upload->records) std::abort();
  }
  return 0;
}
