#include "daemon/trust/anchors.h"

#include <algorithm>

#include "base/file.h"
#include "crypto/digest.h"

namespace karta::daemon::detail {
namespace {

namespace fs = std::filesystem;
using crypto::Certificate;
using crypto::TrustService;

constexpr std::size_t kMostCertificates = std::size_t{4} << 20;

Result<std::vector<Certificate>> read_certificates(const std::vector<fs::path>& files) {
  std::vector<Certificate> out;
  for (const fs::path& file : files) {
    const Bytes octets = TRY(read_file(file, kMostCertificates));
    auto some = Certificate::many_from_file_octets(octets);
    if (!some) return fail(ErrorKind::configuration, "\"" + file.string() + "\": " + some.error().message);
    out.insert(out.end(), some->begin(), some->end());
  }
  return out;
}

/// Where no region is named, authorities under one root belong together: the root's name, and a mark of it.
std::string region_under(const Certificate& certificate) {
  const Bytes mark = crypto::digest(crypto::Hash::sha256, certificate.issuer().canonical());
  return certificate.issuer().display() + " #" + to_hex(ByteView(mark).first(4));
}

Result<std::vector<TrustAnchor>> read_anchors(const std::vector<fs::path>& files) {
  std::vector<TrustAnchor> anchors;
  const auto certificates = TRY(read_certificates(files));
  for (const Certificate& one : certificates) add_anchor(anchors, {one, region_under(one)});
  return anchors;
}

}  // namespace

Result<OwnAnchors> OwnAnchors::read(const TrustConfig& files) {
  OwnAnchors own;
  own.roots = TRY(read_certificates(files.roots));
  own.document_signers = TRY(read_anchors(files.document_signers));
  own.card_issuers = TRY(read_anchors(files.card_issuers));
  own.list_signers = TRY(read_anchors(files.stop_list_signers));
  if (files.trust_list && own.roots.empty()) {
    return fail(ErrorKind::configuration, "a trust list is configured, and no root that signs it",
                "name the national root: trust.roots");
  }
  return own;
}

void add_anchor(std::vector<TrustAnchor>& anchors, TrustAnchor anchor) {
  const bool known = std::any_of(anchors.begin(), anchors.end(), [&](const TrustAnchor& one) {
    return equal(one.certificate.der(), anchor.certificate.der());
  });
  if (!known) anchors.push_back(std::move(anchor));
}

std::string region_of_signer(const std::vector<TrustAnchor>& anchors, const Certificate& signer) {
  for (const TrustAnchor& one : anchors) {
    if (equal(one.certificate.der(), signer.der())) return one.region;
  }
  return {};
}

AnchorsOfNow anchors_of_now(const OwnAnchors& own, const std::optional<crypto::TrustList>& list, Time now) {
  AnchorsOfNow out{own.document_signers, own.card_issuers, {}};
  if (!list) return out;
  for (const crypto::TrustEntry& entry : list->entries) {
    if (now < entry.from || (entry.until && now > *entry.until)) continue;
    if (entry.service == TrustService::cvca) {
      // One that cannot be read is no use to anybody, and no reason to go without the others.
      auto certificate = card::CvCertificate::parse(entry.certificate);
      auto& known = out.cv_certificates;
      if (certificate && std::find(known.begin(), known.end(), *certificate) == known.end())
        known.push_back(std::move(*certificate));
      continue;
    }
    const bool signer = entry.service == TrustService::document_signer;
    if (!signer && entry.service != TrustService::qualified_ca && entry.service != TrustService::unqualified_ca)
      continue;
    const auto certificate = Certificate::from_der(entry.certificate);
    if (!certificate) continue;
    TrustAnchor anchor{*certificate, entry.region.empty() ? region_under(*certificate) : entry.region};
    add_anchor(signer ? out.document_signers : out.card_issuers, std::move(anchor));
  }
  return out;
}

bool same(const std::vector<TrustAnchor>& a, const std::vector<TrustAnchor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const TrustAnchor& x, const TrustAnchor& y) {
    return x.region == y.region && equal(x.certificate.der(), y.certificate.der());
  });
}

}  // namespace karta::daemon::detail
