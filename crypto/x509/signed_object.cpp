#include "crypto/x509/signed_object.h"

#include "crypto/algorithm_identifier.h"

namespace karta::crypto {

Result<SignedObject> read_signed_object(ByteView der, const SignedObjectNames& names) {
  std::string_view field = names.whole;
  const auto read = [&]() -> Result<SignedObject> {
    SignedObject out;
    der::Reader outer(der);
    der::Reader reader = TRY(outer.enter(der::kSequence));
    TRY(outer.finish());
    field = names.body;
    out.body = TRY(reader.expect(der::kSequence));
    field = "signatureAlgorithm";
    out.algorithm = TRY(reader.expect(der::kSequence)).whole;
    field = "signatureValue";
    out.signature = TRY(reader.bit_string());
    field = names.whole;
    TRY(reader.finish());
    field = "signatureAlgorithm";
    der::Reader algorithm(out.algorithm);
    const auto identifier = TRY(read_algorithm_identifier(algorithm));
    out.algorithm_oid = identifier.oid;
    const auto known = signature_algorithm_of(identifier.oid, identifier.parameters);
    if (known) {
      out.known = known->id;
      out.pss_salt_octets = known->pss_salt_octets;
    } else if (known.error().kind != ErrorKind::unsupported) {
      return fail(known.error());
    }
    return out;
  };
  auto out = read();
  if (out) return out;
  Error error = std::move(out.error());
  error.message = std::string(names.whole) + ": " + std::string(field) + ": " + error.message;
  return fail(std::move(error));
}

}  // namespace karta::crypto
