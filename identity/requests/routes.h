// RequestRoutes: what departments ask of karta-identity under /v1/requests, for one worker (docs/requests.md).
//
//   POST /v1/requests                          a signed request; the answer is its receipt
//   GET  /v1/requests?inbox|sent|overdue[&after=ID]
//   GET  /v1/requests/ID                       where it stands
//   GET  /v1/requests/ID/request|receipt|answer|answer-receipt
//   POST /v1/requests/ID/answer                a signed answer; the answer is its receipt
//
// A department is known by its token or its TLS certificate, and each document by its own signature.
#pragma once

#include <memory>

#include "crypto/signer.h"
#include "identity/requests/config.h"
#include "identity/room_routes.h"

namespace karta::identity {

/// `signer`: of receipts and the registry's answers, with its certificate; this worker's own. Reads roots and CRLs.
Result<std::unique_ptr<RoomRoutes>> open_request_routes(const RequestsConfig& config,
                                                        std::unique_ptr<crypto::Signer> signer,
                                                        const RoomSurroundings& around);

}  // namespace karta::identity
