#include "card/global_platform.h"

#include <algorithm>
#include <array>

#include "base/tlv.h"
#include "card/iso7816.h"

namespace karta::card {
namespace {

constexpr std::uint8_t kClass = 0x80;
constexpr std::uint8_t kPutKey = 0xD8, kStoreData = 0xE2, kDelete = 0xE4, kInstall = 0xE6, kSetStatus = 0xF0,
                       kGetStatus = 0xF2;
constexpr std::uint8_t kCardManagerItself = 0x80, kApplications = 0x40;
constexpr std::uint8_t kKeyTypeAes = 0x88;
constexpr std::uint8_t kLockBit = 0x80, kUnlocked = 0x0F;
// §C.2: the modules domains are made of.
constexpr std::uint8_t kPackage[] = {0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50};
constexpr std::uint8_t kModule[] = {0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50, 0x41};
constexpr std::uint8_t kPrivilegeDomain = 0x80;
constexpr std::size_t kMostEntries = 64;

struct LifeRow {
  CardLife life;
  std::string_view name;
};
constexpr auto kLives = std::to_array<LifeRow>({
    {CardLife::op_ready, "blank"},
    {CardLife::initialized, "initialised"},
    {CardLife::secured, "issued"},
    {CardLife::card_locked, "locked"},
    {CardLife::terminated, "terminated"},
});

// A length octet, then the value.
void append_lv(Bytes& out, ByteView value) {
  KARTA_CHECK(value.size() < 0x80);
  out.push_back(static_cast<std::uint8_t>(value.size()));
  append(out, value);
}

// E3 { 4F name, 9F70 state, C5 privileges } each.
Status parse_entries(ByteView answer, std::vector<GlobalPlatformEntry>& out) {
  TlvCursor cursor(answer);
  while (!cursor.done()) {
    const Tlv entry = TRY(cursor.expect(0xE3));
    GlobalPlatformEntry read;
    TlvCursor inside(entry.value);
    while (!inside.done()) {
      const Tlv object = TRY(inside.next());
      if (object.tag == 0x4F) read.aid = to_bytes(object.value);
      if (object.tag == 0x9F70 && object.value.size() == 1) read.state = object.value[0];
      if (object.tag == 0xC5) read.privileges = to_bytes(object.value);
    }
    if (read.aid.empty() || out.size() == kMostEntries) {
      return fail(ErrorKind::card_unresponsive, "the card manager lists something that is no application");
    }
    out.push_back(std::move(read));
  }
  return {};
}

// 80 F2 what 02 4F 00; 6310: more with P2 03.
Result<std::vector<GlobalPlatformEntry>> get_status(Channel& channel, std::uint8_t what) {
  std::vector<GlobalPlatformEntry> entries;
  CommandApdu command(kClass, kGetStatus, what, 0x02, {0x4F, 0x00}, kShortResponse);
  for (;;) {
    const ResponseApdu answer = TRY(channel.transmit(command));
    if (answer.status == kSwReferenceNotFound && entries.empty()) return entries;
    const bool more = answer.status.value == 0x6310;
    if (!answer.status.ok() && !more) return fail(error_of(answer.status, "read the card manager's list"));
    const std::size_t before = entries.size();
    TRY(parse_entries(answer.data, entries));
    if (!more) return entries;
    if (entries.size() == before) return fail(ErrorKind::card_unresponsive, "the card manager's list does not end");
    command.p2 = 0x03;
  }
}

// 88 L n key 03 kcv: the key under the DEK, filled to whole blocks.
Bytes key_component(const SecretBytes& key, const SecretBytes& dek) {
  Bytes padded = to_bytes(key.expose_secret());
  if (padded.size() % crypto::kAesBlock != 0) crypto::pad_iso9797(padded);
  const Bytes cryptogram = crypto::aes_cbc_encrypt(dek, {}, padded);
  wipe(padded);
  const auto check = key_check_value(key);
  return concat(
      {Bytes{kKeyTypeAes, static_cast<std::uint8_t>(cryptogram.size() + 1), static_cast<std::uint8_t>(key.size())},
       cryptogram, Bytes{static_cast<std::uint8_t>(check.size())}, check});
}

}  // namespace

bool is_domain_aid(ByteView aid) {
  constexpr std::size_t prefix = sizeof kDomainAidPrefix;
  return aid.size() == prefix + 1 && equal(aid.first(prefix), kDomainAidPrefix) && (aid[prefix] & 0xF0) == 0x10;
}

std::string_view name_of(CardLife life) {
  for (const LifeRow& row : kLives) {
    if (row.life == life) return row.name;
  }
  return "?";
}

Status select_card_manager(Channel& channel) {
  TRY(channel.run(select_application(kCardManagerAid, SelectReturn::nothing), "select the card manager"));
  return {};
}

Result<CardLife> read_card_life(Channel& channel) {
  const auto entries = TRY(get_status(channel, kCardManagerItself));
  if (entries.size() != 1) return fail(ErrorKind::card_unresponsive, "the card manager does not tell its state");
  return static_cast<CardLife>(entries.front().state);
}

Result<std::vector<GlobalPlatformEntry>> list_domains(Channel& channel) { return get_status(channel, kApplications); }

// 80 F0 80 state
Status set_card_life(Channel& channel, CardLife life) {
  TRY(channel.run({kClass, kSetStatus, kCardManagerItself, static_cast<std::uint8_t>(life)},
                  "make the card " + std::string(name_of(life))));
  return {};
}

// 80 F0 40 state name
Status lock_domain(Channel& channel, ByteView aid, bool locked) {
  TRY(channel.run({kClass, kSetStatus, kApplications, locked ? kLockBit : kUnlocked, to_bytes(aid)},
                  locked ? "lock the domain" : "unlock the domain"));
  return {};
}

// E0 { C0 id version type length }: §11.3.3.1
Result<std::vector<KeyInformation>> read_key_information(Channel& channel) {
  const Bytes answer =
      TRY(channel.run({kClass, 0xCA, 0x00, 0xE0, {}, kShortResponse}, "ask the card manager for its keys"));
  TlvCursor outer(answer);
  const Tlv list = TRY(outer.expect(0xE0));
  TRY(outer.finish());
  std::vector<KeyInformation> keys;
  TlvCursor inside(list.value);
  while (!inside.done()) {
    const Tlv row = TRY(inside.expect(0xC0));
    if (row.value.size() < 4 || keys.size() == kMostEntries) {
      return fail(ErrorKind::card_unresponsive, "the card manager's key list is none");
    }
    keys.push_back({row.value[0], row.value[1], row.value[3]});
  }
  return keys;
}

// 80 D8 version-replaced 81: first key 1, several keys.
Status put_key_set(Scp03Channel& session, const Scp03KeySet& fresh, bool beside) {
  const SecretBytes& dek = session.key_set().data;
  CommandApdu command(kClass, kPutKey, beside ? std::uint8_t{0} : session.key_set().version, 0x81,
                      concat({Bytes{fresh.version}, key_component(fresh.encryption, dek),
                              key_component(fresh.checksum, dek), key_component(fresh.data, dek)}),
                      kShortResponse);
  command.sensitive = true;
  const Bytes answer = TRY(session.run(command, "replace the card manager's keys"));
  Bytes expected = {fresh.version};
  for (const SecretBytes* key : {&fresh.encryption, &fresh.checksum, &fresh.data}) {
    append(expected, key_check_value(*key));
  }
  if (answer == expected) return {};
  return fail(ErrorKind::card_insecure, "the card confirms other keys than those it was given");
}

// 80 E6 0C 00: package, module, name, privileges, parameters, token.
Status install_domain(Scp03Channel& issuer, ByteView aid, std::uint16_t file_id) {
  Bytes parameters = {0xC9, 0x00};
  if (file_id != 0) {
    parameters = {0xC9, 0x04, 0x83, 0x02};
    append_be16(parameters, file_id);
  }
  Bytes data;
  append_lv(data, kPackage);
  append_lv(data, kModule);
  append_lv(data, aid);
  append_lv(data, Bytes{kPrivilegeDomain});
  append_lv(data, parameters);
  append_lv(data, {});
  TRY(issuer.run({kClass, kInstall, 0x0C, 0x00, std::move(data), kShortResponse}, "make the domain"));
  return {};
}

// 80 E4 00 80 4F: with everything below.
Status delete_domain(Scp03Channel& session, ByteView aid) {
  TRY(session.run({kClass, kDelete, 0x00, 0x80, make_tlv(0x4F, aid), kShortResponse}, "delete the domain"));
  return {};
}

// 80 E6 20 00, then 80 E2 91 00: §11.5.2.3.5, amendment A §4.3.
Result<Bytes> load_domain_keys(Scp03Channel& issuer, ByteView aid, ByteView offer) {
  Bytes data = {0x00, 0x00};
  append_lv(data, aid);
  append(data, Bytes{0x00, 0x00, 0x00});
  TRY(issuer.run({kClass, kInstall, 0x20, 0x00, std::move(data), kShortResponse}, "address the domain"));
  const Bytes answer =
      TRY(issuer.run({kClass, kStoreData, 0x91, 0x00, to_bytes(offer), kShortResponse}, "load the domain's keys"));
  TlvCursor cursor(answer);
  const Tlv receipt = TRY(cursor.expect(0x86));
  TRY(cursor.finish());
  return to_bytes(receipt.value);
}

}  // namespace karta::card
