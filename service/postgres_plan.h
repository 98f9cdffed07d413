// What the server is told of a statement: its plan there, and runs of it that wait to go out with others.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace karta::service::detail {

/// The names of the statements prepared on one connection to the server.
struct ServerNames {
  std::uint64_t generation = 0;     ///< counts the connections made: a name lasts as long as its own
  std::uint64_t given = 0;          ///< so many
  std::vector<std::string> unused;  ///< of this connection; the server may forget them
};

/// A statement with the types of its parameters, as the server prepares it. It is forgotten there with its last user.
struct Plan {
  Plan(ServerNames& on, std::string text, std::vector<Oid> of)
      : names(&on), sql(std::move(text)), types(std::move(of)) {}
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    if (known()) names->unused.push_back(std::move(name));
  }
  bool known() const { return generation != 0 && generation == names->generation; }

  ServerNames* names;
  const std::string sql;
  const std::vector<Oid> types;  ///< of $1 ...; 0: left to the server
  std::string name;              ///< on the server
  std::uint64_t generation = 0;  ///< of the connection it was prepared on; 0: on none
};

/// Runs that nobody asks the outcome of, in order, with copies of their values.
class WaitingRuns {
 public:
  /// Values and lengths of $1 ...; a null value is NULL.
  void add(std::shared_ptr<Plan> plan, std::span<const char* const> values, std::span<const int> lengths) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      lengths_.push_back(values[i] ? lengths[i] : kNull);
      if (values[i]) octets_.insert(octets_.end(), values[i], values[i] + lengths[i]);
    }
    runs_.push_back(std::move(plan));
  }
  bool empty() const { return runs_.empty(); }
  /// Time to let them go: they are to save round trips, not to hold a file in memory.
  bool full() const { return runs_.size() >= kMostRuns || octets_.size() >= kMostOctets; }
  void clear() {
    runs_.clear();
    lengths_.clear();
    octets_.clear();
    if (octets_.capacity() > 2 * kMostOctets) octets_.shrink_to_fit();
  }
  /// Hands each to `send(Plan&, values, lengths)`, in order, until one is false.
  template <class Send>
  bool all_of(Send&& send) {
    auto length = lengths_.begin();
    const char* at = octets_.data();
    for (const std::shared_ptr<Plan>& plan : runs_) {
      values_.clear();
      const int* const lengths = lengths_.data() + (length - lengths_.begin());
      for (std::size_t i = 0; i < plan->types.size(); ++i, ++length) {
        // What is empty has an address, too: a null one is NULL.
        values_.push_back(*length == kNull ? nullptr : *length == 0 ? "" : at);
        if (*length != kNull) at += *length;
      }
      if (!send(*plan, values_.data(), lengths)) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kMostRuns = 64, kMostOctets = 64 * 1024;
  static constexpr int kNull = -1;
  std::vector<std::shared_ptr<Plan>> runs_;
  std::vector<int> lengths_;  ///< of the values of all of them
  std::vector<char> octets_;
  std::vector<const char*> values_;  ///< of the one that is handed over
};

}  // namespace karta::service::detail
