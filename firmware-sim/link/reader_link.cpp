#include "firmware-sim/link/reader_link.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "firmware-sim/link/vpcd_frame.h"

namespace karta::sim {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::steady_clock;

// How soon a port that nobody listens at is tried again: pcscd takes longer than this to start.
constexpr int kRetryMilliseconds = 20;

// Debian's vpcd sends a frame's length and its body in two segments, the second held back (Nagle) until the first is
// acknowledged, and the kernel leaves quick acknowledgement again after each answer we send. Without re-arming it
// before each receive, every command waits 40 ms for the delayed acknowledgement.
void arm_quick_acknowledgement(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

// pcscd looks for removed cards every 400 ms. A card that left and came back between two looks was never away, for it:
// it would go on with a card that has forgotten everything, or count it as mute.
constexpr std::chrono::milliseconds kAbsence{600};

constexpr unsigned kPollsWithoutPower = 4;

bool send_all(int socket, ByteView octets) {
  while (!octets.empty()) {
    const ssize_t sent = ::send(socket, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return false;
      pollfd writable{.fd = socket, .events = POLLOUT, .revents = 0};
      ::poll(&writable, 1, -1);
      continue;
    }
    octets = octets.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

ReaderLink::ReaderLink(unsigned number, ReaderAddress address, std::unique_ptr<CardDevice> card, ApduRecord* record)
    : number_(number),
      address_(std::move(address)),
      record_(record),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      card_(std::move(card)) {
  KARTA_CHECK(wake_ >= 0);
  thread_ = std::thread([this] { run(); });
}

ReaderLink::~ReaderLink() {
  ask([this] { stop_ = true; });
  thread_.join();
  ::close(wake_);
}

template <class Change>
void ReaderLink::ask(Change change) {
  {
    const std::lock_guard lock(mutex_);
    change();
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
}

void ReaderLink::insert() {
  ask([this] {
    if (!inserted_) been_usable_ = false;
    inserted_ = true;
    mute_ = false;
  });
}

void ReaderLink::remove() {
  ask([this] {
    inserted_ = been_usable_ = false;
    pulled_ = true;
  });
}

void ReaderLink::swap(std::unique_ptr<CardDevice> card) {
  ask([&] {
    replacement_ = std::move(card);
    inserted_ = true;
    mute_ = false;
    pulled_ = true;
  });
}

void ReaderLink::reset_card() {
  ask([this] { reset_ = true; });
}

void ReaderLink::cut_power_at(PowerCut cut) {
  ask([&] { cut_ = cut; });
}

bool ReaderLink::wait_for(LinkState state, std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, at_most, [&] {
    const bool settled = !pulled_ && !replacement_ && !reset_ && !cut_;
    if (!settled) return false;
    return state <= LinkState::removed ? state_ <= LinkState::removed : state_ >= state || been_usable_;
  });
}

LinkState ReaderLink::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

std::uint64_t ReaderLink::commands() const {
  const std::lock_guard lock(mutex_);
  return commands_;
}

void ReaderLink::become(LinkState state) {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == state) return;
    state_ = state;
    if (state == LinkState::usable) been_usable_ = true;
  }
  changed_.notify_all();
}

LinkState ReaderLink::out_of_reader() const {
  const std::lock_guard lock(mutex_);
  return mute_ ? LinkState::mute : LinkState::removed;
}

void ReaderLink::note(std::string_view event) {
  if (record_ != nullptr) record_->event(number_, event, event == "insert" ? card_->atr() : ByteView());
}

bool ReaderLink::wants_to_leave() const {
  const std::lock_guard lock(mutex_);
  return stop_ || pulled_ || !inserted_;
}

// Waits for a wish, at most so long (-1: as long as it takes).
void ReaderLink::wait_for_wish(int milliseconds) {
  pollfd waiting{.fd = wake_, .events = POLLIN, .revents = 0};
  ::poll(&waiting, 1, milliseconds);
}

// Takes over what can be done at any time between two commands.
void ReaderLink::take_wishes() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(wake_, &count, sizeof count);
  bool reset = false;
  {
    const std::lock_guard lock(mutex_);
    if (cut_) card_->cut_power_at(*cut_);
    cut_.reset();
    reset = std::exchange(reset_, false);
  }
  if (reset) {
    card_->reset();
    note("reset");
  }
  changed_.notify_all();
}

void ReaderLink::run() {
  for (;;) {
    take_wishes();
    bool inserted = false;
    {
      const std::lock_guard lock(mutex_);
      if (stop_) break;
      pulled_ = false;
      if (replacement_) card_ = std::move(replacement_);
      inserted = inserted_;
      // A card that has left by itself keeps this until it is inserted again.
      if (inserted) been_usable_ = false;
    }
    changed_.notify_all();
    if (!inserted) {
      become(out_of_reader());
      wait_for_wish(-1);
      continue;
    }
    if (const auto now = steady_clock::now(); now < not_before_) {
      become(LinkState::removed);
      wait_for_wish(static_cast<int>(duration_cast<std::chrono::milliseconds>(not_before_ - now).count()) + 1);
      continue;
    }
    const int socket = connect_to_reader();
    if (socket < 0) {
      become(LinkState::waiting);
      wait_for_wish(kRetryMilliseconds);
      continue;
    }
    note("insert");
    become(LinkState::connected);
    switched_on_ = false;
    presence_polls_ = 0;
    serve(socket);
    if (wants_to_leave()) not_before_ = steady_clock::now() + kAbsence;
    // Closed before the card's memory of the session is cleared: for the reader the card is simply gone.
    ::close(socket);
    card_->power_off();
    note("remove");
    become(out_of_reader());
  }
  become(out_of_reader());
}

// A connected socket, or -1 if nobody listens or a wish came first.
int ReaderLink::connect_to_reader() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return -1;
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(address_.port());
  if (::inet_pton(AF_INET, address_.host.c_str(), &to.sin_addr) == 1) {
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return socket;
    if (errno == EINPROGRESS) {
      std::array<pollfd, 2> waiting = {pollfd{.fd = socket, .events = POLLOUT, .revents = 0},
                                       pollfd{.fd = wake_, .events = POLLIN, .revents = 0}};
      ::poll(waiting.data(), waiting.size(), -1);
      int error = 0;
      socklen_t size = sizeof error;
      if (waiting[0].revents != 0 && ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0) {
        return socket;
      }
    }
  }
  ::close(socket);
  return -1;
}

void ReaderLink::serve(int socket) {
  VpcdFrameReader frames;
  std::array<pollfd, 2> waiting = {pollfd{.fd = socket, .events = POLLIN, .revents = 0},
                                   pollfd{.fd = wake_, .events = POLLIN, .revents = 0}};
  last_answer_ = steady_clock::now();
  for (;;) {
    arm_quick_acknowledgement(socket);
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    if (waiting[1].revents != 0) {
      if (wants_to_leave()) return;
      take_wishes();
    }
    if (waiting[0].revents == 0) continue;
    const MutableByteView space = frames.space();
    const ssize_t got = ::recv(socket, space.data(), space.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0) return;  // pcscd has gone
    frames.received(static_cast<std::size_t>(got));
    while (const auto payload = frames.next()) {
      if (!handle(socket, *payload)) return;
    }
  }
}

// False: the card does not start, and leaves the reader.
bool ReaderLink::switch_on() {
  card_->power_on();
  switched_on_ = true;
  note("power-on");
  if (!card_->atr().empty()) return true;
  note("mute");
  const std::lock_guard lock(mutex_);
  inserted_ = false;
  mute_ = true;
  return false;
}

// False: the card leaves the reader.
bool ReaderLink::handle(int socket, ByteView payload) {
  if (payload.size() > 1) return exchange(socket, payload);
  if (payload.empty()) return true;
  switch (static_cast<VpcdControl>(payload[0])) {
    case VpcdControl::power_off:
      switched_on_ = false;
      card_->power_off();
      note("power-off");
      return true;
    case VpcdControl::power_on:
      return switch_on();
    case VpcdControl::reset:
      card_->reset();
      note("reset");
      return true;
    case VpcdControl::atr:
      outgoing_.clear();
      append_vpcd_frame(outgoing_, card_->atr());
      if (!send_all(socket, outgoing_)) return false;
      // pcscd with vpcd asks a card it finds for its ATR twice, switches it on and asks again. If it only goes on
      // asking, it had not noticed that the card was away, and sends commands when a program has some.
      if (switched_on_ || ++presence_polls_ >= kPollsWithoutPower) become(LinkState::usable);
      return true;
  }
  return true;  // a control of a later driver: none of them wants an answer
}

bool ReaderLink::exchange(int socket, ByteView command) {
  // A reader that missed the card's absence goes on without switching it on: the card starts then, holding no rights.
  if (!switched_on_ && !switch_on()) return false;
  const auto arrived = steady_clock::now();
  const ByteView response = card_->process(command);
  const auto answered = steady_clock::now();
  bool leave = false;
  {
    const std::lock_guard lock(mutex_);
    ++commands_;
    if (response.empty()) inserted_ = false;
    leave = stop_ || pulled_ || !inserted_;
  }
  // Recorded before it is sent: whoever has seen the answer finds it in the record.
  if (record_ != nullptr) {
    record_->exchange(number_, command, leave ? ByteView() : response,
                      duration_cast<microseconds>(arrived - last_answer_),
                      duration_cast<microseconds>(answered - arrived), card_->last_command());
  }
  if (leave) {
    note("power-cut");
    return false;
  }
  outgoing_.clear();
  append_vpcd_frame(outgoing_, response);
  if (!send_all(socket, outgoing_)) return false;
  last_answer_ = steady_clock::now();
  return true;
}

}  // namespace karta::sim
