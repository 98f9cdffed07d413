// LoginPagesTest: a browser, a citizen with a card, and every way from the log-in's page to the one behind it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "identity/login/accounts.h"
#include "identity/login/login_testing.h"
#include "identity/login/totp.h"

namespace karta::identity {

inline const Cause kCause{"test", "because"};

class LoginPagesTest : public testing::Test {
 protected:
  /// From the page with the ways in to the agent: what the agent gets.
  AgentAnswer to_agent(TestBrowser& with, const service::HttpResponse& page, std::string_view verb = "login") {
    const std::string link = attribute_after(text_of(page), "button main", verb == "login" ? "href" : "data-hello");
    const service::HttpResponse sent = with.get(link);
    EXPECT_EQ(sent.status, 303) << text_of(sent);
    EXPECT_THAT(location_of(sent),
                testing::StartsWith("http://127.0.0.1:8471/agent/" + std::string(verb) + "?request="));
    return read_agent_request(location_of(sent));
  }
  service::HttpResponse answer(TestBrowser& with, const AgentAnswer& agent, const TestCard& card) {
    const std::string token = token_of(card, agent.origin, agent.nonce);
    return with.get("/login/answer?state=" + agent.state + "&token=" + to_base64url(as_bytes(token)));
  }
  /// The whole way by card for an interaction that waits.
  service::HttpResponse by_card(TestBrowser& with, const std::string& id, const TestCard& card) {
    const service::HttpResponse page = with.begin(world.provider.waiting.at(id));
    return answer(with, to_agent(with, page), card);
  }
  /// Straight to the citizen's page.
  void log_in(TestBrowser& with, const TestCard& card) {
    const service::HttpResponse page = with.get("/login");
    const service::HttpResponse in = answer(with, to_agent(with, page), card);
    ASSERT_EQ(in.status, 303) << text_of(in);
    ASSERT_EQ(location_of(in), "/me");
  }
  /// The whole way by code, of an account just made, from the page with the ways in.
  service::HttpResponse by_code(TestBrowser& with, const std::string& page) {
    Accounts accounts(world.database, world.keys->secret, world.clock, world.random);
    const SecretBytes secret = must(accounts.enrol(world.citizen, "sample", {}, {"operator:1", "at the counter"}));
    const service::HttpResponse named = with.post(
        "/login/name",
        {{"csrf", hidden_value(page, "csrf")}, {"ticket", hidden_value(page, "ticket")}, {"login", "sample"}});
    EXPECT_EQ(named.status, 303) << text_of(named);
    const std::string asked = text_of(with.get(location_of(named)));
    const SecretBytes code = totp_code(secret, totp_step(world.clock.now()));
    return with.post("/login/code", {{"csrf", hidden_value(asked, "csrf")},
                                     {"ticket", hidden_value(asked, "ticket")},
                                     {"challenge", hidden_value(asked, "challenge")},
                                     {"code", std::string(code.expose_secret_text())}});
  }
  void log_in_by_code(TestBrowser& with) {
    const service::HttpResponse in = by_code(with, text_of(with.get("/login")));
    ASSERT_EQ(in.status, 303) << text_of(in);
    ASSERT_EQ(location_of(in), "/me");
  }
  std::vector<std::string> deeds_of(const TestCard& card) {
    std::vector<std::string> out;
    for (const Event& one : must(world.registry.events_of(world.citizen))) {
      if (one.card == card.card.id && one.kind == "login-refused") out.push_back(one.to);
    }
    return out;
  }

  LoginWorld world;
  TestBrowser browser{world};
};

}  // namespace karta::identity
