// PEM (RFC 7468): textual encoding of DER; and telling what a file is by its first octets.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"

namespace karta::crypto {

struct PemBlock {
  std::string label;  ///< "CERTIFICATE"
  Bytes der;
};

/// One block, lines of 64 characters.
std::string to_pem(std::string_view label, ByteView der);

/// All blocks in `text`, in order; text around them is skipped. Fails (malformed) on a block that does not end, ends
/// under another label, or is not base64; (limit) beyond kMostPemBlocks. No block at all: an empty vector.
Result<std::vector<PemBlock>> parse_pem(std::string_view text);
inline constexpr std::size_t kMostPemBlocks = 1000;

/// The octets inside the only block labelled `label`. Fails (malformed) if there is none or more than one.
Result<Bytes> parse_pem_one(std::string_view text, std::string_view label);

enum class FileKind {
  unknown,
  cms_der,  ///< ContentInfo with id-signedData: .p7s, .p7m, .sig
  cms_pem,  ///< the same in PEM ("CMS" or "PKCS7")
  certificate_der,
  certificate_pem,
  private_key_pem,  ///< encrypted or not
  smime,            ///< a mail with a signature in it
  pdf,
  xml,
  zip,  ///< perhaps ASiC
};

/// What a file is by its first octets (512 are enough); nothing is parsed to the end, nothing is promised.
FileKind sniff(ByteView head);
/// "CMS signature", "PDF document": for people.
std::string_view describe(FileKind kind);

/// `file` as DER: PEM with one of the labels is unwrapped, anything else is returned as it is.
Result<Bytes> der_of_file(ByteView file, std::initializer_list<std::string_view> labels);
/// The octets of a CMS signature file, DER or PEM ("CMS", "PKCS7").
Result<Bytes> cms_of_file(ByteView file);

}  // namespace karta::crypto
