// SimulatedReaders: readers with cards in this process, for tests of the daemon: cards come and go, answer late,
// garbage or never, belong to another program; the reader is unplugged, pcscd stops.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "card/transports.h"
#include "daemon/reader_source.h"

namespace karta::test {

class SimulatedReaders final : public daemon::ReaderSource, public card::ReaderList {
 public:
  using Card = card::MemoryConnection::Card;

  void add_reader(const std::string& name) {
    const std::lock_guard lock(mutex_);
    slots_[name] = std::make_shared<Slot>();
    push(card::ReaderEvent::Kind::reader_added, name);
  }
  void remove_reader(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = slots_.find(name);
    if (found == slots_.end()) return;
    found->second->generation += 1;
    found->second->why = ErrorKind::no_reader;
    slots_.erase(found);
    push(card::ReaderEvent::Kind::reader_removed, name);
  }
  /// Powers the card on (Card::reset) and tells the daemon.
  void insert(const std::string& name, Card card) {
    const std::lock_guard lock(mutex_);
    Slot& slot = *slots_.at(name);
    slot.generation += 1;
    if (card.reset) card.reset();
    slot.card = std::make_shared<Card>(std::move(card));
    slot.mute = slot.held = false;
    push(card::ReaderEvent::Kind::card_inserted, name, slot.card->atr());
  }
  void insert_mute(const std::string& name) {
    const std::lock_guard lock(mutex_);
    Slot& slot = *slots_.at(name);
    slot.generation += 1;
    slot.card = nullptr;
    slot.mute = true;
    push(card::ReaderEvent::Kind::card_mute, name);
  }
  void remove(const std::string& name) {
    const std::lock_guard lock(mutex_);
    Slot& slot = *slots_.at(name);
    slot.generation += 1;
    slot.why = ErrorKind::card_removed;
    slot.card = nullptr;
    slot.mute = false;
    push(card::ReaderEvent::Kind::card_removed, name);
  }
  /// The reader has waited long enough for an answer: whoever is connected to the card gets none any more.
  void give_up_waiting(const std::string& name) {
    const std::lock_guard lock(mutex_);
    Slot& slot = *slots_.at(name);
    slot.generation += 1;
    slot.why = ErrorKind::card_unresponsive;
  }
  /// Another program holds the card for itself.
  void hold(const std::string& name, bool held) {
    const std::lock_guard lock(mutex_);
    slots_.at(name)->held = held;
  }
  void stop_pcscd() {
    const std::lock_guard lock(mutex_);
    running_ = false;
    for (auto& [name, slot] : slots_) {
      slot->generation += 1;
      slot->why = ErrorKind::no_pcscd;
      push(card::ReaderEvent::Kind::reader_removed, name);
    }
    push(card::ReaderEvent::Kind::pcscd_stopped, "");
  }
  void start_pcscd() {
    const std::lock_guard lock(mutex_);
    running_ = true;
    push(card::ReaderEvent::Kind::pcscd_started, "");
    for (auto& [name, slot] : slots_) {
      push(card::ReaderEvent::Kind::reader_added, name);
      if (slot->card) push(card::ReaderEvent::Kind::card_inserted, name, slot->card->atr());
    }
  }

  /// Waits until the daemon, which asks for more, has taken in all that has happened so far. False: it does not.
  bool await_taken(std::chrono::seconds patience = std::chrono::seconds(60)) {
    std::unique_lock lock(mutex_);
    return taken_up_.wait_for(lock, patience, [this, all = pushed_] { return taken_ >= all; });
  }

  /// Waits until the daemon has let go of the card in a reader. False: it holds on.
  bool await_let_go(const std::string& name, std::chrono::seconds patience = std::chrono::seconds(60)) {
    std::unique_lock lock(mutex_);
    return let_go_.wait_for(lock, patience, [this, slot = slots_.at(name)] { return slot->connections == 0; });
  }
  /// Connections made in all.
  unsigned connected() {
    const std::lock_guard lock(mutex_);
    return connected_;
  }

  card::ReaderList& readers() override { return *this; }
  Result<std::vector<card::ReaderEvent>> next(std::chrono::milliseconds timeout) override {
    std::unique_lock lock(mutex_);
    taken_ = handed_out_;
    taken_up_.notify_all();
    wake_.wait_for(lock, timeout, [this] { return stopped_ || !events_.empty(); });
    handed_out_ = pushed_;
    return std::exchange(events_, {});
  }
  void stop() override {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    wake_.notify_all();
  }
  /// For a second daemon over the same readers: it is told of them anew.
  void begin_again() {
    const std::lock_guard lock(mutex_);
    stopped_ = false;
    events_.clear();
    taken_ = handed_out_ = pushed_;
    for (auto& [name, slot] : slots_) {
      push(card::ReaderEvent::Kind::reader_added, name);
      if (slot->card) push(card::ReaderEvent::Kind::card_inserted, name, slot->card->atr());
    }
  }

  Result<std::vector<card::ReaderInfo>> list() override {
    const std::lock_guard lock(mutex_);
    if (!running_) return fail(ErrorKind::no_pcscd, "pcscd is not running");
    std::vector<card::ReaderInfo> all;
    for (const auto& [name, slot] : slots_) {
      card::ReaderInfo info;
      info.name = name;
      info.card_present = slot->card != nullptr || slot->mute;
      info.mute = slot->mute;
      info.exclusive = slot->held;
      if (slot->card) info.atr = slot->card->atr();
      all.push_back(std::move(info));
    }
    return all;
  }
  Result<std::unique_ptr<card::CardConnection>> connect(std::string_view name) override {
    const std::lock_guard lock(mutex_);
    if (!running_) return fail(ErrorKind::no_pcscd, "pcscd is not running");
    const auto found = slots_.find(std::string(name));
    if (found == slots_.end()) return fail(ErrorKind::no_reader, "there is no such reader");
    const std::shared_ptr<Slot> slot = found->second;
    if (slot->held) return fail(ErrorKind::card_busy, "another program holds the card for itself");
    if (slot->mute) return fail(ErrorKind::card_unresponsive, "the card does not answer to reset");
    if (!slot->card) return fail(ErrorKind::no_card, "the reader is empty");
    return std::unique_ptr<card::CardConnection>(
        std::make_unique<Connection>(*this, slot, slot->generation, slot->card, std::string(name)));
  }

 private:
  struct Slot {
    std::shared_ptr<Card> card;
    unsigned generation = 0;
    ErrorKind why = ErrorKind::card_removed;
    unsigned connections = 0;
    bool mute = false, held = false;
  };

  class Connection final : public card::CardConnection {
   public:
    /// Under the owner's lock.
    Connection(SimulatedReaders& owner, std::shared_ptr<Slot> slot, unsigned generation, std::shared_ptr<Card> card,
               std::string name)
        : owner_(owner),
          slot_(std::move(slot)),
          card_(std::move(card)),
          name_(std::move(name)),
          atr_(card_->atr()),
          generation_(generation) {
      slot_->connections += 1;
      owner_.connected_ += 1;
    }
    ~Connection() override {
      const std::lock_guard lock(owner_.mutex_);
      slot_->connections -= 1;
      owner_.let_go_.notify_all();
    }
    Result<Bytes> transmit(ByteView command) override {
      TRY(present());
      Bytes answer = card_->process(command);
      TRY(present());
      if (answer.empty()) return fail(ErrorKind::card_removed, "the card was taken out");
      return answer;
    }
    ByteView atr() const override { return atr_; }
    Status reset() override {
      TRY(present());
      if (card_->reset) card_->reset();
      session_ += 1;
      return {};
    }
    Status begin() override {
      TRY(present());
      if (depth_++ == 0) transactions_ += 1;
      return {};
    }
    void end() override { depth_ -= 1; }
    std::uint64_t transaction() const override { return depth_ > 0 ? transactions_ : 0; }
    unsigned session() const override { return session_; }
    std::string_view reader_name() const override { return name_; }

   private:
    Status present() {
      const std::lock_guard lock(owner_.mutex_);
      if (slot_->generation == generation_) return {};
      if (slot_->why == ErrorKind::card_unresponsive) return fail(slot_->why, "the card has stopped answering");
      return fail(slot_->why, slot_->why == ErrorKind::card_removed ? "the card was taken out" : "the reader is gone");
    }
    SimulatedReaders& owner_;
    std::shared_ptr<Slot> slot_;
    std::shared_ptr<Card> card_;
    std::string name_;
    Bytes atr_;
    unsigned generation_, session_ = 0, depth_ = 0;
    std::uint64_t transactions_ = 0;
  };

  void push(card::ReaderEvent::Kind kind, const std::string& name, Bytes atr = {}) {
    events_.push_back({kind, name, std::move(atr)});
    pushed_ += 1;
    wake_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable wake_, taken_up_, let_go_;
  std::map<std::string, std::shared_ptr<Slot>> slots_;
  std::vector<card::ReaderEvent> events_;
  std::uint64_t pushed_ = 0, handed_out_ = 0, taken_ = 0;  // events, from the beginning
  unsigned connected_ = 0;
  bool running_ = true, stopped_ = false;
};

}  // namespace karta::test
