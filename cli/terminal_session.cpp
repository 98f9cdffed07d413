#include "cli/terminal_session.h"

#include <CLI/CLI.hpp>

#include "base/file.h"
#include "cli/card_session.h"
#include "cli/secret_input.h"
#include "issuing/centre_config.h"

namespace karta::cli {
namespace {

constexpr std::size_t kMostCertificateFile = 256 * 1024;

Result<std::vector<crypto::Certificate>> issuers_of(const TerminalAccess& given) {
  std::vector<std::string> files = given.anchors;
  if (files.empty()) {
    const issuing::CentreConfig config = TRY(issuing::load_centre_config(given.centre));
    files.push_back(config.root.certificate.string());
  }
  std::vector<crypto::Certificate> anchors;
  for (const std::string& file : files) {
    const Bytes octets = TRY(read_file(file, kMostCertificateFile));
    crypto::Certificate anchor = TRY(crypto::Certificate::from_file_octets(octets));
    anchors.push_back(std::move(anchor));
  }
  return anchors;
}

}  // namespace

Result<const card::TerminalRole*> terminal_role_named(const std::string& name) {
  if (const card::TerminalRole* const role = card::find_terminal_role(name)) return role;
  std::string names;
  for (const card::TerminalRole& role : card::terminal_roles()) {
    names += (names.empty() ? "" : ", ") + std::string(role.name);
  }
  return fail(ErrorKind::usage, "\"" + name + "\" is no role", "roles: " + names);
}

void add_terminal_options(CLI::App& command, TerminalAccess& access) {
  add_centre_option(command, access.centre);
  command.add_option("--terminals", access.terminals, "the terminals' folder, instead of the centre's");
  command.add_option("--anchor", access.anchors, "the root of genuine cards, instead of the centre's");
  command.add_option("--with", access.with, "what the holder gives: can or pin (default: the CAN where the role may)")
      ->check(CLI::IsMember({"can", "pin"}));
  add_pin_options(command, access.secret, "the CAN or the PIN");
  command
      .add_option("--passphrase-fd", access.passphrase_descriptor,
                  "read the passphrase of the terminal's key from this file descriptor, one line")
      ->type_name("N");
}

Result<std::unique_ptr<TerminalSession>> TerminalSession::open(const TerminalAccess& access,
                                                               card::AuxiliaryData compare, RandomSource& random) {
  std::unique_ptr<TerminalSession> session(new TerminalSession);
  session->role_ = TRY(terminal_role_named(access.role));
  const card::TerminalRole& role = *session->role_;
  const card::TerminalStore store = access.store();
  // What can be known to fail is known before a secret is asked for.
  const auto chain = TRY(store.chain(role));
  const SystemClock clock;
  card::IdentityRequest request;
  request.issuers = TRY(issuers_of(access));
  request.at = clock.now();
  request.compare = std::move(compare);

  const auto passphrase_input = make_secret_input(access.passphrase_descriptor, access.secret.program);
  const SecretBytes passphrase = TRY(passphrase_input->ask(
      {"The key of the terminal \"" + chain.back().holder() + "\".", "passphrase of the terminal's key", "", false}));
  session->terminal_ = TRY(store.unlock(role, passphrase));
  request.terminal = &session->terminal_.credentials;

  const bool may_can = session->terminal_.credentials.announced().may(card::kRightCanAllowed);
  request.password =
      access.with == "pin" || (access.with.empty() && !may_can) ? card::PacePassword::pin : card::PacePassword::can;
  const auto input = make_secret_input(access.secret.descriptor, access.secret.program);
  const bool pin = request.password == card::PacePassword::pin;
  const SecretBytes secret =
      TRY(input->ask({std::string(role.words) + " reads the card.",
                      pin ? "PIN1 (6 to 8 digits)" : "CAN (6 digits, printed on the card)", "", false}));
  TRY(card::check_presented_pin(pin ? card::PinKind::pin1 : card::PinKind::can, secret));
  request.secret = &secret;

  session->connection_ = TRY(connect_card(access.reader));
  session->transaction_.emplace(TRY(card::Transaction::begin(*session->connection_)));
  session->plain_ = std::make_unique<card::PlainChannel>(*session->connection_);
  session->identity_ = std::make_unique<card::IdentityApplication>(
      TRY(card::IdentityApplication::open(*session->plain_, request, random)));
  return session;
}

TerminalSession::~TerminalSession() {
  if (identity_) identity_->close();
}

}  // namespace karta::cli
