#include "cli/card_session.h"

#include <CLI/CLI.hpp>

namespace karta::cli {

void add_reader_option(CLI::App& command, std::string& reader) {
  command.add_option("--reader", reader, "a reader's name, part of it, or number (default: the only one with a card)");
}

Result<std::unique_ptr<card::CardConnection>> connect_card(const std::string& wanted, card::PcscOptions options) {
  card::PcscReaders readers(options);
  const std::string name = TRY(card::choose_reader(TRY(readers.list()), wanted));
  return readers.connect(name);
}

Result<std::unique_ptr<CardSession>> CardSession::open(const std::string& wanted_reader) {
  std::unique_ptr<CardSession> session(new CardSession);
  session->connection_ = TRY(connect_card(wanted_reader));
  session->channel_ = std::make_unique<card::PlainChannel>(*session->connection_);
  session->esign_ = std::make_unique<card::ESignApplication>(TRY(card::ESignApplication::open(*session->channel_)));
  return session;
}

Result<std::unique_ptr<CardSession>> CardSession::open_issued(const std::string& wanted_reader) {
  auto session = TRY(open(wanted_reader));
  if (TRY(session->esign().initialised())) return session;
  return fail(ErrorKind::card_refused, "the card is blank: it has no keys, certificates or PINs yet",
              "an issuing centre makes it somebody's card: karta card issue");
}

}  // namespace karta::cli
