#include "identity/authority/documents.h"

#include <algorithm>

#include "base/json_depth.h"
#include "crypto/x509/certificate.h"
#include "identity/utf8.h"

namespace karta::identity {
namespace {

constexpr std::size_t kMostDepth = 16;  // a desk's deeds have documents of their own inside
constexpr std::size_t kMostNames = 64;
constexpr std::size_t kMostCertificates = 32;
constexpr std::size_t kMostApdu = 65'544;

tl::unexpected<Error> bad(const std::string& what) { return fail(ErrorKind::malformed, what); }
tl::unexpected<Error> bad_key(const char* key) {
  return bad("\"" + std::string(key) + "\" is missing or not what it should be");
}

/// Hands out an object's keys one by one; done() refuses what nobody asked for.
class ObjectReader {
 public:
  ObjectReader(const Json& object, std::string_view schema) : object_(object), schema_(schema) {}

  Status begin() {
    if (!object_.is_object()) return bad("it is no JSON object");
    const std::string schema = TRY(text("schema"));
    if (schema != schema_) return bad("its schema is not \"" + std::string(schema_) + "\"");
    return {};
  }
  Result<const Json*> value(const char* key) {
    ++taken_;
    const auto found = object_.find(key);
    if (found == object_.end()) return bad_key(key);
    return &*found;
  }
  bool has(const char* key) const { return object_.contains(key); }
  Result<std::string> text(const char* key) {
    const Json* const found = TRY(value(key));
    if (!found->is_string()) return bad_key(key);
    return found->get<std::string>();
  }
  Result<std::uint64_t> number(const char* key) {
    const Json* const found = TRY(value(key));
    if (!found->is_number_unsigned()) return bad_key(key);
    return found->get<std::uint64_t>();
  }
  Result<bool> boolean(const char* key) {
    const Json* const found = TRY(value(key));
    if (!found->is_boolean()) return bad_key(key);
    return found->get<bool>();
  }
  Result<Time> time(const char* key) {
    const std::string words = TRY(text(key));
    const auto out = parse_time(words);
    if (!out) return bad_key(key);
    return *out;
  }
  Result<Bytes> base64(const char* key) {
    const std::string words = TRY(text(key));
    auto out = from_base64(words);
    if (!out) return bad_key(key);
    return std::move(*out);
  }
  Result<Bytes> hex(const char* key) {
    const std::string words = TRY(text(key));
    auto out = from_hex(words);
    if (!out) return bad_key(key);
    return std::move(*out);
  }
  Result<std::vector<std::string>> texts(const char* key, std::size_t most) {
    const Json* const found = TRY(value(key));
    if (!found->is_array() || found->size() > most) return bad_key(key);
    std::vector<std::string> out;
    for (const Json& one : *found) {
      if (!one.is_string()) return bad_key(key);
      out.push_back(one.get<std::string>());
    }
    return out;
  }
  Result<std::vector<Bytes>> base64s(const char* key, std::size_t most) {
    const auto words = TRY(texts(key, most));
    std::vector<Bytes> out;
    for (const std::string& one : words) {
      auto octets = from_base64(one);
      if (!octets) return bad_key(key);
      out.push_back(std::move(*octets));
    }
    return out;
  }
  Result<std::vector<Bytes>> hexes(const char* key, std::size_t most, std::size_t most_octets) {
    const auto words = TRY(texts(key, most));
    std::vector<Bytes> out;
    for (const std::string& one : words) {
      auto octets = from_hex(one);
      if (!octets || octets->size() > most_octets) return bad_key(key);
      out.push_back(std::move(*octets));
    }
    return out;
  }
  /// Every key was asked for.
  Status done() const {
    if (object_.size() == taken_) return {};
    return bad("it has a key that does not belong there");
  }

 private:
  const Json& object_;
  std::string_view schema_;
  std::size_t taken_ = 0;
};

constexpr std::string_view kEnrolSchema = "karta.terminal.enrol/1", kRenewSchema = "karta.terminal.renew/1",
                           kCertificatesSchema = "karta.terminal.certificates/1",
                           kStandingSchema = "karta.terminal.standing/1", kTakenSchema = "karta.journal.taken/1",
                           kStatusSchema = "karta.card.on-line/1", kStepSchema = "karta.desk.step/1",
                           kRepliesSchema = "karta.desk.replies/1", kLifeSchema = "karta.card.step/1",
                           kAccountOrderSchema = "karta.desk.account.order/1",
                           kAccountRemovalSchema = "karta.desk.account.removal/1",
                           kAccountSchema = "karta.desk.account/1", kRemovedSchema = "karta.desk.account.removed/1";

template <class Octets>
Json base64_array(const Octets& several) {
  Json out = Json::array();
  for (const Bytes& one : several) out.push_back(to_base64(one));
  return out;
}
Json hex_array(const std::vector<Bytes>& several) {
  Json out = Json::array();
  for (const Bytes& one : several) out.push_back(to_hex(one));
  return out;
}

void add_order(Json& document, const CertificateOrder& order) {
  document["cv_request"] = to_base64(order.cv_request);
  document["tls_request"] = to_base64(order.tls_request);
  if (!order.rights.empty()) document["rights"] = order.rights;
}
Result<CertificateOrder> read_order(ObjectReader& reader) {
  CertificateOrder out;
  out.cv_request = TRY(reader.base64("cv_request"));
  out.tls_request = TRY(reader.base64("tls_request"));
  if (reader.has("rights")) out.rights = TRY(reader.texts("rights", kMostNames));
  return out;
}

void wipe_text(std::string& text) { wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}); }

/// Where a citizen's account is asked about: the session, his word, who asks and why.
template <class Wish>
void add_wish(Json& document, const Wish& wish) {
  document["session"] = wish.session;
  document["agreed"] = wish.agreed;
  if (!wish.person.empty()) document["operator"] = wish.person;
  if (!wish.reason.empty()) document["reason"] = wish.reason;
}
template <class Wish>
Status read_wish(ObjectReader& reader, Wish& out) {
  out.session = TRY(reader.text("session"));
  out.agreed = TRY(reader.boolean("agreed"));
  if (reader.has("operator")) out.person = TRY(reader.text("operator"));
  if (reader.has("reason")) out.reason = TRY(reader.text("reason"));
  if (characters_of(out.person) > kPersonCharacters) return bad_key("operator");
  if (characters_of(out.reason) > kReasonCharacters) return bad_key("reason");
  return {};
}

Json time_or_null(const std::optional<Time>& time) { return time ? Json(format_time(*time)) : Json(); }

}  // namespace

std::optional<ErrorKind> error_kind_named(std::string_view name) {
  for (unsigned i = 0; i <= static_cast<unsigned>(ErrorKind::internal); ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    if (row_of(kind).name == name) return kind;
  }
  return std::nullopt;
}

Result<Json> parse_document(std::string_view text) {
  if (text.size() > kMostDeskOctets) return fail(ErrorKind::limit, "the document is too large");
  if (nested_deeper_than(text, kMostDepth)) return bad("it is nested too deep");
  Json out = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!out.is_object()) return bad("it is no JSON object");
  return out;
}

std::string to_text(const Json& document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

SecretBytes enrolment_document(const SecretBytes& code, const CertificateOrder& order) {
  Json document{{"schema", kEnrolSchema}, {"code", code.expose_secret_text()}};
  add_order(document, order);
  std::string text = to_text(document);
  SecretBytes out = SecretBytes::copy_of(text);
  wipe_text(text);
  wipe_text(document["code"].get_ref<std::string&>());
  return out;
}

Result<EnrolmentRequest> read_enrolment(const Json& document) {
  ObjectReader reader(document, kEnrolSchema);
  TRY(reader.begin());
  EnrolmentRequest out;
  std::string code = TRY(reader.text("code"));
  out.code = SecretBytes::copy_of(code);
  wipe_text(code);
  if (out.code.size() > 64) return bad_key("code");
  out.order = TRY(read_order(reader));
  TRY(reader.done());
  return out;
}

std::string renewal_document(const CertificateOrder& order) {
  Json document{{"schema", kRenewSchema}};
  add_order(document, order);
  return to_text(document);
}

Result<CertificateOrder> read_renewal(const Json& document) {
  ObjectReader reader(document, kRenewSchema);
  TRY(reader.begin());
  CertificateOrder out = TRY(read_order(reader));
  TRY(reader.done());
  return out;
}

namespace {

/// Whom a document is about.
template <class Document>
Status read_terminal(ObjectReader& reader, Document& out) {
  out.terminal = TRY(reader.text("terminal"));
  out.name = TRY(reader.text("name"));
  out.role = TRY(reader.text("role"));
  return {};
}

}  // namespace

Json certificates_document(const TerminalCertificates& given) {
  return Json{{"schema", kCertificatesSchema},
              {"terminal", given.terminal},
              {"name", given.name},
              {"role", given.role},
              {"cv_certificate", to_base64(given.cv_certificate)},
              {"cv_above", base64_array(given.cv_above)},
              {"tls_certificates", base64_array(given.tls_certificates)},
              {"cv_until", format_time(given.cv_until)},
              {"tls_until", format_time(given.tls_until)},
              {"renew_after", format_time(given.renew_after)}};
}

Result<TerminalCertificates> read_certificates(const Json& document) {
  ObjectReader reader(document, kCertificatesSchema);
  TRY(reader.begin());
  TerminalCertificates out;
  TRY(read_terminal(reader, out));
  out.cv_certificate = TRY(reader.base64("cv_certificate"));
  out.cv_above = TRY(reader.base64s("cv_above", kMostCertificates));
  out.tls_certificates = TRY(reader.base64s("tls_certificates", kMostCertificates));
  out.cv_until = TRY(reader.time("cv_until"));
  out.tls_until = TRY(reader.time("tls_until"));
  out.renew_after = TRY(reader.time("renew_after"));
  TRY(reader.done());
  if (out.tls_certificates.empty()) return bad_key("tls_certificates");
  for (const Bytes& der : out.tls_certificates) {
    if (!crypto::Certificate::from_der(der)) return bad_key("tls_certificates");
  }
  return out;
}

Json standing_document(const TerminalStanding& standing) {
  return Json{{"schema", kStandingSchema},
              {"terminal", standing.terminal},
              {"name", standing.name},
              {"role", standing.role},
              {"cv_until", format_time(standing.cv_until)},
              {"tls_until", format_time(standing.tls_until)},
              {"journal_to", standing.journal_to},
              {"journal_hash", to_hex(standing.journal_hash)},
              {"now", format_time(standing.now)}};
}

Result<TerminalStanding> read_standing(const Json& document) {
  ObjectReader reader(document, kStandingSchema);
  TRY(reader.begin());
  TerminalStanding out;
  TRY(read_terminal(reader, out));
  out.cv_until = TRY(reader.time("cv_until"));
  out.tls_until = TRY(reader.time("tls_until"));
  out.journal_to = TRY(reader.number("journal_to"));
  out.journal_hash = TRY(reader.hex("journal_hash"));
  out.now = TRY(reader.time("now"));
  TRY(reader.done());
  return out;
}

Json journal_taken_document(const JournalTaken& taken) {
  return Json{{"schema", kTakenSchema}, {"to", taken.to}, {"hash", to_hex(taken.hash)}};
}

Result<JournalTaken> read_journal_taken(const Json& document) {
  ObjectReader reader(document, kTakenSchema);
  TRY(reader.begin());
  JournalTaken out;
  out.to = TRY(reader.number("to"));
  out.hash = TRY(reader.hex("hash"));
  TRY(reader.done());
  return out;
}

Json card_status_document(std::uint64_t status_index, const CardOnLine& card) {
  return Json{{"schema", kStatusSchema},
              {"status_index", status_index},
              {"verdict", name_of(card.verdict)},
              {"state", card.state ? Json(row_of(*card.state).name) : Json()},
              {"valid_until", time_or_null(card.valid_until)},
              {"at", format_time(card.at)}};
}

Result<CardOnLine> read_card_status(const Json& document) {
  ObjectReader reader(document, kStatusSchema);
  TRY(reader.begin());
  CardOnLine out;
  (void)TRY(reader.number("status_index"));
  const std::string verdict = TRY(reader.text("verdict"));
  bool known = false;
  for (const CardVerdict one : {CardVerdict::good, CardVerdict::stopped, CardVerdict::unknown}) {
    if (name_of(one) != verdict) continue;
    out.verdict = one;
    known = true;
  }
  if (!known) return bad_key("verdict");
  const Json* const state = TRY(reader.value("state"));
  if (!state->is_null()) {
    if (!state->is_string()) return bad_key("state");
    const auto parsed = parse_card_state(state->get_ref<const std::string&>());
    if (!parsed) return bad_key("state");
    out.state = *parsed;
  }
  const Json* const until = TRY(reader.value("valid_until"));
  if (!until->is_null()) {
    if (!until->is_string()) return bad_key("valid_until");
    const auto parsed = parse_time(until->get_ref<const std::string&>());
    if (!parsed) return bad_key("valid_until");
    out.valid_until = *parsed;
  }
  out.at = TRY(reader.time("at"));
  TRY(reader.done());
  if (out.state.has_value() == (out.verdict == CardVerdict::unknown)) return bad_key("state");
  return out;
}

Json desk_step_document(const DeskStep& step) {
  Json document{{"schema", kStepSchema},
                {"session", step.session},
                {"number", step.number},
                {"done", step.done},
                {"commands", hex_array(step.commands)}};
  Json result = Json::parse(step.result.begin(), step.result.end(), nullptr, false);
  document["result"] = step.done && result.is_object() ? std::move(result) : Json();
  return document;
}

Result<DeskStep> read_desk_step(const Json& document) {
  ObjectReader reader(document, kStepSchema);
  TRY(reader.begin());
  DeskStep out;
  out.session = TRY(reader.text("session"));
  out.number = TRY(reader.number("number"));
  out.done = TRY(reader.boolean("done"));
  out.commands = TRY(reader.hexes("commands", kMostDeskCommands, kMostApdu));
  const Json* const result = TRY(reader.value("result"));
  if (!result->is_null() && !result->is_object()) return bad_key("result");
  if (result->is_object()) out.result = result->dump();
  TRY(reader.done());
  // It goes into a URL.
  if (out.session.empty() || out.session.size() > 64 ||
      out.session.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-") !=
          std::string::npos) {
    return bad_key("session");
  }
  return out;
}

std::string replies_document(const DeskReplies& replies) {
  return to_text(Json{{"schema", kRepliesSchema},
                      {"step", replies.step},
                      {"replies", hex_array(replies.replies)},
                      {"card_lost", replies.card_lost}});
}

Result<DeskReplies> read_replies(const Json& document) {
  ObjectReader reader(document, kRepliesSchema);
  TRY(reader.begin());
  DeskReplies out;
  out.step = TRY(reader.number("step"));
  out.replies = TRY(reader.hexes("replies", kMostDeskCommands, kMostApdu));
  out.card_lost = TRY(reader.boolean("card_lost"));
  TRY(reader.done());
  return out;
}

std::string account_order_document(const AccountOrder& order) {
  Json document{{"schema", kAccountOrderSchema}, {"login", order.login}, {"way", order.way}};
  if (!order.mail.empty()) document["mail"] = order.mail;
  add_wish(document, order);
  return to_text(document);
}

Result<AccountOrder> read_account_order(const Json& document) {
  ObjectReader reader(document, kAccountOrderSchema);
  TRY(reader.begin());
  AccountOrder out;
  out.login = TRY(reader.text("login"));
  out.way = TRY(reader.text("way"));
  if (reader.has("mail")) out.mail = TRY(reader.text("mail"));
  TRY(read_wish(reader, out));
  TRY(reader.done());
  return out;
}

std::string account_removal_document(const AccountRemoval& removal) {
  Json document{{"schema", kAccountRemovalSchema}};
  add_wish(document, removal);
  return to_text(document);
}

Result<AccountRemoval> read_account_removal(const Json& document) {
  ObjectReader reader(document, kAccountRemovalSchema);
  TRY(reader.begin());
  AccountRemoval out;
  TRY(read_wish(reader, out));
  TRY(reader.done());
  return out;
}

SecretBytes made_account_document(const MadeAccount& account) {
  std::string text = to_text(Json{{"schema", kAccountSchema}, {"login", account.login}, {"way", account.way}});
  if (account.otpauth.empty()) return SecretBytes::copy_of(text);
  // A URI needs no escapes; put in here, it is in no other text.
  text.resize(text.rfind('}'));
  return SecretBytes(
      concat({as_bytes(text), as_bytes(",\"otpauth\":\""), account.otpauth.expose_secret(), as_bytes("\"}\n")}));
}

Result<MadeAccount> read_made_account(Json& document) {
  ObjectReader reader(document, kAccountSchema);
  TRY(reader.begin());
  MadeAccount out;
  out.login = TRY(reader.text("login"));
  out.way = TRY(reader.text("way"));
  if (reader.has("otpauth")) {
    const Json* const secret = TRY(reader.value("otpauth"));
    if (!secret->is_string()) return bad_key("otpauth");
    auto& text = document["otpauth"].get_ref<std::string&>();
    out.otpauth = SecretBytes::copy_of(text);
    wipe_text(text);
  }
  TRY(reader.done());
  return out;
}

std::string account_removed_document(bool was_there) {
  return to_text(Json{{"schema", kRemovedSchema}, {"removed", was_there}});
}

Result<bool> read_account_removed(const Json& document) {
  ObjectReader reader(document, kRemovedSchema);
  TRY(reader.begin());
  const bool was_there = TRY(reader.boolean("removed"));
  TRY(reader.done());
  return was_there;
}

Result<CardLifeRequest> read_card_life(const Json& document) {
  ObjectReader reader(document, kLifeSchema);
  TRY(reader.begin());
  CardLifeRequest out;
  const std::string to = TRY(reader.text("to"));
  out.to = TRY(parse_card_state(to));
  out.why = TRY(reader.text("why"));
  if (reader.has("reason")) {
    const std::string reason = TRY(reader.text("reason"));
    out.reason = TRY(parse_revocation_reason(reason));
  }
  TRY(reader.done());
  if (out.why.empty()) return bad_key("why");
  return out;
}

}  // namespace karta::identity
