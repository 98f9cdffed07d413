// JournalReserve: PATH.reserve, room for the records that complete what was begun, once the disk is full.
#pragma once

#include <filesystem>

namespace karta::identity::detail {

class JournalReserve {
 public:
  /// Of the journal `path`; nothing is set aside yet.
  JournalReserve(std::filesystem::path path, std::size_t octets) : path_(std::move(path)), octets_(octets) {}

  /// Sets it aside where it is not yet. False: there is no room for it.
  bool keep();
  /// Gives its room to whoever writes next.
  void give_up();
  bool kept() const { return kept_; }
  /// Whether a little more than the reserve could be written.
  bool room_beyond() const;

 private:
  const std::filesystem::path path_;
  const std::size_t octets_;
  bool kept_ = false;
};

}  // namespace karta::identity::detail
