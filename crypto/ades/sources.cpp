#include "crypto/ades/sources.h"

#include <algorithm>
#include <array>

namespace karta::crypto {
namespace {

constexpr auto kLevels = std::to_array<std::string_view>({"B-B", "B-T", "B-LT", "B-LTA"});
constexpr std::size_t kMostIssuers = 16;  // in one path: real ones have two or three

void add_once(std::vector<Bytes>& list, const Bytes& one) {
  if (std::find(list.begin(), list.end(), one) == list.end()) list.push_back(one);
}

}  // namespace

std::string_view name_of(SignatureLevel level) { return kLevels[static_cast<std::size_t>(level)]; }

std::optional<SignatureLevel> find_signature_level(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    if (kLevels[i] == upper) return static_cast<SignatureLevel>(i);
  }
  return std::nullopt;
}

void ValidationData::add(const Certificate& certificate) {
  if (std::find(certificates.begin(), certificates.end(), certificate) == certificates.end()) {
    certificates.push_back(certificate);
  }
}

void ValidationData::add(const RevocationEvidence& evidence) {
  for (const Bytes& one : evidence.crls) add_once(crls, one);
  for (const Bytes& one : evidence.ocsp) add_once(ocsp, one);
}

Status collect_validation_data(const Certificate& leaf, const std::vector<Certificate>& known,
                               const SignatureServices& services, ValidationData& out) {
  Certificate at = leaf;
  out.add(at);
  for (std::size_t i = 0; i < kMostIssuers && !at.self_issued(); ++i) {
    const Certificate* issuer = nullptr;
    for (const auto* list : {&known, &services.certificates}) {
      for (const Certificate& one : *list) {
        if (issuer != nullptr || !(one.subject() == at.issuer())) continue;
        const auto key = one.public_key();
        if (key && verify_certificate_signature(at, *key)) issuer = &one;
      }
    }
    if (issuer == nullptr) {
      return fail(ErrorKind::not_found, "the issuer of \"" + at.subject().to_text() + "\" is not at hand",
                  "a signature with validation data needs the whole path: give the issuer's certificate too");
    }
    if (services.revocation != nullptr && !at.ocsp_no_check()) {
      const RevocationEvidence evidence = TRY(services.revocation->about(at, *issuer));
      if (evidence.crls.empty() && evidence.ocsp.empty()) {
        return fail(ErrorKind::not_found, "nothing tells whether \"" + at.subject().to_text() + "\" was revoked",
                    "a signature with validation data needs a CRL or an OCSP answer for it");
      }
      out.add(evidence);
      for (const Bytes& one : evidence.ocsp) {
        // A delegated responder's certificate is needed to judge its answer (RFC 6960 §4.2.2.2).
        if (const auto answer = OcspResponse::from_der(one)) {
          for (const Certificate& responder : answer->certificates()) out.add(responder);
        }
      }
    }
    at = *issuer;
    out.add(at);
  }
  return {};
}

}  // namespace karta::crypto
