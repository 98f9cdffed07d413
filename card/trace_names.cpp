#include "card/trace_names.h"

#include <array>

#include "base/tlv.h"

namespace karta::card {
namespace {

enum class Family : std::uint8_t { interindustry, proprietary };

struct NameRow {
  Family family;
  std::uint8_t ins;
  std::string_view name;
};

// ISO 7816-4, -8, -9; class 80: GlobalPlatform 2.3 and docs/transactions.md.
constexpr auto kNames = std::to_array<NameRow>({
    {Family::interindustry, 0x04, "DEACTIVATE FILE"},
    {Family::interindustry, 0x20, "VERIFY"},
    {Family::interindustry, 0x22, "MSE"},
    {Family::interindustry, 0x24, "CHANGE REFERENCE DATA"},
    {Family::interindustry, 0x2A, "PSO"},
    {Family::interindustry, 0x2C, "RESET RETRY COUNTER"},
    {Family::interindustry, 0x2E, "LOG OUT"},
    {Family::interindustry, 0x44, "ACTIVATE FILE"},
    {Family::interindustry, 0x46, "GENERATE KEY PAIR"},
    {Family::interindustry, 0x84, "GET CHALLENGE"},
    {Family::interindustry, 0x82, "EXTERNAL AUTHENTICATE"},
    {Family::interindustry, 0x86, "GENERAL AUTHENTICATE"},
    {Family::interindustry, 0x87, "GENERAL AUTHENTICATE"},
    {Family::interindustry, 0x88, "INTERNAL AUTHENTICATE"},
    {Family::interindustry, 0xA4, "SELECT"},
    {Family::interindustry, 0xB0, "READ BINARY"},
    {Family::interindustry, 0xB2, "READ RECORD"},
    {Family::interindustry, 0xC0, "GET RESPONSE"},
    {Family::interindustry, 0xCA, "GET DATA"},
    {Family::interindustry, 0xD6, "UPDATE BINARY"},
    {Family::interindustry, 0xDA, "PUT DATA"},
    {Family::interindustry, 0xDC, "UPDATE RECORD"},
    {Family::interindustry, 0xE0, "CREATE FILE"},
    {Family::interindustry, 0xE2, "APPEND RECORD"},
    {Family::interindustry, 0xE4, "DELETE FILE"},
    {Family::interindustry, 0xE6, "TERMINATE DF"},
    {Family::interindustry, 0xE8, "TERMINATE EF"},
    {Family::proprietary, 0x20, "COMPARE AUXILIARY DATA"},
    {Family::proprietary, 0x32, "OPEN"},
    {Family::proprietary, 0x34, "COMMIT"},
    {Family::proprietary, 0x36, "RATIFY"},
    {Family::proprietary, 0x50, "INITIALIZE UPDATE"},
    {Family::proprietary, 0x52, "PREPARE"},
    {Family::proprietary, 0x54, "CHECK"},
    {Family::proprietary, 0x56, "AUTHORISE"},
    {Family::proprietary, 0x58, "CONFIRM"},
    {Family::proprietary, 0x5A, "SETTLEMENT CODE"},
    {Family::proprietary, 0x5C, "DERIVE KEY"},
    {Family::proprietary, 0x82, "EXTERNAL AUTHENTICATE"},
    {Family::proprietary, 0xCA, "GET DATA"},
    {Family::proprietary, 0xD8, "PUT KEY"},
    {Family::proprietary, 0xE2, "STORE DATA"},
    {Family::proprietary, 0xE4, "DELETE"},
    {Family::proprietary, 0xE6, "INSTALL"},
    {Family::proprietary, 0xF0, "SET STATUS"},
    {Family::proprietary, 0xF2, "GET STATUS"},
});

struct ApplicationRow {
  std::string_view aid;  ///< upper-case hexadecimal
  std::string_view name;
};
constexpr auto kApplications = std::to_array<ApplicationRow>({
    {"A000000151000000", "card manager"},
    {"E80704007F00070302", "identity"},
    {"A000000063504B43532D3135", "e-signature"},
    {"F04B4152544102", "health"},
    {"F04B4152544103", "transit"},
    {"F04B4152544104", "security module"},
});

std::string application(ByteView aid) {
  const std::string digits = to_hex_upper(aid);
  for (const ApplicationRow& row : kApplications) {
    if (digits == row.aid) return std::string(row.name);
  }
  if (digits.size() == 14 && digits.starts_with("F04B415254411")) return "department " + digits.substr(12);
  return digits.empty() ? "card manager" : digits;
}

std::string octet(std::uint8_t value) { return to_hex_upper(ByteView(&value, 1)); }

std::string parameters(const RecordedCommand& command) { return octet(command.p1) + octet(command.p2); }

std::string of_environment(const RecordedCommand& command) {
  switch (command.p1 << 8 | command.p2) {
    case 0xC1A4:
      return " for PACE";
    case 0x81A4:
      return " for terminal authentication";
    case 0x81B6:
      return " for a certificate";
    case 0x41A4:
      return " for key agreement";
    case 0x41B6:
      return " for signatures";
    case 0x41B8:
      return " for decipherment";
    default:
      return command.p1 == 0xF3 ? std::string(", none") : " " + parameters(command);
  }
}

// BSI TR-03110-3 B.1 to B.3; one object 85 without more is MyEID's key agreement.
std::string of_dialogue(const RecordedCommand& command) {
  TlvCursor outer(command.data);
  const auto dialogue = outer.next_if(0x7C);
  if (!dialogue || !dialogue->has_value()) return "";
  TlvCursor inner((*dialogue)->value);
  if (inner.done()) return ", PACE: nonce";
  const auto object = inner.next();
  if (!object) return "";
  constexpr std::size_t kToken = 8;
  switch (object->tag) {
    case 0x81:
      return ", PACE: mapping";
    case 0x83:
      return ", PACE: agreement";
    case 0x85:
      return object->value.size() == kToken ? ", PACE: token" : ", key agreement";
    case 0x80:
      return ", chip authentication";
    case 0xA0:
    case 0xA2:
      return ", restricted identification";
    default:
      return "";
  }
}

std::string of_security_operation(const RecordedCommand& command) {
  switch (command.p1 << 8 | command.p2) {
    case 0x9E9A:
      return ": sign";
    case 0x8086:
      return ": decipher";
    case 0x00BE:
      return ": verify certificate";
    default:
      return " " + parameters(command);
  }
}

std::string of_file_part(const RecordedCommand& command) {
  if ((command.p1 & 0x80) != 0) {
    return " short id " + octet(command.p1 & 0x1F) + (command.p2 == 0 ? "" : " from " + std::to_string(command.p2));
  }
  const int offset = command.p1 << 8 | command.p2;
  return offset == 0 ? "" : " from " + std::to_string(offset);
}

std::string detail(const RecordedCommand& command, bool proprietary) {
  switch (command.ins) {
    case 0xA4:
      if (command.p1 == 0x04) return " " + application(command.data);
      return " " +
             (command.data.empty() ? std::string(command.p1 == 0x03 ? "parent" : "3F00") : to_hex_upper(command.data));
    case 0xB0:
    case 0xD6:
      return of_file_part(command);
    case 0xB2:
    case 0xDC:
      return " " + std::to_string(command.p1);
    case 0x20:
      return proprietary            ? ""
             : command.data.empty() ? ", tries of PIN " + octet(command.p2)
                                    : " PIN " + octet(command.p2);
    case 0x24:
    case 0x2C:
      return " PIN " + octet(command.p2);
    case 0x22:
      return of_environment(command);
    case 0x2A:
      return of_security_operation(command);
    case 0x86:
      return of_dialogue(command);
    case 0xCA:
    case 0xDA:
      return " " + parameters(command);
    case 0x32:
      return command.p1 == 0x01 ? " debit" : command.p1 == 0x02 ? " credit" : "";
    case 0x82:
      return proprietary ? " level " + octet(command.p1) : "";
    default:
      return "";
  }
}

}  // namespace

std::optional<RecordedCommand> take_apart(ByteView apdu) {
  if (apdu.size() < 4) return std::nullopt;
  RecordedCommand out{apdu[0], apdu[1], apdu[2], apdu[3], {}, {}, false};
  const ByteView body = apdu.subspan(4);
  if (body.empty()) return out;
  if (body.size() == 1) {
    out.le = body;
    return out;
  }
  if (body[0] != 0) {
    const std::size_t octets = body[0];
    if (body.size() < 1 + octets || body.size() > 2 + octets) return std::nullopt;
    out.data = body.subspan(1, octets);
    out.le = body.subspan(1 + octets);
    return out;
  }
  out.extended = true;
  if (body.size() < 3) return std::nullopt;
  if (body.size() == 3) {
    out.le = body.subspan(1);
    return out;
  }
  const std::size_t octets = load_be16(body.subspan(1));
  const std::size_t rest = body.size() - 3;
  if (rest != octets && rest != octets + 2) return std::nullopt;
  out.data = body.subspan(3, octets);
  out.le = body.subspan(3 + octets);
  return out;
}

std::string describe(const RecordedCommand& command) {
  // Bits 5, 4 and 3: chaining and secure messaging. A0 stands for 00 where old cards want it.
  const std::uint8_t cla = command.cla & 0xE0;
  const bool proprietary = cla == 0x80;
  if (cla == 0x00 || cla == 0xA0 || proprietary) {
    for (const NameRow& row : kNames) {
      if (row.ins != command.ins || (row.family == Family::proprietary) != proprietary) continue;
      return std::string(row.name) + detail(command, proprietary);
    }
  }
  return "command " + octet(command.cla) + " " + octet(command.ins) + " " + parameters(command);
}

}  // namespace karta::card
