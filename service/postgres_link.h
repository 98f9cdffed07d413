// PostgresLink: one connection to a PostgreSQL server, in pipeline mode: made, watched and waited on, and of statements
// and transactions nothing known.
//
// Nothing blocks in libpq but the making of a connection; every wait for the server has a deadline.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "service/postgres_error.h"
#include "service/postgres_library.h"
#include "service/postgres_reachability.h"

namespace karta::service::detail {

/// How a connection went.
enum class Loss : std::uint8_t {
  none,
  closed,
  told,  ///< the server itself said that it ends the connection: what it had not answered before is not done
  silent,
};

/// The server ends a statement itself; later than this it is not there.
inline constexpr std::chrono::milliseconds kBeyondTimeout{2000};

class PostgresLink {
 public:
  PostgresLink(std::string url, const DatabaseOptions& options);
  PostgresLink(const PostgresLink&) = delete;
  PostgresLink& operator=(const PostgresLink&) = delete;

  /// Makes the connection and sets it up, in place of the one there was. Errors: io, not_found (no such database),
  /// not_permitted, configuration (its encoding or order of text is another).
  tl::expected<void, ServerError> connect();
  /// The same, but answers what others have met where it is not yet worth another attempt.
  tl::expected<void, ServerError> connect_in_turn();

  PGconn* get() const { return connection_.get(); }
  explicit operator bool() const { return connection_ != nullptr; }
  /// A server that went away while nobody asked it anything has said so, or closed the socket.
  bool alive();
  /// The connection is of no more use.
  void drop(Loss how);
  /// How the last one went, since forget_loss().
  Loss loss() const { return loss_; }
  void forget_loss() { loss_ = Loss::none; }

  /// Null after the last one of a command; nullopt: the connection was dropped, or there is none.
  std::optional<PgResult> next_result(std::chrono::milliseconds most);

 private:
  /// Waits until a result can be had without waiting. False: the connection was dropped.
  bool await(std::chrono::milliseconds most);
  std::optional<ServerError> set_up();

  const std::string url_;
  const DatabaseOptions options_;
  Reachability& reachability_;
  PgConnection connection_;
  bool farewell_ = false;  ///< the server said that it ends the connection, while nothing was asked
  Loss loss_ = Loss::none;
};

}  // namespace karta::service::detail
