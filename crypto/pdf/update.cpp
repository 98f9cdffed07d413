#include "crypto/pdf/update.h"

#include <cstdio>

#include "crypto/digest.h"

namespace karta::crypto::pdf {

Update::Update(const Document& document, const ObjectCipher* cipher)
    : document_(document), cipher_(cipher), next_(document.next_number()) {}

Ref Update::add() { return {next_++, 0}; }

Ref Update::add(const Object& object) {
  const Ref ref = add();
  KARTA_CHECK(set(ref, object).has_value());
  return ref;
}

bool Update::in_object_stream(Ref ref) const {
  const Document::Entry* const entry = document_.entry(ref.number, document_.last());
  return entry != nullptr && entry->kind == Document::Entry::Kind::in_stream;
}

Status Update::encrypt_strings(Ref ref, Object& object) const {
  if (object.is(Object::Kind::string)) {
    const Bytes encrypted = TRY(cipher_->encrypt_string(ref, octets_of(object)));
    object.text = as_text(encrypted);
    object.raw = {};
  }
  for (Object& item : object.items) TRY(encrypt_strings(ref, item));
  for (DictionaryEntry& entry : object.entries) {
    // §7.6.1: the value of a signature stays in the clear.
    if (entry.key == "Contents" && object.find("ByteRange") != nullptr) continue;
    TRY(encrypt_strings(ref, entry.value));
  }
  return {};
}

Status Update::set(Ref ref, const Object& object, bool verbatim) {
  std::string body;
  if (cipher_ != nullptr && !verbatim) {
    Object copy = object;
    Bytes raw;
    TRY(encrypt_strings(ref, copy));
    if (copy.is(Object::Kind::stream)) {
      raw = TRY(cipher_->encrypt_stream(ref, copy.raw));
      copy.raw = raw;
    }
    write(body, copy);
  } else {
    write(body, object);
  }
  bodies_[ref] = std::move(body);
  objects_[ref] = object;
  if (object.is(Object::Kind::stream)) objects_[ref].raw = {};  // aliases what the caller may drop
  return {};
}

Result<Object> Update::current(Ref ref) const {
  if (const auto set_here = objects_.find(ref); set_here != objects_.end()) return set_here->second;
  const Object* const found = TRY(document_.resolve(Object::make_reference(ref), document_.last()));
  return *found;
}

Bytes Update::finish() {
  const ByteView file = document_.file();
  std::string out;
  if (!file.empty() && file.back() != '\n' && file.back() != '\r') out += '\n';
  const std::size_t base = file.size();
  for (const auto& [ref, body] : bodies_) {
    offsets_[ref] = base + out.size();
    out += to_text(ref) + " obj\n" + body + "\nendobj\n";
  }

  const Revision& last = document_.revisions().back();
  Object trailer = Object::make_dictionary({});
  for (const char* key : {"Root", "Info", "Encrypt"}) {
    if (const Object* const value = last.trailer.find(key)) trailer.set(key, *value);
  }
  if (const Object* const id = last.trailer.find("ID")) {
    // The key of an encrypted file is made with its first part, whatever shape it has.
    Object changed = *id;
    if (id->items.size() == 2) {
      // §14.4: the first part stays, the second changes with the file.
      const Bytes hash = digest(Hash::sha256, as_bytes(out));
      changed.items[1] = Object::make_string(as_text(ByteView(hash).first(16)));
    }
    trailer.set("ID", changed);
  }
  trailer.set("Prev", Object::make_integer(static_cast<std::int64_t>(document_.last_section())));

  if (!last.xref_stream) {
    const std::size_t xref = base + out.size();
    trailer.set("Size", Object::make_integer(next_));
    out += "xref\n";
    for (auto it = offsets_.begin(); it != offsets_.end();) {
      auto behind = it;
      std::uint32_t count = 0;
      while (behind != offsets_.end() && behind->first.number == it->first.number + count) {
        ++behind;
        ++count;
      }
      out += std::to_string(it->first.number) + " " + std::to_string(count) + "\n";
      for (; it != behind; ++it) {
        char line[32];
        std::snprintf(line, sizeof line, "%010zu %05u n \n", it->second, unsigned{it->first.generation});
        out += line;
      }
    }
    out += "trailer\n" + to_text(trailer) + "\nstartxref\n" + std::to_string(xref) + "\n%%EOF\n";
    return to_bytes(as_bytes(out));
  }

  const Ref self = add();
  offsets_[self] = base + out.size();
  trailer.set("Type", Object::make_name("XRef"));
  trailer.set("Size", Object::make_integer(next_));
  trailer.set("W", Object::make_array({Object::make_integer(1), Object::make_integer(8), Object::make_integer(2)}));
  Object index = Object::make_array({});
  Bytes rows;
  for (const auto& [ref, offset] : offsets_) {
    index.items.push_back(Object::make_integer(ref.number));
    index.items.push_back(Object::make_integer(1));
    rows.push_back(1);
    for (int shift = 56; shift >= 0; shift -= 8) {
      rows.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(offset) >> shift));
    }
    append_be16(rows, ref.generation);
  }
  trailer.set("Index", index);
  trailer.set("Length", Object::make_integer(0));
  trailer.kind = Object::Kind::stream;
  trailer.raw = rows;
  out += to_text(self) + " obj\n" + to_text(trailer) + "\nendobj\nstartxref\n" + std::to_string(offsets_[self]) +
         "\n%%EOF\n";
  return to_bytes(as_bytes(out));
}

}  // namespace karta::crypto::pdf
