#include "cli/prompt_pins.h"

#include <gtest/gtest.h>

namespace karta::cli {
namespace {

/// Notes what was asked.
class NotingInput final : public SecretInput {
 public:
  Result<SecretBytes> ask(const SecretRequest& request) override {
    asked.push_back(request);
    return SecretBytes::copy_of("123789");
  }
  std::vector<SecretRequest> asked;
};

TEST(PromptPins, TellsTheTriesLeft) {
  NotingInput input;
  PromptPins pins(input, false);
  card::PinRequest request;
  request.kind = card::PinKind::pin2;
  request.reason = card::PinRequest::Reason::sign;
  request.subject = "contract.pdf";
  request.tries_left = 3;
  ASSERT_TRUE(pins.pin(request));
  EXPECT_EQ(input.asked.back().title, "To sign \"contract.pdf\":");
  EXPECT_EQ(input.asked.back().prompt, "PIN2 (6 to 8 digits)");
  EXPECT_EQ(input.asked.back().warning, "");  // all tries are there
  request.tries_left = 2;
  ASSERT_TRUE(pins.pin(request));
  EXPECT_EQ(input.asked.back().warning, "2 tries are left.");
  request.tries_left = 1;
  request.after_wrong = true;
  ASSERT_TRUE(pins.pin(request));
  EXPECT_EQ(input.asked.back().warning, "That was wrong. This is the last try.");
}

TEST(PromptPins, UnattendedInputIsNeverAskedAgain) {
  NotingInput input;
  PromptPins pins(input, true);
  card::PinRequest request;
  request.after_wrong = true;
  request.tries_left = 2;
  const auto answer = pins.pin(request);
  EXPECT_EQ(answer.error().kind, ErrorKind::wrong_pin);
  EXPECT_NE(answer.error().message.find("tries left: 2"), std::string::npos);
  EXPECT_TRUE(input.asked.empty());
}

TEST(PromptPins, NewPinsAreAskedTwice) {
  NotingInput input;
  PromptPins pins(input, false);
  card::PinRequest request;
  request.reason = card::PinRequest::Reason::change_new;
  ASSERT_TRUE(pins.pin(request));
  EXPECT_TRUE(input.asked.back().repeat);
  request.reason = card::PinRequest::Reason::change_old;
  request.transport = true;
  ASSERT_TRUE(pins.pin(request));
  EXPECT_FALSE(input.asked.back().repeat);
  EXPECT_EQ(input.asked.back().prompt, "transport PIN1 from the letter (5 digits)");
}

}  // namespace
}  // namespace karta::cli
