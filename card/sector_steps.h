// SectorSteps: the part of personalisation that makes the health and transit applications: DFs, files under their
// rules, ledgers with keys of that card alone.
#pragma once

#include "card/personalisation_step.h"
#include "card/card_data.h"

namespace karta::card {

/// Key files of a ledger, in its DF.
inline constexpr std::uint16_t kDebitKeyFile = 0x00E1, kCreditKeyFile = 0x00E2, kSettlementKeyFile = 0x00E3;

/// A rule as CREATE takes it. `writing`: the issuer's session may too.
ChannelRule channel_rule_of(const AccessRule& rule, bool writing);

/// Who reads a ledger, who writes its product and opens it with the credit key, who opens it with the debit key.
struct LedgerRules {
  ChannelRule read = {}, sell = {}, debit = {};
};

/// A ledger as CREATE takes it.
struct LedgerFile {
  std::uint16_t id = 0;
  std::uint8_t short_id = 0;
  std::size_t product_octets = 0, counters = 0, entry_octets = 0, entries = 0;
  Bytes serial;
  std::uint16_t debit_key = kDebitKeyFile, credit_key = kCreditKeyFile;
  std::optional<std::uint16_t> settlement_key, signing_key;
  LedgerRules channel;
};
CommandApdu create_ledger(const LedgerFile& ledger);
/// CREATE of an AES key file and the import of `version || key`; an empty key stands for one of `key_octets` in plans.
PersonalisationStep ledger_key_step(std::string words, std::uint16_t file, const SecretBytes& key,
                                    std::size_t key_octets, StepPlace place);

/// DFs, and the key that signs statements where the profile has one.
std::vector<PersonalisationStep> sector_prepare_steps(const CardProfile& profile);
/// Everything in them. An empty `transit_certificate` is estimated.
std::vector<PersonalisationStep> sector_complete_steps(const CardProfile& profile, const CardData& data,
                                                       ByteView transit_certificate, std::size_t room);

}  // namespace karta::card
