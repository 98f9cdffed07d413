// CardSession: the card a command works on, from the reader it lies in to its e-signature application.
#pragma once

#include <memory>
#include <string>

#include "card/esign.h"
#include "card/pcsc_reader.h"
#include "cli/program.h"

namespace karta::cli {

/// --reader: a name, part of one, or a number; otherwise the only reader with a card.
void add_reader_option(CLI::App& command, std::string& reader);

/// The card in the reader meant by `wanted` (see card::choose_reader).
Result<std::unique_ptr<card::CardConnection>> connect_card(const std::string& wanted, card::PcscOptions options = {});

/// A connected card with its application open. Members refer to each other: not to be moved.
class CardSession {
 public:
  static Result<std::unique_ptr<CardSession>> open(const std::string& wanted_reader);
  /// As above; a blank card is refused.
  static Result<std::unique_ptr<CardSession>> open_issued(const std::string& wanted_reader);
  CardSession(const CardSession&) = delete;
  CardSession& operator=(const CardSession&) = delete;

  card::CardConnection& connection() { return *connection_; }
  card::ESignApplication& esign() { return *esign_; }

 private:
  CardSession() = default;
  std::unique_ptr<card::CardConnection> connection_;
  std::unique_ptr<card::PlainChannel> channel_;
  std::unique_ptr<card::ESignApplication> esign_;
};

}  // namespace karta::cli
