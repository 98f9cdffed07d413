// Whole files by short identifier: read to the end without asking for the size first.
#pragma once

#include "card/channel.h"
#include "card/file.h"

namespace karta::card {

/// The content of the EF with `short_id` (1 to 30) in the current DF: one READ BINARY for each answer's worth, and no
/// SELECT. The end is where the card says so (6282, 6B00), or gives less than asked for and the data object is whole.
/// Fails as error_of says, with `limit` beyond `most` octets.
Result<Bytes> read_whole_file(Channel& channel, std::uint8_t short_id, std::size_t most, std::string_view what);

/// The same by path from the MF, for where another DF is selected.
Result<Bytes> read_whole_file(Channel& channel, const Path& path, std::size_t most, std::string_view what);

/// The one data object a file holds, without the 00 and FF that fill the file behind it. Fails with `malformed` where
/// something else follows.
Result<ByteView> only_object(ByteView file);

}  // namespace karta::card
