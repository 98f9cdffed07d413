// What a tap and a clinic's visit cost on a real chip, held to their budgets; and what a recording with its keys shows
// of secure messaging.
#include "tests/card_security/sessions.h"

namespace karta::test {
namespace {

double modelled(const Session& session, std::string_view chip, std::string_view channel) {
  const auto chip_row = card::chip_called(chip);
  const auto channel_row = card::channel_called(channel);
  if (!chip_row || !channel_row) {
    ADD_FAILURE() << chip << " " << channel;
    return 0;
  }
  card::CostModel model(**chip_row, **channel_row);
  return timeline_of(session, model).total().total();
}

std::size_t commands(const Session& session) {
  std::size_t n = 0;
  for (const auto& entry : session.trace.entries) n += std::holds_alternative<card::TraceExchange>(entry) ? 1 : 0;
  return n;
}

TEST(ModelledTime, CountedTapStaysInItsBudget) {
  IdentityCard card;
  const Session session = counted_tap(card);
  EXPECT_EQ(commands(session), 4u) << "SELECT, OPEN, COMMIT; RATIFY behind the open gate";
  EXPECT_LE(modelled(session, "modern", "424"), session.budget_ms);
  EXPECT_GT(modelled(session, "modern", "424"), 20) << "a model that counts";
  EXPECT_LT(modelled(session, "modern", "848"), modelled(session, "modern", "106"));
  EXPECT_LT(modelled(session, "modern", "424"), modelled(session, "old", "424"));
}

TEST(ModelledTime, CardSignedTapWritesNothing) {
  IdentityCardOptions options;
  options.card_signed = true;
  IdentityCard card(options);
  const Session session = signed_tap(card);
  EXPECT_EQ(commands(session), 3u) << "SELECT, certificate, INTERNAL AUTHENTICATE";
  EXPECT_LE(modelled(session, "modern", "424"), session.budget_ms);
  for (const auto& entry : session.trace.entries) {
    if (const auto* exchange = std::get_if<card::TraceExchange>(&entry)) {
      EXPECT_EQ(exchange->counts->nvm_writes + exchange->counts->nvm_erases, 0u) << "the card writes nothing";
    }
  }
}

TEST(ModelledTime, ClinicVisitStaysInItsBudget) {
  IdentityCardOptions shipped;
  shipped.all_data_groups = false;
  IdentityCard card(shipped);
  const Session session = clinic_visit(card);
  EXPECT_EQ(commands(session), 19u) << "emergency data of ordinary length come in one command";
  EXPECT_LE(modelled(session, "modern", "424"), session.budget_ms);
  EXPECT_GT(modelled(session, "modern", "424"), 400)
      << "PACE, two certificates, chip authentication: a model that counts";
}

TEST(ModelledTime, APortraitOnTheCardCostsTheVisitAHashAndComesBehindIt) {
  IdentityCardOptions shipped;
  shipped.all_data_groups = false;
  IdentityCard without(shipped);
  shipped.portrait = true;
  IdentityCard with(shipped);
  const Session visit = clinic_visit(with), portrait = portrait_after_visit(with);
  EXPECT_EQ(commands(visit), commands(clinic_visit(without)));
  const double more = modelled(visit, "modern", "424") - modelled(clinic_visit(without), "modern", "424");
  EXPECT_GT(more, 0);
  EXPECT_LT(more, 2) << "a hash of 40 octets";
  EXPECT_LE(modelled(visit, "modern", "424"), visit.budget_ms);
  // SELECT, and 11,161 octets in parts of 1,9xx.
  EXPECT_EQ(commands(portrait) - portrait.begins_at, 7u);
  EXPECT_GT(modelled(portrait, "modern", "424"), 240) << "its octets alone take that long";
  EXPECT_LT(modelled(portrait, "modern", "424"), 450);
}

// Initial vectors of many commands come in one call of the coprocessor: one in PACE's session, one in the next.
TEST(ModelledTime, ACommandUnderSecureMessagingCostsFourCallsOfAes) {
  IdentityCard card;
  const Session session = clinic_visit(card);
  std::uint64_t most = 0, sum = 0, protected_commands = 0;
  for (const auto& entry : session.trace.entries) {
    const auto* const exchange = std::get_if<card::TraceExchange>(&entry);
    if (exchange == nullptr || (exchange->command[0] & 0x0C) == 0) continue;
    ++protected_commands;
    sum += exchange->counts->aes;
    most = std::max(most, exchange->counts->aes);
  }
  EXPECT_EQ(protected_commands, 13u);
  EXPECT_LE(most, 5u) << "chip authentication makes its token besides";
  EXPECT_LE(sum, 3 * protected_commands + 4) << "checksum, deciphering or ciphering, checksum";
}

// PACE, the terminal's keys renewed by chip authentication, every protected command opened with nothing but the
// recording itself.
TEST(TraceDecoder, OpensAllOfAClinicsVisit) {
  IdentityCard card;
  const Session session = clinic_visit(card);
  card::TraceDecoder decoder;
  std::size_t opened = 0;
  bool saw_insurance = false;
  for (const auto& entry : session.trace.entries) {
    const auto* const exchange = std::get_if<card::TraceExchange>(&entry);
    if (exchange == nullptr) continue;
    const card::DecodedExchange decoded = decoder.take(*exchange);
    if (decoded.protection.empty() || exchange->status->sw1() == 0x61) continue;
    if ((exchange->command[0] & 0x10) != 0 && !decoded.plain) continue;  // a part of a chain
    ASSERT_TRUE(decoded.plain) << decoded.name;
    EXPECT_TRUE(decoded.plain->data_read && decoded.plain->response_read) << decoded.name;
    ++opened;
    const std::string_view text = as_text(decoded.plain->response);
    saw_insurance = saw_insurance || text.find("Sample Insurer") != std::string_view::npos;
  }
  EXPECT_GE(opened, 10u);
  EXPECT_TRUE(saw_insurance) << "what the clinic read is there in plain";
}

// SCP03 at its highest level, from the issuer's own channel.
TEST(TraceDecoder, OpensTheIssuersChannel) {
  IdentityCard card;
  const SecretBytes master = SecretBytes(Bytes(card::kMasterKeyOctets, 0x6B));
  const card::SessionTrace trace = recorded(card, [&](card::Channel& channel) {
    card.put(os::Interface::contact);
    card::IssuerChannelRequest issuer;
    issuer.profile = &card.profile.card_manager;
    issuer.master = &master;
    const auto session = card::open_issuer_channel(channel, issuer, card.random);
    ASSERT_TRUE(session) << session.error().message;
    ASSERT_TRUE((*session)->transmit(card::get_data(0x0066, 256)));
    ASSERT_TRUE((*session)->transmit(card::select_application(card::kTransitAid, card::SelectReturn::nothing)));
  });
  card::TraceDecoder decoder;
  std::vector<std::string> names;
  for (const auto& entry : trace.entries) {
    const auto* const exchange = std::get_if<card::TraceExchange>(&entry);
    if (exchange == nullptr) continue;
    const card::DecodedExchange decoded = decoder.take(*exchange);
    if (decoded.plain) {
      EXPECT_TRUE(decoded.plain->data_read && decoded.plain->response_read) << decoded.name;
      names.push_back(decoded.name);
    }
  }
  EXPECT_EQ(names, (std::vector<std::string>{"GET DATA 0066", "SELECT transit"}));
}

}  // namespace
}  // namespace karta::test
