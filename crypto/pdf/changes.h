// Changes: what was changed in a PDF after a signature, object by object, and whether that was allowed.
//
// An incremental update can show a reader something else than what was signed ("shadow attacks": hide, replace, hide
// and replace). So every object of every later revision is compared with what stood there before and must be explained:
// signing again, filling in an empty form field, annotating where the author allows it, validation data. What nobody
// can explain is not allowed.
#pragma once

#include <string>
#include <vector>

#include "crypto/pdf/form.h"

namespace karta::crypto::pdf {

enum class ChangeKind : std::uint8_t {
  signature,   ///< a signature was added, in a field of its own or an empty one
  timestamp,   ///< a document time-stamp
  validation,  ///< the document security store: certificates and revocation data
  form,        ///< a form field was filled in
  annotation,  ///< an annotation was added, changed or removed
  metadata,    ///< Info, XMP, version
  auxiliary,   ///< a new object that only the others refer to
  other,       ///< anything else
};
std::string_view name_of(ChangeKind kind);

struct Change {
  Ref ref;
  ChangeKind kind = ChangeKind::other;
  bool allowed = false;
  bool visible = false;  ///< it draws something on a page
  std::string what;      ///< in words: "contents of page 1", "form field \"price\""
};

/// Changes of one revision against the one before it.
struct RevisionChanges {
  std::size_t revision = 0;
  std::vector<Change> list;
  bool allowed = true;  ///< all of them are
};

/// Analyses every revision after `signed_revision`, the earliest that some signature covers. `signatures` are those of
/// the document: what they forbid binds from the revision they cover on. Linear in the size of the document and of the
/// updates. Fails where the document cannot be read.
Result<std::vector<RevisionChanges>> changes_after(const Document& document, std::size_t signed_revision,
                                                   const std::vector<SignatureValue>& signatures);

/// Octets of later revisions that belong to no object, table or comment. Something may be hidden in them, or readers
/// may be led to read them.
struct Gap {
  std::size_t offset = 0, octets = 0;
  bool holds_object = false;  ///< "12 0 obj" stands there: readers that mend files by searching them will find it
};
/// At most kMostGaps.
std::vector<Gap> unexplained_octets(const Document& document, std::size_t signed_revision);
inline constexpr std::size_t kMostGaps = 100;

/// Signature dictionaries that no field of the last revision leads to, whichever revision they stand in: somebody took
/// the signature out of the form. Reads every object.
std::vector<Ref> unreachable_signatures(const Document& document);

}  // namespace karta::crypto::pdf
