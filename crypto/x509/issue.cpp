#include "crypto/x509/issue.h"

#include <algorithm>

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/x509/extension.h"

namespace karta::crypto {
namespace {

Bytes uri_name(const std::string& url) { return encode(GeneralName::uri(url)); }

// Critical as the paragraphs of RFC 5280 §4.2 ask.
Bytes encode_extensions(const CertificateProfile& profile, const CertificateRequest& request,
                        const Certificate* issuer) {
  Bytes list;
  if (profile.basic_constraints) {
    Bytes content;
    if (profile.basic_constraints->ca) append(content, der::boolean(true));
    if (profile.basic_constraints->path_length) append(content, der::integer(*profile.basic_constraints->path_length));
    append(list, encode_extension("2.5.29.19", true, der::sequence(content)));
  }
  if (!profile.key_usage.empty()) {
    std::uint32_t bits = 0;
    for (const KeyUsage usage : profile.key_usage) bits |= 1u << static_cast<unsigned>(usage);
    append(list, encode_extension("2.5.29.15", true, der::named_bits(bits, 9)));
  }
  if (!profile.extended_key_usage.empty()) {
    Bytes content;
    for (const std::string& oid : profile.extended_key_usage) append(content, der::oid(std::string_view(oid)));
    append(list, encode_extension("2.5.29.37", profile.extended_key_usage_critical, der::sequence(content)));
  }
  if (profile.key_identifiers) {
    append(list, encode_extension("2.5.29.14", false, der::octet_string(request.public_key.key_id())));
  }
  if (profile.key_identifiers && issuer != nullptr && !issuer->subject_key_id().empty()) {
    append(list, encode_extension("2.5.29.35", false,
                                  der::sequence(make_tlv(der::context_primitive(0), issuer->subject_key_id()))));
  }
  if (!request.subject_alternative_names.empty()) {
    Bytes content;
    for (const GeneralName& name : request.subject_alternative_names) append(content, encode(name));
    append(list, encode_extension("2.5.29.17", false, der::sequence(content)));
  }
  if (!profile.policies.empty()) {
    Bytes content;
    // PolicyQualifierInfo ::= SEQUENCE { policyQualifierId OBJECT IDENTIFIER, qualifier ANY }; id-qt-cps: an IA5String
    const Bytes cps = der::sequence({der::oid("1.3.6.1.5.5.7.2.1"), der::ia5(profile.cps_url)});
    const Bytes qualifiers = profile.cps_url.empty() ? Bytes{} : der::sequence(cps);
    for (const std::string& oid : profile.policies) {
      append(content, der::sequence({der::oid(std::string_view(oid)), qualifiers}));
    }
    append(list, encode_extension("2.5.29.32", profile.policies_critical, der::sequence(content)));
  }
  if (!profile.crl_urls.empty()) {
    Bytes content;
    for (const std::string& url : profile.crl_urls) {
      const Bytes full_name = make_tlv(der::context(0), uri_name(url));
      append(content, der::sequence({make_tlv(der::context(0), full_name)}));
    }
    append(list, encode_extension("2.5.29.31", false, der::sequence(content)));
  }
  if (!profile.ocsp_urls.empty() || !profile.issuer_urls.empty()) {
    Bytes content;
    for (const std::string& url : profile.ocsp_urls) {
      append(content, der::sequence({der::oid("1.3.6.1.5.5.7.48.1"), uri_name(url)}));
    }
    for (const std::string& url : profile.issuer_urls) {
      append(content, der::sequence({der::oid("1.3.6.1.5.5.7.48.2"), uri_name(url)}));
    }
    append(list, encode_extension("1.3.6.1.5.5.7.1.1", false, der::sequence(content)));
  }
  for (const Extension& one : profile.extensions) append(list, encode_extension(one.oid, one.critical, one.value));
  if (request.status_index) append(list, encode_extension(kStatusIndexOid, false, der::integer(*request.status_index)));
  return make_tlv(der::context(3), der::sequence(list));
}

/// The subject: the profile's fixed attributes, then those asked for, checked against the profile.
Result<Name> merge_subject(const CertificateProfile& profile, const Name& asked) {
  const auto same = [](std::string_view a, std::string_view b) {
    const NameAttributeRow* const row = find_name_attribute(a);
    return row != nullptr && (row->name == b || row->oid == b);
  };
  const auto listed = [&](const std::vector<std::string>& list, const std::string& oid) {
    return std::any_of(list.begin(), list.end(), [&](const std::string& one) { return same(one, oid); });
  };
  const std::string suffix = " (profile \"" + profile.name + "\")";
  NameBuilder builder;
  for (const auto& [name, value] : profile.subject_fixed) builder.add(name, value);
  for (const Name::Rdn& rdn : asked.rdns()) {
    for (const NameAttribute& attribute : rdn) {
      const auto fixed = std::find_if(profile.subject_fixed.begin(), profile.subject_fixed.end(),
                                      [&](const auto& one) { return same(one.first, attribute.oid); });
      if (fixed != profile.subject_fixed.end()) {
        if (fixed->second == attribute.value) continue;
        return fail(ErrorKind::usage,
                    "subject attribute " + fixed->first + " is fixed and asked for otherwise" + suffix);
      }
      if (profile.subject_restricted && !listed(profile.subject_required, attribute.oid) &&
          !listed(profile.subject_optional, attribute.oid)) {
        const NameAttributeRow* const row = find_name_attribute(attribute.oid);
        return fail(ErrorKind::usage, "subject attribute " + (row != nullptr ? std::string(row->name) : attribute.oid) +
                                          " is not allowed" + suffix);
      }
      builder.add(attribute.oid, attribute.value);
    }
  }
  Name out = TRY(builder.build());
  for (const std::string& required : profile.subject_required) {
    if (!out.find(required)) return fail(ErrorKind::usage, "subject attribute " + required + " is missing" + suffix);
  }
  if (out.empty()) return fail(ErrorKind::usage, "the subject is empty" + suffix);
  return out;
}

Result<AlgorithmId> choose_algorithm(const CertificateProfile& profile, const Signer& signer) {
  const auto& offered = signer.algorithms();
  if (offered.empty()) return fail(ErrorKind::not_permitted, "the issuing key has no algorithm to sign with");
  if (!profile.signature_algorithm) return offered.front();
  if (std::find(offered.begin(), offered.end(), *profile.signature_algorithm) == offered.end()) {
    return fail(ErrorKind::usage, "the issuing key does not sign with " +
                                      std::string(row_of(*profile.signature_algorithm).name) + " (profile \"" +
                                      profile.name + "\")");
  }
  return *profile.signature_algorithm;
}

struct Validity {
  Time not_before, not_after;
};

Result<Validity> choose_validity(const CertificateProfile& profile, const CertificateRequest& request,
                                 const Certificate* issuer, Time now) {
  Validity out;
  out.not_before = request.not_before.value_or(now);
  const Time latest = out.not_before + std::chrono::days(profile.validity_days) - std::chrono::seconds(1);
  out.not_after = request.not_after.value_or(latest);
  if (out.not_after > latest) return fail(ErrorKind::usage, "not_after lies beyond the profile's validity");
  if (issuer != nullptr) {
    out.not_before = std::max(out.not_before, issuer->not_before());
    out.not_after = std::min(out.not_after, issuer->not_after());
  }
  if (out.not_before >= out.not_after) return fail(ErrorKind::usage, "the certificate would never be valid");
  return out;
}

// TBSCertificate, RFC 5280 §4.1; the parser with the same words stands in certificate.cpp.
Result<Certificate> sign_certificate(const CertificateProfile& profile, const CertificateRequest& request,
                                     const Name& subject, const Certificate* issuer, Signer& signer, const Clock& clock,
                                     RandomSource& random) {
  const auto type = request.public_key.type();
  if (!type || std::find(profile.key_types.begin(), profile.key_types.end(), *type) == profile.key_types.end()) {
    return fail(ErrorKind::usage, "keys of type " + request.public_key.type_name() + " are not certified (profile \"" +
                                      profile.name + "\")");
  }
  if (request.status_index.has_value() && profile.status_index == StatusIndexRule::none) {
    return fail(ErrorKind::usage, "a status index is not allowed (profile \"" + profile.name + "\")");
  }
  if (!request.status_index.has_value() && profile.status_index == StatusIndexRule::required) {
    return fail(ErrorKind::usage, "a status index is required (profile \"" + profile.name + "\")");
  }
  if (request.status_index && *request.status_index >> 63 != 0) {
    return fail(ErrorKind::usage, "the status index is too large");
  }
  Bytes serial = request.serial;
  if (serial.empty()) {
    serial = random.bytes(16);
    if (serial[0] == 0) serial[0] = 1;  // keeps it positive and of one length
  }
  if (serial.size() > 19) return fail(ErrorKind::usage, "a serial number is at most 19 octets");

  const AlgorithmId algorithm = TRY(choose_algorithm(profile, signer));
  const Validity validity = TRY(choose_validity(profile, request, issuer, clock.now()));
  const Bytes algorithm_der = encode_signature_algorithm(algorithm);
  const Bytes tbs =
      der::sequence({make_tlv(der::context(0), der::integer(2)), der::unsigned_integer(serial), algorithm_der,
                     issuer != nullptr ? issuer->subject().der() : subject.der(),
                     der::sequence({der::time(validity.not_before), der::time(validity.not_after)}), subject.der(),
                     request.public_key.spki(), encode_extensions(profile, request, issuer)});
  const Bytes signature = TRY(signer.sign_message(algorithm, tbs));
  const Bytes whole = der::sequence({tbs, algorithm_der, der::bit_string(signature)});
  Certificate certificate = TRY(Certificate::from_der(whole));
  if (const Status status = verify_certificate_signature(certificate, signer.public_key()); !status) {
    return fail(ErrorKind::internal, "the issuing key returned a signature that does not verify",
                "the key or the device that holds it is at fault");
  }
  return certificate;
}

}  // namespace

Result<Certificate> issue_certificate(const CertificateProfile& profile, const CertificateRequest& request,
                                      const Certificate& issuer, Signer& signer, const Clock& clock,
                                      RandomSource& random) {
  const std::string quoted = "\"" + issuer.subject().to_text() + "\"";
  if (!equal(issuer.spki(), signer.public_key().spki())) {
    return fail(ErrorKind::usage, "the signing key is not that of " + quoted);
  }
  if (!issuer.is_ca() || !issuer.allows(KeyUsage::key_cert_sign)) {
    return fail(ErrorKind::not_permitted, quoted + " may not issue certificates");
  }
  const auto& path_length = issuer.basic_constraints()->path_length;
  if (profile.basic_constraints && profile.basic_constraints->ca && path_length) {
    const auto& asked = profile.basic_constraints->path_length;
    if (*path_length == 0 || (asked && *asked >= *path_length)) {
      return fail(ErrorKind::not_permitted,
                  quoted + " may not issue CAs this deep (path length " + std::to_string(*path_length) + ")");
    }
  }
  const Time now = clock.now();
  if (now < issuer.not_before() || now > issuer.not_after()) {
    return fail(ErrorKind::untrusted, quoted + " is not valid now: from " + format_time(issuer.not_before()) + " to " +
                                          format_time(issuer.not_after()));
  }
  const Name subject = TRY(merge_subject(profile, request.subject));
  if (subject == issuer.subject()) return fail(ErrorKind::usage, "subject and issuer would have one name");
  return sign_certificate(profile, request, subject, &issuer, signer, clock, random);
}

Result<Certificate> self_signed(const CertificateProfile& profile, const CertificateRequest& request, Signer& signer,
                                const Clock& clock, RandomSource& random) {
  if (!(request.public_key == signer.public_key())) {
    return fail(ErrorKind::usage, "a self-signed certificate is for the signer's own key");
  }
  if (!profile.basic_constraints || !profile.basic_constraints->ca) {
    return fail(ErrorKind::usage, "a self-signed certificate needs a profile with ca = true");
  }
  const Name subject = TRY(merge_subject(profile, request.subject));
  return sign_certificate(profile, request, subject, nullptr, signer, clock, random);
}

Result<Certificate> issue_self_issued(const CertificateProfile& profile, const Name& subject, const PublicKey& key,
                                      const Certificate& issuer, Signer& signer, const Clock& clock,
                                      RandomSource& random) {
  if (!equal(issuer.spki(), signer.public_key().spki())) {
    return fail(ErrorKind::usage, "the signing key is not that of \"" + issuer.subject().to_text() + "\"");
  }
  if (!(subject == issuer.subject()) || !profile.basic_constraints || !profile.basic_constraints->ca) {
    return fail(ErrorKind::usage, "a self-issued certificate is a CA's, for itself");
  }
  const CertificateRequest request{.subject = subject, .public_key = key};
  return sign_certificate(profile, request, subject, &issuer, signer, clock, random);
}

}  // namespace karta::crypto
