// Import: a file of citizens, CSV or JSON lines, into the registry.
//
// Good lines go in, a batch a transaction; bad ones are handed out verbatim, under the file's own header, so that they
// can be corrected and imported again; the report names line, field and reason and repeats no personal datum. Importing
// a file twice changes nothing. Memory does not grow with the file. The format is described in docs/citizen-files.md.
#pragma once

#include <iosfwd>
#include <string>

#include "identity/registry.h"

namespace karta::identity {

enum class CitizenFormat : std::uint8_t { automatic, csv, json_lines };

inline constexpr std::size_t kImportBatchOctets = 4 * 1024 * 1024;  ///< of text and pictures held in memory for one transaction

struct ImportOptions {
  CitizenFormat format = CitizenFormat::automatic;
  bool dry_run = false;          ///< check and report; write nothing into the registry
  bool update_existing = false;  ///< a citizen who is there with other data is changed; otherwise the line is rejected
  bool ignore_unknown_columns = false;
  std::size_t batch_lines = 10000;
  Cause cause = {};         ///< actor is required; the reason stands in the event of each citizen
  std::string source = {};  ///< name of the file, for the report
  std::string portraits = {};  ///< folder the names of pictures are relative to; empty: names of pictures are refused
};

/// What is wrong with a line. Line numbers count physical lines from 1, as editors do.
struct ImportProblem {
  std::uint64_t line = 0;           ///< where the record begins
  std::uint64_t rejected_line = 0;  ///< where it begins in the file of rejected lines
  std::string field;                ///< column as documented; empty: the line as a whole
  std::string code;                 ///< stable, for --json: "check-digit", "duplicate", "differs", ...
  std::string reason;               ///< for people
  std::string hint;                 ///< what to do; may be empty
};

struct ImportSummary {
  std::uint64_t lines = 0;  ///< records read, header and blank lines apart
  std::uint64_t created = 0;
  std::uint64_t updated = 0;
  std::uint64_t unchanged = 0;
  std::uint64_t rejected = 0;
  std::uint64_t octets = 0;
  CitizenFormat format = CitizenFormat::csv;
};

/// Receives what the import has to say, in the order of the lines. A failure stops the import with that error; batches
/// committed before stay.
class ImportListener {
 public:
  virtual ~ImportListener() = default;
  /// Octets for the file of rejected lines: the header once, then records as they stood.
  virtual Status rejected(std::string_view octets) = 0;
  virtual Status problem(const ImportProblem& problem) = 0;
  /// After each batch: what is now in the registry for good.
  virtual Status progress(const ImportSummary& so_far) = 0;
};

/// Reads `in` to its end. Fails as a whole, before anything is written, on a wrong encoding (seen in the first chunk),
/// a header without the required columns or with unknown ones; fails in the middle on io and busy only.
Result<ImportSummary> import_citizens(std::istream& in, Registry& registry, const ImportOptions& options,
                                      ImportListener& listener);

/// Writes the report while the import runs: JSON `karta.citizen.import/1` (one document, streamed) and text for people.
class ImportReport {
 public:
  /// Either stream may be null. Streams must outlive the report.
  ImportReport(std::ostream* json, std::ostream* text, const ImportOptions& options);
  Status problem(const ImportProblem& problem);
  /// Closes the document. Call once, after the last problem; `error` if the import broke off.
  Status finish(const ImportSummary& summary, const Error* error = nullptr);

 private:
  std::ostream* json_;
  std::ostream* text_;
  std::string source_;
  bool dry_run_;
  bool any_ = false;
};

/// A file on disk, with its report and rejected lines beside it.
struct ImportFiles {
  std::string input;     ///< path; "-" for standard input
  std::string rejected;  ///< path to write bad lines to; made only if there are any, mode 0600, never overwritten
  std::string report;    ///< path for the JSON report; empty: none
};
/// import_citizens() over files; pictures are looked for beside the input where the options name no folder. `text` (may be null) gets the report for people; `progress` (may be empty) the
/// progress. Errors before the start (already_exists, not_found) leave everything as it was.
Result<ImportSummary> import_citizen_file(const ImportFiles& files, Registry& registry, const ImportOptions& options,
                                          std::ostream* text,
                                          const std::function<void(const ImportSummary&)>& progress);

}  // namespace karta::identity
