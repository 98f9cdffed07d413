#include "identity/services/publisher.h"

#include <sys/stat.h>

#include "base/file.h"
#include "crypto/trust_list.h"
#include "identity/authority/keepers.h"
#include "identity/services/key.h"
#include "identity/services/ledgers.h"
#include "service/log.h"

namespace karta::identity {
namespace {

constexpr std::chrono::seconds kRetry{30};  // after a failure

/// One kind of list of one authority, and when it is due.
struct Series {
  crypto::CrlPlan plan;
  bool after_changes = false;  // made soon after a revocation, not only by the calendar
  std::optional<std::uint64_t> number = {};
  Time this_update{};
  Time next_update{};
};

struct Issuer {
  std::string name;
  crypto::Certificate certificate;
  std::unique_ptr<crypto::Signer> signer;
  std::shared_ptr<crypto::AuthorityLedger> ledger;
  CrlConfig config;
  std::vector<Series> series;
  std::uint64_t revision = 0;
  bool changed = true;  // what the lists at hand do not say yet may be there
  Time not_before{};    // after a failure: not earlier
};

}  // namespace

struct Publisher::Impl {
  const Clock* clock;
  Shelves* shelves;
  std::vector<Issuer> issuers;
  std::optional<TrustListConfig> trust_list;
  std::vector<crypto::Certificate> trust_roots;
  std::pair<long long, long long> trust_file{-1, -1};
  std::string trust_trouble;  // said already

  std::unique_ptr<StopListKeeper> stop_lists;
  std::optional<RulesKeeper> rules;

  Status load_trust_list();
  Status publish(Issuer& issuer);
};

Publisher::Publisher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Publisher::Publisher(Publisher&&) noexcept = default;
Publisher& Publisher::operator=(Publisher&&) noexcept = default;
Publisher::~Publisher() = default;

Result<Publisher> Publisher::create(const ServerConfig& config, const Clock& clock, Shelves& shelves) {
  auto impl = std::make_unique<Impl>();
  impl->clock = &clock;
  impl->shelves = &shelves;
  for (const CaConfig& one : config.authorities) {
    if (!one.crl || !one.crl->key) continue;
    const ServiceKey key = TRY(ServiceKey::open(*one.crl->key));
    auto signer = TRY(key.signer());
    const crypto::Certificate certificate = TRY(read_ca_certificate(one));
    if (!equal(signer->public_key().spki(), certificate.spki())) {
      return fail(ErrorKind::configuration, "the CRLs of \"" + one.name + "\" are signed with the authority's own key");
    }
    Issuer issuer{one.name, certificate, std::move(signer), nullptr, *one.crl, {}, 0, true, {}};
    issuer.ledger = TRY(open_ledger(one, config.database, certificate, clock));
    const auto add = [&](std::optional<bool> ca, bool delta) {
      Series series;
      series.plan.delta = delta;
      series.plan.ca_certificates = ca;
      series.plan.hours = static_cast<std::uint64_t>((delta ? one.crl->delta_validity : one.crl->validity).count());
      series.plan.kept_hours = static_cast<std::uint64_t>(one.crl->validity.count());
      if (!ca) series.plan.freshest_urls = one.crl->delta_urls;
      series.after_changes = delta || one.crl->delta_validity.count() == 0;
      issuer.series.push_back(std::move(series));
    };
    add({}, false);
    if (one.crl->delta_validity.count() != 0) add({}, true);
    if (one.crl->partitions) {
      add(true, false);
      add(false, false);
    }
    impl->issuers.push_back(std::move(issuer));
  }
  impl->trust_list = config.trust_list;
  if (config.trust_list) {
    for (const auto& file : config.trust_list->roots) {
      const Bytes octets = TRY(read_file(file, 16 * crypto::Certificate::kMostOctets));
      const auto roots = TRY(crypto::Certificate::many_from_file_octets(octets));
      impl->trust_roots.insert(impl->trust_roots.end(), roots.begin(), roots.end());
    }
    TRY(impl->load_trust_list());
  }
  if (config.authority && config.authority->stop_list) {
    impl->stop_lists =
        TRY(StopListKeeper::create(*config.authority->stop_list, config.database, clock, shelves.authority));
  }
  if (config.authority && config.authority->rules) {
    impl->rules.emplace(*config.authority->rules, shelves.authority);
    TRY(impl->rules->load());
  }
  return Publisher(std::move(impl));
}

Status Publisher::Impl::load_trust_list() {
  struct stat about {};
  if (::stat(trust_list->file.c_str(), &about) != 0) {
    return fail(ErrorKind::not_found, "there is no trust list \"" + trust_list->file.string() + "\"");
  }
  const std::pair<long long, long long> seen(about.st_ino,
                                             about.st_mtim.tv_sec * 1'000'000'000LL + about.st_mtim.tv_nsec);
  if (seen == trust_file) return {};
  trust_file = seen;
  const auto before = shelves->trust_list.get();
  Bytes octets = TRY(read_file(trust_list->file, 2 * crypto::TrustList::kMostOctets));
  const crypto::TrustList list =
      TRY(crypto::open_trust_list(octets, trust_roots, clock->now(), before ? before->sequence : 0));
  auto fresh = std::make_shared<PublishedTrustList>();
  fresh->etag = etag_of(octets);
  fresh->der = std::move(octets);
  fresh->sequence = list.sequence;
  fresh->issued_at = list.issued_at;
  fresh->next_update = list.next_update;
  shelves->trust_list.put(std::move(fresh));
  service::log_info("trust list " + std::to_string(list.sequence) + " is published; the next is due at " +
                    format_time(list.next_update));
  return {};
}

Status Publisher::Impl::publish(Issuer& issuer) {
  const std::uint64_t revision = TRY(issuer.ledger->revision());
  const Time now = clock->now();
  const bool news = revision != issuer.revision;
  if (news) issuer.changed = true;
  for (Series& one : issuer.series) {
    if (news || !one.number) {
      // Another program may have made one.
      if (const auto last = TRY(issuer.ledger->last_crl(one.plan))) {
        one.number = number_of(*last);
        one.this_update = last->this_update();
        one.next_update = last->next_update().value_or(last->this_update());
      }
    }
    // A list is renewed when three quarters of its time are over: a reader that comes late still finds a fresh one.
    bool due = !one.number || now >= one.next_update - (one.next_update - one.this_update) / 4;
    if (!due && one.after_changes && issuer.changed && now >= one.this_update + issuer.config.after_revocation) {
      due = TRY(issuer.ledger->changed_since(*one.number));
    }
    if (!due) continue;
    const crypto::Crl crl = TRY(issuer.ledger->issue_crl(one.plan, issuer.certificate, *issuer.signer));
    one.number = number_of(crl);
    one.this_update = crl.this_update();
    one.next_update = *crl.next_update();
    service::log_info("CRL " + std::to_string(*one.number) + " of \"" + issuer.name + "\" (" +
                      std::string(scope_of(one.plan)) + (one.plan.delta ? ", delta" : "") + ") with " +
                      std::to_string(crl.entries().size()) + " entries");
  }
  issuer.revision = TRY(issuer.ledger->revision());
  if (!issuer.changed) return {};
  issuer.changed = false;
  for (const Series& one : issuer.series) {
    if (!one.after_changes) continue;
    const bool waiting = TRY(issuer.ledger->changed_since(*one.number));
    issuer.changed = issuer.changed || waiting;
  }
  return {};
}

void Publisher::tick() {
  for (Issuer& issuer : impl_->issuers) {
    const Time now = impl_->clock->now();
    if (now < issuer.not_before) continue;
    const Status done = impl_->publish(issuer);
    if (done) continue;
    service::log_error("CRL of \"" + issuer.name + "\"", done.error());
    issuer.not_before = now + kRetry;
  }
  if (impl_->stop_lists) impl_->stop_lists->tick();
  if (impl_->rules) impl_->rules->tick();
  if (!impl_->trust_list) return;
  const Status loaded = impl_->load_trust_list();
  if (!loaded && loaded.error().message != impl_->trust_trouble) {
    service::log_error("the trust list published before stays", loaded.error());
  }
  if (!loaded) impl_->trust_trouble = loaded.error().message;
}

}  // namespace karta::identity
