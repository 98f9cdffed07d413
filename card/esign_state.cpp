#include "card/esign_state.h"

#include <algorithm>
#include <array>

#include "base/der.h"
#include "card/card_type.h"

namespace karta::card {
namespace {

// Objects of GET DATA in the MyEID profile.
constexpr std::uint16_t kObjectCardInfo = 0x01A0, kObjectFileList = 0x01A1;
constexpr std::size_t kCardInfoOctets = 20;

struct RoleRow {
  KeyRole role;
  std::string_view name;
};
constexpr auto kRoles = std::to_array<RoleRow>({
    {KeyRole::authentication, "AUT"},
    {KeyRole::signature, "SIG"},
    {KeyRole::qualified, "QES"},
    {KeyRole::encryption, "ENC"},
    {KeyRole::other, "-"},
});

// PKCS #15 knows no roles: the label's first word is ours.
KeyRole role_of_label(std::string_view label) {
  const std::string_view word = label.substr(0, label.find(' '));
  for (const RoleRow& row : kRoles) {
    if (row.role != KeyRole::other && row.name == word) return row.role;
  }
  return KeyRole::other;
}

// Without the padding of the file behind it.
Result<Bytes> exact_der(ByteView content) {
  TlvCursor cursor(content, TlvLimits{3, kMaxFileOctets, true, false});
  const auto value = cursor.next();
  if (!value || value->tag != der::kSequence) {
    return fail(ErrorKind::malformed, "the certificate file holds no certificate");
  }
  return to_bytes(value->whole);
}

}  // namespace

std::string_view to_string(KeyRole role) {
  for (const RoleRow& row : kRoles) {
    if (row.role == role) return row.name;
  }
  return "-";
}

void ESignApplication::State::forget_content() {
  odf.reset();
  token_info.reset();
  pins.reset();
  keys.reset();
  certificates.reset();
  data_list.reset();
  certificate_places.clear();
  certificate_files.clear();
  plain_ids.reset();
}

Status ESignApplication::State::select_directory() {
  if (in_directory) return {};
  environment.reset();
  const ResponseApdu response = TRY(channel.transmit(select_application(kPkcs15Aid, SelectReturn::nothing)));
  if (response.status == kSwNotFound) {
    return fail(ErrorKind::card_unknown, "this card has no e-signature application");
  }
  if (!response.status.ok()) return fail(error_of(response.status, "select the e-signature application"));
  in_directory = true;
  return {};
}

Result<CardInfo> ESignApplication::State::read_info() {
  const ResponseApdu response = TRY(channel.transmit(get_data(kObjectCardInfo, kShortResponse)));
  if (!response.status.ok() || response.data.size() != kCardInfoOctets) {
    return fail(ErrorKind::card_unknown,
                "this card does not speak the MyEID command profile (GET DATA 01A0: " + to_string(response.status) +
                    ", " + std::to_string(response.data.size()) + " octets)");
  }
  const ByteView octets = response.data;
  CardInfo read;
  read.version_major = octets[5];
  read.version_minor = octets[6];
  read.version_build = octets[7];
  read.serial = to_bytes(octets.subspan(8, 10));
  read.change_counter = load_be16(octets.subspan(18));
  return read;
}

Result<Transaction> ESignApplication::State::enter() {
  CardConnection& connection = channel.connection();
  Transaction guard = TRY(Transaction::begin(connection));
  if (opened && transaction == connection.transaction() && session == connection.session()) return guard;
  environment.reset();
  in_directory = false;
  if (!opened || session != connection.session()) {
    shown.clear();
    TRY(select_directory());
  }
  CardInfo now = TRY(read_info());
  if (opened && now.serial != info.serial) {
    return fail(ErrorKind::card_removed, "there is another card in the reader now", "open it anew");
  }
  if (opened && now.change_counter != info.change_counter) forget_content();
  info = std::move(now);
  opened = true;
  session = connection.session();
  transaction = connection.transaction();
  return guard;
}

Result<Transaction> ESignApplication::State::enter_session() {
  if (!opened) return enter();
  CardConnection& connection = channel.connection();
  Transaction guard = TRY(Transaction::begin(connection));
  if (session != connection.session()) return enter();
  if (transaction != connection.transaction()) {
    environment.reset();
    in_directory = false;
  }
  return guard;
}

void ESignApplication::State::changed() {
  forget_content();
  transaction = 0;
}

// Content ----------------------------------------------------------------------------------------

Result<Bytes> ESignApplication::State::read(const Path& path) {
  if (cache == nullptr) return read_from_card(path);
  const std::string name = path.to_string();
  if (auto known = cache->find(info.serial, info.change_counter, name)) return std::move(*known);
  Bytes content = TRY(read_from_card(path));
  cache->keep(info.serial, info.change_counter, name, content);
  return content;
}

// In as few commands as the card allows.
Result<Bytes> ESignApplication::State::read_from_card(const Path& path) {
  if (card_type_of(channel.connection().atr()).short_ids && path.ids().size() == 2 && path.ids()[0] == kDfESign) {
    TRY(select_directory());
    TRY(learn_short_ids());
    if (plain_ids->contains(path.file_id())) return read_by_short_id(path);
  }
  in_directory = false;
  environment.reset();
  return read_file(channel, path);
}

// GET DATA 01A1: the files of the current DF. A short identifier that two of them share names neither.
Status ESignApplication::State::learn_short_ids() {
  if (plain_ids) return {};
  plain_ids.emplace();
  const Bytes list = TRY(channel.run(get_data(kObjectFileList, kShortResponse), "list the application's files"));
  std::map<unsigned, std::vector<std::uint16_t>> by_short_id;
  for (Cursor cursor(list); cursor.remaining() >= 2;) {
    const std::uint16_t id = TRY(cursor.be16());
    by_short_id[id & 0x1Fu].push_back(id);
  }
  for (const auto& [short_id, ids] : by_short_id) {
    if (ids.size() == 1 && short_id >= 1 && short_id <= 30) plain_ids->insert(ids.front());
  }
  return {};
}

Result<Bytes> ESignApplication::State::read_by_short_id(const Path& path) {
  const std::size_t most = channel.limits().response_data;
  const auto short_id = static_cast<std::uint8_t>(path.file_id() & 0x1F);
  Bytes content;
  for (;;) {
    const ResponseApdu part = TRY(
        channel.transmit(content.empty() ? read_binary_short_id(short_id, most) : read_binary(content.size(), most)));
    if (!content.empty() && part.status == kSwWrongOffset) return content;
    if (!part.status.ok() && part.status != kSwEndOfFile) {
      return fail(error_of(part.status, "read " + path.to_string()));
    }
    append(content, part.data);
    if (content.size() > kMaxFileOctets) {
      return fail(ErrorKind::card_unresponsive, "the file " + path.to_string() + " does not end");
    }
    if (part.data.size() < most) return content;
  }
}

Result<const std::vector<DirectoryEntry>*> ESignApplication::State::directory() {
  if (!odf) {
    const Bytes content = TRY(read(Path{kDfESign, kEfOdf}));
    odf = TRY(parse_odf(content));
  }
  return &*odf;
}

// Content of the first directory file of a kind; empty where there is none.
Result<std::vector<Bytes>> ESignApplication::State::directory_files(std::initializer_list<Directory> kinds) {
  const std::vector<DirectoryEntry>* entries = TRY(directory());
  std::vector<Bytes> files;
  for (const DirectoryEntry& entry : *entries) {
    if (std::find(kinds.begin(), kinds.end(), entry.kind) == kinds.end()) continue;
    auto content = read(absolute(entry.path));
    // A directory file announced and not made yet is an empty one.
    if (!content && content.error().kind == ErrorKind::not_found) continue;
    if (!content) return fail(std::move(content).error());
    files.push_back(std::move(*content));
  }
  return files;
}

Path ESignApplication::State::absolute(const Path& path) {
  if (path.ids().size() == 1 && path.ids()[0] != kDfESign) return Path{kDfESign, path.ids()[0]};
  return path;
}

Status ESignApplication::State::load_pins() {
  if (pins) return {};
  std::vector<PinObject> all;
  for (const Bytes& file : TRY(directory_files({Directory::authentication}))) {
    for (PinObject& pin : TRY(parse_aodf(file))) all.push_back(std::move(pin));
  }
  pins = std::move(all);
  return {};
}

Status ESignApplication::State::load_keys() {
  if (keys) return {};
  TRY(load_pins());
  std::vector<CardKey> all;
  for (const Bytes& file : TRY(directory_files({Directory::private_keys}))) {
    for (PrivateKeyObject& object : TRY(parse_prkdf(file))) all.push_back(make_key(std::move(object)));
  }
  keys = std::move(all);
  return {};
}

CardKey ESignApplication::State::make_key(PrivateKeyObject object) const {
  CardKey key;
  key.role = role_of_label(object.head.label);
  key.label = std::move(object.head.label);
  key.id = std::move(object.id);
  key.type = find_card_key_type(object.family, object.bits);
  key.usage = object.usage;
  key.file_id = object.location.path.file_id();
  key.pin_each_time = object.head.user_consent == 1;
  key.modifiable = (object.head.flags & object_flag::modifiable) != 0;
  for (const PinObject& pin : *pins) {
    if (object.head.auth_id.empty() || pin.id != object.head.auth_id) continue;
    key.pin_reference = pin.reference.value_or(0);
    if (key.pin_reference == reference_of(PinKind::pin1)) key.pin = PinKind::pin1;
    if (key.pin_reference == reference_of(PinKind::pin2)) key.pin = PinKind::pin2;
  }
  return key;
}

Status ESignApplication::State::load_certificates() {
  if (certificates) return {};
  std::vector<CardCertificate> all;
  for (const Bytes& file : TRY(directory_files(
           {Directory::certificates, Directory::trusted_certificates, Directory::useful_certificates}))) {
    for (CertificateObject& object : TRY(parse_cdf(file))) {
      if (!object.location) continue;
      const Path path = absolute(object.location->path);
      certificate_places[path.file_id()] = {path, object.location->offset, object.location->length};
      const bool modifiable = (object.head.flags & object_flag::modifiable) != 0;
      all.push_back({std::move(object.head.label), std::move(object.id), object.authority, path.file_id(), modifiable});
    }
  }
  certificates = std::move(all);
  return {};
}

Status ESignApplication::State::load_data() {
  if (data_list) return {};
  std::vector<DataObject> all;
  for (const Bytes& file : TRY(directory_files({Directory::data}))) {
    for (DataObject& object : TRY(parse_dodf(file))) all.push_back(std::move(object));
  }
  data_list = std::move(all);
  return {};
}

Result<Bytes> ESignApplication::State::certificate_file(std::uint16_t file_id) {
  if (const auto known = certificate_files.find(file_id); known != certificate_files.end()) return known->second;
  const auto place = certificate_places.find(file_id);
  if (place == certificate_places.end()) return fail(ErrorKind::not_found, "no such certificate on the card");
  const Bytes content = TRY(read(place->second.path));
  const Location& where = place->second;
  if (where.offset > content.size() || where.length > content.size() - where.offset) {
    return fail(ErrorKind::malformed, "the certificate lies outside its file");
  }
  ByteView part = ByteView(content).subspan(where.offset);
  if (where.length != 0) part = part.first(where.length);
  Bytes der = TRY(exact_der(part));
  certificate_files[file_id] = der;
  return der;
}

}  // namespace karta::card
