// bench channels: what it costs to set a secure channel up, in commands, octets and time, beside libeac on both ends.
//
// Everything runs in this process: no reader, no wire. Each row is the median of its runs.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "card/whole_file.h"
#include "tests/eac/libeac_card.h"

namespace karta::card {
namespace {

using Clock = std::chrono::steady_clock;
constexpr unsigned kRuns = 31;

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "error: %s\n", why.c_str());
  std::exit(70);
}

struct Cost {
  double milliseconds = 0;
  WireCount wire;
};

template <class Run>
Cost median(Run run) {
  std::vector<Cost> costs;
  for (unsigned i = 0; i < kRuns; ++i) costs.push_back(run());
  std::sort(costs.begin(), costs.end(), [](const Cost& a, const Cost& b) { return a.milliseconds < b.milliseconds; });
  return costs[costs.size() / 2];
}

template <class Work>
Cost timed(CountingConnection& connection, Work work) {
  const WireCount before = connection.count();
  const auto begin = Clock::now();
  work();
  const auto end = Clock::now();
  return {std::chrono::duration<double, std::milli>(end - begin).count(), connection.count() - before};
}

void print_row(const char* what, const char* terminal, const char* card, const Cost& cost, bool wire = true) {
  if (wire) {
    std::printf("%-14s %-9s %-9s %8.2f ms %5llu commands %6llu octets out %6llu back\n", what, terminal, card,
                cost.milliseconds, static_cast<unsigned long long>(cost.wire.commands),
                static_cast<unsigned long long>(cost.wire.octets_out),
                static_cast<unsigned long long>(cost.wire.octets_back));
  } else {
    std::printf("%-14s %-9s %-9s %8.2f ms     - it builds no commands\n", what, terminal, card, cost.milliseconds);
  }
  if (const char* const file = std::getenv("KARTA_BENCH_JSON")) {
    std::ofstream(file, std::ios::app) << "{\"bench\":\"channels\",\"what\":\"" << what << "\",\"terminal\":\""
                                       << terminal << "\",\"card\":\"" << card << "\",\"ms\":" << cost.milliseconds
                                       << ",\"commands\":" << cost.wire.commands
                                       << ",\"octets_out\":" << cost.wire.octets_out
                                       << ",\"octets_back\":" << cost.wire.octets_back << "}\n";
  }
}

// Both ends in libeac: PACE alone, octets handed over as they are.
Cost libeac_pace() {
  const auto begin = Clock::now();
  SecurityInfos infos;
  infos.pace = {{&kPaceSuites[0], domain_parameters_of(crypto::KeyType::p256)}};
  const Bytes access = infos.encode();
  const std::unique_ptr<EAC_CTX, LibeacFree> terminal(EAC_CTX_new()), card(EAC_CTX_new());
  const std::unique_ptr<PACE_SEC, LibeacFree> secret(PACE_SEC_new("314159", 6, PACE_CAN));
  for (EAC_CTX* const end : {terminal.get(), card.get()}) {
    if (EAC_CTX_init_ef_cardaccess(access.data(), access.size(), end) != 1) stop("libeac");
  }
  const Buffer nonce(PACE_STEP1_enc_nonce(card.get(), secret.get()));
  bool good = PACE_STEP2_dec_nonce(terminal.get(), secret.get(), nonce.get()) == 1;
  const Buffer map_card(PACE_STEP3A_generate_mapping_data(card.get()));
  const Buffer map_terminal(PACE_STEP3A_generate_mapping_data(terminal.get()));
  good = good && PACE_STEP3A_map_generator(card.get(), map_terminal.get()) == 1 &&
         PACE_STEP3A_map_generator(terminal.get(), map_card.get()) == 1;
  const Buffer key_card(PACE_STEP3B_generate_ephemeral_key(card.get()));
  const Buffer key_terminal(PACE_STEP3B_generate_ephemeral_key(terminal.get()));
  good = good && PACE_STEP3B_compute_shared_secret(card.get(), key_terminal.get()) == 1 &&
         PACE_STEP3B_compute_shared_secret(terminal.get(), key_card.get()) == 1 &&
         PACE_STEP3C_derive_keys(card.get()) == 1 && PACE_STEP3C_derive_keys(terminal.get()) == 1;
  const Buffer token_card(PACE_STEP3D_compute_authentication_token(card.get(), key_terminal.get()));
  const Buffer token_terminal(PACE_STEP3D_compute_authentication_token(terminal.get(), key_card.get()));
  good = good && PACE_STEP3D_verify_authentication_token(card.get(), token_terminal.get()) == 1 &&
         PACE_STEP3D_verify_authentication_token(terminal.get(), token_card.get()) == 1;
  if (!good) stop("libeac's PACE");
  return {std::chrono::duration<double, std::milli>(Clock::now() - begin).count(), {}};
}

void bench() {
  OSSL_PROVIDER_load(nullptr, "default");
  EAC_init();
  test::IdentityCard issued;
  SystemRandom random;
  const SecretBytes can = test::secret(test::kCan);
  const UnlockedTerminal clinic = issued.terminal("clinic");
  const LibeacParts parts{crypto::KeyType::p256, 0, &NID_id_CA_ECDH_AES_CBC_CMAC_128};

  const auto pace = [&](Channel& plain) {
    SecureMessagingChannel channel(plain);
    if (const auto outcome = open_pace(channel, {PacePassword::can, &can, nullptr, {}}, random); !outcome) {
      stop(outcome.error().message);
    }
  };
  const auto eac = [&](Channel& plain) {
    if (const auto opened = IdentityApplication::open(plain, issued.request(clinic, PacePassword::can, can), random);
        !opened) {
      stop(opened.error().message);
    }
  };
  const auto on_ours = [&](const auto& work) {
    return median([&] {
      issued.put(os::Interface::contactless);
      return timed(issued.sim.connection(), [&] { work(*issued.plain); });
    });
  };
  const auto on_libeac = [&](const auto& work) {
    return median([&] {
      LibeacCard card(issued.centre, parts);
      MemoryConnection connection({.process = [&](ByteView command) { return card.process(command); },
                                   .atr =
                                       [] {
                                         return Bytes{0x3B, 0x80, 0x80, 0x01, 0x01};
                                       },
                                   .reset = {}});
      CountingConnection counting(connection);
      PlainChannel plain(counting);
      plain.set_limits({.command_data = kExtendedData, .response_data = kExtendedResponse, .chaining = false});
      return timed(counting, [&] { work(plain); });
    });
  };
  std::printf("secure channels, P-256 and AES-128 (SCP03: AES-256, S16), median of %u runs in one process\n", kRuns);
  print_row("PACE", "karta", "karta-sim", on_ours(pace));
  print_row("PACE", "karta", "libeac", on_libeac(pace));
  print_row("PACE", "libeac", "libeac", median(libeac_pace), false);
  print_row("PACE+TA+CA", "karta", "karta-sim", on_ours(eac));
  print_row("PACE+TA+CA", "karta", "libeac", on_libeac(eac));
  const SecretBytes master(Bytes(kMasterKeyOctets, 0x6B));
  IssuerChannelRequest issuer;
  issuer.profile = &issued.profile.card_manager;
  issuer.master = &master;
  print_row("SCP03", "karta", "karta-sim", median([&] {
              issued.put(os::Interface::contact);
              return timed(issued.sim.connection(), [&] {
                if (const auto session = open_issuer_channel(*issued.plain, issuer, random); !session) {
                  stop(session.error().message);
                }
              });
            }));
  std::printf("libeac has no SCP03; its card reads files in pieces of 200 octets\n");
  EAC_cleanup();
}

}  // namespace
}  // namespace karta::card

int main() { karta::card::bench(); }
