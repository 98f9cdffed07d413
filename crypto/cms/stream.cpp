#include "crypto/cms/stream.h"

#include <algorithm>
#include <limits>

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/cms/attributes.h"
#include "crypto/cms/ber.h"
#include "crypto/cms/timestamp.h"

namespace karta::crypto {
namespace {

constexpr Tag kConstructedOctetString = 0x24;
constexpr std::size_t kBuffer = 256 * 1024;

tl::unexpected<Error> bad(std::uint64_t offset, const std::string& what, ErrorKind kind = ErrorKind::malformed) {
  return fail(kind, what + " at offset " + std::to_string(offset));
}

/// A window that moves over a source: looks some octets ahead, never back.
class Window {
 public:
  explicit Window(ContentSource& source) : source_(&source), buffer_(kBuffer) {}

  std::uint64_t offset() const { return offset_; }
  /// At least `count` octets (at most kBuffer) where the source has them, all that is left otherwise; not consumed.
  Result<ByteView> peek(std::size_t count) {
    if (end_ - begin_ < count) {
      std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
                buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
      end_ -= begin_;
      begin_ = 0;
      while (end_ < count) {
        const std::size_t got = TRY(source_->read(MutableByteView(buffer_).subspan(end_)));
        if (got == 0) break;
        end_ += got;
      }
    }
    return ByteView(buffer_).subspan(begin_, end_ - begin_);
  }
  /// Octets that peek() showed.
  void skip(std::size_t count) {
    begin_ += count;
    offset_ += count;
  }
  /// Some octets; 0 is the end of the source. Large reads do not pass through the window.
  Result<std::size_t> read(MutableByteView out) {
    std::size_t count = std::min(out.size(), end_ - begin_);
    if (count != 0) {
      std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_), count, out.begin());
      skip(count);
      return count;
    }
    count = TRY(source_->read(out));
    offset_ += count;
    return count;
  }
  bool rewind() {
    begin_ = end_ = 0;
    offset_ = 0;
    return source_->rewind();
  }

 private:
  ContentSource* source_;
  Bytes buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::uint64_t offset_ = 0;
};

/// A constructed value that was entered and has to end where it said.
struct Frame {
  std::uint64_t offset = 0;                                       // of its tag
  std::uint64_t end = std::numeric_limits<std::uint64_t>::max();  // of its content; unknown if indefinite
  bool indefinite = false;
};

/// Walks a signature file from front to back, giving out the content on its way.
class Walker {
 public:
  Walker(ContentSource& file, const CmsLimits& limits) : window_(file), limits_(limits) {}

  /// ContentInfo to the first octet of the content (or to the end of encapContentInfo, where there is none).
  Status open(SignedData& data, Bytes& before) {
    TRY(enter(der::kSequence));
    const std::string type = TRY(oid());
    if (type != cms::kSignedDataOid) {
      return bad(window_.offset(), "this is CMS, but no signature (content type " + type + ")", ErrorKind::unsupported);
    }
    TRY(enter(der::context(0)));
    TRY(enter(der::kSequence));
    const ByteView ahead = TRY(within(TRY(window_.peek(SignedDataStream::kMostBefore))));
    BerReader reader(ahead, offset(), limits_.depth);
    (void)TRY(reader.next());
    (void)TRY(reader.next());
    before = to_bytes(ahead.first(reader.offset() - offset()));
    TRY(data.parse_before_content(before, offset(), limits_));
    window_.skip(before.size());

    data.content_offset = offset();
    TRY(enter(der::kSequence));
    data.content_type = TRY(oid());
    const bool ended = TRY(at_end());
    if (!ended) {
      TRY(enter(der::context(0)));
      depth_of_content_ = frames_.size();
      TRY(next_piece_or_level());
      data.has_content = true;
      inside_ = true;
    } else {
      TRY(leave());
    }
    data.was_der = data.was_der && !liberal_;
    return {};
  }

  /// Octets of the content; 0 is its end.
  Result<std::size_t> read(MutableByteView out) {
    while (inside_ && piece_ == 0) {
      if (frames_.size() == depth_of_content_) {
        // The OCTET STRING is over: so are [0] and encapContentInfo.
        inside_ = false;
        TRY(leave());
        TRY(leave());
        break;
      }
      const bool ended = TRY(at_end());
      if (ended) {
        TRY(leave());
      } else {
        TRY(next_piece_or_level());
      }
    }
    if (!inside_) return std::size_t{0};
    const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(piece_, out.size()));
    const std::size_t count = TRY(window_.read(out.first(most)));
    if (count == 0) return bad(offset(), "the file ends in the middle of the content");
    piece_ -= count;
    return count;
  }

  /// What follows the content, up to the end of SignedData; nothing may follow ContentInfo.
  Status close(SignedData& data, Bytes& after) {
    const std::uint64_t begin = offset();
    for (;;) {
      const ByteView rest = TRY(window_.peek(1));
      if (rest.empty()) break;
      append(after, rest);
      window_.skip(rest.size());
      if (after.size() > SignedDataStream::kMostAfter) {
        return bad(begin, "more than 16 MiB follow the content", ErrorKind::limit);
      }
    }
    // From the outside in: each value that was entered ends here.
    std::uint64_t end = begin + after.size();
    for (const Frame& frame : frames_) {
      if (!frame.indefinite) {
        if (frame.end == end) continue;
        return frame.end < end
                   ? bad(frame.end, std::to_string(end - frame.end) + " octets too many")
                   : bad(frame.offset, "a value of which " + std::to_string(frame.end - end) + " octets are missing");
      }
      const std::size_t left = static_cast<std::size_t>(end - begin);
      if (left < 2 || after[left - 1] != 0 || after[left - 2] != 0) {
        return bad(frame.offset, "an indefinite value does not end");
      }
      end -= 2;
    }
    frames_.clear();
    after.resize(static_cast<std::size_t>(end - begin));
    data.was_der = data.was_der && !liberal_;
    return data.parse_after_content(after, static_cast<std::size_t>(begin), limits_);
  }

  bool rewind() {
    frames_.clear();
    piece_ = 0;
    inside_ = liberal_ = false;
    return window_.rewind();
  }

 private:
  std::uint64_t offset() const { return window_.offset(); }

  /// Of `ahead`, what belongs to the value entered last.
  Result<ByteView> within(ByteView ahead) const {
    const std::uint64_t left = frames_.back().end - offset();
    return ahead.first(static_cast<std::size_t>(std::min<std::uint64_t>(ahead.size(), left)));
  }

  Result<BerHeader> header() {
    const ByteView ahead = TRY(window_.peek(kMostBerHeader));
    const BerHeader found = TRY(read_ber_header(ahead, offset()));
    liberal_ = liberal_ || found.liberal;
    return found;
  }

  /// Past the tag and length of `found`, into a value that must end within the one around it.
  Status step_into(const BerHeader& found) {
    if (frames_.size() == limits_.depth) return bad(offset(), "values nested too deep", ErrorKind::limit);
    Frame frame{.offset = offset(), .indefinite = found.indefinite};
    const std::uint64_t begin = offset() + found.octets;
    const std::uint64_t around = frames_.empty() ? std::numeric_limits<std::uint64_t>::max() : frames_.back().end;
    if (begin > around) return bad(offset(), "a value reaches beyond the one around it");
    if (!found.indefinite) {
      if (found.length > around - begin) return bad(offset(), "a value reaches beyond the one around it");
      frame.end = begin + found.length;
    } else {
      frame.end = around;
    }
    window_.skip(found.octets);
    frames_.push_back(frame);
    return {};
  }

  Status enter(Tag tag) {
    const BerHeader found = TRY(header());
    if (found.tag != tag) {
      const auto hex = [](Tag t) {
        const std::uint8_t octet = static_cast<std::uint8_t>(t);
        return to_hex_upper(ByteView(&octet, 1));
      };
      return bad(offset(), "tag " + hex(tag) + " expected, found " + hex(found.tag));
    }
    return step_into(found);
  }

  Result<bool> at_end() {
    const Frame& frame = frames_.back();
    if (!frame.indefinite) return offset() == frame.end;
    const ByteView ahead = TRY(window_.peek(2));
    return ahead.size() >= 2 && ahead[0] == 0 && ahead[1] == 0;
  }

  Status leave() {
    const bool ended = TRY(at_end());
    if (!ended) return bad(offset(), "a value goes on where it should end");
    if (frames_.back().indefinite) window_.skip(2);
    frames_.pop_back();
    return {};
  }

  Result<std::string> oid() {
    constexpr std::size_t kMostOid = 64;
    const ByteView ahead = TRY(within(TRY(window_.peek(kMostOid))));
    BerReader reader(ahead, static_cast<std::size_t>(offset()), 1);
    const BerValue value = TRY(reader.expect(der::kOid));
    liberal_ = liberal_ || value.liberal;
    const Bytes in_der = make_tlv(der::kOid, value.content);
    const auto content = der::Reader(in_der).oid();
    if (!content) return bad(offset(), content.error().message);
    window_.skip(value.whole.size());
    return der::oid_to_text(*content);
  }

  /// At an OCTET STRING: to its octets if it is primitive, one level down if it is in pieces (X.690 §8.7).
  Status next_piece_or_level() {
    const BerHeader found = TRY(header());
    if (found.tag == kConstructedOctetString) {
      liberal_ = true;
      return step_into(found);
    }
    if (found.tag != der::kOctetString) return bad(offset(), "OCTET STRING expected");
    const std::uint64_t begin = offset() + found.octets;
    const std::uint64_t around = frames_.back().end;
    if (begin > around || found.length > around - begin) {
      return bad(offset(), "a value reaches beyond the one around it");
    }
    window_.skip(found.octets);
    piece_ = found.length;
    return {};
  }

  Window window_;
  const CmsLimits limits_;
  std::vector<Frame> frames_;
  std::size_t depth_of_content_ = 0;  // frames around the OCTET STRING of the content
  std::uint64_t piece_ = 0;           // octets left of the present piece
  bool inside_ = false;
  bool liberal_ = false;
};

/// The content of a walker, as a source.
class WalkedContent final : public ContentSource {
 public:
  WalkedContent(Walker& walker, Bytes& head, std::size_t most) : walker_(walker), head_(head), most_(most) {}
  Result<std::size_t> read(MutableByteView buffer) override {
    const std::size_t count = TRY(walker_.read(buffer));
    if (head_.size() < most_) append(head_, ByteView(buffer).first(std::min(count, most_ - head_.size())));
    return count;
  }

 private:
  Walker& walker_;
  Bytes& head_;
  std::size_t most_;
};

std::vector<Hash> announced(const SignedData& data) {
  std::vector<Hash> out;
  for (const FoundAlgorithm& one : data.digest_algorithms) {
    if (const auto hash = hash_of(one.oid, one.parameters)) out.push_back(*hash);
  }
  return out;
}

/// Hashes of archive time-stamps that `digests` lack.
std::vector<Hash> still_wanted(const SignedData& data, const ContentDigests& digests) {
  std::vector<Hash> out;
  for (const CmsSigner& signer : data.signers) {
    if (!signer.unsigned_attributes) continue;
    for (const CmsAttribute* const attribute : signer.unsigned_attributes->find(cms::kArchiveTimestampV3Oid)) {
      for (const Bytes& value : attribute->values) {
        const auto token = TimeStampToken::from_der(value);
        if (token && digests.find(token->info().imprint.hash) == nullptr) out.push_back(token->info().imprint.hash);
      }
    }
  }
  return out;
}

Bytes length_field(std::uint64_t length) {
  if (length < 0x80) return {static_cast<std::uint8_t>(length)};
  Bytes out;
  for (int shift = 56; shift >= 0; shift -= 8) {
    const auto octet = static_cast<std::uint8_t>(length >> shift);
    if (octet != 0 || !out.empty()) out.push_back(octet);
  }
  out.insert(out.begin(), static_cast<std::uint8_t>(0x80 | out.size()));
  return out;
}

}  // namespace

Result<SignedDataStream> SignedDataStream::read(ContentSource& file, const CmsLimits& limits) {
  SignedDataStream out;
  out.data_ = std::make_unique<SignedData>();
  SignedData& data = *out.data_;
  Walker walker(file, limits);
  TRY(walker.open(data, out.before_));
  if (data.has_content) {
    data.passed.emplace();
    WalkedContent content(walker, data.passed->head, limits.attributes_octets + 1);
    data.passed->digests = TRY(ContentDigests::of(content, announced(data)));
  }
  TRY(walker.close(data, out.after_));
  if (!data.passed) return out;
  const std::vector<Hash> more = still_wanted(data, data.passed->digests);
  if (more.empty() || !walker.rewind()) return out;
  SignedData again;
  Bytes before, head;
  TRY(walker.open(again, before));
  WalkedContent content(walker, head, 0);
  const ContentDigests added = TRY(ContentDigests::of(content, more));
  if (added.octets() != data.passed->digests.octets()) return fail(ErrorKind::io, "the file changed while it was read");
  data.passed->digests.merge(added);
  return out;
}

Result<Bytes> SignedDataStream::detached() const {
  const Bytes type = TRY(der::oid_from_text(data_->content_type));
  const Bytes content_info = der::sequence({der::oid(ByteView(type))});
  const Bytes body = der::sequence({before_, content_info, after_});
  return der::sequence({der::oid(cms::kSignedDataOid), make_tlv(der::context(0), body)});
}

struct EnvelopedContent::State {
  State(ContentSource& file, const CmsLimits& limits) : walker(file, limits) {}
  Status open() {
    SignedData data;
    Bytes before;
    TRY(walker.open(data, before));
    if (!data.has_content) return fail(ErrorKind::not_found, "the signature is detached: no content is inside");
    return {};
  }
  Walker walker;
};

EnvelopedContent::EnvelopedContent(std::unique_ptr<State> state) : state_(std::move(state)) {}
EnvelopedContent::EnvelopedContent(EnvelopedContent&&) noexcept = default;
EnvelopedContent::~EnvelopedContent() = default;

Result<EnvelopedContent> EnvelopedContent::open(ContentSource& file, const CmsLimits& limits) {
  auto state = std::make_unique<State>(file, limits);
  TRY(state->open());
  return EnvelopedContent(std::move(state));
}

Result<std::size_t> EnvelopedContent::read(MutableByteView buffer) { return state_->walker.read(buffer); }
bool EnvelopedContent::rewind() { return state_->walker.rewind() && state_->open().has_value(); }

Status write_enveloping(ByteView signature, ContentSource& content, const KnownContent& known, const OctetSink& out) {
  // Taken apart as a stream is: the same strict reading, and the values as they stand.
  MemoryContent source(signature);
  SignedData data;
  Bytes before, after;
  Walker walker(source, {});
  TRY(walker.open(data, before));
  if (data.has_content) return fail(ErrorKind::usage, "the signature has a content inside already");
  TRY(walker.close(data, after));

  // From the inside out: what stands before the content, and how long each value is with it.
  const Bytes type_content = TRY(der::oid_from_text(data.content_type));
  std::uint64_t length = known.octets;
  Bytes head;
  const auto wrap = [&](Tag tag, const Bytes& first, std::uint64_t behind) {
    length += first.size() + behind;
    Bytes field = length_field(length);
    field.insert(field.begin(), static_cast<std::uint8_t>(tag));
    length += field.size();
    head = concat({field, first, head});
  };
  wrap(der::kOctetString, {}, 0);
  wrap(der::context(0), {}, 0);
  wrap(der::kSequence, der::oid(ByteView(type_content)), 0);
  wrap(der::kSequence, before, after.size());
  wrap(der::context(0), {}, 0);
  wrap(der::kSequence, der::oid(cms::kSignedDataOid), 0);

  TRY(out(head));
  Hasher hasher(known.hash);
  std::uint64_t octets = 0;
  Bytes scratch;
  for (;;) {
    const ByteView piece = TRY(content.next(scratch));
    if (piece.empty()) break;
    octets += piece.size();
    hasher.update(piece);
    TRY(out(piece));
  }
  if (octets != known.octets || hasher.finish() != known.digest) {
    return fail(ErrorKind::invalid_signature, "the content changed while it was signed",
                "somebody writes to the file: sign it when they are done");
  }
  return out(after);
}

}  // namespace karta::crypto
