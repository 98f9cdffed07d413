// Module: all there is between C_Initialize and C_Finalize: slots, sessions, the cache, the watch for events.
//
// Locks: mutex() guards the tables and is never held while a card is at work; each Slot has its own for that. Who needs
// both takes the slot's first. Forked children begin without a module and leave the parent's untouched.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "card/pcsc_reader.h"
#include "pkcs11/session.h"

namespace karta::pkcs11 {

/// Where news of cards come from; card::ReaderWatch in life.
class EventSource {
 public:
  virtual ~EventSource() = default;
  virtual Result<std::vector<card::ReaderEvent>> next(std::chrono::milliseconds timeout) = 0;
  virtual void stop() = 0;
};

/// What a module stands on; tests bring their own.
struct Environment {
  std::shared_ptr<card::ReaderList> readers;
  std::function<std::unique_ptr<EventSource>()> events;
  std::shared_ptr<card::ContentCache> cache;  ///< may be null
  std::shared_ptr<const CanStore> cans = {};  ///< may be null
};
/// pcscd, and the cache of this user.
Environment system_environment();
/// Used by every C_Initialize from now on; empty: the system's again. For tests.
void set_environment_maker(std::function<Environment()> maker);

class Module {
 public:
  explicit Module(Environment environment) : environment_(std::move(environment)) {}
  ~Module();

  static Done initialise();
  static Done finalise();
  /// To be called once a user is logged in: programs end without C_Finalize, too (curl, ssh-agent), and pcscd leaves
  /// the card as it is, with the PIN verified for whoever comes next. From now on the process's exit logs out.
  static void log_out_at_exit();
  /// Fails with CKR_CRYPTOKI_NOT_INITIALIZED.
  static Outcome<std::shared_ptr<Module>> get();

  /// Brings the slots in step with the readers. Slots stay where their reader goes.
  Done refresh();
  Outcome<std::vector<CK_SLOT_ID>> slot_ids(bool with_token);
  struct SlotPlace {
    std::shared_ptr<Slot> slot;
    std::size_t index = 0;
  };
  Outcome<SlotPlace> slot(CK_SLOT_ID id);

  Outcome<CK_SESSION_HANDLE> open_session(SlotPlace place, CK_FLAGS flags);
  /// A session with its slot locked, ready for a call.
  struct Entry {
    std::shared_ptr<Module> module;
    std::shared_ptr<Session> session;
    std::unique_lock<std::mutex> lock;
    Session* operator->() const { return session.get(); }
    Slot& slot() const { return session->slot(); }
    Outcome<Token*> token() const { return session->slot().token(session->index()); }
  };
  static Outcome<Entry> enter(CK_SESSION_HANDLE handle);
  /// All sessions with a token, or with a slot. The slot's mutex is held.
  std::vector<std::shared_ptr<Session>> sessions_with(const Slot& slot, std::optional<std::size_t> index);
  /// Ends the session; the last one of a token logs out. The slot's mutex is held.
  void close(const std::shared_ptr<Session>& session);

  CK_OBJECT_HANDLE next_session_object() { return kSessionObjects + next_object_++; }
  static constexpr CK_OBJECT_HANDLE kSessionObjects = 0x40000000;

  /// Around fork(): nobody is inside the PC/SC library, whose own locks the child would inherit locked. Waits for calls
  /// under way, though not for ever.
  void freeze();
  void thaw();

  /// §5.5.4 C_WaitForSlotEvent.
  Outcome<CK_SLOT_ID> wait_for_event(bool block);

 private:
  void stop();
  // Logs out everywhere; sessions stay. Does not wait for ever for calls under way.
  void forget_logins();
  // Programs that know their slot number do not always ask for the list first.
  Done refresh_once();

  const Environment environment_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Slot>> slots_;
  std::map<CK_SESSION_HANDLE, std::shared_ptr<Session>> sessions_;
  CK_SESSION_HANDLE next_session_ = 1;
  std::atomic<CK_OBJECT_HANDLE> next_object_{1};

  std::atomic<bool> listed_{false};
  std::mutex list_mutex_;  // listing readers
  std::vector<std::unique_lock<std::mutex>> frozen_;

  std::mutex event_mutex_;  // who waits for events holds it
  std::mutex source_mutex_;
  std::shared_ptr<EventSource> source_;
  std::set<CK_SLOT_ID> pending_;
  std::map<std::string, bool> believed_;  // readers with a card, as far as the program has been told
  std::atomic<bool> stopping_{false};
};

}  // namespace karta::pkcs11
