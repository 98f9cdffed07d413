// HTTP requests to every route of karta-identity, the authority's included, in process: whatever comes, an answer goes
// out. A request with the field X-Terminal comes from a terminal that has enrolled.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "crypto/x509/csr.h"
#include "identity/authority/authority_testing.h"
#include "identity/authority/documents.h"
#include "service/log.h"

namespace {

using namespace karta;
using crypto::testing::must;
using identity::AuthorityFixture;

/// An authority with one terminal, a counter, whose certificate stands beside it.
struct World {
  FixedClock clock{*parse_time("2026-11-22T06:00:00Z")};
  AuthorityFixture fixture{clock};
  std::unique_ptr<service::HttpHandler> handler;
  Bytes terminal;

  World() {
    service::set_up_log({.level = service::LogLevel::error});
    fixture.register_serial(1);
    auto publisher = must(identity::Publisher::create(fixture.authority_config, clock, fixture.shelves));
    publisher.tick();
    handler = fixture.authority_handler();
    const identity::Invitation invitation = fixture.invite("counter-1", "counter");
    crypto::SoftwareSigner key(must(crypto::PrivateKey::generate(crypto::KeyType::p256)));
    const auto name = must(crypto::name_from_text("CN=terminal"));
    const identity::CertificateOrder order{to_bytes(as_bytes("cv:1")),
                                           must(crypto::sign_certification_request(name, {}, key))};
    const SecretBytes document = identity::enrolment_document(invitation.code, order);
    const auto enrolled = identity::response_to(
        *handler, identity::post("/v1/terminals/enrol", "application/json", document.expose_secret()));
    terminal = must(identity::read_certificates(must(identity::parse_document(as_text(enrolled.content())))))
                   .tls_certificates.front();
  }
};

World* world = nullptr;

}  // namespace

// Made before the first input: what making it runs through would count as that input's own, and seeds that take the
// same way as nothing new.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  world = new World;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto done = service::with_parsed_request({data, size}, [&](const service::HttpRequest& request) {
    service::HttpRequest asked = request;
    if (asked.count("X-Terminal") != 0) asked.client_certificate = world->terminal;
    const service::HttpResponse response = world->handler->handle(asked);
    if (service::reason_phrase(response.status).empty()) std::abort();
    // A field that a client's octets could end early would be two.
    std::string_view fields = response.fields;
    while (!fields.empty()) {
      const std::size_t end = fields.find("\r\n");
      if (end == std::string_view::npos || fields.substr(0, end).find(": ") == std::string_view::npos) std::abort();
      fields.remove_prefix(end + 2);
    }
  });
  (void)done;
  return 0;
}
