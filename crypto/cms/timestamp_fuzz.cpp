// Fuzz target: a time-stamp request, answer or token. A request that parses is written back the same in meaning.
#include "crypto/cms/timestamp.h"

using namespace karta;
using namespace karta::crypto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  if (const auto request = TimeStampRequest::from_der(input)) {
    const auto again = TimeStampRequest::from_der(request->to_der());
    KARTA_CHECK(again && again->imprint == request->imprint && again->nonce == request->nonce &&
                again->policy == request->policy && again->certificate_wanted == request->certificate_wanted);
  }
  if (const auto response = TimeStampResponse::from_der(input)) {
    KARTA_CHECK(response->token.has_value() == (response->status == TimeStampStatus::granted ||
                                                response->status == TimeStampStatus::granted_with_mods));
    if (response->token) (void)verify_token_signature(*response->token, {});
  }
  if (const auto token = TimeStampToken::from_der(input)) {
    KARTA_CHECK(equal(token->der(), input));
    (void)verify_token_signature(*token, {});
  }
  return 0;
}
