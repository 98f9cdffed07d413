#include "daemon/pages/pages.h"

#include <grp.h>

#include <algorithm>
#include <array>

#include "daemon/pages/desk_pages.h"
#include "daemon/services.h"
#include "daemon/verbs.h"

namespace karta::daemon {
namespace {

struct PageTable {
  std::string address;
  std::filesystem::path link_file;
  std::optional<gid_t> link_group;
  std::string name;
  std::vector<std::string> verbs;
  std::chrono::hours life{};
};

Result<gid_t> find_group(service::ConfigTable& table, const std::string& name) {
  std::array<char, 16 * 1024> room{};
  group entry{};
  group* found = nullptr;
  if (getgrnam_r(name.c_str(), &entry, room.data(), room.size(), &found) != 0 || found == nullptr) {
    return table.bad("link_group", "is no group of this machine");
  }
  return entry.gr_gid;
}

/// The first loopback address with a port of its own.
std::string first_address(const DaemonConfig& config) {
  for (const std::string& one : config.listen) {
    const auto colon = one.rfind(':');
    if (!one.starts_with("127.") && !one.starts_with("[::1]:")) continue;
    if (one.substr(colon) != ":0") return "http://" + one;
  }
  return {};
}

}  // namespace

Result<PagePlan> read_pages(service::ConfigTable& table) {
  PageTable out;
  out.address = TRY(table.text_or("address", ""));
  while (out.address.ends_with('/')) out.address.pop_back();
  if (!out.address.empty() && !out.address.starts_with("http://") && !out.address.starts_with("https://")) {
    return table.bad("address", "must begin with http:// or https://");
  }
  if (const auto file = TRY(table.path_if("link_file"))) out.link_file = *file;
  if (const std::string group = TRY(table.text_or("link_group", "")); !group.empty()) {
    out.link_group = TRY(find_group(table, group));
  }
  out.name = TRY(table.text_or("name", "desk"));
  out.verbs = TRY(table.texts("verbs"));
  for (const std::string& verb : out.verbs) {
    if (!is_verb(verb)) return table.bad("verbs", "names \"" + verb + "\", which is no verb");
  }
  out.life = std::chrono::hours(TRY(table.integer_or("hours", 1, 24 * 7, 12)));
  return PagePlan([out](const Services& services, std::vector<std::string> modes,
                        const PageServer* before) -> Result<std::unique_ptr<PageServer>> {
    DeskPageOptions options;
    options.session.address = out.address.empty() ? first_address(services.config) : out.address;
    if (options.session.address.empty()) {
      return fail(ErrorKind::configuration, "[pages] needs a loopback address a browser can open",
                  "add \"127.0.0.1:8470\" to \"listen\", or say \"address\" where systemd opens the socket");
    }
    if (services.looking) return std::unique_ptr<PageServer>();
    options.session.link_file = out.link_file.empty() ? services.config.state / "desk-link" : out.link_file;
    options.session.file = services.config.state / "desk-sessions";
    options.session.link_group = out.link_group;
    options.session.life = out.life;
    options.name = out.name;
    options.verbs = out.verbs;
    if (options.verbs.empty()) {
      for (const VerbRow& row : kVerbs) {
        if (!row.of_the_desk) continue;
        if (row.mode.empty() || std::find(modes.begin(), modes.end(), row.mode) != modes.end()) {
          options.verbs.emplace_back(row.verb);
        }
      }
    }
    options.modes = std::move(modes);
    const auto* const desk = dynamic_cast<const DeskPages*>(before);
    return std::unique_ptr<PageServer>(
        TRY(DeskPages::create(std::move(options), services.clock, services.random, desk)));
  });
}

}  // namespace karta::daemon
