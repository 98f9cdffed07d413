// What the tests of a terminal's trust share: two regions and what they sign, an authority that hands it out, and a
// terminal's folder.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "crypto/testing.h"
#include "daemon/fake_authority.h"
#include "daemon/trust_data.h"

namespace karta::daemon::testing {

inline const char* const kListProfile = R"(
schema = "karta.certificate-profile/1"
name = "list"
validity_days = 3000
key_usage = ["digitalSignature"]
[subject]
required = ["CN"]
[subject.fixed]
C = "XX"
)";

/// A region: root, issuing CA, and what they sign.
struct Region {
  crypto::testing::TestCentre centre;
  std::string name;

  Bytes list(std::uint64_t epoch, std::vector<std::uint64_t> stopped, Time made, Time until) const {
    identity::StopListHead head{.kind = identity::StopListKind::full,
                                .epoch = epoch,
                                .this_update = made,
                                .next_update = until,
                                .issuer = name,
                                .base_epoch = 0,
                                .base = {}};
    return crypto::testing::must(identity::sign_stop_list(
        crypto::testing::must(identity::encode_stop_list(head, {{0, 1000}}, stopped)), signer()));
  }
  Bytes delta(std::uint64_t epoch, const Bytes& base, std::vector<std::uint64_t> changed, Time made, Time until) const {
    const auto on = crypto::testing::must(identity::StopList::parse(base));
    identity::StopListHead head{.kind = identity::StopListKind::delta,
                                .epoch = epoch,
                                .this_update = made,
                                .next_update = until,
                                .issuer = name,
                                .base_epoch = on.head().epoch,
                                .base = on.hash()};
    return crypto::testing::must(identity::sign_stop_list(
        crypto::testing::must(identity::encode_stop_list(head, {{0, 1000}}, changed)), signer()));
  }
  Bytes filter(std::uint64_t epoch, const crypto::Certificate& listed, Time made) const {
    const identity::ForeignFilterHead head{
        .epoch = epoch, .this_update = made, .next_update = made + std::chrono::hours(48), .issuer = name};
    return crypto::testing::must(identity::sign_foreign_filter(
        crypto::testing::must(identity::encode_foreign_filter(head, {identity::foreign_key(listed)})), signer()));
  }
  crypto::Signer& signer() const { return const_cast<crypto::SoftwareSigner&>(centre.ca_signer); }
};
inline Region& region_a() {
  static Region region{crypto::testing::TestCentre(), "Region A"};
  return region;
}
inline Region& region_b() {
  static Region region{crypto::testing::TestCentre(), "Region B"};
  return region;
}

/// What the authority of region A hands out.
struct Server {
  Bytes trust_list, rules, full, delta;
  Time clock{};
  bool away = false;
  int fetched = 0;

  Result<identity::Fetched> give(const Bytes& octets, const std::string& etag) {
    if (away) return FakeAuthority::away();
    if (octets.empty()) return fail(ErrorKind::not_found, "no such document");
    const std::string now = std::to_string(std::hash<std::string_view>{}(as_text(octets)));
    if (etag == now) return identity::Fetched{false, {}, now};
    ++fetched;
    return identity::Fetched{true, octets, now};
  }
  class Client final : public FakeAuthority {
   public:
    explicit Client(Server& server) : server_(server) {}
    Result<identity::Fetched> trust_list(const std::string& etag) override {
      return server_.give(server_.trust_list, etag);
    }
    Result<identity::Fetched> rules(const std::string& etag) override { return server_.give(server_.rules, etag); }
    Result<identity::Fetched> stop_list(const std::string& etag) override { return server_.give(server_.full, etag); }
    Result<identity::Fetched> stop_list_delta(std::uint64_t, const std::string& etag) override {
      return server_.give(server_.delta, etag);
    }

    Result<identity::TerminalStanding> standing() override {
      if (server_.away) return FakeAuthority::away();
      identity::TerminalStanding standing;
      standing.now = server_.clock;
      return standing;
    }

   private:
    Server& server_;
  };
};

class TrustDataTest : public ::testing::Test {
 protected:
  TrustDataTest() {
    folder_.write("root.crt.pem", region_a().centre.root.to_pem());
    folder_.write("ca.crt.pem", region_a().centre.ca.to_pem());
    files_.roots = {folder_ / "root.crt.pem"};
  }
  Bytes trust_list(std::uint64_t sequence, Time made, Time until, bool with_b = true) {
    crypto::TrustList list;
    list.sequence = sequence;
    list.issued_at = made;
    list.next_update = until;
    for (const Region* region : {&region_a(), &region_b()}) {
      if (region == &region_b() && !with_b) continue;
      const auto entry = [&](crypto::TrustService service, const crypto::Certificate& certificate) {
        crypto::TrustEntry one;
        one.service = service;
        one.name = region->name;
        one.region = region == &region_a() ? "A" : "B";
        one.certificate = certificate.der();
        one.from = certificate.not_before();
        list.entries.push_back(std::move(one));
      };
      entry(crypto::TrustService::document_signer, region->centre.root);
      entry(crypto::TrustService::unqualified_ca, region->centre.ca);
    }
    crypto::SoftwareSigner signer = region_a().centre.service(kListProfile);
    return crypto::testing::must(crypto::sign_trust_list(list, signer));
  }

  std::unique_ptr<TrustData> open() {
    auto data = std::make_unique<TrustData>(
        TrustData::Sources{.files = files_,
                           .folder = folder_ / "state",
                           .connect = on_line_ ? connect_to(server_) : decltype(TrustData::Sources::connect){},
                           .open_rules = rules_opener()},
        clock_, guard_);
    data->on_news([this](const TrustNews& news) { news_.push_back(news); });
    crypto::testing::must(data->load());
    return data;
  }
  RulesOpener rules_opener() {
    if (!rules_) return {};
    // "SEQUENCE words": who really reads rules is the gate's affair.
    return [](ByteView file, const std::vector<crypto::Certificate>& signers, Time at) -> Result<RulesHead> {
      if (signers.empty()) return fail(ErrorKind::untrusted, "nobody is trusted for rules");
      const std::string text(as_text(file));
      if (text.find("forged") != std::string::npos) return fail(ErrorKind::invalid_signature, "forged");
      return RulesHead{std::stoull(text), at - std::chrono::hours(1), at + std::chrono::hours(24)};
    };
  }
  std::string refusals() const {
    std::string all;
    for (const TrustNews& one : news_) {
      if (!one.taken) all += one.words + "\n";
    }
    return all;
  }

  crypto::testing::TemporaryFolder folder_;
  TrustConfig files_;
  FixedClock clock_{crypto::testing::test_time()};
  identity::ClockGuard guard_{{}, {}, [] { return std::chrono::seconds(0); }};
  Server server_;
  bool on_line_ = false, rules_ = false;
  std::vector<TrustNews> news_;
};

}  // namespace karta::daemon::testing
