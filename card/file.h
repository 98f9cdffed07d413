// Files of a card: select, read whole, update (ISO 7816-4 §7, §11.2, §11.3).
#pragma once

#include <initializer_list>
#include <optional>
#include <string>

#include "card/channel.h"

namespace karta::card {

inline constexpr std::uint16_t kMasterFile = 0x3F00, kEfDir = 0x2F00, kEfAtr = 0x2F01;
/// Nothing on a card we read is larger; a longer size in an FCP is refused.
inline constexpr std::size_t kMaxFileOctets = 32'768;

/// A path from the MF, which itself is not in it: {5015, 4401}. At most eight deep.
class Path {
 public:
  Path() = default;
  Path(std::initializer_list<std::uint16_t> ids) : ids_(ids) {}
  /// Octets of a PKCS #15 path, with or without 3F00 at its head. Fails on odd length and over eight ids.
  static Result<Path> from_octets(ByteView octets);

  const std::vector<std::uint16_t>& ids() const { return ids_; }
  bool empty() const { return ids_.empty(); }
  std::uint16_t file_id() const { return ids_.empty() ? kMasterFile : ids_.back(); }
  /// With 3F00 at its head, as PKCS #15 writes it.
  Bytes absolute() const;
  /// Without, as SELECT P1 = 08 wants it.
  Bytes from_master() const;
  Path child(std::uint16_t id) const;
  /// "3F00/5015/4401"
  std::string to_string() const;
  friend bool operator==(const Path&, const Path&) = default;

 private:
  std::vector<std::uint16_t> ids_;
};

enum class FileKind : std::uint8_t { dedicated, transparent, record, key, unknown };

/// File control parameters (62) or information (6F), ISO 7816-4 §7.4.
struct FileControl {
  FileKind kind = FileKind::unknown;
  std::uint8_t descriptor = 0;  ///< data object 82, first octet
  std::uint16_t file_id = 0;    ///< 83; 0: not told
  std::size_t size = 0;         ///< 80, else 81: octets of content; bits for key files
  Bytes name;                   ///< 84: DF name (AID)
  Bytes access;                 ///< 86, as it is
  Bytes properties;             ///< 85, as it is
  std::optional<std::uint8_t>
      life_cycle;  ///< 8A: 01 creation, 03 initialisation, 05 and 07 operational, 0C.. terminated

  /// Strict on structure, lenient on unknown data objects.
  static Result<FileControl> parse(ByteView answer);
  bool operational() const { return life_cycle && (*life_cycle & 0xFD) == 0x05; }
};

Result<FileControl> select(Channel& channel, const Path& path);
/// The same by AID.
Result<FileControl> select(Channel& channel, ByteView aid);

/// The content of the EF at `path`: SELECT, then as few READ BINARY as the channel's limits allow; none that could
/// only say "end of file".
Result<Bytes> read_file(Channel& channel, const Path& path);
/// The rest of the work when the EF is selected; `size` as its control parameters say.
Result<Bytes> read_selected(Channel& channel, std::size_t size);
/// UPDATE BINARY from offset 0 into the current EF: one command where the card takes extended lengths, else one for
/// every 255 octets.
Status update_selected(Channel& channel, ByteView content);
Status update_file(Channel& channel, const Path& path, ByteView content);

}  // namespace karta::card
