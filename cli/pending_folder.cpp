#include "cli/pending_folder.h"

#include "base/bytes.h"
#include "base/file.h"

namespace karta::cli {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMostPending = 4096;

}  // namespace

fs::path PendingFolder::path(ByteView serial) const { return fs::path(folder_) / (to_hex_upper(serial) + ".pending"); }

Result<std::optional<card::PendingCommit>> PendingFolder::find(ByteView serial) const {
  if (!named()) return std::optional<card::PendingCommit>{};
  const auto text = read_file(path(serial), kMostPending);
  if (!text && text.error().kind == ErrorKind::not_found) return std::optional<card::PendingCommit>{};
  if (!text) return fail(text.error());
  return TRY(card::PendingCommit::from_text(as_text(*text)));
}

Status PendingFolder::keep(const card::PendingCommit& pending) const {
  if (!named()) return {};
  std::error_code ignored;
  fs::create_directories(folder_, ignored);
  fs::remove(path(pending.serial), ignored);  // of a commit that was settled as not written
  return write_new_file(path(pending.serial), as_bytes(pending.to_text()), 0600);
}

void PendingFolder::forget(ByteView serial) const {
  std::error_code ignored;
  if (named()) fs::remove(path(serial), ignored);
}

std::string PendingFolder::hint_of_lost_answer() const {
  return named() ? "it is not known whether the card wrote: present it again, nothing is taken twice"
                 : "it is not known whether the card wrote: read its journal; --pending FOLDER settles that by itself";
}

}  // namespace karta::cli
