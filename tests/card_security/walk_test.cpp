// Random walks through the card's life: a small model of life cycle, PINs, rules and sessions, written from
// docs/card-commands.md, and the card beside it; every status word is foretold. A walk that diverges is shrunk to the
// few steps that show it, and its seed printed.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>

#include "firmware-sim/host/coprocessor.h"
#include "firmware-sim/os/card.h"
#include "firmware-sim/os/test_chip.h"
#include "firmware-sim/os/test_session.h"

namespace karta::os {
namespace {

using Chip = TestChip<sim::Coprocessor>;

constexpr u8 kSerial[kSerialBytes] = {0xA0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0A};
constexpr char kEsign[] = "00A404000CA000000063504B43532D3135";
constexpr char kManager[] = "00A4040C08A000000151000000";
constexpr int kTries = 3;
constexpr int kPukTries = 3;

enum class Step : u8 {
  power,       // off and on
  reset,       // warm
  esign,       // SELECT by name
  manager,     // SELECT by name
  tries,       // VERIFY without data
  verify,      // right or wrong
  change,      // right or wrong old value; a new value the policy may refuse
  unblock,     // right or wrong PUK
  logout,      // one PIN or all
  read,        // EF under PIN 1
  update,      // the same EF, under PIN 2
  sign,        // with the everyday key, or the one that asks for PIN 2 each time
  create,      // an EF, under PIN 2 where rules count
  remove,      // that EF
  deactivate,  // the EF, under PIN 2
  activate,    // and back
  put_data,    // a PIN, on an issued card
  channel,     // a class of another logical channel
  foreign,     // a class that is nobody's
  garbage,     // lengths that are none
  session,     // SCP03 with the right keys or with others
  activate_esign,
  issue,
  lock,
  terminate,
};
constexpr int kSteps = static_cast<int>(Step::terminate) + 1;

struct Action {
  Step step;
  u8 pin = 1;          // 1 or 2
  u8 variant = 0;      // what each step makes of it
  bool plain = false;  // beside a session: which that ends
};

std::string name(const Action& action) {
  static const char* const kNames[kSteps] = {
      "power",   "reset",   "esign",   "manager",        "tries",  "verify",     "change",   "unblock",  "logout",
      "read",    "update",  "sign",    "create",         "remove", "deactivate", "activate", "put_data", "channel",
      "foreign", "garbage", "session", "activate_esign", "issue",  "lock",       "terminate"};
  return std::string(kNames[static_cast<int>(action.step)]) + "(" + std::to_string(action.pin) + "," +
         std::to_string(action.variant) + (action.plain ? ",plain)" : ")");
}

// --- The model ----------------------------------------------------------------------------------------------------

enum class Life : u8 { blank, activated, issued, locked, terminated };
enum class Application : u8 { none, esign, manager };

struct Pin {
  std::string value;
  std::string puk;
  bool transport = false;
  int tries = kTries;
  int puk_tries = kPukTries;
  bool verified = false;
};

struct Model {
  Life life = Life::blank;
  Application application = Application::none;
  Pin pins[2] = {{"1234", "87654321"}, {"5555", "12345678"}};
  bool session = false;
  bool own_file = false;     // the EF that create and remove are about
  bool deactivated = false;  // the EF that read and update are about

  Pin& pin(const Action& action) { return pins[action.pin - 1]; }
  bool rules() const { return life != Life::blank; }
  bool verified(int pin) const { return pins[pin - 1].verified; }
  void forget() { pins[0].verified = pins[1].verified = false; }
  void enter(Application other) {
    if (application != Application::none && application != other) forget();
    application = other;
  }
  // Digits on an issued card and in place of a transport PIN, four octets at least before.
  bool good(const std::string& value, bool transport) const {
    const bool digits = value.find_first_not_of("0123456789") == std::string::npos;
    if (life >= Life::issued || transport) return digits && value.size() >= 6;
    return value.size() >= 4;
  }
};

const char* const kNewValues[] = {"1234", "135790", "86420864", "abcd", "12", "24680a", "777777", "4711"};

std::string new_value(const Action& action) { return kNewValues[action.variant % 8]; }
bool right_value(const Action& action) { return (action.variant & 8) == 0; }

constexpr u16 kSkip = 0;  // the papers say nothing of this step here: it is not made

// What the card will answer; the model goes on to the state after it.

u16 foretell(Model& model, const Action& action) {
  const bool closed = model.life == Life::locked || model.life == Life::terminated;
  switch (action.step) {
    case Step::power:
    case Step::reset:
      model.session = false;
      model.application = Application::none;
      model.forget();
      return 0x9000;
    case Step::channel:  // changes nothing, not even a session
      return 0x6881;
    case Step::foreign:
      return 0x6E00;
    default:
      break;
  }
  // A plain command ends a session; SELECT and INITIALIZE UPDATE are then done, anything else is not.
  const bool ends = model.session && (action.plain || action.step == Step::session);
  if (ends) {
    model.session = false;
    model.forget();
    const bool begins_with_select = action.step == Step::esign || action.step == Step::manager ||
                                    action.step == Step::session || action.step == Step::read ||
                                    action.step == Step::update;
    if (!begins_with_select) return 0x6987;
  }
  if (model.life == Life::terminated) return 0x6985;
  switch (action.step) {
    case Step::esign:
      model.enter(Application::esign);
      return 0x9000;
    case Step::manager:
      model.enter(Application::manager);
      return 0x9000;
    case Step::session: {
      model.enter(Application::manager);
      model.session = (action.variant & 1) == 0;
      return model.session ? 0x9000 : 0x6300;
    }
    default:
      break;
  }
  if (action.step == Step::lock || action.step == Step::terminate) {
    if (!model.session) return kSkip;
    const Life next = action.step == Step::lock ? Life::locked : Life::terminated;
    if (model.life < Life::issued) return kSkip;
    if (next <= model.life) return 0x6985;
    model.life = next;
    model.forget();
    return 0x9000;
  }
  if (closed) return 0x6985;
  Pin& pin = model.pin(action);
  switch (action.step) {
    case Step::tries:
      if (pin.verified) return 0x9000;
      return pin.tries == 0 ? 0x6983 : static_cast<u16>(0x63C0 + pin.tries);
    case Step::verify:
      if (pin.tries == 0) return 0x6983;
      if (pin.transport) return 0x6984;
      if (right_value(action)) {
        pin.tries = kTries;
        pin.verified = true;
        return 0x9000;
      }
      pin.verified = false;
      return static_cast<u16>(0x63C0 + --pin.tries);
    case Step::change:
      if (!model.good(new_value(action), pin.transport)) return 0x6A80;
      if (pin.tries == 0) return 0x6983;
      if (!right_value(action)) {
        pin.verified = false;
        return static_cast<u16>(0x63C0 + --pin.tries);
      }
      pin.tries = kTries;
      pin.value = new_value(action);
      pin.transport = false;
      return 0x9000;  // grants nothing, and takes nothing
    case Step::unblock:
      if (!model.good(new_value(action), pin.transport)) return 0x6A80;
      pin.verified = false;
      if (pin.puk_tries == 0) return 0x6983;
      if (!right_value(action)) return static_cast<u16>(0x63C0 + --pin.puk_tries);
      pin.puk_tries = kPukTries;
      pin.tries = kTries;
      pin.value = new_value(action);
      pin.transport = false;
      pin.verified = false;
      return 0x9000;
    case Step::logout:
      if ((action.variant & 1) != 0) {
        model.forget();
      } else {
        pin.verified = false;
      }
      return 0x9000;
    case Step::garbage:
      return 0x6700;
    case Step::put_data:
      return model.life == Life::issued && !model.session ? 0x6982 : kSkip;
    default:
      break;
  }
  if (model.application != Application::esign) return kSkip;
  switch (action.step) {
    case Step::read:
      if (model.deactivated) return 0x6985;
      return model.rules() && !model.verified(1) ? 0x6982 : 0x9000;
    case Step::update:
      if (model.deactivated) return 0x6985;
      // The issuer's session administers whatever the nibbles say.
      return model.rules() && !model.verified(2) && !model.session ? 0x6982 : 0x9000;
    case Step::sign: {
      const int needed = action.pin;
      if (model.rules() && !model.verified(needed)) return 0x6982;
      if (needed == 2) model.pins[1].verified = false;  // consent: each use asks anew
      return 0x9000;
    }
    case Step::create:
      if (!model.session && (model.life == Life::issued || (model.rules() && !model.verified(2)))) return 0x6982;
      if (model.own_file) return 0x6A89;
      model.own_file = true;
      return 0x9000;
    case Step::remove:
      if (!model.own_file) return 0x6A82;
      if (!model.session && (model.life == Life::issued || (model.rules() && !model.verified(2)))) return 0x6982;
      model.own_file = false;
      return 0x9000;
    case Step::deactivate:
    case Step::activate: {
      if (model.life == Life::blank) return kSkip;
      if (!model.session && (model.life == Life::issued || !model.verified(2))) return 0x6982;
      model.deactivated = action.step == Step::deactivate;
      return 0x9000;
    }
    case Step::activate_esign:
      if (model.life != Life::blank || model.session) return kSkip;
      model.life = Life::activated;
      model.forget();
      return 0x9000;
    case Step::issue:
      if (model.life >= Life::issued || model.session) return kSkip;
      model.life = Life::issued;
      model.forget();
      return 0x9000;
    default:
      return kSkip;
  }
}

// --- The card ------------------------------------------------------------------------------------------------------

HostKeys own_keys() { return sample_keys(16, 3); }

class World {
 public:
  World() {
    card_ = std::make_unique<Card>(chip_, kDefaultConfig);
    EXPECT_TRUE(card_->format(kSerial));
    EXPECT_TRUE(card_->boot(Interface::contact));
    const auto must = [&](const Memory& command) { EXPECT_EQ(send(*card_, command).sw, 0x9000) << to_hex(command); };
    must(hex(kEsign));
    // MF: everything open. DF 5015: files under PIN 2.
    must(hex("00DA01E008 FFFF 000FFF F2FFFF"));
    must(hex(kEsign));
    must(hex("00DA010113") + pin("1234") + pin("87654321") + Memory{kTries, kPukTries, 0});
    must(hex("00DA010213") + pin("5555") + pin("12345678") + Memory{kTries, kPukTries, 0});
    for (const char* key : {"6217 81020100 820122 83024B01 86031FFFFF 85020001 8A0100",
                            "6217 81020100 820122 83024B02 86032FFFFF 85022001 8A0100"}) {
      must(apdu("00E00000", hex(key)));
      must(hex("00460000"));
    }
    must(apdu("00E00000", hex("6213 80020020 820101 83024301 8603122FFF 8A0100")));
    Scp03Host host(initial_keys());
    must(hex(kManager));
    EXPECT_EQ(host.open(*card_, 0x33), 0x9000);
    EXPECT_EQ(host.exchange(*card_, host.put_key(0, 0x30, own_keys())).sw, 0x9000);
    start_ = chip_.memory;
  }

  void begin() {
    chip_.memory = start_;
    host_.reset();
    restart();
  }

  // Does the step and says what the card answered; `model` as it was before.
  u16 run(const Model& model, const Action& action) {
    const Pin& pin_state = model.pins[action.pin - 1];
    const Memory reference = {action.pin};
    switch (action.step) {
      case Step::power:
        host_.reset();
        restart();
        return 0x9000;
      case Step::reset:
        host_.reset();
        return card_->reset(Interface::contact) ? 0x9000 : 0;
      case Step::channel:
        return send_plain(hex(action.variant % 2 == 0 ? "01200001" : "41A40000023F00"));
      case Step::foreign:
        return send_plain(hex(action.variant % 2 == 0 ? "FFCA000000" : "E020000108") +
                          (action.variant % 2 == 0 ? Memory{} : pin("1234")));
      case Step::esign:
        return exchange(model, action, hex(kEsign));
      case Step::manager:
        return exchange(model, action, hex(kManager));
      case Step::tries:
        return exchange(model, action, hex("002000") + reference);
      case Step::verify: {
        const std::string value = right_value(action) ? pin_state.value : wrong(pin_state.value);
        return exchange(model, action, hex("002000") + reference + Memory{8} + pin(value));
      }
      case Step::change: {
        const std::string value = right_value(action) ? pin_state.value : wrong(pin_state.value);
        return exchange(model, action, hex("002400") + reference + Memory{16} + pin(value) + pin(new_value(action)));
      }
      case Step::unblock: {
        const std::string value = right_value(action) ? pin_state.puk : wrong(pin_state.puk);
        return exchange(model, action, hex("002C00") + reference + Memory{16} + pin(value) + pin(new_value(action)));
      }
      case Step::logout:
        return exchange(model, action, hex("002E00") + ((action.variant & 1) != 0 ? Memory{0} : reference));
      case Step::read:
        return first_bad(model, action, {path("4301"), hex("00B0000008")}, model.deactivated ? 0x6283 : 0x9000);
      case Step::update:
        return first_bad(model, action, {path("4301"), apdu("00D60000", Memory(4, action.variant))},
                         model.deactivated ? 0x6283 : 0x9000);
      case Step::sign: {
        const Memory key = {0x4B, action.pin};
        return first_bad(model, action,
                         {hex("002241B60A 800104 8102") + key + hex("840100"),
                          hex("002A9E9A20") + Memory(32, action.variant) + Memory{0}});
      }
      case Step::create:
        return exchange(model, action, apdu("00E00000", hex("6213 80020020 820101 83024302 8603122FFF 8A0100")));
      case Step::remove:
        return exchange(model, action, hex("00E40000024302"));
      case Step::deactivate:
        return exchange(model, action, hex("00040000024301"));
      case Step::activate:
        return exchange(model, action, hex("00440000024301"));
      case Step::put_data:
        return exchange(model, action, hex("00DA010313") + pin("4444") + pin("87654321") + Memory{3, 3, 0});
      case Step::garbage:
        return exchange(model, action, hex("002000") + reference + Memory{4} + text("1234"));
      case Step::activate_esign:
        return exchange(model, action, hex("004404000CA000000063504B43532D3135"));
      case Step::issue:
        return first_bad(model, action, {hex("00440000023F00"), hex(kEsign)});
      case Step::session:
        return open_session(action);
      case Step::lock:
        return exchange(model, action, hex("80F0807F"));
      case Step::terminate:
        return exchange(model, action, hex("80F080FF"));
    }
    return 0;
  }

  std::size_t commands() const { return commands_; }

  bool forgives = false;  // wrong PINs never reach the card: a fault to be found

 private:
  static std::string wrong(std::string value) {
    value[0] = value[0] == '9' ? '8' : '9';
    return value;
  }
  static Memory path(const std::string& id) { return hex("00A4080C045015" + id); }

  void restart() {
    chip_.restore_power();
    card_ = std::make_unique<Card>(chip_, kDefaultConfig);
    EXPECT_TRUE(card_->boot(Interface::contact));
  }
  u16 send_plain(const Memory& command) {
    ++commands_;
    return send(*card_, command).sw;
  }
  u16 exchange(const Model& model, const Action& action, const Memory& command) {
    if (!model.session || action.plain || host_ == nullptr) return send_plain(command);
    ++commands_;
    const Answer answer = host_->exchange(*card_, command);
    return answer.sw;
  }
  // All but the last are to answer `good`.
  u16 first_bad(const Model& model, const Action& action, const std::vector<Memory>& commands, u16 good = 0x9000) {
    for (std::size_t i = 0; i + 1 < commands.size(); ++i) {
      const u16 sw = exchange(model, action, commands[i]);
      if (sw != good) return sw;
    }
    return exchange(model, action, commands.back());
  }
  // Begins in plain, which ends a session that is open.
  u16 open_session(const Action& action) {
    const u16 selected = send_plain(hex(kManager));
    if (selected != 0x9000) return selected;
    host_ = std::make_unique<Scp03Host>(own_keys());
    const Answer greeting = host_->initialize(*card_, 0x30);
    ++commands_;
    if (greeting.sw != 0x9000) return greeting.sw;
    Memory authentication = host_->authentication(0x33);
    if ((action.variant & 1) != 0) authentication[7] = static_cast<u8>(authentication[7] ^ 0x40);  // of the cryptogram
    return send_plain(authentication);
  }

  Chip chip_;
  std::unique_ptr<Card> card_;
  std::unique_ptr<Scp03Host> host_;
  Memory start_;
  std::size_t commands_ = 0;
};

struct Divergence {
  std::size_t at = 0;
  u16 foretold = 0;
  u16 answered = 0;
};

// Walks until card and model differ; none: they never did.
std::optional<Divergence> walk(World& world, const std::vector<Action>& actions) {
  Model model;
  world.begin();
  for (std::size_t i = 0; i < actions.size(); ++i) {
    const Model before = model;
    const u16 foretold = foretell(model, actions[i]);
    if (foretold == kSkip) {
      model = before;
      continue;
    }
    if (world.forgives && actions[i].step == Step::verify && !right_value(actions[i])) continue;
    u16 answered = 0;
    try {
      answered = world.run(before, actions[i]);
    } catch (const std::exception&) {
      answered = 0xFFFF;  // an answer under the session that does not hold
    }
    if (answered != foretold) return Divergence{i, foretold, answered};
  }
  return std::nullopt;
}

// Leaves out whatever is not needed to diverge.
std::vector<Action> shrunk(World& world, std::vector<Action> actions) {
  for (std::size_t piece = actions.size() / 2; piece > 0; piece /= 2) {
    for (std::size_t at = 0; at + piece <= actions.size();) {
      std::vector<Action> fewer = actions;
      fewer.erase(fewer.begin() + static_cast<long>(at), fewer.begin() + static_cast<long>(at + piece));
      if (const auto still = walk(world, fewer)) {
        fewer.resize(still->at + 1);
        actions = std::move(fewer);
      } else {
        at += piece;
      }
    }
  }
  return actions;
}

std::vector<Action> random_actions(std::uint64_t seed, std::size_t count) {
  // How often of a thousand each step comes, in the order of Step.
  constexpr int kWeights[kSteps] = {15, 10, 110, 15, 90, 150, 60, 25, 25, 110, 90, 45, 40,
                                    40, 20, 20,  10, 15, 10,  15, 40, 12, 14,  2,  1};
  std::mt19937_64 random(seed);
  std::discrete_distribution<int> steps(std::begin(kWeights), std::end(kWeights));
  std::vector<Action> out;
  for (std::size_t i = 0; i < count; ++i) {
    const int step = steps(random);
    const std::uint64_t bits = random();
    Action action{.step = static_cast<Step>(step),
                  .pin = static_cast<u8>(1 + (bits & 1)),
                  .variant = static_cast<u8>((bits >> 1) & 15),
                  .plain = (bits >> 8) % 4 == 0};
    // Right values three times in four: else every card ends blocked and no walk goes far.
    if ((bits >> 16) % 2 == 0) action.variant = static_cast<u8>(action.variant & 7);
    out.push_back(action);
  }
  return out;
}

std::size_t wanted_commands() {
  const char* const told = std::getenv("KARTA_WALK_COMMANDS");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr std::size_t kCommands = 100'000;
#else
  constexpr std::size_t kCommands = 1'000'000;
#endif
  return told == nullptr ? kCommands : std::strtoull(told, nullptr, 10);
}

TEST(Walk, CardAndModelNeverDiverge) {
  constexpr std::size_t kLength = 400;
  World world;
  const std::size_t wanted = wanted_commands();
  std::uint64_t seed = 1;
  for (; world.commands() < wanted; ++seed) {
    const std::vector<Action> actions = random_actions(seed, kLength);
    const auto divergence = walk(world, actions);
    if (!divergence) continue;
    const std::vector<Action> few =
        shrunk(world, {actions.begin(), actions.begin() + static_cast<long>(divergence->at) + 1});
    const auto again = walk(world, few);
    std::string steps;
    for (const Action& action : few) steps += " " + name(action);
    ASSERT_TRUE(again);
    FAIL() << "seed " << seed << ", step " << divergence->at << ": foretold " << std::hex << again->foretold
           << ", answered " << again->answered << "\n  the steps that show it:" << steps;
  }
  std::printf("%zu commands in %llu walks (seeds 1 to %llu), no divergence\n", world.commands(),
              static_cast<unsigned long long>(seed - 1), static_cast<unsigned long long>(seed - 1));
}

// A card that forgets wrong tries is found out, and two steps are left that show it: the try, and asking.
TEST(Walk, AFaultIsFoundAndShrunk) {
  World world;
  world.forgives = true;
  const std::vector<Action> actions = random_actions(7, 300);
  const auto divergence = walk(world, actions);
  ASSERT_TRUE(divergence);
  const std::vector<Action> few = shrunk(world, actions);
  EXPECT_LE(few.size(), 2u);
  EXPECT_TRUE(walk(world, few));
  world.forgives = false;
  EXPECT_FALSE(walk(world, few)) << "the card itself does not";
}

}  // namespace
}  // namespace karta::os
