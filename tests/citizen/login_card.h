// LoginCard: a citizen card of firmware-sim that can log in: an authentication key with a real certificate of a test
// centre, the holder's own PIN or the letter's still, in contact with a reader or in its field.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "card/esign.h"
#include "card/personalise.h"
#include "crypto/testing.h"
#include "firmware-sim/host/soft_card.h"
#include "tests/card/card_material.h"
#include "tests/kartad/simulated_readers.h"

namespace karta::test {

inline constexpr std::string_view kLoginPin = "135790", kLoginTransportPin = "11223", kLoginCan = "314159",
                                  kLoginPuk = "9081726354";

class LoginCard {
 public:
  struct Options {
    std::string key_type = "p256";
    bool own_pin = true;
    std::uint64_t seed = 1;
  };

  LoginCard(crypto::testing::TestCentre& centre, const Options& options) { make(centre, options); }

  /// For SimulatedReaders; `wire` sees each command with its answer and may change it (empty: the card is gone).
  SimulatedReaders::Card in(os::Interface interface, std::function<Bytes(ByteView, Bytes)> wire = {}) {
    return {.process =
                [this, wire](ByteView command) {
                  Bytes answer = to_bytes(card_->process(command));
                  return wire ? wire(command, std::move(answer)) : answer;
                },
            .atr = [this] { return to_bytes(card_->atr()); },
            .reset =
                [this, interface] {
                  card_->set_interface(interface);
                  card_->power_off();
                  card_->power_on();
                }};
  }
  card::MemoryConnection connect(os::Interface interface) {
    auto card = in(interface);
    card.reset();
    return card::MemoryConnection(std::move(card));
  }
  /// Wrong PINs until `left` tries are left.
  void spend_tries(unsigned left) {
    auto connection = connect(os::Interface::contact);
    card::PlainChannel channel(connection);
    auto esign = card::ESignApplication::open(channel);
    ASSERT_TRUE(esign) << esign.error().message;
    for (unsigned tries = 3; tries > left; --tries) {
      ASSERT_FALSE(esign->verify_pin(card::PinKind::pin1, SecretBytes::copy_of("000000")));
    }
  }
  const crypto::Certificate& certificate() const { return *certificate_; }

 private:
  void make(crypto::testing::TestCentre& centre, const Options& options) {
    SeededRandom random(options.seed);
    auto made = sim::SoftCard::blank(sim::new_serial(random), {});
    ASSERT_TRUE(made) << made.error().message;
    card_ = std::move(*made);
    auto connection = connect(os::Interface::contact);
    card::PlainChannel channel(connection);
    std::string toml(card::citizen_profile_toml());
    constexpr std::string_view kType = "type = \"p256\"";
    for (std::size_t at = 0; (at = toml.find(kType, at)) != std::string::npos; at += options.key_type.size() + 9) {
      toml.replace(at, kType.size(), "type = \"" + options.key_type + '"');
    }
    if (options.key_type.starts_with("rsa")) toml.replace(toml.find("[\"agree\"]"), 9, "[\"decipher\"]");
    const auto profile = card::parse_profile(toml, "citizen.toml");
    ASSERT_TRUE(profile) << profile.error().message;
    card::CardData data;
    data.secrets.transport_pins.emplace(card::PinKind::pin1, SecretBytes::copy_of(kLoginTransportPin));
    data.secrets.transport_pins.emplace(card::PinKind::pin2, SecretBytes::copy_of("44556"));
    data.secrets.puk = SecretBytes::copy_of(kLoginPuk);
    data.secrets.can = SecretBytes::copy_of(kLoginCan);
    add_identity(data, *profile);
    auto work = card::Personalisation::make(*profile, data);
    ASSERT_TRUE(work) << work.error().message;
    const auto keys = work->prepare(channel);
    ASSERT_TRUE(keys) << keys.error().message;
    const auto key = crypto::PublicKey::from_spki(work->journal().public_keys.at(card::KeyRole::authentication));
    ASSERT_TRUE(key) << key.error().message;
    certificate_ = centre.issue(*key);
    card::CardCertificates certificates = certificates_for(*profile);
    certificates.by_role[card::KeyRole::authentication] = certificate_->der();
    const auto done = work->complete(channel, certificates);
    ASSERT_TRUE(done) << done.error().message;
    if (!options.own_pin) return;
    auto esign = card::ESignApplication::open(channel);
    ASSERT_TRUE(esign) << esign.error().message;
    ASSERT_TRUE(esign->change_pin(card::PinKind::pin1, SecretBytes::copy_of(kLoginTransportPin),
                                  SecretBytes::copy_of(kLoginPin)));
  }

  std::unique_ptr<sim::SoftCard> card_;
  std::optional<crypto::Certificate> certificate_;
};

}  // namespace karta::test
