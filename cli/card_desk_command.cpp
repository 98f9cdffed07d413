// karta card renew | replace, and unblock --letter: the desk's deeds at the issuing centre, with the card in a reader
// of this machine. Counters do the same through kartad (docs/desk.md).
#include <CLI/CLI.hpp>
#include <memory>

#include "base/random.h"
#include "cli/card_desk.h"
#include "cli/card_session.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/operator.h"
#include "cli/secret_input.h"
#include "issuing/desk/card_deeds.h"

namespace karta::cli {
namespace {

/// A card of this centre in the reader, with the issuer's session open. Members refer to each other: not to be moved.
class CentreDesk {
 public:
  static Result<std::unique_ptr<CentreDesk>> open(const std::string& folder, const std::string& reader,
                                                  const std::string& why, const SecretOptions& secret) {
    std::unique_ptr<CentreDesk> desk(new CentreDesk);
    auto centre = TRY(issuing::Centre::open(folder, desk->clock_, desk->random_));
    desk->centre_.emplace(std::move(centre));
    const auto input = make_secret_input(secret.descriptor, secret.program);
    desk->passphrase_ = TRY(input->ask({"To administer the card:", "passphrase of the issuing centre", ""}));
    desk->master_ = TRY(desk->centre_->unlock_card_master(desk->passphrase_));
    card::PcscOptions options;
    options.exclusive = true;
    desk->connection_ = TRY(connect_card(reader, options));
    auto alone = TRY(card::Transaction::begin(*desk->connection_));
    desk->alone_.emplace(std::move(alone));
    desk->plain_.emplace(*desk->connection_);
    auto card = TRY(issuing::administer(*desk->centre_, desk->master_, *desk->plain_, desk->random_));
    desk->card_.emplace(std::move(card));
    desk->work_.emplace(issuing::DeskWork{*desk->centre_, desk->clock_, desk->random_, {operator_name(), why}});
    return desk;
  }
  CentreDesk(const CentreDesk&) = delete;
  CentreDesk& operator=(const CentreDesk&) = delete;

  issuing::DeskWork& work() { return *work_; }
  issuing::AdministeredCard& card() { return *card_; }
  Result<std::unique_ptr<crypto::Signer>> ca() const { return centre_->unlock_issuing_ca(passphrase_); }

 private:
  CentreDesk() = default;
  SystemClock clock_;
  SystemRandom random_;
  std::optional<issuing::Centre> centre_;
  SecretBytes passphrase_, master_;
  std::unique_ptr<card::CardConnection> connection_;
  std::optional<card::Transaction> alone_;
  std::optional<card::PlainChannel> plain_;
  std::optional<issuing::AdministeredCard> card_;
  std::optional<issuing::DeskWork> work_;
};

struct RenewArguments {
  std::string folder, reader, why;
  unsigned within = 60;
  bool all = false, json = false;
  SecretOptions secret;
};

Result<int> run_renew(const RenewArguments& given) {
  const auto desk = TRY(CentreDesk::open(given.folder, given.reader, given.why, given.secret));
  const auto ca = TRY(desk->ca());
  issuing::RenewalRequest request;
  request.within = std::chrono::days(given.within);
  request.all = given.all;
  const auto keys = TRY(issuing::renew_certificates(desk->work(), desk->card(), *ca, request));
  Json document = json_document("karta.card.renew/1");
  document["card"] = identity::format_id(desk->card().record.id);
  document["serial"] = to_hex_upper(desk->card().channel->greeting().serial);
  document["certificates"] = Json::array();
  for (const issuing::RenewedKey& key : keys) {
    document["certificates"].push_back({{"key", to_string(key.role)},
                                        {"outcome", issuing::name_of(key.outcome)},
                                        {"serial", to_hex(key.certificate.serial())},
                                        {"not_after", format_time(key.certificate.not_after())}});
    if (given.json) continue;
    print(std::string(to_string(key.role)) + "  " + std::string(issuing::name_of(key.outcome)) + ", valid to " +
          format_time(key.certificate.not_after()).substr(0, 10));
  }
  if (given.json) print_json(document);
  return 0;
}

struct ReplaceArguments {
  std::string folder, card, reason, why, profile;
  bool json = false;
};

Result<int> run_replace(const ReplaceArguments& given) {
  const SystemClock clock;
  SystemRandom random;
  auto centre = TRY(issuing::Centre::open(given.folder, clock, random));
  const identity::Card old = TRY(find_card(centre.registry(), given.card));
  const issuing::ReplacementRow reason = TRY(issuing::find_replacement_reason(given.reason));
  issuing::DeskWork work{centre, clock, random, {operator_name(), given.why}};
  const issuing::Replacement done = TRY(issuing::replace_card(work, old.id, reason, given.profile));
  const auto state_of = [now = clock.now()](const identity::Card& card) {
    return identity::row_of(state_at(card, now)).name;
  };
  if (given.json) {
    Json document = json_document("karta.card.replace/1");
    document["old"] = {
        {"card", identity::format_id(done.old.id)}, {"serial", done.old.serial}, {"state", state_of(done.old)}};
    document["ordered"] = {{"card", identity::format_id(done.ordered.id)},
                           {"status_index", done.ordered.status_index},
                           {"profile", done.ordered.profile},
                           {"state", state_of(done.ordered)}};
    document["already"] = done.already;
    print_json(document);
    return 0;
  }
  print("card " + done.old.serial + " is " + std::string(state_of(done.old)) + ", and card " +
        identity::format_id(done.ordered.id) + " is " + std::string(state_of(done.ordered)) + " in its place");
  if (reason.at_once) {
    say("gates without a network learn of it with the next stop-list: karta stop-list delta");
  } else {
    if (state_at(done.old, clock.now()) != identity::CardState::expired) {
      say("the old card works until the new one is activated");
    }
  }
  say("karta card issue makes the new one");
  return 0;
}

}  // namespace

Result<int> unblock_by_letter(const LetterArguments& given) {
  const auto desk = TRY(CentreDesk::open(given.folder, given.reader, given.why, given.secret));
  const auto letter = TRY(issuing::reset_pin(desk->work(), desk->card(), given.pin));
  print("letter " + letter.string());
  say("a letter holds the new transport " + std::string(card::name_of(given.pin)) +
      ": print it, send it to the holder, destroy the file");
  return 0;
}

void add_card_desk(CLI::App& card_noun, Run& chosen) {
  const auto renew = std::make_shared<RenewArguments>();
  CLI::App& renewing =
      *card_noun.add_subcommand("renew", "New certificates for the card's keys, of what the registry knows now");
  renewing.add_option("--within", renew->within, "those that end within so many days")
      ->check(CLI::Range(0u, 3660u))
      ->capture_default_str();
  renewing.add_flag("--all", renew->all, "all of them");
  renewing.add_option("--why", renew->why, "in a few words, for the card's events")->required();
  renewing.add_flag("--json", renew->json, "as karta.card.renew/1");
  add_reader_option(renewing, renew->reader);
  add_centre_option(renewing, renew->folder);
  add_passphrase_options(renewing, renew->secret);
  on_call(renewing, chosen, [renew] { return run_renew(*renew); });

  const auto replace = std::make_shared<ReplaceArguments>();
  CLI::App& replacing = *card_noun.add_subcommand("replace", "Order another card in the place of one");
  replacing.add_option("card", replace->card, "the chip's serial, or the registry's number of the card")->required();
  std::vector<std::string> reasons;
  for (const auto& row : issuing::replacement_reasons()) reasons.emplace_back(row.name);
  replacing
      .add_option("--reason", replace->reason, "lost and stolen end the old card at once, others with the new one")
      ->required()
      ->check(CLI::IsMember(reasons));
  replacing.add_option("--why", replace->why, "in a few words, for the card's events")->required();
  replacing.add_option("--profile", replace->profile, "card profile of the new one; by default that of the old one");
  replacing.add_flag("--json", replace->json, "as karta.card.replace/1");
  add_centre_option(replacing, replace->folder);
  on_call(replacing, chosen, [replace] { return run_replace(*replace); });
}

}  // namespace karta::cli
