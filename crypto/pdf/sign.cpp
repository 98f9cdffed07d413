#include "crypto/pdf/sign.h"

#include "crypto/pdf/seed_values.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace karta::crypto::pdf {
namespace {

// §7.9.4: "D:20260601120000Z"
std::string pdf_date(Time time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  char out[40];
  std::snprintf(out, sizeof out, "D:%04d%02u%02u%02d%02d%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return out;
}

std::string new_field_name(const FormState& form) {
  for (std::size_t i = form.signed_fields().size() + 1;; ++i) {
    std::string name = "Signature" + std::to_string(i);
    if (!form.has_name(name)) return name;
  }
}

Object rectangle(const std::optional<Placement>& place) {
  const auto real = [](double value) { return Object::make_real(value); };
  if (!place) {
    const Object zero = Object::make_integer(0);
    return Object::make_array({zero, zero, zero, zero});
  }
  return Object::make_array(
      {real(place->x), real(place->y), real(place->x + place->width), real(place->y + place->height)});
}

/// Adds `item` to the array under `key` of the object at `owner`, wherever that array stands.
Status append_to_array(Update& update, Ref owner, const std::string& key, Object item) {
  Object holder = TRY(update.current(owner));
  const Object* const value = holder.find(key);
  if (value != nullptr && value->is(Object::Kind::reference)) {
    const Ref array_ref = value->ref;
    Object array = TRY(update.current(array_ref));
    if (array.is(Object::Kind::array)) {
      array.items.push_back(std::move(item));
      return update.replace(array_ref, array);
    }
  }
  Object array = value != nullptr && value->is(Object::Kind::array) ? *value : Object::make_array({});
  array.items.push_back(std::move(item));
  holder.set(key, std::move(array));
  return update.replace(owner, holder);
}

/// Puts the field into the form, making one if there is none, and sets SigFlags (§12.7.2: signatures exist, append
/// only).
Status add_to_form(const Document& document, Update& update, Ref field, bool new_field) {
  const Object* const root = document.trailer(document.last()).find("Root");
  if (root == nullptr || !root->is(Object::Kind::reference)) return fail(ErrorKind::malformed, "there is no catalog");
  Object catalog = TRY(update.current(root->ref));
  const Object* form = catalog.find("AcroForm");
  if (form == nullptr || !form->is(Object::Kind::reference)) {
    // A form of its own object: the catalog changes once, not with every signature.
    Object made = form != nullptr ? *form : Object::make_dictionary({{"Fields", Object::make_array({})}});
    const Ref ref = update.add(made);
    catalog.set("AcroForm", Object::make_reference(ref));
    TRY(update.replace(root->ref, catalog));
    form = catalog.find("AcroForm");
  }
  const Ref form_ref = form->ref;
  Object dictionary = TRY(update.current(form_ref));
  if (!dictionary.is(Object::Kind::dictionary))
    dictionary = Object::make_dictionary({{"Fields", Object::make_array({})}});
  const Object* const flags = dictionary.find("SigFlags");
  if (flags == nullptr || flags->integer != 3) {
    dictionary.set("SigFlags", Object::make_integer(3));
    TRY(update.replace(form_ref, dictionary));
  }
  if (!new_field) return {};
  return append_to_array(update, form_ref, "Fields", Object::make_reference(field));
}

}  // namespace

std::string_view sub_filter_of(SignatureKind kind) {
  return kind == SignatureKind::timestamp ? "ETSI.RFC3161" : "ETSI.CAdES.detached";
}

std::size_t octets_to_reserve(const std::vector<Bytes>& certificate_chain, bool with_timestamp) {
  constexpr std::size_t kAround = 1536;  // attributes, algorithms, a value of at most 512 octets
  constexpr std::size_t kToken = 16'384;
  std::size_t octets = kAround;
  for (const Bytes& one : certificate_chain) octets += one.size();
  // The issuer's name stands twice more: who signed, and in the attribute that names the certificate.
  if (!certificate_chain.empty()) octets += certificate_chain.front().size();
  return octets + (with_timestamp ? kToken : 0);
}

Result<Bytes> sign(const Document& document, const SignatureRequest& request, const MakeSignature& make,
                   const ObjectCipher* cipher, FormState* form) {
  const std::size_t last = document.last();
  if (document.encrypted() && cipher == nullptr) {
    return fail(ErrorKind::not_permitted, "the document is encrypted, and it was not opened with its password");
  }
  FormState own;
  if (form == nullptr) form = &own;
  if (Status read = form->refresh(document); !read) {
    *form = {};
    return fail(std::move(read).error());
  }
  const std::vector<Field>& all_fields = form->fields();
  const Permissions& allowed = form->permissions();
  const bool timestamp = request.kind == SignatureKind::timestamp;
  if (allowed.certified == 1u && !timestamp) {
    return fail(ErrorKind::not_permitted, "the document was certified: no further signature is allowed (DocMDP 1)");
  }
  if (request.certify && !form->signed_fields().empty()) {
    return fail(ErrorKind::not_permitted, "only the first signature can certify a document");
  }

  if (allowed.certified == 2u && request.visible) {
    return fail(
        ErrorKind::not_permitted,
        "the document was certified: nothing new may be drawn on its pages (DocMDP 2), so a new signature cannot "
        "be visible",
        "leave out --visible, or sign a field of the form");
  }

  // The field: named, the only unsigned one, or new.
  const Field* existing = nullptr;
  if (!request.field.empty()) {
    const auto found =
        std::find_if(all_fields.begin(), all_fields.end(), [&](const Field& one) { return one.name == request.field; });
    if (found == all_fields.end() || found->type != "Sig") {
      return fail(ErrorKind::not_found, "there is no signature field \"" + request.field + "\"");
    }
    if (found->dictionary->find("V") != nullptr)
      return fail(ErrorKind::already_exists, "the field \"" + request.field + "\" is signed");
    existing = &*found;
  } else if (!request.visible && !timestamp) {
    const auto& empty = form->unsigned_fields();
    if (empty.size() == 1) existing = &all_fields[empty.front()];
  }
  Object lock;
  if (existing != nullptr) {
    if (allowed.locks(existing->name)) {
      return fail(ErrorKind::not_permitted, "an earlier signature locked the field \"" + existing->name + "\"");
    }
    TRY(check_seed_values(document, *existing, request));
    const Object* const wanted = TRY(document.get(*existing->dictionary, "Lock", last));
    if (wanted->is(Object::Kind::dictionary)) lock = *wanted;
  }

  Update update(document, cipher);
  const Ref value_ref = update.add();
  Object value = Object::make_dictionary({});
  value.set("Type", Object::make_name(timestamp ? "DocTimeStamp" : "Sig"));
  value.set("Filter", Object::make_name("Adobe.PPKLite"));
  value.set("SubFilter", Object::make_name(sub_filter_of(request.kind)));
  // Room for the numbers, filled below; the widest an offset can be.
  Object wide = Object::make_integer(999'999'999'999);
  value.set("ByteRange", Object::make_array({Object::make_integer(0), wide, wide, wide}));
  value.set("Contents", Object::make_string(std::string(request.reserved_octets, '\0')));
  if (!timestamp) {
    value.set("M", Object::make_string(pdf_date(request.time)));
    if (!request.name.empty()) value.set("Name", make_text(request.name));
    if (!request.reason.empty()) value.set("Reason", make_text(request.reason));
    if (!request.place.empty()) value.set("Location", make_text(request.place));
  }
  std::vector<Object> references;
  const Object* const root = document.trailer(last).find("Root");
  if (root == nullptr || !root->is(Object::Kind::reference)) return fail(ErrorKind::malformed, "there is no catalog");
  const auto transform = [&](const char* method, Object parameters) {
    return Object::make_dictionary({{"Type", Object::make_name("SigRef")},
                                    {"TransformMethod", Object::make_name(method)},
                                    {"TransformParams", std::move(parameters)}});
  };
  if (request.certify) {
    references.push_back(transform("DocMDP", Object::make_dictionary({{"Type", Object::make_name("TransformParams")},
                                                                      {"P", Object::make_integer(*request.certify)},
                                                                      {"V", Object::make_name("1.2")}})));
  }
  if (lock.is(Object::Kind::dictionary)) {
    Object parameters =
        Object::make_dictionary({{"Type", Object::make_name("TransformParams")}, {"V", Object::make_name("1.2")}});
    if (const Object* const action = lock.find("Action")) parameters.set("Action", *action);
    if (const Object* const list = lock.find("Fields")) {
      const Object* const names = TRY(document.resolve(*list, last));
      parameters.set("Fields", *names);
    }
    Object reference = transform("FieldMDP", std::move(parameters));
    reference.set("Data", *root);
    references.push_back(std::move(reference));
  }
  if (!references.empty()) value.set("Reference", Object::make_array(std::move(references)));
  TRY(update.set(value_ref, value));

  // The field and its annotation.
  Ref field_ref;
  if (existing != nullptr) {
    field_ref = existing->ref;
    Object field = *existing->dictionary;
    field.set("V", Object::make_reference(value_ref));
    const Ref widget_ref = existing->widgets.front();
    Object widget = widget_ref == field_ref ? field : TRY(update.current(widget_ref));
    const Object* const box = TRY(document.get(widget, "Rect", last));
    if (request.appearance && box->items.size() == 4) {
      const auto side = [&](std::size_t i) {
        const Object& one = box->items[i];
        return one.is(Object::Kind::real) ? std::strtod(one.text.c_str(), nullptr) : static_cast<double>(one.integer);
      };
      const double width = side(2) - side(0), height = side(3) - side(1);
      if (width > 1 && height > 1) {
        const Ref drawn = TRY(request.appearance(update, width, height));
        widget.set("AP", Object::make_dictionary({{"N", Object::make_reference(drawn)}}));
        widget.set("F", Object::make_integer(132));
      }
    }
    if (widget_ref == field_ref) {
      TRY(update.replace(field_ref, widget));
    } else {
      TRY(update.replace(field_ref, field));
      TRY(update.replace(widget_ref, widget));
    }
  } else {
    const std::size_t number = request.visible ? request.visible->page : 1;
    const auto all_pages = TRY(pages(document, last, number));
    if (number == 0 || number > all_pages.size()) {
      return fail(ErrorKind::not_found, "there is no page " + std::to_string(number) + ": the document has " +
                                            std::to_string(all_pages.size()));
    }
    const Ref page = all_pages[number - 1].ref;
    field_ref = update.add();
    Object field = Object::make_dictionary({{"Type", Object::make_name("Annot")},
                                            {"Subtype", Object::make_name("Widget")},
                                            {"FT", Object::make_name("Sig")},
                                            {"T", make_text(new_field_name(*form))},
                                            {"V", Object::make_reference(value_ref)},
                                            {"F", Object::make_integer(132)},  // print, locked
                                            {"P", Object::make_reference(page)},
                                            {"Rect", rectangle(request.visible)}});
    if (request.visible && request.appearance) {
      const Ref drawn = TRY(request.appearance(update, request.visible->width, request.visible->height));
      field.set("AP", Object::make_dictionary({{"N", Object::make_reference(drawn)}}));
    }
    TRY(update.set(field_ref, field));
    TRY(append_to_array(update, page, "Annots", Object::make_reference(field_ref)));
  }
  TRY(add_to_form(document, update, field_ref, existing == nullptr));
  if (request.certify) {
    Object catalog = TRY(update.current(root->ref));
    Object perms = Object::make_dictionary({});
    if (const Object* const old = catalog.find("Perms")) {
      const Object* const kept = TRY(document.resolve(*old, last));
      perms = *kept;
    }
    perms.set("DocMDP", Object::make_reference(value_ref));
    catalog.set("Perms", perms);
    TRY(update.replace(root->ref, catalog));
  }

  // Where the hole is.
  Bytes octets = update.finish();
  const std::size_t base = document.file().size();
  const std::size_t here = update.offset_of(value_ref) - base;
  const std::string_view text = as_text(octets);
  const std::string zeros(2 * request.reserved_octets, '0');
  const std::size_t hole = text.find("<" + zeros + ">", here);
  const std::string wide_range = "[0 999999999999 999999999999 999999999999]";
  const std::size_t range = text.find(wide_range, here);
  KARTA_CHECK(hole != std::string_view::npos && range != std::string_view::npos);
  const std::size_t behind = hole + zeros.size() + 2;
  std::string numbers = "[0 " + std::to_string(base + hole) + " " + std::to_string(base + behind) + " " +
                        std::to_string(octets.size() - behind) + "]";
  if (base + octets.size() > 999'999'999'999) return fail(ErrorKind::limit, "the document is too large to sign");
  numbers.resize(wide_range.size(), ' ');
  std::copy(numbers.begin(), numbers.end(), octets.begin() + static_cast<std::ptrdiff_t>(range));

  const ByteView all(octets);
  const Bytes cms = TRY(make({document.file(), all.first(hole), all.subspan(behind)}));
  if (cms.size() > request.reserved_octets) {
    return fail(ErrorKind::limit, "the signature needs " + std::to_string(cms.size()) + " octets, " +
                                      std::to_string(request.reserved_octets) + " were reserved");
  }
  const std::string hex = to_hex(cms);
  std::copy(hex.begin(), hex.end(), octets.begin() + static_cast<std::ptrdiff_t>(hole + 1));
  return octets;
}

}  // namespace karta::crypto::pdf
