// A small server's folder for tests, fuzzing and measurements: a CA, its OCSP responder, a time-stamp authority, a
// trust list, a registry, and the configuration that serves them all.
#pragma once

#include <filesystem>
#include <string>

#include "base/clock.h"
#include "crypto/testing.h"
#include "identity/services/handler.h"

namespace karta::identity {

struct ServicesFixture {
  explicit ServicesFixture(const Clock& given_clock);

  /// Registers a certificate of no card with this serial number's one octet.
  void register_serial(std::uint8_t serial) const;
  void register_certificate(const crypto::Certificate& certificate) const;
  void revoke(std::uint8_t serial, crypto::CrlReason reason) const;
  /// A request about that certificate.
  Bytes ocsp_request(std::uint8_t serial, ByteView nonce = {}) const;

  std::string config_text(const std::string& more = "") const;
  std::unique_ptr<service::HttpHandler> handler();

  crypto::testing::TemporaryFolder folder;
  std::string database;  ///< the registry's URL
  const Clock& clock;
  SecretBytes ca_key;  ///< PKCS #8
  crypto::SoftwareSigner ca_signer;
  crypto::Certificate ca;
  service::Metrics metrics;
  Shelves shelves;
  ServerConfig config;
  std::shared_ptr<const ServiceKeys> keys;
};

/// The response of `handler` to a request as it stands on the wire.
service::HttpResponse response_to(service::HttpHandler& handler, const std::string& wire);
std::string post(const std::string& path, const std::string& type, ByteView body);
std::string get(const std::string& path, const std::string& fields = "");

}  // namespace karta::identity
