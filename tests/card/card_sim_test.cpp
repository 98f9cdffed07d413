// A citizen card from blank to renewed certificate, against the card operating system itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/der.h"
#include "card/card_signer.h"
#include "card/esign.h"
#include "card/issuer_channel.h"
#include "card/key_set_file.h"
#include "card/personalise.h"
#include "card/profile.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "tests/card/card_material.h"
#include "tests/card/simulated_card.h"

namespace karta::card {
namespace {

using test::certificate_of;
using test::certificates_for;
using test::SimulatedCard;

#define ASSERT_OK(expression)                          \
  do {                                                 \
    const auto& outcome_ = (expression);               \
    ASSERT_TRUE(outcome_) << outcome_.error().message; \
  } while (false)

SecretBytes secret(std::string_view text) { return SecretBytes::copy_of(text); }

ErrorKind kind_of(const auto& result) { return result ? ErrorKind::internal : result.error().kind; }

CardProfile citizen_profile(std::string_view key_type = "p256") {
  std::string toml(citizen_profile_toml());
  // The holder's keys; those of the card itself stay.
  for (std::size_t at = toml.find("[[key]]"); (at = toml.find("\"p256\"", at)) != std::string::npos;) {
    toml.replace(at, 6, '"' + std::string(key_type) + '"');
    at += key_type.size() + 2;
  }
  if (key_type.starts_with("rsa")) {
    const std::size_t at = toml.find("[\"agree\"]");
    toml.replace(at, 9, "[\"decipher\"]");
  }
  auto profile = parse_profile(toml, "citizen.toml");
  EXPECT_TRUE(profile) << profile.error().message;
  return std::move(*profile);
}

CardData card_data(const CardProfile& profile = citizen_profile()) {
  CardData data;
  test::add_identity(data, profile);
  data.secrets.transport_pins.emplace(PinKind::pin1, secret("11223"));
  data.secrets.transport_pins.emplace(PinKind::pin2, secret("44556"));
  data.secrets.puk = secret("9081726354");
  data.secrets.can = secret("314159");
  return data;
}

// Always the same answers, and what was asked.
class ScriptedPins final : public PinSource {
 public:
  explicit ScriptedPins(std::vector<std::string> answers) : answers_(std::move(answers)) {}
  Result<SecretBytes> pin(const PinRequest& request) override {
    asked.push_back(request);
    if (next_ == answers_.size()) return fail(ErrorKind::cancelled, "no more answers");
    return secret(answers_[next_++]);
  }
  std::vector<PinRequest> asked;

 private:
  std::vector<std::string> answers_;
  std::size_t next_ = 0;
};

// What making a citizen card costs.
constexpr unsigned kIssueCommands = 115;

class IssuedCard : public ::testing::Test {
 protected:
  void issue(std::string_view key_type = "p256") {
    profile = citizen_profile(key_type);
    certificates = certificates_for(profile);
    auto work = Personalisation::make(profile, data);
    ASSERT_OK(work);
    const auto session = issuer(channel);
    ASSERT_OK(session);
    auto made = work->prepare(**session);
    ASSERT_OK(made);
    keys = *made;
    ASSERT_OK(work->complete(**session, certificates));
    sim.replug();
  }
  // The issuer's session, on a blank card or one issued here.
  Result<std::unique_ptr<Scp03Channel>> issuer(Channel& plain) {
    IssuerChannelRequest request;
    request.profile = &profile.card_manager;
    request.master = &master;
    request.take_blank = true;
    return open_issuer_channel(plain, request, issuer_random);
  }
  // As a citizen does with the letter in hand.
  void change_transport_pins(ESignApplication& esign) {
    ASSERT_OK(esign.change_pin(PinKind::pin1, secret("11223"), secret("135790")));
    ASSERT_OK(esign.change_pin(PinKind::pin2, secret("44556"), secret("24680135")));
  }
  crypto::PublicKey public_key(KeyRole role) {
    auto key = crypto::PublicKey::from_spki(keys.at(role));
    EXPECT_TRUE(key) << key.error().message;
    return *key;
  }

  SimulatedCard sim;
  PlainChannel channel{sim.connection()};
  CardProfile profile;
  CardData data = card_data();
  const SecretBytes master = SecretBytes(Bytes(kMasterKeyOctets, 0x6B));
  SeededRandom issuer_random{4};
  CardCertificates certificates;
  std::map<KeyRole, Bytes> keys;
  const Bytes digest = crypto::digest(crypto::Hash::sha256, as_bytes("a letter"));
};

// Personalisation --------------------------------------------------------------------------------

TEST_F(IssuedCard, PersonalisationCostsWhatThePlanSays) {
  profile = citizen_profile();
  certificates = certificates_for(profile);
  auto work = Personalisation::make(profile, data);
  ASSERT_OK(work);
  const PersonalisationPlan plan = work->plan(channel.limits());
  const WireCount before = sim.count();
  // As the station does: nobody else has the card from the first command to the last.
  const auto alone = Transaction::begin(sim.connection());
  ASSERT_OK(alone);
  const auto session = issuer(channel);
  ASSERT_OK(session);
  ASSERT_OK(work->prepare(**session));
  const WireCount prepared = sim.count();
  ASSERT_OK(work->complete(**session, certificates));
  const WireCount cost = sim.count() - before;

  std::size_t plan_prepare = 0;
  for (const PlanStep& step : plan.prepare) plan_prepare += step.octets_out;
  EXPECT_EQ((prepared - before).octets_out, plan_prepare);
  EXPECT_EQ(cost.commands, plan.commands());
  // Exact: a change here is a change of the product's speed.
  EXPECT_EQ(cost.commands, kIssueCommands);
  RecordProperty("commands", static_cast<int>(cost.commands));
  RecordProperty("octets_out", static_cast<int>(cost.octets_out));
  RecordProperty("octets_back", static_cast<int>(cost.octets_back));
  std::printf("personalisation: %llu commands, %llu octets out, %llu back\n",
              static_cast<unsigned long long>(cost.commands), static_cast<unsigned long long>(cost.octets_out),
              static_cast<unsigned long long>(cost.octets_back));
  ASSERT_OK(check_personalised(channel, profile, certificates));
}

TEST_F(IssuedCard, IssueFitsTheTarget) {
  issue();
  const PersonalisationPlan plan = Personalisation::make(profile, data)->plan(channel.limits());
  EXPECT_LE(plan.commands(), 150u);
  EXPECT_LE(plan.octets_out() + plan.octets_back(), 20'000u);
}

TEST_F(IssuedCard, IsReadBackAsWritten) {
  issue();
  ASSERT_OK(check_personalised(channel, profile, certificates));
  auto esign = ESignApplication::open(channel);
  ASSERT_OK(esign);
  const auto token = esign->token_info();
  ASSERT_OK(token);
  EXPECT_EQ((*token)->label, "KARTA");
  const auto pins = esign->pins();
  ASSERT_OK(pins);
  ASSERT_EQ(pins->size(), 2u);
  EXPECT_EQ((*pins)[0].min_length, 5u);
  EXPECT_EQ((*pins)[1].reference, 2);
  // EF.DIR has its exact size and 61 templates only.
  const auto dir = read_file(channel, Path{kEfDir});
  ASSERT_OK(dir);
  const auto applications = parse_ef_dir(*dir);
  ASSERT_OK(applications);
  EXPECT_EQ(encode_ef_dir(*applications), *dir);
}

TEST_F(IssuedCard, WrongCertificateOnTheCardIsNoticed) {
  issue();
  certificates.by_role[KeyRole::signature] = certificate_of(700, 0x77);
  EXPECT_EQ(kind_of(check_personalised(channel, profile, certificates)), ErrorKind::card_refused);
}

TEST_F(IssuedCard, IsClosedForGood) {
  issue();
  EXPECT_EQ(kind_of(erase_blank_card(channel)), ErrorKind::card_refused);
  auto again = Personalisation::make(profile, data);
  ASSERT_OK(again);
  EXPECT_EQ(kind_of(again->prepare(channel)), ErrorKind::card_refused);
  const auto session = issuer(channel);
  ASSERT_OK(session);
  EXPECT_EQ(kind_of(again->prepare(**session)), ErrorKind::card_refused);
}

TEST_F(IssuedCard, ForeignFilesAreNotOverwritten) {
  profile = citizen_profile();
  auto first = Personalisation::make(profile, data);
  ASSERT_OK(first->prepare(channel));
  auto second = Personalisation::make(profile, data);
  EXPECT_EQ(kind_of(second->prepare(channel)), ErrorKind::card_refused);
  ASSERT_OK(erase_blank_card(channel));
  ASSERT_OK(second->prepare(channel));
}

// Interrupted at every command, personalisation goes on from its journal and ends with the same card.
TEST_F(IssuedCard, ResumesAfterAnInterruptionAnywhere) {
  profile = citizen_profile();
  certificates = certificates_for(profile);
  for (unsigned cut = 1; cut <= kIssueCommands; ++cut) {
    SCOPED_TRACE("power cut in command " + std::to_string(cut));
    SimulatedCard fresh(100 + cut);
    PlainChannel line(fresh.connection());
    Journal kept;
    kept.profile = profile.name;
    const JournalSink keep = [&](const Journal& journal) -> Status {
      auto copy = Journal::from_text(journal.to_text());
      if (!copy) return fail(copy.error());
      kept = *copy;
      return {};
    };
    // The answer is lost after the command was carried out, the worst of cases.
    fresh.card().cut_power_at({.command = cut, .write = 1'000'000});
    {
      auto work = Personalisation::make(profile, data);
      work->on_journal(keep);
      Status outcome = [&]() -> Status {
        const Transaction alone = TRY(Transaction::begin(fresh.connection()));
        const auto session = TRY(issuer(line));
        TRY(work->prepare(*session));
        return work->complete(*session, certificates);
      }();
      ASSERT_FALSE(outcome);
      EXPECT_EQ(outcome.error().kind, ErrorKind::card_removed);
    }
    fresh.replug();
    auto work = Personalisation::make(profile, data);
    ASSERT_OK(work->resume(kept));
    const auto session = issuer(line);
    ASSERT_OK(session);
    const auto made = work->prepare(**session);
    ASSERT_OK(made);
    ASSERT_OK(work->complete(**session, certificates));
    ASSERT_OK(check_personalised(line, profile, certificates));
    // The keys reported are those on the card.
    auto esign = ESignApplication::open(line);
    for (const KeyProfile& key : profile.keys) {
      const auto on_card = esign->read_public_key(*esign->key(key.role));
      ASSERT_OK(on_card);
      EXPECT_EQ(on_card->subject_public_key_info(), made->at(key.role));
    }
  }
}

TEST_F(IssuedCard, AnotherCardIsNotContinued) {
  profile = citizen_profile();
  auto work = Personalisation::make(profile, data);
  ASSERT_OK(work->prepare(channel));
  SimulatedCard other(99);
  PlainChannel line(other.connection());
  EXPECT_EQ(kind_of(work->complete(line, certificates_for(profile))), ErrorKind::card_unknown);
}

// PINs -------------------------------------------------------------------------------------------

TEST_F(IssuedCard, TransportPinIsGoodForNothingButBeingChanged) {
  issue();
  auto esign = ESignApplication::open(channel);
  ASSERT_OK(esign);
  EXPECT_EQ(kind_of(esign->verify_pin(PinKind::pin1, secret("11223"))), ErrorKind::transport_pin);
  EXPECT_EQ(esign->pin_status(PinKind::pin1)->tries_left, 3u);
  EXPECT_EQ(kind_of(esign->change_pin(PinKind::pin1, secret("11223"), secret("77777777"))), ErrorKind::pin_rejected);
  EXPECT_EQ(kind_of(esign->change_pin(PinKind::pin1, secret("11224"), secret("135790"))), ErrorKind::wrong_pin);
  change_transport_pins(*esign);
  EXPECT_TRUE(esign->verify_pin(PinKind::pin1, secret("135790")));
  EXPECT_TRUE(esign->pin_status(PinKind::pin1)->verified);
  ASSERT_OK(esign->log_out());
  EXPECT_FALSE(esign->pin_status(PinKind::pin1)->verified);
}

TEST_F(IssuedCard, ARightEndsWithTheApplicationThatWasGivenIt) {
  issue();
  const auto verified = [&](PinKind kind) { return ESignApplication::open(channel)->pin_status(kind)->verified; };
  {
    auto esign = ESignApplication::open(channel);
    change_transport_pins(*esign);
  }
  EXPECT_FALSE(verified(PinKind::pin1));
  EXPECT_FALSE(verified(PinKind::pin2));
  {
    auto esign = ESignApplication::open(channel);
    ASSERT_OK(esign->verify_pin(PinKind::pin1, secret("135790")));
    auto moved = ESignApplication(std::move(*esign));
    EXPECT_TRUE(verified(PinKind::pin1)) << "who was given nothing takes nothing away";
  }
  EXPECT_FALSE(verified(PinKind::pin1));
}

TEST_F(IssuedCard, WrongPinTellsTriesAndBlocks) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  const Status first = esign->verify_pin(PinKind::pin1, secret("135791"));
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().kind, ErrorKind::wrong_pin);
  EXPECT_EQ(first.error().message, "wrong PIN1, 2 tries are left");
  EXPECT_EQ(esign->verify_pin(PinKind::pin1, secret("135791")).error().message, "wrong PIN1, 1 try is left");
  EXPECT_EQ(kind_of(esign->verify_pin(PinKind::pin1, secret("135791"))), ErrorKind::pin_blocked);
  EXPECT_EQ(kind_of(esign->verify_pin(PinKind::pin1, secret("135790"))), ErrorKind::pin_blocked);
  EXPECT_TRUE(esign->pin_status(PinKind::pin1)->blocked);
  // PIN2 is another object.
  EXPECT_EQ(esign->pin_status(PinKind::pin2)->tries_left, 3u);
}

TEST_F(IssuedCard, OnePukUnblocksBothPins) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  for (const PinKind kind : {PinKind::pin1, PinKind::pin2}) {
    for (int i = 0; i < 3; ++i) (void)esign->verify_pin(kind, secret("999111"));
    ASSERT_TRUE(esign->pin_status(kind)->blocked);
    const Status wrong = esign->unblock_pin(kind, secret("0000000000"), secret("864209"));
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().kind, ErrorKind::wrong_pin);
    EXPECT_EQ(wrong.error().message, "wrong PUK, 9 tries are left");
    ASSERT_OK(esign->unblock_pin(kind, secret("9081726354"), secret("864209")));
    EXPECT_TRUE(esign->verify_pin(kind, secret("864209")));
  }
}

// Noise on the line, or a reader's own mind: the command did not reach the card.
TEST_F(IssuedCard, NobodyIsToldThatAPinIsUnblockedWhichIsNot) {
  issue();
  bool forge = false;
  unsigned forged = 0;
  MemoryConnection line({.process = [&](ByteView command) -> Bytes {
                           if (forge && command.size() > 1 && command[1] == 0x2C) {
                             ++forged;
                             return {0x90, 0x00};
                           }
                           return to_bytes(sim.card().process(to_bytes(command)));
                         },
                         .atr = [&] { return to_bytes(sim.card().atr()); },
                         .reset = [&] { sim.card().reset(); }});
  PlainChannel plain(line);
  auto esign = ESignApplication::open(plain);
  ASSERT_OK(esign);
  const SecretBytes puk = secret("9081726354"), fresh = secret("864209");
  for (const bool transport : {true, false}) {
    SCOPED_TRACE(transport ? "transport PIN" : "blocked");
    if (!transport) {
      for (int i = 0; i < 3; ++i) (void)esign->verify_pin(PinKind::pin1, secret("999111"));
      ASSERT_TRUE(esign->pin_status(PinKind::pin1)->blocked);
    }
    forge = true;
    const Status told = esign->unblock_pin(PinKind::pin1, puk, fresh);
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error().kind, ErrorKind::card_unresponsive);
    EXPECT_FALSE(told.error().hint.empty());
    forge = false;
    ASSERT_OK(esign->unblock_pin(PinKind::pin1, puk, fresh));
    EXPECT_EQ(esign->pin_status(PinKind::pin1)->tries_left, 3u);
    EXPECT_TRUE(esign->verify_pin(PinKind::pin1, fresh));
  }
  EXPECT_EQ(forged, 2u);
}

// Keys -------------------------------------------------------------------------------------------

class SignsWith : public IssuedCard, public ::testing::WithParamInterface<const char*> {};

TEST_P(SignsWith, EverySignatureKeyAndAlgorithm) {
  issue(GetParam());
  auto esign = ESignApplication::open(channel);
  ASSERT_OK(esign);
  change_transport_pins(*esign);
  SeededRandom random(5);
  for (const KeyRole role : {KeyRole::authentication, KeyRole::signature, KeyRole::qualified}) {
    const auto key = esign->key(role);
    ASSERT_OK(key);
    const crypto::PublicKey verifier = public_key(role);
    for (const crypto::AlgorithmId algorithm : crypto::algorithms_of(verifier)) {
      SCOPED_TRACE(std::string(to_string(role)) + " " + std::string(crypto::row_of(algorithm).name));
      const Bytes hash = crypto::digest(crypto::row_of(algorithm).hash, as_bytes("a letter"));
      const SecretBytes pin = secret(key->pin == PinKind::pin2 ? "24680135" : "135790");
      const auto row = crypto::row_of(algorithm);
      const SignatureScheme scheme = row.padding == crypto::Padding::none    ? SignatureScheme::ecdsa
                                     : row.padding == crypto::Padding::pkcs1 ? SignatureScheme::rsa_pkcs1
                                                                             : SignatureScheme::rsa_raw;
      const Bytes input = scheme == SignatureScheme::ecdsa ? hash
                          : scheme == SignatureScheme::rsa_pkcs1
                              ? digest_info(row.hash, hash)
                              : *emsa_pss_encode(row.hash, hash, verifier.bits(), random);
      const auto signature = esign->sign(*key, scheme, input, &pin);
      ASSERT_OK(signature);
      EXPECT_TRUE(verifier.verify_digest(algorithm, hash, *signature));
      EXPECT_FALSE(verifier.verify_digest(algorithm, crypto::digest(row.hash, as_bytes("another")), *signature));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(KeyTypes, SignsWith, ::testing::Values("p256", "p384", "p521", "rsa-2048", "rsa-3072"),
                         [](const auto& type) {
                           std::string name = type.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST_F(IssuedCard, QualifiedKeyWantsItsPinEachTime) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  const auto key = esign->key(KeyRole::qualified);
  ASSERT_OK(key);
  EXPECT_TRUE(key->pin_each_time);
  EXPECT_EQ(kind_of(esign->sign(*key, SignatureScheme::ecdsa, digest)), ErrorKind::not_permitted);
  const SecretBytes pin = secret("24680135");
  EXPECT_TRUE(esign->sign(*key, SignatureScheme::ecdsa, digest, &pin));
  // The card itself holds it so: a second signature without VERIFY is refused though the terminal would ask for it.
  CardKey careless = *key;
  careless.pin_each_time = false;
  EXPECT_EQ(kind_of(esign->sign(careless, SignatureScheme::ecdsa, digest)), ErrorKind::not_permitted);
}

TEST_F(IssuedCard, KeysAreForTheirPurposeOnly) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  ASSERT_OK(esign->verify_pin(PinKind::pin1, secret("135790")));
  CardKey enc = *esign->key(KeyRole::encryption);
  EXPECT_EQ(kind_of(esign->sign(enc, SignatureScheme::ecdsa, digest)), ErrorKind::usage);
  enc.usage = key_usage::sign;  // a program that does not care: the card does
  EXPECT_EQ(kind_of(esign->sign(enc, SignatureScheme::ecdsa, digest)), ErrorKind::not_permitted);
  CardKey aut = *esign->key(KeyRole::authentication);
  aut.usage = key_usage::derive;
  const auto point = esign->read_public_key(*esign->key(KeyRole::signature));
  EXPECT_EQ(kind_of(esign->agree(aut, point->point)), ErrorKind::not_permitted);
}

TEST_F(IssuedCard, AgreesOnAKey) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  // The other party: OpenSSL.
  EVP_PKEY* ours = EVP_EC_gen("P-256");
  unsigned char* encoded = nullptr;
  const std::size_t size = EVP_PKEY_get1_encoded_public_key(ours, &encoded);
  const Bytes point(encoded, encoded + size);
  OPENSSL_free(encoded);
  const SecretBytes pin = secret("135790");
  const auto card_side = esign->agree(*esign->key(KeyRole::encryption), point, &pin);
  ASSERT_OK(card_side);

  const Bytes& spki = keys.at(KeyRole::encryption);
  const unsigned char* at = spki.data();
  EVP_PKEY* theirs = d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size()));
  ASSERT_NE(theirs, nullptr);
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(ours, nullptr);
  Bytes expected(32);
  std::size_t length = expected.size();
  ASSERT_EQ(EVP_PKEY_derive_init(context), 1);
  ASSERT_EQ(EVP_PKEY_derive_set_peer(context, theirs), 1);
  ASSERT_EQ(EVP_PKEY_derive(context, expected.data(), &length), 1);
  EXPECT_TRUE(card_side->equals(expected));
  EVP_PKEY_CTX_free(context);
  EVP_PKEY_free(ours);
  EVP_PKEY_free(theirs);

  Bytes off_curve = point;
  off_curve[40] ^= 1;
  EXPECT_FALSE(esign->agree(*esign->key(KeyRole::encryption), off_curve));
}

TEST_F(IssuedCard, Deciphers) {
  issue("rsa-2048");
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  const Bytes& spki = keys.at(KeyRole::encryption);
  const unsigned char* at = spki.data();
  EVP_PKEY* key = d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size()));
  ASSERT_NE(key, nullptr);
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(key, nullptr);
  ASSERT_EQ(EVP_PKEY_encrypt_init(context), 1);  // PKCS #1 v1.5
  Bytes cryptogram(256);
  std::size_t length = cryptogram.size();
  const ByteView message = as_bytes("for the holder only");
  ASSERT_EQ(EVP_PKEY_encrypt(context, cryptogram.data(), &length, message.data(), message.size()), 1);
  EVP_PKEY_CTX_free(context);
  EVP_PKEY_free(key);
  const SecretBytes pin = secret("135790");
  const auto plain = esign->decipher(*esign->key(KeyRole::encryption), DecipherPadding::pkcs1, cryptogram, &pin);
  ASSERT_OK(plain);
  EXPECT_TRUE(plain->equals(message));
  const auto raw = esign->decipher(*esign->key(KeyRole::encryption), DecipherPadding::none, cryptogram);
  ASSERT_OK(raw);
  EXPECT_EQ(raw->size(), 256u);
}

// Renewal: a key made anew under its PIN, and the certificate written over the old one.
TEST_F(IssuedCard, RenewsKeyAndCertificate) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  const CardKey key = *esign->key(KeyRole::signature);
  const auto places = esign->certificates();
  ASSERT_OK(places);
  CardCertificate place;
  for (const CardCertificate& certificate : *places) {
    if (certificate.id == key.id) place = certificate;
  }
  const std::uint16_t counter = esign->info().change_counter;
  EXPECT_FALSE(esign->generate_key(key));
  EXPECT_FALSE(esign->write_certificate(place, certificate_of(710, 0x55)));
  ASSERT_OK(esign->verify_pin(PinKind::pin1, secret("135790")));
  const auto fresh = esign->generate_key(key);
  ASSERT_OK(fresh);
  EXPECT_NE(fresh->subject_public_key_info(), keys.at(KeyRole::signature));
  const Bytes renewed = certificate_of(710, 0x55), shorter = certificate_of(650, 0x66);
  ASSERT_OK(esign->write_certificate(place, renewed));
  EXPECT_EQ(*esign->read_certificate(place), renewed);
  ASSERT_OK(esign->write_certificate(place, shorter));
  EXPECT_EQ(*esign->read_certificate(place), shorter);
  EXPECT_EQ(kind_of(esign->write_certificate(place, certificate_of(1000, 1))), ErrorKind::limit);
  EXPECT_NE(esign->info().change_counter, counter);
}

// What it costs ----------------------------------------------------------------------------------

TEST_F(IssuedCard, WarmSignatureIsCounterMseAndPso) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  const CardKey sig = *esign->key(KeyRole::signature), qes = *esign->key(KeyRole::qualified);
  ASSERT_OK(esign->verify_pin(PinKind::pin1, secret("135790")));
  const unsigned transactions = sim.memory().transactions();
  WireCount before = sim.count();
  ASSERT_OK(esign->sign(sig, SignatureScheme::ecdsa, digest));
  EXPECT_EQ((sim.count() - before).commands, 3u);
  EXPECT_EQ(sim.memory().transactions(), transactions + 1);
  const SecretBytes pin = secret("24680135");
  before = sim.count();
  ASSERT_OK(esign->sign(qes, SignatureScheme::ecdsa, digest, &pin));
  EXPECT_EQ((sim.count() - before).commands, 4u);
}

TEST_F(IssuedCard, SignatureInAHeldTransactionIsOneCommand) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  const CardKey sig = *esign->key(KeyRole::signature);
  const auto held = Transaction::begin(sim.connection());
  ASSERT_OK(held);
  ASSERT_OK(esign->verify_pin(PinKind::pin1, secret("135790")));
  ASSERT_OK(esign->sign(sig, SignatureScheme::ecdsa, digest));
  const WireCount before = sim.count();
  const auto signature = esign->sign(sig, SignatureScheme::ecdsa, digest);
  ASSERT_OK(signature);
  EXPECT_EQ((sim.count() - before).commands, 1u);
  EXPECT_TRUE(public_key(KeyRole::signature).verify_digest(crypto::AlgorithmId::ecdsa_sha256, digest, *signature));
}

TEST_F(IssuedCard, ColdStartToSignatureIsCheap) {
  issue();
  {
    auto esign = ESignApplication::open(channel);
    change_transport_pins(*esign);
  }
  sim.replug();
  const WireCount before = sim.count();
  const auto held = Transaction::begin(sim.connection());
  auto esign = ESignApplication::open(channel);
  const auto key = esign->key(KeyRole::signature);
  ASSERT_OK(key);
  ASSERT_OK(esign->certificate_chain(*key));
  const SecretBytes pin = secret("135790");
  ASSERT_OK(esign->sign(*key, SignatureScheme::ecdsa, digest, &pin));
  EXPECT_EQ((sim.count() - before).commands, 12u);
}

// Other programs ---------------------------------------------------------------------------------

TEST_F(IssuedCard, AnotherProgramsResetIsTakenUp) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  ASSERT_OK(esign->verify_pin(PinKind::pin1, secret("135790")));
  const CardKey key = *esign->key(KeyRole::signature);
  ASSERT_OK(sim.connection().reset());
  EXPECT_EQ(kind_of(esign->sign(key, SignatureScheme::ecdsa, digest)), ErrorKind::not_permitted);
  const SecretBytes pin = secret("135790");
  EXPECT_TRUE(esign->sign(key, SignatureScheme::ecdsa, digest, &pin));
}

TEST_F(IssuedCard, AnotherProgramsSelectionDoesNoHarm) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  const CardKey key = *esign->key(KeyRole::signature);
  ASSERT_TRUE(sim.memory().transmit(Bytes{0x00, 0xA4, 0x00, 0x0C, 0x02, 0x3F, 0x00}));
  const SecretBytes pin = secret("135790");
  EXPECT_TRUE(esign->sign(key, SignatureScheme::ecdsa, digest, &pin));
  ASSERT_TRUE(sim.memory().transmit(Bytes{0x00, 0xA4, 0x00, 0x0C, 0x02, 0x3F, 0x00}));
  EXPECT_TRUE(esign->certificate_chain(key));
}

TEST_F(IssuedCard, CardPulledOutInMidCommandIsToldAndTheProgramGoesOn) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  const CardKey key = *esign->key(KeyRole::signature);
  const SecretBytes pin = secret("135790");
  sim.card().cut_power_at({.command = 2, .write = 1});  // in VERIFY
  const auto broken = esign->sign(key, SignatureScheme::ecdsa, digest, &pin);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().kind, ErrorKind::card_removed);
  sim.replug();
  EXPECT_TRUE(esign->sign(key, SignatureScheme::ecdsa, digest, &pin));
}

TEST(ContactlessCard, IsNotForPlainESignCommands) {
  SimulatedCard sim(3, os::Interface::contactless);
  PlainChannel channel(sim.connection());
  const auto esign = ESignApplication::open(channel);
  ASSERT_FALSE(esign);
  EXPECT_EQ(esign.error().kind, ErrorKind::card_unknown);
  EXPECT_EQ(sim.count().commands, 0u);
}

TEST(BlankCard, HasNoDirectory) {
  SimulatedCard sim(4);
  PlainChannel channel(sim.connection());
  auto esign = ESignApplication::open(channel);
  ASSERT_OK(esign);
  const auto initialised = esign->initialised();
  ASSERT_OK(initialised);
  EXPECT_FALSE(*initialised);
  EXPECT_EQ(esign->info().version_major, 4);
  const auto limits = read_extended_length_information(channel);
  ASSERT_OK(limits);
  EXPECT_EQ(*limits, channel.limits()) << "the ATR table and EF.ATR must say the same";
}

// CardSigner -------------------------------------------------------------------------------------

TEST_F(IssuedCard, SignerAsksOnceForASessionAndEachTimeForAQualifiedKey) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  SeededRandom random(7);
  // No real certificates here: the public key comes from the key file.
  ScriptedPins once({"135790"});
  CardKey key = *esign->key(KeyRole::signature);
  key.id = {0x77};
  auto signer = CardSigner::make(*esign, key, once, random);
  ASSERT_OK(signer);
  EXPECT_TRUE(signer->certificate_chain().empty());
  for (int i = 0; i < 3; ++i) {
    const auto signature = signer->sign(crypto::AlgorithmId::ecdsa_sha256, digest);
    ASSERT_OK(signature);
    EXPECT_TRUE(signer->public_key().verify_digest(crypto::AlgorithmId::ecdsa_sha256, digest, *signature));
  }
  // Another program resets the card: the PIN is presented again, not asked for again.
  ASSERT_OK(sim.connection().reset());
  ASSERT_OK(signer->sign(crypto::AlgorithmId::ecdsa_sha256, digest));
  ASSERT_EQ(once.asked.size(), 1u);
  EXPECT_EQ(once.asked[0].kind, PinKind::pin1);
  EXPECT_EQ(once.asked[0].tries_left, 3u);

  ScriptedPins each({"24680136", "24680135", "24680135"});
  CardKey qualified = *esign->key(KeyRole::qualified);
  qualified.id = {0x78};
  auto strict = CardSigner::make(*esign, qualified, each, random);
  ASSERT_OK(strict);
  EXPECT_TRUE(strict->pin_per_signature());
  ASSERT_OK(strict->sign(crypto::AlgorithmId::ecdsa_sha256, digest));
  const WireCount before = sim.count();
  ASSERT_OK(strict->sign(crypto::AlgorithmId::ecdsa_sha256, digest));
  EXPECT_EQ((sim.count() - before).commands, 4u);
  ASSERT_EQ(each.asked.size(), 3u);
  EXPECT_FALSE(each.asked[0].after_wrong);
  EXPECT_TRUE(each.asked[1].after_wrong);
  EXPECT_EQ(each.asked[1].tries_left, 2u);
  EXPECT_FALSE(each.asked[2].after_wrong);
}

// What is kept is presented again only where that cannot cost the holder the PIN.
TEST_F(IssuedCard, SignerForgetsAKeptPinThatIsRightNoMore) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  SeededRandom random(7);
  ScriptedPins pins({"135790", "864209", "864209", "975318"});
  CardKey key = *esign->key(KeyRole::signature);
  key.id = {0x77};
  auto signer = CardSigner::make(*esign, key, pins, random);
  ASSERT_OK(signer);
  ASSERT_OK(signer->sign(crypto::AlgorithmId::ecdsa_sha256, digest));

  // Another program changes the PIN: the kept one costs a try, once, and the person is asked.
  ASSERT_OK(esign->change_pin(PinKind::pin1, secret("135790"), secret("864209")));
  ASSERT_OK(sim.connection().reset());
  ASSERT_OK(signer->sign(crypto::AlgorithmId::ecdsa_sha256, digest));
  ASSERT_EQ(pins.asked.size(), 2u);
  EXPECT_EQ(pins.asked[1].tries_left, 2u);

  // The last try is left to the person, though the kept PIN would be right.
  for (int i = 0; i < 2; ++i) (void)esign->verify_pin(PinKind::pin1, secret("999111"));
  ASSERT_OK(sim.connection().reset());
  ASSERT_OK(signer->sign(crypto::AlgorithmId::ecdsa_sha256, digest));
  ASSERT_EQ(pins.asked.size(), 3u);
  EXPECT_EQ(pins.asked[2].tries_left, 1u);

  // Blocked and unblocked with a new PIN: the old one is not tried on it.
  for (int i = 0; i < 3; ++i) (void)esign->verify_pin(PinKind::pin1, secret("999111"));
  ASSERT_OK(sim.connection().reset());
  EXPECT_EQ(kind_of(signer->sign(crypto::AlgorithmId::ecdsa_sha256, digest)), ErrorKind::pin_blocked);
  ASSERT_OK(esign->unblock_pin(PinKind::pin1, secret("9081726354"), secret("975318")));
  ASSERT_OK(signer->sign(crypto::AlgorithmId::ecdsa_sha256, digest));
  ASSERT_EQ(pins.asked.size(), 4u);
  EXPECT_EQ(pins.asked[3].tries_left, 3u) << "nothing was tried in between";
}

TEST_F(IssuedCard, SignerDoesNotAskForABlockedPin) {
  issue();
  auto esign = ESignApplication::open(channel);
  change_transport_pins(*esign);
  for (int i = 0; i < 3; ++i) (void)esign->verify_pin(PinKind::pin1, secret("999111"));
  SeededRandom random(7);
  ScriptedPins pins({"135790"});
  CardKey key = *esign->key(KeyRole::signature);
  key.id = {0x77};
  auto signer = CardSigner::make(*esign, key, pins, random);
  ASSERT_OK(signer);
  EXPECT_EQ(kind_of(signer->sign(crypto::AlgorithmId::ecdsa_sha256, digest)), ErrorKind::pin_blocked);
  EXPECT_TRUE(pins.asked.empty());
}

}  // namespace
}  // namespace karta::card
