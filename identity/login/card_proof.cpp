#include "identity/login/card_proof.h"

#include <algorithm>
#include <array>

#include "base/file.h"
#include "crypto/web_eid.h"
#include "identity/citizen_reads.h"

namespace karta::identity {
namespace {

using crypto::PathFault;
using R = CardRefusal;

constexpr Words kAskCounter{"Ask at a service counter.", "Обратитесь в окно обслуживания."};
constexpr Words kNewCard{"You need a new card: ask at a service counter.",
                         "Нужна новая карта: обратитесь в окно обслуживания."};

constexpr auto kRows = std::to_array<CardRefusalRow>({
    {R::broken_token,
     "broken-token",
     {"The card's answer could not be read", "Ответ карты не удалось прочитать"},
     {"Please try again. If it happens again, the agent on this computer may be too old.",
      "Попробуйте ещё раз. Если это повторится, программа-агент на этом компьютере, возможно, устарела."}},
    {R::wrong_signature,
     "wrong-signature",
     {"The card's signature is not right", "Подпись карты неверна"},
     {"It was not made for this log-in. Please begin again.", "Она сделана не для этого входа. Начните вход заново."}},
    {R::unknown_issuer,
     "unknown-issuer",
     {"This card was issued by somebody we do not know", "Карта выпущена неизвестным нам издателем"},
     {"Log in with your citizen card.", "Войдите с картой гражданина."}},
    {R::wrong_certificate,
     "wrong-certificate",
     {"This certificate is not one for logging in", "Этот сертификат не предназначен для входа"},
     {"Choose the certificate for logging in (AUT) of your card.", "Выберите на карте сертификат для входа (AUT)."}},
    {R::not_registered,
     "not-registered",
     {"This card is not in the register", "Этой карты нет в реестре"},
     kAskCounter},
    {R::certificate_expired,
     "certificate-expired",
     {"The card's certificate has expired", "Срок действия сертификата карты истёк"},
     kNewCard},
    {R::certificate_not_yet_valid,
     "certificate-not-yet-valid",
     {"The card's certificate is not valid yet", "Сертификат карты ещё не действует"},
     kAskCounter},
    {R::certificate_revoked,
     "certificate-revoked",
     {"The card's certificate has been revoked", "Сертификат карты отозван"},
     kNewCard},
    {R::certificate_on_hold,
     "certificate-on-hold",
     {"The card's certificate is on hold", "Действие сертификата карты приостановлено"},
     {"If the card is in your hands again, a service counter can release it.",
      "Если карта снова у вас, её действие возобновят в окне обслуживания."}},
    {R::card_not_active,
     "card-not-active",
     {"This card has not been handed over yet", "Карта ещё не выдана"},
     kAskCounter},
    {R::card_suspended,
     "card-suspended",
     {"This card is suspended", "Карта приостановлена"},
     {"If it is in your hands again, a service counter can release it.",
      "Если карта снова у вас, её действие возобновят в окне обслуживания."}},
    {R::card_revoked, "card-revoked", {"This card has been revoked", "Карта отозвана"}, kNewCard},
    {R::card_expired, "card-expired", {"This card has expired", "Срок действия карты истёк"}, kNewCard},
    {R::card_replaced,
     "card-replaced",
     {"Another card has taken the place of this one", "Эта карта заменена другой"},
     {"Use the new card.", "Пользуйтесь новой картой."}},
});

CardRefusal refusal_of(PathFault fault) {
  switch (fault) {
    case PathFault::expired:
      return R::certificate_expired;
    case PathFault::not_yet_valid:
      return R::certificate_not_yet_valid;
    case PathFault::key_usage:
      return R::wrong_certificate;
    default:
      return R::unknown_issuer;
  }
}

/// A card's state that is not one to log in with.
std::optional<CardRefusal> refusal_of(CardState state, const std::optional<Time>& valid_until, Time now) {
  switch (state) {
    case CardState::ordered:
    case CardState::produced:
    case CardState::shipped:
      return R::card_not_active;
    case CardState::suspended:
      return R::card_suspended;
    case CardState::revoked:
      return R::card_revoked;
    case CardState::expired:
      return R::card_expired;
    case CardState::replaced:
      return R::card_replaced;
    case CardState::active:
      break;
  }
  if (valid_until && now >= *valid_until) return R::card_expired;
  return std::nullopt;
}

Result<std::vector<crypto::Certificate>> read_certificates(const std::vector<std::filesystem::path>& files) {
  std::vector<crypto::Certificate> out;
  for (const std::filesystem::path& file : files) {
    const Bytes octets = TRY(read_file(file, 64 * crypto::Certificate::kMostOctets));
    auto certificates = crypto::Certificate::many_from_file_octets(octets);
    if (!certificates) {
      return fail(ErrorKind::configuration, "\"" + file.string() + "\": " + certificates.error().message);
    }
    for (crypto::Certificate& one : *certificates) out.push_back(std::move(one));
  }
  return out;
}

/// The certificate's path, then its place in the registry, then its card.
Result<CardJudgement> judge(const CardAuthorities& authorities, const RoomSurroundings& around,
                            const crypto::Certificate& certificate) {
  CardJudgement out;
  const Time now = around.clock.now();
  const crypto::PathResult path =
      authorities.verifier().verify(certificate, {.at = now, .purpose = crypto::Purpose::authenticate});
  const std::string issuer = certificate.issuer().to_text();
  const auto holder = TRY(find_certificate_holder(around.database, issuer, certificate.serial()));
  // Whose it is stands in the registry; a forged certificate has the number of a real one, so the path decides first,
  // and it must be the very one that was given out.
  const bool known = holder && equal(holder->der, certificate.der());
  const bool only_time = path.fault == PathFault::expired || path.fault == PathFault::not_yet_valid;
  if (!path.ok() && !(only_time && known)) {
    out.refusal = refusal_of(path.fault);
    return out;
  }
  if (!known) {
    out.refusal = R::not_registered;
    return out;
  }
  out.proof.citizen = holder->citizen;
  out.proof.card = holder->card;
  out.proof.issuer = issuer;
  out.proof.serial = certificate.serial();
  if (holder->kind != CertificateKind::aut) {
    out.refusal = R::wrong_certificate;
    return out;
  }
  // What says most comes first: a lost card's certificate is on hold, too.
  out.refusal = refusal_of(holder->card_state, holder->card_valid_until, now);
  if (!out.refusal && holder->revoked_at) {
    out.refusal =
        holder->reason == RevocationReason::certificate_hold ? R::certificate_on_hold : R::certificate_revoked;
  }
  if (!out.refusal && !path.ok()) out.refusal = refusal_of(path.fault);
  return out;
}

CardJudgement refused(CardRefusal refusal) {
  CardJudgement out;
  out.refusal = refusal;
  return out;
}

}  // namespace

std::span<const CardRefusalRow> card_refusals() { return kRows; }
const CardRefusalRow& row_of(CardRefusal refusal) {
  const auto row = std::ranges::find(kRows, refusal, &CardRefusalRow::refusal);
  KARTA_CHECK(row != kRows.end());
  return *row;
}

Result<std::shared_ptr<const CardAuthorities>> CardAuthorities::open(
    const std::vector<std::filesystem::path>& roots, const std::vector<std::filesystem::path>& authorities) {
  auto anchors = TRY(read_certificates(roots));
  auto between = TRY(read_certificates(authorities));
  return std::make_shared<const CardAuthorities>(crypto::PathVerifier(std::move(anchors), std::move(between)));
}

Result<CardJudgement> judge_certificate(const CardAuthorities& authorities, const RoomSurroundings& around,
                                        ByteView certificate_der) {
  const auto certificate = crypto::Certificate::from_der(certificate_der);
  if (!certificate) return refused(R::broken_token);
  return judge(authorities, around, *certificate);
}

Result<CardJudgement> judge_token(const CardAuthorities& authorities, const RoomSurroundings& around,
                                  std::string_view token_json, std::string_view origin, std::string_view nonce) {
  const auto token = crypto::parse_web_eid_token(token_json);
  if (!token) return refused(R::broken_token);
  const auto certificate = crypto::Certificate::from_der(token->certificate);
  if (!certificate) return refused(R::broken_token);
  const auto key = certificate->public_key();
  if (!key) return refused(R::broken_token);
  if (const Status signature = crypto::verify_web_eid(*token, *key, origin, nonce); !signature) {
    return refused(R::wrong_signature);
  }
  return judge(authorities, around, *certificate);
}

}  // namespace karta::identity
