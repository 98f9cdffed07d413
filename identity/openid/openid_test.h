// OpenidTest: the provider in process, and what tests of it have in common. For the tests of this room.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crypto/jose/jws.h"
#include "identity/openid/openid_testing.h"

namespace karta::identity {

class OpenidTest : public testing::Test, protected OpenidFixture {
 protected:
  /// The claims of a JWT of ours, its signature verified with the key its header names.
  nlohmann::json claims_of_jwt(const std::string& jwt, const std::string& type) {
    const auto jws = crypto::testing::must(crypto::Jws::parse(jwt));
    const auto set = crypto::testing::must(crypto::parse_jwk_set(ask({.method = "GET", .path = "/openid/jwks"}).body));
    const crypto::Jwk* const key = set.find(jws.header().kid);
    EXPECT_NE(key, nullptr);
    if (key == nullptr) return nlohmann::json::object();
    EXPECT_TRUE(jws.verify(key->key));
    EXPECT_EQ(jws.header().typ, type);
    return nlohmann::json::parse(jws.payload_text());
  }
  std::size_t access_entries() { return crypto::testing::must(registry->access_log(citizen)).size(); }
  OpenidFixture::Told push_told(const Fields& more, const std::string& client = "portal") {
    Fields form = request_fields(client, more);
    for (auto& one : credentials(client)) form.push_back(one);
    return ask({.path = "/openid/par", .form = form});
  }
  std::string access(const Fields& more = {}, const std::string& client = "portal") {
    return token(code(more, client), {}, client)["access_token"];
  }
  std::string sub_for(const std::string& client) {
    return claims_of_jwt(token(code({}, client), {}, client)["id_token"], "JWT")["sub"];
  }
};

}  // namespace karta::identity
