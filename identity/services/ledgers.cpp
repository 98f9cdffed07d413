#include "identity/services/ledgers.h"

#include <sys/stat.h>

#include "base/file.h"
#include "crypto/x509/authority.h"
#include "identity/certificate_ledger.h"

namespace karta::identity {
namespace {

/// A folder of `karta ca`: its journal is read anew whenever the file has changed.
class FolderLedger final : public crypto::AuthorityLedger {
 public:
  FolderLedger(std::filesystem::path folder, crypto::Authority authority, const Clock& clock)
      : folder_(std::move(folder)), authority_(std::move(authority)), clock_(&clock) {}

  Status add(const crypto::Certificate&, std::string_view) override {
    return fail(ErrorKind::unsupported, "certificates of \"" + folder_.string() + "\" are issued by karta ca");
  }
  Status revoke(ByteView serial, crypto::CrlReason reason) override {
    return authority_.revoke(serial, reason, *clock_);
  }
  Result<crypto::OcspState> state_of(ByteView serial) override {
    TRY(refresh());
    return authority_.state_of(serial);
  }
  Result<std::uint64_t> revision() override {
    TRY(refresh());
    return revision_;
  }
  Result<crypto::Crl> issue_crl(const crypto::CrlPlan& plan, const crypto::Certificate&,
                                crypto::Signer& signer) override {
    return authority_.issue_crl(plan, signer, *clock_);
  }
  Result<std::optional<crypto::Crl>> last_crl(const crypto::CrlPlan& plan) override {
    TRY(refresh());
    return authority_.last_crl(plan);
  }
  Result<bool> changed_since(std::uint64_t crl_number) override {
    TRY(refresh());
    bool out = false;
    TRY(for_each([&](const crypto::IssuedCertificate& one) -> Status {
      out = out || ((one.revoked_at || one.released) && one.changed_after >= crl_number);
      return {};
    }));
    return out;
  }
  Status for_each(const std::function<Status(const crypto::IssuedCertificate&)>& use) override {
    TRY(refresh());
    return authority_.for_each_issued(use);
  }

 private:
  Status refresh() {
    // The journal only ever grows (a torn end aside), so its length tells; its time is there for the torn end.
    struct stat about {};
    if (::stat((folder_ / "journal.jsonl").c_str(), &about) != 0) {
      return fail(ErrorKind::io, "the journal of \"" + folder_.string() + "\" cannot be looked at");
    }
    const std::pair seen(about.st_size, about.st_mtim.tv_sec * 1'000'000'000LL + about.st_mtim.tv_nsec);
    if (seen == seen_) return {};
    authority_ = TRY(crypto::Authority::open(folder_));
    seen_ = seen;
    // The same for every ledger on this journal.
    revision_ = static_cast<std::uint64_t>(seen.first) * 0x9E3779B97F4A7C15u ^ static_cast<std::uint64_t>(seen.second);
    return {};
  }

  std::filesystem::path folder_;
  crypto::Authority authority_;
  const Clock* clock_;
  std::pair<off_t, long long> seen_{-1, 0};
  std::uint64_t revision_ = 0;
};

}  // namespace

Result<crypto::Certificate> read_ca_certificate(const CaConfig& authority) {
  const Bytes octets = TRY(read_file(authority.certificate, crypto::Certificate::kMostOctets));
  auto certificate = crypto::Certificate::from_file_octets(octets);
  if (certificate) return certificate;
  return fail(ErrorKind::configuration, "\"" + authority.certificate.string() + "\": " + certificate.error().message);
}

Result<std::shared_ptr<crypto::AuthorityLedger>> open_ledger(const CaConfig& authority, const std::string& database,
                                                             const crypto::Certificate& certificate,
                                                             const Clock& clock) {
  if (authority.authority) {
    crypto::Authority folder = TRY(crypto::Authority::open(*authority.authority));
    if (!(folder.certificate() == certificate)) {
      return fail(ErrorKind::configuration, "\"" + authority.certificate.string() + "\" is not the certificate of \"" +
                                                authority.authority->string() + "\"");
    }
    return std::make_shared<FolderLedger>(*authority.authority, std::move(folder), clock);
  }
  return TRY(open_certificate_ledger(database, certificate.subject().to_text(),
                                     {.actor = "karta-identity", .reason = "serve"}, clock, true));
}

}  // namespace karta::identity
