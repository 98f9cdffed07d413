// SteadyNow: what a verb's deadline and a card's times are read on: time that only goes forward.
#pragma once

#include <chrono>
#include <functional>

namespace karta::daemon {

/// A test's stands still until the test moves it. Asked by every reader's thread.
using SteadyNow = std::function<std::chrono::steady_clock::time_point()>;

}  // namespace karta::daemon
