// Publisher: the watch a server keeps: it makes CRLs and stop-lists in time, and holds the lists and rules that are
// handed out.
//
// tick() is called every second or so by one thread, not a worker of the HTTP server. Several servers on one registry
// may publish: numbers are given out under the registry's lock, and what another has just made is not made again.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "crypto/x509/authority_ledger.h"
#include "identity/services/config.h"
#include "identity/services/document.h"

namespace karta::identity {

/// The trust list as it is handed out.
struct PublishedTrustList {
  Bytes der;
  std::string etag;
  std::uint64_t sequence = 0;
  Time issued_at{};
  Time next_update{};
};

/// Shared between the publisher and the workers.
class TrustListShelf {
 public:
  std::shared_ptr<const PublishedTrustList> get() const {
    const std::lock_guard lock(mutex_);
    return list_;
  }
  void put(std::shared_ptr<const PublishedTrustList> list) {
    const std::lock_guard lock(mutex_);
    list_ = std::move(list);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const PublishedTrustList> list_;
};

/// Stop-lists as they are handed out: the newest full one, and the newest delta on it and on each list since.
struct PublishedStopLists {
  std::uint64_t full_epoch = 0;
  std::uint64_t newest_epoch = 0;
  Time next_update{};  ///< of the newest list
  Document full;
  std::map<std::uint64_t, Document> deltas;  ///< by the epoch of the list they stand on
};

/// What the authority on line hands out; null where there is none. Shared between the publisher and the workers.
class AuthorityShelf {
 public:
  std::shared_ptr<const PublishedStopLists> stop_lists() const {
    const std::lock_guard lock(mutex_);
    return stop_lists_;
  }
  std::shared_ptr<const Document> rules() const {
    const std::lock_guard lock(mutex_);
    return rules_;
  }
  void put(std::shared_ptr<const PublishedStopLists> lists) {
    const std::lock_guard lock(mutex_);
    stop_lists_ = std::move(lists);
  }
  void put(std::shared_ptr<const Document> rules) {
    const std::lock_guard lock(mutex_);
    rules_ = std::move(rules);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const PublishedStopLists> stop_lists_;
  std::shared_ptr<const Document> rules_;
};

/// Everything that is handed out.
struct Shelves {
  TrustListShelf trust_list;
  AuthorityShelf authority;
};

class Publisher {
 public:
  /// `clock` and `shelves` must outlive it.
  static Result<Publisher> create(const ServerConfig& config, const Clock& clock, Shelves& shelves);
  Publisher(Publisher&&) noexcept;
  Publisher& operator=(Publisher&&) noexcept;
  ~Publisher();

  /// Makes what is due. A failure is logged, and tried again later.
  void tick();

 private:
  struct Impl;
  explicit Publisher(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace karta::identity
