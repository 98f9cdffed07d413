// Chart: numbers by day, drawn as SVG without scripts or inline styles, with the same numbers in a table beneath for
// whoever does not see the picture.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "identity/pages/html.h"
#include "identity/pages/language.h"

namespace karta::identity {

struct ChartSeries {
  std::string label;
  std::vector<std::int64_t> values;  ///< one a day
};
inline constexpr std::size_t kMostSeries = 3;  ///< in one chart: no more shades can be told apart

struct Chart {
  std::string title;
  std::int64_t first_day = 0;  ///< days since 1970-01-01
  std::vector<ChartSeries> series;
};

/// The number where the axis ends: 1, 2 or 5 with zeros, at least `value` and 1.
std::int64_t axis_end(std::int64_t value);

/// Bars that stand on each other, a bar a day, and their table. Values must not be negative.
void bar_chart(Html& html, Language language, const Chart& chart);
/// One series as a line from 0 up, small, without a table: for many side by side.
void small_chart(Html& html, Language language, const Chart& chart);
/// The table of the series by day, newest first, folded away.
void chart_table(Html& html, Language language, const Chart& chart);

}  // namespace karta::identity
