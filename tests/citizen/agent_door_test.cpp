// The agent's door over HTTP, a header at a time: browsers send several that would each do, and the stories in Chromium
// cannot tell which of them it was that refused.
#include <gtest/gtest.h>

#include "crypto/jose/jws.h"
#include "daemon/citizen/agent_request.h"
#include "daemon/citizen/citizen_mode.h"
#include "daemon/daemon.h"
#include "service/test_socket.h"
#include "tests/citizen/login_card.h"
#include "tests/kartad/movable_clock.h"

namespace karta::test {
namespace {

using crypto::testing::must;

constexpr daemon::ModeRow kModes[] = {{"citizen", daemon::read_citizen, true}};

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

struct Answer {
  int status = 0;
  std::string text;
  std::string location() const {
    const std::size_t at = text.find("Location: ");
    return at == std::string::npos ? "" : text.substr(at + 10, text.find("\r\n", at) - at - 10);
  }
};

class AgentDoor : public testing::Test {
 protected:
  void SetUp() override {
    folder_.write("root.pem", centre_.root.to_pem());
    folder_.write("agent.toml",
                  "schema = \"karta.kartad/1\"\nstate = \"state\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n"
                  "[citizen]\n[[citizen.provider]]\nissuer = \"https://id.example\"\nroots = [\"root.pem\"]\n");
    daemon_ = must(daemon::Daemon::start(
        folder_ / "agent.toml",
        {.clock = clock_,
         .random = random_,
         .make_readers = [this](const daemon::DaemonConfig&) -> std::unique_ptr<daemon::ReaderSource> {
           return std::make_unique<BorrowedReaders>(readers_);
         },
         .modes = kModes}));
    address_ = daemon_->addresses().front();
    crypto::PrivateKey key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
    crypto::CertificateRequest wanted{.subject = must(crypto::NameBuilder().add("CN", "Sample Log-in Service").build()),
                                      .public_key = key.public_key()};
    wanted.subject_alternative_names = {crypto::GeneralName::dns("id.example")};
    constexpr std::string_view kProfile =
        "schema = \"karta.certificate-profile/1\"\nname = \"request-signing\"\nvalidity_days = 365\n"
        "key_usage = [\"digitalSignature\"]\n";
    const FixedClock before(clock_.now() - std::chrono::days(1));
    const auto certificate = must(crypto::issue_certificate(must(crypto::CertificateProfile::from_toml(kProfile)),
                                                            wanted, centre_.ca, centre_.ca_signer, before, random_));
    signer_.emplace(std::move(key), std::vector<Bytes>{certificate.der(), centre_.ca.der()});
  }
  void TearDown() override { daemon_->stop(); }

  /// A request of the provider's, heard never before.
  std::string request(const std::string& verb = "login") {
    const std::int64_t now = clock_.now().time_since_epoch().count();
    crypto::JwsHeader header;
    header.typ = daemon::AgentRequest::kType;
    header.x5c = signer_->certificate_chain();
    return must(crypto::sign_jws(
        header,
        R"({"iss":"https://id.example","aud":"karta-agent","jti":"j)" + std::to_string(++number_) + R"(","iat":)" +
            std::to_string(now) + R"(,"exp":)" + std::to_string(now + 300) + R"(,"nonce":")" + std::string(44, 'n') +
            R"(","origin":"https://id.example","return_uri":"https://id.example/back","state":"s","verb":")" + verb +
            R"(","client":{"name":"Portal","origin":"https://portal.example"}})",
        *signer_, crypto::AlgorithmId::ecdsa_sha256));
  }
  /// `fields`: a line each; Host is the agent's own unless one is there.
  Answer ask(const std::string& start, const std::vector<std::string>& fields = {}, const std::string& body = "") {
    std::string wire = start + " HTTP/1.1\r\n";
    bool host = false;
    for (const std::string& one : fields) {
      wire += one + "\r\n";
      host = host || one.starts_with("Host: ");
    }
    if (!host) wire += "Host: " + address_ + "\r\n";
    if (!body.empty()) {
      wire +=
          "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    }
    service::TestSocket socket(address_);
    EXPECT_TRUE(socket.send(wire + "\r\n" + body));
    Answer out;
    out.text = socket.response();
    if (out.text.size() > 12) out.status = std::atoi(out.text.c_str() + 9);
    return out;
  }
  Answer enter(const std::string& jws, const std::vector<std::string>& fields = {}) {
    return ask("GET /agent/login?request=" + jws, fields);
  }
  static std::string csrf_in(const std::string& page) {
    const std::string before = "name=\"csrf\" value=\"";
    const std::size_t at = page.find(before);
    return at == std::string::npos
               ? ""
               : page.substr(at + before.size(), page.find('"', at + before.size()) - at - before.size());
  }

  crypto::testing::TestCentre centre_;
  crypto::testing::TemporaryFolder folder_;
  MovableClock clock_{crypto::testing::test_time()};
  SystemRandom random_;
  SimulatedReaders readers_;
  std::unique_ptr<daemon::Daemon> daemon_;
  std::optional<crypto::SoftwareSigner> signer_;
  std::string address_;
  int number_ = 0;
};

TEST_F(AgentDoor, IsEnteredByANavigationAndByNothingElse) {
  const std::string jws = request();
  for (const char* const field :
       {"Origin: https://portal.example", "Origin: null", "Sec-Fetch-Mode: cors", "Sec-Fetch-Mode: no-cors",
        "Sec-Fetch-Mode: websocket", "Sec-Fetch-Dest: iframe", "Sec-Fetch-Dest: image", "Sec-Fetch-Dest: empty",
        "Sec-Purpose: prefetch", "Purpose: prefetch", "Host: portal.example", "Host: portal.example:8471"}) {
    EXPECT_EQ(enter(jws, {field}).status, 403) << field;
    EXPECT_EQ(ask("GET /agent/hello?request=" + jws, {field}).status, 403) << field;
  }
  // None of them has used the request up.
  const Answer entered =
      enter(jws, {"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"});
  EXPECT_EQ(entered.status, 303);
  EXPECT_TRUE(entered.location().starts_with("/agent/r/")) << entered.text;
  EXPECT_NE(enter(jws).status, 303) << "a request is heard once";
  // The place it leads to is a page of the same kind.
  EXPECT_EQ(ask("GET " + entered.location(), {"Sec-Fetch-Dest: iframe"}).status, 403);
  EXPECT_EQ(ask("GET " + entered.location()).status, 200);
}

TEST_F(AgentDoor, TakesAVerbAtItsOwnAddress) {
  EXPECT_NE(enter(request("hello")).status, 303);
  EXPECT_NE(ask("GET /agent/hello?request=" + request("login")).status, 303);
  const Answer here = ask("GET /agent/hello?request=" + request("hello"));
  EXPECT_EQ(here.status, 303);
  EXPECT_EQ(here.location(), "https://id.example/back?state=s&agent=hello");
}

TEST_F(AgentDoor, TakesItsOwnFormsAlone) {
  const std::string place = enter(request()).location();
  const std::string csrf = csrf_in(ask("GET " + place).text);
  ASSERT_FALSE(csrf.empty());
  const std::string own = "Origin: http://" + address_, give_up = "deed=give-up&csrf=";
  const auto post = [&](const std::vector<std::string>& fields, const std::string& token) {
    return ask("POST " + place, fields, give_up + token);
  };
  EXPECT_EQ(post({}, csrf).status, 403) << "nothing says where it is from";
  EXPECT_EQ(post({"Origin: https://portal.example"}, csrf).status, 403);
  EXPECT_EQ(post({"Origin: null"}, csrf).status, 403);
  EXPECT_EQ(post({"Sec-Fetch-Site: cross-site"}, csrf).status, 403);
  EXPECT_EQ(post({"Sec-Fetch-Site: same-site"}, csrf).status, 403);
  // A name of somebody else's that has come to mean this machine: its pages are of one origin with what they post to.
  const std::string rebound = "portal.example" + address_.substr(address_.rfind(':'));
  EXPECT_EQ(post({"Origin: http://" + rebound, "Host: " + rebound}, csrf).status, 403);
  EXPECT_EQ(post({own}, csrf + "x").status, 400);
  EXPECT_EQ(ask("GET " + place).status, 200) << "it is as open as before";
  const Answer back = post({own}, csrf);
  EXPECT_EQ(back.status, 303);
  EXPECT_TRUE(back.location().starts_with("https://id.example/back?state=s&error=")) << back.text;
  EXPECT_NE(post({own}, csrf).status, 303) << "the way back is there once";
}

TEST_F(AgentDoor, LeadsBackWhenTheTimeIsOver) {
  const std::string place = enter(request()).location();
  EXPECT_EQ(ask("GET " + place).status, 200);
  clock_.advance(std::chrono::seconds(301));
  EXPECT_EQ(ask("GET " + place).location(), "https://id.example/back?state=s&error=timed_out");
}

}  // namespace
}  // namespace karta::test
