#include "crypto/testing.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>

namespace karta::crypto::testing {

const char* const kRootProfile = R"(
schema = "karta.certificate-profile/1"
name = "root"
validity_days = 7300
key_usage = ["keyCertSign", "cRLSign"]
[basic_constraints]
ca = true
[subject]
required = ["CN"]
[subject.fixed]
C = "XX"
O = "Test Authority"
)";

const char* const kCaProfile = R"(
schema = "karta.certificate-profile/1"
name = "issuing-ca"
validity_days = 3650
key_usage = ["keyCertSign", "cRLSign"]
crl_urls = ["http://crl.example/root.crl"]
[basic_constraints]
ca = true
path_length = 0
[subject]
required = ["CN"]
[subject.fixed]
C = "XX"
O = "Test Authority"
)";

const char* const kCitizenProfile = R"(
schema = "karta.certificate-profile/1"
name = "citizen-signing"
validity_days = 1095
key_usage = ["digitalSignature", "nonRepudiation"]
extended_key_usage = ["clientAuth", "emailProtection"]
policies = ["2.999.1.2"]
crl_urls = ["http://crl.example/ca.crl"]
ocsp_urls = ["http://ocsp.example/"]
issuer_urls = ["http://ca.example/ca.cer"]
status_index = "required"
[subject]
required = ["CN", "SNILS"]
optional = ["SN", "GN", "INN"]
[subject.fixed]
C = "XX"
)";

const char* const kTsaProfile = R"(
schema = "karta.certificate-profile/1"
name = "tsa"
validity_days = 3000
key_usage = ["digitalSignature"]
extended_key_usage = ["timeStamping"]
critical = ["extKeyUsage"]
)";

const char* const kResponderProfile = R"(
schema = "karta.certificate-profile/1"
name = "ocsp"
validity_days = 365
key_usage = ["digitalSignature"]
extended_key_usage = ["OCSPSigning"]
)";

Time test_time() { return must(parse_time("2026-06-01T12:00:00Z")); }

const PrivateKey& test_key(KeyType type) {
  static std::mutex mutex;
  static std::map<KeyType, PrivateKey> keys;
  const std::lock_guard lock(mutex);
  auto found = keys.find(type);
  if (found == keys.end()) found = keys.emplace(type, must(PrivateKey::generate(type))).first;
  return found->second;
}

PrivateKey copy_of(const PrivateKey& key) {
  return must(PrivateKey::from_der(key.expose_secret_der().expose_secret()));
}

namespace {

Certificate make_root(Signer& signer) {
  const FixedClock clock(must(parse_time("2026-01-01")));
  SystemRandom random;
  const CertificateRequest request{.subject = must(NameBuilder().add("CN", "Test Root").build()),
                                   .public_key = signer.public_key()};
  return must(self_signed(must(CertificateProfile::from_toml(kRootProfile)), request, signer, clock, random));
}

Certificate make_ca(const PublicKey& key, const Certificate& root, Signer& root_signer) {
  const FixedClock clock(must(parse_time("2026-01-02")));
  SystemRandom random;
  const CertificateRequest request{.subject = must(NameBuilder().add("CN", "Test Issuing CA").build()),
                                   .public_key = key};
  return must(
      issue_certificate(must(CertificateProfile::from_toml(kCaProfile)), request, root, root_signer, clock, random));
}

}  // namespace

TestCentre::TestCentre(KeyType citizen_key, KeyType ca_key)
    : root_signer(must(PrivateKey::generate(ca_key))),
      ca_signer(must(PrivateKey::generate(ca_key))),
      root(make_root(root_signer)),
      ca(make_ca(ca_signer.public_key(), root, root_signer)),
      citizen(copy_of(test_key(citizen_key))),
      citizen_certificate(issue(citizen.public_key())) {
  ca_signer.set_certificate_chain({ca.der(), root.der()});
  citizen.set_certificate_chain({citizen_certificate.der(), ca.der()});
}

Certificate TestCentre::issue(const PublicKey& key, std::string_view profile) {
  const FixedClock clock(must(parse_time("2026-01-03")));
  SystemRandom random;
  const CertificateRequest request{
      .subject = must(NameBuilder().add("CN", "Примеров Образец").add("SNILS", "00000000000").build()),
      .public_key = key,
      .status_index = 42,
      .subject_alternative_names = {GeneralName::email("sample@example.org")}};
  return must(issue_certificate(must(CertificateProfile::from_toml(profile)), request, ca, ca_signer, clock, random));
}

SoftwareSigner TestCentre::service(std::string_view profile, KeyType key) {
  SoftwareSigner signer(copy_of(test_key(key)));
  const FixedClock clock(must(parse_time("2026-01-03")));
  SystemRandom random;
  const CertificateRequest request{.subject = must(NameBuilder().add("CN", "Test Service").build()),
                                   .public_key = signer.public_key()};
  const Certificate certificate =
      must(issue_certificate(must(CertificateProfile::from_toml(profile)), request, ca, ca_signer, clock, random));
  signer.set_certificate_chain({certificate.der(), ca.der(), root.der()});
  return signer;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "karta-crypto-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}
void TemporaryFolder::write(const std::string& name, ByteView octets) const {
  std::ofstream out(path_ / name, std::ios::binary);
  out << as_text(octets);
  if (!out.flush()) std::abort();
}
Bytes TemporaryFolder::read(const std::string& name) const {
  std::ifstream in(path_ / name, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return to_bytes(as_bytes(text));
}

Ran run(const TemporaryFolder& in, const std::string& command) {
  Ran out;
  const std::string line = "cd '" + in.path().string() + "' && (" + command + ") 2>&1";
  FILE* const pipe = popen(line.c_str(), "r");
  if (pipe == nullptr) return out;
  char buffer[4096];
  while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) out.output.append(buffer, count);
  const int status = pclose(pipe);
  out.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return out;
}

}  // namespace karta::crypto::testing
