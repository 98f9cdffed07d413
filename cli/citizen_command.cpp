// karta citizen: the people in the registry.
#include <CLI/CLI.hpp>
#include <ostream>
#include <streambuf>

#include "base/random.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/operator.h"
#include "identity/import.h"
#include "issuing/centre_config.h"

namespace karta::cli {
namespace {

constexpr int kSomeRejected = 65;

struct ImportArguments {
  std::string folder;
  std::string file;
  std::string rejected;
  std::string report;
  std::string format = "auto";
  bool dry_run = false;
  bool update = false;
  bool ignore_unknown = false;
  bool json = false;
};

Result<identity::Registry> open_registry(const std::string& folder, const Clock& clock, RandomSource& random) {
  const issuing::CentreConfig config = TRY(issuing::load_centre_config(folder));
  return identity::Registry::open(config.database.string(), clock, random);
}

Json json_of(const identity::ImportSummary& summary) {
  return Json{{"lines", summary.lines},         {"created", summary.created},   {"updated", summary.updated},
              {"unchanged", summary.unchanged}, {"rejected", summary.rejected}, {"octets", summary.octets}};
}

/// Standard error for the import's report: a line of it takes the place of the progress drawn on a terminal.
class ReportBuffer final : public std::streambuf {
 protected:
  int_type overflow(int_type character) override {
    if (traits_type::eq_int_type(character, traits_type::eof())) return traits_type::not_eof(character);
    clear_line();
    return std::fputc(character, stderr) == EOF ? traits_type::eof() : character;
  }
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    clear_line();
    return static_cast<std::streamsize>(std::fwrite(text, 1, static_cast<std::size_t>(size), stderr));
  }
};

/// "12 lines: 11 created, 1 rejected"
std::string text_of(const identity::ImportSummary& summary, bool dry_run) {
  std::string text;
  const std::pair<std::uint64_t, const char*> counts[] = {{summary.created, " created"},
                                                          {summary.updated, " updated"},
                                                          {summary.unchanged, " unchanged"},
                                                          {summary.rejected, " rejected"}};
  for (const auto& [count, word] : counts) {
    if (count != 0) text += (text.empty() ? ": " : ", ") + std::to_string(count) + word;
  }
  return std::to_string(summary.lines) + (summary.lines == 1 ? " line" : " lines") + text +
         (dry_run ? " (nothing was written to the registry)" : "");
}

Result<int> run_import(const ImportArguments& given) {
  const SystemClock clock;
  SystemRandom random;
  auto registry = TRY(open_registry(given.folder, clock, random));
  identity::ImportOptions options;
  options.dry_run = given.dry_run;
  options.update_existing = given.update;
  options.ignore_unknown_columns = given.ignore_unknown;
  options.source = given.file;
  options.cause = {operator_name(), "citizen import"};
  options.format = given.format == "csv"     ? identity::CitizenFormat::csv
                   : given.format == "jsonl" ? identity::CitizenFormat::json_lines
                                             : identity::CitizenFormat::automatic;
  identity::ImportFiles files;
  files.input = given.file;
  files.report = given.report;
  files.rejected = given.rejected;
  if (files.rejected.empty() && !given.dry_run)
    files.rejected = (given.file == "-" ? "stdin" : given.file) + ".rejected";

  identity::ImportSummary summary;
  ReportBuffer buffer;
  std::ostream spoken(&buffer);
  {
    Progress progress("lines", 0);
    summary =
        TRY(identity::import_citizen_file(files, registry, options, given.json ? nullptr : &spoken,
                                          [&](const identity::ImportSummary& so_far) { progress.at(so_far.lines); }));
  }
  if (given.json) {
    Json document = json_document("karta.citizen.import-summary/1");
    document["file"] = given.file;
    document["dry_run"] = given.dry_run;
    document.update(json_of(summary));
    if (summary.rejected != 0 && !files.rejected.empty()) document["rejected_file"] = files.rejected;
    if (!given.report.empty()) document["report_file"] = given.report;
    print_json(document);
    return summary.rejected == 0 ? 0 : kSomeRejected;
  }
  print(text_of(summary, given.dry_run));
  if (summary.rejected != 0 && !files.rejected.empty()) {
    say("the lines that did not go in are in \"" + files.rejected + "\": correct them there and import that file");
  }
  return summary.rejected == 0 ? 0 : kSomeRejected;
}

struct FindArguments {
  std::string folder;
  std::string prefix;
  std::string purpose;
  std::string case_id;
  bool json = false;
};

Result<int> run_find(const FindArguments& given) {
  const SystemClock clock;
  SystemRandom random;
  auto registry = TRY(open_registry(given.folder, clock, random));
  const auto page =
      TRY(registry.find_citizens(given.prefix, {operator_name(), given.purpose, given.case_id}, identity::kPageLimit));
  if (given.json) {
    Json document = json_document("karta.citizen.find/1");
    document["citizens"] = Json::array();
    for (const auto& citizen : page.citizens) {
      document["citizens"].push_back({{"id", identity::format_id(citizen.id)},
                                      {"family", citizen.family},
                                      {"given", citizen.given},
                                      {"patronymic", citizen.patronymic},
                                      {"birth_date", identity::format_date(citizen.birth_date)}});
    }
    document["more"] = page.next.has_value();
    print_json(document);
    return 0;
  }
  for (const auto& citizen : page.citizens) {
    print(identity::format_id(citizen.id) + "  " + identity::format_date(citizen.birth_date) + "  " + citizen.family +
          " " + citizen.given + " " + citizen.patronymic);
  }
  if (page.citizens.empty()) say("nobody's name begins so");
  if (page.next) say("there are more: write more letters of the name");
  return 0;
}

}  // namespace

void add_citizen(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("citizen", "The people in the registry");
  noun.require_subcommand(0, 1);

  auto import = std::make_shared<ImportArguments>();
  CLI::App& command = *noun.add_subcommand("import", "Read citizens from a file: good lines in, bad lines out");
  command.add_option("file", import->file, "CSV or JSON lines; - for standard input")->required();
  add_centre_option(command, import->folder);
  command.add_option("--format", import->format, "csv, jsonl or auto")
      ->check(CLI::IsMember({"auto", "csv", "jsonl"}))
      ->capture_default_str();
  command.add_option("--rejected", import->rejected, "where bad lines go (FILE.rejected)");
  command.add_option("--report", import->report, "write the report as JSON to this file");
  command.add_flag("--dry-run", import->dry_run, "check and report only");
  command.add_flag("--update", import->update, "change citizens who are there with other data");
  command.add_flag("--ignore-unknown-columns", import->ignore_unknown, "skip columns karta does not know");
  command.add_flag("--json", import->json, "the summary as karta.citizen.import-summary/1");
  command.footer("Exit code: 0 all lines went in, 65 some did not. The format: docs/citizen-files.md");
  on_call(command, chosen, [import] { return run_import(*import); });

  auto find = std::make_shared<FindArguments>();
  CLI::App& search = *noun.add_subcommand("find", "Citizens by the beginning of the name; the access log records it");
  search.add_option("name", find->prefix, "family name, given name...: its first letters")->required();
  add_centre_option(search, find->folder);
  search.add_option("--purpose", find->purpose, "what for: goes into the access log")->required();
  search.add_option("--case", find->case_id, "which case: goes into the access log")->required();
  search.add_flag("--json", find->json, "as karta.citizen.find/1");
  on_call(search, chosen, [find] { return run_find(*find); });
}

}  // namespace karta::cli
