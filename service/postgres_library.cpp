#include "service/postgres_library.h"

#include <dlfcn.h>

#include <type_traits>

namespace karta::service::detail {
namespace {

/// The name that libpq has kept since 2005.
constexpr const char* kFile = "libpq.so.5";

Result<PostgresLibrary> load() {
  void* const library = ::dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return fail(ErrorKind::unsupported, std::string(kFile) + " cannot be loaded, and no PostgreSQL reached without it",
                "install libpq5");
  }
  PostgresLibrary out;
  bool complete = true;
  const auto find = [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    complete = complete && function != nullptr;
  };
  find("PQconninfoParse", out.conninfo_parse);
  find("PQconninfoFree", out.conninfo_free);
  find("PQfreemem", out.freemem);
  find("PQconnectdbParams", out.connect);
  find("PQfinish", out.finish);
  find("PQstatus", out.status);
  find("PQtransactionStatus", out.transaction_status);
  find("PQerrorMessage", out.error_message);
  find("PQsocket", out.socket);
  find("PQsetnonblocking", out.set_nonblocking);
  find("PQsetNoticeReceiver", out.set_notice_receiver);
  find("PQenterPipelineMode", out.enter_pipeline);
  find("PQexitPipelineMode", out.exit_pipeline);
  find("PQpipelineSync", out.pipeline_sync);
  find("PQsendQuery", out.send_query);
  find("PQsendQueryParams", out.send_query_params);
  find("PQsendPrepare", out.send_prepare);
  find("PQsendQueryPrepared", out.send_query_prepared);
  find("PQsetSingleRowMode", out.set_single_row_mode);
  find("PQflush", out.flush);
  find("PQconsumeInput", out.consume_input);
  find("PQisBusy", out.is_busy);
  find("PQgetResult", out.get_result);
  find("PQclear", out.clear);
  find("PQresultStatus", out.result_status);
  find("PQresultErrorField", out.result_error_field);
  find("PQntuples", out.ntuples);
  find("PQnfields", out.nfields);
  find("PQftype", out.ftype);
  find("PQgetisnull", out.getisnull);
  find("PQgetvalue", out.getvalue);
  find("PQgetlength", out.getlength);
  find("PQcmdTuples", out.cmd_tuples);
  find("PQcmdStatus", out.cmd_status);
  if (!complete) {
    return fail(ErrorKind::unsupported, std::string(kFile) + " is not the library it should be",
                "libpq of PostgreSQL 14 or newer is needed");
  }
  return out;
}

}  // namespace

Result<const PostgresLibrary*> postgres_library() {
  static Result<PostgresLibrary> loaded = load();  // not const: a test stands in for one of the functions
  if (!loaded) return fail(loaded.error());
  return &*loaded;
}

const PostgresLibrary& pq() {
  static const PostgresLibrary& loaded = **postgres_library();
  return loaded;
}

}  // namespace karta::service::detail
