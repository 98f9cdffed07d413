// Form: the pages, form fields and signatures of a document, as of one of its revisions (ISO 32000-1 §7.7.3, §12.7,
// §12.8).
#pragma once

#include <array>
#include <set>

#include "crypto/pdf/document.h"

namespace karta::crypto::pdf {

inline constexpr std::size_t kMostPages = 1'000'000;
inline constexpr std::size_t kMostFields = 100'000;
inline constexpr std::size_t kMostTreeDepth = 64;  ///< of pages and fields: writers nest a handful deep

struct Page {
  Ref ref;
  const Object* dictionary = nullptr;
};
/// In reading order, the first `most` of them: what stands behind is not read. Fails on a page tree that is none
/// (circles, direct pages, too deep).
Result<std::vector<Page>> pages(const Document& document, std::size_t revision, std::size_t most = kMostPages);

struct Field {
  Ref ref;
  std::string name;                    ///< fully qualified, UTF-8: "seller.signature"
  std::string type;                    ///< "Sig", "Tx", "Btn", "Ch"; inherited
  const Object* dictionary = nullptr;  ///< terminal fields only are listed
  std::vector<Ref> widgets;            ///< itself if merged with its annotation, otherwise its kids
};
Result<std::vector<Field>> fields(const Document& document, std::size_t revision);
/// The field at `ref` alone, with `parent_name` in front of its own.
Result<Field> read_field(const Document& document, std::size_t revision, Ref ref, const std::string& parent_name);

/// A signature dictionary and where it stands (§12.8.1).
struct SignatureValue {
  Field field;
  Ref ref;
  const Object* dictionary = nullptr;
  std::array<std::size_t, 4> byte_range{};
  std::size_t contents_begin = 0, contents_end = 0;  ///< of the string token, delimiters included
  const Object* contents = nullptr;                  ///< the string, padding included
  std::string sub_filter;
  bool is_timestamp = false;        ///< a document time-stamp (ETSI.RFC3161)
  std::size_t signed_revision = 0;  ///< the revision the byte range ends with
  bool covers_whole_file = false;
  std::string fault_code, fault;  ///< why the structure cannot stand for anything; empty: it holds together
  std::size_t fault_offset = 0;
  std::string remark;  ///< how Contents is written, where two ways read alike; empty: the plain way

  /// ByteRange covers exactly everything but Contents, up to the end of a revision.
  bool sound() const { return fault.empty(); }
};
/// Every signature of the last revision, by the revision they cover, oldest first.
Result<std::vector<SignatureValue>> signatures(const Document& document);
/// The CMS or time-stamp in Contents, without the padding behind it, which must be zeros: anything else there is signed
/// by nobody (malformed, naming the octet).
Result<Bytes> cms_of(const SignatureValue& value);

/// DocMDP (§12.8.2.2): what a certifying signature allows to be changed afterwards.
struct Permissions {
  std::optional<unsigned> certified;              ///< P: 1 nothing, 2 forms and signatures, 3 annotations too
  bool lock_all = false;                          ///< FieldMDP (§12.8.2.4), all signatures together
  std::set<std::string> locked;                   ///< fully qualified; a field below one is locked too
  std::vector<std::set<std::string>> locked_but;  ///< all but these

  bool locks(const std::string& field_name) const;
};
/// Adds what the signature in `field` forbids: its DocMDP and FieldMDP, and the P of the field's Lock (ISO 32000-2
/// table 236).
Status add_permissions(const Document& document, std::size_t revision, const Object& field,
                       const Object& signature_dictionary, Permissions& permissions);
/// FormState: the fields of a document's last revision and what its signatures forbid, kept up to date while revisions
/// are put behind it: fields that stay as they are are not walked again.
class FormState {
 public:
  /// Takes in what came since. Fails as fields().
  Status refresh(const Document& document);

  const std::vector<Field>& fields() const { return fields_; }
  bool has_name(const std::string& name) const { return names_.contains(name); }
  /// What the signatures there forbid together.
  const Permissions& permissions() const { return permissions_; }
  /// Signature fields, places in fields().
  const std::vector<std::size_t>& signed_fields() const { return signed_; }
  const std::vector<std::size_t>& unsigned_fields() const { return unsigned_; }

 private:
  bool only_grew(const Document& document, const Object& list) const;
  Status take(const Document& document, const Field& field);

  std::optional<std::size_t> revision_;
  std::vector<Field> fields_;
  std::set<std::uint32_t> objects_;  // fields, those above them, and signatures
  std::vector<Ref> listed_;          // as the form lists them
  std::set<std::string> names_;
  std::vector<std::size_t> signed_, unsigned_;
  Permissions permissions_;
};

}  // namespace karta::crypto::pdf
