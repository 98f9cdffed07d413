#include "crypto/pdf/seed_values.h"

#include <algorithm>
#include <array>

#include "crypto/x509/certificate.h"

namespace karta::crypto::pdf {
namespace {

// Bits of Ff in the seed value dictionary (table 234).
constexpr std::int64_t kFilter = 1 << 0, kSubFilter = 1 << 1, kHandlerVersion = 1 << 2, kReasons = 1 << 3,
                       kLegalAttestation = 1 << 4, kAddRevInfo = 1 << 5, kDigestMethod = 1 << 6, kLockDocument = 1 << 7,
                       kAppearanceFilter = 1 << 8;
// Bits of Ff in the certificate seed value dictionary (table 235).
constexpr std::int64_t kSubject = 1 << 0, kIssuer = 1 << 1, kPolicy = 1 << 2, kSubjectName = 1 << 3, kKeyUsage = 1 << 5;

struct DigestName {
  Hash hash;
  std::string_view name;
};
// Table 234, DigestMethod, and ISO/TS 32001 for SHA-3.
constexpr auto kDigestNames = std::to_array<DigestName>(
    {{Hash::sha1, "SHA1"}, {Hash::sha256, "SHA256"}, {Hash::sha384, "SHA384"}, {Hash::sha512, "SHA512"}});

class SeedValues {
 public:
  SeedValues(const Document& document, const Field& field, const SignatureRequest& request)
      : document_(document), revision_(document.last()), field_(field), request_(request) {}

  Status check() const {
    const Object* const seed = TRY(get(*field_.dictionary, "SV"));
    if (!seed->is(Object::Kind::dictionary)) return {};
    const std::int64_t orders = TRY(flags(*seed));
    TRY(check_format(*seed, orders));
    TRY(check_words(*seed, orders));
    TRY(check_permissions(*seed, orders));
    TRY(check_services(*seed, orders));
    const Object* const certificate = TRY(get(*seed, "Cert"));
    return certificate->is(Object::Kind::dictionary) ? check_certificate(*certificate) : Status{};
  }

 private:
  Result<const Object*> get(const Object& dictionary, std::string_view key) const {
    return document_.get(dictionary, key, revision_);
  }
  Result<std::int64_t> flags(const Object& dictionary) const {
    const Object* const value = TRY(get(dictionary, "Ff"));
    return value->is(Object::Kind::integer) ? value->integer : 0;
  }
  tl::unexpected<Error> refuse(const std::string& what) const {
    return fail(ErrorKind::not_permitted, "the field \"" + field_.name + "\" demands " + what,
                "sign into a new field instead: name a place with --visible");
  }
  /// The items of an array, resolved.
  Result<std::vector<const Object*>> items(const Object& array) const {
    std::vector<const Object*> out;
    for (const Object& one : array.items) out.push_back(TRY(document_.resolve(one, revision_)));
    return out;
  }

  Status check_format(const Object& seed, std::int64_t orders) const {
    const Object* const filter = TRY(get(seed, "Filter"));
    if ((orders & kFilter) != 0 && filter->is(Object::Kind::name) && filter->text != "Adobe.PPKLite") {
      return refuse("the signature handler \"" + filter->text + "\"");
    }
    const Object* const sub_filters = TRY(get(seed, "SubFilter"));
    const std::string_view ours = sub_filter_of(request_.kind);
    if ((orders & kSubFilter) != 0 && !sub_filters->items.empty()) {
      const auto list = TRY(items(*sub_filters));
      if (std::none_of(list.begin(), list.end(), [&](const Object* one) { return one->is_name(ours); })) {
        return refuse("another signature format than " + std::string(ours));
      }
    }
    const Object* const version = TRY(get(seed, "V"));
    if ((orders & kHandlerVersion) != 0 && version->is(Object::Kind::integer) && version->integer > 3) {
      return refuse("a signature handler of a later version");
    }
    const Object* const digests = TRY(get(seed, "DigestMethod"));
    if ((orders & kDigestMethod) != 0 && !digests->items.empty()) {
      const auto row = std::find_if(kDigestNames.begin(), kDigestNames.end(),
                                    [&](const DigestName& one) { return one.hash == request_.hash; });
      const auto list = TRY(items(*digests));
      if (row == kDigestNames.end() ||
          std::none_of(list.begin(), list.end(), [&](const Object* one) { return one->text == row->name; })) {
        return refuse("another digest than the one this key signs with");
      }
    }
    return {};
  }

  Status check_words(const Object& seed, std::int64_t orders) const {
    if ((orders & kReasons) == 0) return {};
    const Object* const reasons = TRY(get(seed, "Reasons"));
    const auto list = TRY(items(*reasons));
    const bool none_wanted = list.empty() || (list.size() == 1 && text_of(*list.front()) == ".");
    if (none_wanted && !request_.reason.empty()) return refuse("that no reason is given");
    if (none_wanted ||
        std::any_of(list.begin(), list.end(), [&](const Object* one) { return text_of(*one) == request_.reason; })) {
      return {};
    }
    std::string words;
    for (const Object* const one : list) words += (words.empty() ? "\"" : ", \"") + text_of(*one) + "\"";
    return refuse("one of these reasons: " + words);
  }

  Status check_permissions(const Object& seed, std::int64_t orders) const {
    const Object* const certification = TRY(get(seed, "MDP"));
    const Object* const p = TRY(get(*certification, "P"));
    if (p->is(Object::Kind::integer)) {
      if (p->integer == 0 && request_.certify) return refuse("a signature that does not certify");
      if (p->integer != 0 && request_.certify != static_cast<unsigned>(p->integer)) {
        return refuse("a signature that certifies with permission " + std::to_string(p->integer));
      }
    }
    const Object* const attestation = TRY(get(seed, "LegalAttestation"));
    if ((orders & kLegalAttestation) != 0 && request_.certify && !attestation->items.empty()) {
      return refuse("a legal attestation about the document's contents");
    }
    const Object* const lock = TRY(get(seed, "LockDocument"));
    if ((orders & kLockDocument) != 0 &&
        ((lock->is(Object::Kind::boolean) && lock->boolean) || lock->is_name("true"))) {
      return refuse("that the document is locked");
    }
    return {};
  }

  Status check_services(const Object& seed, std::int64_t orders) const {
    const Object* const revocation = TRY(get(seed, "AddRevInfo"));
    if ((orders & kAddRevInfo) != 0 && revocation->is(Object::Kind::boolean) && revocation->boolean) {
      return refuse("revocation data inside the signature, in a way PAdES does not have");
    }
    const Object* const stamp = TRY(get(seed, "TimeStamp"));
    const std::int64_t stamp_orders = TRY(flags(*stamp));
    if ((stamp_orders & 1) != 0 && !request_.timestamped) return refuse("a time-stamp: sign at level B-T or higher");
    const Object* const appearance = TRY(get(seed, "AppearanceFilter"));
    if ((orders & kAppearanceFilter) != 0 && holds_something(*appearance)) {
      return refuse("the appearance \"" + text_of(*appearance) + "\"");
    }
    return {};
  }
  static bool holds_something(const Object& text) { return text.is(Object::Kind::string) && !text.text.empty(); }

  // Table 235: who may sign.
  Status check_certificate(const Object& wishes) const {
    const std::int64_t orders = TRY(flags(wishes));
    if (orders == 0) return {};
    if (request_.chain == nullptr || request_.chain->empty()) return refuse("a certain certificate");
    const std::vector<Bytes>& chain = *request_.chain;
    const Certificate own = TRY(Certificate::from_der(chain.front()));
    const auto named = [&](const Object& list, const Bytes& certificate) {
      return std::any_of(list.items.begin(), list.items.end(), [&](const Object& one) {
        const auto value = document_.resolve(one, revision_);
        return value && octets_of(**value) == certificate;
      });
    };
    const Object* const subjects = TRY(get(wishes, "Subject"));
    if ((orders & kSubject) != 0 && !subjects->items.empty() && !named(*subjects, chain.front())) {
      return refuse("another signer's certificate");
    }
    const Object* const issuers = TRY(get(wishes, "Issuer"));
    if ((orders & kIssuer) != 0 && !issuers->items.empty() &&
        std::none_of(chain.begin() + 1, chain.end(), [&](const Bytes& one) { return named(*issuers, one); })) {
      return refuse("a certificate of another issuer");
    }
    const Object* const policies = TRY(get(wishes, "OID"));
    if ((orders & kPolicy) != 0 && !policies->items.empty()) {
      const auto list = TRY(items(*policies));
      const bool fits = std::any_of(list.begin(), list.end(), [&](const Object* one) {
        return std::find(own.policies().begin(), own.policies().end(), text_of(*one)) != own.policies().end();
      });
      if (!fits) return refuse("a certificate of another policy");
    }
    TRY(check_names(wishes, orders, own));
    return check_key_usage(wishes, orders, own);
  }

  // SubjectDN: dictionaries of attributes, any of which must be met in full.
  Status check_names(const Object& wishes, std::int64_t orders, const Certificate& own) const {
    const Object* const names = TRY(get(wishes, "SubjectDN"));
    if ((orders & kSubjectName) == 0 || names->items.empty()) return {};
    for (const Object* const one : TRY(items(*names))) {
      const bool met = std::all_of(one->entries.begin(), one->entries.end(), [&](const DictionaryEntry& wanted) {
        const auto value = document_.resolve(wanted.value, revision_);
        const auto has = own.subject().find(wanted.key);
        return value && has && *has == text_of(**value);
      });
      if (met && !one->entries.empty()) return {};
    }
    return refuse("another signer");
  }

  // KeyUsage: strings of 0, 1 and X, one character for each bit of the extension.
  Status check_key_usage(const Object& wishes, std::int64_t orders, const Certificate& own) const {
    const Object* const usages = TRY(get(wishes, "KeyUsage"));
    if ((orders & kKeyUsage) == 0 || usages->items.empty()) return {};
    for (const Object* const one : TRY(items(*usages))) {
      bool met = true;
      for (std::size_t bit = 0; bit < one->text.size() && bit < 9; ++bit) {
        const bool set = own.has_key_usage() && own.allows(static_cast<KeyUsage>(bit));
        met = met && (one->text[bit] == 'X' || (one->text[bit] == '1') == set);
      }
      if (met) return {};
    }
    return refuse("a certificate of another key usage");
  }

  const Document& document_;
  std::size_t revision_;
  const Field& field_;
  const SignatureRequest& request_;
};

}  // namespace

Status check_seed_values(const Document& document, const Field& field, const SignatureRequest& request) {
  return SeedValues(document, field, request).check();
}

}  // namespace karta::crypto::pdf
