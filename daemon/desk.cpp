#include "daemon/desk.h"

#include <nlohmann/json.hpp>

namespace karta::daemon {

Result<TerminalIdentity*> Services::terminal(std::string_view role) const {
  const auto found = terminals.find(role);
  if (found != terminals.end()) return found->second.get();
  return fail(ErrorKind::configuration, "the daemon has no terminal of the role \"" + std::string(role) + "\"",
              "add a [[terminal]] with this role to " + config.file.filename().string());
}

Error said_by_card(Error error) {
  if (error.kind == ErrorKind::malformed || error.kind == ErrorKind::limit) {
    error.kind = ErrorKind::card_unresponsive;
    error.message = "what the card answers cannot be read: " + error.message;
  }
  return error;
}

ReaderDesk::ReaderDesk(std::string reader, ReaderConfig config, const Services& services, card::ReaderList& readers)
    : reader_(std::move(reader)), config_(std::move(config)), services_(services), readers_(readers) {}

ReaderDesk::~ReaderDesk() = default;

void ReaderDesk::drop_card() { connection_.reset(); }

Result<std::unique_ptr<CardUse>> ReaderDesk::use_card() {
  auto use = use_card_once_or_twice();
  found_busy_ = !use && use.error().kind == ErrorKind::card_busy;
  return use;
}

Result<std::unique_ptr<CardUse>> ReaderDesk::use_card_once_or_twice() {
  // A connection of before may have died since, with pcscd or the card: then a new one is tried, once.
  for (bool kept = connection_ != nullptr;; kept = false) {
    if (!connection_) connection_ = TRY(readers_.connect(reader_));
    const auto deadline = services_.steady_now() + services_.config.verb_time;
    std::unique_ptr<CardUse> use(new CardUse(*connection_, deadline, services_.steady_now));
    auto transaction = card::Transaction::begin(use->timed_);
    if (transaction) {
      use->transaction_.emplace(std::move(*transaction));
      return use;
    }
    connection_.reset();
    if (!kept) return fail(std::move(transaction).error());
  }
}

bool ReaderDesk::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !woken_.wait_for(lock, time, [this] { return given_up_; });
}

void ReaderDesk::give_up() {
  {
    const std::lock_guard lock(mutex_);
    given_up_ = true;
  }
  woken_.notify_all();
}

void ReaderDesk::progress(std::string_view verb, std::string_view step) {
  services_.events.publish("progress", {{"reader", reader_}, {"verb", verb}, {"step", step}});
}

}  // namespace karta::daemon
