// The verbs of karta-sim. Each file holds one verb's options, words and deed.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "base/result.h"

namespace karta::sim {

/// What the chosen verb does once the command line has been read.
using Deed = std::function<Status()>;

// Each adds its verb to `app` and sets `deed` when that verb is chosen.
void add_new(CLI::App& app, Deed& deed);
void add_run(CLI::App& app, Deed& deed);
void add_farm(CLI::App& app, Deed& deed);
void add_setup_readers(CLI::App& app, Deed& deed);
void add_control(CLI::App& app, Deed& deed);

}  // namespace karta::sim
