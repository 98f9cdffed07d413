#include "identity/services/key.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "crypto/pkcs11_key.h"

namespace karta::identity {
namespace {

constexpr std::size_t kMostKeyFile = 64 * 1024;
constexpr std::size_t kMostSecret = 1024;

std::vector<Bytes> chain_of(const std::vector<crypto::Certificate>& certificates) {
  std::vector<Bytes> out;
  for (const crypto::Certificate& one : certificates) out.push_back(one.der());
  return out;
}

}  // namespace

Result<SecretBytes> read_secret_file(const std::filesystem::path& file) {
  struct stat about {};
  if (::stat(file.c_str(), &about) != 0) {
    return fail(errno == ENOENT ? ErrorKind::not_found : ErrorKind::io,
                "\"" + file.string() + "\": " + std::strerror(errno));
  }
  if ((about.st_mode & 077) != 0) {
    return fail(ErrorKind::not_permitted, "\"" + file.string() + "\" is open to other users",
                "close it to them: chmod 600 " + file.string());
  }
  Bytes octets = TRY(read_file(file, kMostSecret));
  SecretBytes whole(std::move(octets));
  std::string_view line = whole.expose_secret_text();
  line = line.substr(0, line.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty())
    return fail(ErrorKind::configuration, "\"" + file.string() + "\" is empty: its first line is what counts");
  return SecretBytes::copy_of(line);
}

Result<ServiceKey> ServiceKey::open(const KeyConfig& config) {
  ServiceKey out;
  if (!config.certificate.empty()) {
    const Bytes file = TRY(read_file(config.certificate, 16 * crypto::Certificate::kMostOctets));
    auto certificates = crypto::Certificate::many_from_file_octets(file);
    if (!certificates) {
      return fail(ErrorKind::configuration, "\"" + config.certificate.string() + "\": " + certificates.error().message);
    }
    out.certificates_ = std::move(*certificates);
  }
  SecretBytes secret = TRY(read_secret_file(config.secret_file));
  if (crypto::is_pkcs11_uri(config.key)) {
    out.uri_ = config.key;
    out.pin_ = std::move(secret);
  } else {
    const Bytes pem = TRY(read_file(config.key, kMostKeyFile));
    auto opened = crypto::PrivateKey::from_encrypted_pem(as_text(pem), secret);
    if (!opened && opened.error().kind == ErrorKind::wrong_pin) {
      return fail(ErrorKind::wrong_pin,
                  "the passphrase in \"" + config.secret_file.string() + "\" does not open \"" + config.key + "\"",
                  "put the passphrase the key was made with on its first line");
    }
    if (!opened) {
      Error error = std::move(opened.error());
      error.message = "the key \"" + config.key + "\": " + error.message;
      // As other programs keep theirs.
      const bool open_to_read = as_text(pem).find("PRIVATE KEY-----") != std::string_view::npos &&
                                as_text(pem).find("BEGIN ENCRYPTED PRIVATE KEY") == std::string_view::npos;
      if (open_to_read) error.hint = "keys are kept encrypted: openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW";
      return fail(std::move(error));
    }
    const crypto::PrivateKey key = std::move(*opened);
    out.private_key_ = key.expose_secret_der();
  }
  const auto signer = TRY(out.signer());
  if (!out.certificates_.empty() && !equal(signer->public_key().spki(), out.certificates_.front().spki())) {
    return fail(ErrorKind::configuration,
                "the key \"" + config.key + "\" is not that of \"" + config.certificate.string() + "\"");
  }
  return out;
}

Result<std::unique_ptr<crypto::Signer>> ServiceKey::signer() const {
  if (!uri_.empty()) {
    const crypto::Pkcs11Uri uri = TRY(crypto::Pkcs11Uri::parse(uri_));
    std::unique_ptr<crypto::Signer> token = TRY(crypto::Pkcs11Signer::open(uri, pin_, chain_of(certificates_)));
    return token;
  }
  crypto::PrivateKey key = TRY(crypto::PrivateKey::from_der(private_key_.expose_secret()));
  std::unique_ptr<crypto::Signer> out =
      std::make_unique<crypto::SoftwareSigner>(std::move(key), chain_of(certificates_));
  return out;
}

}  // namespace karta::identity
