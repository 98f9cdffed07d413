#include "daemon/events.h"

#include <nlohmann/json.hpp>

namespace karta::daemon {

void EventHub::publish(std::string_view kind, const Json& data) {
  Json document{{"schema", "karta.kartad.event/1"}};
  const std::lock_guard lock(mutex_);
  Event event{.number = next_++, .kind = std::string(kind), .data = {}};
  document["number"] = event.number;
  document["kind"] = event.kind;
  document["time"] = format_time(clock_.now());
  for (const auto& [key, value] : data.items()) document[key] = value;
  event.data = document.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::erase_if(listeners_, [&](const auto& one) { return !one(event); });
  kept_.push_back(std::move(event));
  if (kept_.size() > kKept) kept_.pop_front();
}

void EventHub::pulse() {
  const Event nothing;
  const std::lock_guard lock(mutex_);
  std::erase_if(listeners_, [&](const auto& one) { return !one(nothing); });
}

void EventHub::listen(std::uint64_t after, Listener listener) {
  const std::lock_guard lock(mutex_);
  for (const Event& event : kept_) {
    if (event.number > after && !listener(event)) return;
  }
  listeners_.push_back(std::move(listener));
}

std::uint64_t EventHub::last() const {
  const std::lock_guard lock(mutex_);
  return next_ - 1;
}

std::string to_stream(const Event& event) {
  if (event.number == 0) return ":\n\n";
  return "id: " + std::to_string(event.number) + "\nevent: " + event.kind + "\ndata: " + event.data + "\n\n";
}

}  // namespace karta::daemon
