// Slot: a reader, the card in it, and the tokens that card shows: one for each PIN that guards keys.
//
// A citizen card shows two: the everyday token under PIN1 and the qualified one under PIN2; any other card of the
// profile one for each of its first two PINs. So each reader takes two slot numbers. Nothing is read from the card
// before somebody asks, every operation is one PC/SC transaction, and between two of them other programs may do as
// they like: what they changed is noticed, and a login they undid is renewed from the PIN kept here.
//
// All members but the constants need mutex() held. Errors that say the card is gone make it so: the connection is
// dropped, PINs are wiped, `tokens` are empty, and gone() counts.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "card/esign.h"
#include "card/object_writer.h"
#include "card/secure_messaging.h"
#include "pkcs11/can_store.h"
#include "pkcs11/object.h"

namespace karta::pkcs11 {

inline constexpr std::size_t kTokensPerReader = 2;

/// One PIN's view of a card.
struct Token {
  card::PinKind pin_kind = card::PinKind::pin1;
  bool user_logged_in = false;
  bool officer_logged_in = false;
  bool per_signature = false;  ///< all its keys want their PIN each time: nothing is kept
  SecretBytes pin;             ///< the user's, to renew a login; never PIN2
  bool by_pad = false;         ///< the user typed at the reader: there is no `pin` to renew a login with
  bool officer_by_pad = false;
  SecretBytes puk;  ///< the officer's, who is whoever holds the PUK

  bool keys_listed = false, others_listed = false;
  std::vector<std::shared_ptr<Object>> objects;
};

/// What a program brings to the use of a key.
struct KeyUse {
  const SecretBytes* pin = nullptr;  ///< for keys that want it each time
  bool pad = false;                  ///< ... or it is to be typed at the reader
  std::uint16_t content = 0;         ///< Slot::content() when the program was given the key
};

class Slot {
 public:
  /// `readers`, `cache` and `cans` (both may be null) must outlive it. `first_id` is its first token's slot number.
  Slot(std::string reader, CK_SLOT_ID first_id, card::ReaderList& readers, card::ContentCache* cache,
       const CanStore* cans = nullptr)
      : reader_(std::move(reader)), first_id_(first_id), readers_(readers), cache_(cache), cans_(cans) {}

  const std::string& reader() const { return reader_; }
  CK_SLOT_ID first_id() const { return first_id_; }
  std::mutex& mutex() { return mutex_; }

  /// What the reader list said last; set by the module.
  std::atomic<bool> card_present{false};

  /// Number of cards that went away so far.
  unsigned gone() const { return gone_; }
  /// Drops the card and everything known of it.
  void lose_card();
  /// Leaves the card to other programs at once, where a burst of operations has kept it for the next one.
  void let_go();
  /// Looks at an error of the card room: a card that is gone is lost.
  Fault take(Error error);

  /// The card for the length of one transaction.
  struct Use {
    card::Transaction transaction;
    card::ESignApplication* application;
    card::ESignApplication* operator->() const { return application; }
    card::ESignApplication& operator*() const { return *application; }
  };
  /// Connects and opens the application if need be.
  Outcome<Use> use();
  /// Whether the card shows token `index`. Reads the card's PINs the first time.
  Outcome<bool> has_token(std::size_t index);
  /// The token; CKR_TOKEN_NOT_PRESENT where there is none.
  Outcome<Token*> token(std::size_t index);
  Outcome<CK_TOKEN_INFO> token_info(std::size_t index);
  Outcome<std::string> token_label(std::size_t index);

  /// Whether PINs for token `index` can be typed at the reader.
  Outcome<card::CardConnection::PinPad> pad();
  /// Whether the token has a PIN its holder knows; false between C_InitToken and C_InitPIN.
  Outcome<bool> pin_set(std::size_t index);

  Done log_in(std::size_t index, const SecretBytes& pin);
  Done log_in_officer(std::size_t index, const SecretBytes& puk);
  /// Forgets the login here and on the card.
  void log_out(std::size_t index);
  /// The same for each token of the card, which is free for other programs afterwards.
  void log_out_everywhere();
  /// Checks the PIN on the card and leaves no right behind.
  Done check_pin(std::size_t index, const SecretBytes& pin);
  Done change_pin(std::size_t index, const SecretBytes& old_pin, const SecretBytes& new_pin);
  Done unblock_pin(std::size_t index, const SecretBytes& new_pin);
  /// The same with everything typed at the reader.
  Done log_in_by_pad(std::size_t index);
  Done log_in_officer_by_pad(std::size_t index);
  Done change_pin_by_pad(std::size_t index);
  Done unblock_pin_by_pad(std::size_t index);
  /// §5.5.7 C_InitToken, where the card is not an issued one: wiped, and begun anew with the PUK of the caller.
  Done begin_anew(std::size_t index, std::string_view label, const SecretBytes& puk);

  /// Lists what the card's directory tells of a class; kUnavailable: of all.
  Done list(std::size_t index, CK_OBJECT_CLASS object_class);
  /// Fetches the deferred attributes.
  Done complete(Object& object);

  /// Stands for what is on the card; another number, other content.
  std::uint16_t content() const { return counter_; }
  /// Key operations. CKR_FUNCTION_FAILED where the card's content has changed since `use.content`: the key may be
  /// another one now, and the objects are listed anew.
  Outcome<Bytes> sign(std::size_t index, const card::CardKey& key, card::SignatureScheme scheme, ByteView input,
                      const KeyUse& use);
  Outcome<SecretBytes> decipher(std::size_t index, const card::CardKey& key, card::DecipherPadding padding,
                                ByteView cryptogram, const KeyUse& use);
  Outcome<SecretBytes> agree(std::size_t index, const card::CardKey& key, ByteView point, const KeyUse& use);
  Outcome<Bytes> random(std::size_t count);
  /// A new key pair in the file of `key`, which is gone.
  Done generate(std::size_t index, const card::CardKey& key);
  Done write_certificate(std::size_t index, const card::CardCertificate& place, ByteView der);
  /// New objects, and their end, on cards that take CREATE and DELETE; CKR_TOKEN_WRITE_PROTECTED on all others.
  /// Each gives the file of the new object.
  Outcome<std::uint16_t> create_key(std::size_t index, const card::NewKey& key);
  Outcome<std::uint16_t> add_certificate(std::size_t index, const card::NewCertificate& certificate);
  Outcome<std::uint16_t> add_data(std::size_t index, const card::NewData& data);
  Done remove(std::size_t index, const Object& object);
  Outcome<std::vector<card::CardKey>> keys(std::size_t index);
  Outcome<std::vector<card::CardCertificate>> certificates(std::size_t index);

 private:
  template <class T>
  Outcome<T> taken(Result<T> result) {
    if (result) {
      if constexpr (std::is_void_v<T>) {
        return {};
      } else {
        return std::move(*result);
      }
    }
    return tl::unexpected<Fault>(take(std::move(result).error()));
  }
  // Runs `deed`, renewing the login once where another program has undone it.
  template <class T, class Act>
  Outcome<T> with_login(std::size_t index, const card::CardKey* key, const KeyUse& use, Act act);
  // The same for what writes to the card: its refusal is the card's, not a missing login's.
  template <class T, class Act>
  Outcome<T> manage(std::size_t index, Act act);
  Outcome<std::uint16_t> write(
      std::size_t index,
      const std::function<Result<std::uint16_t>(card::ObjectWriter&, const card::ObjectOwner&)>& deed);
  Done unchanged_since(Use& app, std::uint16_t content);
  Outcome<card::ObjectOwner> owner(std::size_t index);
  // Over the contactless interface: a channel by the card's access number, anew where another program has broken it.
  Done open_channel();
  Done load_layout();
  Done load_layout(Use& card);
  // Objects are thrown away where the card's content has changed since they were listed.
  void compare_content();
  bool belongs(std::size_t index, const card::CardKey& key) const;
  void add(Token& token, std::shared_ptr<Object> object);

  const std::string reader_;
  const CK_SLOT_ID first_id_;
  card::ReaderList& readers_;
  card::ContentCache* const cache_;
  const CanStore* const cans_;
  std::mutex mutex_;
  unsigned gone_ = 0;

  struct Lost {
    std::unique_ptr<card::CardConnection> connection;
    std::unique_ptr<card::PlainChannel> channel;
    std::unique_ptr<card::SecureMessagingChannel> secure;
    std::optional<card::ESignApplication> application;
  };
  Lost lost_;
  std::unique_ptr<card::CardConnection> connection_;
  std::unique_ptr<card::PlainChannel> channel_;
  std::unique_ptr<card::SecureMessagingChannel> secure_;  // over the contactless interface
  SecretBytes can_;                                       // that opened it
  std::optional<card::ESignApplication> application_;
  bool laid_out_ = false;
  bool initialised_ = false;
  std::array<bool, kTokensPerReader> shown_{};
  std::array<bool, kTokensPerReader> pin_set_{};
  std::array<Bytes, kTokensPerReader> auth_ids_;  // of the tokens' PINs
  std::vector<card::CardKey> all_keys_;           // as the directory says, with the layout
  std::array<Token, kTokensPerReader> tokens_;
  std::uint16_t counter_ = 0;
  std::chrono::steady_clock::time_point looked_{};  // at the counter, for the directory's sake
  CK_OBJECT_HANDLE next_handle_ = 1;
};

}  // namespace karta::pkcs11
