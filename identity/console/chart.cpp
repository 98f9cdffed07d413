#include "identity/console/chart.h"

#include <algorithm>
#include <array>

#include "base/result.h"

namespace karta::identity {
namespace {

constexpr Words kNumbers{"The numbers", "Числа"};
constexpr Words kDay{"Day", "День"};
constexpr Words kInAll{"in all", "всего"};
constexpr Words kLastDay{"on the last day", "за последний день"};

/// The drawing area, in units of the viewBox.
struct Area {
  int width, height, left, right, top, bottom;
  int plot_width() const { return width - left - right; }
  int plot_height() const { return height - top - bottom; }
  int floor() const { return height - bottom; }
};
constexpr Area kLarge{720, 220, 56, 8, 10, 26};
constexpr Area kSmall{320, 72, 2, 2, 4, 4};
constexpr std::array<std::string_view, kMostSeries> kShades = {"shade-1", "shade-2", "shade-3"};

/// Hundredths of a unit, as text: coordinates of bars narrower than one.
std::string hundredths(std::int64_t value) {
  std::string out = std::to_string(value / 100);
  const std::int64_t rest = value % 100;
  if (rest != 0) out += (rest < 10 ? ".0" : ".") + std::to_string(rest);
  return out;
}

std::string day_words(Language language, std::int64_t day) { return show_day(language, Time(std::chrono::days(day))); }

std::size_t days_of(const Chart& chart) { return chart.series.empty() ? 0 : chart.series.front().values.size(); }

void open_svg(Html& html, const Area& area, std::string_view label) {
  html.open("svg", {{"class", "chart"},
                    {"viewBox", "0 0 " + std::to_string(area.width) + " " + std::to_string(area.height)},
                    {"role", "img"},
                    {"aria-label", label}});
}

void grid_line(Html& html, const Area& area, std::int64_t value, std::int64_t end) {
  const std::string y = hundredths(area.floor() * 100 - value * area.plot_height() * 100 / end);
  html.open("line", {{"class", "grid"},
                     {"x1", std::to_string(area.left)},
                     {"x2", std::to_string(area.width - area.right)},
                     {"y1", y},
                     {"y2", y}})
      .close();
  html.element("text", std::to_string(value),
               {{"x", std::to_string(area.left - 8)}, {"y", y}, {"dy", "4"}, {"text-anchor", "end"}});
}

}  // namespace

std::int64_t axis_end(std::int64_t value) {
  for (std::int64_t step = 1;; step *= 10) {
    for (const std::int64_t by : {1, 2, 5}) {
      if (step * by >= value || step > INT64_MAX / 100) return step * by;
    }
  }
}

void bar_chart(Html& html, Language language, const Chart& chart) {
  KARTA_CHECK(!chart.series.empty() && chart.series.size() <= kMostSeries);
  const std::size_t days = days_of(chart);
  std::int64_t most = 0, all = 0;
  for (std::size_t day = 0; day < days; ++day) {
    std::int64_t sum = 0;
    for (const ChartSeries& one : chart.series) sum += one.values[day];
    most = std::max(most, sum);
    all += sum;
  }
  const std::int64_t end = axis_end(most);
  html.open("figure");
  html.element("figcaption", chart.title, {{"class", "chart-title"}});
  if (chart.series.size() > 1) {
    html.open("ul", {{"class", "chart-key"}});
    for (std::size_t i = 0; i < chart.series.size(); ++i) {
      html.open("li").open("span", {{"class", kShades[i]}, {"aria-hidden", "true"}}).close();
      html.text(chart.series[i].label).close();
    }
    html.close();
  }
  open_svg(html, kLarge, chart.title + ": " + std::to_string(all) + " " + std::string(kInAll.in(language)));
  grid_line(html, kLarge, 0, end);
  if (end % 2 == 0) grid_line(html, kLarge, end / 2, end);
  grid_line(html, kLarge, end, end);
  const auto count = static_cast<std::int64_t>(std::max<std::size_t>(days, 1));
  const std::int64_t slot = kLarge.plot_width() * 100 / count;
  const std::int64_t gap = slot > 600 ? 200 : slot > 300 ? 100 : 0;
  for (std::size_t day = 0; day < days; ++day) {
    std::int64_t below = 0;
    for (std::size_t i = 0; i < chart.series.size(); ++i) {
      const std::int64_t value = chart.series[i].values[day];
      if (value <= 0) continue;
      // From sums, so that no gap opens between the parts of a bar.
      const std::int64_t foot = below * kLarge.plot_height() * 100 / end;
      const std::int64_t head = (below + value) * kLarge.plot_height() * 100 / end;
      html.open("rect", {{"class", kShades[i]},
                         {"x", hundredths(kLarge.left * 100 + static_cast<std::int64_t>(day) * slot + gap / 2)},
                         {"y", hundredths(kLarge.floor() * 100 - head)},
                         {"width", hundredths(std::max<std::int64_t>(slot - gap, 50))},
                         {"height", hundredths(std::max<std::int64_t>(head - foot, 50))}});
      html.element("title", day_words(language, chart.first_day + static_cast<std::int64_t>(day)) + ": " +
                                chart.series[i].label + " " + std::to_string(value));
      html.close();
      below += value;
    }
  }
  const auto date = [&](std::size_t day, std::string_view anchor, int x) {
    html.element("text", day_words(language, chart.first_day + static_cast<std::int64_t>(day)),
                 {{"x", std::to_string(x)}, {"y", std::to_string(kLarge.height - 6)}, {"text-anchor", anchor}});
  };
  if (days != 0) {
    date(0, "start", kLarge.left);
    if (days > 2) date(days / 2, "middle", kLarge.left + kLarge.plot_width() / 2);
    if (days > 1) date(days - 1, "end", kLarge.width - kLarge.right);
  }
  html.close();
  html.close();
  chart_table(html, language, chart);
}

void small_chart(Html& html, Language language, const Chart& chart) {
  KARTA_CHECK(chart.series.size() == 1);
  const std::vector<std::int64_t>& values = chart.series.front().values;
  const std::int64_t most = values.empty() ? 0 : std::max<std::int64_t>(0, *std::ranges::max_element(values));
  const std::int64_t end = std::max<std::int64_t>(1, most);
  std::string points;
  const auto last = static_cast<std::int64_t>(values.size()) - 1;
  for (std::int64_t i = 0; i <= last; ++i) {
    const std::int64_t x = kSmall.left * 100 + (last == 0 ? 0 : i * kSmall.plot_width() * 100 / last);
    const std::int64_t value = std::max<std::int64_t>(0, values[static_cast<std::size_t>(i)]);
    points += hundredths(x) + "," + hundredths(kSmall.floor() * 100 - value * kSmall.plot_height() * 100 / end) + " ";
  }
  open_svg(html, kSmall,
           chart.title + ": " + std::to_string(values.empty() ? 0 : values.back()) + " " +
               std::string(kLastDay.in(language)));
  const std::string floor = std::to_string(kSmall.floor());
  html.open("polygon", {{"class", "area"},
                        {"points", std::to_string(kSmall.left) + "," + floor + " " + points +
                                       std::to_string(kSmall.width - kSmall.right) + "," + floor}})
      .close();
  html.open("polyline", {{"class", "line"}, {"points", points}}).close();
  html.close();
}

void chart_table(Html& html, Language language, const Chart& chart) {
  html.open("details").element("summary", kNumbers.in(language));
  html.open("div", {{"class", "scroll"}, {"tabindex", "0"}, {"role", "region"}, {"aria-label", chart.title}});
  html.open("table").element("caption", chart.title).open("thead").open("tr");
  html.element("th", kDay.in(language), {{"scope", "col"}});
  for (const ChartSeries& one : chart.series) html.element("th", one.label, {{"scope", "col"}, {"class", "number"}});
  html.close(2).open("tbody");
  for (std::size_t i = days_of(chart); i-- > 0;) {
    html.open("tr").element("th", day_words(language, chart.first_day + static_cast<std::int64_t>(i)),
                            {{"scope", "row"}});
    for (const ChartSeries& one : chart.series) {
      html.element("td", std::to_string(one.values[i]), {{"class", "number"}});
    }
    html.close();
  }
  html.close(4);
}

}  // namespace karta::identity
