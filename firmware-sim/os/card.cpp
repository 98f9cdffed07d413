#include "firmware-sim/os/card.h"

#include "firmware-sim/os/commands.h"
#include "firmware-sim/os/scp03.h"

namespace karta::os {
namespace {

// 3B 8A 80 01, ten historical bytes "KartaOsEID", check octet: T=0 and T=1 offered (7816-3 section 8.2).
constexpr u8 kAtrContact[] = {0x3B, 0x8A, 0x80, 0x01, 'K', 'a', 'r', 't', 'a', 'O', 's', 'E', 'I', 'D', 0x32};
// What a PC/SC reader builds for a contactless card (PC/SC part 3 section 3.1.3.2.3), historical bytes "KartaSim".
constexpr u8 kAtrContactless[] = {0x3B, 0x88, 0x80, 0x01, 'K', 'a', 'r', 't', 'a', 'S', 'i', 'm', 0x13};

constexpr u8 kGetResponse = 0xC0;
constexpr u8 kSecurityBits = 0x0C;
constexpr u8 kGlobalPlatformSecured = 0x04;
constexpr u8 kIsoSecured = 0x0C;

// What the end of personalisation leaves of a command.
enum class AfterIssue : u8 {
  open,
  session_objects,  // its handler goes on for session objects, else as `issuer`
  issuer,           // in an SCP03 session; its handler asks whose
  issuer_secret,    // the same, and its data must have been encrypted
};

enum class CommandClass : u8 { iso, global_platform };  // 0x and 8x

}  // namespace

// One row a command.
struct CommandRow {
  CommandClass cls = CommandClass::iso;
  u8 ins;
  Handler handler;
  bool class_a0 = false;  // MyEID also sends it with CLA A0
  bool chaining = false;  // its data may come in parts
  AfterIssue after_issue = AfterIssue::open;
  CardLife last_life = CardLife::personalised;  // the last state of the card in which it works
  bool plain_over_air = false;  // on an issued card, over contactless, outside any channel; its handler judges further
};

namespace {

constexpr CommandRow kCommands[] = {
    {.ins = 0x04, .handler = deactivate_file, .after_issue = AfterIssue::issuer},
    {.ins = 0x20, .handler = verify},
    {.ins = 0x22, .handler = manage_security_environment, .plain_over_air = true},
    {.ins = 0x24, .handler = change_reference_data},
    {.ins = 0x2A, .handler = perform_security_operation, .chaining = true},
    {.ins = 0x2C, .handler = reset_retry_counter},
    {.ins = 0x2E, .handler = logout},
    {.ins = 0x44, .handler = activate_file, .after_issue = AfterIssue::issuer},
    {.ins = 0x46, .handler = generate_key_pair},
    {.ins = 0x82, .handler = external_authenticate},
    {.ins = 0x84, .handler = get_challenge, .plain_over_air = true},
    {.ins = 0x86, .handler = general_authenticate, .chaining = true, .plain_over_air = true},
    {.ins = 0x88, .handler = internal_authenticate, .plain_over_air = true},
    {.ins = 0xA4, .handler = select_file, .last_life = CardLife::locked, .plain_over_air = true},
    {.ins = 0xB0, .handler = read_binary, .plain_over_air = true},
    {.ins = 0xB2, .handler = read_record, .plain_over_air = true},
    {.ins = 0xCA, .handler = get_data, .last_life = CardLife::terminated},
    {.ins = 0xD6, .handler = update_binary, .chaining = true},
    {.ins = 0xDA, .handler = put_data, .chaining = true, .after_issue = AfterIssue::issuer_secret},
    {.ins = 0xDC, .handler = update_record},
    {.ins = 0xE0, .handler = create_file, .chaining = true, .after_issue = AfterIssue::session_objects},
    {.ins = 0xE2, .handler = append_record},
    {.ins = 0xE4, .handler = delete_file, .class_a0 = true, .after_issue = AfterIssue::session_objects},
    {.ins = 0xE6, .handler = terminate_df, .after_issue = AfterIssue::issuer},
    {.ins = 0xE8, .handler = terminate_ef, .after_issue = AfterIssue::issuer},

    {.cls = CommandClass::global_platform, .ins = 0x20, .handler = verify_auxiliary_data},
    {.cls = CommandClass::global_platform, .ins = 0x32, .handler = open_ledger, .plain_over_air = true},
    {.cls = CommandClass::global_platform, .ins = kInsCommit, .handler = commit_ledger, .plain_over_air = true},
    {.cls = CommandClass::global_platform, .ins = kInsRatify, .handler = ratify_ledger, .plain_over_air = true},
    {.cls = CommandClass::global_platform, .ins = 0x50, .handler = initialize_update, .last_life = CardLife::locked},
    {.cls = CommandClass::global_platform, .ins = 0x52, .handler = prepare_terminal},
    {.cls = CommandClass::global_platform, .ins = kInsCheck, .handler = check_opening, .chaining = true},
    {.cls = CommandClass::global_platform, .ins = kInsAuthorise, .handler = authorise_commit},
    {.cls = CommandClass::global_platform, .ins = kInsConfirm, .handler = confirm_commit},
    {.cls = CommandClass::global_platform, .ins = 0x5A, .handler = compute_settlement_code},
    {.cls = CommandClass::global_platform, .ins = 0x5C, .handler = derive_for_issuing},
    {.cls = CommandClass::global_platform,
     .ins = 0x82,
     .handler = external_authenticate_scp03,
     .last_life = CardLife::locked,
     .plain_over_air = true},
    {.cls = CommandClass::global_platform, .ins = 0xCA, .handler = get_data, .last_life = CardLife::terminated},
    {.cls = CommandClass::global_platform, .ins = 0xD8, .handler = put_key},
    {.cls = CommandClass::global_platform, .ins = 0xE2, .handler = store_data},
    {.cls = CommandClass::global_platform, .ins = 0xE4, .handler = delete_object},
    {.cls = CommandClass::global_platform, .ins = 0xE6, .handler = install},
    {.cls = CommandClass::global_platform, .ins = 0xF0, .handler = set_status, .last_life = CardLife::locked},
    {.cls = CommandClass::global_platform, .ins = 0xF2, .handler = get_status, .last_life = CardLife::locked},
};

const CommandRow* find_command(CommandClass cls, u8 ins) {
  for (const CommandRow& row : kCommands) {
    if (row.cls == cls && row.ins == ins) return &row;
  }
  return nullptr;
}

bool is_global_platform(u8 cla) { return (cla & 0xE0) == 0x80; }

// 7816-4 section 5.4.1: first interindustry class 000x xxxx, and the proprietary class 100x xxxx of the same structure
// (GlobalPlatform section 11.1.4), channel 0. 01xx xxxx are channels 4 to 19.
Sw check_class(u8 cla) {
  if ((cla & 0xC0) == 0x40) return Sw::channel_not_supported;
  if ((cla & ~kGlobalPlatformSecured) == 0xA0) return Sw::ok;
  if ((cla & 0x60) != 0) return Sw::class_not_supported;
  return (cla & 0x03) != 0 ? Sw::channel_not_supported : Sw::ok;
}

// The row of a command whose class is plain again. In a session class 80 also stands for 00.
Sw find_row(const Command& command, const CommandRow*& row) {
  if (command.cla == 0xA0) {
    row = find_command(CommandClass::iso, command.ins);
    if (row != nullptr && !row->class_a0) row = nullptr;
    return row == nullptr ? Sw::class_not_supported : Sw::ok;
  }
  if (is_global_platform(command.cla)) {
    row = find_command(CommandClass::global_platform, command.ins);
    if (row == nullptr && command.secured) row = find_command(CommandClass::iso, command.ins);
    return row != nullptr ? Sw::ok : command.secured ? Sw::instruction_not_supported : Sw::class_not_supported;
  }
  row = find_command(CommandClass::iso, command.ins);
  return row == nullptr ? Sw::instruction_not_supported : Sw::ok;
}

bool is_external_authenticate(const Command& command) {
  return (command.cla & ~kGlobalPlatformSecured) == 0x80 && command.ins == 0x82;
}

// Terminals that act for a server ask for the challenge first and bring their certificates afterwards.
bool belongs_to_terminal_authentication(const Command& command) {
  switch (static_cast<u32>(command.ins) << 16 | command.p1_p2()) {
    case 0x2281B6:
    case 0x2281A4:
    case 0x2A00BE:
    case 0x820000:
      return true;
    default:
      return false;
  }
}

// What is executed although it came in plain in the middle of a session, which it ends: another program begins with
// SELECT, a terminal begins again with INITIALIZE UPDATE or PACE.
bool begins_anew(const Command& command) {
  switch (command.cla << 8 | command.ins) {
    case 0x00A4:
    case 0x8050:
      return true;
    case 0x0022:
      return command.p1_p2() == 0xC1A4;
    default:
      return false;
  }
}

// True for the first part of a protected data field that was cut: its last object is not all there, so that it cannot
// be a part protected by itself.
bool cut_within_object(ByteView data) {
  TlvCursor cursor(data);
  for (Tlv object; cursor.next(object);) {
  }
  return !cursor.ok();
}

bool keeps_data(Sw sw) { return sw == Sw::ok || sw == Sw::more_data || static_cast<u16>(sw) >> 8 == 0x62; }

}  // namespace

const CardConfig kDefaultConfig = {.atr_contact = kAtrContact, .atr_contactless = kAtrContactless};

Card::Card(Hal& hal, const CardConfig& config) : config_(config), system_(hal) {}

Card::~Card() { power_off(); }

bool Card::format(std::span<const u8, kSerialBytes> serial) {
  power_off();
  const bool done = system_.format(serial) == Sw::ok;
  power_off();
  return done;
}

bool Card::boot(Interface interface) {
  power_off();
  on_ = true;
  mute_ = system_.hal.self_test() != HalStatus::ok || system_.load() != Sw::ok;
  return reset(interface);
}

bool Card::reset(Interface interface) {
  if (!on_ || mute_) return false;
  system_.clear_session();
  system_.interface = interface;
  drop_chain();
  drop_reply();
  return true;
}

void Card::power_off() {
  system_.clear_session();
  system_.journal.wipe_memory();
  drop_chain();
  drop_reply();
  wipe(system_.work);
  on_ = false;
  mute_ = true;
}

ByteView Card::atr() const {
  if (!on_ || mute_) return {};
  return system_.interface == Interface::contact ? config_.atr_contact : config_.atr_contactless;
}

void Card::drop_reply() {
  reply_.clear();
  reply_.limit(kMaxData);
  reply_sent_ = 0;
  reply_status_ = Sw::ok;
}

void Card::drop_chain() {
  wipe(ByteSpan(system_.work).first(chain_bytes_));
  chain_bytes_ = 0;
  chain_open_ = chain_fragments_ = false;
}

bool Card::continues_chain(const Command& command) const {
  return chain_open_ && command.ins == chain_ins_ && command.p1_p2() == chain_p1_p2_;
}

void Card::open_chain(const Command& command, bool fragments) {
  drop_chain();
  chain_open_ = true;
  chain_fragments_ = fragments;
  chain_ins_ = command.ins;
  chain_p1_p2_ = command.p1_p2();
}

bool Card::append_to_chain(ByteView part) {
  if (part.size() > kMaxData - chain_bytes_) return false;
  copy(ByteSpan(system_.work).subspan(chain_bytes_), part);
  chain_bytes_ += part.size();
  return true;
}

// The whole, moved to where an answer does not disturb it.
ByteView Card::take_chain(ByteSpan memory) {
  const std::size_t n = chain_bytes_;
  copy(memory, ByteView(system_.work).first(n));
  drop_chain();
  return memory.first(n);
}

void Card::end_session() {
  system_.end_channel();
  drop_chain();
}

std::size_t Card::process(ByteView command, ByteSpan response) {
  if (!on_ || mute_ || response.size() < kMaxResponseBytes) return 0;
  system_.hal.account(Work::command, 1);

  const ByteSpan memory = response.first(kMaxResponseBytes);
  Exchange exchange;
  Sw sw = system_.journal.faulted() ? Sw::memory_failure : dispatch(command, memory, exchange);
  if (system_.journal.faulted()) sw = Sw::memory_failure;
  if (exchange.foreign) {
    write_u16(memory.data(), static_cast<u16>(sw));
    return 2;
  }
  if (!reply_.ok()) sw = Sw::no_diagnosis;  // an answer longer than the buffer is the card's own fault
  if (!keeps_data(sw)) drop_reply();
  if (sw != Sw::ok) system_.ledger_session.end();
  wipe(memory);  // opened data, or a PIN in plain

  // A status word alone is protected in the terminal's memory, since the card's own may hold the parts of a chain.
  Writer alone(memory);
  Writer& out = reply_.size() == 0 ? alone : reply_;
  if (exchange.secured && system_.channel.active()) {
    reply_.limit(kMaxData);
    sw = seal(sw, exchange, out);
  }
  system_.channel.settle();

  std::size_t n = alone.size();
  if (&out == &reply_) {
    // Data beyond Ne waits for GET RESPONSE (7816-4 section 11.7.1).
    const ByteView rest = reply_.written().subspan(reply_sent_);
    n = rest.size() < exchange.ne ? rest.size() : exchange.ne;
    copy(memory, rest.first(n));
    reply_sent_ += n;
    const std::size_t left = rest.size() - n;
    if (left != 0) {
      reply_status_ = sw;
      sw = static_cast<Sw>(static_cast<u16>(Sw::bytes_remaining) | (left > 0xFF ? 0 : left));
    } else {
      drop_reply();
    }
  }
  write_u16(memory.data() + n, static_cast<u16>(sw));
  system_.journal.wipe_memory();
  return n + 2;
}

Sw Card::seal(Sw sw, const Exchange& exchange, Writer& out) {
  SecureChannel& channel = system_.channel;
  const Sw sealed = channel.kind() == ChannelKind::scp03 ? seal_scp03(system_.hal, channel.session(), out, sw)
                                                         : channel.seal_answer(out, sw, exchange.odd);
  if (sealed == Sw::ok) return sw;
  end_session();
  out.clear();
  drop_reply();
  return sealed;
}

Sw Card::dispatch(ByteView apdu, ByteSpan memory, Exchange& exchange) {
  Command command;
  const bool formed =
      parse_command(apdu, command) && apdu.size() <= kMaxCommandBytes && command.data.size() <= kMaxData;
  if (apdu.size() >= 4) {
    // A class that is not the card's changes nothing, not even an answer or a session under way (behaviour 15): a
    // reader's own commands, class FF, come through now and then.
    if (const Sw sw = check_class(command.cla); sw != Sw::ok) {
      exchange.foreign = true;
      return sw;
    }
  }

  // 7816-4 section 11.7.1, GET RESPONSE. As transport of an answer it is plain in a session, too.
  if (formed && command.cla == 0x00 && command.ins == kGetResponse && reply_.size() != reply_sent_) {
    if (command.p1_p2() != 0) return Sw::incorrect_p1_p2;
    if (!command.data.empty() || command.ne == 0) return Sw::wrong_length;
    exchange.ne = command.ne;
    return reply_status_;
  }
  drop_reply();
  // Challenges die with any other command (behaviour 19).
  if (!formed || !is_external_authenticate(command)) system_.channel.drop_prepared();
  if (!belongs_to_terminal_authentication(command)) system_.terminal.drop_challenge();
  // So does an opened ledger, and what a security module works on for one.
  if (!formed || !is_global_platform(command.cla) || !system_.ledger_session.continues_with(command.ins)) {
    system_.ledger_session.end();
  }

  exchange.ne = command.ne;
  exchange.odd = (command.ins & 1) != 0;
  if (const Sw sw = enter_channel(formed, command, memory, exchange); sw != Sw::ok) {
    if (!chain_fragments_) drop_chain();
    return sw == Sw::bytes_remaining ? Sw::ok : sw;
  }
  const CommandRow* row = nullptr;
  if (const Sw sw = find_row(command, row); sw != Sw::ok) {
    drop_chain();
    return command.ins == kGetResponse && sw == Sw::instruction_not_supported ? Sw::conditions_not_satisfied : sw;
  }
  return chain(*row, command, memory);
}

// 9000: go on with `command`. 61xx stands for a fragment taken, which is answered 9000 and no more.
Sw Card::enter_channel(bool formed, Command& command, ByteSpan memory, Exchange& exchange) {
  SecureChannel& channel = system_.channel;
  const u8 security = command.cla & kSecurityBits;
  if (channel.protects()) {
    const bool scp03 = channel.kind() == ChannelKind::scp03;
    if (formed && security == (scp03 ? kGlobalPlatformSecured : kIsoSecured)) {
      KARTA_OS_TRY(add_fragment(scp03, command, memory));
      const Sw sw =
          scp03 ? open_scp03(system_.hal, channel.session(), command, memory) : channel.open_command(command, memory);
      if (sw != Sw::ok) {
        end_session();
        return sw;
      }
      exchange.secured = true;
      if (exchange.ne == 0) exchange.ne = command.head.size() > 5 ? 65536 : 256;
      reply_.limit(kMaxPlainAnswer);
      return Sw::ok;
    }
    if (formed && is_external_authenticate(command) && channel.prepared().key_bytes != 0) {
      // INITIALIZE UPDATE came through this channel, as it must over contactless; here the one session ends and the
      // other begins.
      const ChannelSession prepared = channel.prepared();
      end_session();
      channel.prepared() = prepared;
    } else {
      end_session();
      if (!formed || security != 0 || !begins_anew(command)) return Sw::secure_messaging_expected;
    }
  }
  if (!formed) return Sw::wrong_length;
  if (security == 0 || (is_external_authenticate(command) && security == kGlobalPlatformSecured)) {
    command.cla = static_cast<u8>(command.cla & ~kSecurityBits);
    return Sw::ok;
  }
  if (channel.active()) end_session();
  return Sw::secure_messaging_not_supported;
}

// A protected data field that comes in parts: 9000 when `command` is whole, 61xx when there is more to come. SCP03
// protects the whole command always; ISO secure messaging perhaps each part by itself, with objects that are whole.
Sw Card::add_fragment(bool scp03, Command& command, ByteSpan memory) {
  const bool more = command.more();
  const u8 cla = static_cast<u8>(command.cla & ~kChainingBit);
  const bool continues = chain_fragments_ && continues_chain(command);
  if (!continues && (!more || (!scp03 && !cut_within_object(command.data)))) {
    if (chain_fragments_) drop_chain();
    return Sw::ok;
  }
  if (!continues) open_chain(command, true);
  if (!append_to_chain(command.data)) {
    end_session();
    return Sw::wrong_length;
  }
  if (more) return Sw::bytes_remaining;
  command.cla = cla;
  command.data = take_chain(memory);
  // The header of the whole, as the C-MAC was made over it.
  Writer head{ByteSpan(chain_head_)};
  const std::size_t n = command.data.size();
  for (const u8 octet : {cla, command.ins, command.p1, command.p2}) head.byte(octet);
  if (n > 0xFF) {
    head.byte(0);
    head.u16_be(static_cast<u16>(n));
  } else {
    head.byte(static_cast<u8>(n));
  }
  command.head = head.written();
  return Sw::ok;
}

// 7816-4 section 5.3.3, command chaining. Another command than the one begun ends the chain.
Sw Card::chain(const CommandRow& row, Command& command, ByteSpan memory) {
  if (!continues_chain(command)) drop_chain();
  // A step of a protocol announces the next one with the same bit.
  const bool step = row.handler == general_authenticate && system_.steps();
  if ((!command.more() || step) && !chain_open_) return execute(row, command);
  if (!row.chaining) {
    drop_chain();
    return Sw::chaining_not_supported;
  }
  if (!chain_open_) open_chain(command, false);
  if (!append_to_chain(command.data)) {
    drop_chain();
    return Sw::wrong_length;
  }
  if (command.more()) return Sw::ok;
  command.data = take_chain(memory);
  return execute(row, command);
}

Sw Card::execute(const CommandRow& row, const Command& command) {
  if (system_.life > row.last_life) return Sw::conditions_not_satisfied;
  if (system_.issued()) {
    const ChannelSession& session = system_.channel.session();
    const bool administered = command.secured && session.kind == ChannelKind::scp03 && session.authenticated;
    // Activating and deactivating a password is not administering: its handler asks for a right of the terminal's.
    const bool password = command.p1 == kPasswordObject && (command.ins == 0x04 || command.ins == 0x44);
    if ((row.after_issue == AfterIssue::issuer || row.after_issue == AfterIssue::issuer_secret) && !administered &&
        !password) {
      return Sw::security_status_not_satisfied;
    }
    if (row.after_issue == AfterIssue::issuer_secret && (session.level & kCommandDecryption) == 0) {
      return Sw::security_status_not_satisfied;
    }
    if (system_.interface == Interface::contactless && !command.secured && !row.plain_over_air) {
      return Sw::security_status_not_satisfied;
    }
  }
  const Sw sw = row.handler(system_, command, reply_);
  if (sw != Sw::ok) system_.channel.drop_prepared();
  return sw;
}

}  // namespace karta::os
