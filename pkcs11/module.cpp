#include "pkcs11/module.h"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "pkcs11/cache.h"

namespace karta::pkcs11 {
namespace {

// Programs that sign one document after another, or list objects, come back sooner.
constexpr std::chrono::milliseconds kKeepTransaction{50};

// The process's state. Never destroyed: programs call in from their own destructors and exit handlers.
struct Process {
  std::mutex mutex;
  std::shared_ptr<Module> module;
  std::function<Environment()> maker;
  bool fork_watched = false, exit_watched = false;
};
Process& process() {
  static Process* const only = new Process;
  return *only;
}

// How long a fork or the process's end waits for calls under way.
constexpr std::chrono::milliseconds kPatience{1500};

// Not locked: the time was over. std::timed_mutex would cost every call more.
std::unique_lock<std::mutex> lock_soon(std::mutex& mutex, std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex, std::try_to_lock);
  while (!lock && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
    (void)lock.try_lock();
  }
  return lock;
}

// A forked child has none of the threads that worked for its parent's module, nor a right to its card handles: it
// forgets the module without touching it, and begins with C_Initialize.
void before_fork() {
  process().mutex.lock();
  if (process().module) process().module->freeze();
}
void after_fork_in_parent() {
  if (process().module) process().module->thaw();
  process().mutex.unlock();
}
void after_fork_in_child() {
  Process& state = process();
  static std::vector<std::shared_ptr<Module>>* const left_behind = new std::vector<std::shared_ptr<Module>>;
  if (state.module) left_behind->push_back(std::move(state.module));
  state.module.reset();
  state.mutex.unlock();
}

class WatchedReaders final : public EventSource {
 public:
  Result<std::vector<card::ReaderEvent>> next(std::chrono::milliseconds timeout) override {
    return watch_.next(timeout);
  }
  void stop() override { watch_.stop(); }

 private:
  card::ReaderWatch watch_;
};

}  // namespace

Environment system_environment() {
  Environment environment;
  card::PcscOptions options;
  options.keep_transaction = kKeepTransaction;
  environment.readers = std::make_shared<card::PcscReaders>(options);
  environment.events = [] { return std::make_unique<WatchedReaders>(); };
  environment.cache = std::make_shared<Cache>(Cache::user_folder());
  environment.cans = std::make_shared<const CanStore>(CanStore::user_folder());
  return environment;
}

void set_environment_maker(std::function<Environment()> maker) {
  const std::lock_guard lock(process().mutex);
  process().maker = std::move(maker);
}

Done Module::initialise() {
  Process& state = process();
  const std::lock_guard lock(state.mutex);
  if (state.module) return refuse(CKR_CRYPTOKI_ALREADY_INITIALIZED);
  if (!state.fork_watched) {
    if (pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) != 0) return refuse(CKR_HOST_MEMORY);
    state.fork_watched = true;
  }
  state.module = std::make_shared<Module>(state.maker ? state.maker() : system_environment());
  return {};
}

Done Module::finalise() {
  std::shared_ptr<Module> module;
  {
    const std::lock_guard lock(process().mutex);
    if (!process().module) return refuse(CKR_CRYPTOKI_NOT_INITIALIZED);
    module = std::move(process().module);
    process().module.reset();
  }
  module->stop();
  return {};
}

// Registered late on purpose: what this library holds in static objects is there until its handler has run.
void Module::log_out_at_exit() {
  Process& state = process();
  const std::lock_guard lock(state.mutex);
  if (state.exit_watched) return;
  constexpr auto handler = [] {
    // Whoever ends the process from within a call of ours holds it for ever.
    const auto held = lock_soon(process().mutex, std::chrono::steady_clock::now() + kPatience);
    if (held && process().module) process().module->forget_logins();
  };
  // Where there is no memory for it, the next login tries again.
  state.exit_watched = std::atexit(handler) == 0;
}

void Module::forget_logins() {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::vector<std::shared_ptr<Slot>> slots;
  {
    const auto lock = lock_soon(mutex_, deadline);
    if (!lock) return;
    slots = slots_;
  }
  for (const auto& slot : slots) {
    const auto lock = lock_soon(slot->mutex(), deadline);
    if (lock) slot->log_out_everywhere();
  }
}

Outcome<std::shared_ptr<Module>> Module::get() {
  const std::lock_guard lock(process().mutex);
  if (!process().module) return refuse(CKR_CRYPTOKI_NOT_INITIALIZED);
  return process().module;
}

// Calls under way hold the module until they are back.
Module::~Module() = default;

void Module::stop() {
  stopping_ = true;
  {
    const std::lock_guard lock(source_mutex_);
    if (source_) source_->stop();
  }
  std::vector<std::shared_ptr<Session>> open;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [handle, session] : sessions_) open.push_back(session);
  }
  for (const auto& session : open) {
    const std::lock_guard lock(session->slot().mutex());
    if (!session->closed) close(session);
  }
}

void Module::freeze() {
  std::vector<std::shared_ptr<Slot>> slots;
  {
    const std::lock_guard lock(mutex_);
    slots = slots_;
  }
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  const auto take = [&](std::mutex& mutex) {
    auto lock = lock_soon(mutex, deadline);
    if (!lock) return false;
    frozen_.push_back(std::move(lock));
    return true;
  };
  take(list_mutex_);
  // A kept transaction ends here, or its thread would do so within the PC/SC library at any time.
  for (const auto& slot : slots) {
    if (take(slot->mutex())) slot->let_go();
  }
}

void Module::thaw() { frozen_.clear(); }

// Slots -----------------------------------------------------------------------------------------

Done Module::refresh() {
  const std::lock_guard listing(list_mutex_);
  auto listed = environment_.readers->list();
  std::vector<card::ReaderInfo> readers;
  if (listed) {
    readers = std::move(*listed);
  } else if (listed.error().kind != ErrorKind::no_pcscd) {
    return tl::unexpected<Fault>(Fault(std::move(listed).error()));
  }
  std::vector<std::shared_ptr<Slot>> emptied;
  listed_ = true;
  {
    const std::lock_guard lock(mutex_);
    for (const card::ReaderInfo& reader : readers) {
      const bool known =
          std::any_of(slots_.begin(), slots_.end(), [&](const auto& slot) { return slot->reader() == reader.name; });
      if (known) continue;
      slots_.push_back(std::make_shared<Slot>(reader.name, slots_.size() * kTokensPerReader, *environment_.readers,
                                              environment_.cache.get(), environment_.cans.get()));
    }
    for (const auto& slot : slots_) {
      const auto reader =
          std::find_if(readers.begin(), readers.end(), [&](const auto& one) { return one.name == slot->reader(); });
      slot->card_present = reader != readers.end() && reader->card_present && !reader->mute;
      believed_[slot->reader()] = slot->card_present;
      if (!slot->card_present) emptied.push_back(slot);
    }
  }
  for (const auto& slot : emptied) {
    const std::lock_guard lock(slot->mutex());
    slot->lose_card();
    for (const auto& session : sessions_with(*slot, {})) close(session);
  }
  return {};
}

Outcome<std::vector<CK_SLOT_ID>> Module::slot_ids(bool with_token) {
  TRY(refresh_once());
  std::vector<std::shared_ptr<Slot>> slots;
  {
    const std::lock_guard lock(mutex_);
    slots = slots_;
  }
  std::vector<CK_SLOT_ID> ids;
  for (const auto& slot : slots) {
    for (std::size_t i = 0; i < kTokensPerReader; ++i) {
      if (with_token) {
        if (!slot->card_present) continue;
        const std::lock_guard lock(slot->mutex());
        const auto shown = slot->has_token(i);
        // A card nobody can use is a token that is not recognised; C_GetTokenInfo says so, on the first slot.
        if (shown ? !*shown : i != 0 || shown.error().rv == CKR_TOKEN_NOT_PRESENT || !slot->card_present) continue;
      }
      ids.push_back(slot->first_id() + i);
    }
  }
  return ids;
}

Done Module::refresh_once() {
  if (!listed_) TRY(refresh());
  return {};
}

Outcome<Module::SlotPlace> Module::slot(CK_SLOT_ID id) {
  TRY(refresh_once());
  const std::lock_guard lock(mutex_);
  const std::size_t reader = id / kTokensPerReader;
  if (reader >= slots_.size()) return refuse(CKR_SLOT_ID_INVALID);
  return SlotPlace{slots_[reader], id % kTokensPerReader};
}

// Sessions --------------------------------------------------------------------------------------

Outcome<CK_SESSION_HANDLE> Module::open_session(SlotPlace place, CK_FLAGS flags) {
  auto session = std::make_shared<Session>(place.slot, place.index, flags);
  const std::lock_guard lock(mutex_);
  session->handle = next_session_++;
  sessions_[session->handle] = session;
  return session->handle;
}

Outcome<Module::Entry> Module::enter(CK_SESSION_HANDLE handle) {
  Entry entry;
  entry.module = TRY(get());
  {
    const std::lock_guard lock(entry.module->mutex_);
    const auto found = entry.module->sessions_.find(handle);
    if (found == entry.module->sessions_.end()) return refuse(CKR_SESSION_HANDLE_INVALID);
    entry.session = found->second;
  }
  entry.lock = std::unique_lock(entry.session->slot().mutex());
  if (entry.session->closed) return refuse(CKR_SESSION_HANDLE_INVALID);
  // §5.6: sessions of a token that was taken out are closed; the first to hear of it hears why.
  if (entry.session->stale()) {
    entry.module->close(entry.session);
    return refuse(CKR_DEVICE_REMOVED);
  }
  return entry;
}

std::vector<std::shared_ptr<Session>> Module::sessions_with(const Slot& slot, std::optional<std::size_t> index) {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Session>> found;
  for (const auto& [handle, session] : sessions_) {
    if (&session->slot() == &slot && (!index || session->index() == *index)) found.push_back(session);
  }
  return found;
}

void Module::close(const std::shared_ptr<Session>& session) {
  session->closed = true;
  bool last = true;
  {
    const std::lock_guard lock(mutex_);
    sessions_.erase(session->handle);
    for (const auto& [handle, other] : sessions_) {
      if (other->slot_id() == session->slot_id() && !other->stale()) last = false;
    }
  }
  session->objects.clear();
  session->login_pin.reset();
  session->login_at_pad = false;
  session->search.reset();
  session->digest.reset();
  session->sign.reset();
  session->verify.reset();
  session->encrypt.reset();
  session->decrypt.reset();
  if (!last) return;
  if (!session->stale()) session->slot().log_out(session->index());
  session->slot().let_go();
}

// Events ----------------------------------------------------------------------------------------

Outcome<CK_SLOT_ID> Module::wait_for_event(bool block) {
  constexpr std::chrono::milliseconds kSlice{1000};
  const std::unique_lock waiting(event_mutex_);
  bool first = false;
  std::shared_ptr<EventSource> source;
  {
    const std::lock_guard lock(source_mutex_);
    if (!source_) {
      source_ = environment_.events();
      first = true;
    }
    source = source_;
  }
  if (stopping_) return refuse(CKR_CRYPTOKI_NOT_INITIALIZED);
  if (first) {
    // What is there at the beginning is no news.
    TRY(refresh());
  }
  for (;;) {
    if (!pending_.empty()) {
      const CK_SLOT_ID id = *pending_.begin();
      pending_.erase(pending_.begin());
      return id;
    }
    const auto before = [&] {
      const std::lock_guard lock(mutex_);
      return believed_;
    }();
    const auto events = source->next(block ? kSlice : std::chrono::milliseconds(0));
    if (stopping_) return refuse(CKR_CRYPTOKI_NOT_INITIALIZED);
    if (!events) return tl::unexpected<Fault>(Fault(events.error()));
    if (!events->empty()) {
      const std::set<std::string> readers = [&] {
        std::map<std::string, bool> now = before;
        std::set<std::string> changed;
        for (const card::ReaderEvent& event : *events) {
          const bool in = event.kind == card::ReaderEvent::Kind::card_inserted;
          const bool out = event.kind == card::ReaderEvent::Kind::card_removed ||
                           event.kind == card::ReaderEvent::Kind::reader_removed;
          if (!in && !out) continue;
          // A card swapped between two looks is news too.
          if (now[event.reader] != in) changed.insert(event.reader);
          now[event.reader] = in;
        }
        return changed;
      }();
      TRY(refresh());
      const std::lock_guard lock(mutex_);
      for (const auto& slot : slots_) {
        if (!readers.contains(slot->reader())) continue;
        for (std::size_t i = 0; i < kTokensPerReader; ++i) pending_.insert(slot->first_id() + i);
      }
      if (!pending_.empty()) continue;
    }
    if (!block) return refuse(CKR_NO_EVENT);
  }
}

}  // namespace karta::pkcs11
