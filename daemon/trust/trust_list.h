// TrustListFile: the looks at the national trust list, and whom it makes trusted.
#pragma once

#include "daemon/trust/newest_file.h"

namespace karta::daemon::detail {

class TrustListFile {
 public:
  /// `look` must outlive it.
  explicit TrustListFile(TrustLook& look);

  /// `fetch`: at the authority too. Without a root there is no list.
  void look(bool fetch);
  /// Brings the anchors to those of now. True: others may sign lists and rules than could before.
  bool derive_anchors();
  void describe(std::vector<TrustItem>& items) const;

 private:
  TrustLook& look_;
  NewestFile file_;
};

}  // namespace karta::daemon::detail
