// PACE, terminal and chip authentication against a card that answers what the fuzzer likes, a whole sequence a run: the
// terminal must end each with an error and never take keys from such a card.
//
// Each answer is length (two octets) and data; an answer that begins with FF is made right as far as the next step
// wants it: a point of the terminal's own making on the right curve, so that later steps are reached.
#include <cstdlib>

#include "base/tlv.h"
#include "card/chip_authentication.h"
#include "card/identity_application.h"
#include "card/transports.h"
#include "crypto/ec_arithmetic.h"

using namespace karta;
using namespace karta::card;

namespace {

// A terminal's certificate and key, made once a process.
struct Terminal {
  crypto::SoftwareSigner signer{*crypto::PrivateKey::generate(crypto::KeyType::p256)};
  std::vector<CvCertificate> chain;

  Terminal() {
    CvContent content;
    content.authority = "XXTESTCA00001";
    content.holder = "XXTERM00001";
    content.public_key = *cv_public_key_of(signer.public_key(), crypto::AlgorithmId::ecdsa_sha256, false);
    content.effective = content.expiration = std::chrono::year(2026) / 1 / 1;
    chain.push_back(*sign_cv_certificate(content, signer, crypto::AlgorithmId::ecdsa_sha256));
  }
};

Bytes good_answer(unsigned number) {
  static const Bytes generator = *crypto::ec_generator(crypto::KeyType::p256);
  const auto of = [](Tag tag, ByteView value) {
    return concat({make_tlv(0x7C, make_tlv(tag, value)), Bytes{0x90, 0x00}});
  };
  static const Bytes access = [] {
    SecurityInfos infos;
    infos.pace = {{&kPaceSuites[0], 12}};
    infos.terminal_authentication_2 = true;
    infos.chip_authentication = {{&kChipAuthenticationSuites[0], 0x41}};
    infos.chip_authentication_domains = {{12, 0x41}};
    return concat({infos.encode(), Bytes{0x90, 0x00}});
  }();
  switch (number) {
    case 0:
      return access;
    case 2:
      return of(0x80, Bytes(16, 0x11));
    case 3:
      return of(0x82, generator);
    case 4:
      return of(0x84, generator);
    case 5:
      return of(0x86, Bytes(8, 0x22));
    default:
      return {0x90, 0x00};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteView rest(data, size);
  unsigned number = 0;
  const auto next = [&]() -> Bytes {
    if (rest.size() < 2) return {};
    const std::size_t length = std::min<std::size_t>(load_be16(rest), rest.size() - 2);
    const ByteView answer = rest.subspan(2, length);
    rest = rest.subspan(2 + length);
    if (!answer.empty() && answer[0] == 0xFF) return good_answer(number++);
    ++number;
    return to_bytes(answer);
  };
  MemoryConnection connection({.process = [&](ByteView) { return next(); },
                               .atr =
                                   [] {
                                     return Bytes{0x3B, 0x80};
                                   },
                               .reset = {}});
  PlainChannel plain(connection);
  SeededRandom random(1);
  const SecretBytes can = SecretBytes::copy_of(std::string_view("314159"));

  SecureMessagingChannel channel(plain);
  const auto outcome = open_pace(channel, {PacePassword::can, &can, nullptr, {}}, random);
  if (outcome || channel.secure()) std::abort();

  // The same answers to chip authentication by itself: a token of eight octets is not guessed.
  rest = ByteView(data, size);
  number = 0;
  SecureMessagingChannel other(plain);
  const crypto::EcKeyPair pair = *crypto::generate_ec_pair(crypto::KeyType::p256, {}, random);
  const ChipAuthenticationChoice choice{&kChipAuthenticationSuites[0],
                                        {12, *crypto::ec_generator(crypto::KeyType::p256), 0x41}};
  if (authenticate_chip(other, choice, pair) || other.secure()) std::abort();

  // And to terminal authentication: it says yes only where every command was answered.
  static Terminal terminal;
  rest = ByteView(data, size);
  number = 0;
  PaceOutcome pace;
  pace.card_id = Bytes(32, 1);
  pace.authority = "XXTESTCA00001";
  const TerminalCredentials credentials{terminal.chain, &terminal.signer};
  if (authenticate_terminal(plain, credentials, pace, 12, {}, random) && number != 5) std::abort();
  return 0;
}
