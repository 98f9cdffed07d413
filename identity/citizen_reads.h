// What a log-in asks the registry, as functions on a Database, few statements each: inside a transaction of the
// caller's, or joined with the writes of others (service/group_commit.h).
#pragma once

#include <optional>
#include <string_view>

#include "identity/registry.h"
#include "service/database.h"

namespace karta::identity {

/// Whose certificate it is and how things stand now; no personal datum in it.
struct CertificateHolder {
  CitizenId citizen{};
  CardId card{};
  CertificateKind kind = CertificateKind::aut;
  Time not_after{};
  CardState card_state = CardState::ordered;
  std::optional<Time> card_valid_until;
  std::optional<Time> revoked_at;  ///< of the certificate; since when it is on hold, if that is the reason
  RevocationReason reason = RevocationReason::unspecified;
  Bytes der;  ///< as the registry has it: to be compared with the one that was shown
};
/// `issuer` as the registry has it (the issuing CA's subject as text), `serial` as INTEGER content octets. None if that
/// CA gave out no such certificate for a card. One statement: all of it was true at one moment.
Result<std::optional<CertificateHolder>> find_certificate_holder(service::Database& database, std::string_view issuer,
                                                                 ByteView serial);

/// Notes in the citizen's access log that `what` was read. One statement, for a transaction of the caller's.
/// Two that note at the same moment: one of them fails with busy, and its transaction runs again.
Status append_access(service::Database& database, CitizenId citizen, const Purpose& purpose, std::string_view what,
                     Time now);

enum class Concessions : std::uint8_t { with, without };
/// The citizen's data, for a stated purpose; the note in the access log is part of the same transaction, which is the
/// caller's: hand nothing on before it is committed. `without` concessions it is a statement less.
Result<CitizenRecord> read_citizen_in(service::Database& database, CitizenId citizen, const Purpose& purpose,
                                      std::string_view what, Time now, Concessions concessions = Concessions::with);

}  // namespace karta::identity
