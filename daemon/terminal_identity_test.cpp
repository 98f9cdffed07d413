#include "daemon/terminal_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "crypto/pkcs11_key.h"
#include "crypto/testing.h"
#include "crypto/x509/csr.h"
#include "daemon/fake_authority.h"

namespace karta::daemon {
namespace {

using card::CvCertificate;
using crypto::testing::must;
using std::chrono::hours;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr std::uint32_t kQuick = 1000;
const Time kStart = must(parse_time("2026-06-01T08:00:00Z"));

Time end_of(const CvCertificate& certificate) {
  return std::chrono::sys_days(certificate.content().expiration) + hours(24) - seconds(1);
}

/// An authority that certifies: a store of CV certificates and a centre for TLS.
struct Office {
  explicit Office(const crypto::testing::TemporaryFolder& folder, const Clock& the_clock)
      : store(folder / "office"), clock(the_clock) {
    must(store.create("XA", {.key_file_iterations = kQuick}, passphrase, card::cv_date_of(kStart)));
  }
  card::TerminalStore store;
  const Clock& clock;
  crypto::testing::TestCentre centre;
  SecretBytes passphrase = SecretBytes::copy_of("office");
  int given = 0;
  bool away = false;
  bool wrong_key = false;
  unsigned days = 6;

  Result<identity::TerminalCertificates> certify(const identity::CertificateOrder& order) {
    if (away) return testing::FakeAuthority::away();
    const auto authority = TRY(store.authority());
    auto request = TRY(card::CvRequest::parse(order.cv_request, authority.content().public_key.curve));
    request.holder = "XAC0000001A" + std::string("0000") + std::to_string(++given);
    const auto certificate = TRY(store.issue_terminal(request, *card::find_terminal_role("clinic"), {},
                                                      {.days = days, .key_file_iterations = kQuick}, passphrase,
                                                      card::cv_date_of(clock.now())));
    const auto tls_request = TRY(crypto::CertificationRequest::from_der(order.tls_request));
    const auto tls = centre.issue(wrong_key ? centre.citizen.public_key() : tls_request.public_key);
    identity::TerminalCertificates out;
    out.terminal = "0123456789abcdef";
    out.name = "clinic 1";
    out.role = "clinic";
    out.cv_certificate = certificate.octets();
    out.cv_above = {TRY(store.verifier()).octets()};
    out.tls_certificates = {tls.der(), centre.ca.der()};
    out.cv_until = end_of(certificate);
    out.tls_until = out.cv_until + hours(1);
    out.renew_after = clock.now() + (out.cv_until - clock.now()) * 2 / 3;
    return out;
  }
  class Client final : public testing::FakeAuthority {
   public:
    explicit Client(Office& office) : office_(office) {}
    Result<identity::TerminalCertificates> enrol(const SecretBytes&, const identity::CertificateOrder& order) override {
      return office_.certify(order);
    }
    Result<identity::TerminalCertificates> renew(const identity::CertificateOrder& order) override {
      return office_.certify(order);
    }

   private:
    Office& office_;
  };
};

class TerminalIdentityTest : public ::testing::Test {
 protected:
  TerminalIdentityTest() {
    folder_.write("secret", std::string_view("terminal passphrase\n"));
    ::chmod((folder_ / "secret").c_str(), 0600);
    config_.role = "clinic";
    config_.folder = folder_ / "terminal";
    config_.secret_file = folder_ / "secret";
  }
  void enrol() {
    issuing::TerminalFolder terminal(config_.folder);
    const auto order = must(terminal.order(role(), crypto::KeyType::p256, secret(), nullptr, nullptr, kQuick));
    must(terminal.take(must(Office::Client(office_).enrol({}, order.order)), order, clock_.now(), secret()));
  }
  static const card::TerminalRole& role() { return *card::find_terminal_role("clinic"); }
  static SecretBytes secret() { return SecretBytes::copy_of("terminal passphrase"); }
  std::unique_ptr<TerminalIdentity> open() { return must(TerminalIdentity::open(config_, nullptr, clock_, random_)); }
  /// The keys in use sign what the certificate in use verifies, under the office's authority.
  void expect_good(const TerminalKeys& keys) {
    const auto anchors = must(office_.store.anchors());
    const auto trust = card::verify_cv_chain(anchors, keys.credentials.chain, card::cv_date_of(clock_.now()));
    ASSERT_TRUE(trust) << trust.error().message;
    const Bytes message = {1, 2, 3};
    const auto algorithm = keys.credentials.terminal().content().public_key.algorithm->algorithm;
    const Bytes signature = must(keys.credentials.signer->sign_message(algorithm, message));
    EXPECT_TRUE(trust->key.verify(algorithm, message, signature));
  }

  crypto::testing::TemporaryFolder folder_;
  FixedClock clock_{kStart};
  SystemRandom random_;
  Office office_{folder_, clock_};
  TerminalConfig config_;
};

TEST_F(TerminalIdentityTest, EnrolledOpenedAndFine) {
  enrol();
  const auto identity = open();
  EXPECT_EQ(identity->terminal(), "0123456789abcdef");
  expect_good(identity->keys());
  const auto tls = must(identity->tls());
  EXPECT_THAT(tls.certificates_pem, HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_FALSE(tls.private_key.empty());
  EXPECT_EQ(identity->status().state, IdentityState::fine);
  for (const auto& entry : std::filesystem::directory_iterator(config_.folder)) {
    const std::string name = entry.path().filename().string();
    EXPECT_FALSE(name.starts_with("pending")) << name;
    if (!name.ends_with(".key.pem") && name != "tls.pem") continue;
    EXPECT_EQ(entry.status().permissions() & std::filesystem::perms(077), std::filesystem::perms::none) << name;
  }
}

TEST_F(TerminalIdentityTest, StatesFollowTheTimeLeft) {
  enrol();
  const auto identity = open();
  const Time until = identity->status().until;
  const std::pair<Time, IdentityState> moments[] = {
      {kStart + hours(24), IdentityState::fine}, {identity->status().renew_after, IdentityState::due},
      {until - hours(28), IdentityState::due},   {until - hours(26), IdentityState::urgent},
      {until, IdentityState::expired},
  };
  for (const auto& [moment, state] : moments) {
    clock_ = FixedClock(moment);
    EXPECT_EQ(name_of(identity->status().state), name_of(state)) << format_time(moment);
  }
}

TEST_F(TerminalIdentityTest, ARenewalBringsNewKeysAndSwapsThemWhole) {
  enrol();
  const auto identity = open();
  const TerminalKeys before = identity->keys();
  const auto tls_before = must(identity->tls());
  clock_.advance(hours(24 * 5));
  EXPECT_EQ(identity->status().state, IdentityState::due);
  Office::Client client(office_);
  must(identity->renew(client));
  EXPECT_EQ(identity->status().state, IdentityState::fine);
  const TerminalKeys after = identity->keys();
  EXPECT_NE(after.credentials.terminal().holder(), before.credentials.terminal().holder());
  EXPECT_FALSE(after.signer->public_key() == before.signer->public_key()) << "a key in a file is new each time";
  EXPECT_FALSE(must(identity->tls()).private_key.equals(tls_before.private_key.expose_secret()));
  expect_good(after);
  expect_good(before);
  // A restart finds the new one.
  expect_good(open()->keys());
  EXPECT_EQ(open()->keys().credentials.terminal(), after.credentials.terminal());
}

TEST_F(TerminalIdentityTest, AnAnswerForOtherKeysChangesNothing) {
  enrol();
  const auto identity = open();
  office_.wrong_key = true;
  Office::Client client(office_);
  const auto renewed = identity->renew(client);
  ASSERT_FALSE(renewed);
  EXPECT_EQ(renewed.error().kind, ErrorKind::untrusted);
  EXPECT_THAT(identity->status().problem, HasSubstr("does not fit"));
  expect_good(open()->keys());
  // The keys asked with are asked with again.
  const Bytes pending = must(read_file(config_.folder / "pending.cv.key.pem", 10'000));
  office_.wrong_key = false;
  must(identity->renew(client));
  const auto holder = identity->keys().credentials.terminal().holder();
  EXPECT_EQ(must(read_file(config_.folder / (holder + ".key.pem"), 10'000)), pending);
}

TEST_F(TerminalIdentityTest, RenewsByItselfAndSaysSo) {
  enrol();
  const auto identity = open();
  clock_.advance(hours(24 * 5));
  std::mutex mutex;
  std::condition_variable told;
  std::optional<IdentityStatus> last;
  identity->start_renewal(testing::connect_to(office_), [&](const IdentityStatus& status) {
    const std::scoped_lock lock(mutex);
    last = status;
    told.notify_all();
  });
  std::unique_lock lock(mutex);
  EXPECT_TRUE(told.wait_for(lock, seconds(60), [&] { return last && last->state == IdentityState::fine; }));
  lock.unlock();
  identity->stop();
  EXPECT_EQ(office_.given, 2);
}

TEST_F(TerminalIdentityTest, OffLineTooLongIsSaidInTime) {
  enrol();
  const auto identity = open();
  office_.away = true;
  clock_.advance(hours(24 * 5 + 20));
  std::mutex mutex;
  std::condition_variable told;
  std::optional<IdentityStatus> last;
  identity->start_renewal(testing::connect_to(office_), [&](const IdentityStatus& status) {
    const std::scoped_lock lock(mutex);
    last = status;
    told.notify_all();
  });
  std::unique_lock lock(mutex);
  ASSERT_TRUE(told.wait_for(lock, seconds(60), [&] { return last.has_value(); }));
  EXPECT_EQ(last->state, IdentityState::urgent);
  EXPECT_THAT(last->problem, HasSubstr("away"));
  lock.unlock();
  identity->stop();
  expect_good(identity->keys());
}

TEST_F(TerminalIdentityTest, AVerifierCertifiedByAnotherRegionShowsEachCardItsWay) {
  enrol();
  // Region B's authority certifies A's verifier: the same reference, the same key.
  card::TerminalStore other(folder_ / "other");
  const SecretBytes passphrase = SecretBytes::copy_of("other");
  must(other.create("XB", {.key_file_iterations = kQuick}, passphrase, card::cv_date_of(kStart)));
  const CvCertificate authority = must(other.authority());
  const Bytes pem = must(read_file(folder_ / ("other/" + authority.holder() + ".key.pem"), 10'000));
  crypto::SoftwareSigner signer(must(crypto::PrivateKey::from_encrypted_pem(as_text(pem), passphrase)));
  card::CvContent content = must(office_.store.verifier()).content();
  content.authority = authority.holder();
  const auto algorithm = authority.content().public_key.algorithm->algorithm;
  const CvCertificate foreign = must(card::sign_cv_certificate(content, signer, algorithm));
  // One for another key under the same reference is no use.
  crypto::SoftwareSigner elsewhere(must(crypto::PrivateKey::generate(crypto::KeyType::p256)));
  card::CvContent impostor = content;
  impostor.public_key = must(card::cv_public_key_of(elsewhere.public_key(), algorithm, false));
  const CvCertificate wrong = must(card::sign_cv_certificate(impostor, signer, algorithm));

  const auto identity = open();
  const std::vector<CvCertificate> others = {authority, wrong, foreign};
  const TerminalKeys keys = identity->keys(others);
  EXPECT_EQ(std::count(keys.credentials.chain.begin(), keys.credentials.chain.end(), wrong), 0);
  const auto here = must(card::chain_from(keys.credentials.chain, must(office_.store.authority()).holder(), ""));
  EXPECT_EQ(here, identity->keys().credentials.chain);
  const auto there = must(card::chain_from(keys.credentials.chain, authority.holder(), ""));
  ASSERT_EQ(there.size(), 2u);
  EXPECT_EQ(there.front(), foreign);
  const auto trust = card::verify_cv_chain({authority}, there, card::cv_date_of(clock_.now()));
  EXPECT_TRUE(trust) << (trust ? "" : trust.error().message);
}

TEST_F(TerminalIdentityTest, CertificatesIssuedByHandWorkWithoutEnrolment) {
  card::TerminalStore store(config_.folder);
  must(store.create("XA", {.key_file_iterations = kQuick}, secret(), card::cv_date_of(kStart)));
  must(store.issue_terminal(role(), {}, {.key_file_iterations = kQuick}, secret(), card::cv_date_of(kStart)));
  const auto identity = open();
  EXPECT_EQ(identity->terminal(), "");
  EXPECT_EQ(identity->status().state, IdentityState::fine);
  EXPECT_EQ(identity->tls().error().kind, ErrorKind::not_found);
  Office::Client client(office_);
  EXPECT_THAT(identity->renew(client).error().message, HasSubstr("never enrolled"));
}

TEST_F(TerminalIdentityTest, AKeyInATokenStaysThereThroughRenewals) {
  folder_.write("softhsm2.conf", "directories.tokendir = " + folder_.path().string() + "/tokens\nlog.level = ERROR\n");
  std::filesystem::create_directories(folder_ / "tokens");
  ::setenv("SOFTHSM2_CONF", (folder_ / "softhsm2.conf").c_str(), 1);
  const auto ran = crypto::testing::run(
      folder_, "softhsm2-util --init-token --free --label terminal --so-pin 12345678 --pin 123456");
  ASSERT_EQ(ran.status, 0) << ran.output;
  config_.key = "pkcs11:token=terminal;object=clinic?module-path=/usr/lib/softhsm/libsofthsm2.so";
  folder_.write("secret", std::string_view("123456\n"));
  const SecretBytes pin = SecretBytes::copy_of("123456");
  crypto::PublicKey in_token = [&] {
    const auto signer =
        must(crypto::Pkcs11Signer::generate(must(crypto::Pkcs11Uri::parse(config_.key)), pin, crypto::KeyType::p256));
    issuing::TerminalFolder terminal(config_.folder);
    const auto order = must(terminal.order(role(), crypto::KeyType::p256, pin, signer.get(), nullptr, kQuick));
    must(terminal.take(must(office_.certify(order.order)), order, clock_.now(), pin));
    return signer->public_key();
  }();
  const auto identity = open();
  expect_good(identity->keys());
  clock_.advance(hours(24 * 5));
  Office::Client client(office_);
  const auto holder = identity->keys().credentials.terminal().holder();
  must(identity->renew(client));
  EXPECT_NE(identity->keys().credentials.terminal().holder(), holder);
  EXPECT_TRUE(identity->keys().signer->public_key() == in_token);
  expect_good(identity->keys());
  for (const auto& entry : std::filesystem::directory_iterator(config_.folder))
    EXPECT_FALSE(entry.path().filename().string().ends_with(".key.pem")) << entry.path();
}

TEST_F(TerminalIdentityTest, WhatCannotWorkIsSaid) {
  enrol();
  config_.role = "pharmacy";
  EXPECT_EQ(TerminalIdentity::open(config_, nullptr, clock_, random_).error().kind, ErrorKind::configuration);
  config_.role = "clinic";
  folder_.write("secret", std::string_view("another\n"));
  EXPECT_EQ(TerminalIdentity::open(config_, nullptr, clock_, random_).error().kind, ErrorKind::wrong_pin);
  ::chmod((folder_ / "secret").c_str(), 0644);
  EXPECT_EQ(TerminalIdentity::open(config_, nullptr, clock_, random_).error().kind, ErrorKind::not_permitted);
  config_.folder = folder_ / "nowhere";
  const auto nowhere = TerminalIdentity::open(config_, nullptr, clock_, random_);
  EXPECT_EQ(nowhere.error().kind, ErrorKind::not_found);
  EXPECT_NE(nowhere.error().hint.find("karta terminal join"), std::string::npos) << nowhere.error().hint;
}

}  // namespace
}  // namespace karta::daemon
