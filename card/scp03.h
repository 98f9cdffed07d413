// SCP03: the secure channel between an issuer (or a department) and the card manager (or its domain), GlobalPlatform
// Card Specification 2.3 Amendment D.
//
// Both sides hold a key set. INITIALIZE UPDATE and EXTERNAL AUTHENTICATE prove it and make session keys; from then on
// commands carry a checksum and, by level, are encrypted, and so do answers. An answer with an error status word is
// never protected (Amendment D §6.2.5): a reader can forge "no", it cannot forge "done" from R-MAC on.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/random.h"
#include "base/secret.h"
#include "card/channel.h"
#include "crypto/aes.h"

namespace karta::card {

/// Length of challenges, cryptograms and checksums, in octets.
enum class Scp03Mode : std::uint8_t { s8 = 8, s16 = 16 };

/// Bits of P1 of EXTERNAL AUTHENTICATE (Amendment D table 7-6).
namespace security_level {
inline constexpr std::uint8_t authenticated = 0x00, c_mac = 0x01, c_decryption = 0x02, r_mac = 0x10,
                              r_encryption = 0x20;
inline constexpr std::uint8_t all = c_mac | c_decryption | r_mac | r_encryption;
}  // namespace security_level
/// 00, 01, 03, 11, 13 and 33: the levels Amendment D knows.
bool is_security_level(std::uint8_t level);

/// Three static AES keys of one length, and the version the card knows them by.
struct Scp03KeySet {
  std::uint8_t version = 0;  ///< 00: whatever the card takes by default
  SecretBytes encryption;    ///< Key-ENC
  SecretBytes checksum;      ///< Key-MAC
  SecretBytes data;          ///< Key-DEK

  Scp03KeySet clone() const;
  std::size_t key_octets() const { return encryption.size(); }

  /// 40 41 .. 4F three times: what a blank card has. Known to everybody, so a channel under it keeps nothing secret.
  static Scp03KeySet blank();
};

/// The key set of one card from the issuer's master key (AES, any length): each key is
///   SP 800-108 counter KDF with CMAC (crypto::cmac_counter_kdf), label "karta/scp03/enc", ".../mac" or ".../dek",
///   context = version (one octet) || serial
/// so that opening one card tells nothing of another. `serial` is the card's ten octets, as INITIALIZE UPDATE answers.
Scp03KeySet diversify(const SecretBytes& master, ByteView serial, std::uint8_t version, std::size_t key_octets);

/// First three octets of AES over sixteen 01 (Amendment D §4.1.4).
std::array<std::uint8_t, 3> key_check_value(const SecretBytes& key);

/// What INITIALIZE UPDATE answers before anything is proved.
struct Scp03Greeting {
  Bytes serial;                           ///< key diversification data, ten octets
  std::uint8_t key_version = 0;           ///< of the set the card means
  std::uint8_t implementation = 0;        ///< "i": bit 01 S16, 10 pseudo-random challenge, 20 R-MAC, 40 R-ENC
  Bytes card_challenge, card_cryptogram;  ///< 8 or 16 octets each
  std::optional<std::uint32_t> sequence;  ///< where the challenge is pseudo-random

  /// Fails with `card_unresponsive` on any other shape, `unsupported` on another protocol than 03.
  static Result<Scp03Greeting> parse(ByteView answer, Scp03Mode mode);
};

/// The session's cryptography alone. Ends itself at the first answer that is not in order.
class Scp03Session {
 public:
  /// Both challenges as long as `mode` says.
  Scp03Session(const Scp03KeySet& keys, Scp03Mode mode, ByteView host_challenge, ByteView card_challenge);
  Scp03Session(Scp03Session&&) noexcept = default;
  Scp03Session& operator=(Scp03Session&&) noexcept = default;

  Bytes host_cryptogram() const { return cryptogram(0x01); }
  Bytes card_cryptogram() const { return cryptogram(0x00); }
  /// EXTERNAL AUTHENTICATE (84 82 level 00), its own checksum included; the session runs at `level` after it.
  CommandApdu external_authenticate(std::uint8_t level);

  /// The command with class bit 04, encrypted and with its checksum as the level says. The checksum covers the length
  /// field as it will be sent: in three octets where the data want it or `extended` says so. Fails with `limit` where
  /// it fits no APDU.
  Result<CommandApdu> protect(const CommandApdu& plain, bool extended = false);
  /// The answer to the last protected command. Fails with `card_insecure`.
  Result<ResponseApdu> unprotect(const ResponseApdu& answer);

  bool alive() const { return !mac_key_.empty(); }
  void end();
  std::uint8_t level() const { return level_; }
  std::size_t checksum_octets() const { return octets_; }

  /// For tests against published examples.
  struct Keys {
    const SecretBytes &encryption, &checksum, &response_checksum;
  };
  Keys keys() const { return {encryption_key_, mac_key_, rmac_key_}; }

 private:
  Bytes cryptogram(std::uint8_t constant) const;
  Bytes checksum_command(std::uint8_t cla, std::uint8_t ins, std::uint8_t p1, std::uint8_t p2, ByteView data,
                         bool extended);
  Result<ResponseApdu> open_answer(const ResponseApdu& answer);
  crypto::AesBlock initial_vector(bool of_answer) const;

  std::size_t octets_;
  Bytes context_;
  SecretBytes encryption_key_, mac_key_, rmac_key_;
  crypto::AesBlock chaining_{};
  std::uint64_t counter_ = 0;
  std::uint8_t level_ = 0;
};

/// The card's challenge where it is pseudo-random (Amendment D §6.2.2.1): from Key-ENC, the sequence counter and the
/// AID of the application. For tests of published examples.
Bytes pseudo_random_challenge(const SecretBytes& key_enc, std::uint32_t sequence, ByteView aid, Scp03Mode mode);

/// Picks the key set by what the card says of itself: the blank one, or the set diversified by its serial.
using Scp03KeyChoice = std::function<Result<Scp03KeySet>(const Scp03Greeting& greeting)>;

/// A channel under SCP03. Any command of any application may go through it; what a level leaves open stays open.
class Scp03Channel final : public Channel {
 public:
  struct Request {
    Scp03Mode mode = Scp03Mode::s16;
    std::uint8_t level = security_level::all;
    std::uint8_t key_version = 0;  ///< P1 of INITIALIZE UPDATE; 00: the card's default set
  };
  /// Authenticates both sides to each other over `below`, which must outlive it and stays plain; the card manager or a
  /// domain is selected. Fails with `card_insecure` where the card's cryptogram is wrong (other keys, or no genuine
  /// card), with `not_permitted` where the card refuses ours.
  static Result<std::unique_ptr<Scp03Channel>> open(Channel& below, const Request& request, const Scp03KeyChoice& keys,
                                                    RandomSource& random);

  Result<ResponseApdu> transmit(const CommandApdu& command) override;
  /// What one protected APDU carries of the caller's data.
  const ChannelLimits& limits() const override;
  /// Of the channel below.
  void set_limits(ChannelLimits limits) override { below_.set_limits(limits); }
  CardConnection& connection() override { return below_.connection(); }

  const Scp03Greeting& greeting() const { return greeting_; }
  /// The static key set, for PUT KEY, which encrypts under its DEK.
  const Scp03KeySet& key_set() const { return keys_; }
  bool alive() const { return session_.alive(); }

 private:
  Scp03Channel(Channel& below, Scp03Greeting greeting, Scp03KeySet keys, Scp03Session session)
      : below_(below),
        greeting_(std::move(greeting)),
        keys_(std::move(keys)),
        session_(std::move(session)),
        connection_session_(below.connection().session()) {}
  Result<ResponseApdu> transmit_protected(const CommandApdu& command);
  Scp03Mode mode() const { return session_.checksum_octets() == 8 ? Scp03Mode::s8 : Scp03Mode::s16; }

  Channel& below_;
  Scp03Greeting greeting_;
  Scp03KeySet keys_;
  Scp03Session session_;
  unsigned connection_session_;
  mutable ChannelLimits limits_;
};

/// Data octets that fit under `limit` octets of a command (or answer) once protected at `level`.
std::size_t scp03_room(std::size_t limit, std::uint8_t level, Scp03Mode mode, bool command);

}  // namespace karta::card
