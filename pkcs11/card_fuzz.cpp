// A hostile card behind the module: a well-behaved program walks through everything, and each answer of the card is the
// input's. The program must get lengths that are true, no octet of a private key, and an end.
//
// The input is a list of answers: how many octets of a command the answer is for (1 octet), those octets, its length
// (2 octets, big-endian), the answer with its status word. Several answers for one beginning are given in turn, over
// and over. The seeds are dialogues of good cards, so that the fuzzer starts from a card that answers everything.
#include <algorithm>
#include <array>
#include <map>

#include "base/cursor.h"
#include "base/secret.h"
#include "card/transports.h"
#include "pkcs11/module.h"

namespace {

using namespace karta;
using namespace karta::pkcs11;

#define ALWAYS(condition) \
  if (!(condition)) __builtin_trap()

// A walk of a good card takes some hundred commands; of the worst one, with directories as long as they may be, more.
constexpr unsigned kMostCommands = 100'000;
// v3.0 CKA_UNIQUE_ID, younger than the header of NSS.
constexpr CK_ATTRIBUTE_TYPE kUniqueId = 0x4;

struct HostileCard {
  struct Answers {
    std::vector<Bytes> in_turn;
    std::size_t next = 0;
  };
  std::map<Bytes, Answers> answers;
  unsigned commands = 0;

  explicit HostileCard(ByteView input) {
    Cursor cursor(input);
    while (cursor.remaining() > 0) {
      const auto beginning_octets = cursor.u8();
      if (!beginning_octets) return;
      const auto beginning = cursor.take(*beginning_octets);
      if (!beginning) return;
      const auto octets = cursor.be16();
      if (!octets) return;
      const auto answer = cursor.take(std::min<std::size_t>(*octets, cursor.remaining()));
      if (!answer) return;
      answers[to_bytes(*beginning)].in_turn.push_back(to_bytes(*answer));
    }
  }
  // The longest beginning that fits decides.
  Bytes process(ByteView command) {
    ALWAYS(++commands < kMostCommands);
    for (std::size_t octets = std::min<std::size_t>(command.size(), 255) + 1; octets-- > 0;) {
      const auto found = answers.find(to_bytes(command.first(octets)));
      if (found == answers.end()) continue;
      Answers& its = found->second;
      return its.in_turn[its.next++ % its.in_turn.size()];
    }
    return {0x6A, 0x82};
  }
};

class OneReader final : public card::ReaderList {
 public:
  explicit OneReader(std::function<Bytes(ByteView)> process) : process_(std::move(process)) {}
  Result<std::vector<card::ReaderInfo>> list() override {
    card::ReaderInfo info;
    info.name = "Reader";
    info.card_present = true;
    return std::vector<card::ReaderInfo>{info};
  }
  Result<std::unique_ptr<card::CardConnection>> connect(std::string_view) override {
    return std::unique_ptr<card::CardConnection>(std::make_unique<card::MemoryConnection>(card::MemoryConnection::Card{
        .process = process_,
        .atr = [] { return Bytes{0x3B, 0x8A, 0x80, 0x01, 'K', 'a', 'r', 't', 'a', 'O', 's', 'E', 'I', 'D', 0x32}; },
        .reset = {}}));
  }

 private:
  std::function<Bytes(ByteView)> process_;
};

class NoEvents final : public EventSource {
 public:
  Result<std::vector<card::ReaderEvent>> next(std::chrono::milliseconds) override {
    return std::vector<card::ReaderEvent>();
  }
  void stop() override {}
};

constexpr char kPin[] = "135790", kPuk[] = "9081726354";
CK_UTF8CHAR* text(const char* words) { return reinterpret_cast<CK_UTF8CHAR*>(const_cast<char*>(words)); }

// A value asked for as programs do: its length, then a buffer of just that length. nullopt: the module has none to
// give.
std::optional<Bytes> attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  CK_ATTRIBUTE wanted{type, nullptr, 0};
  const CK_RV asked = C_GetAttributeValue(session, object, &wanted, 1);
  if (asked != CKR_OK) {
    ALWAYS(wanted.ulValueLen == CK_UNAVAILABLE_INFORMATION || wanted.ulValueLen == 0);
    return std::nullopt;
  }
  ALWAYS(wanted.ulValueLen <= 1'000'000);
  Bytes value(wanted.ulValueLen);
  wanted.pValue = value.data();
  if (C_GetAttributeValue(session, object, &wanted, 1) != CKR_OK) return std::nullopt;
  ALWAYS(wanted.ulValueLen == value.size());
  return value;
}
CK_ULONG number(const std::optional<Bytes>& value) {
  CK_ULONG read = CK_UNAVAILABLE_INFORMATION;
  if (!value) return read;
  ALWAYS(value->size() == sizeof read);
  std::copy(value->begin(), value->end(), reinterpret_cast<std::uint8_t*>(&read));
  return read;
}

void read_all_attributes(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
  for (const CK_ATTRIBUTE_TYPE flag : {CKA_TOKEN, CKA_PRIVATE, CKA_MODIFIABLE}) {
    if (const auto value = attribute(session, object, flag)) ALWAYS(value->size() == 1 && (*value)[0] <= 1);
  }
  for (const CK_ATTRIBUTE_TYPE type :
       {CKA_LABEL, CKA_ID, CKA_SUBJECT, CKA_ISSUER, CKA_SERIAL_NUMBER, CKA_START_DATE, CKA_END_DATE, CKA_MODULUS,
        CKA_PUBLIC_EXPONENT, CKA_EC_PARAMS, CKA_EC_POINT, CKA_PUBLIC_KEY_INFO, kUniqueId, CKA_CHECK_VALUE,
        CKA_ALLOWED_MECHANISMS, CKA_APPLICATION, CKA_OBJECT_ID}) {
    (void)attribute(session, object, type);
  }
  const CK_ULONG object_class = number(attribute(session, object, CKA_CLASS));
  if (object_class == CKO_PRIVATE_KEY) {
    for (const CK_ATTRIBUTE_TYPE secret :
         {CKA_VALUE, CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT}) {
      ALWAYS(!attribute(session, object, secret));
    }
  } else {
    (void)attribute(session, object, CKA_VALUE);
  }
  CK_ULONG octets = 0;
  (void)C_GetObjectSize(session, object, &octets);
}

std::vector<CK_OBJECT_HANDLE> find(CK_SESSION_HANDLE session, std::vector<CK_ATTRIBUTE> wanted) {
  std::vector<CK_OBJECT_HANDLE> all;
  if (C_FindObjectsInit(session, wanted.data(), wanted.size()) != CKR_OK) return all;
  std::array<CK_OBJECT_HANDLE, 8> some{};
  CK_ULONG count = 0;
  while (C_FindObjects(session, some.data(), some.size(), &count) == CKR_OK && count > 0) {
    ALWAYS(count <= some.size());
    all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
  }
  (void)C_FindObjectsFinal(session);
  // Enough of them: the next is as good as this one.
  if (all.size() > 24) all.resize(24);
  return all;
}

// One call that gives octets, asked for the length first, then with a buffer of that length. Returns how many it gave.
template <class Call>
std::optional<CK_ULONG> given(Call call) {
  CK_ULONG asked = 0;
  if (call(nullptr, &asked) != CKR_OK) return std::nullopt;
  ALWAYS(asked <= 1'024);
  Bytes out(asked);
  CK_ULONG got = asked;
  if (call(out.data(), &got) != CKR_OK) return std::nullopt;
  ALWAYS(got <= asked);
  return got;
}

void use_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) {
  const CK_ULONG type = number(attribute(session, key, CKA_KEY_TYPE));
  Bytes digest(32, 0x5A);
  CK_RSA_PKCS_PSS_PARAMS pss{CKM_SHA256, CKG_MGF1_SHA256, 32};
  CK_RSA_PKCS_OAEP_PARAMS oaep{CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, nullptr, 0};
  CK_MECHANISM ways[] = {{CKM_ECDSA, nullptr, 0},
                         {CKM_ECDSA_SHA256, nullptr, 0},
                         {CKM_RSA_PKCS, nullptr, 0},
                         {CKM_SHA256_RSA_PKCS, nullptr, 0},
                         {CKM_SHA256_RSA_PKCS_PSS, &pss, sizeof pss}};
  const auto sign_in = [&] { (void)C_Login(session, CKU_CONTEXT_SPECIFIC, text(kPin), sizeof kPin - 1); };
  for (CK_MECHANISM& way : ways) {
    if (C_SignInit(session, &way, key) != CKR_OK) continue;
    sign_in();
    CK_ULONG promised = 0;
    (void)C_Sign(session, digest.data(), digest.size(), nullptr, &promised);
    const auto got = given([&](CK_BYTE_PTR out, CK_ULONG_PTR octets) {
      return C_Sign(session, digest.data(), digest.size(), out, octets);
    });
    // A signature is as long as the key says, whatever the card calls one.
    if (got) ALWAYS(*got == promised && *got >= (type == CKK_EC ? 48u : 64u));
    (void)C_SignInit(session, nullptr, key);
  }
  CK_MECHANISM open_ways[] = {{CKM_RSA_PKCS, nullptr, 0}, {CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep}};
  for (CK_MECHANISM& way : open_ways) {
    if (C_DecryptInit(session, &way, key) != CKR_OK) continue;
    sign_in();
    Bytes cryptogram(256, 0x11);
    (void)given([&](CK_BYTE_PTR out, CK_ULONG_PTR octets) {
      return C_Decrypt(session, cryptogram.data(), cryptogram.size(), out, octets);
    });
    (void)C_DecryptInit(session, nullptr, key);
  }
  Bytes point(65, 0x22);
  point[0] = 0x04;
  CK_ECDH1_DERIVE_PARAMS ecdh{CKD_NULL, 0, nullptr, point.size(), point.data()};
  CK_MECHANISM derive{CKM_ECDH1_DERIVE, &ecdh, sizeof ecdh};
  CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
  CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
  CK_BBOOL no = CK_FALSE, yes = CK_TRUE;
  CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &secret, sizeof secret},
                           {CKA_KEY_TYPE, &generic, sizeof generic},
                           {CKA_SENSITIVE, &no, 1},
                           {CKA_EXTRACTABLE, &yes, 1}};
  CK_OBJECT_HANDLE shared = 0;
  if (C_DeriveKey(session, &derive, key, wanted, std::size(wanted), &shared) == CKR_OK) {
    (void)attribute(session, shared, CKA_VALUE);
    (void)C_DestroyObject(session, shared);
  }
}

void use_token(CK_SLOT_ID slot) {
  CK_TOKEN_INFO info;
  (void)C_GetTokenInfo(slot, &info);
  CK_SESSION_HANDLE session = 0;
  if (C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session) != CKR_OK) return;
  for (const CK_OBJECT_HANDLE object : find(session, {})) read_all_attributes(session, object);
  (void)C_Login(session, CKU_USER, text(kPin), sizeof kPin - 1);
  CK_OBJECT_CLASS private_key = CKO_PRIVATE_KEY, certificate = CKO_CERTIFICATE;
  const auto keys = find(session, {{CKA_CLASS, &private_key, sizeof private_key}});
  for (const CK_OBJECT_HANDLE key : keys) {
    read_all_attributes(session, key);
    use_key(session, key);
  }
  Bytes random(33);
  (void)C_GenerateRandom(session, random.data(), random.size());
  // Renewal of the first key and its certificate.
  if (!keys.empty()) {
    if (auto id = attribute(session, keys.front(), CKA_ID)) {
      const bool ec = number(attribute(session, keys.front(), CKA_KEY_TYPE)) == CKK_EC;
      Bytes p256 = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
      CK_ULONG bits = 2048;
      CK_BBOOL yes = CK_TRUE;
      CK_MECHANISM make{ec ? CKM_EC_KEY_PAIR_GEN : CKM_RSA_PKCS_KEY_PAIR_GEN, nullptr, 0};
      CK_ATTRIBUTE kind = ec ? CK_ATTRIBUTE{CKA_EC_PARAMS, p256.data(), p256.size()}
                             : CK_ATTRIBUTE{CKA_MODULUS_BITS, &bits, sizeof bits};
      CK_ATTRIBUTE public_half[] = {{CKA_TOKEN, &yes, 1}, {CKA_ID, id->data(), id->size()}, kind};
      CK_ATTRIBUTE private_half[] = {{CKA_TOKEN, &yes, 1}, {CKA_ID, id->data(), id->size()}};
      CK_OBJECT_HANDLE one = 0, other = 0;
      (void)C_GenerateKeyPair(session, &make, public_half, 3, private_half, 2, &one, &other);
      Bytes der = {0x30, 0x03, 0x02, 0x01, 0x00};
      CK_CERTIFICATE_TYPE x509 = CKC_X_509;
      CK_ATTRIBUTE place[] = {{CKA_CLASS, &certificate, sizeof certificate},
                              {CKA_CERTIFICATE_TYPE, &x509, sizeof x509},
                              {CKA_TOKEN, &yes, 1},
                              {CKA_ID, id->data(), id->size()},
                              {CKA_VALUE, der.data(), der.size()}};
      (void)C_CreateObject(session, place, std::size(place), &one);
    }
  }
  (void)C_SetPIN(session, text(kPin), sizeof kPin - 1, text("246802"), 6);
  (void)C_Logout(session);
  if (C_Login(session, CKU_SO, text(kPuk), sizeof kPuk - 1) == CKR_OK) (void)C_InitPIN(session, text(kPin), 6);
  (void)C_CloseSession(session);
}

void walk(std::function<Bytes(ByteView)> process) {
  const auto reader = std::make_shared<OneReader>(std::move(process));
  set_environment_maker([&] { return Environment{reader, [] { return std::make_unique<NoEvents>(); }, nullptr}; });
  ALWAYS(C_Initialize(nullptr) == CKR_OK);
  std::array<CK_SLOT_ID, 4> slots{};
  CK_ULONG count = slots.size();
  if (C_GetSlotList(CK_TRUE, slots.data(), &count) == CKR_OK) {
    ALWAYS(count <= slots.size());
    for (CK_ULONG i = 0; i < count; ++i) use_token(slots[i]);
  }
  ALWAYS(C_Finalize(nullptr) == CKR_OK);
  set_environment_maker({});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  HostileCard card(ByteView(data, size));
  walk([&](ByteView command) { return card.process(command); });
  return 0;
}
