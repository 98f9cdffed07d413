// TerminalIdentity: who the terminal is towards cards and towards the authority, under one role: CV certificates for
// days with their key, and a TLS certificate. It renews both by itself in time.
//
// The key of the CV certificate is in the sealed file that enrolment left (then every renewal has a new one), in a
// PKCS #11 token, or in a card in a reader of the terminal's own: a security module's masters sign nothing, so the
// everyday key of a citizen card's e-sign application, issued to the terminal, is what "sam:READER" means here.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "card/terminal_store.h"
#include "daemon/config.h"
#include "identity/authority_client.h"
#include "issuing/terminal_folder.h"

namespace karta::card {
class ReaderList;
}

namespace karta::daemon {

enum class IdentityState : std::uint8_t {
  fine,
  due,      ///< two thirds of its time have passed: it is being renewed
  urgent,   ///< less than a sixth of its time, or a day, is left, and renewal has not worked
  expired,  ///< cards and authority refuse it; an operator has to enrol it anew
};
/// "fine" ...
std::string_view name_of(IdentityState state);

struct IdentityStatus {
  IdentityState state = IdentityState::fine;
  std::string holder;    ///< reference of the CV certificate
  Time from{}, until{};  ///< of the first to end
  Time cards_until{};    ///< of the CV certificate: so long cards let it in, the authority or no authority
  Time renew_after{};
  std::string problem;  ///< why the last renewal failed; empty: none has
};

/// What one use of the terminal's key needs; keeps it alive. The signer may be used from several threads at once.
struct TerminalKeys {
  card::TerminalCredentials credentials;
  std::shared_ptr<crypto::Signer> signer;
};

class TerminalIdentity {
 public:
  /// Opens key and certificates. `readers`: for "sam:READER"; may be null without. Clock, random and readers must
  /// outlive it. Fails with configuration, not_found, wrong_pin, pin_blocked, no_reader, no_card ...
  static Result<std::unique_ptr<TerminalIdentity>> open(const TerminalConfig& config, card::ReaderList* readers,
                                                        const Clock& clock, RandomSource& random);
  ~TerminalIdentity();
  TerminalIdentity(const TerminalIdentity&) = delete;
  TerminalIdentity& operator=(const TerminalIdentity&) = delete;

  /// The authority's id for the terminal; empty where it was never enrolled.
  std::string terminal() const;
  /// Credentials in use, with `others` beside the terminal's own chain: the verifier as other regions have certified
  /// it (TrustSnapshot::cv_certificates). Any thread.
  TerminalKeys keys(std::span<const card::CvCertificate> others = {}) const;
  /// For AuthorityClient. Fails with not_found where the terminal was never enrolled.
  Result<identity::TlsIdentity> tls() const;
  /// Its TLS certificate and those above it, without the root; none where it was never enrolled.
  std::vector<crypto::Certificate> tls_chain() const;
  IdentityStatus status() const;

  using Connect = std::function<Result<std::unique_ptr<identity::Authority>>()>;
  /// Renews when it is due, on a thread of its own. `changed` is told on that thread of every renewal, every attempt
  /// that failed, and every change of state.
  void start_renewal(Connect connect, std::function<void(const IdentityStatus&)> changed);
  void stop();
  /// Renews now, on the caller's thread.
  Status renew(identity::Authority& authority);
  /// Reads the folder again: after `karta terminal renew`.
  Status reload();

 private:
  struct Key;
  TerminalIdentity(TerminalConfig config, card::ReaderList* readers, const Clock& clock, RandomSource& random);
  void run();
  Result<SecretBytes> secret() const;

  TerminalConfig config_;
  issuing::TerminalFolder folder_;
  const card::TerminalRole* role_ = nullptr;
  card::ReaderList* readers_;
  const Clock* clock_;
  RandomSource* random_;
  Connect connect_;
  std::function<void(const IdentityStatus&)> changed_;

  mutable std::mutex mutex_;
  std::condition_variable woken_;
  std::shared_ptr<Key> key_;  // replaced whole
  std::string problem_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace karta::daemon
