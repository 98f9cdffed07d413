// Requests between departments, from the first upload to the check of the kept files: over the routes in process.
#include "identity/requests/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crypto/ades/cades.h"
#include "crypto/cms/sign.h"
#include "crypto/digest.h"
#include "crypto/testing.h"
#include "identity/certificate_ledger.h"
#include "identity/daily_counts.h"
#include "identity/registry_testing.h"
#include "identity/requests/client.h"
#include "identity/requests/departments.h"
#include "identity/requests/exchange.h"
#include "identity/requests/request_ledger.h"
#include "service/log.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using testing::Contains;
using testing::HasSubstr;
using Json = nlohmann::ordered_json;

constexpr const char* kBasis = "Sample Act 1, article 2";
constexpr const char* kDelayBasis = "Sample Act 3";

class DepartmentRequests : public RegistryFixture {
 protected:
  void SetUp() override {
    RegistryFixture::SetUp();
    service::set_up_log({.level = service::LogLevel::error});
    clock_ = FixedClock(crypto::testing::test_time());
    registry_.emplace(create());
    database_.emplace(must(service::Database::open(url())));
    writes_ = must(service::GroupCommit::open(url()));
    citizen_ = must(registry_->add_citizen(made_up_citizen(1), cause_));
    write_file("root.pem", centre_.root.to_pem());
    config_.roots = {folder_ / "root.pem"};
    add("pension-fund", pension_,
        {{RightKind::ask, "income", kBasis},
         {RightKind::ask, "insurance", kBasis},
         {RightKind::ask, "identity", kBasis},
         {RightKind::ask, "concessions", kBasis},
         {RightKind::ask, "card-status", kBasis},
         {RightKind::delay, "", kDelayBasis}});
    add("tax-service", tax_, {{RightKind::answer, "income"}});
    add("stranger", stranger_, {{RightKind::ask, "income", kBasis}});
    open_routes();
  }

  void write_file(const std::string& name, const std::string& text) {
    FILE* const file = std::fopen((folder_ / name).c_str(), "w");
    ASSERT_NE(file, nullptr);
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
  }
  void open_routes() {
    routes_ = must(open_request_routes(config_, std::make_unique<crypto::SoftwareSigner>(signing_key(system_key_)),
                                       {clock_, random_, metrics_, *registry_, *database_, *writes_}));
  }
  void add(const std::string& name, crypto::SoftwareSigner& signer, std::vector<DepartmentRight> rights) {
    DepartmentChange made;
    made.title = "The " + name;
    made.certificates = {must(crypto::Certificate::from_der(signer.certificate_chain().front()))};
    made.rights = std::move(rights);
    made.token_hash = crypto::digest(crypto::Hash::sha256, as_bytes("token of " + name));
    must(DepartmentLedger(*registry_).add(name, made, cause_));
  }
  crypto::SoftwareSigner signing_key(const crypto::PrivateKey& key) {
    return crypto::SoftwareSigner(crypto::testing::copy_of(key),
                                  {system_certificate_.der(), centre_.ca.der(), centre_.root.der()});
  }
  crypto::SoftwareSigner department_key() {
    auto key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
    const auto certificate = centre_.issue(key.public_key());
    return crypto::SoftwareSigner(std::move(key), {certificate.der(), centre_.ca.der()});
  }

  DepartmentRequest request(const std::string& to, std::vector<std::string> subjects) {
    DepartmentRequest out;
    out.id = new_request_id(random_);
    out.from = "pension-fund";
    out.to = to;
    out.made = clock_.now();
    out.legal_basis = kBasis;
    out.purpose = "reckon a pension";
    out.case_id = "case 12";
    out.snils = made_up_citizen(1).snils;
    out.subjects = std::move(subjects);
    return out;
  }
  Bytes signed_by(crypto::SoftwareSigner& signer, const std::string& json) {
    return must(sign_document(signer, json, clock_.now()));
  }
  service::HttpResponse ask(service::HttpMethod method, const std::string& target, const std::string& department,
                            ByteView body = {}, std::string_view type = kCmsMediaType) {
    service::HttpRequest wire;
    wire.method = method;
    const std::size_t mark = target.find('?');
    wire.path = std::string_view(target).substr(0, mark);
    if (mark != std::string::npos) wire.query = std::string_view(target).substr(mark + 1);
    const std::string bearer = "Bearer token of " + department;
    if (!department.empty()) wire.fields.push_back({"Authorization", bearer});
    if (!body.empty()) wire.fields.push_back({"Content-Type", type});
    wire.body = body;
    wire.peer = "192.0.2.1";
    return routes_->answer(wire);
  }
  service::HttpResponse send(const DepartmentRequest& what) {
    return ask(service::HttpMethod::post, "/v1/requests", "pension-fund", signed_by(pension_, write_document(what)));
  }
  service::HttpResponse get(const std::string& target, const std::string& department) {
    return ask(service::HttpMethod::get, target, department);
  }
  static std::string text(const service::HttpResponse& response) { return std::string(as_text(response.content())); }
  /// The status and what is said of it.
  static std::string said(const service::HttpResponse& response) {
    return std::to_string(response.status) + " " + text(response);
  }
  std::vector<std::string> log() {
    std::vector<std::string> out;
    for (const AccessEntry& one : must(registry_->access_log(citizen_))) {
      out.push_back(one.purpose.actor + " | " + one.what + " | " + one.purpose.legal_basis);
    }
    return out;
  }
  DepartmentAnswer answer_to(const DepartmentRequest& asked, ByteView sent) {
    DepartmentAnswer out;
    out.request = asked.id;
    out.request_hash = hash_of_document(sent);
    out.from = asked.to;
    out.to = asked.from;
    out.made = clock_.now();
    out.data = R"({"income":[{"year":2025,"roubles":1200000}]})";
    return out;
  }

  crypto::testing::TestCentre centre_;
  crypto::PrivateKey system_key_ = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
  crypto::Certificate system_certificate_ = centre_.issue(system_key_.public_key());
  crypto::SoftwareSigner pension_ = department_key(), tax_ = department_key(), stranger_ = department_key();
  service::Metrics metrics_;
  RequestsConfig config_;
  std::optional<Registry> registry_;
  std::optional<service::Database> database_;
  std::shared_ptr<service::GroupCommit> writes_;
  CitizenId citizen_{};
  std::unique_ptr<RoomRoutes> routes_;
};

TEST_F(DepartmentRequests, TheRegistryAnswersAtOnceAndTheCitizenSeesIt) {
  const DepartmentRequest asked = request("registry", {"insurance", "concessions", "identity", "card-status"});
  const Bytes sent = signed_by(pension_, write_document(asked));
  must(registry_->order_card({.citizen = citizen_, .profile = "citizen"}, cause_));
  const auto taken = ask(service::HttpMethod::post, "/v1/requests", "pension-fund", sent);
  ASSERT_EQ(taken.status, 201) << text(taken);
  EXPECT_THAT(taken.fields, HasSubstr("Location: /v1/requests/" + asked.id));
  EXPECT_THAT(log(), Contains(std::string("department:pension-fund | looked up: "
                                          "insurance,concessions,identity,card-status | ") +
                              kBasis));
  const std::size_t before = log().size();
  const auto answer = get("/v1/requests/" + asked.id + "/answer", "pension-fund");
  ASSERT_EQ(answer.status, 200) << text(answer);
  EXPECT_EQ(log().size(), before + 1) << "what leaves is logged";
  const auto answer_receipt = get("/v1/requests/" + asked.id + "/answer-receipt", "pension-fund");
  ASSERT_EQ(answer_receipt.status, 200);
  EXPECT_EQ(log().size(), before + 1) << "a receipt holds nothing of the person";

  crypto::TrustMaterial trust;
  trust.anchors = {centre_.root};
  const ExchangeFiles files{sent, taken.body, answer.body, answer_receipt.body};
  const ExchangeReport report = check_exchange(files, trust, nullptr, clock_.now(), system_certificate_);
  for (const ExchangeCheck& one : report.checks) EXPECT_TRUE(one.holds) << one.name << ": " << one.words;
  EXPECT_TRUE(report.passed());
  EXPECT_EQ(report.in_time, true);
  const Json data = Json::parse(report.answer->data);
  EXPECT_EQ(data["insurance"]["insurer"], "Выдуманная страховая");
  EXPECT_EQ(data["concessions"][0]["kind"], "student");
  EXPECT_EQ(data["identity"]["family"], "Образцов");
  EXPECT_EQ(data["card-status"][0]["state"], "ordered");
  EXPECT_EQ(data.size(), 4u);

  // The same again is no second request; another under its id is none at all.
  const auto again = ask(service::HttpMethod::post, "/v1/requests", "pension-fund", sent);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, taken.body);
  DepartmentRequest other = asked;
  other.purpose = "something else";
  EXPECT_THAT(said(send(other)), HasSubstr("409"));
  EXPECT_EQ(
      must(DailyCounts::per_day(*registry_, kRequestsReceived, day_of(clock_.now()), day_of(clock_.now())))[0].count,
      1);
}

TEST_F(DepartmentRequests, ADepartmentIsAskedAnswersAndTheAskerFetchesIt) {
  const DepartmentRequest asked = request("tax-service", {"income"});
  const Bytes sent = signed_by(pension_, write_document(asked));
  const auto taken = ask(service::HttpMethod::post, "/v1/requests", "pension-fund", sent);
  ASSERT_EQ(taken.status, 201) << text(taken);
  const std::string at = "/v1/requests/" + asked.id;
  EXPECT_EQ(get(at + "/answer", "pension-fund").status, 404);
  EXPECT_EQ(get(at + "/answer-receipt", "pension-fund").status, 404);

  EXPECT_THAT(text(get("/v1/requests?inbox", "tax-service")), HasSubstr(asked.id));
  EXPECT_THAT(text(get("/v1/requests?sent", "pension-fund")), HasSubstr(asked.id));
  EXPECT_THAT(text(get("/v1/requests?inbox", "pension-fund")), testing::Not(HasSubstr(asked.id)));
  EXPECT_THAT(text(get("/v1/requests?overdue", "pension-fund")), testing::Not(HasSubstr(asked.id)));
  // Nobody else learns that it is there.
  for (const std::string part : {"", "/request", "/receipt", "/answer"}) {
    EXPECT_EQ(get(at + part, "stranger").status, 404) << part;
  }
  // The log says of whom something was taken: what hands nothing out does not stand there.
  const auto logged = log();
  for (const std::string part : {"/request", "/receipt", "/answer"}) {
    EXPECT_EQ(ask(service::HttpMethod::head, at + part, "tax-service").status, 405) << part;
  }
  EXPECT_EQ(ask(service::HttpMethod::head, at, "tax-service").status, 200);
  EXPECT_EQ(log(), logged);
  const auto fetched = get(at + "/request", "tax-service");
  ASSERT_EQ(fetched.status, 200);
  EXPECT_EQ(fetched.body, sent);
  EXPECT_THAT(log(), Contains(std::string("department:tax-service | took the request: income | ") + kBasis));

  const std::string answer = write_document(answer_to(asked, sent));
  const auto put = [&](const std::string& who, ByteView octets) {
    return ask(service::HttpMethod::post, at + "/answer", who, octets);
  };
  EXPECT_EQ(put("stranger", signed_by(stranger_, answer)).status, 404);
  EXPECT_THAT(said(put("pension-fund", signed_by(pension_, answer))), HasSubstr("was not asked"));
  EXPECT_THAT(said(put("tax-service", signed_by(pension_, answer))), HasSubstr("not signed by"));
  DepartmentAnswer wrong = answer_to(asked, sent);
  wrong.request_hash[0] ^= 1;
  EXPECT_THAT(said(put("tax-service", signed_by(tax_, write_document(wrong)))), HasSubstr("not one to this request"));
  wrong = answer_to(asked, sent);
  wrong.data = R"({"income":1,"health":2})";
  EXPECT_THAT(said(put("tax-service", signed_by(tax_, write_document(wrong)))), HasSubstr("was not asked for"));

  clock_.advance(std::chrono::hours(24));
  const Bytes good = signed_by(tax_, write_document(answer_to(asked, sent)));
  const auto receipt = put("tax-service", good);
  ASSERT_EQ(receipt.status, 201) << text(receipt);
  EXPECT_EQ(put("tax-service", good).body, receipt.body) << "the same again";
  EXPECT_THAT(said(put("tax-service", signed_by(tax_, write_document(answer_to(asked, sent)) + " "))),
              HasSubstr("409"));
  EXPECT_THAT(text(get("/v1/requests?inbox", "tax-service")), testing::Not(HasSubstr(asked.id)));
  const auto answered = get(at + "/answer", "pension-fund");
  ASSERT_EQ(answered.status, 200);
  EXPECT_EQ(answered.body, good);
  EXPECT_THAT(text(get(at, "pension-fund")), HasSubstr("\"overdue\":false"));
  EXPECT_THAT(log(), Contains(std::string("department:tax-service | answered pension-fund: income | ") + kBasis));

  crypto::TrustMaterial trust;
  trust.anchors = {centre_.root};
  const ExchangeFiles files{sent, taken.body, good, receipt.body};
  EXPECT_TRUE(check_exchange(files, trust, nullptr, clock_.now()).passed());
}

TEST_F(DepartmentRequests, WhatIsLateIsSeenAndStaysAnswerable) {
  DepartmentRequest asked = request("tax-service", {"income"});
  asked.deadline = clock_.now() + std::chrono::hours(2);
  const Bytes sent = signed_by(pension_, write_document(asked));
  const auto taken = ask(service::HttpMethod::post, "/v1/requests", "pension-fund", sent);
  ASSERT_EQ(taken.status, 201) << text(taken);
  clock_.advance(std::chrono::hours(3));
  EXPECT_THAT(text(get("/v1/requests?overdue", "pension-fund")), HasSubstr(asked.id));
  EXPECT_THAT(text(get("/v1/requests?overdue", "tax-service")), HasSubstr(asked.id));
  EXPECT_THAT(text(get("/v1/requests?overdue", "stranger")), testing::Not(HasSubstr(asked.id)));
  EXPECT_TRUE(routes_->problems().empty());
  routes_->measure();
  EXPECT_THAT(metrics_.text(), HasSubstr("karta_department_requests_overdue 1"));
  crypto::TrustMaterial trust;
  trust.anchors = {centre_.root};
  EXPECT_EQ(check_exchange({sent, taken.body, {}, {}}, trust, nullptr, clock_.now()).in_time, false);
  const Bytes answer = signed_by(tax_, write_document(answer_to(asked, sent)));
  const auto receipt = ask(service::HttpMethod::post, "/v1/requests/" + asked.id + "/answer", "tax-service", answer);
  ASSERT_EQ(receipt.status, 201) << text(receipt);
  const ExchangeReport report = check_exchange({sent, taken.body, answer, receipt.body}, trust, nullptr, clock_.now());
  EXPECT_TRUE(report.passed());
  EXPECT_EQ(report.in_time, false);
  EXPECT_EQ(must(RequestLedger(*registry_).counts()).overdue, 0u);
  EXPECT_EQ(must(DailyCounts::per_day(*registry_, kRequestsLate, day_of(clock_.now()), day_of(clock_.now())))[0].count,
            1);
}

TEST_F(DepartmentRequests, WhatMayNotBeAskedIsRefusedWithItsReason) {
  struct Row {
    std::string says;
    std::function<void(DepartmentRequest&)> change;
  };
  const Row rows[] = {
      {"may not ask for", [](auto& one) { one.legal_basis = "another law"; }},
      {"may not ask for", [](auto& one) { one.subjects = {"health"}; }},
      {"is no department to be asked", [](auto& one) { one.to = "nobody"; }},
      {"is no department to be asked", [](auto& one) { one.to = "pension-fund"; }},
      {"does not answer about", [](auto& one) { one.subjects = {"insurance"}; }},
      {"the registry does not answer about", [](auto& one) { one.to = "registry"; }},
      {"is not from", [](auto& one) { one.from = "stranger"; }},
      {"future", [](auto& one) { one.made += std::chrono::minutes(6); }},
      {"too old", [](auto& one) { one.made -= std::chrono::hours(25); }},
      {"sooner than in an hour", [](auto& one) { one.deadline = one.made + std::chrono::minutes(59); }},
      {"knows no such citizen", [](auto& one) { one.snils = made_up_citizen(2).snils; }},
      {"may not delay",
       [](auto& one) {
         one.delay = DelayedDisclosure{"no law", one.made + std::chrono::hours(9)};
       }},
      {"at most",
       [](auto& one) {
         one.delay = DelayedDisclosure{kDelayBasis, one.made + std::chrono::hours(24 * 200)};
       }},
  };
  for (const Row& row : rows) {
    DepartmentRequest asked = request("tax-service", {"income"});
    row.change(asked);
    const auto refused = send(asked);
    EXPECT_GE(refused.status, 400) << row.says;
    EXPECT_THAT(text(refused), HasSubstr(row.says));
    EXPECT_EQ(get("/v1/requests/" + asked.id, "pension-fund").status, 404) << row.says;
  }
  EXPECT_TRUE(log().empty()) << "what was refused told nobody anything";
}

TEST_F(DepartmentRequests, WhoIsNotWhoHeSaysIsRefused) {
  const DepartmentRequest asked = request("tax-service", {"income"});
  const std::string json = write_document(asked);
  const auto put = [&](const std::string& who, ByteView octets, std::string_view type = kCmsMediaType) {
    return said(ask(service::HttpMethod::post, "/v1/requests", who, octets, type));
  };
  const Bytes good = signed_by(pension_, json);
  EXPECT_THAT(put("", good), HasSubstr("403"));
  EXPECT_THAT(put("someone", good), HasSubstr("403"));
  EXPECT_THAT(put("stranger", good), HasSubstr("not signed by"));
  EXPECT_THAT(put("pension-fund", signed_by(stranger_, json)), HasSubstr("not signed by"));
  EXPECT_THAT(put("pension-fund", good, "application/json"), HasSubstr("application/cms"));
  EXPECT_THAT(put("pension-fund", as_bytes(json)), HasSubstr("400"));
  EXPECT_THAT(put("pension-fund", signed_by(pension_, "{}")), HasSubstr("schema"));
  Bytes broken = good;
  const std::string_view inside = as_text(broken);
  broken[inside.find("case 12")] ^= 1;
  EXPECT_THAT(put("pension-fund", broken), HasSubstr("the signature does not hold"));
  // A certificate of an authority that nobody named here.
  crypto::testing::TestCentre elsewhere(crypto::KeyType::p256, crypto::KeyType::p256);
  EXPECT_THAT(put("pension-fund", signed_by(elsewhere.citizen, json)), HasSubstr("the signature does not hold"));
  // The department's own certificate without the authority's between it and the root.
  auto own_key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
  const auto own = centre_.issue(own_key.public_key());
  crypto::SoftwareSigner alone(std::move(own_key), {own.der()});
  EXPECT_THAT(put("pension-fund", signed_by(alone, json)),
              testing::AllOf(HasSubstr("the signature does not hold"), HasSubstr("holds those above it")));
  // Two signatures on one document, and one beside it.
  const Bytes two = must(crypto::join_cms(good, signed_by(stranger_, json)));
  EXPECT_THAT(put("pension-fund", two), HasSubstr("one signature"));
  crypto::MemoryContent content(as_bytes(json));
  const Bytes beside = must(crypto::sign_cms(pension_, content, {.signing_time = clock_.now()}));
  EXPECT_THAT(put("pension-fund", beside), HasSubstr("signature"));
  EXPECT_THAT(put("pension-fund", Bytes(kMostSignedOctets + 1, 0x30)), HasSubstr("larger"));

  for (const std::string& bad :
       std::vector<std::string>{"/v1/requests/x", "/v1/requests/" + asked.id + "/nothing", "/v1/requests?outbox",
                                "/v1/requests?inbox&after=1", "/v1/requests?inbox&x", "/v1/requests/"}) {
    EXPECT_GE(get(bad, "pension-fund").status, 400) << bad;
  }
  EXPECT_EQ(ask(service::HttpMethod::del, "/v1/requests", "pension-fund").status, 405);
  EXPECT_EQ(ask(service::HttpMethod::post, "/v1/requests/" + asked.id, "pension-fund", good).status, 405);
}

TEST_F(DepartmentRequests, RevokedDepartmentsAndCertificatesEndAtOnce) {
  const DepartmentRequest asked = request("tax-service", {"income"});
  const auto own = must(crypto::Certificate::from_der(pension_.certificate_chain().front()));
  const auto by_certificate = [&] {
    service::HttpRequest wire;
    wire.method = service::HttpMethod::get;
    wire.path = "/v1/requests";
    wire.query = "sent";
    wire.client_certificate = own.der();
    wire.peer = "192.0.2.1";
    return routes_->answer(wire);
  };
  EXPECT_EQ(by_certificate().status, 200);
  {
    // The registry's own authority has revoked it.
    const auto ledger = must(open_certificate_ledger(url(), own.issuer().to_text(), cause_, clock_));
    must(ledger->add(own, "department"));
    must(ledger->revoke(own.serial(), crypto::CrlReason::key_compromise));
  }
  EXPECT_THAT(said(send(asked)), HasSubstr("revoked"));
  EXPECT_THAT(said(by_certificate()), HasSubstr("revoked"));
  // Another certificate takes its place.
  crypto::SoftwareSigner fresh = department_key();
  DepartmentLedger ledger(*registry_);
  DepartmentChange change;
  change.certificates = {must(crypto::Certificate::from_der(fresh.certificate_chain().front()))};
  change.dropped_certificates = {to_hex(own.fingerprint())};
  must(ledger.change("pension-fund", change, cause_));
  const auto put = [&] {
    return ask(service::HttpMethod::post, "/v1/requests", "pension-fund", signed_by(fresh, write_document(asked)));
  };
  EXPECT_THAT(said(send(asked)), HasSubstr("not signed by"));
  EXPECT_EQ(put().status, 201);
  must(ledger.revoke("tax-service", cause_));
  const auto more = signed_by(fresh, write_document(request("tax-service", {"income"})));
  EXPECT_THAT(said(ask(service::HttpMethod::post, "/v1/requests", "pension-fund", more)),
              HasSubstr("is no department to be asked"));
  must(ledger.revoke("pension-fund", cause_));
  EXPECT_EQ(put().status, 403);
  EXPECT_EQ(get("/v1/requests?sent", "pension-fund").status, 403);
}

TEST_F(DepartmentRequests, ARevocationListGivenIsHeeded) {
  crypto::CrlContent content;
  content.number = 1;
  content.this_update = clock_.now();
  content.next_update = clock_.now() + std::chrono::hours(24);
  content.revoked.push_back(
      {must(crypto::Certificate::from_der(pension_.certificate_chain().front())).serial(), clock_.now(), {}});
  const auto crl = must(crypto::sign_crl(content, centre_.ca, centre_.ca_signer));
  write_file("ca.crl", std::string(as_text(crl.der())));
  config_.crls = {folder_ / "ca.crl"};
  open_routes();
  EXPECT_THAT(said(send(request("tax-service", {"income"}))), HasSubstr("the signature does not hold"));
}

TEST_F(DepartmentRequests, DisclosureIsDelayedOnlyByLawAndNotForEver) {
  DepartmentRequest asked = request("registry", {"identity"});
  asked.delay = DelayedDisclosure{kDelayBasis, clock_.now() + std::chrono::hours(48)};
  ASSERT_EQ(send(asked).status, 201);
  ASSERT_EQ(get("/v1/requests/" + asked.id + "/answer", "pension-fund").status, 200);
  EXPECT_TRUE(log().empty());
  clock_.advance(std::chrono::hours(49));
  EXPECT_EQ(log().size(), 3u);
  EXPECT_THAT(log()[0], HasSubstr(kDelayBasis));
}

TEST_F(DepartmentRequests, WhomNobodyKnowsIsAnsweredSo) {
  DepartmentRequest asked = request("registry", {"identity"});
  asked.snils = made_up_citizen(7).snils;
  const Bytes sent = signed_by(pension_, write_document(asked));
  ASSERT_EQ(ask(service::HttpMethod::post, "/v1/requests", "pension-fund", sent).status, 201);
  const auto answer = get("/v1/requests/" + asked.id + "/answer", "pension-fund");
  ASSERT_EQ(answer.status, 200);
  EXPECT_THAT(text(answer), HasSubstr("not-known"));
}

TEST_F(DepartmentRequests, ATamperedExchangeIsFoundOut) {
  const DepartmentRequest asked = request("registry", {"insurance"}), second = request("registry", {"insurance"});
  const Bytes sent = signed_by(pension_, write_document(asked)), other = signed_by(pension_, write_document(second));
  const auto put = [&](ByteView one) {
    return ask(service::HttpMethod::post, "/v1/requests", "pension-fund", one).body;
  };
  const ExchangeFiles good{sent, put(sent), get("/v1/requests/" + asked.id + "/answer", "pension-fund").body,
                           get("/v1/requests/" + asked.id + "/answer-receipt", "pension-fund").body};
  const ExchangeFiles theirs{other, put(other), get("/v1/requests/" + second.id + "/answer", "pension-fund").body,
                             get("/v1/requests/" + second.id + "/answer-receipt", "pension-fund").body};
  crypto::TrustMaterial trust;
  trust.anchors = {centre_.root};
  const auto failed = [&](const ExchangeFiles& files, const std::optional<crypto::Certificate>& receipts = {}) {
    std::string out;
    const ExchangeReport report = check_exchange(files, trust, nullptr, clock_.now(), receipts);
    for (const ExchangeCheck& one : report.checks) out += one.holds ? "" : one.name + " ";
    EXPECT_EQ(report.passed(), out.empty());
    return out;
  };
  EXPECT_EQ(failed(good), "");
  EXPECT_EQ(failed({good.request, {}, {}, {}}), "");
  EXPECT_EQ(failed({theirs.request, good.receipt, good.answer, good.answer_receipt}),
            "receipt-belongs answer-belongs answer-receipt-belongs ");
  EXPECT_EQ(failed({good.request, theirs.receipt, good.answer, good.answer_receipt}), "receipt-belongs ");
  EXPECT_EQ(failed({good.request, good.receipt, theirs.answer, good.answer_receipt}),
            "answer-belongs answer-receipt-belongs ");
  EXPECT_EQ(failed({good.request, good.receipt, good.answer, theirs.answer_receipt}), "answer-receipt-belongs ");
  EXPECT_EQ(failed({good.request, good.answer_receipt, good.answer, good.answer_receipt}), "receipt-belongs ");
  Bytes broken = good.answer;
  broken[as_text(broken).find("insurer")] ^= 1;
  EXPECT_EQ(failed({good.request, good.receipt, broken, good.answer_receipt}),
            "answer-signature answer-receipt-belongs ");
  // A receipt that a department wrote for itself.
  DepartmentReceipt forged =
      must(parse_department_receipt(must(open_document(good.receipt, trust, nullptr, clock_.now())).json));
  const Bytes own = signed_by(pension_, write_document(forged));
  EXPECT_THAT(failed({good.request, own, good.answer, good.answer_receipt}), HasSubstr("receipt-signer"));
  EXPECT_EQ(failed(good, centre_.citizen_certificate), "answer-signer receipt-signer receipt-signer ");
  trust.anchors.clear();
  const ExchangeReport nobody = check_exchange(good, trust, nullptr, clock_.now());
  EXPECT_FALSE(nobody.passed());
  EXPECT_FALSE(nobody.failed()) << "nothing is wrong: nobody is trusted";
}

TEST_F(DepartmentRequests, AnAnswerThatTheAskerWroteForItselfIsFoundOut) {
  crypto::TrustMaterial trust;
  trust.anchors = {centre_.root};
  const auto told = [&](const ExchangeFiles& files) {
    const ExchangeReport report = check_exchange(files, trust, nullptr, clock_.now());
    std::string out;
    for (const ExchangeCheck& one : report.checks) {
      if (!one.holds) out += one.name + (one.unknown ? ": unknown " : ": fails ");
    }
    EXPECT_EQ(report.passed(), out.empty());
    return out;
  };
  struct Row {
    std::string to;
    std::vector<std::string> subjects;
    std::string data;
  };
  for (const Row& row : {Row{"tax-service", {"income"}, R"({"income": 1})"},
                         Row{std::string(kRegistryName), {"insurance"}, R"({"insurance": {}})"}}) {
    const DepartmentRequest asked = request(row.to, row.subjects);
    const Bytes sent = signed_by(pension_, write_document(asked));
    const auto taken = ask(service::HttpMethod::post, "/v1/requests", "pension-fund", sent);
    ASSERT_EQ(taken.status, 201) << text(taken);
    DepartmentAnswer invented;
    invented.request = asked.id;
    invented.request_hash = hash_of_document(sent);
    invented.from = row.to;
    invented.to = "pension-fund";
    invented.made = clock_.now();
    invented.data = row.data;
    const Bytes own = signed_by(pension_, write_document(invented)),
                foreign = signed_by(tax_, write_document(invented));
    EXPECT_EQ(told({sent, {}, own, {}}), "answer-signer: fails answer-receipt: unknown ") << row.to;
    EXPECT_EQ(told({sent, taken.body, own, {}}), "answer-signer: fails answer-receipt: unknown ") << row.to;
    // Of whom the other department's certificate is, the system's receipt alone tells; the registry's own is known.
    EXPECT_EQ(told({sent, {}, foreign, {}}), "answer-receipt: unknown ") << row.to;
    EXPECT_EQ(told({sent, taken.body, foreign, {}}),
              row.to == kRegistryName ? "answer-signer: fails answer-receipt: unknown " : "answer-receipt: unknown ");
  }
}

TEST_F(DepartmentRequests, TheClientTalksInTheClearToThisMachineAlone) {
  const auto made = [](const std::string& url) {
    RequestsClientOptions options;
    options.url = url;
    options.token = SecretBytes::copy_of(as_bytes("token"));
    return RequestsClient::create(std::move(options)).has_value();
  };
  for (const char* const url : {"http://localhost", "http://localhost:8080/", "http://127.0.0.1:8080/base",
                                "http://[::1]:8080", "https://id.example"}) {
    EXPECT_TRUE(made(url)) << url;
  }
  for (const char* const url :
       {"http://localhost.example.org", "http://localhost@host.example", "http://localhost:8080@host.example",
        "http://localhost:secret@host.example", "http://127.0.0.1.example.org", "http://127.0.0.10", "http://[::1]x",
        "http://localhost:", "http://host.example", "http://", "ftp://localhost"}) {
    EXPECT_FALSE(made(url)) << url;
  }
}

TEST_F(DepartmentRequests, TheLedgerOfDepartmentsKeepsItsRules) {
  DepartmentLedger ledger(*registry_);
  DepartmentChange made;
  made.title = "Another";
  EXPECT_EQ(ledger.add("other", made, cause_).error().kind, ErrorKind::usage) << "no certificate";
  made.certificates = {must(crypto::Certificate::from_der(tax_.certificate_chain().front()))};
  EXPECT_EQ(ledger.add("other", made, cause_).error().kind, ErrorKind::already_exists) << "another's certificate";
  EXPECT_EQ(ledger.find("other").error().kind, ErrorKind::not_found) << "nothing was made";
  crypto::SoftwareSigner key = department_key();
  made.certificates = {must(crypto::Certificate::from_der(key.certificate_chain().front()))};
  for (const std::string bad : {"registry", "Other", ""}) EXPECT_FALSE(ledger.add(bad, made, cause_)) << bad;
  EXPECT_FALSE(ledger.add("other", made, {"", ""})) << "by nobody";
  made.rights = {{RightKind::ask, "income", ""}};
  EXPECT_FALSE(ledger.add("other", made, cause_)) << "on no basis";
  made.rights = {{RightKind::ask, "income", "A"}, {RightKind::answer, "cars", ""}};
  made.deadline_days = 0;
  EXPECT_FALSE(ledger.add("other", made, cause_));
  made.deadline_days = 10;
  const Department other = must(ledger.add("other", made, cause_));
  EXPECT_EQ(other.deadline_days, 10u);
  EXPECT_TRUE(other.may(RightKind::ask, "income", "A"));
  EXPECT_FALSE(other.may(RightKind::ask, "income", "B"));
  EXPECT_EQ(ledger.add("other", made, cause_).error().kind, ErrorKind::already_exists);
  DepartmentChange less;
  less.dropped_rights = {{RightKind::ask, "income", "A"}};
  EXPECT_EQ(must(ledger.change("other", less, cause_)).rights.size(), 1u);
  EXPECT_EQ(ledger.change("other", less, cause_).error().kind, ErrorKind::not_found);
  DepartmentChange none;
  none.dropped_certificates = {to_hex(made.certificates.front().fingerprint())};
  EXPECT_EQ(ledger.change("other", none, cause_).error().kind, ErrorKind::usage) << "its last certificate";
  EXPECT_EQ(must(ledger.list()).size(), 4u);
  must(ledger.revoke("other", cause_));
  EXPECT_EQ(ledger.revoke("other", cause_).error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(ledger.change("other", less, cause_).error().kind, ErrorKind::not_permitted);
  const auto events = must(ledger.events_of("other"));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].kind, "revoked");
  EXPECT_EQ(events[1].detail, "-1 rights");
}

}  // namespace
}  // namespace karta::identity
