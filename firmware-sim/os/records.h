// Record files (ISO/IEC 7816-4 section 7.2): linear with records of one size, linear with records of any size up to it,
// cyclic. Each change is one transaction: a record is there whole or not at all.
//
// The extent: 0 records there are, 1 place of the newest (cyclic), 4 the places, in linear variable files with an octet
// of length in front of each.
#pragma once

#include "firmware-sim/os/files.h"

namespace karta::os {

constexpr std::size_t kMaxRecordBytes = 255;
constexpr u8 kMaxRecords = 254;

class Records {
 public:
  Records(NvmJournal& journal, Files& files) : journal_(journal), files_(files) {}

  // Octets the extent of such a file needs.
  static std::size_t stored_bytes(const File& file);

  Sw count(const File& file, u8& out);
  // Record `number`, from 1; in a cyclic file 1 is the newest. `length`: octets of it in `out`, which has room for
  // record_bytes. 6A83 when there is none.
  Sw read(const File& file, u8 number, ByteSpan out, std::size_t& length);
  // 6700 for a length records of this file do not have.
  Sw update(File& file, u8 number, ByteView data, u16 stamp);
  // Behind the last; in a full cyclic file in place of the oldest, in a full linear one 6A84.
  Sw append(File& file, ByteView data, u16 stamp);

 private:
  struct Header {
    u8 count = 0;
    u8 newest = 0;
  };
  Sw load(const File& file, Header& out);
  // `place`: where the record lies, from 0.
  Sw store(File& file, const Header& header, u8 place, ByteView data, u16 stamp);

  NvmJournal& journal_;
  Files& files_;
};

}  // namespace karta::os
