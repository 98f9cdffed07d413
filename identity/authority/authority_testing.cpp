#include "identity/authority/authority_testing.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "crypto/x509/authority.h"
#include "service/loopback_guard.h"

namespace karta::identity {

using crypto::testing::must;

Result<TerminalCertificate> FakeTerminalPort::certify(const TerminalOrder& order) {
  if (!as_text(order.request).starts_with("cv:")) return fail(ErrorKind::malformed, "no request");
  for (const std::string& right : order.rights) {
    if (right != "read-dg4") return fail(ErrorKind::not_permitted, "the role has not the right \"" + right + "\"");
  }
  orders.push_back(order);
  TerminalCertificate out;
  out.holder = order.holder_line + std::to_string(10'000 + order.sequence);
  out.certificate = to_bytes(as_bytes("certificate of " + out.holder));
  out.above = {to_bytes(as_bytes("verifier"))};
  out.until = clock_->now() + order.validity;
  return out;
}

Result<Bytes> FakeTerminalPort::key_of(ByteView request) {
  if (!as_text(request).starts_with("cv:")) return fail(ErrorKind::malformed, "no request");
  return to_bytes(request.subspan(3));
}

void FakeDeskPort::open(const DeskCaller& caller, std::string_view request, DeskAnswer answer) {
  if (caller.role != "counter") {
    return answer(fail(ErrorKind::not_permitted, "the desk is for counters"));
  }
  if (request.find("\"deed\"") == std::string_view::npos) return answer(fail(ErrorKind::usage, "no deed"));
  const std::lock_guard lock(mutex_);
  const std::string session = "session-" + std::to_string(sessions_.size());
  sessions_.emplace(session, caller);
  answer(DeskStep{
      .session = session, .number = 1, .commands = {Bytes{0x00, 0xA4, 0x04, 0x00}}, .done = false, .result = {}});
}

void FakeDeskPort::next(const DeskCaller& caller, std::string_view session, DeskReplies replies, DeskAnswer answer) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(session);
  if (found == sessions_.end() || !(found->second == caller)) {
    return answer(fail(ErrorKind::not_found, "there is no such session"));
  }
  answer(DeskStep{.session = std::string(session),
                  .number = replies.step + 1,
                  .commands = {},
                  .done = true,
                  .result = nlohmann::json{{"card_said", to_hex(replies.replies.at(0))}}.dump()});
}

Result<std::string> FakeDeskPort::shown(const DeskCaller& caller, std::string_view session, std::string_view order) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(session);
  if (found == sessions_.end() || !(found->second == caller)) {
    return fail(ErrorKind::not_found, "no card was shown at this counter a moment ago");
  }
  if (card.empty()) return fail(ErrorKind::not_permitted, "no card has proved itself in this session");
  const auto bound = orders_.try_emplace(std::string(session), order).first;
  if (bound->second != order) return fail(ErrorKind::not_permitted, "the card was shown for something else");
  return card;
}

AuthorityFixture::AuthorityFixture(const Clock& given_clock)
    : ServicesFixture(given_clock), terminals(std::make_shared<FakeTerminalPort>(given_clock)) {
  SystemRandom random;
  const SecretBytes passphrase = SecretBytes::copy_of(std::string_view("a passphrase"));
  constexpr std::uint32_t kFewIterations = 1000;
  const auto write = [&](const std::string& name, std::string_view text) {
    must(write_new_file(folder / name, as_bytes(text), 0600));
  };
  const auto key = must(crypto::PrivateKey::from_der(ca_key.expose_secret()));
  write("ca.key", must(key.to_encrypted_pem(passphrase, kFewIterations)));
  const auto host = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
  write("host.key", must(host.to_encrypted_pem(passphrase, kFewIterations)));
  crypto::CertificateRequest request{must(crypto::name_from_text("CN=127.0.0.1,O=Test,C=XX")), host.public_key()};
  request.subject_alternative_names = {must(crypto::general_name_from_text("ip:127.0.0.1"))};
  for (const crypto::BuiltInProfile& one : crypto::built_in_profiles()) {
    if (one.name != "tls-server") continue;
    const auto profile = must(crypto::CertificateProfile::from_toml(one.text, "tls-server.toml"));
    write("host.pem", must(crypto::issue_certificate(profile, request, ca, ca_signer, clock, random)).to_pem());
  }
  std::filesystem::create_directory(folder / "stop-lists");
  write("rules.p7m", "the rules");
  write("login.secret", kLoginSecret);
  authority_config = must(parse_server_config(config_text(R"(
[tls]
key = "host.key"
certificate = "host.pem"
passphrase_file = "passphrase"
[authority]
centre = "."
passphrase_file = "passphrase"
desk = true
rules = "rules.p7m"
journal_octets = 131072
[authority.accounts]
secret_file = "login.secret"
issuer = "id.example"
[authority.tls]
key = "ca.key"
certificate = "ca.pem"
passphrase_file = "passphrase"
[authority.stop_list]
folder = "stop-lists"
key = "ca.key"
certificate = "ca.pem"
passphrase_file = "passphrase"
issuer = "Test"
after_change_seconds = 30
[[authority.operator]]
name = "registrar"
token_sha256 = ")" + service::token_hash(kOperatorToken) + R"("
scopes = ["card-life", "card-status"]
[[authority.operator]]
name = "looker"
token_sha256 = ")" + service::token_hash("looks only") + R"("
scopes = ["card-status"]
)"),
                                              folder / "identity.toml"));
  AuthorityPorts ports;
  ports.terminals = [this](const AuthorityConfig&) -> Result<std::shared_ptr<TerminalPort>> { return terminals; };
  ports.desk = [this](const AuthorityConfig&) -> Result<std::shared_ptr<DeskPort>> { return desk; };
  authority_keys = must(open_service_keys(authority_config, ports));
}

Invitation AuthorityFixture::invite(const std::string& name, const std::string& role) const {
  return must(ledger().invite(name, role, "XXCL", std::chrono::hours(24), {"test", "because"}));
}

TerminalLedger AuthorityFixture::ledger() const {
  static SystemRandom random;
  return TerminalLedger(must(Registry::open(database, clock, random)));
}

std::unique_ptr<service::HttpHandler> AuthorityFixture::authority_handler() {
  return must(make_service_handler(authority_config, *authority_keys, {clock, metrics, shelves}));
}

}  // namespace karta::identity
