#include "crypto/x509/path.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <mutex>
#include <set>

#include "crypto/digest.h"

namespace karta::crypto {
namespace {

constexpr std::string_view kServerAuthOid = "1.3.6.1.5.5.7.3.1";
constexpr std::string_view kClientAuthOid = "1.3.6.1.5.5.7.3.2";
constexpr std::string_view kTimeStampingOid = "1.3.6.1.5.5.7.3.8";
constexpr std::string_view kOcspSigningOid = "1.3.6.1.5.5.7.3.9";
constexpr std::string_view kAnyPurposeOid = "2.5.29.37.0";
constexpr std::string_view kExtKeyUsageOid = "2.5.29.37";
// Key purposes that are not for documents (RFC 5280 §4.2.1.12; Windows' smartcardLogon). Others are taken to be: the
// purposes of national schemes have object identifiers of their own.
constexpr auto kOtherThanDocuments = std::to_array<std::string_view>(
    {kServerAuthOid, kClientAuthOid, "1.3.6.1.5.5.7.3.3", kTimeStampingOid, kOcspSigningOid, "1.3.6.1.4.1.311.20.2.2"});

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
    {PathFault::name_constraints, "name-constraints"},
    {PathFault::policy, "policy"},
    {PathFault::revoked, "revoked"},
    {PathFault::revocation_unknown, "revocation-unknown"},
});

struct PurposeRow {
  std::string_view name;
  Purpose purpose;
};
constexpr auto kPurposes = std::to_array<PurposeRow>({
    {"any", Purpose::any},
    {"document", Purpose::sign_document},
    {"authenticate", Purpose::authenticate},
    {"time-stamp", Purpose::time_stamp},
    {"ocsp", Purpose::sign_ocsp},
    {"crl", Purpose::sign_crl},
    {"tls-server", Purpose::serve_tls},
});

std::string quoted(const Certificate& certificate) { return "\"" + certificate.subject().to_text() + "\""; }

int year_of(Time time) {
  return static_cast<int>(std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)).year());
}

bool contains(const std::vector<Certificate>& list, const Certificate& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

using Index = std::map<Bytes, std::vector<Certificate>>;  // by canonical subject

void add_to(Index& index, const Certificate& one) {
  std::vector<Certificate>& list = index[one.subject().canonical()];
  if (!contains(list, one)) list.push_back(one);
}

}  // namespace

class PathVerifier::State {
 public:
  State(std::vector<Certificate> given, std::vector<Certificate> intermediates) : anchors(std::move(given)) {
    for (const Certificate& one : anchors) add_to(anchor_index, one);
    for (const Certificate& one : intermediates) add_to(index, one);
  }

  /// True if the signature by `key` on what has this fingerprint was verified before.
  bool verified(const Bytes& fingerprint, const PublicKey& key) {
    const std::lock_guard lock(mutex_);
    return verified_.contains({fingerprint, digest(Hash::sha256, key.spki())});
  }
  void remember(const Bytes& fingerprint, const PublicKey& key) {
    const std::lock_guard lock(mutex_);
    if (verified_.size() >= kMostRemembered) verified_.clear();
    verified_.emplace(fingerprint, digest(Hash::sha256, key.spki()));
  }

  Result<Certificate> parse(ByteView der) {
    const Bytes fingerprint = digest(Hash::sha256, der);
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = parsed_.find(fingerprint); found != parsed_.end()) return found->second;
    }
    Certificate parsed = TRY(Certificate::from_der(der));
    const std::lock_guard lock(mutex_);
    if (parsed_.size() >= kMostParsed) parsed_.clear();
    parsed_.emplace(fingerprint, parsed);
    return parsed;
  }

  std::vector<Certificate> anchors;
  Index anchor_index, index;

 private:
  static constexpr std::size_t kMostRemembered = 16'384;  ///< 64 octets each and their nodes: some 3 MiB
  static constexpr std::size_t kMostParsed = 1'024;       ///< some 10 KiB each with their keys
  std::mutex mutex_;
  std::set<std::pair<Bytes, Bytes>> verified_;
  std::map<Bytes, Certificate> parsed_;  // by SHA-256
};

namespace {

/// What one verification may spend, the paths of CRL and OCSP signers included.
struct Budget {
  std::size_t steps = kMostPathSteps;
  std::size_t signatures = kMostPathSignatures;
};

class Search {
 public:
  /// `only_anchor`: of a signer whose path must end where another does; `depth` counts such searches inside another.
  Search(PathVerifier::State& state, const Index& more, const PathOptions& options, Budget& budget,
         const Certificate* only_anchor, std::size_t depth)
      : state_(state), more_(more), options_(options), budget_(budget), only_anchor_(only_anchor), depth_(depth) {}

  PathResult run(const Certificate& leaf) {
    chain_.push_back(leaf);
    if (is_anchor(leaf)) {
      accept();
    } else {
      extend();
    }
    return std::move(best_);
  }

 private:
  bool is_anchor(const Certificate& one) const {
    return only_anchor_ != nullptr ? *only_anchor_ == one : contains(state_.anchors, one);
  }

  /// `verify` unless it is known to succeed; counts against the budget.
  template <class Verify>
  Status verify_once(const Bytes& fingerprint, const PublicKey& key, Verify verify) {
    if (state_.verified(fingerprint, key)) return {};
    TRY(verify_counted(verify));
    state_.remember(fingerprint, key);
    return {};
  }
  template <class Verify>
  Status verify_counted(Verify verify) {
    if (budget_.signatures == 0) return fail(ErrorKind::limit, "too many signatures were tried");
    --budget_.signatures;
    return verify();
  }
  Status verify_link(const Certificate& certificate, const PublicKey& key) {
    return verify_once(certificate.fingerprint(), key, [&] { return verify_certificate_signature(certificate, key); });
  }

  /// Looks for issuers of the last certificate; true once a whole chain passed.
  bool extend() {
    const Certificate current = chain_.back();
    bool found_issuer = false;
    for (const Certificate& issuer : candidates(current)) {
      if (budget_.steps == 0 || budget_.signatures == 0 || chain_.size() == kMostPathLength) {
        note(PathFault::limit, chain_.size() - 1, "the search for a path was cut off at its limit");
        return false;
      }
      --budget_.steps;
      found_issuer = true;
      const auto key = issuer.public_key();
      if (!key) {
        note(PathFault::unsupported, chain_.size() - 1,
             "the key of issuer " + quoted(issuer) + ": " + key.error().message);
        continue;
      }
      if (const Status status = verify_link(current, *key); !status) {
        const bool unknown = status.error().kind == ErrorKind::unsupported;
        note(unknown ? PathFault::unsupported : PathFault::signature, chain_.size() - 1,
             "the signature on " + quoted(current) + " is not that of " + quoted(issuer) +
                 (unknown ? ": " + status.error().message : ""));
        continue;
      }
      chain_.push_back(issuer);
      if (is_anchor(issuer) ? accept() : extend()) return true;
      chain_.pop_back();
      if (exhausted_) return false;
    }
    if (!found_issuer) {
      note(PathFault::no_path, chain_.size() - 1,
           current.self_issued() ? quoted(current) + " is self-signed and not among the trust anchors"
                                 : "no trusted issuer of " + quoted(current) + " was found: \"" +
                                       current.issuer().to_text() + "\" is missing");
    }
    return false;
  }

  /// Possible issuers by name: anchors before others, and first of all those the authority key identifier points at and
  /// that are CAs at this moment. None is left out but what is in the chain already, or there under the same name and
  /// key: such a path only turns round (RFC 4158 §2.4.2).
  std::vector<Certificate> candidates(const Certificate& current) const {
    std::vector<Certificate> out;
    const auto take = [&](const Index& index) {
      const auto found = index.find(current.issuer().canonical());
      if (found == index.end()) return;
      for (const Certificate& one : found->second) {
        const bool turns = std::any_of(chain_.begin(), chain_.end(), [&](const Certificate& below) {
          return equal(below.spki(), one.spki()) && below.subject() == one.subject();
        });
        if (!turns && !contains(out, one)) out.push_back(one);
      }
    };
    if (only_anchor_ == nullptr) {
      take(state_.anchor_index);
    } else if (only_anchor_->subject() == current.issuer()) {
      out.push_back(*only_anchor_);
    }
    take(state_.index);
    take(more_);
    const auto& hint = current.authority_key_id();
    const auto rank = [&](const Certificate& one) {
      const bool hinted = hint && !hint->key_id.empty() && hint->key_id == one.subject_key_id();
      const bool plausible = (one.is_ca() || one.version() < 3) && one.allows(KeyUsage::key_cert_sign) &&
                             options_.at >= one.not_before() && options_.at <= one.not_after();
      return (hinted ? 0 : 1) + (plausible ? 0 : 2);
    };
    std::stable_sort(out.begin(), out.end(),
                     [&](const Certificate& a, const Certificate& b) { return rank(a) < rank(b); });
    return out;
  }

  /// The chain is whole, its names and signatures are right: the rest of RFC 5280 §6.1, from the anchor down.
  bool accept() {
    policies_ = {};
    revocation_.clear();
    NameConstraintState names;
    std::size_t intermediates_below = 0;
    for (std::size_t i = 1; i + 1 < chain_.size(); ++i) intermediates_below += chain_[i].self_issued() ? 0 : 1;
    for (std::size_t i = chain_.size(); i-- > 0;) {
      const Certificate& one = chain_[i];
      const bool anchor = i + 1 == chain_.size();
      if (options_.at < one.not_before()) {
        return note(PathFault::not_yet_valid, i,
                    quoted(one) + " is valid from " + format_time(one.not_before()) + " on");
      }
      if (options_.at > one.not_after()) {
        return note(PathFault::expired, i, quoted(one) + " expired at " + format_time(one.not_after()));
      }
      if (!check_strength(one, i, anchor)) return false;
      for (const std::string& oid : one.unknown_critical_extensions()) {
        return note(PathFault::critical_extension, i,
                    quoted(one) + " has a critical extension not understood here: " + oid);
      }
      // §6.1.3 (b), (c): a CA's own roll-over certificates may bear any name of the CA.
      if (!anchor && (i == 0 || !one.self_issued())) {
        if (const Status status = names.check(one.subject(), one.subject_alternative_names()); !status) {
          return note(PathFault::name_constraints, i,
                      "a CA above may not certify the names of " + quoted(one) + ": " + status.error().message);
        }
      }
      if (i > 0 && one.name_constraints()) names.add(*one.name_constraints());
      if (i > 0 && !check_ca(one, i, anchor, intermediates_below)) return false;
      if (i > 0 && !anchor && !one.self_issued()) --intermediates_below;
    }
    policies_ = check_policies(chain_, options_.policies);
    if (!policies_.valid) return note(PathFault::policy, policies_.at, policies_.reason);
    if (!check_purpose()) return false;
    if (options_.revocation != RevocationMode::none && !check_revocations()) return false;
    PathResult good;
    good.chain = chain_;
    good.policies = std::move(policies_);
    good.revocation = std::move(revocation_);
    good.other_attempts = std::move(best_.other_attempts);
    if (!best_.reason.empty()) remember(good.other_attempts, best_.reason);
    best_ = std::move(good);
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
    const int year = year_of(options_.at);
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
    const auto unfit = [&](std::string_view what, std::string_view where) {
      return note(PathFault::key_usage, 0,
                  "the key of " + quoted(leaf) + " is not for " + std::string(what) + " (" + std::string(where) + ")");
    };
    const bool signs = leaf.allows(KeyUsage::digital_signature) || leaf.allows(KeyUsage::non_repudiation);
    switch (options_.purpose) {
      case Purpose::any:
        return true;
      case Purpose::sign_document:
        if (!signs) return unfit("signatures", "keyUsage");
        // A log-in key signs whatever a server sends it: that must not come out as a signed document.
        if (!purposes.empty() && std::all_of(purposes.begin(), purposes.end(), [](const std::string& oid) {
              return std::find(kOtherThanDocuments.begin(), kOtherThanDocuments.end(), oid) !=
                     kOtherThanDocuments.end();
            })) {
          return unfit("documents", "extKeyUsage");
        }
        return true;
      case Purpose::authenticate:
        if (!leaf.allows(KeyUsage::digital_signature)) return unfit("logging in", "keyUsage");
        return purposes.empty() || has(kClientAuthOid) || has(kAnyPurposeOid) || unfit("logging in", "extKeyUsage");
      case Purpose::time_stamp: {
        if (!signs) return unfit("signatures", "keyUsage");
        const Extension* const extension = leaf.find_extension(kExtKeyUsageOid);
        const bool only = purposes.size() == 1 && has(kTimeStampingOid) && extension->critical;
        return only || unfit("time stamps alone", "extKeyUsage, critical");
      }
      case Purpose::sign_ocsp:
        if (!signs) return unfit("signatures", "keyUsage");
        return has(kOcspSigningOid) || unfit("OCSP answers", "extKeyUsage");
      case Purpose::sign_crl:
        return leaf.allows(KeyUsage::crl_sign) || unfit("CRLs", "keyUsage");
      case Purpose::serve_tls:
        if (!leaf.allows(KeyUsage::digital_signature) && !leaf.allows(KeyUsage::key_encipherment) &&
            !leaf.allows(KeyUsage::key_agreement)) {
          return unfit("TLS", "keyUsage");
        }
        return purposes.empty() || has(kServerAuthOid) || has(kAnyPurposeOid) || unfit("servers", "extKeyUsage");
    }
    return false;
  }

  /// §6.1.3 (a)(3), from the anchor down.
  bool check_revocations() {
    static const RevocationData nothing;
    const RevocationData& data = options_.revocation_data != nullptr ? *options_.revocation_data : nothing;
    const Certificate anchor = chain_.back();
    RevocationContext context;
    context.at = options_.at;
    context.certificates = [&](const Name& subject) {
      std::vector<Certificate> out;
      for (const Index* index : {&static_cast<const Index&>(state_.index), &more_}) {
        const auto found = index->find(subject.canonical());
        if (found != index->end()) out.insert(out.end(), found->second.begin(), found->second.end());
      }
      return out;
    };
    context.verify_crl = [&](const Crl& crl, const PublicKey& key) {
      return verify_once(crl.fingerprint(), key, [&] { return verify_crl_signature(crl, key); });
    };
    context.verify_ocsp = [&](const OcspResponse& response, const PublicKey& key) {
      return verify_counted([&] { return verify_ocsp_signature(response, key); });
    };
    context.vouch = [&](const Certificate& signer, bool for_ocsp) -> Status {
      if (depth_ == kMostSignerDepth) return fail(ErrorKind::limit, "signers of lists vouch for each other too deep");
      PathOptions options = options_;
      options.purpose = for_ocsp ? Purpose::sign_ocsp : Purpose::sign_crl;
      options.policies = {};
      // RFC 6960 §4.2.2.2.1: without the extension a responder is checked as far as there is data.
      if (for_ocsp) options.revocation = signer.ocsp_no_check() ? RevocationMode::none : RevocationMode::if_known;
      const PathResult path = Search(state_, more_, options, budget_, &anchor, depth_ + 1).run(signer);
      if (path.ok()) return {};
      return fail(ErrorKind::untrusted, path.reason);
    };
    revocation_.resize(chain_.size());
    for (std::size_t i = chain_.size(); i-- > 0;) {
      revocation_[i] = check_revocation(chain_, i, data, context);
      const RevocationResult& one = revocation_[i];
      if (one.status == RevocationStatus::revoked) {
        return note(PathFault::revoked, i, quoted(chain_[i]) + " was " + one.reason + ", says " + one.source);
      }
      if (one.status == RevocationStatus::unknown && options_.revocation == RevocationMode::required) {
        return note(PathFault::revocation_unknown, i,
                    "whether " + quoted(chain_[i]) + " was revoked is not known: " + one.reason);
      }
    }
    return true;
  }

  static void remember(std::vector<std::string>& attempts, const std::string& reason) {
    if (attempts.size() < kMostAttempts && std::find(attempts.begin(), attempts.end(), reason) == attempts.end()) {
      attempts.push_back(reason);
    }
  }

  /// Keeps the failure that came furthest; a whole chain with a fault tells more than a missing issuer. Always false.
  bool note(PathFault fault, std::size_t at, std::string reason) {
    exhausted_ = exhausted_ || (fault == PathFault::limit && chain_.size() < kMostPathLength);
    const auto rank = [](PathFault f) {
      return f == PathFault::none                                 ? 0
             : f == PathFault::no_path                            ? 1
             : f == PathFault::signature || f == PathFault::limit ? 2
                                                                  : 3;
    };
    if (rank(fault) > rank(best_.fault) || (rank(fault) == rank(best_.fault) && chain_.size() > best_.chain.size())) {
      std::vector<std::string> attempts = std::move(best_.other_attempts);
      if (!best_.reason.empty()) remember(attempts, best_.reason);
      best_ = PathResult{};
      best_.fault = fault;
      best_.chain = chain_;
      best_.reason = std::move(reason);
      best_.at = at;
      best_.policies = policies_;
      best_.revocation = revocation_;
      best_.other_attempts = std::move(attempts);
    } else if (reason != best_.reason) {
      remember(best_.other_attempts, reason);
    }
    return false;
  }

  PathVerifier::State& state_;
  const Index& more_;
  const PathOptions& options_;
  Budget& budget_;
  const Certificate* only_anchor_;
  std::size_t depth_;
  std::vector<Certificate> chain_;
  PolicyOutcome policies_;
  std::vector<RevocationResult> revocation_;
  bool exhausted_ = false;
  PathResult best_;
};

}  // namespace

std::optional<Purpose> find_purpose(std::string_view name) {
  for (const PurposeRow& row : kPurposes) {
    if (row.name == name) return row.purpose;
  }
  return std::nullopt;
}

std::string_view name_of(PathFault fault) {
  return std::find_if(kFaults.begin(), kFaults.end(), [&](const PathFaultRow& row) { return row.fault == fault; })
      ->name;
}

PathVerifier::PathVerifier(std::vector<Certificate> anchors, std::vector<Certificate> intermediates)
    : state_(std::make_unique<State>(std::move(anchors), std::move(intermediates))) {}
PathVerifier::~PathVerifier() = default;
PathVerifier::PathVerifier(PathVerifier&&) noexcept = default;
PathVerifier& PathVerifier::operator=(PathVerifier&&) noexcept = default;

const std::vector<Certificate>& PathVerifier::anchors() const { return state_->anchors; }
Result<Certificate> PathVerifier::parse(ByteView der) const { return state_->parse(der); }

PathResult PathVerifier::verify(const Certificate& leaf, const std::vector<Certificate>& more,
                                const PathOptions& options) const {
  if (state_->anchors.empty()) {
    PathResult out;
    out.fault = PathFault::no_trust_data;
    out.chain = {leaf};
    out.reason = "there are no trust anchors to compare " + quoted(leaf) + " with";
    return out;
  }
  Index index;
  for (const Certificate& one : more) add_to(index, one);
  Budget budget;
  return Search(*state_, index, options, budget, nullptr, 0).run(leaf);
}

PathResult verify_path(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                       const std::vector<Certificate>& anchors, const PathOptions& options) {
  return PathVerifier(anchors, intermediates).verify(leaf, options);
}

PathResult verify_path(const Certificate& leaf, const std::vector<Certificate>& intermediates,
                       const std::vector<Certificate>& anchors, Time at, Purpose purpose) {
  PathOptions options;
  options.at = at;
  options.purpose = purpose;
  return verify_path(leaf, intermediates, anchors, options);
}

}  // namespace karta::crypto
