// Publisher: the watch a server keeps: it makes CRLs in time, and holds the trust list that is handed out.
//
// tick() is called every second or so by one thread, not a worker of the HTTP server. Several servers on one registry
// may publish: numbers are given out under the registry's lock, and what another has just made is not made again.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "crypto/x509/authority_ledger.h"
#include "identity/services/config.h"

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

class Publisher {
 public:
  /// `clock` and `shelf` must outlive it.
  static Result<Publisher> create(const ServerConfig& config, const Clock& clock, TrustListShelf& shelf);
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
