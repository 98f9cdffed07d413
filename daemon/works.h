// Works: all that one reading of the configuration set to work: modes, pages, readers, gatekeeper. A reload makes a new
// one; journal, deeds, events and the HTTP server stay.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "daemon/gatekeeper.h"
#include "daemon/mode.h"
#include "daemon/on_line_status.h"
#include "daemon/reader_hall.h"
#include "daemon/terminal_identity.h"
#include "daemon/trust_data.h"
#include "daemon/upload.h"
#include "service/metrics.h"

namespace karta::daemon {

struct Works {
  DaemonConfig config;
  std::map<std::string, std::unique_ptr<TerminalIdentity>, std::less<>> terminals;
  std::unique_ptr<TrustData> trust;
  std::unique_ptr<OnLineStatus> on_line;
  std::unique_ptr<Services> services;
  std::vector<std::unique_ptr<Mode>> modes;
  std::unique_ptr<PageServer> pages;
  std::unique_ptr<ReaderHall> hall;
  std::unique_ptr<Gatekeeper> gatekeeper;
  RefusalLog* refusals = nullptr;
  std::function<std::optional<UploadStatus>()> upload;  ///< nothing where there is no authority
  Time started{};

  Works();
  ~Works();
  Works(const Works&) = delete;
  Works& operator=(const Works&) = delete;

  /// "karta.kartad.status/1"
  Json status() const;
  /// What is wrong at present, in words; `failing` where the daemon cannot do its work.
  struct Health {
    bool failing = false;
    std::vector<std::string> problems;
  };
  Health health() const;
};

}  // namespace karta::daemon
