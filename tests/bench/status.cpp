// What terminals and portals ask the authority all day: the status of a card, the stop-list, OCSP. karta-identity over
// TLS with connections kept, as terminals keep them; beside it `openssl ocsp`, which has no TLS.
#include <openssl/ssl.h>

#include <atomic>
#include <map>
#include <thread>

#include "base/file.h"
#include "base/random.h"
#include "crypto/digest.h"
#include "crypto/testing.h"
#include "crypto/x509/authority.h"
#include "crypto/x509/issue.h"
#include "crypto/x509/ocsp.h"
#include "tests/bench/bench.h"
#include "tests/bench/server_process.h"
#include "tests/openid/soft_cards.h"

using namespace karta;
using bench::demand;
using bench::Load;
using bench::Server;
using bench::Stopwatch;
using crypto::testing::must;

namespace {

constexpr std::uint32_t kCards = 32;
constexpr std::uint32_t kFewIterations = 1000;
constexpr std::size_t kConnections = 16;
constexpr std::string_view kToken = "a token for this measurement only";

/// A TLS connection that is kept.
class TlsWire {
 public:
  TlsWire(SSL_CTX* context, int port) : socket_(bench::connect_to(port)), ssl_(SSL_new(context)) {
    demand(socket_ >= 0 && SSL_set_fd(ssl_, socket_) == 1 && SSL_connect(ssl_) == 1, "no TLS connection");
  }
  ~TlsWire() {
    SSL_free(ssl_);
    ::close(socket_);
  }
  TlsWire(const TlsWire&) = delete;
  TlsWire& operator=(const TlsWire&) = delete;

  /// The answer; it is to begin with `status`.
  std::string ask(const std::string& request, std::string_view status) {
    demand(SSL_write(ssl_, request.data(), static_cast<int>(request.size())) == static_cast<int>(request.size()),
           "the server takes no request");
    std::string text;
    std::size_t head = std::string::npos, size = 0;
    char buffer[16384];
    while (head == std::string::npos || text.size() < head + 4 + size) {
      const int count = SSL_read(ssl_, buffer, sizeof buffer);
      demand(count > 0, "the server ends a connection");
      text.append(buffer, static_cast<std::size_t>(count));
      if (head != std::string::npos) continue;
      head = text.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      const std::size_t field = text.find("Content-Length: ");
      size = field < head ? std::stoul(text.substr(field + 16)) : 0;
    }
    if (!text.starts_with(status)) {
      std::fprintf(stderr, "%s\n", text.substr(0, 600).c_str());
      demand(false, "another answer than expected");
    }
    return text;
  }

 private:
  int socket_;
  SSL* ssl_;
};

std::string get(const std::string& path, const std::string& fields = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
}
std::string post(const std::string& path, const std::string& type, ByteView body) {
  return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(as_text(body));
}

/// Asks `requests` in turn over all connections for kSeconds.
Load load(const Server& server, int port, const std::vector<std::string>& requests, std::string_view status) {
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());  // whose certificate it is is not measured
  std::atomic<std::uint64_t> answers{0};
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kConnections; ++i) {
    threads.emplace_back([&, i] {
      TlsWire wire(context, port);
      for (std::size_t n = i; !over; ++n) {
        wire.ask(requests[n % requests.size()], status);
        answers.fetch_add(1);
      }
    });
  }
  const auto seconds = [](double count) {
    return std::chrono::duration_cast<Stopwatch::duration>(std::chrono::duration<double>(count));
  };
  std::this_thread::sleep_for(seconds(0.5));  // handshakes are over, what is learnt once is learnt
  const auto begin = Stopwatch::now();
  const std::uint64_t before = answers;
  const double cpu = server.cpu();
  std::this_thread::sleep_for(seconds(bench::kSeconds));
  const double spent = std::chrono::duration<double>(Stopwatch::now() - begin).count();
  const auto count = static_cast<double>(answers - before);
  const double used = server.cpu() - cpu;
  over = true;
  for (std::thread& one : threads) one.join();
  SSL_CTX_free(context);
  return {count / spent, used * 1e6 / count};
}

void show(const std::string& name, const Load& ours, const Load& theirs) {
  std::printf("%-46s %10.0f /s  %8.1f us  %-24s %10.0f /s   %6.2f\n", name.c_str(), ours.rate, ours.microseconds,
              "openssl ocsp -multi 2", theirs.rate, ours.rate / theirs.rate);
  bench::record(name, ours.rate, "1/s", "openssl ocsp -multi 2", theirs.rate);
  bench::record(name + ": server CPU", ours.microseconds, "us", "openssl ocsp -multi 2", theirs.microseconds);
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

int main() {
  const char* const folder_of_programs = std::getenv("KARTA_BIN");
  demand(folder_of_programs != nullptr, "KARTA_BIN names the folder with karta-identity");
  const std::string bin = folder_of_programs;
  const SystemClock clock;
  SystemRandom random;
  const crypto::testing::TemporaryFolder folder;
  const auto path = [&](const char* name) { return (folder / name).string(); };
  const auto passphrase = SecretBytes::copy_of("only for this measurement");
  write_text(folder / "passphrase", "only for this measurement\n");
  issuing::CentreOptions options;
  options.country = "XX";
  options.key_file_iterations = kFewIterations;
  must(issuing::create_centre(folder / "centre", options, passphrase, clock, random));
  auto centre = must(issuing::Centre::open(folder / "centre", clock, random));
  const auto ca = must(centre.unlock_issuing_ca(passphrase));
  std::vector<tests::SoftCard> cards;
  for (std::uint32_t i = 0; i < kCards; ++i) {
    cards.push_back(must(tests::make_soft_card(centre, *ca, i + 1, clock, random)));
  }
  const auto certify = [&](const std::string& name, const std::string& profile, bool host) {
    const auto key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
    write_text(folder / (name + ".key"), must(key.to_encrypted_pem(passphrase, kFewIterations)));
    crypto::CertificateRequest request{
        must(crypto::NameBuilder().add("C", "XX").add("O", "Sample Issuing Centre").add("CN", name).build()),
        key.public_key()};
    if (host) request.subject_alternative_names = {crypto::GeneralName::dns("localhost")};
    const auto certificate =
        must(crypto::issue_certificate(built_in(profile), request, centre.issuing(), *ca, clock, random));
    write_text(folder / (name + ".pem"), certificate.to_pem() + centre.issuing().to_pem());
  };
  certify("host", "tls-server", true);
  certify("ocsp", "ocsp", false);
  const std::string build = bin + "/karta stop-list build --dir " + path("centre") + " --passphrase-fd 3 3<" +
                            path("passphrase") + " >/dev/null 2>&1";
  demand(std::system(build.c_str()) == 0, "karta stop-list build fails");

  const int port = bench::free_port(), theirs = bench::free_port();
  write_text(folder / "identity.toml", R"(schema = "karta.identity/1"
database = "centre/registry.sqlite"
[server]
listen = ["127.0.0.1:)" + std::to_string(port) +
                                           R"("]
workers = 2
[limits]
connections_per_address = 1000
[log]
level = "warning"
[tls]
key = "host.key"
certificate = "host.pem"
passphrase_file = "passphrase"
[[ca]]
name = "issuing"
certificate = "centre/ca/issuing.crt.pem"
[ca.ocsp]
key = "ocsp.key"
certificate = "ocsp.pem"
passphrase_file = "passphrase"
[authority]
centre = "centre"
passphrase_file = "passphrase"
[authority.tls]
key = "centre/keys/issuing.key.pem"
certificate = "centre/ca/issuing.crt.pem"
passphrase_file = "passphrase"
[authority.stop_list]
folder = "centre/stop-lists"
[[authority.operator]]
name = "gate"
token_sha256 = ")" + to_hex(crypto::digest(crypto::Hash::sha256, as_bytes(kToken))) +
                                           "\"\nscopes = [\"card-status\"]\n");
  write_text(folder / "index.txt", "V\t491231235959Z\t\t01\tunknown\t/CN=Test\n");
  write_text(folder / "index.txt.attr", "unique_subject = no\n");

  std::vector<std::string> states, with_nonce, without;
  for (const tests::SoftCard& card : cards) {
    states.push_back(get("/v1/cards/" + std::to_string(card.card.status_index) + "/status",
                         "Authorization: Bearer " + std::string(kToken) + "\r\n"));
    crypto::OcspRequest request;
    request.certificates.push_back(crypto::cert_id_of(card.certificate.serial(), centre.issuing()));
    without.push_back(post("/ocsp", "application/ocsp-request", request.to_der()));
    request.nonce = Bytes(16, 0x5A);
    with_nonce.push_back(post("/ocsp", "application/ocsp-request", request.to_der()));
  }
  Load state, list, unchanged, signed_on_the_spot, prepared, peer;
  {
    const Server server({bin + "/karta-identity", "serve", "--config", path("identity.toml")}, port, "");
    state = load(server, port, states, "HTTP/1.1 200");
    list = load(server, port, {get("/v1/stop-list/full")}, "HTTP/1.1 200");
    std::string etag;
    {
      SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
      const std::string answer = TlsWire(context, port).ask(get("/v1/stop-list/full"), "HTTP/1.1 200");
      SSL_CTX_free(context);
      const std::size_t at = answer.find("ETag: ");
      demand(at != std::string::npos, "the list has no ETag");
      etag = answer.substr(at + 6, answer.find("\r\n", at) - at - 6);
    }
    unchanged = load(server, port, {get("/v1/stop-list/full", "If-None-Match: " + etag + "\r\n")}, "HTTP/1.1 304");
    signed_on_the_spot = load(server, port, with_nonce, "HTTP/1.1 200");
    prepared = load(server, port, without, "HTTP/1.1 200");
  }
  {
    std::string request = with_nonce.front();
    request.insert(request.find("Host:"), "Connection: keep-alive\r\n");
    const Server server({"openssl", "ocsp", "-port", std::to_string(theirs), "-index", path("index.txt"), "-CA",
                         path("centre/ca/issuing.crt.pem"), "-rkey", path("ocsp.key"), "-rsigner", path("ocsp.pem"),
                         "-passin", "file:" + path("passphrase"), "-nmin", "60", "-ignore_err", "-multi", "2"},
                        theirs, request);
    peer = bench::load(server, theirs, request, 2);
  }
  std::printf("%-46s %13s  %11s  %-24s %13s   %6s\n", "", "karta", "server CPU", "peer", "", "ratio");
  show("status of a card, TLS", state, peer);
  show("stop-list, full, TLS", list, peer);
  show("stop-list, unchanged, TLS", unchanged, peer);
  show("OCSP, signed on the spot, TLS", signed_on_the_spot, peer);
  show("OCSP, made before, TLS", prepared, peer);
}
