// Registry: citizens, their cards and certificates, and who looked at them. The only owner of the database's schema.
//
// A Registry is one connection and belongs to one thread at a time; threads and processes each open their own, as many
// as they like. What a call returns without error has been committed and survives a power cut.
//
// Personal data leave through one path: every function that returns a name, a date or a number of a person takes a
// Purpose and writes the access log in the transaction that reads, before it returns.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "identity/card_life.h"
#include "identity/citizen.h"
#include "identity/portrait.h"
#include "identity/status_index.h"

namespace karta::service {
struct DatabaseOptions;
}

namespace karta::identity {

/// Random 63-bit keys; they say nothing about whom or what they name.
enum class CitizenId : std::int64_t {};
enum class CardId : std::int64_t {};
/// 16 hexadecimal digits, for people, files and --json.
std::string format_id(CitizenId id);
std::string format_id(CardId id);
Result<CitizenId> parse_citizen_id(std::string_view text);
Result<CardId> parse_card_id(std::string_view text);

/// Who reads personal data, what for, and on which case. All three must be stated (usage error otherwise), each at most
/// kStatementCharacters long.
struct Purpose {
  std::string actor;             ///< a person or a program: "operator:7", "karta card issue"
  std::string purpose;           ///< "issue a card"
  std::string case_id;           ///< order, request or visit number
  std::string legal_basis = {};  ///< the law that allows it, where a department looks; may be empty
  /// The citizen is told only from then on, for which `legal_basis` must be stated; none: at once.
  std::optional<Time> disclose_at = {};
};
/// Who changes something, and why. The actor must be stated.
struct Cause {
  std::string actor;
  std::string reason;
};
/// Characters are Unicode's (characters_of()): a statement may be as long in Russian as in English.
inline constexpr std::size_t kStatementCharacters = 200;
inline constexpr std::size_t kPageLimit = 100;  ///< rows in one answer, at most

struct CitizenRecord {
  CitizenId id{};
  Citizen citizen;
  Time created;
  Time changed;
};

/// A line of a search's answer.
struct CitizenSummary {
  CitizenId id{};
  std::string family, given, patronymic;
  Date birth_date;
};
struct CitizenPage {
  std::vector<CitizenSummary> citizens;  ///< by name
  std::optional<std::string> next;       ///< hand back as `after` for more; none: that was all
};

enum class CertificateKind : std::uint8_t {
  aut = 1,
  sig = 2,
  qes = 3,
  enc = 4,
  agreement = 5,  ///< of the card itself, not of its holder: departments load their keys by it
};
std::string_view name_of(CertificateKind kind);  ///< "AUT", "SIG", "QES", "ENC", "AGREEMENT"

struct CardCertificate {
  CertificateKind kind = CertificateKind::aut;
  std::string issuer;  ///< issuing CA's name in the registry, as serials are unique under one CA only
  Bytes serial;        ///< content octets of the serial number
  Bytes der;
  Time not_before;
  Time not_after;
};

/// Where a certificate stands; no personal datum in it.
struct CertificateStatus {
  CardId card{};
  CitizenId citizen{};
  CertificateKind kind = CertificateKind::aut;
  Time not_after;
  CardState card_state = CardState::ordered;
  std::optional<Time> revoked_at;  ///< of the certificate; since when it is on hold, if that is the reason
  RevocationReason reason = RevocationReason::unspecified;
};

struct CardOrder {
  CitizenId citizen{};
  std::string profile;                          ///< name of the card profile
  std::string batch = "single";                 ///< issuing batch: its status indexes come from blocks of their own
  std::uint32_t block_size = kStatusBlockSize;  ///< of a block opened for this batch, should one be needed
  std::optional<CardId> replaces = {};
};

/// A card; no personal datum in it.
struct Card {
  CardId id{};
  CitizenId citizen{};
  std::string serial;  ///< of the chip, hexadecimal; empty until produced
  std::uint64_t status_index = 0;
  std::string profile;
  std::string batch;
  CardState state = CardState::ordered;
  RevocationReason revocation_reason = RevocationReason::unspecified;  ///< where the state is revoked
  std::optional<CardId> replaces;
  std::optional<Time> valid_until;
  Time created;
  Time changed;
};

/// What it is by the clock; `card.state` is what the registry has.
inline CardState state_at(const Card& card, Time now) { return state_at(card.state, card.valid_until, now); }

struct Event {
  std::int64_t number = 0;  ///< 1, 2 ... for each citizen
  Time at;
  std::string actor;
  std::string kind;            ///< "citizen-created", "card-state", "certificate-added", ...
  std::optional<CardId> card;  ///< none: concerns the citizen
  std::string from;            ///< state before, where a state changed
  std::string to;
  std::string reason;
};

struct AccessEntry {
  Time at;
  Purpose purpose;
  std::string what;  ///< "record", "search", "certificates"
};

/// How often somebody looked for one purpose.
struct AccessTotal {
  std::string actor, purpose;
  std::uint64_t count = 0;
  Time last;
};

/// A run of status indexes: [first, first + size), of which the first `used` ordinals are given out.
struct StatusBlock {
  std::uint64_t first = 0;
  std::uint32_t size = 0;
  std::uint32_t used = 0;
  std::string batch;
  Time created;
};

class Registry {
 public:
  /// Makes a new registry (already_exists if there is one) and brings it to the current schema.
  /// `clock` and `random` must outlive the registry. URL as in service/database.h.
  static Result<Registry> create(std::string_view url, const Clock& clock, RandomSource& random);
  /// Opens a registry and applies missing migrations. Errors: not_found (hint: karta init), unsupported (newer than
  /// this program), not_permitted (file mode), busy.
  static Result<Registry> open(std::string_view url, const Clock& clock, RandomSource& random);
  /// The same for one who serves requests: all but the migrations is bound to `options` (service::kServingDatabase).
  static Result<Registry> open(std::string_view url, const Clock& clock, RandomSource& random,
                               const service::DatabaseOptions& options);

  Registry(Registry&&) noexcept;
  Registry& operator=(Registry&&) noexcept;
  ~Registry();

  // Citizens

  /// already_exists if the SNILS is taken.
  Result<CitizenId> add_citizen(const Citizen& citizen, const Cause& cause);
  /// Replaces all data of a citizen. Returns false if there was nothing to change.
  Result<bool> change_citizen(CitizenId id, const Citizen& citizen, const Cause& cause);
  Result<CitizenRecord> read_citizen(CitizenId id, const Purpose& purpose);
  /// not_found is logged nowhere: there is nobody whose log it could stand in.
  Result<CitizenRecord> read_citizen(const Snils& snils, const Purpose& purpose);
  /// Citizens whose "family given patronymic" begins with `prefix` (see search_key()), at least two letters, at most
  /// `limit` (1 ... kPageLimit) of them. Logged for each citizen listed.
  Result<CitizenPage> find_citizens(std::string_view prefix, const Purpose& purpose, std::size_t limit = 20,
                                    const std::optional<std::string>& after = {});
  /// The id alone, for joining; not logged as it tells nothing of the person but that he is known.
  Result<std::optional<CitizenId>> citizen_of(const Snils& snils);
  /// The same for whoever is told whether the person is known: logged as "number-search".
  Result<std::optional<CitizenId>> find_citizen(const Snils& snils, const Purpose& purpose);
  Result<std::uint64_t> count_citizens();
  /// Every citizen's id from `after` on, in order of id, at most `limit`: for batch plans.
  Result<std::vector<CitizenId>> list_citizens(std::optional<CitizenId> after, std::size_t limit);

  // Portraits (portraits.cpp)

  /// Puts a picture in the place of the one there was, if any. False: that is the one.
  Result<bool> set_portrait(CitizenId id, const Portrait& portrait, const Cause& cause);
  /// not_found if there is none.
  Status remove_portrait(CitizenId id, const Cause& cause);
  /// Tells nothing of how the person looks, and is not logged.
  Result<bool> has_portrait(CitizenId id);
  /// not_found if there is none; then nothing is logged.
  Result<Portrait> read_portrait(CitizenId id, const Purpose& purpose);

  // Cards

  /// A new card in state ordered, with its status index. A card has one successor: already_exists where another one has
  /// been ordered in its place and is not at its end, whoever ordered it.
  Result<Card> order_card(const CardOrder& order, const Cause& cause);
  /// Many at once, in one transaction: all are ordered or none.
  Result<std::vector<Card>> order_cards(const std::vector<CardOrder>& orders, const Cause& cause);
  /// Binds the chip's serial (hexadecimal; already_exists if another card has it), sets the end of validity and moves
  /// the card to produced.
  Result<Card> produce_card(CardId id, std::string_view serial, Time valid_until, const Cause& cause);
  /// Moves the card on; not_permitted where card_transitions() has no such step. Its certificates go with it, in the
  /// same transaction: suspended, they are on hold; active again, they are released; revoked or replaced, they are
  /// revoked (what was revoked or held by itself stays so).
  Result<Card> change_card_state(CardId id, CardState to, const Cause& cause,
                                 RevocationReason reason = RevocationReason::unspecified);
  /// Writes down that something was done to a card that is no change of its state: "unblocked", "application-loaded".
  Status record_deed(CardId id, std::string_view kind, std::string_view detail, const Cause& cause);
  Result<Card> card(CardId id);
  /// The same for whoever is shown it: logged as "card".
  Result<Card> read_card(CardId id, const Purpose& purpose);
  Result<Card> card_by_serial(std::string_view serial);
  Result<Card> card_by_status_index(std::uint64_t status_index);
  Result<std::vector<Card>> cards_of(CitizenId citizen);
  /// Newest first; at most `limit` before event number `before`.
  Result<std::vector<Event>> events_of(CitizenId citizen, std::size_t limit = kPageLimit,
                                       std::optional<std::int64_t> before = {});

  // Certificates

  /// already_exists if the issuer has given out that serial before.
  Status add_certificate(CardId card, const CardCertificate& certificate, const Cause& cause);
  /// certificate_hold puts it on hold (CertificateLedger::revoke releases it). not_permitted if it is revoked already.
  Status revoke_certificate(std::string_view issuer, ByteView serial, RevocationReason reason, const Cause& cause);
  Result<std::vector<CardCertificate>> certificates_of(CardId card, const Purpose& purpose);
  Result<CertificateStatus> certificate_status(std::string_view issuer, ByteView serial);

  // Status indexes

  Result<std::vector<StatusBlock>> status_blocks();
  /// Calls `each` with every index that belongs on a stop-list, ascending.
  Status stopped_indexes(const std::function<void(std::uint64_t)>& each);
  /// A number that is larger once a card has come onto the stop-list or left it.
  Result<std::uint64_t> stop_changes();

  // Who read my data

  /// Newest first; at most `limit` after the newest `skip`. Without entries that the citizen is to be told of later
  /// (Purpose::disclose_at), and nothing in it tells that there are any: entries are counted, their numbers never
  /// shown.
  Result<std::vector<AccessEntry>> access_log(CitizenId citizen, std::size_t limit = kPageLimit,
                                              std::uint32_t skip = 0);
  /// The same by who looked and what for, the last look first; at most `limit`.
  Result<std::vector<AccessTotal>> access_totals(CitizenId citizen, std::size_t limit = kPageLimit);

  const Clock& clock() const;
  /// The whole file examined; malformed if anything is wrong.
  Status check_integrity();

  struct Impl;

 private:
  friend class CitizenLoader;
  friend class CertificateLedger;
  friend class TerminalLedger;
  friend class DailyCounts;
  friend class DepartmentLedger;
  friend class OperatorActs;
  friend class RequestLedger;
  explicit Registry(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace karta::identity
