#include "daemon/key_ring.h"

#include "base/file.h"
#include "card/hsm_transaction_keys.h"
#include "card/key_set_file.h"
#include "card/security_module.h"
#include "crypto/pkcs11_key.h"

namespace karta::daemon {
namespace {

constexpr std::size_t kMostFile = 64 * 1024;
constexpr std::string_view kModule = "sam:";

}  // namespace

Result<KeyRingConfig> read_key_ring(service::ConfigTable& table) {
  KeyRingConfig out;
  out.keys = TRY(table.text("keys"));
  if (!out.keys.starts_with(kModule) && !crypto::is_pkcs11_uri(out.keys)) {
    const std::filesystem::path file = TRY(table.path("keys"));
    out.keys = file.string();
  }
  out.secret_file = TRY(read_secret_place(table));
  return out;
}

KeyRing::KeyRing(KeyRingConfig config, std::string application, card::ReaderList& readers, RandomSource& random)
    : config_(std::move(config)), application_(std::move(application)), readers_(readers), random_(random) {}

Status KeyRing::open() {
  const SecretBytes secret = TRY(read_secret_line(config_.secret_file));
  if (wrong_ && wrong_->equals(secret.expose_secret())) {
    return fail(ErrorKind::wrong_pin, "the PIN in \"" + config_.secret_file.string() + "\" is wrong",
                "correct the file; the daemon does not present it again");
  }
  Status opened = open_with(secret);
  if (!opened && opened.error().kind == ErrorKind::wrong_pin) wrong_ = secret.clone();
  return opened;
}

Status KeyRing::open_with(const SecretBytes& secret) {
  if (config_.keys.starts_with(kModule)) {
    const auto all = TRY(readers_.list());
    const std::string name = TRY(card::choose_reader(all, std::string_view(config_.keys).substr(kModule.size())));
    module_ = TRY(readers_.connect(name));
    channel_ = std::make_unique<card::PlainChannel>(*module_);
    keys_ = TRY(card::open_security_module(*channel_, application_, secret, /*spare_last_try=*/true));
    return {};
  }
  if (crypto::is_pkcs11_uri(config_.keys)) {
    const crypto::Pkcs11Uri uri = TRY(crypto::Pkcs11Uri::parse(config_.keys));
    keys_ = TRY(card::HsmTransactionKeys::open(uri, application_, secret, random_));
    return {};
  }
  const Bytes pem = TRY(read_file(config_.keys, kMostFile));
  card::TransactionMasters all = TRY(card::open_transaction_masters(as_text(pem), secret));
  const auto found = all.find(application_);
  if (found == all.end()) {
    return fail(ErrorKind::not_found, "\"" + config_.keys + "\" holds no masters of \"" + application_ + "\"");
  }
  keys_ = std::make_unique<card::MasterTransactionKeys>(std::move(found->second), random_);
  return {};
}

Status KeyRing::check() {
  if (config_.keys.starts_with("sam:") || config_.keys.starts_with("pkcs11:")) return {};
  TRY(lease());
  return {};
}

Result<KeyRing::Lease> KeyRing::lease() {
  Lease lease(*this);
  if (!keys_) TRY(open());
  return lease;
}

}  // namespace karta::daemon
