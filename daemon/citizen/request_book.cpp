#include "daemon/citizen/request_book.h"

#include "base/base64url.h"

namespace karta::daemon {
namespace {

constexpr std::size_t kIdOctets = 32;

}  // namespace

tl::expected<void, RefusedRequest> RequestBook::hear(const AgentRequest& request) {
  const std::lock_guard lock(mutex_);
  sweep_locked();
  const std::string key = request.issuer + "\n" + request.jti;
  if (heard_.contains(key)) return tl::unexpected(RefusedRequest{RequestFault::replayed, "it was heard before"});
  // Forgetting one to make room would let it in again.
  if (heard_.size() >= kMostHeard) return tl::unexpected(RefusedRequest{RequestFault::too_many, "too many requests"});
  heard_.emplace(key, request.heard_until);
  return {};
}

tl::expected<std::shared_ptr<OpenLogin>, RefusedRequest> RequestBook::open(AgentRequest request) {
  if (auto heard = hear(request); !heard) return tl::unexpected(std::move(heard).error());
  auto made = std::make_shared<OpenLogin>();
  made->request = std::move(request);
  const std::lock_guard lock(mutex_);
  if (open_.size() >= kMostOpen) {
    // The one that ends first gives way: whoever fills the book with requests of a provider's does not lock others out.
    auto first = open_.begin();
    for (auto one = open_.begin(); one != open_.end(); ++one) {
      if (one->second->request.expires < first->second->request.expires) first = one;
    }
    open_.erase(first);
  }
  made->id = to_base64url(random_.bytes(kIdOctets));
  made->csrf = to_base64url(random_.bytes(kIdOctets));
  open_.emplace(made->id, made);
  return made;
}

std::shared_ptr<OpenLogin> RequestBook::find(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(id);
  return found == open_.end() ? nullptr : found->second;
}

void RequestBook::close(const OpenLogin& login) {
  const std::lock_guard lock(mutex_);
  open_.erase(login.id);
}

void RequestBook::sweep() {
  const std::lock_guard lock(mutex_);
  sweep_locked();
}

void RequestBook::sweep_locked() {
  const Time now = clock_.now();
  std::erase_if(open_, [&](const auto& one) { return one.second->request.expires + kKeptAfterEnd <= now; });
  std::erase_if(heard_, [&](const auto& one) { return one.second <= now; });
}

}  // namespace karta::daemon
