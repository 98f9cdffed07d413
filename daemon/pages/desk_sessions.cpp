#include "daemon/pages/desk_sessions.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "base/file.h"
#include "crypto/digest.h"

namespace karta::daemon {
namespace {

constexpr std::size_t kSecretOctets = 32;
/// How far the clock may go back before sessions from the future end.
constexpr std::chrono::hours kBackwards{1};

constexpr std::size_t kMostFileOctets = 64 * 1024;

Bytes hash_of(std::string_view text) { return crypto::digest(crypto::Hash::sha256, as_bytes(text)); }

}  // namespace

Result<std::unique_ptr<DeskSessions>> DeskSessions::create(DeskSessionOptions options, const Clock& clock,
                                                           RandomSource& random) {
  std::unique_ptr<DeskSessions> out(new DeskSessions(std::move(options), clock, random));
  out->load();
  TRY(out->new_link());
  return out;
}

Status DeskSessions::change(DeskSessionOptions options) {
  const std::lock_guard lock(mutex_);
  const bool same_link = options.link_file == options_.link_file && options.link_group == options_.link_group &&
                         options.address == options_.address;
  std::swap(options_, options);
  if (same_link) return {};
  if (Status written = new_link(); !written) {
    std::swap(options_, options);
    return written;
  }
  std::error_code ignored;  // a link that is good no longer harms nobody
  if (options.link_file != options_.link_file) std::filesystem::remove(options.link_file, ignored);
  return {};
}

// A line a session: hash of the cookie, of the key, first and last second. A line that is none is nobody's session.
void DeskSessions::load() {
  const auto content = read_file(options_.file, kMostFileOctets);
  if (!content) return;
  std::istringstream lines{std::string(as_text(*content))};
  std::string cookie, key;
  std::int64_t from = 0, until = 0;
  while (lines >> cookie >> key >> from >> until) {
    auto cookie_hash = from_hex(cookie), key_hash = from_hex(key);
    if (!cookie_hash || !key_hash || sessions_.size() >= kMostSessions) continue;
    sessions_[std::move(*cookie_hash)] = {.key_hash = std::move(*key_hash),
                                          .from = Time(std::chrono::seconds(from)),
                                          .until = Time(std::chrono::seconds(until))};
  }
}

Status DeskSessions::save() const {
  std::string lines;
  for (const auto& [cookie, kept] : sessions_) {
    lines += to_hex(cookie) + ' ' + to_hex(kept.key_hash) + ' ' + std::to_string(kept.from.time_since_epoch().count()) +
             ' ' + std::to_string(kept.until.time_since_epoch().count()) + '\n';
  }
  return replace_file(options_.file, as_bytes(lines), 0600);
}

Status DeskSessions::new_link() {
  const std::string code = to_hex(random_.bytes(kSecretOctets));
  const std::string line = options_.address + "/login#" + code + "\n";
  TRY(replace_file(options_.link_file, as_bytes(line), 0600));
  if (options_.link_group) {
    const char* const path = options_.link_file.c_str();
    if (::chown(path, static_cast<uid_t>(-1), *options_.link_group) != 0 || ::chmod(path, 0640) != 0) {
      return fail(ErrorKind::not_permitted, "\"" + options_.link_file.string() + "\" cannot be given to its group",
                  "add the daemon's user to the group of \"link_group\"");
    }
  }
  code_hash_ = hash_of(code);
  return {};
}

Result<DeskSessions::Session> DeskSessions::log_in(std::string_view code) {
  const std::lock_guard lock(mutex_);
  if (code_hash_.empty() || !equal(hash_of(code), code_hash_)) {
    return fail(ErrorKind::not_permitted, "the link is not good, or was used already",
                "open the link that the daemon keeps for this desk: a new one is there after each log-in");
  }
  // Whatever becomes of the file, this code was used.
  code_hash_.clear();
  TRY(new_link());
  const Time now = clock_.now();
  std::erase_if(sessions_, [&](const auto& one) { return one.second.until <= now; });
  if (sessions_.size() >= kMostSessions) {
    sessions_.erase(std::min_element(sessions_.begin(), sessions_.end(),
                                     [](const auto& a, const auto& b) { return a.second.from < b.second.from; }));
  }
  Session session{.cookie = to_hex(random_.bytes(kSecretOctets)), .key = to_hex(random_.bytes(kSecretOctets))};
  sessions_[hash_of(session.cookie)] = {.key_hash = hash_of(session.key), .from = now, .until = now + options_.life};
  TRY(save());
  return session;
}

bool DeskSessions::in_time(const Kept& kept) const {
  const Time now = clock_.now();
  return kept.from <= now + kBackwards && now < kept.until;
}

std::optional<Bytes> DeskSessions::find(std::string_view cookie, std::string_view key) const {
  if (cookie.empty() || key.empty()) return std::nullopt;
  const std::lock_guard lock(mutex_);
  Bytes name = hash_of(cookie);
  const auto found = sessions_.find(name);
  if (found == sessions_.end() || !in_time(found->second)) return std::nullopt;
  if (!equal(hash_of(key), found->second.key_hash)) return std::nullopt;
  return name;
}

bool DeskSessions::lives(const Bytes& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(name);
  return found != sessions_.end() && in_time(found->second);
}

Status DeskSessions::log_out(std::string_view cookie, std::string_view key) {
  if (!valid(cookie, key)) return {};
  const std::lock_guard lock(mutex_);
  sessions_.erase(hash_of(cookie));
  return save();
}

}  // namespace karta::daemon
