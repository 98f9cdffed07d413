#include "cli/verify_output.h"

#include <array>

namespace karta::cli {
namespace {

struct OutcomeRow {
  Outcome outcome;
  std::string_view name;
  int badness;
};
constexpr auto kOutcomes = std::to_array<OutcomeRow>({
    {Outcome::passed, "TOTAL-PASSED", 0},
    {Outcome::failed, "TOTAL-FAILED", 2},
    {Outcome::indeterminate, "INDETERMINATE", 1},
    {Outcome::no_signature, "NO-SIGNATURE", 3},
    {Outcome::unreadable, "UNREADABLE", 4},
});
const OutcomeRow& row_of(Outcome outcome) { return kOutcomes[static_cast<std::size_t>(outcome)]; }

Json time_or_null(const std::optional<Time>& one) { return one ? Json(format_time(*one)) : Json(); }

/// "intact", "broken", "unparsable"; null where nothing could be checked.
Json integrity_of(crypto::Integrity integrity) {
  return integrity == crypto::Integrity::unchecked ? Json() : Json(crypto::name_of(integrity));
}

Json json_of(const crypto::Finding& finding) {
  Json row{{"severity", crypto::name_of(finding.severity)}, {"code", finding.code}, {"message", finding.message}};
  if (finding.offset) row["offset"] = *finding.offset;
  if (!finding.attribute.empty()) row["attribute"] = finding.attribute;
  if (!finding.object.empty()) row["object"] = finding.object;
  return row;
}

Json json_of(const crypto::SignatureReport& signature) {
  Json out{{"role", crypto::name_of(signature.role)},
           {"signer", signature.signer},
           {"level", signature.level},
           {"verdict", crypto::name_of(signature.verdict)},
           {"sub_indication", crypto::name_of(signature.sub_indication)},
           {"integrity", integrity_of(signature.integrity)},
           {"claimed_time", time_or_null(signature.claimed_signing_time)},
           {"best_time", time_or_null(signature.best_signature_time)},
           {"algorithm", signature.algorithm},
           {"digest", signature.digest},
           {"key", signature.key}};
  if (!signature.field.empty()) out["field"] = signature.field;
  // Nothing can stand behind a CMS signature: its file does not go on.
  out["changes_after"] = crypto::name_of(signature.changes_after.value_or(crypto::ChangesAfter::none));
  out["changes"] = Json::array();
  for (const crypto::ChangedObject& one : signature.changes) {
    out["changes"].push_back({{"object", one.object},
                              {"kind", one.kind},
                              {"what", one.what},
                              {"revision", one.revision},
                              {"allowed", one.allowed}});
  }
  out["time_stamps"] = Json::array();
  for (const crypto::StampReport& one : signature.stamps) {
    static constexpr auto kKinds = std::to_array<std::string_view>({"content", "signature", "archive"});
    out["time_stamps"].push_back(
        {{"kind", kKinds[static_cast<std::size_t>(one.kind)]}, {"time", format_time(one.time)}, {"holds", one.holds}});
  }
  out["findings"] = Json::array();
  for (const crypto::Finding& finding : signature.findings) out["findings"].push_back(json_of(finding));
  return out;
}

std::string place_of(const crypto::Finding& finding) {
  std::string out = " [" + finding.code;
  if (finding.offset) out += ", octet " + std::to_string(*finding.offset);
  if (!finding.object.empty()) out += ", object " + finding.object;
  return out + "]";
}

void print_text(const crypto::SignatureReport& signature) {
  std::string verdict(crypto::name_of(signature.verdict));
  if (signature.sub_indication != crypto::SubIndication::none) {
    verdict += " (" + std::string(crypto::name_of(signature.sub_indication)) + ")";
  }
  static constexpr auto kDeeds =
      std::to_array<std::string_view>({", signed by ", ", time-stamped by ", ", counter-signed by "});
  const std::string deed(kDeeds[static_cast<std::size_t>(signature.role)]);
  print("  " + verdict + (signature.signer_display.empty() ? "" : deed + signature.signer_display));
  if (!signature.signer.empty()) print("    " + signature.signer);
  print("    " + signature.level + ", " + signature.algorithm + ", key " + signature.key +
        (signature.claimed_signing_time ? ", says it was made " + format_time(*signature.claimed_signing_time) : ""));
  if (signature.best_signature_time) {
    print("    proven to exist at " + format_time(*signature.best_signature_time));
  }
  print("    content and signature: " + std::string(crypto::name_of(signature.integrity)));
  if (signature.changes_after) {
    print("    changes after signing: " + std::string(crypto::name_of(*signature.changes_after)));
    for (const crypto::ChangedObject& one : signature.changes) {
      print(std::string("      ") + (one.allowed ? "allowed" : "NOT ALLOWED") + ": " + one.what + " (object " +
            one.object + ")");
    }
  }
  for (const crypto::Finding& finding : signature.findings) {
    print("    " + std::string(crypto::name_of(finding.severity)) + ": " + finding.message + place_of(finding));
  }
}

}  // namespace

std::string_view name_of(Outcome outcome) { return row_of(outcome).name; }
Outcome worse(Outcome a, Outcome b) { return row_of(a).badness >= row_of(b).badness ? a : b; }

Json json_of(const Verified& verified) {
  Json out{{"file", verified.file}, {"format", verified.format}, {"verdict", name_of(verified.outcome)}};
  const crypto::Integrity worst = verified.report                           ? verified.report->integrity()
                                  : verified.outcome == Outcome::unreadable ? crypto::Integrity::unparsable
                                                                            : crypto::Integrity::unchecked;
  out["integrity"] = integrity_of(worst);
  if (!verified.signature_file.empty()) out["signature_file"] = verified.signature_file;
  if (!verified.reason.empty()) out["reason"] = verified.reason;
  out["signatures"] = Json::array();
  if (verified.report) {
    out["enveloping"] = verified.report->enveloping;
    for (const auto& signature : verified.report->signatures) out["signatures"].push_back(json_of(signature));
  }
  return out;
}

void print_text(const Verified& verified) {
  print(verified.file + ": " + std::string(name_of(verified.outcome)));
  if (!verified.signature_file.empty()) print("  signature in " + verified.signature_file);
  if (!verified.reason.empty()) print("  " + verified.reason);
  if (!verified.report) return;
  for (const crypto::SignatureReport& signature : verified.report->signatures) print_text(signature);
}

}  // namespace karta::cli
