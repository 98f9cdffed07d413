#include "daemon/trust/stop_lists.h"

#include <map>
#include <set>

#include "base/file.h"
#include "daemon/trust/files.h"

namespace karta::daemon::detail {
namespace {

namespace fs = std::filesystem;
using crypto::Certificate;
using identity::StopList;
using identity::StopListKind;
using identity::StopTable;

constexpr std::string_view kSuffix = ".stop-list";
const TrustItemId kAnyList{TrustItemKind::stop_list, {}, {}};

}  // namespace

void StopListFiles::refuse(const TrustItemId& item, std::uint64_t epoch, const std::string& words,
                           std::string_view mark) {
  look_again();
  look_.report.refused(item, epoch, words, mark);
}

// Fetching

Status StopListFiles::keep(const Bytes& octets) {
  const auto list = TRY(StopList::parse(octets));
  TRY(list.verify(certificates_of(look_.list_signers()), look_.clock.now()));
  std::error_code error;
  fs::create_directories(folder(), error);
  std::string number = std::to_string(list.head().epoch);
  number.insert(0, number.size() < 12 ? 12 - number.size() : 0, '0');
  // The hash tells lists of one number apart: one of another region, which a server may hand out, replaces none of
  // ours.
  const std::string name = number + "-" + to_hex(ByteView(list.hash()).first(8)) + std::string(kSuffix);
  return replace_file(folder() / name, octets, 0600);
}

Status StopListFiles::fetch_full() {
  auto got = TRY(look_.authority->stop_list(full_etag_));
  if (!got.changed) return {};
  TRY(keep(got.octets));
  full_etag_ = got.etag;
  delta_etag_.clear();
  return {};
}

Status StopListFiles::fetch_newer() {
  if (fetched_base_ == 0 || look_.clock.now() > fetched_base_until_) TRY(fetch_full());
  if (fetched_base_ == 0) return {};
  auto got = look_.authority->stop_list_delta(fetched_base_, delta_etag_);
  if (!got) {
    // A delta on another full list than ours, or none yet.
    if (got.error().kind != ErrorKind::not_found) return fail(got.error());
    return fetch_full();
  }
  if (!got->changed) return {};
  TRY(keep(got->octets));
  delta_etag_ = got->etag;
  return {};
}

void StopListFiles::fetch() {
  if (const Status fetched = fetch_newer(); !fetched) {
    refuse(kAnyList, 0, "from the authority: " + fetched.error().message, "fetch");
  } else {
    look_.report.cured(kAnyList);
  }
}

// Looking

Result<StopListFiles::ListFile> StopListFiles::read(const fs::path& path, const std::vector<TrustAnchor>& anchors,
                                                    const std::vector<Certificate>& signers) const {
  Bytes octets = TRY(read_file(path, identity::kMostStopListOctets));
  StopList list = TRY(StopList::parse(octets));
  const Certificate* const signer = TRY(list.signer(signers, look_.clock.now()));
  std::string region = region_of_signer(anchors, *signer);
  const auto hash = list.hash();
  return ListFile{path, std::move(octets), std::move(list), std::move(region), hash};
}

void StopListFiles::look() {
  std::vector<fs::path> places = look_.sources.files.stop_lists;
  places.push_back(folder());
  FoundFiles found = find_files(places, kSuffix);
  if (found.mark == mark_) return;
  mark_ = std::move(found.mark);
  const auto anchors = look_.list_signers();
  const auto signers = certificates_of(anchors);

  std::map<TrustItemId, std::vector<ListFile>> groups;
  std::string trouble;
  for (const fs::path& path : found.files) {
    auto file = read(path, anchors, signers);
    if (!file) {
      // A folder that is not there yet is no fault of anybody's.
      std::error_code error;
      if (file.error().kind == ErrorKind::not_found && !fs::exists(path, error) && path == folder()) continue;
      trouble = "\"" + path.filename().string() + "\": " + file.error().message;
      look_again();
      look_.report.tell_refusal(kAnyList, 0, trouble, path.string());
      continue;
    }
    TrustItemId item{TrustItemKind::stop_list, file->region, file->list.head().issuer};
    groups[std::move(item)].push_back(std::move(*file));
  }
  look_.report.note_unreadable(TrustItemKind::stop_list, std::move(trouble));
  std::set<TrustItemId> there;
  for (const auto& [item, files] : groups) {
    take(item, files);
    there.insert(item);
  }
  look_.report.cure_others(TrustItemKind::stop_list, there);
}

StopListFiles::Chain StopListFiles::furthest(const std::vector<ListFile>& files) {
  const auto end = [](const Chain& chain) { return chain.back()->list.head().epoch; };
  Chain best;
  for (const ListFile& full : files) {
    if (full.list.head().kind != StopListKind::full) continue;
    Chain chain = {&full};
    while (true) {
      // A delta's base is named by its hash.
      const ListFile* further = nullptr;
      for (const ListFile& one : files) {
        if (one.list.head().kind == StopListKind::delta && one.list.head().base == chain.back()->hash &&
            one.list.head().epoch > end(chain) &&
            (further == nullptr || one.list.head().epoch > further->list.head().epoch))
          further = &one;
      }
      if (further == nullptr) break;
      chain.push_back(further);
    }
    if (best.empty() || end(chain) > end(best) || (end(chain) == end(best) && chain.size() < best.size()))
      best = std::move(chain);
  }
  return best;
}

void StopListFiles::take(const TrustItemId& item, const std::vector<ListFile>& files) {
  const Chain chain = furthest(files);
  if (chain.empty()) return refuse(item, 0, "there are deltas and no full list they stand on", item.name);
  const identity::StopListHead& base = chain.front()->list.head();
  const identity::StopListHead& head = chain.back()->list.head();
  const std::string hash = to_hex(chain.back()->hash);
  StopListInUse* in_use = nullptr;
  for (StopListInUse& one : look_.next.stop_lists) {
    if (one.region == item.region && one.issuer == item.name) in_use = &one;
  }
  if (chain.front()->path.parent_path() == folder()) {
    fetched_base_ = base.epoch;
    fetched_base_until_ = base.next_update;
  }
  if (in_use != nullptr && in_use->table->hash() == chain.back()->hash) return look_.report.cured(item);
  const auto attempt = [&]() -> Result<std::shared_ptr<const StopTable>> {
    TRY(look_.seen.check(item, head.epoch, hash));
    if (in_use != nullptr) TRY(identity::check_succession(in_use->table->head(), head));
    auto table = std::make_shared<StopTable>(TRY(StopTable::unfold(chain.front()->list)));
    for (std::size_t i = 1; i < chain.size(); ++i) TRY(table->apply(chain[i]->list));
    TRY(look_.seen.remember(item, head.epoch, hash));
    return std::shared_ptr<const StopTable>(std::move(table));
  };
  auto table = attempt();
  if (!table) return refuse(item, head.epoch, table.error().message, hash);
  look_.guard.vouch(head.this_update);
  if (in_use == nullptr) {
    look_.next.stop_lists.push_back({item.region, item.name, std::move(*table)});
  } else {
    in_use->table = std::move(*table);
  }
  look_.report.taken(item, head.epoch);
  remove_older(files, base.epoch);
}

void StopListFiles::remove_older(const std::vector<ListFile>& files, std::uint64_t epoch) const {
  if (look_.sources.read_only) return;
  for (const ListFile& file : files) {
    if (file.path.parent_path() != folder() || file.list.head().epoch >= epoch) continue;
    std::error_code error;
    fs::remove(file.path, error);
  }
}

// What is in use

void StopListFiles::describe(std::vector<TrustItem>& items) const {
  std::string general = look_.report.problem(kAnyList);
  if (general.empty()) general = look_.report.unreadable(TrustItemKind::stop_list);
  for (const StopListInUse& one : look_.next.stop_lists) {
    TrustItem item = look_.report.absent({TrustItemKind::stop_list, one.region, one.issuer});
    item.present = true;
    item.epoch = one.table->head().epoch;
    item.made = one.table->head().this_update;
    item.until = one.table->head().next_update;
    if (item.problem.empty()) item.problem = general;
    items.push_back(std::move(item));
  }
  if (look_.next.stop_lists.empty() && (!look_.sources.files.stop_lists.empty() || look_.sources.connect)) {
    TrustItem item = look_.report.absent(kAnyList);
    item.problem = general;
    items.push_back(std::move(item));
  }
  look_.report.add_refused(TrustItemKind::stop_list, items);
}

}  // namespace karta::daemon::detail
