#include "firmware-sim/link/apdu_record.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace karta::sim {
namespace {

constexpr std::uint8_t kVerify = 0x20;
constexpr std::uint8_t kChangeReferenceData = 0x24;
constexpr std::uint8_t kPerformSecurityOperation = 0x2A;
constexpr std::uint8_t kResetRetryCounter = 0x2C;
constexpr std::uint8_t kGeneralAuthenticate = 0x86;
constexpr std::uint8_t kGetResponse = 0xC0;
constexpr std::uint8_t kPutData = 0xDA;
constexpr std::size_t kHeaderBytes = 4;

// Interindustry class octets (ISO 7816-4 §5.4.1): bits 4 and 3 tell secure messaging in the first form, bit 6 in the
// further one. Proprietary classes carry MyEID's and GlobalPlatform's commands; bit 3 is secure messaging there as
// well.
bool is_secured(std::uint8_t cla) { return (cla & 0xC0) == 0x40 ? (cla & 0x20) != 0 : (cla & 0x0C) != 0; }

bool carries_secret(ByteView header) {
  switch (header[1]) {
    case kVerify:
    case kChangeReferenceData:
    case kResetRetryCounter:
      return true;
    case kPutData:
      // 01 01 to 01 0E set a PIN with its PUK; 01 80 to 01 8B bring in key components (MyEID).
      return header[2] == 0x01 &&
             ((header[3] >= 0x01 && header[3] <= 0x0E) || (header[3] >= 0x80 && header[3] <= 0x8B));
    default:
      return false;
  }
}

std::string hex_field(const char* name, ByteView octets) {
  return std::string(",\"") + name + "\":\"" + to_hex_upper(octets) + '"';
}

}  // namespace

HiddenRange secret_of_command(ByteView command) {
  if (command.size() <= kHeaderBytes + 1 || is_secured(command[0]) || !carries_secret(command)) return {};
  // The body's place follows from the length field; where that is inconsistent, everything behind the header is hidden.
  const std::size_t rest = command.size() - kHeaderBytes;
  if (command[4] != 0) {
    const std::size_t body = command[4];
    if (rest == 1 + body || rest == 2 + body) return {kHeaderBytes + 1, kHeaderBytes + 1 + body};
  } else if (rest > 3) {
    const std::size_t body = load_be16(command.subspan(kHeaderBytes + 1));
    if (rest == 3 + body || rest == 5 + body) return {kHeaderBytes + 3, kHeaderBytes + 3 + body};
  }
  return {kHeaderBytes, command.size()};
}

bool answer_is_secret(ByteView command, ByteView response) {
  if (command.size() < kHeaderBytes || is_secured(command[0]) || response.size() <= 2) return false;
  if (command[1] == kPerformSecurityOperation) return command[2] == 0x80;
  return command[1] == kGeneralAuthenticate && response[0] != 0x7C;
}

Result<ApduRecord> ApduRecord::open(const std::string& path, bool with_secrets) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) {
    return fail(ErrorKind::io, "cannot write the record \"" + path + "\": " + std::strerror(errno),
                "name a file in a folder that you may write to");
  }
  ApduRecord record(file, with_secrets);
  record.write_line(std::string("{\"trace\":\"karta-apdu\",\"version\":1,\"secrets\":") +
                    (with_secrets ? "true}" : "false}"));
  return record;
}

ApduRecord::ApduRecord(int file, bool with_secrets)
    : file_(file), with_secrets_(with_secrets), started_(std::chrono::steady_clock::now()) {}

ApduRecord::ApduRecord(ApduRecord&& other) noexcept
    : file_(other.file_),
      with_secrets_(other.with_secrets_),
      started_(other.started_),
      rest_is_secret_(std::move(other.rest_is_secret_)) {
  other.file_ = -1;
}

ApduRecord::~ApduRecord() {
  if (file_ >= 0) ::close(file_);
}

std::int64_t ApduRecord::now_us() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - started_).count();
}

void ApduRecord::write_line(const std::string& line) {
  // One write a line: with O_APPEND lines of several cards and processes never mix. A full disk costs lines of the
  // record, never the card's work.
  const std::string text = line + '\n';
  [[maybe_unused]] const ssize_t written = ::write(file_, text.data(), text.size());
}

void ApduRecord::event(unsigned card, std::string_view what, ByteView atr) {
  std::string line = "{\"at_us\":" + std::to_string(now_us()) + ",\"card\":" + std::to_string(card) + ",\"event\":\"" +
                     std::string(what) + '"';
  if (!atr.empty()) line += hex_field("atr", atr);
  const std::lock_guard lock(mutex_);
  write_line(line + '}');
}

void ApduRecord::exchange(unsigned card, ByteView command, ByteView response, std::chrono::microseconds since_last,
                          std::chrono::microseconds card_time, const std::optional<CommandCost>& cost) {
  std::string line = "{\"at_us\":" + std::to_string(now_us()) + ",\"card\":" + std::to_string(card);
  const HiddenRange hidden = with_secrets_ ? HiddenRange{} : secret_of_command(command);
  if (hidden.begin == hidden.end) {
    line += hex_field("command", command);
  } else {
    line += hex_field("command", concat({command.first(hidden.begin), command.subspan(hidden.end)}));
    line += ",\"hidden_at\":" + std::to_string(hidden.begin) +
            ",\"hidden_bytes\":" + std::to_string(hidden.end - hidden.begin);
  }
  const std::lock_guard lock(mutex_);
  if (rest_is_secret_.size() <= card) rest_is_secret_.resize(card + 1);
  const bool is_rest = command.size() >= 2 && command[1] == kGetResponse && rest_is_secret_[card];
  const bool secret = answer_is_secret(command, response) || is_rest;
  const std::size_t body = response.size() >= 2 ? response.size() - 2 : 0;
  rest_is_secret_[card] = secret && response.size() >= 2 && response[body] == 0x61;
  if (secret && !with_secrets_) {
    line += ",\"response\":\"\",\"hidden_response_bytes\":" + std::to_string(body);
  } else {
    line += hex_field("response", response.first(body));
  }
  line += hex_field("sw", response.subspan(body));
  line += ",\"gap_us\":" + std::to_string(since_last.count()) + ",\"us\":" + std::to_string(card_time.count());
  if (cost) {
    line += ",\"counts\":" + to_json(cost->counts);
    if (with_secrets_ && !cost->keys.empty()) {
      line += ",\"keys\":[";
      for (const SecretBytes& key : cost->keys) {
        line += (line.back() == '[' ? "\"" : ",\"") + to_hex_upper(key.expose_secret()) + '"';
      }
      line += ']';
    }
  }
  write_line(line + '}');
}

}  // namespace karta::sim
