// Calls in any order with any arguments, on a card that answers anything: the input is both the program and the card.
#include <algorithm>
#include <array>

#include "base/cursor.h"
#include "card/transports.h"
#include "pkcs11/module.h"

namespace {

using namespace karta;
using namespace karta::pkcs11;

// Answers are taken from the input: one octet of length, then so many; when it is used up, 9000.
struct Tape {
  ByteView rest;
  std::uint8_t octet() {
    if (rest.empty()) return 0;
    const std::uint8_t value = rest[0];
    rest = rest.subspan(1);
    return value;
  }
  Bytes some(std::size_t most) {
    const std::size_t count = std::min({most, static_cast<std::size_t>(octet()), rest.size()});
    Bytes taken = to_bytes(rest.first(count));
    rest = rest.subspan(count);
    return taken;
  }
};

class HostileReader final : public card::ReaderList {
 public:
  explicit HostileReader(Tape& tape) : tape_(tape) {}
  Result<std::vector<card::ReaderInfo>> list() override {
    card::ReaderInfo info;
    info.name = "Hostile Reader";
    info.card_present = true;
    return std::vector<card::ReaderInfo>{info};
  }
  Result<std::unique_ptr<card::CardConnection>> connect(std::string_view) override {
    return std::unique_ptr<card::CardConnection>(std::make_unique<card::MemoryConnection>(card::MemoryConnection::Card{
        .process = [this](ByteView command) { return answer(command); },
        .atr = [] { return Bytes{0x3B, 0x8A, 0x80, 0x01, 'K', 'a', 'r', 't', 'a', 'O', 's', 'E', 'I', 'D', 0x32}; },
        .reset = {}}));
  }

 private:
  // So that fuzzing comes further than the door, the first questions are answered as a card does, mostly.
  Bytes answer(ByteView command) {
    if (tape_.rest.empty()) return {0x90, 0x00};
    const bool honest = tape_.octet() < 0xC0;
    if (honest && command.size() > 3 && command[1] == 0xA4) return {0x90, 0x00};
    if (honest && command.size() > 3 && command[1] == 0xCA && command[2] == 0x01 && command[3] == 0xA0) {
      Bytes info(20, 0x30);
      append(info, Bytes{0x90, 0x00});
      return info;
    }
    Bytes out = tape_.some(255);
    if (honest) append(out, Bytes{0x90, 0x00});
    return out;
  }
  Tape& tape_;
};

class NoEvents final : public EventSource {
 public:
  Result<std::vector<card::ReaderEvent>> next(std::chrono::milliseconds) override {
    return std::vector<card::ReaderEvent>();
  }
  void stop() override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Tape tape{ByteView(data, std::min<std::size_t>(size, 8192))};
  set_environment_maker([&] {
    return Environment{std::make_shared<HostileReader>(tape), [] { return std::make_unique<NoEvents>(); }, nullptr};
  });
  if (C_Initialize(nullptr) != CKR_OK) __builtin_trap();
  constexpr auto kMechanisms = std::to_array<CK_MECHANISM_TYPE>(
      {CKM_ECDSA, CKM_ECDSA_SHA256, CKM_RSA_PKCS, CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, CKM_RSA_PKCS_OAEP,
       CKM_ECDH1_DERIVE, CKM_SHA256, CKM_EC_KEY_PAIR_GEN});
  CK_SESSION_HANDLE last = 1;
  for (int steps = 0; steps < 64 && !tape.rest.empty(); ++steps) {
    const std::uint8_t what = tape.octet();
    const CK_SESSION_HANDLE session = (what & 0x80) != 0 ? tape.octet() : last;
    Bytes in = tape.some(64), out(300);
    CK_ULONG length = tape.octet() * 2u, count = 0;
    length = std::min<CK_ULONG>(length, out.size());
    CK_OBJECT_HANDLE object = in.empty() ? 1 : in[0], other = 0;
    Bytes parameter = in;
    CK_MECHANISM mechanism{kMechanisms[length % kMechanisms.size()], parameter.data(), parameter.size()};
    if (parameter.size() < 8) mechanism.ulParameterLen = 0;
    // Structures with pointers in them come from the program, not from the card: only their plain part is arbitrary.
    if (mechanism.mechanism == CKM_ECDH1_DERIVE || mechanism.mechanism == CKM_RSA_PKCS_OAEP)
      mechanism.ulParameterLen = 0;
    CK_ATTRIBUTE_TYPE type = length * 3;
    CK_ATTRIBUTE attribute{type, out.data(), length}, wanted{CKA_ID, in.data(), in.size()};
    CK_OBJECT_CLASS object_class = length % 5;
    CK_ATTRIBUTE classed{CKA_CLASS, &object_class, sizeof object_class};
    CK_TOKEN_INFO token;
    CK_SESSION_INFO info;
    switch (what % 28) {
      case 0:
        C_OpenSession(length % 3, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &last);
        break;
      case 1:
        C_CloseSession(session);
        break;
      case 2:
        C_Login(session, length % 3, in.data(), in.size());
        break;
      case 3:
        C_Logout(session);
        break;
      case 4:
        C_GetTokenInfo(length % 3, &token);
        break;
      case 5:
        C_FindObjectsInit(session, &classed, 1);
        break;
      case 6:
        C_FindObjectsInit(session, &wanted, 1);
        break;
      case 7:
        C_FindObjects(session, &other, 1, &count);
        break;
      case 8:
        C_FindObjectsFinal(session);
        break;
      case 9:
        C_GetAttributeValue(session, object, &attribute, 1);
        break;
      case 10:
        C_SignInit(session, &mechanism, object);
        break;
      case 11:
        C_Sign(session, in.data(), in.size(), out.data(), &length);
        break;
      case 12:
        C_SignUpdate(session, in.data(), in.size());
        break;
      case 13:
        C_SignFinal(session, out.data(), &length);
        break;
      case 14:
        C_VerifyInit(session, &mechanism, object);
        break;
      case 15:
        C_Verify(session, in.data(), in.size(), out.data(), length);
        break;
      case 16:
        C_DecryptInit(session, &mechanism, object);
        break;
      case 17:
        C_Decrypt(session, in.data(), in.size(), out.data(), &length);
        break;
      case 18:
        C_DigestInit(session, &mechanism);
        break;
      case 19:
        C_DigestUpdate(session, in.data(), in.size());
        break;
      case 20:
        C_DigestFinal(session, out.data(), &length);
        break;
      case 21:
        C_CreateObject(session, &classed, 1, &other);
        break;
      case 22:
        C_SetPIN(session, in.data(), in.size(), in.data(), in.size());
        break;
      case 23:
        C_GenerateRandom(session, out.data(), length);
        break;
      case 24:
        C_GetSlotList(CK_TRUE, nullptr, &count);
        break;
      case 25:
        C_GetSessionInfo(session, &info);
        break;
      case 26:
        C_CloseAllSessions(length % 3);
        break;
      case 27:
        C_GetObjectSize(session, object, &count);
        break;
      default:
        break;
    }
  }
  if (C_Finalize(nullptr) != CKR_OK) __builtin_trap();
  set_environment_maker({});
  return 0;
}
