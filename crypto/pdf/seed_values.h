// Seed values: what a form's author asks of whoever signs a field (ISO 32000-1 §12.7.4.5, tables 234 and 235; ISO
// 32000-2 adds to them). Bits of Ff say which wishes are orders.
#pragma once

#include "crypto/pdf/sign.h"

namespace karta::crypto::pdf {

/// Fails with not_permitted, naming the field and the wish, if `request` does not keep an order of the field's seed
/// values, or if it cannot be promised from here.
Status check_seed_values(const Document& document, const Field& field, const SignatureRequest& request);

}  // namespace karta::crypto::pdf
