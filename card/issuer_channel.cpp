#include "card/issuer_channel.h"

#include "card/global_platform.h"
#include "card/iso7816.h"

namespace karta::card {
namespace {

// The version a card gives to the set it has from its maker.
constexpr std::uint8_t kBlankVersion = 0x01;

Result<std::unique_ptr<Scp03Channel>> open(Channel& below, const IssuerChannelRequest& request, RandomSource& random) {
  const CardManagerProfile& profile = *request.profile;
  const auto keys = [&](const Scp03Greeting& greeting) -> Result<Scp03KeySet> {
    if (!request.serial.empty() && greeting.serial != request.serial) {
      return fail(ErrorKind::card_unknown, "the card in the reader is " + to_hex_upper(greeting.serial) + ", not " +
                                               to_hex_upper(request.serial));
    }
    if (greeting.key_version != kBlankVersion) {
      return diversify(*request.master, greeting.serial, greeting.key_version, profile.key_octets);
    }
    if (request.take_blank) return Scp03KeySet::blank();
    return fail(ErrorKind::card_refused, "the card still has the keys of a blank card");
  };
  return Scp03Channel::open(below, {.mode = profile.mode, .level = security_level::all, .key_version = 0}, keys,
                            random);
}

}  // namespace

Result<std::unique_ptr<Scp03Channel>> open_issuer_channel(Channel& below, const IssuerChannelRequest& request,
                                                          RandomSource& random) {
  TRY(select_card_manager(below));
  auto session = TRY(open(below, request, random));
  if (session->key_set().version != kBlankVersion) return session;
  const Scp03KeySet own =
      diversify(*request.master, session->greeting().serial, request.profile->key_version, request.profile->key_octets);
  TRY(put_key_set(*session, own));
  session = TRY(open(below, request, random));
  if (session->key_set().version != request.profile->key_version) {
    return fail(ErrorKind::card_insecure, "the card has taken the new keys and does not use them");
  }
  return session;
}

std::vector<IssuerChannelStep> issuer_channel_steps(const CardManagerProfile& profile) {
  const std::size_t octets = static_cast<std::size_t>(profile.mode);
  const auto hello = [&](std::string words) {
    IssuerChannelStep step;
    step.words = std::move(words);
    step.commands.push_back({{0x80, 0x50, 0, 0, Bytes(octets, 0), kShortResponse}, 16 + 2 * octets, {}, {}});
    step.commands.push_back({{0x84, 0x82, 0, 0, Bytes(2 * octets, 0)}, 0, {}, {}});
    return step;
  };
  std::vector<IssuerChannelStep> steps;
  steps.push_back(hello("open a secure channel to the card manager with the blank card's keys"));
  steps.back().commands.insert(steps.back().commands.begin(),
                               StepCommand{select_application(kCardManagerAid, SelectReturn::nothing), 0, {}, {}});
  const std::size_t key = 5 + (profile.key_octets + crypto::kAesBlock - 1) / crypto::kAesBlock * crypto::kAesBlock + 2;
  IssuerChannelStep put;
  put.words = "replace those keys by this card's own (AES-" + std::to_string(profile.key_octets * 8) + ", version " +
              std::to_string(profile.key_version) + ")";
  put.commands.push_back({{0x80, 0xD8, 0, 0, Bytes(1 + 3 * key, 0), kShortResponse}, 10, {}, {}});
  put.is_protected = true;
  steps.push_back(std::move(put));
  steps.push_back(hello("open the issuer's secure channel under them"));
  return steps;
}

}  // namespace karta::card
