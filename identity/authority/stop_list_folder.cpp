#include "identity/authority/stop_list_folder.h"

#include <algorithm>
#include <optional>

#include "base/file.h"

namespace karta::identity {
namespace {

namespace fs = std::filesystem;

// "0000000042.stop-list"
std::string name_for(std::uint64_t epoch) {
  std::string digits = std::to_string(epoch);
  return std::string(digits.size() < 10 ? 10 - digits.size() : 0, '0') + digits + std::string(kStopListSuffix);
}

}  // namespace

Result<StopListFile> StopListFile::read(const fs::path& path) {
  Bytes octets = TRY(read_file(path, kMostStopListOctets));
  auto list = StopList::parse(octets);
  if (!list) return fail(list.error().kind, "\"" + path.string() + "\": " + list.error().message, list.error().hint);
  return StopListFile{path, std::move(octets), std::move(*list)};
}

Result<std::map<std::uint64_t, fs::path>> StopListFolder::files() const {
  std::map<std::uint64_t, fs::path> lists;
  std::error_code error;
  for (fs::directory_iterator entry(folder_, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.ends_with(kStopListSuffix)) continue;
    const std::string digits = name.substr(0, name.size() - kStopListSuffix.size());
    if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) continue;
    lists.emplace(std::stoull(digits), entry->path());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail(ErrorKind::io, "cannot read \"" + folder_.string() + "\": " + error.message());
  }
  return lists;
}

Result<StopTable> StopListFolder::state_after(std::uint64_t epoch, const std::vector<crypto::Certificate>& signers,
                                              Time now) const {
  const auto lists = TRY(files());
  std::vector<fs::path> chain;
  for (std::uint64_t wanted = epoch;;) {
    const auto found = lists.find(wanted);
    if (found == lists.end()) {
      return fail(ErrorKind::not_found, "the list of epoch " + std::to_string(wanted) + " is missing",
                  "make a full list: karta stop-list build");
    }
    chain.push_back(found->second);
    const StopListFile file = TRY(StopListFile::read(found->second));
    if (file.list.head().kind == StopListKind::full) break;
    if (file.list.head().base_epoch >= wanted) return fail(ErrorKind::malformed, "a delta that stands on a later list");
    wanted = file.list.head().base_epoch;
  }
  std::optional<StopTable> table;
  for (auto path = chain.rbegin(); path != chain.rend(); ++path) {
    const StopListFile file = TRY(StopListFile::read(*path));
    TRY(file.list.verify(signers, now));
    if (table) {
      TRY(table->apply(file.list));
    } else {
      table = TRY(StopTable::unfold(file.list));
    }
  }
  return std::move(*table);
}

Result<StopListDraft> StopListFolder::draft(const StopListPlan& plan, Registry& registry,
                                            const std::vector<crypto::Certificate>& signers, Time now) const {
  const auto lists = TRY(files());
  StopListDraft out;
  out.head.kind = plan.kind;
  out.head.epoch = lists.empty() ? 1 : lists.rbegin()->first + 1;
  out.head.this_update = now;
  out.head.next_update = now + plan.valid_for;
  out.head.issuer = plan.issuer;

  std::optional<StopTable> base;
  if (plan.kind == StopListKind::delta) {
    std::uint64_t epoch = 0;
    for (auto one = lists.rbegin(); one != lists.rend() && epoch == 0; ++one) {
      const StopListFile file = TRY(StopListFile::read(one->second));
      if (plan.incremental || file.list.head().kind == StopListKind::full) epoch = one->first;
    }
    if (epoch == 0) {
      return fail(ErrorKind::not_found, "there is no list a delta could stand on",
                  "make a full list: karta stop-list build");
    }
    base = TRY(state_after(epoch, signers, now));
    if (now < base->head().this_update) {
      return fail(ErrorKind::configuration, "the clock stands before the last list was made");
    }
    out.head.base_epoch = base->head().epoch;
    out.head.base = base->hash();
  }

  std::vector<IndexRange> batches;
  const std::vector<StatusBlock> blocks = TRY(registry.status_blocks());
  for (const StatusBlock& block : blocks) batches.push_back({block.first, block.size});
  std::sort(batches.begin(), batches.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::uint64_t> stopped;
  TRY(registry.stopped_indexes([&](std::uint64_t index) { stopped.push_back(index); }));
  out.stopped = stopped.size();
  if (base) {
    const std::vector<std::uint64_t> before = base->indexes();
    std::vector<std::uint64_t> changed;
    std::set_symmetric_difference(before.begin(), before.end(), stopped.begin(), stopped.end(),
                                  std::back_inserter(changed));
    stopped = std::move(changed);
  }
  out.listed = stopped.size();
  out.body = TRY(encode_stop_list(out.head, batches, stopped));
  return out;
}

Result<StopListFile> StopListFolder::publish(StopListDraft draft, crypto::Signer& signer) const {
  Bytes octets = TRY(sign_stop_list(std::move(draft.body), signer));
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) return fail(ErrorKind::io, "cannot make \"" + folder_.string() + "\": " + error.message());
  const fs::path path = folder_ / name_for(draft.head.epoch);
  TRY(write_new_file(path, octets, 0644));
  auto list = TRY(StopList::parse(octets));
  return StopListFile{path, std::move(octets), std::move(list)};
}

}  // namespace karta::identity
