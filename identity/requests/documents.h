// Requests between departments: what a department asks another one about a citizen, what it is answered, and the
// receipts the identity system gives for both. Each is a JSON object inside a CAdES signature (signed_document.h).
//
// Readers are strict: another schema, a key that is missing, unknown or there twice, a wrong type or a number past its
// limit fail with malformed or limit, naming the key. docs/requests.md shows the documents.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "identity/registry.h"

namespace karta::identity {

inline constexpr std::string_view kRequestSchema = "karta.request/1", kAnswerSchema = "karta.request.answer/1",
                                  kReceiptSchema = "karta.request.receipt/1";
inline constexpr std::string_view kRequestsPath = "/v1/requests";
inline constexpr std::string_view kCmsMediaType = "application/cms";
/// The department that the identity system itself is: what it may be asked stands in registry_subjects().
inline constexpr std::string_view kRegistryName = "registry";

inline constexpr std::size_t kMostRequestOctets = 16 * 1024;  ///< of the JSON
inline constexpr std::size_t kMostAnswerOctets = 40 * 1024;   ///< of the JSON
inline constexpr std::size_t kMostSubjects = 16;              ///< in one request
inline constexpr std::size_t kMostDepartmentName = 40;
inline constexpr std::size_t kMostQuestionCharacters = 2000;

/// What the registry answers by itself.
struct RegistrySubject {
  std::string_view name;             ///< in documents: "insurance"
  std::string_view words, words_ru;  ///< for people
};
std::span<const RegistrySubject> registry_subjects();
const RegistrySubject* find_registry_subject(std::string_view name);

/// Names of departments and of what is asked: small letters, digits and hyphens, 1 to 40.
bool is_department_word(std::string_view text);

/// The citizen must not learn of the request before `until`; by law, not by wish.
struct DelayedDisclosure {
  std::string legal_basis;
  Time until{};
};

struct DepartmentRequest {
  std::string id;        ///< 32 hexadecimal digits, the asker's own, random
  std::string from, to;  ///< departments; `to` may be kRegistryName
  Time made{};
  std::string legal_basis, purpose, case_id;  ///< at most kStatementCharacters each, none empty
  std::optional<Snils> snils;                 ///< the citizen: by one of the two
  std::optional<CitizenId> citizen;
  std::vector<std::string> subjects;  ///< what is asked: "insurance", "income"
  std::string question;               ///< in words, for a person who answers; may be empty
  std::optional<Time> deadline;       ///< sooner than the department asked would have to answer
  std::optional<DelayedDisclosure> delay;
};
Result<DepartmentRequest> parse_department_request(std::string_view json);
std::string write_document(const DepartmentRequest& request);
/// A fresh one for DepartmentRequest::id.
std::string new_request_id(RandomSource& random);
bool is_request_id(std::string_view text);

/// Never renumber: names go into documents.
enum class AnswerOutcome : std::uint8_t {
  given,      ///< `data` holds what is known
  refused,    ///< by the department, for `reason`
  not_known,  ///< there is no such citizen here, or nothing about him
};
std::string_view name_of(AnswerOutcome outcome);
std::optional<AnswerOutcome> find_answer_outcome(std::string_view name);

struct DepartmentAnswer {
  std::string request;  ///< its id
  Bytes request_hash;   ///< SHA-256 of the signed request, as it was sent
  std::string from, to;
  Time made{};
  AnswerOutcome outcome = AnswerOutcome::given;
  std::string reason;  ///< where it is no data
  std::string data;    ///< a JSON object, one key for each subject answered; empty unless given
};
Result<DepartmentAnswer> parse_department_answer(std::string_view json);
std::string write_document(const DepartmentAnswer& answer);
/// The keys of an answer's data.
std::vector<std::string> subjects_of(const DepartmentAnswer& answer);

struct DepartmentReceipt {
  std::string request;
  Bytes request_hash;
  Bytes answer_hash;     ///< SHA-256 of the signed answer; empty: a receipt for the request
  std::string from, to;  ///< of the request
  Time received{};       ///< what is receipted, by the clock of the identity system
  Time deadline{};       ///< for the answer
  bool for_answer() const { return !answer_hash.empty(); }
};
Result<DepartmentReceipt> parse_department_receipt(std::string_view json);
std::string write_document(const DepartmentReceipt& receipt);

}  // namespace karta::identity
