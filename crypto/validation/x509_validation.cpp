// X.509 certificate validation (EN 319 102-1 §5.2.6), revocation freshness (§5.2.5), and past certificate and signature
// validation (§5.6.2): the signer's path now, or at the time a time-stamp proves.
#include <algorithm>

#include "crypto/validation/building_blocks.h"

namespace karta::crypto {
namespace {

struct PathFaultRow {
  PathFault fault;
  SubIndication sub;
};
constexpr auto kRows = std::to_array<PathFaultRow>({
    {PathFault::no_trust_data, SubIndication::no_certificate_chain_found},
    {PathFault::no_path, SubIndication::no_certificate_chain_found},
    {PathFault::signature, SubIndication::no_certificate_chain_found},
    {PathFault::expired, SubIndication::out_of_bounds_no_poe},
    {PathFault::not_yet_valid, SubIndication::out_of_bounds_no_poe},
    {PathFault::not_a_ca, SubIndication::chain_constraints_failure},
    {PathFault::key_usage, SubIndication::chain_constraints_failure},
    {PathFault::critical_extension, SubIndication::chain_constraints_failure},
    {PathFault::weak_algorithm, SubIndication::crypto_constraints_failure_no_poe},
    {PathFault::unsupported, SubIndication::certificate_chain_general_failure},
    {PathFault::limit, SubIndication::certificate_chain_general_failure},
    {PathFault::name_constraints, SubIndication::chain_constraints_failure},
    {PathFault::policy, SubIndication::chain_constraints_failure},
    {PathFault::revoked, SubIndication::revoked_no_poe},
    {PathFault::revocation_unknown, SubIndication::try_later},
});

/// What would not count against the signature if it is older (§5.5.4).
constexpr bool may_be_past(PathFault fault) {
  return fault == PathFault::expired || fault == PathFault::revoked || fault == PathFault::weak_algorithm;
}

/// When the certificate at fault was revoked.
std::optional<Time> revocation_time(const PathResult& path) {
  if (path.fault != PathFault::revoked || path.at >= path.revocation.size()) return std::nullopt;
  return path.revocation[path.at].revoked_at;
}

bool all_good(const PathResult& path) {
  return path.ok() && !path.revocation.empty() &&
         std::all_of(path.revocation.begin(), path.revocation.end(), [](const RevocationResult& one) {
           return one.status == RevocationStatus::good || one.status == RevocationStatus::not_asked;
         });
}

class CertificateValidation {
 public:
  explicit CertificateValidation(SignatureUnderValidation& signature)
      : it_(signature), context_(signature.context), leaf_(*signature.certificate) {}

  void run() {
    path_ = context_.path(leaf_, Purpose::sign_document, context_.now(), mode());
    if (it_.report.best_signature_time && may_be_past(path_.fault)) look_back();
    it_.report.chain = path_.chain;
    it_.revocation_known = all_good(path_);
    if (path_.ok()) {
      check_anchor();
      check_freshness();
    } else if (!hidden_by_past_) {
      report_fault();
    }
    check_times();
    it_.report.revocation = std::move(path_.revocation);
  }

 private:
  RevocationMode mode() const { return context_.policy().revocation; }

  // --- §5.6.2.1, §5.6.2.4 ---

  /// The certificate is judged as of the moment the signature is proven to have existed.
  void look_back() {
    const Time then = *it_.report.best_signature_time;
    PathResult past = context_.path(leaf_, Purpose::sign_document, then, mode());
    if (!past.ok()) return;
    it_.enter(BuildingBlock::past_validation);
    if (const auto revoked = revocation_time(path_); revoked && path_.at != 0 && !survives(past, then, *revoked)) {
      it_.enter(BuildingBlock::x509_validation);
      hidden_by_past_ = true;
      return;
    }
    it_.find(Severity::note, "validated-in-the-past",
             std::string(name_of(path_.fault)) + " since, but good at " + format_time(then) +
                 ", when a time-stamp proves the signature existed");
    it_.enter(BuildingBlock::x509_validation);
    path_ = std::move(past);
  }

  /// A CA of the path was revoked at `revoked`: whoever has its key can issue certificates, lists and answers as of any
  /// time. What vouches for the certificates below it counts only if it is proven to be older (§5.6.2.2).
  bool survives(const PathResult& past, Time then, Time revoked) {
    if (then > revoked) return true;  // judged as of then, and found good: the list says from when on
    const PathResult proven = context_.path_with_older_data(leaf_, Purpose::sign_document, then, mode(), revoked);
    const bool same = proven.ok() && past.revocation.size() > path_.at && proven.revocation.size() == past.revocation.size() &&
                      std::equal(proven.revocation.begin(), proven.revocation.begin() + static_cast<long>(path_.at),
                                 past.revocation.begin(), [](const RevocationResult& a, const RevocationResult& b) {
                                   return a.status == b.status;
                                 });
    // The signer's certificate itself is named by its digest in what was time-stamped.
    if (same && it_.reference) return true;
    it_.fault(SubIndication::no_poe, "no-proof-of-existence",
              "a CA of the path was revoked at " + format_time(revoked) + ", and nothing proves that " +
                  (it_.reference ? "what is known about the certificates below it is older"
                                 : "the signer's certificate is older"));
    return false;
  }

  // --- §5.2.6 ---

  SubIndication sub_of_fault() const {
    SubIndication sub = sub_indication_of(path_);
    // Known not to have been revoked while it was valid?
    if (path_.fault == PathFault::expired && path_.at == 0) {
      const PathResult last = context_.path(leaf_, Purpose::sign_document, leaf_.not_after(), RevocationMode::if_known);
      if (!last.revocation.empty() && last.revocation.front().status == RevocationStatus::good) {
        sub = SubIndication::out_of_bounds_not_revoked;
      }
    }
    return sub;
  }

  /// §5.3.4: a content time-stamp proves that the signature was made after what ended its right.
  SubIndication sharpen(SubIndication sub) const {
    if (!it_.made_after) return sub;
    if (path_.fault == PathFault::revoked && path_.at == 0 && revocation_time(path_) <= it_.made_after) {
      return SubIndication::revoked;
    }
    if (path_.fault == PathFault::expired && path_.at == 0 && leaf_.not_after() < *it_.made_after) {
      return SubIndication::expired;
    }
    return sub;
  }

  void report_fault() {
    // Before the signer's certificate there was no right to sign, whatever else was missing: check_times says so.
    if (path_.fault == PathFault::not_yet_valid && it_.best_time() < leaf_.not_before()) return;
    it_.fault(sharpen(sub_of_fault()), std::string(name_of(path_.fault)), path_.reason);
  }

  /// The anchor's own last day, and that of the list it comes from.
  void check_anchor() {
    const auto end = context_.anchor_end(path_.chain);
    const std::string anchor = "\"" + path_.chain.back().subject().to_text() + "\"";
    if (end && context_.now() > *end) {
      if (it_.report.best_signature_time && *it_.report.best_signature_time <= *end) {
        it_.find(Severity::note, "validated-in-the-past",
                 anchor + " was trusted until " + format_time(*end) + ", and the signature is older");
      } else {
        it_.fault(
            SubIndication::no_certificate_chain_found_no_poe, "no-longer-trusted",
            anchor + " was trusted until " + format_time(*end) + ", and nothing proves that the signature is older");
      }
    }
    if (!context_.stale_trust()) return;
    const std::string words =
        "the list of whom to trust was due to be replaced at " + format_time(*context_.trust().due);
    if (context_.policy().accept_stale_trust) {
      it_.find(Severity::warning, "stale-trust-data", words);
    } else {
      it_.fault(SubIndication::certificate_chain_general_failure, "stale-trust-data", words);
    }
  }

  // --- §5.2.5 ---

  void check_freshness() {
    const auto& most = context_.policy().most_revocation_age;
    if (!most || path_.revocation.empty() || path_.revocation.front().status != RevocationStatus::good) return;
    const RevocationResult& known = path_.revocation.front();
    const Time wanted = it_.best_time() - *most;
    if (known.this_update && *known.this_update >= wanted) return;
    it_.fault(SubIndication::try_later, "revocation-too-old",
              known.source + " is older than the " + std::to_string(most->count()) + " hours the policy allows");
  }

  // --- §5.5.4: what is proven against what is said ---

  void check_times() {
    const Time best = it_.best_time();
    if (best < leaf_.not_before()) {
      it_.fault(SubIndication::not_yet_valid, "certificate-not-yet-valid",
                "the signature existed at " + format_time(best) + ", and the certificate is valid from " +
                    format_time(leaf_.not_before()) + " on");
    }
    if (!it_.report.claimed_signing_time) return;
    const Time claimed = *it_.report.claimed_signing_time;
    if (claimed < leaf_.not_before() || claimed > leaf_.not_after()) {
      it_.find(Severity::warning, "signing-time-outside-validity",
               "the claimed signing time lies outside the certificate's validity");
    }
    if (claimed > context_.now()) {
      it_.find(Severity::warning, "signing-time-in-future", "the claimed signing time lies in the future");
    }
  }

  SignatureUnderValidation& it_;
  const ValidationContext& context_;
  const Certificate& leaf_;
  PathResult path_;
  bool hidden_by_past_ = false;  // the fault was reported as NO_POE
};

}  // namespace

SubIndication sub_indication_of(const PathResult& path) {
  if (path.fault == PathFault::revoked && path.at != 0) return SubIndication::revoked_ca_no_poe;
  return std::find_if(kRows.begin(), kRows.end(), [&](const PathFaultRow& one) { return one.fault == path.fault; })
      ->sub;
}

void validate_certificate(SignatureUnderValidation& signature) {
  if (!signature.certificate) return;
  signature.enter(BuildingBlock::x509_validation);
  CertificateValidation(signature).run();
}

}  // namespace karta::crypto
