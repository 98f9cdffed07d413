#include "crypto/ades/cades.h"

#include <algorithm>

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/cms/attributes.h"
#include "crypto/cms/ber.h"
#include "crypto/cms/sign.h"
#include "crypto/cms/signed_data.h"
#include "crypto/digest.h"

namespace karta::crypto {
namespace {

Bytes attribute(std::string_view oid, ByteView value) {
  return der::sequence({der::oid(oid), make_tlv(der::kSet, value)});
}

/// A SignedData taken apart into pieces as they stand, to be put together again with more.
struct Pieces {
  Bytes version, digest_algorithms, content_info;
  std::vector<Bytes> certificates, revocation;
  struct SignerPieces {
    Bytes fields;                   // version to signature
    std::vector<Bytes> attributes;  // unsigned ones
  };
  std::vector<SignerPieces> signers;

  static Result<Pieces> take(ByteView signature) {
    constexpr std::size_t kDepth = CmsLimits{}.depth;
    // The strict reader first: what it refuses is not worked on.
    const SignedData parsed = TRY(SignedData::parse(signature));
    Pieces out;
    BerReader outer(signature, 0, kDepth);
    BerReader info = TRY(outer.enter(der::kSequence));
    (void)TRY(info.next());
    BerReader wrapped = TRY(info.enter(der::context(0)));
    BerReader body = TRY(wrapped.enter(der::kSequence));
    const auto copy = [](const BerValue& value) { return to_bytes(value.whole); };
    const BerValue version = TRY(body.next());
    out.version = copy(version);
    const BerValue digests = TRY(body.next());
    out.digest_algorithms = copy(digests);
    const BerValue content = TRY(body.next());
    out.content_info = copy(content);
    for (const CmsCertificate& one : parsed.certificates) out.certificates.push_back(to_bytes(one.whole));
    for (const CmsRevocation& one : parsed.revocation) out.revocation.push_back(to_bytes(one.whole));
    for (const CmsSigner& one : parsed.signers) {
      SignerPieces signer{.fields = to_bytes(one.fields), .attributes = {}};
      if (one.unsigned_attributes) {
        BerReader set(one.unsigned_attributes->original, 0, kDepth);
        BerReader list = TRY(set.enter(der::context(1)));
        while (!list.done()) {
          const BerValue each = TRY(list.next());
          signer.attributes.push_back(copy(each));
        }
      }
      out.signers.push_back(std::move(signer));
    }
    return out;
  }

  void add_certificate(const Bytes& one) {
    if (std::find(certificates.begin(), certificates.end(), one) == certificates.end()) certificates.push_back(one);
  }
  void add_revocation(const Bytes& one) {
    if (std::find(revocation.begin(), revocation.end(), one) == revocation.end()) revocation.push_back(one);
  }
  void add(const ValidationData& data) {
    for (const Certificate& one : data.certificates) add_certificate(one.der());
    for (const Bytes& one : data.crls) add_revocation(one);
    for (const Bytes& one : data.ocsp) {
      // OtherRevocationInfoFormat, [1] IMPLICIT (RFC 5652 §10.2.1, RFC 5940 §2.1)
      add_revocation(make_tlv(der::context(1), {der::oid(cms::kOcspRevocationInfoOid), one}));
    }
  }

  Bytes put_together() const {
    const auto set = [](std::vector<Bytes> list, Tag tag) {
      if (list.empty()) return Bytes{};
      Bytes out = der::set_of(std::move(list));
      out[0] = static_cast<std::uint8_t>(tag);
      return out;
    };
    std::vector<Bytes> infos;
    for (const SignerPieces& one : signers) {
      infos.push_back(der::sequence({one.fields, set(one.attributes, der::context(1))}));
    }
    // RFC 5652 §5.1: other revocation data makes it version 5.
    const bool other =
        std::any_of(revocation.begin(), revocation.end(), [](const Bytes& one) { return one[0] == der::context(1); });
    const Bytes body = der::sequence({other ? der::integer(5) : version, digest_algorithms, content_info,
                                      set(certificates, der::context(0)), set(revocation, der::context(1)),
                                      der::set_of(std::move(infos))});
    return der::sequence({der::oid(cms::kSignedDataOid), make_tlv(der::context(0), body)});
  }
};

std::vector<Certificate> certificates_of(const Pieces& pieces) {
  std::vector<Certificate> out;
  for (const Bytes& one : pieces.certificates) {
    if (auto parsed = Certificate::from_der(one)) out.push_back(std::move(*parsed));
  }
  return out;
}

/// Validation data of a token: of its signer's path.
Status collect_for_token(const Bytes& octets, const std::vector<Certificate>& known, const SignatureServices& services,
                         ValidationData& out) {
  const TimeStampToken token = TRY(TimeStampToken::from_der(octets));
  const Certificate signer = TRY(verify_token_signature(token, known));
  std::vector<Certificate> all = token.certificates();
  all.insert(all.end(), known.begin(), known.end());
  return collect_validation_data(signer, all, services, out);
}

/// The token with `attribute` among its unsigned ones.
Result<Bytes> with_unsigned_attribute(const Bytes& token, const Bytes& attribute_der) {
  Pieces pieces = TRY(Pieces::take(token));
  pieces.signers.front().attributes.push_back(attribute_der);
  return pieces.put_together();
}

// EN 319 122-1 §5.5.2, §5.5.3
Result<Bytes> archive_timestamp(const Pieces& pieces, std::size_t position, const SignedData& data,
                                ByteView content_digest, const SignatureServices& services) {
  const Hash hash = services.hash;
  const auto list_of = [&](const std::vector<Bytes>& items) {
    Bytes hashes;
    for (const Bytes& one : items) append(hashes, der::octet_string(digest(hash, one)));
    return der::sequence(ByteView(hashes));
  };
  std::vector<Bytes> values;
  if (const auto& attributes = data.signers[position].unsigned_attributes) {
    for (const CmsAttribute& one : attributes->list) {
      for (const Bytes& value : one.values) {
        values.push_back(concat({der::oid(std::string_view(one.oid)), value}));
      }
    }
  }
  const Bytes index = der::sequence(
      {encode_digest_algorithm(hash), list_of(pieces.certificates), list_of(pieces.revocation), list_of(values)});
  const Bytes covered =
      concat({der::oid(std::string_view(data.content_type)), content_digest, data.signers[position].fields, index});
  const Bytes token = TRY(services.timestamps->stamp(imprint_of(hash, covered)));
  return with_unsigned_attribute(token, attribute(cms::kAtsHashIndexV3Oid, index));
}

}  // namespace

Result<Bytes> raise_cms(ByteView signature, ContentSource* detached, SignatureLevel level,
                        const SignatureServices& services) {
  const auto of_content = [&](Hash hash) -> Result<Bytes> {
    const SignedData data = TRY(SignedData::parse(signature));
    if (!data.has_content) {
      if (detached == nullptr) return fail(ErrorKind::usage, "an archive time-stamp needs the content");
      return digest(hash, *detached);
    }
    Hasher hasher(hash);
    for (const ByteView piece : data.content) hasher.update(piece);
    return hasher.finish();
  };
  return raise_cms_digest(signature, of_content, level, services);
}

Result<Bytes> raise_cms_digest(ByteView signature, const DigestOf& digest_of, SignatureLevel level,
                               const SignatureServices& services) {
  if (level == SignatureLevel::b_b) return to_bytes(signature);
  if (services.timestamps == nullptr) {
    return fail(ErrorKind::usage, "level " + std::string(name_of(level)) + " needs a time-stamp service");
  }
  Pieces pieces = TRY(Pieces::take(signature));
  const SignedData data = TRY(SignedData::parse(signature));
  std::vector<Bytes> tokens;
  for (std::size_t i = 0; i < data.signers.size(); ++i) {
    const CmsSigner& signer = data.signers[i];
    const bool stamped =
        signer.unsigned_attributes && !signer.unsigned_attributes->find(cms::kSignatureTimestampOid).empty();
    if (stamped) {
      for (const CmsAttribute* const one : signer.unsigned_attributes->find(cms::kSignatureTimestampOid)) {
        tokens.insert(tokens.end(), one->values.begin(), one->values.end());
      }
      continue;
    }
    const Bytes token = TRY(services.timestamps->stamp(imprint_of(services.hash, signer.signature)));
    pieces.signers[i].attributes.push_back(attribute(cms::kSignatureTimestampOid, token));
    tokens.push_back(token);
  }
  if (level == SignatureLevel::b_t) return pieces.put_together();

  if (services.revocation == nullptr) {
    return fail(ErrorKind::usage, "level " + std::string(name_of(level)) + " needs revocation data");
  }
  ValidationData evidence;
  std::vector<Certificate> known = certificates_of(pieces);
  known.insert(known.end(), services.certificates.begin(), services.certificates.end());
  for (const CmsSigner& signer : data.signers) {
    const auto own = std::find_if(known.begin(), known.end(), [&](const Certificate& one) {
      return signer.subject_key_id.empty() ? one.issuer().der() == signer.issuer && one.serial() == signer.serial
                                           : one.subject_key_id() == signer.subject_key_id;
    });
    if (own == known.end())
      return fail(ErrorKind::not_found, "a signer's certificate is neither in the signature nor among those given");
    TRY(collect_validation_data(*own, known, services, evidence));
    // A renewal keeps what the archive time-stamps before it are judged by.
    if (!signer.unsigned_attributes) continue;
    for (const CmsAttribute* const one : signer.unsigned_attributes->find(cms::kArchiveTimestampV3Oid)) {
      tokens.insert(tokens.end(), one->values.begin(), one->values.end());
    }
  }
  for (const Bytes& token : tokens) TRY(collect_for_token(token, known, services, evidence));
  pieces.add(evidence);
  const Bytes long_term = pieces.put_together();
  if (level == SignatureLevel::b_lt) return long_term;

  // Taken apart again: sets are sorted by now, and the index speaks of what is in the file.
  Pieces sorted = TRY(Pieces::take(long_term));
  const SignedData whole = TRY(SignedData::parse(long_term));
  const Bytes content_digest = TRY(digest_of(services.hash));
  for (std::size_t i = 0; i < whole.signers.size(); ++i) {
    const Bytes token = TRY(archive_timestamp(sorted, i, whole, content_digest, services));
    sorted.signers[i].attributes.push_back(attribute(cms::kArchiveTimestampV3Oid, token));
  }
  return sorted.put_together();
}

Result<Bytes> join_cms(ByteView signature, ByteView other) {
  Pieces pieces = TRY(Pieces::take(signature));
  const Pieces more = TRY(Pieces::take(other));
  if (pieces.content_info != more.content_info) {
    return fail(ErrorKind::usage, "the two signatures are not over the same content, or one holds it and one does not");
  }
  for (const Bytes& one : more.certificates) pieces.add_certificate(one);
  for (const Bytes& one : more.revocation) pieces.add_revocation(one);
  pieces.signers.insert(pieces.signers.end(), more.signers.begin(), more.signers.end());
  const SignedData a = TRY(SignedData::parse(signature));
  const SignedData b = TRY(SignedData::parse(other));
  std::vector<Bytes> algorithms;
  for (const auto* list : {&a.digest_algorithms, &b.digest_algorithms}) {
    for (const FoundAlgorithm& one : *list) {
      Bytes identifier = der::sequence({der::oid(std::string_view(one.oid)), one.parameters});
      if (std::find(algorithms.begin(), algorithms.end(), identifier) == algorithms.end()) {
        algorithms.push_back(std::move(identifier));
      }
    }
  }
  pieces.digest_algorithms = der::set_of(std::move(algorithms));
  return pieces.put_together();
}

Result<Bytes> counter_sign_cms(ByteView signature, std::size_t position, Signer& signer, Time signing_time) {
  Pieces pieces = TRY(Pieces::take(signature));
  const SignedData data = TRY(SignedData::parse(signature));
  if (position >= data.signers.size()) return fail(ErrorKind::usage, "there is no such signer");
  CmsSignOptions options;
  options.counter_signature = true;
  CmsSigning signing = TRY(CmsSigning::prepare(signer, options));
  const Bytes value_digest = digest(signing.hash(), data.signers[position].signature);
  const Bytes info = TRY(signing.sign_info(value_digest, signing_time));
  pieces.signers[position].attributes.push_back(attribute(cms::kCounterSignatureOid, info));
  for (const Bytes& one : signer.certificate_chain()) pieces.add_certificate(one);
  return pieces.put_together();
}

}  // namespace karta::crypto
