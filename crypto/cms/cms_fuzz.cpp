// Fuzz target: a CMS signature file. No trust anchors are given, so nothing may ever pass.
#include "crypto/cms/signed_data.h"
#include "crypto/cms/stream.h"
#include "crypto/pem.h"
#include "crypto/validation/validate.h"

using namespace karta;
using namespace karta::crypto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  (void)sniff(input);
  if (const auto unwrapped = cms_of_file(input)) (void)SignedData::parse(*unwrapped);
  MemoryContent file(input);
  if (const auto stream = SignedDataStream::read(file)) {
    const Report report = verify_cms(stream->data(), nullptr, {}, {.at = Time(std::chrono::seconds(1'780'000'000))});
    KARTA_CHECK(!report.passed());
    KARTA_CHECK(stream->detached().has_value());
  }
  MemoryContent content(as_bytes("content"));
  for (ContentSource* const detached : {static_cast<ContentSource*>(nullptr), static_cast<ContentSource*>(&content)}) {
    const Report report =
        verify_cms(input, detached, {}, {.at = Time(std::chrono::seconds(1'780'000'000)), .keep_content = true});
    KARTA_CHECK(!report.passed() && !report.signatures.empty());
    for (const SignatureReport& one : report.signatures) {
      KARTA_CHECK(!one.passed() && one.first_fault() != nullptr && !one.first_fault()->message.empty());
    }
  }
  return 0;
}
