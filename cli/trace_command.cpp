// karta card trace: a recorded session in words, with the time it would take on a real chip, and as a picture.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "base/file.h"
#include "card/trace_decoder.h"
#include "card/trace_picture.h"
#include "cli/commands.h"
#include "cli/json_output.h"

namespace karta::cli {
namespace {

constexpr std::size_t kMaxKeyFile = 1u << 20;
constexpr std::size_t kShownOctets = 48;  // of a data field, unless all was asked for
constexpr std::size_t kPictureRows = 60;

struct Arguments {
  std::string file, keys, chip = "modern", channel = "424", picture, title;
  unsigned card = 0;
  std::size_t from = 1, count = 0;
  double budget = 0;
  bool activation = false, octets = false, full = false, json = false;
};

std::string fixed(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string padded(std::string text, std::size_t width) {
  // Columns count characters, not octets of UTF-8.
  const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  const auto columns = static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins));
  if (columns < width) text.append(width - columns, ' ');
  return text;
}
std::string right(const std::string& text, std::size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

std::string shown(ByteView octets, bool full) {
  if (full || octets.size() <= kShownOctets) return to_hex_upper(octets);
  return to_hex_upper(octets.first(kShownOctets)) + "... (" + std::to_string(octets.size()) + " octets)";
}

std::string status_text(const card::TraceExchange& exchange) {
  return exchange.status ? card::to_string(*exchange.status) : "-";
}

bool has_failed(const card::TraceExchange& exchange) {
  if (!exchange.status) return true;
  const std::uint8_t sw1 = exchange.status->sw1();
  return sw1 >= 0x63 && sw1 != 0x90 && sw1 != 0x6C;
}

// What of one exchange is shown.
struct Line {
  const card::TraceExchange* exchange;
  card::DecodedExchange decoded;
  card::TimeSpent time;
};

std::string octets_text(const card::TraceExchange& exchange) {
  return std::to_string(exchange.command_octets()) + " + " + std::to_string(exchange.response_octets());
}

void print_line(const Line& line, const Arguments& given) {
  const card::TraceExchange& exchange = *line.exchange;
  std::string name = line.decoded.name;
  if (!line.decoded.protection.empty()) name += " [" + std::string(line.decoded.protection) + "]";
  print(right(fixed(static_cast<double>(exchange.at_us) / 1000), 10) + "  " + padded(name, 52) +
        right(octets_text(exchange), 13) + "  " + padded(status_text(exchange), 5) +
        right(fixed(line.time.channel), 8) +
        right(exchange.counts ? fixed(line.time.chip + line.time.waiting) : "?", 8) +
        right(exchange.counts ? fixed(line.time.memory) : "?", 8) + right(fixed(line.time.total()), 9));
  const std::string indent(14, ' ');
  if (given.octets) {
    std::string command = shown(exchange.command, given.full);
    if (exchange.hidden_octets != 0) command += " (" + std::to_string(exchange.hidden_octets) + " octets left out)";
    print(indent + "> " + command);
    if (!exchange.response.empty()) print(indent + "< " + shown(exchange.response, given.full));
  }
  if (!line.decoded.plain) return;
  const card::PlainExchange& plain = *line.decoded.plain;
  print(indent + "plain > " + to_hex_upper(plain.header) + " " +
        (plain.data_read ? shown(plain.data, given.full) : std::string("(no key opens it)")));
  if (!plain.response_read) {
    print(indent + "plain < (no key opens it)");
  } else if (!plain.response.empty()) {
    print(indent + "plain < " + shown(plain.response, given.full));
  }
}

Json json_of(const card::TimeSpent& time) {
  return Json{{"channel", time.channel}, {"terminal", time.terminal}, {"chip", time.chip},
              {"memory", time.memory},   {"waiting", time.waiting},   {"total", time.total()}};
}

Json json_of(const Line& line) {
  const card::TraceExchange& exchange = *line.exchange;
  Json row{{"at_us", exchange.at_us},
           {"card", exchange.card},
           {"name", line.decoded.name},
           {"protection", line.decoded.protection},
           {"command_octets", exchange.command_octets()},
           {"response_octets", exchange.response_octets()},
           {"status", exchange.status ? Json(card::to_string(*exchange.status)) : Json(nullptr)},
           {"counted", exchange.counts.has_value()},
           {"ms", json_of(line.time)}};
  if (line.decoded.plain) {
    const card::PlainExchange& plain = *line.decoded.plain;
    Json content{{"header", to_hex_upper(plain.header)}};
    content["data"] = plain.data_read ? Json(to_hex_upper(plain.data)) : Json(nullptr);
    content["response"] = plain.response_read ? Json(to_hex_upper(plain.response)) : Json(nullptr);
    row["plain"] = std::move(content);
  }
  return row;
}

Result<int> run_trace(const Arguments& given) {
  const card::ChipRow* const chip = TRY(card::chip_called(given.chip));
  const card::ChannelRow* const channel = TRY(card::channel_called(given.channel));
  card::CostModel model(*chip, *channel);
  const Bytes text = TRY(read_file(given.file, card::kMaxTraceOctets));
  const card::SessionTrace trace = TRY(card::SessionTrace::parse(as_text(text)));
  card::TraceDecoder decoder;
  if (!given.keys.empty()) {
    const SecretBytes file(TRY(read_file(given.keys, kMaxKeyFile)));
    const auto keys = TRY(card::parse_trace_keys(file.expose_secret_text()));
    for (const SecretBytes& key : keys) decoder.add_key(key.expose_secret());
  }

  std::vector<Line> lines;
  card::TimeSpent sum;
  if (given.activation) sum += model.activation();
  Json rows = Json::array();
  std::size_t number = 0;
  bool counted = true;
  if (!given.json) {
    print(std::string(chip->words) + ", " + std::string(channel->words) + "; milliseconds as modelled");
    print(right("at ms", 10) + "  " + padded("command", 52) + right("octets", 13) + "  " + padded("SW", 5) +
          right("channel", 8) + right("chip", 8) + right("memory", 8) + right("in all", 9));
  }
  for (const card::SessionTrace::Entry& entry : trace.entries) {
    if (const auto* const event = std::get_if<card::TraceEvent>(&entry)) {
      if (event->name != "insert") decoder.end_session(event->card);
      if (given.card != 0 && event->card != given.card) continue;
      if (number + 1 < given.from || (given.count != 0 && number + 1 >= given.from + given.count)) continue;
      if (!given.json) {
        print(right(fixed(static_cast<double>(event->at_us) / 1000), 10) + "  -- card " + std::to_string(event->card) +
              ": " + event->name + (event->atr.empty() ? "" : "  " + to_hex_upper(event->atr)));
      }
      continue;
    }
    const auto& exchange = std::get<card::TraceExchange>(entry);
    Line line{&exchange, decoder.take(exchange), {}};
    if (given.card != 0 && exchange.card != given.card) continue;
    ++number;
    if (number < given.from || (given.count != 0 && number >= given.from + given.count)) continue;
    line.time = TRY(card::time_of(exchange, model));
    counted = counted && exchange.counts.has_value();
    sum += line.time;
    if (given.json) {
      rows.push_back(json_of(line));
    } else {
      print_line(line, given);
    }
    lines.push_back(std::move(line));
  }

  const std::vector<std::string> notes = model.assumptions();
  if (given.json) {
    Json document = json_document("karta.card.trace/1");
    document["chip"] = chip->words;
    document["channel"] = channel->words;
    document["exchanges"] = std::move(rows);
    document["total_ms"] = json_of(sum);
    if (given.budget > 0) document["within_budget"] = sum.total() <= given.budget;
    document["assumptions"] = notes;
    print_json(document);
  } else {
    print("");
    print(std::to_string(lines.size()) + (lines.size() == 1 ? " command" : " commands") + ", " + fixed(sum.total()) +
          " ms as modelled" + (given.activation ? ", activation included" : "") + ": channel " + fixed(sum.channel) +
          ", terminal " + fixed(sum.terminal) + ", chip " + fixed(sum.chip) + ", memory " + fixed(sum.memory) +
          (sum.waiting > 0 ? ", waiting " + fixed(sum.waiting) : std::string()));
    if (given.budget > 0) {
      print(sum.total() <= given.budget ? "within the budget of " + fixed(given.budget) + " ms"
                                        : "over the budget of " + fixed(given.budget) + " ms");
    }
    for (const std::string& note : notes) print("  " + note);
  }
  if (!counted) say("the trace does not say what the card did in every command: chip and memory are not in the sum");

  if (!given.picture.empty()) {
    card::Timeline timeline;
    timeline.title = given.title.empty() ? "Session with a card" : given.title;
    timeline.subtitle = std::string(chip->words) + ", " + std::string(channel->words) + ", as modelled";
    timeline.budget_ms = given.budget;
    timeline.footnotes = notes;
    if (given.activation) timeline.steps.push_back({"activation", "", model.activation()});
    for (const Line& line : lines) {
      timeline.steps.push_back(
          {line.decoded.name, octets_text(*line.exchange), line.time, false, has_failed(*line.exchange)});
    }
    timeline.fold(kPictureRows);
    TRY(write_new_file(given.picture, as_bytes(card::to_svg(timeline)), 0644));
    say("the picture is in " + given.picture);
  }
  return 0;
}

}  // namespace

void add_card_trace(CLI::App& card_noun, Run& chosen) {
  auto given = std::make_shared<Arguments>();
  CLI::App& command = *card_noun.add_subcommand(
      "trace", "A session recorded by karta-sim --record, in words, in time and as a picture");
  command.add_option("file", given->file, "the recording")->required();
  command.add_option(
      "--key", given->keys,
      "a file of AES session keys in hexadecimal, one a line, to open secure messaging with (a recording "
      "with secrets holds them itself)");
  command.add_option("--chip", given->chip, "whose time to show: modern, mid, old")->capture_default_str();
  command.add_option("--channel", given->channel, "106, 212, 424, 848 kbit/s; contacts: t1-11, t1-95, t1-96, t1-97")
      ->capture_default_str();
  command.add_option("--card", given->card, "this card only, by its number in the recording");
  command.add_option("--from", given->from, "begin with this command, from 1")->capture_default_str();
  command.add_option("--count", given->count, "at most so many commands");
  command.add_flag("--activation", given->activation, "count the card's activation, too");
  command.add_flag("--octets", given->octets, "show the APDUs' octets");
  command.add_flag("--full", given->full, "show data fields to their end");
  command.add_option("--budget", given->budget, "milliseconds the whole may take");
  command.add_option("--svg", given->picture, "draw the timeline into this file, which must not exist");
  command.add_option("--title", given->title, "the picture's");
  command.add_flag("--json", given->json, "as karta.card.trace/1");
  on_call(command, chosen, [given] { return run_trace(*given); });
}

}  // namespace karta::cli
