// Events: numbered, kept for who comes back, and no longer sent to who is gone.
#include "daemon/events.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace karta::daemon {
namespace {

TEST(EventHub, WhoComesBackGetsWhatWasMissed) {
  FixedClock clock(Time{std::chrono::seconds(1'780'000'000)});
  EventHub hub(clock, 100);
  hub.publish("a", {{"x", 1}});
  hub.publish("b", Json::object());
  EXPECT_EQ(hub.last(), 101u);
  std::vector<std::uint64_t> seen;
  hub.listen(100, [&](const Event& event) {
    seen.push_back(event.number);
    return event.number < 102;
  });
  hub.publish("c", Json::object());
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{101, 102}));
  // Who wanted no more gets no more.
  hub.publish("d", Json::object());
  EXPECT_EQ(seen.size(), 2u);
}

TEST(EventHub, WhoIsGoneIsNoticed) {
  FixedClock clock(Time{});
  EventHub hub(clock);
  bool here = true;
  int called = 0;
  hub.listen(0, [&](const Event&) {
    ++called;
    return here;
  });
  hub.pulse();
  EXPECT_EQ(called, 1);
  here = false;
  hub.pulse();
  EXPECT_EQ(called, 2);
  hub.pulse();
  EXPECT_EQ(called, 2);
}

TEST(EventHub, KeepsSoManyAndNoMore) {
  FixedClock clock(Time{});
  EventHub hub(clock);
  for (std::size_t i = 0; i < EventHub::kKept + 5; ++i) hub.publish("a", Json::object());
  std::size_t seen = 0;
  std::uint64_t first = 0;
  hub.listen(0, [&](const Event& event) {
    if (seen++ == 0) first = event.number;
    return true;
  });
  EXPECT_EQ(seen, EventHub::kKept);
  EXPECT_EQ(first, 6u);
}

TEST(EventHub, AsTheStreamHasThem) {
  FixedClock clock(Time{std::chrono::seconds(0)});
  EventHub hub(clock);
  std::string text;
  hub.listen(0, [&](const Event& event) {
    text += to_stream(event);
    return true;
  });
  hub.publish("card-in", {{"reader", "A\nB"}});
  hub.pulse();
  EXPECT_EQ(text,
            "id: 1\nevent: card-in\ndata: {\"schema\":\"karta.kartad.event/1\",\"number\":1,\"kind\":\"card-in\","
            "\"time\":\"1970-01-01T00:00:00Z\",\"reader\":\"A\\nB\"}\n\n:\n\n");
}

}  // namespace
}  // namespace karta::daemon
