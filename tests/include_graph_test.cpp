// The house's arrows, measured: what the files of the tree really include.
//
// Fails on an include that points up, on any circle of files, on `card` and `firmware-sim` knowing each other, and on
// a card operating system that reaches outside its own folder.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Graph = std::map<std::string, std::set<std::string>>;

// Each room and the rooms it may stand on. The one table of the house's directions.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {}},
    {"service", {"base"}},
    {"crypto", {"base"}},
    {"card", {"base", "crypto"}},
    {"identity", {"base", "crypto", "service"}},
    {"issuing", {"base", "crypto", "service", "card", "identity"}},
    {"pkcs11", {"base", "crypto", "card"}},
    {"daemon", {"base", "crypto", "service", "card", "identity", "issuing"}},
    {"cli", {"base", "crypto", "service", "card", "identity", "issuing", "pkcs11"}},
    {"firmware-sim", {"base"}},
};

std::string room_of(const std::string& path) { return path.substr(0, path.find('/')); }

std::vector<std::string> quoted_includes(const fs::path& file) {
  std::vector<std::string> found;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const std::size_t hash = line.find_first_not_of(" \t");
    if (hash == std::string::npos || line[hash] != '#') continue;
    const std::size_t word = line.find("include", hash);
    const std::size_t open = line.find('"', hash);
    if (word == std::string::npos || open == std::string::npos || open < word) continue;
    found.push_back(line.substr(open + 1, line.find('"', open + 1) - open - 1));
  }
  return found;
}

// Every source file of every room, with the project files it includes. Paths are relative to the root.
Graph measure(std::vector<std::string>& complaints) {
  const fs::path root(KARTA_SOURCE_DIR);
  Graph graph;
  for (const auto& [room, below] : kMayInclude) {
    if (!fs::exists(root / room)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / room)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      const std::string name = fs::relative(entry.path(), root).string();
      auto& edges = graph[name];
      for (const std::string& include : quoted_includes(entry.path())) {
        if (fs::exists(root / include)) {
          edges.insert(include);
        } else {
          complaints.push_back(name + ": \"" + include + "\" is not a path from the root of the tree");
        }
      }
    }
  }
  return graph;
}

// Depth-first search; returns the first circle found as a readable path, or nothing.
std::string find_circle(const Graph& graph) {
  enum class Mark { open, closed };
  std::map<std::string, Mark> marks;
  std::vector<std::string> path;
  std::string circle;
  const auto visit = [&](const auto& self, const std::string& file) -> bool {
    if (const auto mark = marks.find(file); mark != marks.end()) {
      if (mark->second == Mark::closed) return false;
      for (auto at = std::find(path.begin(), path.end(), file); at != path.end(); ++at) circle += *at + " -> ";
      circle += file;
      return true;
    }
    marks[file] = Mark::open;
    path.push_back(file);
    if (const auto edges = graph.find(file); edges != graph.end()) {
      for (const std::string& next : edges->second) {
        if (self(self, next)) return true;
      }
    }
    path.pop_back();
    marks[file] = Mark::closed;
    return false;
  };
  for (const auto& [file, edges] : graph) {
    if (visit(visit, file)) return circle;
  }
  return {};
}

// A test, a fuzz target, or a header that only they include.
bool is_test(const std::string& file) {
  const std::string name = file.substr(file.rfind('/') + 1);
  return name.ends_with("_test.cpp") || name.ends_with("_fuzz.cpp") || name.starts_with("test_") ||
         name.ends_with("_fixture.h");
}

std::vector<std::string> upward_arrows(const Graph& graph) {
  std::vector<std::string> wrong;
  for (const auto& [file, edges] : graph) {
    const std::string room = room_of(file);
    for (const std::string& include : edges) {
      const std::string target = room_of(include);
      // What tests stand on is theirs alone.
      if (is_test(include) && !is_test(file)) wrong.push_back(file + " includes " + include);
      if (target != room && kMayInclude.at(room).count(target) == 0) wrong.push_back(file + " includes " + include);
      // The operating system of the card is firmware: nothing from outside its folder, but for its tests.
      const bool test = is_test(file);
      if (file.starts_with("firmware-sim/os/") && !include.starts_with("firmware-sim/os/") && !test) {
        wrong.push_back(file + " includes " + include);
      }
    }
  }
  return wrong;
}

TEST(IncludeGraph, ArrowsRunDown) {
  std::vector<std::string> complaints;
  const Graph graph = measure(complaints);
  ASSERT_GT(graph.size(), 20u) << "the tree was not found";
  EXPECT_EQ(complaints, std::vector<std::string>{});
  EXPECT_EQ(upward_arrows(graph), std::vector<std::string>{});
}

TEST(IncludeGraph, NoCircles) {
  std::vector<std::string> complaints;
  EXPECT_EQ(find_circle(measure(complaints)), "");
}

TEST(IncludeGraph, TheTableItselfHasNoCircle) {
  Graph rooms;
  for (const auto& [room, below] : kMayInclude) rooms[room] = below;
  EXPECT_EQ(find_circle(rooms), "");
}

// The measure sees what it is meant to see.
TEST(IncludeGraph, FindsPlantedFaults) {
  EXPECT_EQ(find_circle({{"a", {"b"}}, {"b", {"c"}}, {"c", {"b"}}}), "b -> c -> b");
  EXPECT_EQ(upward_arrows({{"base/x.h", {"card/apdu.h"}}}).size(), 1u);
  EXPECT_EQ(upward_arrows({{"card/x.h", {"firmware-sim/os/card.h"}}}).size(), 1u);
  EXPECT_EQ(upward_arrows({{"firmware-sim/link/x.h", {"card/apdu.h"}}}).size(), 1u);
  EXPECT_EQ(upward_arrows({{"firmware-sim/os/x.h", {"base/bytes.h"}}}).size(), 1u);
  EXPECT_TRUE(upward_arrows({{"cli/x.cpp", {"card/apdu.h", "base/bytes.h"}}}).empty());
}

}  // namespace
