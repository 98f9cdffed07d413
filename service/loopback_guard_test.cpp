#include "service/loopback_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace karta::service {
namespace {

using Refusal = LoopbackGuard::Refusal;

HttpRequest request_with(std::vector<HttpField> fields, std::string_view peer = "127.0.0.1") {
  HttpRequest out;
  out.fields = std::move(fields);
  out.peer = peer;
  return out;
}

const LoopbackGuard& guard() {
  static const LoopbackGuard out({"127.0.0.1", "localhost", "[::1]"}, {7710, 7711});
  return out;
}

TEST(LoopbackGuard, ServesThisMachinesProgramsAndItsOwnPages) {
  const std::vector<std::vector<HttpField>> cases = {
      {{"Host", "127.0.0.1:7710"}},
      {{"host", "LocalHost:7711"}},
      {{"Host", "[::1]:7710"}},
      {{"Host", "localhost:7710"}, {"Origin", "http://localhost:7710"}},
      {{"Host", "localhost:7710"}, {"Sec-Fetch-Site", "same-origin"}},
      {{"Host", "localhost:7710"}, {"Sec-Fetch-Site", "none"}},  // typed into the address bar
  };
  for (const auto& fields : cases) {
    EXPECT_FALSE(guard().check(request_with(fields))) << fields.front().value << " " << fields.back().value;
  }
  EXPECT_FALSE(guard().check(request_with({{"Host", "localhost"}}, "unix")));
}

TEST(LoopbackGuard, RefusesEverythingElse) {
  struct Case {
    std::vector<HttpField> fields;
    Refusal refusal;
  };
  const std::vector<Case> cases = {
      // A name that resolves to 127.0.0.1 today.
      {{{"Host", "rebind.example:7710"}}, Refusal::foreign_host},
      {{{"Host", "localhost.example:7710"}}, Refusal::foreign_host},
      {{{"Host", "127.0.0.1.example:7710"}}, Refusal::foreign_host},
      {{{"Host", "localhost:80"}}, Refusal::foreign_host},
      {{{"Host", "localhost"}}, Refusal::foreign_host},
      {{{"Host", "localhost:"}}, Refusal::foreign_host},
      {{{"Host", "localhost:7710x"}}, Refusal::foreign_host},
      {{{"Host", "localhost:77100"}}, Refusal::foreign_host},
      {{{"Host", "localhost:7710"}, {"Host", "localhost:7710"}}, Refusal::foreign_host},
      {{{"Host", ""}}, Refusal::foreign_host},
      {{{"Host", "["}}, Refusal::foreign_host},
      {{{"Host", ":7710"}}, Refusal::foreign_host},
      {{{"Host", "user@localhost:7710"}}, Refusal::foreign_host},
      {{}, Refusal::foreign_host},
      {{{"Host", "localhost:7710"}, {"Origin", "http://page.example"}}, Refusal::foreign_origin},
      {{{"Host", "localhost:7710"}, {"Origin", "null"}}, Refusal::foreign_origin},
      {{{"Host", "localhost:7710"}, {"Origin", ""}}, Refusal::foreign_origin},
      {{{"Host", "localhost:7710"}, {"Origin", "http://localhost"}}, Refusal::foreign_origin},
      {{{"Host", "localhost:7710"}, {"Origin", "http://localhost:7711"}}, Refusal::foreign_origin},
      {{{"Host", "localhost:7710"}, {"Origin", "http://127.0.0.1:7710"}}, Refusal::foreign_origin},
      {{{"Host", "localhost:7710"}, {"Origin", "https://localhost:7710"}}, Refusal::foreign_origin},
      {{{"Host", "localhost:7710"}, {"Origin", "http://localhost:7710/"}}, Refusal::foreign_origin},
      {{{"Host", "localhost:7710"}, {"Origin", "http://localhost:7710"}, {"Origin", "http://page.example"}},
       Refusal::foreign_origin},
      {{{"Host", "localhost:7710"}, {"Sec-Fetch-Site", "cross-site"}}, Refusal::foreign_site},
      {{{"Host", "localhost:7710"}, {"Sec-Fetch-Site", "same-site"}}, Refusal::foreign_site},
      {{{"Host", "localhost:7710"}, {"Sec-Fetch-Site", ""}}, Refusal::foreign_site},
  };
  for (const Case& one : cases) {
    std::string shown;
    for (const HttpField& field : one.fields) shown += std::string(field.name) + ": " + std::string(field.value) + "; ";
    const auto refusal = guard().check(request_with(one.fields));
    ASSERT_TRUE(refusal) << shown;
    EXPECT_EQ(*refusal, one.refusal) << shown;
    EXPECT_FALSE(name_of(*refusal).empty());
    EXPECT_FALSE(words_of(*refusal).empty());
  }
  // On a local socket there is no port, and no page.
  EXPECT_EQ(guard().check(request_with({{"Host", "page.example"}}, "unix")), Refusal::foreign_host);
  EXPECT_EQ(guard().check(request_with({{"Host", "localhost"}, {"Origin", "http://localhost"}}, "unix")),
            Refusal::foreign_origin);
}

TEST(BearerTokens, AreKnownByTheirHashAlone) {
  // sha256("abc"), FIPS 180-4's example.
  EXPECT_EQ(token_hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  BearerTokens tokens;
  EXPECT_TRUE(tokens.empty());
  ASSERT_TRUE(tokens.add("clinic program", token_hash("abc")));
  ASSERT_TRUE(tokens.add("gate", token_hash("def")));
  const auto owner = [&](std::string_view text) {
    const std::string* found = tokens.owner_of(text);
    return found != nullptr ? *found : std::string();
  };
  EXPECT_EQ(owner("Bearer abc"), "clinic program");
  EXPECT_EQ(owner("bearer def"), "gate");
  for (const char* text : {"", "Bearer", "Bearer ", "Bearer  abc", "Bearer abcd", "Bearer ab", "Basic abc", "abc",
                           "Bearer ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}) {
    EXPECT_EQ(owner(text), "") << text;
  }
  EXPECT_EQ(tokens.add("twin", token_hash("abc")).error().kind, ErrorKind::already_exists);
  std::string blanks(61, 'a');
  blanks += " aa";
  std::vector<std::string> bad = {"abc", blanks};
  bad.emplace_back(63, 'a');
  bad.emplace_back(66, 'a');
  bad.emplace_back(64, 'g');
  for (const std::string& hash : bad) {
    EXPECT_EQ(tokens.add("x", hash).error().kind, ErrorKind::malformed) << hash;
  }
}

}  // namespace
}  // namespace karta::service
