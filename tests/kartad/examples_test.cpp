// The configurations in docs/examples are ones kartad takes.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "daemon/citizen/citizen_mode.h"
#include "daemon/clinic.h"
#include "daemon/counter/counter_mode.h"
#include "daemon/pages/pages.h"
#include "daemon/pharmacy.h"
#include "daemon/transit/transit_mode.h"

namespace karta::daemon {
namespace {

constexpr ModeRow kModes[] = {{"clinic", read_clinic},
                              {"pharmacy", read_pharmacy},
                              {"transit", read_transit},
                              {"counter", read_counter},
                              {"citizen", read_citizen, true}};

TEST(Examples, AreTaken) {
  // What the agent's unit brings: its configuration names no folder of its own.
  setenv("STATE_DIRECTORY", "/var/lib/kartad-agent", 1);
  unsigned seen = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(KARTA_SOURCE_DIR) / "docs" / "examples")) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("kartad-") || !name.ends_with(".toml")) continue;
    const auto config = load_daemon_config(entry.path(), kModes, read_pages);
    EXPECT_TRUE(config) << name << ": " << (config ? "" : config.error().message);
    ++seen;
  }
  EXPECT_GE(seen, 5u);
}

}  // namespace
}  // namespace karta::daemon
