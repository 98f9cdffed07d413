// TerminalFolder: what an enrolled terminal keeps of itself, in a folder of its own.
//
//   terminal.json       "karta.terminal/1": id, name, role, until when
//   HOLDER.cvcert       CV certificates: the terminal's, its verifier's, links (card/terminal_store.h)
//   HOLDER.key.pem      the key of a CV certificate, sealed; absent where a token or a card has it
//   tls.pem             TLS certificates and their sealed key in one file, replaced in one step
//   pending.*.key.pem   keys whose certificates have been asked for: a lost answer is asked for again
//
// `karta terminal enrol` and `renew` and kartad write it. The files' passphrase seals all keys.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/secret.h"
#include "card/terminal_store.h"
#include "identity/authority_client.h"

namespace karta::issuing {

/// terminal.json, or what can be told from the certificates where `karta cv issue` made them.
struct TerminalFacts {
  std::string terminal;  ///< id; empty: never enrolled
  std::string name;
  std::string role;
  Time from{};       ///< when the certificates in use were taken
  Time cv_until{};   ///< last moment
  Time tls_until{};  ///< 0 where there is no TLS certificate
  Time renew_after{};
};

/// True if `certificate` is for `key`.
bool is_for(const card::CvCertificate& certificate, const crypto::PublicKey& key);

class TerminalFolder {
 public:
  explicit TerminalFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}
  const std::filesystem::path& path() const { return folder_; }

  /// `role`: whose certificate is looked at where there is no terminal.json. Fails with not_found, malformed.
  Result<TerminalFacts> facts(std::string_view role) const;

  /// Keys and requests for enrolment or renewal. The keys are sealed into the folder before this returns, and those of
  /// an order never answered are taken again. `cv_key`: where the CV key lies elsewhere (a token, a card); empty: a new
  /// one is made, of the type of the present one, or `type` where there is none. `present`: signs the request too.
  struct Order {
    identity::CertificateOrder order;
    bool cv_in_file = true;
  };
  Result<Order> order(const card::TerminalRole& role, crypto::KeyType type, const SecretBytes& passphrase,
                      crypto::Signer* cv_key = nullptr, crypto::Signer* present = nullptr,
                      std::uint32_t iterations = crypto::PrivateKey::kIterations);
  /// Puts what came in place of what is in use: keys first, then certificates, terminal.json last. Fails with malformed
  /// or untrusted where the certificates are not for the keys asked with; nothing has changed then.
  Status take(const identity::TerminalCertificates& certificates, const Order& order, Time now,
              const SecretBytes& passphrase);

  /// Links, the verifier's, the terminal's own last.
  Result<std::vector<card::CvCertificate>> chain(const card::TerminalRole& role) const;
  /// The CV certificates in use with their sealed key.
  Result<card::UnlockedTerminal> unlock(const card::TerminalRole& role, const SecretBytes& passphrase) const;
  /// Fails with not_found where the terminal was never enrolled.
  Result<identity::TlsIdentity> tls(const SecretBytes& passphrase) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace karta::issuing
