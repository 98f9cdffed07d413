// SecureMessaging: commands and answers under AES, as ISO 7816-4 §10 and BSI TR-03110-3 appendix F want them.
//
// Objects of a command: 87 (85 for odd instructions) cryptogram, 97 Le, 8E checksum; of an answer: 87 or 85, 99 status
// word, 8E. Encryption is AES-CBC with E(K_enc, counter) as initial vector, the checksum the first eight octets of
// AES-CMAC over the counter, the padded header and the objects. The counter, 16 octets, goes up by one before each
// command and before each answer. PACE and chip authentication make the keys; what they prove is their affair.
#pragma once

#include "base/secret.h"
#include "card/channel.h"
#include "crypto/aes.h"

namespace karta::card {

/// What a key agreement hands over: both keys 16, 24 or 32 octets, of one length.
struct SessionKeys {
  SecretBytes encryption;
  SecretBytes checksum;
  /// The send sequence counter before the first command: zero after PACE and chip authentication.
  crypto::AesBlock counter{};
};

/// The cryptography alone: what a command looks like on the wire, and what an answer says. Ends itself at the first
/// answer that is not in order: keys are wiped and every later call fails with `card_insecure`.
class SecureMessaging {
 public:
  explicit SecureMessaging(SessionKeys keys);
  SecureMessaging(SecureMessaging&&) noexcept = default;
  SecureMessaging& operator=(SecureMessaging&&) noexcept = default;

  /// The protected command: class with bits 0C, data field 87|85 97 8E, Le asking for all. It is extended where the
  /// plain one was or where the objects need it. Fails with `limit` where they fit no APDU at all.
  Result<CommandApdu> protect(const CommandApdu& plain);
  /// Data and status word of the answer to the last protected command. Fails with `card_insecure` on a wrong or missing
  /// checksum, missing, repeated or reordered objects, a status word that differs from the protected one, or an answer
  /// in the clear.
  Result<ResponseApdu> unprotect(const ResponseApdu& answer);

  bool alive() const { return !keys_.encryption.empty(); }
  /// Wipes the keys.
  void end();
  const crypto::AesBlock& counter() const { return keys_.counter; }

 private:
  Result<ResponseApdu> open_answer(const ResponseApdu& answer);
  bool count();
  crypto::AesBlock initial_vector() const;
  crypto::AesBlock checksum_of(std::initializer_list<ByteView> parts) const;

  SessionKeys keys_;
};

/// Data octets of a command or an answer that fit under `limit` octets once protected; 0: none.
std::size_t plain_room(std::size_t limit, bool command);

/// A channel that is plain until start(), protected from then on, and dead after the first fault: a program that goes
/// on asking gets `card_insecure`, never an answer in the clear. start() may be called again at any time, as PACE
/// inside PACE and chip authentication need it: the next command is under the new keys.
class SecureMessagingChannel final : public Channel {
 public:
  /// `below` must outlive it; it stays plain (a PlainChannel).
  explicit SecureMessagingChannel(Channel& below) : below_(below) {}
  SecureMessagingChannel(Channel& below, SessionKeys keys) : below_(below) { start(std::move(keys)); }

  /// Protects from the next command on; keys of before are wiped.
  void start(SessionKeys keys);
  /// Forgets the keys and speaks in the clear again. The card notices at the next plain command, and drops the
  /// session's rights.
  void stop();
  /// Under keys, and none of them spoilt.
  bool secure() const override { return state_ == State::secure; }

  Result<ResponseApdu> transmit(const CommandApdu& command) override;
  /// What one protected APDU carries of the caller's data; the plain channel's before start().
  const ChannelLimits& limits() const override;
  /// Of the channel below.
  void set_limits(ChannelLimits limits) override;
  CardConnection& connection() override { return below_.connection(); }

 private:
  enum class State : std::uint8_t { plain, secure, broken };
  Result<ResponseApdu> transmit_protected(const CommandApdu& command);

  Channel& below_;
  State state_ = State::plain;
  std::optional<SecureMessaging> messaging_;
  unsigned session_ = 0;  ///< of the connection, when the keys were made
  mutable ChannelLimits limits_;
};

}  // namespace karta::card
