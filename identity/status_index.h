// Status index: the dense number every card carries, by which stop-lists name it.
//
// Indexes are handed out in blocks, one or more for each issuing batch; blocks follow one another without gaps from 0.
// Inside a block the order is a permutation keyed by a random seed of the block's own, so that an index tells the batch
// but neither when in the batch the card was made nor for whom. An index belongs to the card, never to the person, and
// is never used again.
//
// The permutation is an eight-round Feistel network over the smallest even number of bits that holds the block, walked
// in a circle until it lands inside (as format-preserving encryption does, NIST SP 800-38G §4), HMAC-SHA-256 its round
// function. It hides an order from whoever sees cards; it protects no secret from whoever reads the registry.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace karta::identity {

inline constexpr std::uint32_t kStatusBlockSize = 1024;             ///< where a batch does not say how many
inline constexpr std::uint32_t kStatusBlockMaxSize = 1u << 24;      ///< one block
inline constexpr std::uint64_t kStatusIndexMax = (1ull << 40) - 1;  ///< a million million cards
inline constexpr std::size_t kStatusSeedOctets = 32;

/// The place of the `ordinal`-th card of a block of `size`. A bijection of [0, size) for every seed.
/// `ordinal` must be below `size`, `size` in 1 ... kStatusBlockMaxSize.
std::uint32_t permute_in_block(ByteView seed, std::uint32_t size, std::uint32_t ordinal);

}  // namespace karta::identity
