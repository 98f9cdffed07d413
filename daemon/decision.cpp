#include "daemon/decision.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace karta::daemon {
namespace {

using identity::CardVerdict;
using identity::ClockState;

constexpr auto kReasons = std::to_array<ReasonRow>({
    {ReasonCode::genuine, "genuine", Trust::accepted, "The card is genuine and no copy.", "Карта подлинная, не копия."},
    {ReasonCode::not_stopped, "not-stopped", Trust::accepted, "The card is not on the stop-list.",
     "Карты нет в стоп-листе."},
    {ReasonCode::active_on_line, "active-on-line", Trust::accepted, "The identity system says now that it is active.",
     "Система идентификации подтвердила сейчас: карта действует."},
    {ReasonCode::not_asked, "not-asked", Trust::accepted,
     "The identity system was not asked: it is away, or the card is another region's. The stop-list decided.",
     "Система идентификации не опрошена: нет связи или карта другого региона. Решение по стоп-листу."},
    {ReasonCode::stop_list_stale, "stop-list-stale", Trust::accepted,
     "The stop-list is older than it should be; the rules of this desk allow it still.",
     "Стоп-лист устарел, но правила этого места ещё допускают его."},
    {ReasonCode::trust_list_stale, "trust-list-stale", Trust::accepted,
     "The trust list is older than it should be; the rules of this desk allow it still.",
     "Список доверия устарел, но правила этого места ещё допускают его."},
    {ReasonCode::not_listed, "not-listed", Trust::unknown,
     "The stop-list does not know this card's batch: it may be newer than the list.",
     "Стоп-лист не знает партии этой карты: возможно, она выпущена позже."},
    {ReasonCode::no_status_index, "no-status-index", Trust::unknown,
     "The card has no number by which its state could be looked up.",
     "У карты нет номера, по которому можно узнать её состояние."},
    {ReasonCode::no_stop_list, "no-stop-list", Trust::unknown, "There is no stop-list for this card's issuer.",
     "Нет стоп-листа издателя этой карты."},
    {ReasonCode::last_day_untold, "last-day-untold", Trust::unknown,
     "The card does not tell this terminal until when it is valid: its rights do not reach that far.",
     "Карта не сообщает этому терминалу срок своего действия: у него нет на это права."},
    {ReasonCode::clock_back, "clock-back", Trust::unknown, "This terminal's clock was set back: set it right.",
     "Часы терминала переведены назад: установите верное время."},
    {ReasonCode::clock_leapt, "clock-leapt", Trust::unknown, "This terminal's clock has leapt ahead: set it right.",
     "Часы терминала ушли далеко вперёд: установите верное время."},
    {ReasonCode::stop_list_too_old, "stop-list-too-old", Trust::refused,
     "The stop-list is too old to decide by: connect the terminal.",
     "Стоп-лист слишком старый: подключите терминал к сети."},
    {ReasonCode::trust_list_too_old, "trust-list-too-old", Trust::refused,
     "The trust list is too old to decide by: connect the terminal.",
     "Список доверия слишком старый: подключите терминал к сети."},
    {ReasonCode::not_genuine, "not-genuine", Trust::refused, "No issuer this terminal trusts has signed this card.",
     "Карту не подписал ни один издатель, которому доверяет терминал."},
    {ReasonCode::copied, "copied", Trust::refused, "The chip does not prove that it is the one the issuer made.",
     "Чип не подтвердил, что он изготовлен издателем: возможно, копия."},
    {ReasonCode::stopped, "stopped", Trust::refused, "The card is on the stop-list: lost, stolen or revoked.",
     "Карта в стоп-листе: утрачена, украдена или отозвана."},
    {ReasonCode::stopped_on_line, "stopped-on-line", Trust::refused,
     "The identity system says now that the card is suspended or revoked.",
     "Система идентификации сообщает: карта приостановлена или отозвана."},
    {ReasonCode::inactive_on_line, "inactive-on-line", Trust::refused,
     "The identity system says now that the card was not handed over yet: it is to be activated first.",
     "Система идентификации сообщает: карта ещё не выдана владельцу, сначала её активируют."},
    {ReasonCode::expired, "expired", Trust::refused, "The card's time is over.", "Срок действия карты истёк."},
});

constexpr bool in_order() {
  for (std::size_t i = 0; i < kReasons.size(); ++i) {
    if (static_cast<std::size_t>(kReasons[i].code) != i) return false;
  }
  return kReasons.size() == static_cast<std::size_t>(ReasonCode::expired) + 1;
}
static_assert(in_order(), "one row a code, in the order of the enum");

}  // namespace

std::string_view name_of(Trust trust) {
  constexpr std::string_view kNames[] = {"accepted", "unknown", "refused"};
  return kNames[static_cast<std::size_t>(trust)];
}

std::span<const ReasonRow> reason_rows() { return kReasons; }

const ReasonRow& row_of(ReasonCode code) { return kReasons[static_cast<std::size_t>(code)]; }

void Decision::add(ReasonCode code) {
  reasons.push_back(code);
  trust = std::max(trust, row_of(code).trust);
}

Json Decision::reasons_json() const {
  std::vector<ReasonCode> sorted = reasons;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](ReasonCode a, ReasonCode b) { return row_of(a).trust > row_of(b).trust; });
  Json out = Json::array();
  for (const ReasonCode code : sorted) {
    const ReasonRow& row = row_of(code);
    out.push_back({{"code", row.name}, {"words", {{"en", row.english}, {"ru", row.russian}}}});
  }
  return out;
}

std::string_view Decision::words() const {
  for (const ReasonCode code : reasons) {
    if (row_of(code).trust == trust) return row_of(code).english;
  }
  return {};
}

Decision decide(const Evidence& evidence) {
  Decision out;
  out.add(ReasonCode::genuine);
  if (evidence.clock == ClockState::back) out.add(ReasonCode::clock_back);
  if (evidence.clock == ClockState::leapt) out.add(ReasonCode::clock_leapt);
  if (evidence.trust_list == Age::stale) out.add(ReasonCode::trust_list_stale);
  if (evidence.trust_list == Age::too_old) out.add(ReasonCode::trust_list_too_old);
  if ((evidence.last_day && *evidence.last_day < evidence.today) || evidence.valid_today == false)
    out.add(ReasonCode::expired);
  if (evidence.last_day_untold) out.add(ReasonCode::last_day_untold);

  if (evidence.on_line) {
    // The authority's word of now stands above any list: it is newer in both directions.
    // One that was never handed over is in nobody's hands it should be in.
    const bool over = identity::row_of(*evidence.on_line).stopped || *evidence.on_line == identity::CardState::expired;
    out.add(over                                               ? ReasonCode::stopped_on_line
            : *evidence.on_line == identity::CardState::active ? ReasonCode::active_on_line
                                                               : ReasonCode::inactive_on_line);
    return out;
  }
  if (evidence.on_line_wanted) out.add(ReasonCode::not_asked);
  if (!evidence.status_index) {
    out.add(ReasonCode::no_status_index);
    return out;
  }
  // What an old list says of a dead card is true all the same.
  if (evidence.verdict == CardVerdict::stopped) {
    out.add(ReasonCode::stopped);
    return out;
  }
  if (evidence.stop_list == Age::missing || !evidence.verdict) {
    out.add(ReasonCode::no_stop_list);
    return out;
  }
  if (evidence.stop_list == Age::stale) out.add(ReasonCode::stop_list_stale);
  if (evidence.stop_list == Age::too_old) out.add(ReasonCode::stop_list_too_old);
  out.add(*evidence.verdict == CardVerdict::good ? ReasonCode::not_stopped : ReasonCode::not_listed);
  return out;
}

}  // namespace karta::daemon
