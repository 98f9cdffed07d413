#include "crypto/pdf/changes.h"

#include <algorithm>
#include <array>
#include <map>

namespace karta::crypto::pdf {
namespace {

constexpr auto kKinds = std::to_array<std::string_view>(
    {"signature", "timestamp", "validation-data", "form", "annotation", "metadata", "auxiliary", "other"});

/// What an object is for, as seen from the catalog.
struct Role {
  enum class Kind {
    catalog,
    form,        // the AcroForm dictionary
    field_list,  // its array of fields, where that is an object
    field,       // a field, merged with its widget or not
    widget,      // a widget of a field that is none itself
    page,
    annotations,  // a page's array of annotations, where that is an object
    annotation,   // an annotation that is no widget
    appearance,   // a stream that draws a field's widget
    store,        // the security store, and dictionaries and arrays in it
    metadata,
  };
  Kind kind;
  std::size_t index = 0;    // of the page or the field
  std::uint32_t owner = 0;  // who may refer to it; 0: not checked
};

/// A field as it was when last looked at.
struct KnownField {
  std::string name;
  std::string type;
};

constexpr std::ptrdiff_t kMostDirectAnnotations = 1000;  // each is compared with each; writers refer to theirs

bool holds_text(const Object* object) { return object != nullptr && !(object->text.empty() && object->raw.empty()); }

class Analysis {
 public:
  Analysis(const Document& document, const std::vector<SignatureValue>& signatures)
      : document_(document), signatures_(signatures) {}

  Result<std::vector<RevisionChanges>> run(std::size_t from) {
    by_revision_.resize(document_.revisions().size());
    for (const Document::Entry& entry : document_.entries()) {
      if (entry.revision > from) by_revision_[entry.revision].push_back(&entry);
    }
    collect_references(from);
    for (const SignatureValue& one : signatures_) {
      if (one.sound() && one.signed_revision <= from) TRY(bind(one));
    }
    std::vector<RevisionChanges> out;
    bool roles_known = false;
    for (std::size_t revision = from + 1; revision <= document_.last(); ++revision) {
      if (!roles_known) TRY(find_roles(revision - 1));
      step_ = {.revision = revision, .list = {}, .allowed = true};
      if (revision == from + 1) refuse_unreadable();
      TRY(step(revision));
      for (const Change& one : step_.list) step_.allowed = step_.allowed && one.allowed;
      // Roles grow along with allowed changes; after others nothing is known any more.
      roles_known = step_.allowed;
      for (const SignatureValue& one : signatures_) {
        if (one.sound() && one.signed_revision == revision) TRY(bind(one));
      }
      out.push_back(std::move(step_));
    }
    return out;
  }

 private:
  struct Reference {
    std::uint32_t target, holder, revision;
  };

  Status bind(const SignatureValue& signature) {
    return add_permissions(document_, signature.signed_revision, *signature.field.dictionary, *signature.dictionary,
                           permissions_);
  }

  // --- who refers to whom, in all revisions: one pass over the document ---

  void collect(const Object& object, const Document::Entry& holder) {
    if (object.is(Object::Kind::reference)) {
      references_.push_back({object.ref.number, holder.number, holder.revision});
    }
    for (const Object& item : object.items) collect(item, holder);
    for (const DictionaryEntry& entry : object.entries) collect(entry.value, holder);
  }

  void collect_references(std::size_t from) {
    for (const Document::Entry& entry : document_.entries()) {
      if (entry.kind == Document::Entry::Kind::in_stream) {
        const auto container = static_cast<std::uint32_t>(entry.where);
        const auto [known, fresh] = containers_.try_emplace(container, entry.revision);
        if (!fresh) known->second = std::min(known->second, entry.revision);
      }
      if (const auto object = document_.load(entry)) {
        collect(**object, entry);
      } else if (entry.revision <= from) {
        unreadable_.push_back({entry.number, entry.generation});
      }
    }
    std::sort(references_.begin(), references_.end(), [](const Reference& a, const Reference& b) {
      return a.target != b.target ? a.target < b.target : a.revision < b.revision;
    });
  }

  /// What cannot be read where the signed document says it stands may be found elsewhere by readers that mend files, in
  /// what came later. Nobody minds those nobody asks for.
  void refuse_unreadable() {
    for (const Ref ref : unreadable_) {
      const auto [begin, end] = references_to(ref.number);
      if (begin != end) refuse(ref, "an object that cannot be read where the signed document says it stands");
    }
  }

  /// Objects of an earlier revision stand in, or were promised in, the object stream `number`. A reader that looks for
  /// them now takes them out of what stands there now.
  bool held_objects_before(std::uint32_t number, std::size_t revision) const {
    const auto known = containers_.find(number);
    return known != containers_.end() && known->second < revision;
  }

  std::pair<std::vector<Reference>::const_iterator, std::vector<Reference>::const_iterator> references_to(
      std::uint32_t target) const {
    const auto begin = std::lower_bound(references_.begin(), references_.end(), target,
                                        [](const Reference& one, std::uint32_t wanted) { return one.target < wanted; });
    const auto end = std::upper_bound(begin, references_.end(), target,
                                      [](std::uint32_t wanted, const Reference& one) { return wanted < one.target; });
    return {begin, end};
  }

  /// Something that stood there before `revision` referred to `number`.
  bool referred_before(std::uint32_t number, std::size_t revision) const {
    const auto [begin, end] = references_to(number);
    return begin != end && begin->revision < revision;
  }

  bool only_owner_refers(std::uint32_t number, const Role& role, std::size_t revision) const {
    if (role.owner == 0) return true;
    const auto [begin, end] = references_to(number);
    return std::all_of(begin, end, [&](const Reference& one) {
      return one.revision >= revision || one.holder == role.owner || one.holder == number;
    });
  }

  // --- roles ---

  void set_role(std::uint32_t number, Role role) { roles_.emplace(number, role); }

  Status find_roles(std::size_t revision) {
    roles_.clear();
    fields_.clear();
    const Object* const root = document_.trailer(revision).find("Root");
    if (root == nullptr || !root->is(Object::Kind::reference)) return fail(ErrorKind::malformed, "there is no catalog");
    const std::uint32_t catalog_number = root->ref.number;
    set_role(catalog_number, {Role::Kind::catalog});
    const Object* const catalog = TRY(document_.catalog(revision));
    TRY(find_form_roles(*catalog, revision));
    TRY(find_store_roles(catalog->find("DSS"), catalog_number, revision, 0));
    if (const Object* const metadata = catalog->find("Metadata"); metadata && metadata->is(Object::Kind::reference)) {
      set_role(metadata->ref.number, {Role::Kind::metadata, 0, catalog_number});
    }
    if (const Object* const info = document_.trailer(revision).find("Info");
        info && info->is(Object::Kind::reference)) {
      set_role(info->ref.number, {Role::Kind::metadata, 0, info->ref.number});
    }
    const auto all_pages = TRY(pages(document_, revision));
    for (std::size_t i = 0; i < all_pages.size(); ++i) {
      set_role(all_pages[i].ref.number, {Role::Kind::page, i});
      const Object* const list = all_pages[i].dictionary->find("Annots");
      if (list == nullptr) continue;
      if (list->is(Object::Kind::reference)) {
        set_role(list->ref.number, {Role::Kind::annotations, i, all_pages[i].ref.number});
      }
      const Object* const array = TRY(document_.resolve(*list, revision));
      for (const Object& item : array->items) {
        if (item.is(Object::Kind::reference)) set_role(item.ref.number, {Role::Kind::annotation, i});
      }
    }
    return {};
  }

  Status find_form_roles(const Object& catalog, std::size_t revision) {
    const Object* const form_value = catalog.find("AcroForm");
    if (form_value == nullptr) return {};
    std::uint32_t form_number = 0;
    if (form_value->is(Object::Kind::reference)) {
      form_number = form_value->ref.number;
      set_role(form_number, {Role::Kind::form});
    }
    const Object* const form = TRY(document_.resolve(*form_value, revision));
    if (const Object* const list = form->find("Fields"); list != nullptr && list->is(Object::Kind::reference)) {
      set_role(list->ref.number, {Role::Kind::field_list, 0, form_number});
    }
    const auto all_fields = TRY(fields(document_, revision));
    for (const Field& field : all_fields) add_field_roles(field, revision);
    return {};
  }

  void add_field_roles(const Field& field, std::size_t revision) {
    const std::size_t index = fields_.size();
    fields_.push_back({field.name, field.type});
    set_role(field.ref.number, {Role::Kind::field, index});
    for (const Ref widget : field.widgets) {
      set_role(widget.number, {Role::Kind::widget, index});
      const auto dictionary = document_.resolve(Object::make_reference(widget), revision);
      if (!dictionary) continue;
      const auto appearance = document_.get(**dictionary, "AP", revision);
      if (!appearance) continue;
      if (const Object* const normal = (*appearance)->find("N"); normal && normal->is(Object::Kind::reference)) {
        set_role(normal->ref.number, {Role::Kind::appearance, index, widget.number});
      }
    }
  }

  Status find_store_roles(const Object* value, std::uint32_t owner, std::size_t revision, std::size_t depth) {
    // DSS, VRI, an entry of VRI, its arrays (EN 319 142-1 §5.4.2).
    if (value == nullptr || depth > 4) return {};
    if (value->is(Object::Kind::reference)) {
      const Object* const object = TRY(document_.resolve(*value, revision));
      if (!object->is(Object::Kind::dictionary) && !object->is(Object::Kind::array)) return {};
      set_role(value->ref.number, {Role::Kind::store, 0, owner});
      return find_store_roles(object, value->ref.number, revision, depth);
    }
    for (const DictionaryEntry& entry : value->entries) {
      TRY(find_store_roles(&entry.value, owner, revision, depth + 1));
    }
    return {};
  }

  // --- one revision ---

  void note(Ref ref, ChangeKind kind, bool allowed, std::string what, bool visible = false) {
    step_.list.push_back({ref, kind, allowed, visible, std::move(what)});
  }
  void refuse(Ref ref, std::string what, ChangeKind kind = ChangeKind::other) {
    note(ref, kind, false, std::move(what));
  }

  Status step(std::size_t revision) {
    const std::size_t before = revision - 1;
    new_fields_.clear();
    filled_.clear();
    struct Changed {
      Ref ref;
      const Object* was;
      const Object* is;
      Role role;
    };
    std::vector<Changed> changed;
    std::vector<Ref> fresh;
    check_trailer(revision);
    for (const Document::Entry* const entry : by_revision_[revision]) {
      const Ref ref{entry->number, entry->generation};
      const auto is = document_.load(*entry);
      if (!is) {
        refuse(ref, "an object that cannot be read: " + is.error().message);
        continue;
      }
      const Document::Entry* const old_entry = document_.entry(entry->number, before);
      const bool was_free = old_entry == nullptr || old_entry->kind == Document::Entry::Kind::free;
      if (was_free) {
        if (entry->kind == Document::Entry::Kind::free) continue;
        if (held_objects_before(entry->number, revision)) {
          refuse(ref, "an object stream that was promised before it existed");
          continue;
        }
        if (referred_before(entry->number, revision)) {
          refuse(ref, "a new object that the document referred to before it existed");
        } else {
          fresh.push_back(ref);
        }
        continue;
      }
      const auto was = document_.load(*old_entry);
      if (!was) {
        refuse(ref, "replaces an object that cannot be read");
        continue;
      }
      if (entry->kind != Document::Entry::Kind::free && old_entry->generation == entry->generation &&
          same(**was, **is)) {
        continue;
      }
      if (held_objects_before(entry->number, revision)) {
        refuse(ref, "an object stream with objects of the signed document was replaced");
        continue;
      }
      if (is_container(**was) && (is_container(**is) || entry->kind == Document::Entry::Kind::free)) continue;
      if (entry->kind == Document::Entry::Kind::free) {
        if (referred_before(entry->number, revision)) refuse(ref, "removed: " + describe(entry->number, before));
        continue;
      }
      const auto role = roles_.find(entry->number);
      if (role == roles_.end() || old_entry->generation != entry->generation) {
        refuse(ref, describe(entry->number, before));
        continue;
      }
      if (!only_owner_refers(entry->number, role->second, revision)) {
        refuse(ref, describe(entry->number, before) + ", which serves elsewhere too");
        continue;
      }
      changed.push_back({ref, *was, *is, role->second});
    }
    // From the catalog down: pages are judged by which fields are new.
    std::stable_sort(changed.begin(), changed.end(),
                     [](const Changed& a, const Changed& b) { return a.role.kind < b.role.kind; });
    for (const Changed& one : changed) {
      switch (one.role.kind) {
        case Role::Kind::catalog:
          TRY(check_catalog(one.ref, *one.was, *one.is, revision));
          break;
        case Role::Kind::form:
          TRY(check_form(one.ref, *one.was, *one.is, revision));
          break;
        case Role::Kind::field_list:
          TRY(check_field_list(one.ref, *one.was, *one.is, revision));
          break;
        case Role::Kind::field:
        case Role::Kind::widget:
          TRY(check_field(one.ref, *one.was, *one.is, one.role, revision));
          break;
        case Role::Kind::page:
          TRY(check_page(one.ref, *one.was, *one.is, one.role.index, revision));
          break;
        case Role::Kind::annotations:
          check_annotations(one.ref, *one.was, *one.is, one.role.index);
          break;
        case Role::Kind::annotation:
          note(one.ref, ChangeKind::annotation, permissions_.certified == 3u,
               "annotation on page " + std::to_string(one.role.index + 1), true);
          break;
        case Role::Kind::appearance:
          check_appearance(one.ref, one.role);
          break;
        case Role::Kind::store:
          note(one.ref, ChangeKind::validation, true, "the security store");
          break;
        case Role::Kind::metadata:
          note(one.ref, ChangeKind::metadata, true, "metadata");
          break;
      }
    }
    for (const Ref ref : fresh) {
      if (!new_fields_.contains(ref.number)) note(ref, ChangeKind::auxiliary, true, "a new object");
    }
    const Object* const catalog = TRY(document_.catalog(revision));
    const Object* const root = document_.trailer(revision).find("Root");
    // The store's parts may be new: from now on they may grow.
    return find_store_roles(catalog->find("DSS"), root->ref.number, revision, 0);
  }

  static bool is_container(const Object& object) {
    const Object* const type = object.is(Object::Kind::stream) ? object.find("Type") : nullptr;
    return type != nullptr && (type->is_name("ObjStm") || type->is_name("XRef"));
  }

  void check_trailer(std::size_t revision) {
    const Object& was = document_.trailer(revision - 1);
    const Object& is = document_.trailer(revision);
    for (const char* key : {"Root", "Encrypt"}) {
      const Object* const a = was.find(key);
      const Object* const b = is.find(key);
      if ((a == nullptr) != (b == nullptr) || (a != nullptr && !same(*a, *b))) {
        refuse({}, std::string("the trailer's ") + key + " names another object");
      }
    }
  }

  /// What `number` is, for people: its role, or that of who refers to it.
  std::string describe(std::uint32_t number, std::size_t revision) const {
    if (const auto role = roles_.find(number); role != roles_.end()) {
      switch (role->second.kind) {
        case Role::Kind::catalog:
          return "the catalog";
        case Role::Kind::form:
        case Role::Kind::field_list:
          return "the form";
        case Role::Kind::field:
        case Role::Kind::widget:
        case Role::Kind::appearance:
          return "form field \"" + fields_[role->second.index].name + "\"";
        case Role::Kind::page:
          return "page " + std::to_string(role->second.index + 1);
        case Role::Kind::annotations:
        case Role::Kind::annotation:
          return "annotation on page " + std::to_string(role->second.index + 1);
        case Role::Kind::store:
          return "the security store";
        case Role::Kind::metadata:
          return "metadata";
      }
    }
    const auto [begin, end] = references_to(number);
    for (auto it = begin; it != end; ++it) {
      const auto role = roles_.find(it->holder);
      if (role == roles_.end() || it->revision > revision) continue;
      const auto holder = document_.load(it->holder, revision);
      if (!holder) continue;
      const std::string key = key_of((*holder)->entries, number);
      if (!key.empty()) return key + " of " + describe_role(role->second);
    }
    const auto object = document_.load(number, revision);
    const Object* const type = object ? (*object)->find("Type") : nullptr;
    if (type != nullptr && type->is(Object::Kind::name)) return "a " + type->text + " object";
    return object && (*object)->is(Object::Kind::stream) ? "a stream" : "an object";
  }
  std::string describe_role(const Role& role) const {
    return role.kind == Role::Kind::page      ? "page " + std::to_string(role.index + 1)
           : role.kind == Role::Kind::catalog ? "the catalog"
           : role.kind == Role::Kind::form    ? "the form"
           : role.kind == Role::Kind::field || role.kind == Role::Kind::widget
               ? "form field \"" + fields_[role.index].name + "\""
               : "an annotation or appearance";
  }
  static std::string key_of(const std::vector<DictionaryEntry>& entries, std::uint32_t number) {
    const auto refers = [&](const auto& self, const Object& object) -> bool {
      return (object.is(Object::Kind::reference) && object.ref.number == number) ||
             std::any_of(object.items.begin(), object.items.end(),
                         [&](const Object& one) { return self(self, one); }) ||
             std::any_of(object.entries.begin(), object.entries.end(),
                         [&](const DictionaryEntry& one) { return self(self, one.value); });
    };
    for (const DictionaryEntry& entry : entries) {
      if (refers(refers, entry.value)) return entry.key;
    }
    return {};
  }

  /// Keys whose values differ as they stand.
  static std::vector<std::string> differing_keys(const Object& was, const Object& is) {
    std::vector<std::string> out;
    for (const DictionaryEntry& entry : was.entries) {
      const Object* const now = is.find(entry.key);
      if (entry.value.is(Object::Kind::null) ? now != nullptr : now == nullptr || !same(entry.value, *now)) {
        out.push_back(entry.key);
      }
    }
    for (const DictionaryEntry& entry : is.entries) {
      if (was.find(entry.key) == nullptr && !entry.value.is(Object::Kind::null) &&
          std::find(out.begin(), out.end(), entry.key) == out.end()) {
        out.push_back(entry.key);
      }
    }
    return out;
  }

  Status check_catalog(Ref ref, const Object& was, const Object& is, std::size_t revision) {
    for (const std::string& key : differing_keys(was, is)) {
      if (key == "AcroForm") {
        const Object* const old_form = TRY(document_.get(was, key, revision - 1));
        const Object* const new_form = TRY(document_.get(is, key, revision));
        TRY(check_form(ref, *old_form, *new_form, revision));
        if (const Object* const value = is.find(key); value != nullptr && value->is(Object::Kind::reference)) {
          set_role(value->ref.number, {Role::Kind::form});
        }
      } else if (key == "DSS") {
        note(ref, ChangeKind::validation, true, "the security store");
      } else if (key == "Extensions" || key == "Version" || key == "Metadata") {
        note(ref, ChangeKind::metadata, true, "the catalog's " + key);
        if (const Object* const value = is.find(key);
            key == "Metadata" && value && value->is(Object::Kind::reference)) {
          set_role(value->ref.number, {Role::Kind::metadata, 0, ref.number});
        }
      } else {
        refuse(ref, "the catalog's " + key);
      }
    }
    return {};
  }

  Status check_form(Ref ref, const Object& was, const Object& is, std::size_t revision) {
    if (!is.is(Object::Kind::dictionary)) {
      refuse(ref, "the form was removed");
      return {};
    }
    for (const std::string& key : differing_keys(was, is)) {
      if (key == "Fields") {
        const Object* const old_list = TRY(document_.get(was, key, revision - 1));
        const Object* const new_list = TRY(document_.get(is, key, revision));
        TRY(check_field_list(ref, *old_list, *new_list, revision));
        if (const Object* const value = is.find(key); value != nullptr && value->is(Object::Kind::reference)) {
          set_role(value->ref.number, {Role::Kind::field_list, 0, 0});
        }
      } else if (key == "DR" || key == "DA") {
        // Resources may grow; those there are draw what was signed.
        const Object* const old_value = TRY(document_.get(was, key, revision - 1));
        const Object* const new_value = TRY(document_.get(is, key, revision));
        if (!old_value->is(Object::Kind::null) && !grows(*old_value, *new_value, revision, 0)) {
          refuse(ref, "the form's " + key + " (what its fields are drawn with)");
        }
      } else if (key == "NeedAppearances") {
        const Object* const redraw = TRY(document_.get(is, key, revision));
        if (redraw->is(Object::Kind::boolean) && redraw->boolean) {
          refuse(ref, "the form's fields are drawn anew by readers (NeedAppearances), not as they were signed");
        }
      } else if (key != "SigFlags") {
        refuse(ref, "the form's " + key);
      }
    }
    return {};
  }

  bool grows(const Object& was, const Object& is, std::size_t revision, std::size_t depth) const {
    if (same(was, is)) return true;
    if (depth > 3 || !was.is(Object::Kind::dictionary) || !is.is(Object::Kind::dictionary)) return false;
    return std::all_of(was.entries.begin(), was.entries.end(), [&](const DictionaryEntry& entry) {
      const Object* const now = is.find(entry.key);
      return now != nullptr && grows(entry.value, *now, revision, depth + 1);
    });
  }

  Status check_field_list(Ref ref, const Object& was, const Object& is, std::size_t revision) {
    std::set<std::uint32_t> old_fields;
    for (const Object& item : was.items) old_fields.insert(item.ref.number);
    std::size_t kept = 0;
    for (const Object& item : is.items) {
      if (item.is(Object::Kind::reference) && old_fields.contains(item.ref.number)) {
        ++kept;
      } else if (!item.is(Object::Kind::reference)) {
        refuse(ref, "a form field that is no object of its own");
      } else {
        TRY(check_new_field(item.ref, revision));
      }
    }
    if (kept != old_fields.size()) refuse(ref, "a form field was removed");
    return {};
  }

  Status check_new_field(Ref ref, std::size_t revision) {
    const Field field = TRY(read_field(document_, revision, ref, ""));
    const Document::Entry* const old_entry = document_.entry(ref.number, revision - 1);
    const bool existed = old_entry != nullptr && old_entry->kind != Document::Entry::Kind::free;
    if (field.dictionary == nullptr || field.type != "Sig" || field.dictionary->find("Kids") != nullptr || existed) {
      refuse(ref, "a new form field that is no signature", ChangeKind::form);
      return {};
    }
    if (field.dictionary->find("A") != nullptr || field.dictionary->find("AA") != nullptr) {
      refuse(ref, "a new form field that does something when it is met", ChangeKind::form);
      return {};
    }
    new_fields_.insert(ref.number);
    note_signature(ref, field, *field.dictionary, revision);
    add_field_roles(field, revision);
    return {};
  }

  /// A field that now bears a signature, or is new and bears none yet.
  void note_signature(Ref ref, const Field& field, const Object& dictionary, std::size_t revision) {
    const Object* const value = dictionary.find("V");
    const bool draws = dictionary.find("AP") != nullptr && !empty_rectangle(dictionary, revision);
    const auto found = std::find_if(signatures_.begin(), signatures_.end(), [&](const SignatureValue& one) {
      return value != nullptr && value->is(Object::Kind::reference) && one.ref == value->ref;
    });
    if (found == signatures_.end()) {
      if (value != nullptr) return refuse(ref, "field \"" + field.name + "\" bears a signature that is none");
      // An empty field for somebody to sign later shows nothing.
      return note(ref, ChangeKind::form, !draws && permissions_.certified != 1u,
                  "a new empty signature field \"" + field.name + "\"", draws);
    }
    const ChangeKind kind = found->is_timestamp ? ChangeKind::timestamp : ChangeKind::signature;
    // Where the author allows forms and signatures, fields that were there may be signed and show it; a new one that
    // draws where it likes is an annotation.
    const bool new_drawing = draws && new_fields_.contains(ref.number);
    const bool allowed = permissions_.certified == 1u   ? found->is_timestamp && !draws
                         : permissions_.certified == 2u ? !new_drawing
                                                        : true;
    note(ref, kind, allowed, std::string(found->is_timestamp ? "time-stamp" : "signature") + " \"" + field.name + "\"",
         draws);
  }

  bool empty_rectangle(const Object& dictionary, std::size_t revision) const {
    const auto box = document_.get(dictionary, "Rect", revision);
    if (!box || (*box)->items.size() != 4) return true;
    const auto equal_at = [&](std::size_t i, std::size_t j) { return same((*box)->items[i], (*box)->items[j]); };
    return equal_at(0, 2) || equal_at(1, 3);
  }

  Status check_field(Ref ref, const Object& was, const Object& is, const Role& role, std::size_t revision) {
    const KnownField known = fields_[role.index];
    const std::string what = "form field \"" + known.name + "\"";
    const std::vector<std::string> keys = differing_keys(was, is);
    const auto changed = [&](const char* key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); };
    static constexpr auto kFreeKeys =
        std::to_array<std::string_view>({"V", "AS", "AP", "M", "F", "I", "P", "NM", "StructParent"});
    for (const std::string& key : keys) {
      if (std::find(kFreeKeys.begin(), kFreeKeys.end(), key) == kFreeKeys.end()) {
        refuse(ref, what + ": its " + key, ChangeKind::form);
        return {};
      }
    }
    if (permissions_.locks(known.name)) {
      refuse(ref, what + ", which a signature locks", ChangeKind::form);
      return {};
    }
    if (known.type == "Sig") {
      if (was.find("V") != nullptr || (role.kind == Role::Kind::field && !changed("V"))) {
        refuse(ref, "the signature in " + what, ChangeKind::signature);
      } else if (role.kind == Role::Kind::field) {
        filled_.insert(role.index);
        note_signature(ref, Field{ref, known.name, known.type, &is, {}}, is, revision);
      } else {
        note(ref, ChangeKind::signature, filled_.contains(role.index), what, true);
      }
      return {};
    }
    // A field shows its appearance, and its value is what programs read: they must change together.
    const bool value_changed = changed("V") || changed("AS");
    if (value_changed) filled_.insert(role.index);
    bool allowed = filled_.contains(role.index);
    if (permissions_.certified) {
      allowed = allowed && *permissions_.certified >= 2;
    } else {
      // Nobody said what may be filled in after this signature: what was empty may be, what stood there was signed.
      const Object* const old_value = was.find("V");
      const bool was_empty = old_value == nullptr || !holds_text(old_value) || old_value->is_name("Off");
      const bool was_blank = TRY(shows_nothing(was, revision - 1));
      allowed = allowed && was_empty && was_blank;
    }
    note(ref, ChangeKind::form, allowed, what, true);
    if (allowed) add_field_roles(Field{ref, known.name, known.type, &is, {ref}}, revision);
    return {};
  }

  /// No appearance, or one whose stream paints nothing: no text, image or shading operator.
  Result<bool> shows_nothing(const Object& widget, std::size_t revision) const {
    const Object* const appearance = TRY(document_.get(widget, "AP", revision));
    const Object* const value = appearance->find("N");
    if (value == nullptr) return true;
    const Object* const normal = TRY(document_.resolve(*value, revision));
    if (normal->is(Object::Kind::dictionary)) return true;  // states of a check box: AS chooses
    if (!normal->is(Object::Kind::stream)) return true;
    const auto octets = document_.decode(
        *normal, revision, value->is(Object::Kind::reference) ? std::optional<Ref>(value->ref) : std::nullopt);
    if (!octets) return false;
    const std::string_view text = as_text(*octets);
    std::size_t at = 0;
    while (at < text.size()) {
      std::size_t end = at;
      while (end < text.size() && !is_blank(static_cast<std::uint8_t>(text[end])) &&
             !is_delimiter(static_cast<std::uint8_t>(text[end]))) {
        ++end;
      }
      const std::string_view word = text.substr(at, end - at);
      if (word == "Tj" || word == "TJ" || word == "'" || word == "\"" || word == "Do" || word == "sh" || word == "BI") {
        return false;
      }
      at = end + 1;
    }
    return true;
  }

  Status check_page(Ref ref, const Object& was, const Object& is, std::size_t page, std::size_t revision) {
    for (const std::string& key : differing_keys(was, is)) {
      if (key != "Annots") {
        refuse(ref, key + " of page " + std::to_string(page + 1));
        continue;
      }
      const Object* const old_list = TRY(document_.get(was, key, revision - 1));
      const Object* const new_list = TRY(document_.get(is, key, revision));
      check_annotations(ref, *old_list, *new_list, page);
      if (const Object* const value = is.find(key); value != nullptr && value->is(Object::Kind::reference)) {
        set_role(value->ref.number, {Role::Kind::annotations, page, ref.number});
      }
    }
    return {};
  }

  void check_annotations(Ref ref, const Object& was, const Object& is, std::size_t page) {
    std::set<std::uint32_t> old_items, new_items;
    for (const Object& item : was.items) old_items.insert(item.ref.number);
    for (const Object& item : is.items) new_items.insert(item.ref.number);
    const std::string where = " on page " + std::to_string(page + 1);
    const auto direct = [](const Object& list) {
      return std::count_if(list.items.begin(), list.items.end(),
                           [](const Object& one) { return !one.is(Object::Kind::reference); });
    };
    if (direct(was) > kMostDirectAnnotations || direct(is) > kMostDirectAnnotations) {
      return refuse(ref, "more annotations written into the page than can be compared" + where);
    }
    const bool free_hand = permissions_.certified == 3u;
    for (const Object& item : is.items) {
      if (!item.is(Object::Kind::reference)) {
        const bool stood =
            std::any_of(was.items.begin(), was.items.end(), [&](const Object& one) { return same(one, item); });
        if (!stood) note(ref, ChangeKind::annotation, free_hand, "a new annotation" + where, true);
      } else if (!old_items.contains(item.ref.number) && !new_fields_.contains(item.ref.number)) {
        note(item.ref, ChangeKind::annotation, free_hand, "a new annotation" + where, true);
        if (free_hand) set_role(item.ref.number, {Role::Kind::annotation, page});
      }
    }
    for (const Object& item : was.items) {
      if (item.is(Object::Kind::reference) && !new_items.contains(item.ref.number)) {
        const auto role = roles_.find(item.ref.number);
        const bool is_field = role != roles_.end() && role->second.kind != Role::Kind::annotation;
        note(item.ref, ChangeKind::annotation, free_hand && !is_field, "an annotation was removed" + where, true);
      } else if (!item.is(Object::Kind::reference) &&
                 std::none_of(is.items.begin(), is.items.end(), [&](const Object& one) { return same(one, item); })) {
        note(ref, ChangeKind::annotation, free_hand, "an annotation was removed" + where, true);
      }
    }
    // One over another hides it: who stands behind whom was signed.
    std::map<std::uint32_t, std::size_t> places;
    for (std::size_t i = 0; i < was.items.size(); ++i) places.emplace(was.items[i].ref.number, i);
    std::size_t kept = 0;
    for (const Object& item : is.items) {
      const auto place = places.find(item.ref.number);
      if (!item.is(Object::Kind::reference) || place == places.end()) continue;
      if (place->second < kept)
        return note(ref, ChangeKind::annotation, free_hand, "the order of annotations" + where, true);
      kept = place->second;
    }
  }

  void check_appearance(Ref ref, const Role& role) {
    const std::string what = "what form field \"" + fields_[role.index].name + "\" shows";
    // Allowed with a new value only: then the field itself is among the changes and judged there.
    note(ref, ChangeKind::form, filled_.contains(role.index) && fields_[role.index].type != "Sig", what, true);
  }

  const Document& document_;
  const std::vector<SignatureValue>& signatures_;
  Permissions permissions_;
  std::vector<Reference> references_;
  std::vector<std::vector<const Document::Entry*>> by_revision_;
  std::map<std::uint32_t, std::uint32_t> containers_;  // object streams, and the first revision that has objects there
  std::vector<Ref> unreadable_;                        // in the signed document
  std::map<std::uint32_t, Role> roles_;
  std::vector<KnownField> fields_;
  std::set<std::uint32_t> new_fields_;  // of this step
  std::set<std::size_t> filled_;        // fields that got a value in this step
  RevisionChanges step_;
};

}  // namespace

std::string_view name_of(ChangeKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

Result<std::vector<RevisionChanges>> changes_after(const Document& document, std::size_t signed_revision,
                                                   const std::vector<SignatureValue>& signatures) {
  if (signed_revision >= document.last()) return std::vector<RevisionChanges>{};
  return Analysis(document, signatures).run(signed_revision);
}

std::vector<Gap> unexplained_octets(const Document& document, std::size_t signed_revision) {
  std::vector<Gap> out;
  if (signed_revision >= document.last()) return out;
  const std::size_t begin = document.revisions()[signed_revision].end;
  std::vector<std::pair<std::size_t, std::size_t>> known;  // from, to
  for (const Document::Entry& entry : document.entries()) {
    if (entry.kind != Document::Entry::Kind::at_offset || entry.where < begin) continue;
    const auto object = document.load(entry);
    if (object) known.emplace_back(entry.where, (*object)->end);
  }
  for (std::size_t i = signed_revision + 1; i <= document.last(); ++i) {
    const Revision& revision = document.revisions()[i];
    known.emplace_back(revision.xref, revision.end);
  }
  std::sort(known.begin(), known.end());
  std::size_t at = begin;
  const auto gap = [&](std::size_t from, std::size_t to) {
    Parser parser(document.file().first(to), from);
    (void)parser.keyword("endobj");
    if (parser.done() || out.size() >= kMostGaps) return;
    const ByteView octets = document.file().subspan(parser.at(), to - parser.at());
    const bool holds_object = as_text(octets).find(" obj") != std::string_view::npos;
    out.push_back({parser.at(), octets.size(), holds_object});
  };
  for (const auto& [from, to] : known) {
    if (from > at) gap(at, from);
    at = std::max(at, to);
  }
  return out;
}

std::vector<Ref> unreachable_signatures(const Document& document) {
  std::set<std::uint32_t> reached;
  if (const auto list = fields(document, document.last())) {
    for (const Field& field : *list) {
      const Object* const value = field.dictionary->find("V");
      if (value != nullptr && value->is(Object::Kind::reference)) reached.insert(value->ref.number);
    }
  }
  std::vector<Ref> out;
  for (const Document::Entry& entry : document.entries()) {
    const auto object = document.load(entry);
    if (!object || !(*object)->is(Object::Kind::dictionary) || reached.contains(entry.number)) continue;
    if ((*object)->find("ByteRange") != nullptr && (*object)->find("Contents") != nullptr) {
      out.push_back({entry.number, entry.generation});
      reached.insert(entry.number);
    }
  }
  return out;
}

}  // namespace karta::crypto::pdf
