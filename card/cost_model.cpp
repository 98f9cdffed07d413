#include "card/cost_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace karta::card {
namespace {

constexpr CostMark m = CostMark::measured, c = CostMark::computed, a = CostMark::assumed;

constexpr std::array<ChipRow, kChips> kChipRows = {{
    {Chip::modern, "modern", "NXP J3R180 (JCOP 4, P71)"},
    {Chip::mid, "mid", "NXP J3H145 (JCOP 3, P60)"},
    {Chip::old, "old", "Infineon SLJ52GLA"},
}};

// JCAlgTest: results of commit 76b01cf, Java Card API, overhead of the call included.
constexpr std::string_view kAes =
    "JCAlgTest, AES-128 CBC of 16 and of 256 octets (1.55 and 1.9; 8.4 and 8.8; 4.5 and "
    "25.7 ms), split into call and block; AES-256 taken alike";
constexpr std::string_view kHash =
    "JCAlgTest, SHA-256 of 64 and of 256 octets (3.6 and 7.9 ms; the others 8.6 and 37 at "
    "256, split in the modern chip's proportion)";
constexpr std::string_view kEcGenerate = "JCAlgTest, EC key generation 256; longer ones in the proportion of ECDH";
constexpr std::string_view kEcAgree =
    "JCAlgTest, ECDH 256, 384, 512 (20, 30.6, 45.8 ms) and its initialisation (7.9); "
    "others: 256 measured, longer ones in proportion";
constexpr std::string_view kEcPublic = "as an agreement: one multiplication";
constexpr std::string_view kEcMap = "as two agreements: two multiplications, the addition within";
constexpr std::string_view kEcSign =
    "JCAlgTest, ECDSA 256 signing (28 to 32, 50 to 56, 146 ms; the middle); longer ones "
    "in the proportion of ECDH";
constexpr std::string_view kEcVerify = "JCAlgTest, ECDSA 256 verification; longer ones in the proportion of ECDH";
constexpr std::string_view kRsa =
    "JCAlgTest, RSA-2048 CRT (mid: plain 514 ms, in the modern chip's proportion); other "
    "sizes by the cube";
constexpr std::string_view kRsaGenerate = "no figure taken over; varies widely from key to key";

// The more specific key sizes first: a row holds for keys up to its bits.
constexpr auto kRows = std::to_array<CostRow>({
    {"dispatch", 0, "a command", {{1, a}, {2, a}, {3, a}}, "the operating system's own work"},
    {"aes", 0, "a call", {{1.53, c}, {8.37, c}, {3.09, c}}, kAes},
    {"aes_blocks", 0, "a block of 16 octets", {{0.023, c}, {0.027, c}, {1.41, c}}, kAes},
    {"aes_keys", 0, "a key", {{6.1, m}, {9, a}, {9, a}}, "JCAlgTest, AES setKey; the others assumed"},
    {"hash", 0, "a call", {{0.73, c}, {0.80, c}, {3.43, c}}, kHash},
    {"hash_blocks", 0, "a block of 64 octets", {{1.43, c}, {1.56, c}, {6.71, c}}, kHash},
    {"random_octets", 0, "16 octets begun", {{0.9, m}, {1.8, a}, {2.7, a}}, "JCAlgTest, 16 octets; the others assumed"},
    {"nvm_writes",
     0,
     "a write of up to 256 octets",
     {{3.3, m}, {1.5, m}, {4, m}},
     "JCAlgTest, non-volatile write (2.4 to 3.3, about 1.5, 1.5 to 4 ms; the upper end), its erase included"},
    {"nvm_erases",
     0,
     "a page",
     {{3.3, a}, {1.5, a}, {4, a}},
     "an erase without a write, taken as long as one; the published writes are of memory in use and hold theirs, so "
     "that a command's erases count only beyond its writes"},
    {"ec-generate", 256, "a key pair", {{26.8, m}, {156, m}, {214, m}}, kEcGenerate},
    {"ec-generate", 384, "a key pair", {{41.0, c}, {239, c}, {327, c}}, kEcGenerate},
    {"ec-generate", 521, "a key pair", {{61.4, c}, {357, c}, {490, c}}, kEcGenerate},
    {"ec-agree", 256, "an agreement", {{27.9, m}, {55, m}, {126, m}}, kEcAgree},
    {"ec-agree", 384, "an agreement", {{38.5, c}, {84.2, c}, {193, c}}, kEcAgree},
    {"ec-agree", 521, "an agreement", {{53.7, c}, {126, c}, {289, c}}, kEcAgree},
    {"ec-public-point", 256, "a point", {{27.9, c}, {55, c}, {126, c}}, kEcPublic},
    {"ec-public-point", 384, "a point", {{38.5, c}, {84.2, c}, {193, c}}, kEcPublic},
    {"ec-public-point", 521, "a point", {{53.7, c}, {126, c}, {289, c}}, kEcPublic},
    {"ec-map", 256, "a mapping", {{55.8, c}, {110, c}, {252, c}}, kEcMap},
    {"ec-map", 384, "a mapping", {{77.0, c}, {168, c}, {386, c}}, kEcMap},
    {"ec-map", 521, "a mapping", {{107, c}, {252, c}, {577, c}}, kEcMap},
    {"ec-sign", 256, "a signature", {{30, m}, {53, m}, {146, m}}, kEcSign},
    {"ec-sign", 384, "a signature", {{45.9, c}, {81.1, c}, {223, c}}, kEcSign},
    {"ec-sign", 521, "a signature", {{68.7, c}, {121, c}, {334, c}}, kEcSign},
    {"ec-verify", 256, "a check", {{30, m}, {50, m}, {101, m}}, kEcVerify},
    {"ec-verify", 384, "a check", {{45.9, c}, {76.5, c}, {155, c}}, kEcVerify},
    {"ec-verify", 521, "a check", {{68.7, c}, {115, c}, {231, c}}, kEcVerify},
    {"ec-check-point", 521, "a point", {{0.3, a}, {0.6, a}, {0.9, a}}, "a few field operations; no published figure"},
    {"rsa-private", 1024, "an operation", {{6.6, c}, {23, c}, {28.4, c}}, kRsa},
    {"rsa-private", 2048, "an operation", {{53, m}, {184, c}, {227, m}}, kRsa},
    {"rsa-private", 3072, "an operation", {{179, c}, {621, c}, {766, c}}, kRsa},
    {"rsa-private", 4096, "an operation", {{424, c}, {1472, c}, {1816, c}}, kRsa},
    {"rsa-generate", 1024, "a key pair", {{600, a}, {1200, a}, {2400, a}}, kRsaGenerate},
    {"rsa-generate", 2048, "a key pair", {{5000, a}, {10000, a}, {20000, a}}, kRsaGenerate},
    {"rsa-generate", 3072, "a key pair", {{20000, a}, {40000, a}, {80000, a}}, kRsaGenerate},
    {"rsa-generate", 4096, "a key pair", {{60000, a}, {120000, a}, {240000, a}}, kRsaGenerate},
});

constexpr std::string_view kContactless =
    "ISO 14443-3 and -4, type A: nine bits an octet, block of 256 octets with PCB and CRC, frame delay 91 us, "
    "activation "
    "(REQA, two cascade levels, RATS, PPS at 106 kbit/s) 5 to 8 ms [computed]";
constexpr std::string_view kContact =
    "ISO 7816-3, T=1: 11 etu an octet, IFS 254, four octets a block, block guard time 22 etu; activation: reset, 14 "
    "octets "
    "of ATR, PPS [computed]";

constexpr auto kChannelRows = std::to_array<ChannelRow>({
    {"106", "ISO 14443 A at 106 kbit/s", 85.0, 256, 3, 91, 6.5, kContactless},
    {"212", "ISO 14443 A at 212 kbit/s", 42.5, 256, 3, 91, 6.5, kContactless},
    {"424", "ISO 14443 A at 424 kbit/s", 21.2, 256, 3, 91, 6.5, kContactless},
    {"848", "ISO 14443 A at 848 kbit/s", 10.6, 256, 3, 91, 6.5, kContactless},
    {"t1-11", "contacts, T=1, Fi/Di 372/1 at 4 MHz (10.75 kbit/s)", 1023, 258, 4, 2046, 24.5, kContact},
    {"t1-95", "contacts, T=1, Fi/Di 512/16 at 4 MHz (125 kbit/s)", 88, 258, 4, 176, 33, kContact},
    {"t1-96", "contacts, T=1, Fi/Di 512/32 at 5 MHz (312 kbit/s)", 35.2, 258, 4, 70.4, 33, kContact},
    {"t1-97", "contacts, T=1, Fi/Di 512/64 at 5 MHz (625 kbit/s)", 17.6, 258, 4, 35.2, 33, kContact},
});

constexpr double kTerminalMs = 1;  // a command through reader and driver, assumed

template <class Rows>
auto row_called(const Rows& rows, std::string_view name, std::string_view noun)
    -> Result<const typename Rows::value_type*> {
  std::string names;
  for (const auto& row : rows) {
    if (row.name == name) return &row;
    names.append(names.empty() ? "" : ", ").append(row.name);
  }
  return fail(ErrorKind::usage, "no " + std::string(noun) + " is called \"" + std::string(name) + "\"",
              "one of " + names);
}

const CostRow* find_row(std::string_view what, unsigned bits) {
  const auto row = std::find_if(kRows.begin(), kRows.end(), [&](const CostRow& candidate) {
    return candidate.what == what && bits <= candidate.bits;
  });
  return row == kRows.end() ? nullptr : &*row;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 1 ? "%.3f" : value < 100 ? "%.2f" : "%.0f", value);
  std::string out(text);
  if (out.find('.') != std::string::npos) {
    while (out.back() == '0') out.pop_back();
    if (out.back() == '.') out.pop_back();
  }
  return out;
}

}  // namespace

std::string_view name_of(CostMark mark) {
  switch (mark) {
    case CostMark::measured:
      return "measured";
    case CostMark::computed:
      return "computed";
    case CostMark::assumed:
      break;
  }
  return "assumed";
}

std::span<const ChipRow, kChips> chips() { return kChipRows; }
std::span<const CostRow> cost_rows() { return kRows; }
std::span<const ChannelRow> channels() { return kChannelRows; }
Result<const ChipRow*> chip_called(std::string_view name) { return row_called(kChipRows, name, "chip"); }
Result<const ChannelRow*> channel_called(std::string_view name) { return row_called(kChannelRows, name, "channel"); }

TimeSpent& TimeSpent::operator+=(const TimeSpent& other) {
  channel += other.channel;
  terminal += other.terminal;
  chip += other.chip;
  memory += other.memory;
  waiting += other.waiting;
  return *this;
}

TimeSpent CostModel::activation() const {
  TimeSpent out;
  out.channel = channel_.activation_ms;
  return out;
}

// Octets in blocks; each block but the last is answered by an acknowledgement without data, and after each block the
// line turns.
double CostModel::message(std::size_t octets) const {
  const std::size_t room = channel_.block_octets - channel_.overhead_octets;
  const std::size_t blocks = octets == 0 ? 1 : (octets + room - 1) / room;
  const double overhead = channel_.overhead_octets * channel_.octet_us + channel_.turn_us;
  return (static_cast<double>(octets) * channel_.octet_us + static_cast<double>(2 * blocks - 1) * overhead) / 1000;
}

double CostModel::cost(std::string_view what, unsigned bits, double units) {
  if (units == 0) return 0;
  const CostRow* const row = find_row(what, bits);
  KARTA_CHECK(row != nullptr);
  if (std::find(used_.begin(), used_.end(), row) == used_.end()) used_.push_back(row);
  return row->cost[static_cast<std::size_t>(chip_.chip)].milliseconds * units;
}

Result<TimeSpent> CostModel::command(std::size_t command_octets, std::size_t response_octets,
                                     const CardCounts* counts) {
  TimeSpent out;
  out.channel = message(command_octets) + message(response_octets);
  out.terminal = kTerminalMs;
  if (counts == nullptr) return out;
  const auto units = [](std::uint64_t count) { return static_cast<double>(count); };
  out.chip = cost("dispatch", 0, 1) + cost("aes", 0, units(counts->aes)) +
             cost("aes_blocks", 0, units(counts->aes_blocks)) + cost("aes_keys", 0, units(counts->aes_keys)) +
             cost("hash", 0, units(counts->hash)) + cost("hash_blocks", 0, units(counts->hash_blocks)) +
             cost("random_octets", 0, std::max(units(counts->random), std::ceil(units(counts->random_octets) / 16)));
  for (const CardCounts::Operation& operation : counts->operations) {
    if (find_row(operation.kind, operation.key_bits) == nullptr || operation.key_bits == 0) {
      return fail(ErrorKind::malformed, "the model has no figure for \"" + operation.kind + "\" with " +
                                            std::to_string(operation.key_bits) + " bits");
    }
    out.chip += cost(operation.kind, operation.key_bits, units(operation.times));
  }
  // A write is at most a page; longer ones would be several.
  const double writes = std::max(units(counts->nvm_writes), std::ceil(units(counts->nvm_octets) / 256));
  // What JCAlgTest measures overwrites memory that holds something, time and again: the erase is in it.
  const double bare_erases = std::max(0.0, units(counts->nvm_erases) - writes);
  out.memory = cost("nvm_writes", 0, writes) + cost("nvm_erases", 0, bare_erases);
  out.waiting = units(counts->waited_ms);
  return out;
}

std::vector<std::string> CostModel::assumptions() const {
  std::vector<std::string> out;
  for (const CostRow& row : kRows) {
    if (std::find(used_.begin(), used_.end(), &row) == used_.end()) continue;
    const Cost& cost = row.cost[static_cast<std::size_t>(chip_.chip)];
    std::string line(row.what);
    if (row.bits != 0) line += " " + std::to_string(row.bits);
    line += ": " + number(cost.milliseconds) + " ms " + std::string(row.unit) + " [" + std::string(name_of(cost.mark)) +
            "]: " + std::string(row.source);
    out.push_back(std::move(line));
  }
  out.push_back("terminal: " + number(kTerminalMs) +
                " ms a command for reader and driver [assumed]; its security module "
                "and the network are not counted");
  out.push_back("channel: " + std::string(channel_.words) + ", " + number(channel_.octet_us) +
                " us an octet: " + std::string(channel_.source));
  return out;
}

}  // namespace karta::card
