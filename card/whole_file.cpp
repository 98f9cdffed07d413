#include "card/whole_file.h"

#include "base/tlv.h"
#include "card/iso7816.h"

namespace karta::card {
namespace {

// From `content` on, the file being the current one.
Result<Bytes> read_rest(Channel& channel, Bytes content, std::size_t most, std::string_view what) {
  const std::size_t step = channel.limits().response_data;
  for (;;) {
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
    if (part.data.size() < step || part.status == kSwEndOfFile) return content;
  }
}

}  // namespace

Result<Bytes> read_whole_file(Channel& channel, std::uint8_t short_id, std::size_t most, std::string_view what) {
  const std::size_t step = channel.limits().response_data;
  ResponseApdu first = TRY(channel.transmit(read_binary_short_id(short_id, step)));
  if (!first.status.ok() && first.status != kSwEndOfFile) {
    return fail(error_of(first.status, "read " + std::string(what)));
  }
  if (first.data.size() < step || first.status == kSwEndOfFile) return std::move(first.data);
  return read_rest(channel, std::move(first.data), most, what);
}

Result<Bytes> read_whole_file(Channel& channel, const Path& path, std::size_t most, std::string_view what) {
  TRY(channel.run(select_path_from_master(path.from_master(), SelectReturn::nothing), "select " + std::string(what)));
  return read_rest(channel, {}, most, what);
}

Result<ByteView> only_object(ByteView file) {
  TlvCursor cursor(file);
  const Tlv object = TRY(cursor.next());
  TRY(cursor.finish());
  return object.whole;
}

}  // namespace karta::card
