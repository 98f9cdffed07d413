#include "daemon/trust/newest_file.h"

#include "base/file.h"
#include "daemon/trust/files.h"

namespace karta::daemon::detail {

void NewestFile::refuse(TrustLook& look, const Error& error, std::string_view mark) const {
  look.report.refused(item_, 0, error.message, mark);
}

std::optional<Bytes> NewestFile::find(TrustLook& look, const std::optional<std::filesystem::path>& configured,
                                      const Fetch& fetch, bool in_use) {
  std::optional<Bytes> octets;
  fetched_ = false;
  if (configured) {
    auto read = read_file(*configured, most_octets_);
    if (!read) {
      refuse(look, read.error(), name_of(item_.kind));
      return std::nullopt;
    }
    octets = std::move(*read);
  } else {
    if (fetch) {
      auto got = fetch(etag_);
      if (!got) {
        refuse(look, got.error(), name_of(item_.kind));
      } else if (got->changed) {
        octets = std::move(got->octets);
        etag_ = got->etag;
        fetched_ = true;
      } else {
        look.report.cured(item_);
      }
    }
    if (!octets && !in_use) {
      auto kept = read_file(look.state(kept_), most_octets_);
      if (kept) octets = std::move(*kept);
    }
  }
  if (octets && sha256_hex(*octets) == hash_) {
    look.report.cured(item_);
    return std::nullopt;
  }
  return octets;
}

bool NewestFile::take(TrustLook& look, const Bytes& octets, const std::function<Result<std::uint64_t>()>& open) {
  const std::string hash = sha256_hex(octets);
  const auto attempt = [&]() -> Status {
    const std::uint64_t number = TRY(open());
    TRY(look.seen.check(item_, number, hash));
    if (fetched_) TRY(replace_file(look.state(kept_), octets, 0600));
    return look.seen.remember(item_, number, hash);
  };
  if (const Status taken = attempt(); !taken) {
    refuse(look, taken.error(), hash);
    return false;
  }
  hash_ = hash;
  return true;
}

}  // namespace karta::daemon::detail
