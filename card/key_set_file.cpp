#include "card/key_set_file.h"

#include "base/der.h"
#include "crypto/key.h"
#include "crypto/pem.h"
#include "crypto/pkcs8.h"

namespace karta::card {
namespace {

constexpr std::string_view kMasterLabel = "KARTA ENCRYPTED MASTER KEY", kKeySetLabel = "KARTA ENCRYPTED KEY SET",
                           kOfferLabel = "KARTA ENCRYPTED DOMAIN OFFER",
                           kTransactionLabel = "KARTA ENCRYPTED TRANSACTION MASTERS";
constexpr std::size_t kMostTransactionMasters = 96, kMostApplicationName = 32;

Result<std::string> seal(std::string_view label, const SecretBytes& plain, const SecretBytes& passphrase,
                         std::uint32_t iterations, RandomSource& random) {
  const Bytes salt = random.bytes(16), iv = random.bytes(16);
  const Bytes sealed = TRY(crypto::seal_encrypted_pkcs8(plain, passphrase, iterations, salt, iv));
  return crypto::to_pem(label, sealed);
}

// A wrong passphrase leaves valid padding once in 256 times: then what comes out is no SEQUENCE of ours.
template <class Read>
auto open(std::string_view label, std::string_view pem, const SecretBytes& passphrase, Read read)
    -> decltype(read(std::declval<der::Reader&>())) {
  const Bytes sealed = TRY(crypto::parse_pem_one(pem, label));
  const SecretBytes plain = TRY(crypto::open_encrypted_pkcs8(sealed, passphrase, crypto::PrivateKey::kMostIterations));
  const auto parse = [&]() -> decltype(read(std::declval<der::Reader&>())) {
    der::Reader outer(plain.expose_secret());
    der::Reader inside = TRY(outer.enter(der::kSequence));
    TRY(outer.finish());
    auto value = TRY(read(inside));
    TRY(inside.finish());
    return value;
  };
  auto parsed = parse();
  if (parsed) return parsed;
  return fail(ErrorKind::wrong_pin, "the file does not open", "check the passphrase; the file may be damaged");
}

SecretBytes sequence(std::span<const ByteView> elements) {
  Bytes content;
  std::size_t size = 0;
  for (const ByteView element : elements) size += element.size();
  content.reserve(size);  // no growing: it would leave copies behind
  for (const ByteView element : elements) append(content, element);
  SecretBytes whole(der::sequence(ByteView(content)));
  wipe(content);
  return whole;
}

SecretBytes sequence(std::initializer_list<ByteView> elements) {
  return sequence(std::span(elements.begin(), elements.size()));
}

struct SecretElement {
  explicit SecretElement(const SecretBytes& value) : octets(der::octet_string(value.expose_secret())) {}
  ~SecretElement() { wipe(octets); }
  SecretElement(const SecretElement&) = delete;
  SecretElement& operator=(const SecretElement&) = delete;
  operator ByteView() const { return octets; }
  Bytes octets;
};

Result<SecretBytes> read_secret(der::Reader& reader) {
  const ByteView octets = TRY(reader.octet_string());
  return SecretBytes::copy_of(octets);
}

Result<Bytes> read_octets(der::Reader& reader) {
  const ByteView octets = TRY(reader.octet_string());
  return to_bytes(octets);
}

Result<std::uint8_t> read_small(der::Reader& reader, std::uint64_t most) {
  const std::uint64_t value = TRY(reader.small_integer());
  if (value > most) return fail(ErrorKind::malformed, "a number that is too large");
  return static_cast<std::uint8_t>(value);
}

}  // namespace

Result<std::string> seal_master_key(const SecretBytes& key, const SecretBytes& passphrase, std::uint32_t iterations,
                                    RandomSource& random) {
  KARTA_CHECK(key.size() == kMasterKeyOctets);
  const SecretElement secret(key);
  return seal(kMasterLabel, sequence({secret}), passphrase, iterations, random);
}

Result<SecretBytes> open_master_key(std::string_view pem, const SecretBytes& passphrase) {
  return open(kMasterLabel, pem, passphrase, [](der::Reader& reader) -> Result<SecretBytes> {
    SecretBytes key = TRY(read_secret(reader));
    if (key.size() != kMasterKeyOctets) return fail(ErrorKind::malformed, "a master key of another length");
    return key;
  });
}

// SEQUENCE { aid OCTET STRING, serial OCTET STRING, version INTEGER, enc, mac, dek OCTET STRING }
Result<std::string> seal_domain_keys(const DomainKeyFile& file, const SecretBytes& passphrase, std::uint32_t iterations,
                                     RandomSource& random) {
  const SecretElement encryption(file.keys.encryption), checksum(file.keys.checksum), data(file.keys.data);
  const SecretBytes plain = sequence({der::octet_string(file.aid), der::octet_string(file.serial),
                                      der::integer(file.keys.version), encryption, checksum, data});
  return seal(kKeySetLabel, plain, passphrase, iterations, random);
}

Result<DomainKeyFile> open_domain_keys(std::string_view pem, const SecretBytes& passphrase) {
  return open(kKeySetLabel, pem, passphrase, [](der::Reader& reader) -> Result<DomainKeyFile> {
    DomainKeyFile file;
    file.aid = TRY(read_octets(reader));
    file.serial = TRY(read_octets(reader));
    file.keys.version = TRY(read_small(reader, 0x7F));
    file.keys.encryption = TRY(read_secret(reader));
    file.keys.checksum = TRY(read_secret(reader));
    file.keys.data = TRY(read_secret(reader));
    const std::size_t octets = file.keys.key_octets();
    if (!crypto::is_aes_key(octets) || file.keys.checksum.size() != octets || file.keys.data.size() != octets) {
      return fail(ErrorKind::malformed, "keys of no AES length");
    }
    return file;
  });
}

// SEQUENCE { application OCTET STRING, kind INTEGER, key OCTET STRING, ... }
Result<std::string> seal_transaction_masters(const TransactionMasters& masters, const SecretBytes& passphrase,
                                             std::uint32_t iterations, RandomSource& random) {
  std::vector<SecretBytes> elements;
  std::vector<ByteView> parts;
  for (const auto& [application, keys] : masters) {
    KARTA_CHECK(!application.empty() && application.size() <= kMostApplicationName);
    for (const auto& [kind, key] : keys) {
      const SecretElement secret(key);
      elements.emplace_back(
          concat({der::octet_string(as_bytes(application)), der::integer(static_cast<std::uint64_t>(kind)), secret}));
    }
  }
  for (const SecretBytes& element : elements) parts.push_back(element.expose_secret());
  const SecretBytes plain = sequence(parts);
  return seal(kTransactionLabel, plain, passphrase, iterations, random);
}

Result<TransactionMasters> open_transaction_masters(std::string_view pem, const SecretBytes& passphrase) {
  return open(kTransactionLabel, pem, passphrase, [](der::Reader& reader) -> Result<TransactionMasters> {
    TransactionMasters masters;
    for (std::size_t count = 0; !reader.done(); ++count) {
      const Bytes application = TRY(read_octets(reader));
      const std::uint8_t kind = TRY(read_small(reader, static_cast<std::uint64_t>(LedgerKey::settlement)));
      SecretBytes key = TRY(read_secret(reader));
      if (count == kMostTransactionMasters || application.empty() || application.size() > kMostApplicationName ||
          kind == 0 || (key.size() != 16 && key.size() != 32)) {
        return fail(ErrorKind::malformed, "a transaction master of no known shape");
      }
      masters[std::string(as_text(application))].insert_or_assign(static_cast<LedgerKey>(kind), std::move(key));
    }
    return masters;
  });
}

LedgerMasters generate_ledger_masters(std::size_t key_octets, RandomSource& random) {
  LedgerMasters masters;
  for (const LedgerKey kind : {LedgerKey::debit, LedgerKey::credit, LedgerKey::settlement}) {
    masters.emplace(kind, random.secret(key_octets));
  }
  return masters;
}

// SEQUENCE { aid, serial OCTET STRING, curve UTF8String, point OCTET STRING, version, octets INTEGER,
//            scalar, message OCTET STRING }
Result<std::string> seal_domain_offer(const DomainOffer& offer, const SecretBytes& passphrase, std::uint32_t iterations,
                                      RandomSource& random) {
  const SecretElement scalar(offer.scalar);
  const SecretBytes plain = sequence({der::octet_string(offer.aid), der::octet_string(offer.serial),
                                      der::octet_string(as_bytes(crypto::row_of(offer.curve).name)),
                                      der::octet_string(offer.card_point), der::integer(offer.key_version),
                                      der::integer(offer.key_octets), scalar, der::octet_string(offer.message)});
  return seal(kOfferLabel, plain, passphrase, iterations, random);
}

Result<DomainOffer> open_domain_offer(std::string_view pem, const SecretBytes& passphrase) {
  return open(kOfferLabel, pem, passphrase, [](der::Reader& reader) -> Result<DomainOffer> {
    DomainOffer offer;
    offer.aid = TRY(read_octets(reader));
    offer.serial = TRY(read_octets(reader));
    const Bytes curve = TRY(read_octets(reader));
    const auto type = crypto::find_key_type(as_text(curve));
    if (!type) return fail(ErrorKind::malformed, "a curve of no known name");
    offer.curve = *type;
    offer.card_point = TRY(read_octets(reader));
    offer.key_version = TRY(read_small(reader, 0x7F));
    offer.key_octets = TRY(read_small(reader, 32));
    offer.scalar = TRY(read_secret(reader));
    offer.message = TRY(read_octets(reader));
    if (!crypto::is_aes_key(offer.key_octets)) return fail(ErrorKind::malformed, "keys of no AES length");
    return offer;
  });
}

}  // namespace karta::card
