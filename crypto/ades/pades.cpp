#include "crypto/ades/pades.h"

#include <algorithm>
#include <map>

#include "crypto/ades/cades.h"
#include "crypto/cms/attributes.h"
#include "crypto/cms/sign.h"
#include "crypto/cms/signed_data.h"
#include "crypto/digest.h"

namespace karta::crypto {
namespace {

using pdf::Object;

/// The streams of one array of the security store: those there, and those an update adds.
class StoreList {
 public:
  static Result<StoreList> read(const PdfFile& file, pdf::Update& update, const Object& store, const char* key) {
    const pdf::Document& document = file.document();
    const std::size_t last = document.last();
    StoreList out(update, key);
    const Object* const old = TRY(document.get(store, key, last));
    if (old->is(Object::Kind::array)) out.array_ = *old;
    for (const Object& item : out.array_.items) {
      if (!item.is(Object::Kind::reference)) continue;
      const Object* const stream = TRY(document.resolve(item, last));
      if (auto content = document.decode(*stream, last, item.ref)) out.known_.emplace(std::move(*content), item);
    }
    return out;
  }

  /// Where `octets` stand, added if they are new.
  Result<Object> place(const Bytes& octets) {
    if (const auto found = known_.find(octets); found != known_.end()) return found->second;
    Object stream = Object::make_dictionary({{"Length", Object::make_integer(0)}});
    stream.kind = Object::Kind::stream;
    stream.raw = octets;
    const pdf::Ref ref = update_->add();
    TRY(update_->set(ref, stream));
    array_.items.push_back(Object::make_reference(ref));
    known_.emplace(octets, array_.items.back());
    return array_.items.back();
  }
  Result<Object> places(const std::vector<Bytes>& list) {
    Object out = Object::make_array({});
    for (const Bytes& one : list) out.items.push_back(TRY(place(one)));
    return out;
  }
  void put_into(Object& store) const {
    if (!array_.items.empty()) store.set(key_, array_);
  }

 private:
  StoreList(pdf::Update& update, const char* key) : update_(&update), key_(key) {}
  pdf::Update* update_;
  const char* key_;
  Object array_ = Object::make_array({});
  std::map<Bytes, Object> known_;
};

/// The update that puts `data`, one for each of `signatures`, into the document security store (EN 319 142-1 §5.4.2),
/// with an entry in VRI for each, under the SHA-1 of its Contents as the standard says.
Result<Bytes> store_update(const PdfFile& file, const std::vector<pdf::SignatureValue>& signatures,
                           const std::vector<ValidationData>& data) {
  const pdf::Document& document = file.document();
  const std::size_t last = document.last();
  pdf::Update update(document, file.cipher());
  const Object* const root = document.trailer(last).find("Root");
  if (root == nullptr || !root->is(Object::Kind::reference)) return fail(ErrorKind::malformed, "there is no catalog");
  Object catalog = TRY(update.current(root->ref));
  const Object* const old_value = catalog.find("DSS");
  const Object* const old = TRY(document.get(catalog, "DSS", last));
  Object store = old->is(Object::Kind::dictionary) ? *old : Object::make_dictionary({});
  StoreList certificates = TRY(StoreList::read(file, update, store, "Certs"));
  StoreList crls = TRY(StoreList::read(file, update, store, "CRLs"));
  StoreList answers = TRY(StoreList::read(file, update, store, "OCSPs"));
  const Object* const old_vri = TRY(document.get(store, "VRI", last));
  Object vri = old_vri->is(Object::Kind::dictionary) ? *old_vri : Object::make_dictionary({});
  for (std::size_t i = 0; i < signatures.size(); ++i) {
    Object own_certificates = Object::make_array({});
    for (const Certificate& one : data[i].certificates) {
      own_certificates.items.push_back(TRY(certificates.place(one.der())));
    }
    Object own_crls = TRY(crls.places(data[i].crls));
    Object own_answers = TRY(answers.places(data[i].ocsp));
    const std::string key = to_hex_upper(digest(Hash::sha1, pdf::octets_of(*signatures[i].contents)));
    if (vri.find(key) != nullptr) continue;
    Object entry = Object::make_dictionary({{"Cert", std::move(own_certificates)}});
    if (!own_crls.items.empty()) entry.set("CRL", std::move(own_crls));
    if (!own_answers.items.empty()) entry.set("OCSP", std::move(own_answers));
    vri.set(key, std::move(entry));
  }
  certificates.put_into(store);
  crls.put_into(store);
  answers.put_into(store);
  store.set("VRI", std::move(vri));
  if (old_value != nullptr && old_value->is(Object::Kind::reference)) {
    TRY(update.replace(old_value->ref, store));
  } else {
    const pdf::Ref ref = update.add();
    TRY(update.set(ref, store));
    catalog.set("DSS", Object::make_reference(ref));
    TRY(update.replace(root->ref, catalog));
  }
  return update.finish();
}

Status collect_for_token(const Bytes& octets, const std::vector<Certificate>& known, const SignatureServices& services,
                         ValidationData& out) {
  const TimeStampToken token = TRY(TimeStampToken::from_der(octets));
  std::vector<Certificate> all = token.certificates();
  all.insert(all.end(), known.begin(), known.end());
  const Certificate signer = TRY(verify_token_signature(token, all));
  return collect_validation_data(signer, all, services, out);
}

bool has_timestamp(const CmsSigner& signer) {
  return signer.unsigned_attributes && !signer.unsigned_attributes->find(cms::kSignatureTimestampOid).empty();
}

/// Validation data of one signature or time-stamp of a document.
Status collect_for(const pdf::SignatureValue& value, const SignatureServices& services, ValidationData& out) {
  const Bytes cms = TRY(pdf::cms_of(value));
  if (value.is_timestamp) return collect_for_token(cms, {}, services, out);
  const SignedData data = TRY(SignedData::parse(cms));
  std::vector<Certificate> known;
  for (const CmsCertificate& one : data.certificates) {
    if (auto parsed = Certificate::from_der(one.whole)) known.push_back(std::move(*parsed));
  }
  for (const CmsSigner& signer : data.signers) {
    const auto own = std::find_if(known.begin(), known.end(), [&](const Certificate& one) {
      return signer.subject_key_id.empty() ? one.issuer().der() == signer.issuer && one.serial() == signer.serial
                                           : one.subject_key_id() == signer.subject_key_id;
    });
    if (own == known.end()) return fail(ErrorKind::not_found, "a signer's certificate is not in the signature");
    TRY(collect_validation_data(*own, known, services, out));
    if (!has_timestamp(signer)) continue;
    for (const CmsAttribute* const one : signer.unsigned_attributes->find(cms::kSignatureTimestampOid)) {
      for (const Bytes& token : one->values) TRY(collect_for_token(token, known, services, out));
    }
  }
  return {};
}

/// Nothing in the file says when `signatures[position]` existed: no time-stamp inside it, none over the document later.
Result<bool> is_unproven(const std::vector<pdf::SignatureValue>& signatures, std::size_t position) {
  const auto later = std::any_of(signatures.begin() + static_cast<std::ptrdiff_t>(position), signatures.end(),
                                 [](const pdf::SignatureValue& one) { return one.is_timestamp; });
  if (later) return false;
  const Bytes cms = TRY(pdf::cms_of(signatures[position]));
  const SignedData data = TRY(SignedData::parse(cms));
  return !std::all_of(data.signers.begin(), data.signers.end(), has_timestamp);
}

/// The digest of what is signed: the file's front goes on from where it was hashed before.
Bytes digest_of(const PdfFile& file, Hash hash, const pdf::SignedRange& range) {
  Hasher hasher = file.hash_front(hash);
  hasher.update(range.before);
  hasher.update(range.behind);
  return hasher.finish();
}

Status add_timestamp(PdfFile& file, const SignatureServices& services) {
  pdf::SignatureRequest request;
  request.kind = pdf::SignatureKind::timestamp;
  request.reserved_octets = pdf::octets_to_reserve({}, true);
  const auto make = [&](const pdf::SignedRange& range) -> Result<Bytes> {
    const MessageImprint imprint{.hash = services.hash, .digest = digest_of(file, services.hash, range)};
    return services.timestamps->stamp(imprint);
  };
  const Bytes update = TRY(pdf::sign(file.document(), request, make, file.cipher(), &file.form()));
  return file.append(update);
}

Result<std::vector<pdf::SignatureValue>> sound_signatures(const PdfFile& file) {
  auto out = TRY(pdf::signatures(file.document()));
  if (out.empty()) return fail(ErrorKind::not_found, "the document bears no signature");
  for (const pdf::SignatureValue& one : out) {
    if (!one.sound()) return fail(ErrorKind::malformed, "a signature of the document is broken: " + one.fault);
  }
  return out;
}

}  // namespace

Status sign_pades(PdfFile& file, Signer& signer, const PadesOptions& options, const SignatureServices& services) {
  const bool stamped = options.level >= SignatureLevel::b_t;
  if (stamped && services.timestamps == nullptr) {
    return fail(ErrorKind::usage, "level " + std::string(name_of(options.level)) + " needs a time-stamp service");
  }
  pdf::SignatureRequest request = options.request;
  request.reserved_octets = pdf::octets_to_reserve(signer.certificate_chain(), stamped);
  CmsSigning cms = TRY(CmsSigning::prepare(signer, {.algorithm = options.algorithm}));
  request.hash = cms.hash();
  request.timestamped = stamped;
  request.chain = &signer.certificate_chain();
  const auto make = [&](const pdf::SignedRange& range) -> Result<Bytes> {
    const Bytes basic = TRY(cms.sign(digest_of(file, cms.hash(), range), std::nullopt));
    return raise_cms(basic, nullptr, stamped ? SignatureLevel::b_t : SignatureLevel::b_b, services);
  };
  const Bytes update = TRY(pdf::sign(file.document(), request, make, file.cipher(), &file.form()));
  TRY(file.append(update));
  return options.level < SignatureLevel::b_lt ? Status{} : raise_pades(file, options.level, services);
}

Status raise_pades(PdfFile& file, SignatureLevel level, const SignatureServices& services) {
  if (level == SignatureLevel::b_b) return fail(ErrorKind::usage, "a signed PDF is raised to B-T or higher");
  if (level >= SignatureLevel::b_lt && services.revocation == nullptr) {
    return fail(ErrorKind::usage, "level " + std::string(name_of(level)) + " needs revocation data");
  }
  const auto need_timestamps = [&]() -> Status {
    if (services.timestamps != nullptr) return {};
    return fail(ErrorKind::usage, "level " + std::string(name_of(level)) + " needs a time-stamp service");
  };
  if (level == SignatureLevel::b_lta) TRY(need_timestamps());
  auto signatures = TRY(sound_signatures(file));
  if (level != SignatureLevel::b_lta) {
    // Contents cannot grow: a time-stamp over the document stands in for one inside the signature (EN 319 142-1
    // §5.4.3).
    bool unproven = false;
    for (std::size_t i = 0; i < signatures.size() && !unproven; ++i) unproven = TRY(is_unproven(signatures, i));
    if (unproven) {
      TRY(need_timestamps());
      TRY(add_timestamp(file, services));
      signatures = TRY(sound_signatures(file));
    }
  }
  if (level == SignatureLevel::b_t) return {};
  std::vector<ValidationData> data(signatures.size());
  for (std::size_t i = 0; i < signatures.size(); ++i) TRY(collect_for(signatures[i], services, data[i]));
  const Bytes update = TRY(store_update(file, signatures, data));
  TRY(file.append(update));
  return level == SignatureLevel::b_lta ? add_timestamp(file, services) : Status{};
}

}  // namespace karta::crypto
