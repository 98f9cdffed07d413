// bench tap: what a tap and a clinic's visit take on three chips at four rates, by the cost model, with a timeline
// each.
//
//   tap_bench [FOLDER]     pictures of the modern chip at 424 kbit/s go there
#include <cstdio>
#include <filesystem>

#include "tests/bench/bench.h"
#include "tests/card_security/sessions.h"

namespace karta::test {
namespace {

constexpr std::string_view kRates[] = {"106", "212", "424", "848"};

bool within_budget = true;

void show(const Session& session, const std::filesystem::path& folder) {
  std::printf("\n%s\n  %-28s", session.title.c_str(), "ms as modelled, kbit/s:");
  for (const std::string_view rate : kRates) std::printf(" %8.*s", static_cast<int>(rate.size()), rate.data());
  std::printf("\n");
  for (const card::ChipRow& chip : card::chips()) {
    std::printf("  %-28.*s", static_cast<int>(chip.words.size()), chip.words.data());
    for (const std::string_view rate : kRates) {
      card::CostModel model(chip, *card::channel_called(rate).value());
      const card::Timeline timeline = timeline_of(session, model);
      const double total = timeline.total().total();
      std::printf(" %8.1f", total);
      const std::string name = "tap/" + session.name + "/" + std::string(chip.name) + "/" + std::string(rate);
      const bool shown = chip.chip == card::Chip::modern && rate == "424", held = shown && session.budget_ms != 0;
      bench::record(name, total, "ms", held ? "budget" : "", held ? session.budget_ms : 0);
      if (!held) continue;
      within_budget = within_budget && total <= session.budget_ms;
      std::filesystem::create_directories(folder);
      const std::filesystem::path picture = folder / (session.name + ".svg");
      std::filesystem::remove(picture);
      bench::demand(write_new_file(picture, as_bytes(card::to_svg(timeline)), 0644).has_value(), "cannot draw");
    }
    std::printf("\n");
  }
  card::CostModel model(card::chips()[0], *card::channel_called("424").value());
  const card::Timeline timeline = timeline_of(session, model);
  const card::TimeSpent sum = timeline.total();
  const std::string of = session.budget_ms == 0 ? "" : " of " + std::to_string(static_cast<int>(session.budget_ms));
  std::printf("  modern, 424: %.1f ms%s: channel %.1f, terminal %.1f, chip %.1f, memory %.1f\n", sum.total(),
              of.c_str(), sum.channel, sum.terminal, sum.chip, sum.memory);
  for (const card::TimelineStep& step : timeline.steps) {
    std::printf("    %-52s %7.1f%s\n", step.name.c_str(), step.time.total(),
                step.aside ? "  (off the critical path)" : "");
  }
  for (const std::string& note : timeline.footnotes) std::printf("    %s\n", note.c_str());
}

}  // namespace
}  // namespace karta::test

int main(int argc, char** argv) {
  using namespace karta::test;
  const std::filesystem::path folder = argc > 1 ? argv[1] : "timelines";
  IdentityCardOptions shipped, with_signatures;
  shipped.all_data_groups = false;
  with_signatures.card_signed = true;
  IdentityCard card(shipped), signing(with_signatures);
  show(counted_tap(card), folder);
  show(signed_tap(signing), folder);
  show(clinic_visit(card), folder);
  shipped.portrait = true;
  IdentityCard with_portrait(shipped);
  Session visit = clinic_visit(with_portrait);
  visit.name += "-portrait";
  visit.title += ", of a card with a portrait";
  show(visit, folder);
  show(portrait_after_visit(with_portrait), folder);
  if (testing::Test::HasFailure()) return 70;
  if (!within_budget) std::printf("\nsome of them are over their budgets\n");
  std::printf("\ntimelines: %s\n", folder.c_str());
  return 0;
}
