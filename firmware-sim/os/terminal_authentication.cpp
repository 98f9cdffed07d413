#include "firmware-sim/os/terminal_authentication.h"

#include "firmware-sim/os/commands.h"

namespace karta::os {
namespace {

// Terminal authentication belongs to a channel whose PACE announced the terminal, and comes once (behaviour 21). A
// transport PIN and the PUK open channels for their holder alone.
Sw require_announced_terminal(const System& card) {
  const bool announced = card.channel.kind() == ChannelKind::pace && card.pace.complete && card.pace.has_chat;
  const bool holder_only = card.security.transport() || card.security.password() == Password::puk;
  if (!announced || holder_only || card.security.terminal() != TerminalType::none) {
    return Sw::security_status_not_satisfied;
  }
  return Sw::ok;
}

Sw load_issuer(System& card, CertifiedKey& out) {
  const TerminalAuthentication& state = card.terminal;
  switch (state.issuer) {
    case TerminalAuthentication::Issuer::anchor:
      return card.anchors.find(card.pace.chat.type, ByteView(state.issuer_reference).first(state.issuer_bytes), out);
    case TerminalAuthentication::Issuer::imported:
      out = state.imported;
      return Sw::ok;
    case TerminalAuthentication::Issuer::none:
      break;
  }
  return Sw::conditions_not_satisfied;
}

bool is_dv(CertificateRole role) { return role == CertificateRole::domestic_dv || role == CertificateRole::foreign_dv; }

// Behaviour 24: an authority certifies itself anew or a document verifier, a document verifier a terminal, a terminal
// nobody. No level is skipped.
bool may_issue(CertificateRole issuer, CertificateRole subject) {
  if (issuer == CertificateRole::cvca) return subject == CertificateRole::cvca || is_dv(subject);
  return is_dv(issuer) && subject == CertificateRole::terminal;
}

CertifiedKey key_of(const CvCertificate& certificate, Curve curve) {
  CertifiedKey key;
  key.type = certificate.chat.type;
  key.role = certificate.chat.role;
  key.curve = curve;
  key.algorithm = certificate.algorithm;
  key.holder_bytes = static_cast<u8>(certificate.holder.size());
  copy(key.holder, certificate.holder);
  key.rights = certificate.chat.rights;
  key.sector_rights = certificate.sector_rights;
  copy(key.expires, certificate.expires);
  copy(key.point, certificate.point);
  return key;
}

// ok when `signature` over `message` was made with the key; 6300 when not.
Sw verify_signature(Hal& hal, const CertifiedKey& key, ByteViews message, ByteView signature) {
  Digest digest = Digest::sha256;
  u8 hash[kMaxDigestBytes];
  if (!digest_of(key.algorithm, digest)) return Sw::authentication_failed;
  const ByteSpan octets = ByteSpan(hash).first(digest_bytes(digest));
  if (hal.digest(digest, message, octets) != HalStatus::ok) return Sw::no_diagnosis;
  const HalStatus status = hal.ec_verify(key.curve, key.public_point(), octets, signature);
  return status == HalStatus::ok ? Sw::ok : status == HalStatus::refused ? Sw::authentication_failed : Sw::no_diagnosis;
}

// Behaviours 26 and 28: a later date and a new anchor are one write; what has expired by it is out of use with it.
Sw store_trust(System& card, const CertifiedKey* anchor, ByteView date) {
  u8 now[kDateBytes];
  KARTA_OS_TRY(card.anchors.date(now));
  const bool later = !date.empty() && earlier(now, date);
  if (anchor == nullptr && !later) return Sw::ok;
  Transaction transaction(card.journal, TrustAnchors::kStorePages);
  KARTA_OS_TRY(transaction.status());
  if (anchor != nullptr) KARTA_OS_TRY(card.anchors.store(*anchor));
  if (later) KARTA_OS_TRY(card.anchors.set_date(date));
  return transaction.commit();
}

// What has to hold before the signature is looked at.
Sw judge_certificate(System& card, const CertifiedKey& issuer, const CvCertificate& certificate, Curve& curve) {
  const CertificateRole role = certificate.chat.role;
  if (!equal(certificate.authority, issuer.reference()) || !may_issue(issuer.role, role)) return Sw::incorrect_data;
  // Domain parameters come with an authority's key and are inherited below it (TR-03110-3 C.3).
  if (certificate.has_domain != (role == CertificateRole::cvca)) return Sw::incorrect_data;
  curve = certificate.has_domain ? certificate.domain : issuer.curve;
  if (card.hal.ec_check_point(curve, certificate.point) != HalStatus::ok) return Sw::incorrect_data;
  // Behaviour 29: no name twice, and nothing imported for a session stands where an anchor stands.
  if (card.anchors.knows(certificate.holder)) return Sw::incorrect_data;
  // Behaviour 27.
  u8 now[kDateBytes];
  KARTA_OS_TRY(card.anchors.date(now));
  if (role == CertificateRole::cvca) return Sw::ok;
  const bool expired = earlier(issuer.expires, now) || earlier(certificate.expires, now);
  return expired ? Sw::conditions_not_satisfied : Sw::ok;
}

void copy_sectors(TerminalAuthentication& state, const CvCertificate& certificate) {
  for (std::size_t i = 0; i < 2; ++i) {
    state.sector_bytes[i] = static_cast<u8>(certificate.sectors[i].size());
    copy(state.sectors[i], certificate.sectors[i]);
  }
}

// What MSE SET AT carries for the terminal.
struct Request {
  ByteView protocol;
  ByteView holder;
  ByteView ephemeral;
  ByteView auxiliary;
};

bool parse_request(ByteView data, Request& out) {
  TlvCursor cursor(data);
  for (Tlv object; cursor.next(object);) {
    ByteView* field = object.tag == 0x80   ? &out.protocol
                      : object.tag == 0x83 ? &out.holder
                      : object.tag == 0x91 ? &out.ephemeral
                      : object.tag == 0x67 ? &out.auxiliary
                                           : nullptr;
    if (field == nullptr || field->data() != nullptr || object.value.empty()) return false;
    *field = object.value;
  }
  return cursor.ok() && !out.protocol.empty() && !out.holder.empty() && !out.ephemeral.empty() &&
         out.ephemeral.size() <= kMaxFieldBytes && out.auxiliary.size() <= kMaxAuxiliaryBytes;
}

// 67 is a row of 73 {06 oid, 53 value}.
bool valid_auxiliary(ByteView rest) {
  while (!rest.empty()) {
    ByteView item;
    ByteView oid;
    ByteView value;
    if (!take(rest, 0x73, item) || !take(item, 0x06, oid) || !take(item, 0x53, value) || !item.empty()) return false;
  }
  return true;
}

bool find_auxiliary(ByteView rest, ByteView wanted, ByteView& value) {
  while (!rest.empty()) {
    ByteView item;
    ByteView oid;
    if (!take(rest, 0x73, item) || !take(item, 0x06, oid) || !take(item, 0x53, value)) return false;
    if (equal(oid, wanted)) return true;
  }
  return false;
}

// Reference data of auxiliary data verification: an EF of the identity application, and how it is compared.
enum class Comparison : u8 { not_after, not_before, prefix };
struct AuxiliaryRow {
  u8 number;  // last arc of 0.4.0.127.0.7.3.1.4
  u16 file;
  Comparison comparison;
  u8 right;  // kAnyRight: none needed but chip authentication
};
constexpr AuxiliaryRow kAuxiliaryRows[] = {
    {.number = 1, .file = 0x0201, .comparison = Comparison::not_after, .right = kRightAge},
    {.number = 2, .file = 0x0203, .comparison = Comparison::not_before, .right = kAnyRight},
    {.number = 3, .file = 0x0202, .comparison = Comparison::prefix, .right = kRightMunicipality},
};
constexpr u8 kAuxiliaryArc[] = {0x04, 0x00, 0x7F, 0x00, 0x07, 0x03, 0x01, 0x04};
constexpr std::size_t kAuxiliaryDateBytes = 8;  // YYYYMMDD

bool digits(ByteView value) {
  for (const u8 c : value) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

bool satisfied(Comparison comparison, ByteView reference, ByteView asked) {
  if (comparison == Comparison::prefix) {
    return asked.size() <= reference.size() && equal(reference.first(asked.size()), asked);
  }
  for (std::size_t i = 0; i < kAuxiliaryDateBytes; ++i) {
    if (reference[i] != asked[i]) return (reference[i] < asked[i]) == (comparison == Comparison::not_after);
  }
  return true;
}

bool same(const CertifiedKey& a, const CertifiedKey& b) {
  return a.type == b.type && a.curve == b.curve && a.algorithm == b.algorithm && a.rights == b.rights &&
         a.sector_rights == b.sector_rights && equal(a.reference(), b.reference()) && equal(a.expires, b.expires) &&
         equal(a.point, b.point);
}

}  // namespace

// TR-03110-3 B.11.4, MSE SET DST, P1-P2 81B6 {83 authority}: the key that verifies the next certificate. Anchors of
// other terminal types than the one announced do not exist here.
Sw select_certificate_issuer(System& card, ByteView data) {
  TerminalAuthentication& state = card.terminal;
  state.issuer = TerminalAuthentication::Issuer::none;
  KARTA_OS_TRY(require_announced_terminal(card));
  ByteView reference;
  if (!take(data, 0x83, reference) || !data.empty() || reference.empty() || reference.size() > kMaxHolderBytes) {
    return Sw::incorrect_data;
  }
  CertifiedKey key;
  if (state.imported.type != TerminalType::none && equal(state.imported.reference(), reference)) {
    state.issuer = TerminalAuthentication::Issuer::imported;
  } else {
    KARTA_OS_TRY(card.anchors.find(card.pace.chat.type, reference, key));
    state.issuer = TerminalAuthentication::Issuer::anchor;
  }
  state.issuer_bytes = static_cast<u8>(reference.size());
  copy(state.issuer_reference, reference);
  return Sw::ok;
}

// 7816-8 section 5.9, VERIFY CERTIFICATE, P1-P2 00BE {7F4E, 5F37} (TR-03110-3 B.11.5).
Sw verify_certificate(System& card, const Command& command) {
  TerminalAuthentication& state = card.terminal;
  KARTA_OS_TRY(require_announced_terminal(card));
  CertifiedKey issuer;
  KARTA_OS_TRY(load_issuer(card, issuer));
  state.issuer = TerminalAuthentication::Issuer::none;
  CvCertificate certificate;
  if (!parse_certificate(card.hal, command.data, certificate)) return Sw::incorrect_data;
  if (certificate.chat.type != issuer.type) {
    // Behaviour 25: who mixes types of terminals has no rights of any type in this channel.
    state.clear();
    card.pace.has_chat = false;
    return Sw::security_status_not_satisfied;
  }
  Curve curve = issuer.curve;
  KARTA_OS_TRY(judge_certificate(card, issuer, certificate, curve));
  const ByteView body[] = {certificate.body};
  KARTA_OS_TRY(verify_signature(card.hal, issuer, body, certificate.signature));

  CertifiedKey key = key_of(certificate, curve);
  if (key.role == CertificateRole::cvca) return store_trust(card, &key, certificate.effective);
  // Behaviour 26: a foreign document verifier's terminals do not tell the time.
  const bool accurate = is_dv(key.role) || issuer.role == CertificateRole::domestic_dv;
  KARTA_OS_TRY(store_trust(card, nullptr, accurate ? certificate.effective : ByteView()));
  key.rights &= issuer.rights;  // behaviour 25
  key.sector_rights &= issuer.sector_rights;
  state.imported = key;
  copy_sectors(state, certificate);
  return Sw::ok;
}

// TR-03110-3 B.11.1, MSE SET AT for terminal authentication, P1-P2 81A4.
Sw announce_terminal(System& card, ByteView data) {
  TerminalAuthentication& state = card.terminal;
  state.ephemeral_bytes = 0;
  KARTA_OS_TRY(require_announced_terminal(card));
  Request request;
  Protocol protocol;
  if (!parse_request(data, request) || !parse_protocol(request.protocol, protocol)) return Sw::incorrect_data;
  if (!valid_auxiliary(request.auxiliary)) return Sw::incorrect_data;
  // Certificates of authorities open nothing (behaviour 24): only a terminal's is a terminal.
  const CertifiedKey& key = state.imported;
  if (key.type == TerminalType::none || key.role != CertificateRole::terminal ||
      !equal(key.reference(), request.holder)) {
    return Sw::referenced_data_not_found;
  }
  if (protocol.family != 2 || protocol.variant != 2 || protocol.number != key.algorithm) return Sw::incorrect_data;
  state.ephemeral_bytes = static_cast<u8>(request.ephemeral.size());
  copy(state.ephemeral, request.ephemeral);
  state.auxiliary_bytes = static_cast<u8>(request.auxiliary.size());
  copy(state.auxiliary, request.auxiliary);
  return Sw::ok;
}

// 7816-4 section 11.6.4, EXTERNAL AUTHENTICATE (TR-03110-3 B.11.7): the signature over ID_PICC, challenge, ephemeral
// key and auxiliary data.
Sw external_authenticate(System& card, const Command& command, Writer&) {
  TerminalAuthentication& state = card.terminal;
  const bool challenged = state.challenged;
  state.challenged = false;
  if (command.p1_p2() != 0) return Sw::incorrect_p1_p2;
  KARTA_OS_TRY(require_announced_terminal(card));
  if (!challenged || state.ephemeral_bytes == 0) return Sw::conditions_not_satisfied;
  u8 header[4];
  Writer auxiliary_header{ByteSpan(header)};
  if (state.auxiliary_bytes != 0) auxiliary_header.header(0x67, state.auxiliary_bytes);
  const ByteView message[] = {card.pace.identity(), state.challenge,
                              ByteView(state.ephemeral).first(state.ephemeral_bytes), auxiliary_header.written(),
                              ByteView(state.auxiliary).first(state.auxiliary_bytes)};
  KARTA_OS_TRY(verify_signature(card.hal, state.imported, message, command.data));

  const u64 rights = state.imported.rights & card.pace.chat.rights;  // behaviour 25
  const bool by_can = card.security.password() == Password::can;
  if (state.imported.type == TerminalType::authentication && by_can && (rights >> kRightCanAllowed & 1U) == 0) {
    return Sw::security_status_not_satisfied;
  }
  const u16 sector_rights = state.imported.sector_rights & card.pace.sector_rights;
  card.security.prove_terminal(state.imported.type, rights, sector_rights);
  return Sw::ok;
}

// TR-03110-3 B.11.10, VERIFY with class 80 and P1-P2 8000 {06 oid}: is what the terminal asked in its auxiliary data
// true of the card's data? The data themselves stay.
Sw verify_auxiliary_data(System& card, const Command& command, Writer&) {
  if (command.p1_p2() != 0x8000) return Sw::incorrect_p1_p2;
  ByteView data = command.data;
  ByteView oid;
  if (!take(data, 0x06, oid) || !data.empty()) return Sw::incorrect_data;
  if (!card.channel_is(ChannelKind::eac) || !card.security.chip_authenticated()) {
    return Sw::security_status_not_satisfied;
  }
  const AuxiliaryRow* row = nullptr;
  for (const AuxiliaryRow& candidate : kAuxiliaryRows) {
    if (oid.size() == sizeof kAuxiliaryArc + 1 && equal(oid.first(sizeof kAuxiliaryArc), kAuxiliaryArc) &&
        oid.back() == candidate.number) {
      row = &candidate;
    }
  }
  if (row == nullptr) return Sw::referenced_data_not_found;
  if (row->right != kAnyRight && !card.security.has_right(row->right)) return Sw::security_status_not_satisfied;
  ByteView asked;
  const TerminalAuthentication& state = card.terminal;
  if (!find_auxiliary(ByteView(state.auxiliary).first(state.auxiliary_bytes), oid, asked)) {
    return Sw::referenced_data_not_found;
  }
  File identity;
  File file;
  if (card.files.find_child(kMasterFileSlot, kIdentityFileId, identity) != Sw::ok ||
      card.files.find_child(identity.slot, row->file, file) != Sw::ok || file.kind != FileKind::transparent) {
    return Sw::referenced_data_not_found;
  }
  u8 content[32];
  const WipeOnExit wipe_content(content);
  if (file.size > sizeof content) return Sw::referenced_data_not_found;
  const ByteSpan reference = ByteSpan(content).first(file.size);
  KARTA_OS_TRY(card.files.read(file, 0, reference));
  if (row->comparison != Comparison::prefix) {
    if (reference.size() != kAuxiliaryDateBytes || !digits(reference)) return Sw::referenced_data_not_found;
    if (asked.size() != kAuxiliaryDateBytes || !digits(asked)) return Sw::incorrect_data;
  }
  return satisfied(row->comparison, reference, asked) ? Sw::ok : Sw::authentication_failed;
}

// PUT DATA 01 20, before issue: an anchor from its own certificate, 7F21 {7F4E, 5F37}.
Sw put_trust_anchor(System& card, ByteView data) {
  if (card.issued()) return Sw::security_status_not_satisfied;
  ByteView contents;
  CvCertificate certificate;
  if (!take(data, 0x7F21, contents) || !data.empty() || !parse_certificate(card.hal, contents, certificate)) {
    return Sw::incorrect_data;
  }
  if (certificate.chat.role != CertificateRole::cvca || !certificate.has_domain ||
      !equal(certificate.authority, certificate.holder) ||
      card.hal.ec_check_point(certificate.domain, certificate.point) != HalStatus::ok) {
    return Sw::incorrect_data;
  }
  const CertifiedKey key = key_of(certificate, certificate.domain);
  const ByteView body[] = {certificate.body};
  if (verify_signature(card.hal, key, body, certificate.signature) != Sw::ok) return Sw::incorrect_data;
  if (card.anchors.knows(certificate.holder)) {
    // The same once more: an issue that was interrupted begins again. Another one of the same name never.
    CertifiedKey present;
    if (card.anchors.find(key.type, certificate.holder, present) != Sw::ok) return Sw::incorrect_data;
    return same(present, key) ? Sw::ok : Sw::incorrect_data;
  }
  return store_trust(card, &key, certificate.effective);
}

// PUT DATA 01 21, before issue: the date the card begins with.
Sw put_card_date(System& card, ByteView data) {
  if (card.issued()) return Sw::security_status_not_satisfied;
  u8 now[kDateBytes];
  KARTA_OS_TRY(card.anchors.date(now));
  if (!valid_date(data) || earlier(data, now)) return Sw::incorrect_data;
  return store_trust(card, nullptr, data);
}

}  // namespace karta::os
