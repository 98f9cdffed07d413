// DeskWorld: a centre with a desk, a citizen's card made there, and a counter far away, in one process. Every test gets
// a copy of the same folder, card image included.
#pragma once

#include <unistd.h>

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "card/domain_keys.h"
#include "card/file.h"
#include "card/transports.h"
#include "crypto/x509/certificate.h"
#include "daemon/counter/courier.h"
#include "firmware-sim/host/soft_card.h"
#include "identity/authority_client.h"
#include "identity/registry_testing.h"
#include "issuing/desk/card_deeds.h"
#include "issuing/desk/desk.h"
#include "issuing/station.h"

namespace karta::test {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

#define ASSERT_OK(expression)                          \
  do {                                                 \
    const auto& outcome_ = (expression);               \
    ASSERT_TRUE(outcome_) << outcome_.error().message; \
  } while (false)

inline ErrorKind kind_of(const auto& result) { return result ? ErrorKind::internal : result.error().kind; }

inline const Bytes kLibrary = *from_hex("F04B4152544110");
inline const identity::DeskCaller kCounter{"00000000000000c1", "window 1", "counter"};

/// What goes wrong with the card at a counter: after so many commands it is pulled, or somebody interferes.
class CounterCard final : public card::CardConnection {
 public:
  enum class Pull : std::uint8_t { never, before, after };  ///< before the card sees the command, after it has answered
  explicit CounterCard(sim::SoftCard& card) : card_(card) { card_.power_on(); }

  Result<Bytes> transmit(ByteView command) override {
    const unsigned number = ++commands;
    if (gone_) return fail(ErrorKind::card_removed, "the card is gone");
    Bytes octets = to_bytes(command);
    if (on_command) on_command(number, octets);
    seen.push_back(octets);
    if (pull == Pull::before && number == pull_at) return go();
    sim::SoftCard& card = other != nullptr && number >= other_from ? *other : card_;
    Bytes answer = to_bytes(card.process(octets));
    if (pull == Pull::after && number == pull_at) return go();
    if (on_answer) on_answer(number, answer);
    return answer;
  }
  ByteView atr() const override { return atr_; }
  Status reset() override {
    card_.reset();
    return {};
  }
  Status begin() override { return {}; }
  void end() override {}
  std::uint64_t transaction() const override { return 1; }
  unsigned session() const override { return 0; }
  std::string_view reader_name() const override { return "counter"; }
  bool was_pulled() const { return gone_; }

  Pull pull = Pull::never;
  unsigned pull_at = 0;
  unsigned commands = 0;
  std::function<void(unsigned number, Bytes& command)> on_command;
  std::function<void(unsigned number, Bytes& answer)> on_answer;
  sim::SoftCard* other = nullptr;  ///< takes the card's place from that command on
  unsigned other_from = 0;
  std::vector<Bytes> seen;

 private:
  Result<Bytes> go() {
    gone_ = true;
    card_.power_off();
    return fail(ErrorKind::card_removed, "the card is gone");
  }
  sim::SoftCard& card_;
  Bytes atr_ = to_bytes(card_.atr());
  bool gone_ = false;
};

/// The network between counter and desk. No Authority but for its desk.
class DeskLine final : public identity::Authority {
 public:
  explicit DeskLine(identity::DeskPort& desk, identity::DeskCaller caller = kCounter)
      : desk_(desk), caller_(std::move(caller)) {}

  /// Called before each request to the desk (number from 1; 1 is the opening).
  enum class Fault : std::uint8_t { none, request_lost, answer_lost, doubled, stale_first };
  std::function<Fault(unsigned request)> fault;
  unsigned requests = 0;

  Result<identity::DeskStep> open_desk(std::string_view request) override {
    const Fault what = next_fault();
    if (what == Fault::request_lost) return lost();
    auto step = wait([&](identity::DeskAnswer answer) { desk_.open(caller_, request, std::move(answer)); });
    return what == Fault::answer_lost ? lost() : step;
  }
  Result<identity::DeskStep> next_desk(std::string_view session, const identity::DeskReplies& replies) override {
    const Fault what = next_fault();
    if (what == Fault::request_lost) return lost();
    if (what == Fault::stale_first && before_) (void)call(session, *before_);
    // A request the network delivered twice: both are answered, one of them perhaps with "asked once more since".
    std::future<Result<identity::DeskStep>> twin;
    if (what == Fault::doubled) {
      twin = std::async(std::launch::async, [&] { return call(session, replies); });
    }
    auto step = call(session, replies);
    if (twin.valid()) {
      auto other = twin.get();
      if (!step) step = std::move(other);
    }
    before_ = replies;
    return what == Fault::answer_lost ? lost() : step;
  }

  Result<identity::TerminalCertificates> enrol(const SecretBytes&, const identity::CertificateOrder&) override {
    return none();
  }
  Result<identity::MadeAccount> make_account(const identity::AccountOrder&) override { return none(); }
  Result<bool> remove_account(const identity::AccountRemoval&) override { return none(); }
  Result<identity::TerminalCertificates> renew(const identity::CertificateOrder&) override { return none(); }
  Result<identity::TerminalStanding> standing() override { return none(); }
  Result<identity::JournalTaken> upload_journal(std::string_view) override { return none(); }
  Result<identity::CardOnLine> card_status(std::uint64_t) override { return none(); }
  Result<identity::Fetched> trust_list(const std::string&) override { return none(); }
  Result<identity::Fetched> rules(const std::string&) override { return none(); }
  Result<identity::Fetched> stop_list(const std::string&) override { return none(); }
  Result<identity::Fetched> stop_list_delta(std::uint64_t, const std::string&) override { return none(); }

  static constexpr std::chrono::seconds kDeadline{60};
  /// The answer to a call, however late it comes.
  static Result<identity::DeskStep> wait(const std::function<void(identity::DeskAnswer)>& ask) {
    const auto promise = std::make_shared<std::promise<Result<identity::DeskStep>>>();
    auto future = promise->get_future();
    ask([promise](Result<identity::DeskStep> step) { promise->set_value(std::move(step)); });
    if (future.wait_for(kDeadline) != std::future_status::ready) {
      ADD_FAILURE() << "the desk never answered";
      return fail(ErrorKind::internal, "never answered");
    }
    return future.get();
  }
  Result<identity::DeskStep> call(std::string_view session, const identity::DeskReplies& replies) {
    return wait([&](identity::DeskAnswer answer) { desk_.next(caller_, session, replies, std::move(answer)); });
  }

 private:
  Fault next_fault() { return ++requests, fault ? fault(requests) : Fault::none; }
  static tl::unexpected<Error> lost() { return fail(ErrorKind::io, "the network is gone"); }
  static tl::unexpected<Error> none() { return fail(ErrorKind::unsupported, "a desk alone"); }

  identity::DeskPort& desk_;
  identity::DeskCaller caller_;
  std::optional<identity::DeskReplies> before_;
};

/// A copy of the folder, opened.
class DeskWorld {
 public:
  DeskWorld(const fs::path& base, std::string card_serial, issuing::DeskLimits limits = {})
      : serial(std::move(card_serial)) {
    std::string name = (room() / "karta-desk-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    fs::copy(base, folder_, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    auto desk_opened = issuing::Desk::open(folder_ / "centre", passphrase(), clock, limits);
    EXPECT_TRUE(desk_opened) << desk_opened.error().message;
    desk = std::move(*desk_opened);
    auto card_opened = sim::SoftCard::open((folder_ / "card.img").string());
    EXPECT_TRUE(card_opened) << card_opened.error().message;
    card = std::move(*card_opened);
    auto centre_opened = issuing::Centre::open(folder_ / "centre", clock, random);
    EXPECT_TRUE(centre_opened) << centre_opened.error().message;
    centre.emplace(std::move(*centre_opened));
    card->power_on();
  }
  ~DeskWorld() {
    desk.reset();
    centre.reset();
    fs::remove_all(folder_);
  }
  static const SecretBytes& passphrase() {
    static const SecretBytes value = SecretBytes::copy_of("correct horse");
    return value;
  }

  identity::Card record() {
    auto found = centre->registry().card_by_serial(serial);
    EXPECT_TRUE(found) << found.error().message;
    return *found;
  }
  /// Where worlds lie: in memory where there is room. Registry and card are forced to the disk at every step, and a
  /// disk that others use as well made five minutes of what takes six seconds of a processor.
  static fs::path room() {
    std::error_code none;
    const fs::path memory = "/dev/shm";
    const fs::space_info space = fs::space(memory, none);
    const bool fits = !none && space.available > (std::uintmax_t{256} << 20) && ::access(memory.c_str(), W_OK) == 0;
    return fits ? memory : fs::temp_directory_path();
  }
  fs::path letters() const { return folder_ / "centre" / "letters"; }

  /// The deed at the counter, over `line`, with the card as it is.
  Result<Json> deed(DeskLine& line, CounterCard& at, Json request) {
    request["atr"] = to_hex(at.atr());
    request["reader"] = "reader 0";
    request["operator"] = "test";
    request["reason"] = "because";
    daemon::CourierCount count;
    const std::string result = TRY(daemon::carry(line, at, request.dump(), {}, count));
    return Json::parse(result);
  }
  Result<Json> deed(const Json& request) {
    DeskLine line(*desk);
    CounterCard at(*card);
    return deed(line, at, request);
  }

  /// The citizen's own view of the card, in plain.
  struct Plain {
    explicit Plain(sim::SoftCard& card) : connection(card), channel(connection) {}
    CounterCard connection;
    card::PlainChannel channel;
  };
  /// Whether each key's certificate on the card is the only one of its kind the registry takes for good, of the name
  /// and the key it should be.
  void expect_certificates_in_order(const std::string& where) {
    Plain plain(*card);
    auto esign = card::ESignApplication::open(plain.channel);
    ASSERT_TRUE(esign) << where << ": " << esign.error().message;
    const auto known = centre->registry().certificates_of(record().id, {"test", "look", "case 1"});
    ASSERT_OK(known);
    const auto keys = esign->keys();
    ASSERT_OK(keys);
    ASSERT_EQ(keys->size(), 4u);
    for (const card::CardKey& key : *keys) {
      const auto chain = esign->certificate_chain(key);
      ASSERT_TRUE(chain) << where << ": " << chain.error().message;
      unsigned good = 0;
      for (const auto& row : *known) {
        if (identity::name_of(row.kind) != to_string(key.role)) continue;
        const auto status = centre->registry().certificate_status(row.issuer, row.serial);
        ASSERT_OK(status);
        if (status->revoked_at) continue;
        ++good;
        EXPECT_EQ(row.der, chain->front()) << where << ": " << to_string(key.role);
      }
      EXPECT_EQ(good, 1u) << where << ": " << to_string(key.role);
      const auto point = esign->read_public_key(key);
      ASSERT_OK(point);
      const auto certificate = crypto::Certificate::from_der(chain->front());
      ASSERT_OK(certificate);
      EXPECT_TRUE(equal(certificate->spki(), point->subject_public_key_info())) << where;
    }
  }
  unsigned events(std::string_view kind) {
    unsigned count = 0;
    const auto all = centre->registry().events_of(record().citizen);
    EXPECT_TRUE(all);
    if (!all) return 0;
    for (const identity::Event& event : *all) count += event.kind == kind ? 1 : 0;
    return count;
  }

  FixedClock clock{*parse_time("2026-11-22T08:30:00Z")};
  SystemRandom random;
  std::unique_ptr<issuing::Desk> desk;
  std::unique_ptr<sim::SoftCard> card;
  std::optional<issuing::Centre> centre;
  std::string serial;

 private:
  fs::path folder_;
};

/// Makes the folder once: a centre, a citizen, a card that was shipped.
class DeskTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string name = (DeskWorld::room() / "karta-desk-base-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    base = name;
    const FixedClock clock{*parse_time("2026-11-22T08:30:00Z")};
    SystemRandom random;
    issuing::CentreOptions options;
    options.name = "Made-up Centre";
    options.key_file_iterations = 1000;
    ASSERT_OK(issuing::create_centre(base / "centre", options, DeskWorld::passphrase(), clock, random));
    auto centre = issuing::Centre::open(base / "centre", clock, random);
    ASSERT_OK(centre);
    auto keys = centre->unlock(DeskWorld::passphrase());
    ASSERT_OK(keys);
    const auto citizen = centre->registry().add_citizen(identity::made_up_citizen(1), {"test", "because"});
    ASSERT_OK(citizen);
    SeededRandom seeded(7);
    auto card = sim::SoftCard::create((base / "card.img").string(), {.serial = sim::new_serial(seeded)});
    ASSERT_OK(card);
    CounterCard connection(**card);
    const auto issued =
        issuing::issue_card(*centre, *keys, connection, {*citizen, "citizen", "operator:test"}, clock, random, {});
    ASSERT_OK(issued);
    ASSERT_OK(centre->registry().change_card_state(issued->card.id, identity::CardState::shipped, {"test", "posted"}));
    serial = issued->serial;
  }
  static void TearDownTestSuite() { fs::remove_all(base); }

  /// A world with the card in its holder's hands.
  static std::unique_ptr<DeskWorld> active(issuing::DeskLimits limits = {}) {
    auto world = std::make_unique<DeskWorld>(base, serial, limits);
    EXPECT_TRUE(world->centre->registry().change_card_state(world->record().id, identity::CardState::active,
                                                            {"test", "handed over"}));
    return world;
  }

  inline static fs::path base;
  inline static std::string serial;
};

}  // namespace karta::test
