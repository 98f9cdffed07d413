// DomainProfile of a department: what its domain on a card is made of, read from a TOML file of its own
// (docs/applications.md): files, records, a ledger, and who may read them. The issuer never sees it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "card/personalisation_step.h"
#include "card/personalise.h"

namespace karta::card {

/// Who may read or write a department's file: a rule, and the department itself always where it says so.
struct DepartmentRule {
  AccessRule rule;         ///< nobody: the department alone
  bool department = true;  ///< its own session, too
};

enum class DepartmentFileKind : std::uint8_t { transparent, linear, variable, cyclic };

struct DepartmentFile {
  std::uint16_t id = 0;
  std::optional<std::uint8_t> short_id;
  DepartmentFileKind kind = DepartmentFileKind::transparent;
  std::size_t octets = 0;      ///< of the file, or of a record
  std::size_t records = 0;     ///< of a record file
  std::vector<Bytes> content;  ///< one for a transparent file; records, the oldest first
  DepartmentRule read, update;
};

struct DepartmentLedger {
  std::uint16_t id = 0;
  std::uint8_t short_id = 0;
  std::size_t key_octets = 16, counters = 1, entry_octets = 16, entries = 8;
  Bytes product;
  bool settlement = true;
  DepartmentRule read, sell, debit;
};

struct DepartmentProfile {
  std::string name;  ///< "library": also what its transaction masters are filed under
  Bytes aid;
  std::vector<DepartmentFile> files;
  std::optional<DepartmentLedger> ledger;
};

/// Fails with `configuration`, naming line and key.
Result<DepartmentProfile> parse_department_profile(std::string_view toml, std::string_view source);
Result<DepartmentProfile> read_department_profile(const std::string& file);

/// The commands that make all of it, in the domain's own session with the domain selected; what is there under the same
/// identifiers is replaced. `ledger` holds keys where the profile has a ledger. `room`: data octets of one command.
std::vector<PersonalisationStep> department_steps(const DepartmentProfile& profile, const LedgerData& ledger,
                                                  std::size_t room);
/// Runs them.
Status load_department(Channel& session, const DepartmentProfile& profile, const LedgerData& ledger);

}  // namespace karta::card
