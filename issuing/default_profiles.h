// The certificate profiles `karta init` writes, as they stand in issuing/profiles.
#pragma once

#include <span>
#include <string_view>

namespace karta::issuing {

struct DefaultCertificateProfile {
  std::string_view name;  ///< without ".toml"
  std::string_view text;
};

std::span<const DefaultCertificateProfile> default_certificate_profiles();

}  // namespace karta::issuing
