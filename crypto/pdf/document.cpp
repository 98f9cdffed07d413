#include "crypto/pdf/document.h"

#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <set>

namespace karta::crypto::pdf {
namespace {

const Object kNull;

tl::unexpected<Error> bad(std::size_t offset, const std::string& what) {
  return fail(ErrorKind::malformed, what + " at offset " + std::to_string(offset));
}

Result<Bytes> inflate_all(ByteView input, std::size_t most) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return fail(ErrorKind::internal, "zlib does not start");
  Bytes out;
  int code = Z_OK;
  std::size_t in = 0;
  Bytes buffer(65'536);
  while (code == Z_OK) {
    if (stream.avail_in == 0 && in < input.size()) {
      const std::size_t piece = std::min<std::size_t>(input.size() - in, 1u << 30);
      stream.next_in = const_cast<Bytef*>(input.data() + in);
      stream.avail_in = static_cast<uInt>(piece);
      in += piece;
    }
    stream.next_out = buffer.data();
    stream.avail_out = static_cast<uInt>(buffer.size());
    code = inflate(&stream, Z_NO_FLUSH);
    out.insert(out.end(), buffer.begin(), buffer.begin() + (buffer.size() - stream.avail_out));
    if (out.size() > most) {
      inflateEnd(&stream);
      return fail(ErrorKind::limit, "a stream that unpacks to more than " + std::to_string(most) + " octets");
    }
  }
  inflateEnd(&stream);
  if (code != Z_STREAM_END) return fail(ErrorKind::malformed, "a compressed stream is broken");
  return out;
}

// PNG filters of RFC 2083 §6, as §7.4.4.4 uses them: every row begins with the number of its filter.
Result<Bytes> undo_predictor(const Bytes& input, std::size_t columns, std::size_t colors, std::size_t bits) {
  const std::size_t pixel = std::max<std::size_t>(1, colors * bits / 8);
  const std::size_t row = (columns * colors * bits + 7) / 8;
  if (row == 0 || row > input.size() + 1) return fail(ErrorKind::malformed, "a predictor of impossible width");
  Bytes out;
  out.reserve(input.size());
  Bytes above(row), line(row);
  for (std::size_t at = 0; at < input.size(); at += row + 1) {
    const std::uint8_t filter = input[at];
    const std::size_t octets = std::min(row, input.size() - at - 1);
    std::fill(line.begin(), line.end(), 0);
    for (std::size_t i = 0; i < octets; ++i) {
      const int left = i >= pixel ? line[i - pixel] : 0;
      const int up = above[i];
      const int corner = i >= pixel ? above[i - pixel] : 0;
      int add = 0;
      switch (filter) {
        case 0:
          break;
        case 1:
          add = left;
          break;
        case 2:
          add = up;
          break;
        case 3:
          add = (left + up) / 2;
          break;
        case 4: {
          const int p = left + up - corner;
          const int pa = std::abs(p - left), pb = std::abs(p - up), pc = std::abs(p - corner);
          add = pa <= pb && pa <= pc ? left : pb <= pc ? up : corner;
          break;
        }
        default:
          return fail(ErrorKind::malformed, "a row with an unknown predictor");
      }
      line[i] = static_cast<std::uint8_t>(input[at + 1 + i] + add);
    }
    out.insert(out.end(), line.begin(), line.begin() + static_cast<std::ptrdiff_t>(octets));
    above = line;
  }
  return out;
}

std::size_t integer_or(const Object* object, std::size_t otherwise) {
  return object != nullptr && object->is(Object::Kind::integer) && object->integer >= 0
             ? static_cast<std::size_t>(object->integer)
             : otherwise;
}

}  // namespace

/// One cross-reference section, before sections become revisions.
struct Document::Section {
  std::size_t offset = 0;
  std::size_t behind = 0;  // behind its trailer dictionary or stream object
  bool stream = false;
  Object trailer;
  std::vector<Entry> entries;
};

struct Document::ObjectStream {
  Bytes octets;
  std::vector<std::pair<std::uint32_t, std::size_t>> places;  // number, offset in octets
};

// §7.5.4: "xref", subsections of "first count" and lines of twenty octets, "trailer", a dictionary.
Status Document::read_table(Parser& parser, Section& section) const {
  while (!parser.keyword("trailer")) {
    const std::int64_t first = TRY(parser.integer());
    const std::int64_t count = TRY(parser.integer());
    if (first < 0 || count < 0 || static_cast<std::size_t>(first) + static_cast<std::size_t>(count) > limits_.objects) {
      return bad(parser.at(), "a cross-reference subsection beyond the limit");
    }
    TRY(count_entries(static_cast<std::size_t>(count)));
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t where = TRY(parser.integer());
      const std::int64_t generation = TRY(parser.integer());
      Entry entry;
      entry.number = static_cast<std::uint32_t>(first + i);
      if (where < 0 || generation < 0 || generation > 65535) return bad(parser.at(), "a cross-reference entry is off");
      entry.where = static_cast<std::uint64_t>(where);
      entry.generation = static_cast<std::uint16_t>(generation);
      if (parser.keyword("n")) {
        entry.kind = Entry::Kind::at_offset;
      } else if (!parser.keyword("f")) {
        return bad(parser.at(), "a cross-reference entry is neither n nor f");
      }
      section.entries.push_back(entry);
    }
  }
  section.trailer = TRY(parser.object());
  if (!section.trailer.is(Object::Kind::dictionary)) return bad(parser.at(), "the trailer is no dictionary");
  section.behind = parser.at();
  return {};
}

// §7.5.8: W gives the widths of three fields, Index the subsections.
Status Document::read_xref_stream(Parser& parser, Section& section) const {
  std::size_t end = 0;
  section.trailer = TRY(read_indirect(parser.at(), std::nullopt, std::nullopt, nullptr, &end));
  if (!section.trailer.is(Object::Kind::stream) || section.trailer.find("Type") == nullptr ||
      !section.trailer.find("Type")->is_name("XRef")) {
    return bad(section.offset, "neither a cross-reference table nor a cross-reference stream");
  }
  section.stream = true;
  section.behind = end;
  const Bytes data = TRY(decode(section.trailer, 0));
  const Object* const widths = section.trailer.find("W");
  if (widths == nullptr || !widths->is(Object::Kind::array) || widths->items.size() != 3) {
    return bad(section.offset, "a cross-reference stream without widths");
  }
  std::size_t w[3];
  for (std::size_t i = 0; i < 3; ++i) {
    w[i] = integer_or(&widths->items[i], 99);
    if (w[i] > 8) return bad(section.offset, "a cross-reference stream with a field too wide");
  }
  const std::size_t row = w[0] + w[1] + w[2];
  if (row == 0) return bad(section.offset, "a cross-reference stream of no width");
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  if (const Object* const index = section.trailer.find("Index")) {
    if (!index->is(Object::Kind::array) || index->items.size() % 2 != 0) {
      return bad(section.offset, "a cross-reference stream with a broken Index");
    }
    for (std::size_t i = 0; i < index->items.size(); i += 2) {
      ranges.emplace_back(integer_or(&index->items[i], limits_.objects + 1),
                          integer_or(&index->items[i + 1], limits_.objects + 1));
    }
  } else {
    ranges.emplace_back(0, integer_or(section.trailer.find("Size"), 0));
  }
  std::size_t at = 0;
  const auto field = [&](std::size_t width, std::uint64_t otherwise) {
    if (width == 0) return otherwise;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width; ++i) value = value << 8 | data[at++];
    return value;
  };
  for (const auto& [first, count] : ranges) {
    if (first > limits_.objects || count > limits_.objects || first + count > limits_.objects) {
      return bad(section.offset, "a cross-reference stream beyond the limit of objects");
    }
    TRY(count_entries(count));
    for (std::size_t i = 0; i < count; ++i) {
      if (data.size() - at < row) return bad(section.offset, "a cross-reference stream that is too short");
      Entry entry;
      entry.number = static_cast<std::uint32_t>(first + i);
      const std::uint64_t type = field(w[0], 1);
      entry.where = field(w[1], 0);
      const std::uint64_t third = field(w[2], 0);
      if (type == 1 && third <= 65535) {
        entry.kind = Entry::Kind::at_offset;
        entry.generation = static_cast<std::uint16_t>(third);
      } else if (type == 2 && third <= limits_.objects && entry.where <= limits_.objects) {
        entry.kind = Entry::Kind::in_stream;
        entry.index = static_cast<std::uint32_t>(third);
      } else if (type != 0) {
        continue;  // §7.5.8.3: other types count as null
      }
      section.entries.push_back(entry);
    }
  }
  return {};
}

Result<Document::Section> Document::read_section(std::size_t offset) const {
  if (offset >= file_.size()) return bad(offset, "a cross-reference section beyond the file");
  ++cost_.sections;
  Section section;
  Parser parser(file_, offset);
  parser.skip_blanks();
  section.offset = parser.at();
  if (parser.keyword("xref")) {
    TRY(read_table(parser, section));
    cost_.octets += section.behind - section.offset;
  } else {
    TRY(read_xref_stream(parser, section));
  }
  // Hybrid (§7.5.8.4): what the table hides as free stands in the stream.
  if (const Object* const hybrid = section.trailer.find("XRefStm"); hybrid != nullptr && !section.stream) {
    Section hidden;
    hidden.offset = integer_or(hybrid, file_.size());
    if (hidden.offset >= file_.size()) return bad(offset, "a hybrid cross-reference beyond the file");
    Parser inner(file_, hidden.offset);
    TRY(read_xref_stream(inner, hidden));
    std::erase_if(section.entries, [&](const Entry& entry) { return entry.kind == Entry::Kind::free; });
    std::set<std::uint32_t> known;
    for (const Entry& entry : section.entries) known.insert(entry.number);
    for (const Entry& entry : hidden.entries) {
      if (known.insert(entry.number).second) section.entries.push_back(entry);
    }
  }
  std::stable_sort(section.entries.begin(), section.entries.end(),
                   [](const Entry& a, const Entry& b) { return a.number < b.number; });
  const auto twice = std::adjacent_find(section.entries.begin(), section.entries.end(),
                                        [](const Entry& a, const Entry& b) { return a.number == b.number; });
  if (twice != section.entries.end()) {
    return bad(offset, "object " + std::to_string(twice->number) + " stands twice in one cross-reference section");
  }
  return section;
}

// "startxref", the offset, "%%EOF"
Result<std::size_t> Document::find_end(const Section& section) const {
  Parser parser(file_, section.behind);
  if (!parser.keyword("startxref")) return bad(parser.at(), "startxref is missing behind the cross-reference");
  (void)TRY(parser.integer());
  std::size_t at = parser.at();
  while (at < file_.size() && is_blank(file_[at])) ++at;
  if (!as_text(file_.subspan(at)).starts_with("%%EOF")) return bad(at, "%%EOF is missing behind startxref");
  return at + 5;
}

// The offset behind the last "startxref" (§7.5.5).
static Result<std::size_t> start_of_chain(ByteView file, std::size_t from) {
  const std::size_t keyword = as_text(file.subspan(from)).rfind("startxref");
  if (keyword == std::string_view::npos) return bad(file.size(), "no startxref: the file was cut");
  Parser parser(file, from + keyword);
  (void)parser.keyword("startxref");
  const std::int64_t offset = TRY(parser.integer());
  return static_cast<std::size_t>(std::max<std::int64_t>(0, offset));
}

/// Sections from the last one back to the first, or to `known`, which is not read again. First to last.
Result<std::vector<Document::Section>> Document::read_chain(std::size_t last, std::optional<std::size_t> known) const {
  std::vector<Section> out;
  std::set<std::size_t> seen;
  for (std::size_t next = last; next != known;) {
    if (!seen.insert(next).second) return bad(next, "the cross-reference chain runs in a circle");
    if (revisions_.size() + out.size() == limits_.revisions) return fail(ErrorKind::limit, "too many revisions");
    out.push_back(TRY(read_section(next)));
    const Object* const previous = out.back().trailer.find("Prev");
    if (previous == nullptr) {
      if (known) return bad(next, "the cross-reference chain does not lead back");
      break;
    }
    if (!previous->is(Object::Kind::integer) || previous->integer <= 0) {
      return bad(next, "Prev is no position in the file");
    }
    next = static_cast<std::size_t>(previous->integer);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

Status Document::add_revisions(std::vector<Section> sections) {
  std::size_t begin = revisions_.empty() ? 0 : revisions_.back().end;
  const bool whole = revisions_.empty();
  std::vector<Revision> revisions;
  std::vector<Entry> added;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    Revision revision;
    std::vector<Entry> entries = std::move(sections[i].entries);
    const std::size_t ends = i;
    if (whole && i == 0 && sections.size() > 1 && sections[1].offset < sections[0].offset) {
      // Linearised (annex F): the section of the first page stands in front and is read first.
      std::set<std::uint32_t> known;
      std::vector<Entry> front = std::move(sections[1].entries);
      for (const Entry& entry : front) known.insert(entry.number);
      for (const Entry& entry : entries) {
        if (known.insert(entry.number).second) front.push_back(entry);
      }
      entries = std::move(front);
      revision.trailer = std::move(sections[1].trailer);
      revision.xref_stream = sections[1].stream;
      revision.xref = sections[0].offset;
      ++i;
    } else {
      revision.trailer = std::move(sections[i].trailer);
      revision.xref_stream = sections[i].stream;
      revision.xref = sections[i].offset;
    }
    if (revision.xref < begin) return bad(revision.xref, "the cross-reference chain runs forward");
    revision.begin = begin;
    revision.end = TRY(find_end(sections[ends]));
    begin = revision.end;
    for (Entry& entry : entries) {
      // What a later save puts there would change this one without a word.
      if (entry.kind == Entry::Kind::at_offset && entry.where >= revision.end) {
        return bad(revision.xref,
                   "object " + std::to_string(entry.number) + " is promised behind the end of its revision");
      }
      entry.revision = static_cast<std::uint32_t>(revisions_.size() + revisions.size());
      added.push_back(entry);
    }
    revisions.push_back(std::move(revision));
  }
  for (std::size_t at = begin; at < file_.size(); ++at) {
    if (!is_blank(file_[at])) return bad(at, "something follows the end of the document");
  }
  // From here on nothing fails.
  const auto by_number = [](const Entry& a, const Entry& b) {
    return a.number != b.number ? a.number < b.number : a.revision < b.revision;
  };
  std::stable_sort(added.begin(), added.end(), by_number);
  const auto middle = static_cast<std::ptrdiff_t>(entries_.size());
  entries_.insert(entries_.end(), added.begin(), added.end());
  std::inplace_merge(entries_.begin(), entries_.begin() + middle, entries_.end(), by_number);
  for (Revision& one : revisions) {
    next_number_ = std::max<std::uint32_t>(
        next_number_, static_cast<std::uint32_t>(std::min(integer_or(one.trailer.find("Size"), 0), limits_.objects)));
    revisions_.push_back(std::move(one));
  }
  if (!entries_.empty()) next_number_ = std::max(next_number_, entries_.back().number + 1);
  return {};
}

Result<Document> Document::open(ByteView file, const DocumentLimits& limits) {
  Document out;
  out.file_ = file;
  out.limits_ = limits;
  if (!as_text(file).starts_with("%PDF-")) {
    return fail(ErrorKind::unsupported, "the file does not begin with %PDF-",
                "octets in front of it move every position in the file");
  }
  out.last_section_ = TRY(start_of_chain(file, 0));
  auto sections = TRY(out.read_chain(out.last_section_, std::nullopt));
  TRY(out.add_revisions(std::move(sections)));
  return out;
}

Status Document::extend(ByteView file) {
  KARTA_CHECK(file.size() >= file_.size());
  const ByteView before = std::exchange(file_, file);
  const auto read = [&]() -> Result<std::size_t> {
    const std::size_t start = TRY(start_of_chain(file, revisions_.back().end));
    auto sections = TRY(read_chain(start, last_section_));
    TRY(add_revisions(std::move(sections)));
    return start;
  };
  const auto start = read();
  if (!start) {
    file_ = before;
    return fail(start.error());
  }
  last_section_ = *start;
  return {};
}

std::size_t Document::revision_until(std::size_t offset) const {
  const auto after = std::partition_point(revisions_.begin(), revisions_.end(),
                                          [&](const Revision& one) { return one.end <= offset; });
  return static_cast<std::size_t>(after - revisions_.begin()) - 1;
}

const Document::Entry* Document::entry(std::uint32_t number, std::size_t revision) const {
  const auto after =
      std::upper_bound(entries_.begin(), entries_.end(), std::pair(number, revision),
                       [](const std::pair<std::uint32_t, std::size_t>& wanted, const Entry& one) {
                         return wanted.first != one.number ? wanted.first < one.number : wanted.second < one.revision;
                       });
  if (after == entries_.begin() || std::prev(after)->number != number) return nullptr;
  return &*std::prev(after);
}

Status Document::count_entries(std::size_t entries) const {
  cost_.entries += entries;
  if (cost_.entries <= limits_.entries) return {};
  return fail(ErrorKind::limit, "cross-references of more than " + std::to_string(limits_.entries) + " entries");
}

Status Document::count_parts(std::size_t parts) const {
  cost_.parts += parts;
  if (cost_.parts <= limits_.parts) return {};
  return fail(ErrorKind::limit, "a document of more than " + std::to_string(limits_.parts) + " values");
}

// §7.3.10: "12 0 obj", an object, perhaps a stream, "endobj".
Result<Object> Document::read_indirect(std::size_t offset, std::optional<Ref> expected,
                                       std::optional<std::size_t> revision, Ref* found, std::size_t* end) const {
  if (offset >= file_.size()) return bad(offset, "an object beyond the file");
  Parser parser(file_, offset);
  const std::int64_t number = TRY(parser.integer());
  const std::int64_t generation = TRY(parser.integer());
  if (!parser.keyword("obj")) return bad(offset, "no object");
  if (number < 0 || number > 0xFFFFFFFF || generation < 0 || generation > 65535) return bad(offset, "no object");
  const Ref ref{static_cast<std::uint32_t>(number), static_cast<std::uint16_t>(generation)};
  if (expected && ref != *expected) {
    return bad(offset, "object " + to_text(*expected) + " was promised, but there is object " + to_text(ref));
  }
  if (found != nullptr) *found = ref;
  Object out = TRY(parser.object());
  const std::size_t parts = parser.items();
  if (out.is(Object::Kind::dictionary) && parser.stream_follows()) {
    out.kind = Object::Kind::stream;
    const Object* length = out.find("Length");
    if (length == nullptr) return bad(offset, "a stream without a length");
    if (length->is(Object::Kind::reference)) {
      if (!revision) return bad(offset, "a cross-reference stream whose length stands elsewhere");
      length = TRY(load(length->ref.number, *revision));
    }
    if (!length->is(Object::Kind::integer) || length->integer < 0 ||
        static_cast<std::size_t>(length->integer) > file_.size() - parser.at()) {
      return bad(offset, "a stream of impossible length");
    }
    out.raw = file_.subspan(parser.at(), static_cast<std::size_t>(length->integer));
    Parser behind(file_, parser.at() + out.raw.size());
    if (!behind.keyword("endstream")) return bad(behind.at(), "endstream is missing: the stream's length is wrong");
    out.end = behind.at();
    parser = behind;
  }
  if (!parser.keyword("endobj")) return bad(parser.at(), "endobj is missing");
  TRY(count_parts(parts));
  ++cost_.objects;
  cost_.octets += parser.at() - offset - out.raw.size();
  if (end != nullptr) *end = parser.at();
  return out;
}

Result<const Document::ObjectStream*> Document::object_stream(std::uint32_t number, std::size_t revision) const {
  const Entry* const found = entry(number, revision);
  if (found == nullptr || found->kind != Entry::Kind::at_offset) {
    return fail(ErrorKind::malformed, "object stream " + std::to_string(number) + " is missing");
  }
  auto& slot = object_streams_[found->where];
  if (slot == nullptr) {
    const Ref ref{number, found->generation};
    const Object stream = TRY(read_indirect(found->where, ref, revision));
    if (!stream.is(Object::Kind::stream) || stream.find("Type") == nullptr || !stream.find("Type")->is_name("ObjStm")) {
      return bad(found->where, "no object stream");
    }
    auto out = std::make_shared<ObjectStream>();
    out->octets = TRY(decode(stream, revision, ref));
    const std::size_t first = integer_or(stream.find("First"), out->octets.size() + 1);
    const std::size_t count = integer_or(stream.find("N"), limits_.objects + 1);
    if (first > out->octets.size() || count > limits_.objects) return bad(found->where, "an object stream is off");
    Parser parser(ByteView(out->octets).first(first));
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t inner = TRY(parser.integer());
      const std::int64_t at = TRY(parser.integer());
      if (inner < 0 || at < 0 || static_cast<std::size_t>(at) > out->octets.size() - first) {
        return bad(found->where, "an object stream is off");
      }
      out->places.emplace_back(static_cast<std::uint32_t>(inner), first + static_cast<std::size_t>(at));
    }
    slot = std::move(out);
  }
  return slot.get();
}

Result<const Object*> Document::load(const Entry& entry) const {
  if (entry.kind == Entry::Kind::free) return &kNull;
  const std::uint64_t key = std::uint64_t{entry.revision} << 32 | entry.number;
  if (const auto known = loaded_.find(key); known != loaded_.end()) {
    if (known->second == nullptr) return fail(ErrorKind::malformed, "objects that need each other to be read");
    return known->second.get();
  }
  if (entry.kind == Entry::Kind::at_offset) {
    loaded_[key] = nullptr;  // a stream whose length is that stream
    std::size_t end = 0;
    auto object = read_indirect(entry.where, Ref{entry.number, entry.generation}, entry.revision, nullptr, &end);
    if (object && end > revisions_[entry.revision].end) {
      object = bad(entry.where, "object " + std::to_string(entry.number) + " reaches beyond the end of its revision");
    }
    if (!object) {
      loaded_.erase(key);
      return fail(object.error());
    }
    auto& slot = loaded_[key];
    slot = std::make_unique<Object>(std::move(*object));
    return slot.get();
  }
  const ObjectStream* const stream = TRY(object_stream(static_cast<std::uint32_t>(entry.where), entry.revision));
  if (entry.index >= stream->places.size() || stream->places[entry.index].first != entry.number) {
    return fail(ErrorKind::malformed, "object " + std::to_string(entry.number) + " is not where its object stream " +
                                          std::to_string(entry.where) + " should hold it");
  }
  Parser parser(stream->octets, stream->places[entry.index].second);
  Object object = TRY(parser.object());
  TRY(count_parts(parser.items()));
  ++cost_.objects;
  object.offset = object.end = 0;
  auto& slot = loaded_[key];
  slot = std::make_unique<Object>(std::move(object));
  return slot.get();
}

Result<const Object*> Document::load(std::uint32_t number, std::size_t revision) const {
  const Entry* const found = entry(number, revision);
  if (found == nullptr) return &kNull;
  return load(*found);
}

Result<const Object*> Document::resolve(const Object& object, std::size_t revision) const {
  const Object* at = &object;
  // A reference to a reference is no PDF; a few are followed, a circle is not.
  for (int i = 0; i < 4 && at->is(Object::Kind::reference); ++i) {
    const Entry* const found = entry(at->ref.number, revision);
    // §7.3.10: a reference of another generation is a reference to nothing.
    if (found == nullptr || (found->kind == Entry::Kind::at_offset && found->generation != at->ref.generation)) {
      return &kNull;
    }
    at = TRY(load(*found));
  }
  return at->is(Object::Kind::reference) ? &kNull : at;
}

Result<const Object*> Document::get(const Object& dictionary, std::string_view key, std::size_t revision) const {
  const Object* const found = dictionary.find(key);
  if (found == nullptr) return &kNull;
  return resolve(*found, revision);
}

Result<const Object*> Document::catalog(std::size_t revision) const {
  const Object* const root = TRY(get(trailer(revision), "Root", revision));
  if (!root->is(Object::Kind::dictionary)) return fail(ErrorKind::malformed, "the document has no catalog");
  return root;
}

Result<Bytes> Document::decode(const Object& stream, std::size_t revision, std::optional<Ref> ref) const {
  Bytes octets = to_bytes(stream.raw);
  if (cipher_ != nullptr && ref) octets = TRY(cipher_->decrypt_stream(*ref, octets));
  const Object* filter = TRY(get(stream, "Filter", revision));
  const Object* parameters = TRY(get(stream, "DecodeParms", revision));
  if (filter->is(Object::Kind::array) && filter->items.size() == 1) {
    filter = TRY(resolve(filter->items[0], revision));
    if (parameters->is(Object::Kind::array) && parameters->items.size() == 1) {
      parameters = TRY(resolve(parameters->items[0], revision));
    }
  }
  if (filter->is(Object::Kind::null)) return octets;
  if (!filter->is_name("FlateDecode")) return fail(ErrorKind::unsupported, "a stream filter other than FlateDecode");
  const std::size_t left = limits_.decoded_in_all - std::min(limits_.decoded_in_all, cost_.decoded_octets);
  octets = TRY(inflate_all(octets, std::min(limits_.decoded_octets, left)));
  cost_.decoded_octets += octets.size();
  if (parameters->is(Object::Kind::null)) return octets;
  const std::size_t predictor = integer_or(parameters->find("Predictor"), 1);
  if (predictor == 1) return octets;
  if (predictor < 10 || predictor > 15) return fail(ErrorKind::unsupported, "a TIFF predictor");
  const std::size_t columns = integer_or(parameters->find("Columns"), 1);
  const std::size_t colors = integer_or(parameters->find("Colors"), 1);
  const std::size_t bits = integer_or(parameters->find("BitsPerComponent"), 8);
  if (columns > 1u << 24 || colors > 64 || bits > 32) return fail(ErrorKind::limit, "a predictor of impossible width");
  return undo_predictor(octets, columns, colors, bits);
}

}  // namespace karta::crypto::pdf
