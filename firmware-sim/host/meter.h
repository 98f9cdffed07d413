// Meter counts what a command costs a card: octets on the wire, non-volatile writes and erases, coprocessor operations
// by kind and key size. A cost model turns the counts into the time that a real chip and channel would take.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace karta::sim {

enum class Operation : std::uint8_t {
  rsa_generate,
  rsa_private,
  ec_generate,
  ec_public_point,
  ec_check_point,
  ec_sign,
  ec_agree,
  ec_verify,
  ec_map  ///< two multiplications and an addition
};
constexpr std::size_t kOperations = 9;
std::string_view name_of(Operation operation);

/// Key sizes in steps of 128 bits (P-521 counts as 512), up to RSA-4096.
constexpr std::size_t kKeySizes = 33;
constexpr std::size_t key_size_index(std::size_t bits) { return bits / 128 < kKeySizes ? bits / 128 : kKeySizes - 1; }

/// Counts, of one command or of many. Differences and sums are taken field by field.
struct MeterReading {
  std::uint64_t commands = 0;
  std::uint64_t octets_in = 0;   ///< command APDUs
  std::uint64_t octets_out = 0;  ///< response APDUs
  std::uint64_t nvm_writes = 0;
  std::uint64_t nvm_octets_written = 0;
  std::uint64_t nvm_erases = 0;
  std::uint64_t nvm_octets_read = 0;
  std::uint64_t random_calls = 0;
  std::uint64_t random_octets = 0;
  std::uint64_t checksum_octets = 0;  ///< run through the page checksum by the processor
  std::uint64_t digest_calls = 0;
  std::uint64_t digest_octets = 0;        ///< hashed
  std::uint64_t digest_blocks = 0;        ///< of 64 octets, padding included; a block of SHA-384 and SHA-512 is two
  std::uint64_t waited_milliseconds = 0;  ///< the card lets guessers wait
  std::uint64_t cipher_calls = 0;         ///< AES, ciphering or authenticating
  std::uint64_t cipher_octets = 0;
  std::uint64_t cipher_blocks = 0;  ///< of 16 octets
  std::uint64_t key_loads = 0;      ///< AES keys brought into the coprocessor: those it did not hold already
  std::array<std::array<std::uint32_t, kKeySizes>, kOperations> operations{};

  /// Of all key sizes.
  std::uint64_t count(Operation operation) const;
  std::uint64_t count(Operation operation, std::size_t key_bits) const;
  MeterReading operator-(const MeterReading& earlier) const;
};

/// What is not zero, as the JSON object that a trace holds beside a command (docs/karta-sim.md, "counts").
std::string to_json(const MeterReading& reading);

class Meter {
 public:
  MeterReading& counts() { return total_; }
  const MeterReading& total() const { return total_; }
  /// What happened since the last begin_command(): one command, once it is over.
  MeterReading command() const { return total_ - before_command_; }
  void begin_command(std::size_t octets_in);
  void end_command(std::size_t octets_out) { total_.octets_out += octets_out; }

 private:
  MeterReading total_;
  MeterReading before_command_;
};

}  // namespace karta::sim
