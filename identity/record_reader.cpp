#include "identity/record_reader.h"

#include <istream>

namespace karta::identity {

std::uint64_t count_line_ends(std::string_view text) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' || (text[i] == '\r' && !(i + 1 < text.size() && text[i + 1] == '\n'))) ++count;
  }
  return count;
}

Status RecordReader::fill() {
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  const std::size_t before = buffer_.size();
  if (buffer_.capacity() < kRecordMaxOctets + 2 * kReadChunkOctets) {
    buffer_.reserve(kRecordMaxOctets + 2 * kReadChunkOctets);
  }
  buffer_.resize(before + kReadChunkOctets);
  in_->read(buffer_.data() + before, kReadChunkOctets);
  buffer_.resize(before + static_cast<std::size_t>(in_->gcount()));
  if (in_->bad()) return fail(ErrorKind::io, "cannot read the input any further");
  if (in_->eof()) end_of_input_ = true;
  return {};
}

Result<std::string_view> RecordReader::look_ahead() {
  if (buffer_.size() == begin_ && !end_of_input_) TRY(fill());
  return std::string_view(buffer_).substr(begin_);
}

void RecordReader::skip(std::size_t octets) {
  begin_ += octets;
  octets_ += octets;
}

Record RecordReader::take(std::size_t end, Record::Fault fault) {
  Record record;
  record.line = line_;
  record.raw = std::string_view(buffer_).substr(begin_, end - begin_);
  record.content = record.raw;
  if (record.content.ends_with('\n')) record.content.remove_suffix(1);
  if (record.content.ends_with('\r')) record.content.remove_suffix(1);
  record.fault = fault;
  begin_ = end;
  octets_ += record.raw.size();
  line_ += count_line_ends(record.raw);
  return record;
}

Result<std::optional<Record>> RecordReader::next() {
  while (in_long_record_) TRY(rest_of_record());
  enum class In : std::uint8_t { field_start, plain, quoted, quote_in_quoted };
  In state = In::field_start;
  std::size_t first_line_end = 0;  // relative to begin_; where to go on after an open quote
  std::size_t i = begin_;
  for (;;) {
    if (i - begin_ > kRecordMaxOctets) {
      if (state == In::quoted && first_line_end > 0) {
        no_breaks_until_ = octets_ + (i - begin_);
        return take(begin_ + first_line_end, Record::Fault::open_quote);
      }
      in_long_record_ = true;
      after_cr_ = false;
      return take(i, Record::Fault::too_long);
    }
    if (i == buffer_.size()) {
      if (!end_of_input_) {
        const std::size_t done = i - begin_;
        TRY(fill());
        i = begin_ + done;
        continue;
      }
      if (i == begin_) return std::optional<Record>();
      if (state == In::quoted) {
        no_breaks_until_ = octets_ + (i - begin_);
        return take(first_line_end > 0 ? begin_ + first_line_end : i, Record::Fault::open_quote);
      }
      return take(i, Record::Fault::none);
    }
    const char c = buffer_[i];
    if (c == '\r' && i + 1 == buffer_.size() && !end_of_input_) {
      // Whether this is CR or CRLF shows in the next chunk.
      const std::size_t done = i - begin_;
      TRY(fill());
      i = begin_ + done;
      continue;
    }
    const bool line_end = c == '\n' || c == '\r';
    const std::size_t after = i + (c == '\r' && i + 1 < buffer_.size() && buffer_[i + 1] == '\n' ? 2 : 1);
    if (state == In::quoted) {
      if (c == '"') state = In::quote_in_quoted;
      if (line_end) {
        if (octets_ < no_breaks_until_) return take(after, Record::Fault::open_quote);
        if (first_line_end == 0) first_line_end = after - begin_;
      }
      ++i;
      continue;
    }
    if (line_end) return take(after, Record::Fault::none);
    if (delimiter_) {
      if (c == '"' && (state == In::field_start || state == In::quote_in_quoted)) {
        state = In::quoted;
      } else {
        state = c == *delimiter_ ? In::field_start : In::plain;
      }
    }
    ++i;
  }
}

Result<std::optional<std::string_view>> RecordReader::rest_of_record() {
  if (!in_long_record_) return std::optional<std::string_view>();
  if (begin_ == buffer_.size() && !end_of_input_) TRY(fill());
  std::size_t end = begin_;
  if (after_cr_) {  // the line ended with the piece before; an LF may still belong to it
    in_long_record_ = false;
    if (end == buffer_.size() || buffer_[end] != '\n') return std::optional<std::string_view>();
    ++end;
  } else {
    while (end < buffer_.size() && buffer_[end] != '\n' && buffer_[end] != '\r') ++end;
    if (end < buffer_.size()) {
      after_cr_ = buffer_[end] == '\r';
      in_long_record_ = after_cr_;
      ++end;
    } else if (end_of_input_) {
      in_long_record_ = false;
    }
  }
  const std::string_view piece = std::string_view(buffer_).substr(begin_, end - begin_);
  begin_ = end;
  octets_ += piece.size();
  if (piece.ends_with('\r') || (piece.ends_with('\n') && !after_cr_)) ++line_;
  if (!in_long_record_) after_cr_ = false;
  return std::optional(piece);
}

std::optional<std::string> split_csv(std::string_view content, char delimiter, std::vector<std::string>& fields) {
  std::size_t used = 0;
  std::size_t i = 0;
  for (;;) {
    if (used == kRecordMaxColumns) return "has more than " + std::to_string(kRecordMaxColumns) + " fields";
    if (used == fields.size()) fields.emplace_back();
    std::string& field = fields[used++];
    field.clear();
    if (i < content.size() && content[i] == '"') {
      for (++i;;) {
        if (i == content.size()) return "field " + std::to_string(used) + " has a quote that is never closed";
        if (content[i] != '"') {
          field.push_back(content[i++]);
        } else if (i + 1 < content.size() && content[i + 1] == '"') {
          field.push_back('"');
          i += 2;
        } else {
          ++i;
          break;
        }
      }
      if (i < content.size() && content[i] != delimiter) {
        return "field " + std::to_string(used) + " goes on after its closing quote";
      }
    } else {
      const std::size_t end = std::min(content.find(delimiter, i), content.size());
      field.assign(content.substr(i, end - i));
      if (field.find('"') != std::string::npos) {
        return "field " + std::to_string(used) + " holds a quote but does not begin with one";
      }
      i = end;
    }
    if (i == content.size()) break;
    ++i;  // the delimiter
  }
  fields.resize(used);
  return std::nullopt;
}

}  // namespace karta::identity
