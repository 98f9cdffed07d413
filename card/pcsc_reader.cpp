#include "card/pcsc_reader.h"

#include <poll.h>
#include <reader.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <winscard.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>

#include "base/secret.h"
#include "card/apdu.h"
#include "card/pin_pad.h"

namespace karta::card {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

// PC/SC return codes -----------------------------------------------------------------------------

struct PcscRow {
  LONG code;
  ErrorKind kind;
  std::string_view meaning;
};

constexpr auto kPcscRows = std::to_array<PcscRow>({
    {SCARD_E_NO_SERVICE, ErrorKind::no_pcscd, "pcscd is not running"},
    {SCARD_E_SERVICE_STOPPED, ErrorKind::no_pcscd, "pcscd has stopped"},
    {SCARD_E_INVALID_HANDLE, ErrorKind::no_pcscd, "pcscd was restarted, and the connection to the card is gone"},
    {SCARD_F_INTERNAL_ERROR, ErrorKind::no_pcscd, "pcscd went away in the middle of a call"},
    {SCARD_E_NO_READERS_AVAILABLE, ErrorKind::no_reader, "no card reader is attached"},
    {SCARD_E_UNKNOWN_READER, ErrorKind::no_reader, "there is no such reader"},
    {SCARD_E_READER_UNAVAILABLE, ErrorKind::no_reader, "the reader is gone"},
    {SCARD_E_NO_SMARTCARD, ErrorKind::no_card, "the reader is empty"},
    {SCARD_W_REMOVED_CARD, ErrorKind::card_removed, "the card was taken out"},
    {SCARD_E_SHARING_VIOLATION, ErrorKind::card_busy, "another program holds the card for itself"},
    {SCARD_W_RESET_CARD, ErrorKind::card_busy, "another program has reset the card"},
    {SCARD_W_UNRESPONSIVE_CARD, ErrorKind::card_unresponsive, "the card does not answer to reset"},
    {SCARD_W_UNPOWERED_CARD, ErrorKind::card_unresponsive, "the card has no power"},
    {SCARD_W_UNSUPPORTED_CARD, ErrorKind::card_unresponsive, "the reader cannot talk to this card"},
    {SCARD_E_NOT_TRANSACTED, ErrorKind::card_unresponsive, "the card gave no answer"},
    {SCARD_F_COMM_ERROR, ErrorKind::card_unresponsive, "the exchange with the card failed"},
    {SCARD_E_PROTO_MISMATCH, ErrorKind::card_unresponsive, "reader and card share no protocol"},
    {SCARD_E_TIMEOUT, ErrorKind::card_unresponsive, "the reader did not answer in time"},
    {SCARD_E_INSUFFICIENT_BUFFER, ErrorKind::card_unresponsive, "the card answered more than any APDU holds"},
    {SCARD_W_SECURITY_VIOLATION, ErrorKind::not_permitted, "pcscd refuses this user (polkit)"},
    {SCARD_W_CANCELLED_BY_USER, ErrorKind::cancelled, "PIN entry was cancelled at the reader"},
    {SCARD_E_NO_MEMORY, ErrorKind::limit, "pcscd is out of memory or of connections"},
});

tl::unexpected<Error> pcsc_error(LONG code, std::string_view reader) {
  const std::string in_reader = reader.empty() ? "" : " (reader \"" + std::string(reader) + "\")";
  for (const PcscRow& row : kPcscRows) {
    // Codes with the top bit set compare as 32 bits: some releases sign-extend them.
    if (static_cast<std::uint32_t>(row.code) == static_cast<std::uint32_t>(code)) {
      return fail(row.kind, std::string(row.meaning) + in_reader);
    }
  }
  return fail(ErrorKind::io, std::string("PC/SC error: ") + pcsc_stringify_error(code) + in_reader);
}

bool is(LONG code, LONG which) { return static_cast<std::uint32_t>(code) == static_cast<std::uint32_t>(which); }

// Context: one client of pcscd.
class Context {
 public:
  static Result<Context> establish() {
    SCARDCONTEXT handle = 0;
    LONG code = SCardEstablishContext(SCARD_SCOPE_SYSTEM, nullptr, nullptr, &handle);
    // pcsc-lite says the same of a pcscd that refuses and of one that was killed before it read the request; a second
    // try tells them apart.
    if (is(code, SCARD_W_SECURITY_VIOLATION)) {
      code = SCardEstablishContext(SCARD_SCOPE_SYSTEM, nullptr, nullptr, &handle);
    }
    if (code != SCARD_S_SUCCESS) return pcsc_error(code, "");
    return Context(handle);
  }
  Context(Context&& other) noexcept : handle_(std::exchange(other.handle_, 0)) {}
  Context& operator=(Context&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Context() {
    if (handle_ != 0) SCardReleaseContext(handle_);
  }
  SCARDCONTEXT get() const { return handle_; }

 private:
  explicit Context(SCARDCONTEXT handle) : handle_(handle) {}
  SCARDCONTEXT handle_;
};

Result<std::vector<std::string>> reader_names(const Context& context) {
  // The list may grow between asking for its size and asking for it.
  for (;;) {
    DWORD size = 0;
    LONG code = SCardListReaders(context.get(), nullptr, nullptr, &size);
    if (is(code, SCARD_E_NO_READERS_AVAILABLE)) return std::vector<std::string>();
    if (code != SCARD_S_SUCCESS) return pcsc_error(code, "");
    std::vector<char> multi(size);
    code = SCardListReaders(context.get(), nullptr, multi.data(), &size);
    if (is(code, SCARD_E_INSUFFICIENT_BUFFER)) continue;
    if (is(code, SCARD_E_NO_READERS_AVAILABLE)) return std::vector<std::string>();
    if (code != SCARD_S_SUCCESS) return pcsc_error(code, "");
    std::vector<std::string> names;
    for (std::size_t at = 0; at < multi.size() && multi[at] != 0;) {
      names.emplace_back(multi.data() + at, strnlen(multi.data() + at, multi.size() - at));
      at += names.back().size() + 1;
    }
    return names;
  }
}

Bytes atr_of(const SCARD_READERSTATE& state) {
  const std::size_t size = std::min<std::size_t>(state.cbAtr, sizeof state.rgbAtr);
  return {state.rgbAtr, state.rgbAtr + size};
}

}  // namespace

// PcscReaders::list ------------------------------------------------------------------------------

Result<std::vector<ReaderInfo>> PcscReaders::list() {
  const Context context = TRY(Context::establish());
  const std::vector<std::string> names = TRY(reader_names(context));
  std::vector<ReaderInfo> readers;
  if (names.empty()) return readers;
  std::vector<SCARD_READERSTATE> states(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    states[i] = {};
    states[i].szReader = names[i].c_str();
    states[i].dwCurrentState = SCARD_STATE_UNAWARE;
  }
  const LONG code = SCardGetStatusChange(context.get(), 0, states.data(), states.size());
  if (code != SCARD_S_SUCCESS && !is(code, SCARD_E_TIMEOUT)) return pcsc_error(code, "");
  for (std::size_t i = 0; i < names.size(); ++i) {
    const DWORD state = states[i].dwEventState;
    if ((state & (SCARD_STATE_UNKNOWN | SCARD_STATE_UNAVAILABLE)) != 0) continue;  // gone meanwhile
    ReaderInfo reader;
    reader.name = names[i];
    reader.card_present = (state & SCARD_STATE_PRESENT) != 0;
    reader.mute = (state & SCARD_STATE_MUTE) != 0;
    reader.exclusive = (state & SCARD_STATE_EXCLUSIVE) != 0;
    reader.in_use = (state & SCARD_STATE_INUSE) != 0;
    if (reader.card_present && !reader.mute) reader.atr = atr_of(states[i]);
    readers.push_back(std::move(reader));
  }
  return readers;
}

// The connection ---------------------------------------------------------------------------------

namespace {

// What the connection and its thread share. The thread may outlive the connection: a call into pcscd that hangs cannot
// be taken back, only abandoned. Every call on `card` is made by the thread.
struct Shared {
  std::mutex mutex;
  std::condition_variable wake;      // a job for the thread, or the end
  std::condition_variable done;      // the job is done
  std::function<void(Shared&)> job;  // set: the thread is to run it
  bool busy = false;
  bool abandoned = false;  // nobody waits any more: clean up and end

  std::optional<Context> context;
  SCARDHANDLE card = 0;
  DWORD protocol = 0;
  std::string reader;
  bool exclusive = false;
  bool in_transaction = false;
  // Where transactions are kept: the one under way belongs to nobody since its end(), and is let go at this time.
  milliseconds keep{0};
  std::optional<SteadyClock::time_point> kept_until;

  // Results of the last job.
  LONG code = SCARD_S_SUCCESS;
  bool was_reset = false;
  Bytes octets;
  Bytes buffer;  // as long as any answer
};

void end_transaction(Shared& shared) {
  if (shared.in_transaction) shared.code = SCardEndTransaction(shared.card, SCARD_LEAVE_CARD);
  shared.in_transaction = false;
}

void run_thread(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  const auto called = [&] { return shared->job || shared->abandoned; };
  for (;;) {
    if (shared->keep.count() == 0 || !shared->in_transaction) {
      shared->wake.wait(lock, called);
    } else {
      // end() does not wake this thread, which would cost every kept transaction a switch: it looks by itself.
      const auto now = SteadyClock::now();
      if (!shared->kept_until || *shared->kept_until > now) {
        shared->wake.wait_until(lock, shared->kept_until.value_or(now + shared->keep), called);
      }
      if (!called() && shared->kept_until && *shared->kept_until <= SteadyClock::now()) {
        shared->kept_until.reset();
        shared->job = end_transaction;
        shared->busy = true;
      }
      if (!called()) continue;
    }
    if (shared->abandoned) break;
    const auto job = std::exchange(shared->job, nullptr);
    lock.unlock();
    job(*shared);
    // A pcscd that was killed before it read the request looks like one that refuses: only that one still answers.
    if (is(shared->code, SCARD_W_SECURITY_VIOLATION) && shared->context && !reader_names(*shared->context)) {
      shared->code = SCARD_E_NO_SERVICE;
    }
    lock.lock();
    shared->busy = false;
    shared->done.notify_all();
  }
  lock.unlock();
  if (shared->card != 0) {
    end_transaction(*shared);
    SCardDisconnect(shared->card, SCARD_LEAVE_CARD);
  }
  wipe(shared->octets);
  wipe(shared->buffer);
}

// ISO 7816-3 §12.2.1: under T=0 a short case 4 command goes without its Le; the answer comes by GET RESPONSE.
ByteView without_le(ByteView command) {
  if (command.size() > 5 && command.size() == 6u + command[4]) return command.first(command.size() - 1);
  return command;
}

void transmit_job(Shared& shared, ByteView command) {
  shared.buffer.resize(kExtendedResponse + 2);
  const bool t0 = shared.protocol == SCARD_PROTOCOL_T0;
  const ByteView sent = t0 ? without_le(command) : command;
  DWORD size = shared.buffer.size();
  shared.code = SCardTransmit(shared.card, t0 ? SCARD_PCI_T0 : SCARD_PCI_T1, sent.data(), sent.size(), nullptr,
                              shared.buffer.data(), &size);
  const auto end = shared.buffer.begin() + (shared.code == SCARD_S_SUCCESS ? static_cast<std::ptrdiff_t>(size) : 0);
  shared.octets.assign(shared.buffer.begin(), end);
  wipe(MutableByteView(shared.buffer).first(shared.octets.size()));
  // Some drivers call an answer of nothing a success.
  if (shared.code == SCARD_S_SUCCESS && shared.octets.size() < 2) shared.code = SCARD_E_NOT_TRANSACTED;
  if (!is(shared.code, SCARD_E_NOT_TRANSACTED) && !is(shared.code, SCARD_F_COMM_ERROR)) return;
  // A card pulled out in mid-command looks like a silent one for as long as pcscd polls: wait for the news.
  constexpr milliseconds kNews{1500};
  SCARD_READERSTATE state = {};
  state.szReader = shared.reader.c_str();
  state.dwCurrentState = SCARD_STATE_UNAWARE;
  const auto deadline = SteadyClock::now() + kNews;
  for (auto left = kNews; left.count() > 0;
       left = std::chrono::duration_cast<milliseconds>(deadline - SteadyClock::now())) {
    const LONG code = SCardGetStatusChange(shared.context->get(), static_cast<DWORD>(left.count()), &state, 1);
    if (code != SCARD_S_SUCCESS) return;
    if ((state.dwEventState & SCARD_STATE_PRESENT) == 0) break;
    state.dwCurrentState = state.dwEventState & ~static_cast<DWORD>(SCARD_STATE_CHANGED);
  }
  if ((state.dwEventState & SCARD_STATE_PRESENT) == 0) shared.code = SCARD_W_REMOVED_CARD;
}

class PcscConnection final : public CardConnection {
 public:
  PcscConnection(std::string reader, PcscOptions options) : shared_(std::make_shared<Shared>()), options_(options) {
    shared_->reader = std::move(reader);
    shared_->exclusive = options.exclusive;
    shared_->keep = options.keep_transaction;
    std::thread([shared = shared_] { run_thread(shared); }).detach();
  }

  ~PcscConnection() override {
    std::unique_lock lock(shared_->mutex);
    // An orderly end waits until the card is let go, so that whoever comes next finds it free.
    if (!dead_ && wait(lock, options_.busy_timeout)) {
      post(lock, [](Shared& shared) {
        if (shared.card == 0) return;
        end_transaction(shared);
        SCardDisconnect(shared.card, SCARD_LEAVE_CARD);
        shared.card = 0;
        shared.context.reset();
      });
      wait(lock, options_.busy_timeout);
    }
    shared_->abandoned = true;
    shared_->wake.notify_all();
  }

  Status open() {
    TRY(call(options_.busy_timeout, "connecting to the card", [](Shared& shared) {
      auto context = Context::establish();
      if (!context) {
        shared.code = SCARD_E_NO_SERVICE;
        return;
      }
      shared.context = std::move(*context);
      shared.code = SCardConnect(shared.context->get(), shared.reader.c_str(),
                                 shared.exclusive ? SCARD_SHARE_EXCLUSIVE : SCARD_SHARE_SHARED,
                                 SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1, &shared.card, &shared.protocol);
      if (shared.code == SCARD_S_SUCCESS) read_atr(shared);
    }));
    atr_ = shared_->octets;
    return {};
  }

  Result<Bytes> transmit(ByteView command) override {
    // The job owns its copy: an abandoned thread may read it after the caller's is gone.
    return exchange(command, false);
  }
  Result<Bytes> transmit_sensitive(ByteView command) override { return exchange(command, true); }

  ByteView atr() const override { return atr_; }
  std::uint64_t transaction() const override { return depth_ > 0 ? transactions_ : 0; }
  unsigned session() const override { return session_; }
  std::string_view reader_name() const override { return shared_->reader; }

  PinPad pin_pad() override {
    const PinPadFeatures& features = pad_features();
    return {features.verify_direct.has_value(), features.modify_direct.has_value()};
  }

  Result<Bytes> enter_pin(PadEntry entry, ByteView structure) override {
    const PinPadFeatures& features = pad_features();
    const auto code = entry == PadEntry::verify ? features.verify_direct : features.modify_direct;
    if (!code) return CardConnection::enter_pin(entry, structure);
    TRY(call(kTyping, "waiting for a PIN at the reader",
             [code, owned = to_bytes(structure)](Shared& shared) { control(shared, *code, owned); }));
    const std::lock_guard lock(shared_->mutex);
    if (shared_->octets.size() < 2) return fail(ErrorKind::card_unresponsive, "the reader's PIN pad gave no answer");
    return shared_->octets;
  }

  Status reset() override {
    ++session_;
    TRY(call(options_.busy_timeout, "resetting the card", [](Shared& shared) { reconnect(shared, SCARD_RESET_CARD); }));
    atr_ = shared_->octets;
    return {};
  }

  Status begin() override {
    if (depth_ > 0) {
      ++depth_;
      return {};
    }
    const auto asked = SteadyClock::now();
    following_ = options_.keep_transaction.count() > 0 && asked - ended_ <= options_.keep_transaction;
    if (take_up()) {
      depth_ = 1;
      return {};
    }
    // Everybody who waits for the card looks at it once in this time.
    if (others_until_ > asked) std::this_thread::sleep_until(others_until_);
    const auto began = SteadyClock::now();
    TRY(call(
        options_.busy_timeout, "waiting for the card",
        [](Shared& shared) {
          shared.was_reset = false;
          shared.code = SCardBeginTransaction(shared.card);
          // Another program reset the card: take the new session up, once.
          if (is(shared.code, SCARD_W_RESET_CARD)) {
            reconnect(shared, SCARD_LEAVE_CARD);
            if (shared.code != SCARD_S_SUCCESS) return;
            shared.code = SCardBeginTransaction(shared.card);
            shared.was_reset = true;
          }
          shared.in_transaction = shared.code == SCARD_S_SUCCESS;
        },
        ErrorKind::card_busy));
    held_since_ = SteadyClock::now();
    if (shared_->was_reset || held_since_ - began >= kOthersMet) share_until_ = held_since_ + kSharing;
    if (shared_->was_reset) ++session_;
    depth_ = 1;
    ++transactions_;
    failed_ = false;
    return {};
  }

  void end() override {
    if (depth_ == 0 || --depth_ > 0) return;
    ended_ = SteadyClock::now();
    if (following_ && !failed_ && !dead_ && ended_ >= share_until_) {
      if (ended_ - held_since_ < kLongestKept) {
        const std::lock_guard lock(shared_->mutex);
        shared_->kept_until = ended_ + options_.keep_transaction;
        return;
      }
      others_until_ = ended_ + kOthersTurn;
    }
    end_now();
  }

  void let_go() override {
    if (depth_ > 0 || dead_) return;
    {
      const std::lock_guard lock(shared_->mutex);
      if (!shared_->kept_until && !shared_->busy) return;
      shared_->kept_until.reset();
    }
    end_now();
  }

 private:
  // Other programs look for a free card every 100 ms (PCSCLITE_LOCK_POLL_RATE of pcscd).
  static constexpr milliseconds kOthersTurn{110};
  // The longest a transaction is kept, while others may be waiting.
  static constexpr milliseconds kLongestKept{1000};
  // Who waits this long for the card has met another program, and keeps nothing for a while.
  static constexpr milliseconds kOthersMet{50};
  static constexpr milliseconds kSharing{2000};

  // Whether the last transaction has been kept until now.
  bool take_up() {
    if (options_.keep_transaction.count() == 0 || dead_) return false;
    const std::lock_guard lock(shared_->mutex);
    return std::exchange(shared_->kept_until, std::nullopt).has_value();
  }

  // Nothing can be done about a failure here, and the next call will tell.
  void end_now() { (void)call(options_.busy_timeout, "ending the transaction", end_transaction); }

  // Longer than any pad waits for the next key (pin_pad.cpp tells it how long).
  static constexpr milliseconds kTyping{180'000};

  static void control(Shared& shared, DWORD code, ByteView octets) {
    BYTE answer[MAX_BUFFER_SIZE];
    DWORD size = 0;
    shared.code = SCardControl(shared.card, code, octets.empty() ? nullptr : octets.data(), octets.size(), answer,
                               sizeof answer, &size);
    shared.octets.assign(answer, answer + (shared.code == SCARD_S_SUCCESS ? std::min<DWORD>(size, sizeof answer) : 0));
  }

  // PC/SC part 10 §2.2: CM_IOCTL_GET_FEATURE_REQUEST. Readers without features refuse it, which is no error.
  const PinPadFeatures& pad_features() {
    if (features_) return *features_;
    features_.emplace();
    Bytes answer;
    const Status asked = call(options_.busy_timeout, "asking for the reader's features", [](Shared& shared) {
      control(shared, SCARD_CTL_CODE(3400), {});
      if (shared.code != SCARD_S_SUCCESS) shared.octets.clear();
      shared.code = SCARD_S_SUCCESS;
    });
    if (!asked) return *features_;
    {
      const std::lock_guard lock(shared_->mutex);
      answer = shared_->octets;
    }
    if (auto told = parse_features(answer)) features_ = *told;
    return *features_;
  }

  static void read_atr(Shared& shared) {
    BYTE atr[MAX_ATR_SIZE];
    DWORD atr_size = sizeof atr, name_size = 0, state = 0;
    if (SCardStatus(shared.card, nullptr, &name_size, &state, &shared.protocol, atr, &atr_size) == SCARD_S_SUCCESS) {
      shared.octets.assign(atr, atr + atr_size);
    } else {
      shared.octets.clear();
    }
  }

  static void reconnect(Shared& shared, DWORD initialization) {
    shared.code = SCardReconnect(shared.card, shared.exclusive ? SCARD_SHARE_EXCLUSIVE : SCARD_SHARE_SHARED,
                                 SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1, initialization, &shared.protocol);
    if (shared.code == SCARD_S_SUCCESS) read_atr(shared);
  }

  void post(std::unique_lock<std::mutex>&, std::function<void(Shared&)> job) {
    shared_->job = std::move(job);
    shared_->busy = true;
    shared_->wake.notify_all();
  }
  // False: it did not come in time.
  bool wait(std::unique_lock<std::mutex>& lock, milliseconds timeout) {
    return shared_->done.wait_for(lock, timeout, [&] { return !shared_->busy; });
  }

  // Runs `job` on the thread. A job that comes back too late belongs to the thread alone: what it captures by
  // reference must be in here, and `dead_` keeps everybody else off.
  Status call(milliseconds timeout, std::string_view deed, std::function<void(Shared&)> job,
              ErrorKind late = ErrorKind::card_unresponsive) {
    if (dead_) {
      return fail(ErrorKind::card_unresponsive, "the card in reader \"" + shared_->reader + "\" has stopped answering",
                  "take the card out and put it back");
    }
    std::unique_lock lock(shared_->mutex);
    // The thread may be letting a kept transaction go.
    const bool free = wait(lock, timeout);
    if (free) {
      shared_->code = SCARD_S_SUCCESS;
      post(lock, std::move(job));
    }
    if (!free || !wait(lock, timeout)) {
      dead_ = true;
      std::string message = std::string(deed) + ": no answer within " + std::to_string(timeout.count() / 1000) + " s";
      if (late == ErrorKind::card_busy) message = "another program has held the card for too long";
      return fail(late, message + " (reader \"" + shared_->reader + "\")");
    }
    if (shared_->code != SCARD_S_SUCCESS) {
      failed_ = true;
      if (is(shared_->code, SCARD_W_RESET_CARD)) ++session_;
      return pcsc_error(shared_->code, shared_->reader);
    }
    return {};
  }

  Result<Bytes> exchange(ByteView command, bool sensitive) {
    auto owned = std::make_shared<SecretBytes>(SecretBytes::copy_of(command));
    TRY(call(options_.answer_timeout, "sending a command",
             [owned](Shared& shared) { transmit_job(shared, owned->expose_secret()); }));
    std::unique_lock lock(shared_->mutex);
    Bytes answer = shared_->octets;
    if (sensitive) wipe(shared_->octets);
    return answer;
  }

  std::shared_ptr<Shared> shared_;
  PcscOptions options_;
  Bytes atr_;
  unsigned session_ = 0, depth_ = 0;
  std::uint64_t transactions_ = 0;
  bool dead_ = false;
  std::optional<PinPadFeatures> features_;  // asked for once
  // For keeping transactions: since when pcscd has given us the card, when the last one ended for the caller, whether
  // this one follows it closely and has gone well, and until when the card is other programs'.
  SteadyClock::time_point held_since_{}, ended_{}, share_until_{}, others_until_{};
  bool following_ = false, failed_ = false;
};

}  // namespace

Result<std::unique_ptr<CardConnection>> PcscReaders::connect(std::string_view name) {
  // A program that finds no pcscd should hear so, not that a reader is missing.
  TRY(Context::establish());
  auto connection = std::make_unique<PcscConnection>(std::string(name), options_);
  TRY(connection->open());
  return std::unique_ptr<CardConnection>(std::move(connection));
}

// ReaderWatch ------------------------------------------------------------------------------------

std::string_view to_string(ReaderEvent::Kind kind) {
  switch (kind) {
    case ReaderEvent::Kind::pcscd_started:
      return "pcscd-started";
    case ReaderEvent::Kind::pcscd_stopped:
      return "pcscd-stopped";
    case ReaderEvent::Kind::reader_added:
      return "reader-added";
    case ReaderEvent::Kind::reader_removed:
      return "reader-removed";
    case ReaderEvent::Kind::card_inserted:
      return "card-inserted";
    case ReaderEvent::Kind::card_removed:
      return "card-removed";
    case ReaderEvent::Kind::card_mute:
      return "card-mute";
  }
  return "";
}

struct ReaderWatch::State {
  // The pseudo-reader whose state changes when readers come and go (PC/SC part 5, and pcsc-lite since 1.6).
  static constexpr const char* kPnp = "\\\\?PnP?\\Notification";
  // Longest single wait: stop() before a wait begins is seen after this at the latest.
  static constexpr milliseconds kSlice{500};
  // How often a missing pcscd is looked for.
  static constexpr milliseconds kRetry{250};

  struct Known {
    std::string name;
    DWORD state = SCARD_STATE_UNAWARE;
    bool present = false, mute = false;
  };

  std::optional<Context> context;
  std::vector<Known> readers;
  DWORD pnp_state = SCARD_STATE_UNAWARE;
  bool told_stopped = false, ever_asked = false;
  std::atomic<bool> stopping{false};
  std::atomic<SCARDCONTEXT> waiting{0};  // what stop() cancels
  int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

  ~State() {
    if (wake >= 0) close(wake);
  }

  void lose_service(std::vector<ReaderEvent>& events) {
    for (const Known& reader : readers) {
      if (reader.present && !reader.mute) events.push_back({ReaderEvent::Kind::card_removed, reader.name, {}});
      events.push_back({ReaderEvent::Kind::reader_removed, reader.name, {}});
    }
    readers.clear();
    context.reset();
    pnp_state = SCARD_STATE_UNAWARE;
    if (!told_stopped) events.push_back({ReaderEvent::Kind::pcscd_stopped, "", {}});
    told_stopped = true;
  }

  // Brings `readers` in step with pcscd's list. False: pcscd is gone.
  bool refresh_names(std::vector<ReaderEvent>& events) {
    const auto names = reader_names(*context);
    if (!names) return false;
    std::vector<Known> now;
    for (const std::string& name : *names) {
      const auto old = std::find_if(readers.begin(), readers.end(), [&](const Known& r) { return r.name == name; });
      if (old != readers.end()) {
        now.push_back(*old);
      } else {
        events.push_back({ReaderEvent::Kind::reader_added, name, {}});
        now.push_back({name, SCARD_STATE_UNAWARE, false, false});
      }
    }
    for (const Known& reader : readers) {
      if (std::find(names->begin(), names->end(), reader.name) != names->end()) continue;
      if (reader.present && !reader.mute) events.push_back({ReaderEvent::Kind::card_removed, reader.name, {}});
      events.push_back({ReaderEvent::Kind::reader_removed, reader.name, {}});
    }
    readers = std::move(now);
    return true;
  }

  void note(Known& reader, const SCARD_READERSTATE& state, std::vector<ReaderEvent>& events) {
    const bool present = (state.dwEventState & SCARD_STATE_PRESENT) != 0;
    const bool mute = present && (state.dwEventState & SCARD_STATE_MUTE) != 0;
    // The upper half counts insertions: a card swapped between two looks is a removal and an insertion.
    const bool swapped = present && reader.present && (state.dwEventState >> 16) != (reader.state >> 16) &&
                         reader.state != SCARD_STATE_UNAWARE;
    if (reader.present && (!present || swapped || (mute && !reader.mute))) {
      if (!reader.mute) events.push_back({ReaderEvent::Kind::card_removed, reader.name, {}});
      reader.present = false;
      reader.mute = false;
    }
    if (present && (!reader.present || (reader.mute && !mute))) {
      if (mute) {
        events.push_back({ReaderEvent::Kind::card_mute, reader.name, {}});
      } else {
        events.push_back({ReaderEvent::Kind::card_inserted, reader.name, atr_of(state)});
      }
    }
    reader.present = present;
    reader.mute = mute;
    reader.state = state.dwEventState & ~static_cast<DWORD>(SCARD_STATE_CHANGED);
  }

  // One look, waiting at most `slice`. False: pcscd is gone.
  bool look(milliseconds slice, std::vector<ReaderEvent>& events) {
    std::vector<SCARD_READERSTATE> states(readers.size() + 1);
    for (std::size_t i = 0; i < readers.size(); ++i) {
      states[i] = {};
      states[i].szReader = readers[i].name.c_str();
      states[i].dwCurrentState = readers[i].state;
    }
    states.back() = {};
    states.back().szReader = kPnp;
    states.back().dwCurrentState = pnp_state;
    waiting = context->get();
    if (stopping) slice = milliseconds(0);
    const LONG code =
        SCardGetStatusChange(context->get(), static_cast<DWORD>(slice.count()), states.data(), states.size());
    waiting = 0;
    if (is(code, SCARD_E_TIMEOUT) || is(code, SCARD_E_CANCELLED)) return true;
    if (is(code, SCARD_E_UNKNOWN_READER) || is(code, SCARD_E_READER_UNAVAILABLE)) return refresh_names(events);
    if (code != SCARD_S_SUCCESS) return false;
    bool names_changed = (states.back().dwEventState & SCARD_STATE_CHANGED) != 0;
    pnp_state = states.back().dwEventState & ~static_cast<DWORD>(SCARD_STATE_CHANGED);
    for (std::size_t i = 0; i < readers.size(); ++i) {
      if ((states[i].dwEventState & (SCARD_STATE_UNKNOWN | SCARD_STATE_UNAVAILABLE)) != 0) {
        names_changed = true;
      } else if ((states[i].dwEventState & SCARD_STATE_CHANGED) != 0) {
        note(readers[i], states[i], events);
      }
    }
    return !names_changed || refresh_names(events);
  }
};

ReaderWatch::ReaderWatch() : state_(std::make_unique<State>()) {}
ReaderWatch::~ReaderWatch() = default;

Result<std::vector<ReaderEvent>> ReaderWatch::next(milliseconds timeout) {
  State& state = *state_;
  std::vector<ReaderEvent> events;
  const auto deadline = SteadyClock::now() + timeout;
  while (!state.stopping) {
    const auto left =
        std::max(std::chrono::duration_cast<milliseconds>(deadline - SteadyClock::now()), milliseconds(0));
    if (!state.context) {
      auto context = Context::establish();
      if (context) {
        state.context = std::move(*context);
        state.told_stopped = false;
        events.push_back({ReaderEvent::Kind::pcscd_started, "", {}});
        if (!state.refresh_names(events)) state.lose_service(events);
        // States of the readers just found: the next look returns at once.
        if (state.context && !state.look(milliseconds(0), events)) state.lose_service(events);
        return events;
      }
      if (context.error().kind != ErrorKind::no_pcscd) return fail(std::move(context).error());
      if (!state.told_stopped) {
        state.told_stopped = true;
        events.push_back({ReaderEvent::Kind::pcscd_stopped, "", {}});
        return events;
      }
      pollfd wake{state.wake, POLLIN, 0};
      poll(&wake, 1, static_cast<int>(std::min(left, State::kRetry).count()));
    } else {
      if (!state.look(std::min(left, State::kSlice), events)) state.lose_service(events);
      if (!events.empty()) return events;
    }
    if (SteadyClock::now() >= deadline) break;
  }
  return events;
}

void ReaderWatch::stop() {
  state_->stopping = true;
  const std::uint64_t one = 1;
  if (write(state_->wake, &one, sizeof one) < 0) {
    // The counter is full: it is readable already.
  }
  if (const SCARDCONTEXT context = state_->waiting; context != 0) SCardCancel(context);
}

}  // namespace karta::card
