// FilterFiles: the looks at filters of other regions' dead certificates.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/trust/look.h"

namespace karta::daemon::detail {

class FilterFiles {
 public:
  /// `look` must outlive it.
  explicit FilterFiles(TrustLook& look) : look_(look) {}

  void look();
  /// Files are judged anew at the next look: a clock may be set right, a signer become known.
  void look_again() { mark_.reset(); }
  void describe(std::vector<TrustItem>& items) const;

 private:
  /// `item` and `epoch` are told as far as they were read, where it fails too.
  Status take(const std::filesystem::path& path, const std::vector<TrustAnchor>& anchors,
              const std::vector<crypto::Certificate>& signers, TrustItemId& item, std::uint64_t& epoch);

  TrustLook& look_;
  std::optional<std::string> mark_;  // of the files looked at last
};

}  // namespace karta::daemon::detail
