#include "daemon/gatekeeper.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>

#include "daemon/events.h"
#include "identity/journal/journal.h"
#include "service/log.h"

namespace karta::daemon {
namespace {

constexpr std::size_t kMostQueued = 200, kMostWords = 80;

std::string cut(std::string_view text) { return std::string(text.substr(0, kMostWords)); }

service::JsonProblem problem(int status, std::string name, std::string detail, std::string hint) {
  service::JsonProblem out;
  out.status = status;
  out.name = std::move(name);
  out.detail = std::move(detail);
  out.hint = std::move(hint);
  return out;
}

Json json_of(const RefusalLog::Refusal& refusal) {
  Json out{{"why", refusal.why}, {"path", cut(refusal.path)}, {"peer", refusal.peer}};
  if (refusal.credentials) {
    out["uid"] = refusal.credentials->uid;
    out["gid"] = refusal.credentials->gid;
    out["pid"] = refusal.credentials->pid;
  }
  if (!refusal.host.empty()) out["host"] = cut(refusal.host);
  if (!refusal.origin.empty()) out["origin"] = cut(refusal.origin);
  if (!refusal.caller.empty()) out["caller"] = refusal.caller;
  return out;
}

}  // namespace

bool Caller::may(std::string_view verb) const {
  return std::any_of(verbs.begin(), verbs.end(), [&](const std::string& one) { return one == verb || one == "*"; });
}

std::vector<std::uint16_t> loopback_ports(const std::vector<std::string>& addresses) {
  std::vector<std::uint16_t> ports;
  for (const std::string& one : addresses) {
    const std::size_t colon = one.rfind(':');
    std::uint16_t port = 0;
    if (colon == std::string::npos || one.starts_with("unix")) continue;
    std::from_chars(one.data() + colon + 1, one.data() + one.size(), port);
    if (port != 0) ports.push_back(port);
  }
  return ports;
}

Result<Gatekeeper> Gatekeeper::make(const DaemonConfig& config, std::vector<std::uint16_t> ports, PageServer* pages) {
  Gatekeeper out(service::LoopbackGuard(config.hosts, std::move(ports)));
  for (const CallerConfig& one : config.callers) {
    auto caller = std::make_shared<const Caller>(Caller{one.name, one.verbs});
    if (!one.token_sha256.empty()) TRY(out.tokens_.add(one.name, one.token_sha256));
    out.programs_.push_back({one.uid, one.gid, std::move(caller)});
  }
  out.pages_ = pages;
  return out;
}

std::optional<service::JsonProblem> Gatekeeper::check_origin(const service::HttpRequest& request) const {
  const auto refusal = guard_.check(request);
  if (!refusal) return std::nullopt;
  return problem(403, std::string(service::name_of(*refusal)), std::string(service::words_of(*refusal)),
                 "call the daemon by a name of \"server.hosts\", and not from another site's page");
}

Gatekeeper::Admission Gatekeeper::admit(const service::HttpRequest& request) const {
  const std::string_view authorization = request.field("Authorization");
  if (!authorization.empty()) {
    const std::string* const owner = tokens_.owner_of(authorization);
    if (owner == nullptr) {
      return {nullptr, problem(401, "unknown-token", "nobody has this token",
                               "\"token_sha256\" of a [[caller]] is its SHA-256")};
    }
    for (const Program& program : programs_) {
      if (program.caller->name == *owner) return {program.caller, {}};
    }
  }
  if (pages_ != nullptr && !request.field("Cookie").empty()) {
    if (auto caller = pages_->session(request)) return {std::move(caller), {}};
  }
  if (request.peer_credentials) {
    for (const Program& program : programs_) {
      const bool uid = program.uid && *program.uid == request.peer_credentials->uid;
      const bool gid = program.gid && *program.gid == request.peer_credentials->gid;
      if (uid || gid) return {program.caller, {}};
    }
    return {nullptr, problem(403, "unknown-caller",
                             "user " + std::to_string(request.peer_credentials->uid) + " is nobody this daemon serves",
                             "a [[caller]] with this \"uid\" or its \"gid\"")};
  }
  return {nullptr,
          problem(401, "unknown-caller", "the request does not say who makes it", "Authorization: Bearer TOKEN")};
}

RefusalLog::RefusalLog(identity::Journal& journal, EventHub& events)
    : journal_(journal), events_(events), thread_([this] { run(); }) {}

RefusalLog::~RefusalLog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

void RefusalLog::add(Refusal refusal) {
  const std::lock_guard lock(mutex_);
  if (queue_.size() >= kMostQueued) {
    left_out_ += 1;
    return;
  }
  queue_.push_back(std::move(refusal));
  wake_.notify_one();
}

void RefusalLog::flush() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return queue_.empty() && !writing_; });
}

void RefusalLog::run() {
  service::RateLimit turns(kRule);  // of a reason and a user; programs that come by TCP are one
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const Refusal refusal = std::move(queue_.front());
    queue_.pop_front();
    const std::string whose =
        refusal.why + " " + (refusal.credentials ? std::to_string(refusal.credentials->uid) : refusal.peer);
    // By a clock nobody sets.
    const Time now{std::chrono::floor<Time::duration>(std::chrono::steady_clock::now().time_since_epoch())};
    if (turns.take(whose, now) != std::chrono::seconds(0)) {
      left_out_ += 1;
      if (queue_.empty()) idle_.notify_all();
      continue;
    }
    Json body = json_of(refusal);
    if (const auto left_out = std::exchange(left_out_, 0)) body["left_out_before"] = left_out;
    writing_ = true;
    lock.unlock();
    events_.publish("caller-refused", body);
    const auto written = journal_.append("caller-refused", body.dump(-1, ' ', true, Json::error_handler_t::replace));
    if (!written) service::log_error("a refusal is not in the journal", written.error());
    lock.lock();
    writing_ = false;
    if (queue_.empty()) idle_.notify_all();
  }
}

}  // namespace karta::daemon
