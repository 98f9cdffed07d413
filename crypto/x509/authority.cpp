#include "crypto/x509/authority.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/descriptor.h"
#include "base/file.h"

namespace karta::crypto {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kSchema = "karta.authority/1";
constexpr std::size_t kMostConfig = 64 * 1024;

tl::unexpected<Error> io_error(const fs::path& path) {
  return fail(ErrorKind::io, "\"" + path.string() + "\": " + std::strerror(errno));
}

Status make_folder(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return {};
  if (::mkdir(path.c_str(), 0700) != 0) return io_error(path);
  return {};
}

/// A serial number as people and file names have it: upper-case hexadecimal of the magnitude.
std::string serial_text(ByteView magnitude) { return to_hex_upper(magnitude); }

Bytes magnitude_of(ByteView content) {
  while (content.size() > 1 && content[0] == 0) content = content.subspan(1);
  return to_bytes(content);
}

std::string config_text(const AuthorityConfig& config) {
  std::stringstream out;
  out << "# A certification authority of karta. Files are named from this folder on.\n";
  out << "schema = " << toml::value<std::string>(std::string(kSchema)) << "\n";
  out << "name = " << toml::value<std::string>(config.name) << "\n";
  out << "key = " << toml::value<std::string>(config.key) << "  # a file, or a PKCS #11 URI\n";
  out << "certificate = " << toml::value<std::string>(config.certificate) << "\n";
  out << "crl_hours = " << config.crl_hours << "  # from one complete CRL to the next\n";
  out << "delta_hours = " << config.delta_hours << "  # from one delta CRL to the next\n";
  return out.str();
}

Result<AuthorityConfig> read_config(const fs::path& file) {
  const Bytes text = TRY(read_file(file, kMostConfig));
  toml::table table;
  try {
    table = toml::parse(as_text(text));
  } catch (const toml::parse_error& error) {
    return fail(ErrorKind::configuration, file.string() + ":" + std::to_string(error.source().begin.line) + ": " +
                                              std::string(error.description()));
  }
  AuthorityConfig out;
  out.key.clear();
  out.certificate.clear();
  std::string schema;
  for (const auto& item : table) {
    const toml::key& key = item.first;
    const toml::node& node = item.second;
    const auto bad = [&](const std::string& what) {
      return fail(ErrorKind::configuration, file.string() + ":" + std::to_string(key.source().begin.line) + ": \"" +
                                                std::string(key.str()) + "\" " + what);
    };
    const std::pair<std::string_view, std::string*> texts[] = {
        {"schema", &schema}, {"name", &out.name}, {"key", &out.key}, {"certificate", &out.certificate}};
    const std::pair<std::string_view, std::uint64_t*> numbers[] = {{"crl_hours", &out.crl_hours},
                                                                   {"delta_hours", &out.delta_hours}};
    bool known = false;
    for (const auto& [name, target] : texts) {
      if (name != key.str()) continue;
      known = true;
      if (!node.is_string()) return bad("must be a string");
      *target = **node.as_string();
    }
    for (const auto& [name, target] : numbers) {
      if (name != key.str()) continue;
      known = true;
      if (!node.is_integer() || **node.as_integer() < 1 || **node.as_integer() > 24 * 3660) {
        return bad("must be 1 to 87840");
      }
      *target = static_cast<std::uint64_t>(**node.as_integer());
    }
    if (!known) return bad("is no key of an authority");
  }
  if (schema != kSchema) {
    return fail(ErrorKind::configuration, file.string() + ": \"schema\" must be \"" + std::string(kSchema) + "\"");
  }
  if (out.key.empty() || out.certificate.empty()) {
    return fail(ErrorKind::configuration, file.string() + ": \"key\" or \"certificate\" is missing");
  }
  return out;
}

Result<Certificate> read_certificate(const fs::path& path) {
  const Bytes octets = TRY(read_file(path, Certificate::kMostOctets));
  auto certificate = Certificate::from_file_octets(octets);
  if (certificate) return certificate;
  return fail(certificate.error().kind, "\"" + path.string() + "\": " + certificate.error().message);
}

Status write_pem_list(const fs::path& path, const std::vector<Certificate>& certificates) {
  if (certificates.empty()) return {};
  std::string text;
  for (const Certificate& one : certificates) text += one.to_pem();
  return write_new_file(path, as_bytes(text), 0644);
}

tl::unexpected<Error> no_base() {
  return fail(ErrorKind::not_found, "there is no complete CRL for a delta to build on",
              "issue one first: karta ca crl");
}

}  // namespace

std::uint64_t number_of(const Crl& crl) {
  std::uint64_t out = 0;
  for (const std::uint8_t octet : crl.number()) out = out << 8 | octet;
  return out;
}

OcspState IssuedCertificate::state() const {
  OcspState out;
  if (!revoked_at) {
    out.status = OcspCertificateStatus::good;
    return out;
  }
  out.status = OcspCertificateStatus::revoked;
  out.revoked_at = *revoked_at;
  if (reason != CrlReason::unspecified) out.reason = reason;
  return out;
}

std::string_view scope_of(const CrlPlan& plan) {
  return !plan.ca_certificates ? "all" : *plan.ca_certificates ? "ca" : "user";
}

bool belongs_on(const CrlPlan& plan, const IssuedCertificate& one, std::uint64_t base, Time now) {
  if (plan.ca_certificates && one.is_ca != *plan.ca_certificates) return false;
  if (plan.delta && one.changed_after < base) return false;
  // RFC 5280 §3.3: an entry stays until one list after the certificate's end.
  const bool expired = one.not_after != Time{} && one.not_after < now - std::chrono::hours(plan.kept_hours);
  if (expired && !plan.with_expired) return false;
  return one.revoked_at || (plan.delta && one.released);
}

Result<Crl> sign_planned_crl(const CrlPlan& plan, std::uint64_t number, std::optional<std::uint64_t> base,
                             std::vector<CrlContent::Revoked> revoked, Time now, const Certificate& issuer,
                             Signer& signer) {
  if (!plan.hours) return fail(ErrorKind::usage, "a CRL says when the next one comes");
  if (plan.delta && !base) return no_base();
  CrlContent content;
  content.revoked = std::move(revoked);
  content.number = number;
  if (plan.delta) content.base_number = base;
  content.this_update = now;
  content.next_update = now + std::chrono::hours(*plan.hours);
  content.only_ca_certificates = plan.ca_certificates == true;
  content.only_user_certificates = plan.ca_certificates == false;
  content.freshest_urls = plan.freshest_urls;
  content.distribution_point = plan.distribution_point;
  return sign_crl(content, issuer, signer);
}

Status Authority::create(const fs::path& folder, const AuthorityConfig& config, const Certificate& certificate,
                         const std::vector<Certificate>& chain, std::string_view key_pem) {
  std::error_code error;
  if (fs::exists(folder, error)) {
    return fail(ErrorKind::already_exists, "\"" + folder.string() + "\" is there already",
                "name a folder that does not exist yet");
  }
  fs::path draft = folder.has_filename() ? folder : folder.parent_path();
  const fs::path target = draft;
  draft += ".part" + std::to_string(::getpid());
  const auto fill = [&]() -> Status {
    TRY(make_folder(draft));
    TRY(make_folder(draft / "issued"));
    TRY(make_folder(draft / "crl"));
    TRY(write_new_file(draft / "ca.toml", as_bytes(config_text(config)), 0644));
    TRY(write_new_file(draft / "certificate.pem", as_bytes(certificate.to_pem()), 0644));
    TRY(write_pem_list(draft / "chain.pem", chain));
    if (!key_pem.empty()) TRY(write_new_file(draft / "key.pem", as_bytes(key_pem), 0600));
    TRY(write_new_file(draft / "journal.jsonl", {}, 0600));
    fs::rename(draft, target, error);
    if (error) return fail(ErrorKind::io, "cannot create \"" + folder.string() + "\": " + error.message());
    return {};
  };
  const Status done = fill();
  if (!done) fs::remove_all(draft, error);
  return done;
}

Result<Authority> Authority::open(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder / "ca.toml", error)) {
    return fail(ErrorKind::not_found, "there is no certification authority in \"" + folder.string() + "\"",
                "make one: karta ca init " + folder.string());
  }
  AuthorityConfig config = TRY(read_config(folder / "ca.toml"));
  return open(folder, std::move(config));
}

Result<Authority> Authority::open(const fs::path& folder, AuthorityConfig config) {
  return open(folder, std::move(config), nullptr);
}

Result<Authority> Authority::open(const fs::path& folder, AuthorityConfig config,
                                  std::shared_ptr<AuthorityLedger> ledger) {
  Certificate certificate = TRY(read_certificate(folder / config.certificate));
  TRY(make_folder(folder));
  TRY(make_folder(folder / "issued"));
  TRY(make_folder(folder / "crl"));
  Authority out(folder, std::move(config), std::move(certificate));
  std::error_code error;
  if (fs::exists(folder / "chain.pem", error)) {
    const Bytes octets = TRY(read_file(folder / "chain.pem", 16 * Certificate::kMostOctets));
    for (const Certificate& one : TRY(Certificate::many_from_file_octets(octets))) out.above_.push_back(one.der());
  }
  TRY(out.load_journal());
  out.ledger_ = std::move(ledger);
  return out;
}

fs::path Authority::key_path() const { return folder_ / config_.key; }

std::vector<Bytes> Authority::chain() const {
  std::vector<Bytes> out = {certificate_.der()};
  out.insert(out.end(), above_.begin(), above_.end());
  return out;
}

Status Authority::load_journal() {
  issued_.clear();
  by_serial_.clear();
  base_numbers_.clear();
  last_numbers_.clear();
  crl_number_ = 0;
  generation_ = 1;
  const fs::path path = folder_ / "journal.jsonl";
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  const Bytes octets = TRY(read_file(path, kMostJournalOctets));
  std::string_view text = as_text(octets);
  std::size_t number = 0;
  // A last line without its end was being written when the power went: it never counted.
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    ++number;
    if (const Status status = apply(text.substr(0, end)); !status) {
      return fail(ErrorKind::malformed, path.string() + ":" + std::to_string(number) + ": " + status.error().message);
    }
    text.remove_prefix(end + 1);
  }
  return {};
}

// Lines: {"at":..., "event":"issued", "serial", "subject", "profile", "not_after", "ca"}
//        {"at":..., "event":"revoked", "serial", "reason"}      reason removeFromCRL: released from hold
//        {"at":..., "event":"crl", "number", "scope", "delta"}
//        {"at":..., "event":"replaced", "generation"}
Status Authority::apply(std::string_view line) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return fail(ErrorKind::malformed, "not a line of a journal");
  const auto text = [&](const char* key) -> Result<std::string> {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_string()) {
      return fail(ErrorKind::malformed, "\"" + std::string(key) + "\" is missing");
    }
    return found->get<std::string>();
  };
  const auto number = [&](const char* key) -> Result<std::uint64_t> {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_number_unsigned()) {
      return fail(ErrorKind::malformed, "\"" + std::string(key) + "\" is missing");
    }
    return found->get<std::uint64_t>();
  };
  const std::string event = TRY(text("event"));
  const std::string at_text = TRY(text("at"));
  const Time at = TRY(parse_time(at_text));
  if (event == "issued" || event == "revoked") {
    const std::string serial_hex = TRY(text("serial"));
    Bytes serial = TRY(from_hex(serial_hex));
    const auto [found, fresh] = by_serial_.emplace(serial, issued_.size());
    if (fresh) issued_.emplace_back();
    IssuedCertificate& one = issued_[found->second];
    one.serial = std::move(serial);
    if (event == "issued") {
      one.subject = TRY(text("subject"));
      one.profile = TRY(text("profile"));
      one.issued_at = at;
      const std::string not_after = TRY(text("not_after"));
      one.not_after = TRY(parse_time(not_after));
      one.is_ca = json.value("ca", false);
      return {};
    }
    const std::string word = TRY(text("reason"));
    const auto reason = find_crl_reason(word);
    if (!reason) return fail(ErrorKind::malformed, "\"" + word + "\" is no reason");
    one.changed_after = crl_number_;
    one.released = *reason == CrlReason::remove_from_crl;
    one.revoked_at = one.released ? std::nullopt : std::optional<Time>(at);
    one.reason = *reason;
    return {};
  }
  if (event == "crl") {
    crl_number_ = TRY(number("number"));
    const std::string scope = TRY(text("scope"));
    const bool delta = json.value("delta", false);
    if (!delta) base_numbers_[scope] = crl_number_;
    last_numbers_[scope + (delta ? "-delta" : "")] = crl_number_;
    return {};
  }
  if (event == "replaced") {
    generation_ = TRY(number("generation"));
    return {};
  }
  return fail(ErrorKind::malformed, "\"" + event + "\" is no event");
}

template <class Change>
Status Authority::locked(Change change) {
  const fs::path path = folder_ / "journal.jsonl";
  const Descriptor journal(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (journal.get() < 0 || ::flock(journal.get(), LOCK_EX) != 0) return io_error(path);
  TRY(load_journal());
  const std::vector<std::string> lines = TRY(change());
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  // What a torn write left behind goes before anything is written after it.
  struct stat about = {};
  if (::fstat(journal.get(), &about) != 0) return io_error(path);
  off_t end = about.st_size;
  for (char last = '\n'; end > 0; --end) {
    if (::pread(journal.get(), &last, 1, end - 1) != 1) return io_error(path);
    if (last == '\n') break;
  }
  if (end != about.st_size && ::ftruncate(journal.get(), end) != 0) return io_error(path);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = ::write(journal.get(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return io_error(path);
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fdatasync(journal.get()) != 0) return io_error(path);
  for (const std::string& line : lines) TRY(apply(line));
  return {};
}

Result<Certificate> Authority::issue(const CertificateProfile& profile, const CertificateRequest& request,
                                     Signer& signer, const Clock& clock, RandomSource& random) {
  if (ledger_) {
    Certificate certificate = TRY(issue_certificate(profile, request, certificate_, signer, clock, random));
    const std::string file = serial_text(magnitude_of(certificate.serial())) + ".pem";
    TRY(write_new_file(folder_ / "issued" / file, as_bytes(certificate.to_pem()), 0644));
    TRY(ledger_->add(certificate, profile.name));
    return certificate;
  }
  std::optional<Certificate> out;
  TRY(locked([&]() -> Result<std::vector<std::string>> {
    const Certificate certificate = TRY(issue_certificate(profile, request, certificate_, signer, clock, random));
    const Bytes serial = magnitude_of(certificate.serial());
    if (by_serial_.contains(serial)) {
      return fail(ErrorKind::already_exists, "serial number " + serial_text(serial) + " is taken");
    }
    TRY(write_new_file(folder_ / "issued" / (serial_text(serial) + ".pem"), as_bytes(certificate.to_pem()), 0644));
    out = certificate;
    const Json line{{"at", format_time(clock.now())}, {"event", "issued"},
                    {"serial", serial_text(serial)},  {"subject", certificate.subject().to_text()},
                    {"profile", profile.name},        {"not_after", format_time(certificate.not_after())},
                    {"ca", certificate.is_ca()}};
    return std::vector<std::string>{line.dump(-1, ' ', false, Json::error_handler_t::replace)};
  }));
  return std::move(*out);
}

Status check_revocation_step(ByteView magnitude, const IssuedCertificate* one, CrlReason reason) {
  const bool revoked = one != nullptr && one->revoked_at.has_value();
  const bool held = revoked && one->reason == CrlReason::certificate_hold;
  if (reason == CrlReason::remove_from_crl && !held) {
    return fail(ErrorKind::usage, "certificate " + serial_text(magnitude) + " is not on hold");
  }
  if (revoked && (!held || reason == CrlReason::certificate_hold)) {
    return fail(ErrorKind::already_exists, "certificate " + serial_text(magnitude) + " was revoked at " +
                                               format_time(*one->revoked_at) + " (" +
                                               std::string(name_of(one->reason)) + ")");
  }
  return {};
}

Status Authority::revoke(ByteView serial, CrlReason reason, const Clock& clock) {
  const Bytes magnitude = magnitude_of(serial);
  if (ledger_) return ledger_->revoke(magnitude, reason);
  return locked([&]() -> Result<std::vector<std::string>> {
    const auto found = by_serial_.find(magnitude);
    const IssuedCertificate* const one = found == by_serial_.end() ? nullptr : &issued_[found->second];
    TRY(check_revocation_step(magnitude, one, reason));
    const Json line{{"at", format_time(clock.now())},
                    {"event", "revoked"},
                    {"serial", serial_text(magnitude)},
                    {"reason", name_of(reason)}};
    return std::vector<std::string>{line.dump()};
  });
}

Result<Crl> Authority::issue_crl(const CrlPlan& asked, Signer& signer, const Clock& clock) {
  CrlPlan plan = asked;
  plan.hours = asked.hours.value_or(plan.delta ? config_.delta_hours : config_.crl_hours);
  plan.kept_hours = config_.crl_hours;
  const auto keep = [&](const Crl& crl, const std::string& number) {
    return write_new_file(folder_ / "crl" / (number + (plan.delta ? "-delta" : "") + ".crl"), crl.der(), 0644);
  };
  if (ledger_) {
    Crl crl = TRY(ledger_->issue_crl(plan, certificate_, signer));
    TRY(keep(crl, std::to_string(number_of(crl))));
    return crl;
  }
  std::optional<Crl> out;
  TRY(locked([&]() -> Result<std::vector<std::string>> {
    const std::string scope(scope_of(plan));
    const std::uint64_t number = crl_number_ + 1;
    const Time now = clock.now();
    std::optional<std::uint64_t> base_number;
    if (plan.delta) {
      const auto base = base_numbers_.find(scope);
      if (base == base_numbers_.end()) return no_base();
      base_number = base->second;
    }
    std::vector<CrlContent::Revoked> revoked;
    for (const IssuedCertificate& one : issued_) {
      if (!belongs_on(plan, one, base_number.value_or(0), now)) continue;
      revoked.push_back({.serial = one.serial, .revoked_at = one.revoked_at.value_or(now), .reason = one.reason});
    }
    const Crl crl = TRY(sign_planned_crl(plan, number, base_number, std::move(revoked), now, certificate_, signer));
    TRY(keep(crl, std::to_string(number)));
    out = crl;
    const Json line{
        {"at", format_time(now)}, {"event", "crl"}, {"number", number}, {"scope", scope}, {"delta", plan.delta}};
    return std::vector<std::string>{line.dump()};
  }));
  return std::move(*out);
}

Result<std::optional<Crl>> Authority::last_crl(const CrlPlan& plan) const {
  if (ledger_) return ledger_->last_crl(plan);
  std::optional<Crl> out;
  const std::string suffix = plan.delta ? "-delta" : "";
  const auto number = last_numbers_.find(std::string(scope_of(plan)) + suffix);
  if (number == last_numbers_.end()) return out;
  const fs::path file = folder_ / "crl" / (std::to_string(number->second) + suffix + ".crl");
  const Bytes octets = TRY(read_file(file, Crl::kMostOctets));
  out = TRY(Crl::from_der(octets));
  return out;
}

Status Authority::for_each_issued(const std::function<Status(const IssuedCertificate&)>& use) const {
  if (ledger_) return ledger_->for_each(use);
  for (const IssuedCertificate& one : issued_) TRY(use(one));
  return {};
}

Result<OcspState> Authority::state_of(ByteView serial) const {
  if (ledger_) return ledger_->state_of(serial);
  OcspState out;
  const auto found = by_serial_.find(magnitude_of(serial));
  if (found == by_serial_.end()) return out;
  return issued_[found->second].state();
}

Status Authority::replace(const Certificate& certificate, const NewKey& key, const std::vector<Certificate>& links,
                          const Clock& clock) {
  std::error_code error;
  const fs::path settings = folder_ / "ca.toml";
  const bool in_token = config_.key.starts_with("pkcs11:");
  if ((!key.uri.empty() && !fs::exists(settings, error)) || (!key.pem.empty() && in_token)) {
    return fail(ErrorKind::unsupported, "the key of this authority cannot move between a file and a token");
  }
  return locked([&]() -> Result<std::vector<std::string>> {
    const fs::path earlier = folder_ / "earlier" / std::to_string(generation_);
    TRY(make_folder(folder_ / "earlier"));
    TRY(make_folder(earlier));
    // Everything new is written beside first; the moves at the end are what can be cut short, and they can be redone by
    // hand: nothing is ever deleted.
    struct Piece {
      fs::path place;
      Bytes content;
      mode_t mode;
    };
    std::vector<Piece> pieces;
    pieces.push_back({folder_ / config_.certificate, to_bytes(as_bytes(certificate.to_pem())), 0644});
    std::string joined;
    for (const Certificate& one : links) joined += one.to_pem();
    pieces.push_back({folder_ / "roll-over.pem", to_bytes(as_bytes(joined)), 0644});
    if (!key.pem.empty()) pieces.push_back({key_path(), to_bytes(as_bytes(key.pem)), 0600});
    AuthorityConfig changed = config_;
    if (!key.uri.empty()) {
      changed.key = key.uri;
      pieces.push_back({settings, to_bytes(as_bytes(config_text(changed))), 0644});
    }
    const auto beside = [&](const fs::path& place) {
      fs::path out = place;
      return out += ".next" + std::to_string(generation_);
    };
    for (const Piece& one : pieces) TRY(write_new_file(beside(one.place), one.content, one.mode));
    const auto move = [&](const fs::path& from, const fs::path& to) -> Status {
      fs::rename(from, to, error);
      if (error) return fail(ErrorKind::io, "cannot move \"" + from.string() + "\": " + error.message());
      return {};
    };
    for (const Piece& one : pieces) {
      if (fs::exists(one.place, error)) TRY(move(one.place, earlier / one.place.filename()));
      TRY(move(beside(one.place), one.place));
    }
    certificate_ = certificate;
    config_ = std::move(changed);
    const Json line{{"at", format_time(clock.now())}, {"event", "replaced"}, {"generation", generation_ + 1}};
    return std::vector<std::string>{line.dump()};
  });
}

Result<RollOverLinks> roll_over_links(const CertificateProfile& profile, const Certificate& old_certificate,
                                      Signer& old_signer, const Certificate& new_certificate, Signer& new_signer,
                                      const Clock& clock, RandomSource& random) {
  const Certificate old_with_new = TRY(issue_self_issued(profile, old_certificate.subject(), old_signer.public_key(),
                                                         new_certificate, new_signer, clock, random));
  const Certificate new_with_old = TRY(issue_self_issued(profile, new_certificate.subject(), new_signer.public_key(),
                                                         old_certificate, old_signer, clock, random));
  return RollOverLinks{old_with_new, new_with_old};
}

}  // namespace karta::crypto
