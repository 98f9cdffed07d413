// The ledger a configured authority has: the registry's, or that of a folder of `karta ca`.
#pragma once

#include <memory>

#include "crypto/x509/authority_ledger.h"
#include "identity/services/config.h"

namespace karta::identity {

/// A ledger for one thread. `clock` must outlive it.
Result<std::shared_ptr<crypto::AuthorityLedger>> open_ledger(const CaConfig& authority, const std::string& database,
                                                             const crypto::Certificate& certificate,
                                                             const Clock& clock);

/// The certificate of a configured authority.
Result<crypto::Certificate> read_ca_certificate(const CaConfig& authority);

}  // namespace karta::identity
