// CAdES (EN 319 122-1): raising a CMS signature, one's own or a foreign one, to a higher baseline level; further
// signers and counter-signatures.
//
// What is there stays octet for octet; only unsigned attributes, certificates and revocation data are added.
#pragma once

#include "crypto/ades/sources.h"
#include "crypto/cms/content_digests.h"
#include "crypto/signer.h"

namespace karta::crypto {

/// `signature` (one DER or BER ContentInfo) with every signer raised to `level`: a signature time-stamp where there is
/// none, validation data for signers and time-stamps, at B-LTA an archive time-stamp (v3) over it all; once more at
/// B-LTA renews it. `detached` is the content beside it, read for archive time-stamps only; nullptr for an enveloping
/// one. Fails with usage (no such service), or as the services do.
Result<Bytes> raise_cms(ByteView signature, ContentSource* detached, SignatureLevel level,
                        const SignatureServices& services);
/// The same where the content was hashed before; `digest` is asked for services.hash, at B-LTA only. Serves enveloping
/// signatures too, taken apart by SignedDataStream.
Result<Bytes> raise_cms_digest(ByteView signature, const DigestOf& digest, SignatureLevel level,
                               const SignatureServices& services);

/// `signature` with the signers and certificates of `other` added, another signature over the same content (RFC 5652
/// §5.1: any number of signers). Fails (usage) if their contents differ in kind or place.
Result<Bytes> join_cms(ByteView signature, ByteView other);

/// `signature` with a counter-signature of `signer` over the signature value of its signer number `position`.
Result<Bytes> counter_sign_cms(ByteView signature, std::size_t position, Signer& signer, Time signing_time);

}  // namespace karta::crypto
