// NewestFile: a signed document of which there is one, in a file or at the authority: the trust list, the rules.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "daemon/trust/look.h"

namespace karta::daemon::detail {

class NewestFile {
 public:
  /// Asks the authority for what is newer than `etag` names.
  using Fetch = std::function<Result<identity::Fetched>(const std::string& etag)>;

  /// `kept`: the file in the daemon's folder that what was fetched is kept in. `most_octets`: of such a document.
  NewestFile(TrustItemKind kind, std::string kept, std::size_t most_octets)
      : item_{kind, {}, {}}, kept_(std::move(kept)), most_octets_(most_octets) {}

  const TrustItemId& item() const { return item_; }
  /// What is to be judged: the `configured` file, or what `fetch` (empty: not now) brings, or, with nothing in use,
  /// what was kept. None where there is nothing, or the one that is in use; what cannot be read or had is reported.
  std::optional<Bytes> find(TrustLook& look, const std::optional<std::filesystem::path>& configured, const Fetch& fetch,
                            bool in_use);
  /// Takes what find() gave: `open` checks it and tells its number. False: refused, and reported. The caller puts it
  /// into use and reports it taken.
  bool take(TrustLook& look, const Bytes& octets, const std::function<Result<std::uint64_t>()>& open);
  /// Others may sign it now.
  void look_again() { hash_.clear(); }

 private:
  void refuse(TrustLook& look, const Error& error, std::string_view mark) const;

  const TrustItemId item_;
  const std::string kept_;
  const std::size_t most_octets_;
  std::string etag_;
  std::string hash_;      // of the one in use
  bool fetched_ = false;  // the one that find() gave
};

}  // namespace karta::daemon::detail
