#include "daemon/transit/gate_reason.h"

#include <array>

namespace karta::daemon {
namespace {

using enum GateReason;
constexpr auto kRows = std::to_array<GateReasonRow>({
    {open, "open", "pass", "проходите", false},
    {no_product, "no-product", "there is no ticket on the card", "на карте нет билета", true},
    {not_valid, "not-valid", "the ticket is not valid today", "билет сегодня не действует", true},
    {wrong_zone, "wrong-zone", "the ticket is for other zones", "билет для других зон", true},
    {used_up, "used-up", "trips or money are used up", "поездки или деньги закончились", true},
    {quota, "quota", "the concession's rides are used up", "льготные поездки закончились", true},
    {pass_back, "pass-back", "the card has just been used here", "картой здесь только что проходили", true},
    {no_entry, "no-entry", "the card did not come in", "по карте не входили", true},
    {stopped, "stopped", "the card is stopped", "карта заблокирована", true},
    {unknown_card, "unknown-card", "the card is of no batch known here", "карта из неизвестной партии", true},
    {not_genuine, "not-genuine", "the card is not genuine", "карта не подлинная", true},
    {no_application, "no-application", "this is no transit card", "это не транспортная карта", false},
    {too_slow, "too-slow", "the card answers too slowly", "карта отвечает слишком медленно", true},
    {lost_answer, "lost-answer", "present the card again", "приложите карту ещё раз", true},
    {removed, "removed", "hold the card longer", "держите карту дольше", false},
    {busy, "busy", "another program holds the card", "картой занята другая программа", false},
    {unresponsive, "unresponsive", "the card does not answer", "карта не отвечает", false},
    {refused, "refused", "the card refuses", "карта отвечает отказом", true},
    {no_rules, "no-rules", "out of order: the gate has no rules", "не работает: нет правил проезда", false},
    {rules_too_old, "rules-too-old", "out of order: the rules are too old", "не работает: правила устарели", false},
    {no_stop_list, "no-stop-list", "out of order: there is no stop-list", "не работает: нет стоп-листа", false},
    {stop_list_too_old, "stop-list-too-old", "out of order: the stop-list is too old", "не работает: стоп-лист устарел",
     false},
    {trust_list_too_old, "trust-list-too-old", "out of order: the trust list is too old",
     "не работает: список доверия устарел", false},
    {clock, "clock", "out of order: the clock is wrong", "не работает: неверное время", false},
    {no_keys, "no-keys", "out of order: the gate has no keys", "не работает: нет ключей", false},
    {journal, "journal", "out of order: nothing can be written down", "не работает: журнал не пишется", false},
});
constexpr bool in_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (kRows[i].reason != static_cast<GateReason>(i)) return false;
  }
  return kRows.size() == static_cast<std::size_t>(journal) + 1;
}
static_assert(in_order());

}  // namespace

std::span<const GateReasonRow> gate_reason_rows() { return kRows; }
const GateReasonRow& row_of(GateReason reason) { return kRows[static_cast<std::size_t>(reason)]; }

GateReason gate_reason_of(card::TapReason reason) {
  constexpr GateReason kReasons[] = {open,  no_product, not_valid, wrong_zone, used_up,
                                     quota, pass_back,  no_entry,  stopped,    unknown_card};
  return kReasons[static_cast<std::size_t>(reason)];
}

GateReason gate_reason_of(const Error& error) {
  switch (error.kind) {
    case ErrorKind::card_insecure:
    case ErrorKind::untrusted:
    case ErrorKind::invalid_signature:
      return not_genuine;
    case ErrorKind::not_found:
    case ErrorKind::card_unknown:
      return no_application;
    case ErrorKind::card_removed:
    case ErrorKind::no_card:
    case ErrorKind::no_reader:
    case ErrorKind::no_pcscd:
      return removed;
    case ErrorKind::card_busy:
      return busy;
    case ErrorKind::card_refused:
    case ErrorKind::not_permitted:
    case ErrorKind::wrong_pin:
    case ErrorKind::pin_blocked:
      return refused;
    case ErrorKind::io:
    case ErrorKind::limit:
    case ErrorKind::busy:
      return journal;
    case ErrorKind::configuration:
      return no_keys;
    default:
      return unresponsive;
  }
}

}  // namespace karta::daemon
