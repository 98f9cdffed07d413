#include "identity/stop_list/foreign_filter.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "crypto/digest.h"
#include "identity/stop_list/list_file.h"

namespace karta::identity {
namespace {

constexpr std::string_view kMagic = "KARTAFF1";
constexpr unsigned kArity = 3;
constexpr unsigned kMostSegmentBits = 18, kLeastSegmentBits = 2;
constexpr std::uint32_t kMostSegments = 1u << 24;
constexpr int kTries = 100;

/// MurmurHash3's finalizer (A. Appleby, public domain): every bit of the key moves every bit of the answer.
constexpr std::uint64_t mix(std::uint64_t key) {
  key ^= key >> 33;
  key *= 0xFF51AFD7ED558CCDu;
  key ^= key >> 33;
  key *= 0xC4CEB9FE1A85EC53u;
  return key ^ key >> 33;
}

std::uint16_t fingerprint_of(std::uint64_t hash) { return static_cast<std::uint16_t>(hash ^ hash >> 32); }

/// Where a key stands: three places, one in each of three segments that follow each other.
struct Places {
  std::uint64_t at[kArity];
};
Places places_of(std::uint64_t hash, std::uint32_t segment, std::uint32_t segments) {
  const std::uint64_t starts = std::uint64_t{segment} * segments;
  // The high half of hash * starts: where the first place lies, without a division.
  __extension__ typedef unsigned __int128 Wide;
  const auto first = static_cast<std::uint64_t>(static_cast<Wide>(hash) * starts >> 64);
  const std::uint64_t mask = segment - 1;
  return {{first, (first + segment) ^ (hash >> 18 & mask), (first + 2 * std::uint64_t{segment}) ^ (hash & mask)}};
}

/// How long segments are and how many, for `count` keys: the paper's figures for three places.
struct Shape {
  unsigned segment_bits = 0;
  std::uint32_t segments = 0;
};
Shape shape_for(std::size_t count) {
  const auto n = static_cast<double>(std::max<std::size_t>(count, 2));
  const double bits = std::floor(std::log(n) / std::log(3.33) + 2.25);
  Shape shape;
  shape.segment_bits = static_cast<unsigned>(std::clamp(bits, double{kLeastSegmentBits}, double{kMostSegmentBits}));
  const double factor = std::max(1.125, 0.875 + 0.25 * std::log(1'000'000.0) / std::log(n));
  const auto capacity = static_cast<std::uint64_t>(std::ceil(n * factor));
  const std::uint64_t segment = std::uint64_t{1} << shape.segment_bits;
  const std::uint64_t all = (capacity + segment - 1) / segment;
  shape.segments = static_cast<std::uint32_t>(all <= kArity ? 1 : all - (kArity - 1));
  return shape;
}

/// One try with `seed`: fingerprints, or nothing where some keys cannot be told apart.
std::optional<std::vector<std::uint16_t>> fill(const std::vector<ForeignKey>& keys, std::uint64_t seed, Shape shape) {
  const std::uint32_t segment = 1u << shape.segment_bits;
  const std::size_t size = std::size_t{segment} * (shape.segments + kArity - 1);
  // Each place knows how many keys stand there and the exclusive-or of their hashes: of a single one, its hash.
  std::vector<std::uint32_t> counts(size);
  std::vector<std::uint64_t> hashes(size);
  for (const ForeignKey key : keys) {
    const std::uint64_t hash = mix(key + seed);
    for (const std::uint64_t place : places_of(hash, segment, shape.segments).at) {
      ++counts[place];
      hashes[place] ^= hash;
    }
  }
  std::vector<std::size_t> alone;
  for (std::size_t place = 0; place < size; ++place) {
    if (counts[place] == 1) alone.push_back(place);
  }
  std::vector<std::pair<std::uint64_t, std::size_t>> order;  // hash, and the place that is its own
  order.reserve(keys.size());
  while (!alone.empty()) {
    const std::size_t place = alone.back();
    alone.pop_back();
    if (counts[place] != 1) continue;
    const std::uint64_t hash = hashes[place];
    order.emplace_back(hash, place);
    for (const std::uint64_t other : places_of(hash, segment, shape.segments).at) {
      hashes[other] ^= hash;
      if (--counts[other] == 1) alone.push_back(other);
    }
  }
  if (order.size() != keys.size()) return std::nullopt;
  std::vector<std::uint16_t> fingerprints(size);
  for (auto one = order.rbegin(); one != order.rend(); ++one) {
    std::uint16_t value = fingerprint_of(one->first);
    for (const std::uint64_t place : places_of(one->first, segment, shape.segments).at) {
      if (place != one->second) value = static_cast<std::uint16_t>(value ^ fingerprints[place]);
    }
    fingerprints[one->second] = value;
  }
  return fingerprints;
}

struct Parsed {
  ForeignFilterHead head;
  std::uint64_t count = 0, seed = 0;
  Shape shape;
  ByteView fingerprints, body;
  list_file::Seal seal;
};
Result<Parsed> read(ByteView file) {
  if (file.size() > kMostForeignFilterOctets)
    return fail(ErrorKind::limit, "a filter has at most " + std::to_string(kMostForeignFilterOctets) + " octets");
  Cursor in(file);
  Parsed out;
  const auto magic = in.take(kMagic.size());
  if (!magic || as_text(*magic) != kMagic) {
    return fail(ErrorKind::malformed, "the file is no filter of foreign certificates",
                "karta stop-list foreign build makes one");
  }
  out.head.issuer = TRY(list_file::read_issuer(in));
  out.head.epoch = TRY(list_file::read_number(in, 8));
  out.head.this_update = TRY(list_file::read_time(in));
  out.head.next_update = TRY(list_file::read_time(in));
  if (out.head.next_update < out.head.this_update)
    return fail(ErrorKind::malformed, "the filter ends before it begins");
  out.count = TRY(list_file::read_number(in, 8));
  out.seed = TRY(list_file::read_number(in, 8));
  out.shape.segment_bits = TRY(in.u8());
  out.shape.segments = static_cast<std::uint32_t>(TRY(list_file::read_number(in, 4)));
  if (out.count > kMostForeignCertificates || out.shape.segment_bits > kMostSegmentBits ||
      out.shape.segment_bits < kLeastSegmentBits || out.shape.segments > kMostSegments ||
      (out.count == 0) != (out.shape.segments == 0)) {
    return fail(ErrorKind::malformed, "the filter's figures do not fit each other");
  }
  const std::uint64_t places =
      out.shape.segments == 0 ? 0 : (std::uint64_t{out.shape.segments} + kArity - 1) << out.shape.segment_bits;
  if (places < out.count) return fail(ErrorKind::malformed, "the filter's figures do not fit each other");
  if (places > in.remaining() / 2) return fail(ErrorKind::malformed, "the filter is cut short");
  out.fingerprints = TRY(in.take(static_cast<std::size_t>(2 * places)));
  out.body = file.first(in.offset());
  out.seal = TRY(list_file::read_seal(in));
  return out;
}

}  // namespace

ForeignKey foreign_key(const crypto::Name& issuer, ByteView serial) {
  while (serial.size() > 1 && serial.front() == 0) serial = serial.subspan(1);
  crypto::Hasher hasher(crypto::Hash::sha256);
  hasher.update(issuer.canonical());
  hasher.update(serial);
  const Bytes digest = hasher.finish();
  std::uint64_t key = 0;
  for (std::size_t i = 8; i-- > 0;) key = key << 8 | digest[i];
  return key;
}

ForeignKey foreign_key(const crypto::Certificate& certificate) {
  return foreign_key(certificate.issuer(), certificate.serial());
}

Result<Bytes> encode_foreign_filter(const ForeignFilterHead& head, std::vector<ForeignKey> keys) {
  TRY(list_file::check_head("a filter", head.issuer, head.this_update, head.next_update));
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  if (keys.size() > kMostForeignCertificates)
    return fail(ErrorKind::limit, "a filter lists at most " + std::to_string(kMostForeignCertificates));
  const Shape shape = keys.empty() ? Shape{kLeastSegmentBits, 0} : shape_for(keys.size());
  std::vector<std::uint16_t> fingerprints;
  std::uint64_t seed = 0;
  if (!keys.empty()) {
    // Seeds follow from the keys: the same list makes the same file.
    std::optional<std::vector<std::uint16_t>> filled;
    for (int attempt = 0; attempt < kTries && !filled; ++attempt) {
      seed = mix(seed + keys.size() + 1);
      filled = fill(keys, seed, shape);
    }
    if (!filled) return fail(ErrorKind::internal, "no seed of a hundred makes a filter of these certificates");
    fingerprints = std::move(*filled);
  }
  Bytes out = to_bytes(as_bytes(kMagic));
  list_file::put_issuer(out, head.issuer);
  list_file::put_number(out, head.epoch, 8);
  list_file::put_time(out, head.this_update);
  list_file::put_time(out, head.next_update);
  list_file::put_number(out, keys.size(), 8);
  list_file::put_number(out, seed, 8);
  out.push_back(static_cast<std::uint8_t>(shape.segment_bits));
  list_file::put_number(out, shape.segments, 4);
  out.reserve(out.size() + 2 * fingerprints.size() + 1024);
  for (const std::uint16_t one : fingerprints) list_file::put_number(out, one, 2);
  return out;
}

Result<Bytes> sign_foreign_filter(Bytes body, crypto::Signer& signer) {
  return list_file::seal(std::move(body), signer);
}

Result<ForeignFilter> ForeignFilter::parse(ByteView file) {
  const Parsed parsed = TRY(read(file));
  ForeignFilter filter;
  filter.head_ = parsed.head;
  filter.count_ = parsed.count;
  filter.seed_ = parsed.seed;
  filter.segment_ = 1u << parsed.shape.segment_bits;
  filter.segments_ = parsed.shape.segments;
  filter.fingerprints_.resize(parsed.fingerprints.size() / 2);
  for (std::size_t i = 0; i < filter.fingerprints_.size(); ++i) {
    filter.fingerprints_[i] =
        static_cast<std::uint16_t>(parsed.fingerprints[2 * i] | parsed.fingerprints[2 * i + 1] << 8);
  }
  return filter;
}

Result<const crypto::Certificate*> ForeignFilter::signer(ByteView file, const std::vector<crypto::Certificate>& signers,
                                                         Time at) {
  const Parsed parsed = TRY(read(file));
  return list_file::verify_seal(parsed.seal, parsed.body, signers, at, "the filter");
}

bool ForeignFilter::may_list(ForeignKey key) const noexcept {
  if (segments_ == 0) return false;
  const std::uint64_t hash = mix(key + seed_);
  std::uint16_t value = fingerprint_of(hash);
  for (const std::uint64_t place : places_of(hash, segment_, segments_).at)
    value = static_cast<std::uint16_t>(value ^ fingerprints_[place]);
  return value == 0;
}

}  // namespace karta::identity
