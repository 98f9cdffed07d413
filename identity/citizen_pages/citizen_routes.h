// CitizenRoutes: the citizen's own page, for one worker (docs/citizen-pages.md).
//
//   GET  /me                        cards
//   GET  /me/card?id=CARD           one card and its certificates
//   GET POST /me/suspend?id=CARD    a lost card, at once
//   GET  /me/sessions; POST /me/sessions/end, /me/sessions/end-all
//   GET  /me/requests?before=N      who asked for what, newest first
//   GET  /me/consents; POST /me/consents/revoke
//
// Everybody who is logged in sees his cards and log-ins and may suspend and log out: who has lost his card has but the
// one-time code left. Certificates, who asked, and consents want a log-in with the card.
#pragma once

#include <memory>

#include "identity/login/config.h"
#include "identity/openid/interaction.h"
#include "identity/room_routes.h"

namespace karta::identity {

/// `provider` and what `around` refers to must outlive it.
std::unique_ptr<RoomRoutes> open_citizen_routes(const LoginConfig& config, const RoomSurroundings& around,
                                                Provider& provider);

}  // namespace karta::identity
