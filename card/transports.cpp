#include "card/transports.h"

#include <charconv>

namespace karta::card {

MemoryConnection::MemoryConnection(Card card, std::string name) : card_(std::move(card)), name_(std::move(name)) {
  if (card_.atr) atr_ = card_.atr();
}

Result<Bytes> MemoryConnection::transmit(ByteView command) {
  Bytes answer = card_.process(command);
  if (answer.empty()) return fail(ErrorKind::card_removed, "the card went away in the middle of a command");
  return answer;
}

Status MemoryConnection::reset() {
  if (card_.reset) card_.reset();
  if (card_.atr) atr_ = card_.atr();
  ++session_;
  return {};
}

Status MemoryConnection::begin() {
  if (depth_++ == 0) ++transactions_;
  return {};
}

void MemoryConnection::end() {
  KARTA_CHECK(depth_ > 0);
  --depth_;
}

// Trace ------------------------------------------------------------------------------------------

std::string Trace::to_text() const {
  std::string text = "atr " + to_hex(atr) + "\n";
  for (const Exchange& exchange : exchanges) {
    text += "> " + to_hex(exchange.command);
    if (exchange.hidden) text += " *" + std::to_string(exchange.hidden_octets);
    text += "\n< " + to_hex(exchange.response) + "\n";
  }
  return text;
}

Result<Trace> Trace::from_text(std::string_view text) {
  Trace trace;
  bool expect_answer = false;
  for (unsigned line_number = 1; !text.empty(); ++line_number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const auto wrong = [&](const char* what) {
      return fail(ErrorKind::malformed, "trace line " + std::to_string(line_number) + ": " + what);
    };
    if (line.empty() || line.front() == '#') continue;
    if (line.starts_with("atr ")) {
      trace.atr = TRY(from_hex(line.substr(4)));
    } else if (line.starts_with("> ")) {
      if (expect_answer) return wrong("a second command before the answer");
      Exchange exchange;
      std::string_view hex = line.substr(2);
      if (const std::size_t star = hex.find('*'); star != std::string_view::npos) {
        const std::string_view count = hex.substr(star + 1);
        const auto [last, fault] = std::from_chars(count.data(), count.data() + count.size(), exchange.hidden_octets);
        if (fault != std::errc() || last != count.data() + count.size()) return wrong("no number of hidden octets");
        exchange.hidden = true;
        hex = hex.substr(0, star);
      }
      exchange.command = TRY(from_hex(hex));
      if (exchange.command.size() < 4) return wrong("a command has at least four octets");
      trace.exchanges.push_back(std::move(exchange));
      expect_answer = true;
    } else if (line.starts_with("< ")) {
      if (!expect_answer) return wrong("an answer to no command");
      trace.exchanges.back().response = TRY(from_hex(line.substr(2)));
      expect_answer = false;
    } else {
      return wrong("neither \"atr\", \">\" nor \"<\"");
    }
  }
  if (expect_answer) return fail(ErrorKind::malformed, "the trace ends before the last answer");
  return trace;
}

Result<Bytes> RecordedConnection::transmit(ByteView command) {
  if (next_ == trace_.exchanges.size()) {
    return fail(ErrorKind::internal,
                "the recording ends before command " + to_hex(command.first(std::min<std::size_t>(command.size(), 4))));
  }
  const Trace::Exchange& exchange = trace_.exchanges[next_];
  const bool same = exchange.hidden ? command.size() == exchange.command.size() + exchange.hidden_octets &&
                                          equal(command.first(exchange.command.size()), exchange.command)
                                    : equal(command, exchange.command);
  if (!same) {
    return fail(
        ErrorKind::internal,
        "command " + std::to_string(next_ + 1) + " deviates from the recording: expected " + to_hex(exchange.command) +
            ", got " +
            to_hex(exchange.hidden ? command.first(std::min<std::size_t>(command.size(), exchange.command.size()))
                                   : command));
  }
  ++next_;
  return exchange.response;
}

Status RecordedConnection::reset() {
  ++session_;
  return {};
}

RecordingConnection::RecordingConnection(CardConnection& inner) : inner_(inner) { trace_.atr = to_bytes(inner.atr()); }

Result<Bytes> RecordingConnection::transmit(ByteView command) {
  Bytes answer = TRY(inner_.transmit(command));
  trace_.exchanges.push_back({to_bytes(command), answer, 0, false});
  return answer;
}

Result<Bytes> RecordingConnection::transmit_sensitive(ByteView command) {
  Bytes answer = TRY(inner_.transmit_sensitive(command));
  // What comes back (a deciphered message, an agreed secret) is as secret as what went out: the status word stays.
  const ByteView kept = ByteView(answer).last(std::min<std::size_t>(answer.size(), 2));
  const std::size_t header = std::min<std::size_t>(command.size(), 4);
  trace_.exchanges.push_back({to_bytes(command.first(header)), to_bytes(kept), command.size() - header, true});
  return answer;
}

void CountingConnection::add(ByteView command, const Result<Bytes>& response) {
  ++count_.commands;
  count_.octets_out += command.size();
  if (response) count_.octets_back += response->size();
  if (command.size() > 1) ++by_instruction_[command[1]];
}

Result<Bytes> CountingConnection::transmit(ByteView command) {
  auto response = inner_.transmit(command);
  add(command, response);
  return response;
}

Result<Bytes> CountingConnection::transmit_sensitive(ByteView command) {
  auto response = inner_.transmit_sensitive(command);
  add(command, response);
  return response;
}

}  // namespace karta::card
