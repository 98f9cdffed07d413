// agent_stage PORT: a kartad in citizen mode over simulated readers and cards, for stories told in a browser. The
// provider's pages are the story's own, at http://localhost:PORT; here are the keys it signs with.
//
// On standard output, a line of JSON: {address, now, provider, other_host, foreign}, each of the last three with a key
// (PKCS #8, base64) and a chain (x5c). Then a command a line on standard input, each answered with a line of JSON once
// the daemon knows of what happened:
//   insert READER CARD | field READER CARD | remove READER | mute READER | hold READER | release READER
//   plug READER | unplug READER | pcscd stop | pcscd start
//   pull          the card is taken out before its next signature
//   spend CARD N  wrong PINs until N tries are left; of a card that lies in no reader
//   age SECONDS   so much time passes
//   journal KIND  the bodies of the journal's records of a kind
//   quit
// CARD is p256, p384, rsa, second, letter (the transport PIN still), blank.
#include <atomic>
#include <iostream>
#include <sstream>

#include "daemon/citizen/citizen_mode.h"
#include "daemon/daemon.h"
#include "identity/journal/journal.h"
#include "tests/citizen/login_card.h"
#include "tests/kartad/movable_clock.h"

namespace karta::test {
namespace {

using Json = nlohmann::ordered_json;
using crypto::testing::must;

constexpr daemon::ModeRow kModes[] = {{"citizen", daemon::read_citizen, true}};
constexpr std::string_view kProfile =
    "schema = \"karta.certificate-profile/1\"\nname = \"request-signing\"\nvalidity_days = 365\n"
    "key_usage = [\"digitalSignature\"]\n";

class BorrowedReaders final : public daemon::ReaderSource {
 public:
  explicit BorrowedReaders(SimulatedReaders& readers) : readers_(readers) {}
  card::ReaderList& readers() override { return readers_; }
  Result<std::vector<card::ReaderEvent>> next(std::chrono::milliseconds timeout) override {
    return readers_.next(timeout);
  }
  void stop() override { readers_.stop(); }

 private:
  SimulatedReaders& readers_;
};

class Stage {
 public:
  Status start(const std::string& port) {
    folder_.write("root.pem", centre_.root.to_pem());
    folder_.write("agent.toml",
                  "schema = \"karta.kartad/1\"\nstate = \"state\"\n"
                  "[server]\nlisten = [\"127.0.0.1:8471\"]\nverb_seconds = 20\ncard_busy_milliseconds = 200\n"
                  "[citizen]\n[[citizen.provider]]\nissuer = \"http://localhost:" +
                      port + "\"\nroots = [\"root.pem\"]\n");
    daemon_ = TRY(daemon::Daemon::start(
        folder_ / "agent.toml",
        {.clock = clock_,
         .random = random_,
         .make_readers = [this](const daemon::DaemonConfig&) -> std::unique_ptr<daemon::ReaderSource> {
           return std::make_unique<BorrowedReaders>(readers_);
         },
         .modes = kModes}));
    return {};
  }
  void stop() { daemon_->stop(); }

  Json where() {
    return {{"address", "http://" + daemon_->addresses().front()},
            {"now", clock_.now().time_since_epoch().count()},
            {"provider", signer(centre_, "localhost")},
            {"other_host", signer(centre_, "portal.example")},
            {"foreign", signer(foreign_, "localhost")}};
  }

  Json obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb, reader, card;
    words >> verb >> reader >> card;
    if (verb == "insert" || verb == "field") {
      const auto interface = verb == "insert" ? os::Interface::contact : os::Interface::contactless;
      readers_.insert(reader,
                      card == "blank" ? blank() : named(card).in(interface, [this](ByteView command, Bytes answer) {
                        const bool signs = command.size() > 1 && command[1] == 0x2A;
                        return signs && pull_.exchange(false) ? Bytes{} : answer;
                      }));
    } else if (verb == "remove") {
      readers_.remove(reader);
      // What is done to it next is done by this thread.
      if (!readers_.await_let_go(reader)) return {{"error", "the daemon does not let go of the card"}};
    } else if (verb == "mute") {
      readers_.insert_mute(reader);
    } else if (verb == "hold" || verb == "release") {
      readers_.hold(reader, verb == "hold");
    } else if (verb == "plug") {
      readers_.add_reader(reader);
    } else if (verb == "unplug") {
      readers_.remove_reader(reader);
    } else if (verb == "pcscd") {
      reader == "stop" ? readers_.stop_pcscd() : readers_.start_pcscd();
    } else if (verb == "pull") {
      pull_ = true;
    } else if (verb == "spend") {
      named(reader).spend_tries(static_cast<unsigned>(std::stoul(card)));
    } else if (verb == "age") {
      clock_.advance(std::chrono::seconds(std::stoll(reader)));
    } else if (verb == "journal") {
      Json out = Json::array();
      for (const auto& record : must(daemon_->journal().pages(0, 10'000))) {
        if (record.kind == reader) out.push_back(Json::parse(record.body));
      }
      return out;
    } else {
      return {{"error", "no such command"}};
    }
    if (!readers_.await_taken()) return {{"error", "the daemon takes no notice of its readers"}};
    return Json::object();
  }

 private:
  Json signer(crypto::testing::TestCentre& centre, std::string_view host) {
    const crypto::PrivateKey key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
    crypto::CertificateRequest request{
        .subject = must(crypto::NameBuilder().add("CN", "Sample Log-in Service").build()),
        .public_key = key.public_key()};
    request.subject_alternative_names = {crypto::GeneralName::dns(host)};
    const FixedClock before(clock_.now() - std::chrono::days(1));
    const auto certificate = must(crypto::issue_certificate(must(crypto::CertificateProfile::from_toml(kProfile)),
                                                            request, centre.ca, centre.ca_signer, before, random_));
    return {{"key", to_base64(key.expose_secret_der().expose_secret())},
            {"chain", {to_base64(certificate.der()), to_base64(centre.ca.der())}}};
  }
  LoginCard& named(const std::string& name) {
    auto& one = cards_[name];
    if (!one) {
      one = std::make_unique<LoginCard>(centre_, LoginCard::Options{.key_type = name == "p384"  ? "p384"
                                                                                : name == "rsa" ? "rsa-2048"
                                                                                                : "p256",
                                                                    .own_pin = name != "letter",
                                                                    .seed = cards_.size() + 20});
    }
    return *one;
  }
  SimulatedReaders::Card blank() {
    if (!blank_) {
      SeededRandom seeded(5);
      blank_ = must(sim::SoftCard::blank(sim::new_serial(seeded), {}));
    }
    return {.process = [this](ByteView command) { return to_bytes(blank_->process(command)); },
            .atr = [this] { return to_bytes(blank_->atr()); },
            .reset =
                [this] {
                  blank_->power_off();
                  blank_->power_on();
                }};
  }

  crypto::testing::TestCentre centre_, foreign_;
  crypto::testing::TemporaryFolder folder_;
  MovableClock clock_{crypto::testing::test_time()};
  SystemRandom random_;
  SimulatedReaders readers_;
  std::map<std::string, std::unique_ptr<LoginCard>> cards_;
  std::unique_ptr<sim::SoftCard> blank_;
  std::atomic<bool> pull_{false};
  std::unique_ptr<daemon::Daemon> daemon_;
};

int run(const std::string& port) {
  Stage stage;
  const Status started = stage.start(port);
  if (!started) {
    std::cerr << "error: " << started.error().message << '\n';
    return 70;
  }
  std::cout << stage.where() << std::endl;
  for (std::string line; std::getline(std::cin, line) && line != "quit";) std::cout << stage.obey(line) << std::endl;
  stage.stop();
  return 0;
}

}  // namespace
}  // namespace karta::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return argc == 2 ? karta::test::run(argv[1]) : 64;
}
