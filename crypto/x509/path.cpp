#include "crypto/x509/path.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace karta::crypto {
namespace {

constexpr std::string_view kNameConstraintsOid = "2.5.29.30";
constexpr std::string_view kPolicyConstraintsOid = "2.5.29.36";
constexpr std::string_view kClientAuthOid = "1.3.6.1.5.5.7.3.2";
constexpr std::string_view kAnyPurposeOid = "2.5.29.37.0";
// Key purposes that are not for documents (RFC 5280 §4.2.1.12; Windows' smartcardLogon). Others are taken to be: the
// purposes of national schemes have object identifiers of their own.
constexpr auto kOtherThanDocuments =
    std::to_array<std::string_view>({"1.3.6.1.5.5.7.3.1", kClientAuthOid, "1.3.6.1.5.5.7.3.3", "1.3.6.1.5.5.7.3.8",
                                     "1.3.6.1.5.5.7.3.9", "1.3.6.1.4.1.311.20.2.2"});

struct PathFaultRow {
  PathFault fault;
  std::string_view name;
};
constexpr auto kFaults = std::to_array<PathFaultRow>({
    {PathFault::none, "none"},
    {PathFault::no_trust_data, "no-trust-data"},
    {PathFault::no_path, "not-trusted"},
    {PathFault::signature, "certificate-signature"},
    {PathFault::expired, "certificate-expired"},
    {PathFault::not_yet_valid, "certificate-not-yet-valid"},
    {PathFault::not_a_ca, "issuer-not-a-ca"},
    {PathFault::key_usage, "key-usage"},
    {PathFault::critical_extension, "critical-extension"},
    {PathFault::weak_algorithm, "weak-algorithm"},
    {PathFault::unsupported, "unsupported-algorithm"},
    {PathFault::limit, "path-limit"},
});

std::string quoted(const Certificate& certificate) { return "\"" + certificate.subject().to_text() + "\""; }

int year_of(Time time) {
  return static_cast<int>(std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)).year());
}

bool contains(const std::vector<Certificate>& list, const Certificate& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

class Search {
 public:
  Search(const std::vector<Certificate>& intermediates, const std::vector<Certificate>& anchors, Time at,
         Purpose purpose)
      : intermediates_(intermediates), anchors_(anchors), at_(at), purpose_(purpose) {}

  PathResult run(const Certificate& leaf) {
    chain_.push_back(leaf);
    if (contains(anchors_, leaf)) {
      if (accept()) return best_;
    } else if (extend()) {
      return best_;
    }
    return best_;
  }

 private:
  /// Looks for issuers of the last certificate; true once a whole chain passed.
  bool extend() {
    const Certificate current = chain_.back();
    bool found_issuer = false;
    for (const Certificate& issuer : candidates(current)) {
      if (contains(chain_, issuer)) continue;
      if (chain_.size() == kMostPathLength || signatures_ == kMostPathSignatures) {
        note(PathFault::limit, chain_.size() - 1, "the search for a path was cut off at its limit");
        return false;
      }
      found_issuer = true;
      const auto key = issuer.public_key();
      if (!key) {
        note(PathFault::unsupported, chain_.size() - 1,
             "the key of issuer " + quoted(issuer) + ": " + key.error().message);
        continue;
      }
      ++signatures_;
      if (const Status status = verify_certificate_signature(current, *key); !status) {
        const bool unknown = status.error().kind == ErrorKind::unsupported;
        note(unknown ? PathFault::unsupported : PathFault::signature, chain_.size() - 1,
             "the signature on " + quoted(current) + " is not that of " + quoted(issuer) +
                 (unknown ? ": " + status.error().message : ""));
        continue;
      }
      chain_.push_back(issuer);
      if (contains(anchors_, issuer) ? accept() : extend()) return true;
      chain_.pop_back();
    }
    if (!found_issuer) {
      note(PathFault::no_path, chain_.size() - 1,
           current.self_issued() ? quoted(current) + " is self-signed and not among the trust anchors"
                                 : "no trusted issuer of " + quoted(current) + " was found: \"" +
                                       current.issuer().to_text() + "\" is missing");
    }
    return false;
  }

  /// Possible issuers by name; anchors first, those the authority key identifier points at before the others.
  std::vector<Certificate> candidates(const Certificate& current) const {
    std::vector<Certificate> hinted, others;
    const auto& hint = current.authority_key_id();
    for (const auto* list : {&anchors_, &intermediates_}) {
      for (const Certificate& one : *list) {
        if (!(one.subject() == current.issuer()) || contains(hinted, one) || contains(others, one)) continue;
        const bool matches = hint && !hint->key_id.empty() && hint->key_id == one.subject_key_id();
        (matches ? hinted : others).push_back(one);
      }
    }
    hinted.insert(hinted.end(), others.begin(), others.end());
    return hinted;
  }

  /// The chain is whole, its names and signatures are right: the rest of RFC 5280 §6.1, from the anchor down.
  bool accept() {
    std::size_t intermediates_below = 0;
    for (std::size_t i = 1; i + 1 < chain_.size(); ++i) intermediates_below += chain_[i].self_issued() ? 0 : 1;
    for (std::size_t i = chain_.size(); i-- > 0;) {
      const Certificate& one = chain_[i];
      const bool anchor = i + 1 == chain_.size();
      if (at_ < one.not_before()) {
        return note(PathFault::not_yet_valid, i,
                    quoted(one) + " is valid from " + format_time(one.not_before()) + " on");
      }
      if (at_ > one.not_after()) {
        return note(PathFault::expired, i, quoted(one) + " expired at " + format_time(one.not_after()));
      }
      if (!check_strength(one, i, anchor)) return false;
      for (const std::string& oid : one.unknown_critical_extensions()) {
        return note(PathFault::critical_extension, i,
                    quoted(one) + " has a critical extension not understood here: " + oid);
      }
      for (const std::string_view oid : {kNameConstraintsOid, kPolicyConstraintsOid}) {
        if (one.find_extension(oid) != nullptr) {
          return note(PathFault::critical_extension, i,
                      quoted(one) + " constrains the path in a way not understood here: " + std::string(oid));
        }
      }
      if (i > 0 && !check_ca(one, i, anchor, intermediates_below)) return false;
      if (i > 0 && !anchor && !one.self_issued()) --intermediates_below;
    }
    if (!check_purpose()) return false;
    best_ = PathResult{.fault = PathFault::none, .chain = chain_, .reason = {}, .at = 0};
    return true;
  }

  bool check_ca(const Certificate& one, std::size_t i, bool anchor, std::size_t intermediates_below) {
    // A version 1 anchor has no extensions to say that it is a CA; being an anchor says so.
    if (!(anchor && one.version() < 3) && !one.is_ca()) {
      return note(PathFault::not_a_ca, i, quoted(one) + " issued a certificate and is not a CA (basicConstraints)");
    }
    if (!one.allows(KeyUsage::key_cert_sign)) {
      return note(PathFault::not_a_ca, i, quoted(one) + " may not sign certificates (keyUsage)");
    }
    // What lies below this CA, without itself: as it is counted down, an intermediate still counts itself.
    const std::size_t below = intermediates_below - (anchor || one.self_issued() ? 0 : 1);
    if (one.basic_constraints() && one.basic_constraints()->path_length &&
        below > *one.basic_constraints()->path_length) {
      return note(PathFault::not_a_ca, i,
                  quoted(one) + " allows fewer CAs below it than there are (path length " +
                      std::to_string(*one.basic_constraints()->path_length) + ")");
    }
    return true;
  }

  bool check_strength(const Certificate& one, std::size_t i, bool anchor) {
    const auto key = one.public_key();
    if (!key) return note(PathFault::unsupported, i, "the key of " + quoted(one) + ": " + key.error().message);
    if (key->family() == KeyFamily::rsa && key->bits() < 2048) {
      return note(PathFault::weak_algorithm, i, quoted(one) + " has a key of " + std::to_string(key->bits()) + " bits");
    }
    const int year = year_of(at_);
    if (key->type() && row_of(*key->type()).sunset_year != 0 && year > row_of(*key->type()).sunset_year) {
      return note(PathFault::weak_algorithm, i, quoted(one) + " has a key no longer accepted: " + key->type_name());
    }
    if (anchor || !one.signature_algorithm()) return true;
    const HashRow& hash = row_of(row_of(*one.signature_algorithm()).hash);
    if (hash.sunset_year != 0 && year > hash.sunset_year) {
      return note(PathFault::weak_algorithm, i, quoted(one) + " is signed with " + std::string(hash.name));
    }
    return true;
  }

  bool check_purpose() {
    const Certificate& leaf = chain_.front();
    const auto& purposes = leaf.extended_key_usage();
    const auto has = [&](std::string_view oid) {
      return std::find(purposes.begin(), purposes.end(), oid) != purposes.end();
    };
    switch (purpose_) {
      case Purpose::any:
        return true;
      case Purpose::sign_document:
        if (!leaf.allows(KeyUsage::digital_signature) && !leaf.allows(KeyUsage::non_repudiation)) {
          return note(PathFault::key_usage, 0, "the key of " + quoted(leaf) + " is not for signatures (keyUsage)");
        }
        // A log-in key signs whatever a server sends it: that must not come out as a signed document.
        if (!purposes.empty() && std::all_of(purposes.begin(), purposes.end(), [](const std::string& oid) {
              return std::find(kOtherThanDocuments.begin(), kOtherThanDocuments.end(), oid) !=
                     kOtherThanDocuments.end();
            })) {
          return note(PathFault::key_usage, 0, "the key of " + quoted(leaf) + " is not for documents (extKeyUsage)");
        }
        return true;
      case Purpose::authenticate:
        if (!leaf.allows(KeyUsage::digital_signature)) {
          return note(PathFault::key_usage, 0, "the key of " + quoted(leaf) + " is not for logging in (keyUsage)");
        }
        if (purposes.empty() || has(kClientAuthOid) || has(kAnyPurposeOid)) return true;
        return note(PathFault::key_usage, 0, "the key of " + quoted(leaf) + " is not for logging in (extKeyUsage)");
    }
    return false;
  }

  /// Keeps the failure that came furthest; a whole chain with a fault tells more than a missing issuer. Always false.
  bool note(PathFault fault, std::size_t at, std::string reason) {
    const auto rank = [](PathFault f) {
      return f == PathFault::none                                 ? 0
             : f == PathFault::no_path                            ? 1
             : f == PathFault::signature || f == PathFault::limit ? 2
                                                                  : 3;
    };
    if (rank(fault) > rank(best_.fault) || (rank(fault) == rank(best_.fault) && chain_.size() > best_.chain.size())) {
      best_ = PathResult{.fault = fault, .chain = chain_, .reason = std::move(reason), .at = at};
    }
    return false;
  }

  const std::vector<Certificate>& intermediates_;
  const std::vector<Certificate>& anchors_;
  Time at_;
  Purpose purpose_;
  std::vector<Certificate> chain_;
  std::size_t signatures_ = 0;
  PathResult best_;
};

}  // namespace

std::string_view name_of(PathFault fault) {
  return std::find_if(kFaults.begin(), kFaults.end(), [&](const PathFaultRow& row) { return row.fault == fault; })
      ->name;
}

PathResult verify_path(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                       const std::vector<Certificate>& anchors, Time at, Purpose purpose) {
  if (anchors.empty()) {
    return PathResult{.fault = PathFault::no_trust_data,
                      .chain = {leaf},
                      .reason = "there are no trust anchors to compare " + quoted(leaf) + " with",
                      .at = 0};
  }
  return Search(intermediates, anchors, at, purpose).run(leaf);
}

}  // namespace karta::crypto
