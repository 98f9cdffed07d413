#include "service/http_message.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace karta::service {
namespace {

struct ReasonRow {
  int status;
  std::string_view phrase;
};
constexpr auto kReasons = std::to_array<ReasonRow>({
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
});

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

std::string_view HttpRequest::field(std::string_view name) const {
  for (const HttpField& one : fields) {
    if (same_name(one.name, name)) return one.value;
  }
  return {};
}

std::size_t HttpRequest::count(std::string_view name) const {
  std::size_t out = 0;
  for (const HttpField& one : fields) out += same_name(one.name, name) ? 1 : 0;
  return out;
}

std::string_view HttpRequest::media_type() const {
  std::string_view type = field("Content-Type");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  return type;
}

HttpResponse HttpResponse::text(int status, std::string_view line) {
  HttpResponse out;
  out.status = status;
  out.media_type = "text/plain; charset=utf-8";
  out.body = to_bytes(as_bytes(line));
  out.body.push_back('\n');
  return out;
}

std::string_view reason_phrase(int status) {
  for (const ReasonRow& row : kReasons) {
    if (row.status == status) return row.phrase;
  }
  return {};
}

Result<std::string> decode_percent(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      const std::size_t end = std::min(text.find('%', i), text.size());
      out += text.substr(i, end - i);
      i = end - 1;
      continue;
    }
    const int high = i + 3 <= text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 3 <= text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) return fail(ErrorKind::malformed, "a broken percent escape");
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return out;
}

std::string http_date(std::int64_t unix_seconds) {
  constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const std::chrono::sys_seconds at{std::chrono::seconds(unix_seconds)};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(at - day);
  const auto two = [](auto value) {
    const auto number = static_cast<unsigned>(value);
    return std::string{static_cast<char>('0' + number / 10 % 10), static_cast<char>('0' + number % 10)};
  };
  return std::string(kDays.substr(std::chrono::weekday(day).c_encoding() * 3, 3)) + ", " +
         two(static_cast<unsigned>(date.day())) + " " +
         std::string(kMonths.substr((static_cast<unsigned>(date.month()) - 1) * 3, 3)) + " " +
         std::to_string(static_cast<int>(date.year())) + " " + two(time.hours().count()) + ":" +
         two(time.minutes().count()) + ":" + two(time.seconds().count()) + " GMT";
}

}  // namespace karta::service
