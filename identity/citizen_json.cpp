#include "identity/citizen_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace karta::identity {
namespace {

/// Follows the parser's events and keeps nothing but the texts asked for. Depth 1: the citizen; 2: the array of
/// concessions; 3: a concession.
class CitizenSax final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit CitizenSax(bool ignore_unknown) : ignore_unknown_(ignore_unknown) {}

  const std::string& fault() const { return fault_; }
  CitizenJson take() { return std::move(read_); }
  bool complete() const { return done_; }

  bool null() override {
    if (skipping()) return true;
    if (depth_ == 2) return wrong("a concession must be text or an object");
    return depth_ != 0 || wrong("the line must hold one object");
  }
  bool boolean(bool) override { return not_text(); }
  bool number_integer(number_integer_t) override { return not_text(); }
  bool number_unsigned(number_unsigned_t) override { return not_text(); }
  bool number_float(number_float_t, const string_t&) override { return not_text(); }
  bool binary(binary_t&) override { return not_text(); }

  bool string(string_t& text) override {
    if (skipping()) return true;
    switch (depth_) {
      case 1:
        read_.values.push_back({field_, std::move(text)});
        return true;
      case 2:
        return add_concession(text);
      case 3:
        if (text.find_first_of(":|") != std::string::npos) return wrong("a part of a concession holds : or |");
        (key_ == "kind" ? kind_ : key_ == "from" ? from_ : until_) = std::move(text);
        return true;
      default:
        return wrong("the line must hold one object");
    }
  }

  bool start_object(std::size_t) override {
    if (skipping()) return ++skipped_depth_ > 0;
    if (depth_ == 0) {
      depth_ = 1;
      return true;
    }
    if (depth_ == 2) {
      depth_ = 3;
      kind_.clear(), from_.clear(), until_.clear();
      return true;
    }
    return wrong_at_key("must be text");
  }
  bool end_object() override {
    if (skipped_depth_ > 0) return leave_skipped();
    if (depth_ == 3) {
      depth_ = 2;
      if (kind_.empty()) return wrong("a concession has no \"kind\"");
      if (from_.empty() && !until_.empty()) return wrong("a concession has \"until\" but no \"from\"");
      return add_concession(kind_ + (from_.empty() ? "" : ":" + from_) + (until_.empty() ? "" : ".." + until_));
    }
    depth_ = 0;
    done_ = true;
    return true;
  }
  bool start_array(std::size_t) override {
    if (skipping()) return ++skipped_depth_ > 0;
    if (depth_ == 1 && field_ == CitizenField::concessions) {
      depth_ = 2;
      concessions_.clear();
      return true;
    }
    return depth_ == 0 ? wrong("the line must hold one object") : wrong_at_key("must be text");
  }
  bool end_array() override {
    if (skipped_depth_ > 0) return leave_skipped();
    depth_ = 1;
    read_.values.push_back({CitizenField::concessions, std::move(concessions_)});
    return true;
  }

  bool key(string_t& name) override {
    if (skipped_depth_ > 0) return true;
    skip_value_ = false;
    if (depth_ == 3) {
      if (name != "kind" && name != "from" && name != "until") {
        return wrong("a concession has a key other than \"kind\", \"from\" and \"until\"");
      }
      key_ = name;
      return true;
    }
    const auto rows = citizen_fields();
    const auto row = std::ranges::find(rows, std::string_view(name), &CitizenFieldRow::name);
    if (row == rows.end()) {
      if (!ignore_unknown_ && !name.starts_with("x_")) {
        return wrong("key " + std::to_string(keys_ + 1) + " is not known");
      }
      skip_value_ = true;
      ++keys_;
      return true;
    }
    ++keys_;
    field_ = row->field;
    if (std::ranges::find(seen_, field_) != seen_.end()) {
      return wrong("key \"" + std::string(row->name) + "\" stands there twice");
    }
    seen_.push_back(field_);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    if (fault_.empty()) fault_ = "is not JSON from character " + std::to_string(position) + " on";
    return false;
  }

 private:
  bool skipping() const { return skip_value_ || skipped_depth_ > 0; }
  bool leave_skipped() {
    --skipped_depth_;
    return true;
  }
  bool not_text() {
    if (skipping()) return true;
    if (depth_ == 0) return wrong("the line must hold one object");
    if (depth_ > 1) return wrong("a concession must be text or an object of texts");
    return wrong_at_key("must be text in quotes, or leading zeros are lost");
  }
  bool add_concession(std::string_view text) {
    if (!concessions_.empty()) concessions_ += '|';
    concessions_ += text;
    return true;
  }
  bool wrong(std::string fault) {
    fault_ = std::move(fault);
    return false;
  }
  bool wrong_at_key(const char* fault) { return wrong("\"" + std::string(row_of(field_).name) + "\" " + fault); }

  bool ignore_unknown_;
  CitizenJson read_;
  std::string fault_;
  int depth_ = 0;
  int skipped_depth_ = 0;
  bool skip_value_ = false;
  bool done_ = false;
  std::size_t keys_ = 0;
  CitizenField field_ = CitizenField::snils;
  std::vector<CitizenField> seen_;
  std::string key_, kind_, from_, until_, concessions_;
};

}  // namespace

Result<CitizenJson> read_citizen_json(std::string_view line, bool ignore_unknown) {
  CitizenSax sax(ignore_unknown);
  const bool read = nlohmann::json::sax_parse(line.begin(), line.end(), &sax);
  if (!read || !sax.complete()) {
    return fail(ErrorKind::malformed, sax.fault().empty() ? "is not one JSON object" : sax.fault(),
                "one object a line, all values text: {\"snils\": \"...\", \"family\": \"...\"}");
  }
  return sax.take();
}

}  // namespace karta::identity
