#include "daemon/trust/rules.h"

namespace karta::daemon::detail {
namespace {

constexpr std::size_t kMostOctets = std::size_t{1} << 20;

}  // namespace

RulesFile::RulesFile(TrustLook& look) : look_(look), file_(TrustItemKind::rules, "rules.p7s", kMostOctets) {}

void RulesFile::look(bool fetch) {
  if (!look_.sources.open_rules) return;
  const auto ask = [&](const std::string& etag) -> Result<identity::Fetched> {
    auto got = look_.authority->rules(etag);
    none_ = !got && got.error().kind == ErrorKind::not_found;
    // An authority of clinics has no rules for gates: nothing is missing.
    if (none_) return identity::Fetched{};
    return got;
  };
  auto octets =
      file_.find(look_, look_.sources.files.rules,
                 fetch && look_.authority ? NewestFile::Fetch(ask) : NewestFile::Fetch(), !look_.next.rules.empty());
  if (!octets) return;
  std::vector<crypto::Certificate> signers = look_.own.roots;
  const auto more = certificates_of(look_.list_signers());
  signers.insert(signers.end(), more.begin(), more.end());
  RulesHead head;
  const auto open = [&]() -> Result<std::uint64_t> {
    head = TRY(look_.sources.open_rules(*octets, signers, look_.clock.now()));
    return head.sequence;
  };
  if (!file_.take(look_, *octets, open)) return;
  look_.guard.vouch(head.made);
  look_.next.rules = std::move(*octets);
  head_ = head;
  look_.report.taken(file_.item(), head.sequence);
}

void RulesFile::describe(std::vector<TrustItem>& items) const {
  const bool wanted = !none_ && (look_.sources.files.rules || look_.sources.connect);
  if (!look_.sources.open_rules || !(head_ || wanted)) return;
  TrustItem item = look_.report.absent(file_.item());
  if (head_) {
    item.present = true;
    item.epoch = head_->sequence;
    item.made = head_->made;
    item.until = head_->until;
  }
  items.push_back(std::move(item));
}

}  // namespace karta::daemon::detail
