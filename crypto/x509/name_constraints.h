// NameConstraints (RFC 5280 §4.2.1.10): the names a CA may certify, and how they are compared.
//
// Directory names (subject included), DNS names, mail addresses, URIs and IP addresses are understood. A constraint of
// another kind refuses a certificate that has a name of that kind, as §4.2.1.10 asks.
#pragma once

#include <string>
#include <vector>

#include "crypto/x509/general_name.h"
#include "crypto/x509/name.h"

namespace karta::crypto {

struct NameConstraints {
  std::vector<GeneralName> permitted;  ///< bases; of an IP address: address and mask
  std::vector<GeneralName> excluded;
};

/// The value of the extension. At least one subtree; at most kMostSubtrees; "minimum" 0 and no "maximum", as RFC 5280
/// has it; bases that hold together (masks as long as addresses, directory names that are Names).
Result<NameConstraints> parse_name_constraints(ByteView value);
inline constexpr std::size_t kMostSubtrees = 1024;
/// The value of the extension.
Bytes encode(const NameConstraints& constraints);

/// True if `name` lies in the subtree of `base`, both of one kind. Nothing is assumed of what the name holds: one that
/// is no name of its kind lies in no subtree.
bool within(const GeneralName& name, const GeneralName& base);

/// What a path has constrained so far: every CA narrows it. All certificates below are held against all of it.
class NameConstraintState {
 public:
  /// Adds what a CA says. The subtrees must outlive the state.
  void add(const NameConstraints& constraints) { list_.push_back(&constraints); }
  bool empty() const { return list_.empty(); }

  /// Succeeds if the names of a certificate are allowed; the error says which is not and why. `subject` may be empty.
  /// A mail address in the subject counts where there is none among the alternative names. Fails with limit beyond
  /// kMostComparisons.
  Status check(const Name& subject, const std::vector<GeneralName>& alternative_names) const;

 private:
  std::vector<const NameConstraints*> list_;
};
/// Comparisons of names with subtrees for one certificate: what honest certificates need is far below, and what lies
/// above would let a certificate take minutes.
inline constexpr std::size_t kMostComparisons = std::size_t{1} << 16;

}  // namespace karta::crypto
