#include "firmware-sim/host/meter.h"

#include <numeric>

namespace karta::sim {
namespace {

constexpr std::array<std::string_view, kOperations> kNames = {"rsa-generate",    "rsa-private",    "ec-generate",
                                                              "ec-public-point", "ec-check-point", "ec-sign",
                                                              "ec-agree",        "ec-verify",      "ec-map"};

}  // namespace

std::string_view name_of(Operation operation) { return kNames[static_cast<std::size_t>(operation)]; }

std::uint64_t MeterReading::count(Operation operation) const {
  const auto& row = operations[static_cast<std::size_t>(operation)];
  return std::accumulate(row.begin(), row.end(), std::uint64_t{0});
}

std::uint64_t MeterReading::count(Operation operation, std::size_t key_bits) const {
  return operations[static_cast<std::size_t>(operation)][key_size_index(key_bits)];
}

MeterReading MeterReading::operator-(const MeterReading& earlier) const {
  MeterReading out = *this;
  out.commands -= earlier.commands;
  out.octets_in -= earlier.octets_in;
  out.octets_out -= earlier.octets_out;
  out.nvm_writes -= earlier.nvm_writes;
  out.nvm_octets_written -= earlier.nvm_octets_written;
  out.nvm_erases -= earlier.nvm_erases;
  out.nvm_octets_read -= earlier.nvm_octets_read;
  out.random_calls -= earlier.random_calls;
  out.random_octets -= earlier.random_octets;
  out.checksum_octets -= earlier.checksum_octets;
  out.digest_calls -= earlier.digest_calls;
  out.digest_octets -= earlier.digest_octets;
  out.digest_blocks -= earlier.digest_blocks;
  out.waited_milliseconds -= earlier.waited_milliseconds;
  out.cipher_calls -= earlier.cipher_calls;
  out.cipher_octets -= earlier.cipher_octets;
  out.cipher_blocks -= earlier.cipher_blocks;
  out.key_loads -= earlier.key_loads;
  for (std::size_t kind = 0; kind < kOperations; ++kind) {
    for (std::size_t size = 0; size < kKeySizes; ++size) out.operations[kind][size] -= earlier.operations[kind][size];
  }
  return out;
}

std::string to_json(const MeterReading& reading) {
  std::string out;
  const auto field = [&](std::string_view name, std::uint64_t value) {
    if (value == 0) return;
    out.append(out.empty() ? "\"" : ",\"").append(name).append("\":").append(std::to_string(value));
  };
  field("aes", reading.cipher_calls);
  field("aes_blocks", reading.cipher_blocks);
  field("aes_keys", reading.key_loads);
  field("hash", reading.digest_calls);
  field("hash_blocks", reading.digest_blocks);
  field("random", reading.random_calls);
  field("random_octets", reading.random_octets);
  field("nvm_writes", reading.nvm_writes);
  field("nvm_octets", reading.nvm_octets_written);
  field("nvm_erases", reading.nvm_erases);
  field("waited_ms", reading.waited_milliseconds);
  std::string operations;
  for (std::size_t kind = 0; kind < kOperations; ++kind) {
    for (std::size_t size = 0; size < kKeySizes; ++size) {
      const std::uint32_t times = reading.operations[kind][size];
      if (times == 0) continue;
      operations.append(operations.empty() ? "[\"" : ",[\"").append(kNames[kind]).append("\",");
      operations.append(std::to_string(size * 128)).append(",").append(std::to_string(times)).append("]");
    }
  }
  if (!operations.empty()) {
    out.append(out.empty() ? "" : ",").append("\"operations\":[").append(operations).append("]");
  }
  return "{" + out + "}";
}

void Meter::begin_command(std::size_t octets_in) {
  before_command_ = total_;
  ++total_.commands;
  total_.octets_in += octets_in;
}

}  // namespace karta::sim
