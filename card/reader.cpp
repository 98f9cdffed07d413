#include "card/reader.h"

#include <algorithm>
#include <charconv>

namespace karta::card {

Result<Transaction> Transaction::begin(CardConnection& connection) {
  TRY(connection.begin());
  return Transaction(connection);
}

Transaction::~Transaction() {
  if (connection_ != nullptr) connection_->end();
}

namespace {

std::string quoted_names(const std::vector<const ReaderInfo*>& readers) {
  std::string names;
  for (const ReaderInfo* reader : readers) {
    if (!names.empty()) names += ", ";
    names += '"' + reader->name + '"';
  }
  return names;
}

}  // namespace

Result<std::string> choose_reader(const std::vector<ReaderInfo>& readers, std::string_view wanted) {
  if (readers.empty()) return fail(ErrorKind::no_reader, "no card reader is attached");
  std::vector<const ReaderInfo*> fitting;
  if (wanted.empty()) {
    for (const ReaderInfo& reader : readers) {
      if (reader.card_present) fitting.push_back(&reader);
    }
    if (fitting.empty()) {
      return fail(ErrorKind::no_card, readers.size() == 1
                                          ? "reader \"" + readers.front().name + "\" is empty"
                                          : "all " + std::to_string(readers.size()) + " readers are empty");
    }
    if (fitting.size() > 1) {
      return fail(ErrorKind::usage, "there are cards in several readers: " + quoted_names(fitting),
                  "say which one with --reader");
    }
    return fitting.front()->name;
  }
  for (const ReaderInfo& reader : readers) {
    if (reader.name == wanted) return reader.name;
  }
  std::size_t index = 0;
  const auto [end, fault] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), index);
  if (fault == std::errc() && end == wanted.data() + wanted.size()) {
    if (index < readers.size()) return readers[index].name;
    return fail(ErrorKind::no_reader, "there is no reader number " + std::string(wanted) + " (they count from 0)");
  }
  for (const ReaderInfo& reader : readers) {
    if (reader.name.find(wanted) != std::string::npos) fitting.push_back(&reader);
  }
  if (fitting.empty()) {
    return fail(ErrorKind::no_reader, "no reader is called \"" + std::string(wanted) + '"',
                "`karta reader list` shows their names");
  }
  if (fitting.size() > 1) {
    // A reader with two slots is two readers to PC/SC: the one with the card is meant.
    std::vector<const ReaderInfo*> holding;
    for (const ReaderInfo* reader : fitting) {
      if (reader->card_present) holding.push_back(reader);
    }
    if (holding.size() == 1) return holding.front()->name;
    return fail(ErrorKind::usage, '"' + std::string(wanted) + "\" fits several readers: " + quoted_names(fitting));
  }
  return fitting.front()->name;
}

}  // namespace karta::card
