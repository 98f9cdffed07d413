// What the commands work on: memory, files, secrets, keys, and the session's selection, security state and environment.
#pragma once

#include "firmware-sim/os/access.h"
#include "firmware-sim/os/files.h"
#include "firmware-sim/os/hal.h"
#include "firmware-sim/os/key_sets.h"
#include "firmware-sim/os/keys.h"
#include "firmware-sim/os/ledger.h"
#include "firmware-sim/os/nvm_journal.h"
#include "firmware-sim/os/pace.h"
#include "firmware-sim/os/records.h"
#include "firmware-sim/os/secrets.h"
#include "firmware-sim/os/secure_messaging.h"
#include "firmware-sim/os/status_word.h"
#include "firmware-sim/os/symmetric_keys.h"
#include "firmware-sim/os/terminal_authentication.h"
#include "firmware-sim/os/tlv.h"
#include "firmware-sim/os/trust_anchors.h"

namespace karta::os {

enum class Interface : u8 { contact, contactless };

constexpr std::size_t kSerialBytes = 10;
constexpr std::size_t kMaxData = 2048;  // command or response data field
// Data of an answer that still fits once it is protected.
constexpr std::size_t kMaxPlainAnswer = kMaxData - kSealBytes;
// Beside a key at work there is room for an answer of this many octets: the longest RSA result.
constexpr std::size_t kAnswerBesideKey = kMaxModulusBytes;
// Working memory: the answer from its beginning, or the parts of a chain of commands; a key at its end.
constexpr std::size_t kWorkBytes = kAnswerBesideKey + kKeyBufferBytes;
static_assert(kWorkBytes >= kMaxData);

// The card's own life (7816-4 table 14 for the MF). It moves one way.
enum class CardLife : u8 {
  initialised = 0x03,   // blank: MyEID's administrative commands are open
  personalised = 0x05,  // issued: they are the issuer's, in its channel
  locked = 0x06,        // GlobalPlatform's CARD_LOCKED: nothing works but the card manager
  terminated = 0x0C,    // not even that
};

// Slot that `application` has while the card manager is selected; no file has it.
constexpr u8 kCardManagerSlot = 0xFD;

// MSE SET: what PSO and GENERAL AUTHENTICATE will do, and with which key.
struct SecurityEnvironment {
  enum class Operation : u8 {
    none,
    sign,
    decipher,
    agree,
    pace,
    chip_authentication,
    restricted_identification,
  };
  Operation operation = Operation::none;
  u8 algorithm = 0;
  u8 key_slot = kNoSlot;
};

struct System {
  explicit System(Hal& chip)
      : hal(chip),
        journal(chip),
        files(journal),
        secrets(journal),
        keys(chip, journal, files, ByteSpan(work).last(kKeyBufferBytes)),
        symmetric_keys(journal, files),
        records(journal, files),
        ledgers(journal, files),
        key_sets(journal, files),
        anchors(journal),
        channel(chip) {}

  Hal& hal;
  NvmJournal journal;
  Files files;
  Secrets secrets;
  Keys keys;
  SymmetricKeys symmetric_keys;
  Records records;
  Ledgers ledgers;
  KeySets key_sets;
  TrustAnchors anchors;
  u8 work[kWorkBytes] = {};

  // Durable, kept in the root page.
  CardLife life = CardLife::initialised;
  bool activated = false;  // access rules of files in creation state apply
  u8 serial[kSerialBytes] = {};

  // The session.
  Interface interface = Interface::contact;
  SecureChannel channel;
  SecurityState security;
  SecurityEnvironment environment;
  Pace pace;
  TerminalAuthentication terminal;
  LedgerSession ledger_session;
  u8 current_df = kMasterFileSlot;
  u8 current_ef = kNoSlot;
  u8 application = kNoSlot;          // the last DF with a name that was selected
  u8 personalised_domain = kNoSlot;  // the domain INSTALL [for personalization] has named
  u8 status_cursor = Files::kSlots;  // where GET STATUS goes on
  u16 cryptogram_bytes = 0;          // first half of a cryptogram in two parts, MyEID's padding indicator 81
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
  // Nothing selected but the MF, no security state, no environment; the channel stays.
  void forget_selection();
  // The secure channel is over, and every right that was shown in it or before (behaviours 16 and 17).
  void end_channel();
  // Another application is selected: what was verified for the last one is gone.
  void leave_application(bool keep_session_object = false);
  // After files were removed: the current file and application are those that are left.
  Sw forget_removed();

  bool issued() const { return life != CardLife::initialised; }
  // Durably: rules come into force, and the card's life moves to `to`, never back (6985). A card issued with a blank
  // card's keys still in place loses them in the same step, and a session under them its rights.
  Sw move_on(CardLife to);

  // True in an SCP03 session, its commands under MAC, with the keys of this owner: a domain's slot or kIssuer.
  bool administers(u8 owner) const;
  // 6982 unless the session is that of the file's owner, or the card is not issued and the file in no domain.
  Sw require_administrator(const File& file);

  // Selects a file. Entering another named DF than the last, itself or a file below it, clears the security state
  // (behaviour 14).
  void select(const File& file);
  // The current EF. 6986 when none is selected.
  Sw current_file(File& out);
  // 6985 for a file that is deactivated or terminated, itself or with a DF above it.
  Sw require_usable(const File& file);
  // 6982 when the file's rule is not satisfied. Rules sleep until the file or the card is activated.
  Sw require(const File& file, Right right);
  // True for a command in plain over contactless to an issued card: then nothing is given away.
  bool exposed() const { return issued() && interface == Interface::contactless && !channel.active(); }
  // False for a file that does not exist for whoever asks (behaviour 45).
  bool visible(const File& file) const;
  // ISO secure messaging of this kind is in force.
  bool channel_is(ChannelKind kind) const { return channel.kind() == kind; }
  // The password that opened the channel in force.
  Password channel_password() const;
  // The channel and the terminal in it satisfy the rule.
  bool channel_satisfies(const File& file, const ChannelRule& rule);
  bool in_identity_application();
  // GENERAL AUTHENTICATE with the chaining bit is a step of a protocol (or would be, had it not been broken off), not a
  // part of a longer command.
  bool steps() const {
    return environment.operation != SecurityEnvironment::Operation::agree &&
           environment.operation != SecurityEnvironment::Operation::chip_authentication;
  }
  bool operational(const File& file) const { return activated || file.life == LifeCycle::activated; }

  // The change counter GET DATA 01A0 shows: kept in the journal's stamp, so that counting costs no write.
  u16 change_counter() const { return journal.stamp(); }
  // Its value after a change to `slot`: one more inside DF 5015, the same elsewhere.
  u16 counter_after_change(u8 slot);
};

}  // namespace karta::os
