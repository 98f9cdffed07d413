// What PostgreSQL says went wrong, as errors of this layer.
#pragma once

#include "service/connection.h"
#include "service/postgres_library.h"

namespace karta::service::detail {

/// An error with what it means for the transaction it came in.
struct ServerError {
  Error error;
  Failure failure = Failure::plain;  ///< lost: the connection is of no more use
  bool told = false;  ///< where lost: the server itself said so, and has not done what it had not answered before
};

/// Of a result that is PGRES_FATAL_ERROR. `deed` completes "cannot ...". No value of the statement stands in it.
ServerError server_error(const PGresult* result, const char* deed);

/// The error of a connection that went before anything of this was done.
tl::unexpected<Error> connection_lost();

}  // namespace karta::service::detail
