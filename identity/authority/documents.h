// The JSON documents between terminals and the authority: each is written and read here, so that both ends agree.
// docs/identity-server.md shows them.
//
// Readers are strict: another schema, a missing or unknown key, a wrong type fail with malformed.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "identity/authority_client.h"

namespace karta::identity {

using Json = nlohmann::ordered_json;

inline constexpr std::string_view kEnrolPath = "/v1/terminals/enrol", kRenewPath = "/v1/terminals/self/renew",
                                  kSelfPath = "/v1/terminals/self", kJournalPath = "/v1/terminals/self/journal",
                                  kDeskPath = "/v1/desk/sessions", kAccountsPath = "/v1/desk/accounts",
                                  kAccountRemovalsPath = "/v1/desk/account-removals";
inline constexpr std::string_view kProblemPrefix = "urn:karta:error:";
std::optional<ErrorKind> error_kind_named(std::string_view name);

/// A JSON object, not deeper than documents here are.
Result<Json> parse_document(std::string_view text);
std::string to_text(const Json& document);

/// What enrolment asks with. The code is a secret: the document too.
SecretBytes enrolment_document(const SecretBytes& code, const CertificateOrder& order);
struct EnrolmentRequest {
  SecretBytes code;
  CertificateOrder order;
};
Result<EnrolmentRequest> read_enrolment(const Json& document);
std::string renewal_document(const CertificateOrder& order);
Result<CertificateOrder> read_renewal(const Json& document);

Json certificates_document(const TerminalCertificates& certificates);
Result<TerminalCertificates> read_certificates(const Json& document);
Json standing_document(const TerminalStanding& standing);
Result<TerminalStanding> read_standing(const Json& document);
Json journal_taken_document(const JournalTaken& taken);
Result<JournalTaken> read_journal_taken(const Json& document);
Json card_status_document(std::uint64_t status_index, const CardOnLine& card);
Result<CardOnLine> read_card_status(const Json& document);
Json desk_step_document(const DeskStep& step);
Result<DeskStep> read_desk_step(const Json& document);
std::string replies_document(const DeskReplies& replies);
Result<DeskReplies> read_replies(const Json& document);

std::string account_order_document(const AccountOrder& order);
Result<AccountOrder> read_account_order(const Json& document);
std::string account_removal_document(const AccountRemoval& removal);
Result<AccountRemoval> read_account_removal(const Json& document);
/// With the account's secret in it: the document too.
SecretBytes made_account_document(const MadeAccount& account);
/// The secret is wiped out of `document`.
Result<MadeAccount> read_made_account(Json& document);
std::string account_removed_document(bool was_there);
Result<bool> read_account_removed(const Json& document);

/// What an operator wants of a card.
struct CardLifeRequest {
  CardState to = CardState::active;
  std::string why;
  RevocationReason reason = RevocationReason::unspecified;
};
Result<CardLifeRequest> read_card_life(const Json& document);

}  // namespace karta::identity
