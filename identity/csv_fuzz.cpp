// Fuzzes how CSV is cut into records and fields: nothing may be lost, and what split_csv() takes must be writable
// again.
#include <sstream>

#include "identity/record_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace karta::identity;
  if (size == 0) return 0;
  const char delimiter = ";,\t"[data[0] % 3];
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::istringstream in(text);
  RecordReader reader(in);
  if (data[0] % 4 != 3) reader.set_delimiter(delimiter);
  std::string raw;
  std::uint64_t line = 0;
  std::vector<std::string> fields;
  for (;;) {
    const auto record = reader.next();
    if (!record) __builtin_trap();
    if (!*record) break;
    if ((*record)->line <= line) __builtin_trap();
    line = (*record)->line;
    raw += (*record)->raw;
    if ((*record)->fault == Record::Fault::too_long) {
      for (;;) {
        const auto piece = reader.rest_of_record();
        if (!piece) __builtin_trap();
        if (!*piece) break;
        raw += **piece;
      }
      continue;
    }
    if (split_csv((*record)->content, delimiter, fields)) continue;
    std::string again;
    for (const std::string& field : fields) {
      if (&field != &fields.front()) again += delimiter;
      again += '"';
      for (const char c : field) again.append(c == '"' ? 2 : 1, c);
      again += '"';
    }
    std::vector<std::string> second;
    if (split_csv(again, delimiter, second) || second != fields) __builtin_trap();
  }
  if (raw != text || reader.octets() != text.size()) __builtin_trap();
  return 0;
}
