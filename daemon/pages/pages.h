// Pages: [pages] of kartad's configuration, and what it makes: the desk's pages beside the API (docs/desk.md).
#pragma once

#include "daemon/page_server.h"

namespace karta::daemon {

/// Reads [pages]: address, link_file, link_group, name, verbs, hours. A ReadPages. Fails with `configuration`, naming
/// line and key. The plan fails with `configuration` where no address can be told, or as writing the link does.
Result<PagePlan> read_pages(service::ConfigTable& table);

}  // namespace karta::daemon
