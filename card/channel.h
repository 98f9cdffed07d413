// Channel: whole commands to a card, the transmission rules of ISO 7816-4 below the caller's sight.
//
// A Channel takes a command of any length and gives the complete answer: it chains what is too long (§5.3), fetches
// what is held back (61xx, §5.3.4) and repeats with the right Le (6Cxx). Secure channels stand behind the same
// interface. Not for several threads at once.
#pragma once

#include "card/apdu.h"
#include "card/reader.h"

namespace karta::card {

/// What one command APDU may carry.
struct ChannelLimits {
  std::size_t command_data = kShortData;  ///< above this, commands are chained
  std::size_t response_data = kShortResponse;
  bool chaining = true;  ///< the card takes chained commands

  bool extended() const { return command_data > kShortData || response_data > kShortResponse; }
  friend bool operator==(const ChannelLimits&, const ChannelLimits&) = default;
};

/// A whole answer, all GET RESPONSEs together, is at most this long.
inline constexpr std::size_t kMaxAnswer = 131'072;
/// And takes at most this many of them.
inline constexpr unsigned kMaxGetResponses = 1024;

class Channel {
 public:
  virtual ~Channel() = default;

  /// The card's complete answer, whatever its status word; never 61xx or 6Cxx.
  /// Fails where there is none (see CardConnection::transmit), or none that keeps to the standard
  /// (`card_unresponsive`: garbage, more than asked for, GET RESPONSE without end).
  virtual Result<ResponseApdu> transmit(const CommandApdu& command) = 0;
  virtual const ChannelLimits& limits() const = 0;
  virtual void set_limits(ChannelLimits limits) = 0;
  virtual CardConnection& connection() = 0;
  /// Nobody between reads or changes what is said.
  virtual bool secure() const { return false; }

  /// The answer's data. Status words other than 9000 (and the warning 6282) become errors: see error_of.
  /// `deed` completes "could not ...": "select DF 5015".
  Result<Bytes> run(const CommandApdu& command, std::string_view deed);
};

/// Commands and answers in the clear. Limits come from the ATR where it is known, or are short until learnt.
class PlainChannel final : public Channel {
 public:
  /// `connection` must outlive it.
  explicit PlainChannel(CardConnection& connection);
  Result<ResponseApdu> transmit(const CommandApdu& command) override;
  const ChannelLimits& limits() const override { return limits_; }
  void set_limits(ChannelLimits limits) override { limits_ = limits; }
  CardConnection& connection() override { return connection_; }

 private:
  Result<ResponseApdu> transmit_whole(const CommandApdu& command);
  Result<ResponseApdu> exchange(const CommandApdu& command);
  Result<ResponseApdu> exchange_whole(const CommandApdu& command);
  CardConnection& connection_;
  ChannelLimits limits_;
};

/// The limits EF.ATR announces (data object 7F66: two INTEGERs, whole command and whole response in octets).
/// Short limits where it announces none. Selects the MF.
Result<ChannelLimits> read_extended_length_information(Channel& channel);
/// The same from EF.ATR's content.
Result<ChannelLimits> parse_extended_length_information(ByteView ef_atr);

}  // namespace karta::card
