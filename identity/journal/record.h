// JournalRecord: one event of a terminal, chained to the one before it by SHA-256 (docs/journal.md).
//
//   hash = SHA-256(previous || number, 8 octets big-endian || time, 8 octets big-endian || kind || body)
//
// A kind is made of small letters, digits and hyphens and a body begins with a brace, so that the two cannot be cut
// differently. Records travel as JSON lines; an upload is a line that says whose they are and the records after it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace karta::identity {

inline constexpr std::size_t kMostJournalBody = 64 * 1024;  ///< octets
inline constexpr std::size_t kMostJournalKind = 32;
inline constexpr std::size_t kMostUploadRecords = 2'000;
inline constexpr std::size_t kMostUploadOctets = 4u << 20;

using JournalHash = std::array<std::uint8_t, 32>;

/// A place in a chain: everything up to and with `number` is told by `hash`.
struct JournalPosition {
  std::uint64_t number = 0;
  JournalHash hash{};
  friend bool operator==(const JournalPosition&, const JournalPosition&) = default;
};

struct JournalRecord {
  std::uint64_t number = 0;  ///< from 1, without gaps; it orders, the time does not: clocks are set wrong
  Time time{};
  std::string kind;  ///< "tap"
  std::string body;  ///< a JSON object, canonical. No names, no CAN, no health data
  JournalHash previous{};
  JournalHash hash{};

  JournalPosition position() const { return {number, hash}; }
  friend bool operator==(const JournalRecord&, const JournalRecord&) = default;
};

/// Kinds this room writes itself.
inline constexpr std::string_view kDamageKind = "damage", kClockKind = "clock";

/// What `hash` must be.
JournalHash hash_of(const JournalRecord& record);

/// Small letters, digits and hyphens, a letter first, at most kMostJournalKind.
bool is_journal_kind(std::string_view kind);

/// `json`, which must be an object, with keys sorted, no blanks, numbers whole. Fails with malformed, limit.
Result<std::string> canonical_journal_body(std::string_view json);

/// One line without its end: {"number":1,"time":"2026-11-22T08:00:00Z","kind":"start","body":{...},"previous":"...",
/// "hash":"..."}.
std::string to_json_line(const JournalRecord& record);
/// Strict: all keys, no other, a canonical body, a hash that fits. Fails with malformed, limit, invalid_signature (the
/// hash does not fit).
Result<JournalRecord> record_from_json_line(std::string_view line);

/// What a damage record says: `from` to `to` are missing, because the end of the journal was found damaged or cut
/// away. from = to + 1: nothing is missing. The chain goes on from the last hash known before.
struct JournalDamage {
  std::uint64_t from = 0, to = 0;
  std::string file;  ///< where the damaged journal lies, beside the new one; empty: nothing was left to keep
};
std::optional<JournalDamage> damage_of(const JournalRecord& record);
std::string damage_body(const JournalDamage& damage);

/// How a record stands to the end of a chain.
enum class JournalFit : std::uint8_t {
  next,      ///< follows
  mended,    ///< a damage record: numbers before it are missing, and it says so
  repeated,  ///< a number not above the end's: the caller compares it with what it has
  gap,       ///< numbers are missing
  fork,      ///< another history: the number follows, the hash does not
  broken,    ///< its own hash does not fit
};
std::string_view name_of(JournalFit fit);
JournalFit fit_of(const JournalPosition& end, const JournalRecord& record);

/// A batch on its way to the authority (karta.journal.upload/1).
struct JournalUpload {
  std::string terminal;
  std::vector<JournalRecord> records;  ///< ascending, each following the one before
};
std::string format_upload(std::string_view terminal, std::span<const JournalRecord> records);
/// Fails with malformed, limit, invalid_signature; the message names the line.
Result<JournalUpload> parse_upload(std::string_view text);

}  // namespace karta::identity
