// An authority on line for tests: the folder of ServicesFixture with TLS, an [authority], and ports that know no cards:
// the terminals' port signs nothing but says back what it was asked, the desk's answers after two steps.
#pragma once

#include <map>
#include <mutex>

#include "identity/authority/ports.h"
#include "identity/services/services_testing.h"
#include "identity/terminals.h"

namespace karta::identity {

/// Certifies every request whose octets begin with "cv:"; what follows is the key.
class FakeTerminalPort final : public TerminalPort {
 public:
  explicit FakeTerminalPort(const Clock& clock) : clock_(&clock) {}
  Result<TerminalCertificate> certify(const TerminalOrder& order) override;
  Result<Bytes> key_of(ByteView request) override;
  Result<Time> until() override { return until_; }

  std::vector<TerminalOrder> orders;
  Time until_ = Time(std::chrono::seconds(4'000'000'000));

 private:
  const Clock* clock_;
};

/// Asks for one command, says back what the card answered. `card` is what any session of a caller's own has shown,
/// for its first order.
class FakeDeskPort final : public DeskPort {
 public:
  void open(const DeskCaller& caller, std::string_view request, DeskAnswer answer) override;
  void next(const DeskCaller& caller, std::string_view session, DeskReplies replies, DeskAnswer answer) override;
  Result<std::string> shown(const DeskCaller& caller, std::string_view session, std::string_view order) override;

  std::string card;

 private:
  std::mutex mutex_;
  std::map<std::string, DeskCaller, std::less<>> sessions_;
  std::map<std::string, std::string, std::less<>> orders_;  // by session
};

struct AuthorityFixture : ServicesFixture {
  explicit AuthorityFixture(const Clock& given_clock);

  Invitation invite(const std::string& name, const std::string& role) const;
  TerminalLedger ledger() const;
  std::unique_ptr<service::HttpHandler> authority_handler();

  std::shared_ptr<FakeTerminalPort> terminals;
  std::shared_ptr<FakeDeskPort> desk = std::make_shared<FakeDeskPort>();
  ServerConfig authority_config;
  std::shared_ptr<const ServiceKeys> authority_keys;
};

/// What accounts are sealed under.
inline constexpr std::string_view kLoginSecret = "0123456789abcdef0123456789abcdef";
/// The token of the operator "registrar", who may do everything.
inline constexpr std::string_view kOperatorToken = "a token for tests only";

}  // namespace karta::identity
