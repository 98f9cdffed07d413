// ApduRecord writes every exchange of one or more cards into a text file, one JSON object a line (docs/karta-sim.md).
// Secrets stay out unless asked for: bodies that carry PINs, PUKs or private keys, and answers that carry deciphered
// text or agreed secrets, are replaced by their length.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "firmware-sim/host/card_device.h"

namespace karta::sim {

/// Which octets of a command must not be recorded: [begin, end), empty if none.
struct HiddenRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// Where `command` carries reference data (VERIFY 20, CHANGE REFERENCE DATA 24, RESET RETRY COUNTER 2C, PUT DATA of a
/// PIN) or private key components (PUT DATA of key components). Commands under secure messaging are ciphertext: nothing
/// hidden.
HiddenRange secret_of_command(ByteView command);

/// True if the answer to `command` is itself secret: PSO DECIPHER, and GENERAL AUTHENTICATE when it answers a bare
/// agreed secret rather than a 7C template.
bool answer_is_secret(ByteView command, ByteView response);

class ApduRecord {
 public:
  /// Appends to `path`, made readable for its owner only. Fails (`io`) if the file cannot be written.
  static Result<ApduRecord> open(const std::string& path, bool with_secrets);

  ApduRecord(ApduRecord&& other) noexcept;
  ApduRecord& operator=(ApduRecord&&) = delete;
  ~ApduRecord();

  /// `what`: insert, remove, power-on, power-off, reset, power-cut. Safe from any thread.
  void event(unsigned card, std::string_view what, ByteView atr = {});

  /// One exchange. `card_time`: from the whole command's arrival to the answer; `since_last`: from the card's previous
  /// answer to this command's arrival (the terminal's and the link's share). `cost`: what it cost the card, if known;
  /// its keys are recorded where secrets are. Call from one thread a card.
  void exchange(unsigned card, ByteView command, ByteView response, std::chrono::microseconds since_last,
                std::chrono::microseconds card_time, const std::optional<CommandCost>& cost = std::nullopt);

 private:
  ApduRecord(int file, bool with_secrets);
  void write_line(const std::string& line);
  std::int64_t now_us() const;

  int file_;
  bool with_secrets_;
  std::chrono::steady_clock::time_point started_;
  // Per card: GET RESPONSE hands out the rest of an answer that was secret. Indexed by card number.
  std::vector<bool> rest_is_secret_;
  std::mutex mutex_;
};

}  // namespace karta::sim
