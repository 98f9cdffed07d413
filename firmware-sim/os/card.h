// The card: an operating system on one Hal, from power-on to power-off.
//
//   Card card(hal, kDefaultConfig);
//   card.format(serial);                    // once in a chip's life: writes a blank card
//   if (card.boot(Interface::contact))      // power on; false: the card stays mute
//     n = card.process(command, response);
//   card.power_off();
//
// All memory is inside the object (no heap); make it static, it is about ten kilobytes. Not thread-safe.
#ifndef KARTA_FIRMWARE_SIM_OS_CARD_H_
#define KARTA_FIRMWARE_SIM_OS_CARD_H_

#include "firmware-sim/os/bytes.h"
#include "firmware-sim/os/hal.h"

namespace karta::os {

enum class Interface : u8 { contact, contactless };

// What a chip is built with. The views must outlive the card (constants, as a rule).
struct CardConfig {
  ByteView atr_contact;      // answer to reset on the contacts
  ByteView atr_contactless;  // what a contactless reader makes of the card's activation (PC/SC part 3)
};

// Contact historical bytes "KartaOsEID" (OpenSC picks its MyEID driver by the last five), contactless "KartaSim".
extern const CardConfig kDefaultConfig;

constexpr std::size_t kSerialBytes = 10;
constexpr std::size_t kMaxData = 2048;                          // command or response data field
constexpr std::size_t kMaxCommandBytes = 4 + 3 + kMaxData + 2;  // extended case 4
constexpr std::size_t kMaxResponseBytes = kMaxData + 2;         // data and status word

class Card {
 public:
  Card(Hal& hal, const CardConfig& config);
  Card(const Card&) = delete;
  Card& operator=(const Card&) = delete;
  ~Card();  // as power_off()

  // Writes a blank card over whatever the memory holds: MF, EF.ATR with 7F66, an empty EF.DIR, DF 5015 with the
  // PKCS #15 AID, no PIN. Everything is open, as pkcs15-init expects, until ACTIVATE. Leaves the card powered off.
  // False when the memory cannot be written or is too small (64 pages).
  bool format(std::span<const u8, kSerialBytes> serial);

  // Power on: self-test, recovery of the memory after a cut, then as reset(). False leaves the card mute: no ATR, no
  // answers. Recovery may itself be cut and repeated any number of times.
  bool boot(Interface interface);

  // Warm reset: the security state is empty, nothing is selected but the MF. False when the card is mute or off.
  bool reset(Interface interface);

  // Wipes all session state and secrets in RAM.
  void power_off();

  // Answer to reset of the current interface; empty when the card is off or mute.
  ByteView atr() const;

  // One command APDU in, one response APDU out (ISO 7816-4, short and extended). `response` holds at least
  // kMaxResponseBytes and may be the memory `command` lies in. Returns the octets written, at least the two of the
  // status word; 0 when the card is off or mute. After a hardware fault every command answers 6581 until the next boot.
  std::size_t process(ByteView command, ByteSpan response);
};

}  // namespace karta::os

#endif  // KARTA_FIRMWARE_SIM_OS_CARD_H_
