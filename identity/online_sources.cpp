#include "identity/online_sources.h"

#include <algorithm>

#include "base/random.h"
#include "crypto/pem.h"
#include "crypto/x509/ocsp.h"
#include "service/http_client.h"

namespace karta::identity {
namespace {

using crypto::Certificate;
using service::HttpReply;

constexpr std::size_t kMostUrls = 4;  // tried for one certificate and one purpose: real ones have one or two
constexpr std::size_t kMostCertificateFile = 16 * Certificate::kMostOctets;
constexpr int kOk = 200;

service::HttpClientOptions client_options(const OnlineOptions& options, bool any_address, std::size_t most_octets) {
  service::HttpClientOptions out;
  out.total_time = options.request_time;
  out.connect_time = std::min(out.connect_time, options.request_time);
  out.any_address = any_address;
  out.most_octets = most_octets;
  out.certificates_file = options.certificates_file;
  return out;
}

bool is_web(const std::string& url) { return url.starts_with("http://") || url.starts_with("https://"); }

}  // namespace

struct OnlineTimestamps::Impl {
  std::string url;
  service::HttpClient client;
};

OnlineTimestamps::OnlineTimestamps(std::string url, OnlineOptions options)
    : impl_(std::make_unique<Impl>(Impl{
          std::move(url), service::HttpClient(client_options(options, true, crypto::TimeStampToken::kMostOctets))})) {}
OnlineTimestamps::~OnlineTimestamps() = default;

Result<Bytes> OnlineTimestamps::stamp(const crypto::MessageImprint& imprint) {
  SystemRandom random;
  Bytes nonce = random.bytes(8);
  nonce[0] = static_cast<std::uint8_t>((nonce[0] & 0x7F) | 0x40);  // positive, no leading zeros
  const crypto::TimeStampRequest request{.imprint = imprint, .nonce = std::move(nonce)};
  const HttpReply reply = TRY(impl_->client.post(impl_->url, "application/timestamp-query", request.to_der()));
  if (reply.status != kOk) {
    return fail(ErrorKind::io, "\"" + impl_->url + "\" answers with status " + std::to_string(reply.status),
                "is this the address of a time-stamp service (RFC 3161)?");
  }
  auto response = crypto::TimeStampResponse::from_der(reply.body);
  if (!response) {
    return fail(response.error().kind, "\"" + impl_->url + "\": " + response.error().message,
                "is this the address of a time-stamp service (RFC 3161)?");
  }
  const crypto::TimeStampToken token = TRY(crypto::token_of(request, *response));
  return token.der();
}

struct OnlineRevocation::Impl {
  OnlineOptions options;
  service::HttpClient client;
  std::chrono::steady_clock::time_point deadline{};
  bool started = false;
  std::vector<std::string> troubles = {};
  std::map<std::string, Bytes> fetched = {};  // by URL; empty: nothing usable there
  std::map<std::string, Bytes> answers = {};  // by URL and OCSP request

  Result<HttpReply> checked(Result<HttpReply> reply, const std::string& url) {
    if (!reply) return reply;
    if (reply->status != kOk) {
      return fail(ErrorKind::io, "\"" + url + "\" answers with status " + std::to_string(reply->status));
    }
    return reply;
  }
  Status in_time() {
    const auto now = std::chrono::steady_clock::now();
    if (!started) deadline = now + options.all_time;
    started = true;
    if (now < deadline) return {};
    return fail(ErrorKind::io, "fetching took longer than " + std::to_string(options.all_time.count()) + " s");
  }
  void trouble(const Error& error) {
    if (std::find(troubles.begin(), troubles.end(), error.message) == troubles.end()) {
      troubles.push_back(error.message);
    }
  }
  /// The octets at a URL; nothing if they cannot be had.
  const Bytes* get(const std::string& url) {
    const auto [place, fresh] = fetched.try_emplace(url);
    if (fresh) {
      auto reply = in_time() ? checked(client.get(url), url) : Result<HttpReply>(fail(in_time().error()));
      if (reply) {
        place->second = std::move(reply->body);
      } else {
        trouble(reply.error());
      }
    }
    return place->second.empty() ? nullptr : &place->second;
  }
  /// A successful OCSP answer about the certificate.
  Result<Bytes> ask(const std::string& url, const Certificate& certificate, const Certificate& issuer) {
    crypto::OcspRequest request;
    // No nonce: answers made beforehand serve as well, and the signature's evidence is judged by its dates.
    request.certificates.push_back(crypto::cert_id_of(certificate, issuer));
    const Bytes der = request.to_der();
    const std::string key = url + " " + to_hex(der);
    if (const auto known = answers.find(key); known != answers.end()) return known->second;
    TRY(in_time());
    const HttpReply reply = TRY(checked(client.post(url, "application/ocsp-request", der), url));
    const auto answer = TRY(crypto::OcspResponse::from_der(reply.body));
    if (!answer.successful()) {
      return fail(ErrorKind::io, "\"" + url + "\" answers: " + std::string(crypto::name_of(answer.status())));
    }
    for (const crypto::OcspSingleResponse& one : answer.singles()) {
      if (!crypto::names(one.id, certificate, issuer)) continue;
      if (one.state.status == crypto::OcspCertificateStatus::unknown) {
        return fail(ErrorKind::not_found, "\"" + url + "\" does not know the certificate");
      }
      answers[key] = answer.der();
      return answer.der();
    }
    return fail(ErrorKind::untrusted, "\"" + url + "\" answers about another certificate");
  }
  /// The list at a URL, if it is one by this issuer.
  std::optional<crypto::Crl> list(const std::string& url, const Certificate& issuer) {
    const Bytes* const octets = get(url);
    if (octets == nullptr) return std::nullopt;
    auto crl = crypto::Crl::from_file_octets(*octets);
    if (!crl) {
      trouble({ErrorKind::malformed, "\"" + url + "\": " + crl.error().message, {}});
      return std::nullopt;
    }
    const bool indirect = crl->issuing_distribution_point() && crl->issuing_distribution_point()->indirect;
    if (!indirect && !(crl->issuer() == issuer.subject())) {
      trouble({ErrorKind::untrusted, "\"" + url + "\" is a CRL of another authority", {}});
      return std::nullopt;
    }
    return *crl;
  }
};

OnlineRevocation::OnlineRevocation(OnlineOptions options)
    : impl_(std::make_unique<Impl>(Impl{
          options, service::HttpClient(client_options(options, options.any_address, crypto::Crl::kMostOctets))})) {}
OnlineRevocation::~OnlineRevocation() = default;

const std::vector<std::string>& OnlineRevocation::troubles() const { return impl_->troubles; }

Result<crypto::RevocationEvidence> OnlineRevocation::about(const Certificate& certificate, const Certificate& issuer) {
  crypto::RevocationEvidence out;
  std::size_t tried = 0;
  for (const std::string& url : certificate.ocsp_urls()) {
    if (!is_web(url) || ++tried > kMostUrls) continue;
    auto answer = impl_->ask(url, certificate, issuer);
    if (answer) {
      out.ocsp.push_back(std::move(*answer));
      return out;
    }
    impl_->trouble(answer.error());
  }
  tried = 0;
  for (const std::string& url : certificate.crl_urls()) {
    if (!is_web(url) || ++tried > kMostUrls) continue;
    const auto crl = impl_->list(url, issuer);
    if (!crl) continue;
    out.crls.push_back(crl->der());
    const auto deltas = crypto::urls_of(certificate.freshest_crl());
    for (const std::string& delta_url : deltas ? *deltas : std::vector<std::string>{}) {
      if (!is_web(delta_url)) continue;
      if (const auto delta = impl_->list(delta_url, issuer)) {
        out.crls.push_back(delta->der());
        break;
      }
    }
    break;
  }
  return out;
}

std::vector<Certificate> OnlineRevocation::issuers_of(const Certificate& certificate) {
  std::vector<Certificate> out;
  std::size_t tried = 0;
  for (const std::string& url : certificate.issuer_urls()) {
    if (!is_web(url) || ++tried > kMostUrls) continue;
    const Bytes* const octets = impl_->get(url);
    if (octets == nullptr) continue;
    if (octets->size() > kMostCertificateFile) {
      impl_->trouble({ErrorKind::limit, "\"" + url + "\" is too large for a certificate", {}});
      continue;
    }
    const auto found = Certificate::many_from_file_octets(*octets);
    if (!found) {
      impl_->trouble({ErrorKind::malformed, "\"" + url + "\": " + found.error().message, {}});
      continue;
    }
    for (const Certificate& one : *found) {
      if (one.subject() == certificate.issuer()) out.push_back(one);
    }
    if (!out.empty()) break;
  }
  return out;
}

}  // namespace karta::identity
