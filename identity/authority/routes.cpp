#include "identity/authority/routes.h"

#include <algorithm>
#include <charconv>

#include "base/random.h"
#include "crypto/digest.h"
#include "crypto/x509/csr.h"
#include "crypto/x509/issue.h"
#include "identity/authority/account_desk.h"
#include "identity/authority/documents.h"
#include "identity/terminals.h"
#include "service/json_problem.h"
#include "service/later_response.h"
#include "service/log.h"
#include "service/loopback_guard.h"

namespace karta::identity {
namespace {

using service::HttpMethod;
using service::HttpRequest;
using service::HttpResponse;
using service::JsonProblem;
using service::LaterResponse;

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kJsonLines = "application/x-ndjson";
constexpr std::string_view kStopListType = "application/octet-stream";
constexpr std::size_t kMostRequestOctets = 64 * 1024;
constexpr std::string_view kTlsProfileName = "terminal-tls";
constexpr std::chrono::hours kAnswersKept{24 * 7};
constexpr std::chrono::hours kForgetEvery{1};

constexpr std::string_view kTlsProfile = R"toml(schema = "karta.certificate-profile/1"
name = "terminal-tls"
description = "A terminal towards its authority"
validity_days = 366
key_types = ["p256", "p384", "rsa-2048", "rsa-3072", "ed25519"]
key_usage = ["digitalSignature"]
extended_key_usage = ["clientAuth"]

[subject]
required = ["CN", "OU", "serialNumber"]
)toml";

HttpResponse json_response(int status, const std::string& text) {
  HttpResponse out;
  out.status = status;
  out.media_type = kJson;
  out.fields = "Cache-Control: no-store\r\n";
  out.body = to_bytes(as_bytes(text));
  return out;
}
HttpResponse problem(const Error& error) { return JsonProblem::of(error).to_response(); }
HttpResponse not_found() { return problem({ErrorKind::not_found, "there is nothing here", ""}); }
HttpResponse not_allowed(std::string_view allowed) {
  HttpResponse out = JsonProblem{.status = 405, .name = "usage", .detail = "not in this way"}.to_response();
  out.fields += "Allow: " + std::string(allowed) + "\r\n";
  return out;
}
HttpResponse wrong_type(std::string_view wanted) {
  return JsonProblem{.status = 415, .name = "usage", .detail = "the body is to be " + std::string(wanted)}
      .to_response();
}

bool reads(const HttpRequest& request) {
  return request.method == HttpMethod::get || request.method == HttpMethod::head;
}
bool is_type(std::string_view given, std::string_view wanted) {
  return std::ranges::equal(given, wanted, {},
                            [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
}

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t out = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || end.ec != std::errc() || end.ptr != text.data() + text.size()) return std::nullopt;
  return out;
}

/// `?base=42`; nothing else may be asked.
Result<std::uint64_t> base_in(std::string_view query) {
  if (query.empty()) return 0;
  constexpr std::string_view kKey = "base=";
  const auto number = query.starts_with(kKey) ? number_in(query.substr(kKey.size())) : std::nullopt;
  if (!number) return fail(ErrorKind::usage, "the query is to be base=EPOCH");
  return *number;
}

}  // namespace

Result<AuthorityKeys> open_authority_keys(const AuthorityConfig& config, const AuthorityPorts& ports) {
  AuthorityKeys out{TRY(ServiceKey::open(config.tls)), nullptr, nullptr, nullptr};
  if (!ports.terminals || (config.desk && !ports.desk)) {
    return fail(ErrorKind::configuration, "[authority] cannot be served by this program");
  }
  out.terminals = TRY(ports.terminals(config));
  if (config.desk) out.desk = TRY(ports.desk(config));
  if (config.accounts) {
    const SecretBytes secret = TRY(read_secret_file(config.accounts->secret_file));
    out.accounts = std::make_shared<const LoginSecret>(TRY(LoginSecret::create(secret)));
  }
  return out;
}

class AuthorityRoutes::Impl {
 public:
  Impl(const AuthorityConfig& config, const AuthorityKeys& keys, const AuthoritySurroundings& around,
       TerminalLedger ledger, crypto::CertificateProfile profile, std::unique_ptr<crypto::Signer> signer)
      : config_(config),
        clock_(around.clock),
        shelf_(around.shelf),
        terminals_(keys.terminals),
        desk_(keys.desk),
        account_secret_(keys.accounts),
        ca_(keys.tls.certificates()),
        ledger_(std::move(ledger)),
        profile_(std::move(profile)),
        signer_(std::move(signer)),
        enrolled_(around.metrics.counter("karta_terminal_certificates_total", "Certificates given to terminals",
                                         {{"deed", "enrol"}})),
        renewed_(around.metrics.counter("karta_terminal_certificates_total", "Certificates given to terminals",
                                        {{"deed", "renew"}})),
        refused_(
            around.metrics.counter("karta_authority_refusals_total", "Requests of terminals and operators refused")),
        records_(around.metrics.counter("karta_journal_batches_total", "Batches of journals", {{"outcome", "taken"}})),
        forks_(around.metrics.counter("karta_journal_batches_total", "Batches of journals", {{"outcome", "refused"}})),
        steps_(around.metrics.counter("karta_card_steps_total", "Steps of cards' lives by operators")),
        accounts_made_(around.metrics.counter("karta_accounts_total", "Accounts for one-time codes at counters",
                                              {{"deed", "make"}})),
        accounts_removed_(around.metrics.counter("karta_accounts_total", "Accounts for one-time codes at counters",
                                                 {{"deed", "remove"}})) {}

  Status open(const std::string& database) {
    if (account_secret_) {
      accounts_ =
          TRY(AccountDesk::open(*config_.accounts, database, *account_secret_, *desk_, ledger_.registry(), clock_));
    }
    for (const OperatorConfig& one : config_.operators) {
      if (!one.token_hash.empty()) TRY(tokens_.add(one.name, one.token_hash));
    }
    return {};
  }

  HttpResponse answer(const HttpRequest& request, std::string_view rest) {
    forget_old_answers();
    if (rest.starts_with("terminals/")) return answer_terminals(request, rest.substr(10));
    if (rest.starts_with("stop-list/")) return answer_stop_list(request, rest.substr(10));
    if (rest == "rules") return answer_rules(request);
    if (rest.starts_with("cards/")) return answer_cards(request, rest.substr(6));
    if (rest == "desk/sessions") return answer_desk(request, "");
    if (rest.starts_with("desk/sessions/")) return answer_desk(request, rest.substr(14));
    if (rest == "desk/accounts" || rest == "desk/account-removals") {
      return answer_accounts(request, rest == "desk/accounts");
    }
    return not_found();
  }

  std::vector<std::string> problems() {
    std::vector<std::string> out;
    const Time now = clock_.now();
    const auto until = terminals_->until();
    if (!until) {
      out.push_back("terminals: " + until.error().message);
    } else if (*until < now) {
      out.push_back("terminals: the verifier has expired");
    }
    if (ca_.front().not_after() < now) out.push_back("terminals: the CA of their TLS certificates has expired");
    if (config_.stop_list) {
      const auto lists = shelf_.stop_lists();
      if (!lists) {
        out.push_back("stop-list: missing");
      } else if (lists->next_update < now) {
        out.push_back("stop-list: stale");
      }
    }
    if (config_.rules && !shelf_.rules()) out.push_back("rules: missing");
    return out;
  }

 private:
  /// A refusal that people should see: who asked, and why it was refused.
  HttpResponse refusal(const HttpRequest& request, const Error& error) {
    if (error.kind == ErrorKind::not_permitted) {
      refused_.add();
      service::log_warning("refused " + std::string(request.peer) + " at " + std::string(request.path) + ": " +
                           error.message);
    }
    return problem(error);
  }

  Result<Terminal> terminal_of(const HttpRequest& request) {
    if (request.client_certificate.empty()) {
      return fail(ErrorKind::not_permitted, "a terminal is known by its TLS certificate, and none was shown",
                  "enrol the terminal: karta terminal enrol");
    }
    return ledger_.authenticate(request.client_certificate);
  }

  /// By token or certificate; `scope` is what is asked for.
  Result<const OperatorConfig*> operator_of(const HttpRequest& request, bool OperatorConfig::*scope) {
    const OperatorConfig* found = nullptr;
    if (const std::string* const owner = tokens_.owner_of(request.field("Authorization"))) {
      const auto row = std::ranges::find(config_.operators, *owner, &OperatorConfig::name);
      if (row != config_.operators.end()) found = &*row;
    } else if (!request.client_certificate.empty()) {
      const std::string hash = to_hex(crypto::digest(crypto::Hash::sha256, request.client_certificate));
      const auto row = std::ranges::find(config_.operators, hash, &OperatorConfig::certificate_hash);
      if (row != config_.operators.end()) {
        TRY(ledger_.check_not_revoked(TRY(crypto::Certificate::from_der(request.client_certificate))));
        found = &*row;
      }
    }
    if (found == nullptr) {
      return fail(ErrorKind::not_permitted, "no operator is known by what was shown",
                  "a bearer token, or a client certificate, of an [[authority.operator]]");
    }
    if (!(found->*scope)) {
      return fail(ErrorKind::not_permitted, "the operator \"" + found->name + "\" may not do this",
                  "its scopes stand in [[authority.operator]]");
    }
    return found;
  }

  template <class Read>
  auto body_of(const HttpRequest& request, Read read) -> decltype(read(Json())) {
    if (request.body.size() > kMostRequestOctets) return fail(ErrorKind::limit, "the request is too large");
    const Json document = TRY(parse_document(as_text(request.body)));
    return read(document);
  }

  // ---- terminals

  HttpResponse answer_terminals(const HttpRequest& request, std::string_view rest) {
    if (rest == "self") {
      if (!reads(request)) return not_allowed("GET, HEAD");
      return standing(request);
    }
    const bool journal = rest == "self/journal";
    if (rest != "enrol" && rest != "self/renew" && !journal) return not_found();
    if (request.method != HttpMethod::post) return not_allowed("POST");
    const std::string_view type = journal ? kJsonLines : kJson;
    if (!is_type(request.media_type(), type)) return wrong_type(type);
    if (journal) return take_journal(request);
    const auto done = rest == "enrol" ? enrol(request) : renew(request);
    if (!done) return refusal(request, done.error());
    return json_response(rest == "enrol" ? 201 : 200, *done);
  }

  HttpResponse standing(const HttpRequest& request) {
    const auto terminal = terminal_of(request);
    if (!terminal) return refusal(request, terminal.error());
    TerminalStanding out;
    out.terminal = format_id(terminal->id);
    out.name = terminal->name;
    out.role = terminal->role;
    out.cv_until = terminal->cv_until.value_or(Time{});
    out.tls_until = terminal->tls_until.value_or(Time{});
    out.journal_to = terminal->journal_to;
    if (terminal->journal_hash) out.journal_hash = to_bytes(ByteView(*terminal->journal_hash));
    out.now = clock_.now();
    return json_response(200, to_text(standing_document(out)));
  }

  /// Both certificates for a terminal, not handed out yet.
  struct Certified {
    GrantedCertificates granted;
    TerminalCertificates answer;
  };
  Result<Certified> certify(const Terminal& terminal, std::uint32_t sequence, const CertificateOrder& order,
                            const crypto::CertificationRequest& tls_request) {
    TerminalOrder wanted;
    wanted.role = terminal.role;
    wanted.holder_line = terminal.cv_line;
    wanted.sequence = sequence;
    wanted.request = order.cv_request;
    wanted.rights = order.rights;
    wanted.present = terminal.cv_certificate;
    wanted.validity = config_.cv_life;
    TerminalCertificate cv = TRY(terminals_->certify(wanted));

    const Time now = clock_.now();
    const crypto::Name subject = TRY(crypto::NameBuilder()
                                         .add("OU", terminal.role)
                                         .add("CN", terminal.name)
                                         .add("serialNumber", format_id(terminal.id))
                                         .build());
    crypto::CertificateRequest request{subject, tls_request.public_key, {}, {}, now + config_.tls_life, {}, {}};
    const crypto::Certificate tls =
        TRY(crypto::issue_certificate(profile_, request, ca_.front(), *signer_, clock_, random_));

    Certified out{
        {cv.certificate, cv.holder, cv.until, tls, ca_.front().subject().to_text(), std::string(kTlsProfileName)}, {}};
    out.answer.terminal = format_id(terminal.id);
    out.answer.name = terminal.name;
    out.answer.role = terminal.role;
    out.answer.cv_certificate = std::move(cv.certificate);
    out.answer.cv_above = std::move(cv.above);
    out.answer.tls_certificates.push_back(tls.der());
    for (const crypto::Certificate& one : ca_) {
      if (!one.self_issued()) out.answer.tls_certificates.push_back(one.der());
    }
    out.answer.cv_until = cv.until;
    out.answer.tls_until = tls.not_after();
    out.answer.renew_after = now + (std::min(cv.until, tls.not_after()) - now) * 2 / 3;
    return out;
  }

  Result<std::string> enrol(const HttpRequest& request) {
    const EnrolmentRequest asked = TRY(body_of(request, read_enrolment));
    const auto tls_request = TRY(crypto::CertificationRequest::from_der(asked.order.tls_request));
    // Both keys: whoever has the code and one of them is not whoever used it.
    const Bytes cv_key = TRY(terminals_->key_of(asked.order.cv_request));
    const Bytes keys = crypto::digest(crypto::Hash::sha256,
                                      concat({crypto::digest(crypto::Hash::sha256, tls_request.public_key.spki()),
                                              crypto::digest(crypto::Hash::sha256, cv_key)}));
    const auto begun = TRY(ledger_.begin_enrolment(asked.code, keys));
    if (begun.answer) return *begun.answer;
    const Certified made = TRY(certify(begun.terminal, begun.sequence, asked.order, tls_request));
    std::string text = to_text(certificates_document(made.answer));
    TRY(ledger_.finish_enrolment(asked.code, keys, made.granted, text));
    enrolled_.add();
    service::log_info("terminal \"" + begun.terminal.name + "\" is enrolled as " + begun.terminal.role);
    return text;
  }

  Result<std::string> renew(const HttpRequest& request) {
    const Terminal terminal = TRY(terminal_of(request));
    const CertificateOrder order = TRY(body_of(request, read_renewal));
    const auto tls_request = TRY(crypto::CertificationRequest::from_der(order.tls_request));
    const std::uint32_t sequence = TRY(ledger_.begin_renewal(terminal.id));
    const Certified made = TRY(certify(terminal, sequence, order, tls_request));
    TRY(ledger_.finish_renewal(request.client_certificate, made.granted));
    renewed_.add();
    return to_text(certificates_document(made.answer));
  }

  HttpResponse take_journal(const HttpRequest& request) {
    const auto terminal = terminal_of(request);
    if (!terminal) return refusal(request, terminal.error());
    const auto taken = [&]() -> Result<JournalTaken> {
      if (request.body.size() > config_.journal_octets) {
        return fail(ErrorKind::limit, "a batch is at most " + std::to_string(config_.journal_octets) + " octets");
      }
      const JournalUpload upload = TRY(parse_upload(as_text(request.body)));
      if (upload.terminal != format_id(terminal->id) && upload.terminal != terminal->name) {
        return fail(ErrorKind::not_permitted, "this is the journal of another terminal");
      }
      const JournalPosition end = TRY(ledger_.take_journal(terminal->id, upload.records));
      return JournalTaken{end.number, to_bytes(ByteView(end.hash))};
    }();
    if (taken) {
      records_.add();
      return json_response(200, to_text(journal_taken_document(*taken)));
    }
    forks_.add();
    if (taken.error().kind == ErrorKind::already_exists) {
      service::log_error("the journal of terminal \"" + terminal->name + "\"", taken.error());
    }
    // A gap is no missing page: both are a conflict with what is here.
    JsonProblem out = JsonProblem::of(taken.error());
    if (taken.error().kind == ErrorKind::not_found) out.status = 409;
    return out.to_response();
  }

  // ---- lists and rules

  HttpResponse answer_stop_list(const HttpRequest& request, std::string_view rest) {
    const bool delta = rest == "delta";
    if (!config_.stop_list || (!delta && rest != "full")) return not_found();
    if (!reads(request)) return not_allowed("GET, HEAD");
    const auto lists = shelf_.stop_lists();
    if (!lists) return not_found();
    if (!delta) return serve_document(request, lists->full, kStopListType, clock_.now());
    const auto base = base_in(request.query);
    if (!base) return problem(base.error());
    const auto found = lists->deltas.find(*base == 0 ? lists->full_epoch : *base);
    if (found == lists->deltas.end()) return not_found();
    return serve_document(request, found->second, kStopListType, clock_.now());
  }

  HttpResponse answer_rules(const HttpRequest& request) {
    const auto rules = config_.rules ? shelf_.rules() : nullptr;
    if (!rules) return not_found();
    if (!reads(request)) return not_allowed("GET, HEAD");
    return serve_document(request, *rules, kStopListType, clock_.now());
  }

  // ---- cards

  HttpResponse answer_cards(const HttpRequest& request, std::string_view rest) {
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos) return not_found();
    const std::string_view which = rest.substr(0, slash), verb = rest.substr(slash + 1);
    if (verb == "status") {
      if (!reads(request)) return not_allowed("GET, HEAD");
      return card_status(request, which);
    }
    if (verb != "life") return not_found();
    if (request.method != HttpMethod::post) return not_allowed("POST");
    if (!is_type(request.media_type(), kJson)) return wrong_type(kJson);
    return card_life(request, which);
  }

  HttpResponse card_status(const HttpRequest& request, std::string_view which) {
    const auto terminal = terminal_of(request);
    if (!terminal) {
      const auto person = operator_of(request, &OperatorConfig::card_status);
      if (!person) return refusal(request, request.client_certificate.empty() ? person.error() : terminal.error());
    }
    const auto index = number_in(which);
    if (!index) return problem({ErrorKind::usage, "a card is asked for by its status index", ""});
    CardOnLine out;
    out.at = clock_.now();
    const auto card = ledger_.registry().card_by_status_index(*index);
    if (!card && card.error().kind != ErrorKind::not_found) return problem(card.error());
    if (card) {
      out.verdict = row_of(card->state).stopped ? CardVerdict::stopped : CardVerdict::good;
      out.state = state_at(*card, out.at);
      out.valid_until = card->valid_until;
    }
    return json_response(200, to_text(card_status_document(*index, out)));
  }

  HttpResponse card_life(const HttpRequest& request, std::string_view which) {
    const auto person = operator_of(request, &OperatorConfig::card_life);
    if (!person) return refusal(request, person.error());
    const auto done = [&]() -> Result<std::string> {
      const CardLifeRequest asked = TRY(body_of(request, read_card_life));
      const Card card = TRY(find_card(which));
      TerminalLedger::DeedKey key;
      key.caller = "operator:" + (*person)->name;
      key.key = request.field("Idempotency-Key");
      key.request = crypto::digest(crypto::Hash::sha256, concat({as_bytes(format_id(card.id)), request.body}));
      return ledger_.change_card_once(key, card.id, asked.to, asked.reason, {key.caller, asked.why},
                                      [](const Card& moved) { return life_text(moved); });
    }();
    if (!done) return refusal(request, done.error());
    steps_.add();
    return json_response(200, *done);
  }

  /// By its number in the registry (16 hexadecimal digits) or its status index.
  Result<Card> find_card(std::string_view which) {
    if (const auto id = parse_card_id(which)) return ledger_.registry().card(*id);
    const auto index = number_in(which);
    if (!index) return fail(ErrorKind::usage, "a card is named by its number or its status index");
    return ledger_.registry().card_by_status_index(*index);
  }
  static std::string life_text(const Card& card) {
    return to_text(
        Json{{"schema", "karta.card.life/1"},
             {"card", format_id(card.id)},
             {"serial", card.serial},
             {"status_index", card.status_index},
             {"state", row_of(card.state).name},
             {"stopped", row_of(card.state).stopped},
             {"revocation_reason", card.state == CardState::revoked ? Json(name_of(card.revocation_reason)) : Json()},
             {"changed", format_time(card.changed)}});
  }

  // ---- desk

  HttpResponse answer_desk(const HttpRequest& request, std::string_view session) {
    if (!desk_) return not_found();
    if (request.method != HttpMethod::post) return not_allowed("POST");
    if (!is_type(request.media_type(), kJson)) return wrong_type(kJson);
    const auto terminal = terminal_of(request);
    if (!terminal) return refusal(request, terminal.error());
    const DeskCaller caller{format_id(terminal->id), terminal->name, terminal->role};
    const auto later = std::make_shared<LaterResponse>();
    const int status = session.empty() ? 201 : 200;
    const DeskAnswer answer = [later, status](Result<DeskStep> step) {
      later->send(step ? json_response(status, to_text(desk_step_document(*step))) : problem(step.error()));
    };
    if (request.body.size() > kMostDeskOctets) return problem({ErrorKind::limit, "the request is too large", ""});
    const auto document = parse_document(as_text(request.body));
    if (!document) return problem(document.error());
    if (session.empty()) {
      desk_->open(caller, as_text(request.body), answer);
    } else {
      auto replies = read_replies(*document);
      if (!replies) return problem(replies.error());
      desk_->next(caller, session, std::move(*replies), answer);
    }
    return HttpResponse::later(later);
  }

  HttpResponse answer_accounts(const HttpRequest& request, bool make) {
    if (!desk_) return not_found();
    if (request.method != HttpMethod::post) return not_allowed("POST");
    if (!is_type(request.media_type(), kJson)) return wrong_type(kJson);
    const auto terminal = terminal_of(request);
    if (!terminal) return refusal(request, terminal.error());
    const DeskCaller caller{format_id(terminal->id), terminal->name, terminal->role};
    auto done = make ? make_account(request, caller) : remove_account(request, caller);
    return done ? std::move(*done) : refusal(request, done.error());
  }

  Result<AccountDesk*> accounts() {
    if (!accounts_) {
      return fail(ErrorKind::configuration, "no accounts for one-time codes are made here",
                  "[authority.accounts] of karta-identity's configuration");
    }
    return accounts_.get();
  }

  Result<HttpResponse> make_account(const HttpRequest& request, const DeskCaller& caller) {
    const AccountOrder order = TRY(body_of(request, read_account_order));
    AccountDesk& desk = *TRY(accounts());
    const MadeAccount made = TRY(desk.make(caller, order));
    accounts_made_.add();
    HttpResponse out = json_response(201, "");
    out.secret_body = std::make_shared<const SecretBytes>(made_account_document(made));
    return out;
  }

  Result<HttpResponse> remove_account(const HttpRequest& request, const DeskCaller& caller) {
    const AccountRemoval removal = TRY(body_of(request, read_account_removal));
    AccountDesk& desk = *TRY(accounts());
    const bool removed = TRY(desk.remove(caller, removal));
    if (removed) accounts_removed_.add();
    return json_response(200, account_removed_document(removed));
  }

  void forget_old_answers() {
    const Time now = clock_.now();
    if (now < forget_at_) return;
    forget_at_ = now + kForgetEvery;
    const Status done = ledger_.forget_answers(now - kAnswersKept);
    if (!done) service::log_error("old answers stay for now", done.error());
  }

  const AuthorityConfig config_;
  const Clock& clock_;
  const AuthorityShelf& shelf_;
  std::shared_ptr<TerminalPort> terminals_;
  std::shared_ptr<DeskPort> desk_;
  std::shared_ptr<const LoginSecret> account_secret_;
  std::vector<crypto::Certificate> ca_;
  TerminalLedger ledger_;
  crypto::CertificateProfile profile_;
  std::unique_ptr<crypto::Signer> signer_;
  SystemRandom random_;
  service::BearerTokens tokens_;
  std::unique_ptr<AccountDesk> accounts_;  // null: none are made here; of the members above
  Time forget_at_{};
  service::Counter enrolled_, renewed_, refused_, records_, forks_, steps_, accounts_made_, accounts_removed_;
};

AuthorityRoutes::AuthorityRoutes(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AuthorityRoutes::~AuthorityRoutes() = default;

Result<std::unique_ptr<AuthorityRoutes>> AuthorityRoutes::open(const ServerConfig& config, const AuthorityKeys& keys,
                                                               const AuthoritySurroundings& around) {
  static SystemRandom random;
  Registry registry = TRY(Registry::open(config.database, around.clock, random, service::kServingDatabase));
  auto profile = TRY(crypto::CertificateProfile::from_toml(kTlsProfile, kTlsProfileName));
  auto signer = TRY(keys.tls.signer());
  if (!keys.tls.certificates().front().is_ca()) {
    return fail(ErrorKind::configuration, "[authority.tls]: the certificate is no CA's",
                "the issuing CA's key and certificate stand there");
  }
  auto impl = std::make_unique<Impl>(*config.authority, keys, around, TerminalLedger(std::move(registry)),
                                     std::move(profile), std::move(signer));
  TRY(impl->open(config.database));
  return std::unique_ptr<AuthorityRoutes>(new AuthorityRoutes(std::move(impl)));
}

HttpResponse AuthorityRoutes::answer(const HttpRequest& request, std::string_view rest) {
  return impl_->answer(request, rest);
}
bool AuthorityRoutes::takes_large_body(const HttpRequest& request) const { return request.path == kJournalPath; }
std::vector<std::string> AuthorityRoutes::problems() { return impl_->problems(); }

}  // namespace karta::identity
