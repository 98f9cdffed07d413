#include "card/terminal_authentication.h"

#include <algorithm>

#include "base/der.h"
#include "card/domain_parameters.h"
#include "card/iso7816.h"

namespace karta::card {
namespace {

// Bounds the search among certificates of one holder.
constexpr std::size_t kMostChain = 64;

constexpr StatusWord kSwVerificationFailed{0x6300};
constexpr std::size_t kChallengeOctets = 8;

Bytes date_octets(std::chrono::year_month_day date) {
  std::string text = to_string(date);
  std::erase(text, '-');
  return to_bytes(as_bytes(text));
}

// 73 { 06 type, 53 value }
void add_template(Bytes& out, std::string_view oid, ByteView value) {
  append(out, make_tlv(0x73, {der::oid(oid), make_tlv(0x53, value)}));
}

// 00 22 81 B6 { 83 authority }: the key that verifies the next certificate
CommandApdu set_verification_key(std::string_view authority) {
  return {0x00, 0x22, 0x81, 0xB6, make_tlv(0x83, as_bytes(authority))};
}
// 00 2A 00 BE { 7F4E, 5F37 }
CommandApdu verify_certificate(const CvCertificate& certificate) {
  return {0x00, 0x2A, 0x00, 0xBE, to_bytes(certificate.body_and_signature())};
}
// 00 22 81 A4 { 80 algorithm, 83 holder, [67 auxiliary data], 91 compressed ephemeral key }
CommandApdu set_terminal(const CvCertificate& terminal, ByteView auxiliary, ByteView compressed) {
  Bytes oid = der::oid(terminal.content().public_key.algorithm->oid);
  oid[0] = 0x80;
  return {0x00, 0x22, 0x81, 0xA4,
          concat({oid, make_tlv(0x83, as_bytes(terminal.holder())), auxiliary, make_tlv(0x91, compressed)})};
}
// 00 82 00 00 signature
CommandApdu external_authenticate(ByteView signature) { return {0x00, 0x82, 0x00, 0x00, to_bytes(signature)}; }

Error refused(StatusWord status, const CvCertificate& certificate) {
  Error error = error_of(status, "make the card accept the certificate of \"" + certificate.holder() + "\" by \"" +
                                     certificate.authority() + "\"");
  error.kind = ErrorKind::untrusted;
  if (status == kSwConditions) {
    error.hint = "it has expired by the card's own date; renew it: karta cv issue";
  } else if (status == kSwVerificationFailed) {
    error.hint = "its signature is not that of the authority the card trusts";
  } else if (status == kSwReferenceNotFound) {
    error.hint = "the card trusts another authority; a link certificate may be missing";
  } else {
    error.hint = "karta cv verify shows what is wrong with the chain";
  }
  return error;
}

}  // namespace

Chat TerminalCredentials::announced(std::optional<Rights> wanted) const {
  Chat chat = terminal().chat();
  for (const CvCertificate& certificate : chain) chat.rights &= certificate.chat().rights;
  if (wanted) chat.rights &= *wanted;
  return chat;
}

SectorRights TerminalCredentials::sector_rights() const {
  SectorRights rights = all_sector_rights();
  for (const CvCertificate& certificate : chain) rights &= certificate.sector_rights();
  return rights;
}

Bytes AuxiliaryData::encode() const {
  if (empty()) return {};
  Bytes content;
  if (born_by) add_template(content, kDateOfBirthOid, date_octets(*born_by));
  if (valid_on) add_template(content, kDateOfExpiryOid, date_octets(*valid_on));
  if (community) add_template(content, kCommunityIdOid, *community);
  return make_tlv(0x67, content);
}

namespace {

/// The way from the terminal's certificate up to one that `anchor` signed, in the order a card takes it; empty if there
/// is none. A verifier may be there several times, as several authorities have certified it.
std::vector<CvCertificate> way_from(const std::vector<CvCertificate>& chain, std::string_view anchor) {
  std::vector<const CvCertificate*> upwards = {&chain.back()};
  const auto climb = [&](const auto& again) -> bool {
    if (upwards.back()->authority() == anchor) return true;
    for (const CvCertificate& above : chain) {
      if (above.holder() != upwards.back()->authority() || above.self_signed() ||
          std::find(upwards.begin(), upwards.end(), &above) != upwards.end())
        continue;
      upwards.push_back(&above);
      if (again(again)) return true;
      upwards.pop_back();
    }
    return false;
  };
  std::vector<CvCertificate> way;
  if (chain.size() <= kMostChain && climb(climb)) {
    for (auto one = upwards.rbegin(); one != upwards.rend(); ++one) way.push_back(**one);
  }
  return way;
}

}  // namespace

Result<std::vector<CvCertificate>> chain_from(const std::vector<CvCertificate>& chain, std::string_view authority,
                                              std::string_view older) {
  for (const std::string_view anchor : {authority, older}) {
    if (anchor.empty() || chain.empty()) continue;
    if (auto way = way_from(chain, anchor); !way.empty()) return way;
    // Certificates that do not hang together are the card's to refuse.
    const auto first = std::find_if(chain.begin(), chain.end(), [&](const CvCertificate& one) {
      return one.authority() == anchor && !one.self_signed();
    });
    if (first != chain.end()) return std::vector<CvCertificate>(first, chain.end());
  }
  std::string names = "\"" + std::string(authority) + "\"";
  if (!older.empty()) names += " or \"" + std::string(older) + "\"";
  if (authority.empty()) {
    return fail(ErrorKind::untrusted, "the card trusts no authority of this terminal's type");
  }
  return fail(ErrorKind::untrusted, "the terminal's certificates do not lead to " + names + ", which the card trusts",
              "the card is of another centre, or a link certificate is missing");
}

// TR-03110-3 B.3.
Result<crypto::EcKeyPair> authenticate_terminal(Channel& channel, const TerminalCredentials& credentials,
                                                const PaceOutcome& pace, std::uint64_t domain,
                                                const AuxiliaryData& auxiliary, RandomSource& random) {
  const crypto::KeyType curve = TRY(curve_of_domain_parameters(domain));
  const auto certificates = TRY(chain_from(credentials.chain, pace.authority, pace.older_authority));
  for (const CvCertificate& certificate : certificates) {
    const ResponseApdu known = TRY(channel.transmit(set_verification_key(certificate.authority())));
    if (!known.status.ok()) return fail(refused(known.status, certificate));
    const ResponseApdu verified = TRY(channel.transmit(verify_certificate(certificate)));
    if (!verified.status.ok()) return fail(refused(verified.status, certificate));
  }

  const CvCertificate& terminal = credentials.terminal();
  crypto::EcKeyPair ephemeral = TRY(crypto::generate_ec_pair(curve, {}, random));
  const Bytes compressed = to_bytes(ByteView(ephemeral.point).subspan(1, crypto::coordinate_octets(curve)));
  const Bytes compare = auxiliary.encode();
  TRY(channel.run(set_terminal(terminal, compare, compressed), "name the terminal's key"));
  const Bytes challenge = TRY(channel.run(get_challenge(kChallengeOctets), "get a challenge"));
  if (challenge.size() != kChallengeOctets) {
    return fail(ErrorKind::card_unresponsive, "the card's challenge is not eight octets");
  }

  // ID_PICC || r_PICC || Comp(PK_PCD) || A_PCD
  const Bytes message = concat({pace.card_id, challenge, compressed, compare});
  const crypto::AlgorithmId algorithm = terminal.content().public_key.algorithm->algorithm;
  Bytes signature = TRY(credentials.signer->sign_message(algorithm, message));
  if (credentials.signer->public_key().family() == crypto::KeyFamily::ec) {
    signature = TRY(crypto::decode_ecdsa_signature(signature, (credentials.signer->public_key().bits() + 7u) / 8u));
  }
  const ResponseApdu answer = TRY(channel.transmit(external_authenticate(signature)));
  if (answer.status == kSwVerificationFailed) {
    return fail(ErrorKind::invalid_signature, "the card did not accept the terminal's signature",
                "the key does not belong to the certificate of \"" + terminal.holder() + "\"");
  }
  if (!answer.status.ok()) {
    Error error = error_of(answer.status, "authenticate the terminal \"" + terminal.holder() + "\"");
    if (answer.status == kSwSecurityStatus) {
      error.hint = "with the CAN a terminal needs the right \"can-allowed\"; a transport PIN opens nothing";
    }
    return fail(std::move(error));
  }
  return ephemeral;
}

}  // namespace karta::card
