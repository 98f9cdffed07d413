#include "identity/import.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/file.h"
#include "identity/citizen_json.h"
#include "identity/citizen_loader.h"
#include "identity/record_reader.h"
#include "identity/transliteration.h"
#include "identity/utf8.h"

namespace karta::identity {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// What people hand over instead of a text file, by its first octets.
struct SignatureRow {
  std::string_view octets;
  std::string_view what;
  std::string_view hint;
};
constexpr std::string_view kSaveAsCsv = "open it in the spreadsheet program and save it as \"CSV UTF-8\"";
constexpr std::string_view kFromUtf16 = "convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW";
constexpr auto kSignatures = std::to_array<SignatureRow>({
    {"PK\x03\x04", "a spreadsheet (XLSX, ODS) or another archive", kSaveAsCsv},
    {"\xD0\xCF\x11\xE0", "an old spreadsheet (XLS)", kSaveAsCsv},
    {"\xFF\xFE", "UTF-16 text", kFromUtf16},
    {"\xFE\xFF", "UTF-16 text", kFromUtf16},
    {"\x1F\x8B", "compressed (gzip)", "unpack it: gunzip FILE"},
    {"%PDF", "a PDF", "ask for the table it was made from"},
});

tl::unexpected<Error> wrong_file(std::string_view what, std::string_view hint) {
  return fail(ErrorKind::malformed, "the file is " + std::string(what) + ", not UTF-8 text", std::string(hint));
}

/// The eight-bit Cyrillic encoding in which most octets would be small letters; names are mostly that.
std::string_view guess_encoding(std::string_view text) {
  std::size_t cp1251 = 0, koi8 = 0, cp866 = 0;
  for (const char c : text) {
    const auto octet = static_cast<std::uint8_t>(c);
    if (octet >= 0xE0) ++cp1251;
    if (octet >= 0xC0 && octet <= 0xDF) ++koi8;
    if ((octet >= 0xA0 && octet <= 0xAF) || (octet >= 0xE0 && octet <= 0xEF)) ++cp866;
  }
  // CP866 splits its small letters between two ranges, CP1251 has next to nothing from A0 to AF.
  const bool a_range = std::ranges::count_if(text,
                                             [](char c) {
                                               const auto octet = static_cast<std::uint8_t>(c);
                                               return octet >= 0xA0 && octet <= 0xAF;
                                             }) *
                           4 >
                       static_cast<std::ptrdiff_t>(cp866);
  if (a_range && cp866 > 0) return "CP866";
  return koi8 > cp1251 ? "KOI8-R" : "CP1251";
}

/// Says what a file is if its first chunk shows that it is no UTF-8 text. A chunk with good UTF-8 beyond ASCII in it
/// passes: then single lines are damaged, and they are reported as such.
Status check_encoding(std::string_view chunk) {
  for (const SignatureRow& row : kSignatures) {
    if (chunk.starts_with(row.octets)) return wrong_file(row.what, row.hint);
  }
  if (chunk.find('\0') != std::string_view::npos) {
    // Every other octet of UTF-16 text in Latin letters, digits and separators is zero.
    return wrong_file("UTF-16 without a mark, or binary", kFromUtf16);
  }
  std::size_t good = 0, bad = 0;
  for (std::string_view rest = chunk; !rest.empty();) {
    const std::size_t before = rest.size();
    if (take_code_point(rest)) {
      if (before - rest.size() > 1) ++good;
    } else if (rest.size() < 4 && chunk.size() >= kReadChunkOctets / 2) {
      break;  // cut off by the end of the chunk
    } else {
      ++bad;
      rest.remove_prefix(1);
    }
  }
  if (bad > good) {
    const std::string name(guess_encoding(chunk));
    return wrong_file("in another encoding (it looks like " + name + ")",
                      "convert it: iconv -f " + name + " -t UTF-8 FILE > NEW");
  }
  return {};
}

/// Column names compare in any case, with _, - or blanks between words.
std::string column_key(std::string_view name) {
  std::string key(trim(name));
  std::ranges::replace(key, '_', ' ');
  return search_key(key);
}

std::string known_columns() {
  std::string names;
  for (const CitizenFieldRow& row : citizen_fields()) names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

/// Which field each column of a CSV file holds; none: skipped.
using Columns = std::vector<std::optional<CitizenField>>;

Result<Columns> read_header(const std::vector<std::string>& names, bool ignore_unknown) {
  Columns columns;
  std::string unknown;
  bool any = false;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string key = column_key(names[i]);
    const auto rows = citizen_fields();
    const auto row = std::ranges::find_if(rows, [&](const CitizenFieldRow& field) {
      return column_key(field.name) == key || column_key(field.russian) == key;
    });
    if (row == rows.end()) {
      columns.emplace_back();
      const bool skipped = ignore_unknown || key.starts_with("X ") || key.empty();
      if (!skipped && unknown.empty()) {
        unknown = "column " + std::to_string(i + 1) + " \"" + names[i].substr(0, 60) + "\" is not known";
      }
      continue;
    }
    if (std::ranges::find(columns, std::optional(row->field)) != columns.end()) {
      return fail(ErrorKind::malformed, "line 1: column \"" + std::string(row->name) + "\" stands there twice");
    }
    columns.emplace_back(row->field);
    any = true;
  }
  // Without a header the first line holds somebody's data: say so, and do not repeat them.
  if (!any) {
    return fail(ErrorKind::malformed, "line 1 is no header: no column of it is known",
                "the first line must name the columns: " + known_columns());
  }
  if (!unknown.empty()) {
    return fail(ErrorKind::malformed, "line 1: " + unknown,
                "known are " + known_columns() + "; name it x_... to have it skipped");
  }
  for (const CitizenFieldRow& row : citizen_fields()) {
    if (row.required && std::ranges::find(columns, std::optional(row.field)) == columns.end()) {
      return fail(ErrorKind::malformed, "line 1: column \"" + std::string(row.name) + "\" is missing",
                  "the header must have snils, family, given and birth_date");
    }
  }
  return columns;
}

/// The delimiter that stands in the header most often, outside quotes.
char guess_delimiter(std::string_view header) {
  constexpr std::string_view candidates = ";,\t";
  std::array<std::size_t, 3> counts{};
  bool quoted = false;
  for (const char c : header) {
    if (c == '"') quoted = !quoted;
    const auto place = candidates.find(c);
    if (!quoted && place != std::string_view::npos) ++counts[place];
  }
  return candidates[static_cast<std::size_t>(std::ranges::max_element(counts) - counts.begin())];
}

Date date_of(Time time) { return Date(std::chrono::floor<std::chrono::days>(time)); }

/// One line on its way: what it holds, or what is wrong with it.
struct Pending {
  std::uint64_t line = 0;
  std::string raw;
  Citizen citizen;
  std::optional<Portrait> portrait;
  std::vector<ImportProblem> problems;
};

/// Inside the folder, whatever the name says: what a file of citizens names is not to be any file of the machine.
bool stays_inside(const std::filesystem::path& name) {
  if (!name.is_relative()) return false;
  return std::ranges::none_of(name, [](const std::filesystem::path& part) { return part == ".."; });
}

class Import {
 public:
  Import(std::istream& in, Registry& registry, const ImportOptions& options, ImportListener& listener,
         CitizenLoader loader)
      : reader_(in),
        options_(options),
        listener_(listener),
        loader_(std::move(loader)),
        today_(date_of(registry.clock().now())) {}

  Result<ImportSummary> run() {
    TRY(recognise());
    while (const auto record = TRY(reader_.next())) TRY(take(*record));
    TRY(flush());
    TRY(listener_.progress(summary_));
    return summary_;
  }

 private:
  Status recognise() {
    std::string_view chunk = TRY(reader_.look_ahead());
    TRY(check_encoding(chunk));
    if (chunk.starts_with(kByteOrderMark)) {
      mark_ = kByteOrderMark;
      reader_.skip(kByteOrderMark.size());
      chunk.remove_prefix(kByteOrderMark.size());
    }
    const auto first = chunk.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return fail(ErrorKind::malformed, "the file is empty");
    summary_.format = options_.format;
    if (summary_.format == CitizenFormat::automatic) {
      if (chunk[first] == '[') {
        return fail(ErrorKind::malformed, "the file is one JSON array, not a line for each citizen",
                    "cut it into lines: jq -c '.[]' FILE > NEW");
      }
      summary_.format = chunk[first] == '{' ? CitizenFormat::json_lines : CitizenFormat::csv;
    }
    if (summary_.format == CitizenFormat::json_lines) return {};

    delimiter_ = guess_delimiter(chunk.substr(first, chunk.find_first_of("\r\n", first) - first));
    reader_.set_delimiter(delimiter_);
    std::optional<Record> header;
    do {  // blank lines before the header belong to no record, but stay in front of it in the rejected lines
      header = TRY(reader_.next());
      if (!header) return fail(ErrorKind::malformed, "the file has no header");
      header_ += header->raw;
    } while (trim(header->content).empty());
    if (header->fault != Record::Fault::none) return fail(ErrorKind::malformed, "line 1 is no header: it does not end");
    if (const auto fault = split_csv(header->content, delimiter_, fields_)) {
      return fail(ErrorKind::malformed, "line 1: header " + *fault);
    }
    columns_ = TRY(read_header(fields_, options_.ignore_unknown_columns));
    if (header->raw.size() == header->content.size()) header_ += '\n';
    return {};
  }

  Status take(const Record& record) {
    if (record.fault == Record::Fault::too_long) return take_too_long(record);
    if (trim(record.content).empty()) return {};
    Pending pending;
    pending.line = record.line;
    pending.raw = record.raw;
    if (record.fault == Record::Fault::open_quote) {
      add(pending, {}, "csv", "has a quote that is never closed", "double quotes inside a field: \"\"");
    } else if (const auto bad = find_invalid_utf8(record.content)) {
      add(pending, {}, "encoding", "is not UTF-8 from octet " + std::to_string(*bad + 1) + " on",
          "type the damaged letters again");
    } else if (summary_.format == CitizenFormat::csv) {
      if (!read_csv(record.content, pending)) return {};
    } else {
      read_json(record.content, pending);
    }
    ++summary_.lines;
    batch_octets_ += pending.raw.size() + (pending.portrait ? pending.portrait->jpeg().size() : 0);
    batch_.push_back(std::move(pending));
    if (batch_.size() >= std::max<std::size_t>(options_.batch_lines, 1) || batch_octets_ >= kImportBatchOctets) {
      TRY(flush());
      TRY(listener_.progress(summary_));
    }
    return {};
  }

  /// A line too long for memory is handed out piece by piece, after all lines before it.
  Status take_too_long(const Record& record) {
    Pending pending;
    pending.line = record.line;
    add(pending, {}, "too-long", "is longer than " + std::to_string(kRecordMaxOctets) + " octets");
    const std::string head(record.raw);
    TRY(flush());
    ++summary_.lines;
    ++summary_.rejected;
    TRY(begin_rejected());
    pending.problems.front().rejected_line = rejected_line_;
    TRY(listener_.problem(pending.problems.front()));
    std::string last = head;
    TRY(reject(head));
    while (const auto piece = TRY(reader_.rest_of_record())) {
      if (piece->empty()) continue;
      last = *piece;
      TRY(reject(*piece));
    }
    rejected_line_ += 1;
    if (!last.ends_with('\n') && !last.ends_with('\r')) TRY(listener_.rejected("\n"));
    return {};
  }

  /// False: a line of nothing but delimiters, as spreadsheets leave behind.
  bool read_csv(std::string_view content, Pending& pending) {
    if (const auto fault = split_csv(content, delimiter_, fields_)) {
      add(pending, {}, "csv", *fault);
      return true;
    }
    if (std::ranges::all_of(fields_, [](const std::string& field) { return trim(field).empty(); })) return false;
    while (fields_.size() > columns_.size() && trim(fields_.back()).empty()) fields_.pop_back();
    if (fields_.size() != columns_.size()) {
      add(pending, {}, "columns",
          "has " + std::to_string(fields_.size()) + " fields, the header " + std::to_string(columns_.size()),
          fields_.size() > columns_.size() ? "put fields that hold the delimiter into quotes" : "");
      return true;
    }
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (columns_[i]) set(pending, *columns_[i], fields_[i]);
    }
    finish(pending);
    return true;
  }

  void read_json(std::string_view content, Pending& pending) {
    const auto read = read_citizen_json(content, options_.ignore_unknown_columns);
    if (!read) {
      add(pending, {}, "json", read.error().message, read.error().hint);
      return;
    }
    for (const CitizenFieldRow& row : citizen_fields()) {
      const auto value = std::ranges::find(read->values, row.field, &CitizenJson::Value::field);
      set(pending, row.field, value == read->values.end() ? std::string_view() : std::string_view(value->text));
    }
    finish(pending);
  }

  void set(Pending& pending, CitizenField field, std::string_view text) const {
    auto problem = set_field(pending.citizen, field, text);
    if (!problem && field == CitizenField::portrait) problem = set_portrait(pending, trim(text));
    if (problem) add(pending, *problem);
  }
  std::optional<FieldProblem> set_portrait(Pending& pending, std::string_view name) const {
    if (name.empty()) return std::nullopt;
    const auto problem = [](std::string code, std::string reason, std::string hint) {
      return FieldProblem{CitizenField::portrait, std::move(code), std::move(reason), std::move(hint)};
    };
    const std::filesystem::path file(name);
    if (options_.portraits.empty() || !stays_inside(file)) {
      return problem("malformed", "names no picture in the folder of pictures",
                     "a name below the folder of the file, or of --portraits");
    }
    const auto octets = read_file(std::filesystem::path(options_.portraits) / file, kMostPictureFileOctets);
    if (!octets) {
      const bool missing = octets.error().kind == ErrorKind::not_found;
      return problem(missing ? "not-found" : "unreadable", missing ? "is not there" : "cannot be read",
                     "pictures are looked for beside the file, or in --portraits");
    }
    auto portrait = Portrait::from_jpeg(*octets);
    if (!portrait) return problem("picture", portrait.error().message, portrait.error().hint);
    pending.portrait = std::move(*portrait);
    return std::nullopt;
  }
  void finish(Pending& pending) const {
    if (!pending.problems.empty()) return;
    for (const FieldProblem& problem : complete(pending.citizen, today_)) add(pending, problem);
  }
  static void add(Pending& pending, const FieldProblem& problem) {
    add(pending, row_of(problem.field).name, problem.code, problem.reason, problem.hint);
  }
  static void add(Pending& pending, std::string_view field, std::string code, std::string reason,
                  std::string hint = {}) {
    pending.problems.push_back(
        {pending.line, 0, std::string(field), std::move(code), std::move(reason), std::move(hint)});
  }

  Status flush() {
    if (batch_.empty()) return {};
    std::vector<NumberedCitizen> good;
    for (Pending& pending : batch_) {
      if (pending.problems.empty())
        good.push_back({pending.line, std::move(pending.citizen), std::move(pending.portrait)});
    }
    std::vector<Loaded> outcomes;
    if (!good.empty()) outcomes = TRY(loader_.load(good));
    auto outcome = outcomes.begin();
    for (Pending& pending : batch_) {
      if (pending.problems.empty()) settle(pending, *outcome++);
      if (pending.problems.empty()) continue;
      ++summary_.rejected;
      TRY(begin_rejected());
      for (ImportProblem& problem : pending.problems) {
        problem.rejected_line = rejected_line_;
        TRY(listener_.problem(problem));
      }
      TRY(reject(pending.raw));
      if (!pending.raw.ends_with('\n') && !pending.raw.ends_with('\r')) TRY(reject("\n"));
      rejected_line_ += count_line_ends(pending.raw);
    }
    batch_.clear();
    batch_octets_ = 0;
    summary_.octets = reader_.octets();
    return {};
  }

  /// Counts what became of a good line, or finds what the registry has against it.
  void settle(Pending& pending, const Loaded& loaded) {
    using Outcome = Loaded::Outcome;
    switch (loaded.outcome) {
      case Outcome::created:
        ++summary_.created;
        return;
      case Outcome::updated:
        ++summary_.updated;
        return;
      case Outcome::unchanged:
        ++summary_.unchanged;
        return;
      case Outcome::duplicate:
        add(pending, row_of(CitizenField::snils).name, "duplicate",
            "stands in line " + std::to_string(loaded.first_line) + " of this file already",
            "keep one of the two lines");
        return;
      case Outcome::differs: {
        std::string names;
        for (const CitizenField field : loaded.fields) {
          names += (names.empty() ? "" : ", ") + std::string(row_of(field).name);
        }
        add(pending, row_of(CitizenField::snils).name, "differs", "is registered with other data in " + names,
            "check which is right; to change the registered data, import with --update");
        return;
      }
    }
  }

  Status begin_rejected() {
    if (rejected_line_ > 0) return {};
    rejected_line_ = 1 + count_line_ends(header_);
    const std::string head = mark_ + header_;
    return head.empty() ? Status() : reject(head);
  }
  Status reject(std::string_view octets) { return listener_.rejected(octets); }

  RecordReader reader_;
  const ImportOptions& options_;
  ImportListener& listener_;
  CitizenLoader loader_;
  Date today_;
  ImportSummary summary_;
  std::string mark_;    ///< byte order mark, if there was one
  std::string header_;  ///< as it stood; empty for JSON lines
  char delimiter_ = ';';
  Columns columns_;
  std::vector<std::string> fields_;
  std::vector<Pending> batch_;
  std::size_t batch_octets_ = 0;
  std::uint64_t rejected_line_ = 0;  ///< next free line of the rejected file; 0: nothing was rejected yet
};

Status create_private(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) {
    if (errno == EEXIST) return fail(ErrorKind::already_exists, "\"" + path + "\" exists already");
    return fail(ErrorKind::io, "cannot create \"" + path + "\": " + std::strerror(errno));
  }
  ::close(file);
  return {};
}

/// Writes the files that lie beside the input.
class FileListener final : public ImportListener {
 public:
  FileListener(const ImportFiles& files, ImportReport& report,
               const std::function<void(const ImportSummary&)>& progress)
      : files_(files), report_(report), progress_(progress) {}

  Status rejected(std::string_view octets) override {
    if (files_.rejected.empty()) return {};
    if (!rejected_.is_open()) {
      TRY(create_private(files_.rejected));
      rejected_.open(files_.rejected, std::ios::binary | std::ios::app);
    }
    rejected_.write(octets.data(), static_cast<std::streamsize>(octets.size()));
    return check();
  }
  Status problem(const ImportProblem& problem) override { return report_.problem(problem); }
  Status progress(const ImportSummary& so_far) override {
    last_ = so_far;
    // Before people are told that lines are in, the lines that are not must be safe from a crash of this program.
    if (rejected_.is_open()) rejected_.flush();
    TRY(check());
    if (progress_) progress_(so_far);
    return {};
  }
  /// What was done when the import broke off; none: nothing.
  const std::optional<ImportSummary>& last() const { return last_; }
  Status close() {
    if (rejected_.is_open()) rejected_.close();
    return check();
  }

 private:
  Status check() {
    if (rejected_.fail()) return fail(ErrorKind::io, "cannot write \"" + files_.rejected + "\"", "is the disk full?");
    return {};
  }

  const ImportFiles& files_;
  ImportReport& report_;
  const std::function<void(const ImportSummary&)>& progress_;
  std::ofstream rejected_;
  std::optional<ImportSummary> last_;
};

}  // namespace

Result<ImportSummary> import_citizens(std::istream& in, Registry& registry, const ImportOptions& options,
                                      ImportListener& listener) {
  CitizenLoader loader = TRY(CitizenLoader::start(
      registry, {.update_existing = options.update_existing, .dry_run = options.dry_run}, options.cause));
  return Import(in, registry, options, listener, std::move(loader)).run();
}

Result<ImportSummary> import_citizen_file(const ImportFiles& files, Registry& registry, const ImportOptions& options,
                                          std::ostream* text,
                                          const std::function<void(const ImportSummary&)>& progress) {
  std::ifstream file;
  if (files.input != "-") {
    struct stat found {};
    if (::stat(files.input.c_str(), &found) != 0) {
      return fail(errno == ENOENT ? ErrorKind::not_found : ErrorKind::io,
                  "cannot open \"" + files.input + "\": " + std::strerror(errno));
    }
    if (S_ISDIR(found.st_mode)) return fail(ErrorKind::usage, "\"" + files.input + "\" is a folder");
    file.open(files.input, std::ios::binary);
    if (!file) return fail(ErrorKind::io, "cannot open \"" + files.input + "\": " + std::strerror(errno));
  }
  if (!files.rejected.empty() && ::access(files.rejected.c_str(), F_OK) == 0) {
    return fail(ErrorKind::already_exists, "\"" + files.rejected + "\" exists already",
                "it holds the lines rejected last time: correct and import it, then move it away");
  }
  std::ofstream report_file;
  if (!files.report.empty()) {
    TRY(create_private(files.report));
    report_file.open(files.report, std::ios::binary | std::ios::app);
  }

  ImportOptions with_pictures = options;
  if (options.portraits.empty() && files.input != "-") {
    const std::filesystem::path folder = std::filesystem::path(files.input).parent_path();
    with_pictures.portraits = folder.empty() ? "." : folder.string();
  }
  ImportReport report(files.report.empty() ? nullptr : &report_file, text, options);
  FileListener listener(files, report, progress);
  auto summary = import_citizens(files.input == "-" ? std::cin : file, registry, with_pictures, listener);
  Status closed = listener.close();
  if (summary && !closed) summary = fail(std::move(closed).error());
  if (!summary && !listener.last()) {  // nothing was done: leave nothing behind
    report_file.close();
    if (!files.report.empty()) ::unlink(files.report.c_str());
    return summary;
  }
  const Status reported = summary ? report.finish(*summary) : report.finish(*listener.last(), &summary.error());
  if (summary) TRY(Status(reported));
  return summary;
}

}  // namespace karta::identity
