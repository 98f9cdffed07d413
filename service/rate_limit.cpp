#include "service/rate_limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "base/bytes.h"

namespace karta::service {

std::chrono::seconds RateLimit::take(std::string_view key, Time now) {
  const Moment moment = now;
  auto found = full_again_.find(std::string(key));
  // Nothing is found by looking more often: times are of whole seconds.
  if (found == full_again_.end() && full_again_.size() >= std::min(sweep_at_, most_keys_) && swept_ != now) {
    std::erase_if(full_again_, [&](const auto& one) { return one.second <= moment; });
    swept_ = now;
    // Twice what is owed at most, and each key is looked at a few times only.
    sweep_at_ = std::max(kLeastSwept, 2 * full_again_.size());
  }
  if (found == full_again_.end() && full_again_.size() < most_keys_) found = full_again_.emplace(key, Moment{}).first;
  Moment& full_again = found == full_again_.end() ? others_ : found->second;
  // A key can owe no more than its burst, unless the clock was set back.
  const Moment owed = std::min(full_again, moment + rule_.burst * rule_.interval);
  const Moment next = std::max(owed, moment) + rule_.interval;
  const auto beyond = next - (moment + rule_.burst * rule_.interval);
  if (beyond.count() > 0) return std::chrono::ceil<std::chrono::seconds>(beyond);
  full_again = next;
  return std::chrono::seconds(0);
}

namespace {

/// `octets`: how many of an IPv6 address count.
std::string prefix_of(std::string_view address, std::size_t octets) {
  const std::string text(address.substr(0, address.find('%')));  // without a zone
  in6_addr six{};
  if (::inet_pton(AF_INET6, text.c_str(), &six) != 1) return text;
  if (IN6_IS_ADDR_V4MAPPED(&six)) {
    char four[INET_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET, &six.s6_addr[12], four, sizeof four);
    return four;
  }
  return to_hex(ByteView(six.s6_addr, octets)) + "/" + std::to_string(8 * octets);
}

}  // namespace

std::string network_of(std::string_view address) { return prefix_of(address, 8); }

std::string site_of(std::string_view address) { return prefix_of(address, 6); }

}  // namespace karta::service
