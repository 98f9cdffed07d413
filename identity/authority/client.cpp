#include <nlohmann/json.hpp>

#include "base/file.h"
#include "crypto/x509/certificate.h"
#include "identity/authority/documents.h"
#include "identity/authority/problem_reply.h"
#include "identity/authority_client.h"
#include "service/http_client.h"

namespace karta::identity {
namespace {

using service::HttpHeader;
using service::HttpReply;

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kJsonLines = "application/x-ndjson";
constexpr std::size_t kMostAnswer = kMostStopListOctets + (1u << 20);

tl::unexpected<Error> unreadable(const Error& error) {
  return fail(ErrorKind::malformed, "the authority's answer cannot be read: " + error.message);
}

}  // namespace

Error error_of(const HttpReply& reply) {
  Error out;
  out.kind = reply.status == 503 || reply.status == 429   ? ErrorKind::busy
             : reply.status == 404                        ? ErrorKind::not_found
             : reply.status == 401 || reply.status == 403 ? ErrorKind::not_permitted
             : reply.status == 413                        ? ErrorKind::limit
                                                          : ErrorKind::io;
  out.message = "the server answered " + std::to_string(reply.status);
  const Json document = Json::parse(reply.body.begin(), reply.body.end(), nullptr, false);
  if (!document.is_object()) return out;
  constexpr std::size_t kMostWords = 500;
  const auto words = [&](const char* key) {
    const auto found = document.find(key);
    return found != document.end() && found->is_string() ? found->get<std::string>().substr(0, kMostWords)
                                                         : std::string();
  };
  const std::string type = words("type");
  if (type.starts_with(kProblemPrefix)) {
    if (const auto kind = error_kind_named(std::string_view(type).substr(kProblemPrefix.size()))) out.kind = *kind;
  }
  if (const std::string detail = words("detail"); !detail.empty()) out.message = detail;
  out.hint = words("hint");
  return out;
}

std::string TerminalCertificates::tls_pem() const {
  std::string out;
  for (const Bytes& der : tls_certificates) {
    if (const auto certificate = crypto::Certificate::from_der(der)) out += certificate->to_pem();
  }
  return out;
}

struct AuthorityClient::Impl {
  std::string url;
  service::HttpClient client;

  template <class Read>
  auto post(std::string_view path, std::string_view media_type, ByteView body, Read read) -> decltype(read(Json())) {
    const HttpReply reply = TRY(client.post(url + std::string(path), std::string(media_type), body));
    return answer(reply, read);
  }
  template <class Read>
  auto answer(const HttpReply& reply, Read read) -> decltype(read(Json())) {
    if (reply.status != 200 && reply.status != 201) return fail(error_of(reply));
    const auto document = parse_document(as_text(reply.body));
    if (!document) return unreadable(document.error());
    auto out = read(*document);
    if (!out) return unreadable(out.error());
    return out;
  }
  Result<Fetched> fetch(std::string_view path, const std::string& etag) {
    std::vector<HttpHeader> fields;
    if (!etag.empty()) fields.push_back({"If-None-Match", etag});
    HttpReply reply = TRY(client.get(url + std::string(path), fields));
    Fetched out;
    out.etag = reply.field("ETag");
    if (reply.status == 304) return out;
    if (reply.status != 200) return fail(error_of(reply));
    out.changed = true;
    out.octets = std::move(reply.body);
    return out;
  }
};

AuthorityClient::AuthorityClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AuthorityClient::AuthorityClient(AuthorityClient&&) noexcept = default;
AuthorityClient& AuthorityClient::operator=(AuthorityClient&&) noexcept = default;
AuthorityClient::~AuthorityClient() = default;

Result<AuthorityClient> AuthorityClient::create(AuthorityOptions options, std::optional<TlsIdentity> identity) {
  while (options.url.ends_with('/')) options.url.pop_back();
  const bool https = options.url.starts_with("https://");
  if (!https && !options.url.starts_with("http://")) {
    return fail(ErrorKind::usage, "\"" + options.url + "\" is no address of an authority", "https://HOST[:PORT]");
  }
  if (!https && identity) {
    return fail(ErrorKind::usage, "an authority that is to know the terminal is asked by https");
  }
  service::HttpClientOptions http;
  http.connect_time = options.connect_time;
  http.total_time = options.total_time;
  http.most_octets = kMostAnswer;
  http.redirects = 0;
  http.any_address = true;  // it stands in this terminal's configuration, and may well be a neighbour
  http.certificates_file = options.roots.string();
  if (identity) {
    http.identity = std::make_shared<const service::HttpIdentity>(
        service::HttpIdentity{std::move(identity->certificates_pem), std::move(identity->private_key)});
  }
  return AuthorityClient(std::make_unique<Impl>(Impl{std::move(options.url), service::HttpClient(std::move(http))}));
}

Result<TerminalCertificates> AuthorityClient::enrol(const SecretBytes& code, const CertificateOrder& order) {
  const SecretBytes body = enrolment_document(code, order);
  return impl_->post(kEnrolPath, kJson, body.expose_secret(), read_certificates);
}

Result<TerminalCertificates> AuthorityClient::renew(const CertificateOrder& order) {
  const std::string body = renewal_document(order);
  return impl_->post(kRenewPath, kJson, as_bytes(body), read_certificates);
}

Result<TerminalStanding> AuthorityClient::standing() {
  const HttpReply reply = TRY(impl_->client.get(impl_->url + std::string(kSelfPath)));
  return impl_->answer(reply, read_standing);
}

Result<JournalTaken> AuthorityClient::upload_journal(std::string_view json_lines) {
  return impl_->post(kJournalPath, kJsonLines, as_bytes(json_lines), read_journal_taken);
}

Result<CardOnLine> AuthorityClient::card_status(std::uint64_t status_index) {
  const HttpReply reply = TRY(impl_->client.get(impl_->url + "/v1/cards/" + std::to_string(status_index) + "/status"));
  return impl_->answer(reply, read_card_status);
}

Result<Fetched> AuthorityClient::trust_list(const std::string& etag) { return impl_->fetch("/trust-list", etag); }
Result<Fetched> AuthorityClient::rules(const std::string& etag) { return impl_->fetch("/v1/rules", etag); }
Result<Fetched> AuthorityClient::stop_list(const std::string& etag) { return impl_->fetch("/v1/stop-list/full", etag); }
Result<Fetched> AuthorityClient::stop_list_delta(std::uint64_t base, const std::string& etag) {
  return impl_->fetch("/v1/stop-list/delta" + (base == 0 ? std::string() : "?base=" + std::to_string(base)), etag);
}

Result<DeskStep> AuthorityClient::open_desk(std::string_view request) {
  return impl_->post(kDeskPath, kJson, as_bytes(request), read_desk_step);
}

Result<DeskStep> AuthorityClient::next_desk(std::string_view session, const DeskReplies& replies) {
  const std::string body = replies_document(replies);
  return impl_->post(std::string(kDeskPath) + "/" + std::string(session), kJson, as_bytes(body), read_desk_step);
}

Result<MadeAccount> AuthorityClient::make_account(const AccountOrder& order) {
  const std::string body = account_order_document(order);
  HttpReply reply =
      TRY(impl_->client.post(impl_->url + std::string(kAccountsPath), std::string(kJson), as_bytes(body)));
  if (reply.status != 201) return fail(error_of(reply));
  auto document = parse_document(as_text(reply.body));
  wipe(reply.body);
  if (!document) return unreadable(document.error());
  auto made = read_made_account(*document);
  if (!made) return unreadable(made.error());
  return made;
}

Result<bool> AuthorityClient::remove_account(const AccountRemoval& removal) {
  const std::string body = account_removal_document(removal);
  return impl_->post(kAccountRemovalsPath, kJson, as_bytes(body), read_account_removed);
}

}  // namespace karta::identity
