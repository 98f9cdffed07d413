// SignServices: what karta-sign raises a signature with: a program that fetches time-stamps, CRLs and OCSP answers from
// files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "crypto/ades/sources.h"

namespace CLI {
class App;
}

namespace karta::cli {

struct ServiceArguments {
  std::string timestamp_program;          ///< reads a TimeStampReq, writes a TimeStampResp
  std::vector<std::string> revocation;    ///< files with a CRL or an OCSP answer
  std::vector<std::string> certificates;  ///< files with issuers: roots, time-stamp authorities

  bool any() const { return !timestamp_program.empty() || !revocation.empty(); }
};

/// Time-stamps by a program: its standard input is an RFC 3161 request, its standard output the answer. Run by the
/// shell, so that "curl ... URL" can be given.
class ProgramTimestamps final : public crypto::TimestampSource {
 public:
  explicit ProgramTimestamps(std::string command) : command_(std::move(command)) {}
  Result<Bytes> stamp(const crypto::MessageImprint& imprint) override;

 private:
  std::string command_;
};

/// CRLs and OCSP answers that were read from files: for a certificate, those by its issuer.
class FileRevocation final : public crypto::RevocationSource {
 public:
  Status add(const std::string& file);
  Result<crypto::RevocationEvidence> about(const crypto::Certificate& certificate,
                                           const crypto::Certificate& issuer) override;

 private:
  std::vector<crypto::Crl> crls_;
  std::vector<crypto::OcspResponse> ocsp_;
};

/// The services, owned.
struct SignServices {
  std::unique_ptr<ProgramTimestamps> timestamps;
  std::unique_ptr<FileRevocation> revocation;
  crypto::SignatureServices services;
};
Result<SignServices> open_services(const ServiceArguments& given);
void add_service_options(CLI::App& app, ServiceArguments& arguments);

}  // namespace karta::cli
