// ObjectWriter: adds objects to the e-signature application of a card that takes CREATE, and removes them, so that any
// reader of PKCS #15 sees a whole directory after each step.
//
// The directory files are edited in place: what others wrote stays octet for octet, new entries go behind the last one.
// A file comes before its entry and goes after it: a power cut leaves a file nobody names, never an entry that names
// nothing. New files are numbered as pkcs15-init numbers them (keys 4B01.., public keys 5501.., certificates 4301..,
// data 4501.. and 4601..). An issued card refuses CREATE: everything here then fails with `not_permitted`.
//
// For the length of one transaction (ESignApplication::update), with the PIN verified that the card's rules ask for.
#pragma once

#include <set>
#include <span>

#include "base/random.h"
#include "base/secret.h"
#include "card/esign.h"

namespace karta::card {

/// Who may use and remove a new object.
struct ObjectOwner {
  std::uint8_t pin_reference = 1;  ///< the PIN that guards it
  Bytes auth_id;                   ///< and how the PIN directory calls that PIN
};

struct NewKey {
  std::string label;
  Bytes id;
  const CardKeyType* type = nullptr;
  std::uint32_t usage = key_usage::sign;  ///< of key_usage: sign, decrypt, derive
  bool pin_each_time = false;
};
struct NewCertificate {
  std::string label;
  Bytes id;
  bool authority = false;
  Bytes der;
};
struct NewData {
  std::string label, application;
  std::string application_oid;  ///< dotted; empty: none
  bool is_private = false;      ///< read under the PIN only
  Bytes value;
};

class ObjectWriter {
 public:
  /// Selects the application and reads its object directory. `channel` must outlive it.
  static Result<ObjectWriter> open(Channel& channel);

  /// An empty key file, for ESignApplication::generate_key; to be followed by add_key or, on failure, remove_file.
  /// Fails with `not_permitted`, `limit` (the card is full).
  Result<std::uint16_t> create_key_file(const NewKey& key, const ObjectOwner& owner);
  /// Enters the key in `file_id` into the directories of private and public keys.
  Status add_key(const NewKey& key, const ObjectOwner& owner, std::uint16_t file_id, const CardPublicKey& public_key);
  /// Takes the key, its public half and their files away. The key is gone.
  Status remove_key(std::uint16_t file_id);

  /// Returns the certificate's file.
  Result<std::uint16_t> add_certificate(const NewCertificate& certificate, const ObjectOwner& owner);
  Status remove_certificate(std::uint16_t file_id);

  Result<std::uint16_t> add_data(const NewData& data, const ObjectOwner& owner);
  Status remove_data(std::uint16_t file_id);

  /// DELETE under DF 5015; a file that is not there is no error.
  Status remove_file(std::uint16_t file_id);

 private:
  explicit ObjectWriter(Channel& channel) : channel_(&channel) {}
  Status select_application_again();
  Result<std::uint16_t> free_id(std::uint16_t first);
  Result<std::uint16_t> create_transparent(std::uint16_t first, const ObjectOwner& owner, bool is_private,
                                           ByteView content);
  Result<Path> directory(Directory kind, const ObjectOwner& owner);
  Status append_entry(const Path& file, ByteView entry);
  Result<bool> remove_entries(Directory kind, const std::function<bool(ByteView entry)>& meant);

  Channel* channel_;
  std::vector<DirectoryEntry> odf_;
  std::size_t odf_octets_ = 0;        // used so far
  std::set<std::uint16_t> file_ids_;  // of DF 5015
};

/// How a card stands to being begun anew.
enum class Beginnable : std::uint8_t {
  blank,       ///< no application yet
  by_puk,      ///< there is one, and PIN1's PUK (or nobody's word) is enough to wipe it
  by_officer,  ///< there is one whose security officer has a PIN of their own
  never,       ///< issued: it stays as it is
};
struct BeginState {
  Beginnable state = Beginnable::blank;
  std::uint8_t officer_reference = 0;  ///< by_officer: the PIN that wipes
};
/// Selects the MF and the application; costs no try.
Result<BeginState> begin_state(Channel& channel);

/// Makes an empty application named `label` with one PIN (PIN1) on a card that is not `never`: what was there is wiped.
/// The PIN is a random one nobody knows until ESignApplication::unblock_pin sets one with `puk`, eight digits; on a
/// card that has an application already, `puk` must be its PUK or its officer's PIN: a wrong one costs a try of it and
/// fails with `wrong_pin` or `pin_blocked`.
Status begin_anew(Channel& channel, std::string_view label, const SecretBytes& puk, RandomSource& random);
/// Notes in the PIN directory that PIN1 has been set; PIN1 must be verified.
Status mark_pin_initialised(Channel& channel);

}  // namespace karta::card
