#include "card/esign.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/der.h"
#include "card/card_type.h"
#include "card/iso7816.h"
#include "card/pin_pad.h"

namespace karta::card {
namespace {

// Objects of GET DATA in the MyEID profile.
constexpr std::uint16_t kObjectCardInfo = 0x01A0, kObjectFileList = 0x01A1, kObjectModulus = 0x0101,
                        kObjectExponent = 0x0102, kObjectPoint = 0x0186;
constexpr std::size_t kCardInfoOctets = 20;

// Algorithm references of MSE in the MyEID profile.
constexpr std::uint8_t kAlgorithmRsaRaw = 0x00, kAlgorithmRsaPkcs1 = 0x02, kAlgorithmEc = 0x04;

// PIN references inside DF 5015.
constexpr std::uint8_t reference_of(PinKind kind) { return kind == PinKind::pin2 ? 0x02 : 0x01; }

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

Status require_holder_pin(PinKind kind) {
  if (kind == PinKind::pin1 || kind == PinKind::pin2) return {};
  return fail(ErrorKind::usage, "the " + std::string(name_of(kind)) + " is not a PIN of the e-signature application");
}

std::string tries_text(unsigned tries) {
  return std::to_string(tries) + (tries == 1 ? " try is left" : " tries are left");
}

// What a PIN command's status word means to the holder. `subject`: what was presented.
Status pin_result(StatusWord status, PinKind presented, std::string_view deed) {
  const std::string name(name_of(presented));
  if (status.ok()) return {};
  if (const auto tries = status.remaining_tries()) {
    if (*tries == 0) return fail(ErrorKind::pin_blocked, "wrong " + name + ", and it is blocked now");
    return fail(ErrorKind::wrong_pin, "wrong " + name + ", " + tries_text(*tries));
  }
  if (status == kSwBlocked) {
    return fail(ErrorKind::pin_blocked, "the " + name + " is blocked",
                presented == PinKind::puk ? "the card cannot be unblocked any more: ask the issuer for a new one" : "");
  }
  // 6984 reference data not usable: the issuer's transport PIN is still in place.
  if (status.value == 0x6984) return fail(ErrorKind::transport_pin, "the " + name + " still is the transport PIN");
  return fail(error_of(status, deed));
}

// ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }
bool is_ecdsa_signature(ByteView octets) {
  der::Reader outer(octets);
  auto inner = outer.enter(der::kSequence);
  return inner && outer.finish() && inner->unsigned_integer() && inner->unsigned_integer() && inner->finish();
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

Bytes trimmed(ByteView magnitude) {
  while (magnitude.size() > 1 && magnitude.front() == 0) magnitude = magnitude.subspan(1);
  return to_bytes(magnitude);
}

Result<CardPublicKey> checked(CardPublicKey key) {
  const std::string what = "the card gives a public key that is no " + std::string(key.type->name) + " key";
  if (key.type->family == KeyFamily::ec) {
    if (key.point.size() != 1 + 2 * key.type->octets() || key.point[0] != 0x04) {
      return fail(ErrorKind::card_unresponsive, what);
    }
  } else {
    key.modulus = trimmed(key.modulus);
    key.exponent = trimmed(key.exponent);
    if (key.modulus.size() != key.type->octets() || key.exponent.empty() || key.exponent.size() > 8) {
      return fail(ErrorKind::card_unresponsive, what);
    }
  }
  return key;
}

// ISO 7816-8 table 5: 7F49 { 81 modulus, 82 exponent } or { 86 point }.
Result<CardPublicKey> parse_public_key_template(const CardKeyType& type, ByteView answer) {
  TlvCursor outer(answer);
  const Tlv whole = TRY(outer.expect(0x7F49));
  TRY(outer.finish());
  CardPublicKey key;
  key.type = &type;
  TlvCursor inner(whole.value);
  while (!inner.done()) {
    const Tlv object = TRY(inner.next());
    if (object.tag == 0x81) key.modulus = to_bytes(object.value);
    if (object.tag == 0x82) key.exponent = to_bytes(object.value);
    if (object.tag == 0x86) key.point = to_bytes(object.value);
  }
  return checked(std::move(key));
}

}  // namespace

std::string_view to_string(KeyRole role) {
  for (const RoleRow& row : kRoles) {
    if (row.role == role) return row.name;
  }
  return "-";
}

Bytes CardPublicKey::subject_public_key_info() const {
  if (type->family == KeyFamily::ec) {
    return der::sequence(
        {der::sequence({der::oid("1.2.840.10045.2.1"), der::oid(type->curve_oid)}), der::bit_string(point)});
  }
  const Bytes key = der::sequence({der::unsigned_integer(modulus), der::unsigned_integer(exponent)});
  return der::sequence({der::sequence({der::oid("1.2.840.113549.1.1.1"), der::null()}), der::bit_string(key)});
}

struct ESignApplication::State {
  explicit State(Channel& c) : channel(c) {}

  Channel& channel;
  CardInfo info;
  bool opened = false;
  unsigned session = 0;           // of the connection, when last looked
  std::uint64_t transaction = 0;  // whose beginning was looked at
  bool in_directory = false;      // DF 5015 is the current DF, as far as this transaction goes

  struct Environment {
    SecurityTemplate purpose;
    std::uint8_t algorithm;
    std::uint16_t file_id;
    friend bool operator==(const Environment&, const Environment&) = default;
  };
  std::optional<Environment> environment;  // set in this transaction

  // Content, valid for info.change_counter.
  std::optional<std::vector<DirectoryEntry>> odf;
  std::optional<TokenInfo> token_info;
  std::optional<std::vector<PinObject>> pins;
  std::optional<std::vector<CardKey>> keys;
  std::optional<std::vector<CardCertificate>> certificates;
  std::map<std::uint16_t, Location> certificate_places;
  std::map<std::uint16_t, Bytes> certificate_files;
  std::optional<std::vector<DataObject>> data_list;
  ContentCache* cache = nullptr;
  std::optional<std::set<std::uint16_t>> plain_ids;  // files whose short identifier is theirs alone

  void forget_content() {
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

  // Selecting may cost a card its security environment: it is set again.
  Status select_directory() {
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

  Result<CardInfo> read_info() {
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

  // What every public function does first.
  Result<Transaction> enter() {
    CardConnection& connection = channel.connection();
    Transaction guard = TRY(Transaction::begin(connection));
    if (opened && transaction == connection.transaction() && session == connection.session()) return guard;
    environment.reset();
    in_directory = false;
    if (!opened || session != connection.session()) TRY(select_directory());
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

  // The same without the counter, for what does not depend on content: while the session is the same, so is the card.
  Result<Transaction> enter_session() {
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

  // Our own writing moves the counter too: take note, and keep nothing.
  void changed() {
    forget_content();
    transaction = 0;
  }

  // A whole transparent EF, from the cache or the card.
  Result<Bytes> read(const Path& path) {
    if (cache == nullptr) return read_from_card(path);
    const std::string name = path.to_string();
    if (auto known = cache->find(info.serial, info.change_counter, name)) return std::move(*known);
    Bytes content = TRY(read_from_card(path));
    cache->keep(info.serial, info.change_counter, name, content);
    return content;
  }

  // The same in as few commands as the card allows.
  Result<Bytes> read_from_card(const Path& path) {
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
  Status learn_short_ids() {
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

  Result<Bytes> read_by_short_id(const Path& path) {
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

  Result<const std::vector<DirectoryEntry>*> directory() {
    if (!odf) {
      const Bytes content = TRY(read(Path{kDfESign, kEfOdf}));
      odf = TRY(parse_odf(content));
    }
    return &*odf;
  }
  // Content of the first directory file of a kind; empty where there is none.
  Result<std::vector<Bytes>> directory_files(std::initializer_list<Directory> kinds) {
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

  // PKCS #15 paths may be relative to the application's DF.
  static Path absolute(const Path& path) {
    if (path.ids().size() == 1 && path.ids()[0] != kDfESign) return Path{kDfESign, path.ids()[0]};
    return path;
  }

  Status load_pins() {
    if (pins) return {};
    std::vector<PinObject> all;
    for (const Bytes& file : TRY(directory_files({Directory::authentication}))) {
      for (PinObject& pin : TRY(parse_aodf(file))) all.push_back(std::move(pin));
    }
    pins = std::move(all);
    return {};
  }

  Status load_keys() {
    if (keys) return {};
    TRY(load_pins());
    std::vector<CardKey> all;
    for (const Bytes& file : TRY(directory_files({Directory::private_keys}))) {
      for (PrivateKeyObject& object : TRY(parse_prkdf(file))) all.push_back(make_key(std::move(object)));
    }
    keys = std::move(all);
    return {};
  }

  CardKey make_key(PrivateKeyObject object) const {
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

  Status load_certificates() {
    if (certificates) return {};
    std::vector<CardCertificate> all;
    for (const Bytes& file : TRY(directory_files(
             {Directory::certificates, Directory::trusted_certificates, Directory::useful_certificates}))) {
      for (CertificateObject& object : TRY(parse_cdf(file))) {
        if (!object.location) continue;
        const Path path = absolute(object.location->path);
        certificate_places[path.file_id()] = {path, object.location->offset, object.location->length};
        const bool modifiable = (object.head.flags & object_flag::modifiable) != 0;
        all.push_back(
            {std::move(object.head.label), std::move(object.id), object.authority, path.file_id(), modifiable});
      }
    }
    certificates = std::move(all);
    return {};
  }

  Status load_data() {
    if (data_list) return {};
    std::vector<DataObject> all;
    for (const Bytes& file : TRY(directory_files({Directory::data}))) {
      for (DataObject& object : TRY(parse_dodf(file))) all.push_back(std::move(object));
    }
    data_list = std::move(all);
    return {};
  }

  Result<Bytes> certificate_file(std::uint16_t file_id) {
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

  Status set_environment(const Environment& wanted) {
    if (environment == wanted) return {};
    environment.reset();
    const CommandApdu command = manage_security_environment(wanted.purpose, wanted.algorithm, wanted.file_id);
    ResponseApdu response = TRY(channel.transmit(command));
    // Another program has selected something else: the key's file is looked for in the current directory.
    if ((response.status == kSwNotFound || response.status == kSwReferenceNotFound) && !in_directory) {
      TRY(select_directory());
      response = TRY(channel.transmit(command));
    }
    if (!response.status.ok()) return fail(error_of(response.status, "prepare the key"));
    environment = wanted;
    return {};
  }

  // PIN references are the application's. Where another program has left another one selected, the card knows none by
  // that number there, and no try was spent: select ours and ask again. So a SELECT is paid for only when it is due.
  Result<ResponseApdu> transmit_pin(const CommandApdu& command) {
    ResponseApdu response = TRY(channel.transmit(command));
    if (response.status != kSwReferenceNotFound || in_directory) return response;
    TRY(select_directory());
    return channel.transmit(command);
  }

  Status present(PinKind kind, const SecretBytes& pin) {
    TRY(require_holder_pin(kind));
    TRY(check_presented_pin(kind, pin));
    const ResponseApdu response = TRY(transmit_pin(verify(reference_of(kind), pin_field(pin).expose_secret())));
    return pin_result(response.status, kind, "verify the PIN");
  }

  // VERIFY if a PIN is given, MSE, and then the operation itself.
  Result<Bytes> operate(const CardKey& key, const Environment& wanted, const CommandApdu& command,
                        const SecretBytes* pin, std::string_view deed) {
    if (key.pin_each_time && pin == nullptr) {
      return fail(ErrorKind::not_permitted, "key \"" + key.label + "\" wants its PIN each time");
    }
    const Transaction guard = TRY(enter());
    if (pin != nullptr) {
      if (!key.pin) return fail(ErrorKind::usage, "key \"" + key.label + "\" is not under PIN1 or PIN2");
      TRY(present(*key.pin, *pin));
    }
    TRY(set_environment(wanted));
    const ResponseApdu response = TRY(channel.transmit(command));
    if (!response.status.ok()) {
      environment.reset();
      if (response.status == kSwSecurityStatus && key.pin) {
        return fail(ErrorKind::not_permitted,
                    "key \"" + key.label + "\" wants its " + std::string(name_of(*key.pin)) + " first");
      }
      return fail(error_of(response.status, deed));
    }
    return response.data;
  }

  Status select_key_file(const CardKey& key) {
    in_directory = false;
    environment.reset();
    return select_only(Path{kDfESign, key.file_id});
  }
  Status select_only(const Path& path) {
    TRY(channel.run(select_path_from_master(path.from_master(), SelectReturn::nothing), "select " + path.to_string()));
    return {};
  }

  // With the key file selected.
  Result<CardPublicKey> public_key_of_selected(const CardKeyType& type) {
    CardPublicKey key;
    key.type = &type;
    if (type.family == KeyFamily::ec) {
      const Bytes answer = TRY(channel.run(get_data(kObjectPoint, kShortResponse), "read the public key"));
      // Tag 86 around the point; early cards of the profile gave 30 or the bare point.
      if (!answer.empty() && (answer[0] == 0x86 || answer[0] == 0x30)) {
        TlvCursor cursor(answer);
        key.point = to_bytes(TRY(cursor.next()).value);
      } else {
        key.point = answer;
      }
      return checked(std::move(key));
    }
    key.modulus = TRY(channel.run(get_data(kObjectModulus, type.octets() + 1), "read the public key"));
    const ResponseApdu exponent = TRY(channel.transmit(get_data(kObjectExponent, kShortResponse)));
    key.exponent = exponent.status.ok() && !exponent.data.empty() ? exponent.data : Bytes{0x01, 0x00, 0x01};
    return checked(std::move(key));
  }
};

ESignApplication::ESignApplication(std::unique_ptr<State> state) : state_(std::move(state)) {}
ESignApplication::ESignApplication(ESignApplication&&) noexcept = default;
ESignApplication& ESignApplication::operator=(ESignApplication&&) noexcept = default;
ESignApplication::~ESignApplication() = default;

Result<ESignApplication> ESignApplication::open(Channel& channel) {
  const CardType& type = card_type_of(channel.connection().atr());
  if (!type.esign && !channel.secure()) {
    return fail(ErrorKind::card_unknown, "over the contactless interface the card says nothing in the clear",
                "put the card into a contact reader, or open a channel with its access number");
  }
  auto state = std::make_unique<State>(channel);
  { const Transaction guard = TRY(state->enter()); }
  return ESignApplication(std::move(state));
}

void ESignApplication::use_cache(ContentCache& cache) { state_->cache = &cache; }
Status ESignApplication::refresh() {
  TRY(state_->enter());
  return {};
}
Channel& ESignApplication::channel() { return state_->channel; }
const CardInfo& ESignApplication::info() const { return state_->info; }

Result<bool> ESignApplication::initialised() {
  const Transaction guard = TRY(state_->enter());
  const auto entries = state_->directory();
  if (!entries) {
    if (entries.error().kind == ErrorKind::not_found) return false;
    return fail(entries.error());
  }
  return !(*entries)->empty();
}

Result<const TokenInfo*> ESignApplication::token_info() {
  const Transaction guard = TRY(state_->enter());
  if (!state_->token_info) {
    const Bytes content = TRY(state_->read(Path{kDfESign, kEfTokenInfo}));
    state_->token_info = TRY(parse_token_info(content));
  }
  return &*state_->token_info;
}

Result<std::span<const PinObject>> ESignApplication::pins() {
  const Transaction guard = TRY(state_->enter());
  TRY(state_->load_pins());
  return std::span<const PinObject>(*state_->pins);
}

Result<std::span<const CardKey>> ESignApplication::keys() {
  const Transaction guard = TRY(state_->enter());
  TRY(state_->load_keys());
  return std::span<const CardKey>(*state_->keys);
}

Result<std::span<const CardCertificate>> ESignApplication::certificates() {
  const Transaction guard = TRY(state_->enter());
  TRY(state_->load_certificates());
  return std::span<const CardCertificate>(*state_->certificates);
}

Result<std::span<const DataObject>> ESignApplication::data_objects() {
  const Transaction guard = TRY(state_->enter());
  TRY(state_->load_data());
  return std::span<const DataObject>(*state_->data_list);
}

Result<CardKey> ESignApplication::key(KeyRole role) {
  const auto all = TRY(keys());
  const auto found = std::find_if(all.begin(), all.end(), [&](const CardKey& key) { return key.role == role; });
  if (found == all.end()) {
    return fail(ErrorKind::not_found, "the card has no " + std::string(to_string(role)) + " key");
  }
  return *found;
}

Result<CardKey> ESignApplication::key_by_id(ByteView id) {
  const auto all = TRY(keys());
  const auto found = std::find_if(all.begin(), all.end(), [&](const CardKey& key) { return equal(key.id, id); });
  if (found == all.end()) return fail(ErrorKind::not_found, "the card has no key with identifier " + to_hex(id));
  return *found;
}

Result<Bytes> ESignApplication::read_certificate(const CardCertificate& certificate) {
  const Transaction guard = TRY(state_->enter());
  TRY(state_->load_certificates());
  return state_->certificate_file(certificate.file_id);
}

Result<Bytes> ESignApplication::read_data(const DataObject& object) {
  if (!object.location) return object.value;
  const Location& where = *object.location;
  const Transaction guard = TRY(state_->enter());
  const Path path = State::absolute(where.path);
  // What is not for everybody to read is not for a cache either.
  const bool is_private = (object.head.flags & object_flag::is_private) != 0 || !object.head.auth_id.empty();
  Bytes content = TRY(is_private ? state_->read_from_card(path) : state_->read(path));
  if (where.offset > content.size() || where.length > content.size() - where.offset) {
    return fail(ErrorKind::malformed, "the data object lies outside its file");
  }
  ByteView part = ByteView(content).subspan(where.offset);
  if (where.length != 0) part = part.first(where.length);
  return to_bytes(part);
}

Result<std::vector<Bytes>> ESignApplication::certificate_chain(const CardKey& key) {
  const Transaction guard = TRY(state_->enter());
  TRY(state_->load_certificates());
  std::vector<Bytes> chain;
  for (const CardCertificate& certificate : *state_->certificates) {
    if (!certificate.authority && certificate.id == key.id && chain.empty()) {
      chain.push_back(TRY(state_->certificate_file(certificate.file_id)));
    }
  }
  if (chain.empty()) return fail(ErrorKind::not_found, "key \"" + key.label + "\" has no certificate on the card");
  for (const CardCertificate& certificate : *state_->certificates) {
    if (certificate.authority) chain.push_back(TRY(state_->certificate_file(certificate.file_id)));
  }
  return chain;
}

Result<CardPublicKey> ESignApplication::read_public_key(const CardKey& key) {
  if (key.type == nullptr) return fail(ErrorKind::unsupported, "key \"" + key.label + "\" is of no type karta knows");
  const Transaction guard = TRY(state_->enter());
  if (state_->cache == nullptr) {
    TRY(state_->select_key_file(key));
    return state_->public_key_of_selected(*key.type);
  }
  // In the cache as ISO 7816-8 has it: 7F49 { 86 point } or { 81 modulus, 82 exponent }.
  const std::string name = "public key " + Path{kDfESign, key.file_id}.to_string();
  if (const auto known = state_->cache->find(state_->info.serial, state_->info.change_counter, name)) {
    auto parsed = parse_public_key_template(*key.type, *known);
    if (parsed) return parsed;
  }
  TRY(state_->select_key_file(key));
  CardPublicKey read = TRY(state_->public_key_of_selected(*key.type));
  const Bytes content = read.point.empty()
                            ? make_tlv(0x7F49, {make_tlv(0x81, read.modulus), make_tlv(0x82, read.exponent)})
                            : make_tlv(0x7F49, {make_tlv(0x86, read.point)});
  state_->cache->keep(state_->info.serial, state_->info.change_counter, name, content);
  return read;
}

// PINs -------------------------------------------------------------------------------------------

Result<PinStatus> ESignApplication::pin_status(PinKind kind) {
  TRY(require_holder_pin(kind));
  const Transaction guard = TRY(state_->enter_session());
  const ResponseApdu response = TRY(state_->transmit_pin(verify_status(reference_of(kind))));
  PinStatus status;
  if (response.status.ok()) {
    status.verified = true;
  } else if (const auto tries = response.status.remaining_tries()) {
    status.tries_left = *tries;
    status.blocked = *tries == 0;
  } else if (response.status == kSwBlocked) {
    status.tries_left = 0;
    status.blocked = true;
  } else if (response.status.value != 0x6984) {
    return fail(error_of(response.status, "ask for the PIN's state"));
  }
  return status;
}

Status ESignApplication::verify_pin(PinKind kind, const SecretBytes& pin) {
  const Transaction guard = TRY(state_->enter_session());
  return state_->present(kind, pin);
}

Status ESignApplication::change_pin(PinKind kind, const SecretBytes& old_pin, const SecretBytes& new_pin) {
  TRY(require_holder_pin(kind));
  TRY(check_presented_pin(kind, old_pin));
  TRY(check_new_pin(kind, new_pin));
  if (old_pin.equals(new_pin.expose_secret())) {
    return fail(ErrorKind::pin_rejected, "the new " + std::string(name_of(kind)) + " is the old one");
  }
  const Transaction guard = TRY(state_->enter());
  const ResponseApdu response = TRY(state_->transmit_pin(change_reference_data(
      reference_of(kind), pin_field(old_pin).expose_secret(), pin_field(new_pin).expose_secret())));
  if (response.status == kSwWrongData) {
    return fail(ErrorKind::pin_rejected, "the card refuses this new " + std::string(name_of(kind)));
  }
  return pin_result(response.status, kind, "change the PIN");
}

Status ESignApplication::unblock_pin(PinKind kind, const SecretBytes& puk, const SecretBytes& new_pin) {
  TRY(require_holder_pin(kind));
  TRY(check_presented_pin(PinKind::puk, puk));
  TRY(check_new_pin(kind, new_pin));
  const Transaction guard = TRY(state_->enter());
  // In the identity application RESET RETRY COUNTER means something else: never on the off chance.
  TRY(state_->select_directory());
  const ResponseApdu response = TRY(state_->channel.transmit(
      reset_retry_counter(reference_of(kind), pin_field(puk).expose_secret(), pin_field(new_pin).expose_secret())));
  if (response.status == kSwWrongData) {
    return fail(ErrorKind::pin_rejected, "the card refuses this new " + std::string(name_of(kind)));
  }
  return pin_result(response.status, PinKind::puk, "unblock the PIN");
}

namespace {

// The pad takes what a card karta did not issue may have as a PIN, the card its own rules.
constexpr PinPadLimits kPadDigits{4, 8};

// The status word of a pad's exchange.
Result<StatusWord> pad_status(CardConnection& connection, CardConnection::PadEntry entry, ByteView structure) {
  const Bytes answer = TRY(connection.enter_pin(entry, structure));
  if (answer.size() < 2) return fail(ErrorKind::card_unresponsive, "the reader's PIN pad gave no answer");
  const StatusWord status{load_be16(ByteView(answer).last(2))};
  if (auto error = pad_error(status)) return fail(std::move(*error));
  return status;
}

}  // namespace

// Before a PIN pad the application is selected: nobody is asked twice for a PIN because another program was there.
Status ESignApplication::verify_pin_by_pad(PinKind kind) {
  TRY(require_holder_pin(kind));
  const Transaction guard = TRY(state_->enter_session());
  TRY(state_->select_directory());
  const StatusWord status = TRY(pad_status(state_->channel.connection(), CardConnection::PadEntry::verify,
                                           verify_structure(reference_of(kind), kPadDigits)));
  return pin_result(status, kind, "verify the PIN");
}

Status ESignApplication::change_pin_by_pad(PinKind kind) {
  TRY(require_holder_pin(kind));
  const Transaction guard = TRY(state_->enter());
  TRY(state_->select_directory());
  const StatusWord status = TRY(pad_status(state_->channel.connection(), CardConnection::PadEntry::modify,
                                           change_structure(reference_of(kind), kPadDigits)));
  if (status == kSwWrongData) {
    return fail(ErrorKind::pin_rejected, "the card refuses this new " + std::string(name_of(kind)));
  }
  return pin_result(status, kind, "change the PIN");
}

Status ESignApplication::unblock_pin_by_pad(PinKind kind) {
  TRY(require_holder_pin(kind));
  const Transaction guard = TRY(state_->enter());
  TRY(state_->select_directory());
  const StatusWord status = TRY(pad_status(state_->channel.connection(), CardConnection::PadEntry::modify,
                                           unblock_structure(reference_of(kind), kPadDigits)));
  if (status == kSwWrongData) {
    return fail(ErrorKind::pin_rejected, "the card refuses this new " + std::string(name_of(kind)));
  }
  return pin_result(status, PinKind::puk, "unblock the PIN");
}

Status ESignApplication::log_out() {
  const Transaction guard = TRY(state_->enter_session());
  TRY(state_->channel.run(card::log_out(), "log out"));
  return {};
}

Status ESignApplication::log_out(PinKind kind) {
  TRY(require_holder_pin(kind));
  const Transaction guard = TRY(state_->enter_session());
  TRY(state_->channel.run(card::log_out(reference_of(kind)), "log out"));
  return {};
}

Result<Bytes> ESignApplication::random(std::size_t count) {
  constexpr std::size_t kAtOnce = 128;
  const Transaction guard = TRY(state_->enter_session());
  Bytes octets;
  while (octets.size() < count) {
    const Bytes part =
        TRY(state_->channel.run(get_challenge(std::min(kAtOnce, count - octets.size())), "get random octets"));
    if (part.empty()) return fail(ErrorKind::card_unresponsive, "the card gives no random octets");
    append(octets, part);
  }
  octets.resize(count);
  return octets;
}

// Key operations ---------------------------------------------------------------------------------

Result<Bytes> ESignApplication::sign(const CardKey& key, SignatureScheme scheme, ByteView input,
                                     const SecretBytes* pin) {
  if (key.type == nullptr) return fail(ErrorKind::unsupported, "key \"" + key.label + "\" is of no type karta knows");
  if (!key.may_sign()) return fail(ErrorKind::usage, "key \"" + key.label + "\" is not for signing");
  const std::size_t octets = key.type->octets();
  const bool ec = key.type->family == KeyFamily::ec;
  if (ec != (scheme == SignatureScheme::ecdsa)) {
    return fail(ErrorKind::usage, "key \"" + key.label + "\" is of another family than the signature scheme");
  }
  if (ec) {
    // FIPS 186-4 §6.4: the leftmost bits of a digest count. The profile wants it as long as the field.
    if (input.empty()) return fail(ErrorKind::usage, "there is no digest to sign");
    const ByteView digest = input.first(std::min(input.size(), octets));
    Bytes padded(octets - digest.size(), 0);
    append(padded, digest);
    const std::size_t most = 2 * (octets + 3) + 4;
    Bytes signature =
        TRY(state_->operate(key, {SecurityTemplate::signature, kAlgorithmEc, key.file_id},
                            compute_digital_signature(padded, std::min(most, kShortResponse)), pin, "sign"));
    if (!is_ecdsa_signature(signature)) {
      return fail(ErrorKind::card_unresponsive, "the card answered something that is no ECDSA signature");
    }
    return signature;
  }
  const bool raw = scheme == SignatureScheme::rsa_raw;
  if (raw ? input.size() != octets : input.empty() || input.size() + 11 > octets) {
    return fail(ErrorKind::usage, "the input does not fit a key of " + std::to_string(key.type->bits) + " bits");
  }
  Bytes signature =
      TRY(state_->operate(key, {SecurityTemplate::signature, raw ? kAlgorithmRsaRaw : kAlgorithmRsaPkcs1, key.file_id},
                          compute_digital_signature(input, octets), pin, "sign"));
  if (signature.size() != octets) {
    return fail(ErrorKind::card_unresponsive, "the card answered something that is no RSA signature");
  }
  return signature;
}

Result<SecretBytes> ESignApplication::decipher(const CardKey& key, DecipherPadding padding, ByteView cryptogram,
                                               const SecretBytes* pin) {
  if (key.type == nullptr || key.type->family != KeyFamily::rsa || !key.may_decipher()) {
    return fail(ErrorKind::usage, "key \"" + key.label + "\" is not for deciphering");
  }
  const std::size_t octets = key.type->octets();
  if (cryptogram.size() != octets) {
    return fail(ErrorKind::malformed,
                "a cryptogram of " + std::to_string(cryptogram.size()) + " octets, not " + std::to_string(octets));
  }
  const std::uint8_t algorithm = padding == DecipherPadding::none ? kAlgorithmRsaRaw : kAlgorithmRsaPkcs1;
  Bytes plain = TRY(state_->operate(key, {SecurityTemplate::confidentiality, algorithm, key.file_id},
                                    card::decipher(cryptogram, octets), pin, "decipher"));
  return SecretBytes(std::move(plain));
}

Result<SecretBytes> ESignApplication::agree(const CardKey& key, ByteView point, const SecretBytes* pin) {
  if (key.type == nullptr || key.type->family != KeyFamily::ec || !key.may_agree()) {
    return fail(ErrorKind::usage, "key \"" + key.label + "\" is not for key agreement");
  }
  const std::size_t octets = key.type->octets();
  if (point.size() != 1 + 2 * octets || point[0] != 0x04) {
    return fail(ErrorKind::malformed, "not an uncompressed point of " + std::string(key.type->name));
  }
  Bytes x = TRY(state_->operate(key, {SecurityTemplate::authentication, kAlgorithmEc, key.file_id},
                                key_agreement(point, octets), pin, "agree on a key"));
  if (x.size() != octets) {
    wipe(x);
    return fail(ErrorKind::card_unresponsive, "the card answered something that is no shared secret");
  }
  return SecretBytes(std::move(x));
}

Result<CardPublicKey> ESignApplication::generate_key(const CardKey& key) {
  if (key.type == nullptr) return fail(ErrorKind::unsupported, "key \"" + key.label + "\" is of no type karta knows");
  const Transaction guard = TRY(state_->enter());
  TRY(state_->select_key_file(key));
  // RSA names its public exponent, 65537: 30 { 81 010001 }.
  const Bytes parameters =
      key.type->family == KeyFamily::rsa ? Bytes{0x30, 0x05, 0x81, 0x03, 0x01, 0x00, 0x01} : Bytes{};
  const std::size_t most = key.type->octets() * 2 + 16;
  const Bytes answer = TRY(state_->channel.run(generate_key_pair(parameters, most), "generate a key"));
  auto made = answer.empty() ? state_->public_key_of_selected(*key.type) : parse_public_key_template(*key.type, answer);
  state_->changed();
  return made;
}

Status ESignApplication::write_certificate(const CardCertificate& place, ByteView der) {
  const Transaction guard = TRY(state_->enter());
  TRY(state_->load_certificates());
  const auto found = state_->certificate_places.find(place.file_id);
  if (found == state_->certificate_places.end()) {
    return fail(ErrorKind::not_found, "no such certificate on the card");
  }
  const Location where = found->second;
  state_->in_directory = false;
  state_->environment.reset();
  const FileControl file = TRY(select(state_->channel, where.path));
  const std::size_t room = where.length != 0 ? where.length : file.size;
  if (where.offset != 0 || der.size() > room || room > kMaxFileOctets) {
    return fail(ErrorKind::limit,
                "the certificate has " + std::to_string(der.size()) + " octets, its file " + std::to_string(room));
  }
  // The rest of the old one goes: a file ends in zeros.
  Bytes content = to_bytes(der);
  content.resize(room, 0);
  TRY(update_selected(state_->channel, content));
  state_->changed();
  return {};
}

Status ESignApplication::update(const std::function<Status(Channel&)>& deed) {
  const Transaction guard = TRY(state_->enter());
  state_->in_directory = false;
  state_->environment.reset();
  const Status done = deed(state_->channel);
  state_->changed();
  return done;
}

}  // namespace karta::card
