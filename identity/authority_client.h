// AuthorityClient: a terminal's talk with the authority on line (docs/identity-server.md): enrolment, renewal, journal,
// card status, lists and rules, and the desk that works on a card from afar.
//
// What is fetched is handed over as it came: signatures, epochs and sequence numbers are the caller's to check.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/secret.h"
#include "identity/authority/desk_port.h"
#include "identity/card_life.h"
#include "identity/stop_list/stop_list.h"

namespace karta::identity {

/// What a terminal asks certificates with. Both keys are its own and new.
struct CertificateOrder {
  Bytes cv_request;   ///< card::make_cv_request(); the reference in it is a wish, the answer's certificate tells
  Bytes tls_request;  ///< PKCS #10, DER; names in it are not taken over
  std::vector<std::string> rights = {};  ///< fewer than the role's, by name; empty: the role's
};

/// What the authority gave.
struct TerminalCertificates {
  std::string terminal;                 ///< id, 16 hexadecimal digits
  std::string name;                     ///< as enrolled
  std::string role;                     ///< "clinic"
  Bytes cv_certificate;                 ///< the terminal's, 7F21
  std::vector<Bytes> cv_above;          ///< links and verifier, to be shown to a card before it
  std::vector<Bytes> tls_certificates;  ///< DER: the terminal's, then those above it without the root
  Time cv_until{}, tls_until{};         ///< last moments
  Time renew_after{};                   ///< two thirds of the shorter life

  /// The TLS certificates as a PEM file.
  std::string tls_pem() const;
};

/// What the authority knows of the terminal that asks.
struct TerminalStanding {
  std::string terminal, name, role;
  Time cv_until{}, tls_until{};
  std::uint64_t journal_to = 0;  ///< number of the last record it has; 0: none
  Bytes journal_hash;            ///< of that record
  Time now{};                    ///< the authority's clock
};

/// How far a journal has arrived: durable when this comes.
struct JournalTaken {
  std::uint64_t to = 0;  ///< number of the last record the authority has
  Bytes hash;            ///< its hash
};

/// A card by its status index, at this moment.
struct CardOnLine {
  CardVerdict verdict = CardVerdict::unknown;  ///< unknown: no card of this authority has the index
  std::optional<CardState> state;              ///< empty where unknown
  std::optional<Time> valid_until;
  Time at{};  ///< the authority's clock
};

/// An account for one-time codes, as a counter asks for it: for the citizen whose card was shown there just now, in a
/// desk session of the deed "show".
struct AccountOrder {
  std::string session;
  std::string login;
  std::string way;                       ///< "app": TOTP; "mail"
  std::string mail = {};                 ///< the address, of the way "mail"
  bool agreed = false;                   ///< the citizen is there and asks for it
  std::string person = {}, reason = {};  ///< who sits at the counter, and why, for the citizen's events
};
struct AccountRemoval {
  std::string session;
  bool agreed = false;
  std::string person = {}, reason = {};
};
/// An account made. What it says, is said once: asked again, there is a new secret, and the one before is worth
/// nothing.
struct MadeAccount {
  std::string login;  ///< in small letters
  std::string way;
  SecretBytes otpauth;  ///< for the citizen's app; empty: codes are sent
};

/// A document by HTTP, as it came.
struct Fetched {
  bool changed = false;  ///< false: it is still what the ETag given stands for, and there are no octets
  Bytes octets;
  std::string etag;
};

/// What a terminal asks of its authority. An interface, so that a test may stand in for the network.
/// Errors of all: io (no connection, no answer: try again later), busy (later, please), untrusted (the server is not
/// the authority, or refuses the terminal's certificate), not_permitted (revoked, wrong role, unknown terminal: do not
/// try again), malformed (an answer that cannot be read), limit.
class Authority {
 public:
  virtual ~Authority() = default;

  /// With a one-time code of `karta terminal enrol`. Repeating it with the same keys, after a lost answer, is safe.
  /// not_permitted: the code is unknown, used or too old (the answer does not tell which).
  virtual Result<TerminalCertificates> enrol(const SecretBytes& code, const CertificateOrder& order) = 0;
  virtual Result<TerminalCertificates> renew(const CertificateOrder& order) = 0;
  virtual Result<TerminalStanding> standing() = 0;

  /// A batch of records, karta.journal.upload/1. A batch the authority has already is no error. Fails with
  /// already_exists where a record differs from the one the authority has under its number (a fork: two journals of one
  /// terminal), not_found where records between are missing.
  virtual Result<JournalTaken> upload_journal(std::string_view json_lines) = 0;

  virtual Result<CardOnLine> card_status(std::uint64_t status_index) = 0;

  /// `etag` as it came with the copy at hand; empty: none. not_found where the authority has no such document.
  virtual Result<Fetched> trust_list(const std::string& etag) = 0;
  virtual Result<Fetched> rules(const std::string& etag) = 0;
  virtual Result<Fetched> stop_list(const std::string& etag) = 0;
  /// The newest delta on the list of epoch `base`; 0: on the newest full list.
  virtual Result<Fetched> stop_list_delta(std::uint64_t base, const std::string& etag) = 0;

  /// Desk sessions, for counters (desk_port.h). `request` and the last step's result are JSON objects.
  virtual Result<DeskStep> open_desk(std::string_view request) = 0;
  virtual Result<DeskStep> next_desk(std::string_view session, const DeskReplies& replies) = 0;

  /// Accounts for one-time codes, for counters. Repeated after a lost answer within a minute, the session still counts.
  /// usage: the name, the way or the address; already_exists: somebody else's login name; configuration: no accounts
  /// here, or none of this way; not_found: nothing was shown here just now.
  virtual Result<MadeAccount> make_account(const AccountOrder& order) = 0;
  /// False where there was none.
  virtual Result<bool> remove_account(const AccountRemoval& removal) = 0;
};

struct AuthorityOptions {
  std::string url;                   ///< "https://authority.example", without a path
  std::filesystem::path roots = {};  ///< PEM: who signs the server's certificate; empty: those the system trusts
  std::chrono::seconds connect_time{5};
  std::chrono::seconds total_time{20};
};

/// The terminal's TLS certificate with its key. Without one, only enrolment and public documents are to be had.
struct TlsIdentity {
  std::string certificates_pem;
  SecretBytes private_key;  ///< PKCS #8 PrivateKeyInfo in the clear, DER
};

/// Used by one thread at a time. Keeps a connection open between requests.
class AuthorityClient final : public Authority {
 public:
  /// Errors: usage (no http or https URL). http is for tests and local sockets of this machine: nobody is known there.
  static Result<AuthorityClient> create(AuthorityOptions options, std::optional<TlsIdentity> identity = {});
  AuthorityClient(AuthorityClient&&) noexcept;
  AuthorityClient& operator=(AuthorityClient&&) noexcept;
  ~AuthorityClient() override;

  Result<TerminalCertificates> enrol(const SecretBytes& code, const CertificateOrder& order) override;
  Result<TerminalCertificates> renew(const CertificateOrder& order) override;
  Result<TerminalStanding> standing() override;
  Result<JournalTaken> upload_journal(std::string_view json_lines) override;
  Result<CardOnLine> card_status(std::uint64_t status_index) override;
  Result<Fetched> trust_list(const std::string& etag) override;
  Result<Fetched> rules(const std::string& etag) override;
  Result<Fetched> stop_list(const std::string& etag) override;
  Result<Fetched> stop_list_delta(std::uint64_t base, const std::string& etag) override;
  Result<DeskStep> open_desk(std::string_view request) override;
  Result<DeskStep> next_desk(std::string_view session, const DeskReplies& replies) override;
  Result<MadeAccount> make_account(const AccountOrder& order) override;
  Result<bool> remove_account(const AccountRemoval& removal) override;

 private:
  struct Impl;
  explicit AuthorityClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace karta::identity
