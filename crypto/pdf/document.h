// Document: a PDF file (ISO 32000-1 §7.5) as the sequence of revisions it was saved in.
//
// The cross-reference chain is read once, from the last revision to the first: tables, streams and hybrids, linearised
// files included. Objects are parsed when they are asked for, once, and kept. Any revision can be looked at: that is
// what finding changes after a signature needs. Strict where readers disagree: a broken chain is refused, never
// repaired. The file must outlive the document. One thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "crypto/pdf/object.h"

namespace karta::crypto::pdf {

struct DocumentLimits {
  std::size_t revisions = 10'000;           ///< each is a signature or a save; hundreds are seen
  std::size_t objects = 8'388'607;          ///< ISO 32000-1 annex C
  std::size_t entries = 16'000'000;         ///< of all cross-reference sections together
  std::size_t decoded_octets = 256u << 20;  ///< of one stream: a bomb is cut off here
  std::size_t decoded_in_all = 1u << 30;    ///< of all streams together: a thousand small bombs are one
  std::size_t parts = 8'000'000;            ///< values in all objects read: each takes some 200 octets of memory
};

/// One save: the first is the document as it was made, each further one an incremental update (§7.5.6).
struct Revision {
  std::size_t begin = 0;     ///< first octet: the end of the revision before
  std::size_t xref = 0;      ///< where its cross-reference section stands
  std::size_t end = 0;       ///< behind %%EOF
  bool xref_stream = false;  ///< its own section is a stream (a hybrid's is a table)
  Object trailer = {};
};

/// What reading a document has cost so far: each octet and each object should be met once.
struct ReadingCost {
  std::size_t sections = 0;        ///< cross-reference sections
  std::size_t entries = 0;         ///< in them
  std::size_t objects = 0;         ///< indirect objects parsed, those in object streams among them
  std::size_t parts = 0;           ///< values in those objects
  std::size_t octets = 0;          ///< of the file, that parsers walked over: streams' own octets do not count
  std::size_t decoded_octets = 0;  ///< that came out of compressed streams
};

/// Decrypts the streams of one file; see encryption.h.
class StreamCipher {
 public:
  virtual ~StreamCipher() = default;
  virtual Result<Bytes> decrypt_stream(Ref ref, ByteView octets) const = 0;
};

class Document {
 public:
  struct Entry {
    std::uint32_t number = 0;
    std::uint32_t revision = 0;
    enum class Kind : std::uint8_t { free, at_offset, in_stream } kind = Kind::free;
    std::uint16_t generation = 0;
    std::uint64_t where = 0;  ///< an offset, or the number of the object stream
    std::uint32_t index = 0;  ///< within the object stream
  };

  /// Fails with malformed, limit, or unsupported (something in front of %PDF-).
  static Result<Document> open(ByteView file, const DocumentLimits& limits = {});

  /// The same document with further revisions: `file` begins with the octets of file(), and takes their place. Only
  /// what is new is read. Objects given out before stay good if the octets before are kept too. Fails as open; then the
  /// document is as it was.
  Status extend(ByteView file);

  ByteView file() const { return file_; }
  const ReadingCost& cost() const { return cost_; }
  /// Where the last cross-reference section begins, as startxref says. (A linearised file's end stands elsewhere.)
  std::size_t last_section() const { return last_section_; }
  const std::vector<Revision>& revisions() const { return revisions_; }
  std::size_t last() const { return revisions_.size() - 1; }
  const Object& trailer(std::size_t revision) const { return revisions_[revision].trailer; }
  bool encrypted() const { return revisions_.back().trailer.find("Encrypt") != nullptr; }
  /// For object streams of encrypted files.
  void set_cipher(std::shared_ptr<const StreamCipher> cipher) { cipher_ = std::move(cipher); }

  /// The highest object number in use, in any revision, and one more.
  std::uint32_t next_number() const { return next_number_; }
  /// The last revision that ends at or before `offset`; npos if there is none.
  std::size_t revision_until(std::size_t offset) const;
  /// The entry that counts for `number` as of `revision`; nullptr if there was never one.
  const Entry* entry(std::uint32_t number, std::size_t revision) const;
  /// All entries, by number, then revision.
  const std::vector<Entry>& entries() const { return entries_; }

  /// The object as of `revision`: a null object where it is missing or free (§7.3.10). The reference stays good as long
  /// as the document. Fails (malformed) where the file does not hold what the cross-reference promises.
  Result<const Object*> load(std::uint32_t number, std::size_t revision) const;
  Result<const Object*> load(const Entry& entry) const;
  /// `object` itself, or what it refers to.
  Result<const Object*> resolve(const Object& object, std::size_t revision) const;
  /// The resolved value under `key`; a null object if there is none.
  Result<const Object*> get(const Object& dictionary, std::string_view key, std::size_t revision) const;
  Result<const Object*> catalog(std::size_t revision) const;
  /// The octets of a stream with its filter undone: none, or FlateDecode with predictors. `ref` is for decryption.
  Result<Bytes> decode(const Object& stream, std::size_t revision, std::optional<Ref> ref = {}) const;

 private:
  struct Section;
  struct ObjectStream;
  Result<Section> read_section(std::size_t offset) const;
  Status read_table(Parser& parser, Section& section) const;
  Status read_xref_stream(Parser& parser, Section& section) const;
  Result<Object> read_indirect(std::size_t offset, std::optional<Ref> expected, std::optional<std::size_t> revision,
                               Ref* found = nullptr, std::size_t* end = nullptr) const;
  Status count_parts(std::size_t parts) const;
  Status count_entries(std::size_t entries) const;
  Result<std::size_t> find_end(const Section& section) const;
  Result<std::vector<Section>> read_chain(std::size_t last, std::optional<std::size_t> known) const;
  Status add_revisions(std::vector<Section> sections);
  Result<const ObjectStream*> object_stream(std::uint32_t number, std::size_t revision) const;

  ByteView file_;
  DocumentLimits limits_;
  std::vector<Revision> revisions_;
  std::vector<Entry> entries_;
  std::size_t last_section_ = 0;
  std::uint32_t next_number_ = 1;
  std::shared_ptr<const StreamCipher> cipher_;
  mutable ReadingCost cost_;
  mutable std::unordered_map<std::uint64_t, std::unique_ptr<Object>> loaded_;
  mutable std::unordered_map<std::uint64_t, std::shared_ptr<ObjectStream>> object_streams_;
};

}  // namespace karta::crypto::pdf
