#include "firmware-sim/os/pace.h"

#include "firmware-sim/os/commands.h"

namespace karta::os {
namespace {

constexpr std::size_t kNonceBytes = 16;
constexpr u16 kCardAccessFileId = 0x011C;
constexpr u8 kPaceVersion = 2;

// Consecutive failures from which on a wrong CAN has to wait, and how long.
constexpr u8 kPatientFailures = 2;
constexpr u32 kWaitMilliseconds = 1000;

// Where the parts of the last step lie in Pace::work.
constexpr std::size_t kKeyMacOffset = kMaxAesKeyBytes;
constexpr std::size_t kTheirTokenOffset = 2 * kMaxAesKeyBytes;
constexpr std::size_t kOurTokenOffset = kTheirTokenOffset + kTokenBytes;

struct PasswordRow {
  Password password;
  u8 index;  // of the record
};
constexpr PasswordRow kPasswords[] = {
    {.password = Password::can, .index = kCan},
    {.password = Password::pin, .index = kPin1},
    {.password = Password::puk, .index = kSharedPuk},
};

bool find_password(u8 reference, PasswordRow& out) {
  for (const PasswordRow& row : kPasswords) {
    if (static_cast<u8>(row.password) != reference) continue;
    out = row;
    return true;
  }
  return false;
}

u8 index_of(Password password) {
  PasswordRow row = kPasswords[0];
  find_password(static_cast<u8>(password), row);
  return row.index;
}

// What MSE SET carries.
struct Request {
  ByteView protocol;
  ByteView password;
  ByteView chat;
  ByteView extensions;  // 65, announced with CHAT
  ByteView domain;
};

bool parse_request(ByteView data, Request& out) {
  TlvCursor cursor(data);
  for (Tlv object; cursor.next(object);) {
    ByteView* field = object.tag == 0x80     ? &out.protocol
                      : object.tag == 0x83   ? &out.password
                      : object.tag == 0x7F4C ? &out.chat
                      : object.tag == 0x65   ? &out.extensions
                      : object.tag == 0x84   ? &out.domain
                                             : nullptr;
    if (field == nullptr || field->data() != nullptr || object.value.empty()) return false;
    *field = object.value;
  }
  return cursor.ok() && !out.protocol.empty() && out.password.size() == 1 && out.domain.size() <= 1;
}

// The PACEInfo of EF.CardAccess that names the protocol and, where the terminal gave one, the domain parameters
// (TR-03110-3 A.1.1.1). A terminal, or somebody on the line, that asks for anything else is refused: what the card
// announces is signed elsewhere and compared.
Sw find_announced(System& card, const Request& request, Writer& scratch, u8& domain) {
  File file;
  if (card.files.find_child(kMasterFileSlot, kCardAccessFileId, file) != Sw::ok || file.kind != FileKind::transparent ||
      file.size > kMaxPlainAnswer) {
    return Sw::referenced_data_not_found;
  }
  const ByteSpan content = scratch.claim(file.size);
  if (content.empty()) return Sw::referenced_data_not_found;
  KARTA_OS_TRY(card.files.read(file, 0, content));
  ByteView rest = content;
  ByteView infos;
  if (!take(rest, 0x31, infos)) return Sw::referenced_data_not_found;
  ByteView info;
  while (take(infos, 0x30, info)) {
    ByteView oid;
    ByteView version;
    ByteView id;
    if (!take(info, 0x06, oid) || !equal(oid, request.protocol)) continue;
    if (!take(info, 0x02, version) || version.size() != 1 || version[0] != kPaceVersion) continue;
    if (!take(info, 0x02, id) || id.size() != 1) continue;
    if (!request.domain.empty() && request.domain[0] != id[0]) continue;
    domain = id[0];
    return Sw::ok;
  }
  return Sw::incorrect_data;
}

// How a password stands. What MSE SET tells of it, and whether the protocol may go on.
struct PasswordState {
  Sw announced = Sw::ok;
  Sw usable = Sw::ok;
};

Sw judge(System& card, Password password, PasswordState& out) {
  Secret secret;
  KARTA_OS_TRY(card.secrets.load(index_of(password), secret));
  if (!secret.is_set()) return Sw::referenced_data_not_found;
  out = {};
  if (password == Password::can) return Sw::ok;
  if (secret.tries == 0) out = {.announced = tries_left(0), .usable = Sw::method_blocked};
  if (password != Password::pin) return Sw::ok;
  if (secret.is_deactivated()) {
    out = {.announced = Sw::file_deactivated, .usable = Sw::reference_data_not_usable};
  } else if (secret.tries < secret.max_tries) {
    out.announced = tries_left(secret.tries);
    // Suspended: somebody who never held the card must not take the last try (behaviour 11).
    if (secret.tries == 1 && card.channel_password() != Password::can) out.usable = Sw::conditions_not_satisfied;
  }
  return Sw::ok;
}

// 7C 00 in, 7C {80 encrypted nonce} out.
Sw send_nonce(System& card, ByteView data, Writer& reply) {
  Pace& pace = card.pace;
  if (!data.empty()) return Sw::incorrect_data;
  PasswordState state;
  KARTA_OS_TRY(judge(card, pace.password, state));
  KARTA_OS_TRY(state.usable);

  u8 password[sizeof Secret::value];
  const WipeOnExit wipe_password(password);
  u8 key[kMaxAesKeyBytes];
  const WipeOnExit wipe_key(key);
  const ByteSpan key_octets = ByteSpan(key).first(aes_key_bytes(pace.number));
  std::size_t length = 0;
  KARTA_OS_TRY(card.secrets.password(index_of(pace.password), password, length));
  KARTA_OS_TRY(derive_key(card.hal, ByteView(password).first(length), {}, kDerivePassword, key_octets));

  const ByteSpan nonce = ByteSpan(pace.work).first(kNonceBytes);
  constexpr u8 kZeroes[kAesBlockBytes] = {};
  if (card.hal.random(nonce) != HalStatus::ok) return Sw::no_diagnosis;
  reply.header(0x7C, 2 + kNonceBytes);
  reply.header(0x80, kNonceBytes);
  if (card.hal.aes_cbc(Cipher::encrypt, key_octets, kZeroes, nonce, reply.claim(kNonceBytes)) != HalStatus::ok) {
    return Sw::no_diagnosis;
  }
  pace.step = Pace::Step::map;
  return Sw::ok;
}

void write_point(Writer& reply, u8 tag, ByteView point) {
  reply.header(0x7C, Writer::header_bytes(tag, point.size()) + point.size());
  reply.object(tag, point);
}

// A refused argument is the terminal's fault, anything else ours.
Sw point_fault(HalStatus status) { return status == HalStatus::refused ? Sw::incorrect_data : Sw::no_diagnosis; }

// 81 mapping key in, 82 ours out.
Sw map(System& card, ByteView data, Writer& reply) {
  Pace& pace = card.pace;
  ByteView theirs;
  if (!take(data, 0x81, theirs) || !data.empty() || theirs.size() != point_bytes(pace.curve)) {
    return Sw::incorrect_data;
  }
  u8 scalar[kMaxFieldBytes];
  const WipeOnExit wipe_scalar(scalar);
  u8 ours[kMaxPointBytes];
  const ByteSpan secret = ByteSpan(scalar).first(field_bytes(pace.curve));
  const ByteSpan point = ByteSpan(ours).first(point_bytes(pace.curve));
  if (card.hal.ec_generate(pace.curve, secret, point) != HalStatus::ok) return Sw::no_diagnosis;
  if (equal(point, theirs)) return Sw::incorrect_data;
  u8 nonce[kNonceBytes];
  const WipeOnExit wipe_nonce(nonce);
  copy(nonce, ByteView(pace.work).first(kNonceBytes));
  const ByteSpan generator = ByteSpan(pace.work).first(point.size());
  if (const HalStatus status = card.hal.ec_map(pace.curve, nonce, secret, theirs, generator); status != HalStatus::ok) {
    return point_fault(status);
  }
  write_point(reply, 0x82, point);
  pace.step = Pace::Step::agree;
  return Sw::ok;
}

// 83 key on the mapped generator in, 84 ours out; keys and tokens are made.
Sw agree(System& card, ByteView protocol, ByteView data, Writer& reply) {
  Pace& pace = card.pace;
  const std::size_t n = field_bytes(pace.curve);
  ByteView theirs;
  if (!take(data, 0x83, theirs) || !data.empty() || theirs.size() != point_bytes(pace.curve)) {
    return Sw::incorrect_data;
  }
  // Checked before a key of ours meets it, and before anything is made of it.
  if (const HalStatus status = card.hal.ec_check_point(pace.curve, theirs); status != HalStatus::ok) {
    return point_fault(status);
  }
  u8 scalar[kMaxFieldBytes];
  const WipeOnExit wipe_scalar(scalar);
  u8 ours[kMaxPointBytes];
  u8 agreed[kMaxFieldBytes];
  const WipeOnExit wipe_agreed(agreed);
  const ByteSpan secret = ByteSpan(scalar).first(n);
  const ByteSpan point = ByteSpan(ours).first(point_bytes(pace.curve));
  const ByteSpan shared = ByteSpan(agreed).first(n);
  if (card.hal.ec_generate_on(pace.curve, ByteView(pace.work).first(point.size()), secret, point) != HalStatus::ok) {
    return Sw::no_diagnosis;
  }
  if (equal(point, theirs)) return Sw::incorrect_data;
  if (const HalStatus status = card.hal.ec_agree(pace.curve, secret, theirs, shared); status != HalStatus::ok) {
    return point_fault(status);
  }
  wipe(pace.work);
  const std::size_t k = aes_key_bytes(pace.number);
  const ByteSpan work(pace.work);
  const ByteSpan mac = work.subspan(kKeyMacOffset, k);
  KARTA_OS_TRY(derive_key(card.hal, shared, {}, kDeriveEncryption, work.first(k)));
  KARTA_OS_TRY(derive_key(card.hal, shared, {}, kDeriveMac, mac));
  KARTA_OS_TRY(authentication_token(card.hal, mac, protocol, point, work.subspan(kTheirTokenOffset, kTokenBytes)));
  KARTA_OS_TRY(authentication_token(card.hal, mac, protocol, theirs, work.subspan(kOurTokenOffset, kTokenBytes)));
  copy(pace.identifier, point.subspan(1, n));
  write_point(reply, 0x84, point);
  pace.step = Pace::Step::token;
  return Sw::ok;
}

// 85 token in; 86 ours and the references of the anchors out.
Sw compare_tokens(System& card, ByteView data, Writer& reply) {
  Pace& pace = card.pace;
  ByteView token;
  if (!take(data, 0x85, token) || !data.empty() || token.size() != kTokenBytes) return Sw::incorrect_data;
  const u8 index = index_of(pace.password);
  PasswordState state;
  KARTA_OS_TRY(judge(card, pace.password, state));
  KARTA_OS_TRY(state.usable);

  u8 tries = 0;
  bool transport = false;
  if (pace.password == Password::can) {
    u8 failures = 0;
    KARTA_OS_TRY(card.secrets.count_failure(index, failures));
    if (failures > kPatientFailures) card.hal.wait(kWaitMilliseconds);
  } else {
    KARTA_OS_TRY(card.secrets.begin_try(index, tries, transport));
  }
  if (!equal_constant_time(token, ByteView(pace.work).subspan(kTheirTokenOffset, kTokenBytes))) {
    return pace.password == Password::pin ? tries_left(tries) : Sw::authentication_failed;
  }
  KARTA_OS_TRY(card.secrets.restore_tries(index));

  std::size_t length = 2 + kTokenBytes;
  CertifiedKey anchor;
  for (u8 age = 0; pace.has_chat && age < TrustAnchors::kPerType; ++age) {
    if (card.anchors.load(pace.chat.type, age, anchor) == Sw::ok) length += 2U + anchor.holder_bytes;
  }
  reply.header(0x7C, length);
  reply.object(0x86, ByteView(pace.work).subspan(kOurTokenOffset, kTokenBytes));
  for (u8 age = 0; pace.has_chat && age < TrustAnchors::kPerType; ++age) {
    if (card.anchors.load(pace.chat.type, age, anchor) == Sw::ok) {
      reply.object(static_cast<u16>(0x87 + age), anchor.reference());
    }
  }

  const std::size_t k = aes_key_bytes(pace.number);
  card.channel.start(ChannelKind::pace, ByteView(pace.work).first(k), ByteView(pace.work).subspan(kKeyMacOffset, k));
  card.security.open_channel(pace.password, transport);
  pace.complete = true;
  pace.stop();
  card.environment = {};
  return Sw::ok;
}

Sw run_step(System& card, ByteView data, Writer& reply) {
  const u8 protocol[] = {0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x04, 0x02, card.pace.number};
  switch (card.pace.step) {
    case Pace::Step::nonce:
      return send_nonce(card, data, reply);
    case Pace::Step::map:
      return map(card, data, reply);
    case Pace::Step::agree:
      return agree(card, protocol, data, reply);
    case Pace::Step::token:
      return compare_tokens(card, data, reply);
    case Pace::Step::none:
      break;
  }
  return Sw::conditions_not_satisfied;
}

}  // namespace

void Pace::clear() {
  stop();
  complete = false;
  has_chat = false;
  chat = {};
  sector_rights = 0;
  wipe(identifier);
}

void Pace::stop() {
  step = Step::none;
  wipe(work);
}

// TR-03110-3 B.11.1, MSE SET AT for PACE, P1-P2 C1A4. The first PACEInfo without CHAT is how terminals read the retry
// counter of the PIN, so the answer tells it.
Sw begin_pace(System& card, const Command& command, Writer& reply) {
  // Whatever an earlier run left is not this channel's any more: terminal authentication needs a whole new one.
  card.pace.clear();
  card.terminal.clear();
  card.environment = {};
  Request request;
  Protocol protocol;
  PasswordRow password = kPasswords[0];
  if (!parse_request(command.data, request) || !parse_protocol(request.protocol, protocol)) return Sw::incorrect_data;
  if (protocol.family != 4 || protocol.variant != 2 || aes_key_bytes(protocol.number) == 0) return Sw::incorrect_data;
  if (!find_password(request.password[0], password)) return Sw::referenced_data_not_found;
  Chat chat;
  u16 sector_rights = 0;
  if (!request.chat.empty() && !parse_chat(request.chat, chat)) return Sw::incorrect_data;
  if (request.chat.empty() && !request.extensions.empty()) return Sw::incorrect_data;
  if (!parse_sector_rights(request.extensions, sector_rights)) return Sw::incorrect_data;
  PasswordState state;
  KARTA_OS_TRY(judge(card, password.password, state));

  u8 domain = 0;
  const Sw announced = find_announced(card, request, reply, domain);
  reply.clear();
  KARTA_OS_TRY(announced);
  Curve curve = Curve::p256;
  if (!curve_of(domain, curve)) return Sw::incorrect_data;

  card.pace.password = password.password;
  card.pace.number = protocol.number;
  card.pace.curve = curve;
  card.pace.has_chat = !request.chat.empty();
  card.pace.chat = chat;
  card.pace.sector_rights = sector_rights;
  card.pace.step = Pace::Step::nonce;
  card.environment.operation = SecurityEnvironment::Operation::pace;
  return state.announced;
}

// TR-03110-3 B.11.2, GENERAL AUTHENTICATE for PACE: four commands in their order; the last has class 00, those before
// announce that more is to come. A fault ends the run.
Sw continue_pace(System& card, const Command& command, Writer& reply) {
  ByteView data = command.data;
  ByteView contents;
  const bool last = card.pace.step == Pace::Step::token;
  const bool more = (command.cla & 0x10) != 0;
  Sw sw = Sw::incorrect_data;
  if (last == more) {
    sw = Sw::conditions_not_satisfied;
  } else if (take(data, 0x7C, contents) && data.empty()) {
    sw = run_step(card, contents, reply);
  }
  if (sw != Sw::ok) {
    card.pace.clear();
    card.environment = {};
  }
  return sw;
}

}  // namespace karta::os
