#include "daemon/reader_hall.h"

#include <algorithm>
#include <deque>

#include "service/log.h"

namespace karta::daemon {

std::string_view name_of(ReaderView::State state) {
  constexpr std::string_view kNames[] = {"empty", "card", "busy", "mute", "working"};
  return kNames[static_cast<std::size_t>(state)];
}

/// One reader: its desk and the thread that works there.
class ReaderHall::DeskThread {
 public:
  DeskThread(std::string reader, ReaderConfig config, const Services& services, card::ReaderList& readers,
             std::vector<Mode*> modes)
      : modes_(std::move(modes)),
        desk_(std::move(reader), std::move(config), services, readers),
        thread_([this] { run(); }) {}
  ~DeskThread() {
    stop({ErrorKind::busy, "the daemon stops", ""});
    if (thread_.joinable()) thread_.join();
  }

  /// After stop(): returns when nothing works at the reader any more. One thread.
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  const std::string& reader() const { return desk_.reader(); }

  ReaderView view() const {
    const std::lock_guard lock(mutex_);
    ReaderView out;
    out.name = desk_.reader();
    out.modes = desk_.config().modes;
    out.gate = desk_.config().gate;
    using enum ReaderView::State;
    out.state = working_ ? working : mute_ ? mute : !present_ ? empty : held_ ? busy : card;
    return out;
  }
  bool present() const {
    const std::lock_guard lock(mutex_);
    return present_;
  }
  bool mute_card() const {
    const std::lock_guard lock(mutex_);
    return mute_;
  }

  void card_in() {
    // A reader that has just come tells of the card in it a moment later.
    const bool lying = !had_card_ && std::chrono::steady_clock::now() - since_ < kFirstLook;
    add_card_item(true, false, lying);
  }
  void card_mute() { add_card_item(false, true); }
  void card_out() { add_card_item(false, false); }
  /// A card lies there, and the modes know.
  void card_found() {
    const std::lock_guard lock(mutex_);
    present_ = true;
    mute_ = false;
    had_card_ = true;
  }

  Status submit(ReaderJob job) {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(why_);
    if (jobs_ >= kMostWaiting) {
      return fail(ErrorKind::busy, "too many calls wait for the reader \"" + desk_.reader() + "\"");
    }
    jobs_ += 1;
    items_.push_back({Item::Kind::job, std::move(job)});
    wake_.notify_one();
    return {};
  }

  /// What waits is refused with `why`; what is at work goes on to its end. True where a card lies there and the modes
  /// know.
  bool stop(const Error& why) {
    std::deque<Item> left;
    bool seen = false;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return false;
      stopping_ = true;
      why_ = why;
      left.swap(items_);
      seen = present_ &&
             std::none_of(left.begin(), left.end(), [](const Item& item) { return item.kind == Item::Kind::card_in; });
      jobs_ = 0;
      wake_.notify_one();
    }
    desk_.give_up();
    for (Item& item : left) {
      if (item.kind == Item::Kind::job) item.job.refuse(why);
    }
    return seen;
  }
  void give_up() { desk_.give_up(); }
  bool finished() const { return finished_; }

 private:
  struct Item {
    enum class Kind : std::uint8_t { job, card_in, card_out };
    Kind kind = Kind::job;
    ReaderJob job = {};
    bool lying = false;  // card_in: it was there before the reader was
  };
  static constexpr std::chrono::seconds kFirstLook{2};
  // Calls of one visit come close together and find the card connected; a card that goes on lying there is free for
  // programs that want it for themselves.
  static constexpr std::chrono::seconds kHoldsOn{1};

  void add_card_item(bool present, bool mute, bool lying = false) {
    const std::lock_guard lock(mutex_);
    had_card_ = true;
    if (stopping_) return;
    const bool was = present_;
    present_ = present;
    mute_ = mute;
    held_ = false;
    if (was) items_.push_back({Item::Kind::card_out});
    if (present) items_.push_back({.kind = Item::Kind::card_in, .lying = lying});
    wake_.notify_one();
  }

  void run() {
    for (Mode* const mode : modes_) guarded([&] { mode->reader_in(desk_); });
    for (;;) {
      Item item;
      {
        std::unique_lock lock(mutex_);
        const auto wanted = [this] { return stopping_ || !items_.empty(); };
        if (desk_.holds_card() && !wake_.wait_for(lock, kHoldsOn, wanted)) {
          lock.unlock();
          desk_.drop_card();
          continue;
        }
        wake_.wait(lock, wanted);
        if (stopping_) break;
        item = std::move(items_.front());
        items_.pop_front();
        if (item.kind == Item::Kind::job) jobs_ -= 1;
        working_ = item.kind != Item::Kind::card_out;
      }
      switch (item.kind) {
        case Item::Kind::job:
          guarded([&] { item.job.work(desk_); });
          break;
        case Item::Kind::card_in:
          desk_.set_found_lying(item.lying);
          for (Mode* const mode : modes_) guarded([&] { mode->card_in(desk_); });
          break;
        case Item::Kind::card_out:
          desk_.drop_card();
          for (Mode* const mode : modes_) guarded([&] { mode->card_out(desk_); });
          break;
      }
      item = {};  // what the job holds goes before anybody is told that the reader is idle
      const std::lock_guard lock(mutex_);
      working_ = false;
      held_ = desk_.found_busy();
    }
    for (Mode* const mode : modes_) guarded([&] { mode->reader_out(desk_); });
    desk_.drop_card();
    finished_ = true;
  }

  /// A library's exception ends with the call, not with the reader.
  void guarded(const std::function<void()>& call) {
    try {
      call();
    } catch (const std::exception& error) {
      service::log_error(std::string("reader \"") + desk_.reader() + "\": unexpected: " + error.what());
      desk_.drop_card();
    }
  }

  std::vector<Mode*> modes_;
  ReaderDesk desk_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> items_;
  std::size_t jobs_ = 0;
  bool present_ = false, mute_ = false, held_ = false, working_ = false, stopping_ = false;
  Error why_;
  const std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  bool had_card_ = false;  // the watching thread's
  std::atomic<bool> finished_{false};
  std::thread thread_;  // last: it uses all above
};

ReaderHall::ReaderHall(std::unique_ptr<ReaderSource> source, const Services& services, std::vector<Mode*> modes)
    : source_(std::move(source)), services_(services), modes_(std::move(modes)) {}

ReaderHall::~ReaderHall() { stop(); }

void ReaderHall::start(std::set<std::string> seen) {
  constexpr std::chrono::seconds kFirstLook{2};
  seen_ = std::move(seen);
  thread_ = std::thread([this] { watch(); });
  // Who asks next is not told that there is no reader: after a reload least of all.
  std::unique_lock lock(mutex_);
  woken_.wait_for(lock, kFirstLook, [this] { return looked_; });
}

std::set<std::string> ReaderHall::stop() {
  if (stopping_.exchange(true)) return {};
  {
    const std::lock_guard lock(mutex_);
    woken_.notify_all();
  }
  source_->stop();
  if (thread_.joinable()) thread_.join();
  std::map<std::string, std::shared_ptr<DeskThread>> desks;
  {
    const std::lock_guard lock(mutex_);
    desks.swap(desks_);
  }
  std::set<std::string> seen;
  for (const auto& [name, desk] : desks) {
    if (desk->stop({ErrorKind::busy, "the daemon stops", ""})) seen.insert(name);
  }
  // Somebody else may hold one a moment longer: what is at work must end here all the same.
  for (const auto& [name, desk] : desks) desk->join();
  desks.clear();
  reap(true);
  return seen;
}

void ReaderHall::give_up() {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, desk] : desks_) desk->give_up();
}

void ReaderHall::watch() {
  constexpr std::chrono::milliseconds kSlice{1000};
  const auto looked = [this] {
    const std::lock_guard lock(mutex_);
    looked_ = true;
    woken_.notify_all();
  };
  for (std::chrono::milliseconds wait{0}; !stopping_; wait = kSlice) {
    const auto events = source_->next(wait);
    if (!events) {
      looked();
      service::log_error("the readers cannot be watched", events.error());
      pcscd_ = false;
      std::unique_lock lock(mutex_);
      woken_.wait_for(lock, kSlice, [this] { return stopping_.load(); });
      continue;
    }
    for (const card::ReaderEvent& event : *events) take(event);
    looked();
    reap(false);
  }
}

// What an event tells is so before it is told: who hears of a card may ask for it at once.
void ReaderHall::take(const card::ReaderEvent& event) {
  using Kind = card::ReaderEvent::Kind;
  const Json reader{{"reader", event.reader}};
  const auto desk = [&]() -> std::shared_ptr<DeskThread> {
    const std::lock_guard lock(mutex_);
    const auto found = desks_.find(event.reader);
    return found == desks_.end() ? nullptr : found->second;
  };
  switch (event.kind) {
    case Kind::pcscd_started:
      pcscd_ = true;
      services_.events.publish("pcscd-started", Json::object());
      return;
    case Kind::pcscd_stopped: {
      pcscd_ = false;
      seen_.clear();
      std::vector<std::string> names;
      {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, one] : desks_) names.push_back(name);
      }
      for (const std::string& name : names) remove(name);
      services_.events.publish("pcscd-stopped", Json::object());
      return;
    }
    case Kind::reader_added: {
      pcscd_ = true;
      const ReaderConfig* const known = services_.config.reader(event.reader);
      ReaderConfig config = known == nullptr ? ReaderConfig{.name = event.reader} : *known;
      std::vector<Mode*> served;
      for (Mode* const mode : modes_) {
        if (std::find(config.modes.begin(), config.modes.end(), mode->name()) != config.modes.end()) {
          served.push_back(mode);
        }
      }
      remove(event.reader);  // where it was known still
      auto made = std::make_shared<DeskThread>(event.reader, std::move(config), services_, source_->readers(),
                                               std::move(served));
      {
        const std::lock_guard lock(mutex_);
        desks_[event.reader] = std::move(made);
      }
      services_.events.publish("reader-added", reader);
      return;
    }
    case Kind::reader_removed:
      seen_.erase(event.reader);
      remove(event.reader);
      services_.events.publish("reader-removed", reader);
      return;
    case Kind::card_inserted:
      if (const auto one = desk()) {
        if (seen_.erase(event.reader) > 0) {
          one->card_found();
        } else {
          one->card_in();
        }
      }
      services_.events.publish("card-in", reader);
      return;
    case Kind::card_removed:
      seen_.erase(event.reader);
      if (const auto one = desk()) one->card_out();
      services_.events.publish("card-out", reader);
      return;
    case Kind::card_mute:
      if (const auto one = desk()) one->card_mute();
      services_.events.publish("card-mute", reader);
      return;
  }
}

void ReaderHall::remove(const std::string& reader) {
  std::shared_ptr<DeskThread> gone;
  {
    const std::lock_guard lock(mutex_);
    const auto found = desks_.find(reader);
    if (found == desks_.end()) return;
    gone = std::move(found->second);
    desks_.erase(found);
    leaving_.push_back(gone);
  }
  gone->stop({ErrorKind::no_reader, "the reader \"" + reader + "\" is gone", "plug it in again"});
}

// A thread may be in a call into pcscd for a while yet: nobody waits for it but the end.
void ReaderHall::reap(bool all) {
  std::vector<std::shared_ptr<DeskThread>> done;
  {
    const std::lock_guard lock(mutex_);
    const auto first =
        std::partition(leaving_.begin(), leaving_.end(), [&](const auto& one) { return !all && !one->finished(); });
    done.assign(std::make_move_iterator(first), std::make_move_iterator(leaving_.end()));
    leaving_.erase(first, leaving_.end());
  }
  for (const auto& one : done) one->join();
}

std::vector<ReaderView> ReaderHall::readers() const {
  const std::lock_guard lock(mutex_);
  std::vector<ReaderView> out;
  for (const auto& [name, desk] : desks_) out.push_back(desk->view());
  return out;
}

Result<std::string> ReaderHall::choose(std::string_view mode, std::string_view wanted) const {
  if (!pcscd_) return fail(ErrorKind::no_pcscd, "pcscd is not running");
  std::vector<card::ReaderInfo> readers;
  bool any = false;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, desk] : desks_) {
      any = true;
      const ReaderView view = desk->view();
      if (std::find(view.modes.begin(), view.modes.end(), mode) == view.modes.end()) continue;
      card::ReaderInfo info;
      info.name = name;
      info.mute = desk->mute_card();
      info.card_present = desk->present() || info.mute;
      readers.push_back(std::move(info));
    }
  }
  if (readers.empty() && any) {
    return fail(ErrorKind::no_reader, "no attached reader is for the mode \"" + std::string(mode) + "\"",
                "name it in a [[reader]] of the configuration");
  }
  auto chosen = card::choose_reader(readers, wanted);
  if (!chosen && chosen.error().kind == ErrorKind::usage) chosen.error().hint = "say which one: \"reader\"";
  if (!chosen && chosen.error().kind == ErrorKind::no_reader && !readers.empty()) {
    chosen.error() = {ErrorKind::no_reader,
                      "no reader for the mode \"" + std::string(mode) + "\" is called \"" + std::string(wanted) + "\"",
                      "GET /v1/readers tells their names and modes"};
  }
  return chosen;
}

Status ReaderHall::submit(const std::string& reader, ReaderJob job) {
  std::shared_ptr<DeskThread> desk;
  {
    const std::lock_guard lock(mutex_);
    const auto found = desks_.find(reader);
    if (found != desks_.end()) desk = found->second;
  }
  if (!desk) {
    if (stopping_) return fail(ErrorKind::busy, "the daemon stops");
    return fail(ErrorKind::no_reader, "there is no reader \"" + reader + "\"");
  }
  return desk->submit(std::move(job));
}

}  // namespace karta::daemon
