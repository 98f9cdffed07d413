// What the commands work on: memory, files, secrets, keys, and the session's selection, security state and environment.
#pragma once

#include "firmware-sim/os/access.h"
#include "firmware-sim/os/files.h"
#include "firmware-sim/os/hal.h"
#include "firmware-sim/os/keys.h"
#include "firmware-sim/os/nvm_journal.h"
#include "firmware-sim/os/secrets.h"
#include "firmware-sim/os/status_word.h"
#include "firmware-sim/os/tlv.h"

namespace karta::os {

enum class Interface : u8 { contact, contactless };

constexpr std::size_t kSerialBytes = 10;
constexpr std::size_t kMaxData = 2048;  // command or response data field

// The card's own life (7816-4 table 14 for the MF). It moves one way.
enum class CardLife : u8 {
  initialised = 0x03,   // blank: MyEID's administrative commands are open
  personalised = 0x05,  // issued: they are closed
};

// MSE SET: what PSO and GENERAL AUTHENTICATE will do, and with which key.
struct SecurityEnvironment {
  enum class Operation : u8 { none, sign, decipher, agree };
  Operation operation = Operation::none;
  u8 algorithm = 0;
  u8 key_slot = kNoSlot;
};

struct System {
  explicit System(Hal& chip) : hal(chip), journal(chip), files(journal), secrets(journal), keys(chip, journal, files) {}

  Hal& hal;
  NvmJournal journal;
  Files files;
  Secrets secrets;
  Keys keys;

  // Durable, kept in the root page.
  CardLife life = CardLife::initialised;
  bool activated = false;  // access rules of files in creation state apply
  u8 serial[kSerialBytes] = {};

  // The session.
  Interface interface = Interface::contact;
  SecurityState security;
  SecurityEnvironment environment;
  u8 current_df = kMasterFileSlot;
  u8 current_ef = kNoSlot;
  u8 application = kNoSlot;  // the last DF with a name that was selected
  u16 cryptogram_bytes = 0;  // first half of a cryptogram in two parts, MyEID's padding indicator 81
  u8 cryptogram[kMaxModulusBytes / 2];

  // Formats the memory and writes a blank card.
  Sw format(ByteView new_serial);
  // Recovers the memory and reads the root page.
  Sw load();
  // Inside a transaction.
  Sw store_root();
  // Inside a transaction of kMaxTransactionPages: a blank card's files and no reference data.
  Sw write_blank(const AccessRules& mf_rules, const AccessRules& esign_rules);

  void clear_session();

  // Selects a file. Entering another named DF than the last, itself or a file below it, clears the security state
  // (behaviour 14).
  void select(const File& file);
  // The current EF. 6986 when none is selected.
  Sw current_file(File& out);
  // 6985 for a file that is deactivated or terminated, itself or with a DF above it.
  Sw require_usable(const File& file);
  // 6982 when the file's rule is not satisfied. Rules sleep until the file or the card is activated.
  Sw require(const File& file, Right right) const;
  bool operational(const File& file) const { return activated || file.life == LifeCycle::activated; }

  // The change counter GET DATA 01A0 shows: kept in the journal's stamp, so that counting costs no write.
  u16 change_counter() const { return journal.stamp(); }
  // Its value after a change to `slot`: one more inside DF 5015, the same elsewhere.
  u16 counter_after_change(u8 slot);
};

}  // namespace karta::os
