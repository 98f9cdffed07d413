// TrustData: what the daemon knows of the world outside: whom to trust, which cards are dead, a gate's rules. Kept in
// files, fetched where there is an authority, good to use without a network.
//
// A thread of its own looks at files and server now and then. What it finds is checked whole (signature, dates, never
// older than what was seen before, which is remembered through restarts) and takes the place of what was in use in one
// step: whoever holds a snapshot goes on with it undisturbed. What fails its check changes nothing and is told.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "card/cv_certificate.h"
#include "crypto/trust_list.h"
#include "daemon/config.h"
#include "identity/journal/clock_guard.h"
#include "identity/stop_list/foreign_filter.h"
#include "identity/stop_list/stop_table.h"

namespace karta::identity {
class Authority;
}

namespace karta::daemon {

enum class TrustItemKind : std::uint8_t { trust_list, stop_list, rules, foreign_filter };
/// "trust-list", "stop-list", "rules", "foreign-filter"
std::string_view name_of(TrustItemKind kind);

enum class TrustState : std::uint8_t {
  fresh,
  stale,    ///< its successor is overdue, and policy lets it be used
  expired,  ///< beyond that
  missing,
  early,  ///< made after what the clock says: the clock has gone back
};
/// "fresh" ...
std::string_view name_of(TrustState state);
/// True for fresh and stale.
inline bool usable(TrustState state) { return state == TrustState::fresh || state == TrustState::stale; }

/// Something in use, or wanted and not there.
struct TrustItem {
  TrustItemKind kind = TrustItemKind::trust_list;
  std::string name;    ///< stop-list, filter: its issuer; otherwise empty
  std::string region;  ///< stop-list, filter: of its signer; empty: this terminal's own
  bool present = false;
  std::uint64_t epoch = 0;  ///< or sequence number
  Time made{};
  Time until{};         ///< when the next was to be there
  std::string problem;  ///< why the last one found was not taken; empty: nothing is wrong

  /// `stale_for`: how long after `until` policy lets it be used.
  TrustState state(Time now, std::chrono::seconds stale_for = std::chrono::seconds(0)) const;
};

/// A certificate with the region its trust-list entry names; empty: this terminal's own, or everywhere.
struct TrustAnchor {
  crypto::Certificate certificate;
  std::string region;
};

/// A stop-list in use.
struct StopListInUse {
  std::string region;
  std::string issuer;
  std::shared_ptr<const identity::StopTable> table;
};
struct ForeignFilterInUse {
  std::string region;
  std::string issuer;
  std::shared_ptr<const identity::ForeignFilter> filter;
};

/// What a rules file says of itself once its signature has been checked.
struct RulesHead {
  std::uint64_t sequence = 0;
  Time made{};
  Time until{};
};
/// Opens a rules file: the signature must be by one of `signers` or by whom one of them has certified. Who makes the
/// rules says how (daemon/transit). Fails as the check does.
using RulesOpener =
    std::function<Result<RulesHead>(ByteView file, const std::vector<crypto::Certificate>& signers, Time at)>;

/// Everything at one moment. Immutable; usable from several threads.
struct TrustSnapshot {
  std::uint64_t number = 0;  ///< one more with every change
  std::vector<TrustItem> items;
  std::optional<crypto::TrustList> trust_list;
  std::vector<TrustAnchor> document_signers;         ///< of genuine cards: EF.CardSecurity
  std::vector<TrustAnchor> card_issuers;             ///< CAs: of card-signed taps and receipts, of stop-lists and rules
  std::vector<card::CvCertificate> cv_certificates;  ///< other regions' links and this region's verifier by them
  std::vector<StopListInUse> stop_lists;
  std::vector<ForeignFilterInUse> foreign_filters;
  Bytes rules;  ///< the file as it came; empty: none

  std::vector<crypto::Certificate> document_signer_certificates() const;
  std::vector<crypto::Certificate> card_issuer_certificates() const;
  /// The region of the anchor that certified `certificate` (or is it); nothing where none did.
  std::optional<std::string> region_of(const crypto::Certificate& certificate) const;

  /// The list for cards of `region`, or for everywhere where that region has none; null: there is none.
  const StopListInUse* stop_list(std::string_view region) const;
  /// unknown where there is no list. Never allocates.
  identity::CardVerdict find(std::string_view region, std::uint64_t index) const;
  /// True if any filter in use lists the certificate, which may be wrong once in 65,536; false is never wrong about a
  /// certificate that is listed.
  bool foreign_stopped(const crypto::Certificate& certificate) const;
  /// The first of its kind; null: there is none, nor is one wanted.
  const TrustItem* item(TrustItemKind kind) const;
  /// What is said of that very list.
  const TrustItem* item(const StopListInUse& list) const;
};

/// Something was taken, or refused, or is to be told: for journal (kind "data"), events and health.
struct TrustNews {
  TrustItemKind kind = TrustItemKind::trust_list;
  std::string name, region;
  bool taken = false;
  std::uint64_t epoch = 0;
  std::string words;  ///< why not; empty where taken
};

class TrustData {
 public:
  struct Sources {
    TrustConfig files;
    std::filesystem::path folder;  ///< the daemon's own: what was fetched, and what has been seen
    /// Makes a client; empty: nothing is fetched.
    std::function<Result<std::unique_ptr<identity::Authority>>()> connect = {};
    RulesOpener open_rules = {};  ///< empty: rules are not used here
    bool read_only = false;       ///< for a look at a configuration: `folder` is left as it is
  };

  /// `clock` and `guard` must outlive it.
  TrustData(Sources sources, const Clock& clock, identity::ClockGuard& guard);
  ~TrustData();
  TrustData(const TrustData&) = delete;
  TrustData& operator=(const TrustData&) = delete;

  /// Told on the thread that looks. Set before load().
  void on_news(std::function<void(const TrustNews&)> callback) { on_news_ = std::move(callback); }

  /// Takes what the files hold, without the network. Succeeds also where something is missing or is refused: the items
  /// tell. Fails where the configuration itself cannot be used (a root that is no certificate).
  Status load();
  /// Begins to look by itself, every `files.refresh`, at the server first thing.
  void start();
  void stop();
  /// Looks now, on the caller's thread; `fetch`: at the server too.
  void look(bool fetch);

  std::shared_ptr<const TrustSnapshot> snapshot() const;
  /// The clock as it is judged now.
  identity::ClockState clock_state();

 private:
  struct Work;
  void run();

  Sources sources_;
  const Clock* clock_;
  identity::ClockGuard* guard_;
  std::function<void(const TrustNews&)> on_news_;
  std::unique_ptr<Work> work_;  // what the looking thread keeps to itself
  std::mutex looking_;          // one look at a time

  mutable std::mutex mutex_;
  std::condition_variable woken_;
  std::shared_ptr<const TrustSnapshot> snapshot_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace karta::daemon
