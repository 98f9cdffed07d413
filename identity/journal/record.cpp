#include "identity/journal/record.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "crypto/digest.h"

namespace karta::identity {
namespace {

using nlohmann::json;

constexpr int kMostDepth = 8;
constexpr std::string_view kUploadSchema = "karta.journal.upload/1";
constexpr std::uint64_t kMostNumber = std::uint64_t{1} << 53;  // what every reader of JSON holds exactly
// A record's line beside its body.
constexpr std::size_t kMostLine = kMostJournalBody + 512;

tl::unexpected<Error> broken(std::string_view what) {
  return fail(ErrorKind::malformed, "journal record: " + std::string(what));
}

/// Depth is counted before the parser runs: what it builds is taken apart by recursion.
bool shallow(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMostDepth) return false;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return true;
}

/// No fractions: two programs would print them differently.
bool whole_numbers(const json& value) {
  if (value.is_number_float()) return false;
  if (!value.is_structured()) return true;
  return std::all_of(value.begin(), value.end(), whole_numbers);
}

Result<json> parse_object(std::string_view text, std::size_t most) {
  if (text.size() > most) return fail(ErrorKind::limit, "journal record: longer than " + std::to_string(most));
  if (!shallow(text)) return fail(ErrorKind::limit, "journal record: too deep");
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded() || !value.is_object()) return broken("not a JSON object");
  if (!whole_numbers(value)) return broken("a number that is not whole");
  return value;
}

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::strict); }

bool hash_from_hex(const json& value, JournalHash& out) {
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  const auto octets = from_hex(text);
  if (!octets || octets->size() != out.size() || to_hex(*octets) != text) return false;
  std::copy(octets->begin(), octets->end(), out.begin());
  return true;
}

/// What every member of a record's line is, in the order it is written in.
std::string line_of(const JournalRecord& record) {
  std::string line;
  line.reserve(record.body.size() + 320);
  line += "{\"number\":" + std::to_string(record.number);
  line += ",\"time\":\"" + format_time(record.time);
  line += "\",\"kind\":\"" + record.kind;
  line += "\",\"body\":" + record.body;
  line += ",\"previous\":\"" + to_hex(record.previous);
  line += "\",\"hash\":\"" + to_hex(record.hash) + "\"}";
  return line;
}

std::uint64_t unsigned_member(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

}  // namespace

JournalHash hash_of(const JournalRecord& record) {
  std::array<std::uint8_t, 16> fixed;
  const auto seconds = static_cast<std::uint64_t>(record.time.time_since_epoch().count());
  for (int i = 0; i < 8; ++i) {
    fixed[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(record.number >> (56 - 8 * i));
    fixed[static_cast<std::size_t>(8 + i)] = static_cast<std::uint8_t>(seconds >> (56 - 8 * i));
  }
  crypto::Hasher hasher(crypto::Hash::sha256);
  hasher.update(record.previous);
  hasher.update(fixed);
  hasher.update(as_bytes(record.kind));
  hasher.update(as_bytes(record.body));
  const Bytes digest = hasher.finish();
  JournalHash hash;
  std::copy(digest.begin(), digest.end(), hash.begin());
  return hash;
}

bool is_journal_kind(std::string_view kind) {
  if (kind.empty() || kind.size() > kMostJournalKind || kind.front() < 'a' || kind.front() > 'z') return false;
  return std::all_of(kind.begin(), kind.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

Result<std::string> canonical_journal_body(std::string_view text) {
  const json value = TRY(parse_object(text, kMostJournalBody));
  std::string body = dump(value);
  // Escapes may be shorter in the source than as they are written.
  if (body.size() > kMostJournalBody) return fail(ErrorKind::limit, "journal record: the body is too long");
  return body;
}

std::string to_json_line(const JournalRecord& record) { return line_of(record); }

Result<JournalRecord> record_from_json_line(std::string_view line) {
  const json value = TRY(parse_object(line, kMostLine));
  JournalRecord record;
  record.number = unsigned_member(value, "number");
  if (record.number == 0 || record.number > kMostNumber) return broken("no number");
  const auto time = value.find("time"), kind = value.find("kind"), body = value.find("body");
  if (time == value.end() || !time->is_string()) return broken("no time");
  record.time = TRY(parse_time(time->get_ref<const std::string&>()));
  if (kind == value.end() || !kind->is_string() || !is_journal_kind(kind->get_ref<const std::string&>()))
    return broken("no kind");
  record.kind = kind->get<std::string>();
  if (body == value.end() || !body->is_object()) return broken("no body");
  record.body = dump(*body);
  if (record.body.size() > kMostJournalBody) return fail(ErrorKind::limit, "journal record: the body is too long");
  const auto previous = value.find("previous"), hash = value.find("hash");
  if (previous == value.end() || !hash_from_hex(*previous, record.previous)) return broken("no previous hash");
  if (hash == value.end() || !hash_from_hex(*hash, record.hash)) return broken("no hash");
  // Other keys, keys twice, another order, blanks: a line has one form.
  if (line_of(record) != line) return broken("not in canonical form");
  if (hash_of(record) != record.hash) {
    return fail(ErrorKind::invalid_signature, "journal record " + std::to_string(record.number) + ": its hash differs");
  }
  return record;
}

std::optional<JournalDamage> damage_of(const JournalRecord& record) {
  if (record.kind != kDamageKind) return std::nullopt;
  const json body = json::parse(record.body, nullptr, false);
  if (!body.is_object()) return std::nullopt;
  JournalDamage damage{unsigned_member(body, "from"), unsigned_member(body, "to"), {}};
  const auto file = body.find("file");
  if (file != body.end() && file->is_string()) damage.file = file->get<std::string>();
  if (damage.from == 0 || damage.from > record.number || damage.to + 1 != record.number) return std::nullopt;
  return damage;
}

std::string damage_body(const JournalDamage& damage) {
  json body = {{"from", damage.from}, {"to", damage.to}};
  if (!damage.file.empty()) body["file"] = damage.file;
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string_view name_of(JournalFit fit) {
  switch (fit) {
    case JournalFit::next:
      return "next";
    case JournalFit::mended:
      return "mended";
    case JournalFit::repeated:
      return "repeated";
    case JournalFit::gap:
      return "gap";
    case JournalFit::fork:
      return "fork";
    case JournalFit::broken:
      return "broken";
  }
  return "";
}

JournalFit fit_of(const JournalPosition& end, const JournalRecord& record) {
  if (hash_of(record) != record.hash) return JournalFit::broken;
  if (record.number <= end.number) return JournalFit::repeated;
  if (record.number == end.number + 1) return record.previous == end.hash ? JournalFit::next : JournalFit::fork;
  const auto damage = damage_of(record);
  return damage && damage->from <= end.number + 1 ? JournalFit::mended : JournalFit::gap;
}

std::string format_upload(std::string_view terminal, std::span<const JournalRecord> records) {
  std::string text =
      json{{"schema", kUploadSchema}, {"terminal", terminal}}.dump(-1, ' ', false, json::error_handler_t::replace) +
      "\n";
  for (const JournalRecord& record : records) text += line_of(record) + "\n";
  return text;
}

Result<JournalUpload> parse_upload(std::string_view text) {
  if (text.size() > kMostUploadOctets) return fail(ErrorKind::limit, "journal upload: too long");
  JournalUpload upload;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return fail(ErrorKind::malformed, "journal upload: the last line has no end");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const auto at_line = [&](Error error) {
      error.message = "journal upload, line " + std::to_string(number) + ": " + error.message;
      return fail(std::move(error));
    };
    if (number == 1) {
      const auto head = parse_object(line, 4096);
      if (!head) return at_line(head.error());
      const auto schema = head->find("schema"), terminal = head->find("terminal");
      if (schema == head->end() || *schema != kUploadSchema || terminal == head->end() || !terminal->is_string() ||
          head->size() != 2) {
        return at_line({ErrorKind::malformed, "not the head of an upload", {}});
      }
      upload.terminal = terminal->get<std::string>();
      continue;
    }
    if (upload.records.size() == kMostUploadRecords) return at_line({ErrorKind::limit, "too many records", {}});
    auto record = record_from_json_line(line);
    if (!record) return at_line(std::move(record).error());
    if (!upload.records.empty()) {
      const JournalFit fit = fit_of(upload.records.back().position(), *record);
      if (fit != JournalFit::next && fit != JournalFit::mended) {
        return at_line({ErrorKind::malformed, "does not follow the line before: " + std::string(name_of(fit)), {}});
      }
    }
    upload.records.push_back(std::move(*record));
  }
  if (number == 0) return fail(ErrorKind::malformed, "journal upload: empty");
  return upload;
}

}  // namespace karta::identity
