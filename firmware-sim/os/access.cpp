#include "firmware-sim/os/access.h"

#include "firmware-sim/os/system.h"

namespace karta::os {

bool System::visible(const File& file) const {
  return !exposed() || file.slot == kMasterFileSlot || file.channel.read.condition() == ChannelCondition::free;
}

Password System::channel_password() const {
  return channel_is(ChannelKind::pace) || channel_is(ChannelKind::eac) ? security.password() : Password::none;
}

bool System::channel_satisfies(const File& file, const ChannelRule& rule) {
  const bool owner = require_administrator(file) == Sw::ok && issued();
  if (owner && (rule.octet & kOrIssuer) != 0) return true;
  const bool channel_open = (channel_password() != Password::none && !security.transport()) || owner;
  switch (rule.condition()) {
    case ChannelCondition::usual:
      return !issued() || interface == Interface::contact || channel_open;
    case ChannelCondition::free:
      return true;
    case ChannelCondition::channel:
      return channel_open;
    case ChannelCondition::role:
      return channel_is(ChannelKind::eac) && security.has_right(rule.right);
    case ChannelCondition::terminal:
      return channel_password() != Password::none && security.terminal() != TerminalType::none;
    case ChannelCondition::sector:
      return channel_is(ChannelKind::eac) && security.has_sector_right(rule.right);
    case ChannelCondition::never:
      break;
  }
  return false;
}

bool System::in_identity_application() {
  File file;
  return application < Files::kSlots && files.load(application, file) == Sw::ok && file.id == kIdentityFileId &&
         file.parent == kMasterFileSlot;
}

}  // namespace karta::os
