// Health: the health application of a citizen card: insurance record, emergency data, entitlements to subsidised
// medicine with their counters. Layouts: docs/applications.md.
//
// Each record is a type with encode() and parse(); HealthApplication speaks to the card in the domain's verbs. Who may
// what is the card's rule by sector right (sector_rights.h), not this file's.
#pragma once

#include <string>
#include <vector>

#include "card/card_time.h"
#include "card/ledger.h"

namespace karta::card {

inline constexpr std::uint8_t kHealthAid[] = {0xF0, 0x4B, 0x41, 0x52, 0x54, 0x41, 0x02};
inline constexpr std::uint16_t kHealthDf = 0xD102;
inline constexpr std::uint16_t kEfInsurance = 0x0101, kEfEmergency = 0x0102, kEfLedger = 0x0103;
inline constexpr std::uint8_t kInsuranceShortId = 0x01, kEmergencyShortId = 0x02, kLedgerShortId = 0x03;

struct InsuranceRecord {
  std::string enp;      ///< 16 digits
  std::string insurer;  ///< UTF-8, at most 80 octets
  CardDay from, until;
  /// Fails with `usage` where a field does not fit.
  Result<Bytes> encode() const;
  /// Zeros behind the record are room. Fails with `malformed`; `not_found` where the file is empty (zeros).
  static Result<InsuranceRecord> parse(ByteView file);
  friend bool operator==(const InsuranceRecord&, const InsuranceRecord&) = default;
};

enum class BloodGroup : std::uint8_t {
  unknown = 0,
  o_negative,
  o_positive,
  a_negative,
  a_positive,
  b_negative,
  b_positive,
  ab_negative,
  ab_positive
};
/// "O-", "AB+", "unknown"
std::string_view name_of(BloodGroup group);
std::optional<BloodGroup> find_blood_group(std::string_view name);

struct EmergencyData {
  struct Finding {
    std::string words;  ///< UTF-8
    std::string code;   ///< of a classification (ICD-10, ATC); may be empty
    friend bool operator==(const Finding&, const Finding&) = default;
  };
  struct Contact {
    std::string name, telephone;
    friend bool operator==(const Contact&, const Contact&) = default;
  };
  BloodGroup blood_group = BloodGroup::unknown;
  std::vector<Finding> allergies, conditions;
  std::vector<Contact> contacts;
  bool empty() const {
    return blood_group == BloodGroup::unknown && allergies.empty() && conditions.empty() && contacts.empty();
  }
  Result<Bytes> encode() const;
  /// As InsuranceRecord::parse.
  static Result<EmergencyData> parse(ByteView file);
  friend bool operator==(const EmergencyData&, const EmergencyData&) = default;
};
inline constexpr std::size_t kMostFindings = 16, kMostContacts = 4, kMostFindingText = 64;

/// One slot of the ledger: the right to packages of a medicine; how many are left is the slot's counter.
struct Entitlement {
  std::string medicine;       ///< ATC code, 1 to 8 letters and digits
  std::uint32_t package = 0;  ///< number in the payer's catalogue of packages
  CardDay from, until;
  bool empty() const { return medicine.empty(); }
  friend bool operator==(const Entitlement&, const Entitlement&) = default;
};
/// The ledger's product: as many slots as counters.
struct Entitlements {
  std::vector<Entitlement> slots;
  static std::size_t octets(std::size_t slots) { return 1 + slots * kSlotOctets; }
  Result<Bytes> encode() const;
  static Result<Entitlements> parse(ByteView product, std::size_t slots);
  static constexpr std::size_t kSlotOctets = 16;
};

/// A journal entry of the ledger.
struct HealthEntry {
  enum class Deed : std::uint8_t { none = 0, redeemed = 1, granted = 2 };
  Deed deed = Deed::none;
  Bytes terminal;            ///< eight octets: the terminal's or operator's number
  std::uint32_t number = 0;  ///< the terminal's own running number
  std::uint32_t moment = 0;
  std::uint8_t slot = 0, packages = 0;
  std::uint32_t prescription = 0;  ///< the payer's number of the prescription; 0: none
  static constexpr std::size_t kOctets = 24;
  Bytes encode() const;
  static Result<HealthEntry> parse(ByteView entry);
  friend bool operator==(const HealthEntry&, const HealthEntry&) = default;
};

class HealthApplication {
 public:
  /// SELECT with FCI, over the contacts, or inside a channel that a terminal with rights opened. One command.
  static Result<HealthApplication> open(Channel& channel);
  /// The same for who reads and writes records only: SELECT without FCI, so that ledger() and what works on it are
  /// empty.
  static Result<HealthApplication> open_records(Channel& channel);

  /// One command each, a second one for emergency data of more than 223 octets; fail with `not_permitted` without the
  /// right.
  Result<InsuranceRecord> insurance();
  Result<EmergencyData> emergency();
  Status write_insurance(const InsuranceRecord& record);
  Status write_emergency(const EmergencyData& data);
  /// The ledger's product: with the right to grant, or in the issuer's session. Two commands.
  Status write_entitlements(const Entitlements& all);
  struct Granted {
    Entitlement entitlement;
    std::uint32_t left = 0;
  };
  struct EntitlementReading {
    std::vector<Granted> slots;
    std::vector<HealthEntry> journal;
  };
  Result<EntitlementReading> entitlements();

  /// OPEN with the debit key. redeem() needs it.
  Result<LedgerSession> open_for_redeeming(TransactionKeys& keys);
  /// OPEN with the credit key.
  Result<LedgerSession> open_for_granting(TransactionKeys& keys);
  const LedgerInfo& ledger() const { return info_; }

 private:
  HealthApplication(Channel& channel, LedgerInfo info) : channel_(&channel), info_(std::move(info)) {}
  Status write_file(std::uint16_t file, Bytes content, const char* what);
  Channel* channel_;
  LedgerInfo info_;
};

/// The slot for what is granted: that of the same entitlement, else one with nothing left. Fails with `limit`.
Result<std::uint8_t> slot_for(const Entitlements& all, const std::vector<std::uint32_t>& counters,
                              const Entitlement& wanted);
/// What granting `packages` of `slot` changes. Fails with `not_permitted` where the slot is empty, `limit` where the
/// counter cannot hold that many.
Result<LedgerChange> grant(const LedgerState& state, std::uint8_t slot, std::uint8_t packages, HealthEntry entry);
/// What redeeming `packages` of `slot` changes. Fails with `not_permitted` where the slot is empty, not valid on `day`,
/// or has too few left: the message says which.
Result<LedgerChange> redemption(const LedgerState& state, std::uint8_t slot, std::uint8_t packages,
                                std::chrono::year_month_day day, HealthEntry entry);
/// The slot whose entitlement is for this medicine (and package, where not 0), valid on `day`, with something left.
std::optional<std::uint8_t> find_entitlement(const LedgerState& state, std::string_view medicine, std::uint32_t package,
                                             std::chrono::year_month_day day);

}  // namespace karta::card
