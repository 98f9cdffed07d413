#include "card/card_journal.h"

#include <charconv>
#include <optional>

#include "card/personalisation_step.h"

namespace karta::card {
namespace {

constexpr std::string_view kJournalSchema = "karta.card-journal/1";

std::optional<KeyRole> role_of_name(std::string_view name) {
  for (const KeyRole role : {KeyRole::authentication, KeyRole::signature, KeyRole::qualified, KeyRole::encryption}) {
    if (to_string(role) == name) return role;
  }
  return std::nullopt;
}

Result<unsigned> small_number(std::string_view text) {
  unsigned value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size() || value > 1000) {
    return fail(ErrorKind::malformed, "card journal: \"" + std::string(text) + "\" is no step");
  }
  return value;
}

}  // namespace

std::string Journal::to_text() const {
  std::string text = std::string(kJournalSchema) + "\n";
  text += "serial " + to_hex(serial) + "\n";
  text += "profile " + profile + "\n";
  text += "phase " + std::to_string(phase) + "\n";
  text += "step " + std::to_string(next_step) + "\n";
  for (const auto& [role, key] : public_keys) text += "key " + std::string(to_string(role)) + " " + to_hex(key) + "\n";
  for (const auto& [file, point] : points) text += "point " + hex16(file) + " " + to_hex(point) + "\n";
  return text;
}

Result<Journal> Journal::from_text(std::string_view text) {
  Journal journal;
  bool first = true;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (first) {
      if (line != kJournalSchema) return fail(ErrorKind::malformed, "not a card journal");
      first = false;
      continue;
    }
    if (line.empty()) continue;
    const std::size_t blank = line.find(' ');
    const std::string_view word = line.substr(0, blank);
    const std::string_view rest = blank == std::string_view::npos ? "" : line.substr(blank + 1);
    if (word == "serial") {
      journal.serial = TRY(from_hex(rest));
    } else if (word == "profile") {
      journal.profile = std::string(rest);
    } else if (word == "phase") {
      journal.phase = TRY(small_number(rest));
    } else if (word == "step") {
      journal.next_step = TRY(small_number(rest));
    } else if (word == "key") {
      const auto role = role_of_name(rest.substr(0, rest.find(' ')));
      if (!role || rest.find(' ') == std::string_view::npos) {
        return fail(ErrorKind::malformed, "card journal: a key of no known role");
      }
      journal.public_keys[*role] = TRY(from_hex(rest.substr(rest.find(' ') + 1)));
    } else if (word == "point") {
      const Bytes file = TRY(from_hex(rest.substr(0, rest.find(' '))));
      if (file.size() != 2 || rest.find(' ') == std::string_view::npos) {
        return fail(ErrorKind::malformed, "card journal: a point of no file");
      }
      journal.points[load_be16(file)] = TRY(from_hex(rest.substr(rest.find(' ') + 1)));
    } else {
      return fail(ErrorKind::malformed, "card journal: unknown line \"" + std::string(word) + "\"");
    }
  }
  if (first || journal.phase < 1 || journal.phase > 3) return fail(ErrorKind::malformed, "not a card journal");
  return journal;
}

}  // namespace karta::card
