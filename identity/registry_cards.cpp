// The registry's cards: ordered, produced, moved from state to state.
#include "identity/daily_counts.h"
#include "identity/registry_impl.h"
#include "identity/registry_rows.h"

namespace karta::identity {
namespace {

using detail::check_statement;
using detail::no_citizen;
using detail::raw;
using service::Statement;

constexpr std::size_t kSerialDigits = 40;  // of a chip, hexadecimal

constexpr std::string_view kCardColumns =
    "c.card_id, c.citizen_id, c.serial, c.status_index, c.profile, c.batch, c.state, c.revocation_reason, c.replaces, "
    "c.valid_until, c.created_at, c.changed_at";

Card card_of(const Statement& row) {
  Card card;
  card.id = CardId{row.integer(0)};
  card.citizen = CitizenId{row.integer(1)};
  card.serial = row.text(2);
  card.status_index = static_cast<std::uint64_t>(row.integer(3));
  card.profile = row.text(4);
  card.batch = row.text(5);
  card.state = static_cast<CardState>(row.integer(6));
  card.revocation_reason = static_cast<RevocationReason>(row.integer(7));
  if (const auto replaces = row.integer_or_null(8)) card.replaces = CardId{*replaces};
  if (const auto until = row.integer_or_null(9)) card.valid_until = from_seconds(*until);
  card.created = from_seconds(row.integer(10));
  card.changed = from_seconds(row.integer(11));
  return card;
}

}  // namespace

Status check_card_step(CardState to) {
  if (to != CardState::produced && to != CardState::ordered) return {};
  return fail(ErrorKind::usage, "a card becomes " + std::string(row_of(to).name) + " in another way",
              "cards are ordered by order_card() and produced by produce_card()");
}

// Steps of transactions

Result<Card> Registry::Impl::load_card(CardId id) {
  Statement row = TRY(database.prepare("SELECT " + std::string(kCardColumns) +
                                       " FROM card_by_id AS i JOIN cards AS c ON c.citizen_id = i.citizen_id AND "
                                       "c.card_id = i.card_id WHERE i.card_id = $1"));
  TRY(row.query({raw(id)}));
  if (!TRY(row.next())) return fail(ErrorKind::not_found, "there is no card \"" + format_id(id) + "\"");
  return card_of(row);
}

Result<Card> Registry::Impl::find_card(std::string_view sql, service::Parameter key, std::string_view what) {
  std::optional<CardId> id;
  {
    Statement row = TRY(database.prepare(sql));
    TRY(row.query({key}));
    if (TRY(row.next())) id = CardId{row.integer(0)};
  }
  if (!id) return fail(ErrorKind::not_found, "no card has this " + std::string(what));
  return load_card(*id);
}

// The row is unique, so that of two servers that order at the same moment one finds the other's card here.
Status Registry::Impl::take_place_of(CardId old, CardId successor) {
  const std::int64_t first = TRY(
      database.execute("INSERT INTO card_successors (card_id, successor_id) VALUES ($1, $2) ON CONFLICT (card_id) DO "
                       "NOTHING",
                       {raw(old), raw(successor)}));
  if (first == 1) return {};
  std::optional<CardId> present;
  {
    Statement row = TRY(database.prepare("SELECT successor_id FROM card_successors WHERE card_id = $1"));
    TRY(row.query({raw(old)}));
    if (TRY(row.next())) present = CardId{row.integer(0)};
  }
  if (!present) return fail(ErrorKind::internal, "a card's successor vanished in a transaction");
  const Card before = TRY(load_card(*present));
  if (!row_of(before.state).final) {
    return fail(ErrorKind::already_exists,
                "card \"" + format_id(before.id) + "\" has been ordered in the place of \"" + format_id(old) + "\"");
  }
  // That one came to nothing: lost on its way, or given up.
  TRY(database.execute("UPDATE card_successors SET successor_id = $2 WHERE card_id = $1", {raw(old), raw(successor)}));
  return {};
}

Status Registry::Impl::move_card(const Card& card, CardState to, RevocationReason reason, const Cause& cause) {
  TRY(check_transition(card.state, to));
  const RevocationReason kept = to == CardState::revoked ? reason : RevocationReason::unspecified;
  TRY(
      database.execute("UPDATE cards SET state = $3, revocation_reason = $4, changed_at = $5 WHERE citizen_id = $1 AND "
                       "card_id = $2",
                       {raw(card.citizen), raw(card.id), static_cast<std::int64_t>(to), static_cast<std::int64_t>(kept),
                        seconds(clock->now())}));
  TRY(move_certificates(card, to, kept));
  TRY(count_card_step(database, clock->now(), card, to));
  if (row_of(card.state).stopped != row_of(to).stopped) {
    TRY(database.execute("UPDATE counters SET value = value + 1 WHERE name = 'card-stops'"));
  }
  std::string after(row_of(to).name);
  if (to == CardState::revoked) after += " (" + std::string(name_of(reason)) + ")";
  return add_event({card.citizen, "card-state", card.id, row_of(card.state).name, after}, cause);
}

// What the registry does

Result<Card> Registry::order_card(const CardOrder& order, const Cause& cause) {
  std::vector<Card> cards = TRY(order_cards({order}, cause));
  return std::move(cards.front());
}

Result<std::vector<Card>> Registry::order_cards(const std::vector<CardOrder>& orders, const Cause& cause) {
  TRY(check_cause(cause));
  for (const CardOrder& order : orders) {
    TRY(check_statement(order.profile, "card profile", true));
    TRY(check_statement(order.batch, "batch", true));
    if (order.block_size < 1 || order.block_size > kStatusBlockMaxSize) {
      return fail(ErrorKind::usage, "a block holds 1 to " + std::to_string(kStatusBlockMaxSize) + " status indexes");
    }
  }
  std::vector<Card> cards;
  const auto order_one = [&](const CardOrder& order) -> Status {
    {
      Statement citizen = TRY(impl_->database.prepare("SELECT 1 FROM citizens WHERE citizen_id = $1"));
      TRY(citizen.query({raw(order.citizen)}));
      if (!TRY(citizen.next())) return no_citizen(order.citizen);
    }
    if (order.replaces) {
      const Card old = TRY(impl_->load_card(*order.replaces));
      if (old.citizen != order.citizen) return fail(ErrorKind::usage, "the card to be replaced is another citizen's");
    }
    const CardId id{impl_->new_id()};
    if (order.replaces) TRY(impl_->take_place_of(*order.replaces, id));
    const auto index = static_cast<std::int64_t>(TRY(impl_->allocate_status_index(order.batch, order.block_size)));
    std::optional<std::int64_t> replaces;
    if (order.replaces) replaces = raw(*order.replaces);
    Statement card = TRY(impl_->database.prepare(
        "INSERT INTO cards (citizen_id, card_id, serial, status_index, profile, batch, state, revocation_reason, "
        "replaces, valid_until, created_at, changed_at) VALUES ($1, $2, NULL, $3, $4, $5, $6, 0, $7, NULL, $8, $8)"));
    TRY(card.execute({raw(order.citizen), raw(id), index, order.profile, order.batch,
                      static_cast<std::int64_t>(CardState::ordered), replaces, seconds(impl_->clock->now())}));
    TRY(impl_->database.execute("INSERT INTO card_by_id (card_id, citizen_id) VALUES ($1, $2)",
                                {raw(id), raw(order.citizen)}));
    TRY(impl_->database.execute("INSERT INTO card_by_index (status_index, card_id) VALUES ($1, $2)", {index, raw(id)}));
    TRY(impl_->add_event({order.citizen, "card-state", id, "", row_of(CardState::ordered).name}, cause));
    cards.push_back(TRY(impl_->load_card(id)));
    return {};
  };
  const auto work = [&]() -> Status {
    cards.clear();
    for (const CardOrder& order : orders) TRY(order_one(order));
    return count_today(impl_->database, impl_->clock->now(), card_state_counter(CardState::ordered),
                       static_cast<std::int64_t>(orders.size()));
  };
  TRY(impl_->database.transact(work));
  return cards;
}

Result<Card> Registry::produce_card(CardId id, std::string_view serial, Time valid_until, const Cause& cause) {
  TRY(check_cause(cause));
  const auto octets = from_hex(serial);
  if (!octets || octets->empty() || octets->size() * 2 > kSerialDigits) {
    return fail(ErrorKind::malformed,
                "a chip's serial is up to " + std::to_string(kSerialDigits) + " hexadecimal digits");
  }
  const std::string canonical = to_hex(*octets);
  std::optional<Card> produced;
  const auto work = [&]() -> Status {
    const Card card = TRY(impl_->load_card(id));
    TRY(impl_->move_card(card, CardState::produced, RevocationReason::unspecified, cause));
    auto bound =
        impl_->database.execute("INSERT INTO card_by_serial (serial, card_id) VALUES ($1, $2)", {canonical, raw(id)});
    if (!bound && bound.error().kind == ErrorKind::already_exists) {
      return fail(ErrorKind::already_exists, "another card of the registry has the chip serial \"" + canonical + "\"",
                  "a chip is issued once; take a blank card");
    }
    TRY(std::move(bound));
    TRY(impl_->database.execute("UPDATE cards SET serial = $3, valid_until = $4 WHERE citizen_id = $1 AND card_id = $2",
                                {raw(card.citizen), raw(id), canonical, seconds(valid_until)}));
    TRY(count_card_end(impl_->database, impl_->clock->now(), valid_until, CardState::produced));
    produced = TRY(impl_->load_card(id));
    return {};
  };
  TRY(impl_->database.transact(work));
  return std::move(*produced);
}

Result<Card> Registry::change_card_state(CardId id, CardState to, const Cause& cause, RevocationReason reason) {
  TRY(check_cause(cause));
  TRY(check_card_step(to));
  std::optional<Card> moved;
  const auto work = [&]() -> Status {
    const Card card = TRY(impl_->load_card(id));
    TRY(impl_->move_card(card, to, reason, cause));
    moved = TRY(impl_->load_card(id));
    return {};
  };
  TRY(impl_->database.transact(work));
  return std::move(*moved);
}

Status Registry::record_deed(CardId id, std::string_view kind, std::string_view detail, const Cause& cause) {
  TRY(check_cause(cause));
  TRY(check_statement(kind, "kind of deed", true));
  TRY(check_statement(detail, "deed", false));
  return impl_->database.transact([&]() -> Status {
    const Card card = TRY(impl_->load_card(id));
    return impl_->add_event({card.citizen, kind, id, "", detail}, cause);
  });
}

Result<Card> Registry::card(CardId id) { return impl_->load_card(id); }
Result<Card> Registry::read_card(CardId id, const Purpose& purpose) {
  TRY(check_purpose(purpose));
  std::optional<Card> card;
  TRY(impl_->database.transact([&]() -> Status {
    card = TRY(impl_->load_card(id));
    return impl_->log_access(card->citizen, purpose, "card");
  }));
  return std::move(*card);
}
Result<Card> Registry::card_by_serial(std::string_view serial) {
  const auto octets = from_hex(serial);
  if (!octets) return fail(ErrorKind::malformed, "a chip's serial is hexadecimal");
  return impl_->find_card("SELECT card_id FROM card_by_serial WHERE serial = $1", to_hex(*octets), "serial");
}
Result<Card> Registry::card_by_status_index(std::uint64_t status_index) {
  if (status_index > kStatusIndexMax) return fail(ErrorKind::not_found, "no card has this status index");
  return impl_->find_card("SELECT card_id FROM card_by_index WHERE status_index = $1",
                          static_cast<std::int64_t>(status_index), "status index");
}

Result<std::vector<Card>> Registry::cards_of(CitizenId citizen) {
  Statement rows = TRY(impl_->database.prepare("SELECT " + std::string(kCardColumns) +
                                               " FROM cards AS c WHERE c.citizen_id = $1 "
                                               "ORDER BY c.created_at, c.card_id"));
  TRY(rows.query({raw(citizen)}));
  std::vector<Card> cards;
  while (TRY(rows.next())) cards.push_back(card_of(rows));
  return cards;
}

}  // namespace karta::identity
