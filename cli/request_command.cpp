// karta request: a department's requests to others: send, answer, list, fetch, check.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/file.h"
#include "base/random.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/signing_key.h"
#include "cli/verify_output.h"
#include "identity/requests/client.h"
#include "identity/requests/exchange.h"

namespace karta::cli {
namespace {

namespace fs = std::filesystem;
using identity::DepartmentAnswer;
using identity::DepartmentRequest;
using identity::RequestsClient;
using identity::RequestState;

constexpr std::size_t kMostSmallFile = std::size_t{1} << 20;

struct Arguments {
  std::string url, roots;
  std::string token_file, tls_key;
  std::vector<std::string> tls_certificates;
  KeyArguments key;
  std::string out = ".";
  // send
  std::string file;
  std::string from, to, basis, purpose, case_id, snils, citizen, question, deadline, delay_until, delay_basis;
  std::vector<std::string> ask;
  // answer, fetch
  std::string id, data, refuse, not_known;
  std::vector<std::string> anchors;
  // list
  std::string box = "inbox";
  // check
  std::string request, receipt, answer, answer_receipt, receipt_certificate, at;
  std::vector<std::string> crls;
  bool json = false;
};

// ---- to the server

Result<SecretBytes> read_token(const std::string& file) {
  std::error_code failed;
  const fs::perms mode = fs::status(file, failed).permissions();
  if (!failed && (mode & (fs::perms::group_all | fs::perms::others_all)) != fs::perms::none) {
    return fail(ErrorKind::not_permitted, "\"" + file + "\" holds a token and is open to others", "chmod 600 " + file);
  }
  Bytes octets = TRY(read_file(file, 4096));
  const auto end = std::ranges::find_if(octets, [](std::uint8_t c) { return c == '\n' || c == '\r'; });
  SecretBytes out = SecretBytes::copy_of(ByteView(octets.data(), static_cast<std::size_t>(end - octets.begin())));
  wipe(octets);
  return out;
}

Result<RequestsClient> open_client(const Arguments& given) {
  identity::RequestsClientOptions options;
  options.url = given.url;
  options.roots = given.roots;
  if (!given.token_file.empty()) options.token = TRY(read_token(given.token_file));
  if (!given.tls_key.empty()) {
    const Bytes pem = TRY(read_file(given.tls_key, kMostSmallFile));
    const auto input = make_secret_input(given.key.secret.descriptor, given.key.secret.program);
    const SecretBytes passphrase =
        TRY(input->ask({"The key of the department's TLS certificate is encrypted.", "passphrase", "", false}));
    const crypto::PrivateKey key = TRY(crypto::PrivateKey::from_encrypted_pem(as_text(pem), passphrase));
    auto tls = std::make_shared<service::HttpIdentity>();
    tls->private_key = key.expose_secret_der();
    for (const std::string& file : given.tls_certificates) {
      const Bytes octets = TRY(read_file(file, kMostSmallFile));
      tls->certificates_pem += as_text(octets);
    }
    options.identity = std::move(tls);
  }
  return RequestsClient::create(std::move(options));
}

// ---- the folder an exchange is kept in

fs::path place_of(const Arguments& given, const std::string& id, std::string_view part) {
  return fs::path(given.out) / (id + "." + std::string(part) + ".p7m");
}
/// What is there already and the same is no error.
Status keep(const fs::path& file, ByteView octets) {
  const Status written = write_new_file(file, octets, 0600);
  if (written || written.error().kind != ErrorKind::already_exists) return written;
  const Bytes there = TRY(read_file(file, kMostSmallFile));
  if (equal(there, octets)) return {};
  return written;
}
/// What was signed and did not arrive can be sent again as it is; what was signed just now and refused is worth
/// nothing, and goes.
Error after_refusal(Error error, const fs::path& document, bool fresh, const std::string& again) {
  if (error.kind == ErrorKind::io || error.kind == ErrorKind::busy) {
    error.hint = "send the same again: " + again;
  } else if (fresh) {
    std::error_code ignored;
    fs::remove(document, ignored);
  }
  return error;
}
/// The documents of the identity system's side that are there by now.
Status fetch_parts(RequestsClient& client, const Arguments& given, const std::string& id,
                   std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) {
    auto got = client.fetch(id, part);
    if (!got && got.error().kind == ErrorKind::not_found && part != "request") continue;
    if (!got) return fail(std::move(got).error());
    TRY(keep(place_of(given, id, part), *got));
    say(place_of(given, id, part).string());
  }
  return {};
}

Json json_of(const RequestState& one) {
  const SystemClock clock;
  return {{"id", one.id},
          {"from", one.from},
          {"to", one.to},
          {"ask", one.subjects},
          {"received", format_time(one.received)},
          {"deadline", format_time(one.deadline)},
          {"answered", one.answered ? Json(format_time(*one.answered)) : Json()},
          {"overdue", one.overdue(clock.now())}};
}
std::string line_of(const RequestState& one) {
  const SystemClock clock;
  std::string subjects;
  for (const std::string& subject : one.subjects) subjects += (subjects.empty() ? "" : ",") + subject;
  return one.id + "  " + one.from + " to " + one.to + "  " + subjects + "  " +
         (one.answered ? "answered " + format_time(*one.answered)
                       : (one.overdue(clock.now()) ? "OVERDUE since " : "until ") + format_time(one.deadline));
}
Result<int> show(const RequestState& one, const Arguments& given, const char* schema) {
  if (given.json) {
    Json document = json_document(schema);
    document.update(json_of(one));
    print_json(document);
  } else {
    print(line_of(one));
  }
  return 0;
}

// ---- send

Result<Time> time_of(const std::string& text, const char* option) {
  const auto out = parse_time(text);
  if (!out) {
    return fail(ErrorKind::usage, "\"" + text + "\" is no time", std::string(option) + " 2026-12-01T12:00:00Z");
  }
  return *out;
}

Result<DepartmentRequest> request_of(const Arguments& given) {
  SystemRandom random;
  const SystemClock clock;
  DepartmentRequest out;
  out.id = identity::new_request_id(random);
  out.made = clock.now();
  out.from = given.from;
  out.to = given.to;
  out.legal_basis = given.basis;
  out.purpose = given.purpose;
  out.case_id = given.case_id;
  if (given.snils.empty() == given.citizen.empty()) {
    return fail(ErrorKind::usage, "a request is about one citizen", "--snils NUMBER, or --citizen ID of the registry");
  }
  if (!given.snils.empty()) {
    out.snils = TRY(identity::Snils::parse(given.snils));
  } else {
    out.citizen = TRY(identity::parse_citizen_id(given.citizen));
  }
  out.subjects = given.ask;
  out.question = given.question;
  if (!given.deadline.empty()) out.deadline = TRY(time_of(given.deadline, "--deadline"));
  if (!given.delay_until.empty()) {
    const Time until = TRY(time_of(given.delay_until, "--delay-until"));
    out.delay = identity::DelayedDisclosure{given.delay_basis, until};
  }
  // What the other end would refuse is refused here, in its words.
  return identity::parse_department_request(write_document(out));
}

/// The JSON inside a signed document, as it stands: who signed it is not looked at.
Result<std::string> content_of(ByteView cms) {
  const crypto::SignedData data = TRY(crypto::SignedData::parse(cms));
  std::string out;
  for (const ByteView piece : data.content) out += as_text(piece);
  return out;
}

Result<int> run_send(const Arguments& given) {
  Bytes document;
  std::string id;
  bool to_registry = false;
  const Bytes file = given.file.empty() ? Bytes() : TRY(read_file(given.file, kMostSmallFile));
  // Named, it is what was to be sent: an empty one is not as if nothing were named.
  if (!given.file.empty() && file.empty()) return fail(ErrorKind::malformed, "\"" + given.file + "\" is empty");
  RequestsClient client = TRY(open_client(given));
  const bool signed_before = !file.empty() && file.front() == 0x30;
  if (signed_before) {
    // Signed before: a try whose answer was lost, say.
    const std::string json = TRY(content_of(file));
    const DepartmentRequest request = TRY(identity::parse_department_request(json));
    id = request.id;
    to_registry = request.to == identity::kRegistryName;
    document = file;
  } else {
    const DepartmentRequest request =
        TRY(file.empty() ? request_of(given) : identity::parse_department_request(as_text(file)));
    id = request.id;
    to_registry = request.to == identity::kRegistryName;
    const auto key = TRY(SigningKey::open(given.key));
    key->set_subject("request " + id + " to " + request.to);
    document = TRY(identity::sign_document(key->signer(), write_document(request), SystemClock().now()));
    // On disk before it is sent: if the answer is lost, the same octets can be sent again.
    TRY(keep(place_of(given, id, "request"), document));
  }
  auto receipt = client.send(document);
  if (!receipt) {
    return fail(after_refusal(std::move(receipt).error(), place_of(given, id, "request"), !signed_before,
                              "karta request send " + given.url + " " + place_of(given, id, "request").string()));
  }
  if (!signed_before) say(place_of(given, id, "request").string());
  TRY(keep(place_of(given, id, "receipt"), *receipt));
  say(place_of(given, id, "receipt").string());
  if (to_registry) TRY(fetch_parts(client, given, id, {"answer", "answer-receipt"}));
  return show(TRY(client.state(id)), given, "karta.request.send/1");
}

// ---- answer, fetch, list

Result<crypto::TrustMaterial> trust_of(const Arguments& given) {
  crypto::TrustMaterial out;
  for (const std::string& file : given.anchors) {
    const Bytes octets = TRY(read_file(file, kMostSmallFile));
    const auto certificates = TRY(crypto::Certificate::many_from_file_octets(octets));
    out.anchors.insert(out.anchors.end(), certificates.begin(), certificates.end());
  }
  return out;
}

Result<int> run_answer(const Arguments& given) {
  const int ways = (given.data.empty() ? 0 : 1) + (given.refuse.empty() ? 0 : 1) + (given.not_known.empty() ? 0 : 1);
  if (ways != 1) return fail(ErrorKind::usage, "an answer is one of --data, --refuse and --not-known");
  const SystemClock clock;
  RequestsClient client = TRY(open_client(given));
  const Bytes request_file = TRY(client.fetch(given.id, "request"));
  const crypto::TrustMaterial trust = TRY(trust_of(given));
  const auto opened = TRY(identity::open_document(request_file, trust, nullptr, clock.now()));
  const DepartmentRequest request = TRY(identity::parse_department_request(opened.json));
  if (request.id != given.id) return fail(ErrorKind::malformed, "the server handed out another request");
  TRY(keep(place_of(given, given.id, "request"), request_file));
  DepartmentAnswer answer;
  answer.request = request.id;
  answer.request_hash = identity::hash_of_document(request_file);
  answer.from = request.to;
  answer.to = request.from;
  answer.made = clock.now();
  if (!given.data.empty()) {
    const Bytes octets = TRY(read_file(given.data, identity::kMostAnswerOctets));
    answer.data = std::string(as_text(octets));
  } else {
    answer.outcome = given.refuse.empty() ? identity::AnswerOutcome::not_known : identity::AnswerOutcome::refused;
    answer.reason = given.refuse.empty() ? given.not_known : given.refuse;
  }
  const std::string json = write_document(answer);
  const auto checked = identity::parse_department_answer(json);
  if (!checked) return fail(checked.error().kind, "the answer: " + checked.error().message);
  const fs::path place = place_of(given, given.id, "answer");
  Bytes document;
  std::error_code ignored;
  const bool fresh = !fs::exists(place, ignored);
  if (!fresh) {
    // A try whose answer was lost: the same octets are sent again.
    document = TRY(read_file(place, kMostSmallFile));
    say("sending \"" + place.string() + "\", which was signed before");
  } else {
    const auto key = TRY(SigningKey::open(given.key));
    key->set_subject("answer to " + request.from);
    document = TRY(identity::sign_document(key->signer(), json, answer.made));
    TRY(keep(place, document));
  }
  auto receipt = client.answer(given.id, document);
  if (!receipt) return fail(after_refusal(std::move(receipt).error(), place, fresh, "call this command again"));
  if (fresh) say(place.string());
  TRY(keep(place_of(given, given.id, "answer-receipt"), *receipt));
  say(place_of(given, given.id, "answer-receipt").string());
  return show(TRY(client.state(given.id)), given, "karta.request.answer/1");
}

Result<int> run_fetch(const Arguments& given) {
  RequestsClient client = TRY(open_client(given));
  const RequestState state = TRY(client.state(given.id));
  TRY(fetch_parts(client, given, given.id, {"request", "receipt", "answer", "answer-receipt"}));
  return show(state, given, "karta.request.fetch/1");
}

Result<int> run_list(const Arguments& given) {
  RequestsClient client = TRY(open_client(given));
  Json document = json_document("karta.request.list/1");
  document["box"] = given.box;
  document["requests"] = Json::array();
  std::string after;
  bool any = false;
  for (;;) {
    const identity::RequestsPage page = TRY(client.list(given.box, after));
    for (const RequestState& one : page.requests) {
      any = true;
      if (given.json) {
        document["requests"].push_back(json_of(one));
      } else {
        print(line_of(one));
      }
    }
    if (!page.next) break;
    after = *page.next;
  }
  if (given.json) {
    print_json(document);
  } else if (!any) {
    say("there is none");
  }
  return 0;
}

// ---- check

Result<int> run_check(const Arguments& given) {
  identity::ExchangeFiles files;
  files.request = TRY(read_file(given.request, kMostSmallFile));
  struct Part {
    const std::string& file;
    Bytes& octets;
  };
  for (const Part& part : {Part{given.receipt, files.receipt}, Part{given.answer, files.answer},
                           Part{given.answer_receipt, files.answer_receipt}}) {
    if (!part.file.empty()) part.octets = TRY(read_file(part.file, kMostSmallFile));
  }
  const crypto::TrustMaterial trust = TRY(trust_of(given));
  crypto::ValidationEvidence evidence;
  for (const std::string& file : given.crls) {
    const Bytes octets = TRY(read_file(file, std::size_t{16} << 20));
    TRY(evidence.add_revocation(octets));
  }
  std::optional<crypto::Certificate> receipts;
  if (!given.receipt_certificate.empty()) {
    const Bytes octets = TRY(read_file(given.receipt_certificate, kMostSmallFile));
    const auto certificates = TRY(crypto::Certificate::many_from_file_octets(octets));
    receipts = certificates.front();
  }
  const Time at = given.at.empty() ? SystemClock().now() : TRY(time_of(given.at, "--at"));
  const identity::ExchangeReport report = identity::check_exchange(files, trust, &evidence, at, receipts);
  const Outcome outcome = report.failed()   ? Outcome::failed
                          : report.passed() ? Outcome::passed
                                            : Outcome::indeterminate;
  if (given.json) {
    Json document = json_document("karta.request.check/1");
    document["verdict"] = name_of(outcome);
    document["in_time"] = report.in_time ? Json(*report.in_time) : Json();
    document["checks"] = Json::array();
    for (const identity::ExchangeCheck& one : report.checks) {
      document["checks"].push_back({{"name", one.name},
                                    {"result", one.holds     ? "holds"
                                               : one.unknown ? "unknown"
                                                             : "fails"},
                                    {"words", one.words}});
    }
    if (report.request) document["request"] = Json::parse(write_document(*report.request));
    if (report.answer) document["answer"] = Json::parse(write_document(*report.answer));
    print_json(document);
  } else {
    print(std::string(name_of(outcome)));
    for (const identity::ExchangeCheck& one : report.checks) {
      print(std::string(one.holds     ? "  holds    "
                        : one.unknown ? "  unknown  "
                                      : "  fails    ") +
            one.name + ": " + one.words);
    }
    if (report.request) {
      print("  " + report.request->from + " asked " + report.request->to + ", by " + report.request->legal_basis +
            ": " + report.request->purpose);
    }
    if (report.in_time) print(*report.in_time ? "  answered in time" : "  not answered in time");
  }
  return static_cast<int>(outcome);
}

}  // namespace

void add_request(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("request", "A department's requests to others about citizens, and its answers");
  noun.require_subcommand(1);
  const auto verb = [&](const char* name, const char* words, Result<int> (*run)(const Arguments&)) {
    auto given = std::make_shared<Arguments>();
    CLI::App* const command = noun.add_subcommand(name, words);
    command->add_flag("--json", given->json, "for scripts");
    on_call(*command, chosen, [given, run] { return run(*given); });
    return std::pair(command, given);
  };
  const auto at_server = [](CLI::App& command, Arguments& given) {
    command.add_option("url", given.url, "of the identity system: https://HOST[:PORT]")->required();
    command.add_option("--roots", given.roots, "who certified its server (PEM; default: the system's)")
        ->check(CLI::ExistingFile);
    CLI::Option* const token =
        command.add_option("--token-file", given.token_file, "the department's token, in a file for its owner's eyes")
            ->check(CLI::ExistingFile);
    CLI::Option* const tls = command.add_option("--tls-key", given.tls_key, "or the key of its TLS certificate")
                                 ->check(CLI::ExistingFile)
                                 ->excludes(token);
    command.add_option("--tls-certificate", given.tls_certificates, "that certificate, and those above it")
        ->check(CLI::ExistingFile)
        ->needs(tls);
  };
  const auto out_option = [](CLI::App& command, Arguments& given) {
    command.add_option("--out", given.out, "the folder signed documents are kept in: ID.request.p7m ...")
        ->check(CLI::ExistingDirectory)
        ->capture_default_str();
  };
  {
    const auto [command, given] = verb("send", "Sign a request and send it; the receipt comes back", run_send);
    at_server(*command, *given);
    command->add_option("file", given->file, "a request (karta.request/1), or one that is signed already")
        ->check(CLI::ExistingFile);
    command->add_option("--from", given->from, "the department that asks");
    command->add_option("--to", given->to, "the department that is asked; \"registry\": the identity system");
    command->add_option("--basis", given->basis, "the law that allows it, as it is registered");
    command->add_option("--purpose", given->purpose, "what for, in words the citizen will read");
    command->add_option("--case", given->case_id, "the department's own number of the matter");
    command->add_option("--snils", given->snils, "the citizen");
    command->add_option("--citizen", given->citizen, "or the citizen's id in the registry");
    command->add_option("--ask", given->ask, "what: insurance, income ...; may be repeated");
    command->add_option("--question", given->question, "in words, for a person who answers");
    command->add_option("--deadline", given->deadline, "sooner than the department asked would have to answer");
    command->add_option("--delay-until", given->delay_until, "the citizen is told from then on only");
    command->add_option("--delay-basis", given->delay_basis, "the law that allows that");
    out_option(*command, *given);
    add_key_options(*command, given->key);
    command->footer(
        "Example: karta request send https://id.example --token-file token --from pension-fund --to registry \\\n"
        "  --basis \"Act 7, article 3\" --purpose \"reckon a pension\" --case 12-7 --snils \"001-001-999 65\" \\\n"
        "  --ask insurance --key fund.key --certificate fund.pem");
  }
  {
    const auto [command, given] = verb("answer", "Sign an answer to a request and send it", run_answer);
    at_server(*command, *given);
    command->add_option("id", given->id, "of the request")->required();
    command->add_option("--data", given->data, "a JSON object with a key for each subject answered")
        ->check(CLI::ExistingFile);
    command->add_option("--refuse", given->refuse, "or why it is refused");
    command->add_option("--not-known", given->not_known, "or that nothing is known");
    command->add_option("--anchor", given->anchors, "who certifies departments: the request is held against it")
        ->check(CLI::ExistingFile)
        ->required();
    out_option(*command, *given);
    add_key_options(*command, given->key);
  }
  {
    const auto [command, given] = verb("list", "Requests to answer, sent ones, overdue ones", run_list);
    at_server(*command, *given);
    command->add_option("--box", given->box, "inbox, sent, overdue")
        ->check(CLI::IsMember({"inbox", "sent", "overdue"}))
        ->capture_default_str();
    add_pin_options(*command, given->key.secret, "the passphrase of --tls-key");
  }
  {
    const auto [command, given] = verb("fetch", "A request's documents as far as they are there", run_fetch);
    at_server(*command, *given);
    command->add_option("id", given->id, "of the request")->required();
    out_option(*command, *given);
    add_pin_options(*command, given->key.secret, "the passphrase of --tls-key");
  }
  {
    const auto [command, given] = verb(
        "check", "Check kept documents without asking anybody: 0 all holds, 1 something fails, 2 nobody is trusted",
        run_check);
    command->add_option("request", given->request, "the signed request")->check(CLI::ExistingFile)->required();
    command->add_option("--receipt", given->receipt, "for it")->check(CLI::ExistingFile);
    command->add_option("--answer", given->answer, "the signed answer")->check(CLI::ExistingFile);
    command->add_option("--answer-receipt", given->answer_receipt, "for that")->check(CLI::ExistingFile);
    command->add_option("--anchor", given->anchors, "certificates to trust, PEM or DER; may be repeated")
        ->check(CLI::ExistingFile);
    command->add_option("--crl", given->crls, "a revocation list or OCSP answer; may be repeated")
        ->check(CLI::ExistingFile);
    command->add_option("--receipt-certificate", given->receipt_certificate, "the identity system's, for receipts")
        ->check(CLI::ExistingFile);
    command->add_option("--at", given->at, "judge receipts at this time (default: now)");
  }
}

}  // namespace karta::cli
