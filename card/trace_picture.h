// TracePicture: a session as a timeline in SVG: a row a command, and in each what the channel, the chip and its
// memory take of the modelled time.
#pragma once

#include <string>
#include <vector>

#include "card/cost_model.h"

namespace karta::card {

struct TimelineStep {
  std::string name;  ///< "COMMIT"
  std::string note;  ///< "46 + 22 octets"
  TimeSpent time;
  bool aside = false;   ///< after what the budget is for (a command off the critical path)
  bool failed = false;  ///< the card answered with an error, or not at all
};

struct Timeline {
  std::string title;     ///< "Counted tap"
  std::string subtitle;  ///< chip and channel
  std::vector<TimelineStep> steps;
  double budget_ms = 0;  ///< 0: none is drawn
  std::vector<std::string> footnotes;

  /// All steps that are not aside.
  TimeSpent total() const;
  /// Commands in a row with the same name become one step ("UPDATE BINARY, 12 times"), until at most `rows` are left or
  /// nothing can be put together.
  void fold(std::size_t rows);
};

/// An SVG document of its own, 1,200 units wide, without script or foreign fonts.
std::string to_svg(const Timeline& timeline);

}  // namespace karta::card
