// Log-ins with the card, complete ones: pushed request, authorization, the card's answer, tokens, claims.
// karta-identity as a program with its database, the load from this process on the same machine: what the portal signs
// and what the card signs is part of the load.
//
//   login_bench [--database URL] [--seconds S] [--visitors N] [--workers N] [--cards N] [--total N]
//
// --database: a PostgreSQL database that is empty; else SQLite in a temporary folder. --total: so many log-ins instead
// of S seconds, and the server's memory is watched meanwhile.
#include <atomic>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/base64url.h"
#include "base/file.h"
#include "base/random.h"
#include "crypto/digest.h"
#include "crypto/jose/jwk.h"
#include "crypto/signer.h"
#include "crypto/testing.h"
#include "crypto/web_eid.h"
#include "crypto/x509/authority.h"
#include "crypto/x509/issue.h"
#include "service/http_message.h"
#include "tests/bench/bench.h"
#include "tests/bench/server_process.h"
#include "tests/openid/soft_cards.h"

using namespace karta;
using bench::demand;
using bench::Stopwatch;
using crypto::testing::must;

namespace {

constexpr std::string_view kIssuer = "https://id.example";
constexpr std::string_view kRedirect = "https://portal.example/callback";
constexpr std::string_view kAgent = "http://127.0.0.1:8471/agent/login";
constexpr std::string_view kClient = "portal";
constexpr std::uint32_t kFewIterations = 1000;  // of PBKDF2: what opens keys is not measured

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "error: %s\n", what.c_str());
  std::exit(70);
}

std::string random_text() {
  thread_local SystemRandom random;
  Bytes octets(32);
  random.fill(octets);
  return to_base64url(octets);
}

std::string sha256_url(std::string_view text) {
  return to_base64url(crypto::digest(crypto::Hash::sha256, as_bytes(text)));
}

std::string jws_header(const nlohmann::json& header) { return to_base64url(as_bytes(header.dump())); }
/// A JWS by a P-256 key; `header` from jws_header().
std::string signed_jwt(std::string_view header, std::string_view claims, const crypto::PrivateKey& key) {
  std::string text(header);
  text.append(".").append(to_base64url(as_bytes(claims)));
  const Bytes der = must(key.sign(crypto::AlgorithmId::ecdsa_sha256, as_bytes(text)));
  return text + "." + to_base64url(must(crypto::decode_ecdsa_signature(der, 32)));
}
/// A member of a JSON object, of a text that needs no escapes.
std::string member(std::string_view name, std::string_view text) {
  std::string out = ",\"";
  return out.append(name).append("\":\"").append(text).append("\"");
}

std::string form_value(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) || std::strchr("-._~", c) != nullptr) {
      out += c;
    } else {
      out += '%';
      out += kDigits[static_cast<unsigned char>(c) >> 4];
      out += kDigits[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}
std::string form(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    if (!out.empty()) out += '&';
    out += std::string(name) + "=" + form_value(value);
  }
  return out;
}
/// The value of a field of an address's query, decoded; empty: there is none.
std::string query_value(std::string_view url, std::string_view name) {
  for (std::size_t at = url.find('?'); at != std::string_view::npos; at = url.find('&', at + 1)) {
    const std::string_view rest = url.substr(at + 1);
    if (!rest.starts_with(name) || rest.substr(name.size(), 1) != "=") continue;
    const std::string_view value = rest.substr(name.size() + 1, rest.find('&') - name.size() - 1);
    return must(service::decode_percent(value));
  }
  return {};
}
std::string html_text(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    static constexpr std::pair<std::string_view, char> kEntities[] = {
        {"&amp;", '&'}, {"&quot;", '"'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&#39;", '\''}};
    bool found = false;
    if (text[i] != '&') {
      out += text[i];
      continue;
    }
    for (const auto& [entity, c] : kEntities) {
      if (!text.substr(i).starts_with(entity)) continue;
      out += c;
      i += entity.size() - 1;
      found = true;
      break;
    }
    if (!found) out += text[i];
  }
  return out;
}

struct Answer {
  int status = 0;
  std::string head;
  std::string body;

  /// The values of every field of this name.
  std::vector<std::string> fields(std::string_view name) const {
    std::vector<std::string> out;
    for (std::size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at + 2)) {
      const std::string_view line = std::string_view(head).substr(at + 2, head.find("\r\n", at + 2) - at - 2);
      if (line.size() <= name.size() || line[name.size()] != ':' ||
          ::strncasecmp(line.data(), name.data(), name.size()) != 0) {
        continue;
      }
      std::string_view value = line.substr(name.size() + 1);
      while (value.starts_with(' ')) value.remove_prefix(1);
      out.emplace_back(value);
    }
    return out;
  }
  std::string field(std::string_view name) const {
    const auto all = fields(name);
    return all.empty() ? std::string() : all.front();
  }
  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
};

/// A connection that is kept.
class Wire {
 public:
  explicit Wire(int port) : port_(port) {}
  ~Wire() {
    if (socket_ >= 0) ::close(socket_);
  }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  Answer ask(std::string_view method, std::string_view target, const std::string& fields, std::string_view body = {}) {
    std::string text;
    text.reserve(512 + target.size() + fields.size() + body.size());
    text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: id.example\r\n").append(fields);
    if (method == "POST") {
      text +=
          "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    }
    text.append("\r\n").append(body);
    for (int attempt = 0;; ++attempt) {
      if (socket_ < 0) socket_ = bench::connect_to(port_);
      if (socket_ < 0) give_up("the server takes no connection");
      Answer out;
      if (::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()) && read(out)) {
        return out;
      }
      ::close(socket_);
      socket_ = -1;
      if (attempt == 1) give_up("the server ends connections without an answer");
    }
  }

 private:
  bool read(Answer& out) {
    std::string text;
    std::size_t head = std::string::npos, size = 0;
    char buffer[16384];
    while (head == std::string::npos || text.size() < head + 4 + size) {
      const ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
      if (count <= 0) return false;
      text.append(buffer, static_cast<std::size_t>(count));
      if (head != std::string::npos) continue;
      head = text.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      out.head = text.substr(0, head + 2);
      const std::string length = out.field("Content-Length");
      size = length.empty() ? 0 : std::stoul(length);
    }
    out.status = std::stoi(out.head.substr(9, 3));
    out.body = text.substr(head + 4, size);
    return true;
  }

  int port_;
  int socket_ = -1;
};

/// What everybody shares.
struct World {
  int port = 0;
  std::string client_kid;
  std::string assertion_header;
  std::vector<tests::SoftCard> cards;
};

/// One portal and the browsers that come to it, one after the other.
class Visitor {
 public:
  Visitor(const World& world, const crypto::PrivateKey& client_key, std::size_t number)
      : world_(world),
        client_key_(client_key),
        proof_key_(must(crypto::PrivateKey::generate(crypto::KeyType::p256))),
        proof_header_(jws_header({{"typ", "dpop+jwt"},
                                  {"alg", "ES256"},
                                  {"jwk", nlohmann::json::parse(must(crypto::write_jwk(proof_key_.public_key())))}})),
        proof_thumbprint_(must(crypto::jwk_thumbprint(proof_key_.public_key()))),
        portal_(world.port),
        browser_(world.port),
        next_card_(number) {}

  /// A whole log-in of the next card's holder in a fresh browser.
  void log_in() {
    jar_.clear();
    const tests::SoftCard& card = world_.cards[next_card_++ % world_.cards.size()];
    const std::string verifier = random_text(), state = random_text(), nonce = random_text();
    const Answer pushed =
        portal_.ask("POST", "/openid/par", {},
                    form({{"client_id", kClient},
                          {"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
                          {"client_assertion", assertion()},
                          {"response_type", "code"},
                          {"redirect_uri", kRedirect},
                          {"scope", "openid profile"},
                          {"state", state},
                          {"nonce", nonce},
                          {"code_challenge", sha256_url(verifier)},
                          {"code_challenge_method", "S256"},
                          {"dpop_jkt", proof_thumbprint_}}));
    if (pushed.status != 201) give_up("PAR: " + pushed.head + pushed.body);
    const std::string uri = pushed.json().at("request_uri");
    const std::string back = walk("/openid/authorize?" + form({{"client_id", kClient}, {"request_uri", uri}}), card);
    if (query_value(back, "state") != state) give_up("another state: " + back);
    const std::string code = query_value(back, "code");
    if (code.empty()) give_up("no code: " + back);

    Answer tokens;
    for (int attempt = 0; attempt < 2; ++attempt) {
      tokens =
          portal_.ask("POST", "/openid/token", "DPoP: " + proof("POST", "https://id.example/openid/token", {}) + "\r\n",
                      form({{"grant_type", "authorization_code"},
                            {"code", code},
                            {"redirect_uri", kRedirect},
                            {"code_verifier", verifier},
                            {"client_id", kClient},
                            {"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
                            {"client_assertion", assertion()}}));
      keep_nonce(tokens);
      if (tokens.status == 200) break;
    }
    if (tokens.status != 200) give_up("token: " + tokens.head + tokens.body);
    const std::string token = tokens.json().at("access_token");
    const Answer who = portal_.ask("GET", "/openid/userinfo",
                                   "Authorization: DPoP " + token + "\r\nDPoP: " +
                                       proof("GET", "https://id.example/openid/userinfo", token) + "\r\n");
    keep_nonce(who);
    if (who.status != 200 || who.body.empty()) give_up("userinfo: " + who.head + who.body);
  }

 private:
  static std::int64_t now() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  std::string assertion() {
    const std::int64_t time = now();
    return signed_jwt(world_.assertion_header,
                      "{\"iat\":" + std::to_string(time) + ",\"exp\":" + std::to_string(time + 60) +
                          member("iss", kClient) + member("sub", kClient) + member("aud", kIssuer) +
                          member("jti", random_text()) + "}",
                      client_key_);
  }
  std::string proof(std::string_view method, std::string_view url, std::string_view token) {
    std::string claims =
        "{\"iat\":" + std::to_string(now()) + member("htm", method) + member("htu", url) + member("jti", random_text());
    if (!token.empty()) claims += member("ath", sha256_url(token));
    if (!nonce_.empty()) claims += member("nonce", nonce_);
    return signed_jwt(proof_header_, claims + "}", proof_key_);
  }
  void keep_nonce(const Answer& answer) {
    const std::string fresh = answer.field("DPoP-Nonce");
    if (!fresh.empty()) nonce_ = fresh;
  }

  Answer browse(std::string_view method, const std::string& target, std::string_view body = {}) {
    std::string fields = "User-Agent: load\r\nAccept-Language: en\r\n";
    if (method == "POST") fields += "Origin: https://id.example\r\nSec-Fetch-Site: same-origin\r\n";
    if (!jar_.empty()) {
      fields += "Cookie: ";
      bool first = true;
      for (const auto& [name, value] : jar_) {
        if (!first) fields += "; ";
        fields += name + "=" + value;
        first = false;
      }
      fields += "\r\n";
    }
    Answer out = browser_.ask(method, target, fields, body);
    for (const std::string& cookie : out.fields("Set-Cookie")) {
      const std::size_t is = cookie.find('='), end = cookie.find(';');
      const std::string name = cookie.substr(0, is), value = cookie.substr(is + 1, end - is - 1);
      if (cookie.find("Max-Age=0") != std::string::npos)
        jar_.erase(name);
      else
        jar_[name] = value;
    }
    return out;
  }

  /// Follows the pages to the address the browser leaves the provider for.
  std::string walk(std::string target, const tests::SoftCard& card) {
    Answer page = browse("GET", target);
    for (int step = 0; step < 10; ++step) {
      std::string to = page.field("Location");
      if (page.status == 200) {
        // A page: the way to the card, or the question for consent.
        const std::size_t at = page.body.find("href=\"/login/card?");
        if (at == std::string::npos) {
          page = submit(page.body);
          continue;
        }
        to = html_text(page.body.substr(at + 6, page.body.find('"', at + 6) - at - 6));
      }
      if (to.starts_with(kRedirect)) return to;
      if (to.starts_with(kIssuer)) to.erase(0, kIssuer.size());
      if (to.starts_with(kAgent)) {
        page = browse("GET", ask_card(to, card));
      } else if (to.starts_with('/')) {
        page = browse("GET", to);
      } else {
        give_up("the way ends: " + page.head + page.body);
      }
    }
    give_up("the way has no end");
  }

  /// Consents.
  Answer submit(const std::string& page) {
    for (std::size_t at = page.find("<form"); at != std::string::npos; at = page.find("<form", at + 5)) {
      const std::string text = page.substr(at, page.find("</form>", at) - at);
      const std::string action = attribute(text.substr(0, text.find('>')), "action");
      if (action != "/consent") continue;
      std::string body;
      for (std::size_t in = text.find("<input"); in != std::string::npos; in = text.find("<input", in + 6)) {
        const std::string input = text.substr(in, text.find('>', in) - in);
        if (attribute(input, "type") == "radio" && input.find(" checked") == std::string::npos) continue;
        const std::string name = attribute(input, "name");
        if (name.empty()) continue;
        body += (body.empty() ? "" : "&") + name + "=" + form_value(attribute(input, "value"));
      }
      const std::size_t pressed = text.find("<button");
      const std::string button = text.substr(pressed, text.find('>', pressed) - pressed);
      const std::string name = attribute(button, "name");
      if (!name.empty()) body += "&" + name + "=" + form_value(attribute(button, "value"));
      return browse("POST", action, body);
    }
    give_up("no form leads on: " + page);
  }
  static std::string attribute(const std::string& element, std::string_view name) {
    const std::string start = " " + std::string(name) + "=\"";
    const std::size_t at = element.find(start);
    if (at == std::string::npos) return {};
    return html_text(element.substr(at + start.size(), element.find('"', at + start.size()) - at - start.size()));
  }

  /// What the agent does, with the card's key here: the address it sends the browser back to.
  std::string ask_card(const std::string& url, const tests::SoftCard& card) {
    const std::string request = query_value(url, "request");
    const std::size_t dot = request.find('.');
    const Bytes claims = must(from_base64url(request.substr(dot + 1, request.rfind('.') - dot - 1)));
    const auto json = nlohmann::json::parse(claims);
    const Bytes hash = crypto::web_eid_hash(crypto::AlgorithmId::ecdsa_sha256, json.at("origin").get<std::string>(),
                                            json.at("nonce").get<std::string>());
    const Bytes signature = must(card.key.sign_digest(crypto::AlgorithmId::ecdsa_sha256, hash));
    const std::string token = must(crypto::write_web_eid_token(card.certificate.der(), card.key.public_key(),
                                                               crypto::AlgorithmId::ecdsa_sha256, signature));
    std::string back = json.at("return_uri");
    back.erase(0, kIssuer.size());
    return back + "?state=" + form_value(json.at("state").get<std::string>()) +
           "&token=" + to_base64url(as_bytes(token));
  }

  const World& world_;
  const crypto::PrivateKey& client_key_;
  crypto::PrivateKey proof_key_;
  std::string proof_header_;
  std::string proof_thumbprint_;
  std::string nonce_;
  Wire portal_, browser_;
  std::map<std::string, std::string> jar_;
  std::size_t next_card_;
};

struct Measured {
  double rate = 0;             ///< log-ins a second
  std::vector<double> millis;  ///< each log-in's, from when it was to begin; sorted
  double at(double part) const {
    return millis.empty() ? 0 : millis[static_cast<std::size_t>(part * static_cast<double>(millis.size() - 1))];
  }
};

/// `rate` log-ins a second are to begin, spread over all visitors; 0: each begins the next as soon as one has ended.
Measured measure(std::vector<std::unique_ptr<Visitor>>& visitors, double seconds, double rate,
                 std::uint64_t total = 0) {
  std::vector<std::vector<double>> all(visitors.size());
  std::atomic<std::uint64_t> begun{0};
  const auto start = Stopwatch::now();
  const auto end = start + std::chrono::duration_cast<Stopwatch::duration>(std::chrono::duration<double>(seconds));
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < visitors.size(); ++i) {
    threads.emplace_back([&, i] {
      for (;;) {
        auto due = Stopwatch::now();
        const std::uint64_t number = begun.fetch_add(1);
        if (rate > 0) {
          due = start + std::chrono::duration_cast<Stopwatch::duration>(
                            std::chrono::duration<double>(static_cast<double>(number) / rate));
          std::this_thread::sleep_until(due);
        }
        if (total > 0 ? number >= total : due >= end) return;
        visitors[i]->log_in();
        all[i].push_back(std::chrono::duration<double, std::milli>(Stopwatch::now() - due).count());
      }
    });
  }
  for (std::thread& one : threads) one.join();
  const double spent = std::chrono::duration<double>(Stopwatch::now() - start).count();
  Measured out;
  for (const auto& one : all) out.millis.insert(out.millis.end(), one.begin(), one.end());
  std::sort(out.millis.begin(), out.millis.end());
  out.rate = static_cast<double>(out.millis.size()) / spent;
  return out;
}

void run(const std::string& command) {
  if (std::system(command.c_str()) != 0) give_up("this failed: " + command);
}

void write_text(const std::filesystem::path& file, const std::string& text) {
  must(write_new_file(file, as_bytes(text), 0600));
}

/// The certificate profile of this name that karta brings along.
crypto::CertificateProfile built_in(std::string_view name) {
  for (const crypto::BuiltInProfile& one : crypto::built_in_profiles()) {
    if (one.name == name) return must(crypto::CertificateProfile::from_toml(one.text));
  }
  demand(false, "no such profile");
  std::abort();
}

}  // namespace

int main(int count, char** words) {
  std::string database;
  double seconds = 8;
  std::size_t visitors = 24, workers = 16, cards = 512;
  std::uint64_t total = 0;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view word = words[i];
    if (word == "--database")
      database = words[i + 1];
    else if (word == "--seconds")
      seconds = std::stod(words[i + 1]);
    else if (word == "--visitors")
      visitors = std::stoul(words[i + 1]);
    else if (word == "--workers")
      workers = std::stoul(words[i + 1]);
    else if (word == "--cards")
      cards = std::stoul(words[i + 1]);
    else if (word == "--total")
      total = std::stoull(words[i + 1]);
    else
      give_up("unknown option " + std::string(word));
  }
  const char* const folder_of_programs = std::getenv("KARTA_BIN");
  demand(folder_of_programs != nullptr, "KARTA_BIN names the folder with karta-identity");
  const std::string bin = folder_of_programs;
  const bool postgres = !database.empty();
  const std::string store = postgres ? "PostgreSQL" : "SQLite";

  const SystemClock clock;
  SystemRandom random;
  const crypto::testing::TemporaryFolder folder;
  const auto passphrase = SecretBytes::copy_of("only for this measurement");
  issuing::CentreOptions options;
  options.country = "XX";
  options.key_file_iterations = kFewIterations;
  options.database = database;
  must(issuing::create_centre(folder / "centre", options, passphrase, clock, random));
  auto centre = must(issuing::Centre::open(folder / "centre", clock, random));
  const auto ca = must(centre.unlock_issuing_ca(passphrase));

  World world;
  world.port = bench::free_port();
  for (std::uint32_t i = 0; i < cards; ++i) {
    world.cards.push_back(must(tests::make_soft_card(centre, *ca, i + 1, clock, random)));
  }
  const auto key_file = [&](const std::string& name) {
    auto key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
    write_text(folder / name, must(key.to_encrypted_pem(passphrase, kFewIterations)));
    return key;
  };
  const auto agent_key = key_file("agent.key");
  key_file("id-token.key");
  crypto::CertificateRequest request{must(crypto::NameBuilder().add("CN", "id.example").build()),
                                     agent_key.public_key()};
  request.subject_alternative_names = {crypto::GeneralName::dns("id.example")};
  const auto agent_certificate =
      must(crypto::issue_certificate(built_in("tls-server"), request, centre.issuing(), *ca, clock, random));
  write_text(folder / "agent.pem", agent_certificate.to_pem() + centre.issuing().to_pem());
  write_text(folder / "passphrase", "only for this measurement\n");
  for (const char* const name : {"openid.secret", "login.secret"}) write_text(folder / name, random_text() + "\n");
  const auto client_key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
  world.client_kid = must(crypto::jwk_thumbprint(client_key.public_key()));
  world.assertion_header = jws_header({{"alg", "ES256"}, {"kid", world.client_kid}});
  nlohmann::json document = {{"client_id", kClient},
                             {"client_name", "Sample Portal"},
                             {"client_uri", "https://portal.example"},
                             {"purpose", "show your account"},
                             {"redirect_uris", nlohmann::json::array({kRedirect})},
                             {"scope", "openid profile"}};
  document["jwks"] =
      nlohmann::json::parse(must(crypto::write_jwk_set({{client_key.public_key(), world.client_kid, "ES256", "sig"}})));
  write_text(folder / "client.json", document.dump());
  const std::string registry_url = postgres ? database : (folder / "centre/registry.sqlite").string();
  run(bin + "/karta client add " + (folder / "client.json").string() + " --dir " + (folder / "centre").string() +
      " >/dev/null");
  std::string text = R"(schema = "karta.identity/1"
database = "DATABASE"
[server]
listen = ["127.0.0.1:PORT"]
workers = WORKERS
[limits]
connections_per_address = 1000
[log]
level = "warning"
[[ca]]
name = "issuing"
certificate = "centre/ca/issuing.crt.pem"
[openid]
issuer = "https://id.example"
secret_file = "openid.secret"
[[openid.key]]
key = "id-token.key"
algorithm = "ES256"
passphrase_file = "passphrase"
[login]
address = "https://id.example"
secret_file = "login.secret"
card_roots = ["centre/ca/root.crt.pem"]
card_authorities = ["centre/ca/issuing.crt.pem"]
[login.agent]
key = "agent.key"
certificate = "agent.pem"
passphrase_file = "passphrase"
)";
  const auto put = [&](const std::string& word, const std::string& value) {
    text.replace(text.find(word), word.size(), value);
  };
  put("DATABASE", registry_url);
  put("PORT", std::to_string(world.port));
  put("WORKERS", std::to_string(workers));
  write_text(folder / "identity.toml", text);
  const bench::Server server({bin + "/karta-identity", "serve", "--config", (folder / "identity.toml").string()},
                             world.port, "GET /.well-known/openid-configuration HTTP/1.1\r\nHost: id.example\r\n\r\n");
  std::vector<std::unique_ptr<Visitor>> all;
  for (std::size_t i = 0; i < visitors; ++i) all.push_back(std::make_unique<Visitor>(world, client_key, i * 7));
  measure(all, 0, 0, 2 * cards);  // consents are given, what is learnt once is learnt

  if (total > 0) {
    // In the first tenth caches fill (the writer's pages alone take 32 MiB); after that nothing may grow with the
    // log-ins.
    constexpr std::uint64_t kCachesFilled = 50'000;
    double first = 0, now = 0;
    for (int part = 1; part <= 10; ++part) {
      const Measured some = measure(all, 0, 0, total / 10);
      now = server.resident_mib();
      if (part == 1) first = now;
      std::printf("%3d%%  %8.0f log-ins/s  the server holds %.1f MiB\n", part * 10, some.rate, now);
      std::fflush(stdout);
    }
    bench::record("log-ins: memory at the end (" + store + ")", now, "MiB", "after a tenth of them", first);
    demand(total / 10 < kCachesFilled || now < 1.2 * first + 8, "the server's memory grows with the log-ins");
    return 0;
  }
  const double cpu = server.cpu();
  const Measured full = measure(all, seconds, 0);
  const double used = (server.cpu() - cpu) * 1e3 / static_cast<double>(full.millis.size());
  const Measured half = measure(all, seconds, full.rate / 2);
  std::printf("log-ins with the card, %s, load generator included: %8.0f /s   server CPU %.2f ms each\n", store.c_str(),
              full.rate, used);
  std::printf("  at full load: median %.1f ms, 99%% within %.1f ms\n", full.at(0.5), full.at(0.99));
  std::printf("  at half load: median %.1f ms, 99%% within %.1f ms\n", half.at(0.5), half.at(0.99));
  constexpr double kKeycloakTwoCores = 30;  // published: 15 a second and vCPU
  bench::record("log-ins with the card (" + store + ")", full.rate, "1/s", "Keycloak, published, 2 vCPU",
                kKeycloakTwoCores);
  bench::record("log-ins: 99% within, at half load (" + store + ")", half.at(0.99), "ms", "target", 20);
  bench::record("log-ins: server CPU (" + store + ")", used, "ms", "", 0);
  return 0;
}
