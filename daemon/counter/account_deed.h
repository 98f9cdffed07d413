// AccountDeed: an account for one-time codes, made or ended by the authority for the citizen whose card has just proved
// itself in a desk session. An app's secret is told once, with a picture of it for the citizen's telephone.
#pragma once

#include "daemon/mode.h"
#include "daemon/request_body.h"
#include "identity/authority_client.h"

namespace karta::daemon {

/// The members of an account's request; the session, who asks and why are the caller's to add. Fails with usage; the
/// name and the address are the authority's to judge.
Result<identity::AccountOrder> read_account_order(RequestBody& body);
Result<identity::AccountRemoval> read_account_removal(RequestBody& body);

/// Adds to `reply` what is told of the account: "login", "way"; of an app "otpauth" and "qr", an SVG document, once.
Status tell(const identity::MadeAccount& account, Reply& reply);

}  // namespace karta::daemon
