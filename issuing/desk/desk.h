// Desk: the centre's side of the counters. A counter has no issuer's keys; the desk speaks SCP03 with the card through
// it, so that the counter carries octets it can neither read nor change, and writes every deed down.
//
// A request is a JSON object:
//   {"deed": "activate", "atr": "3B..", "reader": "...", "operator": "who sits there", "reason": "why", ...}
//   activate                                         karta.desk.activation/1
//   renew        "within_days"? "all"?               karta.desk.renewal/1
//   unblock      "pin"?: "PIN1"                      karta.desk.unblocking/1    a letter with a new transport PIN
//   application  "aid", "offer"                      karta.desk.application/1   hexadecimal
//   inspect                                          karta.desk.card/1
//   show                                             karta.desk.shown/1         an active card is here: for shown()
//   replace      "why", "profile"?, "card"?          karta.desk.replacement/1   with "card" no card is needed
// and what comes back in the end has the schema beside it. docs/desk.md has all of it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "issuing/centre.h"
#include "issuing/desk/session.h"

namespace karta::issuing {

class Desk final : public identity::DeskPort {
 public:
  /// Opens the centre in `folder` and its keys. `clock` must outlive the desk. Fails as Centre::open and unlock do.
  static Result<std::unique_ptr<Desk>> open(const std::filesystem::path& folder, const SecretBytes& passphrase,
                                            const Clock& clock, DeskLimits limits = {});
  ~Desk() override;

  void open(const identity::DeskCaller& caller, std::string_view request, identity::DeskAnswer answer) override;
  void next(const identity::DeskCaller& caller, std::string_view session, identity::DeskReplies replies,
            identity::DeskAnswer answer) override;
  Result<std::string> shown(const identity::DeskCaller& caller, std::string_view session,
                            std::string_view order) override;

  /// Sessions under way.
  std::size_t sessions() const;

 private:
  struct Keys;
  struct Request;
  struct Held;
  Desk(std::filesystem::path folder, std::unique_ptr<Keys> keys, const Clock& clock, DeskLimits limits);
  Status admit(const identity::DeskCaller& caller, const Request& request);
  std::vector<std::unique_ptr<Held>> sweep(const identity::DeskCaller& caller);
  Result<std::string> work(const Request& request, ApduCarrier& carrier);
  class CardHold;
  Result<CardHold> hold(identity::CardId card);

  const std::filesystem::path folder_;
  const std::unique_ptr<Keys> keys_;
  const Clock& clock_;
  const DeskLimits limits_;

  mutable std::mutex mutex_;          // of all below
  std::set<identity::CardId> cards_;  ///< being worked on
  std::condition_variable released_;
  std::map<std::string, std::unique_ptr<Held>, std::less<>>
      sessions_;  ///< by id. Last: its threads use all of the above
};

}  // namespace karta::issuing
