// FakeAuthority: an authority in the same process, for tests: away unless a test says what it answers.
#pragma once

#include <functional>
#include <memory>

#include "identity/authority_client.h"

namespace karta::daemon::testing {

class FakeAuthority : public identity::Authority {
 public:
  static tl::unexpected<Error> away() { return fail(ErrorKind::io, "the authority is away"); }

  Result<identity::TerminalCertificates> enrol(const SecretBytes&, const identity::CertificateOrder&) override {
    return away();
  }
  Result<identity::TerminalCertificates> renew(const identity::CertificateOrder&) override { return away(); }
  Result<identity::TerminalStanding> standing() override { return away(); }
  Result<identity::JournalTaken> upload_journal(std::string_view) override { return away(); }
  Result<identity::CardOnLine> card_status(std::uint64_t) override { return away(); }
  Result<identity::Fetched> trust_list(const std::string&) override { return away(); }
  Result<identity::Fetched> rules(const std::string&) override { return away(); }
  Result<identity::Fetched> stop_list(const std::string&) override { return away(); }
  Result<identity::Fetched> stop_list_delta(std::uint64_t, const std::string&) override { return away(); }
  Result<identity::DeskStep> open_desk(std::string_view) override { return away(); }
  Result<identity::DeskStep> next_desk(std::string_view, const identity::DeskReplies&) override { return away(); }
  Result<identity::MadeAccount> make_account(const identity::AccountOrder&) override { return away(); }
  Result<bool> remove_account(const identity::AccountRemoval&) override { return away(); }
};

/// For what takes a maker of clients: one that forwards to `authority`, which must outlive it.
template <class Fake>
std::function<Result<std::unique_ptr<identity::Authority>>()> connect_to(Fake& authority) {
  return [&authority]() -> Result<std::unique_ptr<identity::Authority>> {
    return std::unique_ptr<identity::Authority>(std::make_unique<typename Fake::Client>(authority));
  };
}

}  // namespace karta::daemon::testing
