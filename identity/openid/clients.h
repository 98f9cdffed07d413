// ClientLedger: the portals of the registry, and who did what to them. Also: a client as the document operators write.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/openid/client.h"
#include "identity/registry.h"
#include "service/database.h"

namespace karta::identity {

/// Reads a client's document: one JSON object with the members of RFC 7591 §2 and ours (docs/openid.md has them all).
/// Everything is checked: what is missing, mistyped, unknown or contradictory is malformed, and named.
Result<Client> parse_client(std::string_view json);
/// The document of `client`, members that stand at their default left out; parse_client() reads it.
std::string write_client(const Client& client);

struct ClientEvent {
  std::int64_t number = 0;
  Time at{};
  std::string actor;
  std::string kind;    ///< "added", "changed", "keys-rotated", "revoked"
  std::string detail;  ///< of a change: the members that changed
  std::string reason;
};

/// A client's row of the registry, its document unread.
struct ClientRow {
  std::string document;
  bool active = true;
  Time created{}, changed{};
  friend bool operator==(const ClientRow&, const ClientRow&) = default;
};
Result<Client> read_client(const ClientRow& row);

class ClientLedger {
 public:
  /// Both must outlive it.
  ClientLedger(service::Database& database, const Clock& clock) : database_(&database), clock_(&clock) {}

  /// already_exists if the id was ever given out.
  Status add(const Client& client, const Cause& cause);
  /// Replaces the whole document. Returns false if there was nothing to change. not_found, not_permitted (revoked).
  Result<bool> change(const Client& client, const Cause& cause);
  /// Ends the client and every token and consent it has; whoever asks with it within two seconds may still be answered.
  Status revoke(std::string_view id, const Cause& cause);
  /// Revoked ones too.
  Result<std::optional<Client>> find(std::string_view id);
  /// The same, for whoever may have read that document before.
  Result<std::optional<ClientRow>> find_row(std::string_view id);
  /// By id, those after `after`, at most kPageLimit.
  Result<std::vector<Client>> list(std::string_view after = {});
  /// Oldest first.
  Result<std::vector<ClientEvent>> events_of(std::string_view id);

 private:
  Status add_event(std::string_view id, std::string_view kind, std::string_view detail, const Cause& cause);

  service::Database* database_;
  const Clock* clock_;
};

}  // namespace karta::identity
