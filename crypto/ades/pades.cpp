#include "crypto/ades/pades.h"

#include <algorithm>

#include "crypto/ades/cades.h"
#include "crypto/cms/attributes.h"
#include "crypto/cms/ber.h"
#include "crypto/cms/sign.h"
#include "crypto/cms/signed_data.h"
#include "crypto/digest.h"

namespace karta::crypto {
namespace {

using pdf::Object;

/// Adds streams with `octets` to the array under `key` of `store`, those that are not there yet, and returns where each
/// stands.
Result<std::vector<Object>> add_streams(const PdfFile& file, pdf::Update& update, Object& store, const char* key,
                                        const std::vector<Bytes>& octets) {
  const pdf::Document& document = file.document();
  const std::size_t last = document.last();
  const Object* const old = TRY(document.get(store, key, last));
  Object list = old->is(Object::Kind::array) ? *old : Object::make_array({});
  std::vector<std::pair<Bytes, Object>> known;
  for (const Object& item : list.items) {
    if (!item.is(Object::Kind::reference)) continue;
    const Object* const stream = TRY(document.resolve(item, last));
    if (const auto content = document.decode(*stream, last, item.ref)) known.emplace_back(*content, item);
  }
  std::vector<Object> out;
  for (const Bytes& one : octets) {
    auto found = std::find_if(known.begin(), known.end(), [&](const auto& each) { return each.first == one; });
    if (found == known.end()) {
      Object stream = Object::make_dictionary({{"Length", Object::make_integer(0)}});
      stream.kind = Object::Kind::stream;
      stream.raw = one;
      const pdf::Ref ref = update.add();
      TRY(update.set(ref, stream));
      known.emplace_back(one, Object::make_reference(ref));
      found = std::prev(known.end());
      list.items.push_back(found->second);
    }
    out.push_back(found->second);
  }
  if (!list.items.empty()) store.set(key, std::move(list));
  return out;
}

/// The update that puts `data` into the document security store (EN 319 142-1 §5.4.2), with an entry in VRI for each
/// signature, under the SHA-1 of its Contents as the standard says.
Result<Bytes> store_update(const PdfFile& file, const ValidationData& data,
                           const std::vector<pdf::SignatureValue>& signatures) {
  const pdf::Document& document = file.document();
  const std::size_t last = document.last();
  pdf::Update update(document, file.cipher());
  const Object* const root = document.trailer(last).find("Root");
  if (root == nullptr || !root->is(Object::Kind::reference)) return fail(ErrorKind::malformed, "there is no catalog");
  Object catalog = TRY(update.current(root->ref));
  const Object* const old_value = catalog.find("DSS");
  const Object* const old = TRY(document.get(catalog, "DSS", last));
  Object store = old->is(Object::Kind::dictionary) ? *old : Object::make_dictionary({});
  std::vector<Bytes> certificates;
  for (const Certificate& one : data.certificates) certificates.push_back(one.der());
  auto in_store = TRY(add_streams(file, update, store, "Certs", certificates));
  auto crls = TRY(add_streams(file, update, store, "CRLs", data.crls));
  auto answers = TRY(add_streams(file, update, store, "OCSPs", data.ocsp));
  const Object* const old_vri = TRY(document.get(store, "VRI", last));
  Object vri = old_vri->is(Object::Kind::dictionary) ? *old_vri : Object::make_dictionary({});
  for (const pdf::SignatureValue& one : signatures) {
    const std::string key = to_hex_upper(digest(Hash::sha1, one.contents));
    if (vri.find(key) != nullptr) continue;
    Object entry = Object::make_dictionary({{"Cert", Object::make_array(in_store)}});
    if (!crls.empty()) entry.set("CRL", Object::make_array(crls));
    if (!answers.empty()) entry.set("OCSP", Object::make_array(answers));
    vri.set(key, std::move(entry));
  }
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

/// Validation data of one signature or time-stamp of a document.
Status collect_for(const pdf::SignatureValue& value, const SignatureServices& services, ValidationData& out) {
  BerReader reader(value.contents, 0, CmsLimits{}.depth);
  const BerValue cms = TRY(reader.next());
  if (value.is_timestamp) return collect_for_token(to_bytes(cms.whole), {}, services, out);
  const SignedData data = TRY(SignedData::parse(cms.whole));
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
    if (!signer.unsigned_attributes) continue;
    for (const CmsAttribute* const one : signer.unsigned_attributes->find(cms::kSignatureTimestampOid)) {
      for (const Bytes& token : one->values) TRY(collect_for_token(token, known, services, out));
    }
  }
  return {};
}

}  // namespace

Result<Bytes> sign_pades(const PdfFile& file, Signer& signer, const PadesOptions& options,
                         const SignatureServices& services) {
  if (options.level >= SignatureLevel::b_t && services.timestamps == nullptr) {
    return fail(ErrorKind::usage, "level " + std::string(name_of(options.level)) + " needs a time-stamp service");
  }
  pdf::SignatureRequest request = options.request;
  const bool stamped = options.level >= SignatureLevel::b_t;
  request.reserved_octets = pdf::octets_to_reserve(signer.certificate_chain(), stamped);
  CmsSignOptions cms;
  cms.algorithm = options.algorithm;
  const auto make = [&](ContentSource& content) -> Result<Bytes> {
    const Bytes basic = TRY(sign_cms(signer, content, cms));
    return raise_cms(basic, nullptr, stamped ? SignatureLevel::b_t : SignatureLevel::b_b, services);
  };
  const Bytes update = TRY(pdf::sign(file.document(), request, make, file.cipher()));
  Bytes out = concat({file.octets(), update});
  if (options.level < SignatureLevel::b_lt) return out;
  const PdfFile signed_file = TRY(PdfFile::reopen(std::move(out), file));
  return raise_pades(signed_file, options.level, services);
}

Result<Bytes> raise_pades(const PdfFile& file, SignatureLevel level, const SignatureServices& services) {
  if (level < SignatureLevel::b_lt) {
    return fail(ErrorKind::usage, "a signed PDF is raised to B-LT or B-LTA: its Contents cannot grow");
  }
  if (services.revocation == nullptr) {
    return fail(ErrorKind::usage, "level " + std::string(name_of(level)) + " needs revocation data");
  }
  const auto signatures = TRY(pdf::signatures(file.document()));
  if (signatures.empty()) return fail(ErrorKind::not_found, "the document bears no signature");
  ValidationData data;
  for (const pdf::SignatureValue& one : signatures) {
    if (!one.sound()) return fail(ErrorKind::malformed, "a signature of the document is broken: " + one.fault);
    TRY(collect_for(one, services, data));
  }
  const Bytes update = TRY(store_update(file, data, signatures));
  Bytes out = concat({file.octets(), update});
  if (level == SignatureLevel::b_lt) return out;

  if (services.timestamps == nullptr) return fail(ErrorKind::usage, "level B-LTA needs a time-stamp service");
  const PdfFile stored = TRY(PdfFile::reopen(std::move(out), file));
  pdf::SignatureRequest request;
  request.kind = pdf::SignatureKind::timestamp;
  request.reserved_octets = pdf::octets_to_reserve({}, true);
  const auto make = [&](ContentSource& content) -> Result<Bytes> {
    Bytes hashed = TRY(digest(services.hash, content));
    const MessageImprint imprint{.hash = services.hash, .digest = std::move(hashed)};
    return services.timestamps->stamp(imprint);
  };
  const Bytes stamp = TRY(pdf::sign(stored.document(), request, make, stored.cipher()));
  return concat({stored.octets(), stamp});
}

}  // namespace karta::crypto
