#include "identity/console/operator_acts.h"

#include <algorithm>

#include "identity/registry_impl.h"

namespace karta::identity {

using service::Statement;

Status OperatorActs::insert(OperatorAct& act) {
  Registry::Impl& impl = *registry_->impl_;
  act.id = impl.new_id();
  TRY(impl.database.execute(
      "INSERT INTO operator_acts (act_id, at, operator, kind, subject, detail, reason) VALUES ($1, $2, $3, $4, $5, "
      "$6, $7)",
      {act.id, seconds(impl.clock->now()), act.name, act.kind, act.subject, act.detail, act.reason}));
  return {};
}

Status OperatorActs::record(OperatorAct act) {
  TRY(check_cause({act.name, act.reason}));
  return registry_->impl_->database.transact([&] { return insert(act); });
}

Result<std::optional<Card>> OperatorActs::step_card(CardId id, CardState from, CardState to, RevocationReason reason,
                                                    const Cause& cause, OperatorAct act) {
  Registry::Impl& impl = *registry_->impl_;
  TRY(check_cause(cause));
  TRY(check_cause({act.name, act.reason}));
  TRY(check_card_step(to));
  std::optional<Card> moved;
  TRY(impl.database.transact([&]() -> Status {
    moved.reset();
    const Card card = TRY(impl.load_card(id));
    if (card.state != from) return {};
    TRY(insert(act));
    TRY(impl.move_card(card, to, reason, cause));
    moved = TRY(impl.load_card(id));
    return {};
  }));
  return moved;
}

Result<std::vector<OperatorAct>> OperatorActs::list(std::size_t limit, const std::optional<std::int64_t>& before) {
  Registry::Impl& impl = *registry_->impl_;
  std::int64_t last_at = INT64_MAX;
  if (before) {
    Statement row = TRY(impl.database.prepare("SELECT at FROM operator_acts WHERE act_id = $1"));
    TRY(row.query({*before}));
    if (!TRY(row.next())) return fail(ErrorKind::not_found, "there is no such act to go on from");
    last_at = row.integer(0);
  }
  Statement rows = TRY(impl.database.prepare(
      "SELECT act_id, at, operator, kind, subject, detail, reason FROM operator_acts WHERE (at, act_id) < ($1, $2) "
      "ORDER BY at DESC, act_id DESC LIMIT $3"));
  TRY(rows.query({last_at, before.value_or(0), static_cast<std::int64_t>(std::min(limit, kPageLimit))}));
  std::vector<OperatorAct> out;
  while (TRY(rows.next())) {
    OperatorAct act;
    act.id = rows.integer(0);
    act.at = from_seconds(rows.integer(1));
    act.name = rows.text(2);
    act.kind = rows.text(3);
    act.subject = rows.text(4);
    act.detail = rows.text(5);
    act.reason = rows.text(6);
    out.push_back(std::move(act));
  }
  return out;
}

}  // namespace karta::identity
