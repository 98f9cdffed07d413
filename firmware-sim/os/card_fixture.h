// A card on a chip for tests, and the commands its tests begin with.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "firmware-sim/host/coprocessor.h"
#include "firmware-sim/os/card.h"
#include "firmware-sim/os/test_chip.h"

namespace karta::os {
using Chip = TestChip<sim::Coprocessor>;

constexpr u8 kSerial[kSerialBytes] = {0xA0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09};
constexpr char kEsignAid[] = "A000000063504B43532D3135";

class CardTest : public testing::Test {
 protected:
  CardTest() {
    EXPECT_TRUE(card->format(kSerial));
    EXPECT_TRUE(card->boot(Interface::contact));
  }

  Answer run(const std::string& command) { return send(*card, command); }
  Answer run(const Memory& command) { return send(*card, command); }
  void expect(const std::string& command, u16 sw) {
    const Answer answer = run(command);
    EXPECT_EQ(answer.sw, sw) << command << " answered " << std::hex << answer.sw;
  }
  // Power off and on, on the same memory, with a new operating system object: nothing in RAM survives.
  void restart(Interface interface = Interface::contact) {
    card = std::make_unique<Card>(chip, kDefaultConfig);
    chip.restore_power();
    ASSERT_TRUE(card->boot(interface));
  }

  void select_esign() { expect(std::string("00A404000C") + kEsignAid, 0x9000); }
  void put_pin(int reference, const std::string& value, const std::string& puk, u8 tries = 3, u8 puk_tries = 10,
               u8 options = 0) {
    Memory head = hex("00DA01");
    head.push_back(static_cast<u8>(reference));
    head.push_back(19);
    EXPECT_EQ(run(head + pin(value) + pin(puk) + Memory{tries, puk_tries, options}).sw, 0x9000);
  }
  // CREATE FILE with these file control parameters.
  static std::string create(const std::string& parameters) {
    const Memory fcp = hex(parameters);
    return to_hex(apdu("00E00000", Memory{0x62, static_cast<u8>(fcp.size())} + fcp));
  }
  static std::string size_of(std::size_t n) { return to_hex(Memory{static_cast<u8>(n >> 8), static_cast<u8>(n)}); }
  void create_ef(const std::string& id, u16 size, const std::string& rules = "000FFF") {
    expect(create("8002" + size_of(size) + "820101 8302" + id + "8603" + rules + "8A0100"), 0x9000);
  }
  static std::string key_fcp(const std::string& id, u16 bits, const std::string& rules, const std::string& properties) {
    const std::string kind = bits > 1000 ? "11" : "22";
    return create("8102" + size_of(bits) + "8201" + kind + "8302" + id + "8603" + rules + "8502" + properties +
                  "8A0100");
  }
  void create_key(const std::string& id, u16 bits, const std::string& rules = "0000FF",
                  const std::string& properties = "0000") {
    expect(key_fcp(id, bits, rules, properties), 0x9000);
  }
  void generate() { expect("00460000", 0x9000); }
  void mse(const std::string& crt, const std::string& algorithm, const std::string& id, u16 sw = 0x9000) {
    expect("002241" + crt + "0A 8001" + algorithm + "8102" + id + "840100", sw);
  }
  u16 verify(int reference, const std::string& value) {
    Memory command = hex("002000");
    command.push_back(static_cast<u8>(reference));
    command.push_back(8);
    return run(command + pin(value)).sw;
  }
  u16 status(int reference) { return run(hex("002000") + Memory{static_cast<u8>(reference)}).sw; }
  u16 change(int reference, const std::string& from, const std::string& to) {
    return run(hex("002400") + Memory{static_cast<u8>(reference), 16} + pin(from) + pin(to)).sw;
  }
  u16 unblock(int reference, const std::string& puk, const std::string& to) {
    return run(hex("002C00") + Memory{static_cast<u8>(reference), 16} + pin(puk) + pin(to)).sw;
  }
  u16 change_counter() {
    const Answer answer = run("00CA01A014");
    return answer.data.size() == 20 ? read_u16(answer.data.data() + 18) : 0xFFFF;
  }
  // Signs a hash of 32 octets with the key the environment is set to.
  u16 sign() { return run(hex("002A9E9A20") + Memory(32, 0x5A) + Memory{0}).sw; }

  // A card as an issuing centre leaves it: transport PINs 11111 and 22222, one PUK, a signature key under PIN 1
  // (4B01, P-256), a qualified key under PIN 2 with consent (4B02), a key agreement key (4B03), a certificate file.
  void issue() {
    select_esign();
    put_pin(1, "11111", "", 3, 0, 0x03);
    put_pin(2, "22222", "", 3, 0, 0x03);
    EXPECT_EQ(run(hex("00DA010F0B") + text("1234567890") + Memory{10}).sw, 0x9000);
    create_key("4B01", 256, "11F1FF", "0001");
    generate();
    create_key("4B02", 256, "22F2FF", "2001");
    generate();
    create_key("4B03", 256, "11F1FF", "0004");
    generate();
    create_key("4B04", 2048, "11F1FF", "0002");
    generate();
    create_ef("4301", 600, "01FFFF");
    expect(std::string("004404000C") + kEsignAid, 0x9000);
    expect("0044000002 3F00", 0x9000);
    restart();
    select_esign();
  }
  void issue_with_own_pins() {
    issue();
    ASSERT_EQ(change(1, "11111", "123456"), 0x9000);
    ASSERT_EQ(change(2, "22222", "654321"), 0x9000);
  }

  Chip chip;
  std::unique_ptr<Card> card = std::make_unique<Card>(chip, kDefaultConfig);
};

}  // namespace karta::os
