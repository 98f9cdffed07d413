#include "cli/sign_services.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "base/random.h"
#include "service/configuration.h"

extern char** environ;

namespace karta::cli {
namespace {

constexpr std::string_view kServicesSchema = "karta.services/1";
constexpr std::size_t kMostAnswer = crypto::TimeStampToken::kMostOctets;
constexpr int kPatienceMilliseconds = 60'000;  // for a service across a slow network

struct Pipe {
  int ends[2] = {-1, -1};
  ~Pipe() {
    for (int& end : ends) close_end(end);
  }
  static void close_end(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
};

/// What `command` writes after it was given `input`, which fits into a pipe.
Result<Bytes> run_program(const std::string& command, ByteView input) {
  Pipe in, out;
  if (pipe2(in.ends, O_CLOEXEC) != 0 || pipe2(out.ends, O_CLOEXEC) != 0) {
    return fail(ErrorKind::io, std::string("no pipe: ") + std::strerror(errno));
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.ends[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out.ends[1], 1);
  std::string shell = "sh", flag = "-c", text = command;
  std::array<char*, 4> words = {shell.data(), flag.data(), text.data(), nullptr};
  pid_t child = -1;
  const int code = posix_spawn(&child, "/bin/sh", &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (code != 0)
    return fail(ErrorKind::io, std::string("the time-stamp program does not start: ") + std::strerror(code));
  Pipe::close_end(in.ends[0]);
  Pipe::close_end(out.ends[1]);
  const bool written = ::write(in.ends[1], input.data(), input.size()) == static_cast<ssize_t>(input.size());
  Pipe::close_end(in.ends[1]);
  Bytes answer;
  bool late = false;
  for (;;) {
    pollfd wait{out.ends[0], POLLIN, 0};
    const int ready = ::poll(&wait, 1, kPatienceMilliseconds);
    if (ready < 0 && errno == EINTR) continue;
    late = ready <= 0;
    if (late) break;
    std::array<std::uint8_t, 4096> buffer;
    const ssize_t count = ::read(out.ends[0], buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    append(answer, ByteView(buffer).first(static_cast<std::size_t>(count)));
    if (answer.size() > kMostAnswer) break;
  }
  Pipe::close_end(out.ends[0]);
  if (late) ::kill(child, SIGTERM);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (late) return fail(ErrorKind::io, "the time-stamp program does not answer");
  if (!written || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return fail(ErrorKind::io, "the time-stamp program failed");
  }
  return answer;
}

}  // namespace

Result<Bytes> ProgramTimestamps::stamp(const crypto::MessageImprint& imprint) {
  SystemRandom random;
  Bytes nonce = random.bytes(8);
  nonce[0] = static_cast<std::uint8_t>((nonce[0] & 0x7F) | 0x40);  // positive, no leading zeros
  const crypto::TimeStampRequest request{.imprint = imprint, .nonce = std::move(nonce)};
  const Bytes octets = TRY(run_program(command_, request.to_der()));
  const auto response = TRY(crypto::TimeStampResponse::from_der(octets));
  const auto token = TRY(crypto::token_of(request, response));
  return token.der();
}

Status FileRevocation::add(const std::string& file) {
  const Bytes octets = TRY(read_file(file, crypto::Crl::kMostOctets));
  if (auto crl = crypto::Crl::from_file_octets(octets)) {
    crls_.push_back(std::move(*crl));
    return {};
  }
  auto answer = crypto::OcspResponse::from_der(octets);
  if (!answer) return fail(ErrorKind::malformed, "\"" + file + "\" is neither a CRL nor an OCSP answer");
  ocsp_.push_back(std::move(*answer));
  return {};
}

Result<crypto::RevocationEvidence> FileRevocation::about(const crypto::Certificate& certificate,
                                                         const crypto::Certificate& issuer) {
  crypto::RevocationEvidence out;
  for (const crypto::Crl& one : crls_) {
    if (one.issuer() == issuer.subject()) out.crls.push_back(one.der());
  }
  for (const crypto::OcspResponse& one : ocsp_) {
    for (const crypto::OcspSingleResponse& single : one.singles()) {
      if (!crypto::names(single.id, certificate, issuer)) continue;
      out.ocsp.push_back(one.der());
      break;
    }
  }
  return out;
}

Result<crypto::RevocationEvidence> EveryRevocation::about(const crypto::Certificate& certificate,
                                                          const crypto::Certificate& issuer) {
  crypto::RevocationEvidence out = TRY(files.about(certificate, issuer));
  if (!online || !out.crls.empty() || !out.ocsp.empty()) return out;
  out = TRY(online->about(certificate, issuer));
  if (!out.crls.empty() || !out.ocsp.empty() || online->troubles().empty()) return out;
  return fail(ErrorKind::io, "nothing tells whether \"" + certificate.subject().to_text() +
                                 "\" was revoked: " + online->troubles().back());
}

Result<ServicesFile> read_services_file(const std::filesystem::path& file) {
  auto configuration = TRY(service::Configuration::read(file, kServicesSchema));
  service::ConfigTable& root = configuration.root();
  ServicesFile out;
  if (auto stamps = TRY(root.table("time_stamp"))) out.timestamp_url = TRY(stamps->text("url"));
  if (auto revocation = TRY(root.table("revocation"))) out.fetch = TRY(revocation->boolean_or("fetch", true));
  if (auto certificates = TRY(root.table("certificates"))) {
    for (const std::string& one : TRY(certificates->texts("files"))) {
      out.certificates.push_back((file.parent_path() / one).string());
    }
  }
  if (auto network = TRY(root.table("network"))) {
    out.online.any_address = TRY(network->boolean_or("private_addresses", false));
    out.online.request_time = std::chrono::seconds(TRY(network->integer_or("request_seconds", 1, 600, 15)));
    out.online.all_time = std::chrono::seconds(TRY(network->integer_or("all_seconds", 1, 3600, 60)));
    if (const auto roots = TRY(network->path_if("tls_roots"))) out.online.certificates_file = roots->string();
  }
  TRY(root.finish());
  return out;
}

namespace {

/// $XDG_CONFIG_HOME/karta/services.toml or ~/.config/karta/services.toml, if there is such a file.
std::optional<std::filesystem::path> own_services_file() {
  const char* const folder = std::getenv("XDG_CONFIG_HOME");
  const char* const home = std::getenv("HOME");
  std::filesystem::path file;
  if (folder != nullptr && folder[0] == '/') {
    file = folder;
  } else if (home != nullptr && home[0] == '/') {
    file = std::filesystem::path(home) / ".config";
  } else {
    return std::nullopt;
  }
  file /= "karta/services.toml";
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return std::nullopt;
  return file;
}

}  // namespace

Result<SignServices> open_services(const ServiceArguments& given) {
  ServicesFile file;
  if (given.file.empty()) {
    if (const auto own = own_services_file()) file = TRY(read_services_file(*own));
  } else if (given.file != "none") {
    file = TRY(read_services_file(given.file));
  }
  SignServices out;
  const std::string& url = given.timestamp_url.empty() ? file.timestamp_url : given.timestamp_url;
  if (!given.timestamp_program.empty()) {
    if (!given.timestamp_url.empty()) {
      return fail(ErrorKind::usage, "--timestamp-program and --timestamp-url are two ways to the same thing");
    }
    out.timestamps = std::make_unique<ProgramTimestamps>(given.timestamp_program);
  } else if (!url.empty()) {
    out.timestamps = std::make_unique<identity::OnlineTimestamps>(url, file.online);
  }
  out.services.timestamps = out.timestamps.get();
  const bool fetch = given.fetch || file.fetch;
  if (!given.revocation.empty() || fetch) {
    out.revocation = std::make_unique<EveryRevocation>();
    for (const std::string& one : given.revocation) TRY(out.revocation->files.add(one));
    if (fetch) out.revocation->online = std::make_unique<identity::OnlineRevocation>(file.online);
    out.services.revocation = out.revocation.get();
  }
  for (const std::vector<std::string>* const list : {&given.certificates, &std::as_const(file.certificates)}) {
    for (const std::string& one : *list) {
      const Bytes octets = TRY(read_file(one, std::size_t{16} << 20));
      const auto certificates = TRY(crypto::Certificate::many_from_file_octets(octets));
      out.services.certificates.insert(out.services.certificates.end(), certificates.begin(), certificates.end());
    }
  }
  return out;
}

void add_service_options(CLI::App& app, ServiceArguments& arguments) {
  app.add_option("--timestamp-url", arguments.timestamp_url, "a time-stamp service (RFC 3161) (KARTA_TIMESTAMP_URL)")
      ->envname("KARTA_TIMESTAMP_URL");
  app.add_option(
         "--timestamp-program", arguments.timestamp_program,
         "a command that turns an RFC 3161 request on its input into the answer on its output (KARTA_TIMESTAMP)")
      ->envname("KARTA_TIMESTAMP");
  app.add_option("--revocation", arguments.revocation, "CRLs and OCSP answers for level B-LT; may be repeated")
      ->check(CLI::ExistingFile);
  app.add_flag("--fetch", arguments.fetch, "fetch revocation data from the URLs in the certificates, for level B-LT");
  app.add_option("--issuer", arguments.certificates,
                 "certificates of issuers and roots for level B-LT, PEM or DER; may be repeated")
      ->check(CLI::ExistingFile);
  app.add_option("--services", arguments.file,
                 "a services.toml in place of the user's own; \"none\": not even that (KARTA_SERVICES)")
      ->envname("KARTA_SERVICES");
}

}  // namespace karta::cli
