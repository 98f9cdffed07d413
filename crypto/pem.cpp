#include "crypto/pem.h"

#include <algorithm>
#include <array>
#include <optional>

namespace karta::crypto {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f'; }

tl::unexpected<Error> bad(const std::string& what) { return fail(ErrorKind::malformed, "PEM: " + what); }

/// Strict base64 but for white space: padded to four, no stray bits.
Result<Bytes> decode_base64(std::string_view text, const std::string& label) {
  Bytes out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  int digits = 0, padding = 0;
  for (const char c : text) {
    if (blank(c)) continue;
    const int value = base64_value(c);
    if (c == '=' && digits + padding >= 2) {
      ++padding;
      group <<= 6;
    } else if (value >= 0 && padding == 0) {
      ++digits;
      group = group << 6 | static_cast<std::uint32_t>(value);
    } else {
      return bad("\"" + label + "\" holds something that is not base64");
    }
    if (digits + padding < 4) continue;
    const int octets = 3 - padding;
    if (padding > 2 || (group & ((1u << (8 * padding)) - 1)) != 0) return bad("\"" + label + "\" ends in stray bits");
    for (int i = 0; i < octets; ++i) out.push_back(static_cast<std::uint8_t>(group >> (16 - 8 * i)));
    group = 0;
    digits = 0;
    if (padding != 0) digits = -4;  // nothing but blanks may follow
  }
  if (digits > 0 || (padding > 0 && digits != -4)) return bad("\"" + label + "\" is cut off");
  return out;
}

bool contains(ByteView head, std::string_view text) { return as_text(head).find(text) != std::string_view::npos; }
bool starts(ByteView head, std::string_view text) { return as_text(head).starts_with(text); }

/// Octets of the header (tag and length) of the SEQUENCE `head` begins with; 0 if it does not.
std::size_t sequence_header(ByteView head) {
  if (head.size() < 2 || head[0] != 0x30) return 0;
  if (head[1] <= 0x80) return 2;  // short or indefinite
  const std::size_t octets = head[1] & 0x7F;
  return octets <= 8 && head.size() >= 2 + octets ? 2 + octets : 0;
}

struct FileKindRow {
  FileKind kind;
  std::string_view description;
};
constexpr auto kFileKinds = std::to_array<FileKindRow>({
    {FileKind::unknown, "file of no kind known here"},
    {FileKind::cms_der, "CMS signature"},
    {FileKind::cms_pem, "CMS signature in PEM"},
    {FileKind::certificate_der, "certificate"},
    {FileKind::certificate_pem, "certificate in PEM"},
    {FileKind::private_key_pem, "private key"},
    {FileKind::smime, "S/MIME mail"},
    {FileKind::pdf, "PDF document"},
    {FileKind::xml, "XML document"},
    {FileKind::zip, "ZIP container"},
});

}  // namespace

std::string to_pem(std::string_view label, ByteView der) {
  const std::string body = to_base64(der);
  std::string out;
  out.append(kBegin).append(label).append(kDashes).append("\n");
  for (std::size_t at = 0; at < body.size(); at += 64) out.append(body, at, 64).append("\n");
  out.append(kEnd).append(label).append(kDashes).append("\n");
  return out;
}

Result<std::vector<PemBlock>> parse_pem(std::string_view text) {
  std::vector<PemBlock> out;
  for (;;) {
    const std::size_t begin = text.find(kBegin);
    if (begin == std::string_view::npos) return out;
    text.remove_prefix(begin + kBegin.size());
    const std::size_t label_octets = text.substr(0, 80).find(kDashes);
    if (label_octets == std::string_view::npos) return bad("a BEGIN line does not end");
    const std::string label(text.substr(0, label_octets));
    if (std::any_of(label.begin(), label.end(), [](char c) { return c < 0x20 || c > 0x7E; })) {
      return bad("a BEGIN line holds characters that are no label");
    }
    text.remove_prefix(label_octets + kDashes.size());
    const std::size_t end = text.find(kEnd);
    if (end == std::string_view::npos) return bad("\"" + label + "\" does not end");
    const std::string_view body = text.substr(0, end);
    text.remove_prefix(end + kEnd.size());
    if (!text.starts_with(label) || !text.substr(label.size()).starts_with(kDashes)) {
      return bad("\"" + label + "\" ends under another label");
    }
    text.remove_prefix(label.size() + kDashes.size());
    if (out.size() == kMostPemBlocks) return fail(ErrorKind::limit, "PEM: more than 1000 blocks");
    Bytes der = TRY(decode_base64(body, label));
    out.push_back({label, std::move(der)});
  }
}

Result<Bytes> parse_pem_one(std::string_view text, std::string_view label) {
  auto blocks = TRY(parse_pem(text));
  std::optional<Bytes> found;
  for (PemBlock& block : blocks) {
    if (block.label != label) continue;
    if (found) return bad("more than one \"" + std::string(label) + "\"");
    found = std::move(block.der);
  }
  if (!found) return bad("no \"" + std::string(label) + "\" inside");
  return std::move(*found);
}

FileKind sniff(ByteView head) {
  if (head.size() > 512) head = head.first(512);
  if (const std::size_t header = sequence_header(head); header != 0) {
    static constexpr std::uint8_t kSignedDataOid[] = {0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02};
    const ByteView inside = head.subspan(header);
    if (inside.size() >= sizeof kSignedDataOid && equal(inside.first(sizeof kSignedDataOid), kSignedDataOid)) {
      return FileKind::cms_der;
    }
    // TBSCertificate begins with [0] version or, in version 1, with the serial number.
    const std::size_t inner = sequence_header(inside);
    if (inner != 0 && inside.size() > inner && (inside[inner] == 0xA0 || inside[inner] == 0x02)) {
      return FileKind::certificate_der;
    }
    return FileKind::unknown;
  }
  if (contains(head, "-----BEGIN CMS-----") || contains(head, "-----BEGIN PKCS7-----")) return FileKind::cms_pem;
  if (contains(head, "-----BEGIN CERTIFICATE-----")) return FileKind::certificate_pem;
  if (contains(head, "PRIVATE KEY-----")) return FileKind::private_key_pem;
  if (starts(head, "%PDF-")) return FileKind::pdf;
  if (starts(head, "PK\x03\x04")) return FileKind::zip;
  if (starts(head, "<?xml") || starts(head, "\xEF\xBB\xBF<?xml")) return FileKind::xml;
  if (contains(head, "multipart/signed") || contains(head, "application/pkcs7-mime") ||
      contains(head, "application/x-pkcs7-mime")) {
    return FileKind::smime;
  }
  return FileKind::unknown;
}

std::string_view describe(FileKind kind) {
  return std::find_if(kFileKinds.begin(), kFileKinds.end(), [&](const FileKindRow& row) { return row.kind == kind; })
      ->description;
}

Result<Bytes> der_of_file(ByteView file, std::initializer_list<std::string_view> labels) {
  if (!contains(file.first(std::min<std::size_t>(file.size(), 65'536)), kBegin) || sequence_header(file) != 0) {
    return to_bytes(file);
  }
  auto blocks = TRY(parse_pem(as_text(file)));
  for (PemBlock& block : blocks) {
    if (std::find(labels.begin(), labels.end(), block.label) != labels.end()) return std::move(block.der);
  }
  return bad("no \"" + std::string(*labels.begin()) + "\" inside");
}

Result<Bytes> cms_of_file(ByteView file) {
  if (sniff(file) == FileKind::smime) {
    return fail(ErrorKind::unsupported, "this is a mail, not a signature file",
                "save the signature itself: openssl smime -pk7out -in MAIL, or sign with -outform DER");
  }
  return der_of_file(file, {"CMS", "PKCS7"});
}

}  // namespace karta::crypto
