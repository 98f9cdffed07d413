// Signing a PDF (ISO 32000-1 §12.8, EN 319 142-1): an incremental update with a signature dictionary whose Contents is
// filled after everything else has been hashed. Earlier octets never change, so earlier signatures stay intact.
#pragma once

#include <functional>

#include "base/clock.h"
#include "crypto/algorithm.h"
#include "crypto/pdf/form.h"
#include "crypto/pdf/update.h"

namespace karta::crypto::pdf {

/// Where a visible signature goes: points (1/72 inch) from the lower left corner of the page.
struct Placement {
  std::size_t page = 1;  ///< from 1
  double x = 0, y = 0, width = 0, height = 0;
};

/// What a visible signature shows: puts a form XObject of this size, and all it needs, into `update`.
using Appearance = std::function<Result<Ref>(Update& update, double width, double height)>;

enum class SignatureKind : std::uint8_t {
  cades,      ///< ETSI.CAdES.detached: a PAdES baseline signature
  timestamp,  ///< ETSI.RFC3161: a document time-stamp
};

/// "ETSI.CAdES.detached"
std::string_view sub_filter_of(SignatureKind kind);

struct SignatureRequest {
  SignatureKind kind = SignatureKind::cades;
  Time time{};                                     ///< goes into /M; not for time-stamps
  std::string name = {}, reason = {}, place = {};  ///< UTF-8; empty: left out
  std::string field = {};                 ///< an existing unsigned field; empty: the only one there is, or a new one
  std::optional<Placement> visible = {};  ///< for a new field
  Appearance appearance = {};             ///< for a visible one
  std::optional<unsigned> certify = {};   ///< DocMDP P of 1 to 3: the first signature only
  std::size_t reserved_octets = 16384;    ///< for the CMS
  // What a field's author may ask for (seed_values.h).
  const std::vector<Bytes>* chain = nullptr;  ///< certificates, DER, the signer's own first; must outlive the call
  std::optional<Hash> hash = {};              ///< that the CMS is made with
  bool timestamped = false;                   ///< a time-stamp will be in the CMS
};

/// What is signed: the file as it was, the update up to its Contents, the update from there on. Aliased.
struct SignedRange {
  ByteView file, before, behind;
};
/// Makes the CMS over those octets.
using MakeSignature = std::function<Result<Bytes>(const SignedRange&)>;

/// The update's octets, to be put behind the file's. Fails with not_permitted (earlier signatures forbid it, a locked
/// field, seed values that cannot be kept), not_found (no such field or page), unsupported, limit (the CMS is larger
/// than what was reserved), malformed. `form` may be kept from one call to the next while updates are put behind the
/// document.
Result<Bytes> sign(const Document& document, const SignatureRequest& request, const MakeSignature& make,
                   const ObjectCipher* cipher = nullptr, FormState* form = nullptr);

/// What a signed update needs room for: a CMS with these certificates, the signer's first, and a time-stamp if one is
/// meant to be in it.
std::size_t octets_to_reserve(const std::vector<Bytes>& certificate_chain, bool with_timestamp);

}  // namespace karta::crypto::pdf
