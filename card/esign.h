// ESignApplication: the e-signature application of a card, spoken to in the MyEID command profile: PINs, keys,
// certificates, signatures.
//
//   auto card = TRY(readers.connect(name));
//   PlainChannel channel(*card);
//   auto esign = TRY(ESignApplication::open(channel));
//   for (const CardKey& key : TRY(esign.keys())) ...
//   TRY(esign.verify_pin(PinKind::pin1, pin));
//   auto signature = TRY(esign.sign(key, SignatureScheme::ecdsa, digest));
//
// Every public function is one PC/SC transaction of its own, which begins with reading the change counter; inside a
// transaction of the caller's (Transaction nests) that happens once, and a security environment set is not set again.
// What other programs did in between is noticed: a reset re-opens the application, a changed card empties what was read
// before. Within the caller's transaction nobody else may send commands over the same channel.
// Reading is lazy and happens once. Not for several threads at once.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "card/channel.h"
#include "card/content_cache.h"
#include "card/pin.h"
#include "card/pkcs15.h"

namespace karta::card {

/// What a citizen card's keys are for. `other`: a card karta did not issue.
enum class KeyRole : std::uint8_t { authentication, signature, qualified, encryption, other };
/// "AUT", "SIG", "QES", "ENC", "-"
std::string_view to_string(KeyRole role);

struct CardKey {
  KeyRole role = KeyRole::other;
  std::string label;
  Bytes id;                           ///< PKCS #15 identifier; its certificate has the same
  const CardKeyType* type = nullptr;  ///< nullptr: not one of card_key_types()
  std::uint32_t usage = 0;            ///< key_usage bits
  std::uint16_t file_id = 0;
  std::optional<PinKind> pin;      ///< empty: the key is free, or under a PIN that is neither PIN1 nor PIN2
  std::uint8_t pin_reference = 0;  ///< 0: none
  bool pin_each_time = false;
  bool modifiable = false;  ///< its directory entry says so: it may be removed

  bool may_sign() const {
    return (usage & (key_usage::sign | key_usage::sign_recover | key_usage::non_repudiation)) != 0;
  }
  bool may_decipher() const { return (usage & (key_usage::decrypt | key_usage::unwrap)) != 0; }
  bool may_agree() const { return (usage & key_usage::derive) != 0; }
};

struct CardCertificate {
  std::string label;
  Bytes id;  ///< of its key; CA certificates have ids of their own
  bool authority = false;
  std::uint16_t file_id = 0;
  bool modifiable = false;
};

/// A public key as a card gives it; crypto makes a PublicKey of it.
struct CardPublicKey {
  const CardKeyType* type = nullptr;
  Bytes point;              ///< EC: 04 || x || y
  Bytes modulus, exponent;  ///< RSA: big-endian, no leading zero
  /// DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
  Bytes subject_public_key_info() const;
};

/// What sign() is given.
enum class SignatureScheme : std::uint8_t {
  ecdsa,      ///< a digest; answers DER ECDSA-Sig-Value
  rsa_pkcs1,  ///< a DER DigestInfo; answers the raw signature
  rsa_raw,    ///< a block as long as the modulus (EMSA-PSS made by the caller); answers the raw signature
};
enum class DecipherPadding : std::uint8_t { none, pkcs1 };

struct PinStatus {
  bool verified = false;
  bool blocked = false;
  std::optional<unsigned> tries_left;  ///< empty where the card does not tell
};

/// GET DATA 01A0 of the MyEID profile.
struct CardInfo {
  Bytes serial;                      ///< 10 octets
  std::uint16_t change_counter = 0;  ///< moves with every change of the application's content
  std::uint8_t version_major = 0, version_minor = 0, version_build = 0;
  std::string serial_hex() const { return to_hex_upper(serial); }
};

class ESignApplication {
 public:
  /// Selects the application and reads CardInfo: two commands. Fails with `card_unknown` where the card has none, and
  /// over the contactless interface where `channel` is not secure (card/pace.h).
  /// `channel` must outlive the application.
  static Result<ESignApplication> open(Channel& channel);
  ESignApplication(ESignApplication&&) noexcept;
  ESignApplication& operator=(ESignApplication&&) noexcept;
  /// Logs out the PINs presented here that still count as verified.
  ~ESignApplication();
  /// What was presented here so far is not logged out at the end: the card is gone, and could only be waited for, or
  /// the right was another program's before.
  void leave_pins();

  Channel& channel();
  const CardInfo& info() const;
  /// Public content is looked for there before the card is asked, and told to it. It must outlive the application.
  void use_cache(ContentCache& cache);
  /// Notices, in one command, what other programs did: afterwards info() is fresh.
  Status refresh();
  /// False on a card with no PKCS #15 directory yet (a blank card).
  Result<bool> initialised();
  /// Spans and references stay valid until the card's content changes or the application goes.
  Result<const TokenInfo*> token_info();
  Result<std::span<const PinObject>> pins();
  Result<std::span<const CardKey>> keys();
  Result<std::span<const CardCertificate>> certificates();
  Result<std::span<const DataObject>> data_objects();

  /// The only key with this role. Fails with `not_found`.
  Result<CardKey> key(KeyRole role);
  Result<CardKey> key_by_id(ByteView id);
  /// DER certificate of the file. Read once.
  Result<Bytes> read_certificate(const CardCertificate& certificate);
  /// The content of a data object that is free to read, and no longer than its directory says.
  Result<Bytes> read_data(const DataObject& object);
  /// The key's certificate, then the CA certificates on the card as they are. Fails with `not_found` if it has none.
  Result<std::vector<Bytes>> certificate_chain(const CardKey& key);
  Result<CardPublicKey> read_public_key(const CardKey& key);

  /// Costs no try.
  Result<PinStatus> pin_status(PinKind kind);
  /// Fails: `wrong_pin` (the message tells how many tries are left), `pin_blocked`, `transport_pin`, `pin_rejected`.
  Status verify_pin(PinKind kind, const SecretBytes& pin);
  Status change_pin(PinKind kind, const SecretBytes& old_pin, const SecretBytes& new_pin);
  Status unblock_pin(PinKind kind, const SecretBytes& puk, const SecretBytes& new_pin);
  /// The same with PINs typed at the reader (CardConnection::pin_pad); fail with `cancelled` too.
  Status verify_pin_by_pad(PinKind kind);
  Status change_pin_by_pad(PinKind kind);
  Status unblock_pin_by_pad(PinKind kind);
  /// Forgets verified PINs on the card.
  Status log_out();
  /// Forgets one of them; where the card knows no such thing, all.
  Status log_out(PinKind kind);
  /// Octets of the card's random generator.
  Result<Bytes> random(std::size_t count);

  /// Signs with what `scheme` says. Where `pin` is given, VERIFY goes before it in the same transaction; where the key
  /// wants its PIN each time it must be. Fails with `not_permitted` if the PIN is missing.
  Result<Bytes> sign(const CardKey& key, SignatureScheme scheme, ByteView input, const SecretBytes* pin = nullptr);
  Result<SecretBytes> decipher(const CardKey& key, DecipherPadding padding, ByteView cryptogram,
                               const SecretBytes* pin = nullptr);
  /// ECDH: the x coordinate of our scalar times `point` (04 || x || y).
  Result<SecretBytes> agree(const CardKey& key, ByteView point, const SecretBytes* pin = nullptr);

  /// A fresh key pair in the key's file (renewal); its PIN must be verified. The old key is gone.
  Result<CardPublicKey> generate_key(const CardKey& key);
  /// Writes a renewed certificate over the old one; PIN1 must be verified. Fails with `limit` where the file is too
  /// small for it.
  Status write_certificate(const CardCertificate& place, ByteView der);
  /// Runs `deed` on the channel in a transaction, for what changes the application's files; what was read before is
  /// forgotten, whatever the deed returns.
  Status update(const std::function<Status(Channel&)>& deed);

 private:
  struct State;
  explicit ESignApplication(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace karta::card
