// SignServices: what karta-sign raises a signature with: time-stamps from a service or a program; CRLs and OCSP answers
// from files, or fetched from where the certificates say.
//
// A user's own services stand in a file, so that nobody types URLs: services.toml in $XDG_CONFIG_HOME/karta (or
// ~/.config/karta). Words on the command line go before it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "crypto/ades/sources.h"
#include "identity/online_sources.h"

namespace CLI {
class App;
}

namespace karta::cli {

struct ServiceArguments {
  std::string timestamp_program;          ///< reads a TimeStampReq, writes a TimeStampResp
  std::string timestamp_url;              ///< of an RFC 3161 service
  std::vector<std::string> revocation;    ///< files with a CRL or an OCSP answer
  std::vector<std::string> certificates;  ///< files with issuers: roots, time-stamp authorities
  bool fetch = false;                     ///< CRLs, OCSP answers and issuers from the URLs in certificates
  std::string file;                       ///< services.toml; "none": not even the user's own
};

/// What a services.toml says.
struct ServicesFile {
  std::string timestamp_url;
  std::vector<std::string> certificates;
  bool fetch = false;
  identity::OnlineOptions online;
};
/// Errors name line and key.
Result<ServicesFile> read_services_file(const std::filesystem::path& file);

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

/// From files where they tell, otherwise from the network.
class EveryRevocation final : public crypto::RevocationSource {
 public:
  FileRevocation files;
  std::unique_ptr<identity::OnlineRevocation> online;  ///< null: the network is not asked
  Result<crypto::RevocationEvidence> about(const crypto::Certificate& certificate,
                                           const crypto::Certificate& issuer) override;
};

/// The services, owned.
struct SignServices {
  std::unique_ptr<crypto::TimestampSource> timestamps;
  std::unique_ptr<EveryRevocation> revocation;
  crypto::SignatureServices services;
};
Result<SignServices> open_services(const ServiceArguments& given);
void add_service_options(CLI::App& app, ServiceArguments& arguments);

}  // namespace karta::cli
