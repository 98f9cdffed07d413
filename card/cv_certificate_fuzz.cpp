// CV certificates and requests: whatever parses can be written again from its fields and is the same.
#include <cstdlib>

#include "card/cv_certificate.h"

using namespace karta;
using namespace karta::card;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  if (const auto certificate = CvCertificate::parse(input)) {
    const auto body = certificate->content().encode();
    // The writer uses each curve's own coding of its parameters; a certificate may have had others.
    if (!certificate->content().public_key.curve && (!body || !equal(*body, certificate->body()))) std::abort();
    if (certificate->chat().role == HolderRole::cvca) (void)CvTrust::of(*certificate);
    (void)verify_cv_chain({*certificate}, {*certificate}, certificate->content().effective);
  }
  (void)CvRequest::parse(input, crypto::KeyType::p256);
  (void)Chat::parse(input);
  return 0;
}
