#include "firmware-sim/os/apdu.h"

namespace karta::os {

bool parse_command(ByteView apdu, Command& out) {
  out = {};
  if (apdu.size() < 4) return false;
  out.cla = apdu[0];
  out.ins = apdu[1];
  out.p1 = apdu[2];
  out.p2 = apdu[3];
  out.head = apdu.first(4);
  const ByteView body = apdu.subspan(4);
  const std::size_t n = body.size();
  if (n == 0) return true;  // case 1

  if (n == 1) {  // case 2S
    out.le_is_max = body[0] == 0;
    out.ne = body[0] == 0 ? 256 : body[0];
    return true;
  }
  if (body[0] != 0) {  // cases 3S and 4S
    const std::size_t nc = body[0];
    if (n != 1 + nc && n != 2 + nc) return false;
    out.head = apdu.first(5);
    out.data = body.subspan(1, nc);
    if (n == 2 + nc) {
      out.le_is_max = body[n - 1] == 0;
      out.ne = body[n - 1] == 0 ? 256 : body[n - 1];
    }
    return true;
  }
  if (n < 3) return false;
  const std::size_t first = read_u16(&body[1]);
  if (n == 3) {  // case 2E
    out.le_is_max = first == 0;
    out.ne = first == 0 ? 65536 : first;
    return true;
  }
  if (first == 0 || (n != 3 + first && n != 5 + first)) return false;
  out.head = apdu.first(7);
  out.data = body.subspan(3, first);  // cases 3E and 4E
  if (n == 5 + first) {
    const std::size_t le = read_u16(&body[n - 2]);
    out.le_is_max = le == 0;
    out.ne = le == 0 ? 65536 : le;
  }
  return true;
}

}  // namespace karta::os
