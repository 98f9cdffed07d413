// OpenSSL makes tables for a group's generator. EC_GROUP_precompute_mult() is called deprecated since 3.0, which knows
// no other way to them; where it does nothing any more, have_precompute_mult() says so, and all is as without tables.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/ecdsa_tables.h"

#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include <algorithm>

#include "crypto/openssl_handles.h"
#include "crypto/signer.h"

namespace karta::crypto {
namespace {

using GroupPtr = std::unique_ptr<EC_GROUP, OpensslFree<EC_GROUP_free>>;
using PointPtr = std::unique_ptr<EC_POINT, OpensslFree<EC_POINT_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, OpensslFree<BN_free>>;
using BnCtxPtr = std::unique_ptr<BN_CTX, OpensslFree<BN_CTX_free>>;

constexpr std::size_t kOctets = 32;  // of a coordinate, and of the order

/// The curve as it is, made once.
const EC_GROUP* curve() {
  static const EC_GROUP* const kCurve = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  KARTA_CHECK(kCurve != nullptr);
  return kCurve;
}

/// What a verification computes with; one for each thread.
struct Scratch {
  BnCtxPtr context{BN_CTX_new()};
  NumberPtr r{BN_new()}, s{BN_new()}, e{BN_new()}, inverse{BN_new()}, u1{BN_new()}, u2{BN_new()}, x{BN_new()};
  PointPtr of_generator{EC_POINT_new(curve())}, of_key{EC_POINT_new(curve())};

  bool whole() const {
    return context && r && s && e && inverse && u1 && u2 && x && of_generator != nullptr && of_key != nullptr;
  }
};

bool read(BIGNUM* number, ByteView octets) {
  return BN_bin2bn(octets.data(), static_cast<int>(octets.size()), number) != nullptr;
}

}  // namespace

/// A group like the curve, whose generator is a key's point.
class EcdsaTables::Table {
 public:
  static std::shared_ptr<const Table> of(ByteView point) {
    GroupPtr group(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
    const BnCtxPtr context(BN_CTX_new());
    if (group == nullptr || context == nullptr) return nullptr;
    const PointPtr key(EC_POINT_new(group.get()));
    const bool made =
        key != nullptr && EC_POINT_oct2point(group.get(), key.get(), point.data(), point.size(), context.get()) == 1 &&
        EC_POINT_is_at_infinity(group.get(), key.get()) == 0 &&
        EC_GROUP_set_generator(group.get(), key.get(), EC_GROUP_get0_order(curve()), BN_value_one()) == 1 &&
        EC_GROUP_precompute_mult(group.get(), context.get()) == 1 && EC_GROUP_have_precompute_mult(group.get()) == 1;
    ERR_clear_error();
    if (!made) return nullptr;
    return std::make_shared<const Table>(std::move(group));
  }
  explicit Table(GroupPtr group) : group_(std::move(group)) {}

  /// SEC 1 §4.1.4. None: the library failed.
  std::optional<bool> verify(ByteView digest, ByteView signature) const {
    const auto numbers = decode_ecdsa_signature(signature, kOctets);
    if (!numbers) return false;
    thread_local const Scratch with;
    if (!with.whole()) return std::nullopt;
    const BIGNUM* const order = EC_GROUP_get0_order(curve());
    BIGNUM *const r = with.r.get(), *const s = with.s.get(), *const x = with.x.get();
    BN_CTX* const context = with.context.get();
    if (!read(r, ByteView(*numbers).first(kOctets)) || !read(s, ByteView(*numbers).last(kOctets)) ||
        !read(with.e.get(), digest.first(std::min(digest.size(), kOctets)))) {
      return std::nullopt;
    }
    if (BN_is_zero(r) || BN_is_zero(s) || BN_cmp(r, order) >= 0 || BN_cmp(s, order) >= 0) return false;
    if (BN_mod_inverse(with.inverse.get(), s, order, context) == nullptr ||
        BN_mod_mul(with.u1.get(), with.e.get(), with.inverse.get(), order, context) != 1 ||
        BN_mod_mul(with.u2.get(), r, with.inverse.get(), order, context) != 1 ||
        EC_POINT_mul(curve(), with.of_generator.get(), with.u1.get(), nullptr, nullptr, context) != 1 ||
        EC_POINT_mul(group_.get(), with.of_key.get(), with.u2.get(), nullptr, nullptr, context) != 1 ||
        EC_POINT_add(curve(), with.of_key.get(), with.of_key.get(), with.of_generator.get(), context) != 1) {
      return std::nullopt;
    }
    if (EC_POINT_is_at_infinity(curve(), with.of_key.get()) == 1) return false;
    if (EC_POINT_get_affine_coordinates(curve(), with.of_key.get(), x, nullptr, context) != 1 ||
        BN_nnmod(x, x, order, context) != 1) {
      return std::nullopt;
    }
    return BN_cmp(x, r) == 0;
  }

 private:
  GroupPtr group_;
};

EcdsaTables::EcdsaTables(const Limits& limits) : limits_(limits) {}
EcdsaTables::~EcdsaTables() = default;

EcdsaTables& EcdsaTables::of_process() {
  static auto* const tables = new EcdsaTables(Limits{});  // never ends: threads may still verify at the program's end
  return *tables;
}

std::size_t EcdsaTables::size() const {
  const std::lock_guard lock(mutex_);
  return kept_.size();
}

/// `make`: the caller is to make the table.
std::shared_ptr<const EcdsaTables::Table> EcdsaTables::find(ByteView point, bool& make) {
  std::uint64_t mark = 0;  // of the x coordinate: as good as random
  for (std::size_t i = 1; i < 9; ++i) mark = mark << 8 | point[i];
  const std::lock_guard lock(mutex_);
  if (useless_) return nullptr;
  ++turn_;
  for (Kept& one : kept_) {
    if (!equal(one.point, point)) continue;
    one.used_at = turn_;
    return one.table;
  }
  Use& use = uses_[mark % uses_.size()];
  if (use.mark != mark && use.count > 0) {
    --use.count;
    return nullptr;
  }
  use.mark = mark;
  if (use.count < limits_.uses) {
    ++use.count;
    return nullptr;
  }
  const auto now = std::chrono::steady_clock::now();
  if (now < next_making_) return nullptr;
  next_making_ = now + limits_.pause;
  use.count = 0;
  make = true;
  return nullptr;
}

void EcdsaTables::keep(ByteView point, std::shared_ptr<const Table> table) {
  const std::lock_guard lock(mutex_);
  if (table == nullptr) {
    useless_ = true;
    return;
  }
  const auto same = [&](const Kept& one) { return equal(one.point, point); };
  if (std::any_of(kept_.begin(), kept_.end(), same)) return;
  if (kept_.size() >= limits_.tables) {
    kept_.erase(std::min_element(kept_.begin(), kept_.end(),
                                 [](const Kept& a, const Kept& b) { return a.used_at < b.used_at; }));
  }
  kept_.push_back({to_bytes(point), std::move(table), turn_});
}

std::optional<bool> EcdsaTables::verify(ByteView point, ByteView digest, ByteView signature) {
  if (point.size() < 1 + kOctets) return std::nullopt;
  bool make = false;
  std::shared_ptr<const Table> table = find(point, make);
  if (make) {
    table = Table::of(point);
    keep(point, table);
  }
  if (table == nullptr) return std::nullopt;
  const auto verdict = table->verify(digest, signature);
  ERR_clear_error();
  return verdict;
}

}  // namespace karta::crypto
