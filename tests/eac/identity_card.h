// IdentityCard: an issued citizen card of firmware-sim with everything around it that is real: a centre's root and
// document signer, a terminals' authority with every role, a citizen plainly made up.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/file.h"
#include "card/domain_keys.h"
#include "card/identity_application.h"
#include "card/iso7816.h"
#include "card/issuer_channel.h"
#include "card/key_set_file.h"
#include "card/personalise.h"
#include "card/terminal_store.h"
#include "crypto/testing.h"
#include "crypto/x509/issue.h"
#include "tests/card/card_material.h"
#include "tests/card/simulated_card.h"

namespace karta::test {

inline SecretBytes secret(std::string_view text) { return SecretBytes::copy_of(text); }

constexpr std::string_view kCan = "314159", kPin = "135790", kTransportPin = "11223", kPuk = "9081726354";

/// What stays the same for all cards of a test program: made once, keys take their time.
struct CentreForTerminals {
  crypto::testing::TestCentre centre;
  crypto::SoftwareSigner document_signer, issuing_signer;
  crypto::Certificate issuing;  ///< issues transit keys, with a key as issuing CAs have it by default
  crypto::testing::TemporaryFolder folder;
  card::TerminalStore store;
  SecretBytes passphrase = secret("for tests only");
  Time now = crypto::testing::test_time();

  static card::CvIssueOptions quick() { return {.key = crypto::KeyType::p256, .days = 0, .key_file_iterations = 1000}; }

  /// By the profile that centres begin with.
  static crypto::Certificate certified(const std::string& profile,
                                       const std::vector<std::pair<std::string, std::string>>& name,
                                       const crypto::PublicKey& key, const crypto::Certificate& issuer,
                                       crypto::Signer& signer, std::optional<std::uint64_t> status_index = {}) {
    using crypto::testing::must;
    const std::string path = std::string(KARTA_SOURCE_DIR) + "/issuing/profiles/" + profile + ".toml";
    const Bytes text = must(read_file(path, 65536));
    crypto::NameBuilder subject;
    for (const auto& [attribute, value] : name) subject.add(attribute, value);
    crypto::CertificateRequest request{.subject = must(subject.build()), .public_key = key};
    request.status_index = status_index;
    const FixedClock clock(crypto::testing::test_time());
    SystemRandom random;
    return must(crypto::issue_certificate(must(crypto::CertificateProfile::from_toml(as_text(text), path)), request,
                                          issuer, signer, clock, random));
  }

  CentreForTerminals()
      : document_signer(crypto::testing::copy_of(crypto::testing::test_key(crypto::KeyType::p256))),
        issuing_signer(crypto::testing::must(crypto::PrivateKey::generate(crypto::KeyType::p256))),
        issuing(certified("issuing", {{"C", "XX"}, {"O", "Test Authority"}, {"CN", "Test Authority Issuing CA"}},
                          issuing_signer.public_key(), centre.root, centre.root_signer)),
        store(folder.path() / "terminals") {
    const crypto::Certificate certificate =
        certified("document-signer", {{"C", "XX"}, {"O", "Test Authority"}, {"CN", "Test Authority Documents"}},
                  document_signer.public_key(), centre.ca, centre.ca_signer);
    document_signer.set_certificate_chain({certificate.der(), centre.ca.der()});
    const card::CvDate today = card::cv_date_of(now);
    EXPECT_TRUE(store.create("XX", quick(), passphrase, today));
    for (const card::TerminalRole& role : card::terminal_roles()) {
      const auto made = store.issue_terminal(role, {}, quick(), passphrase, today);
      EXPECT_TRUE(made) << made.error().message;
    }
  }
  static CentreForTerminals& shared() {
    static CentreForTerminals one;
    return one;
  }
};

/// The citizen: no data group left out.
inline card::IdentityData sample_citizen() {
  return {
      {1, std::string("ID")},
      {2, std::string("UTO")},
      {3, card::PartialDate{2031, 1, 1}},
      {4, std::string("Sample")},
      {5, std::string("Person")},
      {6, std::string("Testovich")},
      {7, std::string("Dr.")},
      {8, card::PartialDate{1990, 5, 17}},
      {9, card::Place{.street = {}, .city = {}, .state = {}, .country = {}, .postal_code = {}, .text = "Sampletown"}},
      {10, std::string("UTO")},
      {11, std::string("F")},
      {12, card::NationalNumbers{{std::string(card::kSnilsOid), "00000000000"}}},
      {13, std::string("Beforehand")},
      {15, card::PartialDate{2026, 6, 1}},
      {16, std::string("0000000000000000")},
      {17, card::Place{.street = "1 Sample Street",
                       .city = "Sampletown",
                       .state = {},
                       .country = "UTO",
                       .postal_code = "000000",
                       .text = {}}},
      {18, Bytes{0x06, 0x43, 0x99}},
      {19, std::string("000000000000")},
      {21, card::NationalNumbers{{"2.999.1", "sample"}}}};
}

/// A face drawn for the examples.
inline Bytes sample_portrait() {
  const std::string path = std::string(KARTA_SOURCE_DIR) + "/docs/examples/portraits/99000000254.jpg";
  return crypto::testing::must(read_file(path, card::kMostPortraitOctets));
}

struct IdentityCardOptions {
  std::string pace_curve = "p256";
  std::string chip_curve = "p256";
  unsigned cipher_bits = 128;
  std::uint64_t seed = 1;
  bool card_signed = false;           ///< a key that signs transit statements
  std::string last_day = "20310101";  ///< what the card compares with when it is asked whether it is valid
  bool all_data_groups = true;        ///< false: those of the citizen profile as it ships
  bool portrait = false;              ///< sample_portrait() in data group 14
  /// Changes what is signed or written, for cards that lie.
  std::function<void(card::SecurityInfos&)> infos = {};
  std::function<void(std::map<unsigned, Bytes>&)> files_after_signing = {};
  std::optional<Bytes> card_security = {};
  crypto::Signer* signer = nullptr;  ///< instead of the document signer; its certificate is not looked at
};

class IdentityCard {
 public:
  explicit IdentityCard(IdentityCardOptions options = {}) : sim(options.seed), random(options.seed + 1000) {
    make(options);
  }

  /// Takes the card out, and puts it where the other interface is.
  void put(os::Interface interface) {
    sim.card().set_interface(interface);
    sim.replug();
    plain = std::make_unique<card::PlainChannel>(sim.connection());
  }

  /// What the holder does with the letter in hand, on the contacts.
  void change_transport_pin() {
    put(os::Interface::contact);
    auto esign = card::ESignApplication::open(*plain);
    ASSERT_TRUE(esign) << esign.error().message;
    const Status changed = esign->change_pin(card::PinKind::pin1, secret(kTransportPin), secret(kPin));
    ASSERT_TRUE(changed) << changed.error().message;
  }

  card::IdentityRequest request(const card::UnlockedTerminal& terminal, card::PacePassword password,
                                const SecretBytes& value) const {
    card::IdentityRequest request;
    request.password = password;
    request.secret = &value;
    request.terminal = &terminal.credentials;
    request.issuers = {centre.centre.ca};  // who certified the document signer
    request.at = centre.now;
    return request;
  }

  card::UnlockedTerminal terminal(std::string_view role) const {
    auto unlocked = centre.store.unlock(*card::find_terminal_role(role), centre.passphrase);
    if (!unlocked) {
      ADD_FAILURE() << unlocked.error().message;
      return {};
    }
    return std::move(*unlocked);
  }

  CentreForTerminals& centre = CentreForTerminals::shared();
  SimulatedCard sim;
  SeededRandom random;
  std::unique_ptr<card::PlainChannel> plain;
  card::CardProfile profile;
  card::CardData data;
  Bytes card_security;
  Bytes agreement_point;  ///< of the key departments agree on theirs with

 private:
  void make(const IdentityCardOptions& options) {
    std::string toml(card::citizen_profile_toml());
    const auto replace = [&](std::string_view key, const std::string& value) {
      const std::size_t at = toml.find("\n" + std::string(key) + " = ");
      ASSERT_NE(at, std::string::npos) << key;
      std::size_t end = toml.find('\n', at + 1);
      // An array may go on over lines.
      if (toml.find('[', at) < end) end = toml.find('\n', toml.find(']', at));
      toml.replace(at, end - at, "\n" + std::string(key) + " = " + value);
    };
    replace("pace_curves", "[\"" + options.pace_curve + "\"]");
    replace("cipher_bits", std::to_string(options.cipher_bits));
    replace("chip_authentication_curve", '"' + options.chip_curve + '"');
    std::string groups;
    for (const card::DataGroupRow& row : card::data_group_rows()) {
      groups += (groups.empty() ? "\"" : ", \"") + std::string(row.name) + '"';
    }
    if (options.all_data_groups) replace("data_groups", "[" + groups + "]");
    if (options.card_signed) replace("card_signed", "true");
    auto parsed = card::parse_profile(toml, "citizen.toml");
    ASSERT_TRUE(parsed) << parsed.error().message;
    profile = std::move(*parsed);

    card::IdentityData citizen = sample_citizen();
    if (options.portrait) citizen[card::kPortraitGroup] = sample_portrait();
    // What is printed, read and compared is one day.
    const auto number = [&](std::size_t at, std::size_t digits) {
      return std::stoi(options.last_day.substr(at, digits));
    };
    citizen[3] = card::PartialDate{static_cast<unsigned>(number(0, 4)), static_cast<unsigned>(number(4, 2)),
                                   static_cast<unsigned>(number(6, 2))};
    auto files = card::encode_data_groups(*profile.identity, citizen, random);
    ASSERT_TRUE(files) << files.error().message;
    data.data_groups = std::move(*files);
    data.comparison = {"19900517", options.last_day, {0x06, 0x43, 0x99}};
    data.status_index = 4711;
    const auto authority = centre.store.anchors();
    ASSERT_TRUE(authority);
    data.trust_anchor = authority->front().octets();
    data.date = card::cv_date_of(centre.now);
    data.secrets.transport_pins.emplace(card::PinKind::pin1, secret(kTransportPin));
    data.secrets.transport_pins.emplace(card::PinKind::pin2, secret("44556"));
    data.secrets.puk = secret(kPuk);
    data.secrets.can = secret(kCan);

    add_sectors(data, profile, random);
    card::PlainChannel channel(sim.connection());
    auto work = card::Personalisation::make(profile, data);
    ASSERT_TRUE(work) << work.error().message;
    const SecretBytes master = SecretBytes(Bytes(card::kMasterKeyOctets, 0x6B));
    card::IssuerChannelRequest issuer;
    issuer.profile = &profile.card_manager;
    issuer.master = &master;
    issuer.take_blank = true;
    const auto session = card::open_issuer_channel(channel, issuer, random);
    ASSERT_TRUE(session) << session.error().message;
    const auto keys = work->prepare(**session);
    ASSERT_TRUE(keys) << keys.error().message;
    agreement_point = work->journal().points.at(card::kAgreementKeyFile);
    auto infos = work->card_security();
    ASSERT_TRUE(infos) << infos.error().message;
    if (options.infos) options.infos(*infos);
    const auto signed_infos = card::sign_card_security(*infos, centre.document_signer);
    ASSERT_TRUE(signed_infos) << signed_infos.error().message;
    card_security = options.card_security.value_or(*signed_infos);
    if (options.files_after_signing) options.files_after_signing(data.data_groups);
    card::CardCertificates certificates = certificates_for(profile);
    certificates.card_security = card_security;
    if (profile.transit && profile.transit->card_signed) {
      const auto key =
          crypto::PublicKey::from_point(crypto::KeyType::p256, work->journal().points.at(card::kTransitSigningKey));
      ASSERT_TRUE(key) << key.error().message;
      certificates.transit = centre
                                 .certified("card-transit", {{"CN", card::transit_subject(data.transit.ledger.serial)}},
                                            *key, centre.issuing, centre.issuing_signer, 4711)
                                 .der();
    }
    const Status done = work->complete(**session, certificates);
    ASSERT_TRUE(done) << done.error().message;
    put(os::Interface::contact);
  }
};

}  // namespace karta::test
