#include "card/security_module.h"

#include <algorithm>
#include <array>

#include "base/tlv.h"
#include "card/file.h"
#include "card/iso7816.h"
#include "card/personalisation_step.h"
#include "card/pin.h"

namespace karta::card {
namespace {

constexpr std::uint8_t kDf = 0x38, kAesKeyFile = 0x29;
constexpr std::uint8_t kUseMaster = 0x81, kUseIssuingMaster = 0x83;
constexpr std::uint8_t kPinReference = 1, kPinTries = 5, kNoPukOfItsOwn = 0x02;
constexpr std::uint16_t kObjectPin = 0x0101, kObjectSymmetricKey = 0x018A;

constexpr std::string_view kApplications[] = {"health", "transit"};

using enum LedgerKey;
constexpr auto kRoles = std::to_array<ModuleRole>({
    {"gate", "a transit gate or validator", {{{"transit", debit}}}, 1},
    {"ticket-office", "where transit products are sold", {{{"transit", credit}}}, 1},
    {"pharmacy", "where entitlements are redeemed", {{{"health", debit}}}, 1},
    {"clinic", "where entitlements are granted", {{{"health", credit}}}, 1},
    {"settlement",
     "a back office that checks settlement codes",
     {{{"health", settlement}, {"transit", settlement}}},
     2},
    {"issuing",
     "an issuing centre: keys for new cards",
     {{{"health", debit},
       {"health", credit},
       {"health", settlement},
       {"transit", debit},
       {"transit", credit},
       {"transit", settlement}}},
     6,
     true},
});

CommandApdu create_master(std::uint16_t file, std::size_t key_octets, LedgerKey kind, bool issuing) {
  FileToCreate made;
  made.id = file;
  made.size = key_octets * 8;
  made.descriptor = kAesKeyFile;
  made.rules = access_nibbles(kPinReference, nibble::never, nibble::never, nibble::never);
  // The third octet: this master derives keys of its own kind only.
  made.properties = {0x00, issuing ? kUseIssuingMaster : kUseMaster, static_cast<std::uint8_t>(kind)};
  return create(made);
}

}  // namespace

std::span<const ModuleRole> module_roles() { return kRoles; }

const ModuleRole* find_module_role(std::string_view name) {
  for (const ModuleRole& role : kRoles) {
    if (role.name == name) return &role;
  }
  return nullptr;
}

std::uint16_t master_file(std::string_view application, LedgerKey kind) {
  const auto found = std::find(std::begin(kApplications), std::end(kApplications), application);
  KARTA_CHECK(found != std::end(kApplications));
  const auto number = static_cast<std::uint16_t>(found - std::begin(kApplications) + 1);
  return static_cast<std::uint16_t>(number << 8 | number << 4 | static_cast<std::uint16_t>(kind));
}

Status check_module_blank(Channel& plain) {
  // The last step of any card's making puts its MF into operation (ISO 7816-4 §7.4.10).
  const FileControl master = TRY(select(plain, Path{}));
  if (!master.operational()) return {};
  const ResponseApdu module = TRY(plain.transmit(select_application(kSecurityModuleAid, SelectReturn::nothing)));
  return fail(ErrorKind::card_refused,
              module.status.ok() ? "the card in the reader is a security module already"
                                 : "the card in the reader is issued already: it is no blank one",
              "a security module is made of a blank card: put one in, or name its reader with --reader");
}

Status make_security_module(Channel& issuer, const ModuleRole& role, const TransactionMasters& masters,
                            const SecretBytes& pin) {
  TRY(check_new_pin(PinKind::pin1, pin));
  const auto master_of = [&](const ModuleMaster& master) -> const SecretBytes* {
    const auto application = masters.find(master.application);
    if (application == masters.end()) return nullptr;
    const auto key = application->second.find(master.kind);
    return key == application->second.end() ? nullptr : &key->second;
  };
  const auto wanted = std::span(role.masters).first(role.count);
  for (const ModuleMaster& master : wanted) {
    if (master_of(master) == nullptr) {
      return fail(ErrorKind::configuration, "the centre has no " + std::string(name_of(master.kind)) + " master of \"" +
                                                std::string(master.application) + "\"");
    }
  }
  TRY(issuer.run(select_application(kPkcs15Aid, SelectReturn::nothing), "select the module's PIN"));
  // PIN (8) PUK (8, none) tries, tries of the PUK, options.
  const SecretBytes field = pin_field(pin);
  Bytes object = concat({field.expose_secret(), Bytes(8, 0xFF), Bytes{kPinTries, 0x00, kNoPukOfItsOwn}});
  const CommandApdu set_pin = put_data(kObjectPin, object, true);
  wipe(object);
  TRY(issuer.run(set_pin, "set the module's PIN"));
  TRY(issuer.run(select_master_file(SelectReturn::nothing), "select the MF"));
  const ResponseApdu removed = TRY(issuer.transmit(delete_file(kSecurityModuleDf)));
  if (!removed.status.ok() && removed.status != kSwNotFound) {
    return fail(error_of(removed.status, "take away what an earlier attempt left"));
  }
  FileToCreate df;
  df.id = kSecurityModuleDf;
  df.descriptor = kDf;
  df.name = to_bytes(ByteView(kSecurityModuleAid));
  df.rules = access_nibbles(nibble::never, nibble::never, nibble::never, nibble::never);
  TRY(issuer.run(create(df), "create the module"));
  for (const ModuleMaster& master : wanted) {
    const SecretBytes& key = *master_of(master);
    const std::string words =
        "write the " + std::string(name_of(master.kind)) + " master of \"" + std::string(master.application) + "\"";
    TRY(issuer.run(create_master(master_file(master.application, master.kind), key.size(), master.kind, role.issuing),
                   words));
    Bytes value{0x01};
    value.reserve(1 + key.size());
    append(value, key.expose_secret());
    const CommandApdu import = put_data(kObjectSymmetricKey, value, true);
    wipe(value);
    TRY(issuer.run(import, words));
  }
  TRY(issuer.run(activate_file(kMasterFile), "close the module for good"));
  return {};
}

namespace {

Status unlock_module(Channel& channel, const SecretBytes& pin, bool spare_last_try = false) {
  const ResponseApdu selected = TRY(channel.transmit(select_application(kSecurityModuleAid, SelectReturn::nothing)));
  if (!selected.status.ok()) {
    return fail(ErrorKind::card_unknown, "the card in that reader is no security module",
                "an issuing centre makes one: karta sam make");
  }
  TRY(check_presented_pin(PinKind::pin1, pin));
  if (spare_last_try) {
    // Without a PIN the card only tells how many tries there are.
    const ResponseApdu standing = TRY(channel.transmit(verify_status(kPinReference)));
    if (standing.status.remaining_tries() == 1u) {
      return fail(ErrorKind::wrong_pin, "the security module has one try left: it is left alone",
                  "present the right PIN by hand first: karta transit tap --sam");
    }
  }
  const SecretBytes field = pin_field(pin);
  const ResponseApdu answer = TRY(channel.transmit(verify(kPinReference, field.expose_secret())));
  if (const auto tries = answer.status.remaining_tries(); tries && *tries > 0) {
    return fail(ErrorKind::wrong_pin, "the PIN of the security module is wrong: " + std::to_string(*tries) +
                                          (*tries == 1 ? " try is left" : " tries are left"));
  }
  if (answer.status == kSwBlocked || answer.status.remaining_tries() == 0u) {
    return fail(ErrorKind::pin_blocked, "the security module is blocked", "the issuing centre makes another one");
  }
  if (!answer.status.ok()) return fail(error_of(answer.status, "unlock the security module"));
  return {};
}

}  // namespace

Result<std::unique_ptr<TransactionKeys>> open_security_module(Channel& channel, std::string_view application,
                                                              const SecretBytes& pin, bool spare_last_try) {
  TRY(unlock_module(channel, pin, spare_last_try));
  std::map<LedgerKey, std::uint16_t> files;
  // A module that lacks a master says so when it is asked for it.
  for (const LedgerKey kind : {debit, credit, settlement}) files[kind] = master_file(application, kind);
  return std::unique_ptr<TransactionKeys>(std::make_unique<SamTransactionKeys>(channel, std::move(files)));
}

// 80 5C kind file serial
Result<LedgerMasters> derive_ledger_keys(Channel& issuer, std::string_view application, ByteView serial,
                                         const SecretBytes& pin) {
  if (serial.size() != kLedgerSerialOctets) return fail(ErrorKind::usage, "a ledger's serial has eight octets");
  TRY(unlock_module(issuer, pin));
  LedgerMasters keys;
  for (const LedgerKey kind : {debit, credit, settlement}) {
    const auto low = static_cast<std::uint8_t>(master_file(application, kind) & 0xFF);
    ResponseApdu answer =
        TRY(issuer.transmit({0x80, 0x5C, static_cast<std::uint8_t>(kind), low, to_bytes(serial), kShortResponse}));
    if (answer.status == kSwConditions || answer.status == kSwNotFound || answer.status == kSwReferenceNotFound) {
      return fail(ErrorKind::not_permitted,
                  "the security module gives no " + std::string(name_of(kind)) + " keys of \"" +
                      std::string(application) + "\" to new cards",
                  "that is the work of an issuing centre's: karta sam make --role issuing");
    }
    if (!answer.status.ok()) return fail(error_of(answer.status, "have the security module derive a ledger's key"));
    SecretBytes key(std::move(answer.data));
    if (!crypto::is_aes_key(key.size())) {
      return fail(ErrorKind::card_unresponsive, "the security module's key is no AES key");
    }
    keys.emplace(kind, std::move(key));
  }
  return keys;
}

}  // namespace karta::card
