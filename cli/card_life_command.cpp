// karta card ship | activate | suspend | resume | revoke | status: the life of an issued card in the registry.
//
// The card itself is not needed: what counts is what those who check it are told. Its certificates go with it.
#include <CLI/CLI.hpp>
#include <memory>

#include "base/random.h"
#include "cli/card_desk.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/operator.h"
#include "identity/registry.h"
#include "issuing/centre_config.h"

namespace karta::cli {
namespace {

using identity::CardState;
using identity::RevocationReason;

struct Arguments {
  std::string folder;
  std::string card;
  std::string why;
  std::string reason = "unspecified";
  bool json = false;
};

struct Verb {
  const char* name;
  CardState to;
  const char* words;
};
constexpr Verb kVerbs[] = {
    {"ship", CardState::shipped, "The card is on its way to the citizen"},
    {"activate", CardState::active, "The card is in the citizen's hands"},
    {"suspend", CardState::suspended, "The card is not accepted for the time being; its certificates are on hold"},
    {"resume", CardState::active, "A suspended card is accepted again"},
    {"revoke", CardState::revoked, "The card is never accepted again, nor its certificates"},
};

/// `now`: what the card is by the clock, beside what the registry has; none: what a step has made of it.
Json json_of(const identity::Card& card, const std::optional<Time>& now) {
  const identity::CardState state = now ? state_at(card, *now) : card.state;
  Json row{{"card", identity::format_id(card.id)},
           {"serial", card.serial},
           {"status_index", card.status_index},
           {"profile", card.profile},
           {"state", identity::row_of(state).name}};
  if (now) row["state_in_registry"] = identity::row_of(card.state).name;
  row["stopped"] = identity::row_of(card.state).stopped;
  row["revocation_reason"] =
      card.state == CardState::revoked ? Json(identity::name_of(card.revocation_reason)) : Json();
  row["valid_until"] = card.valid_until ? Json(format_time(*card.valid_until)) : Json();
  row["changed"] = format_time(card.changed);
  return row;
}

int show(const identity::Card& card, const Arguments& given, const char* schema, const std::optional<Time>& now) {
  if (given.json) {
    Json document = json_document(schema);
    document.update(json_of(card, now));
    print_json(document);
  } else {
    const bool over = now && state_at(card, *now) != card.state;
    print("card " + card.serial + " is " +
          (over ? "expired since " + format_time(*card.valid_until) + ", in the registry " : std::string()) +
          std::string(identity::row_of(card.state).name) +
          (card.state == CardState::revoked ? " (" + std::string(identity::name_of(card.revocation_reason)) + ")"
                                            : std::string()) +
          ", status index " + std::to_string(card.status_index));
  }
  return 0;
}

Result<int> run(const Arguments& given, const Verb* verb) {
  const SystemClock clock;
  SystemRandom random;
  const issuing::CentreConfig config = TRY(issuing::load_centre_config(given.folder));
  identity::Registry registry = TRY(identity::Registry::open(config.database, clock, random));
  identity::Card card = TRY(find_card(registry, given.card));
  if (verb == nullptr) return show(card, given, "karta.card.status/1", clock.now());
  const RevocationReason reason = TRY(identity::parse_revocation_reason(given.reason));
  // "resume" and "activate" lead to the same state: each is for where one stands.
  const bool suspended = card.state == CardState::suspended;
  const std::string_view name = verb->name;
  if ((name == "resume" && !suspended) || (name == "activate" && suspended)) {
    return fail(
        ErrorKind::not_permitted, "the card is " + std::string(identity::row_of(card.state).name),
        suspended ? "karta card resume lets a suspended card work again" : "only a suspended card can be resumed");
  }
  card = TRY(registry.change_card_state(card.id, verb->to, {operator_name(), given.why}, reason));
  if (identity::row_of(card.state).stopped)
    say("gates without a network learn of it with the next stop-list: karta stop-list delta");
  return show(card, given, "karta.card.life/1", std::nullopt);
}

}  // namespace

Result<identity::Card> find_card(identity::Registry& registry, const std::string& text) {
  if (const auto id = identity::parse_card_id(text)) {
    if (auto card = registry.card(*id); card || card.error().kind != ErrorKind::not_found) return card;
  }
  return registry.card_by_serial(text);
}

void add_card_life(CLI::App& card_noun, Run& chosen) {
  const auto given = std::make_shared<Arguments>();
  const auto add = [&](const char* name, const char* words, const Verb* verb) {
    CLI::App& command = *card_noun.add_subcommand(name, words);
    command.add_option("card", given->card, "the chip's serial, or the registry's number of the card")->required();
    if (verb != nullptr) command.add_option("--why", given->why, "in a few words, for the card's events")->required();
    if (verb != nullptr && verb->to == CardState::revoked) {
      command.add_option("--reason", given->reason,
                         "as CRLs say it: keyCompromise, superseded, cessationOfOperation ...");
    }
    command.add_flag("--json", given->json, "for scripts");
    add_centre_option(command, given->folder);
    on_call(command, chosen, [given, verb] { return run(*given, verb); });
  };
  for (const Verb& verb : kVerbs) add(verb.name, verb.words, &verb);
  add("status", "Where an issued card stands in its life", nullptr);
}

}  // namespace karta::cli
