// ListFile: what stop-lists and filters of foreign certificates have in common: numbers, times, and the signature at
// the end (docs/stop-list.md).
#pragma once

#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/cursor.h"
#include "crypto/signer.h"
#include "crypto/x509/certificate.h"

namespace karta::identity::list_file {

inline constexpr std::size_t kMostIssuer = 200;            ///< octets of an issuer's name
inline constexpr std::int64_t kLastSecond = 253402300799;  ///< 9999-12-31T23:59:59Z

/// Little-endian.
void put_number(Bytes& out, std::uint64_t value, unsigned octets);
Result<std::uint64_t> read_number(Cursor& in, unsigned octets);
void put_time(Bytes& out, Time time);
Result<Time> read_time(Cursor& in);
/// Two octets of length, then the name; 1 to kMostIssuer.
void put_issuer(Bytes& out, std::string_view issuer);
Result<std::string> read_issuer(Cursor& in);
/// Whether a head can be written: an issuer, dates in order. Fails with usage; `what`: "a stop-list".
Status check_head(std::string_view what, std::string_view issuer, Time this_update, Time next_update);

/// The end of a file: key identifier, algorithm, signature. Views into it.
struct Seal {
  ByteView key_id, algorithm, signature;
};
/// `body` with the seal behind it. The signer must have its certificate.
Result<Bytes> seal(Bytes body, crypto::Signer& signer);
Result<Seal> read_seal(Cursor& in);
/// The seal must be by the key of one of `signers`, a CA that may sign CRLs, valid at `at`; which one is returned.
/// Fails with untrusted (none of them made it), invalid_signature (one is named and it does not fit). `what`: "the
/// stop-list".
Result<const crypto::Certificate*> verify_seal(const Seal& seal, ByteView body,
                                               const std::vector<crypto::Certificate>& signers, Time at,
                                               std::string_view what);

}  // namespace karta::identity::list_file
