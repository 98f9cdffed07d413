#include "card/security_infos.h"

#include <algorithm>

#include "base/der.h"
#include "card/domain_parameters.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/ec_arithmetic.h"
#include "crypto/x509/certificate.h"

namespace karta::card {
namespace {

// TR-03110-3 A.1.1; bsi-de is 0.4.0.127.0.7.
constexpr std::string_view kTerminalAuthenticationOid = "0.4.0.127.0.7.2.2.2";
constexpr std::string_view kPublicKeyEcdhOid = "0.4.0.127.0.7.2.2.1.2";
constexpr std::string_view kChipAuthenticationEcdhOid = "0.4.0.127.0.7.2.2.3.2";
constexpr std::string_view kRestrictedIdEcdhOid = "0.4.0.127.0.7.2.2.5.2";
constexpr std::string_view kEidSecurityOid = "0.4.0.127.0.7.2.2.7";
constexpr std::string_view kStandardisedDomainOid = "0.4.0.127.0.7.1.2";

constexpr std::uint64_t kVersion2 = 2;

template <class Table>
auto find_suite(const Table& table, std::string_view oid) -> decltype(&table[0]) {
  for (const auto& row : table) {
    if (row.oid == oid) return &row;
  }
  return nullptr;
}

Result<std::optional<std::uint64_t>> optional_integer(der::Reader& reader) {
  if (reader.done()) return std::optional<std::uint64_t>{};
  const std::uint64_t value = TRY(reader.small_integer());
  return std::optional<std::uint64_t>(value);
}

// AlgorithmIdentifier { standardizedDomainParameters, INTEGER }; empty: domain parameters of another kind.
Result<std::optional<std::uint64_t>> standardised_domain(der::Reader& reader) {
  const crypto::AlgorithmIdentifier id = TRY(crypto::read_algorithm_identifier(reader));
  if (id.oid != kStandardisedDomainOid) return std::optional<std::uint64_t>{};
  der::Reader parameters(id.parameters);
  const std::uint64_t number = TRY(parameters.small_integer());
  TRY(parameters.finish());
  return std::optional<std::uint64_t>(number);
}

Bytes encode_domain(std::uint64_t parameter_id) {
  return der::sequence({der::oid(kStandardisedDomainOid), der::integer(parameter_id)});
}

Bytes encode_optional(const std::optional<std::uint64_t>& value) { return value ? der::integer(*value) : Bytes{}; }

// EIDSecurityObject ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier,
//   dataGroupHashValues SEQUENCE OF SEQUENCE { dataGroupNumber INTEGER, dataGroupHashValue OCTET STRING } }
Result<DataGroupHashes> parse_data_group_hashes(der::Reader& reader) {
  der::Reader object = TRY(reader.enter(der::kSequence));
  DataGroupHashes hashes;
  const crypto::AlgorithmIdentifier algorithm = TRY(crypto::read_algorithm_identifier(object));
  hashes.hash = TRY(crypto::hash_of(algorithm.oid, algorithm.parameters));
  der::Reader list = TRY(object.enter(der::kSequence));
  while (!list.done()) {
    der::Reader one = TRY(list.enter(der::kSequence));
    const std::uint64_t number = TRY(one.small_integer());
    const ByteView value = TRY(one.octet_string());
    TRY(one.finish());
    if (number < 1 || number > 22 || value.size() != row_of(hashes.hash).octets) {
      return fail(ErrorKind::malformed, "a data-group hash that cannot be one");
    }
    if (!hashes.by_number.emplace(static_cast<unsigned>(number), to_bytes(value)).second) {
      return fail(ErrorKind::malformed, "two hashes of one data group");
    }
  }
  TRY(object.finish());
  return hashes;
}

// One SecurityInfo ::= SEQUENCE { protocol OBJECT IDENTIFIER, requiredData ANY, optionalData ANY OPTIONAL }
Status parse_one(SecurityInfos& infos, der::Reader& reader) {
  const std::string oid = der::oid_to_text(TRY(reader.oid()));
  // PACEInfo ::= { protocol, version INTEGER, parameterId INTEGER OPTIONAL }
  if (const ProtocolSuite* const suite = find_suite(kPaceSuites, oid)) {
    const std::uint64_t version = TRY(reader.small_integer());
    const auto parameter = TRY(optional_integer(reader));
    TRY(reader.finish());
    // Without a number the parameters are the card's own, which karta does not take (a card could choose weak ones).
    if (version != kVersion2 || !parameter) {
      infos.others.push_back(oid);
    } else {
      infos.pace.push_back({suite, *parameter});
    }
    return {};
  }
  if (oid == kTerminalAuthenticationOid) {
    const std::uint64_t version = TRY(reader.small_integer());
    while (!reader.done()) TRY(reader.any());
    if (version == kVersion2) {
      infos.terminal_authentication_2 = true;
    } else {
      infos.others.push_back(oid);
    }
    return {};
  }
  // ChipAuthenticationInfo ::= { protocol, version INTEGER, keyId INTEGER OPTIONAL }
  if (const ProtocolSuite* const suite = find_suite(kChipAuthenticationSuites, oid)) {
    const std::uint64_t version = TRY(reader.small_integer());
    const auto key_id = TRY(optional_integer(reader));
    TRY(reader.finish());
    if (version == kVersion2) {
      infos.chip_authentication.push_back({suite, key_id});
    } else {
      infos.others.push_back(oid);
    }
    return {};
  }
  // ChipAuthenticationDomainParameterInfo ::= { protocol, domainParameter AlgorithmIdentifier, keyId OPTIONAL }
  if (oid == kChipAuthenticationEcdhOid) {
    const auto domain = TRY(standardised_domain(reader));
    const auto key_id = TRY(optional_integer(reader));
    TRY(reader.finish());
    if (domain) {
      infos.chip_authentication_domains.push_back({*domain, key_id});
    } else {
      infos.others.push_back(oid);
    }
    return {};
  }
  // ChipAuthenticationPublicKeyInfo ::= { protocol, SubjectPublicKeyInfo, keyId OPTIONAL }
  if (oid == kPublicKeyEcdhOid) {
    der::Reader spki = TRY(reader.enter(der::kSequence));
    const auto domain = TRY(standardised_domain(spki));
    const ByteView point = TRY(spki.bit_string());
    TRY(spki.finish());
    const auto key_id = TRY(optional_integer(reader));
    TRY(reader.finish());
    if (!domain || !curve_of_domain_parameters(*domain)) {
      infos.others.push_back(oid);
      return {};
    }
    const crypto::KeyType curve = TRY(curve_of_domain_parameters(*domain));
    TRY(crypto::check_ec_point(curve, point));
    infos.chip_authentication_keys.push_back({*domain, to_bytes(point), key_id});
    return {};
  }
  // RestrictedIdentificationInfo ::= { protocol, SEQUENCE { version INTEGER, keyId INTEGER, authorizedOnly BOOLEAN },
  //                                    maxKeyLen INTEGER OPTIONAL }
  if (const RestrictedIdSuite* const suite = find_suite(kRestrictedIdSuites, oid)) {
    der::Reader parameters = TRY(reader.enter(der::kSequence));
    const std::uint64_t version = TRY(parameters.small_integer());
    RestrictedIdInfo info{suite, 0, false};
    info.key_id = TRY(parameters.small_integer());
    info.authorised_only = TRY(parameters.boolean());
    TRY(parameters.finish());
    TRY(optional_integer(reader));
    TRY(reader.finish());
    if (version == 1) {
      infos.restricted_identification.push_back(info);
    } else {
      infos.others.push_back(oid);
    }
    return {};
  }
  // RestrictedIdentificationDomainParameterInfo ::= { protocol, domainParameter AlgorithmIdentifier }
  if (oid == kRestrictedIdEcdhOid) {
    const auto domain = TRY(standardised_domain(reader));
    TRY(reader.finish());
    if (domain) {
      infos.restricted_identification_domain = domain;
    } else {
      infos.others.push_back(oid);
    }
    return {};
  }
  if (oid == crypto::kStatusIndexOid) {
    if (infos.status_index) return fail(ErrorKind::malformed, "two status indexes");
    infos.status_index = TRY(reader.small_integer());
    return reader.finish();
  }
  // EIDSecurityInfo ::= { protocol, eIDSecurityObject, eIDVersionInfo OPTIONAL }
  if (oid == kEidSecurityOid) {
    if (infos.data_groups) return fail(ErrorKind::malformed, "two lists of data-group hashes");
    infos.data_groups = TRY(parse_data_group_hashes(reader));
    while (!reader.done()) TRY(reader.any());
    return {};
  }
  while (!reader.done()) TRY(reader.any());
  infos.others.push_back(oid);
  return {};
}

template <class T>
bool contains(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

Result<SecurityInfos> SecurityInfos::parse(ByteView der) {
  der::Reader file(der);
  der::Reader set = TRY(file.enter(der::kSet));
  TRY(file.finish());
  SecurityInfos infos;
  for (std::size_t count = 0; !set.done(); ++count) {
    if (count == kMostSecurityInfos) return fail(ErrorKind::limit, "more security infos than any card has");
    der::Reader one = TRY(set.enter(der::kSequence));
    TRY(parse_one(infos, one));
  }
  return infos;
}

Bytes SecurityInfos::encode() const {
  std::vector<Bytes> elements;
  const auto info = [&](std::string_view oid, std::initializer_list<Bytes> parts) {
    Bytes content = der::oid(oid);
    for (const Bytes& part : parts) append(content, part);
    elements.push_back(der::sequence(ByteView(content)));
  };
  for (const PaceInfo& one : pace) info(one.suite->oid, {der::integer(kVersion2), der::integer(one.parameter_id)});
  if (terminal_authentication_2) info(kTerminalAuthenticationOid, {der::integer(kVersion2)});
  for (const ChipAuthenticationInfo& one : chip_authentication) {
    info(one.suite->oid, {der::integer(kVersion2), encode_optional(one.key_id)});
  }
  for (const ChipAuthenticationDomain& one : chip_authentication_domains) {
    info(kChipAuthenticationEcdhOid, {encode_domain(one.parameter_id), encode_optional(one.key_id)});
  }
  for (const ChipAuthenticationKey& one : chip_authentication_keys) {
    info(kPublicKeyEcdhOid,
         {der::sequence({encode_domain(one.parameter_id), der::bit_string(one.point)}), encode_optional(one.key_id)});
  }
  for (const RestrictedIdInfo& one : restricted_identification) {
    info(one.suite->oid,
         {der::sequence({der::integer(1), der::integer(one.key_id), der::boolean(one.authorised_only)})});
  }
  if (restricted_identification_domain) info(kRestrictedIdEcdhOid, {encode_domain(*restricted_identification_domain)});
  if (status_index) info(crypto::kStatusIndexOid, {der::integer(*status_index)});
  if (data_groups) {
    Bytes list;
    for (const auto& [number, value] : data_groups->by_number) {
      append(list, der::sequence({der::integer(number), der::octet_string(value)}));
    }
    info(kEidSecurityOid,
         {der::sequence({crypto::encode_digest_algorithm(data_groups->hash), der::sequence(ByteView(list))})});
  }
  return der::set_of(std::move(elements));
}

Result<PaceInfo> SecurityInfos::preferred_pace() const {
  for (const PaceInfo& info : pace) {
    if (curve_of_domain_parameters(info.parameter_id)) return info;
  }
  return fail(ErrorKind::unsupported, "the card offers no PACE that karta uses (ECDH, generic mapping, AES)");
}

Status check_same_protocols(const SecurityInfos& access, const SecurityInfos& security) {
  const auto swapped = [](const char* what) {
    return fail(ErrorKind::card_insecure,
                std::string("the card's open list of protocols and its signed one differ in ") + what,
                "something between this terminal and the card may have exchanged it: do not use the card here");
  };
  // Both ways: what was put in could be weaker, what was taken out could have been stronger.
  for (const PaceInfo& one : access.pace) {
    if (!contains(security.pace, one)) return swapped("PACE");
  }
  for (const PaceInfo& one : security.pace) {
    if (!contains(access.pace, one)) return swapped("PACE");
  }
  for (const ChipAuthenticationInfo& one : access.chip_authentication) {
    if (!contains(security.chip_authentication, one)) return swapped("chip authentication");
  }
  for (const ChipAuthenticationDomain& one : access.chip_authentication_domains) {
    if (!contains(security.chip_authentication_domains, one)) return swapped("the curve of chip authentication");
  }
  if (access.terminal_authentication_2 && !security.terminal_authentication_2) {
    return swapped("terminal authentication");
  }
  return {};
}

}  // namespace karta::card
