#include "card/trace_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace karta::card {
namespace {

constexpr double kWidth = 1200, kMargin = 40, kNames = 365, kSums = 110, kRow = 26, kBar = 16;
constexpr double kPlotLeft = kMargin + kNames, kPlotRight = kWidth - kMargin - kSums, kPlot = kPlotRight - kPlotLeft;
constexpr std::size_t kNoteColumns = 190;  // characters of a footnote's line

struct Share {
  std::string_view name;
  std::string_view colour;
  double TimeSpent::*part;
};
// Told apart by people who see fewer colours, too: they differ in lightness.
constexpr auto kShares = std::to_array<Share>({
    {"terminal", "#c3c9d1", &TimeSpent::terminal},
    {"channel", "#7fb3d9", &TimeSpent::channel},
    {"chip", "#2b5c8a", &TimeSpent::chip},
    {"memory", "#d9822b", &TimeSpent::memory},
    {"waiting", "#e8dcc3", &TimeSpent::waiting},
});

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20) out += c;
    }
  }
  return out;
}

std::string fixed(double value, int digits = 1) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string milliseconds(double value) { return fixed(value, value < 99.95 ? 1 : 0) + " ms"; }

class Drawing {
 public:
  void rectangle(double x, double y, double width, double height, std::string_view fill, double round = 0) {
    out += "<rect x=\"" + fixed(x, 2) + "\" y=\"" + fixed(y, 2) + "\" width=\"" + fixed(width, 2) + "\" height=\"" +
           fixed(height, 2) + "\" fill=\"" + std::string(fill) + "\"" +
           (round > 0 ? " rx=\"" + fixed(round) + "\"" : std::string()) + "/>\n";
  }
  void line(double x1, double y1, double x2, double y2, std::string_view style) {
    out += "<line x1=\"" + fixed(x1, 2) + "\" y1=\"" + fixed(y1, 2) + "\" x2=\"" + fixed(x2, 2) + "\" y2=\"" +
           fixed(y2, 2) + "\" " + std::string(style) + "/>\n";
  }
  void text(double x, double y, std::string_view words, std::string_view style) {
    out += "<text x=\"" + fixed(x, 2) + "\" y=\"" + fixed(y, 2) + "\" " + std::string(style) + ">" + escaped(words) +
           "</text>\n";
  }
  std::string out;
};

// 1, 2 or 5 times a power of ten, so that about eight lines fit.
double grid_step(double range) {
  const double rough = range / 8;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

// Cut at a character's beginning (UTF-8).
std::string shortened(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most - 1;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

std::vector<std::string> wrapped(const std::string& text) {
  std::vector<std::string> lines;
  std::string rest = text;
  while (rest.size() > kNoteColumns) {
    std::size_t at = rest.rfind(' ', kNoteColumns);
    if (at == std::string::npos || at == 0) at = kNoteColumns;
    lines.push_back((lines.empty() ? "" : "    ") + rest.substr(0, at));
    rest.erase(0, std::min(rest.size(), at + 1));
  }
  lines.push_back((lines.empty() ? "" : "    ") + rest);
  return lines;
}

constexpr std::string_view kTitle = "font-size=\"22\" font-weight=\"600\" fill=\"#1d2a38\"";
constexpr std::string_view kSubtitle = "font-size=\"14\" fill=\"#55606d\"";
constexpr std::string_view kName = "font-size=\"13\" fill=\"#1d2a38\"";
constexpr std::string_view kFailedName = "font-size=\"13\" fill=\"#b3261e\"";
constexpr std::string_view kNote = "font-size=\"11\" fill=\"#7a8592\" text-anchor=\"end\"";
constexpr std::string_view kSum = "font-size=\"13\" fill=\"#1d2a38\" text-anchor=\"end\"";
constexpr std::string_view kTick = "font-size=\"11\" fill=\"#7a8592\" text-anchor=\"middle\"";
constexpr std::string_view kSmall = "font-size=\"10.5\" fill=\"#55606d\" xml:space=\"preserve\"";

}  // namespace

TimeSpent Timeline::total() const {
  TimeSpent sum;
  for (const TimelineStep& step : steps) {
    if (!step.aside) sum += step.time;
  }
  return sum;
}

void Timeline::fold(std::size_t rows) {
  if (steps.size() <= rows) return;
  // What differs in details only (offsets, record numbers) is one thing done several times.
  const auto kind = [](const TimelineStep& step) { return step.name.substr(0, step.name.find(" from ")); };
  std::vector<TimelineStep> folded;
  for (std::size_t i = 0; i < steps.size();) {
    std::size_t end = i + 1;
    while (end < steps.size() && kind(steps[end]) == kind(steps[i]) && steps[end].aside == steps[i].aside &&
           steps[end].failed == steps[i].failed) {
      ++end;
    }
    TimelineStep step = steps[i];
    for (std::size_t j = i + 1; j < end; ++j) step.time += steps[j].time;
    if (end - i > 1) {
      step.name = kind(step) + ", " + std::to_string(end - i) + " times";
      step.note.clear();
    }
    folded.push_back(std::move(step));
    i = end;
  }
  steps = std::move(folded);
}

std::string to_svg(const Timeline& timeline) {
  const TimeSpent sum = timeline.total();
  double end = 0;
  for (const TimelineStep& step : timeline.steps) end += step.time.total();
  const double range = std::max({end, timeline.budget_ms, 0.001}) * 1.02;
  const auto x_of = [&](double at) { return kPlotLeft + at / range * kPlot; };

  Drawing drawing;
  double y = kMargin + 20;
  drawing.text(kMargin, y, timeline.title, kTitle);
  y += 24;
  drawing.text(kMargin, y, timeline.subtitle, kSubtitle);

  // Where the time goes, in one bar with its legend.
  y += 26;
  double x = kMargin;
  const double whole = std::max(sum.total(), 0.001);
  for (const Share& share : kShares) {
    const double width = sum.*share.part / whole * (kWidth - 2 * kMargin);
    if (width > 0) drawing.rectangle(x, y, width, 12, share.colour);
    x += width;
  }
  y += 32;
  x = kMargin;
  for (const Share& share : kShares) {
    if (sum.*share.part <= 0) continue;
    drawing.rectangle(x, y - 10, 11, 11, share.colour, 2);
    const std::string words = std::string(share.name) + "  " + milliseconds(sum.*share.part);
    drawing.text(x + 17, y, words, kName);
    x += 17 + 7.2 * static_cast<double>(words.size()) + 26;
  }
  std::string verdict = "in all " + milliseconds(sum.total());
  if (timeline.budget_ms > 0) {
    verdict += " of " + milliseconds(timeline.budget_ms) + (sum.total() <= timeline.budget_ms ? "" : ": over");
  }
  drawing.text(kWidth - kMargin, y, verdict,
               timeline.budget_ms > 0 && sum.total() > timeline.budget_ms
                   ? "font-size=\"15\" font-weight=\"600\" fill=\"#b3261e\" text-anchor=\"end\""
                   : "font-size=\"15\" font-weight=\"600\" fill=\"#1d2a38\" text-anchor=\"end\"");

  // The grid behind the rows.
  y += 40;
  const double top = y - 8;
  const double bottom = y + kRow * static_cast<double>(timeline.steps.size());
  for (std::size_t row = 0; row < timeline.steps.size(); row += 2) {
    drawing.rectangle(kMargin - 8, y - 5 + kRow * static_cast<double>(row), kWidth - 2 * kMargin + 16, kRow, "#f4f6f9",
                      3);
  }
  const double step_ms = grid_step(range);
  for (int tick = 0; tick * step_ms <= range; ++tick) {
    const double at = x_of(tick * step_ms);
    drawing.line(at, top, at, bottom, "stroke=\"#e3e7ec\" stroke-width=\"1\"");
    drawing.text(at, top - 6, fixed(tick * step_ms, step_ms < 1 ? 1 : 0) + (tick == 0 ? " ms" : ""), kTick);
  }

  double at = 0;
  for (const TimelineStep& step : timeline.steps) {
    const double begin = at;
    for (const Share& share : kShares) {
      const double length = step.time.*share.part;
      if (length <= 0) continue;
      drawing.rectangle(x_of(at), y, std::max(x_of(at + length) - x_of(at), 0.4), kBar, share.colour);
      at += length;
    }
    drawing.text(kMargin, y + 12.5, shortened(step.name, step.note.empty() ? 50 : 39),
                 step.failed ? kFailedName : kName);
    if (!step.note.empty()) drawing.text(kPlotLeft - 12, y + 12.5, step.note, kNote);
    drawing.text(kWidth - kMargin, y + 12.5, milliseconds(at - begin), kSum);
    if (step.aside) {
      drawing.rectangle(x_of(begin), y - 1, std::max(x_of(at) - x_of(begin), 1.0), kBar + 2, "#ffffff88");
    }
    y += kRow;
  }
  if (timeline.budget_ms > 0) {
    const double budget = x_of(timeline.budget_ms);
    drawing.line(budget, top, budget, bottom + 4, "stroke=\"#b3261e\" stroke-width=\"1.5\" stroke-dasharray=\"5 4\"");
    drawing.text(budget, bottom + 18, "budget " + milliseconds(timeline.budget_ms),
                 "font-size=\"12\" fill=\"#b3261e\" text-anchor=\"middle\"");
  }
  y = bottom + 46;
  for (const std::string& note : timeline.footnotes) {
    for (const std::string& part : wrapped(note)) {
      drawing.text(kMargin, y, part, kSmall);
      y += 14.5;
    }
  }
  const std::string height = fixed(y + kMargin / 2, 0);
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" +
         fixed(kWidth, 0) + "\" height=\"" + height + "\" viewBox=\"0 0 " + fixed(kWidth, 0) + " " + height +
         "\" font-family=\"'DejaVu Sans', Verdana, sans-serif\">\n<rect width=\"100%\" height=\"100%\" "
         "fill=\"#ffffff\"/>\n" +
         drawing.out + "</svg>\n";
}

}  // namespace karta::card
