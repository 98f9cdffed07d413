#include "card/whole_file.h"

#include "base/tlv.h"
#include "card/iso7816.h"

namespace karta::card {
namespace {

// True if the data object at the file's head ends within `content`.
bool holds_object(ByteView content) {
  TlvCursor cursor(content);
  return cursor.next().has_value();
}

// Reads on from what is there, the file being the current one. A card may give less than asked for before the end (its
// buffer under secure messaging), so a short answer ends the file only where its object is complete.
Result<Bytes> read_rest(Channel& channel, Bytes content, bool at_end, std::size_t most, std::string_view what) {
  const std::size_t step = channel.limits().response_data;
  while (!at_end) {
    if (content.size() > most) {
      return fail(ErrorKind::limit,
                  std::string(what) + " is longer than the " + std::to_string(most) + " octets it may have");
    }
    const ResponseApdu part = TRY(channel.transmit(read_binary(content.size(), step)));
    if (part.status == kSwWrongOffset) return content;
    if (!part.status.ok() && part.status != kSwEndOfFile) {
      return fail(error_of(part.status, "read " + std::string(what)));
    }
    append(content, part.data);
    at_end = part.status == kSwEndOfFile || part.data.empty() || (part.data.size() < step && holds_object(content));
  }
  return content;
}

}  // namespace

Result<Bytes> read_whole_file(Channel& channel, std::uint8_t short_id, std::size_t most, std::string_view what) {
  const std::size_t step = channel.limits().response_data;
  ResponseApdu first = TRY(channel.transmit(read_binary_short_id(short_id, step)));
  if (!first.status.ok() && first.status != kSwEndOfFile) {
    return fail(error_of(first.status, "read " + std::string(what)));
  }
  const bool at_end =
      first.status == kSwEndOfFile || first.data.empty() || (first.data.size() < step && holds_object(first.data));
  return read_rest(channel, std::move(first.data), at_end, most, what);
}

Result<Bytes> read_whole_file(Channel& channel, const Path& path, std::size_t most, std::string_view what) {
  TRY(channel.run(select_path_from_master(path.from_master(), SelectReturn::nothing), "select " + std::string(what)));
  return read_rest(channel, {}, false, most, what);
}

Result<ByteView> only_object(ByteView file) {
  TlvCursor cursor(file);
  const Tlv object = TRY(cursor.next());
  TRY(cursor.finish());
  return object.whole;
}

}  // namespace karta::card
