// The authority on line over its own wires: a server with mutual TLS, the client that terminals have, and what is
// refused to whom.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>

#include "base/file.h"
#include "crypto/digest.h"
#include "crypto/x509/csr.h"
#include "identity/authority/authority_testing.h"
#include "identity/authority/documents.h"
#include "identity/authority/stop_list_folder.h"
#include "identity/authority_client.h"
#include "identity/certificate_ledger.h"
#include "service/http_client.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

struct TerminalKeys {
  std::string cv = "key 1";
  crypto::PrivateKey tls = must(crypto::PrivateKey::generate(crypto::KeyType::p256));

  CertificateOrder order() const {
    crypto::SoftwareSigner signer(crypto::testing::copy_of(tls));
    const auto name = must(crypto::name_from_text("CN=whoever I say,O=Palace"));
    return {to_bytes(as_bytes("cv:" + cv)), must(crypto::sign_certification_request(name, {}, signer))};
  }
};

class AuthorityTest : public testing::Test {
 protected:
  AuthorityTest() : fixture_(clock_) {
    // A server of its own clock would find certificates of the test's day expired: TLS looks at the machine's.
    service::HttpServerOptions options;
    options.listen = {"127.0.0.1:0"};
    options.workers = 2;
    options.limits.body_octets = fixture_.authority_config.authority->journal_octets;
    options.tls = tls_of(*fixture_.authority_keys);
    options.on_failed_handshake = [this](std::string_view, std::string_view reason) {
      const std::lock_guard lock(mutex_);
      handshakes_ += std::string(reason) + "\n";
      refused_.notify_all();
    };
    server_.emplace(must(service::HttpServer::start(
        std::move(options), [this](std::size_t) -> Result<std::unique_ptr<service::HttpHandler>> {
          return fixture_.authority_handler();
        })));
  }

  AuthorityClient client(const TerminalCertificates* certificates = nullptr, const TerminalKeys* keys = nullptr) {
    std::optional<TlsIdentity> identity;
    if (certificates != nullptr) identity.emplace(TlsIdentity{certificates->tls_pem(), keys->tls.expose_secret_der()});
    return must(AuthorityClient::create(
        {.url = "https://" + server_->addresses().front(), .roots = fixture_.folder / "ca.pem"}, std::move(identity)));
  }
  TerminalCertificates enrol(const TerminalKeys& keys, const std::string& name = "clinic-1",
                             const std::string& role = "clinic") {
    const Invitation invitation = fixture_.invite(name, role);
    return must(client().enrol(invitation.code, keys.order()));
  }
  Terminal terminal(const std::string& name = "clinic-1") { return must(fixture_.ledger().find(name)); }

  /// A plain request with fields, and a client certificate perhaps.
  service::HttpReply ask(const std::string& path, const std::vector<service::HttpHeader>& fields = {},
                         const std::string& body = "", const std::string& type = "application/json") {
    service::HttpClientOptions options;
    options.any_address = true;
    options.certificates_file = (fixture_.folder / "ca.pem").string();
    service::HttpClient http(std::move(options));
    const std::string url = "https://" + server_->addresses().front() + path;
    return must(body.empty() ? http.get(url, fields) : http.post(url, type, as_bytes(body), fields));
  }
  static Json json_of(const service::HttpReply& reply) { return must(parse_document(as_text(reply.body))); }

  std::vector<JournalRecord> records(std::size_t count, JournalPosition end = {}, std::string_view word = "a") const {
    std::vector<JournalRecord> out;
    for (std::size_t i = 0; i < count; ++i) {
      JournalRecord record;
      record.number = end.number + 1;
      record.time = clock_.now();
      record.kind = "visit";
      record.body = "{\"word\":\"" + std::string(word) + "\"}";
      record.previous = end.hash;
      record.hash = hash_of(record);
      end = record.position();
      out.push_back(std::move(record));
    }
    return out;
  }
  Card card() {
    static SystemRandom random;
    Registry registry = must(Registry::open(fixture_.database, clock_, random));
    Citizen citizen;
    citizen.snils = Snils::from_number(990'000'001);
    citizen.family = citizen.family_latin = "Sample";
    citizen.given = citizen.given_latin = "Person";
    citizen.birth_date = *parse_date("1990-05-17");
    citizen.sex = Sex::female;
    const Cause cause{"test", ""};
    const CitizenId id = must(registry.add_citizen(citizen, cause));
    const CardId made = must(registry.order_card({.citizen = id, .profile = "citizen"}, cause)).id;
    must(registry.produce_card(made, "00c0ffee", clock_.now() + std::chrono::hours(24 * 365), cause));
    return must(registry.change_card_state(made, CardState::active, cause));
  }
  /// Why the server refused a handshake: it says so on a thread of its own, perhaps after the client has heard.
  std::string refused_handshake() {
    std::unique_lock lock(mutex_);
    refused_.wait_for(lock, std::chrono::seconds(30), [&] { return !handshakes_.empty(); });
    return handshakes_;
  }

  FixedClock clock_{SystemClock().now()};
  std::mutex mutex_;
  std::condition_variable refused_;
  std::string handshakes_;
  AuthorityFixture fixture_;
  std::optional<service::HttpServer> server_;
};

TEST_F(AuthorityTest, ATerminalEnrolsAndIsKnown) {
  const TerminalKeys keys;
  const TerminalCertificates got = enrol(keys);
  EXPECT_EQ(got.name, "clinic-1");
  EXPECT_EQ(got.role, "clinic");
  EXPECT_EQ(got.terminal, format_id(terminal().id));
  EXPECT_EQ(got.cv_until, clock_.now() + std::chrono::hours(24 * 7));
  EXPECT_GT(got.renew_after, clock_.now() + std::chrono::hours(24 * 4));
  EXPECT_LT(got.renew_after, clock_.now() + std::chrono::hours(24 * 5));
  EXPECT_EQ(got.cv_above, std::vector<Bytes>{to_bytes(as_bytes("verifier"))});
  const auto tls = must(crypto::Certificate::from_der(got.tls_certificates.front()));
  // Who it is, the registry says, not the request.
  EXPECT_THAT(tls.subject().to_text(), HasSubstr("CN=clinic-1"));
  EXPECT_THAT(tls.subject().to_text(), testing::Not(HasSubstr("Palace")));
  EXPECT_EQ(tls.extended_key_usage(), std::vector<std::string>{"1.3.6.1.5.5.7.3.2"});

  const TerminalStanding standing = must(client(&got, &keys).standing());
  EXPECT_EQ(standing.terminal, got.terminal);
  EXPECT_EQ(standing.tls_until, got.tls_until);
  EXPECT_EQ(standing.now, clock_.now());
  EXPECT_EQ(standing.journal_to, 0u);
}

TEST_F(AuthorityTest, ALostAnswerIsGivenAgain) {
  const TerminalKeys keys, others{.cv = "key 2"};
  const Invitation invitation = fixture_.invite("clinic-1", "clinic");
  const auto first = must(client().enrol(invitation.code, keys.order()));
  const auto again = must(client().enrol(invitation.code, keys.order()));
  EXPECT_EQ(again.tls_certificates, first.tls_certificates);
  EXPECT_EQ(fixture_.terminals->orders.size(), 1u) << "nothing was signed twice";
  for (const CertificateOrder& order : {others.order(), TerminalKeys{}.order()}) {
    EXPECT_EQ(client().enrol(invitation.code, order).error().kind, ErrorKind::not_permitted);
  }
  const auto wrong = client().enrol(SecretBytes::copy_of(std::string_view("AAAAA-AAAAA-AAAAA-AAAAA")), keys.order());
  EXPECT_EQ(wrong.error().kind, ErrorKind::not_permitted);
  EXPECT_THAT(wrong.error().message, HasSubstr("unknown, used or too old"));
  EXPECT_FALSE(wrong.error().hint.empty());
}

TEST_F(AuthorityTest, RenewalNeedsTheCertificateThatIsThere) {
  const TerminalKeys keys, fresh{.cv = "key 2"};
  const TerminalCertificates got = enrol(keys);
  const TerminalCertificates renewed = must(client(&got, &keys).renew(fresh.order()));
  EXPECT_EQ(fixture_.terminals->orders.back().present, got.cv_certificate);
  EXPECT_EQ(fixture_.terminals->orders.back().sequence, 2u);
  EXPECT_TRUE(client(&renewed, &fresh).standing());
  EXPECT_TRUE(client(&got, &keys).standing()) << "the old one is good until its end";

  const auto anonymous = client().renew(fresh.order());
  EXPECT_EQ(anonymous.error().kind, ErrorKind::not_permitted);
  EXPECT_THAT(anonymous.error().message, HasSubstr("none was shown"));

  must(fixture_.ledger().revoke(terminal().id, {"test", "stolen"}));
  for (const Error& error :
       {client(&renewed, &fresh).renew(keys.order()).error(), client(&renewed, &fresh).standing().error(),
        client(&renewed, &fresh).upload_journal(format_upload(got.terminal, records(1))).error(),
        client(&renewed, &fresh).card_status(0).error(), client(&renewed, &fresh).open_desk("{}").error()}) {
    EXPECT_EQ(error.kind, ErrorKind::not_permitted);
    EXPECT_THAT(error.message, HasSubstr("revoked"));
  }
}

TEST_F(AuthorityTest, MoreRightsThanTheRoleAreRefused) {
  const TerminalKeys keys;
  const Invitation invitation = fixture_.invite("clinic-1", "clinic");
  CertificateOrder order = keys.order();
  order.rights = {"read-dg4", "write-dg17"};
  const auto refused = client().enrol(invitation.code, order);
  EXPECT_EQ(refused.error().kind, ErrorKind::not_permitted);
  EXPECT_THAT(refused.error().message, HasSubstr("write-dg17"));
  order.rights = {"read-dg4"};
  EXPECT_TRUE(client().enrol(invitation.code, order)) << "a refusal does not use the code up";
  EXPECT_EQ(fixture_.terminals->orders.back().role, "clinic");
}

// Whoever is not one of ours, each with the reason that is told or logged.
TEST_F(AuthorityTest, ForeignExpiredAndOtherCertificatesAreRefused) {
  const TerminalKeys keys;
  const TerminalCertificates got = enrol(keys);
  SystemRandom random;
  const auto profile = must(crypto::CertificateProfile::from_toml(
      "schema = \"karta.certificate-profile/1\"\nname = \"x\"\nvalidity_days = 30\nkey_usage = "
      "[\"digitalSignature\"]\nextended_key_usage = [\"clientAuth\"]\n",
      "x.toml"));
  const auto certified = [&](const crypto::Certificate& by, crypto::Signer& signer) {
    crypto::CertificateRequest request{must(crypto::name_from_text("CN=clinic-1,O=Test,C=XX")), keys.tls.public_key()};
    TerminalCertificates out = got;
    out.tls_certificates = {must(crypto::issue_certificate(profile, request, by, signer, clock_, random)).der()};
    return out;
  };
  // By our CA, but no terminal's: a citizen's, say.
  const auto citizen = certified(fixture_.ca, fixture_.ca_signer);
  EXPECT_THAT(client(&citizen, &keys).standing().error().message, HasSubstr("no terminal's"));
  // The handshake refuses this one, and the server's log says why; tests/identity has expired ones.
  ServicesFixture elsewhere(clock_);
  const auto foreign = certified(elsewhere.ca, elsewhere.ca_signer);
  EXPECT_FALSE(client(&foreign, &keys).standing());
  EXPECT_THAT(refused_handshake(), HasSubstr("issuer"));
  // Known and past its end by the authority's own clock.
  EXPECT_TRUE(client(&got, &keys).standing());
  clock_.advance(std::chrono::hours(24 * 8));
  EXPECT_THAT(client(&got, &keys).standing().error().message, HasSubstr("has expired"));
}

TEST_F(AuthorityTest, JournalsArriveOnceWholeAndInOrder) {
  const TerminalKeys keys;
  const TerminalCertificates got = enrol(keys);
  AuthorityClient terminal_client = client(&got, &keys);
  const auto all = records(5);
  const std::vector<JournalRecord> first(all.begin(), all.begin() + 3), rest(all.begin() + 2, all.end());
  for (int i = 0; i < 2; ++i) {
    const JournalTaken taken = must(terminal_client.upload_journal(format_upload(got.terminal, first)));
    EXPECT_EQ(taken.to, 3u);
    EXPECT_EQ(taken.hash, to_bytes(ByteView(first.back().hash)));
  }
  EXPECT_EQ(must(terminal_client.upload_journal(format_upload("clinic-1", rest))).to, 5u);
  EXPECT_EQ(must(fixture_.ledger().journal_of(terminal().id, 0, 10)), all);
  EXPECT_EQ(must(terminal_client.standing()).journal_to, 5u);

  const auto later = records(2, records(1, all.back().position()).back().position());
  const auto gap = terminal_client.upload_journal(format_upload(got.terminal, later));
  EXPECT_EQ(gap.error().kind, ErrorKind::not_found);
  EXPECT_THAT(gap.error().message, HasSubstr("6 to 6"));
  const auto fork =
      terminal_client.upload_journal(format_upload(got.terminal, records(2, all[1].position(), "another history")));
  EXPECT_EQ(fork.error().kind, ErrorKind::already_exists);
  EXPECT_THAT(terminal().journal_fault, HasSubstr("record 3"));
  EXPECT_EQ(terminal_client.upload_journal(format_upload("somebody-else", rest)).error().kind,
            ErrorKind::not_permitted);
  EXPECT_EQ(terminal_client.upload_journal("no json").error().kind, ErrorKind::malformed);
  EXPECT_EQ(client().upload_journal(format_upload(got.terminal, rest)).error().kind, ErrorKind::not_permitted);
}

TEST_F(AuthorityTest, BodiesHaveTheirLimits) {
  const std::string large(80'000, ' ');  // beyond the server's own limit, within that of journals
  EXPECT_EQ(ask("/v1/terminals/enrol", {}, large).status, 413);
  EXPECT_EQ(ask("/ocsp", {}, large, "application/ocsp-request").status, 413);
  EXPECT_EQ(ask("/v1/terminals/self/journal", {}, large, "application/x-ndjson").status, 403);
  EXPECT_EQ(ask("/v1/terminals/self/journal", {}, std::string(140'000, ' '), "application/x-ndjson").status, 413);
}

TEST_F(AuthorityTest, ACardsStateIsToldToTerminalsAndOperators) {
  const TerminalKeys keys;
  const TerminalCertificates got = enrol(keys);
  const Card active = card();
  AuthorityClient terminal_client = client(&got, &keys);
  CardOnLine status = must(terminal_client.card_status(active.status_index));
  EXPECT_EQ(status.verdict, CardVerdict::good);
  EXPECT_EQ(status.state, CardState::active);
  EXPECT_EQ(status.at, clock_.now());
  EXPECT_EQ(must(terminal_client.card_status(123'456)).verdict, CardVerdict::unknown);

  const std::string path = "/v1/cards/" + format_id(active.id) + "/life";
  const std::vector<service::HttpHeader> registrar = {{"Authorization", "Bearer " + std::string(kOperatorToken)}};
  auto once = registrar;
  once.push_back({"Idempotency-Key", "deed 1"});
  const std::string suspend = R"({"schema":"karta.card.step/1","to":"suspended","why":"lost"})";
  const auto done = ask(path, once, suspend);
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(json_of(done).at("state"), "suspended");
  EXPECT_EQ(must(terminal_client.card_status(active.status_index)).verdict, CardVerdict::stopped);
  const auto again = ask(path, once, suspend);
  EXPECT_EQ(again.body, done.body);
  EXPECT_EQ(ask(path, registrar, suspend).status, 403) << "a card that is suspended is not suspended again";
  EXPECT_EQ(ask("/v1/cards/" + std::to_string(active.status_index) + "/life", registrar,
                R"({"schema":"karta.card.step/1","to":"active","why":"found"})")
                .status,
            200);
  static SystemRandom random;
  Registry registry = must(Registry::open(fixture_.database, clock_, random));
  const auto events = must(registry.events_of(active.citizen));
  EXPECT_EQ(events[0].actor, "operator:registrar");
  EXPECT_EQ(events[0].reason, "found");
  EXPECT_EQ(events[1].reason, "lost");

  // Who may not.
  const std::vector<service::HttpHeader> looker = {{"Authorization", "Bearer looks only"}};
  EXPECT_EQ(ask(path, looker, suspend).status, 403);
  EXPECT_EQ(ask(path, {}, suspend).status, 403);
  EXPECT_EQ(ask(path, {{"Authorization", "Bearer x"}}, suspend).status, 403);
  EXPECT_EQ(ask("/v1/cards/0/status", looker).status, 200);
  EXPECT_EQ(ask("/v1/cards/0/status").status, 403);
  EXPECT_EQ(ask(path, registrar, R"({"schema":"karta.card.step/1","to":"active"})").status, 400);
  EXPECT_EQ(ask("/v1/cards/x/life", registrar, suspend).status, 400);
}

TEST_F(AuthorityTest, AnOperatorsCertificateCountsUntilItIsRevokedOrOnHold) {
  SystemRandom random;
  const TerminalKeys keys;
  const crypto::CertificateRequest request{must(crypto::name_from_text("CN=Operator,O=Test,C=XX")),
                                           keys.tls.public_key()};
  const auto profile = must(crypto::CertificateProfile::from_toml(R"(
schema = "karta.certificate-profile/1"
name = "operator"
validity_days = 30
key_usage = ["digitalSignature"]
extended_key_usage = ["clientAuth"]
)"));
  const crypto::Certificate certificate =
      must(crypto::issue_certificate(profile, request, fixture_.ca, fixture_.ca_signer, clock_, random));
  fixture_.register_certificate(certificate);
  OperatorConfig person;
  person.name = "with a card";
  person.certificate_hash = to_hex(crypto::digest(crypto::Hash::sha256, certificate.der()));
  person.card_status = true;
  fixture_.authority_config.authority->operators.push_back(person);
  const auto handler = fixture_.authority_handler();
  const std::string path = "/v1/cards/" + std::to_string(card().status_index) + "/status";
  const auto status = [&](ByteView shown) {
    service::HttpRequest asked;
    asked.method = service::HttpMethod::get;
    asked.path = path;
    asked.peer = "192.0.2.1";
    asked.client_certificate = shown;
    return handler->handle(asked).status;
  };
  EXPECT_EQ(status(certificate.der()), 200);
  EXPECT_EQ(status({}), 403);
  const crypto::Certificate another =
      must(crypto::issue_certificate(profile, request, fixture_.ca, fixture_.ca_signer, clock_, random));
  EXPECT_EQ(status(another.der()), 403) << "the certificate is named, not the person";
  const auto mark = [&](crypto::CrlReason reason) {
    const auto ledger = must(open_certificate_ledger(fixture_.database, fixture_.ca.subject().to_text(),
                                                     {.actor = "test", .reason = "test"}, clock_));
    must(ledger->revoke(certificate.serial(), reason));
  };
  mark(crypto::CrlReason::certificate_hold);
  EXPECT_EQ(status(certificate.der()), 403);
  mark(crypto::CrlReason::remove_from_crl);
  EXPECT_EQ(status(certificate.der()), 200);
  mark(crypto::CrlReason::key_compromise);
  EXPECT_EQ(status(certificate.der()), 403);
}

TEST_F(AuthorityTest, ListsAndRulesAreFetchedOnce) {
  Publisher publisher = must(Publisher::create(fixture_.authority_config, clock_, fixture_.shelves));
  publisher.tick();
  AuthorityClient anybody = client();
  const Fetched rules = must(anybody.rules(""));
  EXPECT_EQ(as_text(rules.octets), "the rules");
  EXPECT_FALSE(must(anybody.rules(rules.etag)).changed);
  const Fetched trust = must(anybody.trust_list(""));
  EXPECT_TRUE(trust.changed);
  EXPECT_FALSE(must(anybody.trust_list(trust.etag)).changed);

  const Fetched full = must(anybody.stop_list(""));
  ASSERT_TRUE(full.changed);
  const StopList list = must(StopList::parse(full.octets));
  EXPECT_TRUE(list.verify({fixture_.ca}, clock_.now()));
  EXPECT_EQ(list.head().epoch, 1u);
  EXPECT_EQ(anybody.stop_list_delta(0, "").error().kind, ErrorKind::not_found);

  // A card that is stopped stands on a delta within the time that was set.
  const Card active = card();
  fixture_.ledger().change_card_once({"operator:a", "", {}}, active.id, CardState::suspended,
                                     RevocationReason::unspecified, {"operator:a", ""},
                                     [](const Card&) { return std::string(); });
  publisher.tick();
  EXPECT_EQ(anybody.stop_list_delta(0, "").error().kind, ErrorKind::not_found) << "not yet";
  clock_.advance(std::chrono::seconds(30));
  publisher.tick();
  const Fetched delta = must(anybody.stop_list_delta(0, ""));
  StopTable table = must(StopTable::unfold(list));
  EXPECT_EQ(table.find(active.status_index), CardVerdict::unknown) << "the card was made after the list";
  must(table.apply(must(StopList::parse(delta.octets))));
  EXPECT_EQ(table.find(active.status_index), CardVerdict::stopped);
  EXPECT_EQ(must(anybody.stop_list_delta(1, "")).octets, delta.octets);
  EXPECT_EQ(anybody.stop_list_delta(2, "").error().kind, ErrorKind::not_found);
  EXPECT_FALSE(must(anybody.stop_list(full.etag)).changed) << "the full list is the same";
  publisher.tick();
  EXPECT_EQ(must(StopListFolder(fixture_.folder / "stop-lists").files()).size(), 2u) << "no list without a reason";

  // Six days later a full list is due, and deltas stand on it.
  clock_.advance(std::chrono::hours(6 * 24));
  publisher.tick();
  const Fetched next = must(anybody.stop_list(full.etag));
  ASSERT_TRUE(next.changed);
  EXPECT_EQ(must(StopList::parse(next.octets)).head().epoch, 3u);
  EXPECT_EQ(must(StopTable::unfold(must(StopList::parse(next.octets)))).find(active.status_index),
            CardVerdict::stopped);
}

TEST_F(AuthorityTest, TheDeskIsForCountersAndAnswersLater) {
  const TerminalKeys keys, clinic_keys, other_keys;
  const TerminalCertificates counter = enrol(keys, "counter-1", "counter");
  const TerminalCertificates clinic = enrol(clinic_keys, "clinic-1", "clinic");
  const TerminalCertificates other = enrol(other_keys, "counter-2", "counter");
  AuthorityClient at_counter = client(&counter, &keys);
  const DeskStep step = must(at_counter.open_desk(R"({"deed":"inspect"})"));
  EXPECT_EQ(step.commands, (std::vector<Bytes>{{0x00, 0xA4, 0x04, 0x00}}));
  DeskReplies replies;
  replies.step = step.number;
  replies.replies = {Bytes{0x90, 0x00}};
  EXPECT_EQ(client(&other, &other_keys).next_desk(step.session, replies).error().kind, ErrorKind::not_found)
      << "another's session";
  const DeskStep done = must(at_counter.next_desk(step.session, replies));
  EXPECT_TRUE(done.done);
  EXPECT_EQ(done.result, R"({"card_said":"9000"})");
  EXPECT_EQ(client(&clinic, &clinic_keys).open_desk(R"({"deed":"inspect"})").error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(client().open_desk(R"({"deed":"inspect"})").error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(at_counter.open_desk("[]").error().kind, ErrorKind::malformed);
}

TEST_F(AuthorityTest, AccountsForOneTimeCodesAreMadeWhereTheCardWasShown) {
  const Card shown = card();
  fixture_.desk->card = format_id(shown.id);
  const TerminalKeys keys, clinic_keys, other_keys;
  const TerminalCertificates counter = enrol(keys, "counter-1", "counter");
  const TerminalCertificates clinic = enrol(clinic_keys, "clinic-1", "clinic");
  const TerminalCertificates other = enrol(other_keys, "counter-2", "counter");
  AuthorityClient at_counter = client(&counter, &keys);
  const DeskStep step = must(at_counter.open_desk(R"({"deed":"show"})"));
  AccountOrder order{step.session, "Sample", "app"};
  EXPECT_EQ(at_counter.make_account(order).error().kind, ErrorKind::usage) << "the citizen's word is missing";
  order.agreed = true;
  order.person = "clerk 3";
  const MadeAccount made = must(at_counter.make_account(order));
  EXPECT_EQ(made.login, "sample");
  EXPECT_THAT(std::string(made.otpauth.expose_secret_text()), StartsWith("otpauth://totp/id.example:sample?secret="));
  order.way = "mail";
  order.mail = "sample@mail.example";
  EXPECT_EQ(at_counter.make_account(order).error().kind, ErrorKind::configuration) << "nobody sends codes here";
  EXPECT_EQ(client(&other, &other_keys).remove_account({step.session, true, "", ""}).error().kind, ErrorKind::not_found)
      << "another's session";
  EXPECT_EQ(client(&clinic, &clinic_keys).remove_account({step.session, true, "", ""}).error().kind,
            ErrorKind::not_found);
  EXPECT_EQ(client().remove_account({step.session, true, "", ""}).error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(at_counter.remove_account({step.session, true, "", ""}).error().kind, ErrorKind::not_permitted)
      << "it was shown for something else";
  const DeskStep next = must(at_counter.open_desk(R"({"deed":"show"})"));
  EXPECT_TRUE(must(at_counter.remove_account({next.session, true, "", ""})));
  EXPECT_FALSE(must(at_counter.remove_account({next.session, true, "", ""})));
  EXPECT_THAT(std::string(as_text(ask("/metrics").body)), AllOf(HasSubstr("karta_accounts_total{deed=\"make\"} 1"),
                                                                HasSubstr("karta_accounts_total{deed=\"remove\"} 1")));
}

TEST_F(AuthorityTest, WhatIsNotThereAndHowItIsAsked) {
  struct Case {
    const char* path;
    const char* body;
    const char* type;
    int status;
  };
  for (const Case& one : std::initializer_list<Case>{
           {"/v1/", "", "", 404},
           {"/v1/terminals/", "", "", 404},
           {"/v1/terminals/enrol", "", "", 405},
           {"/v1/terminals/self", "{}", "application/json", 405},
           {"/v1/terminals/enrol", "{}", "text/plain", 415},
           {"/v1/terminals/enrol", "{}", "application/json", 400},
           {"/v1/terminals/enrol", "[[[[[[[[[[[[[[[[[[[[", "application/json", 400},
           {"/v1/stop-list/delta?base=x", "", "", 404},  // there is no list at all yet
           {"/v1/stop-list/half", "", "", 404},
           {"/v1/cards/1", "", "", 404},
           {"/v1/cards/1/death", "", "", 404},
           {"/v1/cards/1/life", "", "", 405},
           {"/v1/desk/sessions", "", "", 405},
           {"/v1/desk", "", "", 404},
           {"/v1/desk/accounts", "", "", 405},
           {"/v1/desk/accounts", "{}", "text/plain", 415},
           {"/v1/desk/account-removals", "{}", "application/json", 403},
           {"/v1/desk/accounts/1", "", "", 404},
       }) {
    const auto reply = ask(one.path, {}, one.body, one.type);
    EXPECT_EQ(reply.status, one.status) << one.path;
    EXPECT_EQ(reply.media_type, "application/problem+json") << one.path;
    EXPECT_TRUE(json_of(reply).contains("type")) << one.path;
  }
}

TEST_F(AuthorityTest, HealthTellsWhatIsMissingOrOver) {
  Publisher publisher = must(Publisher::create(fixture_.authority_config, clock_, fixture_.shelves));
  EXPECT_EQ(ask("/healthz").status, 503);
  publisher.tick();
  EXPECT_EQ(ask("/healthz").status, 200) << as_text(ask("/healthz").body);
  fixture_.terminals->until_ = clock_.now() - std::chrono::seconds(1);
  const auto ill = ask("/healthz");
  EXPECT_EQ(ill.status, 503);
  EXPECT_THAT(std::string(as_text(ill.body)), HasSubstr("verifier has expired"));
}

// What was acknowledged is there after the server was killed in the middle of uploads.
TEST_F(AuthorityTest, KilledInTheMiddleOfUploadsNothingAcknowledgedIsLost) {
  server_.reset();
  const TerminalId id = fixture_.invite("clinic-1", "clinic").terminal.id;
  JournalPosition acknowledged;
  for (int round = 0; round < 12; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      // As the server does it: a batch, its commit, the answer.
      TerminalLedger ledger = fixture_.ledger();
      JournalPosition end{must(ledger.terminal(id)).journal_to,
                          must(ledger.terminal(id)).journal_hash.value_or(JournalHash{})};
      for (;;) {
        end = must(ledger.take_journal(id, records(7, end)));
        if (::write(pipe_ends[1], &end, sizeof end) != sizeof end) ::_exit(1);
      }
    }
    ::close(pipe_ends[1]);
    JournalPosition told;
    for (int heard = 0; heard <= round % 4; ++heard) {
      ASSERT_EQ(::read(pipe_ends[0], &told, sizeof told), static_cast<ssize_t>(sizeof told));
      acknowledged = told;
    }
    ::kill(child, SIGKILL);
    while (::read(pipe_ends[0], &told, sizeof told) == static_cast<ssize_t>(sizeof told)) acknowledged = told;
    ::waitpid(child, nullptr, 0);
    ::close(pipe_ends[0]);
    TerminalLedger ledger = fixture_.ledger();
    const Terminal now = must(ledger.terminal(id));
    ASSERT_GE(now.journal_to, acknowledged.number);
    const auto at = must(ledger.journal_of(id, acknowledged.number - 1, 1));
    ASSERT_EQ(at.at(0).position(), acknowledged);
  }
  // And the chain is whole from the first record to the last.
  TerminalLedger ledger = fixture_.ledger();
  JournalPosition end;
  for (;;) {
    const auto page = must(ledger.journal_of(id, end.number, 500));
    if (page.empty()) break;
    for (const JournalRecord& record : page) {
      ASSERT_EQ(fit_of(end, record), JournalFit::next);
      end = record.position();
    }
  }
  EXPECT_EQ(end.number, must(ledger.terminal(id)).journal_to);
}

TEST(AuthorityConfig, TheExamplesCanBeRead) {
  ::setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x", 1);
  for (const char* name : {"identity.toml", "identity-authority.toml", "identity-login.toml"}) {
    const auto read = load_server_config(std::filesystem::path(KARTA_SOURCE_DIR) / "docs/examples" / name);
    EXPECT_TRUE(read) << (read ? "" : read.error().message);
  }
  ::unsetenv("CREDENTIALS_DIRECTORY");
}

TEST(AuthorityConfig, WhatIsWrongIsNamedByLineAndKey) {
  const std::string good = R"(schema = "karta.identity/1"
database = "r"
[server]
listen = ["127.0.0.1:0"]
[tls]
key = "k"
certificate = "c"
passphrase_file = "p"
[authority]
centre = "."
passphrase_file = "p"
[authority.tls]
key = "k"
certificate = "c"
passphrase_file = "p"
[[authority.operator]]
name = "a"
token_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
scopes = ["card-life"]
)";
  ASSERT_TRUE(parse_server_config(good, "identity.toml"));
  struct Case {
    const char* from;
    const char* to;
    const char* message;
  };
  for (const Case& one : std::initializer_list<Case>{
           {"database = \"r\"\n", "", "needs the registry"},
           {"[tls]\nkey = \"k\"\ncertificate = \"c\"\npassphrase_file = \"p\"\n", "", "needs [tls]"},
           {"centre = \".\"\n", "", "\"authority.centre\" is missing"},
           {"[authority.tls]", "[authority.tsl]", "\"authority.tls\" is missing"},
           {"centre = \".\"", "centre = \".\"\ncv_days = 0", "identity.toml:11: \"authority.cv_days\""},
           {"token_sha256 = \"00", "token_sha256 = \"0", "must be 64 small hexadecimal digits"},
           {"token_sha256 =", "certificate_sha256 = \"00\"\ntoken_sha256 =", "needs one of"},
           {"[\"card-life\"]", "[\"everything\"]", "\"authority.operator.scopes\" are card-life"},
           {"[\"card-life\"]", "[]", "scopes\" is missing"},
           {"[authority.tls]", "[authority.accounts]\nsecret_file = \"s\"\n[authority.tls]", "needs \"desk = true\""},
           {"[authority.tls]", "desk = true\n[authority.accounts]\n[authority.tls]",
            "\"authority.accounts.secret_file\" is missing"},
           {"[authority.tls]", "desk = true\n[authority.accounts]\nsecret_file = \"s\"\nways = 1\n[authority.tls]",
            "\"authority.accounts.ways\""},
           {"[[authority.operator]]",
            "[authority.stop_list]\nfolder = \"f\"\nkey = \"k\"\ncertificate = \"c\"\n"
            "passphrase_file = \"p\"\n[[authority.operator]]",
            "\"authority.stop_list.issuer\" is missing"},
       }) {
    std::string text = good;
    const std::size_t at = text.find(one.from);
    ASSERT_NE(at, std::string::npos) << one.from;
    text.replace(at, std::string_view(one.from).size(), one.to);
    const auto parsed = parse_server_config(text, "identity.toml");
    ASSERT_FALSE(parsed) << one.to;
    EXPECT_EQ(parsed.error().kind, ErrorKind::configuration);
    EXPECT_THAT(parsed.error().message, HasSubstr(one.message));
  }
}

// Beside a [login], its secret and its messages are meant.
TEST(AuthorityConfig, CountersAccountsAreThoseOfTheLogIn) {
  const auto parse = [](const std::string& accounts, const std::string& codes) {
    return parse_server_config(R"(schema = "karta.identity/1"
database = "r"
[server]
listen = ["127.0.0.1:0"]
[tls]
key = "k"
certificate = "c"
passphrase_file = "p"
[authority]
centre = "."
passphrase_file = "p"
desk = true
[authority.accounts]
)" + accounts + R"(
[authority.tls]
key = "k"
certificate = "c"
passphrase_file = "p"
[openid]
issuer = "https://id.example"
secret_file = "o"
[[openid.key]]
key = "k"
algorithm = "ES256"
passphrase_file = "p"
[login]
secret_file = "l"
card_roots = ["c"]
certificate_address = "https://mtls.id.example"
)" + codes,
                               "identity.toml");
  };
  const std::string mails = "[login.codes]\n[login.codes.message]\nfrom = \"a@b\"\nfolder = \"mail\"\n";
  const auto with_mail = must(parse("", mails)).authority->accounts;
  ASSERT_TRUE(with_mail);
  EXPECT_EQ(with_mail->secret_file.filename(), "l");
  EXPECT_EQ(with_mail->issuer, "id.example");
  EXPECT_TRUE(with_mail->mail);
  EXPECT_FALSE(must(parse("", "[login.codes]\n")).authority->accounts->mail);
  EXPECT_FALSE(must(parse("mail = false", mails)).authority->accounts->mail);
  EXPECT_EQ(must(parse("issuer = \"Sample City\"", mails)).authority->accounts->issuer, "Sample City");
  EXPECT_THAT(parse("mail = true", "[login.codes]\n").error().message, HasSubstr("nobody sends codes"));
  EXPECT_THAT(parse("", "").error().message, HasSubstr("has no [login.codes]"));
  EXPECT_THAT(parse("secret_file = \"x\"", mails).error().message, HasSubstr("that of [login] counts"));
}

}  // namespace
}  // namespace karta::identity
