// OpenedJournal: a journal's file, opened for writing and whole.
#pragma once

#include <filesystem>
#include <string>

#include "identity/journal/journal_table.h"

namespace karta::identity::detail {

struct OpenedJournal {
  service::Database database;
  JournalMeta meta;
  JournalPosition end;       ///< of the chain
  std::uint64_t walked = 0;  ///< records, to find that out
  bool mended = false;       ///< something was damaged: the end is that of the part that was whole
  std::string kept;          ///< name of the damaged file beside it; empty: there is none
};

/// Opens the file, makes it if there is none, walks the part of the chain not known to be whole, and mends what is
/// damaged. Nobody else may write it meanwhile (WriterLock).
Result<OpenedJournal> open_journal_file(const std::filesystem::path& path, const std::string& terminal);

}  // namespace karta::identity::detail
