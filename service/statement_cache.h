// StatementCache: prepared statements that are not in use, by their SQL, the longest unused given up first.
#pragma once

#include <list>
#include <memory>
#include <string_view>
#include <unordered_map>

namespace karta::service::detail {

inline constexpr std::size_t kCachedStatements = 256;  // a worker of the server uses some hundred

/// `Prepared` has `const std::string& sql() const`, which does not change.
template <class Prepared>
class StatementCache {
 public:
  /// Null if there is none.
  std::unique_ptr<Prepared> take(std::string_view sql) {
    const auto found = by_sql_.find(sql);
    if (found == by_sql_.end()) return nullptr;
    std::unique_ptr<Prepared> out = std::move(*found->second);
    by_age_.erase(found->second);
    by_sql_.erase(found);
    return out;
  }
  /// Returns the one that had to go, if any.
  std::unique_ptr<Prepared> keep(std::unique_ptr<Prepared> statement) {
    std::unique_ptr<Prepared> gone = take(statement->sql());  // the same twice: one was in use when the other was made
    by_age_.push_front(std::move(statement));
    by_sql_.emplace(by_age_.front()->sql(), by_age_.begin());
    if (by_age_.size() > kCachedStatements) {
      by_sql_.erase(by_age_.back()->sql());
      gone = std::move(by_age_.back());
      by_age_.pop_back();
    }
    return gone;
  }
  void clear() {
    by_sql_.clear();
    by_age_.clear();
  }

 private:
  std::list<std::unique_ptr<Prepared>> by_age_;  // used last in front
  std::unordered_map<std::string_view, typename std::list<std::unique_ptr<Prepared>>::iterator> by_sql_;
};

}  // namespace karta::service::detail
