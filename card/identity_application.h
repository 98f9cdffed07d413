// IdentityApplication: the identity application of a citizen card as a terminal with a role sees it (BSI TR-03110 eID).
//
// Opening it is the whole of EAC version 2: PACE with what the holder gives, the terminal's certificates, the issuer's
// signature over the card, the chip's proof. From then on the card releases what the role may have, and compares what
// it never shows. Everything after PACE is encrypted.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "card/identity_data.h"
#include "card/pace.h"
#include "card/passive_authentication.h"
#include "card/restricted_identification.h"
#include "card/terminal_authentication.h"

namespace karta::card {

struct IdentityRequest {
  PacePassword password = PacePassword::can;
  const SecretBytes* secret = nullptr;
  const SecretBytes* can = nullptr;  ///< to resume a suspended PIN; may be absent
  const TerminalCredentials* terminal = nullptr;
  /// Fewer rights than the certificate has; absent: all of them.
  std::optional<Rights> rights = {};
  std::optional<SectorRights> sector_rights = {};
  AuxiliaryData compare = {};
  /// Whose cards are genuine: roots of document signers.
  std::vector<crypto::Certificate> issuers = {};
  Time at{};
  /// The session is for another application first: this one is selected when something of it is asked for.
  bool select_later = false;
};

/// Why a data group is or is not there.
enum class DataGroupState : std::uint8_t {
  read,
  refused,  ///< the role has no right to it: it was not asked for
  denied,   ///< the role has the right and the card refused all the same
  absent,   ///< the card has no such data group
};
/// "read", "refused", "denied", "absent"
std::string_view name_of(DataGroupState state);

struct DataGroupReading {
  unsigned number = 0;
  DataGroupState state = DataGroupState::absent;
  std::optional<DataGroupValue> value;
  DataGroupCheck check = DataGroupCheck::not_covered;
};

class IdentityApplication {
 public:
  /// PACE, terminal authentication, passive authentication, chip authentication, in this order; then the application is
  /// selected, unless the request says later. `below` must outlive it. Fails as each step does; a card whose signed
  /// protocols differ from those it announced, or that is not signed by one of request.issuers, is `card_insecure` or
  /// `untrusted`.
  static Result<IdentityApplication> open(Channel& below, const IdentityRequest& request, RandomSource& random);

  /// What the chain of certificates and the announcement left of the rights.
  const Chat& rights() const { return rights_; }
  SectorRights sector_rights() const { return sector_rights_; }
  /// Signed by the issuer: keys, status index, hashes.
  const SecurityInfos& security() const { return security_.infos; }
  const crypto::Certificate& document_signer() const { return security_.signer; }
  std::optional<std::uint64_t> status_index() const { return security_.infos.status_index; }

  /// One data group; not asked for without the right. Fails only where the channel does, or on content that breaks its
  /// form; `altered` content is an error (`untrusted`): nobody is to act on it.
  Result<DataGroupReading> read(unsigned number);
  /// Whether the issuer signed for this data group: no command is needed to know that the card has one.
  bool has(unsigned number) const;
  /// Every data group of the table but the portrait, which takes longer than all the others: read(kPortraitGroup).
  Result<std::vector<DataGroupReading>> read_all();

  /// The comparisons announced in the request. True or false; fails with `not_permitted` without the right, `usage`
  /// where it was not announced, `not_found` where the card has nothing to compare with.
  Result<bool> born_by_announced_date();
  Result<bool> valid_on_announced_date();
  Result<bool> lives_in_announced_community();

  /// The holder's pseudonym in a sector named in the terminal's certificate.
  Result<Bytes> pseudonym(const SectorKey& sector);

  /// Writes a data group that the role may write (17 to 21), as it stands: value without salt.
  Status write(unsigned number, const DataGroupValue& value);

  /// Ends the channel at both ends: the card forgets the terminal and its rights. Nothing works afterwards.
  void close();

  SecureMessagingChannel& channel() { return *channel_; }
  /// Somebody has selected another application on the channel: this one is selected again when it is needed.
  void selected_elsewhere() { selected_ = false; }

 private:
  IdentityApplication(std::unique_ptr<SecureMessagingChannel> channel, Chat rights, SectorRights sector_rights,
                      CardSecurity security, AuxiliaryData compare)
      : channel_(std::move(channel)),
        rights_(rights),
        sector_rights_(sector_rights),
        security_(std::move(security)),
        compare_(std::move(compare)) {}
  Result<bool> compare(std::string_view oid, bool announced, const char* what);
  Status select();

  std::unique_ptr<SecureMessagingChannel> channel_;
  Chat rights_;
  SectorRights sector_rights_;
  CardSecurity security_;
  AuxiliaryData compare_;
  bool selected_ = false;
};

}  // namespace karta::card
