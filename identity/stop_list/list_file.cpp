#include "identity/stop_list/list_file.h"

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/digest.h"

namespace karta::identity::list_file {
namespace {

constexpr std::size_t kKeyIdOctets = 8;

}  // namespace

void put_number(Bytes& out, std::uint64_t value, unsigned octets) {
  for (unsigned i = 0; i < octets; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

Result<std::uint64_t> read_number(Cursor& in, unsigned octets) {
  const ByteView taken = TRY(in.take(octets));
  std::uint64_t value = 0;
  for (unsigned i = octets; i-- > 0;) value = value << 8 | taken[i];
  return value;
}

void put_time(Bytes& out, Time time) {
  put_number(out, static_cast<std::uint64_t>(time.time_since_epoch().count()), 8);
}

Result<Time> read_time(Cursor& in) {
  const std::uint64_t seconds = TRY(read_number(in, 8));
  if (seconds > static_cast<std::uint64_t>(kLastSecond))
    return fail(ErrorKind::malformed, "a time of the list lies beyond the year 9999");
  return Time(std::chrono::seconds(static_cast<std::int64_t>(seconds)));
}

void put_issuer(Bytes& out, std::string_view issuer) {
  put_number(out, issuer.size(), 2);
  append(out, as_bytes(issuer));
}

Result<std::string> read_issuer(Cursor& in) {
  const std::uint64_t octets = TRY(read_number(in, 2));
  if (octets == 0 || octets > kMostIssuer)
    return fail(ErrorKind::malformed, "the list's issuer is too long, or not named");
  const ByteView name = TRY(in.take(static_cast<std::size_t>(octets)));
  return std::string(as_text(name));
}

Status check_head(std::string_view what, std::string_view issuer, Time this_update, Time next_update) {
  if (issuer.empty() || issuer.size() > kMostIssuer) {
    return fail(ErrorKind::usage,
                std::string(what) + " names its issuer in 1 to " + std::to_string(kMostIssuer) + " octets");
  }
  if (next_update < this_update || this_update < Time{} || next_update.time_since_epoch().count() > kLastSecond) {
    return fail(ErrorKind::usage, std::string(what) + "'s next update lies behind this one");
  }
  return {};
}

Result<Bytes> seal(Bytes body, crypto::Signer& signer) {
  if (signer.certificate_chain().empty())
    return fail(ErrorKind::usage, "the key that signs the list has no certificate");
  const Bytes key_id = crypto::digest(crypto::Hash::sha256, signer.certificate_chain().front());
  const crypto::AlgorithmId algorithm = signer.algorithms().front();
  const Bytes signature = TRY(signer.sign_message(algorithm, body));
  append(body, ByteView(key_id).first(kKeyIdOctets));
  const Bytes identifier = crypto::encode_signature_algorithm(algorithm);
  put_number(body, identifier.size(), 2);
  append(body, identifier);
  put_number(body, signature.size(), 2);
  append(body, signature);
  return body;
}

Result<Seal> read_seal(Cursor& in) {
  Seal seal;
  seal.key_id = TRY(in.take(kKeyIdOctets));
  const std::uint64_t algorithm = TRY(read_number(in, 2));
  seal.algorithm = TRY(in.take(static_cast<std::size_t>(algorithm)));
  const std::uint64_t signature = TRY(read_number(in, 2));
  seal.signature = TRY(in.take(static_cast<std::size_t>(signature)));
  TRY(in.finish());
  return seal;
}

Result<const crypto::Certificate*> verify_seal(const Seal& seal, ByteView body,
                                               const std::vector<crypto::Certificate>& signers, Time at,
                                               std::string_view what) {
  for (const crypto::Certificate& signer : signers) {
    const Bytes fingerprint = crypto::digest(crypto::Hash::sha256, signer.der());
    if (!equal(ByteView(fingerprint).first(kKeyIdOctets), seal.key_id)) continue;
    if (at < signer.not_before() || at > signer.not_after()) {
      return fail(ErrorKind::untrusted, "the certificate that signed " + std::string(what) + " is not valid now");
    }
    if (!signer.is_ca() || !signer.allows(crypto::KeyUsage::crl_sign)) {
      return fail(ErrorKind::untrusted,
                  std::string(what) + " is signed by a certificate that is no authority's, or may not sign lists");
    }
    der::Reader reader(seal.algorithm);
    const crypto::AlgorithmIdentifier identifier = TRY(crypto::read_algorithm_identifier(reader));
    TRY(reader.finish());
    const crypto::SignatureAlgorithm algorithm =
        TRY(crypto::signature_algorithm_of(identifier.oid, identifier.parameters));
    const crypto::PublicKey key = TRY(signer.public_key());
    TRY(key.verify(algorithm.id, body, seal.signature, algorithm.pss_salt_octets));
    return &signer;
  }
  return fail(ErrorKind::untrusted, std::string(what) + " is signed by none of those trusted for it",
              "fetch the trust list, or name the signer's certificate");
}

}  // namespace karta::identity::list_file
