#include "service/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "service/curl_library.h"

namespace karta::service {
namespace {

struct Network4 {
  std::uint32_t address;
  int bits;
};
/// What is no part of the public network: RFC 6890 and the registries it began.
constexpr auto kSpecial4 = std::to_array<Network4>({
    {0x00000000, 8},   // this network
    {0x0A000000, 8},   // private
    {0x64400000, 10},  // shared by carriers
    {0x7F000000, 8},   // loopback
    {0xA9FE0000, 16},  // link-local
    {0xAC100000, 12},  // private
    {0xC0000000, 24},  // protocol assignments
    {0xC0000200, 24},  // documentation
    {0xC0A80000, 16},  // private
    {0xC6120000, 15},  // benchmarks
    {0xC6336400, 24},  // documentation
    {0xCB007100, 24},  // documentation
    {0xE0000000, 4},   // multicast
    {0xF0000000, 4},   // reserved
});

bool is_public4(std::uint32_t address) {
  for (const Network4& one : kSpecial4) {
    const std::uint32_t mask = ~std::uint32_t{0} << (32 - one.bits);
    if ((address & mask) == one.address) return false;
  }
  return true;
}

bool is_public(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return is_public4(ntohl(in.sin_addr.s_addr));
  }
  if (address->sa_family != AF_INET6) return false;
  sockaddr_in6 in{};
  std::memcpy(&in, address, sizeof in);
  const std::uint8_t* const octets = in.sin6_addr.s6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
    std::uint32_t inner = 0;
    std::memcpy(&inner, octets + 12, sizeof inner);
    return is_public4(ntohl(inner));
  }
  // Global unicast is 2000::/3; of it, documentation and 6to4 and Teredo, which hold addresses of the old kind.
  if ((octets[0] & 0xE0) != 0x20) return false;
  if (octets[0] == 0x20 && octets[1] == 0x02) return false;
  return !(octets[0] == 0x20 && octets[1] == 0x01 &&
           ((octets[2] == 0x0D && octets[3] == 0xB8) || (octets[2] == 0 && octets[3] == 0)));
}

constexpr std::size_t kMostReplyFields = 200;
constexpr std::size_t kMostReplyFieldOctets = 64 * 1024;

struct Transfer {
  const HttpClientOptions* options;
  Bytes body = {};
  std::vector<HttpHeader> fields = {};
  std::size_t field_octets = 0;
  bool too_large = false;
  bool private_address = false;
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

/// One line of a reply's head; of several replies (100 Continue, redirects) the last one's fields stay.
std::size_t take_field(char* data, std::size_t one, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, one * count);
  if (line.starts_with("HTTP/")) {
    transfer.fields.clear();
    transfer.field_octets = 0;
    return line.size();
  }
  transfer.field_octets += line.size();
  if (transfer.field_octets > kMostReplyFieldOctets || transfer.fields.size() >= kMostReplyFields) {
    transfer.too_large = true;
    return 0;
  }
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos && colon > 0) {
    transfer.fields.push_back({std::string(line.substr(0, colon)), std::string(trimmed(line.substr(colon + 1)))});
  }
  return line.size();
}

std::size_t take_body(char* data, std::size_t one, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t octets = one * count;
  if (transfer.body.size() + octets > transfer.options->most_octets) {
    transfer.too_large = true;
    return 0;
  }
  append(transfer.body, {reinterpret_cast<const std::uint8_t*>(data), octets});
  return octets;
}

curl_socket_t open_socket(void* user, curlsocktype, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (!transfer.options->any_address && !is_public(&address->addr)) {
    transfer.private_address = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

bool starts_with_scheme(const std::string& url, std::string_view scheme) {
  if (url.size() < scheme.size()) return false;
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    if (lower(url[i]) != scheme[i]) return false;
  }
  return true;
}

Status check_url(const std::string& url) {
  constexpr std::size_t kMostUrl = 8192;
  const bool known = starts_with_scheme(url, "http://") || starts_with_scheme(url, "https://");
  if (!known || url.size() > kMostUrl) {
    return fail(ErrorKind::usage, "\"" + url.substr(0, 200) + "\" is no http or https URL");
  }
  for (const char c : url) {
    if (c <= ' ' || c == 0x7F) return fail(ErrorKind::usage, "a URL with blanks or control characters");
  }
  const std::size_t host = url.find("://") + 3;
  if (url.substr(host, url.find_first_of("/?#", host) - host).find('@') != std::string::npos) {
    return fail(ErrorKind::usage, "a URL with a user name or password in it is not used");
  }
  return {};
}

/// RFC 9110 §5.1, §5.5: a token, and no line ends in the value.
Status check_field(const HttpHeader& field) {
  constexpr std::string_view kTokenSigns = "!#$%&'*+-.^_`|~";
  const bool token = !field.name.empty() && std::all_of(field.name.begin(), field.name.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || kTokenSigns.find(c) != std::string::npos;
  });
  const bool value = std::none_of(field.value.begin(), field.value.end(),
                                  [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 0x7F; });
  if (!token || !value) return fail(ErrorKind::usage, "\"" + field.name.substr(0, 100) + "\" is no field of a request");
  return {};
}

curl_blob blob_of(ByteView octets) {
  // Not copied, above all not the key: the octets live as long as the client.
  return {const_cast<std::uint8_t*>(octets.data()), octets.size(), CURL_BLOB_NOCOPY};
}

/// TLS 1.3 servers judge the client's certificate when the client has long begun to send: libcurl reports their alert
/// (RFC 8446 §6.2) as a failed read or write, and its name is in the text alone.
bool is_certificate_alert(std::string_view why) {
  return why.find(" alert ") != std::string_view::npos &&
         (why.find("certificate") != std::string_view::npos || why.find("unknown ca") != std::string_view::npos);
}

ErrorKind kind_of(CURLcode code, std::string_view why) {
  switch (code) {
    case CURLE_SSL_CERTPROBLEM:
      return ErrorKind::configuration;
    case CURLE_PEER_FAILED_VERIFICATION:  // the server's certificate
    case CURLE_SSL_CLIENTCERT:            // the server wants another of ours, or any
      return ErrorKind::untrusted;
    default:
      return is_certificate_alert(why) ? ErrorKind::untrusted : ErrorKind::io;
  }
}

}  // namespace

std::string_view HttpReply::field(std::string_view name) const {
  for (const HttpHeader& one : fields) {
    if (same_name(one.name, name)) return one.value;
  }
  return {};
}

std::chrono::seconds HttpReply::retry_after(std::chrono::seconds otherwise) const {
  constexpr long kMostSeconds = 24 * 60 * 60;
  const std::string_view text = field("Retry-After");
  if (text.empty() || text.size() > 6 || text.find_first_not_of("0123456789") != std::string_view::npos) {
    return otherwise;
  }
  const long seconds = std::stol(std::string(text));
  return seconds <= kMostSeconds ? std::chrono::seconds(seconds) : otherwise;
}

struct HttpClient::Impl {
  HttpClientOptions options;
  const CurlLibrary* curl = nullptr;  ///< from the first request on
  CURL* handle = nullptr;
  ~Impl() {
    if (handle != nullptr) curl->easy_cleanup(handle);
  }
  Status load() {
    if (curl == nullptr) curl = TRY(curl_library());
    return {};
  }
  Result<HttpReply> run(const char* method, const std::string& url, const std::vector<HttpHeader>& fields,
                        const std::string* media_type = nullptr, ByteView body = {});
  Result<HttpReply> perform(const char* method, const std::string& url, curl_slist* fields, const ByteView* body);
  void identify(const HttpIdentity& identity);
};

Result<HttpReply> HttpClient::Impl::run(const char* method, const std::string& url,
                                        const std::vector<HttpHeader>& fields, const std::string* media_type,
                                        ByteView body) {
  TRY(check_url(url));
  for (const HttpHeader& one : fields) TRY(check_field(one));
  TRY(load());
  curl_slist* list = nullptr;
  const auto add = [&](const std::string& line) { list = curl->slist_append(list, line.c_str()); };
  if (media_type != nullptr) {
    add("Content-Type: " + *media_type);
    add("Expect:");  // small bodies: no waiting for "100 Continue"
  }
  // libcurl takes "Name:" for "leave this field out" and "Name;" for an empty value.
  for (const HttpHeader& one : fields) add(one.value.empty() ? one.name + ";" : one.name + ": " + one.value);
  auto reply = perform(method, url, list, media_type != nullptr ? &body : nullptr);
  curl->slist_free_all(list);
  return reply;
}

void HttpClient::Impl::identify(const HttpIdentity& identity) {
  curl_blob certificates = blob_of(as_bytes(identity.certificates_pem));
  curl_blob key = blob_of(identity.private_key.expose_secret());
  curl->easy_setopt(handle, CURLOPT_SSLCERT_BLOB, &certificates);
  curl->easy_setopt(handle, CURLOPT_SSLCERTTYPE, "PEM");
  curl->easy_setopt(handle, CURLOPT_SSLKEY_BLOB, &key);
  curl->easy_setopt(handle, CURLOPT_SSLKEYTYPE, "DER");
}

Result<HttpReply> HttpClient::Impl::perform(const char* method, const std::string& url, curl_slist* fields,
                                            const ByteView* body) {
  if (handle == nullptr) handle = curl->easy_init();
  if (handle == nullptr) return fail(ErrorKind::internal, "the HTTP client cannot be made");
  curl->easy_reset(handle);  // connections stay
  Transfer transfer{.options = &options};
  std::array<char, CURL_ERROR_SIZE> message{};
  const bool encrypted = starts_with_scheme(url, "https://");
  curl->easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl->easy_setopt(handle, CURLOPT_ERRORBUFFER, message.data());
  curl->easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl->easy_setopt(handle, CURLOPT_PROXY, "");
  curl->easy_setopt(handle, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl->easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl->easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, encrypted ? "https" : "http,https");
  curl->easy_setopt(handle, CURLOPT_FOLLOWLOCATION, options.identity ? 0L : 1L);
  curl->easy_setopt(handle, CURLOPT_MAXREDIRS, static_cast<long>(options.redirects));
  curl->easy_setopt(handle, CURLOPT_POSTREDIR, static_cast<long>(CURL_REDIR_POST_ALL));
  curl->easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, static_cast<long>(options.connect_time.count()));
  curl->easy_setopt(handle, CURLOPT_TIMEOUT, static_cast<long>(options.total_time.count()));
  curl->easy_setopt(handle, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options.most_octets));
  curl->easy_setopt(handle, CURLOPT_USERAGENT, "karta");
  curl->easy_setopt(handle, CURLOPT_WRITEFUNCTION, &take_body);
  curl->easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl->easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  curl->easy_setopt(handle, CURLOPT_OPENSOCKETDATA, &transfer);
  curl->easy_setopt(handle, CURLOPT_HEADERFUNCTION, &take_field);
  curl->easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
  curl->easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!options.certificates_file.empty()) curl->easy_setopt(handle, CURLOPT_CAINFO, options.certificates_file.c_str());
  if (!options.certificates_pem.empty()) {
    curl_blob roots = blob_of(as_bytes(options.certificates_pem));
    curl->easy_setopt(handle, CURLOPT_CAINFO_BLOB, &roots);
    curl->easy_setopt(handle, CURLOPT_CAPATH, nullptr);  // these alone
  }
  if (options.identity) identify(*options.identity);
  curl->easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method);
  if (fields != nullptr) curl->easy_setopt(handle, CURLOPT_HTTPHEADER, fields);
  if (body != nullptr) {
    curl->easy_setopt(handle, CURLOPT_POST, 1L);
    curl->easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
    curl->easy_setopt(handle, CURLOPT_POSTFIELDS, reinterpret_cast<const char*>(body->data()));
  }
  const CURLcode code = curl->easy_perform(handle);
  if (code != CURLE_OK) {
    if (transfer.private_address) {
      return fail(ErrorKind::not_permitted, "\"" + url + "\" leads to an address that is not public",
                  "if that is meant, allow it in the configuration");
    }
    if (transfer.too_large || code == CURLE_FILESIZE_EXCEEDED) {
      return fail(ErrorKind::limit,
                  "\"" + url + "\": the answer is larger than " + std::to_string(options.most_octets) + " octets");
    }
    if (code == CURLE_TOO_MANY_REDIRECTS) return fail(ErrorKind::limit, "\"" + url + "\": too many redirects");
    const std::string why = message[0] != 0 ? message.data() : curl->easy_strerror(code);
    return fail(kind_of(code, why), "\"" + url + "\": " + why);
  }
  HttpReply reply;
  long status = 0;
  curl->easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  const char* type = nullptr;
  curl->easy_getinfo(handle, CURLINFO_CONTENT_TYPE, &type);
  reply.status = static_cast<int>(status);
  if (type != nullptr) reply.media_type = type;
  reply.fields = std::move(transfer.fields);
  reply.body = std::move(transfer.body);
  return reply;
}

HttpClient::HttpClient(HttpClientOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

Result<HttpReply> HttpClient::get(const std::string& url, const std::vector<HttpHeader>& fields) {
  return impl_->run("GET", url, fields);
}

Result<HttpReply> HttpClient::post(const std::string& url, const std::string& media_type, ByteView body,
                                   const std::vector<HttpHeader>& fields) {
  return impl_->run("POST", url, fields, &media_type, body);
}

Result<HttpReply> HttpClient::put(const std::string& url, const std::string& media_type, ByteView body,
                                  const std::vector<HttpHeader>& fields) {
  return impl_->run("PUT", url, fields, &media_type, body);
}

Result<HttpReply> HttpClient::del(const std::string& url, const std::vector<HttpHeader>& fields) {
  return impl_->run("DELETE", url, fields);
}

}  // namespace karta::service
