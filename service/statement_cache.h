// StatementCache: prepared statements, by their SQL, the longest unused given up first.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace karta::service::detail {

inline constexpr std::size_t kCachedStatements = 256;  // a worker of the server uses some hundred

/// `Prepared` has `const std::string& sql() const`, which does not change. Statements come and go at every turn: the
/// place of one that is in use stays, empty, so that nothing is allocated for that.
template <class Prepared>
class StatementCache {
 public:
  /// Null if there is none, or it is in use.
  std::unique_ptr<Prepared> take(std::string_view sql) {
    const auto found = by_sql_.find(sql);
    return found == by_sql_.end() ? nullptr : std::move(found->second->statement);
  }
  /// Returns the one that had to go, if any.
  std::unique_ptr<Prepared> keep(std::unique_ptr<Prepared> statement) {
    const auto found = by_sql_.find(statement->sql());
    if (found != by_sql_.end()) {
      by_age_.splice(by_age_.begin(), by_age_, found->second);
      // The same twice: one was in use when the other was made.
      return std::exchange(found->second->statement, std::move(statement));
    }
    std::string sql = statement->sql();
    by_age_.push_front({std::move(sql), std::move(statement)});
    by_sql_.emplace(by_age_.front().sql, by_age_.begin());
    if (by_age_.size() <= kCachedStatements) return nullptr;
    std::unique_ptr<Prepared> gone = std::move(by_age_.back().statement);
    by_sql_.erase(by_age_.back().sql);
    by_age_.pop_back();
    return gone;
  }
  void clear() {
    by_sql_.clear();
    by_age_.clear();
  }

 private:
  struct Place {
    std::string sql;
    std::unique_ptr<Prepared> statement;  // null: in use
  };
  std::list<Place> by_age_;  // used last in front
  std::unordered_map<std::string_view, typename std::list<Place>::iterator> by_sql_;
};

}  // namespace karta::service::detail
