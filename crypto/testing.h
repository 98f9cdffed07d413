// Testing: a small issuing centre and the means to run foreign programs, for the tests of this room.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <type_traits>
#include <vector>

#include "crypto/signer.h"
#include "crypto/x509/issue.h"

namespace karta::crypto::testing {

/// 2026-06-01: within every certificate of a TestCentre.
Time test_time();

/// The value of a Result that a test relies on; ends the program with the message otherwise.
template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "unexpected error: %s\n", result.error().message.c_str());
    std::abort();
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// One key of each type, generated once a process (RSA keys take their time).
const PrivateKey& test_key(KeyType type);
PrivateKey copy_of(const PrivateKey& key);

extern const char* const kRootProfile;
extern const char* const kCaProfile;
extern const char* const kCitizenProfile;
extern const char* const kTsaProfile;        ///< 3000 days
extern const char* const kResponderProfile;  ///< OCSP, 365 days

/// Root, issuing CA, and a citizen's signing key, all made by x509/issue. Root and CA have keys of one type.
struct TestCentre {
  explicit TestCentre(KeyType citizen_key = KeyType::p256, KeyType ca_key = KeyType::p384);

  /// A certificate by the issuing CA; the subject is a made-up citizen.
  Certificate issue(const PublicKey& key, std::string_view profile = kCitizenProfile);

  /// A service under the issuing CA: a key with a certificate of this profile; the CA stands in the chain, then the
  /// root.
  SoftwareSigner service(std::string_view profile, KeyType key = KeyType::p256);

  SoftwareSigner root_signer, ca_signer;
  Certificate root, ca;
  SoftwareSigner citizen;
  Certificate citizen_certificate;
};

/// A folder of its own, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, ByteView octets) const;
  void write(const std::string& name, std::string_view text) const { write(name, as_bytes(text)); }
  Bytes read(const std::string& name) const;

 private:
  std::filesystem::path path_;
};

/// What a shell command printed (both streams) and how it ended.
struct Ran {
  int status = -1;
  std::string output;
};
Ran run(const TemporaryFolder& in, const std::string& command);

}  // namespace karta::crypto::testing
