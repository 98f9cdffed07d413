#include "identity/requests/documents.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "identity/utf8.h"

namespace karta::identity {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostDepth = 12;
constexpr std::size_t kIdDigits = 32;
constexpr std::size_t kHashOctets = 32;

constexpr auto kSubjects = std::to_array<RegistrySubject>({
    {"identity", "names, date of birth, sex, SNILS", "ФИО, дата рождения, пол, СНИЛС"},
    {"insurance", "number and insurer of the compulsory medical insurance", "номер полиса ОМС и страховая организация"},
    {"concessions", "grounds for concessions, with their validity", "основания льгот и сроки их действия"},
    {"card-status", "the citizen's cards, their state and validity", "карты гражданина, их состояние и срок действия"},
});

struct OutcomeRow {
  AnswerOutcome outcome;
  std::string_view name;
};
constexpr auto kOutcomes = std::to_array<OutcomeRow>({
    {AnswerOutcome::given, "given"},
    {AnswerOutcome::refused, "refused"},
    {AnswerOutcome::not_known, "not-known"},
});

tl::unexpected<Error> bad_key(std::string_view key) {
  return fail(ErrorKind::malformed, "\"" + std::string(key) + "\" is missing or not what it should be");
}

/// One JSON object of bounded depth without a key twice: what is signed must read the same in every program.
Result<Json> read_object(std::string_view text, std::size_t most) {
  if (text.size() > most) {
    return fail(ErrorKind::limit, "the document is larger than " + std::to_string(most) + " octets");
  }
  std::vector<std::set<std::string, std::less<>>> open;
  std::string fault;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (!fault.empty()) return false;
    if (event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start) {
      if (static_cast<std::size_t>(depth) >= kMostDepth) fault = "it is nested too deep";
      open.emplace_back();
    } else if (event == Json::parse_event_t::object_end || event == Json::parse_event_t::array_end) {
      if (!open.empty()) open.pop_back();
    } else if (event == Json::parse_event_t::key) {
      if (!open.back().insert(parsed.get<std::string>()).second) fault = "a key stands there twice";
    }
    return fault.empty();
  };
  Json out = Json::parse(text.begin(), text.end(), watch, false);
  if (!fault.empty()) return fail(ErrorKind::malformed, fault);
  if (!out.is_object()) return fail(ErrorKind::malformed, "it is no JSON object");
  return out;
}

/// Hands an object's keys out one by one; finish() refuses those nobody asked for.
class Keys {
 public:
  explicit Keys(const Json& object) : object_(object) {}

  const Json* find(std::string_view key) {
    const auto found = object_.find(key);
    if (found == object_.end()) return nullptr;
    ++taken_;
    return &*found;
  }
  /// UTF-8 without control characters, 1 to `most` characters.
  Result<std::string> text(std::string_view key, std::size_t most = kStatementCharacters) {
    const Json* const found = find(key);
    if (found == nullptr || !found->is_string()) return bad_key(key);
    auto out = found->get<std::string>();
    if (characters_of(out) > most) {
      return fail(ErrorKind::limit,
                  "\"" + std::string(key) + "\" is longer than " + std::to_string(most) + " characters");
    }
    if (trim(out).empty() || find_invalid_utf8(out) ||
        std::ranges::any_of(out, [](unsigned char c) { return (c < 0x20 && c != '\n') || c == 0x7F; })) {
      return bad_key(key);
    }
    return out;
  }
  Result<std::string> text_or_none(std::string_view key, std::size_t most) {
    if (!object_.contains(key)) return std::string();
    return text(key, most);
  }
  Result<std::string> word(std::string_view key) {
    std::string out = TRY(text(key));
    if (!is_department_word(out)) return bad_key(key);
    return out;
  }
  Result<std::string> id(std::string_view key) {
    std::string out = TRY(text(key));
    if (!is_request_id(out)) return bad_key(key);
    return out;
  }
  Result<Time> time(std::string_view key) {
    const std::string words = TRY(text(key));
    const auto out = parse_time(words);
    if (!out) return bad_key(key);
    return *out;
  }
  Result<Bytes> hash(std::string_view key) {
    const std::string words = TRY(text(key));
    auto out = from_hex(words);
    if (!out || out->size() != kHashOctets || to_hex(*out) != words) return bad_key(key);
    return std::move(*out);
  }
  Status schema(std::string_view wanted) {
    const std::string found = TRY(text("schema"));
    if (found == wanted) return {};
    return fail(ErrorKind::malformed, "its schema is not \"" + std::string(wanted) + "\"");
  }
  Status finish() const {
    if (taken_ == object_.size()) return {};
    return fail(ErrorKind::malformed, "it has a key that does not belong there");
  }

 private:
  const Json& object_;
  std::size_t taken_ = 0;
};

Status read_citizen(Keys& keys, DepartmentRequest& out) {
  const Json* const citizen = keys.find("citizen");
  if (citizen == nullptr || !citizen->is_object()) return bad_key("citizen");
  Keys inside(*citizen);
  if (citizen->contains("snils")) {
    const std::string text = TRY(inside.text("snils"));
    out.snils = TRY(Snils::parse(text));
  } else {
    const std::string text = TRY(inside.text("id"));
    const auto id = parse_citizen_id(text);
    if (!id) return bad_key("citizen.id");
    out.citizen = *id;
  }
  return inside.finish();
}

Status read_subjects(Keys& keys, DepartmentRequest& out) {
  const Json* const asked = keys.find("ask");
  if (asked == nullptr || !asked->is_array() || asked->empty()) return bad_key("ask");
  if (asked->size() > kMostSubjects) return fail(ErrorKind::limit, "\"ask\" holds too much at once");
  for (const Json& one : *asked) {
    if (!one.is_string()) return bad_key("ask");
    auto word = one.get<std::string>();
    if (!is_department_word(word) || std::ranges::find(out.subjects, word) != out.subjects.end()) {
      return bad_key("ask");
    }
    out.subjects.push_back(std::move(word));
  }
  return {};
}

std::string to_text(const Json& document) { return document.dump(2) + "\n"; }

}  // namespace

std::span<const RegistrySubject> registry_subjects() { return kSubjects; }
const RegistrySubject* find_registry_subject(std::string_view name) {
  const auto row = std::ranges::find(kSubjects, name, &RegistrySubject::name);
  return row == kSubjects.end() ? nullptr : &*row;
}

bool is_department_word(std::string_view text) {
  return !text.empty() && text.size() <= kMostDepartmentName && text.front() != '-' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}
bool is_request_id(std::string_view text) {
  return text.size() == kIdDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}
std::string new_request_id(RandomSource& random) { return to_hex(random.bytes(kIdDigits / 2)); }

std::string_view name_of(AnswerOutcome outcome) { return kOutcomes[static_cast<std::size_t>(outcome)].name; }
std::optional<AnswerOutcome> find_answer_outcome(std::string_view name) {
  const auto row = std::ranges::find(kOutcomes, name, &OutcomeRow::name);
  if (row == kOutcomes.end()) return std::nullopt;
  return row->outcome;
}

Result<DepartmentRequest> parse_department_request(std::string_view json) {
  const Json document = TRY(read_object(json, kMostRequestOctets));
  Keys keys(document);
  TRY(keys.schema(kRequestSchema));
  DepartmentRequest out;
  out.id = TRY(keys.id("id"));
  out.from = TRY(keys.word("from"));
  out.to = TRY(keys.word("to"));
  out.made = TRY(keys.time("made"));
  out.legal_basis = TRY(keys.text("legal_basis"));
  out.purpose = TRY(keys.text("purpose"));
  out.case_id = TRY(keys.text("case"));
  TRY(read_citizen(keys, out));
  TRY(read_subjects(keys, out));
  out.question = TRY(keys.text_or_none("question", kMostQuestionCharacters));
  if (document.contains("deadline")) out.deadline = TRY(keys.time("deadline"));
  if (const Json* const delay = keys.find("delay_disclosure")) {
    if (!delay->is_object()) return bad_key("delay_disclosure");
    Keys inside(*delay);
    DelayedDisclosure told;
    told.legal_basis = TRY(inside.text("legal_basis"));
    told.until = TRY(inside.time("until"));
    TRY(inside.finish());
    out.delay = std::move(told);
  }
  TRY(keys.finish());
  return out;
}

std::string write_document(const DepartmentRequest& request) {
  Json document{{"schema", kRequestSchema},
                {"id", request.id},
                {"from", request.from},
                {"to", request.to},
                {"made", format_time(request.made)},
                {"legal_basis", request.legal_basis},
                {"purpose", request.purpose},
                {"case", request.case_id}};
  document["citizen"] =
      request.snils ? Json{{"snils", request.snils->text()}} : Json{{"id", format_id(request.citizen.value())}};
  document["ask"] = request.subjects;
  if (!request.question.empty()) document["question"] = request.question;
  if (request.deadline) document["deadline"] = format_time(*request.deadline);
  if (request.delay) {
    document["delay_disclosure"] = {{"legal_basis", request.delay->legal_basis},
                                    {"until", format_time(request.delay->until)}};
  }
  return to_text(document);
}

Result<DepartmentAnswer> parse_department_answer(std::string_view json) {
  const Json document = TRY(read_object(json, kMostAnswerOctets));
  Keys keys(document);
  TRY(keys.schema(kAnswerSchema));
  DepartmentAnswer out;
  out.request = TRY(keys.id("request"));
  out.request_hash = TRY(keys.hash("request_sha256"));
  out.from = TRY(keys.word("from"));
  out.to = TRY(keys.word("to"));
  out.made = TRY(keys.time("made"));
  const std::string outcome = TRY(keys.text("outcome"));
  const auto known = find_answer_outcome(outcome);
  if (!known) return bad_key("outcome");
  out.outcome = *known;
  if (out.outcome == AnswerOutcome::given) {
    const Json* const data = keys.find("data");
    if (data == nullptr || !data->is_object() || data->empty() || data->size() > kMostSubjects) return bad_key("data");
    for (const auto& [key, value] : data->items()) {
      if (!is_department_word(key)) return bad_key("data");
    }
    out.data = data->dump();
  } else {
    out.reason = TRY(keys.text("reason", kMostQuestionCharacters));
  }
  TRY(keys.finish());
  return out;
}

std::string write_document(const DepartmentAnswer& answer) {
  Json document{{"schema", kAnswerSchema},
                {"request", answer.request},
                {"request_sha256", to_hex(answer.request_hash)},
                {"from", answer.from},
                {"to", answer.to},
                {"made", format_time(answer.made)},
                {"outcome", name_of(answer.outcome)}};
  if (answer.outcome == AnswerOutcome::given) {
    document["data"] = Json::parse(answer.data, nullptr, false);
  } else {
    document["reason"] = answer.reason;
  }
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<std::string> subjects_of(const DepartmentAnswer& answer) {
  std::vector<std::string> out;
  const Json data = Json::parse(answer.data, nullptr, false);
  if (!data.is_object()) return out;
  for (const auto& [key, value] : data.items()) out.push_back(key);
  return out;
}

Result<DepartmentReceipt> parse_department_receipt(std::string_view json) {
  const Json document = TRY(read_object(json, kMostRequestOctets));
  Keys keys(document);
  TRY(keys.schema(kReceiptSchema));
  DepartmentReceipt out;
  out.request = TRY(keys.id("request"));
  out.request_hash = TRY(keys.hash("request_sha256"));
  if (document.contains("answer_sha256")) out.answer_hash = TRY(keys.hash("answer_sha256"));
  out.from = TRY(keys.word("from"));
  out.to = TRY(keys.word("to"));
  out.received = TRY(keys.time("received"));
  out.deadline = TRY(keys.time("deadline"));
  TRY(keys.finish());
  return out;
}

std::string write_document(const DepartmentReceipt& receipt) {
  Json document{
      {"schema", kReceiptSchema}, {"request", receipt.request}, {"request_sha256", to_hex(receipt.request_hash)}};
  if (receipt.for_answer()) document["answer_sha256"] = to_hex(receipt.answer_hash);
  document["from"] = receipt.from;
  document["to"] = receipt.to;
  document["received"] = format_time(receipt.received);
  document["deadline"] = format_time(receipt.deadline);
  return to_text(document);
}

}  // namespace karta::identity
