// Fuzz target: a PDF document. No trust anchors are given, so nothing may ever pass; signing what can be opened must
// end in a document that can be opened again, with one signature more.
#include "crypto/pdf/sign.h"
#include "crypto/validation/verify_pdf.h"

using namespace karta;
using namespace karta::crypto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  auto file = PdfFile::open(to_bytes(input));
  if (!file) return 0;
  const Report report = verify_pdf(*file, {}, {.at = Time(std::chrono::seconds(1'780'000'000))});
  KARTA_CHECK(!report.passed());
  for (const SignatureReport& one : report.signatures) {
    KARTA_CHECK(!one.passed() && one.first_fault() != nullptr && !one.first_fault()->message.empty());
  }
  const auto make = [](const pdf::SignedRange&) -> Result<Bytes> { return Bytes(16, 0x30); };
  const auto update = pdf::sign(file->document(), {.reserved_octets = 16}, make, file->cipher());
  if (!update) return 0;
  const std::size_t revisions = file->document().revisions().size();
  if (!file->append(*update)) return 0;  // what stood there may break what follows: a page tree of numbers in use, say
  KARTA_CHECK(file->document().revisions().size() == revisions + 1);
  // Read as a whole it is the same document.
  const auto again = PdfFile::open(to_bytes(file->octets()));
  KARTA_CHECK(again && again->document().revisions().size() == revisions + 1 &&
              again->document().entries().size() == file->document().entries().size());
  return 0;
}
