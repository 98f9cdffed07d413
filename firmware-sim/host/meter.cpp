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
  out.random_octets -= earlier.random_octets;
  out.checksum_octets -= earlier.checksum_octets;
  out.digest_octets -= earlier.digest_octets;
  out.waited_milliseconds -= earlier.waited_milliseconds;
  out.cipher_octets -= earlier.cipher_octets;
  for (std::size_t kind = 0; kind < kOperations; ++kind) {
    for (std::size_t size = 0; size < kKeySizes; ++size) out.operations[kind][size] -= earlier.operations[kind][size];
  }
  return out;
}

void Meter::begin_command(std::size_t octets_in) {
  before_command_ = total_;
  ++total_.commands;
  total_.octets_in += octets_in;
}

}  // namespace karta::sim
