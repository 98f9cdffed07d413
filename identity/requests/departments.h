// DepartmentLedger: the departments the registry knows: who may ask and answer what, on which legal bases, with which
// certificates, and how long each takes to answer.
//
// A department is known by its name, which never changes and is never given again. It signs with any of its
// certificates, and shows a certificate or a token to the server. Part of a registry: belongs to its thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/x509/certificate.h"
#include "identity/registry.h"

namespace karta::identity {

/// Never renumber: the registry stores them.
enum class DepartmentState : std::uint8_t { active = 1, revoked = 2 };
std::string_view name_of(DepartmentState state);

/// Never renumber: the registry stores them.
enum class RightKind : std::uint8_t {
  ask = 1,     ///< may ask about `subject` on `legal_basis`
  answer = 2,  ///< may be asked about `subject`; no legal basis
  delay = 3,   ///< may delay disclosure on `legal_basis`; no subject
};
struct DepartmentRight {
  RightKind kind = RightKind::ask;
  std::string subject = {};
  std::string legal_basis = {};
  friend auto operator<=>(const DepartmentRight&, const DepartmentRight&) = default;
};

struct Department {
  std::string name;      ///< "pension-fund"
  std::string title;     ///< for people
  std::string title_ru;  ///< the same in Russian; empty: `title` serves
  DepartmentState state = DepartmentState::active;
  unsigned deadline_days = 5;  ///< to answer in
  bool has_token = false;
  std::vector<DepartmentRight> rights;            ///< sorted
  std::vector<crypto::Certificate> certificates;  ///< in use, in the order they came
  Time created{}, changed{};

  bool may(RightKind kind, std::string_view subject, std::string_view legal_basis) const;
  bool has_certificate(const crypto::Certificate& certificate) const;
};

struct DepartmentEvent {
  std::int64_t number = 0;  ///< 1, 2 ... for each department
  Time at{};
  std::string actor;
  std::string kind;  ///< "added", "changed", "revoked"
  std::string detail;
  std::string reason;
};

/// What a department is made with, or what is to change of it.
struct DepartmentChange {
  std::optional<std::string> title = {};
  std::optional<std::string> title_ru = {};  ///< empty: none any more
  std::optional<unsigned> deadline_days = {};
  std::vector<crypto::Certificate> certificates = {};  ///< to be added
  std::vector<std::string> dropped_certificates = {};  ///< SHA-256, hexadecimal
  std::vector<DepartmentRight> rights = {};            ///< to be added
  std::vector<DepartmentRight> dropped_rights = {};
  std::optional<Bytes> token_hash = {};  ///< SHA-256 of its new bearer token; the one before is void
};
inline constexpr unsigned kMostDeadlineDays = 366;
inline constexpr std::size_t kMostDepartmentTitle = 200;  ///< characters
inline constexpr std::size_t kMostDepartmentRights = 200;
inline constexpr std::size_t kMostDepartmentCertificates = 16;

/// What a department is called on pages.
struct DepartmentTitle {
  std::string name, title, title_ru;

  const std::string& in(bool russian) const { return russian && !title_ru.empty() ? title_ru : title; }
};

class DepartmentLedger {
 public:
  /// `registry` must outlive the ledger.
  explicit DepartmentLedger(Registry& registry) : registry_(&registry) {}

  /// Errors: usage (a name or title that is none, no certificate), already_exists (the name, or a certificate of
  /// another department), limit.
  Result<Department> add(const std::string& name, const DepartmentChange& made, const Cause& cause);
  Result<Department> change(const std::string& name, const DepartmentChange& change, const Cause& cause);
  /// From now on it is refused everything. What it has signed keeps its worth.
  Result<Department> revoke(const std::string& name, const Cause& cause);
  /// not_found.
  Result<Department> find(std::string_view name);
  /// By name.
  Result<std::vector<Department>> list();
  /// By name, revoked ones too.
  Result<std::vector<DepartmentTitle>> titles();
  /// Newest first.
  Result<std::vector<DepartmentEvent>> events_of(std::string_view name, std::size_t limit = kPageLimit);

  // For the server: not_permitted where no active department is known by what was shown.
  Result<Department> of_token(ByteView token_hash);
  Result<Department> of_certificate(ByteView der);
  /// not_permitted where the registry has the certificate, by one of its own authorities, as revoked or on hold.
  Status check_not_revoked(const crypto::Certificate& certificate);

 private:
  Registry* registry_;
};

}  // namespace karta::identity
