// The registry's status indexes: given out in blocks, and stopped.
#include "identity/registry_impl.h"
#include "identity/registry_rows.h"

namespace karta::identity {
namespace {

using detail::damaged;
using service::Statement;

}  // namespace

Result<std::uint64_t> Registry::Impl::allocate_status_index(std::string_view batch, std::uint32_t block_size) {
  std::int64_t first = 0, size = 0, used = 0;
  Bytes seed;
  {
    // Only a batch's newest block can have room.
    Statement open =
        TRY(database.prepare("SELECT first_index, size, used, seed FROM status_blocks WHERE batch = $1 "
                             "ORDER BY first_index DESC LIMIT 1"));
    TRY(open.query({batch}));
    if (TRY(open.next())) {
      first = open.integer(0), size = open.integer(1), used = open.integer(2);
      seed = to_bytes(open.octets(3));
    }
  }
  if (used == size) {
    first = 0;
    Statement last =
        TRY(database.prepare("SELECT first_index + size FROM status_blocks ORDER BY first_index DESC LIMIT 1"));
    TRY(last.query());
    if (TRY(last.next())) first = last.integer(0);
    size = block_size;
    used = 0;
    if (static_cast<std::uint64_t>(first + size) > kStatusIndexMax) {
      return fail(ErrorKind::limit, "all status indexes are given out");
    }
    seed = random->bytes(kStatusSeedOctets);
    TRY(
        database.execute("INSERT INTO status_blocks (first_index, size, used, batch, seed, created_at) VALUES "
                         "($1, $2, 0, $3, $4, $5)",
                         {first, size, batch, seed, seconds(clock->now())}));
  }
  if (seed.size() != kStatusSeedOctets || size < 1 || size > kStatusBlockMaxSize) return damaged("status block");
  const std::int64_t taken = TRY(
      database.execute("UPDATE status_blocks SET used = used + 1 WHERE first_index = $1 AND used = $2", {first, used}));
  if (taken != 1) return fail(ErrorKind::busy, "another program took the status index");
  return static_cast<std::uint64_t>(first) +
         permute_in_block(seed, static_cast<std::uint32_t>(size), static_cast<std::uint32_t>(used));
}

Result<std::vector<StatusBlock>> Registry::status_blocks() {
  Statement rows = TRY(impl_->database.prepare(
      "SELECT first_index, size, used, batch, created_at FROM status_blocks ORDER BY first_index"));
  TRY(rows.query());
  std::vector<StatusBlock> blocks;
  while (TRY(rows.next())) {
    blocks.push_back({static_cast<std::uint64_t>(rows.integer(0)), static_cast<std::uint32_t>(rows.integer(1)),
                      static_cast<std::uint32_t>(rows.integer(2)), std::string(rows.text(3)),
                      from_seconds(rows.integer(4))});
  }
  return blocks;
}

Status Registry::stopped_indexes(const std::function<void(std::uint64_t)>& each) {
  // The states are those of the index cards_stopped; a test holds them to the rows of card_states().
  const auto snapshot = TRY(impl_->database.begin_read());
  Statement rows =
      TRY(impl_->database.prepare("SELECT status_index FROM cards WHERE state IN (5, 6, 8) ORDER BY status_index"));
  TRY(rows.query());
  while (TRY(rows.next())) each(static_cast<std::uint64_t>(rows.integer(0)));
  return {};
}

Result<std::uint64_t> Registry::stop_changes() {
  Statement row = TRY(impl_->database.prepare("SELECT value FROM counters WHERE name = 'card-stops'"));
  TRY(row.query());
  if (!TRY(row.next())) return damaged("counter");
  return static_cast<std::uint64_t>(row.integer(0));
}

}  // namespace karta::identity
