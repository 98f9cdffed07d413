// What the conformance tests share: the standard's lists of errors, the reasons for those nobody can provoke, the rows
// that provoke the others, and the bench on which a row runs.
#pragma once

#include <map>
#include <set>

#include "tests/pkcs11/module_fixture.h"

namespace karta::pkcs11 {

using Errors = std::vector<CK_RV>;
/// By function: every error PKCS #11 v3.0 §5 lists for it.
const std::map<std::string_view, Errors>& standard_errors();
/// Functions a card has no use for.
const std::set<std::string_view>& not_offered();

struct Reason {
  std::string_view function;  // empty: any function without a row for it
  CK_RV error;
  std::string_view why;
};
/// What cannot be provoked.
const std::vector<Reason>& cannot_be_provoked();

struct Beyond {
  std::string_view function;
  CK_RV error;
};
/// Errors beyond the standard's lists, and why they are the better word.
const std::vector<Beyond>& beyond_the_standard();

class ConformanceTest : public ModuleTest {
 public:
  void SetUp() override {}
  void begin_row() {
    session = 0, object = object2 = 0, length = 0;
    std::memset(data, 0, sizeof data);
    std::memset(out, 0, sizeof out);
    before_call = {};
  }
  void fresh() {
    issue("p256");
    begin();
    session = open();
  }
  void fresh_rsa() {
    static std::unique_ptr<sim::SoftCard> kept;
    if (kept == nullptr) {
      issue("rsa-2048");
      kept = std::move(card_);
    }
    card_ = std::move(kept);
    kept = nullptr;
    reader_ = std::make_shared<OneReader>(*card_);
    begin();
    session = open();
    rsa_ = &kept;
  }
  void away() {
    (void)C_Finalize(nullptr);
    if (rsa_ != nullptr) *rsa_ = std::move(card_);
    rsa_ = nullptr;
  }

  using ModuleTest::open;
  using ModuleTest::reader_;
  CK_RV in(const char* pin = kPin1, CK_USER_TYPE user = CKU_USER) { return login(session, pin, user); }
  CK_OBJECT_HANDLE priv(const char* label = "SIG") { return one(session, CKO_PRIVATE_KEY, label); }
  CK_OBJECT_HANDLE pub(const char* label = "SIG") { return one(session, CKO_PUBLIC_KEY, label); }
  CK_OBJECT_HANDLE cert(const char* label = "SIG") { return one(session, CKO_CERTIFICATE, label); }
  void nonsense() {
    reader_->instead = [](ByteView) { return Bytes{0x42}; };
  }
  // The session's card is gone, and another session has heard of it.
  void stale() {
    const CK_SESSION_HANDLE other = open();
    reader_->pull();
    std::uint8_t octet = 0;
    EXPECT_EQ(C_GenerateRandom(other, &octet, 1), CKR_DEVICE_REMOVED);
    reader_->put_back();
  }
  void gone() { reader_->pull(); }
  // The module begins anew, and knows nothing of the card.
  CK_RV cold(const std::function<CK_RV()>& call) {
    EXPECT_EQ(C_Finalize(nullptr), CKR_OK);
    begin();
    return call();
  }
  void pull_at_first_command() {
    reader_->instead = [this](ByteView) {
      reader_->present = false;
      return Bytes();
    };
  }
  // A card without the application.
  CK_RV foreign(const std::function<CK_RV()>& call) {
    return cold([&] {
      reader_->instead = [](ByteView) { return Bytes{0x6A, 0x82}; };
      return call();
    });
  }
  // A qualified signature begun, without the login it waits for.
  void qualified() {
    session = open(1);
    EXPECT_EQ(in(kPin2), CKR_OK);
    CK_MECHANISM mechanism{CKM_ECDSA_SHA256, nullptr, 0};
    // The login's own PIN is good for one use: it is spent.
    EXPECT_EQ(C_SignInit(session, &mechanism, priv("QES")), CKR_OK);
    EXPECT_EQ(sign(), CKR_OK);
    EXPECT_EQ(C_SignInit(session, &mechanism, priv("QES")), CKR_OK);
  }
  void renewed() {
    other_program([](card::ESignApplication& application) {
      ASSERT_TRUE(application.verify_pin(card::PinKind::pin1, SecretBytes::copy_of(kPin1)));
      const auto key = application.key(card::KeyRole::signature);
      ASSERT_TRUE(key);
      ASSERT_TRUE(application.generate_key(*key));
    });
  }
  // `data` becomes a cryptogram for ENC.
  void cryptogram() {
    EXPECT_EQ(encrypt_init(), CKR_OK);
    EXPECT_EQ(C_Encrypt(session, data, 100, out, &(length = 256)), CKR_OK);
    std::memcpy(data, out, 256);
  }
  // Login to a card whose holder has not chosen a PIN yet.
  CK_RV transport() {
    EXPECT_EQ(C_Finalize(nullptr), CKR_OK);
    issue("p256", false);
    begin();
    session = open();
    return in("11223");
  }

  CK_RV sign_init(CK_MECHANISM_TYPE type = CKM_ECDSA_SHA256) {
    EXPECT_EQ(in(), CKR_OK);
    CK_MECHANISM mechanism{type, nullptr, 0};
    return C_SignInit(session, &mechanism, priv());
  }
  CK_RV verify_init(CK_MECHANISM_TYPE type = CKM_ECDSA_SHA256) {
    CK_MECHANISM mechanism{type, nullptr, 0};
    return C_VerifyInit(session, &mechanism, pub());
  }
  CK_RV digest_init() {
    CK_MECHANISM mechanism{CKM_SHA256, nullptr, 0};
    return C_DigestInit(session, &mechanism);
  }
  CK_RV encrypt_init() {
    CK_MECHANISM mechanism{CKM_RSA_PKCS, nullptr, 0};
    return C_EncryptInit(session, &mechanism, pub("ENC"));
  }
  CK_RV decrypt_init() {
    EXPECT_EQ(in(), CKR_OK);
    CK_MECHANISM mechanism{CKM_RSA_PKCS, nullptr, 0};
    return C_DecryptInit(session, &mechanism, priv("ENC"));
  }
  CK_RV sign(CK_ULONG room = 64) { return C_Sign(session, data, 8, out, &(length = room)); }
  CK_RV derive(CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key, std::vector<CK_ATTRIBUTE> wanted,
               CK_ULONG point_octets = 0) {
    Bytes point = attribute(session, pub("ENC"), CKA_EC_POINT);
    CK_ECDH1_DERIVE_PARAMS parameters{CKD_NULL, 0, nullptr, point_octets != 0 ? point_octets : point.size(),
                                      point.data()};
    CK_MECHANISM mechanism{type, &parameters, sizeof parameters};
    if (before_call) before_call();
    return C_DeriveKey(session, &mechanism, key, wanted.data(), wanted.size(), &object);
  }
  CK_RV generate(CK_MECHANISM_TYPE type, std::vector<CK_ATTRIBUTE> half, std::vector<CK_ATTRIBUTE> whole) {
    CK_MECHANISM mechanism{type, nullptr, 0};
    return C_GenerateKeyPair(session, &mechanism, half.data(), half.size(), whole.data(), whole.size(), &object,
                             &object2);
  }
  CK_RV create(std::vector<CK_ATTRIBUTE> wanted) {
    return C_CreateObject(session, wanted.data(), wanted.size(), &object);
  }
  CK_RV data_object() { return create({{CKA_CLASS, &data_class, sizeof data_class}, {CKA_VALUE, data, 8}}); }
  CK_RV find_init(std::vector<CK_ATTRIBUTE> wanted) { return C_FindObjectsInit(session, wanted.data(), wanted.size()); }

  // Whether an operation of this family is under way; ends it.
  bool active(std::string_view function) {
    if (function.starts_with("C_Sign")) return C_SignInit(session, nullptr, 0) == CKR_OK;
    if (function.starts_with("C_Verify")) return C_VerifyInit(session, nullptr, 0) == CKR_OK;
    if (function.starts_with("C_Digest")) return C_DigestInit(session, nullptr) == CKR_OK;
    if (function.starts_with("C_Encrypt")) return C_EncryptInit(session, nullptr, 0) == CKR_OK;
    return C_DecryptInit(session, nullptr, 0) == CKR_OK;
  }

  CK_SESSION_HANDLE session = 0;
  CK_OBJECT_HANDLE object = 0, object2 = 0;
  CK_BYTE data[512] = {1, 2, 3}, out[512] = {};
  CK_ULONG length = 0, eight = 8, huge = 4096, wrong_number = 7;
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_OBJECT_CLASS data_class = CKO_DATA, public_class = CKO_PUBLIC_KEY, private_class = CKO_PRIVATE_KEY,
                  certificate_class = CKO_CERTIFICATE, secret_class = CKO_SECRET_KEY;
  CK_KEY_TYPE ec_type = CKK_EC, generic_type = CKK_GENERIC_SECRET;
  CK_UTF8CHAR blank_label[32] = {};
  Bytes p256 = der::oid("1.2.840.10045.3.1.7"), nowhere = der::oid("1.2.3.4"), sig_id = {2}, new_id = {9};
  std::function<void()> before_call;

 private:
  std::unique_ptr<sim::SoftCard>* rsa_ = nullptr;
};

enum class Card : std::uint8_t { issued, rsa, blank, open_card };
struct Row {
  std::string_view function;
  CK_RV error;
  std::function<CK_RV(ConformanceTest&)> provoke;
  Card card = Card::issued;
};
using T = ConformanceTest;

/// A row: the function, the error, and the block of code that provokes it on `t`.
#define ROW(function, error, ...) \
  Row { #function, error, [](T & t) -> CK_RV __VA_ARGS__ }
#define ROW_ON(card, function, error, ...) \
  Row { #function, error, [](T & t) -> CK_RV __VA_ARGS__, card }

/// The rows, by the families of functions.
std::vector<Row> generic_rows();
std::vector<Row> general_rows();
std::vector<Row> session_rows();
std::vector<Row> login_rows();
std::vector<Row> object_rows();
std::vector<Row> digest_rows();
std::vector<Row> key_init_rows();
std::vector<Row> signature_rows();
std::vector<Row> cipher_rows();
std::vector<Row> key_rows();

}  // namespace karta::pkcs11
