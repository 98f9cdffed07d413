#include "cli/sign_services.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "base/random.h"

extern char** environ;

namespace karta::cli {
namespace {

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

Result<SignServices> open_services(const ServiceArguments& given) {
  SignServices out;
  if (!given.timestamp_program.empty()) {
    out.timestamps = std::make_unique<ProgramTimestamps>(given.timestamp_program);
    out.services.timestamps = out.timestamps.get();
  }
  if (!given.revocation.empty()) {
    out.revocation = std::make_unique<FileRevocation>();
    for (const std::string& file : given.revocation) TRY(out.revocation->add(file));
    out.services.revocation = out.revocation.get();
  }
  for (const std::string& file : given.certificates) {
    const Bytes octets = TRY(read_file(file, std::size_t{16} << 20));
    const auto certificates = TRY(crypto::Certificate::many_from_file_octets(octets));
    out.services.certificates.insert(out.services.certificates.end(), certificates.begin(), certificates.end());
  }
  return out;
}

void add_service_options(CLI::App& app, ServiceArguments& arguments) {
  app.add_option(
         "--timestamp-program", arguments.timestamp_program,
         "a command that turns an RFC 3161 request on its input into the answer on its output (KARTA_TIMESTAMP)")
      ->envname("KARTA_TIMESTAMP");
  app.add_option("--revocation", arguments.revocation, "CRLs and OCSP answers for level B-LT; may be repeated")
      ->check(CLI::ExistingFile);
  app.add_option("--issuer", arguments.certificates,
                 "certificates of issuers and roots for level B-LT, PEM or DER; may be repeated")
      ->check(CLI::ExistingFile);
}

}  // namespace karta::cli
