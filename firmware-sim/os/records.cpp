#include "firmware-sim/os/records.h"

namespace karta::os {
namespace {

constexpr std::size_t kPlacesOffset = 4;
constexpr std::size_t kHeaderBytes = 2;

bool variable(const File& file) { return file.kind == FileKind::linear_variable; }
std::size_t stride(const File& file) { return std::size_t{file.record_bytes} + (variable(file) ? 1 : 0); }
std::size_t offset_of(const File& file, u8 place) { return kPlacesOffset + place * stride(file); }

bool fits(const File& file, ByteView data) {
  return variable(file) ? !data.empty() && data.size() <= file.record_bytes : data.size() == file.record_bytes;
}

// Where record `number` of `count` lies.
u8 place_of(const File& file, u8 newest, u8 number) {
  const u8 back = static_cast<u8>(number - 1);
  if (file.kind != FileKind::cyclic) return back;
  return static_cast<u8>((newest + file.records - back) % file.records);
}

}  // namespace

std::size_t Records::stored_bytes(const File& file) { return offset_of(file, file.records); }

Sw Records::load(const File& file, Header& out) {
  u8 stored[kHeaderBytes];
  KARTA_OS_TRY(files_.read(file, 0, stored));
  out = {.count = stored[0], .newest = stored[1]};
  return out.count <= file.records && (out.newest < file.records) ? Sw::ok : Sw::memory_failure;
}

Sw Records::count(const File& file, u8& out) {
  Header header;
  KARTA_OS_TRY(load(file, header));
  out = header.count;
  return Sw::ok;
}

Sw Records::read(const File& file, u8 number, ByteSpan out, std::size_t& length) {
  Header header;
  KARTA_OS_TRY(load(file, header));
  if (number == 0 || number > header.count) return Sw::record_not_found;
  std::size_t at = offset_of(file, place_of(file, header.newest, number));
  length = file.record_bytes;
  if (variable(file)) {
    u8 octets[1];
    KARTA_OS_TRY(files_.read(file, at++, octets));
    if (octets[0] > file.record_bytes) return Sw::memory_failure;
    length = octets[0];
  }
  return files_.read(file, at, out.first(length));
}

Sw Records::store(File& file, const Header& header, u8 place, ByteView data, u16 stamp) {
  const std::size_t at = offset_of(file, place);
  // The header's page may be another one than the record's.
  Transaction transaction(journal_, 1 + Files::pages_touched(at, stride(file)));
  KARTA_OS_TRY(transaction.status());
  journal_.set_stamp(stamp);
  const u8 stored[kHeaderBytes] = {header.count, header.newest};
  KARTA_OS_TRY(files_.write(file, 0, stored));
  if (variable(file)) {
    const u8 octets[1] = {static_cast<u8>(data.size())};
    KARTA_OS_TRY(files_.write(file, at, octets));
    KARTA_OS_TRY(files_.write(file, at + 1, data));
  } else {
    KARTA_OS_TRY(files_.write(file, at, data));
  }
  return transaction.commit();
}

Sw Records::update(File& file, u8 number, ByteView data, u16 stamp) {
  Header header;
  KARTA_OS_TRY(load(file, header));
  if (number == 0 || number > header.count) return Sw::record_not_found;
  if (!fits(file, data)) return Sw::wrong_length;
  return store(file, header, place_of(file, header.newest, number), data, stamp);
}

Sw Records::append(File& file, ByteView data, u16 stamp) {
  Header header;
  KARTA_OS_TRY(load(file, header));
  if (!fits(file, data)) return Sw::wrong_length;
  if (file.kind == FileKind::cyclic) {
    header.newest = header.count == 0 ? u8{0} : static_cast<u8>((header.newest + 1) % file.records);
    if (header.count < file.records) ++header.count;
    return store(file, header, header.newest, data, stamp);
  }
  if (header.count == file.records) return Sw::not_enough_memory;
  const u8 place = header.count++;
  return store(file, header, place, data, stamp);
}

}  // namespace karta::os
