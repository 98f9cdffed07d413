// OCSP answers and time-stamps: karta-identity over HTTP beside `openssl ocsp` as a server, and time-stamps in this
// process beside OpenSSL's TS functions, in one run.
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ts.h>
#include <openssl/x509.h>

#include <cstdio>
#include <cstdlib>

#include "base/file.h"
#include "crypto/cms/timestamp.h"
#include "identity/services/key.h"
#include "identity/services/services_testing.h"
#include "tests/bench/bench.h"
#include "tests/bench/server_process.h"

using namespace karta;
using namespace karta::identity;
using bench::demand;
using bench::free_port;
using bench::load;
using bench::Load;
using bench::Server;
using crypto::testing::must;

namespace {

void show(const std::string& name, double ours, const std::string& unit, const std::string& peer, double theirs) {
  std::printf("%-46s %10.1f %-6s %-30s %10.1f   %6.2f\n", name.c_str(), ours, unit.c_str(), peer.c_str(), theirs,
              ours / theirs);
  bench::record(name, ours, unit, peer, theirs);
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
