// karta pkcs11: the card as programs see it through the PKCS #11 module, and what is wrong when they do not.
#include <CLI/CLI.hpp>

#include <vector>

#include "card/card_type.h"
#include "card/pace.h"
#include "card/pcsc_reader.h"
#include "cli/card_session.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/secret_input.h"
#include "pkcs11/can_store.h"
#include "pkcs11/fault.h"
#include "pkcs11/mechanism.h"

namespace karta::cli {
namespace {

/// C_Initialize to C_Finalize.
class Loaded {
 public:
  static Result<Loaded> begin() {
    if (const CK_RV rv = C_Initialize(nullptr); rv != CKR_OK) {
      return fail(ErrorKind::internal, "C_Initialize: " + pkcs11::name_of_rv(rv));
    }
    return Loaded();
  }
  Loaded(Loaded&& other) noexcept : active_(std::exchange(other.active_, false)) {}
  Loaded& operator=(Loaded&&) = delete;
  ~Loaded() {
    if (active_) C_Finalize(nullptr);
  }

 private:
  Loaded() = default;
  bool active_ = true;
};

std::string field(const CK_UTF8CHAR* text, std::size_t octets) {
  std::string out(as_text(ByteView(text, octets)));
  out.erase(out.find_last_not_of(' ') + 1);
  return out;
}

Result<std::vector<CK_SLOT_ID>> slots(bool with_token) {
  CK_ULONG count = 0;
  CK_RV rv = C_GetSlotList(with_token ? CK_TRUE : CK_FALSE, nullptr, &count);
  std::vector<CK_SLOT_ID> ids(count);
  if (rv == CKR_OK && count > 0) rv = C_GetSlotList(with_token ? CK_TRUE : CK_FALSE, ids.data(), &count);
  if (rv != CKR_OK) return fail(ErrorKind::io, "C_GetSlotList: " + pkcs11::name_of_rv(rv));
  ids.resize(count);
  return ids;
}

struct FlagRow {
  CK_FLAGS flag;
  std::string_view words;
};
constexpr FlagRow kPinFlags[] = {
    {CKF_USER_PIN_COUNT_LOW, "a wrong PIN was given"},
    {CKF_USER_PIN_FINAL_TRY, "one try left"},
    {CKF_USER_PIN_LOCKED, "PIN blocked"},
    {CKF_USER_PIN_TO_BE_CHANGED, "transport PIN, to be changed"},
};

Result<int> run_slots(bool json) {
  const Loaded module = TRY(Loaded::begin());
  Json document = json_document("karta.pkcs11.slots/1");
  document["slots"] = Json::array();
  for (const CK_SLOT_ID id : TRY(slots(false))) {
    CK_SLOT_INFO slot = {};
    CK_TOKEN_INFO token = {};
    if (C_GetSlotInfo(id, &slot) != CKR_OK) continue;
    const std::string reader = field(slot.slotDescription, sizeof slot.slotDescription);
    const CK_RV rv = (slot.flags & CKF_TOKEN_PRESENT) != 0 ? C_GetTokenInfo(id, &token) : CKR_TOKEN_NOT_PRESENT;
    Json row = {{"slot", id}, {"reader", reader}, {"state", pkcs11::name_of_rv(rv)}};
    std::string line = std::to_string(id) + "  " + reader + "  ";
    if (rv == CKR_OK) {
      const std::string label = field(token.label, sizeof token.label);
      const std::string serial = field(token.serialNumber, sizeof token.serialNumber);
      row["label"] = label;
      row["serial"] = serial;
      row["flags"] = token.flags;
      line += (label.empty() ? "blank card" : label) + "  serial " + serial;
      for (const FlagRow& flag : kPinFlags) {
        if ((token.flags & flag.flag) != 0) line += "  " + std::string(flag.words);
      }
    } else {
      line += rv == CKR_TOKEN_NOT_PRESENT ? "empty" : "no card the module knows (" + pkcs11::name_of_rv(rv) + ")";
    }
    document["slots"].push_back(std::move(row));
    if (!json) print(line);
  }
  if (json) print_json(document);
  return 0;
}

struct ClassRow {
  CK_OBJECT_CLASS value;
  std::string_view name;
};
constexpr ClassRow kClasses[] = {{CKO_CERTIFICATE, "certificate"},
                                 {CKO_PUBLIC_KEY, "public key"},
                                 {CKO_PRIVATE_KEY, "private key"},
                                 {CKO_DATA, "data"}};

Result<int> run_objects() {
  const Loaded module = TRY(Loaded::begin());
  bool any = false;
  for (const CK_SLOT_ID id : TRY(slots(true))) {
    CK_SESSION_HANDLE session = 0;
    CK_TOKEN_INFO token = {};
    if (C_GetTokenInfo(id, &token) != CKR_OK ||
        C_OpenSession(id, CKF_SERIAL_SESSION, nullptr, nullptr, &session) != CKR_OK) {
      continue;
    }
    any = true;
    print(field(token.label, sizeof token.label) + "  (private keys show after login)");
    for (const ClassRow& row : kClasses) {
      CK_OBJECT_CLASS object_class = row.value;
      CK_ATTRIBUTE wanted{CKA_CLASS, &object_class, sizeof object_class};
      if (C_FindObjectsInit(session, &wanted, 1) != CKR_OK) continue;
      CK_OBJECT_HANDLE object = 0;
      CK_ULONG found = 0;
      while (C_FindObjects(session, &object, 1, &found) == CKR_OK && found == 1) {
        Bytes label(256), key_id(256);
        CK_ATTRIBUTE about[] = {{CKA_LABEL, label.data(), label.size()}, {CKA_ID, key_id.data(), key_id.size()}};
        (void)C_GetAttributeValue(session, object, about, 2);
        label.resize(about[0].ulValueLen == pkcs11::kUnavailable ? 0 : about[0].ulValueLen);
        key_id.resize(about[1].ulValueLen == pkcs11::kUnavailable ? 0 : about[1].ulValueLen);
        print("  " + std::string(row.name) + "  " + std::string(as_text(label)) + "  id " + to_hex(key_id));
      }
      C_FindObjectsFinal(session);
    }
    C_CloseSession(session);
  }
  if (!any)
    return fail(ErrorKind::no_card, "no reader holds a card the module knows", "`karta pkcs11 diagnose` says why");
  return 0;
}

Result<int> run_mechanisms() {
  for (const pkcs11::Mechanism& row : pkcs11::mechanisms()) {
    std::string line = pkcs11::name_of_mechanism(row.type);
    for (const FlagRow& flag :
         {FlagRow{CKF_SIGN, "sign"}, FlagRow{CKF_VERIFY, "verify"}, FlagRow{CKF_ENCRYPT, "encrypt"},
          FlagRow{CKF_DECRYPT, "decrypt"}, FlagRow{CKF_DERIVE, "derive"}, FlagRow{CKF_DIGEST, "digest"},
          FlagRow{CKF_GENERATE_KEY_PAIR, "generate"}}) {
      if ((row.flags & flag.flag) != 0) line += "  " + std::string(flag.words);
    }
    print(line);
  }
  return 0;
}

// From the ground up: pcscd, readers, cards, tokens. The first thing that is wrong is the answer.
Result<int> run_diagnose() {
  card::PcscReaders readers;
  const auto list = TRY(readers.list());
  if (list.empty()) return fail(ErrorKind::no_reader, "pcscd runs, but sees no reader");
  print("pcscd runs and sees " + std::to_string(list.size()) + (list.size() == 1 ? " reader" : " readers"));
  bool card_seen = false;
  for (const card::ReaderInfo& reader : list) {
    std::string state = "empty";
    if (reader.mute) state = "the card does not answer: take it out, clean its contacts, put it back";
    if (reader.card_present && !reader.mute) {
      state = "card of type " + std::string(card::card_type_of(reader.atr).name);
      if (reader.exclusive) state += ", held by another program: close it";
      card_seen = true;
    }
    print("  " + reader.name + ": " + state);
  }
  if (!card_seen) return fail(ErrorKind::no_card, "no reader holds an answering card");
  const Loaded module = TRY(Loaded::begin());
  bool usable = false;
  for (const CK_SLOT_ID id : TRY(slots(true))) {
    CK_TOKEN_INFO token = {};
    const CK_RV rv = C_GetTokenInfo(id, &token);
    std::string line = "  slot " + std::to_string(id) + ": ";
    if (rv != CKR_OK) {
      print(line + pkcs11::name_of_rv(rv) + "; `karta card info` shows what the card says of itself");
      continue;
    }
    if ((token.flags & CKF_TOKEN_INITIALIZED) == 0) {
      print(line + "a blank card: it is issued with `karta card issue`");
      continue;
    }
    line += field(token.label, sizeof token.label);
    bool ready = true;
    if ((token.flags & CKF_USER_PIN_LOCKED) != 0) {
      line += ": PIN blocked; unblock it with the PUK from the letter: karta card unblock";
      ready = false;
    } else if ((token.flags & CKF_USER_PIN_TO_BE_CHANGED) != 0) {
      line += ": still the transport PIN; choose your own: karta card change-pin";
      ready = false;
    } else if ((token.flags & CKF_USER_PIN_FINAL_TRY) != 0) {
      line += ": one try left for the PIN";
    }
    usable = usable || ready;
    print(line + (ready ? ": ready" : ""));
  }
  if (!usable) return fail(ErrorKind::card_unknown, "no token is ready for use");
  print("programs load libkarta-pkcs11.so; KARTA_PKCS11_SPY=FILE writes down what they ask of it");
  return 0;
}

struct CanArguments {
  std::string reader;
  SecretOptions secret;
};

// Tried on the card before it is kept: a wrong number would be tried again and again.
Result<int> run_can(const CanArguments& given) {
  const auto connection = TRY(connect_card(given.reader));
  if (card::card_type_of(connection->atr()).esign) {
    return fail(ErrorKind::usage, "in this reader programs use the card without its access number",
                "put the card on a contactless reader");
  }
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const SecretBytes can = TRY(input->ask({"Contactless reader", "CAN (6 digits, printed on the card)", "", false}));
  if (!pkcs11::is_can(can.expose_secret())) return fail(ErrorKind::usage, "a card access number has six digits");
  card::PlainChannel plain(*connection);
  card::SecureMessagingChannel channel(plain);
  const card::Transaction whole = TRY(card::Transaction::begin(*connection));
  SystemRandom random;
  TRY(card::open_pace(channel, {.password = card::PacePassword::can, .secret = &can}, random));
  const auto esign = TRY(card::ESignApplication::open(channel));
  TRY(pkcs11::CanStore(pkcs11::CanStore::user_folder()).keep(esign.info().serial, can));
  print("kept: programs now find card " + esign.info().serial_hex() + " on contactless readers");
  return 0;
}

}  // namespace

void add_pkcs11(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("pkcs11", "The card as programs see it through the PKCS #11 module");
  noun.require_subcommand(0, 1);
  auto json = std::make_shared<bool>(false);
  CLI::App& list = *noun.add_subcommand("slots", "Slots and the tokens in them");
  list.add_flag("--json", *json, "as karta.pkcs11.slots/1");
  on_call(list, chosen, [json] { return run_slots(*json); });
  on_call(*noun.add_subcommand("objects", "Public objects of every token"), chosen, [] { return run_objects(); });
  on_call(*noun.add_subcommand("mechanisms", "What the module can do with keys"), chosen,
          [] { return run_mechanisms(); });
  on_call(*noun.add_subcommand("diagnose", "Which reader, which card, what is wrong, and the next step"), chosen,
          [] { return run_diagnose(); });
  auto can = std::make_shared<CanArguments>();
  CLI::App& number = *noun.add_subcommand(
      "can", "Keep the number printed on a card, for programs that use it on a contactless reader");
  add_reader_option(number, can->reader);
  add_pin_options(number, can->secret, "the CAN");
  on_call(number, chosen, [can] { return run_can(*can); });
}

}  // namespace karta::cli
