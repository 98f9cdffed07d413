// ReaderSource: where the daemon's readers come from: pcscd, or cards in the same process (tests/kartad).
#pragma once

#include <memory>

#include "card/pcsc_reader.h"

namespace karta::daemon {

class ReaderSource {
 public:
  virtual ~ReaderSource() = default;
  /// Usable from several threads.
  virtual card::ReaderList& readers() = 0;
  /// What has changed since the last call, the state of the beginning first; waits at most `timeout`. One thread.
  virtual Result<std::vector<card::ReaderEvent>> next(std::chrono::milliseconds timeout) = 0;
  /// Makes next() return at once, now and later. Any thread.
  virtual void stop() = 0;
};

class PcscReaderSource final : public ReaderSource {
 public:
  explicit PcscReaderSource(card::PcscOptions options) : readers_(options) {}
  card::ReaderList& readers() override { return readers_; }
  Result<std::vector<card::ReaderEvent>> next(std::chrono::milliseconds timeout) override {
    return watch_.next(timeout);
  }
  void stop() override { watch_.stop(); }

 private:
  card::PcscReaders readers_;
  card::ReaderWatch watch_;
};

}  // namespace karta::daemon
