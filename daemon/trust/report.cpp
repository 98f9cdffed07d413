#include "daemon/trust/report.h"

#include <algorithm>

namespace karta::daemon::detail {

void TrustReport::taken(const TrustItemId& item, std::uint64_t epoch) {
  cured(item);
  changed_ = true;
  if (on_news_) on_news_({item.kind, item.name, item.region, true, epoch, {}});
}

void TrustReport::cured(const TrustItemId& item) {
  if (problems_.erase(item) > 0) changed_ = true;
}

void TrustReport::cure_others(TrustItemKind kind, const std::set<TrustItemId>& still) {
  const auto erased = std::erase_if(problems_, [&](const auto& one) {
    return one.first.kind == kind && !one.first.general() && !still.contains(one.first);
  });
  if (erased > 0) changed_ = true;
}

void TrustReport::note_unreadable(TrustItemKind kind, std::string words) {
  if (std::string& place = unreadable_[kind]; place != words) {
    place = std::move(words);
    changed_ = true;
  }
}

void TrustReport::refused(const TrustItemId& item, std::uint64_t epoch, const std::string& words,
                          std::string_view mark) {
  std::string& problem = problems_[item];
  if (problem != words) changed_ = true;
  problem = words;
  tell_refusal(item, epoch, words, mark);
}

void TrustReport::tell_refusal(const TrustItemId& item, std::uint64_t epoch, const std::string& words,
                               std::string_view mark) {
  if (told_.size() > 1'000) told_.clear();
  if (told_.insert(std::string(mark) + words).second && on_news_)
    on_news_({item.kind, item.name, item.region, false, epoch, words});
}

TrustItem TrustReport::absent(const TrustItemId& item) const {
  TrustItem out;
  out.kind = item.kind;
  out.region = item.region;
  out.name = item.name;
  out.problem = problem(item);
  return out;
}

std::string TrustReport::problem(const TrustItemId& item) const {
  const auto found = problems_.find(item);
  return found != problems_.end() ? found->second : std::string();
}

std::string TrustReport::unreadable(TrustItemKind kind) const {
  const auto found = unreadable_.find(kind);
  return found != unreadable_.end() ? found->second : std::string();
}

void TrustReport::add_refused(TrustItemKind kind, std::vector<TrustItem>& items) const {
  for (const auto& [id, words] : problems_) {
    if (id.kind != kind || id.general()) continue;
    const bool there = std::any_of(items.begin(), items.end(), [&, &wanted = id](const TrustItem& one) {
      return one.kind == kind && one.region == wanted.region && one.name == wanted.name;
    });
    if (!there) items.push_back(absent(id));
  }
}

}  // namespace karta::daemon::detail
