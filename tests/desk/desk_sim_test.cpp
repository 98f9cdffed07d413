// The desk's deeds through a counter, as they should go, and who may not.
#include "card/card_state.h"
#include "tests/desk/desk_world.h"

namespace karta::test {
namespace {

using identity::CardState;

class DeskDeeds : public DeskTest {};

TEST_F(DeskDeeds, ActivatesACardOnce) {
  DeskWorld world(base, serial);
  const auto done = world.deed({{"deed", "activate"}});
  ASSERT_OK(done);
  EXPECT_EQ((*done)["schema"], "karta.desk.activation/1");
  EXPECT_EQ((*done)["state"], "active");
  EXPECT_EQ((*done)["already"], false);
  EXPECT_EQ((*done)["serial"], to_hex(*from_hex(serial)));
  EXPECT_EQ(world.record().state, CardState::active);
  const auto again = world.deed({{"deed", "activate"}});
  ASSERT_OK(again);
  EXPECT_EQ((*again)["already"], true);
  // Who, when and why stand in the events.
  const auto events = world.centre->registry().events_of(world.record().citizen);
  ASSERT_OK(events);
  EXPECT_EQ(events->front().to, "active");
  EXPECT_EQ(events->front().actor, "counter:" + kCounter.terminal + "/test");
  EXPECT_EQ(events->front().reason, "because");
}

TEST_F(DeskDeeds, RefusesWhatTheLifeOfTheCardDoesNot) {
  DeskWorld world(base, serial);
  EXPECT_EQ(kind_of(world.deed({{"deed", "renew"}})), ErrorKind::not_permitted);
  EXPECT_EQ(kind_of(world.deed({{"deed", "unblock"}})), ErrorKind::not_permitted);
  auto& registry = world.centre->registry();
  ASSERT_OK(registry.change_card_state(world.record().id, CardState::active, {"test", "x"}));
  ASSERT_OK(registry.change_card_state(world.record().id, CardState::suspended, {"test", "x"}));
  EXPECT_EQ(kind_of(world.deed({{"deed", "activate"}})), ErrorKind::not_permitted);
  EXPECT_EQ(kind_of(world.deed({{"deed", "application"}, {"aid", to_hex(kLibrary)}, {"offer", "00"}})),
            ErrorKind::not_permitted);
  ASSERT_OK(registry.change_card_state(world.record().id, CardState::revoked, {"test", "x"}));
  EXPECT_EQ(kind_of(world.deed({{"deed", "activate"}})), ErrorKind::not_permitted);
}

TEST_F(DeskDeeds, RenewsWhatIsDueAndNothingElse) {
  const auto world = active();
  const auto fresh = world->deed({{"deed", "renew"}});
  ASSERT_OK(fresh);
  for (const Json& key : (*fresh)["certificates"]) EXPECT_EQ(key["outcome"], "kept") << key;
  EXPECT_EQ(world->events("certificates-renewed"), 0u);

  // The holder marries.
  auto& registry = world->centre->registry();
  const auto holder = registry.read_citizen(world->record().citizen, {"test", "look", "case 1"});
  ASSERT_OK(holder);
  identity::Citizen changed = holder->citizen;
  changed.family = "Выдуманов";
  changed.family_latin.clear();
  ASSERT_TRUE(identity::complete(changed, *identity::parse_date("2026-11-22")).empty());
  ASSERT_OK(registry.change_citizen(world->record().citizen, changed, {"test", "marriage"}));
  const auto renewed = world->deed({{"deed", "renew"}});
  ASSERT_OK(renewed);
  EXPECT_EQ((*renewed)["certificates"].size(), 4u);
  for (const Json& key : (*renewed)["certificates"]) EXPECT_EQ(key["outcome"], "renewed") << key;
  EXPECT_EQ(world->events("certificates-renewed"), 1u);
  world->expect_certificates_in_order("after the renewal");
  DeskWorld::Plain plain(*world->card);
  auto esign = card::ESignApplication::open(plain.channel);
  ASSERT_OK(esign);
  const auto key = esign->key(card::KeyRole::authentication);
  ASSERT_OK(key);
  const auto chain = esign->certificate_chain(*key);
  ASSERT_OK(chain);
  const auto certificate = crypto::Certificate::from_der(chain->front());
  ASSERT_OK(certificate);
  EXPECT_EQ(certificate->subject().find("SN"), "Выдуманов");

  // Another time nothing is due; with "all" everything is, once.
  for (const char* outcome : {"kept", "renewed", "kept"}) {
    if (std::string_view(outcome) == "renewed") world->clock.advance(issuing::kJustMade + std::chrono::seconds(60));
    const auto next = world->deed({{"deed", "renew"}, {"all", std::string_view(outcome) == "renewed"}});
    ASSERT_OK(next);
    for (const Json& one : (*next)["certificates"]) EXPECT_EQ(one["outcome"], outcome) << one;
  }
  world->expect_certificates_in_order("at the end");
}

TEST_F(DeskDeeds, RenewsBeforeTheEndComes) {
  const auto world = active();
  world->clock.advance(std::chrono::days(1826 - 59));
  const auto kept = world->deed({{"deed", "renew"}, {"within_days", 30}});
  ASSERT_OK(kept);
  EXPECT_EQ((*kept)["certificates"][0]["outcome"], "kept");
  const auto renewed = world->deed({{"deed", "renew"}});
  ASSERT_OK(renewed);
  for (const Json& key : (*renewed)["certificates"]) EXPECT_EQ(key["outcome"], "renewed") << key;
  world->expect_certificates_in_order("after the renewal");
}

// The holder's key renewed by the holder's own PIN has no certificate: the desk makes one.
TEST_F(DeskDeeds, CertifiesAKeyTheHolderMadeAnew) {
  const auto world = active();
  {
    DeskWorld::Plain plain(*world->card);
    auto esign = card::ESignApplication::open(plain.channel);
    ASSERT_OK(esign);
    const SecretBytes pin = SecretBytes::copy_of("246813");
    const auto path = world->letters() / (serial + ".txt");
    std::ifstream in(path);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const std::size_t at = text.find("transport PIN1: ");
    ASSERT_NE(at, std::string::npos);
    ASSERT_OK(esign->change_pin(card::PinKind::pin1, SecretBytes::copy_of(text.substr(at + 16, 5)), pin));
    ASSERT_OK(esign->verify_pin(card::PinKind::pin1, pin));
    const auto key = esign->key(card::KeyRole::signature);
    ASSERT_OK(key);
    ASSERT_OK(esign->generate_key(*key));
  }
  const auto renewed = world->deed({{"deed", "renew"}});
  ASSERT_OK(renewed);
  for (const Json& key : (*renewed)["certificates"]) {
    EXPECT_EQ(key["outcome"], key["key"] == "SIG" ? "renewed" : "kept") << key;
  }
  world->expect_certificates_in_order("after the renewal");
}

TEST_F(DeskDeeds, SetsANewTransportPinByLetter) {
  const auto world = active();
  {
    DeskWorld::Plain plain(*world->card);
    auto esign = card::ESignApplication::open(plain.channel);
    ASSERT_OK(esign);
    for (int i = 0; i < 3; ++i) {
      EXPECT_FALSE(
          esign->change_pin(card::PinKind::pin1, SecretBytes::copy_of("999999"), SecretBytes::copy_of("135790")));
    }
    EXPECT_TRUE(esign->pin_status(card::PinKind::pin1)->blocked);
  }
  DeskLine line(*world->desk);
  CounterCard at(*world->card);
  const auto done = world->deed(line, at, {{"deed", "unblock"}});
  ASSERT_OK(done);
  EXPECT_EQ((*done)["pin"], "PIN1");
  EXPECT_EQ(world->events("pin-reset"), 1u);
  const fs::path path = world->letters() / (serial + "-PIN1.txt");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  std::ifstream in(path);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const std::size_t place = text.find("transport PIN1: ");
  ASSERT_NE(place, std::string::npos);
  const std::string pin = text.substr(place + 16, 5);
  // The counter has seen nothing of it.
  const std::string field = to_hex(as_bytes(pin));
  for (const Bytes& command : at.seen) EXPECT_EQ(to_hex(command).find(field), std::string::npos);
  EXPECT_EQ(done->dump().find(pin), std::string::npos);
  DeskWorld::Plain plain(*world->card);
  auto esign = card::ESignApplication::open(plain.channel);
  ASSERT_OK(esign);
  const auto state = card::read_card_state(plain.channel);
  ASSERT_OK(state);
  EXPECT_EQ(state->life, card::CardLife::secured);
  ASSERT_NE(state->pin(1), nullptr);
  EXPECT_TRUE(state->pin(1)->transport);
  EXPECT_EQ(state->pin(1)->tries_left, 3u);
  EXPECT_EQ(state->pin(3), nullptr);
  EXPECT_EQ(kind_of(card::parse_card_state(Bytes{0x0F, 0x01})), ErrorKind::card_unresponsive);
  EXPECT_EQ(kind_of(card::parse_card_state(Bytes{})), ErrorKind::card_unresponsive);
  const SecretBytes own = SecretBytes::copy_of("246813");
  EXPECT_EQ(kind_of(esign->verify_pin(card::PinKind::pin1, SecretBytes::copy_of(pin + "1"))), ErrorKind::transport_pin);
  ASSERT_OK(esign->change_pin(card::PinKind::pin1, SecretBytes::copy_of(pin), own));
  ASSERT_OK(esign->verify_pin(card::PinKind::pin1, own));
  // A qualified key is its holder's alone.
  EXPECT_EQ(kind_of(world->deed({{"deed", "unblock"}, {"pin", "PIN2"}})), ErrorKind::not_permitted);
}

class Department {
 public:
  explicit Department(DeskWorld& world) {
    const auto card = world.deed({{"deed", "inspect"}});
    EXPECT_TRUE(card) << card.error().message;
    const auto certificate =
        crypto::Certificate::from_der(*from_hex((*card)["agreement_certificate"].get<std::string>()));
    EXPECT_TRUE(certificate);
    const auto key = certificate->public_key();
    EXPECT_TRUE(key);
    auto made = card::DomainOffer::make(kLibrary, *from_hex(world.serial), *key->type(), key->key_octets(), 1, 32,
                                        world.random);
    EXPECT_TRUE(made);
    offer = std::move(*made);
  }
  Json request() const {
    return {{"deed", "application"}, {"aid", to_hex(kLibrary)}, {"offer", to_hex(offer.message)}};
  }
  Status accepts(const Json& result) const {
    const Bytes receipt = TRY(from_hex(result["receipt"].get<std::string>()));
    TRY(offer.finish(receipt));
    return {};
  }
  card::DomainOffer offer;
};

TEST_F(DeskDeeds, LoadsADepartmentsApplicationOnce) {
  const auto world = active();
  const Department library(*world);
  const auto done = world->deed(library.request());
  ASSERT_OK(done);
  EXPECT_EQ((*done)["already"], false);
  ASSERT_OK(library.accepts(*done));
  // Repeated, the same receipt; another offer is too late.
  const auto again = world->deed(library.request());
  ASSERT_OK(again);
  EXPECT_EQ((*again)["already"], true);
  EXPECT_EQ((*again)["receipt"], (*done)["receipt"]);
  const Department other(*world);
  EXPECT_EQ(kind_of(world->deed(other.request())), ErrorKind::already_exists);
  EXPECT_EQ(kind_of(world->deed({{"deed", "application"}, {"aid", "F04B415254411F"}, {"offer", "00"}})),
            ErrorKind::not_permitted);
}

// Whoever is shown it may ask the responder: it is not unknown there, and goes with its card.
TEST_F(DeskDeeds, TheCardsOwnCertificateIsInTheRegistry) {
  const auto world = active();
  const auto inspected = world->deed({{"deed", "inspect"}});
  ASSERT_OK(inspected);
  const auto own = crypto::Certificate::from_der(*from_hex((*inspected)["agreement_certificate"].get<std::string>()));
  ASSERT_OK(own);
  identity::Registry& registry = world->centre->registry();
  const std::string issuer = own->issuer().to_text();
  const auto good = registry.certificate_status(issuer, own->serial());
  ASSERT_OK(good);
  EXPECT_EQ(good->card, world->record().id);
  EXPECT_EQ(good->kind, identity::CertificateKind::agreement);
  EXPECT_FALSE(good->revoked_at);
  ASSERT_OK(registry.change_card_state(world->record().id, CardState::revoked, {"test", "lost"}));
  EXPECT_TRUE(registry.certificate_status(issuer, own->serial())->revoked_at);
}

TEST_F(DeskDeeds, ALostCardEndsAtOnceADamagedOneWithItsSuccessor) {
  for (const bool lost : {true, false}) {
    const auto world = active();
    const auto done = world->deed({{"deed", "replace"}, {"why", lost ? "lost" : "damaged"}, {"card", serial}});
    ASSERT_OK(done);
    EXPECT_EQ((*done)["old"]["state"], lost ? "revoked" : "active");
    EXPECT_EQ((*done)["ordered"]["state"], "ordered");
    const auto again = world->deed({{"deed", "replace"}, {"why", lost ? "lost" : "damaged"}, {"card", serial}});
    ASSERT_OK(again);
    EXPECT_EQ((*again)["already"], true);
    EXPECT_EQ((*again)["ordered"]["card"], (*done)["ordered"]["card"]);

    // The successor is made and activated.
    auto keys = world->centre->unlock(DeskWorld::passphrase());
    ASSERT_OK(keys);
    SeededRandom seeded(8);
    auto next = sim::SoftCard::blank(sim::new_serial(seeded));
    ASSERT_OK(next);
    CounterCard connection(**next);
    const auto issued =
        issuing::issue_card(*world->centre, *keys, connection, {world->record().citizen, "citizen", "operator:test"},
                            world->clock, world->random, {});
    ASSERT_OK(issued);
    EXPECT_EQ(issued->card.replaces, world->record().id);
    DeskLine line(*world->desk);
    CounterCard at(**next);
    const auto activated = world->deed(line, at, {{"deed", "activate"}});
    ASSERT_OK(activated);
    EXPECT_EQ((*activated)["replaced"], lost ? Json() : Json(to_hex(*from_hex(serial))));
    EXPECT_EQ(world->record().state, lost ? CardState::revoked : CardState::replaced);
  }
}

TEST_F(DeskDeeds, RequestsAreReadAtTheDoor) {
  DeskWorld world(base, serial);
  for (const char* request :
       {"", "[]", "{}", R"({"deed":"sell"})", R"({"deed":"activate","atr":"3"})", R"({"deed":"activate","sum":1})",
        R"({"deed":"renew","within_days":-1})", R"({"deed":"renew","all":"yes"})", R"({"deed":"unblock","pin":"PUK"})",
        R"({"deed":"application","aid":"F04B4152544110"})", R"({"deed":"replace","why":"bored"})", R"({"deed":7})",
        R"({"deed":"activate","operator":["x"]})"}) {
    DeskLine line(*world.desk);
    EXPECT_EQ(kind_of(line.open_desk(request)), ErrorKind::usage) << request;
  }
  DeskLine line(*world.desk);
  EXPECT_EQ(kind_of(line.open_desk(std::string(identity::kMostDeskOctets + 1, ' '))), ErrorKind::limit);
  EXPECT_EQ(world.desk->sessions(), 0u);
}

TEST_F(DeskDeeds, ASessionIsItsCountersAlone) {
  DeskWorld world(base, serial);
  DeskLine clinic(*world.desk, {"00000000000000c2", "ward", "clinic"});
  EXPECT_EQ(kind_of(clinic.open_desk(R"({"deed":"activate"})")), ErrorKind::not_permitted);
  DeskLine mine(*world.desk);
  const auto step = mine.open_desk(R"({"deed":"activate"})");
  ASSERT_OK(step);
  DeskLine other(*world.desk, {"00000000000000c3", "window 2", "counter"});
  EXPECT_EQ(kind_of(other.next_desk(step->session, {.step = 1, .replies = {Bytes{0x90, 0x00}}, .card_lost = false})),
            ErrorKind::not_found);
}

// What is asked for a citizen hangs on the card that proved itself: here, just now, in a session for that.
TEST_F(DeskDeeds, ACardIsShownAtOneCounterForAMoment) {
  const auto world = active();
  DeskLine line(*world->desk);
  CounterCard at(*world->card);
  const auto show = [](DeskLine& over, CounterCard& by, const char* deed, std::string& opened) {
    daemon::CourierCount count;
    const auto outcome = daemon::carry(
        over, by, Json{{"deed", deed}, {"atr", to_hex(by.atr())}, {"reader", "reader 0"}}.dump(), {}, count);
    opened = count.session;
    return outcome;
  };
  std::string session, inspected;
  ASSERT_OK(show(line, at, "inspect", inspected));
  EXPECT_EQ(kind_of(world->desk->shown(kCounter, inspected, "order")), ErrorKind::not_found)
      << "a session for something else";
  const auto result = show(line, at, "show", session);
  ASSERT_OK(result);
  const Json document = Json::parse(*result);
  EXPECT_EQ(document["schema"], "karta.desk.shown/1");
  EXPECT_EQ(document["card"], identity::format_id(world->record().id));
  const auto shown = world->desk->shown(kCounter, session, "order");
  ASSERT_OK(shown);
  EXPECT_EQ(*shown, identity::format_id(world->record().id));
  EXPECT_TRUE(world->desk->shown(kCounter, session, "order")) << "the same once more";
  EXPECT_EQ(kind_of(world->desk->shown(kCounter, session, "another")), ErrorKind::not_permitted);
  EXPECT_TRUE(world->desk->shown(kCounter, session, "order"));
  EXPECT_EQ(kind_of(world->desk->shown({"00000000000000c3", "window 2", "counter"}, session, "order")),
            ErrorKind::not_found);
  EXPECT_EQ(kind_of(world->desk->shown(kCounter, "", "order")), ErrorKind::not_found);

  // One under way has shown nothing, nor has one whose card does not count, or went away.
  const auto step = line.open_desk(R"({"deed":"show"})");
  ASSERT_OK(step);
  EXPECT_EQ(kind_of(world->desk->shown(kCounter, step->session, "order")), ErrorKind::not_found);
  EXPECT_EQ(kind_of(line.call(step->session, {.step = 1, .replies = {}, .card_lost = true})), ErrorKind::card_removed);
  EXPECT_EQ(kind_of(world->desk->shown(kCounter, step->session, "order")), ErrorKind::not_permitted);
  ASSERT_OK(world->centre->registry().change_card_state(world->record().id, CardState::suspended, {"test", "x"}));
  EXPECT_EQ(kind_of(show(line, at, "show", session)), ErrorKind::not_permitted);
  EXPECT_EQ(kind_of(world->desk->shown(kCounter, session, "order")), ErrorKind::not_permitted);

  // Active in the registry, and past its end.
  ASSERT_OK(world->centre->registry().change_card_state(world->record().id, CardState::active, {"test", "x"}));
  ASSERT_OK(show(line, at, "show", session));
  ASSERT_TRUE(world->record().valid_until);
  world->clock.advance(*world->record().valid_until - world->clock.now());
  EXPECT_EQ(kind_of(show(line, at, "show", session)), ErrorKind::not_permitted);
  EXPECT_EQ(kind_of(world->deed({{"deed", "renew"}})), ErrorKind::not_permitted);
  EXPECT_EQ(kind_of(world->deed({{"deed", "unblock"}})), ErrorKind::not_permitted);
  const auto loaded = world->deed({{"deed", "application"}, {"aid", "F04B415254411F"}, {"offer", "00"}});
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, ::testing::HasSubstr("expired")) << "before the application is looked at";
  // What the counter is shown beside the date agrees with it, though the registry says active yet.
  EXPECT_EQ(world->record().state, CardState::active);
  for (const char* const deed : {"inspect", "activate"}) {
    const auto seen = world->deed({{"deed", deed}});
    ASSERT_OK(seen);
    EXPECT_EQ((*seen)["state"], "expired") << deed;
  }
  const auto replaced = world->deed({{"deed", "replace"}, {"why", "expiring"}, {"card", serial}});
  ASSERT_OK(replaced);
  EXPECT_EQ((*replaced)["old"]["state"], "expired");
  EXPECT_EQ((*replaced)["ordered"]["state"], "ordered");

  // Too long ago, however short that is here.
  issuing::DeskLimits limits;
  limits.shown_time = std::chrono::milliseconds(0);
  const auto later = active(limits);
  DeskLine second(*later->desk);
  CounterCard there(*later->card);
  ASSERT_OK(show(second, there, "show", session));
  EXPECT_EQ(kind_of(later->desk->shown(kCounter, session, "order")), ErrorKind::not_found);
}

TEST_F(DeskDeeds, ACardThatLayTooLongIsNotActivated) {
  DeskWorld world(base, serial);
  ASSERT_TRUE(world.record().valid_until);
  world.clock.advance(*world.record().valid_until - world.clock.now());
  const CardState before = world.record().state;
  EXPECT_EQ(kind_of(world.deed({{"deed", "activate"}})), ErrorKind::not_permitted);
  EXPECT_EQ(world.record().state, before);
}

TEST_F(DeskDeeds, SessionsAreBounded) {
  issuing::DeskLimits limits;
  limits.sessions = 3;
  limits.sessions_of_caller = 2;
  DeskWorld world(base, serial, limits);
  DeskLine one(*world.desk), two(*world.desk, {"00000000000000c2", "window 2", "counter"});
  const auto open = [](DeskLine& line, const char* reader) {
    return line.open_desk(Json{{"deed", "activate"}, {"reader", reader}}.dump());
  };
  const auto first = open(one, "a");
  ASSERT_OK(first);
  ASSERT_OK(open(one, "b"));
  EXPECT_EQ(kind_of(open(one, "c")), ErrorKind::busy);
  ASSERT_OK(open(two, "a"));
  EXPECT_EQ(kind_of(open(two, "b")), ErrorKind::busy);
  // Beginning again at a reader gives the session before up.
  ASSERT_OK(open(one, "a"));
  EXPECT_EQ(kind_of(one.call(first->session, {.step = 1, .replies = {Bytes{0x90, 0x00}}, .card_lost = false})),
            ErrorKind::cancelled);
}

TEST_F(DeskDeeds, EndedSessionsTellTheirOutcomeForAWhile) {
  issuing::DeskLimits limits;
  limits.lingering = 2;
  DeskWorld world(base, serial, limits);
  DeskLine line(*world.desk);
  std::vector<std::string> sessions;
  for (int i = 0; i < 4; ++i) {
    const auto step = line.open_desk(R"({"deed":"activate"})");
    ASSERT_OK(step);
    sessions.push_back(step->session);
    EXPECT_EQ(kind_of(line.call(step->session, {.step = 1, .replies = {}, .card_lost = true})),
              ErrorKind::card_removed);
  }
  // The last opening forgot the first one; the others are there.
  EXPECT_EQ(kind_of(line.call(sessions[0], {.step = 1, .replies = {}, .card_lost = false})), ErrorKind::not_found);
  EXPECT_EQ(kind_of(line.call(sessions[1], {.step = 1, .replies = {}, .card_lost = false})), ErrorKind::card_removed);
  EXPECT_EQ(kind_of(line.call(sessions[3], {.step = 1, .replies = {}, .card_lost = false})), ErrorKind::card_removed);
}

}  // namespace
}  // namespace karta::test
