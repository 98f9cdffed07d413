#include "daemon/timeline.h"

#include <nlohmann/json.hpp>

namespace karta::daemon {
namespace {

using std::chrono::microseconds;
using Exchange = Timeline::Exchange;

/// Where a session stands: what a READ BINARY or GENERAL AUTHENTICATE is for depends on what came before it.
enum class Phase : std::uint8_t { start, pace, terminal, chip };

constexpr std::uint8_t kSelect = 0xA4, kManageSecurity = 0x22, kGeneralAuthenticate = 0x86, kVerifyCertificate = 0x2A,
                       kGetChallenge = 0x84, kExternalAuthenticate = 0x82, kReadBinary = 0xB0, kReadRecord = 0xB2,
                       kInternalAuthenticate = 0x88, kOpen = 0x32, kCommit = 0x34, kRatify = 0x36, kVerify = 0x20,
                       kUpdateBinary = 0xD6;

std::string_view step_of(const Exchange& one, Phase& phase) {
  switch (one.ins) {
    case kManageSecurity:
      if (one.p1 == 0xC1) {
        phase = Phase::pace;
        return "pace";
      }
      if (one.p2 == 0xB6) return "terminal-certificates";
      if (one.p1 == 0x41) {
        phase = Phase::chip;
        return "chip-authentication";
      }
      return "terminal-authentication";
    case kGeneralAuthenticate:
      return phase == Phase::pace ? "pace" : "chip-authentication";
    case kVerifyCertificate:
      return "terminal-certificates";
    case kGetChallenge:
      return "terminal-authentication";
    case kExternalAuthenticate:
      phase = Phase::terminal;
      return "terminal-authentication";
    case kReadBinary:
      if (phase == Phase::start) return "card-access";
      return phase == Phase::terminal ? "issuer-signature" : "data";
    case kReadRecord:
      return "data";
    case kInternalAuthenticate:
      return "signature";
    case kOpen:
      return "open";
    case kCommit:
      return "commit";
    case kRatify:
      return "ratify";
    case kSelect:
      return "select";
    case kVerify:
      return phase == Phase::chip ? "data" : "pin";
    case kUpdateBinary:
      return "update";
    default:
      return "other";
  }
}

double milliseconds_of(microseconds time) { return static_cast<double>(time.count() / 10) / 100.0; }

}  // namespace

std::vector<TimelineStep> Timeline::steps() const {
  std::vector<TimelineStep> out;
  Phase phase = Phase::start;
  for (const Exchange& one : exchanges_) {
    const std::string_view name = step_of(one, phase);
    if (out.empty() || out.back().name != name) out.push_back({.name = std::string(name)});
    TimelineStep& step = out.back();
    step.time += one.time;
    step.host_time += one.before;
    step.commands += 1;
    step.octets_out += one.octets_out;
    step.octets_back += one.octets_back;
  }
  return out;
}

Json Timeline::to_json() const {
  Json out = Json::array();
  for (const TimelineStep& step : steps()) {
    out.push_back({{"step", step.name},
                   {"ms", milliseconds_of(step.time)},
                   {"host_ms", milliseconds_of(step.host_time)},
                   {"commands", step.commands},
                   {"octets", step.octets_out + step.octets_back}});
  }
  return out;
}

microseconds Timeline::card_time() const {
  microseconds all{0};
  for (const Exchange& one : exchanges_) all += one.time;
  return all;
}

TimedConnection::TimedConnection(card::CardConnection& inner, SteadyClock::time_point deadline, const SteadyNow& now)
    : inner_(inner), now_(now), deadline_(deadline), last_(now_()) {}

Result<Bytes> TimedConnection::timed(ByteView command, Result<Bytes> (card::CardConnection::*send)(ByteView)) {
  const auto begun = now_();
  if (begun >= deadline_) {
    return fail(ErrorKind::card_unresponsive, "the card is too slow: its time for this is over",
                "try again; if it happens again, the card or the reader is worn out");
  }
  auto answer = (inner_.*send)(command);
  const auto ended = now_();
  Exchange one;
  if (command.size() >= 4) {
    one.cla = command[0];
    one.ins = command[1];
    one.p1 = command[2];
    one.p2 = command[3];
  }
  one.before = std::chrono::duration_cast<microseconds>(begun - last_);
  one.time = std::chrono::duration_cast<microseconds>(ended - begun);
  one.octets_out = command.size();
  one.octets_back = answer ? answer->size() : 0;
  last_ = ended;
  timeline_.add(one);
  return answer;
}

Result<Bytes> TimedConnection::transmit(ByteView command) { return timed(command, &card::CardConnection::transmit); }

Result<Bytes> TimedConnection::transmit_sensitive(ByteView command) {
  return timed(command, &card::CardConnection::transmit_sensitive);
}

}  // namespace karta::daemon
