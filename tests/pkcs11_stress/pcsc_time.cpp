#include "tests/pkcs11_stress/pcsc_time.h"

#include <dlfcn.h>
#include <winscard.h>

#include <atomic>
#include <chrono>
#include <mutex>

#include "tests/pkcs11_stress/module.h"

namespace karta::pkcs11_stress {
namespace {

// Never destroyed: the module's threads call in until the process ends.
struct Clock {
  std::mutex mutex;
  int inside = 0;
  std::int64_t since = 0, before = 0;
  std::atomic<std::uint64_t> calls{0};
};
Clock& clock() {
  static Clock* const only = new Clock;
  return *only;
}

class Inside {
 public:
  Inside() {
    ++clock().calls;
    const std::lock_guard lock(clock().mutex);
    if (clock().inside++ == 0) clock().since = steady_now();
  }
  ~Inside() {
    const std::lock_guard lock(clock().mutex);
    if (--clock().inside == 0) clock().before += steady_now() - clock().since;
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
};

template <class Function>
Function* real(Function*, const char* name) {
  static void* const library = dlopen("libpcsclite.so.1", RTLD_NOW | RTLD_LOCAL);
  void* const found = library == nullptr ? nullptr : dlsym(library, name);
  if (found == nullptr) fault(std::string("no ") + name + " in libpcsclite.so.1");
  return reinterpret_cast<Function*>(found);
}

}  // namespace

std::int64_t steady_now() { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::microseconds(1); }

std::int64_t pcscd_time(std::int64_t now) {
  const std::lock_guard lock(clock().mutex);
  return clock().before + (clock().inside > 0 && now > clock().since ? now - clock().since : 0);
}

std::uint64_t pcsc_calls() { return clock().calls; }

// A fork finds the clock unlocked in the child: the module keeps its threads out of PC/SC around it, and nobody else
// asks for the time but the watchdog, whose lock would stay behind locked.
namespace {
const int fork_watched =
    pthread_atfork([] { clock().mutex.lock(); }, [] { clock().mutex.unlock(); }, [] { clock().mutex.unlock(); });
}

}  // namespace karta::pkcs11_stress

#define REAL(function) \
  static auto* const next = karta::pkcs11_stress::real(static_cast<decltype(&function)>(nullptr), #function)

extern "C" {

LONG SCardEstablishContext(DWORD scope, LPCVOID first, LPCVOID second, LPSCARDCONTEXT context) {
  REAL(SCardEstablishContext);
  const karta::pkcs11_stress::Inside inside;
  return next(scope, first, second, context);
}
LONG SCardReleaseContext(SCARDCONTEXT context) {
  REAL(SCardReleaseContext);
  const karta::pkcs11_stress::Inside inside;
  return next(context);
}
LONG SCardListReaders(SCARDCONTEXT context, LPCSTR groups, LPSTR readers, LPDWORD size) {
  REAL(SCardListReaders);
  const karta::pkcs11_stress::Inside inside;
  return next(context, groups, readers, size);
}
LONG SCardGetStatusChange(SCARDCONTEXT context, DWORD timeout, SCARD_READERSTATE* states, DWORD count) {
  REAL(SCardGetStatusChange);
  const karta::pkcs11_stress::Inside inside;
  return next(context, timeout, states, count);
}
LONG SCardConnect(SCARDCONTEXT context, LPCSTR reader, DWORD share, DWORD protocols, LPSCARDHANDLE card,
                  LPDWORD protocol) {
  REAL(SCardConnect);
  const karta::pkcs11_stress::Inside inside;
  return next(context, reader, share, protocols, card, protocol);
}
LONG SCardReconnect(SCARDHANDLE card, DWORD share, DWORD protocols, DWORD initialization, LPDWORD protocol) {
  REAL(SCardReconnect);
  const karta::pkcs11_stress::Inside inside;
  return next(card, share, protocols, initialization, protocol);
}
LONG SCardDisconnect(SCARDHANDLE card, DWORD disposition) {
  REAL(SCardDisconnect);
  const karta::pkcs11_stress::Inside inside;
  return next(card, disposition);
}
LONG SCardBeginTransaction(SCARDHANDLE card) {
  REAL(SCardBeginTransaction);
  const karta::pkcs11_stress::Inside inside;
  return next(card);
}
LONG SCardEndTransaction(SCARDHANDLE card, DWORD disposition) {
  REAL(SCardEndTransaction);
  const karta::pkcs11_stress::Inside inside;
  return next(card, disposition);
}
LONG SCardStatus(SCARDHANDLE card, LPSTR name, LPDWORD name_size, LPDWORD state, LPDWORD protocol, LPBYTE atr,
                 LPDWORD atr_size) {
  REAL(SCardStatus);
  const karta::pkcs11_stress::Inside inside;
  return next(card, name, name_size, state, protocol, atr, atr_size);
}
LONG SCardTransmit(SCARDHANDLE card, const SCARD_IO_REQUEST* send, LPCBYTE command, DWORD size,
                   SCARD_IO_REQUEST* receive, LPBYTE answer, LPDWORD answer_size) {
  REAL(SCardTransmit);
  const karta::pkcs11_stress::Inside inside;
  return next(card, send, command, size, receive, answer, answer_size);
}

}  // extern "C"
