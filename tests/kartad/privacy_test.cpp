// What a role may not read does not leave the card; what it may read leaves it under encryption, and is in no journal,
// event or file of the daemon's.
#include <cctype>
#include <filesystem>

#include "tests/kartad/daemon_fixture.h"

namespace karta::test {
namespace {

bool holds(ByteView octets, std::string_view planted) {
  return as_text(octets).find(planted) != std::string_view::npos;
}

/// As a word of its own: six digits stand in a hash in hexadecimal by chance.
bool holds_number(ByteView octets, std::string_view digits) {
  const std::string_view text = as_text(octets);
  const auto joins = [&](std::size_t at) {
    return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at]));
  };
  for (std::size_t at = text.find(digits); at != std::string_view::npos; at = text.find(digits, at + 1)) {
    if ((at == 0 || !joins(at - 1)) && !joins(at + digits.size())) return true;
  }
  return false;
}

TEST(Privacy, PlantedValuesAreSearchedInTrafficAndFiles) {
  IdentityCard card{IdentityCardOptions{.card_signed = true, .portrait = true}};
  TestDaemon kartad;
  ASSERT_TRUE(kartad.start());
  ASSERT_TRUE(kartad.saw("reader-added"));
  std::vector<Bytes> traffic;
  kartad.readers.insert(std::string(TestDaemon::kReader), contactless(card, [&](ByteView command, Bytes answer) {
                          traffic.push_back(to_bytes(command));
                          traffic.push_back(answer);
                          return answer;
                        }));
  ASSERT_TRUE(kartad.readers.await_taken());
  const auto visit = kartad.post("/v1/visits", {{"purpose", "treatment"}, {"can", kCan}});
  ASSERT_EQ(visit.status, 201) << visit.text;
  const auto portrait = kartad.get("/v1/visits/" + visit.body["id"].get<std::string>() + "/portrait");
  ASSERT_EQ(portrait.status, 200) << portrait.text;
  const std::size_t of_the_clinic = traffic.size();
  const auto pharmacy = kartad.post("/v1/entitlements", {{"can", kCan}});
  ASSERT_EQ(pharmacy.status, 200) << pharmacy.text;

  // Out of the middle of the holder's picture.
  const Bytes jpeg = sample_portrait();
  const std::string picture(as_text(ByteView(jpeg).subspan(jpeg.size() / 2, 24)));
  EXPECT_NE(portrait.text.find(picture), std::string::npos);
  EXPECT_EQ(visit.text.find(picture), std::string::npos);
  EXPECT_EQ(pharmacy.text.find(picture), std::string::npos);

  // The holder's data, some of them this role's to read: none travels in the clear.
  const std::vector<std::string> planted = {"Sampletown",     "Sample Street",  "Testovich", "Beforehand", "penicillin",
                                            "Sample Insurer", "Sample Contact", "A10BA02",   picture};
  for (const std::string& one : planted) {
    for (const Bytes& octets : traffic) EXPECT_FALSE(holds(octets, one)) << one << " on the wire";
  }
  // What the role has no right to is in no answer.
  for (const std::string one : {"Sampletown", "Sample Street", "Beforehand"}) {
    EXPECT_EQ(visit.text.find(one), std::string::npos) << one;
    EXPECT_EQ(pharmacy.text.find(one), std::string::npos) << one;
  }
  EXPECT_EQ(pharmacy.text.find("penicillin"), std::string::npos);
  EXPECT_EQ(pharmacy.text.find("Sample Insurer"), std::string::npos);
  // Nor is it asked for: READ BINARY by short identifier goes to the groups the role reads alone. (The header is not
  // encrypted.) 17 is the residence, 13 the name at birth; the portrait is the clinic's to read, and not a pharmacy's.
  const auto asked_for = [&](unsigned group, std::size_t from, std::size_t to) {
    std::size_t times = 0;
    for (std::size_t at = from; at < to; at += 2) {
      times += traffic[at].size() >= 4 && traffic[at][1] == 0xB0 && traffic[at][2] == (0x80 | group) ? 1 : 0;
    }
    return times;
  };
  for (const unsigned group : {13u, 17u}) EXPECT_EQ(asked_for(group, 0, traffic.size()), 0u) << group;
  EXPECT_EQ(asked_for(card::kPortraitGroup, 0, of_the_clinic), 1u);
  EXPECT_EQ(asked_for(card::kPortraitGroup, of_the_clinic, traffic.size()), 0u);
  kartad.stop();
  EXPECT_TRUE(holds_number(as_bytes("{\"can\":\"314159\"}"), kCan)) << "else nothing would be found";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kartad.folder / "state")) {
    if (!entry.is_regular_file()) continue;
    const auto content = read_file(entry.path(), 64u << 20);
    ASSERT_TRUE(content);
    for (const std::string& one : planted) EXPECT_FALSE(holds(*content, one)) << one << " in " << entry.path();
    EXPECT_FALSE(holds_number(*content, kCan)) << "the CAN in " << entry.path();
  }
}

}  // namespace
}  // namespace karta::test
