// State of an open e-signature application: the card's content as far as it was read, and where the card stands. For
// the files of ESignApplication only.
//
// enter() begins whatever the application does: a transaction, and a look whether card or content are still those.
#pragma once

#include <map>
#include <set>

#include "card/esign.h"
#include "card/iso7816.h"

namespace karta::card {

/// PIN references inside DF 5015.
constexpr std::uint8_t reference_of(PinKind kind) { return kind == PinKind::pin2 ? 0x02 : 0x01; }

struct ESignApplication::State {
  explicit State(Channel& c) : channel(c) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  /// A right given here must not outlive us: whoever uses the card next would have it without a PIN.
  ~State() { forget_pins(); }

  Channel& channel;
  CardInfo info;
  bool opened = false;
  unsigned session = 0;           // of the connection, when last looked
  std::uint64_t transaction = 0;  // whose beginning was looked at
  bool in_directory = false;      // DF 5015 is the current DF, as far as this transaction goes

  struct Environment {
    SecurityTemplate purpose;
    std::uint8_t algorithm;
    std::uint16_t file_id;
    friend bool operator==(const Environment&, const Environment&) = default;
  };
  std::optional<Environment> environment;  // set in this transaction

  // Content, valid for info.change_counter.
  std::optional<std::vector<DirectoryEntry>> odf;
  std::optional<TokenInfo> token_info;
  std::optional<std::vector<PinObject>> pins;
  std::optional<std::vector<CardKey>> keys;
  std::optional<std::vector<CardCertificate>> certificates;
  std::map<std::uint16_t, Location> certificate_places;
  std::map<std::uint16_t, Bytes> certificate_files;
  std::optional<std::vector<DataObject>> data_list;
  ContentCache* cache = nullptr;
  std::optional<std::set<std::uint16_t>> plain_ids;  // files whose short identifier is theirs alone

  /// What every public function does first.
  Result<Transaction> enter();
  /// The same without the counter, for what does not depend on content: while the session is the same, so is the card.
  Result<Transaction> enter_session();
  /// Our own writing moves the counter too: take note, and keep nothing.
  void changed();
  /// Selecting may cost a card its security environment: it is set again.
  Status select_directory();

  // Content (esign_state.cpp).
  /// A whole transparent EF, from the cache or the card.
  Result<Bytes> read(const Path& path);
  Result<Bytes> read_from_card(const Path& path);
  Result<const std::vector<DirectoryEntry>*> directory();
  /// PKCS #15 paths may be relative to the application's DF.
  static Path absolute(const Path& path);
  Status load_pins();
  Status load_keys();
  Status load_certificates();
  Status load_data();
  Result<Bytes> certificate_file(std::uint16_t file_id);

  // PINs (esign_pins.cpp).
  Result<ResponseApdu> transmit_pin(const CommandApdu& command);
  Status present(PinKind kind, const SecretBytes& pin);
  /// PINs the card has taken from us since the last reset of it, and that were not logged out since.
  std::set<PinKind> shown;
  Status log_out(PinKind kind);
  Status log_out_all();
  void forget_pins();

  // Keys (esign_keys.cpp).
  Status set_environment(const Environment& wanted);
  /// VERIFY if a PIN is given, MSE, and then the operation itself.
  Result<Bytes> operate(const CardKey& key, const Environment& wanted, const CommandApdu& command,
                        const SecretBytes* pin, std::string_view deed);
  Status select_key_file(const CardKey& key);
  /// With the key file selected.
  Result<CardPublicKey> public_key_of_selected(const CardKeyType& type);

 private:
  Result<CardInfo> read_info();
  void forget_content();
  Status learn_short_ids();
  Result<Bytes> read_by_short_id(const Path& path);
  Result<std::vector<Bytes>> directory_files(std::initializer_list<Directory> kinds);
  CardKey make_key(PrivateKeyObject object) const;
};

}  // namespace karta::card
