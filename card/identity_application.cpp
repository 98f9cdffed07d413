#include "card/identity_application.h"

#include "base/der.h"
#include "card/chip_authentication.h"
#include "card/iso7816.h"
#include "card/whole_file.h"

namespace karta::card {
namespace {

constexpr StatusWord kSwNotSame{0x6300};

// EF.CardSecurity stands in the MF, which is current until the application is selected.
Result<Bytes> read_card_security(Channel& channel) {
  constexpr std::uint8_t kShortId = kEfCardSecurity & 0x1F;
  auto content = read_whole_file(channel, kShortId, kMostCardSecurityOctets, "EF.CardSecurity");
  if (!content && content.error().kind == ErrorKind::not_found) {
    return read_whole_file(channel, Path{kEfCardSecurity}, kMostCardSecurityOctets, "EF.CardSecurity");
  }
  return content;
}

}  // namespace

std::string_view name_of(DataGroupState state) {
  constexpr std::string_view kNames[] = {"read", "refused", "denied", "absent"};
  return kNames[static_cast<std::size_t>(state)];
}

// TR-03110-2 §3.1.1, the general authentication procedure.
Result<IdentityApplication> IdentityApplication::open(Channel& below, const IdentityRequest& request,
                                                      RandomSource& random) {
  auto channel = std::make_unique<SecureMessagingChannel>(below);
  const SecurityInfos access = TRY(read_card_access(*channel));
  const PaceInfo info = TRY(access.preferred_pace());
  const std::uint64_t domain = TRY(chip_authentication_domain(access));
  const Chat announced = request.terminal->announced(request.rights);

  const SectorRights all = request.terminal->sector_rights();
  const auto sector_rights = static_cast<SectorRights>(request.sector_rights.value_or(all) & all);
  const PaceOutcome pace =
      TRY(run_pace(*channel, info, {request.password, request.secret, request.can, announced, sector_rights}, random));
  const crypto::EcKeyPair ephemeral =
      TRY(authenticate_terminal(*channel, *request.terminal, pace, domain, request.compare, random));
  const Bytes signed_infos = TRY(read_card_security(*channel));
  const ByteView signed_object = TRY(only_object(signed_infos));
  CardSecurity security = TRY(verify_card_security(signed_object, request.issuers, request.at));
  TRY(check_same_protocols(access, security.infos));
  const ChipAuthenticationChoice choice = TRY(choose_chip_authentication(security.infos));
  TRY(authenticate_chip(*channel, choice, ephemeral));
  IdentityApplication identity(std::move(channel), announced, sector_rights, std::move(security), request.compare);
  if (!request.select_later) TRY(identity.select());
  return identity;
}

Status IdentityApplication::select() {
  if (selected_) return {};
  TRY(channel_->run(select_application(kIdentityAid, SelectReturn::nothing), "select the identity application"));
  selected_ = true;
  return {};
}

Result<DataGroupReading> IdentityApplication::read(unsigned number) {
  DataGroupReading reading;
  reading.number = number;
  const DataGroupRow* const row = find_data_group(number);
  if (row == nullptr) return reading;
  if (!rights_.may(right_to_read(number))) {
    reading.state = DataGroupState::refused;
    return reading;
  }
  const std::string what = "data group " + std::to_string(number);
  TRY(select());
  const auto file = read_whole_file(*channel_, static_cast<std::uint8_t>(number), most_file_octets(*row), what);
  if (!file) {
    if (file.error().kind == ErrorKind::not_found) return reading;
    if (file.error().kind != ErrorKind::not_permitted) return fail(file.error());
    reading.state = DataGroupState::denied;
    return reading;
  }
  if (file->empty()) return reading;
  reading.check = check_data_group(security_.infos, number, *file);
  if (reading.check == DataGroupCheck::altered) {
    return fail(ErrorKind::untrusted, what + " (" + std::string(row->words) + ") is not what the issuer signed",
                "do not accept this card");
  }
  DataGroup group = TRY(decode_data_group(*row, *file));
  reading.state = DataGroupState::read;
  reading.value = std::move(group.value);
  return reading;
}

bool IdentityApplication::has(unsigned number) const {
  const auto& signed_groups = security_.infos.data_groups;
  return signed_groups && signed_groups->by_number.contains(number);
}

Result<std::vector<DataGroupReading>> IdentityApplication::read_all() {
  std::vector<DataGroupReading> all;
  for (const DataGroupRow& row : data_group_rows()) {
    if (row.form == DataGroupForm::picture) continue;
    DataGroupReading reading = TRY(read(row.number));
    all.push_back(std::move(reading));
  }
  return all;
}

// 80 20 80 00 { 06 what was announced }: TR-03110-3 B.11.9
Result<bool> IdentityApplication::compare(std::string_view oid, bool announced, const char* what) {
  if (!announced)
    return fail(ErrorKind::usage, std::string(what) + " was not announced when the terminal authenticated");
  TRY(select());
  const ResponseApdu answer = TRY(channel_->transmit({0x80, 0x20, 0x80, 0x00, der::oid(oid)}));
  if (answer.status.ok()) return true;
  if (answer.status == kSwNotSame) return false;
  return fail(error_of(answer.status, std::string("have the card compare ") + what));
}

Result<bool> IdentityApplication::born_by_announced_date() {
  return compare(kDateOfBirthOid, compare_.born_by.has_value(), "the date of birth");
}
Result<bool> IdentityApplication::valid_on_announced_date() {
  return compare(kDateOfExpiryOid, compare_.valid_on.has_value(), "its validity");
}
Result<bool> IdentityApplication::lives_in_announced_community() {
  return compare(kCommunityIdOid, compare_.community.has_value(), "the community");
}

Result<Bytes> IdentityApplication::pseudonym(const SectorKey& sector) {
  for (const RestrictedIdInfo& info : security_.infos.restricted_identification) {
    if (info.suite != sector.suite) continue;
    // The key for authorised terminals where the role has the right, else the open one.
    if (info.authorised_only != rights_.may(kRightRestrictedId)) continue;
    TRY(select());
    return restricted_identifier(*channel_, info, sector);
  }
  return fail(ErrorKind::unsupported, "the card has no restricted identification for this sector and role");
}

Status IdentityApplication::write(unsigned number, const DataGroupValue& value) {
  const DataGroupRow* const row = find_data_group(number);
  if (row == nullptr || !row->writable) {
    return fail(ErrorKind::usage, "data group " + std::to_string(number) + " cannot be written after issue");
  }
  Bytes content = TRY(encode_data_group(*row, value, {}));
  const std::string what = "data group " + std::to_string(number);
  TRY(select());
  const Bytes answer =
      TRY(channel_->run(select_file(data_group_file(number), SelectReturn::control_parameters), "select " + what));
  const FileControl file = TRY(FileControl::parse(answer));
  if (content.size() > file.size) {
    return fail(ErrorKind::limit,
                what + " has room for " + std::to_string(file.size) + " octets, not " + std::to_string(content.size()));
  }
  // Files keep the size they were made with: zeros, which readers skip, cover what was there before.
  content.resize(file.size);
  return update_selected(*channel_, content);
}

void IdentityApplication::close() {
  channel_->stop();
  // A plain command ends the session on the card, whatever it answers; where the card is gone, so is the session.
  (void)channel_->transmit(select_master_file(SelectReturn::nothing));
}

}  // namespace karta::card
