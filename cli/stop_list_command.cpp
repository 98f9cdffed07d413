// karta stop-list: which cards are dead, in a file for those who check cards without a network.
#include <CLI/CLI.hpp>
#include <filesystem>

#include "base/file.h"
#include "base/random.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/secret_input.h"
#include "identity/authority/stop_list_folder.h"
#include "issuing/centre.h"

namespace karta::cli {
namespace {

namespace fs = std::filesystem;
using identity::CardVerdict;
using identity::StopList;
using identity::StopListFile;
using identity::StopListKind;
using identity::StopListState;
using identity::StopTable;

constexpr std::string_view kFolder = "stop-lists";
constexpr unsigned kFullHours = 8 * 24;  // made weekly, with a day to spare
constexpr unsigned kDeltaHours = 26;     // made daily
constexpr std::size_t kMostCertificates = 1u << 20;

struct Arguments {
  std::string folder;
  std::string file;
  std::vector<std::string> deltas;
  std::vector<std::string> signers;
  std::vector<std::uint64_t> indexes;
  std::string in_use;
  std::string out;
  unsigned hours = 0;
  unsigned stale_hours = 0;
  bool incremental = false;
  bool json = false;
  SecretOptions secret;
};

Result<int> make(const Arguments& given, StopListKind kind) {
  const SystemClock clock;
  SystemRandom random;
  issuing::Centre centre = TRY(issuing::Centre::open(given.folder, clock, random));
  const identity::StopListFolder folder(centre.config().folder / kFolder);
  identity::StopListPlan plan;
  plan.kind = kind;
  plan.incremental = given.incremental;
  plan.issuer = centre.config().name;
  plan.valid_for = std::chrono::hours(given.hours != 0             ? given.hours
                                      : kind == StopListKind::full ? kFullHours
                                                                   : kDeltaHours);
  identity::StopListDraft draft = TRY(folder.draft(plan, centre.registry(), {centre.issuing()}, clock.now()));
  const identity::StopListHead head = draft.head;
  const std::size_t listed = draft.listed, stopped = draft.stopped;
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const SecretBytes passphrase = TRY(input->ask({.title = "Stop-list of epoch " + std::to_string(head.epoch),
                                                 .prompt = "passphrase of the issuing CA",
                                                 .warning = "",
                                                 .repeat = false}));
  const auto signer = TRY(centre.unlock_issuing_ca(passphrase));
  const StopListFile made = TRY(folder.publish(std::move(draft), *signer));
  if (!given.out.empty()) TRY(write_new_file(given.out, made.octets, 0644));
  if (given.json) {
    Json document = json_document("karta.stop-list.build/1");
    document["file"] = made.path.string();
    document["kind"] = std::string(name_of(kind));
    document["epoch"] = head.epoch;
    document["listed"] = listed;
    document["stopped"] = stopped;
    document["octets"] = made.octets.size();
    print_json(document);
  } else {
    print(std::string(name_of(kind)) + " stop-list of epoch " + std::to_string(head.epoch) + ": " +
          std::to_string(stopped) + " cards stopped" +
          (kind == StopListKind::delta
               ? ", " + std::to_string(listed) + " changed since epoch " + std::to_string(head.base_epoch)
               : std::string()) +
          ", " + std::to_string(made.octets.size()) + " octets, in \"" + made.path.string() + "\"");
  }
  return 0;
}

Json json_of(const StopList& list) {
  Json document;
  document["kind"] = std::string(name_of(list.head().kind));
  document["issuer"] = list.head().issuer;
  document["epoch"] = list.head().epoch;
  document["this_update"] = format_time(list.head().this_update);
  document["next_update"] = format_time(list.head().next_update);
  if (list.head().kind == StopListKind::delta) {
    document["base_epoch"] = list.head().base_epoch;
    document["base"] = to_hex(list.head().base);
  }
  document["hash"] = to_hex(list.hash());
  document["listed"] = list.count();
  document["batches"] = Json::array();
  for (const identity::IndexRange& batch : list.batches())
    document["batches"].push_back({{"first", batch.first}, {"count", batch.count}});
  document["shards"] = list.shards().size();
  return document;
}

Result<int> run_info(const Arguments& given) {
  const StopListFile file = TRY(StopListFile::read(given.file));
  const StopList& list = file.list;
  if (given.json) {
    Json document = json_document("karta.stop-list.info/1");
    document.update(json_of(list));
    document["octets"] = file.octets.size();
    print_json(document);
    return 0;
  }
  const identity::StopListHead& head = list.head();
  print(std::string(name_of(head.kind)) + " stop-list of " + head.issuer + ", epoch " + std::to_string(head.epoch) +
        (head.kind == StopListKind::delta ? ", on epoch " + std::to_string(head.base_epoch) : std::string()));
  print("made " + format_time(head.this_update) + ", the next is due " + format_time(head.next_update));
  print(std::to_string(list.count()) + (head.kind == StopListKind::full ? " cards stopped" : " cards changed") +
        " of those with indexes below " + std::to_string(list.end()) + "; " + std::to_string(list.batches().size()) +
        (list.batches().size() == 1 ? " run" : " runs") + " of batches, " + std::to_string(file.octets.size()) +
        " octets");
  print("hash " + to_hex(list.hash()));
  print("the signature was not checked: karta stop-list verify");
  return 0;
}

Result<std::vector<crypto::Certificate>> signers_of(const Arguments& given) {
  std::vector<crypto::Certificate> signers;
  std::vector<std::string> files = given.signers;
  if (files.empty()) {
    const auto config = issuing::load_centre_config(given.folder);
    if (!config)
      return fail(ErrorKind::untrusted, "no trust data: nobody was named whose stop-lists count",
                  "--signer FILE, or --dir CENTRE");
    files.push_back(config->issuing.certificate.string());
  }
  for (const std::string& file : files) {
    const Bytes octets = TRY(read_file(file, kMostCertificates));
    auto some = TRY(crypto::Certificate::many_from_file_octets(octets));
    signers.insert(signers.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  return signers;
}

/// The list in FILE with the deltas after it, all signatures and successions checked.
Result<StopTable> open_table(const Arguments& given, Time now) {
  const auto signers = TRY(signers_of(given));
  const StopListFile full = TRY(StopListFile::read(given.file));
  TRY(full.list.verify(signers, now));
  StopTable table = TRY(StopTable::unfold(full.list));
  for (const std::string& path : given.deltas) {
    const StopListFile delta = TRY(StopListFile::read(path));
    TRY(delta.list.verify(signers, now));
    TRY(table.apply(delta.list));
  }
  if (!given.in_use.empty()) {
    const StopListFile in_use = TRY(StopListFile::read(given.in_use));
    TRY(in_use.list.verify(signers, now));
    TRY(identity::check_succession(in_use.list.head(), table.head()));
  }
  return table;
}

StopListState freshness(const Arguments& given, const StopTable& table, Time now) {
  return identity::state_of(table.head(), now, {.stale_for = std::chrono::hours(given.stale_hours)});
}
bool usable(StopListState state) { return state == StopListState::fresh || state == StopListState::stale; }

Result<int> run_verify(const Arguments& given) {
  const Time now = SystemClock().now();
  const StopTable table = TRY(open_table(given, now));
  const StopListState state = freshness(given, table, now);
  if (given.json) {
    Json document = json_document("karta.stop-list.verify/1");
    document["issuer"] = table.head().issuer;
    document["epoch"] = table.head().epoch;
    document["state"] = std::string(name_of(state));
    document["next_update"] = format_time(table.head().next_update);
    document["stopped"] = table.count();
    print_json(document);
  } else {
    print("the stop-list of " + table.head().issuer + " is whole and " + std::string(name_of(state)) + ": epoch " +
          std::to_string(table.head().epoch) + ", " + std::to_string(table.count()) +
          " cards stopped, the next is due " + format_time(table.head().next_update));
  }
  return usable(state) ? 0 : 2;
}

Result<int> run_check(const Arguments& given) {
  const Time now = SystemClock().now();
  const StopTable table = TRY(open_table(given, now));
  const StopListState state = freshness(given, table, now);
  Json document = json_document("karta.stop-list.check/1");
  document["epoch"] = table.head().epoch;
  document["state"] = std::string(name_of(state));
  document["cards"] = Json::array();
  int worst = usable(state) ? 0 : 2;
  for (const std::uint64_t index : given.indexes) {
    const CardVerdict verdict = table.find(index);
    if (verdict == CardVerdict::stopped) worst = 1;
    if (verdict == CardVerdict::unknown && worst == 0) worst = 2;
    document["cards"].push_back({{"index", index}, {"verdict", std::string(name_of(verdict))}});
    if (!given.json) print(std::to_string(index) + "  " + std::string(name_of(verdict)));
  }
  if (given.json) {
    print_json(document);
  } else if (!usable(state)) {
    print("the list is " + std::string(name_of(state)) + ": \"good\" is not to be relied upon");
  }
  return worst;
}

void add_trust_options(CLI::App& command, Arguments& given) {
  command.add_option("file", given.file, "the full list")->required();
  command.add_option("--delta", given.deltas, "deltas to apply, in this order");
  command.add_option("--signer", given.signers,
                     "certificates of the authorities whose lists count (default: the centre's issuing CA)");
  command.add_option("--stale-hours", given.stale_hours, "how long a list may be used after its next was due");
  command.add_flag("--json", given.json, "for scripts");
  add_centre_option(command, given.folder);
}

}  // namespace

void add_stop_list(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("stop-list", "Which cards are dead, for gates and clinics without a network");
  noun.require_subcommand(1);
  const auto given = std::make_shared<Arguments>();
  const auto add_make = [&](const char* name, const char* words, StopListKind kind) {
    CLI::App& command = *noun.add_subcommand(name, words);
    add_centre_option(command, given->folder);
    command.add_option("--out", given->out, "write the list here too");
    command.add_option("--hours", given->hours, "until the next list is due")->check(CLI::Range(1u, 24u * 366u));
    if (kind == StopListKind::delta)
      command.add_flag("--incremental", given->incremental, "on the newest list rather than the newest full one");
    command.add_flag("--json", given->json, "for scripts");
    add_passphrase_options(command, given->secret);
    on_call(command, chosen, [given, kind] { return make(*given, kind); });
  };
  add_make("build", "make a full list from the registry", StopListKind::full);
  add_make("delta", "make a list of what has changed since the last full one", StopListKind::delta);

  CLI::App& info = *noun.add_subcommand("info", "what a file says of itself");
  info.add_option("file", given->file, "the list")->required();
  info.add_flag("--json", given->json, "for scripts");
  on_call(info, chosen, [given] { return run_info(*given); });

  CLI::App& verify =
      *noun.add_subcommand("verify", "check signature, every code and freshness; exit 0 usable, 2 not fresh");
  add_trust_options(verify, *given);
  verify.add_option("--in-use", given->in_use, "the list it is to take the place of");
  on_call(verify, chosen, [given] { return run_verify(*given); });

  CLI::App& check = *noun.add_subcommand("check", "look cards up by status index; exit 0 good, 1 stopped, 2 unknown");
  add_trust_options(check, *given);
  check.add_option("--index", given->indexes, "status indexes")->required();
  on_call(check, chosen, [given] { return run_check(*given); });
}

}  // namespace karta::cli
