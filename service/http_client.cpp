#include "service/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

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

struct Transfer {
  const HttpClientOptions* options;
  Bytes body;
  bool too_large = false;
  bool private_address = false;
};

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
    const char c = url[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != scheme[i]) return false;
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

}  // namespace

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
  Result<HttpReply> run(const std::string& url, curl_slist* fields, const ByteView* body);
};

Result<HttpReply> HttpClient::Impl::run(const std::string& url, curl_slist* fields, const ByteView* body) {
  TRY(check_url(url));
  TRY(load());
  if (handle == nullptr) handle = curl->easy_init();
  if (handle == nullptr) return fail(ErrorKind::internal, "the HTTP client cannot be made");
  curl->easy_reset(handle);  // connections stay
  Transfer transfer{&options, {}, false, false};
  std::array<char, CURL_ERROR_SIZE> message{};
  const bool encrypted = starts_with_scheme(url, "https://");
  curl->easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl->easy_setopt(handle, CURLOPT_ERRORBUFFER, message.data());
  curl->easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl->easy_setopt(handle, CURLOPT_PROXY, "");
  curl->easy_setopt(handle, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl->easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl->easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, encrypted ? "https" : "http,https");
  curl->easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
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
  if (!options.certificates_file.empty()) curl->easy_setopt(handle, CURLOPT_CAINFO, options.certificates_file.c_str());
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
    return fail(ErrorKind::io, "\"" + url + "\": " + why);
  }
  HttpReply reply;
  long status = 0;
  curl->easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  const char* type = nullptr;
  curl->easy_getinfo(handle, CURLINFO_CONTENT_TYPE, &type);
  reply.status = static_cast<int>(status);
  if (type != nullptr) reply.media_type = type;
  reply.body = std::move(transfer.body);
  return reply;
}

HttpClient::HttpClient(HttpClientOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

Result<HttpReply> HttpClient::get(const std::string& url) { return impl_->run(url, nullptr, nullptr); }

Result<HttpReply> HttpClient::post(const std::string& url, const std::string& media_type, ByteView body) {
  TRY(impl_->load());
  const CurlLibrary& curl = *impl_->curl;
  const std::string type = "Content-Type: " + media_type;
  curl_slist* fields = curl.slist_append(nullptr, type.c_str());
  fields = curl.slist_append(fields, "Expect:");  // small bodies: no waiting for "100 Continue"
  auto reply = impl_->run(url, fields, &body);
  curl.slist_free_all(fields);
  return reply;
}

}  // namespace karta::service
