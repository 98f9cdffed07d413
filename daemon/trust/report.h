// TrustReport: what is wrong with which item, told once each time it becomes so.
#pragma once

#include <compare>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/trust_data.h"

namespace karta::daemon::detail {

/// An item by what it is of; region and name empty: the only one of its kind, or the kind in general.
struct TrustItemId {
  TrustItemKind kind = TrustItemKind::trust_list;
  std::string region = {}, name = {};

  auto operator<=>(const TrustItemId&) const = default;
  bool general() const { return region.empty() && name.empty(); }
};

class TrustReport {
 public:
  /// Told of news; may be set until the first look.
  explicit TrustReport(const std::function<void(const TrustNews&)>& on_news) : on_news_(on_news) {}

  void taken(const TrustItemId& item, std::uint64_t epoch);
  /// What was wrong with it is so no longer.
  void cured(const TrustItemId& item);
  /// The same of all of a kind but those in `still`; the general one apart.
  void cure_others(TrustItemKind kind, const std::set<TrustItemId>& still);
  /// After a look at all files of a kind: `words` of the last that cannot be read; empty: all can.
  void note_unreadable(TrustItemKind kind, std::string words);
  /// Something is wrong with the item. `mark`: what was refused, so that the same is not told at every look.
  void refused(const TrustItemId& item, std::uint64_t epoch, const std::string& words, std::string_view mark);
  /// Only tells it: the item is not known, or none of it is wrong.
  void tell_refusal(const TrustItemId& item, std::uint64_t epoch, const std::string& words, std::string_view mark);

  /// The item as it is described where nothing of it is in use.
  TrustItem absent(const TrustItemId& item) const;
  std::string problem(const TrustItemId& item) const;
  /// Of a file at the last look of which not even the item can be told; empty: there is none.
  std::string unreadable(TrustItemKind kind) const;
  /// Adds to `items` those of a kind that were refused and have nothing in use in their place.
  void add_refused(TrustItemKind kind, std::vector<TrustItem>& items) const;

  void note_change() { changed_ = true; }
  /// Whether anything has changed since this was asked last.
  bool take_change() { return std::exchange(changed_, false); }

 private:
  const std::function<void(const TrustNews&)>& on_news_;
  std::map<TrustItemId, std::string> problems_;
  std::map<TrustItemKind, std::string> unreadable_;
  std::set<std::string> told_;  // refusals, so that each is told once
  bool changed_ = false;
};

}  // namespace karta::daemon::detail
