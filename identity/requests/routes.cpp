#include "identity/requests/routes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "crypto/digest.h"
#include "identity/requests/departments.h"
#include "identity/requests/request_ledger.h"
#include "identity/requests/signed_document.h"
#include "identity/utf8.h"
#include "service/json_problem.h"
#include "service/log.h"

namespace karta::identity {
namespace {

using Json = nlohmann::ordered_json;
using service::HttpMethod;
using service::HttpRequest;
using service::HttpResponse;
using service::JsonProblem;

constexpr std::chrono::minutes kClockSkew{5};
constexpr std::chrono::hours kLeastDeadline{1};
constexpr std::chrono::hours kRegistryDeadline{24};
constexpr std::size_t kMostCrlOctets = std::size_t{16} << 20;

HttpResponse problem(const Error& error) { return JsonProblem::of(error).to_response(); }
tl::unexpected<Error> nothing_here() { return fail(ErrorKind::not_found, "there is nothing here"); }

HttpResponse not_allowed(std::string_view allowed) {
  HttpResponse out = JsonProblem{.status = 405, .name = "usage", .detail = "not in this way"}.to_response();
  out.fields += "Allow: " + std::string(allowed) + "\r\n";
  return out;
}

HttpResponse document_response(int status, Bytes document) {
  HttpResponse out;
  out.status = status;
  out.media_type = kCmsMediaType;
  out.fields = "Cache-Control: no-store\r\n";
  out.body = std::move(document);
  return out;
}
HttpResponse json_response(const Json& document) {
  HttpResponse out;
  out.media_type = "application/json";
  out.fields = "Cache-Control: no-store\r\n";
  out.body = to_bytes(as_bytes(document.dump() + "\n"));
  return out;
}

bool is_cms(std::string_view type) {
  const auto same = [&](std::string_view wanted) {
    return std::ranges::equal(type, wanted, {},
                              [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  };
  return same(kCmsMediaType) || same("application/pkcs7-mime");
}

Json json_of(const RequestState& state, Time now) {
  return {{"id", state.id},
          {"from", state.from},
          {"to", state.to},
          {"ask", state.subjects},
          {"request_sha256", to_hex(state.hash)},
          {"received", format_time(state.received)},
          {"deadline", format_time(state.deadline)},
          {"answered", state.answered ? Json(format_time(*state.answered)) : Json()},
          {"overdue", state.overdue(now)}};
}

/// What was sent, opened and whole.
struct Opened {
  SignedDocument document;
  Bytes hash;
};

class RequestRoutes final : public RoomRoutes {
 public:
  RequestRoutes(const RequestsConfig& config, std::unique_ptr<crypto::Signer> signer, const RoomSurroundings& around)
      : config_(config),
        signer_(std::move(signer)),
        clock_(around.clock),
        departments_(around.registry),
        ledger_(around.registry),
        received_(counter(around, "request")),
        answered_(counter(around, "answer")),
        refused_(around.metrics.counter("karta_department_refusals_total", "Requests and answers refused")),
        open_(around.metrics.gauge("karta_department_requests_open", "Requests between departments without an answer")),
        overdue_(around.metrics.gauge("karta_department_requests_overdue", "Those past their deadline")) {}

  Status open() {
    for (const std::filesystem::path& file : config_.roots) {
      const Bytes octets = TRY(read_file(file, 16 * crypto::Certificate::kMostOctets));
      auto certificates = crypto::Certificate::many_from_file_octets(octets);
      if (!certificates) {
        return fail(ErrorKind::configuration, "\"" + file.string() + "\": " + certificates.error().message);
      }
      for (crypto::Certificate& one : *certificates) trust_.anchors.push_back(std::move(one));
    }
    for (const std::filesystem::path& file : config_.crls) {
      const Bytes octets = TRY(read_file(file, kMostCrlOctets));
      const Status added = evidence_.add_revocation(octets);
      if (!added) return fail(ErrorKind::configuration, "\"" + file.string() + "\": " + added.error().message);
    }
    if (signer_->certificate_chain().empty()) {
      return fail(ErrorKind::configuration, "[requests]: the key has no certificate");
    }
    return {};
  }

  HttpResponse answer(const HttpRequest& request) override {
    auto done = dispatch(request);
    if (done) return std::move(*done);
    const Error& error = done.error();
    if (error.kind == ErrorKind::not_permitted || error.kind == ErrorKind::untrusted ||
        error.kind == ErrorKind::invalid_signature) {
      refused_.add();
      service::log_warning("refused " + std::string(request.peer) + " at /v1/requests: " + error.message);
    }
    return problem(error);
  }

  void measure() override {
    const auto counts = ledger_.counts();
    if (!counts) return;
    open_.set(static_cast<double>(counts->open));
    overdue_.set(static_cast<double>(counts->overdue));
  }

  std::vector<std::string> problems() override {
    const auto own = crypto::Certificate::from_der(signer_->certificate_chain().front());
    if (own && own->not_after() < clock_.now()) return {"requests: the certificate of receipts has expired"};
    return {};
  }

 private:
  static service::Counter counter(const RoomSurroundings& around, const std::string& document) {
    return around.metrics.counter("karta_department_documents_total", "Documents of departments taken",
                                  {{"document", document}});
  }

  Result<HttpResponse> dispatch(const HttpRequest& request) {
    std::string_view rest = request.path;
    rest.remove_prefix(kRequestsPath.size());
    const bool reads = request.method == HttpMethod::get || request.method == HttpMethod::head;
    const bool posts = request.method == HttpMethod::post;
    if (rest.starts_with('/')) rest.remove_prefix(1);
    if (rest.empty()) {
      if (!reads && !posts) return not_allowed("GET, HEAD, POST");
      const Department caller = TRY(caller_of(request));
      return posts ? take_request(request, caller) : list(request, caller);
    }
    const std::size_t slash = rest.find('/');
    const std::string_view id = rest.substr(0, slash);
    const std::string_view part = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    if (!is_request_id(id)) return nothing_here();
    if (posts && part != "answer") return not_allowed(part.empty() ? "GET, HEAD" : "GET");
    if (!reads && !posts) return not_allowed("GET, HEAD, POST");
    // What is handed out stands in the citizen's access log as taken.
    if (request.method == HttpMethod::head && !part.empty()) return not_allowed(part == "answer" ? "GET, POST" : "GET");
    const Department caller = TRY(caller_of(request));
    const auto state = TRY(ledger_.find(id));
    // Who has no part in it does not learn that it is there.
    if (!state || (state->from != caller.name && state->to != caller.name)) return nothing_here();
    if (posts) return take_answer(request, caller, *state);
    if (part.empty()) {
      Json out{{"schema", "karta.request.state/1"}};
      out.update(json_of(*state, clock_.now()));
      return json_response(out);
    }
    const auto which = find_request_part(part);
    if (!which) return nothing_here();
    return document_response(200, TRY(ledger_.hand_out(id, *which, actor_of(caller))));
  }

  static std::string actor_of(const Department& department) { return "department:" + department.name; }

  Result<Department> caller_of(const HttpRequest& request) {
    constexpr std::string_view kBearer = "Bearer ";
    const std::string_view field = request.field("Authorization");
    if (field.starts_with(kBearer)) {
      return departments_.of_token(crypto::digest(crypto::Hash::sha256, as_bytes(field.substr(kBearer.size()))));
    }
    if (request.client_certificate.empty()) {
      return fail(ErrorKind::not_permitted, "a department shows its token or its certificate, and neither was shown",
                  "karta department add --token, or the certificate it was added with");
    }
    Department out = TRY(departments_.of_certificate(request.client_certificate));
    const auto certificate = TRY(crypto::Certificate::from_der(request.client_certificate));
    TRY(departments_.check_not_revoked(certificate));
    return out;
  }

  /// Signature, path, status, and that the certificate is the caller's.
  Result<Opened> open_sent(const HttpRequest& request, const Department& caller) {
    if (!is_cms(request.media_type())) {
      return fail(ErrorKind::malformed, "the body is to be " + std::string(kCmsMediaType));
    }
    Opened out{TRY(open_document(request.body, trust_, &evidence_, clock_.now())), hash_of_document(request.body)};
    if (!caller.has_certificate(out.document.signer)) {
      return fail(ErrorKind::not_permitted, "the document is not signed by \"" + caller.name + "\"",
                  "a department signs with a certificate that is registered for it");
    }
    TRY(departments_.check_not_revoked(out.document.signer));
    return out;
  }

  Status check_age(Time made) {
    const Time now = clock_.now();
    if (made > now + kClockSkew) return fail(ErrorKind::not_permitted, "the document is dated in the future");
    if (made < now - config_.most_age) {
      return fail(ErrorKind::not_permitted, "the document is too old to be taken", "make and sign a new one");
    }
    return {};
  }

  Result<Bytes> sign(std::string_view json) { return sign_document(*signer_, json, clock_.now()); }

  // ---- requests

  /// What the asker may ask, of whom, and when it is to be answered.
  Result<Time> check_rights(const DepartmentRequest& asked, const Department& caller) {
    const Time now = clock_.now();
    if (asked.from != caller.name) {
      return fail(ErrorKind::not_permitted, "the request is not from \"" + caller.name + "\"");
    }
    TRY(check_age(asked.made));
    for (const std::string& subject : asked.subjects) {
      if (!caller.may(RightKind::ask, subject, asked.legal_basis)) {
        return fail(ErrorKind::not_permitted,
                    "\"" + caller.name + "\" may not ask for \"" + subject + "\" on the legal basis named",
                    "what it may ask, and on which bases, is registered: karta department list");
      }
    }
    Time deadline = now + kRegistryDeadline;
    if (asked.to != kRegistryName) {
      const auto found = departments_.find(asked.to);
      if (!found && found.error().kind != ErrorKind::not_found) return fail(found.error());
      if (!found || found->state != DepartmentState::active || asked.to == asked.from) {
        return fail(ErrorKind::not_permitted, "\"" + asked.to + "\" is no department to be asked");
      }
      for (const std::string& subject : asked.subjects) {
        if (!found->may(RightKind::answer, subject, "")) {
          return fail(ErrorKind::not_permitted, "\"" + asked.to + "\" does not answer about \"" + subject + "\"");
        }
      }
      deadline = now + std::chrono::days(found->deadline_days);
    } else if (const auto other = std::ranges::find_if(
                   asked.subjects, [](const std::string& one) { return find_registry_subject(one) == nullptr; });
               other != asked.subjects.end()) {
      return fail(ErrorKind::not_permitted, "the registry does not answer about \"" + *other + "\"");
    }
    if (asked.deadline && *asked.deadline < now + kLeastDeadline) {
      return fail(ErrorKind::usage, "the deadline is sooner than in an hour");
    }
    if (asked.delay) {
      if (!caller.may(RightKind::delay, "", asked.delay->legal_basis)) {
        return fail(ErrorKind::not_permitted, "\"" + caller.name + "\" may not delay disclosure on the basis named");
      }
      if (asked.delay->until > now + config_.most_delay) {
        return fail(ErrorKind::not_permitted,
                    "disclosure is delayed for at most " + std::to_string(config_.most_delay.count()) + " days");
      }
    }
    return std::min(deadline, asked.deadline.value_or(deadline));
  }

  /// The registry's own answer, with its receipt. The access log is written before.
  Result<AnswerDocuments> answer_now(const RequestState& state, const Purpose& purpose) {
    DepartmentAnswer answer;
    answer.request = state.id;
    answer.request_hash = state.hash;
    answer.from = state.to;
    answer.to = state.from;
    answer.made = clock_.now();
    if (state.citizen == CitizenId{}) {
      answer.outcome = AnswerOutcome::not_known;
      answer.reason = "the registry knows no such citizen";
    } else {
      answer.data = TRY(ledger_.look_up(state.citizen, state.subjects, purpose));
    }
    AnswerDocuments out;
    out.received = answer.made;
    out.answer = TRY(sign(write_document(answer)));
    out.receipt = TRY(sign(write_document(receipt_of(state, out.answer, out.received))));
    return out;
  }

  static DepartmentReceipt receipt_of(const RequestState& state, ByteView answer, Time received) {
    DepartmentReceipt out;
    out.request = state.id;
    out.request_hash = state.hash;
    if (!answer.empty()) out.answer_hash = hash_of_document(answer);
    out.from = state.from;
    out.to = state.to;
    out.received = received;
    out.deadline = state.deadline;
    return out;
  }

  /// The receipt given when the same request came before.
  Result<HttpResponse> receipt_again(const RequestState& known, ByteView hash, const Department& caller) {
    if (known.from != caller.name || !equal(known.hash, hash)) {
      return fail(ErrorKind::already_exists, "the request's id stands for another request",
                  "each request has a random id of its own");
    }
    return document_response(200, TRY(ledger_.hand_out(known.id, RequestPart::receipt, actor_of(caller))));
  }

  Result<HttpResponse> take_request(const HttpRequest& request, const Department& caller) {
    const Opened sent = TRY(open_sent(request, caller));
    const DepartmentRequest asked = TRY(parse_department_request(sent.document.json));
    if (const auto known = TRY(ledger_.find(asked.id))) return receipt_again(*known, sent.hash, caller);
    RequestState state;
    state.deadline = TRY(check_rights(asked, caller));
    state.id = asked.id;
    state.from = asked.from;
    state.to = asked.to;
    state.subjects = asked.subjects;
    state.hash = sent.hash;
    state.received = clock_.now();
    const auto citizen = TRY(ledger_.citizen_of(asked));
    if (!citizen && asked.to != kRegistryName) {
      return fail(ErrorKind::not_found, "the registry knows no such citizen",
                  "a request that no citizen could see is not passed on");
    }
    state.citizen = citizen.value_or(CitizenId{});
    Purpose purpose{actor_of(caller), asked.purpose, asked.case_id, asked.legal_basis};
    if (asked.delay) {
      purpose.legal_basis += "; " + asked.delay->legal_basis;
      purpose.disclose_at = asked.delay->until;
      if (characters_of(purpose.legal_basis) > kStatementCharacters) purpose.legal_basis = asked.delay->legal_basis;
    }
    const Bytes receipt = TRY(sign(write_document(receipt_of(state, {}, state.received))));
    std::optional<AnswerDocuments> answer;
    if (state.to == kRegistryName) answer = TRY(answer_now(state, purpose));
    const Status kept = ledger_.keep(state, purpose, request.body, receipt, answer);
    if (!kept && kept.error().kind == ErrorKind::already_exists) {
      // The same request twice at once: the receipt written down first is the one.
      const auto known = TRY(ledger_.find(asked.id));
      if (known) return receipt_again(*known, sent.hash, caller);
    }
    if (!kept) return fail(kept.error());
    received_.add();
    if (answer) answered_.add();
    service::log_info("request " + state.id + " from \"" + state.from + "\" to \"" + state.to + "\" was taken");
    HttpResponse out = document_response(201, receipt);
    out.fields += "Location: " + std::string(kRequestsPath) + "/" + state.id + "\r\n";
    return out;
  }

  // ---- answers

  Result<HttpResponse> take_answer(const HttpRequest& request, const Department& caller, const RequestState& state) {
    if (state.to != caller.name) {
      return fail(ErrorKind::not_permitted, "\"" + caller.name + "\" was not asked");
    }
    const Opened sent = TRY(open_sent(request, caller));
    const DepartmentAnswer answer = TRY(parse_department_answer(sent.document.json));
    if (answer.request != state.id || !equal(answer.request_hash, state.hash) || answer.to != state.from ||
        answer.from != state.to) {
      return fail(ErrorKind::not_permitted, "the answer is not one to this request");
    }
    if (state.answered) return answer_again(state, sent.hash, caller);
    TRY(check_age(answer.made));
    for (const std::string& one : subjects_of(answer)) {
      if (std::ranges::find(state.subjects, one) == state.subjects.end()) {
        return fail(ErrorKind::not_permitted, "\"" + one + "\" was not asked for", "what nobody asked for is not told");
      }
    }
    AnswerDocuments documents;
    documents.received = clock_.now();
    documents.answer = to_bytes(request.body);
    documents.receipt = TRY(sign(write_document(receipt_of(state, request.body, documents.received))));
    const Status kept = ledger_.keep_answer(state.id, actor_of(caller), documents);
    if (!kept && kept.error().kind == ErrorKind::already_exists) return answer_again(state, sent.hash, caller);
    if (!kept) return fail(kept.error());
    answered_.add();
    service::log_info("request " + state.id + " was answered by \"" + state.to + "\"" +
                      (state.deadline < documents.received ? ", late" : ""));
    return document_response(201, std::move(documents.receipt));
  }

  /// The receipt given when the same answer came before; by the receipt itself, so that nobody's datum is read.
  Result<HttpResponse> answer_again(const RequestState& state, ByteView hash, const Department& caller) {
    Bytes receipt = TRY(ledger_.hand_out(state.id, RequestPart::answer_receipt, actor_of(caller)));
    const crypto::SignedData parsed = TRY(crypto::SignedData::parse(receipt));
    std::string json;
    for (const ByteView piece : parsed.content) json += as_text(piece);
    const DepartmentReceipt given = TRY(parse_department_receipt(json));
    if (!equal(given.answer_hash, hash)) {
      return fail(ErrorKind::already_exists, "the request is answered already, with another answer");
    }
    return document_response(200, std::move(receipt));
  }

  // ---- lists

  Result<HttpResponse> list(const HttpRequest& request, const Department& caller) {
    struct Box {
      std::string_view name;
      RequestBox box;
    };
    constexpr auto kBoxes = std::to_array<Box>(
        {{"inbox", RequestBox::inbox}, {"sent", RequestBox::sent}, {"overdue", RequestBox::overdue}});
    constexpr std::string_view kAfter = "after=";
    const std::string_view name = request.query.substr(0, request.query.find('&'));
    std::string_view after = request.query.substr(name.size());
    const auto box = std::ranges::find(kBoxes, name, &Box::name);
    const bool goes_on = after.starts_with('&');
    if (goes_on) after.remove_prefix(1);
    if (box == kBoxes.end() ||
        (goes_on && (!after.starts_with(kAfter) || !is_request_id(after.substr(kAfter.size()))))) {
      return fail(ErrorKind::usage, "the query is to be inbox, sent or overdue, with &after=ID to go on");
    }
    if (goes_on) after.remove_prefix(kAfter.size());
    const auto rows = TRY(ledger_.list(box->box, caller.name, kPageLimit, after));
    Json out{{"schema", "karta.requests/1"}, {"department", caller.name}, {"box", box->name}};
    out["requests"] = Json::array();
    for (const RequestState& one : rows) out["requests"].push_back(json_of(one, clock_.now()));
    out["next"] = rows.size() == kPageLimit ? Json(rows.back().id) : Json();
    return json_response(out);
  }

  const RequestsConfig config_;
  std::unique_ptr<crypto::Signer> signer_;
  const Clock& clock_;
  DepartmentLedger departments_;
  RequestLedger ledger_;
  crypto::TrustMaterial trust_;
  crypto::ValidationEvidence evidence_;
  service::Counter received_, answered_, refused_;
  service::Gauge open_, overdue_;
};

}  // namespace

Result<std::unique_ptr<RoomRoutes>> open_request_routes(const RequestsConfig& config,
                                                        std::unique_ptr<crypto::Signer> signer,
                                                        const RoomSurroundings& around) {
  auto out = std::make_unique<RequestRoutes>(config, std::move(signer), around);
  TRY(out->open());
  return std::unique_ptr<RoomRoutes>(std::move(out));
}

}  // namespace karta::identity
