// ImportReport: what an import found, as JSON and as text.
#include <nlohmann/json.hpp>
#include <ostream>

#include "identity/import.h"

namespace karta::identity {
namespace {

using Json = nlohmann::ordered_json;

/// The source's name may be anything a file system allows; what is not UTF-8 is shown as U+FFFD.
std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Status check(std::ostream* out) {
  if (out && !*out) return fail(ErrorKind::io, "cannot write the report", "is the disk full?");
  return {};
}

std::string_view format_name(CitizenFormat format) { return format == CitizenFormat::csv ? "csv" : "json-lines"; }

}  // namespace

ImportReport::ImportReport(std::ostream* json, std::ostream* text, const ImportOptions& options)
    : json_(json), text_(text), source_(options.source), dry_run_(options.dry_run) {
  if (json_) {
    *json_ << R"({"schema":"karta.citizen.import/1","source":)" << dump(Json(source_))
           << ",\"dry_run\":" << (dry_run_ ? "true" : "false") << ",\"problems\":[";
  }
}

Status ImportReport::problem(const ImportProblem& problem) {
  if (json_) {
    const Json row = {{"line", problem.line},     {"rejected_line", problem.rejected_line},
                      {"field", problem.field},   {"code", problem.code},
                      {"reason", problem.reason}, {"hint", problem.hint}};
    *json_ << (any_ ? ",\n" : "\n") << dump(row);
    any_ = true;
  }
  if (text_) {
    *text_ << source_ << ':' << problem.line << ": ";
    if (!problem.field.empty()) *text_ << problem.field << ": ";
    *text_ << problem.reason;
    if (!problem.hint.empty()) *text_ << " (" << problem.hint << ')';
    *text_ << '\n';
  }
  TRY(check(json_));
  return check(text_);
}

Status ImportReport::finish(const ImportSummary& summary, const Error* error) {
  if (json_) {
    Json tail = {{"complete", error == nullptr}, {"format", format_name(summary.format)},
                 {"lines", summary.lines},       {"created", summary.created},
                 {"updated", summary.updated},   {"unchanged", summary.unchanged},
                 {"rejected", summary.rejected}};
    *json_ << (any_ ? "\n]" : "]") << ",\"summary\":" << dump(tail);
    if (error) {
      *json_ << ",\"error\":" << dump({{"kind", row_of(error->kind).name}, {"message", error->message}});
    }
    *json_ << "}\n" << std::flush;
  }
  TRY(check(json_));
  return check(text_);
}

}  // namespace karta::identity
