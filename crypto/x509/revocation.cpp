#include "crypto/x509/revocation.h"

#include <algorithm>

#include "crypto/digest.h"
#include "crypto/pem.h"

namespace karta::crypto {
namespace {

constexpr std::string_view kOcspSigningOid = "1.3.6.1.5.5.7.3.9";

std::string quoted(const Name& name) { return "\"" + name.to_text() + "\""; }

/// A magnitude in decimal where it is small, else in hexadecimal.
std::string number_text(ByteView number) {
  if (number.size() > 7) return to_hex(number);
  std::uint64_t value = 0;
  for (const std::uint8_t octet : number) value = value << 8 | octet;
  return std::to_string(value);
}

std::string describe(const Crl& crl) {
  return std::string(crl.is_delta() ? "delta CRL" : "CRL") +
         (crl.number().empty() ? "" : " " + number_text(crl.number())) + " of " + quoted(crl.issuer());
}

/// One certificate's question, put to everything at hand.
class Check {
 public:
  Check(const std::vector<Certificate>& path, std::size_t position, const RevocationData& data,
        const RevocationContext& context)
      : path_(path),
        position_(position),
        certificate_(path[position]),
        issuer_(path[position + 1]),
        data_(data),
        context_(context) {}

  RevocationResult run() {
    std::optional<RevocationResult> good;
    for (const OcspResponse& response : data_.ocsp()) {
      if (!consult(response)) continue;
      if (answer_->status == RevocationStatus::revoked) return std::move(*answer_);
      if (!good) good = std::move(answer_);
    }
    if (consult_crls() && (!good || answer_->status == RevocationStatus::revoked)) return std::move(*answer_);
    if (good) return std::move(*good);
    RevocationResult out;
    out.status = RevocationStatus::unknown;
    out.reason = tried_.empty() ? "no CRL and no OCSP answer about it is at hand" : tried_;
    return out;
  }

 private:
  /// Why something at hand does not serve. Always false.
  bool no(const std::string& what) {
    constexpr std::size_t kMostWords = 2'000;
    if (tried_.size() < kMostWords) tried_ += (tried_.empty() ? "" : "; ") + what;
    return false;
  }
  bool yes(RevocationResult result) {
    answer_ = std::move(result);
    return true;
  }

  // --- OCSP: RFC 6960 §3.2 ---

  bool consult(const OcspResponse& response) {
    const auto single = std::find_if(response.singles().begin(), response.singles().end(),
                                     [&](const auto& one) { return names(one.id, certificate_, issuer_); });
    if (single == response.singles().end()) return false;  // speaks of others
    const std::string source = "the OCSP answer of " + format_time(response.produced_at());
    if (!response.unknown_critical_extensions().empty()) {
      return no(source + " has a critical extension not understood: " + response.unknown_critical_extensions().front());
    }
    if (const auto why = unfit_signer(response); !why.empty()) return no(source + ": " + why);
    // An answer given after the moment serves too: it says whether and when.
    if (single->next_update && *single->next_update < context_.at) {
      return no(source + " is stale: the next was due at " + format_time(*single->next_update));
    }
    if (!single->next_update && single->this_update + kFreshWithoutNextUpdate < context_.at) {
      return no(source + " is too old, and does not say when the next is due");
    }
    RevocationResult out;
    out.source = source;
    out.this_update = single->this_update;
    out.next_update = single->next_update;
    switch (single->state.status) {
      case OcspCertificateStatus::unknown:
        return no(source + " does not know the certificate");
      case OcspCertificateStatus::good:
        out.status = RevocationStatus::good;
        out.reason = "good";
        return yes(std::move(out));
      case OcspCertificateStatus::revoked:
        break;
    }
    return revoked(std::move(out), single->state.revoked_at, single->state.reason.value_or(CrlReason::unspecified));
  }

  /// Empty if the answer's signer may give it: the CA itself, or a responder the CA named (RFC 6960 §4.2.2.2).
  std::string unfit_signer(const OcspResponse& response) {
    std::vector<Certificate> candidates = {issuer_};
    for (const Certificate& one : response.certificates()) {
      if (!(one == issuer_)) candidates.push_back(one);
    }
    std::string why = "its responder is neither the CA nor a responder of the CA";
    for (const Certificate& one : candidates) {
      if (!response.responder_is(one)) continue;
      const auto key = one.public_key();
      if (!key || !context_.verify_ocsp(response, *key)) {
        why = "its signature is not that of " + quoted(one.subject());
        continue;
      }
      if (equal(one.spki(), issuer_.spki()) && one.subject() == issuer_.subject()) return {};
      const auto issuer_key = issuer_.public_key();
      if (!(one.issuer() == issuer_.subject()) || !issuer_key || !verify_certificate_signature(one, *issuer_key)) {
        why = quoted(one.subject()) + " is no responder named by the CA";
        continue;
      }
      const auto& purposes = one.extended_key_usage();
      if (std::find(purposes.begin(), purposes.end(), kOcspSigningOid) == purposes.end()) {
        why = quoted(one.subject()) + " is not meant for OCSP answers (extKeyUsage)";
        continue;
      }
      if (const Status status = context_.vouch(one, true); !status) {
        why = quoted(one.subject()) + ": " + status.error().message;
        continue;
      }
      return {};
    }
    return why;
  }

  // --- CRLs: RFC 5280 §6.3.3 ---

  bool consult_crls() {
    std::vector<DistributionPoint> points = certificate_.distribution_points();
    const bool named = !points.empty();
    // Lists of the CA outside any distribution point (§6.3.3, at its end).
    if (points.empty() || std::none_of(points.begin(), points.end(), [](const DistributionPoint& point) {
          return !point.reasons && point.crl_issuer.empty();
        })) {
      DistributionPoint own;
      own.name.full_name = {GeneralName::directory_name(certificate_.issuer().der())};
      points.push_back(std::move(own));
    }
    ReasonMask seen = 0;
    RevocationResult good;
    for (const DistributionPoint& point : points) {
      std::vector<Name> issuers;
      if (point.crl_issuer.empty()) {
        issuers.push_back(certificate_.issuer());
      } else {
        for (const GeneralName& name : point.crl_issuer) {
          if (name.kind != GeneralName::Kind::directory_name) continue;
          if (auto parsed = Name::from_der(name.value)) issuers.push_back(std::move(*parsed));
        }
      }
      for (const Name& issuer : issuers) {
        const std::vector<Crl>& crls = data_.crls_of(issuer);
        // Two lists of one issuer and scope: the newer one speaks.
        for (const Crl* crl : newest_first(crls)) {
          if (crl->is_delta()) continue;
          ReasonMask covers = 0;
          if (!in_scope(*crl, point, named, covers) || (covers & static_cast<ReasonMask>(~seen)) == 0) continue;
          if (!usable(*crl)) continue;
          const Crl* const delta = delta_to(*crl, crls);
          const Crl& latest = delta != nullptr ? *delta : *crl;
          RevocationResult out;
          out.source = describe(*crl) + (delta != nullptr ? " and its " + describe(*delta) : "");
          out.this_update = latest.this_update();
          out.next_update = latest.next_update();
          const CrlEntry* entry =
              delta != nullptr ? delta->find(certificate_.issuer(), certificate_.serial()) : nullptr;
          const bool removed = entry != nullptr && entry->reason == CrlReason::remove_from_crl;
          if (entry == nullptr) entry = crl->find(certificate_.issuer(), certificate_.serial());
          if (entry != nullptr && !removed) {
            if (entry->revoked_at <= context_.at) return revoked(std::move(out), entry->revoked_at, entry->reason);
            out.reason = "revoked later, at " + format_time(entry->revoked_at);
          } else {
            out.reason = "not listed";
          }
          out.status = RevocationStatus::good;
          if (seen == 0) {
            good = std::move(out);
          } else {
            good.source += ", " + out.source;
          }
          seen = static_cast<ReasonMask>(seen | covers);
          if (seen == kAllReasons) return yes(std::move(good));
        }
      }
    }
    if (seen != 0) no(good.source + " covers some reasons only");
    return false;
  }

  static std::vector<const Crl*> newest_first(const std::vector<Crl>& crls) {
    std::vector<const Crl*> out;
    for (const Crl& crl : crls) out.push_back(&crl);
    std::stable_sort(out.begin(), out.end(),
                     [](const Crl* a, const Crl* b) { return a->this_update() > b->this_update(); });
    return out;
  }

  /// §6.3.3 (b), (d): does the list speak of this certificate, under this distribution point, and for which reasons?
  bool in_scope(const Crl& crl, const DistributionPoint& point, bool named, ReasonMask& covers) {
    covers = point.reasons.value_or(kAllReasons);
    const auto& scope = crl.issuing_distribution_point();
    if (!point.crl_issuer.empty() && !(crl.issuer() == certificate_.issuer()) && !(scope && scope->indirect)) {
      return no(describe(crl) + " is not indirect, and of another issuer");
    }
    if (!scope) return true;
    if (!scope->name.empty()) {
      const auto of_list = names_of(scope->name, crl.issuer().der());
      std::vector<GeneralName> of_point = point.crl_issuer;
      if (!point.name.empty()) {
        const Bytes& under = point.crl_issuer.empty() ? certificate_.issuer().der() : crl.issuer().der();
        const auto names = names_of(point.name, under);
        of_point = names ? *names : std::vector<GeneralName>{};
      }
      if (!of_list || !share_a_name(*of_list, of_point)) {
        return named ? no(describe(crl) + " is of another distribution point") : no(describe(crl) + " is a partition");
      }
    }
    if (scope->only_attribute_certificates) return no(describe(crl) + " is of attribute certificates");
    if (scope->only_user_certificates && certificate_.is_ca())
      return no(describe(crl) + " is of user certificates only");
    if (scope->only_ca_certificates && !certificate_.is_ca()) return no(describe(crl) + " is of CA certificates only");
    covers = static_cast<ReasonMask>(covers & scope->only_some_reasons.value_or(kAllReasons));
    return true;
  }

  /// Extensions, dates, signature and signer of a list.
  bool usable(const Crl& crl) {
    if (!crl.unknown_critical_extensions().empty()) {
      return no(describe(crl) +
                " has a critical extension not understood: " + crl.unknown_critical_extensions().front());
    }
    if (!crl.next_update()) return no(describe(crl) + " does not say when the next is due");
    if (*crl.next_update() < context_.at) {
      return no(describe(crl) + " is stale: the next was due at " + format_time(*crl.next_update()));
    }
    // A list issued after the moment serves; but a certificate expired by then may have left it (§3.3).
    if (crl.this_update() > context_.at && certificate_.not_after() < crl.this_update()) {
      return no(describe(crl) + " was issued when the certificate had expired");
    }
    const std::string why = unfit_signer(crl);
    return why.empty() || no(describe(crl) + ": " + why);
  }

  /// §6.3.3 (f), (g). Empty if the signer may.
  std::string unfit_signer(const Crl& crl) {
    std::vector<Certificate> candidates;
    const auto add = [&](const Certificate& one) {
      if (one.subject() == crl.issuer() && std::find(candidates.begin(), candidates.end(), one) == candidates.end()) {
        candidates.push_back(one);
      }
    };
    for (std::size_t i = 0; i < path_.size(); ++i) add(path_[i]);
    for (const Certificate& one : context_.certificates(crl.issuer())) add(one);
    if (const auto& hint = crl.authority_key_id(); hint && !hint->key_id.empty()) {
      std::stable_partition(candidates.begin(), candidates.end(),
                            [&](const Certificate& one) { return one.subject_key_id() == hint->key_id; });
    }
    std::string why = "no certificate of its issuer is at hand";
    for (const Certificate& one : candidates) {
      const auto key = one.public_key();
      if (!key) continue;
      if (const Status status = context_.verify_crl(crl, *key); !status) {
        if (status.error().kind != ErrorKind::invalid_signature) return status.error().message;
        why = "its signature is not that of " + quoted(one.subject());
        continue;
      }
      if (!one.allows(KeyUsage::crl_sign)) {
        why = quoted(one.subject()) + " may not sign CRLs (keyUsage)";
        continue;
      }
      // Those above in this path were checked before. The certificate in question may speak of itself only where it
      // names another CRL issuer than its own, and is that issuer: a CA's revoked CRL signer must not clear itself.
      const auto in_path = std::find(path_.begin(), path_.end(), one) - path_.begin();
      const auto own = static_cast<std::ptrdiff_t>(position_);
      if (in_path < std::ssize(path_) && in_path > own) return {};
      if (in_path == own && !(crl.issuer() == certificate_.issuer())) return {};
      if (in_path == own) {
        why = quoted(one.subject()) + " speaks of itself";
        continue;
      }
      if (const Status status = context_.vouch(one, false); !status) {
        why = quoted(one.subject()) + ": " + status.error().message;
        continue;
      }
      return {};
    }
    return why;
  }

  /// §6.3.3 (c): the newest delta that goes with the complete list.
  const Crl* delta_to(const Crl& crl, const std::vector<Crl>& all) {
    const Crl* best = nullptr;
    for (const Crl& delta : all) {
      if (!delta.is_delta() || crl.number().empty() || delta.number().empty()) continue;
      const auto scope = [](const Crl& one) {
        return one.issuing_distribution_point() ? one.issuing_distribution_point()->der : Bytes{};
      };
      const auto key_id = [](const Crl& one) {
        return one.authority_key_id() ? one.authority_key_id()->key_id : Bytes{};
      };
      if (scope(delta) != scope(crl) || key_id(delta) != key_id(crl)) continue;
      if (compare_numbers(crl.number(), delta.base_number()) < 0) {
        no(describe(delta) + " builds on a later list than " + describe(crl));
        continue;
      }
      if (compare_numbers(crl.number(), delta.number()) >= 0) continue;
      if (best != nullptr && compare_numbers(delta.number(), best->number()) <= 0) continue;
      if (usable(delta)) best = &delta;
    }
    return best;
  }

  bool revoked(RevocationResult out, Time when, CrlReason reason) {
    if (when > context_.at) {
      out.status = RevocationStatus::good;
      out.reason = "revoked later, at " + format_time(when);
      return yes(std::move(out));
    }
    out.status = RevocationStatus::revoked;
    out.revoked_at = when;
    out.revocation_reason = reason;
    out.reason = "revoked at " + format_time(when) + " (" + std::string(name_of(reason)) + ")";
    return yes(std::move(out));
  }

  /// An answer without nextUpdate means "newer is always to be had" (RFC 6960 §2.4): taken for a day.
  static constexpr std::chrono::hours kFreshWithoutNextUpdate{24};

  const std::vector<Certificate>& path_;
  std::size_t position_;
  const Certificate& certificate_;
  const Certificate& issuer_;
  const RevocationData& data_;
  const RevocationContext& context_;
  std::optional<RevocationResult> answer_;
  std::string tried_;
};

}  // namespace

std::string_view name_of(RevocationStatus status) {
  constexpr std::string_view kNames[] = {"good", "revoked", "unknown", "not-asked"};
  return kNames[static_cast<std::size_t>(status)];
}

void RevocationData::add(Crl crl) {
  std::vector<Crl>& list = crls_[crl.issuer().canonical()];
  if (std::find(list.begin(), list.end(), crl) == list.end()) list.push_back(std::move(crl));
}

void RevocationData::add(OcspResponse response) {
  if (response.successful()) ocsp_.push_back(std::move(response));
}

Status RevocationData::add_file_octets(ByteView octets) {
  if (auto crl = Crl::from_file_octets(octets)) {
    add(std::move(*crl));
    return {};
  }
  auto response = OcspResponse::from_der(octets);
  if (!response) return fail(ErrorKind::malformed, "neither a CRL nor an OCSP answer");
  add(std::move(*response));
  return {};
}

const std::vector<Crl>& RevocationData::crls_of(const Name& issuer) const {
  static const std::vector<Crl> none;
  const auto found = crls_.find(issuer.canonical());
  return found == crls_.end() ? none : found->second;
}

RevocationResult check_revocation(const std::vector<Certificate>& path, std::size_t position,
                                  const RevocationData& data, const RevocationContext& context) {
  if (position + 1 >= path.size()) {
    RevocationResult out;
    out.status = RevocationStatus::not_asked;
    out.reason = "a trust anchor is trusted by being given";
    return out;
  }
  return Check(path, position, data, context).run();
}

}  // namespace karta::crypto
