// The card: an operating system on one Hal, from power-on to power-off.
//
//   Card card(hal, kDefaultConfig);
//   card.format(serial);                    // once in a chip's life: writes a blank card
//   if (card.boot(Interface::contact))      // power on; false: the card stays mute
//     n = card.process(command, response);
//   card.power_off();
//
// All memory is inside the object (no heap); make it static, it is about six kilobytes. Not thread-safe.
#pragma once

#include "firmware-sim/os/apdu.h"
#include "firmware-sim/os/bytes.h"
#include "firmware-sim/os/hal.h"
#include "firmware-sim/os/system.h"

namespace karta::os {

// What a chip is built with. The views must outlive the card (constants, as a rule).
struct CardConfig {
  ByteView atr_contact;      // answer to reset on the contacts
  ByteView atr_contactless;  // what a contactless reader makes of the card's activation (PC/SC part 3)
};

// Contact historical bytes "KartaOsEID" (OpenSC picks its MyEID driver by the last five), contactless "KartaSim".
extern const CardConfig kDefaultConfig;

constexpr std::size_t kMaxCommandBytes = 4 + 3 + kMaxData + 2;  // extended case 4
constexpr std::size_t kMaxResponseBytes = kMaxData + 2;         // data and status word

struct CommandRow;

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
  // kMaxResponseBytes and may be the memory `command` lies at the beginning of; the card works in it, and wipes what it
  // does not answer. Returns the octets written, at least the two of the
  // status word; 0 when the card is off or mute. After a hardware fault every command answers 6581 until the next boot.
  std::size_t process(ByteView command, ByteSpan response);

 private:
  // What one command came with.
  struct Exchange {
    std::size_t ne = 0;    // octets the terminal takes, of the APDU itself
    bool secured = false;  // the answer goes back through the channel
    bool odd = false;      // instruction
    bool foreign = false;  // a class that is not the card's
  };
  Sw dispatch(ByteView apdu, ByteSpan memory, Exchange& exchange);
  // The channel's part: a protected command is opened, a plain one in a session ends it.
  Sw enter_channel(bool formed, Command& command, ByteSpan memory, Exchange& exchange);
  Sw add_fragment(bool scp03, Command& command, ByteSpan memory);
  Sw chain(const CommandRow& row, Command& command, ByteSpan memory);
  Sw execute(const CommandRow& row, const Command& command);
  Sw seal(Sw sw, const Exchange& exchange, Writer& out);
  void end_session();
  bool continues_chain(const Command& command) const;
  void open_chain(const Command& command, bool fragments);
  bool append_to_chain(ByteView part);
  ByteView take_chain(ByteSpan memory);
  void drop_chain();
  void drop_reply();

  const CardConfig& config_;
  System system_;
  bool on_ = false;
  bool mute_ = true;

  // A chain of commands (7816-4 section 5.3.3): header of its first; its data so far is in the working memory.
  bool chain_open_ = false;
  bool chain_fragments_ = false;  // parts of one protected data field, not protected each
  u8 chain_ins_ = 0;
  u16 chain_p1_p2_ = 0;
  std::size_t chain_bytes_ = 0;
  u8 chain_head_[7] = {};

  // The answer under way, in the working memory, and how much of it has been fetched.
  Writer reply_{ByteSpan(system_.work).first(kMaxData)};
  std::size_t reply_sent_ = 0;
  Sw reply_status_ = Sw::ok;  // what its last part ends with
};

}  // namespace karta::os
