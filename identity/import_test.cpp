#include "identity/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "identity/registry_testing.h"
#include "service/database.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KARTA_SANITIZED 1
#endif
#endif

namespace karta::identity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kHeader = "snils;family;given;patronymic;birth_date;sex\n";

std::string line_of(std::uint32_t number, const std::string& family = "Образцов") {
  return Snils::from_number(990'000'000 + number).text() + ";" + family + ";Пример;Тестович;1990-05-17;m\n";
}

class Collector : public ImportListener {
 public:
  Status rejected(std::string_view octets) override {
    rejects += octets;
    return {};
  }
  Status problem(const ImportProblem& problem) override {
    problems.push_back(problem);
    return {};
  }
  Status progress(const ImportSummary& so_far) override {
    steps.push_back(so_far);
    return {};
  }
  /// "line:field:code", what most tests look at.
  std::vector<std::string> told() const {
    std::vector<std::string> lines;
    for (const ImportProblem& p : problems) lines.push_back(std::to_string(p.line) + ":" + p.field + ":" + p.code);
    return lines;
  }

  std::string rejects;
  std::vector<ImportProblem> problems;
  std::vector<ImportSummary> steps;
};

class ImportTest : public RegistryFixture {
 protected:
  Result<ImportSummary> import(Registry& registry, const std::string& text, ImportOptions options = {}) {
    collected_ = {};
    std::istringstream in(text);
    options.cause = cause_;
    if (options.source.empty()) options.source = "test.csv";
    return import_citizens(in, registry, options, collected_);
  }

  Collector collected_;
};

TEST_F(ImportTest, GoodLinesGoInAndBadOnesComeOutVerbatim) {
  Registry registry = create();
  const std::string bad1 = "112-233-445 96;Образцов;Пример;;17.05.1990;x\r\n";
  const std::string bad2 = "нет";
  const auto summary = import(
      registry, "\xEF\xBB\xBF" + std::string(kHeader) + line_of(1) + bad1 + "\n" + line_of(2) + ";;;;;\n" + bad2);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->format, CitizenFormat::csv);
  EXPECT_EQ(summary->lines, 4u);
  EXPECT_EQ(summary->created, 2u);
  EXPECT_EQ(summary->rejected, 2u);
  EXPECT_EQ(collected_.rejects, "\xEF\xBB\xBF" + std::string(kHeader) + bad1 + bad2 + "\n");
  EXPECT_THAT(collected_.told(), ElementsAre("3:snils:check-digit", "3:sex:unknown-value", "7::columns"));
  EXPECT_EQ(collected_.problems[0].rejected_line, 2u);
  EXPECT_EQ(collected_.problems[2].rejected_line, 3u);
  EXPECT_EQ(registry.count_citizens(), 2u);
  const auto record = registry.read_citizen(Snils::from_number(990'000'001), purpose_);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->citizen.family_latin, "OBRAZTSOV");
  EXPECT_EQ(registry.events_of(record->id)->at(0).actor, cause_.actor);
}

TEST_F(ImportTest, RejectedLinesCorrectedGoInAsTheyStand) {
  Registry registry = create();
  std::string bad = line_of(3);
  bad.replace(bad.find("1990"), 4, "2990");
  ASSERT_TRUE(import(registry, kHeader + line_of(1) + bad));
  std::string rejects = collected_.rejects;
  ASSERT_NE(rejects.find("2990"), std::string::npos);
  rejects.replace(rejects.find("2990"), 4, "1990");
  const auto summary = import(registry, rejects);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->created, 1u);
  EXPECT_EQ(summary->rejected, 0u);
}

TEST_F(ImportTest, ImportingTwiceChangesNothing) {
  Registry registry = create();
  const std::string file = kHeader + line_of(1) + line_of(2);
  EXPECT_EQ(import(registry, file)->created, 2u);
  const auto again = import(registry, file);
  EXPECT_EQ(again->created, 0u);
  EXPECT_EQ(again->unchanged, 2u);
  EXPECT_EQ(again->rejected, 0u);
  const auto id = *registry.citizen_of(Snils::from_number(990'000'001));
  EXPECT_EQ(registry.events_of(*id)->size(), 1u);
}

TEST_F(ImportTest, OtherDataForAKnownCitizenAreRejectedUnlessAskedFor) {
  Registry registry = create();
  ASSERT_TRUE(import(registry, kHeader + line_of(1)));
  const std::string changed = kHeader + line_of(1, "Другой");
  EXPECT_EQ(import(registry, changed)->rejected, 1u);
  EXPECT_THAT(collected_.told(), ElementsAre("2:snils:differs"));
  EXPECT_THAT(collected_.problems[0].reason, HasSubstr("family, family_latin"));
  const auto updated = import(registry, changed, {.update_existing = true});
  EXPECT_EQ(updated->updated, 1u);
  EXPECT_EQ(registry.read_citizen(Snils::from_number(990'000'001), purpose_)->citizen.family, "Другой");
}

TEST_F(ImportTest, ADoubleInTheFileNamesTheFirstLine) {
  Registry registry = create();
  // The doubles stand in one batch and in different ones; equal data are doubles too.
  const std::string file = kHeader + line_of(1) + line_of(1) + line_of(2) + line_of(3) + line_of(2, "Другой");
  const auto summary = import(registry, file, {.update_existing = true, .batch_lines = 3});
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->created, 3u);
  EXPECT_THAT(collected_.told(), ElementsAre("3:snils:duplicate", "6:snils:duplicate"));
  EXPECT_THAT(collected_.problems[1].reason, HasSubstr("line 4"));
  EXPECT_EQ(registry.read_citizen(Snils::from_number(990'000'002), purpose_)->citizen.family, "Образцов");
  // What one file had says nothing about the next.
  EXPECT_EQ(import(registry, kHeader + line_of(1))->unchanged, 1u);
}

TEST_F(ImportTest, ADryRunSaysTheSameAndWritesNothing) {
  Registry registry = create();
  ASSERT_TRUE(import(registry, kHeader + line_of(1) + line_of(2)));
  const std::string file = kHeader + line_of(1) + line_of(2, "Другой") + line_of(3) + line_of(3) + "bad\n";
  const auto dry = import(registry, file, {.dry_run = true, .batch_lines = 1});
  ASSERT_TRUE(dry);
  const auto told = collected_.told();
  EXPECT_EQ(registry.count_citizens(), 2u);
  const auto real = import(registry, file);
  EXPECT_EQ(collected_.told(), told);
  EXPECT_THAT(told, ElementsAre("3:snils:differs", "5:snils:duplicate", "6::columns"));
  for (const auto field : {&ImportSummary::created, &ImportSummary::unchanged, &ImportSummary::rejected}) {
    EXPECT_EQ((*dry).*field, (*real).*field);
  }
  EXPECT_EQ(registry.count_citizens(), 3u);
}

TEST_F(ImportTest, HeadersComeInManyShapes) {
  const std::string snils = Snils::from_number(990'000'001).text();
  const std::string cases[] = {
      "СНИЛС;Фамилия;Имя;Дата рождения\n" + snils + ";Образцов;Пример;17.05.1990\n",
      "snils,family,given,birth_date\n" + snils + ",Образцов,Пример,1990-05-17\n",
      "SNILS\tFamily\tGiven\tBirth Date\n" + snils + "\tОбразцов\tПример\t1990-05-17\n",
      "\r\n\"birth-date\";\"given\";\"family\";\"snils\"\r\n1990-05-17;Пример;Образцов;" + snils + "\r\n",
      "snils;x_note;family;given;birth_date;\n" + snils + ";\"any;\nthing\";Образцов;Пример;1990-05-17;\n",
      "{\"snils\":\"" + snils + "\",\"family\":\"Образцов\",\"given\":\"Пример\",\"birth_date\":\"1990-05-17\"}\n",
      "\n {\"snils\":\"" + snils + "\",\"family\":\"Образцов\",\"given\":\"Пример\",\"birth_date\":\"1990-05-17\"}",
  };
  int number = 0;
  for (const std::string& text : cases) {
    Registry registry = create("r" + std::to_string(number++) + ".db");
    const auto summary = import(registry, text);
    ASSERT_TRUE(summary) << text << summary.error().message;
    EXPECT_EQ(summary->created, 1u) << text << testing::PrintToString(collected_.told());
    EXPECT_EQ(summary->rejected, 0u);
  }
}

TEST_F(ImportTest, AFileThatCannotBeRightIsRefusedWhole) {
  Registry registry = create();
  const std::string data = line_of(1);
  const std::tuple<std::string, const char*, const char*> cases[] = {
      {"", "the file is empty", ""},
      {"\xEF\xBB\xBF\r\n \n", "the file is empty", ""},
      {data + data, "line 1 is no header", "must name the columns"},
      {"snils;family;given\n", "\"birth_date\" is missing", ""},
      {"snils;family;given;birth_date;familly\n", "column 5 \"familly\" is not known", "x_"},
      {"snils;family;given;birth_date;СНИЛС\n", "stands there twice", ""},
      {"[{\"snils\": \"\"}]", "JSON array", "jq"},
      {"PK\x03\x04zzzz", "spreadsheet", "CSV UTF-8"},
      {"\xD0\xCF\x11\xE0zzzz", "old spreadsheet", "CSV UTF-8"},
      {std::string("\xFF\xFEs\0n\0", 6), "UTF-16", "iconv -f UTF-16"},
      {std::string("s\0n\0i\0l\0", 8), "UTF-16", "iconv"},
      {"\x1F\x8B\x08zz", "gzip", "gunzip"},
      // "СНИЛС;Фамилия;Имя" and a name in CP1251, CP866 and KOI8-R.
      {"\xD1\xCD\xC8\xCB\xD1;\xD4\xE0\xEC\xE8\xEB\xE8\xFF;\xC8\xEC\xFF\n1;\xCE\xE1\xF0\xE0\xE7\xF6\xEE\xE2;\xCF\n",
       "CP1251", "iconv -f CP1251 -t UTF-8"},
      {"\x91\x8D\x88\x8B\x91;\x94\xA0\xAC\xA8\xAB\xA8\xEF;\x88\xAC\xEF\n1;\x8E\xA1\xE0\xA0\xA7\xE6\xAE\xA2;\x8F\n",
       "CP866", "iconv -f CP866"},
      {"\xF3\xEE\xE9\xEC\xF3;\xE6\xC1\xCD\xC9\xCC\xC9\xD1;\xE9\xCD\xD1\n1;\xEF\xC2\xD2\xC1\xDA\xC3\xCF\xD7;\xF0\n",
       "KOI8-R", "iconv -f KOI8-R"},
  };
  for (const auto& [text, message, hint] : cases) {
    const auto summary = import(registry, text);
    ASSERT_FALSE(summary) << message;
    EXPECT_EQ(summary.error().kind, ErrorKind::malformed);
    EXPECT_THAT(summary.error().message, HasSubstr(message));
    EXPECT_THAT(summary.error().hint, HasSubstr(hint)) << message;
    EXPECT_THAT(summary.error().message, testing::Not(HasSubstr("Образцов")));
    EXPECT_THAT(collected_.rejects, IsEmpty());
    EXPECT_THAT(collected_.steps, IsEmpty());
  }
  EXPECT_EQ(registry.count_citizens(), 0u);
  EXPECT_TRUE(import(registry, "snils;family;given;birth_date;familly\n", {.ignore_unknown_columns = true}));
}

TEST_F(ImportTest, OneDamagedLineDoesNotSpoilTheFile) {
  Registry registry = create();
  std::string damaged = line_of(2);
  damaged[damaged.find("Пример") + 1] = ';' | 0x40;  // breaks a two-octet letter
  const std::string open_quote = line_of(3, "\"Образцов");
  const std::string long_line = line_of(5, std::string(200'000, 'x'));
  const auto summary =
      import(registry, kHeader + line_of(1) + damaged + open_quote + line_of(4) + long_line + line_of(6));
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->created, 3u);
  EXPECT_THAT(collected_.told(), ElementsAre("3::encoding", "4::csv", "6::too-long"));
  EXPECT_EQ(collected_.rejects, kHeader + damaged + open_quote + long_line);
  EXPECT_EQ(collected_.problems[2].rejected_line, 4u);
}

TEST_F(ImportTest, ALongLastLineWithoutAnEndGetsOne) {
  Registry registry = create();
  const std::string text = kHeader + std::string(300'000, 'x');
  const auto summary = import(registry, text);
  ASSERT_TRUE(summary);
  EXPECT_EQ(collected_.rejects, text + "\n");
  EXPECT_EQ(summary->rejected, 1u);
}

TEST_F(ImportTest, LinesOfJsonAreReportedAlike) {
  Registry registry = create();
  const std::string snils = Snils::from_number(990'000'001).text();
  const std::string bad1 = "{\"snils\": 1, \"family\": \"x\"}\n";
  const std::string bad2 = "{\"snils\":\"" + snils + "\",\"family\":\"Образцов\"}\n";
  const auto summary = import(registry, bad1 + bad2 + "not json\n");
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->format, CitizenFormat::json_lines);
  EXPECT_THAT(collected_.told(), ElementsAre("1::json", "2:given:required", "2:birth_date:required", "3::json"));
  EXPECT_EQ(collected_.rejects, bad1 + bad2 + "not json\n");
  EXPECT_EQ(collected_.problems.back().rejected_line, 3u);
}

TEST_F(ImportTest, TheReportIsOneJsonDocumentAndReadableText) {
  Registry registry = create();
  std::ostringstream json, text;
  ImportOptions options{.cause = cause_, .source = "citi\"zens.csv"};
  ImportReport report(&json, &text, options);
  class Teller final : public Collector {
   public:
    explicit Teller(ImportReport& report) : report_(report) {}
    Status problem(const ImportProblem& problem) override { return report_.problem(problem); }

   private:
    ImportReport& report_;
  } teller(report);
  std::istringstream in(kHeader + line_of(1) + "112-233-445 96;Образцов;Пример;;1990-05-17;m\nx\n");
  const auto summary = import_citizens(in, registry, options, teller);
  ASSERT_TRUE(summary);
  ASSERT_TRUE(report.finish(*summary));

  const auto document = nlohmann::json::parse(json.str());
  EXPECT_EQ(document["schema"], "karta.citizen.import/1");
  EXPECT_EQ(document["source"], "citi\"zens.csv");
  EXPECT_EQ(document["dry_run"], false);
  ASSERT_EQ(document["problems"].size(), 2u);
  EXPECT_EQ(document["problems"][0]["line"], 3);
  EXPECT_EQ(document["problems"][0]["rejected_line"], 2);
  EXPECT_EQ(document["problems"][0]["field"], "snils");
  EXPECT_EQ(document["problems"][0]["code"], "check-digit");
  EXPECT_EQ(document["summary"]["created"], 1);
  EXPECT_EQ(document["summary"]["rejected"], 2);
  EXPECT_EQ(document["summary"]["complete"], true);
  EXPECT_THAT(text.str(), HasSubstr("citi\"zens.csv:3: snils: check digit does not agree"));
  // The report goes to people who have no business with the data.
  for (const std::string& out : {json.str(), text.str()}) {
    EXPECT_THAT(out, testing::Not(HasSubstr("112-233")));
    EXPECT_THAT(out, testing::Not(HasSubstr("Образцов")));
  }
}

TEST_F(ImportTest, PicturesComeFromTheFilesFolder) {
  Registry registry = create();
  const std::string drawn = std::string(KARTA_SOURCE_DIR) + "/docs/examples/portraits/";
  std::filesystem::create_directory(path("faces"));
  std::filesystem::copy_file(drawn + "99000000153.jpg", path("faces/1.jpg"));
  std::filesystem::copy_file(drawn + "99000000254.jpg", path("faces/2.jpg"));
  std::ofstream(path("faces/text.jpg")) << "no picture";
  const std::string header = "snils;family;given;patronymic;birth_date;sex;portrait\n";
  const auto line = [](std::uint32_t number, const std::string& picture) {
    std::string text = line_of(number);
    text.insert(text.size() - 1, ";" + picture);
    return text;
  };
  const auto run = [&](const std::string& lines, bool update, const std::string& portraits = {}) {
    std::filesystem::remove(path("a.csv"));
    std::filesystem::remove(path("report"));
    std::ofstream(path("a.csv")) << header << lines;
    const auto summary = import_citizen_file(
        {path("a.csv"), "", path("report")}, registry,
        {.update_existing = update, .cause = cause_, .source = "a.csv", .portraits = portraits}, nullptr, {});
    EXPECT_TRUE(summary);
    std::ifstream report(path("report"));
    std::string told;
    const auto document = nlohmann::json::parse(report);
    for (const auto& one : document["problems"]) {
      told += std::to_string(one["line"].get<int>()) + ":" + one["field"].get<std::string>() + ":" +
              one["code"].get<std::string>() + " ";
    }
    return std::to_string(summary->created) + std::to_string(summary->updated) + std::to_string(summary->unchanged) +
           std::to_string(summary->rejected) + " " + told;
  };
  const auto id = [&](std::uint32_t number) { return **registry.citizen_of(Snils::from_number(990'000'000 + number)); };
  ASSERT_EQ(run(line(1, "faces/1.jpg") + line(2, ""), false), "2000 ");
  EXPECT_TRUE(*registry.has_portrait(id(1)));
  EXPECT_FALSE(*registry.has_portrait(id(2)));
  // Another picture is other data; none says nothing about the one that is there.
  EXPECT_EQ(run(line(1, "faces/1.jpg") + line(2, ""), false), "0020 ");
  EXPECT_EQ(run(line(1, "faces/2.jpg"), false), "0001 2:snils:differs ");
  EXPECT_EQ(run(line(1, "faces/2.jpg"), true), "0100 ");
  EXPECT_EQ(run(line(1, ""), true), "0010 ");
  const auto kept = registry.read_portrait(id(1), purpose_);
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(kept->jpeg(), Portrait::from_jpeg(*read_file(path("faces/2.jpg"), kMostPictureFileOctets))->jpeg());
  EXPECT_EQ(run(line(2, "2.jpg"), true, path("faces")), "0100 ");
  EXPECT_EQ(run(line(3, "faces/none.jpg") + line(4, "faces/text.jpg") + line(5, "../secret") + line(6, "/etc/passwd") +
                    line(7, "faces"),
                false),
            "0005 2:portrait:not-found 3:portrait:picture 4:portrait:malformed 5:portrait:malformed "
            "6:portrait:unreadable ");
  // Of a text alone nobody knows where its pictures are.
  std::istringstream in(header + line(8, "faces/1.jpg"));
  Collector collector;
  ASSERT_TRUE(import_citizens(in, registry, {.cause = cause_}, collector));
  EXPECT_THAT(collector.told(), ElementsAre("2:portrait:malformed"));
}

TEST_F(ImportTest, ABatchIsBoundedByItsPicturesToo) {
  Registry registry = create();
  std::filesystem::copy_file(std::string(KARTA_SOURCE_DIR) + "/docs/examples/portraits/99000000153.jpg", path("1.jpg"));
  std::ofstream file(path("a.csv"));
  file << "snils;family;given;birth_date;portrait\n";
  constexpr std::uint32_t kPeople = 500;  // 5.5 MB of pictures
  for (std::uint32_t i = 1; i <= kPeople; ++i) {
    file << Snils::from_number(990'000'000 + i).text() << ";Образцов;Пример;1990-05-17;1.jpg\n";
  }
  file.close();
  std::size_t steps = 0;
  const auto summary = import_citizen_file({path("a.csv"), "", ""}, registry, {.cause = cause_}, nullptr,
                                           [&](const ImportSummary&) { ++steps; });
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->created, kPeople);
  EXPECT_EQ(steps, 2u) << "one batch full, one at the end";
}

TEST_F(ImportTest, TheSampleFileShowsTheReport) {
  Registry registry = create();
  const ImportFiles files{std::string(KARTA_SOURCE_DIR) + "/docs/examples/citizens.csv", path("rejected.csv"),
                          path("report.json")};
  std::ostringstream text;
  std::size_t steps = 0;
  const auto summary = import_citizen_file(files, registry, {.cause = cause_, .source = "citizens.csv"}, &text,
                                           [&](const ImportSummary&) { ++steps; });
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->created, 11u);
  EXPECT_EQ(summary->rejected, 1u);
  EXPECT_GE(steps, 1u);
  EXPECT_THAT(text.str(), HasSubstr("citizens.csv:11: snils: check digit"));
  for (const std::string& made : {files.rejected, files.report}) {
    struct stat found {};
    ASSERT_EQ(stat(made.c_str(), &found), 0) << made;
    EXPECT_EQ(found.st_mode & 0777, 0600u);
  }
  std::ifstream report(files.report);
  EXPECT_EQ(nlohmann::json::parse(report)["problems"].size(), 1u);
}

TEST_F(ImportTest, FilesAreNeverOverwrittenAndNothingIsLeftOfAFailure) {
  Registry registry = create();
  const ImportOptions options{.cause = cause_, .source = "a.csv"};
  std::ofstream(path("a.csv")) << kHeader << line_of(1) << "bad\n";
  std::ofstream(path("precious")) << "keep";
  EXPECT_EQ(import_citizen_file({path("a.csv"), path("precious"), ""}, registry, options, nullptr, {}).error().kind,
            ErrorKind::already_exists);
  EXPECT_EQ(import_citizen_file({path("a.csv"), "", path("precious")}, registry, options, nullptr, {}).error().kind,
            ErrorKind::already_exists);
  EXPECT_EQ(registry.count_citizens(), 0u);
  EXPECT_EQ(import_citizen_file({path("none.csv"), "", path("r")}, registry, options, nullptr, {}).error().kind,
            ErrorKind::not_found);
  EXPECT_EQ(import_citizen_file({folder_.string(), "", path("r")}, registry, options, nullptr, {}).error().kind,
            ErrorKind::usage);
  std::ofstream(path("b.csv")) << "no header\n";
  EXPECT_FALSE(import_citizen_file({path("b.csv"), path("rej"), path("r")}, registry, options, nullptr, {}));
  EXPECT_FALSE(std::filesystem::exists(path("r")));
  EXPECT_FALSE(std::filesystem::exists(path("rej")));
  std::ofstream(path("c.csv")) << kHeader << line_of(2);
  EXPECT_TRUE(import_citizen_file({path("c.csv"), path("rej"), ""}, registry, options, nullptr, {}));
  EXPECT_FALSE(std::filesystem::exists(path("rej"))) << "made although nothing was rejected";
}

TEST_F(ImportTest, AListenerThatFailsStopsTheImport) {
  Registry registry = create();
  class Full final : public Collector {
    Status rejected(std::string_view) override { return fail(ErrorKind::io, "disk full"); }
  } full;
  std::istringstream in(kHeader + std::string("bad\n") + line_of(1));
  const auto summary = import_citizens(in, registry, {.batch_lines = 1, .cause = cause_}, full);
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().message, "disk full");
}

/// Lines of made-up citizens without end, written straight into the reader's buffer.
class MadeUpFile final : public std::streambuf {
 public:
  MadeUpFile(std::uint32_t lines, std::uint32_t first, std::function<void(std::uint32_t)> each = {})
      : left_(lines), number_(first), each_(std::move(each)) {}

 protected:
  int_type underflow() override {
    if (header_) {
      piece_ = kHeader;
      header_ = false;
    } else if (left_ == 0) {
      return traits_type::eof();
    } else {
      if (each_) each_(number_);
      --left_;
      piece_ = line_of(number_++);
    }
    setg(piece_.data(), piece_.data(), piece_.data() + piece_.size());
    return traits_type::to_int_type(piece_[0]);
  }

 private:
  bool header_ = true;
  std::uint32_t left_;
  std::uint32_t number_;
  std::function<void(std::uint32_t)> each_;
  std::string piece_;
};

/// Peak resident memory in KiB of a child that runs `work`; its exit code must be 0.
long peak_kib(const std::function<bool()>& work) {
  const pid_t child = fork();
  if (child == 0) _exit(work() ? 0 : 1);
  int status = 0;
  rusage used{};
  EXPECT_EQ(wait4(child, &status, 0, &used), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return used.ru_maxrss;
}

TEST_F(ImportTest, MemoryDoesNotGrowWithTheFile) {
#if defined(KARTA_SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own memory grows with the work done";
#endif
  // A dry run goes through everything but the pages of the registry itself, whose cache has a size of its own.
  const auto run = [&](std::uint32_t lines, const std::string& name) {
    auto registry = Registry::create(url(name), clock_, random_);
    MadeUpFile source(lines, 0);
    std::istream in(&source);
    Collector nothing;
    const auto summary =
        import_citizens(in, *registry, {.dry_run = true, .batch_lines = 500, .cause = cause_}, nothing);
    return summary && summary->created == lines;
  };
  const long small = peak_kib([&] { return run(5'000, "small.db"); });
  const long large = peak_kib([&] { return run(100'000, "large.db"); });
  EXPECT_LT(large - small, 8 * 1024) << small << " and " << large << " KiB";
}

TEST_F(ImportTest, KilledInTheMiddleWhatWasAcknowledgedIsThere) {
  constexpr std::uint32_t kLines = 20'000;
  create();
  for (int round = 0; round < 3; ++round) {
    // The child says after each batch how much is in; the parent kills it at some batch, wherever it then is.
    int told[2];
    ASSERT_EQ(pipe(told), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(told[0]);
      class Teller final : public Collector {
       public:
        explicit Teller(int out) : out_(out) {}
        Status progress(const ImportSummary& so_far) override {
          const std::uint64_t there = so_far.created + so_far.unchanged;
          return write(out_, &there, sizeof there) == sizeof there ? Status() : fail(ErrorKind::io, "parent is gone");
        }

       private:
        int out_;
      } teller(told[1]);
      auto registry = Registry::open(url(), clock_, random_);
      if (!registry) _exit(1);
      MadeUpFile source(kLines, 0);
      std::istream in(&source);
      const auto done = import_citizens(in, *registry, {.batch_lines = 250, .cause = cause_}, teller);
      _exit(done ? 0 : 1);
    }
    close(told[1]);
    std::uint64_t acknowledged = 0;
    for (int batch = 0; batch < 5 + 12 * round; ++batch) {
      ASSERT_EQ(read(told[0], &acknowledged, sizeof acknowledged), static_cast<ssize_t>(sizeof acknowledged));
    }
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    while (read(told[0], &acknowledged, sizeof acknowledged) == static_cast<ssize_t>(sizeof acknowledged)) {
    }
    close(told[0]);

    Registry registry = open();
    const Status sound = registry.check_integrity();
    EXPECT_TRUE(sound) << sound.error().message;
    const auto there = registry.count_citizens();
    EXPECT_GE(*there, acknowledged);
    EXPECT_EQ(*there % 250, 0u) << "a batch is in by halves";
    for (std::uint64_t i = 0; i < acknowledged; i += 97) {
      const auto id = registry.citizen_of(Snils::from_number(990'000'000 + static_cast<std::uint32_t>(i)));
      ASSERT_TRUE(id && *id) << i;
      EXPECT_EQ(registry.events_of(**id)->size(), 1u);
    }
  }
  // Run to the end, the file is in once.
  Registry registry = open();
  MadeUpFile source(kLines, 0);
  std::istream in(&source);
  Collector collected;
  const auto summary = import_citizens(in, registry, {.cause = cause_}, collected);
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->created + summary->unchanged, kLines);
  EXPECT_GT(summary->unchanged, 0u);
  EXPECT_EQ(summary->rejected, 0u);
  EXPECT_EQ(registry.count_citizens(), kLines);
}

TEST_F(ImportTest, TwoProcessesImportAtOnce) {
  constexpr std::uint32_t kLines = 4'000, kShared = 1'000;
  create();
  const auto run = [&](std::uint32_t first) {
    auto registry = Registry::open(url(), clock_, random_);
    if (!registry) return false;
    MadeUpFile source(kLines, first);
    std::istream in(&source);
    Collector collected;
    const auto summary = import_citizens(in, *registry, {.batch_lines = 100, .cause = cause_}, collected);
    return summary && summary->created + summary->unchanged == kLines && summary->rejected == 0;
  };
  std::vector<pid_t> children;
  for (const std::uint32_t first : {0u, kLines - kShared}) {
    const pid_t child = fork();
    if (child == 0) _exit(run(first) ? 0 : 1);
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  Registry registry = open();
  EXPECT_EQ(registry.count_citizens(), 2 * kLines - kShared);
  EXPECT_TRUE(registry.check_integrity());
}

}  // namespace
}  // namespace karta::identity
