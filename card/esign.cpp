#include "card/esign.h"

#include <algorithm>

#include "card/card_type.h"
#include "card/esign_state.h"

namespace karta::card {

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
