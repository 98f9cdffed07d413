#include "identity/requests/request_ledger.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <nlohmann/json.hpp>
#include <tuple>

#include "identity/daily_counts.h"
#include "identity/registry_impl.h"

namespace karta::identity {
namespace {

using Json = nlohmann::ordered_json;
using service::Database;
using service::Statement;

struct PartRow {
  RequestPart part;
  std::string_view name;    ///< in addresses
  std::string_view column;  ///< of the table requests
};
constexpr auto kParts = std::to_array<PartRow>({
    {RequestPart::request, "request", "request"},
    {RequestPart::receipt, "receipt", "receipt"},
    {RequestPart::answer, "answer", "answer"},
    {RequestPart::answer_receipt, "answer-receipt", "answer_receipt"},
});

std::int64_t raw(CitizenId id) { return static_cast<std::int64_t>(id); }

std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& one : words) out += (out.empty() ? "" : ",") + one;
  return out;
}
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    out.emplace_back(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return out;
}

constexpr std::string_view kStateColumns =
    "SELECT r.request_id, r.citizen_id, r.request_hash, r.asker, r.answerer, r.subjects, r.received_at, r.deadline_at, "
    "r.answered_at FROM request_by_id AS r ";

RequestState state_of(const Statement& row) {
  RequestState out;
  out.id = row.text(0);
  out.citizen = CitizenId{row.integer(1)};
  out.hash = to_bytes(row.octets(2));
  out.from = row.text(3);
  out.to = row.text(4);
  out.subjects = split(row.text(5));
  out.received = from_seconds(row.integer(6));
  out.deadline = from_seconds(row.integer(7));
  if (const auto answered = row.integer_or_null(8)) out.answered = from_seconds(*answered);
  return out;
}

Result<std::optional<RequestState>> load(Database& database, std::string_view id) {
  Statement row = TRY(database.prepare(std::string(kStateColumns) + "WHERE r.request_id = $1"));
  TRY(row.query({id}));
  if (!TRY(row.next())) return std::optional<RequestState>();
  return std::optional(state_of(row));
}

tl::unexpected<Error> no_request(std::string_view id) {
  return fail(ErrorKind::not_found, "there is no request \"" + std::string(id) + "\"");
}

/// Why a request's documents are looked at: as its asker said, by whoever looks.
Result<Purpose> purpose_of(Database& database, const RequestState& state, const std::string& actor) {
  Statement row = TRY(database.prepare(
      "SELECT purpose, case_id, legal_basis, disclose_at FROM requests WHERE citizen_id = $1 AND request_id = $2"));
  TRY(row.query({raw(state.citizen), state.id}));
  if (!TRY(row.next())) return no_request(state.id);
  Purpose out{actor, std::string(row.text(0)), std::string(row.text(1)), std::string(row.text(2))};
  if (const auto told = row.integer_or_null(3)) out.disclose_at = from_seconds(*told);
  return out;
}

/// A citizen nobody knows has no log.
Status log_access(Registry::Impl& impl, CitizenId citizen, const Purpose& purpose, std::string_view what) {
  if (citizen == CitizenId{}) return {};
  return impl.log_access(citizen, purpose, what);
}

Json date_or_null(const std::optional<Date>& date) { return date ? Json(format_date(*date)) : Json(); }

Json identity_of(const Citizen& citizen) {
  constexpr std::array<std::string_view, 3> kSexes = {"not-stated", "male", "female"};
  return {{"family", citizen.family},
          {"given", citizen.given},
          {"patronymic", citizen.patronymic},
          {"birth_date", format_date(citizen.birth_date)},
          {"sex", kSexes[static_cast<std::size_t>(citizen.sex)]},
          {"snils", citizen.snils.text()}};
}
Json insurance_of(const Citizen& citizen) {
  return {{"enp", citizen.enp ? Json(std::string(citizen.enp->text())) : Json()}, {"insurer", citizen.insurer}};
}
Json concessions_of(const Citizen& citizen) {
  Json out = Json::array();
  for (const Concession& one : citizen.concessions) {
    out.push_back({{"kind", row_of(one.kind).name},
                   {"valid_from", format_date(one.valid_from)},
                   {"valid_until", date_or_null(one.valid_until)}});
  }
  return out;
}
Json cards_json(const std::vector<Card>& cards, Time now) {
  Json out = Json::array();
  for (const Card& one : cards) {
    out.push_back({{"status_index", one.status_index},
                   {"state", row_of(state_at(one, now)).name},
                   {"valid_until", one.valid_until ? Json(format_time(*one.valid_until)) : Json()},
                   {"changed", format_time(one.changed)}});
  }
  return out;
}

}  // namespace

std::optional<RequestPart> find_request_part(std::string_view name) {
  const auto row = std::ranges::find(kParts, name, &PartRow::name);
  if (row == kParts.end()) return std::nullopt;
  return row->part;
}

Result<std::optional<RequestState>> RequestLedger::find(std::string_view id) {
  return load(registry_->impl_->database, id);
}

Result<std::optional<CitizenId>> RequestLedger::citizen_of(const DepartmentRequest& request) {
  if (request.snils) return registry_->citizen_of(*request.snils);
  Statement row = TRY(registry_->impl_->database.prepare("SELECT citizen_id FROM citizens WHERE citizen_id = $1"));
  TRY(row.query({raw(request.citizen.value())}));
  if (!TRY(row.next())) return std::optional<CitizenId>();
  return request.citizen;
}

Result<std::string> RequestLedger::look_up(CitizenId citizen, const std::vector<std::string>& subjects,
                                           const Purpose& purpose) {
  TRY(check_purpose(purpose));
  Registry::Impl& impl = *registry_->impl_;
  std::optional<CitizenRecord> record;
  std::vector<Card> cards;
  TRY(impl.database.transact([&]() -> Status {
    TRY(impl.log_access(citizen, purpose, "looked up: " + join(subjects)));
    record = TRY(impl.load_citizen(citizen));
    cards = TRY(registry_->cards_of(citizen));
    return {};
  }));
  struct Row {
    std::string_view subject;
    Json (*data)(const Citizen&);
  };
  constexpr auto kRows =
      std::to_array<Row>({{"identity", identity_of}, {"insurance", insurance_of}, {"concessions", concessions_of}});
  Json out = Json::object();
  for (const std::string& subject : subjects) {
    const auto row = std::ranges::find(kRows, subject, &Row::subject);
    if (row != kRows.end()) {
      out[subject] = row->data(record->citizen);
    } else {
      KARTA_CHECK(subject == "card-status");
      out[subject] = cards_json(cards, impl.clock->now());
    }
  }
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Status RequestLedger::keep(const RequestState& state, const Purpose& purpose, ByteView request, ByteView receipt,
                           const std::optional<AnswerDocuments>& answer) {
  TRY(check_purpose(purpose));
  Registry::Impl& impl = *registry_->impl_;
  const std::string subjects = join(state.subjects);
  std::optional<std::int64_t> answered, disclose_at;
  std::optional<ByteView> answer_octets, answer_receipt;
  if (answer) {
    answered = seconds(answer->received);
    answer_octets = answer->answer;
    answer_receipt = answer->receipt;
  }
  if (purpose.disclose_at) disclose_at = seconds(*purpose.disclose_at);
  return impl.database.transact([&]() -> Status {
    const std::int64_t fresh = TRY(impl.database.execute(
        "INSERT INTO request_by_id (request_id, citizen_id, request_hash, asker, answerer, subjects, received_at, "
        "deadline_at, answered_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (request_id) DO NOTHING",
        {state.id, raw(state.citizen), state.hash, state.from, state.to, subjects, seconds(state.received),
         seconds(state.deadline), answered}));
    if (fresh == 0) return fail(ErrorKind::already_exists, "there is a request of this id");
    TRY(impl.database.execute(
        "INSERT INTO requests (citizen_id, request_id, purpose, case_id, legal_basis, disclose_at, request, receipt, "
        "answer, answer_receipt) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        {raw(state.citizen), state.id, purpose.purpose, purpose.case_id, purpose.legal_basis, disclose_at, request,
         receipt, answer_octets, answer_receipt}));
    TRY(log_access(impl, state.citizen, purpose, "asked " + state.to + ": " + subjects));
    TRY(count_today(impl.database, impl.clock->now(), kRequestsReceived));
    if (answer) TRY(count_today(impl.database, impl.clock->now(), kRequestsAnswered));
    return {};
  });
}

Status RequestLedger::keep_answer(std::string_view id, const std::string& actor, const AnswerDocuments& answer) {
  Registry::Impl& impl = *registry_->impl_;
  return impl.database.transact([&]() -> Status {
    const auto state = TRY(load(impl.database, id));
    if (!state) return no_request(id);
    const Purpose purpose = TRY(purpose_of(impl.database, *state, actor));
    const std::int64_t first = TRY(
        impl.database.execute("UPDATE request_by_id SET answered_at = $2 WHERE request_id = $1 AND answered_at IS NULL",
                              {id, seconds(answer.received)}));
    if (first == 0) return fail(ErrorKind::already_exists, "the request is answered already");
    TRY(impl.database.execute(
        "UPDATE requests SET answer = $3, answer_receipt = $4 WHERE citizen_id = $1 AND request_id = $2",
        {raw(state->citizen), id, answer.answer, answer.receipt}));
    TRY(log_access(impl, state->citizen, purpose, "answered " + state->from + ": " + join(state->subjects)));
    TRY(count_today(impl.database, impl.clock->now(), kRequestsAnswered));
    if (state->deadline < answer.received) TRY(count_today(impl.database, impl.clock->now(), kRequestsLate));
    return {};
  });
}

Result<Bytes> RequestLedger::hand_out(std::string_view id, RequestPart part, const std::string& actor) {
  Registry::Impl& impl = *registry_->impl_;
  const PartRow& row = kParts[static_cast<std::size_t>(part)];
  Bytes out;
  TRY(impl.database.transact([&]() -> Status {
    out.clear();
    const auto state = TRY(load(impl.database, id));
    if (!state) return no_request(id);
    // Receipts hold no datum of the person.
    if (part == RequestPart::request || part == RequestPart::answer) {
      const Purpose purpose = TRY(purpose_of(impl.database, *state, actor));
      TRY(log_access(impl, state->citizen, purpose,
                     "took the " + std::string(row.name) + ": " + join(state->subjects)));
    }
    Statement found = TRY(impl.database.prepare("SELECT " + std::string(row.column) +
                                                " FROM requests WHERE citizen_id = $1 AND request_id = $2"));
    TRY(found.query({raw(state->citizen), id}));
    if (!TRY(found.next()) || found.is_null(0)) {
      return fail(ErrorKind::not_found, "the request \"" + std::string(id) + "\" is not answered yet");
    }
    out = to_bytes(found.octets(0));
    return {};
  }));
  return out;
}

Result<std::vector<RequestState>> RequestLedger::list(RequestBox box, std::string_view department, std::size_t limit,
                                                      std::string_view after) {
  Registry::Impl& impl = *registry_->impl_;
  std::optional<RequestState> last;
  if (!after.empty()) {
    last = TRY(load(impl.database, after));
    if (!last) return no_request(after);
  }
  const auto most = static_cast<std::int64_t>(std::min(limit, kPageLimit));
  const std::string_view last_id = last ? std::string_view(last->id) : std::string_view();
  const std::int64_t last_deadline = last ? seconds(last->deadline) : INT64_MIN;
  std::string sql(kStateColumns);
  std::vector<RequestState> out;
  const auto take = [&](Statement& rows) -> Status {
    while (TRY(rows.next())) out.push_back(state_of(rows));
    return {};
  };
  switch (box) {
    case RequestBox::inbox: {
      Statement rows = TRY(impl.database.prepare(
          sql +
          "WHERE r.answerer = $1 AND r.answered_at IS NULL AND (r.deadline_at, r.request_id) > ($2, $3) ORDER BY "
          "r.deadline_at, r.request_id LIMIT $4"));
      TRY(rows.query({department, last_deadline, last_id, most}));
      TRY(take(rows));
      break;
    }
    case RequestBox::sent: {
      // Above every id, where there is none to go on from.
      Statement rows =
          TRY(impl.database.prepare(
              sql + "WHERE r.asker = $1 AND (r.received_at, r.request_id) < ($2, $3) ORDER BY r.received_at DESC, "
                    "r.request_id DESC LIMIT $4"));
      TRY(rows.query({department, last ? seconds(last->received) : INT64_MAX, last_id, most}));
      TRY(take(rows));
      break;
    }
    case RequestBox::overdue: {
      Statement rows = TRY(impl.database.prepare(
          sql +
          "WHERE r.answered_at IS NULL AND r.deadline_at < $1 AND (r.deadline_at, r.request_id) > ($2, $3) AND "
          "($4 = '' OR r.asker = $4 OR r.answerer = $4) ORDER BY r.deadline_at, r.request_id LIMIT $5"));
      TRY(rows.query({seconds(impl.clock->now()), last_deadline, last_id, department, most}));
      TRY(take(rows));
      break;
    }
  }
  return out;
}

namespace {

constexpr std::string_view kLines =
    "SELECT r.request_id, r.citizen_id, r.request_hash, r.asker, r.answerer, r.subjects, r.received_at, r.deadline_at, "
    "r.answered_at, q.legal_basis FROM request_by_id AS r JOIN requests AS q ON q.citizen_id = r.citizen_id AND "
    "q.request_id = r.request_id ";

Status add_lines(Statement& rows, std::vector<RequestLine>& out) {
  while (TRY(rows.next())) out.push_back({state_of(rows), std::string(rows.text(9))});
  return {};
}

/// Not answered, with a deadline before `until`, after `last`.
Status add_open(Database& database, std::string_view department, std::int64_t until,
                const std::optional<RequestState>& last, std::int64_t most, std::vector<RequestLine>& out) {
  Statement rows = TRY(database.prepare(
      std::string(kLines) +
      "WHERE r.answered_at IS NULL AND r.deadline_at < $1 AND (r.deadline_at, r.request_id) > ($2, $3) AND ($4 = '' OR "
      "r.asker = $4 OR r.answerer = $4) ORDER BY r.deadline_at, r.request_id LIMIT $5"));
  TRY(rows.query(
      {until, last ? seconds(last->deadline) : INT64_MIN, last ? std::string_view(last->id) : "", department, most}));
  return add_lines(rows, out);
}

/// Answered, before `last`. A department's are read as two lists, each in the order of its index, and merged.
Status add_answered(Database& database, std::string_view department, const std::optional<RequestState>& last,
                    std::int64_t most, std::vector<RequestLine>& out) {
  const std::int64_t at = last ? seconds(last->received) : INT64_MAX;
  const std::string_view id = last ? std::string_view(last->id) : "";
  const std::string rest =
      "r.answered_at IS NOT NULL AND (r.received_at, r.request_id) < ($1, $2) ORDER BY r.received_at DESC, "
      "r.request_id DESC LIMIT $3";
  if (department.empty()) {
    Statement rows = TRY(database.prepare(std::string(kLines) + "WHERE " + rest));
    TRY(rows.query({at, id, most}));
    return add_lines(rows, out);
  }
  std::vector<RequestLine> found;
  for (const char* const side : {"WHERE r.asker = $4 AND ", "WHERE r.answerer = $4 AND r.asker <> $4 AND "}) {
    Statement rows = TRY(database.prepare(std::string(kLines) + side + rest));
    TRY(rows.query({at, id, most, department}));
    TRY(add_lines(rows, found));
  }
  std::ranges::sort(found, [](const RequestLine& a, const RequestLine& b) {
    return std::tie(a.state.received, a.state.id) > std::tie(b.state.received, b.state.id);
  });
  if (found.size() > static_cast<std::size_t>(most)) found.resize(static_cast<std::size_t>(most));
  std::ranges::move(found, std::back_inserter(out));
  return {};
}

}  // namespace

Result<RequestLines> RequestLedger::lines(RequestStanding standing, std::string_view department, std::size_t limit,
                                          const std::optional<RequestMark>& after) {
  using S = RequestStanding;
  Registry::Impl& impl = *registry_->impl_;
  std::optional<RequestState> last;
  if (after) {
    last = TRY(load(impl.database, after->id));
    if (!last) return no_request(after->id);
  }
  const std::size_t most = std::min(limit, kPageLimit);
  const std::int64_t until = standing == S::overdue ? seconds(impl.clock->now()) : INT64_MAX;
  const bool among_answered = after && after->answered;
  RequestLines out;
  // One more than asked for, to know whether anything follows.
  const auto left = [&] { return static_cast<std::int64_t>(most + 1 - out.lines.size()); };
  if (standing != S::answered && !among_answered) {
    TRY(add_open(impl.database, department, until, last, left(), out.lines));
  }
  const std::size_t open = out.lines.size();
  if ((standing == S::all || standing == S::answered) && left() > 0) {
    TRY(add_answered(impl.database, department, among_answered ? last : std::nullopt, left(), out.lines));
  }
  if (out.lines.size() <= most) return out;
  out.lines.resize(most);
  if (most > 0) out.next = RequestMark{out.lines.back().state.id, most > open};
  return out;
}

Result<RequestLook> RequestLedger::look(std::string_view id, Purpose purpose) {
  Registry::Impl& impl = *registry_->impl_;
  RequestLook out;
  TRY(impl.database.transact([&]() -> Status {
    const auto state = TRY(load(impl.database, id));
    if (!state) return no_request(id);
    const Purpose asked = TRY(purpose_of(impl.database, *state, purpose.actor));
    out = {*state, asked.purpose, asked.case_id, asked.legal_basis, asked.disclose_at};
    // The look tells of the request: the citizen may not learn of it sooner.
    purpose.disclose_at = asked.disclose_at;
    purpose.legal_basis = asked.disclose_at ? asked.legal_basis : std::string();
    TRY(check_purpose(purpose));
    return log_access(impl, state->citizen, purpose, "request");
  }));
  return out;
}

Result<RequestCounts> RequestLedger::counts() {
  Registry::Impl& impl = *registry_->impl_;
  Statement row = TRY(impl.database.prepare(
      "SELECT count(*), CAST(coalesce(sum(CASE WHEN deadline_at < $1 THEN 1 ELSE 0 END), 0) AS BIGINT) FROM "
      "request_by_id WHERE answered_at IS NULL"));
  TRY(row.query({seconds(impl.clock->now())}));
  RequestCounts out;
  if (TRY(row.next())) {
    out.open = static_cast<std::uint64_t>(row.integer(0));
    out.overdue = static_cast<std::uint64_t>(row.integer(1));
  }
  return out;
}

}  // namespace karta::identity
