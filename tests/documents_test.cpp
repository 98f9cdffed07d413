// What the documents state as fact is true of the code.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "base/error.h"

namespace karta {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream in(std::string(KARTA_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(Documents, ExitCodesAreThoseOfTheTable) {
  std::map<int, std::string> rows;
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::internal); ++kind) {
    const ErrorKindRow& row = row_of(static_cast<ErrorKind>(kind));
    std::string& names = rows[row.exit_code];
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  const std::string document = text_of("docs/exit-codes.md");
  for (const auto& [code, names] : rows) {
    const std::string line = "| " + std::to_string(code) + " | " + names + " |";
    EXPECT_NE(document.find(line), std::string::npos) << "docs/exit-codes.md lacks: " << line;
  }
}

// Commands that name a citizen name one of the sample file: a newcomer types them as they stand.
TEST(Documents, SampleCitizensAreInTheSampleFile) {
  const std::string people = text_of("docs/examples/citizens.csv");
  const std::regex citizen("citizen \"([0-9 -]+)\"");
  for (const char* const document : {"README.md", "docs/man/karta.1"}) {
    const std::string text = text_of(document);
    int found = 0;
    for (std::sregex_iterator at(text.begin(), text.end(), citizen), end; at != end; ++at, ++found) {
      EXPECT_NE(people.find("\n" + (*at)[1].str() + ";"), std::string::npos) << document << ": " << (*at)[1];
    }
    EXPECT_GT(found, 0) << document;
  }
}

// Every relative link in the Markdown of the tree leads somewhere.
TEST(Documents, LinksLeadSomewhere) {
  namespace fs = std::filesystem;
  const fs::path root(KARTA_SOURCE_DIR);
  std::vector<fs::path> documents = {root / "README.md", root / "CONTRIBUTING.md", root / "CHANGELOG.md"};
  for (fs::recursive_directory_iterator at(root / "docs"), end; at != end; ++at) {
    if (at->path().filename() == "node_modules") at.disable_recursion_pending();  // not ours
    if (at->path().extension() == ".md") documents.push_back(at->path());
  }
  const std::regex link(R"(\]\(([^)#:]+)\))");
  std::size_t found = 0;
  for (const fs::path& document : documents) {
    const std::string text = text_of(fs::relative(document, root).string());
    for (std::sregex_iterator at(text.begin(), text.end(), link), end; at != end; ++at) {
      ++found;
      EXPECT_TRUE(fs::exists(document.parent_path() / (*at)[1].str())) << document << " links to " << (*at)[1];
    }
  }
  EXPECT_GT(found, 3u);
}

}  // namespace
}  // namespace karta
