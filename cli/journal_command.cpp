// karta journal: what a terminal has done, and whether its record of it is whole.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "identity/journal/journal.h"

namespace karta::cli {
namespace {

using identity::JournalFit;
using identity::JournalReader;
using identity::JournalRecord;
using identity::JournalReport;

constexpr std::size_t kPage = 1'000;
constexpr std::string_view kDatabaseMagic = "SQLite format 3";
constexpr std::size_t kMostLine = 2 * identity::kMostJournalBody;

struct Arguments {
  std::string file;
  std::uint64_t after = 0, limit = 0;
  std::string kind;
  bool json = false;
};

/// A journal as its terminal keeps it, or the lines an authority has been sent: karta reads both.
Result<bool> is_database(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorKind::not_found, "there is no file \"" + path + "\"");
  std::string head(kDatabaseMagic.size(), '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  // A journal that was cut to nothing is no whole journal of no records.
  if (file.gcount() == 0 && file.eof())
    return fail(ErrorKind::malformed, "\"" + path + "\" is empty: it holds no journal");
  return head == kDatabaseMagic;
}

/// Calls each(record) for the records of a file of lines; a first line that is an upload's head is skipped.
template <class Each>
Status each_line(const std::string& path, Each&& each) {
  std::ifstream file(path);
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    const auto at_line = [&](Error error) {
      error.message = "\"" + path + "\", line " + std::to_string(number) + ": " + error.message;
      return fail(std::move(error));
    };
    if (line.size() > kMostLine) return at_line({ErrorKind::limit, "too long", {}});
    if (number == 1 && identity::parse_upload(line + "\n")) continue;
    auto record = identity::record_from_json_line(line);
    if (!record) return at_line(std::move(record).error());
    if (!each(*record)) return {};
  }
  if (!file.eof()) return fail(ErrorKind::io, "\"" + path + "\" cannot be read to its end");
  return {};
}

Result<JournalReport> verify_lines(const std::string& path) {
  JournalReport report;
  bool first = true;
  const Status walked = each_line(path, [&](const JournalRecord& record) {
    ++report.records;
    if (first) report.anchor = report.last = {record.number - 1, record.previous};
    first = false;
    const JournalFit fit = identity::fit_of(report.last, record);
    if (fit != JournalFit::next && fit != JournalFit::mended) {
      report.findings.push_back({record.number, "does not follow the record before it: " + std::string(name_of(fit))});
    }
    if (const auto damage = identity::damage_of(record)) report.damages.push_back(*damage);
    report.last = record.position();
    return true;
  });
  // A line that was changed is a finding; what is no record at all is an error.
  if (!walked && walked.error().kind != ErrorKind::invalid_signature) return fail(walked.error());
  if (!walked) report.findings.push_back({report.last.number + 1, walked.error().message});
  return report;
}

Result<int> run_verify(const Arguments& given) {
  std::string terminal;
  JournalReport report;
  if (TRY(is_database(given.file))) {
    const JournalReader reader = TRY(JournalReader::open(given.file));
    terminal = reader.terminal();
    report = TRY(reader.verify());
  } else {
    report = TRY(verify_lines(given.file));
  }
  if (given.json) {
    Json document = json_document("karta.journal.verify/1");
    if (!terminal.empty()) document["terminal"] = terminal;
    document["whole"] = report.whole();
    document["records"] = report.records;
    document["anchor"] = {{"number", report.anchor.number}, {"hash", to_hex(report.anchor.hash)}};
    document["last"] = {{"number", report.last.number}, {"hash", to_hex(report.last.hash)}};
    document["uploaded_to"] = report.uploaded_to;
    document["damages"] = Json::array();
    for (const auto& damage : report.damages) {
      Json one = {{"from", damage.from}, {"to", damage.to}};
      if (!damage.file.empty()) one["file"] = damage.file;
      document["damages"].push_back(std::move(one));
    }
    document["findings"] = Json::array();
    for (const auto& finding : report.findings)
      document["findings"].push_back({{"number", finding.number}, {"words", finding.words}});
    print_json(document);
    return report.whole() ? 0 : 1;
  }
  if (!terminal.empty()) print("journal of terminal " + terminal);
  print(std::to_string(report.records) + (report.records == 1 ? " record" : " records") + " after number " +
        std::to_string(report.anchor.number) + ", the last is " + std::to_string(report.last.number) +
        ", uploaded to " + std::to_string(report.uploaded_to));
  print("last hash " + to_hex(report.last.hash));
  for (const auto& damage : report.damages) {
    print(damage.to < damage.from
              ? "its end was found damaged and mended; no record is missing"
              : "its end was found damaged: records " + std::to_string(damage.from) + " to " +
                    std::to_string(damage.to) + " are missing" +
                    (damage.file.empty() ? std::string() : "; what was there is in \"" + damage.file + "\""));
  }
  for (const auto& finding : report.findings) print("record " + std::to_string(finding.number) + ": " + finding.words);
  print(report.whole() ? "the chain is whole" : "the chain is broken");
  return report.whole() ? 0 : 1;
}

Result<int> run_show(const Arguments& given) {
  std::uint64_t shown = 0;
  const auto show = [&](const JournalRecord& record) {
    if (record.number <= given.after || (!given.kind.empty() && record.kind != given.kind)) return true;
    // Lines, as they are uploaded: --json of a journal is itself a journal.
    print(given.json ? identity::to_json_line(record)
                     : std::to_string(record.number) + "  " + format_time(record.time) + "  " + record.kind + "  " +
                           record.body);
    return given.limit == 0 || ++shown < given.limit;
  };
  if (!TRY(is_database(given.file))) {
    TRY(each_line(given.file, show));
    return 0;
  }
  const JournalReader reader = TRY(JournalReader::open(given.file));
  std::uint64_t after = given.after;
  while (true) {
    const auto page = TRY(reader.pages(after, kPage));
    for (const JournalRecord& record : page) {
      if (!show(record)) return 0;
      after = record.number;
    }
    if (page.size() < kPage) return 0;
  }
}

}  // namespace

void add_journal(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("journal", "What a terminal has done, and whether its record of it is whole");
  noun.require_subcommand(1);
  const auto given = std::make_shared<Arguments>();

  CLI::App& verify = *noun.add_subcommand("verify", "walk the chain of hashes; exit 0 whole, 1 broken");
  verify.add_option("file", given->file, "a terminal's journal, or lines of one")->required();
  verify.add_flag("--json", given->json, "for scripts");
  on_call(verify, chosen, [given] { return run_verify(*given); });

  CLI::App& show = *noun.add_subcommand("show", "print records");
  show.add_option("file", given->file, "a terminal's journal, or lines of one")->required();
  show.add_option("--after", given->after, "from the number behind this one on");
  show.add_option("--limit", given->limit, "no more than so many");
  show.add_option("--kind", given->kind, "of this kind only: tap, visit, redemption ...");
  show.add_flag("--json", given->json, "whole records, one a line");
  on_call(show, chosen, [given] { return run_show(*given); });
}

}  // namespace karta::cli
