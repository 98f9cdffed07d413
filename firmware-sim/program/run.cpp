// karta-sim run and farm: cards in readers until told to stop.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>

#include "firmware-sim/host/soft_card.h"
#include "firmware-sim/link/control.h"
#include "firmware-sim/program/program.h"

namespace karta::sim {
namespace {

// What both verbs take.
struct RunOptions {
  std::string record;
  bool record_secrets = false;
  std::string control;
  std::string ready_file;
  bool contactless = false;
  bool quiet = false;
};

void add_common(CLI::App& verb, RunOptions& options) {
  verb.add_option("--record", options.record, "Append every exchange to this file, one JSON object a line");
  verb.add_flag("--record-secrets", options.record_secrets, "Record PINs, keys and deciphered text too");
  verb.add_option(
      "--control", options.control,
      "Take commands (insert, remove, swap, cut-power, status, quit) at this Unix socket, or - for standard input");
  verb.add_option("--ready-file", options.ready_file,
                  "Make this file when every card has been switched on by its reader");
  verb.add_flag("--contactless", options.contactless, "Show the contactless answer to reset");
  verb.add_flag("--quiet", options.quiet, "Say nothing but errors");
}

// Signals and "quit" end up here; the thread that waits for them does nothing else.
class StopSignal {
 public:
  // Before any thread begins: threads inherit the mask.
  StopSignal() {
    sigset_t signals;
    sigemptyset(&signals);
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    file_ = ::signalfd(-1, &signals, SFD_CLOEXEC);
  }
  ~StopSignal() { ::close(file_); }
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// True if a signal came within so many milliseconds (-1: waits for one).
  bool wait(int milliseconds) const {
    pollfd waiting{.fd = file_, .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, milliseconds) > 0;
  }
  static void raise() { ::kill(::getpid(), SIGTERM); }

 private:
  int file_ = -1;
};

struct Seat {
  std::unique_ptr<SoftCard> card;
  ReaderAddress address;
  std::string name;
};

Result<std::unique_ptr<SoftCard>> load(const std::string& image, bool contactless) {
  std::unique_ptr<SoftCard> card = TRY(SoftCard::open(image));
  if (contactless || card->hal().image().label().contactless) card->set_interface(os::Interface::contactless);
  return card;
}

Status run_cards(std::vector<Seat> seats, const RunOptions& options) {
  const StopSignal stop;
  std::optional<ApduRecord> record;
  if (!options.record.empty()) record.emplace(TRY(ApduRecord::open(options.record, options.record_secrets)));

  const bool contactless = options.contactless;
  CardFarm farm([contactless](const std::string& image) -> Result<std::unique_ptr<CardDevice>> {
    return std::unique_ptr<CardDevice>(TRY(load(image, contactless)));
  });
  unsigned number = 0;
  for (Seat& seat : seats) {
    ++number;
    if (!options.quiet) {
      std::fprintf(stderr, "card %u: %s, for %s\n", number, seat.name.c_str(), seat.address.name().c_str());
    }
    farm.add(std::make_unique<ReaderLink>(number, seat.address, std::move(seat.card), record ? &*record : nullptr));
  }
  std::unique_ptr<ControlDoor> door;
  if (!options.control.empty()) door = TRY(ControlDoor::open(options.control, farm, &StopSignal::raise));

  // Ready means: each reader has taken notice of its card, so PC/SC programs find it.
  constexpr int kStepMilliseconds = 20;
  constexpr int kStepsUntilWarning = 150;
  for (unsigned card = 1, steps = 0; card <= farm.size();) {
    if (farm.card(card).wait_for(LinkState::usable, std::chrono::milliseconds(kStepMilliseconds))) {
      ++card;
      continue;
    }
    if (farm.card(card).state() == LinkState::mute) return fail(mute_card(card));
    if (stop.wait(0)) return {};
    if (++steps == kStepsUntilWarning) {
      const bool connected = farm.card(card).state() == LinkState::connected;
      std::fprintf(stderr,
                   connected ? "card %u has not been noticed yet: is another card in %s?\n"
                             : "card %u is still waiting: is pcscd running, with virtual readers? (%s)\n",
                   card, farm.card(card).address().name().c_str());
    }
  }
  if (!options.ready_file.empty()) {
    const int file = ::open(options.ready_file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) {
      return fail(ErrorKind::io, "cannot make \"" + options.ready_file + "\": " + std::strerror(errno));
    }
    ::close(file);
  }
  std::printf("ready\n");
  std::fflush(stdout);
  stop.wait(-1);
  if (!options.ready_file.empty()) ::unlink(options.ready_file.c_str());
  return {};
}

}  // namespace

void add_run(CLI::App& app, Deed& deed) {
  struct Options {
    RunOptions common;
    std::vector<std::string> images;
    std::vector<std::string> readers;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("run", "Put cards from image files into virtual readers");
  verb->add_option("IMAGE", options->images, "Card images; the first goes into reader 1, the next into reader 2 ...")
      ->required();
  verb->add_option("--reader", options->readers, "Reader for each image in turn: N, or N:1 for its second slot")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  add_common(*verb, options->common);
  verb->footer(
      "Prints \"ready\" when every card can be used, and runs until interrupted; the cards keep their state.\n"
      "Example: karta-sim run ivanov.card petrova.card --record exchange.jsonl");
  verb->callback([options, &deed] {
    deed = [options]() -> Status {
      if (options->readers.size() > options->images.size()) {
        return fail(ErrorKind::usage, "more readers than cards", "give --reader once for each image, or leave it out");
      }
      std::vector<Seat> seats;
      std::set<std::uint16_t> taken;
      for (std::size_t i = 0; i < options->images.size(); ++i) {
        ReaderAddress address{.reader = static_cast<unsigned>(i + 1)};
        if (i < options->readers.size()) address = TRY(parse_reader_address(options->readers[i]));
        if (address.reader > kMaxReaders) {
          return fail(ErrorKind::usage, "too many cards", "use the second slots: --reader 1:1");
        }
        if (!taken.insert(address.port()).second) {
          return fail(ErrorKind::usage, "two cards for " + address.name(), "one card a slot: see --reader");
        }
        seats.push_back({TRY(load(options->images[i], options->common.contactless)), address, options->images[i]});
      }
      return run_cards(std::move(seats), options->common);
    };
  });
}

void add_farm(CLI::App& app, Deed& deed) {
  struct Options {
    RunOptions common;
    unsigned readers = 1;
    bool both_slots = false;
    std::string directory;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("farm", "Fill many virtual readers with cards");
  verb->add_option("--readers", options->readers, "How many readers")->required()->check(CLI::Range(1U, kMaxReaders));
  verb->add_flag("--both-slots", options->both_slots, "A card in the second slot of each reader too");
  verb->add_option("--dir", options->directory,
                   "Keep the cards here (reader-1-slot-0.card ...), blank ones made where missing (default: in memory, "
                   "lost at the end)");
  add_common(*verb, options->common);
  verb->footer("Example: karta-sim farm --readers 8 --both-slots");
  verb->callback([options, &deed] {
    deed = [options]() -> Status {
      SystemRandom random;
      const bool contactless = options->common.contactless;
      std::vector<Seat> seats;
      for (unsigned reader = 1; reader <= options->readers; ++reader) {
        for (unsigned slot = 0; slot < (options->both_slots ? kSlotsPerReader : 1); ++slot) {
          Seat seat{nullptr, ReaderAddress{.reader = reader, .slot = slot}, "blank card in memory"};
          const ImageLabel label{.serial = new_serial(random), .contactless = contactless};
          if (options->directory.empty()) {
            seat.card = TRY(SoftCard::blank(
                label.serial, {.interface = contactless ? os::Interface::contactless : os::Interface::contact}));
          } else {
            std::error_code error;
            std::filesystem::create_directories(options->directory, error);
            seat.name =
                options->directory + "/reader-" + std::to_string(reader) + "-slot-" + std::to_string(slot) + ".card";
            if (!std::filesystem::exists(seat.name, error)) TRY(SoftCard::create(seat.name, label));
            seat.card = TRY(load(seat.name, contactless));
          }
          seats.push_back(std::move(seat));
        }
      }
      return run_cards(std::move(seats), options->common);
    };
  });
}

}  // namespace karta::sim
