#include "daemon/citizen/agent_form.h"

#include <gtest/gtest.h>

namespace karta::daemon {
namespace {

Result<AgentForm> parse(std::string_view text) { return AgentForm::parse(as_bytes(text)); }

TEST(AgentForm, TakesWhatThePagePosts) {
  const auto form = parse("csrf=a-b_c&reader=Sim+Reader%2000&can=314159&pin=135790&last=yes&deed=login");
  ASSERT_TRUE(form);
  EXPECT_EQ(form->csrf, "a-b_c");
  EXPECT_EQ(form->reader, "Sim Reader 00");
  EXPECT_TRUE(form->pin.equals(as_bytes("135790")));
  EXPECT_TRUE(form->can.equals(as_bytes("314159")));
  EXPECT_TRUE(form->last_try_known);
  EXPECT_TRUE(form->secrets_are_digits);
  EXPECT_EQ(form->deed, AgentForm::Deed::login);
  const auto bare = parse("csrf=x&deed=give-up");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->deed, AgentForm::Deed::give_up);
  EXPECT_TRUE(bare->pin.empty());
  EXPECT_FALSE(bare->last_try_known);
}

TEST(AgentForm, SecretsAreDigitsOrNothing) {
  for (const char* pin : {"12345a", "1234%356", "12345678901234567", "+123456", "-1"}) {
    const auto form = parse("deed=login&pin=" + std::string(pin));
    ASSERT_TRUE(form) << pin;
    EXPECT_FALSE(form->secrets_are_digits) << pin;
    EXPECT_TRUE(form->pin.empty()) << pin;
  }
}

TEST(AgentForm, RefusesWhatIsNotThePages) {
  for (const char* text : {"", "pin=123456", "deed=login&deed=login", "deed=other", "deed", "deed=login&x=1",
                           "deed=login&last=no", "deed=login&reader=%zz", "deed=login&&csrf=a"}) {
    EXPECT_FALSE(parse(text)) << text;
  }
  EXPECT_EQ(parse("deed=login&reader=" + std::string(5'000, 'a')).error().kind, ErrorKind::limit);
}

}  // namespace
}  // namespace karta::daemon
