// GateRules: what a region's gates judge by (karta.transit-rules/1): zones and fares, products taken, concessions
// with their quotas, pass-back, the day's cap. JSON inside a CMS signature, as the trust list is (docs/transit.md).
//
// A gate takes rules only from a signer it was told of, never older ones than it has; gate() then makes all that
// deciding needs into one value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "card/transit.h"
#include "crypto/signer.h"

namespace karta::card {

struct GateRules {
  static constexpr std::size_t kMostOctets = 1u << 20;
  static constexpr std::size_t kMostGates = 10'000;

  struct Zone {
    std::uint8_t zone = 0;
    std::string name;  ///< for people
    friend bool operator==(const Zone&, const Zone&) = default;
  };
  struct ZoneFare {
    std::uint8_t from = 0, to = 0;  ///< from = to: what a ride costs that begins there
    Fare fare;
    friend bool operator==(const ZoneFare&, const ZoneFare&) = default;
  };
  struct Ground {
    std::uint8_t ground = 0;                      ///< number in the registry, 1 to 31
    std::uint8_t rides_day = 0, rides_month = 0;  ///< 0: as many as wanted
    friend bool operator==(const Ground&, const Ground&) = default;
  };
  struct GateRow {
    std::uint32_t gate = 0;
    std::uint8_t zone = 0;
    TransitEntry::Event direction = TransitEntry::Event::entry;  ///< "in" or "out"
    friend bool operator==(const GateRow&, const GateRow&) = default;
  };

  std::uint64_t sequence = 0;
  Time issued_at{};
  Time next_update{};
  std::string name;                               ///< whose rules; for people
  std::int32_t utc_offset_minutes = 0;            ///< of the region's clocks
  std::uint32_t day_begins_minutes = 0;           ///< after midnight there: when the day of service begins
  std::vector<Zone> zones;                        ///< at least one, each once
  std::vector<ZoneFare> fares;                    ///< each pair once; the way back costs as much where not named
  std::vector<ProductKind> counted, card_signed;  ///< which products each form takes
  std::vector<Ground> concessions;                ///< only those named are honoured
  std::uint32_t pass_back_seconds = 0;
  Fare day_cap;                ///< 0: none
  std::vector<GateRow> gates;  ///< may be none: then each gate's configuration names its zone

  /// The JSON, without the signature around it. Every key is checked, and that purses have a fare for every way.
  static Result<GateRules> from_json(std::string_view text);
  std::string to_json() const;

  bool stale(Time at) const { return at > next_update; }
  const GateRow* row(std::uint32_t gate) const;
  /// The fare from zone to zone; nothing where none is named.
  std::optional<Fare> fare(std::uint8_t from, std::uint8_t to) const;
  /// What the gate judges by. `zone` and `direction` hold where the rules have no row for it. Fails with
  /// `configuration` where the zone is none of the rules', or the row names another one.
  Result<Gate> gate(std::uint32_t number, std::optional<std::uint8_t> zone = {},
                    TransitEntry::Event direction = TransitEntry::Event::entry) const;

  friend bool operator==(const GateRules&, const GateRules&) = default;
};

/// Signs `rules` into one DER file. The signer must have its certificate (first in its chain).
Result<Bytes> sign_transit_rules(const GateRules& rules, crypto::Signer& signer);

/// The rules in a signed file whose signature was checked before: it is not looked at. Fails with malformed.
Result<GateRules> read_transit_rules(ByteView file);

/// Opens signed rules: the signature must be whole, by one of `signers` itself, good at `at`, and the rules' number no
/// smaller than `least_sequence`. Stale rules are returned: stale() tells, and the caller says so. Fails with untrusted
/// (no signer given, none of them, older than the rules known), malformed, invalid_signature.
Result<GateRules> open_transit_rules(ByteView file, const std::vector<crypto::Certificate>& signers, Time at,
                                     std::uint64_t least_sequence = 0);

}  // namespace karta::card
