// karta terminal watch: what a terminal's daemon does, live, with a bar of where the milliseconds went.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/event_stream.h"
#include "cli/json_output.h"
#include "cli/secret_input.h"

namespace karta::cli {
namespace {

constexpr std::size_t kBar = 60;

struct Arguments {
  EventSource source{.socket = "/run/kartad/kartad.sock", .url = {}, .token = {}};
  std::string after;
  std::vector<std::string> kinds;
  unsigned count = 0;
  int token_descriptor = -1;
  bool json = false;
};

/// The letter a step has in the bar.
struct StepRow {
  std::string_view name;
  char letter;
};
constexpr auto kSteps = std::to_array<StepRow>({
    {"card-access", 'a'},
    {"select", 's'},
    {"pace", 'P'},
    {"terminal-certificates", 'T'},
    {"terminal-authentication", 't'},
    {"issuer-signature", 'I'},
    {"chip-authentication", 'C'},
    {"data", 'd'},
    {"signature", 'S'},
    {"open", 'O'},
    {"commit", 'W'},
    {"ratify", 'r'},
    {"update", 'U'},
    {"pin", 'p'},
});

char letter_of(std::string_view step) {
  for (const StepRow& row : kSteps) {
    if (row.name == step) return row.letter;
  }
  return '.';
}

std::string milliseconds(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f ms", value);
  return text.data();
}

struct Share {
  std::string step;
  double ms = 0;
};

/// Steps of one name together, in the order they first came; what the host took apart.
std::vector<Share> shares_of(const Json& timeline) {
  std::vector<Share> out;
  double host = 0;
  for (const Json& one : timeline) {
    const std::string step = one.value("step", "other");
    auto found = std::find_if(out.begin(), out.end(), [&](const Share& share) { return share.step == step; });
    if (found == out.end()) found = out.insert(out.end(), {step, 0});
    found->ms += one.value("ms", 0.0);
    host += one.value("host_ms", 0.0);
  }
  if (!out.empty()) out.push_back({"host", host});
  return out;
}

/// Every share that is not nothing has at least one column.
std::string bar_of(const std::vector<Share>& shares) {
  double total = 0;
  for (const Share& one : shares) total += one.ms;
  std::string out;
  for (const Share& one : shares) {
    if (total <= 0 || one.ms <= 0) continue;
    const auto columns = static_cast<std::size_t>(one.ms / total * static_cast<double>(kBar) + 0.5);
    out.append(std::max<std::size_t>(columns, 1), one.step == "host" ? '-' : letter_of(one.step));
  }
  return out;
}

std::string words_of(const StreamedEvent& event, const Json& data) {
  std::string out = data.value("time", "") + "  " + event.kind;
  for (const char* const name :
       {"reader", "verb", "step", "decision", "reason", "gate", "why", "item", "state", "words"}) {
    const auto found = data.find(name);
    if (found == data.end() || found->is_null()) continue;
    const std::string value = found->is_string() ? found->get<std::string>() : found->dump();
    if (!value.empty()) out += "  " + (std::string_view(name) == "reader" ? "\"" + value + "\"" : value);
  }
  if (const auto reasons = data.find("reasons"); reasons != data.end() && reasons->is_array()) {
    std::string list;
    for (const Json& one : *reasons)
      list += (list.empty() ? "" : ", ") + (one.is_string() ? one.get<std::string>() : one.dump());
    if (!list.empty()) out += "  (" + list + ")";
  }
  return out;
}

void show(const StreamedEvent& event, bool json) {
  if (json) {
    print(event.data);
    return;
  }
  const Json data = Json::parse(event.data, nullptr, /*allow_exceptions=*/false);
  if (!data.is_object()) return;
  print(words_of(event, data));
  const auto timeline = data.find("timeline");
  if (timeline == data.end() || !timeline->is_array() || timeline->empty()) return;
  const std::vector<Share> shares = shares_of(*timeline);
  double total = 0;
  std::string legend;
  for (const Share& one : shares) {
    total += one.ms;
    const char letter = one.step == "host" ? '-' : letter_of(one.step);
    legend += std::string("  ") + letter + " " + one.step + " " + milliseconds(one.ms);
  }
  print("    |" + bar_of(shares) + "| " + milliseconds(total));
  print("   " + legend);
}

Result<int> run_watch(Arguments given) {
  if (!given.source.url.empty()) given.source.socket.clear();
  if (given.token_descriptor >= 0) {
    const auto input = make_secret_input(given.token_descriptor, "");
    const SecretBytes token = TRY(input->ask({"kartad at " + given.source.url, "the token", "", false}));
    given.source.token = std::string(token.expose_secret_text());
  }
  unsigned seen = 0;
  TRY(read_events(given.source, given.after, [&](const StreamedEvent& event) {
    const bool wanted =
        given.kinds.empty() || std::find(given.kinds.begin(), given.kinds.end(), event.kind) != given.kinds.end();
    if (wanted) {
      show(event, given.json);
      std::fflush(stdout);
      ++seen;
    }
    return given.count == 0 || seen < given.count;
  }));
  if (given.count != 0 && seen < given.count) return fail(ErrorKind::io, "kartad has ended the stream of events");
  return 0;
}

}  // namespace

void add_terminal_watch(CLI::App& terminal_noun, Run& chosen) {
  auto given = std::make_shared<Arguments>();
  CLI::App& command = *terminal_noun.add_subcommand("watch", "Live events of this terminal's kartad");
  command.add_option("--socket", given->source.socket, "kartad's local socket")->capture_default_str();
  command.add_option("--url", given->source.url, "instead of the socket: http://127.0.0.1:8470");
  command
      .add_option("--token-fd", given->token_descriptor, "read the token for --url from this file descriptor, one line")
      ->type_name("N");
  command.add_option("--after", given->after, "the number of the last event that is known");
  command.add_option("--kind", given->kinds, "only these: visit, tap, refusal ...; several");
  command.add_option("--count", given->count, "end after so many");
  command.add_flag("--json", given->json, "for scripts: a karta.kartad.event/1 a line");
  command.footer("Example: karta terminal watch --kind visit --kind redemption");
  on_call(command, chosen, [given] { return run_watch(*given); });
}

}  // namespace karta::cli
