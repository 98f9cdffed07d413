#include "crypto/x509/distribution_point.h"

#include <algorithm>
#include <array>

#include "crypto/x509/name.h"

namespace karta::crypto {
namespace {

struct ReasonRow {
  CrlReason reason;
  std::string_view name;
};
constexpr auto kReasons = std::to_array<ReasonRow>({
    {CrlReason::unspecified, "unspecified"},
    {CrlReason::key_compromise, "keyCompromise"},
    {CrlReason::ca_compromise, "cACompromise"},
    {CrlReason::affiliation_changed, "affiliationChanged"},
    {CrlReason::superseded, "superseded"},
    {CrlReason::cessation_of_operation, "cessationOfOperation"},
    {CrlReason::certificate_hold, "certificateHold"},
    {CrlReason::remove_from_crl, "removeFromCRL"},
    {CrlReason::privilege_withdrawn, "privilegeWithdrawn"},
    {CrlReason::aa_compromise, "aACompromise"},
});

}  // namespace

std::string_view name_of(CrlReason reason) {
  return std::find_if(kReasons.begin(), kReasons.end(), [&](const ReasonRow& row) { return row.reason == reason; })
      ->name;
}

std::optional<CrlReason> find_crl_reason(std::string_view name) {
  for (const ReasonRow& row : kReasons) {
    if (row.name == name) return row.reason;
  }
  return std::nullopt;
}

std::optional<CrlReason> crl_reason_of(std::uint64_t number) {
  for (const ReasonRow& row : kReasons) {
    if (static_cast<std::uint64_t>(row.reason) == number) return row.reason;
  }
  return std::nullopt;
}

Result<DistributionPointName> parse_distribution_point_name(ByteView content) {
  der::Reader reader(content);
  DistributionPointName out;
  if (const auto full = TRY(reader.next_if(der::context(0)))) {
    out.full_name = TRY(parse_general_names(full->value));
  } else {
    const Tlv relative = TRY(reader.expect(der::context(1)));
    if (relative.value.empty()) return fail(ErrorKind::malformed, "an empty relative name");
    out.relative = to_bytes(relative.value);
  }
  TRY(reader.finish());
  return out;
}

Result<ReasonMask> parse_reason_flags(ByteView content) {
  const Bytes whole = make_tlv(der::kBitString, content);
  der::Reader reader(whole);
  const auto bits = TRY(reader.bits());
  ReasonMask out = 0;
  for (unsigned bit = 1; bit <= 8; ++bit) {
    if (bits.test(bit)) out = static_cast<ReasonMask>(out | 1u << bit);
  }
  return out;
}

// CRLDistributionPoints ::= SEQUENCE SIZE (1..MAX) OF DistributionPoint
// DistributionPoint ::= SEQUENCE { distributionPoint [0] DistributionPointName OPTIONAL,
//                                  reasons [1] ReasonFlags OPTIONAL, cRLIssuer [2] GeneralNames OPTIONAL }
Result<std::vector<DistributionPoint>> parse_distribution_points(ByteView content) {
  std::vector<DistributionPoint> out;
  der::Reader reader(content);
  while (!reader.done()) {
    if (out.size() == kMostDistributionPoints) return fail(ErrorKind::limit, "too many distribution points");
    der::Reader point = TRY(reader.enter(der::kSequence));
    DistributionPoint one;
    if (const auto name = TRY(point.next_if(der::context(0)))) {
      one.name = TRY(parse_distribution_point_name(name->value));
    }
    if (const auto reasons = TRY(point.next_if(der::context_primitive(1)))) {
      one.reasons = TRY(parse_reason_flags(reasons->value));
    }
    if (const auto issuer = TRY(point.next_if(der::context(2)))) {
      one.crl_issuer = TRY(parse_general_names(issuer->value));
    }
    TRY(point.finish());
    out.push_back(std::move(one));
  }
  return out;
}

Result<std::vector<GeneralName>> names_of(const DistributionPointName& name, ByteView issuer) {
  if (name.relative.empty()) return name.full_name;
  der::Reader outer(issuer);
  const Tlv rdns = TRY(outer.expect(der::kSequence));
  const Bytes whole = der::sequence({rdns.value, make_tlv(der::kSet, name.relative)});
  (void)TRY(Name::from_der(whole));
  return std::vector<GeneralName>{GeneralName::directory_name(whole)};
}

bool share_a_name(const std::vector<GeneralName>& a, const std::vector<GeneralName>& b) {
  const auto same = [](const GeneralName& one, const GeneralName& other) {
    if (one == other) return true;
    if (one.kind != GeneralName::Kind::directory_name || other.kind != one.kind) return false;
    const auto first = Name::from_der(one.value), second = Name::from_der(other.value);
    return first && second && *first == *second;
  };
  return std::any_of(a.begin(), a.end(), [&](const GeneralName& one) {
    return std::any_of(b.begin(), b.end(), [&](const GeneralName& other) { return same(one, other); });
  });
}

Bytes encode_distribution_point_name(std::string_view uri) {
  return make_tlv(der::context(0), make_tlv(der::context(0), encode(GeneralName::uri(uri))));
}

Result<std::vector<std::string>> urls_of(const std::vector<DistributionPoint>& points) {
  std::vector<std::string> out;
  for (const DistributionPoint& point : points) {
    for (const GeneralName& name : point.name.full_name) {
      if (name.kind == GeneralName::Kind::uri) out.push_back(TRY(uri_text(name.value)));
    }
  }
  return out;
}

}  // namespace karta::crypto
