// RequestsClient: a department's talk with the identity system about requests (docs/requests.md). What comes is handed
// over as it came; signatures are the caller's to check (exchange.h).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "identity/requests/request_ledger.h"
#include "service/http_client.h"

namespace karta::identity {

struct RequestsClientOptions {
  std::string url;                   ///< "https://id.example", without a path
  std::filesystem::path roots = {};  ///< PEM: who signs the server's certificate; empty: those the system trusts
  SecretBytes token = {};            ///< the department's bearer token, or
  std::shared_ptr<const service::HttpIdentity> identity = {};  ///< its TLS certificate
};

struct RequestsPage {
  std::string department;
  std::vector<RequestState> requests;  ///< without the citizen
  std::optional<std::string> next;     ///< hand back as `after` for more
};

/// Used by one thread at a time. Errors of all: io, busy, not_permitted, and those the server tells of.
class RequestsClient {
 public:
  /// usage: no https URL (http for this machine alone), neither token nor identity.
  static Result<RequestsClient> create(RequestsClientOptions options);

  /// A signed request; its receipt. The same request again is no error.
  Result<Bytes> send(ByteView request);
  /// A signed answer to the request `id`; its receipt. The same answer again is no error.
  Result<Bytes> answer(std::string_view id, ByteView answer);
  Result<RequestState> state(std::string_view id);
  /// not_found where there is none yet.
  Result<Bytes> fetch(std::string_view id, std::string_view part);
  /// `box`: "inbox", "sent", "overdue".
  Result<RequestsPage> list(std::string_view box, std::string_view after = {});

 private:
  RequestsClient(std::string url, service::HttpClient client, SecretBytes token)
      : url_(std::move(url)), client_(std::move(client)), token_(std::move(token)) {}
  std::vector<service::HttpHeader> fields() const;
  Result<Bytes> post(const std::string& path, ByteView document);
  Result<Bytes> get(const std::string& path);

  std::string url_;
  service::HttpClient client_;
  SecretBytes token_;
};

}  // namespace karta::identity
