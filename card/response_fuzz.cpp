// A hostile card behind the whole e-signature application: its answers are the input, one after another, each behind a
// length octet. Nothing may crash, hang or run without bound.
#include "card/card_signer.h"
#include "card/esign.h"
#include "card/transports.h"

namespace {

class OnePin final : public karta::card::PinSource {
 public:
  karta::Result<karta::SecretBytes> pin(const karta::card::PinRequest& request) override {
    if (request.after_wrong) return karta::fail(karta::ErrorKind::cancelled, "once is enough");
    return karta::SecretBytes::copy_of("135790");
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace karta;
  using namespace karta::card;
  if (size == 0) return 0;
  const bool known = (data[0] & 1) != 0;
  ByteView rest(data + 1, size - 1);
  unsigned commands = 0;
  MemoryConnection connection({.process =
                                   [&](ByteView) {
                                     KARTA_CHECK(++commands < 20'000);
                                     if (rest.empty()) return Bytes();
                                     const std::size_t length = std::min<std::size_t>(rest[0], rest.size() - 1);
                                     const Bytes answer = to_bytes(rest.subspan(1, length));
                                     rest = rest.subspan(1 + length);
                                     return answer;
                                   },
                               .atr =
                                   [known] {
                                     return known ? Bytes{0x3B, 0x8A, 0x80, 0x01, 'K', 'a', 'r', 't',
                                                          'a',  'O',  's',  'E',  'I', 'D', 0x32}
                                                  : Bytes{0x3B, 0x80, 0x01, 0x81};
                                   },
                               .reset = {}});
  PlainChannel channel(connection);
  auto esign = ESignApplication::open(channel);
  if (!esign) return 0;
  (void)esign->token_info();
  const auto keys = esign->keys();
  if (keys && !keys->empty()) {
    const CardKey key = keys->front();
    (void)esign->certificate_chain(key);
    (void)esign->read_public_key(key);
    OnePin pins;
    SeededRandom random(1);
    auto signer = CardSigner::make(*esign, key, pins, random);
    if (signer) {
      const Bytes digest(32, 1);
      for (const auto algorithm : signer->algorithms()) (void)signer->sign(algorithm, digest);
    }
  }
  return 0;
}
