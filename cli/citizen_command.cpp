// karta citizen: the people in the registry.
#include <CLI/CLI.hpp>
#include <ostream>
#include <streambuf>

#include "base/file.h"
#include "base/random.h"
#include "cli/citizen_argument.h"
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
  std::string portraits;
  bool json = false;
};

Result<identity::Registry> open_registry(const std::string& folder, const Clock& clock, RandomSource& random) {
  const issuing::CentreConfig config = TRY(issuing::load_centre_config(folder));
  return identity::Registry::open(config.database, clock, random);
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
  options.portraits = given.portraits;
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

struct CitizenArguments {
  std::string folder, citizen, purpose, case_id;
  bool json = false;
  // of `portrait`
  std::string out, set;
  bool remove = false;

  identity::Purpose why() const { return {operator_name(), purpose, case_id}; }
};

std::string text_of(const identity::Concession& one) {
  return std::string(identity::row_of(one.kind).name) + " from " + identity::format_date(one.valid_from) +
         (one.valid_until ? " to " + identity::format_date(*one.valid_until) : std::string());
}

std::string_view name_of(identity::Sex sex) {
  constexpr std::string_view kNames[] = {"", "m", "f"};
  return kNames[static_cast<std::size_t>(sex)];
}

Json json_of(const identity::Citizen& citizen) {
  const auto text = [](const std::string& value) { return value.empty() ? Json() : Json(value); };
  Json out{{"snils", citizen.snils.text()},
           {"family", citizen.family},
           {"given", citizen.given},
           {"patronymic", text(citizen.patronymic)},
           {"family_latin", citizen.family_latin},
           {"given_latin", citizen.given_latin},
           {"birth_date", identity::format_date(citizen.birth_date)},
           {"sex", text(std::string(name_of(citizen.sex)))},
           {"inn", citizen.inn ? Json(citizen.inn->text()) : Json()},
           {"enp", citizen.enp ? Json(citizen.enp->text()) : Json()},
           {"insurer", text(citizen.insurer)},
           {"region", text(citizen.region)},
           {"concessions", Json::array()}};
  for (const identity::Concession& one : citizen.concessions) {
    out["concessions"].push_back({{"kind", identity::row_of(one.kind).name},
                                  {"from", identity::format_date(one.valid_from)},
                                  {"until", one.valid_until ? Json(identity::format_date(*one.valid_until)) : Json()}});
  }
  return out;
}

Result<int> run_show(const CitizenArguments& given) {
  const SystemClock clock;
  SystemRandom random;
  auto registry = TRY(open_registry(given.folder, clock, random));
  const identity::CitizenId id = TRY(citizen_of(registry, given.citizen));
  const identity::CitizenRecord record = TRY(registry.read_citizen(id, given.why()));
  const bool portrait = TRY(registry.has_portrait(id));
  const std::vector<identity::Card> cards = TRY(registry.cards_of(id));
  const Time now = clock.now();
  const identity::Citizen& citizen = record.citizen;
  if (given.json) {
    Json document = json_document("karta.citizen.show/1");
    document["id"] = identity::format_id(id);
    document.update(json_of(citizen));
    document["portrait"] = portrait;
    document["cards"] = Json::array();
    for (const identity::Card& card : cards) {
      document["cards"].push_back({{"id", identity::format_id(card.id)},
                                   {"serial", card.serial},
                                   {"profile", card.profile},
                                   {"state", identity::row_of(state_at(card, now)).name}});
    }
    print_json(document);
    return 0;
  }
  const auto line = [](const char* name, const std::string& value) {
    if (!value.empty()) print(std::string(name) + value);
  };
  line("id          ", identity::format_id(id));
  line("name        ",
       citizen.family + " " + citizen.given + (citizen.patronymic.empty() ? "" : " " + citizen.patronymic));
  line("in Latin    ", citizen.family_latin + " " + citizen.given_latin);
  line("born        ", identity::format_date(citizen.birth_date));
  line("sex         ", std::string(name_of(citizen.sex)));
  line("SNILS       ", citizen.snils.text());
  line("INN         ", citizen.inn ? citizen.inn->text() : "");
  line("ENP         ", citizen.enp ? citizen.enp->text() : "");
  line("insurer     ", citizen.insurer);
  line("region      ", citizen.region);
  for (const identity::Concession& one : citizen.concessions) line("concession  ", text_of(one));
  line("portrait    ", portrait ? "there is one: karta citizen portrait" : "none");
  for (const identity::Card& card : cards) {
    line("card        ", (card.serial.empty() ? "not made yet" : card.serial) + "  " + card.profile + "  " +
                             std::string(identity::row_of(state_at(card, now)).name));
  }
  return 0;
}

Result<int> run_portrait(const CitizenArguments& given) {
  if (static_cast<int>(!given.out.empty()) + static_cast<int>(!given.set.empty()) + static_cast<int>(given.remove) !=
      1) {
    return fail(ErrorKind::usage, "one of --out, --set and --remove is wanted");
  }
  const SystemClock clock;
  SystemRandom random;
  auto registry = TRY(open_registry(given.folder, clock, random));
  const identity::CitizenId id = TRY(citizen_of(registry, given.citizen));
  if (!given.out.empty()) {
    const identity::Portrait portrait = TRY(registry.read_portrait(id, given.why()));
    TRY(write_new_file(given.out, portrait.jpeg(), 0600));
    say(std::to_string(portrait.width()) + " x " + std::to_string(portrait.height()) + " pixels, " +
        std::to_string(portrait.jpeg().size()) + " octets in \"" + given.out + "\"");
    return 0;
  }
  const identity::Cause cause{operator_name(), given.purpose.empty() ? "citizen portrait" : given.purpose};
  if (given.remove) {
    TRY(registry.remove_portrait(id, cause));
    say("the registry has no portrait of the citizen any more; cards made before keep theirs");
    return 0;
  }
  const Bytes file = TRY(read_file(given.set, identity::kMostPictureFileOctets));
  const identity::Portrait portrait = TRY(identity::Portrait::from_jpeg(file));
  const bool changed = TRY(registry.set_portrait(id, portrait, cause));
  say(changed ? "the registry has this portrait now; cards made from now on carry it"
              : "the registry has this portrait already");
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
  command.add_option("--portraits", import->portraits,
                     "folder of the pictures the column portrait names (beside FILE)");
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

  const auto add_person = [](CLI::App& verb, CitizenArguments& arguments) {
    verb.add_option("citizen", arguments.citizen, "SNILS, or the id that find shows")->required();
    add_centre_option(verb, arguments.folder);
  };
  auto show = std::make_shared<CitizenArguments>();
  CLI::App& look = *noun.add_subcommand("show", "All that the registry knows of a citizen; the access log records it");
  add_person(look, *show);
  look.add_option("--purpose", show->purpose, "what for: goes into the access log")->required();
  look.add_option("--case", show->case_id, "which case: goes into the access log")->required();
  look.add_flag("--json", show->json, "as karta.citizen.show/1");
  on_call(look, chosen, [show] { return run_show(*show); });

  auto portrait = std::make_shared<CitizenArguments>();
  CLI::App& picture = *noun.add_subcommand("portrait", "A citizen's picture: write it out, put one in, take it away");
  add_person(picture, *portrait);
  picture.add_option("--out", portrait->out, "write it to this new file; the access log records it");
  picture.add_option("--set", portrait->set, "put this JPEG in the place of the one there is");
  picture.add_flag("--remove", portrait->remove, "take it away");
  picture.add_option("--purpose", portrait->purpose, "what for: goes into the access log, or beside the change");
  picture.add_option("--case", portrait->case_id, "which case: goes into the access log");
  picture.footer("What a picture must be: docs/citizen-files.md");
  on_call(picture, chosen, [portrait] { return run_portrait(*portrait); });
}

}  // namespace karta::cli
