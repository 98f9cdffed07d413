// ModuleTest: the module, one reader and a card in this process: issued by karta, or blank. The reader may have a PIN
// pad, whose holder types what the test says; the card can be pulled, and made to answer nonsense.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <functional>
#include <set>
#include <thread>
#include <tuple>

#include "base/der.h"
#include "card/personalise.h"
#include "card/profile.h"
#include "card/transports.h"
#include "firmware-sim/host/soft_card.h"
#include "pkcs11/cache.h"
#include "pkcs11/functions.h"
#include "pkcs11/module.h"
#include "tests/card/card_material.h"

namespace karta::pkcs11 {

inline constexpr char kPin1[] = "135790", kPin2[] = "24680135", kPuk[] = "9081726354", kOpenPuk[] = "31415926";

// A reader's keypad and the person before it.
struct SimulatedPad {
  bool can_verify = true, can_modify = true;
  // What is typed, entry by entry; nothing left: the cancel key.
  std::deque<std::string> typed;
  // Answered instead of asking anybody: 6400, 6402...
  std::optional<std::uint16_t> says;
  unsigned entries = 0;
};

class OneReader final : public card::ReaderList {
 public:
  explicit OneReader(sim::SoftCard& card) : card_(card) {}
  Result<std::vector<card::ReaderInfo>> list() override {
    card::ReaderInfo info;
    info.name = "Test Reader 00 00";
    info.card_present = present;
    if (present) info.atr = to_bytes(card_.atr());
    return std::vector<card::ReaderInfo>{info};
  }
  Result<std::unique_ptr<card::CardConnection>> connect(std::string_view) override {
    if (!present) return fail(ErrorKind::no_card, "the reader is empty");
    return std::unique_ptr<card::CardConnection>(std::make_unique<Connection>(*this));
  }
  void pull() {
    present = false;
    card_.power_off();
  }
  void put_back() {
    card_.power_on();
    present = true;
    ++insertion;
  }
  bool present = true;
  unsigned insertion = 0;
  std::atomic<unsigned> commands{0};
  std::optional<SimulatedPad> pad;
  // Looked at before the card is: an answer of its own, or nothing.
  std::function<Bytes(ByteView command)> instead;

 private:
  class Connection final : public card::CardConnection {
   public:
    explicit Connection(OneReader& reader)
        : reader_(reader),
          inner_({.process = [this, mine = reader.insertion](ByteView command) { return answer(command, mine); },
                  .atr = [&reader] { return to_bytes(reader.card_.atr()); },
                  .reset = [&reader] { reader.card_.reset(); }}) {}
    Result<Bytes> transmit(ByteView command) override { return inner_.transmit(command); }
    ByteView atr() const override { return inner_.atr(); }
    Status reset() override { return inner_.reset(); }
    Status begin() override { return inner_.begin(); }
    void end() override { inner_.end(); }
    std::uint64_t transaction() const override { return inner_.transaction(); }
    unsigned session() const override { return inner_.session(); }
    std::string_view reader_name() const override { return inner_.reader_name(); }
    PinPad pin_pad() override {
      if (!reader_.pad) return {};
      return {reader_.pad->can_verify, reader_.pad->can_modify};
    }
    Result<Bytes> enter_pin(PadEntry entry, ByteView structure) override {
      SimulatedPad& keypad = *reader_.pad;
      ++keypad.entries;
      const auto own = [](std::uint16_t status) {
        return Bytes{static_cast<std::uint8_t>(status >> 8), static_cast<std::uint8_t>(status)};
      };
      if (keypad.says) return own(*keypad.says);
      // PIN_VERIFY_STRUCTURE is 19 octets and the command, PIN_MODIFY_STRUCTURE 24.
      const bool modify = entry == PadEntry::modify;
      Bytes command = to_bytes(structure.subspan(modify ? 24 : 19));
      const std::size_t fields = modify ? 2 : 1;
      if (command.size() != 5 + 8 * fields) return own(0x6403);
      std::vector<std::string> words;
      for (std::size_t i = 0; i < (modify ? 3u : 1u); ++i) {
        if (keypad.typed.empty()) return own(0x6401);
        words.push_back(keypad.typed.front());
        keypad.typed.pop_front();
      }
      if (modify && words[1] != words[2]) return own(0x6402);
      for (std::size_t i = 0; i < fields; ++i) {
        if (words[i].size() < 4 || words[i].size() > 8) return own(0x6403);
        std::copy(words[i].begin(), words[i].end(), command.begin() + 5 + static_cast<std::ptrdiff_t>(8 * i));
      }
      return transmit(command);
    }

   private:
    Bytes answer(ByteView command, unsigned mine) {
      if (!reader_.present || mine != reader_.insertion) return {};
      ++reader_.commands;
      if (reader_.instead) {
        Bytes other = reader_.instead(command);
        if (!other.empty() || !reader_.present) return other;
      }
      return to_bytes(reader_.card_.process(command));
    }
    OneReader& reader_;
    card::MemoryConnection inner_;
  };

  sim::SoftCard& card_;
};

class NoEvents final : public EventSource {
 public:
  Result<std::vector<card::ReaderEvent>> next(std::chrono::milliseconds) override {
    return std::vector<card::ReaderEvent>();
  }
  void stop() override {}
};

inline CK_UTF8CHAR* text(const char* words) { return reinterpret_cast<CK_UTF8CHAR*>(const_cast<char*>(words)); }

class ModuleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    issue("p256");
    begin();
  }
  void TearDown() override {
    (void)C_Finalize(nullptr);
    set_environment_maker({});
  }
  // With `chosen` PINs kPin1 and kPin2, or the transport PINs 11223 and 44556.
  void issue(std::string_view key_type, bool chosen = true) {
    SeededRandom random(7);
    auto made = sim::SoftCard::blank(sim::new_serial(random), {});
    ASSERT_TRUE(made);
    card_ = std::move(*made);
    card_->power_on();
    card::MemoryConnection connection({.process = [this](ByteView c) { return to_bytes(card_->process(c)); },
                                       .atr = [this] { return to_bytes(card_->atr()); },
                                       .reset = [this] { card_->reset(); }});
    card::PlainChannel channel(connection);
    std::string toml(card::citizen_profile_toml());
    constexpr std::string_view kType = "type = \"p256\"";
    for (std::size_t at = 0; (at = toml.find(kType, at)) != std::string::npos; at += key_type.size() + 9) {
      toml.replace(at, kType.size(), "type = \"" + std::string(key_type) + '"');
    }
    if (key_type.starts_with("rsa")) toml.replace(toml.find("[\"agree\"]"), 9, "[\"decipher\"]");
    const auto profile = card::parse_profile(toml, "citizen.toml");
    ASSERT_TRUE(profile) << profile.error().message;
    card::CardData data;
    data.secrets.transport_pins.emplace(card::PinKind::pin1, SecretBytes::copy_of("11223"));
    data.secrets.transport_pins.emplace(card::PinKind::pin2, SecretBytes::copy_of("44556"));
    data.secrets.puk = SecretBytes::copy_of(kPuk);
    data.secrets.can = SecretBytes::copy_of("314159");
    test::add_identity(data, *profile);
    auto work = card::Personalisation::make(*profile, data);
    ASSERT_TRUE(work);
    const auto keys = work->prepare(channel);
    ASSERT_TRUE(keys) << keys.error().message;
    card::CardCertificates certificates;
    for (const auto& key : profile->keys) certificates.by_role[key.role] = der::sequence(Bytes(600, 1));
    for (const auto& authority : profile->authorities) {
      certificates.authorities[authority.name] = der::sequence(Bytes(500, 2));
    }
    certificates.agreement = test::certificate_of(600, 3);
    certificates.card_security = test::certificate_of(1500, 4);
    const auto done = work->complete(channel, certificates);
    ASSERT_TRUE(done) << done.error().message;
    if (chosen) {
      auto application = card::ESignApplication::open(channel);
      ASSERT_TRUE(application);
      ASSERT_TRUE(
          application->change_pin(card::PinKind::pin1, SecretBytes::copy_of("11223"), SecretBytes::copy_of(kPin1)));
      ASSERT_TRUE(
          application->change_pin(card::PinKind::pin2, SecretBytes::copy_of("44556"), SecretBytes::copy_of(kPin2)));
    }
    card_->power_off();
    card_->power_on();
    reader_ = std::make_shared<OneReader>(*card_);
  }
  // A card as it comes from the factory.
  void take_blank() {
    SeededRandom random(8);
    auto made = sim::SoftCard::blank(sim::new_serial(random), {});
    ASSERT_TRUE(made);
    card_ = std::move(*made);
    card_->power_on();
    reader_ = std::make_shared<OneReader>(*card_);
  }
  // The same, begun through C_InitToken and C_InitPIN, PIN1 being kPin1: a card that takes new objects.
  void take_open() {
    take_blank();
    begin();
    CK_UTF8CHAR label[32];
    std::memset(label, ' ', sizeof label);
    std::memcpy(label, "open card", 9);
    ASSERT_EQ(C_InitToken(0, text(kOpenPuk), 8, label), CKR_OK);
    const CK_SESSION_HANDLE session = open();
    ASSERT_EQ(login(session, kOpenPuk, CKU_SO), CKR_OK);
    ASSERT_EQ(C_InitPIN(session, text(kPin1), 6), CKR_OK);
    ASSERT_EQ(C_CloseSession(session), CKR_OK);
  }
  // Another program with the same card.
  void other_program(const std::function<void(card::ESignApplication&)>& deed) {
    card::MemoryConnection other({.process = [this](ByteView c) { return to_bytes(card_->process(c)); },
                                  .atr = [this] { return to_bytes(card_->atr()); },
                                  .reset = {}});
    card::PlainChannel channel(other);
    auto application = card::ESignApplication::open(channel);
    ASSERT_TRUE(application);
    deed(*application);
  }
  void begin(std::shared_ptr<card::ContentCache> cache = nullptr) {
    set_environment_maker([this, cache] {
      return Environment{reader_, [] { return std::make_unique<NoEvents>(); }, cache};
    });
    ASSERT_EQ(C_Initialize(nullptr), CKR_OK);
  }

  CK_SESSION_HANDLE open(CK_SLOT_ID slot = 0, CK_FLAGS more = CKF_RW_SESSION) {
    CK_SESSION_HANDLE session = 0;
    EXPECT_EQ(C_OpenSession(slot, CKF_SERIAL_SESSION | more, nullptr, nullptr, &session), CKR_OK);
    return session;
  }
  CK_RV login(CK_SESSION_HANDLE session, const char* pin = kPin1, CK_USER_TYPE user = CKU_USER) {
    return C_Login(session, user, text(pin), std::strlen(pin));
  }
  std::vector<CK_OBJECT_HANDLE> find(CK_SESSION_HANDLE session, std::vector<CK_ATTRIBUTE> wanted) {
    EXPECT_EQ(C_FindObjectsInit(session, wanted.data(), wanted.size()), CKR_OK);
    std::vector<CK_OBJECT_HANDLE> found(64);
    CK_ULONG count = 0;
    EXPECT_EQ(C_FindObjects(session, found.data(), found.size(), &count), CKR_OK);
    EXPECT_EQ(C_FindObjectsFinal(session), CKR_OK);
    found.resize(count);
    return found;
  }
  CK_OBJECT_HANDLE one(CK_SESSION_HANDLE session, CK_OBJECT_CLASS object_class, const char* label) {
    const auto found = find(session, {{CKA_CLASS, &object_class, sizeof object_class},
                                      {CKA_LABEL, const_cast<char*>(label), std::strlen(label)}});
    EXPECT_EQ(found.size(), 1u) << label;
    return found.empty() ? 0 : found[0];
  }
  Bytes attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
    Bytes value(4096);
    CK_ATTRIBUTE wanted{type, value.data(), value.size()};
    EXPECT_EQ(C_GetAttributeValue(session, object, &wanted, 1), CKR_OK);
    value.resize(wanted.ulValueLen == kUnavailable ? 0 : wanted.ulValueLen);
    return value;
  }
  CK_FLAGS token_flags(CK_SLOT_ID slot) {
    CK_TOKEN_INFO info;
    EXPECT_EQ(C_GetTokenInfo(slot, &info), CKR_OK);
    return info.flags;
  }

  std::unique_ptr<sim::SoftCard> card_;
  std::shared_ptr<OneReader> reader_;
  Bytes message_ = to_bytes(as_bytes("a letter"));
};

template <class Pointer>
struct Zeros;
template <class... Arguments>
struct Zeros<CK_RV (*)(Arguments...)> {
  static CK_RV call(CK_RV (*function)(Arguments...)) { return function(Arguments{}...); }
};
// The same, but with this session.
template <class Pointer>
struct InSession;
template <class First, class... Rest>
struct InSession<CK_RV (*)(First, Rest...)> {
  static CK_RV call(CK_RV (*function)(First, Rest...), CK_SESSION_HANDLE session) {
    if constexpr (std::is_pointer_v<First>) {
      return function(First{}, Rest{}...);
    } else {
      return function(static_cast<First>(session), Rest{}...);
    }
  }
};

}  // namespace karta::pkcs11
