// HttpClient: one request, one bounded answer. For what certificates and configurations point at: OCSP, CRLs,
// time-stamps, issuers.
//
// Only http and https. Sizes, times and redirects are bounded; proxies of the environment are not used. A URL that
// comes out of somebody's certificate may point anywhere: unless `any_address` is set, connections to loopback,
// link-local, private and other addresses that are no part of the public network are refused after the name was
// resolved, so that opening a document cannot make this machine talk to its own neighbours. Redirects are held to the
// same rules.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/bytes.h"

namespace karta::service {

struct HttpClientOptions {
  std::chrono::seconds connect_time{5};
  std::chrono::seconds total_time{20};              ///< of one request with its redirects
  std::size_t most_octets = std::size_t{16} << 20;  ///< of an answer
  int redirects = 3;                                ///< https never leads back to http
  bool any_address = false;                         ///< addresses of private networks and of this machine too
  std::string certificates_file = {};               ///< roots for https, PEM; empty: the system's
};

struct HttpReply {
  int status = 0;
  std::string media_type;  ///< as it came
  Bytes body;
};

/// One at a time; keeps connections open between requests to one server. Used by one thread at a time.
class HttpClient {
 public:
  explicit HttpClient(HttpClientOptions options = {});
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  ~HttpClient();

  /// Errors: usage (no http or https URL, credentials in it), not_permitted (a private address), limit (too large, too
  /// many redirects), io (no connection, too slow, TLS). An answer with any status is no error.
  Result<HttpReply> get(const std::string& url);
  Result<HttpReply> post(const std::string& url, const std::string& media_type, ByteView body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace karta::service
