#include "crypto/pdf/form.h"

#include <algorithm>

#include "crypto/cms/ber.h"
#include "crypto/cms/signed_data.h"

namespace karta::crypto::pdf {
namespace {

bool is_below(const std::string& name, const std::string& parent) {
  return name == parent || (name.size() > parent.size() && name.starts_with(parent) && name[parent.size()] == '.');
}

std::string own_name(const Document& document, std::size_t revision, const Object& dictionary) {
  const auto title = document.get(dictionary, "T", revision);
  return title && (*title)->is(Object::Kind::string) ? text_of(**title) : std::string();
}

struct Walk {
  const Document& document;
  std::size_t revision;
  std::set<std::uint32_t> seen = {};
};

/// The form's list of fields, or a null object.
Result<const Object*> field_list(const Document& document, std::size_t revision) {
  const Object* const catalog = TRY(document.catalog(revision));
  const Object* const form = TRY(document.get(*catalog, "AcroForm", revision));
  return document.get(*form, "Fields", revision);
}

Status walk_pages(Walk& walk, Ref ref, std::size_t depth, std::size_t most, std::vector<Page>& out) {
  if (depth == 0) return fail(ErrorKind::limit, "the page tree is too deep");
  if (!walk.seen.insert(ref.number).second) return fail(ErrorKind::malformed, "the page tree runs in a circle");
  if (walk.seen.size() > kMostPages) return fail(ErrorKind::limit, "too many pages");
  const Object* const node = TRY(walk.document.resolve(Object::make_reference(ref), walk.revision));
  if (!node->is(Object::Kind::dictionary)) return fail(ErrorKind::malformed, "the page tree has a hole");
  const Object* const kids = TRY(walk.document.get(*node, "Kids", walk.revision));
  if (!kids->is(Object::Kind::array)) {
    out.push_back({ref, node});
    return {};
  }
  for (const Object& kid : kids->items) {
    if (!kid.is(Object::Kind::reference)) return fail(ErrorKind::malformed, "a page that is no object of its own");
    if (out.size() == most) return {};
    TRY(walk_pages(walk, kid.ref, depth - 1, most, out));
  }
  return {};
}

Status walk_fields(Walk& walk, const Object& item, const std::string& parent_name, const std::string& parent_type,
                   std::size_t depth, std::vector<Field>& out) {
  if (depth == 0) return fail(ErrorKind::limit, "the form's fields are nested too deep");
  if (!item.is(Object::Kind::reference)) return fail(ErrorKind::malformed, "a form field that is no object of its own");
  if (!walk.seen.insert(item.ref.number).second) return fail(ErrorKind::malformed, "a form field stands there twice");
  if (walk.seen.size() > kMostFields) return fail(ErrorKind::limit, "too many form fields");
  Field field = TRY(read_field(walk.document, walk.revision, item.ref, parent_name));
  if (field.dictionary == nullptr) return {};
  if (field.type.empty()) field.type = parent_type;
  const Object* const kids = TRY(walk.document.get(*field.dictionary, "Kids", walk.revision));
  const bool has_children = std::any_of(kids->items.begin(), kids->items.end(), [&](const Object& kid) {
    const auto child = walk.document.resolve(kid, walk.revision);
    return child && (*child)->find("T") != nullptr;
  });
  if (!has_children) {
    out.push_back(std::move(field));
    return {};
  }
  for (const Object& kid : kids->items) TRY(walk_fields(walk, kid, field.name, field.type, depth - 1, out));
  return {};
}

/// `string` was read from the file itself, at the places it names.
bool stands_in_file(const Document& document, const Object& string) {
  const ByteView file = document.file();
  if (string.end > file.size() || string.offset >= string.end) return false;
  if (!string.raw.empty() && string.raw.data() == file.data() + string.offset + 1) return true;
  Parser again(file.first(string.end), string.offset);
  const auto found = again.object();
  return found && found->end == string.end && same(*found, string);
}

void check_byte_range(const Document& document, SignatureValue& out) {
  const auto fault = [&](std::string code, std::string words, std::size_t offset) {
    if (!out.fault.empty()) return;
    out.fault_code = std::move(code);
    out.fault = std::move(words);
    out.fault_offset = offset;
  };
  const std::size_t here = out.dictionary->offset;
  const Object* const range = out.dictionary->find("ByteRange");
  const Object* const contents = out.dictionary->find("Contents");
  if (contents == nullptr || !contents->is(Object::Kind::string)) {
    return fault("pdf-contents", "the signature has no Contents of its own", here);
  }
  out.contents = contents;
  out.contents_begin = contents->offset;
  out.contents_end = contents->end;
  if (!stands_in_file(document, *contents)) {
    // Its places count in what was unpacked; the same places in the file may hold anything.
    return fault("pdf-contents", "the signature stands in a compressed object stream", here);
  }
  if (range == nullptr || !range->is(Object::Kind::array) || range->items.size() != 4 ||
      !std::all_of(range->items.begin(), range->items.end(),
                   [](const Object& one) { return one.is(Object::Kind::integer) && one.integer >= 0; })) {
    return fault("byte-range", "ByteRange is not four numbers: something between the parts would not be signed",
                 range == nullptr ? here : range->offset);
  }
  for (std::size_t i = 0; i < 4; ++i) out.byte_range[i] = static_cast<std::size_t>(range->items[i].integer);
  const auto [first, first_octets, second, second_octets] = out.byte_range;
  const std::size_t size = document.file().size();
  if (first_octets > size || second > size || second_octets > size - second) {
    return fault("byte-range", "ByteRange reaches beyond the file", range->offset);
  }
  if (first != 0) return fault("byte-range", "ByteRange does not begin at the front of the file", range->offset);
  const std::size_t end = second + second_octets;
  // The hole is Contents and nothing but Contents.
  if (first_octets != out.contents_begin || second != out.contents_end) {
    return fault("byte-range-hole",
                 "ByteRange leaves out octets " + std::to_string(first_octets) + " to " + std::to_string(second) +
                     ", but the signature's Contents stands at " + std::to_string(out.contents_begin) + " to " +
                     std::to_string(out.contents_end),
                 range->offset);
  }
  const std::size_t index = document.revision_until(end);
  if (index >= document.revisions().size()) {
    return fault("byte-range-tail", "ByteRange ends before the first revision of the file does", range->offset);
  }
  const Revision& covered = document.revisions()[index];
  for (std::size_t at = covered.end; at < end; ++at) {
    if (!is_blank(document.file()[at])) {
      return fault("byte-range-tail", "ByteRange ends in the middle of a revision", range->offset);
    }
  }
  out.signed_revision = index;
  out.covers_whole_file = out.signed_revision == document.last();
  if (out.contents_begin < covered.begin || out.contents_begin > covered.end) {
    return fault("byte-range", "the signature stands in another revision than the one it ends with", range->offset);
  }
  // One way to write Contents, or a changed octet would read the same.
  const std::string_view token =
      as_text(document.file().subspan(out.contents_begin, out.contents_end - out.contents_begin));
  // Without a branch in the loop, so that compilers make vectors of it.
  unsigned lower = 0, upper = 0, blank = 0;
  for (const char c : token) {
    lower |= static_cast<std::uint8_t>(c - 'a') < 6u;
    upper |= static_cast<std::uint8_t>(c - 'A') < 6u;
    blank |= static_cast<std::uint8_t>(c) <= ' ';
  }
  if (!contents->hexadecimal) {
    out.remark = "Contents is written as characters, not in hexadecimal";
  } else if (blank != 0 || token.size() % 2 != 0) {
    out.remark = "Contents has blanks in its hexadecimal digits, or half an octet";
  } else if (lower != 0 && upper != 0) {
    out.remark = "Contents mixes small and capital hexadecimal digits";
  }
}

/// How long a value is in all, if its first octets say (ITU-T X.690 §8.1.3.3 to .5).
std::optional<std::size_t> size_in_front(ByteView octets) {
  if (octets.size() < 6) return std::nullopt;
  if (octets[1] < 0x80) return std::size_t{2} + octets[1];
  const std::size_t count = octets[1] & 0x7F;
  if (count == 0 || count > 4) return std::nullopt;
  std::size_t length = 0;
  for (std::size_t i = 0; i < count; ++i) length = length << 8 | octets[2 + i];
  return 2 + count + length;
}

/// Two signatures that end with the same revision each cover the other's Contents: whichever was written last broke the
/// other. One hash over the file for each of a thousand such would also be a way to keep a verifier busy.
void refuse_rivals(std::vector<SignatureValue>& list) {
  constexpr auto kNone = static_cast<std::size_t>(-1);
  std::size_t before = kNone;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!list[i].sound()) continue;
    if (before != kNone && list[before].signed_revision == list[i].signed_revision) {
      for (SignatureValue* const one : {&list[before], &list[i]}) {
        one->fault_code = "byte-range-shared";
        one->fault = "two signatures end with the same revision: each covers the other's Contents";
        one->fault_offset = one->contents_begin;
      }
    }
    before = i;
  }
}

}  // namespace

Result<std::vector<Page>> pages(const Document& document, std::size_t revision, std::size_t most) {
  const Object* const catalog = TRY(document.catalog(revision));
  const Object* const root = catalog->find("Pages");
  if (root == nullptr || !root->is(Object::Kind::reference)) return fail(ErrorKind::malformed, "there is no page tree");
  std::vector<Page> out;
  Walk walk{document, revision};
  TRY(walk_pages(walk, root->ref, kMostTreeDepth, most, out));
  return out;
}

Result<Field> read_field(const Document& document, std::size_t revision, Ref ref, const std::string& parent_name) {
  Field out;
  out.ref = ref;
  const Object* const dictionary = TRY(document.resolve(Object::make_reference(ref), revision));
  if (!dictionary->is(Object::Kind::dictionary)) return out;
  out.dictionary = dictionary;
  const std::string name = own_name(document, revision, *dictionary);
  out.name = parent_name.empty() ? name : name.empty() ? parent_name : parent_name + "." + name;
  const Object* const type = TRY(document.get(*dictionary, "FT", revision));
  if (type->is(Object::Kind::name)) out.type = type->text;
  const Object* const kids = TRY(document.get(*dictionary, "Kids", revision));
  if (kids->is(Object::Kind::array) && !kids->items.empty()) {
    for (const Object& kid : kids->items) {
      if (kid.is(Object::Kind::reference)) out.widgets.push_back(kid.ref);
    }
  } else {
    out.widgets.push_back(ref);
  }
  return out;
}

Result<std::vector<Field>> fields(const Document& document, std::size_t revision) {
  std::vector<Field> out;
  const Object* const list = TRY(field_list(document, revision));
  Walk walk{document, revision};
  for (const Object& item : list->items) TRY(walk_fields(walk, item, "", "", kMostTreeDepth, out));
  return out;
}

Result<std::vector<SignatureValue>> signatures(const Document& document) {
  std::vector<SignatureValue> out;
  std::set<std::uint32_t> seen;
  const auto list = TRY(fields(document, document.last()));
  for (const Field& field : list) {
    if (field.type != "Sig") continue;
    const Object* const value = field.dictionary->find("V");
    if (value == nullptr) continue;
    SignatureValue one;
    one.field = field;
    if (value->is(Object::Kind::reference)) one.ref = value->ref;
    one.dictionary = TRY(document.resolve(*value, document.last()));
    if (!one.dictionary->is(Object::Kind::dictionary)) continue;
    const Object* const sub_filter = TRY(document.get(*one.dictionary, "SubFilter", document.last()));
    one.sub_filter = sub_filter->text;
    one.is_timestamp = one.sub_filter == "ETSI.RFC3161";
    check_byte_range(document, one);
    if (value->is(Object::Kind::reference) && !seen.insert(one.ref.number).second && one.fault.empty()) {
      one.fault_code = "signature-shared";
      one.fault = "two form fields share one signature";
    }
    out.push_back(std::move(one));
  }
  std::stable_sort(out.begin(), out.end(), [](const SignatureValue& a, const SignatureValue& b) {
    return a.byte_range[2] + a.byte_range[3] < b.byte_range[2] + b.byte_range[3];
  });
  refuse_rivals(out);
  return out;
}

Result<Bytes> cms_of(const SignatureValue& value) {
  KARTA_CHECK(value.contents != nullptr);
  // Most of Contents is padding: where the length stands in front, no more than the CMS is unpacked.
  const Object& contents = *value.contents;
  const std::size_t size = contents.raw.empty() ? contents.text.size() : contents.raw.size() / 2;
  const std::size_t wanted = std::min(size, size_in_front(octets_of(contents, 6)).value_or(size));
  const Bytes octets = octets_of(contents, wanted);
  BerReader reader(octets, 0, CmsLimits{}.depth);
  const BerValue cms = TRY(reader.next());
  const auto refuse = [](std::size_t at) {
    return fail(
        ErrorKind::malformed,
        "behind the signature, in Contents, stands something that nobody signed, at octet " + std::to_string(at));
  };
  for (std::size_t at = cms.whole.size(); at < octets.size(); ++at) {
    if (octets[at] != 0) return refuse(at);
  }
  if (!contents.raw.empty()) {
    const std::string_view padding = as_text(contents.raw).substr(2 * wanted);
    if (const std::size_t at = padding.find_first_not_of('0'); at != std::string_view::npos)
      return refuse(wanted + at / 2);
  } else if (const std::size_t at = contents.text.find_first_not_of('\0', wanted); at != std::string::npos) {
    return refuse(at);
  }
  return to_bytes(cms.whole);
}

bool Permissions::locks(const std::string& field_name) const {
  const auto below = [&](const std::string& one) { return is_below(field_name, one); };
  return lock_all || std::any_of(locked.begin(), locked.end(), below) ||
         std::any_of(locked_but.begin(), locked_but.end(),
                     [&](const std::set<std::string>& but) { return std::none_of(but.begin(), but.end(), below); });
}

Status add_permissions(const Document& document, std::size_t revision, const Object& field,
                       const Object& signature_dictionary, Permissions& permissions) {
  const auto certify = [&](const Object& p, unsigned otherwise) {
    const bool known = p.is(Object::Kind::integer) && p.integer >= 1 && p.integer <= 3;
    const unsigned level = known ? static_cast<unsigned>(p.integer) : otherwise;
    permissions.certified = std::min(permissions.certified.value_or(3), level);
  };
  const Object* const lock = TRY(document.get(field, "Lock", revision));
  const Object* const locked_to = TRY(document.get(*lock, "P", revision));
  if (!locked_to->is(Object::Kind::null)) certify(*locked_to, 2);
  const Object* const references = TRY(document.get(signature_dictionary, "Reference", revision));
  for (const Object& item : references->items) {
    const Object* const reference = TRY(document.resolve(item, revision));
    const Object* const method = TRY(document.get(*reference, "TransformMethod", revision));
    const Object* const parameters = TRY(document.get(*reference, "TransformParams", revision));
    if (method->is_name("DocMDP")) {
      const Object* const p = TRY(document.get(*parameters, "P", revision));
      certify(*p, 2);
    } else if (method->is_name("FieldMDP")) {
      const Object* const action = TRY(document.get(*parameters, "Action", revision));
      const Object* const list = TRY(document.get(*parameters, "Fields", revision));
      std::set<std::string> names;
      for (const Object& name : list->items) names.insert(text_of(name));
      if (action->is_name("Include")) {
        permissions.locked.merge(names);
      } else if (action->is_name("Exclude")) {
        permissions.locked_but.push_back(std::move(names));
      } else {
        permissions.lock_all = true;
      }
    }
  }
  return {};
}

/// The fields known are those the list begins with, and none of their objects was written again.
bool FormState::only_grew(const Document& document, const Object& list) const {
  if (!revision_ || list.items.size() < listed_.size()) return false;
  for (std::size_t i = 0; i < listed_.size(); ++i) {
    if (!list.items[i].is(Object::Kind::reference) || list.items[i].ref != listed_[i]) return false;
  }
  return std::all_of(objects_.begin(), objects_.end(), [&](std::uint32_t number) {
    const Document::Entry* const entry = document.entry(number, document.last());
    return entry != nullptr && entry->revision <= *revision_;
  });
}

Status FormState::take(const Document& document, const Field& field) {
  names_.insert(field.name);
  if (field.type == "Sig") {
    const std::size_t last = document.last();
    const Object* const value = field.dictionary->find("V");
    (value != nullptr ? signed_ : unsigned_).push_back(fields_.size());
    if (value != nullptr) {
      if (value->is(Object::Kind::reference)) objects_.insert(value->ref.number);
      const Object* const signature = TRY(document.resolve(*value, last));
      if (signature->is(Object::Kind::dictionary)) {
        TRY(add_permissions(document, last, *field.dictionary, *signature, permissions_));
      }
    }
  }
  fields_.push_back(field);
  return {};
}

Status FormState::refresh(const Document& document) {
  if (revision_ == document.last()) return {};
  const Object* const list = TRY(field_list(document, document.last()));
  if (!only_grew(document, *list)) *this = {};
  Walk walk{document, document.last(), objects_};
  std::vector<Field> fresh;
  for (std::size_t i = listed_.size(); i < list->items.size(); ++i) {
    TRY(walk_fields(walk, list->items[i], "", "", kMostTreeDepth, fresh));
    listed_.push_back(list->items[i].ref);
  }
  objects_ = std::move(walk.seen);
  for (const Field& one : fresh) TRY(take(document, one));
  revision_ = document.last();
  return {};
}

}  // namespace karta::crypto::pdf
