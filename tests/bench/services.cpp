// OCSP answers and time-stamps: karta-identity over HTTP beside `openssl ocsp` as a server, and time-stamps in this
// process beside OpenSSL's TS functions, in one run.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ts.h>
#include <openssl/x509.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <vector>

#include "base/file.h"
#include "crypto/cms/timestamp.h"
#include "identity/services/key.h"
#include "identity/services/services_testing.h"
#include "tests/bench/bench.h"

using namespace karta;
using namespace karta::identity;
using bench::demand;
using crypto::testing::must;
using Stopwatch = std::chrono::steady_clock;

namespace {

constexpr double kSeconds = 3;  // of load, for each figure

void show(const std::string& name, double ours, const std::string& unit, const std::string& peer, double theirs) {
  std::printf("%-46s %10.1f %-6s %-30s %10.1f   %6.2f\n", name.c_str(), ours, unit.c_str(), peer.c_str(), theirs,
              ours / theirs);
  bench::record(name, ours, unit, peer, theirs);
}

sockaddr_in local(int port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(port));
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = local(0);
  socklen_t size = sizeof address;
  demand(::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
             ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0,
         "no free port");
  ::close(socket);
  return ntohs(address.sin_port);
}

int connect_to(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = local(port);
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(socket);
    return -1;
  }
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

/// A server as a process, with whatever it forks in a group of its own.
class Server {
 public:
  Server(std::vector<std::string> words, int port, const std::string& request) {
    std::fflush(stdout);
    group_ = ::fork();
    if (group_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // a benchmark that fails leaves nobody behind
      ::setpgid(0, 0);
      demand(std::freopen("/dev/null", "w", stdout) != nullptr && std::freopen("/dev/null", "w", stderr) != nullptr,
             "");
      std::vector<char*> pointers;
      for (std::string& one : words) pointers.push_back(one.data());
      pointers.push_back(nullptr);
      ::execvp(pointers[0], pointers.data());
      std::_Exit(127);
    }
    ::setpgid(group_, group_);
    const auto deadline = Stopwatch::now() + std::chrono::seconds(20);
    // A whole request, answered: openssl's responder never recovers from a connection that says nothing.
    for (bool answered = false; !answered;) {
      demand(Stopwatch::now() < deadline, "the server does not come up");
      const int probe = connect_to(port);
      if (probe < 0) {
        const timespec pause{0, 20'000'000};
        ::nanosleep(&pause, nullptr);
        continue;
      }
      const timeval patience{10, 0};
      ::setsockopt(probe, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      char octet = 0;
      answered = ::send(probe, request.data(), request.size(), MSG_NOSIGNAL) > 0 && ::recv(probe, &octet, 1, 0) == 1;
      ::close(probe);
    }
  }
  ~Server() {
    ::kill(-group_, SIGTERM);
    while (::waitpid(-group_, nullptr, 0) > 0) {
    }
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// CPU seconds of the whole group.
  double cpu() const {
    double ticks = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream in(entry.path() / "stat");
      std::string text;
      if (!std::getline(in, text)) continue;
      const std::size_t end = text.rfind(')');
      if (end == std::string::npos) continue;
      int parent = 0, group = 0;
      unsigned long user = 0, system = 0;
      if (std::sscanf(text.c_str() + end + 2, "%*c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &parent, &group,
                      &user, &system) == 4 &&
          group == group_) {
        ticks += static_cast<double>(user + system);
      }
    }
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }

 private:
  pid_t group_;
};

struct Load {
  double rate = 0;          ///< answers a second
  double microseconds = 0;  ///< of the server's CPU an answer
};

/// Asks `request` over `connections` kept open (opened again where the server closes), one request on each at a time.
Load load(const Server& server, int port, const std::string& request, int connections) {
  const int poll = ::epoll_create1(0);
  std::vector<std::string> partial(1024);
  const auto open = [&] {
    const int socket = connect_to(port);
    demand(socket >= 0 && socket < 1024, "no connection");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = socket;
    ::epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event);
    partial[static_cast<std::size_t>(socket)].clear();
    demand(::send(socket, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()),
           "send");
  };
  for (int i = 0; i < connections; ++i) open();
  std::uint64_t answers = 0;
  double cpu = server.cpu();
  auto begin = Stopwatch::now();
  bool warm = false;
  std::vector<char> buffer(65536);
  for (;;) {
    epoll_event events[64];
    const int ready = ::epoll_wait(poll, events, 64, 5000);
    demand(ready > 0, "the server does not answer");
    for (int i = 0; i < ready; ++i) {
      const int socket = events[i].data.fd;
      std::string& text = partial[static_cast<std::size_t>(socket)];
      const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), 0);
      const std::size_t head =
          count > 0 ? (text.append(buffer.data(), static_cast<std::size_t>(count)), text.find("\r\n\r\n"))
                    : text.find("\r\n\r\n");
      bool whole = false;
      if (head != std::string::npos) {
        std::size_t field = text.find("Content-Length: ");
        if (field == std::string::npos) field = text.find("Content-length: ");
        whole = field < head ? text.size() >= head + 4 + std::stoul(text.substr(field + 16)) : count <= 0;
      }
      if (whole) {
        demand(text.find(" 200 ") != std::string::npos, "an answer that is no 200");
        ++answers;
        text.clear();
      }
      if (count <= 0) {
        ::close(socket);
        open();
      } else if (whole && ::send(socket, request.data(), request.size(), MSG_NOSIGNAL) < 0) {
        ::close(socket);
        open();
      }
    }
    const double spent = std::chrono::duration<double>(Stopwatch::now() - begin).count();
    if (!warm && spent > 0.5) {  // what is learnt once is learnt
      warm = true;
      answers = 0;
      cpu = server.cpu();
      begin = Stopwatch::now();
    } else if (warm && spent > kSeconds) {
      const double used = server.cpu() - cpu;
      for (int socket = 3; socket < 1024; ++socket) {
        if (socket != poll && ::epoll_ctl(poll, EPOLL_CTL_DEL, socket, nullptr) == 0) ::close(socket);
      }
      ::close(poll);
      const auto count = static_cast<double>(answers);
      return {count / spent, used * 1e6 / count};
    }
  }
}

void bench_ocsp() {
  const SystemClock clock;
  ServicesFixture fixture(clock);
  fixture.register_serial(1);
  const int port = free_port();
  std::string text = fixture.config_text();
  const std::string listen = "listen = [\"127.0.0.1:0\"]";
  text.replace(text.find(listen), listen.size(), "listen = [\"127.0.0.1:" + std::to_string(port) + "\"]\nworkers = 2");
  must(write_new_file(fixture.folder / "identity.toml", as_bytes(text), 0600));

  // What openssl's responder reads: an index and keys in the clear.
  must(write_new_file(fixture.folder / "index.txt", as_bytes("V\t491231235959Z\t\t01\tunknown\t/CN=Test\n"), 0600));
  must(write_new_file(fixture.folder / "index.txt.attr", as_bytes("unique_subject = no\n"), 0600));
  const auto path = [&](const char* name) { return (fixture.folder / name).string(); };
  const int theirs = free_port();
  const auto openssl = [&](int processes) {
    std::vector<std::string> words = {"openssl",    "ocsp",
                                      "-port",      std::to_string(theirs),
                                      "-index",     path("index.txt"),
                                      "-CA",        path("ca.pem"),
                                      "-rkey",      path("ocsp.key"),
                                      "-rsigner",   path("ocsp.pem"),
                                      "-passin",    "file:" + path("passphrase"),
                                      "-nmin",      "60",
                                      "-ignore_err"};
    if (processes > 1) words.insert(words.end(), {"-multi", std::to_string(processes)});
    return words;
  };
  // HTTP/1.0 servers keep a connection if they are asked to.
  const auto kept = [](std::string wire) {
    const std::string host = "Host: x\r\n";
    return wire.replace(wire.find(host), host.size(), host + "Connection: keep-alive\r\n");
  };
  const std::string with_nonce =
      kept(post("/ocsp", "application/ocsp-request", fixture.ocsp_request(1, Bytes(16, 0x5A))));
  const std::string without = kept(post("/ocsp", "application/ocsp-request", fixture.ocsp_request(1)));
  const char* const folder = std::getenv("KARTA_BIN");
  demand(folder != nullptr, "KARTA_BIN names the folder with karta-identity");
  Load signed_on_the_spot, prepared, peer, peer_both;
  {
    const Server server({std::string(folder) + "/karta-identity", "serve", "--config", path("identity.toml")}, port,
                        without);
    signed_on_the_spot = load(server, port, with_nonce, 16);
    prepared = load(server, port, without, 16);
  }
  {
    const Server server(openssl(1), theirs, with_nonce);
    peer = load(server, theirs, with_nonce, 1);
  }
  {
    const Server server(openssl(2), theirs, with_nonce);
    peer_both = load(server, theirs, with_nonce, 2);
  }
  show("OCSP, signed on the spot: server CPU", signed_on_the_spot.microseconds, "us", "openssl ocsp",
       peer.microseconds);
  show("OCSP, made before: server CPU", prepared.microseconds, "us", "openssl ocsp", peer.microseconds);
  show("OCSP, signed on the spot: answers", signed_on_the_spot.rate, "1/s", "openssl ocsp -multi 2", peer_both.rate);
  show("OCSP, made before: answers", prepared.rate, "1/s", "openssl ocsp -multi 2", peer_both.rate);
}

ASN1_INTEGER* next_serial(TS_RESP_CTX*, void*) {
  static long number = 0;
  ASN1_INTEGER* const out = ASN1_INTEGER_new();
  ASN1_INTEGER_set(out, ++number);
  return out;
}

void bench_time_stamps() {
  const SystemClock clock;
  ServicesFixture fixture(clock);
  SystemRandom random;
  const ServiceKey key = must(ServiceKey::open(fixture.config.time_stamp->key));
  const auto signer = must(key.signer());
  auto authority = must(crypto::TimeStampAuthority::create(*signer, {.policy = "1.2.3.4"}, clock, random));
  const crypto::TimeStampRequest asked{.imprint = crypto::imprint_of(crypto::Hash::sha256, as_bytes("content")),
                                       .nonce = Bytes(8, 0x41)};
  const Bytes request = asked.to_der();
  const double ours = bench::rate([&] {
    const Bytes answer = authority.answer(request);
    demand(answer.size() > 500, "no token");
  });

  // OpenSSL's own: everything that can be made once is.
  const SecretBytes der = key.expose_secret_der();
  const unsigned char* at = der.expose_secret().data();
  EVP_PKEY* const openssl_key = d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size()));
  const Bytes& certificate_der = key.certificates().front().der();
  at = certificate_der.data();
  X509* const certificate = d2i_X509(nullptr, &at, static_cast<long>(certificate_der.size()));
  TS_RESP_CTX* const context = TS_RESP_CTX_new();
  ASN1_OBJECT* const policy = OBJ_txt2obj("1.2.3.4", 1);
  demand(TS_RESP_CTX_set_signer_cert(context, certificate) == 1 &&
             TS_RESP_CTX_set_signer_key(context, openssl_key) == 1 &&
             TS_RESP_CTX_set_signer_digest(context, EVP_sha256()) == 1 &&
             TS_RESP_CTX_set_ess_cert_id_digest(context, EVP_sha256()) == 1 &&
             TS_RESP_CTX_set_def_policy(context, policy) == 1 && TS_RESP_CTX_add_md(context, EVP_sha256()) == 1 &&
             TS_RESP_CTX_set_accuracy(context, 1, 0, 0) == 1,
         "OpenSSL's time-stamp context");
  TS_RESP_CTX_set_serial_cb(context, next_serial, nullptr);
  const double theirs = bench::rate([&] {
    BIO* const in = BIO_new_mem_buf(request.data(), static_cast<int>(request.size()));
    TS_RESP* const response = TS_RESP_create_response(context, in);
    unsigned char* out = nullptr;
    const int size = i2d_TS_RESP(response, &out);
    demand(size > 500, "OpenSSL makes no token");
    OPENSSL_free(out);
    TS_RESP_free(response);
    BIO_free(in);
  });
  TS_RESP_CTX_free(context);
  ASN1_OBJECT_free(policy);
  X509_free(certificate);
  EVP_PKEY_free(openssl_key);
  show("time-stamps, P-256, in process", ours, "1/cpu s", "OpenSSL TS_RESP_create_response", theirs);
}

}  // namespace

int main() {
  std::printf("%-46s %17s %-30s %10s   %6s\n", "", "karta", "peer", "", "ratio");
  bench_time_stamps();
  bench_ocsp();
}
