#include "issuing/terminal_desk.h"

#include <algorithm>

#include "issuing/centre_config.h"

namespace karta::issuing {
namespace {

constexpr std::size_t kRoleLetters = 2;
constexpr std::size_t kSequenceDigits = 5;

/// What a terminal may have: its role's rights, or those of them it named.
struct Asked {
  card::Rights rights = 0;
  card::SectorRights in_sectors = 0;
};

tl::unexpected<Error> too_much(const card::TerminalRole& role, std::string_view right) {
  return fail(ErrorKind::not_permitted,
              "the role " + std::string(role.name) + " has not the right \"" + std::string(right) + "\"",
              "a terminal has the rights of the role it was enrolled with, or fewer");
}

Result<Asked> rights_of(const card::TerminalRole& role, const std::vector<std::string>& names) {
  if (names.empty()) return Asked{role.rights, role.sector_rights};
  Asked out;
  for (const std::string& name : names) {
    if (const card::SectorRightRow* const row = card::find_sector_right(name)) {
      const card::SectorRights bit = card::right_bit(row->right);
      if ((role.sector_rights & bit) == 0) return too_much(role, name);
      out.in_sectors = static_cast<card::SectorRights>(out.in_sectors | bit);
      continue;
    }
    const card::RightRow* const row = card::find_right(card::TerminalType::authentication_terminal, name);
    if (row == nullptr) return fail(ErrorKind::usage, "\"" + name + "\" is no right of a terminal");
    if ((role.rights & card::right_bit(row->bit)) == 0) return too_much(role, name);
    out.rights |= card::right_bit(row->bit);
  }
  return out;
}

/// What a request itself asks for beyond its key must not lead beyond the role either.
Status check_extensions(const card::CvRequest& request, const card::TerminalRole& role) {
  for (const card::CvExtension& extension : request.extensions) {
    if (extension.oid != card::kSectorRightsOid) {
      return fail(ErrorKind::not_permitted, "the request asks for the extension " + extension.oid,
                  "sectors and descriptions are the authority's to give");
    }
    const card::SectorRights wanted = TRY(card::parse_sector_rights(extension.content));
    const auto beyond = static_cast<card::SectorRights>(wanted & ~role.sector_rights);
    if (beyond != 0) return too_much(role, card::names_of_sector_rights(beyond).front());
  }
  return {};
}

/// A request that is signed with a present key too must be signed with that of this terminal.
Status check_renewal(const card::CvRequest& request, ByteView present_octets, crypto::KeyType curve) {
  if (request.renewed_by.empty()) return {};
  const auto no = [&](const char* why) {
    return fail(ErrorKind::not_permitted, "the request of \"" + request.holder + "\" " + why,
                "the outer signature is that of the terminal's present key");
  };
  if (present_octets.empty()) return no("is a renewal, and there is nothing to renew");
  const card::CvCertificate present = TRY(card::CvCertificate::parse(present_octets));
  if (present.holder() != request.renewed_by) return no("is signed by another terminal");
  const auto key = TRY(present.content().public_key.key(curve));
  if (!card::verify_cv_signature(key, present.content().public_key.algorithm->algorithm, request.outer_signed,
                                 request.outer_signature)) {
    return fail(ErrorKind::invalid_signature,
                "the request of \"" + request.holder + "\" is not signed with the terminal's present key");
  }
  return {};
}

/// The last second of a certificate's last day.
Time end_of(card::CvDate day) {
  return Time(std::chrono::sys_days(day) + std::chrono::days(1)) - std::chrono::seconds(1);
}

}  // namespace

std::string cv_line_prefix(const card::TerminalRole& role, std::string_view country) {
  return std::string(country) + std::string(role.holder.substr(0, kRoleLetters));
}

Result<std::unique_ptr<TerminalDesk>> TerminalDesk::open(const std::filesystem::path& centre,
                                                         const SecretBytes& passphrase, const Clock& clock,
                                                         const card::CvIssueOptions& options) {
  const CentreConfig config = TRY(load_centre_config(centre));
  card::TerminalStore store(config.terminals);
  card::UnlockedVerifier verifier = TRY(store.unlock_verifier(passphrase));
  for (const card::TerminalRole& role : card::terminal_roles()) {
    if (role.sector.empty()) continue;
    auto made = store.make_sector(role.sector, options, passphrase);
    // Another process may be making it at this moment.
    if (!made && made.error().kind == ErrorKind::already_exists) made = store.sector(role.sector);
    TRY(std::move(made));
  }
  return std::unique_ptr<TerminalDesk>(new TerminalDesk(std::move(store), std::move(verifier), clock));
}

Result<identity::TerminalCertificate> TerminalDesk::certify(const identity::TerminalOrder& order) {
  const card::TerminalRole* const role = card::find_terminal_role(order.role);
  if (role == nullptr) return fail(ErrorKind::usage, "\"" + order.role + "\" is no role of a terminal");
  const Asked asked = TRY(rights_of(*role, order.rights));
  const std::lock_guard lock(mutex_);
  const auto curve = verifier_.signer->public_key().type();
  KARTA_CHECK(curve);
  const card::CvRequest request = TRY(card::CvRequest::parse(order.request, *curve));
  TRY(check_extensions(request, *role));
  TRY(check_renewal(request, order.present, *curve));

  card::TerminalGrant grant;
  grant.key = request.public_key;
  std::string number = std::to_string(order.sequence);
  if (number.size() < kSequenceDigits) number.insert(0, kSequenceDigits - number.size(), '0');
  grant.holder = order.holder_line + number;
  TRY(card::check_cv_reference(grant.holder));
  grant.rights = asked.rights;
  grant.sector_rights = asked.in_sectors;
  if (!role->sector.empty()) grant.sector = TRY(store_.sector(role->sector));
  const Time now = clock_->now();
  grant.effective = card::cv_date_of(now);
  grant.expiration = card::cv_date_of(now + order.validity);
  const card::CvCertificate made = TRY(card::sign_terminal(verifier_, grant));
  identity::TerminalCertificate out;
  out.certificate = made.octets();
  out.holder = made.holder();
  for (const card::CvCertificate& one : verifier_.above) out.above.push_back(one.octets());
  out.until = end_of(made.content().expiration);
  return out;
}

Result<Bytes> TerminalDesk::key_of(ByteView request) {
  const auto curve = verifier_.signer->public_key().type();
  const card::CvRequest parsed = TRY(card::CvRequest::parse(request, curve));
  const crypto::PublicKey key = TRY(parsed.public_key.key(curve));
  return key.spki();
}

Result<Time> TerminalDesk::until() { return end_of(verifier_.certificate.content().expiration); }

}  // namespace karta::issuing
