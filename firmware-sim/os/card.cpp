#include "firmware-sim/os/card.h"

#include "firmware-sim/os/commands.h"

namespace karta::os {
namespace {

// 3B 8A 80 01, ten historical bytes "KartaOsEID", check octet: T=0 and T=1 offered (7816-3 section 8.2).
constexpr u8 kAtrContact[] = {0x3B, 0x8A, 0x80, 0x01, 'K', 'a', 'r', 't', 'a', 'O', 's', 'E', 'I', 'D', 0x32};
// What a PC/SC reader builds for a contactless card (PC/SC part 3 section 3.1.3.2.3), historical bytes "KartaSim".
constexpr u8 kAtrContactless[] = {0x3B, 0x88, 0x80, 0x01, 'K', 'a', 'r', 't', 'a', 'S', 'i', 'm', 0x13};

constexpr u8 kGetResponse = 0xC0;
constexpr u8 kChainingBit = 0x10;

// What the end of personalisation leaves of a command.
enum class AfterIssue : u8 {
  open,
  session_objects,  // its handler goes on for session objects only
  closed,
};

// One row a command.
struct CommandRow {
  u8 ins;
  Handler handler;
  bool class_a0 = false;  // MyEID also sends it with CLA A0
  bool chaining = false;  // its data may come in parts
  AfterIssue after_issue = AfterIssue::open;
  bool plain_on_contact_only = false;  // carries a secret or a hash: not in plain over the air on an issued card
};

constexpr CommandRow kCommands[] = {
    {.ins = 0x04, .handler = deactivate_file, .after_issue = AfterIssue::closed},
    {.ins = 0x20, .handler = verify, .plain_on_contact_only = true},
    {.ins = 0x22, .handler = manage_security_environment},
    {.ins = 0x24, .handler = change_reference_data, .plain_on_contact_only = true},
    {.ins = 0x2A, .handler = perform_security_operation, .chaining = true, .plain_on_contact_only = true},
    {.ins = 0x2C, .handler = reset_retry_counter, .plain_on_contact_only = true},
    {.ins = 0x2E, .handler = logout},
    {.ins = 0x44, .handler = activate_file, .after_issue = AfterIssue::closed},
    {.ins = 0x46, .handler = generate_key_pair, .plain_on_contact_only = true},
    {.ins = 0x84, .handler = get_challenge},
    {.ins = 0x86, .handler = general_authenticate, .chaining = true, .plain_on_contact_only = true},
    {.ins = 0xA4, .handler = select_file},
    {.ins = 0xB0, .handler = read_binary},
    {.ins = 0xCA, .handler = get_data},
    {.ins = 0xD6, .handler = update_binary, .chaining = true, .plain_on_contact_only = true},
    {.ins = 0xDA, .handler = put_data, .chaining = true, .after_issue = AfterIssue::closed},
    {.ins = 0xE0, .handler = create_file, .chaining = true, .after_issue = AfterIssue::session_objects},
    {.ins = 0xE4, .handler = delete_file, .class_a0 = true, .after_issue = AfterIssue::session_objects},
    {.ins = 0xE6, .handler = terminate_df, .after_issue = AfterIssue::closed},
    {.ins = 0xE8, .handler = terminate_ef, .after_issue = AfterIssue::closed},
};

const CommandRow* find_command(u8 ins) {
  for (const CommandRow& row : kCommands) {
    if (row.ins == ins) return &row;
  }
  return nullptr;
}

// 7816-4 section 5.4.1: first interindustry class 000x xxxx is ours, channel 0 without secure messaging.
Sw check_class(u8 cla, bool class_a0) {
  if (cla == 0xA0 && class_a0) return Sw::ok;
  if ((cla & 0xE0) == 0x00) {
    if ((cla & 0x03) != 0) return Sw::channel_not_supported;
    return (cla & 0x0C) != 0 ? Sw::secure_messaging_not_supported : Sw::ok;
  }
  // Further interindustry class 01xx xxxx: channels 4 to 19.
  return (cla & 0xC0) == 0x40 ? Sw::channel_not_supported : Sw::class_not_supported;
}

bool keeps_data(Sw sw) { return sw == Sw::ok || static_cast<u16>(sw) >> 8 == 0x62; }

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
  reply_.clear();
  reply_sent_ = 0;
  return true;
}

void Card::power_off() {
  system_.clear_session();
  system_.journal.wipe_memory();
  drop_chain();
  reply_.clear();
  reply_sent_ = 0;
  on_ = false;
  mute_ = true;
}

ByteView Card::atr() const {
  if (!on_ || mute_) return {};
  return system_.interface == Interface::contact ? config_.atr_contact : config_.atr_contactless;
}

void Card::drop_chain() {
  wipe(ByteSpan(chain_).first(chain_bytes_));
  chain_bytes_ = 0;
  chain_open_ = false;
}

std::size_t Card::process(ByteView command, ByteSpan response) {
  if (!on_ || mute_ || response.size() < kMaxResponseBytes) return 0;
  system_.hal.account(Work::command, 1);

  std::size_t ne = 0;
  Sw sw = system_.journal.faulted() ? Sw::memory_failure : dispatch(command, ne);
  if (system_.journal.faulted()) sw = Sw::memory_failure;
  if (!reply_.ok()) sw = Sw::no_diagnosis;  // an answer longer than the buffer is the card's own fault
  if (!keeps_data(sw)) {
    reply_.clear();
    reply_sent_ = 0;
  }

  // Data beyond Ne waits for GET RESPONSE (7816-4 section 11.7.1).
  const ByteView rest = reply_.written().subspan(reply_sent_);
  const std::size_t n = rest.size() < ne ? rest.size() : ne;
  copy(response, rest.first(n));
  reply_sent_ += n;
  const std::size_t left = rest.size() - n;
  if (left != 0) {
    sw = static_cast<Sw>(static_cast<u16>(Sw::bytes_remaining) | (left > 0xFF ? 0 : left));
  } else {
    reply_.clear();
    reply_sent_ = 0;
  }
  write_u16(response.data() + n, static_cast<u16>(sw));
  system_.journal.wipe_memory();
  return n + 2;
}

Sw Card::dispatch(ByteView apdu, std::size_t& ne) {
  if (apdu.size() < 4) return Sw::wrong_length;
  const CommandRow* row = find_command(apdu[1]);
  if (const Sw sw = check_class(apdu[0], row != nullptr && row->class_a0); sw != Sw::ok) {
    drop_chain();
    return sw;
  }
  Command command;
  if (apdu.size() > kMaxCommandBytes || !parse_command(apdu, command) || command.data.size() > kMaxData) {
    drop_chain();
    reply_.clear();
    reply_sent_ = 0;
    return Sw::wrong_length;
  }
  const bool more = (command.cla & 0xF0) == kChainingBit;

  // 7816-4 section 11.7.1, GET RESPONSE.
  if (command.ins == kGetResponse) {
    drop_chain();
    if (command.p1_p2() != 0 || more) return Sw::incorrect_p1_p2;
    if (!command.data.empty() || command.ne == 0) return Sw::wrong_length;
    if (reply_.size() == reply_sent_) return Sw::conditions_not_satisfied;
    ne = command.ne;
    return Sw::ok;
  }
  reply_.clear();
  reply_sent_ = 0;
  if (row == nullptr) {
    drop_chain();
    return Sw::instruction_not_supported;
  }

  // 7816-4 section 5.3.3, command chaining. Another command than the one begun ends the chain.
  if (chain_open_ && (command.ins != chain_ins_ || command.p1_p2() != chain_p1_p2_)) drop_chain();
  if (!more && !chain_open_) return execute(command, ne);
  if (!row->chaining) {
    drop_chain();
    return Sw::chaining_not_supported;
  }
  if (command.data.size() > kMaxData - chain_bytes_) {
    drop_chain();
    return Sw::wrong_length;
  }
  chain_open_ = true;
  chain_ins_ = command.ins;
  chain_p1_p2_ = command.p1_p2();
  copy(ByteSpan(chain_).subspan(chain_bytes_), command.data);
  chain_bytes_ += command.data.size();
  if (more) return Sw::ok;

  command.data = ByteView(chain_).first(chain_bytes_);
  const Sw sw = execute(command, ne);
  drop_chain();
  return sw;
}

Sw Card::execute(const Command& command, std::size_t& ne) {
  const CommandRow* row = find_command(command.ins);
  const bool issued = system_.life == CardLife::personalised;
  if (issued && row->after_issue == AfterIssue::closed) return Sw::security_status_not_satisfied;
  if (issued && row->plain_on_contact_only && system_.interface == Interface::contactless) {
    return Sw::security_status_not_satisfied;
  }
  ne = command.ne;
  return row->handler(system_, command, reply_);
}

}  // namespace karta::os
