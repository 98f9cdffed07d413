// RecordReader: cuts a stream of text into records, holding no more than one of them in memory.
//
// A record is a line (JSON lines) or a line of RFC 4180 CSV, whose quoted fields may hold line breaks. Nothing is lost:
// the raw records one after another are the input.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace karta::identity {

inline constexpr std::size_t kRecordMaxOctets = 64 * 1024;  ///< one record, embedded line breaks included
inline constexpr std::size_t kRecordMaxColumns = 64;
inline constexpr std::size_t kReadChunkOctets = 64 * 1024;  ///< read at a time

struct Record {
  enum class Fault : std::uint8_t {
    none,
    open_quote,  ///< a quoted field is never closed; the record is cut at its first line break, reading goes on there
    too_long,    ///< over kRecordMaxOctets; more of it comes by rest_of_record()
  };
  std::uint64_t line = 0;    ///< where it begins; physical lines count from 1
  std::string_view raw;      ///< with its line end; valid until the next call of the reader
  std::string_view content;  ///< without
  Fault fault = Fault::none;
};

class RecordReader {
 public:
  /// `in` must outlive the reader.
  explicit RecordReader(std::istream& in) : in_(&in) {}

  /// The first chunk without consuming it: what a format is recognised by. Empty: the input is.
  Result<std::string_view> look_ahead();
  /// Drops `octets` of what look_ahead() showed (a byte order mark). They count as no line.
  void skip(std::size_t octets);

  /// Sets what next() takes for a record: none, lines; otherwise CSV with this delimiter.
  void set_delimiter(std::optional<char> delimiter) { delimiter_ = delimiter; }
  /// The next record; none at the end. Error: io.
  Result<std::optional<Record>> next();
  /// After a record that was too long: its next piece; none once its line has ended.
  Result<std::optional<std::string_view>> rest_of_record();

  /// Octets consumed so far.
  std::uint64_t octets() const { return octets_; }
  /// Never more than a record, a chunk and a little.
  std::size_t buffer_octets() const { return buffer_.capacity(); }

 private:
  Status fill();
  Record take(std::size_t end, Record::Fault fault);
  void count(std::string_view raw);

  std::istream* in_;
  std::optional<char> delimiter_;
  std::string buffer_;
  std::size_t begin_ = 0;
  std::uint64_t line_ = 1;
  std::uint64_t octets_ = 0;
  /// Input up to here was searched for a closing quote in vain: no record that begins before it may hold a line break.
  /// Keeps the work linear in the input.
  std::uint64_t no_breaks_until_ = 0;
  bool end_of_input_ = false;
  bool in_long_record_ = false;
  bool after_cr_ = false;  ///< a piece ended in CR: an LF that follows belongs to the same line end
};

/// Number of line ends (LF, CR or CRLF) in `text`.
std::uint64_t count_line_ends(std::string_view text);

/// Splits the content of one CSV record. Returns what is wrong with it, or nothing; `fields` keeps its strings' memory.
std::optional<std::string> split_csv(std::string_view content, char delimiter, std::vector<std::string>& fields);

}  // namespace karta::identity
