#include "base/cursor.h"

namespace karta {

Status Cursor::finish() const {
  if (rest_.empty()) return {};
  return fail(ErrorKind::malformed,
              std::to_string(rest_.size()) + " octets left over after offset " + std::to_string(offset()));
}

tl::unexpected<Error> Cursor::short_by(std::size_t wanted) const {
  return fail(ErrorKind::malformed, "ends at offset " + std::to_string(offset() + rest_.size()) + " where " +
                                        std::to_string(wanted) + " octets from " + std::to_string(offset()) +
                                        " on were expected");
}

}  // namespace karta
