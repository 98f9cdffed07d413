#include "identity/requests/client.h"

#include <nlohmann/json.hpp>

#include "identity/authority/documents.h"
#include "identity/authority/problem_reply.h"
#include "identity/requests/signed_document.h"

namespace karta::identity {
namespace {

constexpr std::size_t kMostReply = std::size_t{1} << 20;

tl::unexpected<Error> unreadable() { return fail(ErrorKind::malformed, "the server's list cannot be read"); }

Result<std::string> text_in(const Json& row, const char* key) {
  const auto found = row.find(key);
  if (found == row.end() || !found->is_string()) return unreadable();
  return found->get<std::string>();
}
Result<Time> time_in(const Json& row, const char* key) {
  const std::string text = TRY(text_in(row, key));
  const auto time = parse_time(text);
  if (!time) return unreadable();
  return *time;
}

Result<RequestState> read_state(const Json& row) {
  if (!row.is_object()) return unreadable();
  RequestState out;
  out.id = TRY(text_in(row, "id"));
  out.from = TRY(text_in(row, "from"));
  out.to = TRY(text_in(row, "to"));
  if (!is_request_id(out.id) || !is_department_word(out.from) || !is_department_word(out.to)) return unreadable();
  const std::string hash = TRY(text_in(row, "request_sha256"));
  const auto octets = from_hex(hash);
  if (!octets) return unreadable();
  out.hash = *octets;
  out.received = TRY(time_in(row, "received"));
  out.deadline = TRY(time_in(row, "deadline"));
  const auto asked = row.find("ask");
  if (asked == row.end() || !asked->is_array()) return unreadable();
  for (const Json& one : *asked) {
    if (!one.is_string() || !is_department_word(one.get_ref<const std::string&>())) return unreadable();
    out.subjects.push_back(one.get<std::string>());
  }
  if (row.contains("answered") && row["answered"].is_string()) out.answered = TRY(time_in(row, "answered"));
  return out;
}

/// "http://" and one of the names of this machine, with or without a port and a path; no other host whose name merely
/// begins so, and no user part, behind which another host may stand.
bool is_this_machine(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return false;
  std::string_view authority = url.substr(kScheme.size());
  authority = authority.substr(0, authority.find_first_of("/?#\\"));
  for (const std::string_view host : {"127.0.0.1", "localhost", "[::1]"}) {
    if (!authority.starts_with(host)) continue;
    std::string_view port = authority.substr(host.size());
    if (port.empty()) return true;
    if (!port.starts_with(':')) continue;
    port.remove_prefix(1);
    return !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string_view::npos;
  }
  return false;
}

/// The usual reason for a server's certificate that is not believed: a root of its own.
Error whom_to_trust(Error error) {
  if (error.kind == ErrorKind::untrusted && error.hint.empty()) {
    error.hint = "name who certified the identity system's server: --roots FILE";
  }
  return error;
}

}  // namespace

Result<RequestsClient> RequestsClient::create(RequestsClientOptions options) {
  while (options.url.ends_with('/')) options.url.pop_back();
  if (!options.url.starts_with("https://") && !is_this_machine(options.url)) {
    return fail(ErrorKind::usage, "\"" + options.url + "\" is no address of an identity system", "https://HOST[:PORT]");
  }
  if (options.token.empty() && !options.identity) {
    return fail(ErrorKind::usage, "the identity system is to know the department",
                "name its token, or its certificate for TLS");
  }
  service::HttpClientOptions http;
  http.most_octets = kMostReply;
  http.redirects = 0;
  http.any_address = true;  // named by whoever runs the department's program; it may well be a neighbour
  http.certificates_file = options.roots.string();
  http.identity = options.identity;
  return RequestsClient(std::move(options.url), service::HttpClient(std::move(http)), std::move(options.token));
}

std::vector<service::HttpHeader> RequestsClient::fields() const {
  if (token_.empty()) return {};
  return {{"Authorization", "Bearer " + std::string(token_.expose_secret_text())}};
}

Result<Bytes> RequestsClient::post(const std::string& path, ByteView document) {
  service::HttpReply reply =
      TRY(client_.post(url_ + path, std::string(kCmsMediaType), document, fields()).map_error(whom_to_trust));
  if (reply.status != 200 && reply.status != 201) return fail(error_of(reply));
  return std::move(reply.body);
}
Result<Bytes> RequestsClient::get(const std::string& path) {
  service::HttpReply reply = TRY(client_.get(url_ + path, fields()).map_error(whom_to_trust));
  if (reply.status != 200) return fail(error_of(reply));
  return std::move(reply.body);
}

Result<Bytes> RequestsClient::send(ByteView request) { return post(std::string(kRequestsPath), request); }
Result<Bytes> RequestsClient::answer(std::string_view id, ByteView answer) {
  return post(std::string(kRequestsPath) + "/" + std::string(id) + "/answer", answer);
}
Result<Bytes> RequestsClient::fetch(std::string_view id, std::string_view part) {
  return get(std::string(kRequestsPath) + "/" + std::string(id) + "/" + std::string(part));
}

Result<RequestState> RequestsClient::state(std::string_view id) {
  const Bytes body = TRY(get(std::string(kRequestsPath) + "/" + std::string(id)));
  const Json document = TRY(parse_document(as_text(body)));
  return read_state(document);
}

Result<RequestsPage> RequestsClient::list(std::string_view box, std::string_view after) {
  std::string path = std::string(kRequestsPath) + "?" + std::string(box);
  if (!after.empty()) path += "&after=" + std::string(after);
  const Bytes body = TRY(get(path));
  const Json document = TRY(parse_document(as_text(body)));
  RequestsPage out;
  out.department = TRY(text_in(document, "department"));
  const auto rows = document.find("requests");
  if (rows == document.end() || !rows->is_array()) return unreadable();
  for (const Json& one : *rows) out.requests.push_back(TRY(read_state(one)));
  if (document.contains("next") && document["next"].is_string()) out.next = document["next"].get<std::string>();
  return out;
}

}  // namespace karta::identity
