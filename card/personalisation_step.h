// PersonalisationStep: one step of making a card: commands, where they belong, and what they cost on the wire.
//
// Shared by the parts of personalisation (e-sign application, identity application, card manager); nobody else's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "card/channel.h"
#include "card/esign.h"
#include "card/scp03.h"
#include "card/transports.h"

namespace karta::card {

/// The DF that must be current when a step begins.
enum class StepPlace : std::uint8_t { anywhere, master, esign, identity, health, transit };

struct StepCommand {
  CommandApdu apdu;
  std::size_t octets_back = 0;                    ///< data octets of the answer
  std::optional<StatusWord> also_fine = {};       ///< done already, or nothing to do
  std::optional<std::uint16_t> select_then = {};  ///< after `also_fine`: select this file of the current DF
};

struct PersonalisationStep {
  std::string words;
  StepPlace place = StepPlace::anywhere;
  std::vector<StepCommand> commands = {};
  std::optional<KeyRole> makes_key = {};          ///< the last command's answer is its public key
  std::optional<std::uint16_t> makes_point = {};  ///< ... or the point of the key in this file
  bool estimated = false;                         ///< its length depends on what is not made yet
  std::optional<StepPlace> leaves = {};           ///< the DF that is current afterwards, where another
  bool portrait = false;                          ///< counted apart
};

/// How commands travel: the plain channel's limits, and SCP03 in `mode` at every level inside it.
struct StepWire {
  ChannelLimits limits;
  Scp03Mode mode = Scp03Mode::s16;
  /// What fits into one protected command.
  std::size_t room() const { return scp03_room(limits.command_data, security_level::all, mode, true); }
};
/// What a command of `data` octets that answers `back` costs inside the channel, or in the clear.
WireCount cost_of(const StepCommand& command, const StepWire& wire);
WireCount plain_cost_of(const StepCommand& command, const ChannelLimits& limits);

/// Access rules, data object 86: nibbles read|use, update, delete, generate; 0 free, F never, else a PIN.
namespace nibble {
inline constexpr std::uint8_t free = 0x00, never = 0x0F;
}
Bytes access_nibbles(std::uint8_t read_or_use, std::uint8_t update, std::uint8_t remove, std::uint8_t generate);

/// Rules by channel and terminal, data object A1 (docs/card-commands.md): a condition each, and a bit of the CHAT or of
/// the sector rights.
struct ChannelRule {
  std::uint8_t condition = 0x00;
  std::uint8_t bit = 0xFF;
};
namespace channel_rule {
inline constexpr std::uint8_t usual = 0x00, free = 0x01, secure_channel = 0x02, terminal = 0x03,
                              authenticated_terminal = 0x04, sector_right = 0x05, nobody = 0x0F, or_issuer = 0x80;
}
struct ChannelRules {
  ChannelRule read = {}, update = {};
};

/// A record file's shape (ISO 7816-4 §7.4.5, data object 82 with data coding byte and record size).
struct RecordsToCreate {
  std::uint8_t octets = 0;  ///< of a record; of the longest where they differ
  std::uint8_t count = 0;
};

/// CREATE FILE: `size` in octets, for key files in bits; of no meaning for record files.
struct FileToCreate {
  std::uint16_t id = 0;
  std::size_t size = 0;
  std::uint8_t descriptor = 0x01;
  Bytes rules;
  Bytes properties = {0x00, 0x00};
  std::optional<ChannelRules> channel = {};
  std::optional<std::uint8_t> short_id = {};
  Bytes name = {};  ///< DFs
  std::optional<RecordsToCreate> records = {};
};
CommandApdu create(const FileToCreate& file);

/// CREATE and UPDATE of a transparent EF that begins with `content`.
PersonalisationStep write_file_step(std::string words, const FileToCreate& file, ByteView content, std::size_t room);

std::string hex16(std::uint16_t value);

}  // namespace karta::card
