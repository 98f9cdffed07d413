#include "card/object_writer.h"

#include <algorithm>
#include <array>

#include "base/der.h"
#include "card/card_type.h"
#include "card/iso7816.h"

namespace karta::card {
namespace {

constexpr std::uint16_t kObjectFileList = 0x01A1, kObjectCardInfo = 0x01A0, kObjectPin1 = 0x0101, kObjectWipe = 0x01E0;
constexpr std::uint16_t kFirstKey = 0x4B01, kFirstPublicKey = 0x5501, kFirstCertificate = 0x4301,
                        kFirstPrivateData = 0x4501, kFirstData = 0x4601;
constexpr std::uint16_t kMostOfAKind = 0x40;  // numbers tried from the first one on

// As deep and as lenient as the readers of pkcs15.cpp.
constexpr TlvLimits kEntryLimits{3, kMaxFileOctets, false, true};

// Directory files: where pkcs15-init puts each, and with how much room.
struct DirectoryRow {
  Directory kind;
  std::uint16_t file_id;
  std::size_t octets;
};
constexpr auto kDirectories = std::to_array<DirectoryRow>({
    {Directory::private_keys, 0x4402, 1530},
    {Directory::public_keys, 0x4404, 1530},
    {Directory::certificates, 0x4403, 1530},
    {Directory::data, 0x4406, 1530},
    {Directory::authentication, 0x4401, 255},
});
constexpr std::size_t kOdfOctets = 255;

constexpr std::uint8_t kTransparent = 0x01;
constexpr std::uint8_t kFree = 0x0, kNever = 0xF, kPin1 = 0x1;
// Access rules, tag 86: nibbles for reading or use, update or import, delete, generate.
Bytes rules(std::uint8_t read_or_use, std::uint8_t update, std::uint8_t remove, std::uint8_t generate = kNever) {
  return {static_cast<std::uint8_t>(read_or_use << 4 | update), static_cast<std::uint8_t>(remove << 4 | generate),
          0xFF};
}

Bytes number16(std::size_t value) {
  Bytes octets;
  append_be16(octets, static_cast<std::uint16_t>(value));
  return octets;
}

// ISO 7816-4 §7.4.3, in the order MyEID wants: 62 { 81 size, 82 descriptor, 83 identifier, 86 rules, 85 properties }.
CommandApdu create(std::uint16_t file_id, std::size_t size, std::uint8_t descriptor, const Bytes& access,
                   const Bytes& properties = {0x00, 0x00}) {
  return create_file(
      make_tlv(0x62, {make_tlv(0x81, number16(size)), make_tlv(0x82, Bytes{descriptor}),
                      make_tlv(0x83, number16(file_id)), make_tlv(0x86, access), make_tlv(0x85, properties)}));
}

Status select_esign(Channel& channel) {
  TRY(channel.run(select_application(kPkcs15Aid, SelectReturn::nothing), "select the e-signature application"));
  return {};
}

// "Not allowed" in any of the words cards have for it is one thing to the caller.
Result<Bytes> run_writing(Channel& channel, const CommandApdu& command, std::string_view deed) {
  const ResponseApdu response = TRY(channel.transmit(command));
  if (response.status.ok()) return response.data;
  if (response.status == kSwSecurityStatus || response.status == kSwConditions) {
    return fail(ErrorKind::not_permitted, "the card does not allow to " + std::string(deed));
  }
  if (response.status == kSwNotEnoughMemory) {
    return fail(ErrorKind::limit, "the card has no room left to " + std::string(deed));
  }
  return fail(error_of(response.status, deed));
}

// UPDATE BINARY of the current file from `offset` on.
Status write_at(Channel& channel, std::size_t offset, ByteView content) {
  const std::size_t step = channel.limits().command_data;
  for (std::size_t done = 0; done < content.size(); done += step) {
    const ByteView part = content.subspan(done, std::min(step, content.size() - done));
    TRY(run_writing(channel, update_binary(offset + done, part), "write to a file"));
  }
  return {};
}

// The entries of a directory file, and where the last one ends.
struct Entries {
  std::vector<Bytes> all;
  std::size_t used = 0;
};
Result<Entries> entries_of(ByteView content) {
  Entries entries;
  TlvCursor cursor(content, kEntryLimits);
  while (!cursor.done()) {
    const Tlv entry = TRY(cursor.next());
    entries.all.push_back(to_bytes(entry.whole));
    entries.used = cursor.offset();
  }
  return entries;
}

// Exponent and modulus as RFC 8017 A.1.1 writes them, a point with its curve: what OpenSC keeps in public key files.
Bytes public_key_file(const CardPublicKey& key) {
  if (key.type->family == KeyFamily::ec) return key.subject_public_key_info();
  return der::sequence({der::unsigned_integer(key.modulus), der::unsigned_integer(key.exponent)});
}

// What a public key may do beside its private half.
std::uint32_t public_usage(std::uint32_t usage) {
  std::uint32_t out = 0;
  if ((usage & key_usage::sign) != 0) out |= key_usage::verify;
  if ((usage & key_usage::decrypt) != 0) out |= key_usage::encrypt;
  if ((usage & key_usage::derive) != 0) out |= key_usage::derive;
  return out;
}

// Purposes of a key file as cards of ours hold them; other cards of the profile have no such octet.
std::uint8_t purposes(std::uint32_t usage) {
  std::uint8_t out = 0;
  if ((usage & key_usage::sign) != 0) out |= 0x01;
  if ((usage & key_usage::decrypt) != 0) out |= 0x02;
  if ((usage & key_usage::derive) != 0) out |= 0x04;
  return out;
}

Path in_application(std::uint16_t file_id) { return Path{kDfESign, file_id}; }
Path absolute(const Path& path) {
  if (path.ids().size() == 1 && path.ids()[0] != kDfESign) return in_application(path.ids()[0]);
  return path;
}

}  // namespace

Result<ObjectWriter> ObjectWriter::open(Channel& channel) {
  ObjectWriter writer(channel);
  const Bytes odf = TRY(read_file(channel, in_application(kEfOdf)));
  writer.odf_ = TRY(parse_odf(odf));
  writer.odf_octets_ = TRY(entries_of(odf)).used;
  TRY(writer.select_application_again());
  const Bytes list = TRY(channel.run(get_data(kObjectFileList, kShortResponse), "list the application's files"));
  for (Cursor cursor(list); cursor.remaining() >= 2;) writer.file_ids_.insert(TRY(cursor.be16()));
  return writer;
}

Status ObjectWriter::select_application_again() { return select_esign(*channel_); }

Result<std::uint16_t> ObjectWriter::free_id(std::uint16_t first) {
  for (std::uint16_t id = first; id < first + kMostOfAKind; ++id) {
    if (!file_ids_.contains(id)) return id;
  }
  return fail(ErrorKind::limit, "the card holds as many objects of this kind as there are numbers for");
}

Result<std::uint16_t> ObjectWriter::create_transparent(std::uint16_t first, const ObjectOwner& owner, bool is_private,
                                                       ByteView content) {
  const std::uint16_t id = TRY(free_id(first));
  TRY(select_application_again());
  TRY(run_writing(*channel_,
                  create(id, content.size(), kTransparent,
                         rules(is_private ? owner.pin_reference : kFree, owner.pin_reference, owner.pin_reference)),
                  "make a new file"));
  file_ids_.insert(id);
  Status written = write_at(*channel_, 0, content);
  if (!written) {
    (void)remove_file(id);
    return fail(std::move(written).error());
  }
  return id;
}

Status ObjectWriter::remove_file(std::uint16_t file_id) {
  TRY(select_application_again());
  const ResponseApdu selected = TRY(channel_->transmit(select_file(file_id, SelectReturn::nothing)));
  if (selected.status == kSwNotFound) return {};
  TRY(select_application_again());
  TRY(run_writing(*channel_, delete_file(file_id), "delete a file"));
  file_ids_.erase(file_id);
  return {};
}

// Directories ------------------------------------------------------------------------------------

Result<Path> ObjectWriter::directory(Directory kind, const ObjectOwner& owner) {
  for (const DirectoryEntry& entry : odf_) {
    if (entry.kind != kind) continue;
    const Path path = absolute(entry.path);
    // Announced and not made yet.
    if (path.ids().size() == 2 && path.ids()[0] == kDfESign && !file_ids_.contains(path.file_id())) {
      const auto row = std::find_if(kDirectories.begin(), kDirectories.end(),
                                    [&](const DirectoryRow& one) { return one.kind == kind; });
      TRY(select_application_again());
      TRY(run_writing(*channel_,
                      create(path.file_id(), row->octets, kTransparent, rules(kFree, owner.pin_reference, kNever)),
                      "make a directory file"));
      file_ids_.insert(path.file_id());
    }
    return path;
  }
  const auto row =
      std::find_if(kDirectories.begin(), kDirectories.end(), [&](const DirectoryRow& one) { return one.kind == kind; });
  if (file_ids_.contains(row->file_id)) {
    return fail(ErrorKind::unsupported, "the card uses the number of a directory file for something else");
  }
  TRY(select_application_again());
  TRY(run_writing(*channel_, create(row->file_id, row->octets, kTransparent, rules(kFree, owner.pin_reference, kNever)),
                  "make a directory file"));
  file_ids_.insert(row->file_id);
  const DirectoryEntry entry{kind, in_application(row->file_id)};
  TRY(append_entry(in_application(kEfOdf), encode_odf({entry})));
  odf_.push_back(entry);
  return in_application(row->file_id);
}

Status ObjectWriter::append_entry(const Path& path, ByteView entry) {
  const FileControl file = TRY(select(*channel_, path));
  const Bytes content = TRY(read_selected(*channel_, file.size));
  const Entries entries = TRY(entries_of(content));
  if (entries.all.size() >= kMaxObjects || entry.size() > content.size() - entries.used) {
    return fail(ErrorKind::limit, "the card's directory " + path.to_string() + " is full");
  }
  // Padding may be FF, which would be taken for what follows: the next two octets are to be no entry.
  Bytes added = to_bytes(entry);
  if (entries.used + added.size() < content.size() && content[entries.used + added.size()] != 0x00) {
    added.resize(content.size() - entries.used, 0);
  }
  return write_at(*channel_, entries.used, added);
}

// Rewrites the file from the first entry that goes. False: none was meant.
Result<bool> ObjectWriter::remove_entries(Directory kind, const std::function<bool(ByteView)>& meant) {
  bool any = false;
  for (const DirectoryEntry& entry : odf_) {
    if (entry.kind != kind) continue;
    const Path path = absolute(entry.path);
    if (path.ids().size() == 2 && !file_ids_.contains(path.file_id())) continue;
    const FileControl file = TRY(select(*channel_, path));
    const Bytes content = TRY(read_selected(*channel_, file.size));
    Bytes kept;
    std::optional<std::size_t> from;
    TlvCursor cursor(content, kEntryLimits);
    std::size_t end = 0;
    while (!cursor.done()) {
      const Tlv one = TRY(cursor.next());
      end = cursor.offset();
      const std::size_t begin = end - one.whole.size();
      if (meant(one.whole)) {
        if (!from) from = begin;
      } else if (from) {
        append(kept, one.whole);
      }
    }
    if (!from) continue;
    kept.resize(end - *from, 0);
    TRY(write_at(*channel_, *from, kept));
    any = true;
  }
  return any;
}

// Keys -------------------------------------------------------------------------------------------

Result<std::uint16_t> ObjectWriter::create_key_file(const NewKey& key, const ObjectOwner& owner) {
  const std::uint16_t id = TRY(free_id(kFirstKey));
  TRY(select_application_again());
  const std::uint8_t pin = owner.pin_reference;
  const bool ours = card_type_of(channel_->connection().atr()).short_ids;
  const Bytes properties = {static_cast<std::uint8_t>(key.pin_each_time ? pin << 4 : 0),
                            ours ? purposes(key.usage) : std::uint8_t{0}};
  TRY(run_writing(*channel_,
                  create(id, key.type->bits, key.type->file_descriptor, rules(pin, kNever, pin, pin), properties),
                  "make a new key file"));
  file_ids_.insert(id);
  return id;
}

Status ObjectWriter::add_key(const NewKey& key, const ObjectOwner& owner, std::uint16_t file_id,
                             const CardPublicKey& public_key) {
  const Path private_keys = TRY(directory(Directory::private_keys, owner));
  const Path public_keys = TRY(directory(Directory::public_keys, owner));
  const std::uint16_t public_file = TRY(create_transparent(kFirstPublicKey, owner, false, public_key_file(public_key)));

  PublicKeyObject half;
  half.head = {key.label, object_flag::modifiable, {}, 0};
  half.id = key.id;
  half.usage = public_usage(key.usage);
  half.family = key.type->family;
  half.location = Location{in_application(public_file), 0, 0};
  half.bits = key.type->bits;
  PrivateKeyObject whole;
  whole.head = {key.label, object_flag::is_private | object_flag::modifiable, owner.auth_id,
                key.pin_each_time ? 1u : 0u};
  whole.id = key.id;
  whole.usage = key.usage;
  whole.access =
      key_access::sensitive | key_access::always_sensitive | key_access::never_extractable | key_access::local;
  whole.key_reference = 0;
  whole.family = key.type->family;
  whole.location = {in_application(file_id), 0, 0};
  whole.bits = key.type->bits;

  Status entered = append_entry(public_keys, encode_pukdf({half}));
  if (entered) {
    entered = append_entry(private_keys, encode_prkdf({whole}));
    if (!entered) {
      (void)remove_entries(Directory::public_keys, [&](ByteView entry) {
        const auto parsed = parse_pukdf(entry);
        return parsed && parsed->size() == 1 && (*parsed)[0].location &&
               (*parsed)[0].location->path.file_id() == public_file;
      });
    }
  }
  if (!entered) (void)remove_file(public_file);
  return entered;
}

Status ObjectWriter::remove_key(std::uint16_t file_id) {
  Bytes id;
  const bool found = TRY(remove_entries(Directory::private_keys, [&](ByteView entry) {
    const auto parsed = parse_prkdf(entry);
    if (!parsed || parsed->size() != 1 || (*parsed)[0].location.path.file_id() != file_id) return false;
    id = (*parsed)[0].id;
    return true;
  }));
  if (!found) return fail(ErrorKind::not_found, "the card's directory knows no such key");
  TRY(remove_file(file_id));
  std::vector<std::uint16_t> halves;
  TRY(remove_entries(Directory::public_keys, [&](ByteView entry) {
    const auto parsed = parse_pukdf(entry);
    if (!parsed || parsed->size() != 1 || (*parsed)[0].id != id) return false;
    if ((*parsed)[0].location) halves.push_back((*parsed)[0].location->path.file_id());
    return true;
  }));
  for (const std::uint16_t half : halves) TRY(remove_file(half));
  return {};
}

// Certificates and data --------------------------------------------------------------------------

Result<std::uint16_t> ObjectWriter::add_certificate(const NewCertificate& certificate, const ObjectOwner& owner) {
  const Path path = TRY(directory(Directory::certificates, owner));
  const std::uint16_t file = TRY(create_transparent(kFirstCertificate, owner, false, certificate.der));
  CertificateObject object;
  object.head = {certificate.label, object_flag::modifiable, {}, 0};
  object.id = certificate.id;
  object.authority = certificate.authority;
  object.location = Location{in_application(file), 0, 0};
  Status entered = append_entry(path, encode_cdf({object}));
  if (!entered) {
    (void)remove_file(file);
    return fail(std::move(entered).error());
  }
  return file;
}

Status ObjectWriter::remove_certificate(std::uint16_t file_id) {
  bool found = false;
  for (const Directory kind :
       {Directory::certificates, Directory::trusted_certificates, Directory::useful_certificates}) {
    const bool here = TRY(remove_entries(kind, [&](ByteView entry) {
      const auto parsed = parse_cdf(entry);
      return parsed && parsed->size() == 1 && (*parsed)[0].location && (*parsed)[0].location->path.file_id() == file_id;
    }));
    found = found || here;
  }
  if (!found) return fail(ErrorKind::not_found, "the card's directory knows no such certificate");
  return remove_file(file_id);
}

Result<std::uint16_t> ObjectWriter::add_data(const NewData& data, const ObjectOwner& owner) {
  if (data.value.empty()) return fail(ErrorKind::usage, "a data object has at least one octet");
  const Path path = TRY(directory(Directory::data, owner));
  const std::uint16_t file =
      TRY(create_transparent(data.is_private ? kFirstPrivateData : kFirstData, owner, data.is_private, data.value));
  DataObject object;
  object.head = {data.label, object_flag::modifiable | (data.is_private ? object_flag::is_private : 0u),
                 data.is_private ? owner.auth_id : Bytes{}, 0};
  object.application = data.application;
  object.application_oid = data.application_oid;
  object.location = Location{in_application(file), 0, 0};
  Status entered = append_entry(path, encode_dodf({object}));
  if (!entered) {
    (void)remove_file(file);
    return fail(std::move(entered).error());
  }
  return file;
}

Status ObjectWriter::remove_data(std::uint16_t file_id) {
  const bool found = TRY(remove_entries(Directory::data, [&](ByteView entry) {
    const auto parsed = parse_dodf(entry);
    return parsed && parsed->size() == 1 && (*parsed)[0].location && (*parsed)[0].location->path.file_id() == file_id;
  }));
  if (!found) return fail(ErrorKind::not_found, "the card's directory knows no such data object");
  return remove_file(file_id);
}

// The whole application --------------------------------------------------------------------------

Result<BeginState> begin_state(Channel& channel) {
  const FileControl mf = TRY(select(channel, Path{}));
  const auto odf = select(channel, in_application(kEfOdf));
  if (!odf) {
    if (odf.error().kind != ErrorKind::not_found) return fail(odf.error());
    return BeginState{Beginnable::blank, 0};
  }
  // An issued card's object directory is written for good.
  if (odf->access.empty() || (odf->access[0] & 0x0F) == kNever) return BeginState{Beginnable::never, 0};
  const std::uint8_t wiper = mf.access.size() < 2 ? kNever : mf.access[1] >> 4;
  if (wiper == kNever) return BeginState{Beginnable::never, 0};
  if (wiper == kFree || wiper == kPin1) return BeginState{Beginnable::by_puk, 0};
  return BeginState{Beginnable::by_officer, wiper};
}

namespace {

constexpr std::size_t kPukDigits = 8;

SecretBytes random_pin(RandomSource& random) {
  SecretBytes pin(kPukDigits);
  for (std::uint8_t& digit : pin.expose_secret_mutable()) {
    std::uint8_t octet = 0;
    do octet = random.bytes(1)[0];
    while (octet >= 250);
    digit = static_cast<std::uint8_t>('0' + octet % 10);
  }
  return pin;
}

Status judged(StatusWord status, std::string_view whose) {
  if (status.ok()) return {};
  const std::string name(whose);
  if (const auto tries = status.remaining_tries()) {
    if (*tries == 0) return fail(ErrorKind::pin_blocked, "wrong " + name + ", and it is blocked now");
    return fail(ErrorKind::wrong_pin, "wrong " + name + ", " + std::to_string(*tries) + " tries left");
  }
  if (status == kSwBlocked) return fail(ErrorKind::pin_blocked, "the " + name + " is blocked");
  return fail(error_of(status, "check the " + name));
}

// Whoever wipes a card shows that it is theirs: with the PUK, which the card compares only when it sets a PIN, or with
// the officer's PIN.
Status authorise(Channel& channel, const BeginState& state, const SecretBytes& puk, RandomSource& random) {
  TRY(select_esign(channel));
  if (state.state == Beginnable::by_officer) {
    const ResponseApdu shown = TRY(channel.transmit(verify(state.officer_reference, pin_field(puk).expose_secret())));
    return judged(shown.status, "security officer's PIN");
  }
  const ResponseApdu known = TRY(channel.transmit(verify_status(kPin1)));
  if (known.status == kSwReferenceNotFound) return {};  // nobody's PIN, nobody's PUK
  const SecretBytes passing = random_pin(random);
  const ResponseApdu reset = TRY(
      channel.transmit(reset_retry_counter(kPin1, pin_field(puk).expose_secret(), pin_field(passing).expose_secret())));
  TRY(judged(reset.status, "PUK"));
  const ResponseApdu shown = TRY(channel.transmit(verify(kPin1, pin_field(passing).expose_secret())));
  return judged(shown.status, "PIN1");
}

Bytes pin_directory(bool initialised) {
  PinObject pin;
  pin.head = {"PIN1", object_flag::is_private | object_flag::modifiable, {}, 0};
  pin.id = {0x01};
  pin.flags = pin_flag::local | pin_flag::needs_padding | (initialised ? pin_flag::initialized : 0u);
  pin.type = 1;
  pin.min_length = 4;
  pin.stored_length = 8;
  pin.max_length = 8;
  pin.reference = kPin1;
  pin.pad = 0xFF;
  return encode_aodf({pin});
}

}  // namespace

Status begin_anew(Channel& channel, std::string_view label, const SecretBytes& puk, RandomSource& random) {
  const BeginState state = TRY(begin_state(channel));
  if (state.state == Beginnable::never) {
    return fail(ErrorKind::not_permitted, "an issued card stays as it is", "a blank card is begun anew");
  }
  const ByteView digits = puk.expose_secret();
  if (digits.size() != kPukDigits ||
      !std::all_of(digits.begin(), digits.end(), [](std::uint8_t octet) { return octet >= '0' && octet <= '9'; })) {
    return fail(ErrorKind::pin_rejected, "the security officer's PIN is a PUK: eight digits");
  }
  if (state.state != Beginnable::blank) TRY(authorise(channel, state, puk, random));
  TRY(select_esign(channel));
  const Bytes info = TRY(channel.run(get_data(kObjectCardInfo, kShortResponse), "read the card's serial number"));
  if (info.size() != 20) return fail(ErrorKind::card_unknown, "this card does not speak the MyEID command profile");

  // Wiped by PIN1 from now on; whatever is in DF 5015 is made under PIN1. (OpenSC takes the first nibble, for DFs, to
  // be the one for files.)
  const Bytes master = {0xFF, static_cast<std::uint8_t>(kPin1 << 4 | kNever), 0xFF};
  const Bytes application = {static_cast<std::uint8_t>(kPin1 << 4 | kPin1), 0xFF, 0xFF};
  TRY(run_writing(channel, put_data(kObjectWipe, concat({Bytes{0xFF, 0xFF}, master, application}), false),
                  "wipe the card"));
  TRY(select_esign(channel));
  const SecretBytes unknown = random_pin(random);
  SecretBytes secrets(19);
  {
    const MutableByteView out = secrets.expose_secret_mutable();
    std::copy_n(unknown.expose_secret().begin(), kPukDigits, out.begin());
    std::copy_n(digits.begin(), kPukDigits, out.begin() + kPukDigits);
    out[16] = 3;   // tries
    out[17] = 10;  // tries of the PUK
    out[18] = 0;
  }
  TRY(run_writing(channel, put_data(kObjectPin1, secrets.expose_secret(), true), "set the PIN"));

  TokenInfo about;
  about.serial = to_bytes(ByteView(info).subspan(8, 10));
  about.manufacturer = "karta";
  about.label = std::string(label);
  about.flags = token_flag::prn_generation | token_flag::eid_compliant;
  const auto write_file = [&](std::uint16_t id, std::size_t octets, const Bytes& access, ByteView content) -> Status {
    TRY(select_esign(channel));
    TRY(run_writing(channel, create(id, octets, kTransparent, access), "make a directory file"));
    return write_at(channel, 0, content);
  };
  const Bytes token_info = encode_token_info(about);
  TRY(write_file(kEfTokenInfo, token_info.size(), rules(kFree, kNever, kNever), token_info));
  std::vector<DirectoryEntry> entries;
  for (const DirectoryRow& row : kDirectories) {
    const Bytes content = row.kind == Directory::authentication ? pin_directory(false) : Bytes{};
    TRY(write_file(row.file_id, row.octets, rules(kFree, kPin1, kNever), content));
    entries.push_back({row.kind, in_application(row.file_id)});
  }
  TRY(write_file(kEfOdf, kOdfOctets, rules(kFree, kPin1, kNever), encode_odf(entries)));
  // Readers that begin at EF.DIR find the application there; a card without one is as good.
  const ApplicationTemplate named{Bytes(std::begin(kPkcs15Aid), std::end(kPkcs15Aid)), std::string(label),
                                  Path{kDfESign}};
  if (auto dir = select(channel, Path{kEfDir}); dir) {
    const Bytes content = encode_ef_dir({named});
    if (content.size() <= dir->size) (void)write_at(channel, 0, content);
  }
  TRY(select_esign(channel));
  // 00 44 04 00 AID: from now on the rules count.
  TRY(run_writing(channel, CommandApdu(0x00, 0x44, 0x04, 0x00, Bytes(std::begin(kPkcs15Aid), std::end(kPkcs15Aid))),
                  "activate the application"));
  return {};
}

Status mark_pin_initialised(Channel& channel) {
  const Path path = in_application(0x4401);
  const FileControl file = TRY(select(channel, path));
  const Bytes content = TRY(read_selected(channel, file.size));
  const std::vector<PinObject> pins = TRY(parse_aodf(content));
  // Only what begin_anew() wrote: other directories say what their makers meant.
  if (pins.size() != 1 || encode_aodf(pins) != pin_directory(false)) return {};
  return write_at(channel, 0, pin_directory(true));
}

}  // namespace karta::card
