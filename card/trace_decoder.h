// TraceDecoder follows a recorded session command by command: names what is asked, and where it has the keys, shows
// what secure messaging and SCP03 protect.
//
// It is given AES keys in any order, its own and those that stand in the trace, and finds out by the checksums which
// session they belong to. Nothing is decided by it: an opened command is for reading.
#pragma once

#include <map>

#include "card/trace.h"
#include "card/trace_names.h"
#include "crypto/aes.h"

namespace karta::card {

/// The plain command and answer inside a protected exchange.
struct PlainExchange {
  Bytes header;  ///< CLA as sent, INS, P1, P2
  Bytes data;
  Bytes response;
  bool data_read = true;      ///< false: no key at hand opens the command's data
  bool response_read = true;  ///< the same of the answer's
};

struct DecodedExchange {
  std::string name;             ///< as describe() says, from the plain command where there is one
  std::string_view protection;  ///< "", "secure messaging", "SCP03"
  std::optional<PlainExchange>
      plain;  ///< at the last APDU of a protected exchange; its chain and GET RESPONSEs are in it
};

class TraceDecoder {
 public:
  TraceDecoder() = default;

  static constexpr std::size_t kMaxKeys = 256;
  /// A key for all cards; others than AES's lengths and more than kMaxKeys are not taken.
  void add_key(ByteView key);

  /// Each exchange of the trace in turn, of whatever card.
  DecodedExchange take(const TraceExchange& exchange);
  /// Power went, or came anew: the card's session is over.
  void end_session(unsigned card);

 private:
  struct Message {  // a whole command and its whole answer
    std::uint8_t cla = 0;
    std::uint8_t ins = 0, p1 = 0, p2 = 0;
    Bytes data, le;
    bool extended = false;
    Bytes response;
    StatusWord status;
  };
  struct Session {  // what is protected now
    enum class Kind : std::uint8_t { none, secure_messaging, scp03 } kind = Kind::none;
    std::size_t mac_key = 0;
    std::vector<std::size_t> ciphers;  // keys that open all there was so far, the newest first
    std::size_t keys_seen = 0;         // those that came later are candidates, too
    crypto::AesBlock counter{};        // of secure messaging; of SCP03's encryption
    crypto::AesBlock chaining{};       // SCP03: the last C-MAC
    std::size_t mac_octets = 8;
    std::uint8_t level = 0;
  };
  struct Card {
    Session session;
    Message message;
    bool chaining = false;   // `message` waits for more of its command
    bool answering = false;  // or for more of its answer
  };
  struct Cryptogram {
    crypto::AesBlock counter;
    ByteView blocks;
  };

  std::optional<PlainExchange> open(Card& card);
  std::optional<PlainExchange> open_secure_messaging(Session& session, const Message& message);
  std::optional<PlainExchange> open_scp03(Session& session, const Message& message);
  bool begin_scp03(Session& session, const Message& message) const;
  bool checks(std::size_t key, const crypto::AesBlock& counter, const Message& message, ByteView objects,
              ByteView checksum) const;
  std::optional<Bytes> decipher(std::size_t key, const Cryptogram& cryptogram) const;
  void narrow(Session& session, std::span<const Cryptogram> cryptograms) const;

  std::vector<SecretBytes> keys_;
  std::map<unsigned, Card> cards_;
};

/// Reads a file of keys: hexadecimal, one a line; blank lines and what follows # are skipped. Fails with `malformed`,
/// naming the line, never the key.
Result<std::vector<SecretBytes>> parse_trace_keys(std::string_view text);

}  // namespace karta::card
