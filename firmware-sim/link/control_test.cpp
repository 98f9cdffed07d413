#include "firmware-sim/link/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "firmware-sim/link/test_reader.h"

namespace karta::sim {
namespace {

namespace files = std::filesystem;

TEST(ParseControl, ReadsEveryVerb) {
  EXPECT_EQ(parse_control("insert")->verb, ControlVerb::insert);
  EXPECT_EQ(parse_control("insert")->card, 1u);
  EXPECT_EQ(parse_control("  remove 3 ")->card, 3u);
  EXPECT_EQ(parse_control("remove 3\r")->verb, ControlVerb::remove);
  EXPECT_EQ(parse_control("swap 2 my other card")->image, "my other card");
  EXPECT_EQ(parse_control("swap x")->image, "x");
  EXPECT_EQ(parse_control("reset")->verb, ControlVerb::reset);
  EXPECT_EQ(parse_control("status")->verb, ControlVerb::status);
  EXPECT_EQ(parse_control("quit")->verb, ControlVerb::quit);
  const auto cut = parse_control("cut-power 4 write=7 command=2");
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->card, 4u);
  EXPECT_EQ(cut->cut.command, 2u);
  EXPECT_EQ(cut->cut.write, 7u);
  EXPECT_EQ(parse_control("cut-power")->cut.command, 1u);
}

TEST(ParseControl, SaysWhatIsWrong) {
  for (const char* bad : {"", "explode", "insert x", "insert 1 2", "swap", "swap 2", "cut-power command=0",
                          "cut-power command=", "cut-power writes=1", "remove write=1", "insert 99999999999"}) {
    const auto command = parse_control(bad);
    ASSERT_FALSE(command) << bad;
    EXPECT_EQ(command.error().kind, ErrorKind::usage);
    EXPECT_FALSE(command.error().hint.empty());
  }
}

class ControlDoorTest : public testing::Test {
 protected:
  ControlDoorTest()
      : farm([this](const std::string& image) -> Result<std::unique_ptr<CardDevice>> {
          if (image != "other") return fail(ErrorKind::not_found, "cannot open \"" + image + "\"");
          return std::unique_ptr<CardDevice>(std::make_unique<TestCard>(2, log));
        }) {
    std::string name = (files::temp_directory_path() / "karta-control-XXXXXX").string();
    folder = ::mkdtemp(name.data());
    farm.patience = kTestPatience;
  }
  ~ControlDoorTest() override { files::remove_all(folder); }
  void SetUp() override {
    reader.start();
    farm.add(std::make_unique<ReaderLink>(1, reader.address, std::make_unique<TestCard>(1, log), nullptr));
    ASSERT_TRUE(reader.accept());
    ASSERT_TRUE(farm.card(1).wait_for(LinkState::connected, kTestPatience));
    auto opened = ControlDoor::open(path(), farm, [this] { quit.set_value(); });
    ASSERT_TRUE(opened) << opened.error().message;
    door = std::move(*opened);
  }
  std::string path() const { return (folder / "control").string(); }
  // Sends a command while the reader takes the card that comes, switches it on and asks for its name.
  Result<std::string> ask_and_take_card(const std::string& line) {
    auto answer = std::async(std::launch::async, [&] { return ask_control(path(), line); });
    EXPECT_FALSE(reader.receive()) << "the card in the reader leaves";
    reader.eject();
    EXPECT_TRUE(reader.accept());
    reader.switch_on();
    return answer.get();
  }

  files::path folder;
  TestReader reader;
  TestCardLog log;
  CardFarm farm;
  std::promise<void> quit;
  std::unique_ptr<ControlDoor> door;
};

TEST_F(ControlDoorTest, TellsHowTheCardsAre) {
  const auto status = ask_control(path(), "status");
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(*status, "card 1: reader 1000 slot 0, in the reader, not noticed yet, 0 commands\n");
}

TEST_F(ControlDoorTest, RemovesAndSwaps) {
  const auto swapped = ask_and_take_card("swap other");
  ASSERT_TRUE(swapped) << swapped.error().message;
  EXPECT_EQ(reader.ask(Bytes{4}), (Bytes{0x3B, 2}));
  ASSERT_TRUE(ask_control(path(), "remove 1"));
  EXPECT_FALSE(reader.receive());
  EXPECT_THAT(*ask_control(path(), "status"), testing::HasSubstr("out of the reader"));
}

TEST_F(ControlDoorTest, KeepsTheCardWhenTheOtherOneCannotBeLoaded) {
  const auto swapped = ask_control(path(), "swap nothing");
  ASSERT_FALSE(swapped);
  EXPECT_THAT(swapped.error().message, testing::HasSubstr("cannot open \"nothing\""));
  EXPECT_EQ(reader.ask(Bytes{4}), (Bytes{0x3B, 1}));
}

TEST_F(ControlDoorTest, SaysWhatIsWrong) {
  EXPECT_THAT(ask_control(path(), "remove 2").error().message, testing::HasSubstr("there is no card 2"));
  EXPECT_THAT(ask_control(path(), "dance").error().message, testing::HasSubstr("unknown command \"dance\""));
  EXPECT_FALSE(ask_control(path(), std::string(10'000, 'x')));
  EXPECT_EQ(ask_control((folder / "nobody").string(), "status").error().kind, ErrorKind::not_found);
}

TEST_F(ControlDoorTest, SaysWhenNoReaderTakesTheCard) {
  farm.patience = std::chrono::milliseconds(1);
  ASSERT_TRUE(farm.card(1).wait_for(LinkState::connected, kTestPatience));
  const auto answer = ask_control(path(), "insert");
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, testing::HasSubstr("the reader has not taken notice of it"));
}

TEST_F(ControlDoorTest, Quits) {
  ASSERT_TRUE(ask_control(path(), "quit"));
  EXPECT_EQ(quit.get_future().wait_for(kTestPatience), std::future_status::ready);
}

TEST_F(ControlDoorTest, IsForItsOwnerAndGoesAway) {
  struct stat state {};
  ASSERT_EQ(::lstat(path().c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0077, 0u);
  EXPECT_EQ(ControlDoor::open(path(), farm, [] {}).error().kind, ErrorKind::already_exists);
  door.reset();
  EXPECT_FALSE(files::exists(path()));
}

TEST_F(ControlDoorTest, ReplacesWhatAKilledSimulatorLeftButNothingElse) {
  const std::string left = (folder / "left").string();
  {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    left.copy(address.sun_path, sizeof address.sun_path - 1);
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::close(socket);
  }
  EXPECT_TRUE(ControlDoor::open(left, farm, [] {}));
  std::ofstream(left) << "a file";
  EXPECT_EQ(ControlDoor::open(left, farm, [] {}).error().kind, ErrorKind::already_exists);
  EXPECT_TRUE(files::exists(left));
  EXPECT_FALSE(ControlDoor::open(std::string(200, 'x'), farm, [] {}));
}

}  // namespace
}  // namespace karta::sim
