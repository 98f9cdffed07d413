// Access rules and the security state they are judged against.
//
// A file carries three octets of rule nibbles, MyEID's tag 86: 0 always, F never, 1 to 14 the reference data that must
// have been verified; and beside them, tag A1, what channel and which terminal reading and updating need. Both must be
// satisfied. The judgement is System::require, over one state object.
#pragma once

#include "firmware-sim/os/bytes.h"

namespace karta::os {

// What a command wants to do to a file. The row says which nibble of tag 86 answers, counted from the left.
enum class Right : u8 {
  read = 0,        // transparent EF
  update = 1,      // transparent EF, key EF (import)
  remove = 2,      // any file; life-cycle changes too
  use = 0,         // key EF: sign, decipher, agree
  generate = 3,    // key EF
  debit = 4,       // ledger: under the nibble of reading, and a channel rule of its own
  create_df = 0,   // MF, DF
  create_ef = 1,   // MF, DF
  initialise = 2,  // MF: wipe
};

struct AccessRules {
  u8 octets[3] = {0, 0, 0};

  u8 nibble(Right right) const {
    const u8 index = static_cast<u8>(right == Right::debit ? Right::read : right);
    return index % 2 == 0 ? octets[index / 2] >> 4 : octets[index / 2] & 0x0F;
  }
};

constexpr u8 kConditionAlways = 0x0;
constexpr u8 kConditionNever = 0xF;

// What the channel must be.
enum class ChannelCondition : u8 {
  usual = 0x00,     // on the contacts nothing; over contactless, once issued, any channel
  free = 0x01,      // nothing
  channel = 0x02,   // any channel, on either interface
  role = 0x03,      // an authentication terminal after chip authentication, with the right
  terminal = 0x04,  // any terminal after terminal authentication
  sector = 0x05,    // an authentication terminal after chip authentication, with the right of its sector
  never = 0x0F,
};
constexpr u8 kOrIssuer = 0x80;  // added to a condition: or the channel of who administers the file
constexpr u8 kAnyRight = 0xFF;
constexpr u8 kSectorRights = 16;  // bits there are; no rule asks for "any" of them

struct ChannelRule {
  u8 octet = 0x00;       // condition, perhaps with kOrIssuer
  u8 right = kAnyRight;  // bit of the authorisation (TR-03110-4) with `role`, of the sector's rights with `sector`

  ChannelCondition condition() const { return static_cast<ChannelCondition>(octet & 0x0F); }
  bool is_default() const { return octet == 0x00; }
};

struct ChannelRules {
  ChannelRule read;    // reading an EF, using a key; of a DF: being seen in plain over contactless
  ChannelRule update;  // updating an EF, opening a ledger for a credit; generating and importing a key
  ChannelRule debit;   // opening a ledger for a debit

  bool is_default() const { return read.is_default() && update.is_default() && debit.is_default(); }
};

// Passwords of PACE by their reference (TR-03110-3 table B.2).
enum class Password : u8 { none = 0, can = 2, pin = 3, puk = 4 };

// Terminal types: the last arc of the object identifier in a CHAT (TR-03110-3 C.4).
enum class TerminalType : u8 { none = 0, inspection = 1, authentication = 2, signature = 3 };

// Bits of an authentication terminal's authorisation that the card itself asks for (TR-03110-4 section 2.2.3.2).
constexpr u8 kRightAge = 0;
constexpr u8 kRightMunicipality = 1;
constexpr u8 kRightRestrictedIdentification = 2;
constexpr u8 kRightCanAllowed = 4;
constexpr u8 kRightPinManagement = 5;

// What the other side has shown since the reset.
class SecurityState {
 public:
  // Forgets what was verified; the channel's facts stay: they end with the channel.
  void clear() { verified_ = 0; }
  void clear_all() { *this = {}; }

  void grant(u8 reference) { verified_ = static_cast<u16>(verified_ | 1U << reference); }
  void revoke(u8 reference) { verified_ = static_cast<u16>(verified_ & ~(1U << reference)); }
  bool verified(u8 reference) const { return (verified_ >> reference & 1U) != 0; }

  bool satisfies(u8 condition) const {
    return condition == kConditionAlways || (condition != kConditionNever && verified(condition));
  }

  // PACE has succeeded; what an earlier channel had shown is gone. A transport PIN opens a channel that is good for
  // nothing but replacing it.
  void open_channel(Password password, bool transport) {
    forget_channel();
    password_ = password;
    transport_ = transport;
  }
  void forget_channel() {
    password_ = Password::none;
    transport_ = false;
    forget_terminal();
  }
  // Terminal authentication has succeeded. The rights sleep until chip authentication has, too.
  void prove_terminal(TerminalType type, u64 rights, u16 sector_rights) {
    terminal_ = type;
    rights_ = rights;
    sector_rights_ = sector_rights;
    chip_authenticated_ = false;
  }
  void forget_terminal() { prove_terminal(TerminalType::none, 0, 0); }
  void authenticate_chip() { chip_authenticated_ = terminal_ != TerminalType::none; }

  Password password() const { return password_; }
  bool transport() const { return transport_; }
  TerminalType terminal() const { return terminal_; }
  bool chip_authenticated() const { return chip_authenticated_; }
  // An effective right of an authentication terminal.
  bool has_right(u8 bit) const {
    return chip_authenticated_ && terminal_ == TerminalType::authentication &&
           (bit == kAnyRight || (bit < 64 && (rights_ >> bit & 1U) != 0));
  }
  // An effective right of its sector (health, transit, departments).
  bool has_sector_right(u8 bit) const {
    return chip_authenticated_ && terminal_ == TerminalType::authentication && bit < kSectorRights &&
           (sector_rights_ >> bit & 1U) != 0;
  }

 private:
  u16 verified_ = 0;  // bit n: reference data n of the e-signature application
  Password password_ = Password::none;
  bool transport_ = false;
  bool chip_authenticated_ = false;
  TerminalType terminal_ = TerminalType::none;
  u64 rights_ = 0;  // effective, bit 0 the lowest of the CHAT's last octet
  u16 sector_rights_ = 0;
};

}  // namespace karta::os
