#include "crypto/pkcs11_key.h"

#include <dlfcn.h>

#define CK_PTR *
#define NULL_PTR nullptr
#define CK_DEFINE_FUNCTION(type, name) type name
#define CK_DECLARE_FUNCTION(type, name) type name
#define CK_DECLARE_FUNCTION_POINTER(type, name) type(*name)
#define CK_CALLBACK_FUNCTION(type, name) type(*name)
#include <pkcs11.h>

#include <array>
#include <cstdio>

#include "base/der.h"
#include "base/random.h"
#include "crypto/algorithm_identifier.h"

namespace karta::crypto {
namespace {

constexpr CK_ULONG kMostSlots = 256;
constexpr CK_ULONG kMostAttribute = 16 * 1024;

struct RvRow {
  CK_RV rv;
  ErrorKind kind;
  const char* words;
};
constexpr auto kRvs = std::to_array<RvRow>({
    {CKR_PIN_INCORRECT, ErrorKind::wrong_pin, "the PIN is wrong"},
    {CKR_PIN_LEN_RANGE, ErrorKind::wrong_pin, "the PIN is wrong (its length)"},
    {CKR_PIN_INVALID, ErrorKind::wrong_pin, "the PIN is wrong (its characters)"},
    {CKR_PIN_LOCKED, ErrorKind::pin_blocked, "the PIN is blocked"},
    {CKR_USER_PIN_NOT_INITIALIZED, ErrorKind::pin_blocked, "the token has no user PIN yet"},
    {CKR_TOKEN_NOT_PRESENT, ErrorKind::no_card, "the token was removed"},
    {CKR_DEVICE_REMOVED, ErrorKind::card_removed, "the token was removed"},
    {CKR_MECHANISM_INVALID, ErrorKind::unsupported, "the token does not sign this way"},
    {CKR_KEY_FUNCTION_NOT_PERMITTED, ErrorKind::not_permitted, "the key is not for signing"},
    {CKR_TOKEN_WRITE_PROTECTED, ErrorKind::not_permitted, "the token is write-protected"},
});

tl::unexpected<Error> failed(const char* what, CK_RV rv) {
  for (const RvRow& row : kRvs) {
    if (row.rv == rv) return fail(row.kind, std::string(what) + ": " + row.words);
  }
  char number[32];
  std::snprintf(number, sizeof number, "CKR 0x%lX", rv);
  return fail(ErrorKind::io, std::string(what) + " failed: " + number);
}

std::string trimmed(const CK_UTF8CHAR* text, std::size_t octets) {
  std::string out(as_text(ByteView(text, octets)));
  out.erase(out.find_last_not_of(' ') + 1);
  return out;
}

CK_ATTRIBUTE attribute(CK_ATTRIBUTE_TYPE type, const void* value, std::size_t octets) {
  return {type, const_cast<void*>(value), static_cast<CK_ULONG>(octets)};
}

/// What PKCS #11 calls the signing of digests by a key of ours.
CK_MECHANISM_TYPE digest_mechanism(const AlgorithmRow& row) {
  if (row.family == KeyFamily::ec) return CKM_ECDSA;
  if (row.family == KeyFamily::ed25519) return CKM_EDDSA;
  return row.padding == Padding::pss ? CKM_RSA_PKCS_PSS : CKM_RSA_PKCS;
}

}  // namespace

/// A module, loaded and initialised, with one session logged in.
class Pkcs11Signer::Session {
 public:
  ~Session() {
    if (functions_ != nullptr && session_ != 0) functions_->C_CloseSession(session_);
    if (functions_ != nullptr && initialized_) functions_->C_Finalize(nullptr);
    if (module_ != nullptr) ::dlclose(module_);
  }

  static Result<std::unique_ptr<Session>> open(const Pkcs11Uri& uri, const SecretBytes& pin, bool writing) {
    auto out = std::make_unique<Session>();
    TRY(out->load(uri.module_path));
    TRY(out->log_in(uri, pin, writing));
    return out;
  }

  /// Objects of a class that the URI describes.
  Result<std::vector<CK_OBJECT_HANDLE>> find(CK_OBJECT_CLASS object_class, const std::string& label, const Bytes& id) {
    std::vector<CK_ATTRIBUTE> wanted = {attribute(CKA_CLASS, &object_class, sizeof object_class)};
    if (!label.empty()) wanted.push_back(attribute(CKA_LABEL, label.data(), label.size()));
    if (!id.empty()) wanted.push_back(attribute(CKA_ID, id.data(), id.size()));
    if (const CK_RV rv = functions_->C_FindObjectsInit(session_, wanted.data(), wanted.size()); rv != CKR_OK) {
      return failed("C_FindObjectsInit", rv);
    }
    std::vector<CK_OBJECT_HANDLE> out(16);
    CK_ULONG found = 0;
    const CK_RV rv = functions_->C_FindObjects(session_, out.data(), out.size(), &found);
    functions_->C_FindObjectsFinal(session_);
    if (rv != CKR_OK) return failed("C_FindObjects", rv);
    out.resize(found);
    return out;
  }

  Result<Bytes> get(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
    CK_ATTRIBUTE wanted = {type, nullptr, 0};
    CK_RV rv = functions_->C_GetAttributeValue(session_, object, &wanted, 1);
    if (rv != CKR_OK || wanted.ulValueLen > kMostAttribute) return failed("C_GetAttributeValue", rv);
    Bytes out(wanted.ulValueLen);
    wanted.pValue = out.data();
    rv = functions_->C_GetAttributeValue(session_, object, &wanted, 1);
    if (rv != CKR_OK) return failed("C_GetAttributeValue", rv);
    out.resize(wanted.ulValueLen);
    return out;
  }

  /// The one private key the URI describes, and its public half.
  Status choose_key(const Pkcs11Uri& uri) {
    const auto keys = TRY(find(CKO_PRIVATE_KEY, uri.object, uri.id));
    if (keys.empty()) return fail(ErrorKind::not_found, "the token holds no such private key");
    if (keys.size() > 1) {
      return fail(ErrorKind::usage, "several keys of the token fit", "name one by object= or id= in the URI");
    }
    key_ = keys.front();
    const Bytes id = TRY(get(key_, CKA_ID));
    const auto halves = TRY(find(CKO_PUBLIC_KEY, id.empty() ? uri.object : std::string(), id));
    if (halves.empty()) return fail(ErrorKind::not_found, "the token holds no public key beside the private one");
    public_key_ = TRY(read_public_key(halves.front()));
    return {};
  }

  Status generate(const Pkcs11Uri& uri, KeyType type) {
    const KeyTypeRow& row = row_of(type);
    SystemRandom random;
    const Bytes id = uri.id.empty() ? random.bytes(16) : uri.id;
    const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    const CK_ULONG bits = row.key_bits;
    const Bytes exponent = {1, 0, 1};
    // Ed25519 as SoftHSM2 and OpenSC know it: its curve by name (PKCS #11 v3.0 §2.3.5).
    const Bytes curve = row.family == KeyFamily::rsa       ? Bytes{}
                        : row.family == KeyFamily::ed25519 ? der::printable("edwards25519")
                                                           : der::oid(row.oid);
    std::vector<CK_ATTRIBUTE> open = {attribute(CKA_TOKEN, &yes, sizeof yes), attribute(CKA_VERIFY, &yes, sizeof yes),
                                      attribute(CKA_LABEL, uri.object.data(), uri.object.size()),
                                      attribute(CKA_ID, id.data(), id.size())};
    if (row.family == KeyFamily::rsa) {
      open.push_back(attribute(CKA_MODULUS_BITS, &bits, sizeof bits));
      open.push_back(attribute(CKA_PUBLIC_EXPONENT, exponent.data(), exponent.size()));
    } else {
      open.push_back(attribute(CKA_EC_PARAMS, curve.data(), curve.size()));
    }
    std::vector<CK_ATTRIBUTE> closed = {
        attribute(CKA_TOKEN, &yes, sizeof yes),     attribute(CKA_PRIVATE, &yes, sizeof yes),
        attribute(CKA_SENSITIVE, &yes, sizeof yes), attribute(CKA_EXTRACTABLE, &no, sizeof no),
        attribute(CKA_SIGN, &yes, sizeof yes),      attribute(CKA_LABEL, uri.object.data(), uri.object.size()),
        attribute(CKA_ID, id.data(), id.size())};
    CK_MECHANISM mechanism = {row.family == KeyFamily::rsa  ? CK_MECHANISM_TYPE{CKM_RSA_PKCS_KEY_PAIR_GEN}
                              : row.family == KeyFamily::ec ? CK_MECHANISM_TYPE{CKM_EC_KEY_PAIR_GEN}
                                                            : CK_MECHANISM_TYPE{CKM_EC_EDWARDS_KEY_PAIR_GEN},
                              nullptr, 0};
    CK_OBJECT_HANDLE half = 0;
    const CK_RV rv = functions_->C_GenerateKeyPair(session_, &mechanism, open.data(), open.size(), closed.data(),
                                                   closed.size(), &half, &key_);
    if (rv != CKR_OK) return failed("C_GenerateKeyPair", rv);
    public_key_ = TRY(read_public_key(half));
    return {};
  }

  const PublicKey& public_key() const { return *public_key_; }

  Result<Bytes> sign(const AlgorithmRow& row, ByteView input) {
    CK_RSA_PKCS_PSS_PARAMS pss = {};
    CK_MECHANISM mechanism = {digest_mechanism(row), nullptr, 0};
    if (row.padding == Padding::pss) {
      const HashRow& hash = row_of(row.hash);
      pss = {hash.pkcs11_mechanism, hash.pkcs11_mgf, hash.octets};
      mechanism.pParameter = &pss;
      mechanism.ulParameterLen = sizeof pss;
    }
    if (const CK_RV rv = functions_->C_SignInit(session_, &mechanism, key_); rv != CKR_OK) {
      return failed("C_SignInit", rv);
    }
    Bytes out(2048);
    CK_ULONG size = out.size();
    Bytes copy = to_bytes(input);
    const CK_RV rv = functions_->C_Sign(session_, copy.data(), copy.size(), out.data(), &size);
    if (rv != CKR_OK) return failed("C_Sign", rv);
    out.resize(size);
    return out;
  }

 private:
  Status load(const std::string& path) {
    module_ = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (module_ == nullptr) {
      return fail(ErrorKind::not_found, "cannot load the PKCS #11 module \"" + path + "\"",
                  "module-path= in the URI names the device's shared library");
    }
    const auto list = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(module_, "C_GetFunctionList"));
    if (list == nullptr || list(&functions_) != CKR_OK || functions_ == nullptr) {
      functions_ = nullptr;
      return fail(ErrorKind::configuration, "\"" + path + "\" is no PKCS #11 module");
    }
    CK_C_INITIALIZE_ARGS arguments = {};
    arguments.flags = CKF_OS_LOCKING_OK;
    const CK_RV rv = functions_->C_Initialize(&arguments);
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) return failed("C_Initialize", rv);
    initialized_ = rv == CKR_OK;  // whoever initialised it first will end it
    return {};
  }

  Status log_in(const Pkcs11Uri& uri, const SecretBytes& pin, bool writing) {
    std::array<CK_SLOT_ID, kMostSlots> slots = {};
    CK_ULONG count = slots.size();
    if (const CK_RV rv = functions_->C_GetSlotList(CK_TRUE, slots.data(), &count); rv != CKR_OK) {
      return failed("C_GetSlotList", rv);
    }
    std::vector<CK_SLOT_ID> fitting;
    for (CK_ULONG i = 0; i < count; ++i) {
      CK_TOKEN_INFO info = {};
      if (functions_->C_GetTokenInfo(slots[i], &info) != CKR_OK || (info.flags & CKF_TOKEN_INITIALIZED) == 0) continue;
      if (uri.slot_id && slots[i] != *uri.slot_id) continue;
      if (!uri.token.empty() && trimmed(info.label, sizeof info.label) != uri.token) continue;
      fitting.push_back(slots[i]);
    }
    if (fitting.empty()) return fail(ErrorKind::not_found, "no token \"" + uri.token + "\" is there");
    if (fitting.size() > 1) {
      return fail(ErrorKind::usage, "several tokens fit", "name one by token= or slot-id= in the URI");
    }
    const CK_FLAGS flags = CKF_SERIAL_SESSION | (writing ? CKF_RW_SESSION : 0);
    if (const CK_RV rv = functions_->C_OpenSession(fitting.front(), flags, nullptr, nullptr, &session_); rv != CKR_OK) {
      return failed("C_OpenSession", rv);
    }
    SecretBytes copy = pin.clone();
    const CK_RV rv = functions_->C_Login(session_, CKU_USER, copy.expose_secret_mutable().data(),
                                         static_cast<CK_ULONG>(copy.size()));
    if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN) return failed("logging in to the token", rv);
    return {};
  }

  Result<PublicKey> read_public_key(CK_OBJECT_HANDLE object) {
    const Bytes type_octets = TRY(get(object, CKA_KEY_TYPE));
    CK_KEY_TYPE type = 0;
    if (type_octets.size() != sizeof type) return fail(ErrorKind::malformed, "the token's key has no type");
    std::copy(type_octets.begin(), type_octets.end(), reinterpret_cast<std::uint8_t*>(&type));
    if (type == CKK_RSA) {
      const Bytes modulus = TRY(get(object, CKA_MODULUS));
      const Bytes exponent = TRY(get(object, CKA_PUBLIC_EXPONENT));
      return PublicKey::from_rsa(modulus, exponent);
    }
    if (type != CKK_EC && type != CKK_EC_EDWARDS)
      return fail(ErrorKind::unsupported, "the token's key is of no known type");
    const Bytes wrapped = TRY(get(object, CKA_EC_POINT));
    der::Reader reader(wrapped);
    const auto inner = reader.octet_string();
    const ByteView point = inner && reader.finish() ? *inner : ByteView(wrapped);
    if (type == CKK_EC_EDWARDS) return PublicKey::from_point(KeyType::ed25519, point);
    const Bytes curve = TRY(get(object, CKA_EC_PARAMS));
    for (const KeyTypeRow& row : kKeyTypes) {
      if (row.family == KeyFamily::ec && curve == der::oid(row.oid)) return PublicKey::from_point(row.id, point);
    }
    return fail(ErrorKind::unsupported, "the token's key is on no known curve");
  }

  void* module_ = nullptr;
  CK_FUNCTION_LIST_PTR functions_ = nullptr;
  bool initialized_ = false;
  CK_SESSION_HANDLE session_ = 0;
  CK_OBJECT_HANDLE key_ = 0;
  std::optional<PublicKey> public_key_;
};

bool is_pkcs11_uri(std::string_view text) { return text.starts_with("pkcs11:"); }

Result<Pkcs11Uri> Pkcs11Uri::parse(std::string_view text) {
  const auto bad = [&](const std::string& what) {
    return fail(ErrorKind::usage, "\"" + std::string(text) + "\": " + what,
                "for example pkcs11:token=CA;object=root?module-path=/usr/lib/softhsm/libsofthsm2.so");
  };
  if (!is_pkcs11_uri(text)) return bad("no PKCS #11 URI");
  Pkcs11Uri out;
  std::string_view rest = text.substr(7);
  while (!rest.empty()) {
    const std::size_t end = rest.find_first_of(";?&");
    const std::string_view pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return bad("a part without \"=\"");
    const std::string_view key = pair.substr(0, equals);
    Bytes value;
    for (std::size_t i = equals + 1; i < pair.size(); ++i) {
      if (pair[i] != '%') {
        value.push_back(static_cast<std::uint8_t>(pair[i]));
        continue;
      }
      const auto octet = from_hex(pair.substr(i + 1, 2));
      if (!octet || octet->size() != 1) return bad("a percent sign without two digits");
      value.push_back(octet->front());
      i += 2;
    }
    const std::string words(as_text(value));
    if (key == "module-path") {
      out.module_path = words;
    } else if (key == "token") {
      out.token = words;
    } else if (key == "object") {
      out.object = words;
    } else if (key == "id") {
      out.id = value;
    } else if (key == "slot-id") {
      if (words.empty() || words.size() > 18 || words.find_first_not_of("0123456789") != std::string::npos) {
        return bad("a slot-id that is no number");
      }
      out.slot_id = std::stoul(words);
    } else if (key == "type" && words == "private") {
      continue;
    } else if (key == "pin-value" || key == "pin-source") {
      return bad("a PIN has no place in a URI; it is asked for");
    } else {
      return bad("\"" + std::string(key) + "\" is not understood");
    }
  }
  if (out.module_path.empty()) return bad("module-path is missing");
  return out;
}

Pkcs11Signer::Pkcs11Signer(std::unique_ptr<Session> session)
    : session_(std::move(session)), algorithms_(algorithms_of(session_->public_key())) {}
Pkcs11Signer::~Pkcs11Signer() = default;

Result<std::unique_ptr<Pkcs11Signer>> Pkcs11Signer::open(const Pkcs11Uri& uri, const SecretBytes& pin,
                                                         std::vector<Bytes> certificate_chain) {
  auto session = TRY(Session::open(uri, pin, false));
  TRY(session->choose_key(uri));
  std::unique_ptr<Pkcs11Signer> out(new Pkcs11Signer(std::move(session)));
  out->certificate_chain_ = std::move(certificate_chain);
  return out;
}

Result<std::unique_ptr<Pkcs11Signer>> Pkcs11Signer::generate(const Pkcs11Uri& uri, const SecretBytes& pin,
                                                             KeyType type) {
  if (uri.object.empty()) return fail(ErrorKind::usage, "a new key needs a label", "object= in the URI");
  auto session = TRY(Session::open(uri, pin, true));
  const auto there = TRY(session->find(CKO_PRIVATE_KEY, uri.object, uri.id));
  if (!there.empty()) return fail(ErrorKind::already_exists, "the token holds a key \"" + uri.object + "\" already");
  TRY(session->generate(uri, type));
  return std::unique_ptr<Pkcs11Signer>(new Pkcs11Signer(std::move(session)));
}

const PublicKey& Pkcs11Signer::public_key() const { return session_->public_key(); }
const std::vector<Bytes>& Pkcs11Signer::certificate_chain() const { return certificate_chain_; }
const std::vector<AlgorithmId>& Pkcs11Signer::algorithms() const { return algorithms_; }
void Pkcs11Signer::set_certificate_chain(std::vector<Bytes> chain) { certificate_chain_ = std::move(chain); }

Result<Bytes> Pkcs11Signer::sign(AlgorithmId algorithm, ByteView digest) {
  const AlgorithmRow& row = row_of(algorithm);
  if (row.family != public_key().family() || row.family == KeyFamily::ed25519) {
    return fail(ErrorKind::unsupported,
                "a " + public_key().type_name() + " key does not sign digests with " + std::string(row.name));
  }
  if (digest.size() != row_of(row.hash).octets) return fail(ErrorKind::usage, "a digest of the wrong length");
  if (row.padding == Padding::pkcs1) {
    // RFC 8017 §9.2: DigestInfo ::= SEQUENCE { digestAlgorithm AlgorithmIdentifier with NULL, digest OCTET STRING }
    const Bytes hash = der::sequence({der::oid(row_of(row.hash).oid), der::null()});
    return session_->sign(row, der::sequence({hash, der::octet_string(digest)}));
  }
  const Bytes signature = TRY(session_->sign(row, digest));
  return row.family == KeyFamily::ec ? encode_ecdsa_signature(signature) : signature;
}

Result<Bytes> Pkcs11Signer::sign_message(AlgorithmId algorithm, ByteView message) {
  const AlgorithmRow& row = row_of(algorithm);
  if (row.family != KeyFamily::ed25519) return Signer::sign_message(algorithm, message);
  if (public_key().family() != KeyFamily::ed25519) {
    return fail(ErrorKind::unsupported, "a " + public_key().type_name() + " key does not sign with Ed25519");
  }
  return session_->sign(row, message);
}

}  // namespace karta::crypto
