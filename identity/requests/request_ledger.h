// RequestLedger: the requests between departments that the registry keeps, with their answers and receipts, and what
// the registry itself answers.
//
// Everything in it is about a citizen: each document that leaves, and each look at the citizen's record, is written
// into that citizen's access log in the transaction that reads, before it is returned. Part of a registry: belongs to
// its thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/registry.h"
#include "identity/requests/documents.h"

namespace karta::identity {

/// Where a request stands; no personal datum in it.
struct RequestState {
  std::string id;
  CitizenId citizen{};  ///< 0: a citizen the registry does not know
  std::string from, to;
  std::vector<std::string> subjects;
  Bytes hash;  ///< SHA-256 of the signed request
  Time received{}, deadline{};
  std::optional<Time> answered;

  bool overdue(Time now) const { return !answered && deadline < now; }
};

/// Signed documents of a request, by the words of their addresses: "request", "receipt", "answer", "answer-receipt".
enum class RequestPart : std::uint8_t { request, receipt, answer, answer_receipt };
std::optional<RequestPart> find_request_part(std::string_view name);

struct AnswerDocuments {
  Bytes answer, receipt;
  Time received{};
};

enum class RequestBox : std::uint8_t {
  inbox,    ///< to the department, not answered; the most urgent first
  sent,     ///< by the department, the newest first
  overdue,  ///< to or by the department, not answered in time; the oldest deadline first
};

/// Which requests of all departments.
enum class RequestStanding : std::uint8_t { all, overdue, open, answered };
/// A request with the law it was made on; no personal datum in it.
struct RequestLine {
  RequestState state;
  std::string legal_basis;
};
/// Where a page of them ends. Whether it stood among the answered ones is kept beside: it may be answered meanwhile.
struct RequestMark {
  std::string id;
  bool answered = false;
};
struct RequestLines {
  std::vector<RequestLine> lines;
  std::optional<RequestMark> next;  ///< hand back for more; none: that was all
};
/// What a request says beside its state.
struct RequestLook {
  RequestState state;
  std::string purpose, case_id, legal_basis;  ///< the asker's
  std::optional<Time> disclose_at;
};

struct RequestCounts {
  std::uint64_t open = 0, overdue = 0;
};

class RequestLedger {
 public:
  /// `registry` must outlive the ledger.
  explicit RequestLedger(Registry& registry) : registry_(&registry) {}

  Result<std::optional<RequestState>> find(std::string_view id);
  /// Who the request is about; none where the registry does not know the citizen.
  Result<std::optional<CitizenId>> citizen_of(const DepartmentRequest& request);
  /// What the registry knows of `subjects` (all of registry_subjects()), as the JSON object of an answer's data. In the
  /// access log before it returns.
  Result<std::string> look_up(CitizenId citizen, const std::vector<std::string>& subjects, const Purpose& purpose);
  /// Writes a request down with its receipt, and its answer where it is answered at once; in the citizen's access log,
  /// too. already_exists where there is one of this id.
  Status keep(const RequestState& state, const Purpose& purpose, ByteView request, ByteView receipt,
              const std::optional<AnswerDocuments>& answer);
  /// already_exists where it is answered. `actor`: who answers, for the access log.
  Status keep_answer(std::string_view id, const std::string& actor, const AnswerDocuments& answer);
  /// A document as it was sent; for `actor`, in the citizen's access log first. not_found where there is none yet.
  Result<Bytes> hand_out(std::string_view id, RequestPart part, const std::string& actor);

  /// At most `limit` (up to kPageLimit) after the request `after`. `department` empty: everybody's (not for inbox and
  /// sent).
  Result<std::vector<RequestState>> list(RequestBox box, std::string_view department, std::size_t limit = kPageLimit,
                                         std::string_view after = {});
  /// Those not answered first, by their deadline, so that overdue ones lead; then those answered, the newest first.
  /// `department` asks or is asked; empty: everybody's.
  Result<RequestLines> lines(RequestStanding standing, std::string_view department, std::size_t limit = kPageLimit,
                             const std::optional<RequestMark>& after = {});
  /// One request for whoever looks at it: in the citizen's access log as "request", before it returns, told to the
  /// citizen no sooner than the request itself. not_found.
  Result<RequestLook> look(std::string_view id, Purpose purpose);
  Result<RequestCounts> counts();

 private:
  Registry* registry_;
};

}  // namespace karta::identity
