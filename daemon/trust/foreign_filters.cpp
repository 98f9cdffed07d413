#include "daemon/trust/foreign_filters.h"

#include <set>

#include "base/file.h"
#include "daemon/trust/files.h"

namespace karta::daemon::detail {
namespace {

namespace fs = std::filesystem;
using crypto::Certificate;
using identity::ForeignFilter;

constexpr auto kKind = TrustItemKind::foreign_filter;
constexpr std::string_view kSuffix = ".foreign-filter";

}  // namespace

Status FilterFiles::take(const fs::path& path, const std::vector<TrustAnchor>& anchors,
                         const std::vector<Certificate>& signers, TrustItemId& item, std::uint64_t& epoch) {
  const Bytes octets = TRY(read_file(path, identity::kMostForeignFilterOctets));
  const Certificate* const signer = TRY(ForeignFilter::signer(octets, signers, look_.clock.now()));
  auto filter = std::make_shared<ForeignFilter>(TRY(ForeignFilter::parse(octets)));
  item.region = region_of_signer(anchors, *signer);
  item.name = filter->head().issuer;
  epoch = filter->head().epoch;
  const auto of_item = [&](const ForeignFilterInUse& one) {
    return one.region == item.region && one.issuer == item.name;
  };
  for (const ForeignFilterInUse& one : look_.next.foreign_filters) {
    // In a folder older ones stand beside the newest.
    if (of_item(one) && one.filter->head().epoch >= epoch) return {};
  }
  const std::string hash = sha256_hex(octets);
  TRY(look_.seen.check(item, epoch, hash));
  TRY(look_.seen.remember(item, epoch, hash));
  std::erase_if(look_.next.foreign_filters, of_item);
  look_.guard.vouch(filter->head().this_update);
  look_.next.foreign_filters.push_back({item.region, item.name, std::move(filter)});
  look_.report.taken(item, epoch);
  return {};
}

void FilterFiles::look() {
  FoundFiles found = find_files(look_.sources.files.foreign_filters, kSuffix);
  if (found.mark == mark_) return;
  mark_ = std::move(found.mark);
  const auto anchors = look_.list_signers();
  const auto signers = certificates_of(anchors);
  std::set<TrustItemId> refused_now;
  std::string trouble;
  for (const fs::path& path : found.files) {
    TrustItemId item{kKind, {}, {}};
    std::uint64_t epoch = 0;
    const Status took = take(path, anchors, signers, item, epoch);
    if (took) continue;
    look_again();
    const std::string words = "\"" + path.filename().string() + "\": " + took.error().message;
    if (item.name.empty()) {
      trouble = words;
      look_.report.tell_refusal(item, epoch, words, path.string());
    } else {
      look_.report.refused(item, epoch, words, path.string());
      refused_now.insert(item);
    }
  }
  look_.report.note_unreadable(kKind, std::move(trouble));
  look_.report.cure_others(kKind, refused_now);
}

void FilterFiles::describe(std::vector<TrustItem>& items) const {
  for (const ForeignFilterInUse& one : look_.next.foreign_filters) {
    TrustItem item = look_.report.absent({kKind, one.region, one.issuer});
    item.present = true;
    item.epoch = one.filter->head().epoch;
    item.made = one.filter->head().this_update;
    item.until = one.filter->head().next_update;
    items.push_back(std::move(item));
  }
  look_.report.add_refused(kKind, items);
  if (std::string words = look_.report.unreadable(kKind); !words.empty()) {
    TrustItem item = look_.report.absent({kKind, {}, {}});
    item.problem = std::move(words);
    items.push_back(std::move(item));
  }
}

}  // namespace karta::daemon::detail
