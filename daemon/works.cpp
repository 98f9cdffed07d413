#include "daemon/works.h"

#include <algorithm>

#include "daemon/deed_store.h"
#include "identity/journal/journal.h"

namespace karta::daemon {
namespace {

Json time_json(Time time) { return time == Time{} ? Json() : Json(format_time(time)); }

Json json_of(std::string_view role, const TerminalIdentity& terminal) {
  const IdentityStatus status = terminal.status();
  return {{"role", role},
          {"terminal", terminal.terminal()},
          {"holder", status.holder},
          {"state", name_of(status.state)},
          {"until", time_json(status.until)},
          {"renew_after", time_json(status.renew_after)},
          {"problem", status.problem}};
}

/// Whose policies count in each mode.
struct VerbRow {
  std::string_view mode, verb;
};
constexpr VerbRow kJudged[] = {{"clinic", "visit"},
                               {"pharmacy", "entitlements"},
                               {"pharmacy", "redeem"},
                               {"transit", "tap"},
                               {"counter", "counter"}};

/// How long past its time an item is good for anybody here.
std::chrono::hours good_for(const DaemonConfig& config, TrustItemKind kind) {
  std::chrono::hours longest{0};
  for (const VerbRow& row : kJudged) {
    const bool at_work =
        std::any_of(config.modes.begin(), config.modes.end(), [&](const auto& mode) { return mode.first == row.mode; });
    if (!at_work) continue;
    const StalePolicy policy = config.policy(row.verb);
    if (policy.beyond == StalePolicy::Beyond::warn) return std::chrono::hours::max();
    longest = std::max(longest, kind == TrustItemKind::trust_list ? policy.trust_list
                                : kind == TrustItemKind::rules    ? policy.rules
                                                                  : policy.stop_list);
  }
  return longest;
}

TrustState state_of(const TrustItem& item, const DaemonConfig& config, Time now) {
  constexpr std::chrono::hours kMost{24 * 366 * 10};
  return item.state(now, std::min(good_for(config, item.kind), kMost));
}

Json json_of(const TrustItem& item, TrustState state) {
  return {{"kind", name_of(item.kind)},     {"name", item.name},      {"region", item.region},
          {"state", name_of(state)},        {"epoch", item.epoch},    {"made", time_json(item.made)},
          {"until", time_json(item.until)}, {"problem", item.problem}};
}

std::string described(const TrustItem& item) {
  std::string out(name_of(item.kind));
  if (!item.name.empty()) out += " of \"" + item.name + "\"";
  return out;
}

}  // namespace

Works::Works() = default;
Works::~Works() {
  if (hall) hall->stop();
}

Json Works::status() const {
  const Time now = services->clock.now();
  Json all_terminals = Json::array(), all_modes = Json::array(), all_readers = Json::array(), items = Json::array();
  for (const auto& [role, terminal] : terminals) all_terminals.push_back(json_of(role, *terminal));
  for (const auto& mode : modes) {
    Json one{{"name", mode->name()}};
    const Json more = mode->status();
    for (const auto& [name, value] : more.items()) one[name] = value;
    all_modes.push_back(std::move(one));
  }
  for (const ReaderView& reader : hall->readers()) {
    all_readers.push_back(
        {{"name", reader.name}, {"state", name_of(reader.state)}, {"modes", reader.modes}, {"gate", reader.gate}});
  }
  const auto snapshot = trust->snapshot();
  for (const TrustItem& item : snapshot->items) items.push_back(json_of(item, state_of(item, config, now)));
  Json upload_json;
  if (const auto state = upload ? upload() : std::nullopt) {
    upload_json = {{"state", name_of(state->state)},
                   {"uploaded_to", state->uploaded_to},
                   {"waiting", state->waiting},
                   {"problem", state->problem},
                   {"last_success", state->last_success ? time_json(*state->last_success) : Json()}};
  }
  return {{"schema", "karta.kartad.status/1"},
          {"version", KARTA_VERSION},
          {"time", format_time(now)},
          {"started", format_time(started)},
          {"terminals", std::move(all_terminals)},
          {"modes", std::move(all_modes)},
          {"pcscd", hall->pcscd_running()},
          {"readers", std::move(all_readers)},
          {"clock", name_of(trust->clock_state())},
          {"trust", std::move(items)},
          {"journal",
           {{"terminal", services->journal.terminal()},
            {"last", services->journal.last().number},
            {"uploaded_to", services->journal.uploaded_to()},
            {"health", name_of(services->journal.health())}}},
          {"upload", std::move(upload_json)},
          {"last_event", services->events.last()}};
}

Works::Health Works::health() const {
  Health out;
  const Time now = services->clock.now();
  const auto says = [&](std::string words, bool failing) {
    out.problems.push_back(std::move(words));
    out.failing = out.failing || failing;
  };
  if (services->journal.health() == identity::JournalHealth::full) {
    says("the disk is full: only what was begun is finished", true);
  } else if (services->journal.health() == identity::JournalHealth::failing) {
    says("the journal cannot be written", true);
  }
  if (const auto& damage = services->journal.damage()) {
    says("the journal's end was damaged; what was found is in " + damage->file, false);
  }
  if (!hall->pcscd_running()) says("pcscd is not running", true);
  for (const auto& [role, terminal] : terminals) {
    const IdentityStatus status = terminal->status();
    if (status.state == IdentityState::expired) {
      says("the certificate of the terminal for \"" + role + "\" has expired", true);
    } else if (status.state == IdentityState::urgent) {
      says("the certificate of the terminal for \"" + role + "\" ends " + format_time(status.until) +
               " and could not be renewed" + (status.problem.empty() ? "" : ": " + status.problem),
           false);
    }
  }
  const auto clock = trust->clock_state();
  if (clock != identity::ClockState::fine) {
    says(clock == identity::ClockState::back ? "the clock was set back" : "the clock has leapt ahead", false);
  }
  const auto snapshot = trust->snapshot();
  for (const TrustItem& item : snapshot->items) {
    if (!item.present) {
      says("there is no " + described(item), false);
    } else if (item.state(now) != TrustState::fresh) {
      says("the " + described(item) + " is out of date since " + format_time(item.until), false);
    }
    if (!item.problem.empty()) says("the " + described(item) + ": " + item.problem, false);
  }
  if (const auto state = upload ? upload() : std::nullopt) {
    if (state->state == UploadState::alarm) says("the journal cannot be uploaded: " + state->problem, true);
    if (state->state == UploadState::refused) says("the authority refuses the journal: " + state->problem, false);
  }
  const auto pending = services->deeds.pending_count();
  if (pending && *pending > 0) {
    says(std::to_string(*pending) + " redemptions wait for their card to be settled", false);
  }
  return out;
}

}  // namespace karta::daemon
