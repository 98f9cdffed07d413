// TerminalLedger: the terminals the registry knows: who was invited, what certificates each has, what its journal said.
//
// A terminal is invited by name and role with a one-time code, enrols with it, renews by itself, and may be revoked;
// role and name never change. A TerminalLedger is one connection and belongs to one thread at a time; what a call
// returns without error has been committed and survives a power cut.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "crypto/x509/certificate.h"
#include "identity/journal/record.h"
#include "identity/registry.h"

namespace karta::identity {

/// Random 63-bit key.
enum class TerminalId : std::int64_t {};
/// 16 hexadecimal digits.
std::string format_id(TerminalId id);
Result<TerminalId> parse_terminal_id(std::string_view text);

/// Never renumber: the registry stores them.
enum class TerminalState : std::uint8_t {
  invited = 1,   ///< has a code, no certificates yet
  enrolled = 2,  ///< has had certificates; whether they still hold, their dates tell
  revoked = 3,   ///< served no more; its name is not given again
};
std::string_view name_of(TerminalState state);

struct Terminal {
  TerminalId id{};
  std::string name;
  std::string role;  ///< "clinic"
  TerminalState state = TerminalState::invited;
  std::string cv_line;            ///< country and mnemonic of its CV references: "RUCL000001A"
  std::uint32_t cv_sequence = 0;  ///< of the last reference given; 0: none
  Bytes cv_certificate;           ///< the last one, 7F21; empty: none
  std::optional<Time> cv_until, tls_until;
  Time created, changed;
  std::optional<Time> last_contact;  ///< to the minute
  std::uint64_t journal_to = 0;      ///< number of the last record here
  std::optional<JournalHash> journal_hash;
  std::string journal_fault;  ///< what is wrong with its journal; empty: nothing

  friend bool operator==(const Terminal&, const Terminal&) = default;
};

struct TerminalEvent {
  std::int64_t number = 0;  ///< 1, 2 ... for each terminal
  Time at;
  std::string actor;
  std::string kind;    ///< "invited", "enrolled", "renewed", "revoked", "journal-fork", "journal-mended"
  std::string detail;  ///< a reference, a number
  std::string reason;
};

/// A one-time code, as it is told to whoever sets the terminal up.
struct Invitation {
  Terminal terminal;
  SecretBytes code;  ///< 20 letters and digits in groups of five
  Time expires{};
};
inline constexpr std::size_t kMostTerminalName = 64;
inline constexpr std::uint32_t kMostCvSequence = 99'999;

/// Certificates that were made for a terminal, to be written down.
struct GrantedCertificates {
  Bytes cv_certificate;
  std::string cv_holder;
  Time cv_until{};
  crypto::Certificate tls;
  std::string tls_issuer;  ///< Name::to_text() of the CA, as its ledger has it
  std::string tls_profile;
};

class TerminalLedger {
 public:
  /// `registry` is the ledger's own.
  explicit TerminalLedger(Registry registry) : registry_(std::move(registry)) {}

  // At the centre

  /// A code for a new terminal, or a new one for one that is there (it lost its keys; codes given before are void).
  /// `cv_prefix`: country and first letters of the CV line, "RUCL". Errors: usage (a name of other than small letters,
  /// digits, dots and hyphens; another role than before), not_permitted (revoked).
  Result<Invitation> invite(const std::string& name, const std::string& role, const std::string& cv_prefix,
                            std::chrono::seconds valid_for, const Cause& cause);
  /// By name, at most `limit` after `after`.
  Result<std::vector<Terminal>> list(const std::string& after = {}, std::size_t limit = kPageLimit);
  /// By id or by name.
  Result<Terminal> find(std::string_view id_or_name);
  Result<Terminal> terminal(TerminalId id);
  /// From now on it is refused. Its TLS certificates are revoked in the same transaction; CV certificates end by their
  /// dates, as cards keep no list.
  Result<Terminal> revoke(TerminalId id, const Cause& cause);
  /// Newest first.
  Result<std::vector<TerminalEvent>> events_of(TerminalId id, std::size_t limit = kPageLimit);

  // For the server

  /// Whose TLS certificate this is. Errors: not_permitted (no terminal's; revoked), each with its reason.
  Result<Terminal> authenticate(ByteView tls_certificate);
  /// not_permitted where the registry has the certificate as revoked or on hold: for operators' certificates.
  Status check_not_revoked(const crypto::Certificate& certificate);

  /// What a code stands for, and the CV sequence number taken for it.
  struct Enrolling {
    Terminal terminal;
    std::uint32_t sequence = 0;
    std::optional<std::string> answer;  ///< the same keys were certified with it before: the answer given then
  };
  /// `keys`: SHA-256 over the public keys to be certified. Errors: not_permitted, the same for every code that cannot
  /// be used.
  Result<Enrolling> begin_enrolment(const SecretBytes& code, ByteView keys);
  /// Writes certificates and answer down and uses up the code. not_permitted if it was used with other keys meanwhile,
  /// or the terminal revoked: then the certificates must not be handed out.
  Status finish_enrolment(const SecretBytes& code, ByteView keys, const GrantedCertificates& granted,
                          const std::string& answer);
  /// The next sequence number of an enrolled terminal.
  Result<std::uint32_t> begin_renewal(TerminalId id);
  /// `shown`: the TLS certificate the renewal was asked for with. not_permitted where it has been revoked meanwhile, by
  /// an enrolment with other keys say: then the certificates must not be handed out.
  Status finish_renewal(ByteView shown, const GrantedCertificates& granted);

  /// Takes records of a terminal's journal: all or none. Records it has already are compared and skipped. Errors:
  /// already_exists (a fork; noted with the terminal), not_found (records between are missing), invalid_signature.
  Result<JournalPosition> take_journal(TerminalId id, const std::vector<JournalRecord>& records);
  /// At most `limit` records above `after`.
  Result<std::vector<JournalRecord>> journal_of(TerminalId id, std::uint64_t after, std::size_t limit);

  // The life of cards, by operators on line

  /// A caller's key for one deed: the deed is done once, however often it is asked for.
  struct DeedKey {
    std::string caller;
    std::string key;  ///< empty: none was given
    Bytes request{};  ///< SHA-256 of what was asked: the same key for another request is refused
  };
  /// Registry::change_card_state(), once a key: asked again, the answer given then comes back. `answer` makes it of the
  /// card. Fails as change_card_state(), and with already_exists where the key stands for another request.
  Result<std::string> change_card_once(const DeedKey& key, CardId card, CardState to, RevocationReason reason,
                                       const Cause& cause, const std::function<std::string(const Card&)>& answer);
  /// Forgets answers kept before `before`.
  Status forget_answers(Time before);

  Registry& registry() { return registry_; }

 private:
  Registry registry_;
};

}  // namespace karta::identity
