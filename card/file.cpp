#include "card/file.h"

#include <algorithm>

#include "base/tlv.h"
#include "card/iso7816.h"

namespace karta::card {

// Path -------------------------------------------------------------------------------------------

Result<Path> Path::from_octets(ByteView octets) {
  constexpr std::size_t kMaxDepth = 8;
  if (octets.size() % 2 != 0) return fail(ErrorKind::malformed, "a file path of an odd number of octets");
  Path path;
  Cursor cursor(octets);
  while (!cursor.empty()) {
    const std::uint16_t id = TRY(cursor.be16());
    if (id == kMasterFile && path.ids_.empty() && cursor.offset() == 2) continue;
    if (path.ids_.size() == kMaxDepth) return fail(ErrorKind::limit, "a file path deeper than eight");
    path.ids_.push_back(id);
  }
  return path;
}

Bytes Path::from_master() const {
  Bytes octets;
  for (const std::uint16_t id : ids_) append_be16(octets, id);
  return octets;
}

Bytes Path::absolute() const {
  Bytes octets;
  append_be16(octets, kMasterFile);
  append(octets, from_master());
  return octets;
}

Path Path::child(std::uint16_t id) const {
  Path path = *this;
  path.ids_.push_back(id);
  return path;
}

std::string Path::to_string() const {
  std::string text = "3F00";
  for (const std::uint16_t id : ids_) {
    Bytes octets;
    append_be16(octets, id);
    text += '/' + to_hex_upper(octets);
  }
  return text;
}

// FileControl ------------------------------------------------------------------------------------

namespace {

Result<std::size_t> number(const Tlv& object, std::size_t most_octets) {
  if (object.value.empty() || object.value.size() > most_octets) {
    return fail(ErrorKind::malformed,
                "file control parameters: a number of " + std::to_string(object.value.size()) + " octets");
  }
  std::size_t value = 0;
  for (const std::uint8_t octet : object.value) value = value << 8 | octet;
  return value;
}

// ISO 7816-4 §7.4.5 table 14: file descriptor byte. 11 and 22 are the MyEID profile's key files.
FileKind kind_of(std::uint8_t descriptor) {
  if ((descriptor & 0xBF) == 0x38) return FileKind::dedicated;
  if (descriptor == 0x11 || descriptor == 0x22) return FileKind::key;
  switch (descriptor & 0x87) {
    case 0x01:
      return FileKind::transparent;
    case 0x02:
    case 0x04:
    case 0x06:
      return FileKind::record;
    default:
      return FileKind::unknown;
  }
}

}  // namespace

Result<FileControl> FileControl::parse(ByteView answer) {
  TlvCursor outer(answer);
  const Tlv control = TRY(outer.next());
  if (control.tag != 0x62 && control.tag != 0x6F) {
    return fail(ErrorKind::malformed, "SELECT answered neither file control parameters (62) nor information (6F)");
  }
  TRY(outer.finish());
  FileControl file;
  std::optional<std::size_t> size, total_size;
  TlvCursor inner(control.value);
  while (!inner.done()) {
    const Tlv object = TRY(inner.next());
    switch (object.tag) {
      case 0x80:
        size = TRY(number(object, 4));
        break;
      case 0x81:
        total_size = TRY(number(object, 4));
        break;
      case 0x82:
        if (object.value.empty()) return fail(ErrorKind::malformed, "file control parameters: empty descriptor");
        file.descriptor = object.value[0];
        file.kind = kind_of(file.descriptor);
        break;
      case 0x83:
        if (object.value.size() != 2) return fail(ErrorKind::malformed, "file control parameters: wrong identifier");
        file.file_id = load_be16(object.value);
        break;
      case 0x84:
        if (object.value.size() > 16) return fail(ErrorKind::malformed, "file control parameters: name over 16 octets");
        file.name = to_bytes(object.value);
        break;
      case 0x85:
        file.properties = to_bytes(object.value);
        break;
      case 0x86:
        file.access = to_bytes(object.value);
        break;
      case 0x8A:
        if (object.value.size() != 1) return fail(ErrorKind::malformed, "file control parameters: wrong life cycle");
        file.life_cycle = object.value[0];
        break;
      default:
        break;  // ISO 7816-4 §7.4.3 knows more than we ask for
    }
  }
  file.size = size.value_or(total_size.value_or(0));
  return file;
}

// Reading and writing ----------------------------------------------------------------------------

Result<FileControl> select(Channel& channel, const Path& path) {
  const CommandApdu command = path.empty()
                                  ? select_master_file(SelectReturn::control_parameters)
                                  : select_path_from_master(path.from_master(), SelectReturn::control_parameters);
  const Bytes answer = TRY(channel.run(command, "select " + path.to_string()));
  return FileControl::parse(answer);
}

Result<FileControl> select(Channel& channel, ByteView aid) {
  const Bytes answer = TRY(channel.run(select_application(aid, SelectReturn::control_parameters),
                                       "select application " + to_hex_upper(aid)));
  return FileControl::parse(answer);
}

Result<Bytes> read_selected(Channel& channel, std::size_t size) {
  if (size > kMaxFileOctets) {
    return fail(ErrorKind::limit, "a file of " + std::to_string(size) + " octets is larger than any karta reads");
  }
  Bytes content;
  while (content.size() < size) {
    const std::size_t wanted = std::min(size - content.size(), channel.limits().response_data);
    const ResponseApdu part = TRY(channel.transmit(read_binary(content.size(), wanted)));
    if (!part.status.ok() && part.status != kSwEndOfFile) return fail(error_of(part.status, "read the file"));
    append(content, part.data);
    if (part.status == kSwEndOfFile || part.data.empty()) break;
  }
  if (content.size() < size) {
    return fail(ErrorKind::card_unresponsive, "the card gave " + std::to_string(content.size()) + " of the " +
                                                  std::to_string(size) + " octets it says the file has");
  }
  return content;
}

Result<Bytes> read_file(Channel& channel, const Path& path) {
  const FileControl file = TRY(select(channel, path));
  if (file.kind == FileKind::dedicated) {
    return fail(ErrorKind::malformed, path.to_string() + " is a directory, not a file");
  }
  return read_selected(channel, file.size);
}

Status update_selected(Channel& channel, ByteView content) {
  const std::size_t step = channel.limits().command_data;
  for (std::size_t offset = 0; offset < content.size(); offset += step) {
    const ByteView part = content.subspan(offset, std::min(step, content.size() - offset));
    TRY(channel.run(update_binary(offset, part), "write the file"));
  }
  return {};
}

Status update_file(Channel& channel, const Path& path, ByteView content) {
  TRY(channel.run(select_path_from_master(path.from_master(), SelectReturn::nothing), "select " + path.to_string()));
  return update_selected(channel, content);
}

}  // namespace karta::card
