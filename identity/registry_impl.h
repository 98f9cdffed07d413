// Registry::Impl: the registry's connection and the steps its transactions are made of. Private to the registry.
//
// Functions here run inside a transaction of their caller unless they say otherwise.
#pragma once

#include "crypto/x509/certificate.h"
#include "identity/citizen_reads.h"
#include "identity/registry.h"
#include "service/database.h"

namespace karta::identity {

inline std::int64_t seconds(Time time) { return time.time_since_epoch().count(); }
inline Time from_seconds(std::int64_t value) { return Time(std::chrono::seconds(value)); }

/// What the lookup of SNILS is keyed by: the nine digits of the account, without the check number.
inline std::int64_t snils_key(const Snils& snils) { return static_cast<std::int64_t>(snils.value() / 100); }

struct Registry::Impl {
  service::Database database;
  const Clock* clock;
  RandomSource* random;

  /// A random key, never 0.
  std::int64_t new_id();

  Result<std::optional<CitizenId>> find_by_snils(const Snils& snils);
  /// No log is written: only for comparing inside the registry, and for callers that log.
  Result<CitizenRecord> load_citizen(CitizenId id);
  Status insert_citizen(CitizenId id, const Citizen& citizen, const Cause& cause);
  Status update_citizen(CitizenId id, const Citizen& before, const Citizen& after,
                        const std::vector<CitizenField>& changed, const Cause& cause);
  Status insert_concessions(CitizenId id, const Citizen& citizen);
  /// Of the picture there is; empty: none.
  Result<Bytes> portrait_hash(CitizenId id);
  /// In the place of the one there was.
  Status store_portrait(CitizenId id, const Portrait& portrait);

  struct NewEvent {
    CitizenId citizen{};
    std::string_view kind;
    std::optional<CardId> card;
    std::string_view before;
    std::string_view after;
  };
  /// `number` is given where it is known (1 for a citizen just made); otherwise the next one is looked up.
  Status add_event(const NewEvent& event, const Cause& cause, std::optional<std::int64_t> number = {});
  Status log_access(CitizenId citizen, const Purpose& purpose, std::string_view what);

  Result<std::uint64_t> allocate_status_index(std::string_view batch, std::uint32_t block_size);
  Result<Card> load_card(CardId id);
  /// The card whose id `sql` selects for `key`; `what` names the key in the error.
  Result<Card> find_card(std::string_view sql, service::Parameter key, std::string_view what);
  /// Without the card's state.
  Result<CertificateStatus> find_certificate(std::string_view issuer, ByteView serial);
  /// Writes a certificate of no card down; already_exists where the issuer has given out its serial.
  Status add_issued(std::string_view issuer, const crypto::Certificate& certificate, std::string_view profile);
  /// Revokes, holds or releases the certificates of a card that has just moved to `to`.
  Status move_certificates(const Card& card, CardState to, RevocationReason reason);
  /// In the transaction that makes `successor`.
  Status take_place_of(CardId old, CardId successor);
  Status move_card(const Card& card, CardState to, RevocationReason reason, const Cause& cause);
};

/// No log is written: for those who do.
Result<CitizenRecord> load_citizen(service::Database& database, CitizenId id, Concessions which);

/// A citizen that may be stored: usage error otherwise.
Status check_storable(const Citizen& citizen);
Status check_cause(const Cause& cause);
/// All three are stated: usage error otherwise.
Status check_purpose(const Purpose& purpose);
/// A state that a card is moved to by itself: usage error for those that come of ordering and producing.
Status check_card_step(CardState to);

}  // namespace karta::identity
