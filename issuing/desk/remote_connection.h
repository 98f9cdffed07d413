// RemoteConnection: the card in a reader far away, as a CardConnection: commands go out in batches over a carrier, and
// their answers come back.
//
// Parts of a chained command depend on nothing the card says before the last: they wait here, answered 9000, and travel
// with it. An answer the far side fetched whole is handed out in the pieces the channel above asks for. So a command of
// any length is one journey there and back.
#pragma once

#include <vector>

#include "card/reader.h"

namespace karta::issuing {

/// Brings command APDUs to the card and its answers back.
class ApduCarrier {
 public:
  virtual ~ApduCarrier() = default;
  /// Sends in order until one is not answered 9000; returns the answers of those sent, one at least. What 61xx
  /// announces the far side has fetched. Fails with card_removed, card_unresponsive, cancelled, limit.
  virtual Result<std::vector<Bytes>> exchange(std::vector<Bytes> commands) = 0;
};

class RemoteConnection final : public card::CardConnection {
 public:
  /// `carrier` must outlive it; `atr` as the far side's reader told it.
  RemoteConnection(ApduCarrier& carrier, Bytes atr, std::string reader)
      : carrier_(carrier), atr_(std::move(atr)), reader_(std::move(reader)) {}

  Result<Bytes> transmit(ByteView command) override;
  ByteView atr() const override { return atr_; }
  /// Fails with `unsupported`: a card is reset by who has it.
  Status reset() override;
  /// The far side keeps other programs away for the length of the session.
  Status begin() override {
    ++depth_;
    return {};
  }
  void end() override { --depth_; }
  std::uint64_t transaction() const override { return depth_ > 0 ? 1 : 0; }
  unsigned session() const override { return 0; }
  std::string_view reader_name() const override { return reader_; }

  /// At most so many commands travel together.
  static constexpr std::size_t kMostTogether = 64;

 private:
  Bytes next_piece(std::size_t most);

  ApduCarrier& carrier_;
  Bytes atr_;
  std::string reader_;
  std::vector<Bytes> waiting_;  // parts of a chain under way
  Bytes rest_;                  // of an answer, its status word at the end; empty: none
  unsigned depth_ = 0;
};

}  // namespace karta::issuing
