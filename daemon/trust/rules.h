// RulesFile: the looks at a gate's rules.
#pragma once

#include <optional>

#include "daemon/trust/newest_file.h"

namespace karta::daemon::detail {

class RulesFile {
 public:
  /// `look` must outlive it.
  explicit RulesFile(TrustLook& look);

  /// `fetch`: at the authority too.
  void look(bool fetch);
  /// Others may sign them now.
  void look_again() { file_.look_again(); }
  void describe(std::vector<TrustItem>& items) const;

 private:
  TrustLook& look_;
  NewestFile file_;
  std::optional<RulesHead> head_;
  bool none_ = false;  // the authority says that it has none
};

}  // namespace karta::daemon::detail
