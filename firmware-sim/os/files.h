// The file system (ISO/IEC 7816-4 section 7.2): a table of files under the MF, each with an extent of whole logical
// pages. Contents are written through the journal; a page never written reads as zeros and takes no room in memory,
// though its room is kept.
#pragma once

#include "firmware-sim/os/access.h"
#include "firmware-sim/os/bytes.h"
#include "firmware-sim/os/nvm_journal.h"
#include "firmware-sim/os/status_word.h"

namespace karta::os {

// Logical pages by purpose.
constexpr u16 kRootPage = 0;
constexpr u16 kSecretPages = 1;  // 1..2
constexpr u16 kFileTablePages = 8;
constexpr u16 kFileTablePageCount = 16;
constexpr u16 kTrustAnchorPages = 25;  // 25..30
constexpr u16 kCardDatePage = 31;
constexpr u16 kFirstExtentPage = 32;

// File descriptor byte, tag 82 (7816-4 table 12); the keys' are MyEID's.
enum class FileKind : u8 {
  none = 0x00,
  transparent = 0x01,
  linear_fixed = 0x02,
  linear_variable = 0x04,
  cyclic = 0x06,
  rsa_key = 0x11,
  ec_key = 0x22,
  aes_key = 0x29,
  ledger = 0x32,
  df = 0x38,
  session_object = 0x41,  // a secret a terminal means to keep for the session; exists in RAM only
};

// Life cycle status, tag 8A (7816-4 table 14). A file in `creation` follows the card: open until ACTIVATE.
enum class LifeCycle : u8 { creation = 0x01, activated = 0x05, deactivated = 0x04, terminated = 0x0C };

constexpr u16 kMasterFileId = 0x3F00;
constexpr u16 kEsignFileId = 0x5015;
constexpr u16 kIdentityFileId = 0x5E1D;
constexpr u8 kMasterFileSlot = 0;
constexpr u8 kNoSlot = 0xFF;
constexpr u8 kSessionSlot = 0xFE;
constexpr std::size_t kMaxNameBytes = 16;

struct File {
  u8 slot = kNoSlot;
  FileKind kind = FileKind::none;
  u16 id = 0;
  u8 parent = kNoSlot;
  LifeCycle life = LifeCycle::creation;
  u16 size = 0;  // octets; for keys the key's bits; of a ledger the product's octets
  u16 first_page = 0;
  u8 pages = 0;    // extent
  u8 written = 0;  // pages from the beginning that exist in memory
  AccessRules rules;
  ChannelRules channel;
  // Tag 85: consent nibble; key usage; domain parameter id of an EC key, or the one kind a master key derives.
  u8 properties[3] = {0, 0, 0};
  u8 short_id = 0;  // 1..30; 0 none
  u8 name_bytes = 0;
  u8 name[kMaxNameBytes] = {};
  u8 record_bytes = 0;  // of a record file: octets of a record, at most
  u8 records = 0;       // and how many it has room for

  bool is_df() const { return kind == FileKind::df; }
  bool is_key() const { return kind == FileKind::rsa_key || kind == FileKind::ec_key; }
  bool holds_key() const { return is_key() || kind == FileKind::aes_key; }
  bool holds_records() const {
    return kind == FileKind::linear_fixed || kind == FileKind::linear_variable || kind == FileKind::cyclic;
  }
  bool has_short_id() const { return kind == FileKind::transparent || kind == FileKind::ledger || holds_records(); }
  ByteView aid() const { return {name, name_bytes}; }
};

class Files {
 public:
  static constexpr std::size_t kRecordBytes = 40;
  static constexpr std::size_t kPerPage = kPayloadBytes / kRecordBytes;
  static constexpr u8 kSlots = static_cast<u8>(kPerPage * kFileTablePageCount);  // 96

  explicit Files(NvmJournal& journal) : journal_(journal) {}

  // After the journal's recovery: checks that the table is whole and erases pages no file owns. 6581 otherwise.
  Sw recover();
  // Writes an empty table, inside a transaction that has room for 16 pages.
  Sw format();

  // Unused slots load as FileKind::none. 6581 when the record's page is corrupt.
  Sw load(u8 slot, File& out);
  // 6A82 when there is none.
  Sw find_child(u8 parent, u16 id, File& out);
  Sw find_short_id(u8 parent, u8 short_id, File& out);
  // The first file of this kind.
  Sw find_kind(u8 parent, FileKind kind, File& out);
  // A DF by name, or by the beginning of its name; the search begins behind `after` (kNoSlot: at the beginning).
  Sw find_name(ByteView name, u8 after, File& out);
  // The DF of exactly this name.
  Sw find_full_name(ByteView name, File& out);
  // True when `slot` is `ancestor` or lies below it.
  bool is_within(u8 slot, u8 ancestor);

  // Inside a transaction: takes a slot and an extent of `pages`, 6A84 when there is none. Sets slot and first_page.
  Sw create(File& file, std::size_t pages);
  // Inside a transaction with room for 16 pages: removes the file and all below it. The contents go with collect().
  Sw remove(u8 slot);
  // Inside a transaction: writes the record.
  Sw store(const File& file);
  // Outside a transaction: erases pages no file owns.
  Sw collect();

  // The one session object. Terminals make it before a key agreement and delete it afterwards; nothing durable changes.
  // A second one takes the place of the first, since some terminals never delete theirs.
  void create_session_object(File& file);
  void drop_session_object() { session_ = {}; }

  // Content octets at `offset`; the range lies within the file's extent.
  Sw read(const File& file, std::size_t offset, ByteSpan out);
  // Inside a transaction reserved with pages_touched(): changes content octets and, where needed, the record.
  Sw write(File& file, std::size_t offset, ByteView data);
  static std::size_t pages_touched(std::size_t offset, std::size_t octets) {
    return (offset + octets + kPayloadBytes - 1) / kPayloadBytes - offset / kPayloadBytes + 1;
  }
  // Outside a transaction: gives all pages before `offset` their zeros in memory, so that the next write may begin
  // there. Changes nothing anybody can read.
  Sw extend(File& file, std::size_t offset);

 private:
  using PageSet = u8[kLogicalPages / 8];
  Sw owned(PageSet& set, std::size_t& pages);

  NvmJournal& journal_;
  u8 end_ = 0;    // one behind the highest slot in use
  File session_;  // FileKind::none: there is none
};

}  // namespace karta::os
