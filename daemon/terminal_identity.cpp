#include "daemon/terminal_identity.h"

#include <algorithm>

#include "card/card_signer.h"
#include "card/reader.h"
#include "crypto/pkcs11_key.h"

namespace karta::daemon {
namespace {

using card::CvCertificate;
using std::chrono::seconds;

constexpr std::string_view kModule = "sam:";
constexpr std::chrono::seconds kLook{60};  // at the clock
constexpr std::chrono::seconds kFirstPause{60}, kMostPause{3600};

/// A key that several readers' threads use: one after another.
class SharedSigner final : public crypto::Signer {
 public:
  explicit SharedSigner(std::unique_ptr<crypto::Signer> signer) : signer_(std::move(signer)) {}
  const crypto::PublicKey& public_key() const override { return signer_->public_key(); }
  const std::vector<Bytes>& certificate_chain() const override { return signer_->certificate_chain(); }
  const std::vector<crypto::AlgorithmId>& algorithms() const override { return signer_->algorithms(); }
  Result<Bytes> sign(crypto::AlgorithmId algorithm, ByteView digest) override {
    const std::scoped_lock lock(mutex_);
    return signer_->sign(algorithm, digest);
  }
  Result<Bytes> sign_message(crypto::AlgorithmId algorithm, ByteView message) override {
    const std::scoped_lock lock(mutex_);
    return signer_->sign_message(algorithm, message);
  }
  bool in_process() const override { return signer_->in_process(); }

 private:
  std::unique_ptr<crypto::Signer> signer_;
  std::mutex mutex_;
};

/// The PIN of the configuration, and never twice: a card must not be blocked by a daemon that tries on.
class KeptPin final : public card::PinSource {
 public:
  explicit KeptPin(SecretBytes pin) : pin_(std::move(pin)) {}
  Result<SecretBytes> pin(const card::PinRequest& request) override {
    wrong_ = wrong_ || request.after_wrong;
    if (wrong_) {
      return fail(ErrorKind::wrong_pin, "the PIN in the terminal's secret file is not the module's",
                  "correct the file; the daemon does not try it again");
    }
    if (request.tries_left && *request.tries_left < 2) {
      return fail(
          ErrorKind::wrong_pin, "the module has one try left: the daemon leaves it alone",
          "present the right PIN by hand, which gives it all its tries again: karta card change-pin --reader READER");
    }
    return pin_.clone();
  }

 private:
  SecretBytes pin_;
  bool wrong_ = false;
};

/// The everyday key of a card in a reader of the terminal's own. A card that was taken out and put back is opened anew.
class ModuleSigner final : public crypto::Signer {
 public:
  static Result<std::unique_ptr<crypto::Signer>> open(card::ReaderList& readers, std::string reader, SecretBytes pin,
                                                      RandomSource& random) {
    std::unique_ptr<ModuleSigner> out(new ModuleSigner(readers, std::move(reader), std::move(pin), random));
    TRY(out->connect());
    std::unique_ptr<crypto::Signer> done = std::move(out);
    return done;
  }

  const crypto::PublicKey& public_key() const override { return *public_key_; }
  const std::vector<Bytes>& certificate_chain() const override { return chain_; }
  const std::vector<crypto::AlgorithmId>& algorithms() const override { return algorithms_; }
  Result<Bytes> sign(crypto::AlgorithmId algorithm, ByteView digest) override {
    for (int attempt = 0;; ++attempt) {
      if (!session_) TRY(connect());
      auto signature = session_->signer->sign(algorithm, digest);
      if (signature) return signature;
      const ErrorKind kind = signature.error().kind;
      const bool gone = kind == ErrorKind::card_removed || kind == ErrorKind::no_card || kind == ErrorKind::no_reader ||
                        kind == ErrorKind::no_pcscd || kind == ErrorKind::card_unresponsive;
      if (gone) session_.reset();
      if (!gone || attempt > 0) return signature;
    }
  }

 private:
  struct Session {
    std::unique_ptr<card::CardConnection> connection;
    std::unique_ptr<card::PlainChannel> channel;
    std::optional<card::ESignApplication> esign;
    std::optional<card::CardSigner> signer;
  };
  ModuleSigner(card::ReaderList& readers, std::string reader, SecretBytes pin, RandomSource& random)
      : readers_(readers), reader_(std::move(reader)), pins_(std::move(pin)), random_(random) {}

  Status connect() {
    auto session = std::make_unique<Session>();
    const auto all = TRY(readers_.list());
    const std::string name = TRY(card::choose_reader(all, reader_));
    session->connection = TRY(readers_.connect(name));
    session->channel = std::make_unique<card::PlainChannel>(*session->connection);
    auto esign = TRY(card::ESignApplication::open(*session->channel));
    session->esign.emplace(std::move(esign));
    const card::CardKey key = TRY(session->esign->key(card::KeyRole::signature));
    auto signer = TRY(card::CardSigner::make(*session->esign, key, pins_, random_));
    session->signer.emplace(std::move(signer));
    if (public_key_ && !(*public_key_ == session->signer->public_key())) {
      return fail(ErrorKind::configuration, "the module in \"" + reader_ + "\" is another one than before");
    }
    // Once: others hold references to them while this signs, and opens the module anew.
    if (!public_key_) {
      public_key_ = session->signer->public_key();
      chain_ = session->signer->certificate_chain();
      algorithms_ = session->signer->algorithms();
    }
    session_ = std::move(session);
    return {};
  }

  card::ReaderList& readers_;
  std::string reader_;
  KeptPin pins_;
  RandomSource& random_;
  std::unique_ptr<Session> session_;
  std::optional<crypto::PublicKey> public_key_;
  std::vector<Bytes> chain_;
  std::vector<crypto::AlgorithmId> algorithms_;
};

}  // namespace

std::string_view name_of(IdentityState state) {
  switch (state) {
    case IdentityState::fine:
      return "fine";
    case IdentityState::due:
      return "due";
    case IdentityState::urgent:
      return "urgent";
    case IdentityState::expired:
      return "expired";
  }
  return "";
}

struct TerminalIdentity::Key {
  std::vector<CvCertificate> chain;
  std::shared_ptr<SharedSigner> signer;
  issuing::TerminalFacts facts;
  std::optional<identity::TlsIdentity> tls;  // unsealed once: the passphrase is meant to be slow
  bool in_file = true;
};

TerminalIdentity::TerminalIdentity(TerminalConfig config, card::ReaderList* readers, const Clock& clock,
                                   RandomSource& random)
    : config_(std::move(config)), folder_(config_.folder), readers_(readers), clock_(&clock), random_(&random) {}

TerminalIdentity::~TerminalIdentity() { stop(); }

Result<std::unique_ptr<TerminalIdentity>> TerminalIdentity::open(const TerminalConfig& config,
                                                                 card::ReaderList* readers, const Clock& clock,
                                                                 RandomSource& random) {
  std::unique_ptr<TerminalIdentity> out(new TerminalIdentity(config, readers, clock, random));
  out->role_ = card::find_terminal_role(config.role);
  if (out->role_ == nullptr)
    return fail(ErrorKind::configuration, "there is no terminal's role \"" + config.role + "\"",
                "docs/terminals-certificates.md lists them");
  TRY(out->reload());
  return out;
}

Result<SecretBytes> TerminalIdentity::secret() const { return read_secret_line(config_.secret_file); }

Status TerminalIdentity::reload() {
  auto key = std::make_shared<Key>();
  auto facts = folder_.facts(config_.role);
  if (!facts && facts.error().kind == ErrorKind::not_found) {
    facts.error().hint =
        "karta terminal join makes the folder, with a code of the centre's; karta cv issue at the centre itself";
  }
  key->facts = TRY(std::move(facts));
  if (!key->facts.role.empty() && key->facts.role != config_.role) {
    return fail(ErrorKind::configuration, "\"" + config_.folder.string() + "\" is a terminal's for \"" +
                                              key->facts.role + "\", not for \"" + config_.role + "\"");
  }
  const SecretBytes secret = TRY(this->secret());
  if (auto tls = folder_.tls(secret)) {
    key->tls = std::move(*tls);
  } else if (tls.error().kind != ErrorKind::not_found) {
    return fail(std::move(tls).error());
  }
  std::unique_ptr<crypto::Signer> signer;
  if (config_.key.empty()) {
    auto unlocked = TRY(folder_.unlock(*role_, secret));
    key->chain = std::move(unlocked.credentials.chain);
    signer = std::move(unlocked.signer);
  } else {
    key->in_file = false;
    key->chain = TRY(folder_.chain(*role_));
    std::shared_ptr<Key> present;
    {
      const std::scoped_lock lock(mutex_);
      present = key_;
    }
    if (present) {
      // The key stays where it is; only its certificates may be new ones.
      key->signer = present->signer;
    } else if (config_.key.starts_with(kModule)) {
      if (readers_ == nullptr)
        return fail(ErrorKind::configuration, "no readers for the module \"" + config_.key + "\"");
      signer = TRY(ModuleSigner::open(*readers_, config_.key.substr(kModule.size()), secret.clone(), *random_));
    } else {
      const auto uri = TRY(crypto::Pkcs11Uri::parse(config_.key));
      signer = TRY(crypto::Pkcs11Signer::open(uri, secret));
    }
  }
  if (!key->signer) key->signer = std::make_shared<SharedSigner>(std::move(signer));
  if (!issuing::is_for(key->chain.back(), key->signer->public_key())) {
    return fail(ErrorKind::configuration,
                "the certificate of \"" + key->chain.back().holder() + "\" is for another key than \"" +
                    (config_.key.empty() ? config_.folder.string() : config_.key) + "\"",
                "renew it: karta terminal renew");
  }
  const std::scoped_lock lock(mutex_);
  key_ = std::move(key);
  return {};
}

std::string TerminalIdentity::terminal() const {
  const std::scoped_lock lock(mutex_);
  return key_->facts.terminal;
}

TerminalKeys TerminalIdentity::keys(std::span<const CvCertificate> others) const {
  std::shared_ptr<Key> key;
  {
    const std::scoped_lock lock(mutex_);
    key = key_;
  }
  TerminalKeys out;
  out.signer = key->signer;
  out.credentials.signer = out.signer.get();
  // What of the others leads down to a certificate of ours: the verifier by another authority, links above that.
  const std::vector<CvCertificate>& own = key->chain;
  const card::CvDate today = card::cv_date_of(clock_->now());
  std::vector<CvCertificate> more;
  const auto fits = [&](const CvCertificate& one, const std::string& wanted) {
    if (one.self_signed() || one.holder() != wanted || one.expired(today)) return false;
    if (std::find(own.begin(), own.end(), one) != own.end() || std::find(more.begin(), more.end(), one) != more.end())
      return false;
    if (one.link()) return true;
    // All of the verifier's certificates are for one key.
    return std::any_of(own.begin(), own.end(), [&](const CvCertificate& ours) {
      return ours.holder() == one.holder() && equal(ours.content().public_key.point, one.content().public_key.point) &&
             equal(ours.content().public_key.modulus, one.content().public_key.modulus);
    });
  };
  for (std::size_t looked = 0; looked < own.size() + more.size(); ++looked) {
    const std::string wanted = looked < own.size() ? own[looked].authority() : more[looked - own.size()].authority();
    for (const CvCertificate& one : others) {
      if (fits(one, wanted)) more.push_back(one);
    }
  }
  std::vector<CvCertificate> chain(more.rbegin(), more.rend());
  chain.insert(chain.end(), own.begin(), own.end());
  out.credentials.chain = std::move(chain);
  return out;
}

Result<identity::TlsIdentity> TerminalIdentity::tls() const {
  const std::scoped_lock lock(mutex_);
  if (!key_->tls)
    return fail(ErrorKind::not_found, "the terminal was never enrolled: it has no TLS certificate",
                "karta terminal enrol");
  identity::TlsIdentity out;
  out.certificates_pem = key_->tls->certificates_pem;
  out.private_key = key_->tls->private_key.clone();
  return out;
}

std::vector<crypto::Certificate> TerminalIdentity::tls_chain() const {
  const std::scoped_lock lock(mutex_);
  if (!key_->tls) return {};
  auto chain = crypto::Certificate::many_from_file_octets(as_bytes(key_->tls->certificates_pem));
  return chain ? std::move(*chain) : std::vector<crypto::Certificate>();
}

IdentityStatus TerminalIdentity::status() const {
  IdentityStatus status;
  {
    const std::scoped_lock lock(mutex_);
    status.holder = key_->chain.back().holder();
    status.from = key_->facts.from;
    status.until = status.cards_until = key_->facts.cv_until;
    if (key_->facts.tls_until > Time{}) status.until = std::min(status.until, key_->facts.tls_until);
    status.renew_after = key_->facts.renew_after;
    status.problem = problem_;
  }
  const Time now = clock_->now();
  const seconds life = status.until - status.from, left = status.until - now;
  const seconds hurry = std::max(life / 6, std::min<seconds>(std::chrono::hours(24), life / 4));
  status.state = left <= seconds(0)          ? IdentityState::expired
                 : left < hurry              ? IdentityState::urgent
                 : now >= status.renew_after ? IdentityState::due
                                             : IdentityState::fine;
  return status;
}

Status TerminalIdentity::renew(identity::Authority& authority) {
  const auto outcome = [&]() -> Status {
    std::shared_ptr<Key> key;
    {
      const std::scoped_lock lock(mutex_);
      key = key_;
    }
    if (key->facts.terminal.empty()) {
      return fail(ErrorKind::not_found, "the terminal was never enrolled: nobody renews its certificates",
                  "karta terminal enrol, or new certificates by karta cv issue");
    }
    const SecretBytes secret = TRY(this->secret());
    const auto type = key->signer->public_key().type().value_or(crypto::KeyType::p256);
    const auto order = TRY(folder_.order(*role_, type, secret, key->in_file ? nullptr : key->signer.get(),
                                         key->in_file ? key->signer.get() : nullptr));
    const auto given = TRY(authority.renew(order.order));
    TRY(folder_.take(given, order, clock_->now(), secret));
    TRY(reload());
    if (given.cv_until <= clock_->now()) {
      return fail(ErrorKind::untrusted, "the certificates just given end before this terminal's time",
                  "one of the two clocks is wrong");
    }
    return {};
  }();
  const std::scoped_lock lock(mutex_);
  problem_ = outcome ? std::string() : outcome.error().message;
  return outcome;
}

void TerminalIdentity::start_renewal(Connect connect, std::function<void(const IdentityStatus&)> changed) {
  connect_ = std::move(connect);
  changed_ = std::move(changed);
  thread_ = std::thread([this] { run(); });
}

void TerminalIdentity::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void TerminalIdentity::run() {
  IdentityState told = IdentityState::fine;
  seconds pause = kFirstPause;
  auto next = std::chrono::steady_clock::now();
  while (true) {
    const IdentityStatus before = status();
    bool tell = before.state != told;
    if (before.state != IdentityState::fine && connect_ && std::chrono::steady_clock::now() >= next) {
      Status renewed;
      if (auto authority = connect_()) {
        renewed = renew(**authority);
      } else {
        renewed = fail(authority.error());
        const std::scoped_lock lock(mutex_);
        problem_ = authority.error().message;
      }
      const bool well = renewed && status().state == IdentityState::fine;
      pause = well ? kFirstPause : std::min(2 * pause, kMostPause);
      next = std::chrono::steady_clock::now() + pause;
      tell = true;
    }
    const IdentityStatus now = status();
    if (tell && changed_) changed_(now);
    told = now.state;
    std::unique_lock lock(mutex_);
    if (woken_.wait_for(lock, kLook, [&] { return stopping_; })) return;
  }
}

}  // namespace karta::daemon
