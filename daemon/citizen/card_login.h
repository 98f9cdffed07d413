// CardLogin: a log-in at the card: what may be seen of a card before any secret is given, and the token its
// authentication key signs for one origin and one nonce.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>

#include "base/random.h"
#include "base/secret.h"
#include "card/channel.h"
#include "card/content_cache.h"

namespace karta::daemon {

/// A few public files of the cards seen last, in memory: the second look at a card costs a fraction of the first.
/// Usable from several threads.
class PublicFiles final : public card::ContentCache {
 public:
  static constexpr std::size_t kMostFiles = 128, kMostOctets = 16u << 10;
  std::optional<Bytes> find(ByteView serial, std::uint16_t counter, std::string_view name) override;
  void keep(ByteView serial, std::uint16_t counter, std::string_view name, ByteView content) override;

 private:
  std::mutex mutex_;
  std::map<std::tuple<Bytes, std::uint16_t, std::string>, Bytes> files_;
};

/// A card as it can be seen without a secret.
struct CardLook {
  enum class State : std::uint8_t {
    ready,          ///< its PIN can be asked for
    needs_can,      ///< no contacts: nothing can be seen before the access number is known
    wrong_card,     ///< no card of ours, or without an authentication key that can sign for the web
    transport_pin,  ///< the letter's PIN has to be replaced first
    pin_blocked,
    busy,        ///< another program has it
    unreadable,  ///< mute, removed meanwhile, or not understood
  };
  State state = State::unreadable;
  std::string label;        ///< as the card calls itself; empty: not known
  std::string serial_tail;  ///< the last digits of its number
  std::optional<unsigned> tries_left;
  bool pad = false;  ///< the reader has keys of its own for the PIN
  Error why;         ///< for the log; states unreadable, busy, wrong_card
};
/// Costs no try. `plain`: the card, in a transaction.
CardLook look_at_card(card::Channel& plain, card::ContentCache& files);
/// What an error says of a card that could not be looked at.
CardLook look_of(const Error& error);

struct CardLoginRequest {
  std::string_view origin, nonce;
  const SecretBytes* pin = nullptr;  ///< null: typed at the reader
  const SecretBytes* can = nullptr;  ///< null: not known
  bool last_try_known = false;       ///< the holder has said so; else the last try is not used
};
struct CardLoginOutcome {
  enum class Kind : std::uint8_t {
    signed_token,
    pin_form,  ///< no PIN can look so; no try was spent
    wrong_pin,
    last_try,  ///< one try is left and was not used
    wrong_can,
    no_can,
    pin_blocked,
    transport_pin,
    wrong_card,
    pad_cancelled,  ///< or nothing was typed in time
    card_removed,
    card_busy,
    failed,
  };
  Kind kind = Kind::failed;
  std::string token;  ///< web-eid:1.0, JSON
  bool can_was_right = false;
  Error why;  ///< of every kind but signed_token
};
/// Opens, looks at the PIN's tries, signs, and forgets the PIN on the card again unless it was verified before.
CardLoginOutcome log_in_with_card(card::Channel& plain, const CardLoginRequest& request, card::ContentCache& files,
                                  RandomSource& random);
CardLoginOutcome outcome_of(Error error);

}  // namespace karta::daemon
