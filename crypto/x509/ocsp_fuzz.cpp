// Fuzz target: an OCSP request or answer. A request that parses is written back the same in meaning, and a responder
// answers whatever it is asked with something that parses.
#include "crypto/x509/ocsp.h"

#include "crypto/key.h"
#include "crypto/x509/issue.h"

using namespace karta;
using namespace karta::crypto;

namespace {

struct Responder {
  Responder() : key(*PrivateKey::generate(KeyType::ed25519)), clock(Time(std::chrono::seconds(1'700'000'000))) {
    SystemRandom random;
    const auto profile = CertificateProfile::from_toml(
        "schema = \"karta.certificate-profile/1\"\nname = \"x\"\nvalidity_days = 30\nkey_usage = [\"keyCertSign\"]\n"
        "[basic_constraints]\nca = true\n");
    const CertificateRequest request{.subject = *NameBuilder().add("CN", "CA").build(), .public_key = key.public_key()};
    const auto certificate = self_signed(*profile, request, key, clock, random);
    key.set_certificate_chain({certificate->der()});
    responder.emplace(*OcspResponder::create(
        *certificate, key, [](ByteView) -> Result<OcspState> { return OcspState{}; }, clock));
  }
  SoftwareSigner key;
  FixedClock clock;
  std::optional<OcspResponder> responder;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Responder responder;
  const ByteView input(data, size);
  if (const auto request = OcspRequest::from_der(input)) {
    const auto again = OcspRequest::from_der(request->to_der());
    KARTA_CHECK(again && again->certificates == request->certificates && again->nonce == request->nonce);
  }
  KARTA_CHECK(OcspResponse::from_der(responder.responder->answer(input)).has_value());
  if (const auto response = OcspResponse::from_der(input)) {
    KARTA_CHECK(equal(response->der(), input));
    (void)verify_ocsp_signature(*response, responder.key.public_key());
    for (const Certificate& one : response->certificates()) (void)response->responder_is(one);
  }
  return 0;
}
