#include "cli/signing_key.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/file.h"
#include "base/random.h"
#include "card/card_signer.h"
#include "cli/card_session.h"
#include "cli/prompt_pins.h"
#include "crypto/pkcs11_key.h"

namespace karta::cli {
namespace {

constexpr std::size_t kMostKeyFile = 64 * 1024;
constexpr std::size_t kMostCertificates = std::size_t{16} << 20;

class CardKey final : public SigningKey {
 public:
  static Result<std::unique_ptr<SigningKey>> open(const KeyArguments& given) {
    auto out = std::make_unique<CardKey>();
    out->session_ = TRY(CardSession::open_issued(given.reader));
    card::ESignApplication& esign = out->session_->esign();
    const card::KeyRole role = given.key == "qualified" ? card::KeyRole::qualified : card::KeyRole::signature;
    const card::CardKey key = TRY(esign.key(role));
    out->input_ = make_secret_input(given.secret.descriptor, given.secret.program);
    out->pins_ = std::make_unique<PromptPins>(*out->input_, given.secret.descriptor >= 0);
    out->signer_.emplace(TRY(card::CardSigner::make(esign, key, *out->pins_, out->random_)));
    out->certificate_ = TRY(crypto::Certificate::from_der(out->signer_->certificate_chain().front()));
    std::unique_ptr<SigningKey> done = std::move(out);
    return done;
  }
  crypto::Signer& signer() override { return *signer_; }
  void set_subject(const std::string& file) override { signer_->set_subject(file); }

 private:
  std::unique_ptr<CardSession> session_;
  std::unique_ptr<SecretInput> input_;
  std::unique_ptr<PromptPins> pins_;
  SystemRandom random_;
  std::optional<card::CardSigner> signer_;
};

/// A key of another place with the certificates given for it.
class NamedKey final : public SigningKey {
 public:
  static Result<std::unique_ptr<SigningKey>> open(const KeyArguments& given) {
    if (given.certificates.empty()) {
      return fail(ErrorKind::usage, "a key that is not on a card needs its certificate", "name it: --certificate FILE");
    }
    std::vector<crypto::Certificate> certificates;
    for (const std::string& file : given.certificates) {
      const Bytes octets = TRY(read_file(file, kMostCertificates));
      const auto more = TRY(crypto::Certificate::many_from_file_octets(octets));
      certificates.insert(certificates.end(), more.begin(), more.end());
    }
    auto out = std::make_unique<NamedKey>();
    const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
    // Which of the certificates is the key's shows when the key is there.
    out->signer_ = TRY(open_signer(given.key, "\"" + given.key + "\"", {}, *input));
    const Bytes& spki = out->signer_->public_key().spki();
    const auto own = std::find_if(certificates.begin(), certificates.end(),
                                  [&](const auto& one) { return equal(one.spki(), spki); });
    if (own == certificates.end()) {
      return fail(ErrorKind::not_found, "none of the certificates given is that of the key \"" + given.key + "\"");
    }
    std::rotate(certificates.begin(), own, own + 1);
    out->certificate_ = certificates.front();
    std::vector<Bytes> chain;
    for (const crypto::Certificate& one : certificates) chain.push_back(one.der());
    if (auto* const software = dynamic_cast<crypto::SoftwareSigner*>(out->signer_.get())) {
      software->set_certificate_chain(std::move(chain));
    } else if (auto* const token = dynamic_cast<crypto::Pkcs11Signer*>(out->signer_.get())) {
      token->set_certificate_chain(std::move(chain));
    }
    std::unique_ptr<SigningKey> done = std::move(out);
    return done;
  }
  crypto::Signer& signer() override { return *signer_; }

 private:
  std::unique_ptr<crypto::Signer> signer_;
};

}  // namespace

Result<std::unique_ptr<crypto::Signer>> open_signer(const std::string& key, const std::string& whose,
                                                    std::vector<Bytes> certificate_chain, SecretInput& input) {
  if (crypto::is_pkcs11_uri(key)) {
    const crypto::Pkcs11Uri uri = TRY(crypto::Pkcs11Uri::parse(key));
    const SecretBytes pin =
        TRY(input.ask({"The key of " + whose + " is in a PKCS #11 token.", "token PIN", "", false}));
    std::unique_ptr<crypto::Signer> out = TRY(crypto::Pkcs11Signer::open(uri, pin, std::move(certificate_chain)));
    return out;
  }
  const Bytes pem = TRY(read_file(key, kMostKeyFile));
  const SecretBytes passphrase = TRY(input.ask({"The key of " + whose + " is encrypted.", "passphrase", "", false}));
  auto opened = crypto::PrivateKey::from_encrypted_pem(as_text(pem), passphrase);
  if (!opened && opened.error().kind == ErrorKind::wrong_pin) {
    return fail(ErrorKind::wrong_pin, "the passphrase does not open \"" + key + "\"", "tries are not counted");
  }
  crypto::PrivateKey private_key = TRY(std::move(opened));
  std::unique_ptr<crypto::Signer> out =
      std::make_unique<crypto::SoftwareSigner>(std::move(private_key), std::move(certificate_chain));
  return out;
}

Result<std::unique_ptr<SigningKey>> SigningKey::open(const KeyArguments& given) {
  return given.of_card() ? CardKey::open(given) : NamedKey::open(given);
}

void add_key_options(CLI::App& app, KeyArguments& arguments) {
  app.add_option("--key", arguments.key,
                 "everyday (the card's, PIN1 asked once), qualified (PIN2 asked for each file), an encrypted PKCS #8 "
                 "file, or a PKCS #11 URI")
      ->capture_default_str();
  app.add_option("--certificate", arguments.certificates,
                 "the certificate of a key that is not on a card, and its issuers'; may be repeated")
      ->check(CLI::ExistingFile);
  add_reader_option(app, arguments.reader);
  add_pin_options(app, arguments.secret, "PIN1 once, or PIN2 for each file, or the passphrase");
}

}  // namespace karta::cli
