// HttpClient: one request, one bounded answer. For what certificates and configurations point at: OCSP, CRLs,
// time-stamps, issuers.
//
// Only http and https. Sizes, times and redirects are bounded; proxies of the environment are not used. A URL that
// comes out of somebody's certificate may point anywhere: unless `any_address` is set, connections to loopback,
// link-local, private and other addresses that are no part of the public network are refused after the name was
// resolved, so that opening a document cannot make this machine talk to its own neighbours. Redirects are held to the
// same rules.
//
// With an identity it is the terminal's side of mutual TLS.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/secret.h"

namespace karta::service {

/// Who the client is towards a TLS server that asks.
struct HttpIdentity {
  std::string certificates_pem;  ///< the client's, then those above it
  SecretBytes private_key;       ///< PKCS #8 PrivateKeyInfo in the clear, DER
};

struct HttpClientOptions {
  std::chrono::seconds connect_time{5};
  std::chrono::seconds total_time{20};              ///< of one request with its redirects
  std::size_t most_octets = std::size_t{16} << 20;  ///< of an answer
  int redirects = 3;                                ///< https never leads back to http
  bool any_address = false;                         ///< addresses of private networks and of this machine too
  std::string certificates_file = {};               ///< roots for https, PEM; empty: the system's
  std::string certificates_pem = {};                ///< the same as text, instead of the file
  /// Shown to servers that ask for it. A client with an identity follows no redirect: the answer is the 3xx itself.
  std::shared_ptr<const HttpIdentity> identity = {};
};

/// A field of a request or a reply; names compare without regard to case.
struct HttpHeader {
  std::string name;
  std::string value;
};

struct HttpReply {
  int status = 0;
  std::string media_type;  ///< as it came
  Bytes body;
  std::vector<HttpHeader> fields = {};

  /// The value of the first field of this name; empty if there is none.
  std::string_view field(std::string_view name) const;
  /// Retry-After in seconds (RFC 9110 §10.2.3); `otherwise` where it is missing, a date, or beyond a day.
  std::chrono::seconds retry_after(std::chrono::seconds otherwise) const;
};

/// One at a time; keeps connections open between requests to one server. Used by one thread at a time.
class HttpClient {
 public:
  explicit HttpClient(HttpClientOptions options = {});
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  ~HttpClient();

  /// `fields` go with the request: If-None-Match, Authorization, Idempotency-Key.
  /// Errors: usage (no http or https URL, credentials in it, a field that is none), not_permitted (a private address),
  /// limit (too large, too many redirects), configuration (an identity that cannot be used), untrusted (the server's
  /// certificate, or the server refused ours), io (no connection, too slow, TLS). An answer with any status is no
  /// error.
  Result<HttpReply> get(const std::string& url, const std::vector<HttpHeader>& fields = {});
  Result<HttpReply> post(const std::string& url, const std::string& media_type, ByteView body,
                         const std::vector<HttpHeader>& fields = {});
  Result<HttpReply> put(const std::string& url, const std::string& media_type, ByteView body,
                        const std::vector<HttpHeader>& fields = {});
  Result<HttpReply> del(const std::string& url, const std::vector<HttpHeader>& fields = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace karta::service
