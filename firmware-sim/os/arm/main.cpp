// The firmware's main: start-up and the loop between the reader's interface and the card. A chip is formatted before
// this program is loaded, by the test program of the wafer; nothing here can do it again.
#include <new>

#include "firmware-sim/os/arm/chip_hal.h"
#include "firmware-sim/os/card.h"

extern "C" {
extern karta::os::u32 data_begin, data_end, data_image, bss_begin, bss_end, stack_top;
[[noreturn]] void reset_handler();
[[noreturn]] void trap();
[[noreturn]] void __cxa_pure_virtual();
}

// What the language names and this firmware never calls: no object is ever deleted, no abstract function called.
void trap() {
  for (;;) {
  }
}
void __cxa_pure_virtual() { trap(); }
void operator delete(void*) noexcept { trap(); }
void operator delete(void*, std::size_t) noexcept { trap(); }

namespace karta::os {
namespace {

// The reader's interface: a block of octets in, a block out, and the events of power and reset.
enum class Event : u32 { none, power_on_contact, power_on_contactless, reset_contact, reset_contactless, command };
struct Interface7816 {
  volatile u32 event;
  volatile u32 length;
  volatile u32 buffer;  // address of the octets to receive into and to send from
  volatile u32 send;    // writing 1 sends `length` octets
};
Interface7816& reader() { return *reinterpret_cast<Interface7816*>(0x40002000); }

u8 io_buffer[kMaxCommandBytes > kMaxResponseBytes ? kMaxCommandBytes : kMaxResponseBytes];
alignas(Card) u8 card_memory[sizeof(Card)];
alignas(ChipHal) u8 hal_memory[sizeof(ChipHal)];

void send(std::size_t length) {
  reader().length = static_cast<u32>(length);
  reader().send = 1;
}

[[noreturn]] void run() {
  ChipHal* hal = new (hal_memory) ChipHal;
  Card* card = new (card_memory) Card(*hal, kDefaultConfig);
  reader().buffer = static_cast<u32>(reinterpret_cast<std::uintptr_t>(io_buffer));
  for (;;) {
    bool answered = false;
    switch (static_cast<Event>(reader().event)) {
      case Event::none:
        continue;
      case Event::power_on_contact:
        answered = card->boot(Interface::contact);
        break;
      case Event::power_on_contactless:
        answered = card->boot(Interface::contactless);
        break;
      case Event::reset_contact:
        answered = card->reset(Interface::contact);
        break;
      case Event::reset_contactless:
        answered = card->reset(Interface::contactless);
        break;
      case Event::command:
        send(card->process({io_buffer, reader().length}, io_buffer));
        continue;
    }
    if (!answered) continue;  // mute
    copy(io_buffer, card->atr());
    send(card->atr().size());
  }
}

}  // namespace
}  // namespace karta::os

void reset_handler() {
  const karta::os::u32* from = &data_image;
  for (karta::os::u32* to = &data_begin; to != &data_end;) *to++ = *from++;
  for (karta::os::u32* to = &bss_begin; to != &bss_end;) *to++ = 0;
  karta::os::run();
}

namespace {
struct Vectors {
  karta::os::u32* stack;
  void (*handlers[15])();
};
}  // namespace
extern "C" [[gnu::section(".vectors"), gnu::used]] const Vectors vectors = {
    &stack_top, {reset_handler, trap, trap, trap, trap, trap, trap, trap, trap, trap, trap, trap, trap, trap, trap}};
