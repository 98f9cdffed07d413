#include "identity/services/handler.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/random.h"
#include "crypto/cms/timestamp.h"
#include "crypto/digest.h"
#include "identity/authority/routes.h"
#include "identity/services/document.h"
#include "identity/services/key.h"
#include "identity/services/ledgers.h"
#include "identity/services/ocsp_service.h"
#include "service/log.h"

namespace karta::identity {

class ServiceKeys {
 public:
  std::vector<std::optional<ServiceKey>> ocsp;  // one an authority of the configuration
  std::optional<ServiceKey> time_stamp;
  std::shared_ptr<const service::HttpTls> tls;
  std::shared_ptr<const service::HttpTls> mtls;
  std::optional<AuthorityKeys> authority;
  RoomKeys rooms;
  /// Answers are of these keys: they go with them.
  std::shared_ptr<PreparedAnswers> prepared = std::make_shared<PreparedAnswers>();
};

Result<std::shared_ptr<const ServiceKeys>> open_service_keys(const ServerConfig& config, const AuthorityPorts& ports) {
  auto out = std::make_shared<ServiceKeys>();
  for (const CaConfig& one : config.authorities) {
    std::optional<ServiceKey> key;
    if (one.ocsp) key = TRY(ServiceKey::open(one.ocsp->key));
    out->ocsp.push_back(std::move(key));
  }
  if (config.time_stamp) out->time_stamp = TRY(ServiceKey::open(config.time_stamp->key));
  if (config.tls) {
    const ServiceKey key = TRY(ServiceKey::open(*config.tls));
    auto tls = std::make_shared<service::HttpTls>();
    for (const crypto::Certificate& one : key.certificates()) tls->certificates_pem += one.to_pem();
    tls->private_key = key.expose_secret_der();
    if (config.authority) {
      // Clients without a certificate are served too: lists and OCSP are for everybody.
      tls->client_certificates = service::ClientCertificates::optional;
      const Bytes roots = TRY(read_file(config.authority->tls.certificate, 16 * crypto::Certificate::kMostOctets));
      const auto certificates = TRY(crypto::Certificate::many_from_file_octets(roots));
      tls->client_roots_pem = certificates.front().to_pem();
    }
    if (config.requests && config.requests->certificates) {
      // Whose certificate it is each room looks up by the certificate itself.
      tls->client_certificates = service::ClientCertificates::optional;
      for (const std::filesystem::path& file : config.requests->roots) {
        const Bytes roots = TRY(read_file(file, 16 * crypto::Certificate::kMostOctets));
        const auto certificates = TRY(crypto::Certificate::many_from_file_octets(roots));
        for (const crypto::Certificate& one : certificates) tls->client_roots_pem += one.to_pem();
      }
    }
    if (config.openid && !config.openid->mtls_listen.empty()) {
      auto mtls = std::make_shared<service::HttpTls>();
      mtls->certificates_pem = tls->certificates_pem;
      mtls->private_key = tls->private_key.clone();
      // A portal or citizen without a certificate, or with one that is not good, is served too, and told what is wrong.
      mtls->client_certificates = service::ClientCertificates::any;
      mtls->names_client_roots = config.openid->mtls_names_roots;
      for (const std::filesystem::path& file : config.openid->mtls_roots) {
        const Bytes roots = TRY(read_file(file, 16 * crypto::Certificate::kMostOctets));
        const auto certificates = crypto::Certificate::many_from_file_octets(roots);
        if (!certificates) {
          return fail(ErrorKind::configuration, "\"" + file.string() + "\": " + certificates.error().message);
        }
        for (const crypto::Certificate& one : *certificates) mtls->client_roots_pem += one.to_pem();
      }
      out->mtls = std::move(mtls);
    }
    out->tls = std::move(tls);
  }
  if (config.authority) out->authority = TRY(open_authority_keys(*config.authority, ports));
  out->rooms = TRY(open_room_keys(config));
  return std::shared_ptr<const ServiceKeys>(std::move(out));
}

std::shared_ptr<const service::HttpTls> tls_of(const ServiceKeys& keys) { return keys.tls; }
std::shared_ptr<const service::HttpTls> mtls_of(const ServiceKeys& keys) { return keys.mtls; }
const RoomKeys& rooms_of(const ServiceKeys& keys) { return keys.rooms; }

namespace {

using service::HttpMethod;
using service::HttpRequest;
using service::HttpResponse;

constexpr std::string_view kOcspRequestType = "application/ocsp-request";
constexpr std::string_view kOcspResponseType = "application/ocsp-response";
constexpr std::string_view kTimeStampQueryType = "application/timestamp-query";
constexpr std::string_view kTimeStampReplyType = "application/timestamp-reply";

bool same_type(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
           return lower(x) == lower(y);
         });
}

HttpResponse not_found() { return HttpResponse::text(404, "there is nothing here"); }
HttpResponse not_allowed(std::string_view allowed) {
  HttpResponse out = HttpResponse::text(405, "not in this way");
  out.fields = "Allow: " + std::string(allowed) + "\r\n";
  return out;
}
HttpResponse wrong_type(std::string_view wanted) {
  return HttpResponse::text(415, "the body is to be " + std::string(wanted));
}
HttpResponse unavailable(std::string_view why) {
  HttpResponse out = HttpResponse::text(503, why);
  out.fields = "Retry-After: 5\r\n";
  return out;
}

/// The lists of one authority, as last read from its ledger.
struct ListShelf {
  struct Kind {
    std::string_view suffix;  ///< of the path, after the authority's name
    std::optional<bool> ca_certificates;
    bool delta;
  };
  static constexpr std::array<Kind, 4> kKinds = {{{".crl", std::nullopt, false},
                                                  {"/delta.crl", std::nullopt, true},
                                                  {"/ca.crl", true, false},
                                                  {"/user.crl", false, false}}};
  std::string name;
  crypto::Certificate certificate;
  std::shared_ptr<crypto::AuthorityLedger> ledger;
  bool lists = false;  ///< [ca.crl] stands in the configuration
  std::array<std::optional<Document>, kKinds.size()> documents = {};
  std::array<std::uint64_t, kKinds.size()> seen = {};  ///< the revision a document is of
  std::array<bool, kKinds.size()> known = {};

  /// The list of a kind; null if there is none.
  Result<const Document*> list(std::size_t kind) {
    const std::uint64_t revision = TRY(ledger->revision());
    if (!known[kind] || seen[kind] != revision) {
      crypto::CrlPlan plan;
      plan.ca_certificates = kKinds[kind].ca_certificates;
      plan.delta = kKinds[kind].delta;
      const auto crl = TRY(ledger->last_crl(plan));
      documents[kind].reset();
      if (crl) {
        documents[kind] = Document{std::make_shared<const Bytes>(crl->der()), etag_of(crl->der()), crl->this_update(),
                                   crl->next_update().value_or(crl->this_update())};
      }
      known[kind] = true;
      seen[kind] = revision;
    }
    return documents[kind] ? &*documents[kind] : nullptr;
  }
};

/// Browsers come by TLS alone once they have been here (RFC 6797; FAPI 2.0 Security Profile §5.2.2). The name of a
/// developer's own machine is left out: a browser would hold it to every server there.
std::string_view transport_policy_of(const ServerConfig& config) {
  if (!config.openid) return {};
  std::string_view host = std::string_view(config.openid->issuer).substr(std::string_view("https://").size());
  host = host.substr(0, host.find(':'));
  if (host == "localhost" || host.ends_with(".localhost")) return {};
  return "Strict-Transport-Security: max-age=31536000\r\n";
}

class ServiceHandler final : public service::HttpHandler {
 public:
  ServiceHandler(const ServerConfig& config, const ServiceKeys& keys, const HandlerSurroundings& around)
      : metrics_allow_(config.metrics_allow),
        body_octets_(config.limits.body_octets),
        has_trust_list_(config.trust_list.has_value()),
        has_own_page_(config.login.has_value() && !around.mtls),
        transport_policy_(transport_policy_of(config)),
        around_(around),
        clock_(around.clock),
        prepared_(keys.prepared),
        ocsp_(around.clock, *prepared_),
        rooms_served_(around.metrics.counter("karta_requests_total", "Requests, by route", {{"route", "rooms"}})),
        ocsp_signed_(around.metrics.counter("karta_ocsp_answers_total", "OCSP answers", {{"source", "signed"}})),
        ocsp_prepared_(around.metrics.counter("karta_ocsp_answers_total", "OCSP answers", {{"source", "prepared"}})),
        ocsp_failed_(around.metrics.counter("karta_ocsp_answers_total", "OCSP answers", {{"source", "error"}})),
        stamps_granted_(around.metrics.counter("karta_time_stamps_total", "Time-stamps", {{"outcome", "granted"}})),
        stamps_refused_(around.metrics.counter("karta_time_stamps_total", "Time-stamps", {{"outcome", "refused"}})) {
    for (const Route& route : kRoutes) {
      served_.push_back(
          around.metrics.counter("karta_requests_total", "Requests, by route", {{"route", std::string(route.prefix)}}));
    }
  }

  Status open(const ServerConfig& config, const ServiceKeys& keys) {
    rooms_ = TRY(Rooms::open(config, keys.rooms, {around_.clock, around_.metrics, around_.mtls}));
    if (around_.mtls) return {};
    for (std::size_t i = 0; i < config.authorities.size(); ++i) {
      const CaConfig& one = config.authorities[i];
      const crypto::Certificate certificate = TRY(read_ca_certificate(one));
      auto ledger = TRY(open_ledger(one, config.database, certificate, clock_));
      if (one.ocsp) {
        auto signer = TRY(keys.ocsp[i]->signer());
        TRY(ocsp_.add(certificate, std::move(signer), ledger, *one.ocsp));
        has_ocsp_ = true;
      }
      certificates_.push_back(Document{std::make_shared<const Bytes>(certificate.der()), etag_of(certificate.der()),
                                       certificate.not_before(), certificate.not_after()});
      lists_.push_back(ListShelf{one.name, certificate, std::move(ledger), one.crl.has_value()});
    }
    if (config.authority) {
      authority_ = TRY(
          AuthorityRoutes::open(config, *keys.authority, {around_.clock, around_.metrics, around_.shelves.authority}));
    }
    if (!config.time_stamp) return {};
    stamp_signer_ = TRY(keys.time_stamp->signer());
    crypto::TimeStampAuthority::Options options;
    options.policy = config.time_stamp->policy;
    options.accuracy = config.time_stamp->accuracy;
    options.verify_tokens = config.time_stamp->verify_tokens;
    stamps_.emplace(TRY(crypto::TimeStampAuthority::create(*stamp_signer_, options, clock_, random_)));
    return {};
  }

  HttpResponse handle(const HttpRequest& request) override {
    // A server with an authority reads larger bodies; for all but journals the limit is the same as without.
    if (request.body.size() > body_octets_ && !(authority_ && authority_->takes_large_body(request))) {
      return HttpResponse::text(413, "the body is too large");
    }
    if (RoomRoutes* const room = rooms_ ? rooms_->find(request.path) : nullptr) {
      rooms_served_.add();
      // Nobody comes further with a certificate that is not good than to where it is judged.
      const bool doubtful = request.client_certificate.empty() && !request.shown_certificate.empty();
      if (doubtful && !Rooms::judges_certificates(request.path)) {
        return HttpResponse::text(403,
                                  "the certificate is not one that is taken here: expired, or of an unknown issuer");
      }
      HttpResponse out = room->answer(request);
      out.fields += transport_policy_;
      return out;
    }
    if (around_.mtls) return not_found();
    if (has_own_page_ && request.path == "/") return to_own_page(request);
    for (std::size_t i = 0; i < kRoutes.size(); ++i) {
      const Route& route = kRoutes[i];
      if (!request.path.starts_with(route.prefix)) continue;
      const std::string_view rest = request.path.substr(route.prefix.size());
      if (!rest.empty() && rest.front() != '/' && route.prefix.back() != '/') continue;
      served_[i].add();
      return (this->*route.answer)(request, rest);
    }
    return not_found();
  }

 private:
  struct Route {
    std::string_view prefix;
    HttpResponse (ServiceHandler::*answer)(const HttpRequest&, std::string_view rest);
  };
  static const std::array<Route, 8> kRoutes;

  static bool reads(const HttpRequest& request) {
    return request.method == HttpMethod::get || request.method == HttpMethod::head;
  }

  /// Who types the bare address is a citizen.
  HttpResponse to_own_page(const HttpRequest& request) const {
    if (!reads(request)) return not_allowed("GET, HEAD");
    HttpResponse out;
    out.status = 303;
    out.fields = "Location: /me\r\nCache-Control: no-store\r\n";
    out.fields += transport_policy_;
    return out;
  }

  HttpResponse answer_ocsp(const HttpRequest& request, std::string_view rest) {
    if (!has_ocsp_) return not_found();
    if (request.method == HttpMethod::post) {
      if (!rest.empty() && rest != "/") return not_found();
      if (!same_type(request.media_type(), kOcspRequestType)) return wrong_type(kOcspRequestType);
      return ocsp_response(request, request.body, false);
    }
    if (!reads(request)) return not_allowed("GET, HEAD, POST");
    // RFC 6960 A.1: the URL-encoding of the base64 of the request. Clients differ in what they escape.
    if (rest.size() < 2 || request.path.size() > kMostGetOctets) return HttpResponse::text(400, "no OCSP request");
    const auto text = service::decode_percent(rest.substr(1));
    const auto der = text ? from_base64(*text) : Result<Bytes>(fail(text.error()));
    if (!der) return HttpResponse::text(400, "the OCSP request is not base64");
    return ocsp_response(request, *der, true);
  }

  HttpResponse ocsp_response(const HttpRequest& request, ByteView der, bool cacheable) {
    const OcspService::Answer answer = ocsp_.answer(der);
    HttpResponse out;
    out.media_type = kOcspResponseType;
    constexpr std::size_t kErrorOctets = 5;
    (answer.der->size() <= kErrorOctets ? ocsp_failed_ : answer.prepared ? ocsp_prepared_ : ocsp_signed_).add();
    if (cacheable && answer.fields) {
      out.fields = *answer.fields;
      if (client_has(request, answer.etag)) {
        out.status = 304;
        out.media_type = {};
        return out;
      }
    } else {
      out.fields = "Cache-Control: no-store\r\n";
    }
    out.shared_body = answer.der;
    return out;
  }

  HttpResponse answer_crl(const HttpRequest& request, std::string_view rest) {
    if (!reads(request)) return not_allowed("GET, HEAD");
    for (ListShelf& one : lists_) {
      if (!one.lists || !rest.starts_with(one.name)) continue;
      const std::string_view suffix = rest.substr(one.name.size());
      for (std::size_t i = 0; i < ListShelf::kKinds.size(); ++i) {
        if (suffix != ListShelf::kKinds[i].suffix) continue;
        const auto document = one.list(i);
        if (!document) return unavailable("the list cannot be read at present");
        if (*document == nullptr) return not_found();
        return serve_document(request, **document, "application/pkix-crl", clock_.now());
      }
    }
    return not_found();
  }

  HttpResponse answer_certificate(const HttpRequest& request, std::string_view rest) {
    if (!reads(request)) return not_allowed("GET, HEAD");
    for (std::size_t i = 0; i < lists_.size(); ++i) {
      if (rest == lists_[i].name + ".cer") {
        return serve_document(request, certificates_[i], "application/pkix-cert", clock_.now());
      }
    }
    return not_found();
  }

  HttpResponse answer_time_stamp(const HttpRequest& request, std::string_view rest) {
    if (!stamps_ || !rest.empty()) return not_found();
    if (request.method != HttpMethod::post) return not_allowed("POST");
    if (!same_type(request.media_type(), kTimeStampQueryType)) return wrong_type(kTimeStampQueryType);
    HttpResponse out;
    out.media_type = kTimeStampReplyType;
    out.fields = "Cache-Control: no-store\r\n";
    out.body = stamps_->answer(request.body);
    // A refusal holds a status and a few words; a token holds a signature.
    constexpr std::size_t kLongestRefusal = 250;
    (out.body.size() <= kLongestRefusal ? stamps_refused_ : stamps_granted_).add();
    return out;
  }

  HttpResponse answer_trust_list(const HttpRequest& request, std::string_view rest) {
    if (!has_trust_list_ || !rest.empty()) return not_found();
    if (!reads(request)) return not_allowed("GET, HEAD");
    const auto list = around_.shelves.trust_list.get();
    if (!list) return unavailable("there is no trust list at present");
    const Document document{std::shared_ptr<const Bytes>(list, &list->der), list->etag, list->issued_at,
                            list->next_update};
    return serve_document(request, document, "application/cms", clock_.now());
  }

  HttpResponse answer_authority(const HttpRequest& request, std::string_view rest) {
    return authority_ ? authority_->answer(request, rest) : not_found();
  }

  HttpResponse answer_health(const HttpRequest& request, std::string_view rest) {
    if (!rest.empty()) return not_found();
    if (!reads(request)) return not_allowed("GET, HEAD");
    nlohmann::ordered_json problems = nlohmann::ordered_json::array();
    const Time now = clock_.now();
    for (ListShelf& one : lists_) {
      const auto state = one.ledger->revision();
      if (!state) problems.push_back("ca " + one.name + ": " + state.error().message);
      if (!state || !one.lists) continue;
      const auto list = one.list(0);
      if (!list) {
        problems.push_back("ca " + one.name + ": its CRL cannot be read");
      } else if (*list == nullptr) {
        problems.push_back("ca " + one.name + ": it has no CRL");
      } else if (now > (*list)->expires) {
        problems.push_back("ca " + one.name + ": its CRL is stale");
      }
    }
    if (has_trust_list_) {
      const auto list = around_.shelves.trust_list.get();
      if (!list) {
        problems.push_back("trust list: missing");
      } else if (now > list->next_update) {
        problems.push_back("trust list: stale");
      }
    }
    if (authority_) {
      for (std::string& one : authority_->problems()) problems.push_back(std::move(one));
    }
    if (rooms_) {
      for (std::string& one : rooms_->problems()) problems.push_back(std::move(one));
    }
    const bool healthy = problems.empty();
    const nlohmann::ordered_json document{{"schema", "karta.identity.health/1"},
                                          {"status", healthy ? "ok" : "degraded"},
                                          {"problems", std::move(problems)}};
    HttpResponse out;
    out.status = healthy ? 200 : 503;
    out.media_type = "application/json";
    out.fields = "Cache-Control: no-store\r\n";
    out.body =
        to_bytes(as_bytes(document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n"));
    return out;
  }

  HttpResponse answer_metrics(const HttpRequest& request, std::string_view rest) {
    const bool allowed = std::find(metrics_allow_.begin(), metrics_allow_.end(), request.peer) != metrics_allow_.end();
    if (!allowed || !rest.empty()) return not_found();
    if (!reads(request)) return not_allowed("GET, HEAD");
    if (rooms_) rooms_->measure();
    HttpResponse out;
    out.media_type = service::Metrics::kMediaType;
    out.body = to_bytes(as_bytes(around_.metrics.text()));
    return out;
  }

  /// Requests by GET are short (RFC 5019 §5 says 255 octets); a nonce and several certificates make them longer.
  static constexpr std::size_t kMostGetOctets = 4096;

  std::vector<std::string> metrics_allow_;
  std::size_t body_octets_;
  bool has_trust_list_;
  bool has_own_page_;
  std::string_view transport_policy_;
  bool has_ocsp_ = false;
  HandlerSurroundings around_;
  const Clock& clock_;
  SystemRandom random_;
  std::shared_ptr<PreparedAnswers> prepared_;
  OcspService ocsp_;
  std::vector<ListShelf> lists_;
  std::vector<Document> certificates_;  // of the same authorities
  std::unique_ptr<crypto::Signer> stamp_signer_;
  std::optional<crypto::TimeStampAuthority> stamps_;
  std::unique_ptr<AuthorityRoutes> authority_;
  std::unique_ptr<Rooms> rooms_;
  std::vector<service::Counter> served_;
  service::Counter rooms_served_;
  service::Counter ocsp_signed_, ocsp_prepared_, ocsp_failed_, stamps_granted_, stamps_refused_;
};

const std::array<ServiceHandler::Route, 8> ServiceHandler::kRoutes = {{
    {"/ocsp", &ServiceHandler::answer_ocsp},
    {"/crl/", &ServiceHandler::answer_crl},
    {"/ca/", &ServiceHandler::answer_certificate},
    {"/tsa", &ServiceHandler::answer_time_stamp},
    {"/trust-list", &ServiceHandler::answer_trust_list},
    {"/v1/", &ServiceHandler::answer_authority},
    {"/healthz", &ServiceHandler::answer_health},
    {"/metrics", &ServiceHandler::answer_metrics},
}};

}  // namespace

Result<std::unique_ptr<service::HttpHandler>> make_service_handler(const ServerConfig& config, const ServiceKeys& keys,
                                                                   const HandlerSurroundings& around) {
  auto out = std::make_unique<ServiceHandler>(config, keys, around);
  TRY(out->open(config, keys));
  return std::unique_ptr<service::HttpHandler>(std::move(out));
}

}  // namespace karta::identity
