#include "identity/stop_list/stop_list.h"

#include <algorithm>

#include "crypto/digest.h"
#include "identity/stop_list/gap_code.h"

namespace karta::identity {
namespace {

constexpr std::string_view kMagic = "KARTASL1";
constexpr std::uint64_t kShardSize = std::uint64_t{1} << kShardBits;
static_assert(kShardSize == kMostInShard);

void put_varint(Bytes& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::uint8_t>(value | 0x80));
  out.push_back(static_cast<std::uint8_t>(value));
}

// Base 128, low groups first, no longer than it must be, below 2^56.
Result<std::uint64_t> read_varint(Cursor& in) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 56; shift += 7) {
    const std::uint8_t octet = TRY(in.u8());
    value |= std::uint64_t{octet & 0x7Fu} << shift;
    if (octet < 0x80) {
      if (octet == 0 && shift > 0)
        return fail(ErrorKind::malformed, "a number of the stop-list is longer than it must be");
      return value;
    }
  }
  return fail(ErrorKind::malformed, "a number of the stop-list is too long");
}
std::uint64_t shards_for(std::uint64_t end) { return (end + kShardSize - 1) >> kShardBits; }

Result<std::vector<IndexRange>> joined(const std::vector<IndexRange>& batches) {
  std::vector<IndexRange> out;
  for (const IndexRange& batch : batches) {
    if (batch.count == 0) continue;
    if (batch.count > kMostListedIndexes || batch.first > kMostListedIndexes - batch.count) {
      return fail(ErrorKind::limit, "a stop-list holds indexes below " + std::to_string(kMostListedIndexes));
    }
    if (!out.empty() && batch.first < out.back().first + out.back().count) {
      return fail(ErrorKind::usage, "the batches of a stop-list overlap or are out of order");
    }
    if (!out.empty() && batch.first == out.back().first + out.back().count) {
      out.back().count += batch.count;
    } else {
      out.push_back(batch);
    }
  }
  if (out.size() > kMostBatches)
    return fail(ErrorKind::limit, "a stop-list holds at most " + std::to_string(kMostBatches) + " runs of batches");
  return out;
}

}  // namespace

std::string_view name_of(StopListKind kind) { return kind == StopListKind::full ? "full" : "delta"; }

std::string_view name_of(CardVerdict verdict) {
  switch (verdict) {
    case CardVerdict::good:
      return "good";
    case CardVerdict::stopped:
      return "stopped";
    case CardVerdict::unknown:
      break;
  }
  return "unknown";
}

std::string_view name_of(StopListState state) {
  switch (state) {
    case StopListState::fresh:
      return "fresh";
    case StopListState::stale:
      return "stale";
    case StopListState::expired:
      return "expired";
    case StopListState::early:
      break;
  }
  return "early";
}

Result<Bytes> encode_stop_list(const StopListHead& head, const std::vector<IndexRange>& batches,
                               std::span<const std::uint64_t> indexes) {
  TRY(list_file::check_head("a stop-list", head.issuer, head.this_update, head.next_update));
  if (head.kind == StopListKind::delta && head.base_epoch >= head.epoch) {
    return fail(ErrorKind::usage, "a delta's base is an earlier list");
  }
  const std::vector<IndexRange> ranges = TRY(joined(batches));
  const std::uint64_t end = ranges.empty() ? 0 : ranges.back().first + ranges.back().count;

  Bytes table;
  std::uint64_t behind = 0;
  for (const IndexRange& range : ranges) {
    put_varint(table, range.first - behind);
    put_varint(table, range.count);
    behind = range.first + range.count;
  }

  Bytes directory, codes;
  codes.reserve(indexes.size() + 4096);
  std::vector<std::uint32_t> members;
  std::size_t at = 0, range = 0;
  std::optional<std::uint64_t> before;
  for (std::uint64_t shard = 0; shard < shards_for(end); ++shard) {
    const std::uint64_t first = shard << kShardBits;
    const auto size = static_cast<std::uint32_t>(std::min(end - first, kShardSize));
    members.clear();
    for (; at < indexes.size() && indexes[at] < first + size; ++at) {
      const std::uint64_t index = indexes[at];
      if (before && index <= *before) return fail(ErrorKind::usage, "the indexes of a stop-list do not ascend");
      while (range < ranges.size() && index >= ranges[range].first + ranges[range].count) ++range;
      if (range == ranges.size() || index < ranges[range].first) {
        return fail(ErrorKind::usage, "index " + std::to_string(index) + " is in no batch");
      }
      before = index;
      members.push_back(static_cast<std::uint32_t>(index - first));
    }
    const std::size_t begin = codes.size();
    encode_gaps(members, size, codes);
    put_varint(directory, members.size());
    put_varint(directory, codes.size() - begin);
  }
  if (at < indexes.size()) {
    const bool ascends = !before || indexes[at] > *before;
    return fail(ErrorKind::usage, ascends ? "index " + std::to_string(indexes[at]) + " is in no batch"
                                          : std::string("the indexes of a stop-list do not ascend"));
  }

  Bytes out = to_bytes(as_bytes(kMagic));
  out.push_back(static_cast<std::uint8_t>(head.kind));
  out.push_back(static_cast<std::uint8_t>(kShardBits));
  list_file::put_issuer(out, head.issuer);
  list_file::put_number(out, head.epoch, 8);
  list_file::put_time(out, head.this_update);
  list_file::put_time(out, head.next_update);
  if (head.kind == StopListKind::delta) {
    list_file::put_number(out, head.base_epoch, 8);
    append(out, head.base);
  }
  list_file::put_number(out, end, 8);
  list_file::put_number(out, table.size(), 4);
  list_file::put_number(out, directory.size(), 4);
  list_file::put_number(out, codes.size(), 4);
  append(out, table);
  append(out, directory);
  append(out, codes);
  if (out.size() > kMostStopListOctets)
    return fail(ErrorKind::limit, "the stop-list is larger than " + std::to_string(kMostStopListOctets) + " octets");
  return out;
}

Result<Bytes> sign_stop_list(Bytes body, crypto::Signer& signer) { return list_file::seal(std::move(body), signer); }

Result<StopList> StopList::parse(ByteView file) {
  if (file.size() > kMostStopListOctets)
    return fail(ErrorKind::limit, "a stop-list has at most " + std::to_string(kMostStopListOctets) + " octets");
  Cursor in(file);
  StopList list;
  const auto magic = in.take(kMagic.size());
  if (!magic || as_text(*magic) != kMagic)
    return fail(ErrorKind::malformed, "the file is no stop-list", "karta stop-list build makes one");
  const std::uint8_t kind = TRY(in.u8());
  if (kind > 1) return fail(ErrorKind::unsupported, "stop-list of kind " + std::to_string(kind));
  list.head_.kind = static_cast<StopListKind>(kind);
  const std::uint8_t bits = TRY(in.u8());
  if (bits != kShardBits) return fail(ErrorKind::unsupported, "stop-list with shards of 2^" + std::to_string(bits));
  list.head_.issuer = TRY(list_file::read_issuer(in));
  list.head_.epoch = TRY(list_file::read_number(in, 8));
  list.head_.this_update = TRY(list_file::read_time(in));
  list.head_.next_update = TRY(list_file::read_time(in));
  if (list.head_.next_update < list.head_.this_update)
    return fail(ErrorKind::malformed, "the stop-list ends before it begins");
  if (list.head_.kind == StopListKind::delta) {
    list.head_.base_epoch = TRY(list_file::read_number(in, 8));
    const ByteView base = TRY(in.take(list.head_.base.size()));
    std::copy(base.begin(), base.end(), list.head_.base.begin());
    if (list.head_.base_epoch >= list.head_.epoch)
      return fail(ErrorKind::malformed, "the delta's base is not earlier than itself");
  }
  list.end_ = TRY(list_file::read_number(in, 8));
  if (list.end_ > kMostListedIndexes)
    return fail(ErrorKind::limit, "the stop-list goes beyond index " + std::to_string(kMostListedIndexes));
  const std::uint64_t table_octets = TRY(list_file::read_number(in, 4));
  const std::uint64_t directory_octets = TRY(list_file::read_number(in, 4));
  const std::uint64_t code_octets = TRY(list_file::read_number(in, 4));
  Cursor table(TRY(in.take(static_cast<std::size_t>(table_octets))));
  Cursor directory(TRY(in.take(static_cast<std::size_t>(directory_octets))));
  Cursor codes(TRY(in.take(static_cast<std::size_t>(code_octets))));
  list.body_ = file.first(in.offset());

  std::uint64_t behind = 0;
  while (!table.empty()) {
    if (list.batches_.size() == kMostBatches) return fail(ErrorKind::limit, "the stop-list names too many batches");
    const std::uint64_t gap = TRY(read_varint(table));
    const std::uint64_t count = TRY(read_varint(table));
    if (count == 0 || gap > list.end_ - behind || count > list.end_ - behind - gap || (gap == 0 && behind > 0)) {
      return fail(ErrorKind::malformed, "the stop-list's table of batches is damaged");
    }
    list.batches_.push_back({behind + gap, count});
    behind += gap + count;
  }
  if (behind != list.end_) return fail(ErrorKind::malformed, "the stop-list's table of batches is damaged");

  const std::uint64_t shards = shards_for(list.end_);
  list.shards_.reserve(static_cast<std::size_t>(shards));
  for (std::uint64_t i = 0; i < shards; ++i) {
    Shard shard;
    shard.first = i << kShardBits;
    shard.size = static_cast<std::uint32_t>(std::min(list.end_ - shard.first, kShardSize));
    const std::uint64_t count = TRY(read_varint(directory));
    const std::uint64_t octets = TRY(read_varint(directory));
    if (count > shard.size) return fail(ErrorKind::malformed, "the stop-list's directory is damaged");
    shard.count = static_cast<std::uint32_t>(count);
    shard.code = TRY(codes.take(static_cast<std::size_t>(octets)));
    list.count_ += count;
    list.shards_.push_back(shard);
  }
  if (!directory.empty() || !codes.empty()) return fail(ErrorKind::malformed, "the stop-list's directory is damaged");

  list.seal_ = TRY(list_file::read_seal(in));
  return list;
}

bool StopList::knows(std::uint64_t index) const {
  const auto behind =
      std::upper_bound(batches_.begin(), batches_.end(), index,
                       [](std::uint64_t value, const IndexRange& range) { return value < range.first; });
  return behind != batches_.begin() && index - std::prev(behind)->first < std::prev(behind)->count;
}

StopListHash StopList::hash() const {
  const Bytes digest = crypto::digest(crypto::Hash::sha256, body_);
  StopListHash out{};
  std::copy(digest.begin(), digest.end(), out.begin());
  return out;
}

Status StopList::verify(const std::vector<crypto::Certificate>& signers, Time at) const {
  TRY(signer(signers, at));
  return {};
}

Result<const crypto::Certificate*> StopList::signer(const std::vector<crypto::Certificate>& signers, Time at) const {
  return list_file::verify_seal(seal_, body_, signers, at, "the stop-list");
}

Result<CardVerdict> StopList::find(std::uint64_t index) const {
  if (head_.kind != StopListKind::full)
    return fail(ErrorKind::usage, "a delta alone says of no card whether it is good");
  if (!knows(index)) return CardVerdict::unknown;
  const Shard& shard = shards_[static_cast<std::size_t>(index >> kShardBits)];
  const auto wanted = static_cast<std::uint32_t>(index - shard.first);
  bool found = false;
  TRY(decode_gaps(shard.code, shard.size, shard.count, [&](std::uint32_t member) {
    found = member == wanted;
    return member < wanted;
  }));
  return found ? CardVerdict::stopped : CardVerdict::good;
}

Status StopList::for_each(const std::function<void(std::uint64_t)>& each) const {
  for (const Shard& shard : shards_) {
    bool known = true;
    TRY(decode_gaps(shard.code, shard.size, shard.count, [&](std::uint32_t member) {
      known = knows(shard.first + member);
      if (known) each(shard.first + member);
      return known;
    }));
    if (!known) return fail(ErrorKind::malformed, "the stop-list names an index of no batch");
  }
  return {};
}

StopListState state_of(const StopListHead& head, Time now, const StopListPolicy& policy) {
  if (now < head.this_update) return StopListState::early;
  if (now <= head.next_update) return StopListState::fresh;
  return now - head.next_update <= policy.stale_for ? StopListState::stale : StopListState::expired;
}

Status check_succession(const StopListHead& in_use, const StopListHead& next) {
  if (next.issuer != in_use.issuer)
    return fail(ErrorKind::untrusted, "the stop-list is another issuer's, " + next.issuer);
  if (next.epoch <= in_use.epoch) {
    return fail(
        ErrorKind::untrusted,
        "the stop-list has epoch " + std::to_string(next.epoch) + ", the one in use " + std::to_string(in_use.epoch),
        "an older list would bring dead cards back to life; fetch the newest");
  }
  if (next.this_update < in_use.this_update)
    return fail(ErrorKind::untrusted, "the stop-list was made before the one in use");
  return {};
}

}  // namespace karta::identity
