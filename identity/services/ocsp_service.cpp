#include "identity/services/ocsp_service.h"

#include "crypto/digest.h"

namespace karta::identity {

using crypto::OcspRequest;

struct OcspService::Authority {
  crypto::Certificate certificate;
  std::unique_ptr<crypto::Signer> signer;
  std::shared_ptr<crypto::AuthorityLedger> ledger;
  OcspConfig config;
  std::vector<crypto::CertId> ids;  // under every hash, with an empty serial number
  std::optional<crypto::OcspResponder> responder;
  bool told_unknown = false;  // by the lookup of the request in hand

  bool is_of(const crypto::CertId& id) const {
    for (const crypto::CertId& own : ids) {
      if (own.hash == id.hash) {
        return own.issuer_name_hash == id.issuer_name_hash && own.issuer_key_hash == id.issuer_key_hash;
      }
    }
    return false;
  }
};

std::optional<PreparedAnswers::Answer> PreparedAnswers::find(const std::string& request) const {
  const std::lock_guard lock(mutex_);
  const auto found = answers_.find(request);
  if (found == answers_.end()) return std::nullopt;
  return found->second;
}

void PreparedAnswers::put(std::string request, Answer answer) {
  const std::lock_guard lock(mutex_);
  if (answers_.size() >= kMost) answers_.clear();
  answers_.insert_or_assign(std::move(request), std::move(answer));
}

Status OcspService::add(const crypto::Certificate& certificate, std::unique_ptr<crypto::Signer> signer,
                        std::shared_ptr<crypto::AuthorityLedger> ledger, const OcspConfig& config) {
  auto one =
      std::make_shared<Authority>(Authority{certificate, std::move(signer), std::move(ledger), config, {}, {}, false});
  for (const crypto::HashRow& row : crypto::kHashes) {
    one->ids.push_back(crypto::cert_id_of(ByteView{}, certificate, row.id));
  }
  Authority* const raw = one.get();
  const auto lookup = [raw](ByteView serial) -> Result<crypto::OcspState> {
    const crypto::OcspState state = TRY(raw->ledger->state_of(serial));
    raw->told_unknown = raw->told_unknown || state.status == crypto::OcspCertificateStatus::unknown;
    return state;
  };
  crypto::OcspResponder::Options options;
  options.validity = config.validity;
  one->responder.emplace(TRY(crypto::OcspResponder::create(certificate, *one->signer, lookup, *clock_, options)));
  TRY(one->ledger->revision());  // a ledger that cannot be read is found at the start
  authorities_.push_back(std::move(one));
  return {};
}

OcspService::Answer OcspService::answer(ByteView octets) {
  const auto error = [](crypto::OcspResponseStatus status) {
    return Answer{std::make_shared<const Bytes>(crypto::ocsp_error(status)), nullptr, {}, false};
  };
  const Time now = clock_->now();
  std::string key(as_text(octets));
  if (auto kept = prepared_->find(key)) {
    const auto revision = authorities_[kept->authority]->ledger->revision();
    if (!revision) return error(crypto::OcspResponseStatus::try_later);
    if (*revision == kept->revision && now < kept->renew_at) {
      return {std::move(kept->der), std::move(kept->fields), kept->etag, true};
    }
  }
  const auto request = OcspRequest::from_der(octets);
  if (!request) return error(crypto::OcspResponseStatus::malformed_request);
  for (std::size_t i = 0; i < authorities_.size(); ++i) {
    Authority& authority = *authorities_[i];
    if (!authority.is_of(request->certificates.front())) continue;
    // Before the state is learnt: what changes in between must show.
    std::uint64_t revision = 0;
    if (request->nonce.empty()) {
      const auto found = authority.ledger->revision();
      if (!found) return error(crypto::OcspResponseStatus::try_later);
      revision = *found;
    }
    Answer out = sign(authority, *request, octets, now);
    if (out.fields) {
      const Time renew_at = now + std::chrono::duration_cast<std::chrono::seconds>(authority.config.validity) / 2;
      prepared_->put(std::move(key), {out.der, out.fields, out.etag, i, revision, renew_at});
    }
    return out;
  }
  return error(crypto::OcspResponseStatus::unauthorized);
}

OcspService::Answer OcspService::sign(Authority& authority, const OcspRequest& request, ByteView octets, Time now) {
  authority.told_unknown = false;
  Answer out;
  out.der = std::make_shared<const Bytes>(authority.responder->answer(request));
  // An error is a status and nothing else.
  constexpr std::size_t kErrorOctets = 5;
  const bool alone = !request.nonce.empty() || request.certificates.size() != 1 || authority.told_unknown ||
                     out.der->size() <= kErrorOctets;
  // One request, one key: what could be said in other octets too would fill the store with the same answer.
  if (alone || !equal(request.to_der(), octets)) return out;
  std::string fields =
      "ETag: \"" + to_hex(ByteView(crypto::digest(crypto::Hash::sha256, *out.der)).first(16)) + "\"\r\n";
  const std::size_t etag_end = fields.size() - 2;
  fields += "Last-Modified: " + service::http_date(now.time_since_epoch().count()) + "\r\n";
  fields += "Expires: " + service::http_date((now + authority.config.max_age).time_since_epoch().count()) + "\r\n";
  fields += "Cache-Control: public, no-transform, must-revalidate, max-age=" +
            std::to_string(authority.config.max_age.count()) + "\r\n";
  out.fields = std::make_shared<const std::string>(std::move(fields));
  constexpr std::size_t kEtagStart = 6;
  out.etag = std::string_view(*out.fields).substr(kEtagStart, etag_end - kEtagStart);
  return out;
}

}  // namespace karta::identity
