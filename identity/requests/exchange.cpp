#include "identity/requests/exchange.h"

#include <algorithm>

namespace karta::identity {
namespace {

/// Collects what holds and what does not.
class Checker {
 public:
  Checker(const crypto::TrustMaterial& trust, const crypto::ValidationEvidence* evidence)
      : trust_(trust), evidence_(evidence) {}

  /// Opens and reads a signed file; what is wrong with it is a check of its own.
  template <class Document>
  std::optional<Document> open(const std::string& name, ByteView cms, Time at,
                               Result<Document> (*read)(std::string_view), std::optional<crypto::Certificate>& signer) {
    auto opened = open_document(cms, trust_, evidence_, at);
    if (!opened) {
      add(name + "-signature", false, opened.error().message, opened.error().kind == ErrorKind::untrusted);
      return std::nullopt;
    }
    signer = opened->signer;
    add(name + "-signature", true, "by \"" + opened->signer.subject().to_text() + "\"");
    auto document = read(opened->json);
    if (!document) {
      add(name + "-form", false, document.error().message);
      return std::nullopt;
    }
    return std::move(*document);
  }
  void add(std::string name, bool holds, std::string words, bool unknown = false) {
    report.checks.push_back({std::move(name), holds, unknown, std::move(words)});
  }

  ExchangeReport report;

 private:
  const crypto::TrustMaterial& trust_;
  const crypto::ValidationEvidence* evidence_;
};

bool fits(const DepartmentReceipt& receipt, const DepartmentRequest& request, ByteView hash) {
  return receipt.request == request.id && equal(receipt.request_hash, hash) && receipt.from == request.from &&
         receipt.to == request.to;
}

/// One certificate, or another one for the same key.
bool same_holder(const crypto::Certificate& one, const crypto::Certificate& other) {
  return one == other || equal(one.spki(), other.spki());
}

/// Why the answer cannot be by whom it names; empty: nothing speaks against it. A certificate says no department's
/// name: that is the identity system's knowledge, and its receipt the proof. What is known here is who it is not, and
/// that the registry signs with the certificate of the receipts.
std::string_view wrong_answerer(const DepartmentAnswer& answer, const crypto::Certificate& signer,
                                const std::optional<crypto::Certificate>& asker,
                                const std::optional<crypto::Certificate>& system) {
  if (asker && same_holder(signer, *asker)) return "who asked signed the answer";
  if (!system) return {};
  if (answer.from == kRegistryName) return signer == *system ? "" : "the registry's answer is by another certificate";
  return same_holder(signer, *system) ? "the identity system signed a department's answer" : "";
}

}  // namespace

bool ExchangeReport::passed() const { return !checks.empty() && std::ranges::all_of(checks, &ExchangeCheck::holds); }
bool ExchangeReport::failed() const {
  return std::ranges::any_of(checks, [](const ExchangeCheck& one) { return !one.holds && !one.unknown; });
}

ExchangeReport check_exchange(const ExchangeFiles& files, const crypto::TrustMaterial& trust,
                              const crypto::ValidationEvidence* evidence, Time at,
                              const std::optional<crypto::Certificate>& receipt_signer) {
  Checker checker(trust, evidence);
  ExchangeReport& report = checker.report;
  std::optional<crypto::Certificate> of_receipt, of_request, of_answer, of_answer_receipt;
  // Receipts first: they tell when the others were there.
  if (!files.receipt.empty()) {
    report.receipt = checker.open("receipt", files.receipt, at, parse_department_receipt, of_receipt);
  }
  if (!files.answer_receipt.empty()) {
    report.answer_receipt =
        checker.open("answer-receipt", files.answer_receipt, at, parse_department_receipt, of_answer_receipt);
  }
  report.request = checker.open("request", files.request, report.receipt ? report.receipt->received : at,
                                parse_department_request, of_request);
  if (!files.answer.empty()) {
    report.answer = checker.open("answer", files.answer, report.answer_receipt ? report.answer_receipt->received : at,
                                 parse_department_answer, of_answer);
  }
  if (!report.request) return std::move(report);
  const DepartmentRequest& request = *report.request;
  const Bytes hash = hash_of_document(files.request);
  if (report.receipt) {
    const bool belongs = fits(*report.receipt, request, hash) && !report.receipt->for_answer();
    checker.add("receipt-belongs", belongs,
                belongs ? "received " + format_time(report.receipt->received) : "the receipt is for another request");
  }
  if (report.answer) {
    const DepartmentAnswer& answer = *report.answer;
    bool belongs = answer.request == request.id && equal(answer.request_hash, hash) && answer.from == request.to &&
                   answer.to == request.from;
    for (const std::string& one : subjects_of(answer)) {
      belongs = belongs && std::ranges::find(request.subjects, one) != request.subjects.end();
    }
    checker.add("answer-belongs", belongs,
                belongs ? std::string(name_of(answer.outcome)) : "the answer is not one to this request");
    const std::optional<crypto::Certificate>& system =
        receipt_signer ? receipt_signer : (of_answer_receipt ? of_answer_receipt : of_receipt);
    const std::string_view wrong = wrong_answerer(answer, *of_answer, of_request, system);
    checker.add("answer-signer", wrong.empty(), wrong.empty() ? answer.from : std::string(wrong));
    if (files.answer_receipt.empty()) {
      checker.add("answer-receipt", false, "without one nothing tells that \"" + answer.from + "\" signed the answer",
                  true);
    }
  }
  if (report.answer_receipt) {
    const bool belongs =
        fits(*report.answer_receipt, request, hash) && report.answer_receipt->for_answer() &&
        (files.answer.empty() || equal(report.answer_receipt->answer_hash, hash_of_document(files.answer)));
    checker.add(
        "answer-receipt-belongs", belongs,
        belongs ? "received " + format_time(report.answer_receipt->received) : "the receipt is for another answer");
    if (report.receipt && belongs) {
      const bool same = report.receipt->deadline == report.answer_receipt->deadline;
      checker.add("deadline-unchanged", same, format_time(report.receipt->deadline));
    }
    if (belongs) report.in_time = report.answer_receipt->received <= report.answer_receipt->deadline;
  } else if (report.receipt && files.answer.empty() && at > report.receipt->deadline) {
    // Of an answer without a receipt nobody but the answerer says when it came.
    report.in_time = false;
  }
  // A receipt is the identity system's: not the asker's own, and both are by one certificate.
  for (const auto* const signer : {&of_receipt, &of_answer_receipt}) {
    if (!*signer) continue;
    const bool own =
        (of_request && **signer == *of_request) || (request.to != kRegistryName && of_answer && **signer == *of_answer);
    const bool wanted = !receipt_signer || **signer == *receipt_signer;
    const bool one = !of_receipt || **signer == *of_receipt;
    if (own || !wanted || !one) {
      checker.add("receipt-signer", false,
                  own ? "a department signed the receipt for itself" : "the receipt is by another certificate");
    }
  }
  return std::move(report);
}

}  // namespace karta::identity
