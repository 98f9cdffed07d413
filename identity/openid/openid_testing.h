// A provider in process for tests, fuzzing and measurements: a registry with a citizen and an active card, portals with
// their keys, a log-in that does what the test says, and the pieces a relying party makes.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/jose/jwk.h"
#include "crypto/testing.h"
#include "identity/openid/clients.h"
#include "identity/openid/routes.h"

namespace karta::identity {

inline constexpr const char* kTestIssuer = "https://id.example";
inline constexpr const char* kTestMtls = "https://mtls.id.example";
inline constexpr const char* kTestBack = "https://portal.example/back";

using Fields = std::vector<std::pair<std::string, std::string>>;
/// application/x-www-form-urlencoded
std::string form_of(const Fields& fields);
/// The value of a member of the query in `url`; empty: none.
std::string query_value(std::string_view url, std::string_view name);
/// base64url(SHA-256(verifier))
std::string challenge_of(std::string_view verifier);

/// A key of a relying party, and the JWTs it makes.
class PartyKey {
 public:
  explicit PartyKey(crypto::KeyType type = crypto::KeyType::p256);
  std::string jwk() const;
  std::string thumbprint() const;
  /// `header`: further members of the header, JSON without braces.
  std::string sign(std::string_view claims, const std::string& type = "JWT", bool with_jwk = false) const;
  std::string kid;

  crypto::SoftwareSigner& signer() const { return *signer_; }

 private:
  std::unique_ptr<crypto::SoftwareSigner> signer_;
};

/// The log-in: remembers what it was given; the answer is a page.
class ScriptedLogin final : public LoginPort {
 public:
  service::HttpResponse begin(const service::HttpRequest& request, const Interaction& interaction) override;
  service::HttpResponse problem(const service::HttpRequest& request, int status, std::string_view error,
                                std::string_view description) override;
  service::HttpResponse end_session(const service::HttpRequest& request, const LogoutRequest& logout) override;

  std::optional<Interaction> interaction;
  std::optional<LogoutRequest> logout;
  std::string error, description;
};

struct OpenidFixture {
  OpenidFixture();

  struct Asked {
    std::string method = "POST";
    std::string path;
    Fields form = {};  ///< or the query of a GET or HEAD
    std::vector<std::string> fields = {};
    Bytes certificate = {};
    bool mtls = false;
    bool verified = true;  ///< of the certificate: by the listener
    std::string peer = "192.0.2.1";
  };
  struct Told {
    int status = 0;
    std::string fields, body, media_type;
    /// A member of a JSON body as text; a number or an array as JSON; empty: none.
    std::string operator[](std::string_view member) const;
    std::string field(std::string_view name) const;
    std::string error() const { return (*this)["error"]; }
  };
  Told ask(const Asked& asked);

  std::int64_t now() const { return clock.now().time_since_epoch().count(); }
  std::string assertion(const PartyKey& key, const std::string& client, const std::string& more = "");
  std::string dpop(const PartyKey& key, const std::string& method, const std::string& path,
                   const std::string& token = "", const std::string& nonce = "fresh");
  Fields credentials(const std::string& client = "portal");
  Fields request_fields(const std::string& client = "portal", const Fields& more = {});

  /// PAR and authorize: the interaction stands in `login` afterwards.
  std::string push(const Fields& more = {}, const std::string& client = "portal");
  Told authorize(const std::string& request_uri, const std::string& client = "portal");
  /// By a session of the citizen's that lives (made if it is not there, used now).
  Authentication authentication(const std::string& session = "session-1");
  /// As the pages end one: session, tokens and notices in one transaction.
  void end_session(const std::string& session, SessionEnd why = SessionEnd::over);
  void end_all();
  std::int64_t count(const std::string& table);
  /// The whole way to a code, consent and all.
  std::string code(const Fields& more = {}, const std::string& client = "portal");
  Told token(const std::string& code, const Fields& more = {}, const std::string& client = "portal");
  Told userinfo(const std::string& access, const PartyKey& key);
  Told introspect(const std::string& token, const std::string& client = "portal");

  void add_client(const std::string& id, const std::string& more);
  void set_card(CardState state);

  crypto::testing::TemporaryFolder folder;
  FixedClock clock;
  SystemRandom random;
  service::Metrics metrics;
  OpenidConfig config;
  std::shared_ptr<OpenidKeys> keys;
  std::optional<Registry> registry;
  std::optional<service::Database> database;
  std::shared_ptr<service::GroupCommit> writes;
  std::optional<ClientLedger> ledger;
  CitizenId citizen{};
  CardId card{};
  std::map<std::string, PartyKey> party;  ///< clients' keys by client_id
  PartyKey dpop_key, thief_key;
  const std::string verifier = "a-verifier-of-at-least-forty-three-characters-01";
  ScriptedLogin login;
  std::unique_ptr<OpenidRoom> room;
  std::unique_ptr<RoomRoutes> routes, mtls_routes;
  int counter = 0;
};

}  // namespace karta::identity
