#include "identity/openid/routes.h"

#include "identity/openid/endpoints.h"

namespace karta::identity {

struct OpenidRoom::Impl {
  OpenidCore core;
  OpenidProvider provider;

  Impl(const OpenidConfig& config, std::shared_ptr<const OpenidKeys> keys, const RoomSurroundings& around)
      : core(config, std::move(keys), around), provider(core) {}
};

OpenidRoom::OpenidRoom(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OpenidRoom::~OpenidRoom() = default;

Result<std::unique_ptr<OpenidRoom>> OpenidRoom::open(const OpenidConfig& config, std::shared_ptr<const OpenidKeys> keys,
                                                     const RoomSurroundings& around) {
  if (keys->algorithms(around.clock.now()).empty()) {
    return fail(ErrorKind::configuration, "no [[openid.key]] signs yet: each has a \"from\" that is still to come");
  }
  return std::unique_ptr<OpenidRoom>(new OpenidRoom(std::make_unique<Impl>(config, std::move(keys), around)));
}

Provider& OpenidRoom::provider() { return impl_->provider; }

std::unique_ptr<RoomRoutes> OpenidRoom::routes(LoginPort* login, bool mtls) {
  return std::make_unique<OpenidEndpoints>(impl_->core, impl_->provider, login, mtls);
}

}  // namespace karta::identity
