#include "identity/services/rooms.h"

#include <array>
#include <optional>

#include "identity/citizen_pages/citizen_routes.h"
#include "identity/console/console_routes.h"
#include "identity/openid/routes.h"
#include "identity/requests/routes.h"

namespace karta::identity {
namespace {

enum class Room : std::uint8_t { openid, login, citizen, console, requests };
constexpr std::size_t kRooms = 5;

struct Prefix {
  std::string_view path;
  Room room;
};
/// The first that fits; a prefix without a slash at its end stands for a whole segment.
constexpr std::array<Prefix, 10> kPrefixes = {{
    {"/openid/", Room::openid},
    {"/.well-known/openid-configuration", Room::openid},
    {"/.well-known/oauth-authorization-server", Room::openid},
    {"/login", Room::login},
    {"/consent", Room::login},
    {"/logout", Room::login},
    {"/assets/", Room::login},
    {"/me", Room::citizen},
    {"/console", Room::console},
    {"/v1/requests", Room::requests},
}};

/// Null: no room's.
const Prefix* prefix_of(std::string_view path) {
  for (const Prefix& one : kPrefixes) {
    if (!path.starts_with(one.path)) continue;
    const std::string_view rest = path.substr(one.path.size());
    if (one.path.back() != '/' && !rest.empty() && rest.front() != '/') continue;
    return &one;
  }
  return nullptr;
}

bool any_room(const ServerConfig& config) { return config.openid || config.requests; }

}  // namespace

Result<RoomKeys> open_room_keys(const ServerConfig& config) {
  RoomKeys out;
  if (!any_room(config)) return out;
  out.writes = TRY(service::GroupCommit::open(config.database));
  if (config.openid) {
    auto openid = std::make_shared<OpenidKeys>();
    SecretBytes secret = TRY(read_secret_file(config.openid->secret_file));
    TRY(openid->set_secret(secret));
    for (const OpenidKeyConfig& one : config.openid->keys) {
      auto key = std::make_shared<const ServiceKey>(TRY(ServiceKey::open(one.key)));
      const auto signer = TRY(key->signer());
      TRY(openid->add(one, signer->public_key(), [key] { return key->signer(); }));
    }
    out.openid = std::move(openid);
  }
  if (config.login) out.login = TRY(open_login_keys(*config.login));
  if (config.requests) {
    out.requests = std::make_shared<const ServiceKey>(TRY(ServiceKey::open(config.requests->key)));
  }
  return out;
}

struct Rooms::Impl {
  SystemRandom random;
  std::optional<Registry> registry;
  std::optional<service::Database> database;
  // Those below stand on those above.
  std::unique_ptr<OpenidRoom> openid;
  std::array<std::unique_ptr<RoomRoutes>, kRooms> routes;
};

Rooms::Rooms(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Rooms::~Rooms() = default;

Result<std::unique_ptr<Rooms>> Rooms::open(const ServerConfig& config, const RoomKeys& keys,
                                           const Surroundings& around) {
  if (!any_room(config)) return std::unique_ptr<Rooms>();
  auto impl = std::make_unique<Impl>();
  impl->registry.emplace(TRY(Registry::open(config.database, around.clock, impl->random, service::kServingDatabase)));
  impl->database.emplace(TRY(service::Database::open(config.database, service::kServingDatabase)));
  const RoomSurroundings room{around.clock,    impl->random,    around.metrics,
                              *impl->registry, *impl->database, *keys.writes};
  const auto slot = [&](Room which) -> std::unique_ptr<RoomRoutes>& {
    return impl->routes[static_cast<std::size_t>(which)];
  };
  if (config.openid) {
    impl->openid = TRY(OpenidRoom::open(*config.openid, keys.openid, room));
    LoginPort* pages = nullptr;
    if (config.login) {
      auto login =
          TRY(LoginRoutes::open(*config.login, keys.login, room, impl->openid->provider(),
                                {.consent_life = config.openid->consent_life, .asks_certificates = around.mtls}));
      pages = login.get();
      slot(Room::login) = std::move(login);
      if (!around.mtls) slot(Room::citizen) = open_citizen_routes(*config.login, room, impl->openid->provider());
    }
    slot(Room::openid) = impl->openid->routes(pages, around.mtls);
  }
  if (config.console) {
    const std::string& address = config.login->address;
    slot(Room::console) = TRY(open_console_routes(*config.console, config.database,
                                                  {around.mtls ? config.openid->mtls_address : address, address,
                                                   config.login->sessions, ending_of(impl->openid->provider())},
                                                  room));
  }
  if (config.requests) {
    auto signer = TRY(keys.requests->signer());
    slot(Room::requests) = TRY(open_request_routes(*config.requests, std::move(signer), room));
  }
  return std::unique_ptr<Rooms>(new Rooms(std::move(impl)));
}

RoomRoutes* Rooms::find(std::string_view path) {
  const Prefix* const found = prefix_of(path);
  return found == nullptr ? nullptr : impl_->routes[static_cast<std::size_t>(found->room)].get();
}

bool Rooms::judges_certificates(std::string_view path) {
  const Prefix* const found = prefix_of(path);
  return found != nullptr && (found->room == Room::login || found->room == Room::openid);
}

std::vector<std::string> Rooms::problems() {
  std::vector<std::string> out;
  for (const auto& room : impl_->routes) {
    if (!room) continue;
    for (std::string& one : room->problems()) out.push_back(std::move(one));
  }
  return out;
}

void Rooms::measure() {
  for (const auto& room : impl_->routes) {
    if (room) room->measure();
  }
}

}  // namespace karta::identity
