#include "service/http_tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

namespace karta::service::serving {
namespace {

namespace net = boost::asio;
using boost::system::error_code;

/// What a client may show, all certificates together. Parsed it takes ten times as much, and the connection keeps it.
constexpr long kMostShownOctets = 24 * 1024;
/// Where none is refused for what it is, nobody above has vouched for what stands in them.
constexpr int kMostShown = 10;

/// X509_verify_cert()'s verdict without its consequence: SSL_get_verify_result() tells it afterwards. That the client
/// has the key is proved by the handshake's CertificateVerify, whatever the verdict.
int verify_without_refusing(X509_STORE_CTX* chain, void*) {
  if (sk_X509_num(X509_STORE_CTX_get0_untrusted(chain)) > kMostShown) {
    X509_STORE_CTX_set_error(chain, X509_V_ERR_CERT_CHAIN_TOO_LONG);
    return 0;
  }
  // What is left in the queue of errors would pass for the handshake's own.
  ERR_set_mark();
  const bool good = X509_verify_cert(chain) == 1;
  ERR_pop_to_mark();
  if (!good && X509_STORE_CTX_get_error(chain) == X509_V_OK) {
    X509_STORE_CTX_set_error(chain, X509_V_ERR_UNSPECIFIED);
  }
  return 1;
}

Status ask_for_certificates(SSL_CTX& context, const HttpTls& tls) {
  X509_STORE* const store = SSL_CTX_get_cert_store(&context);
  BIO* const pem = BIO_new_mem_buf(tls.client_roots_pem.data(), static_cast<int>(tls.client_roots_pem.size()));
  std::size_t roots = 0;
  while (X509* const root = PEM_read_bio_X509(pem, nullptr, nullptr, nullptr)) {
    if (X509_STORE_add_cert(store, root) == 1 &&
        (!tls.names_client_roots || SSL_CTX_add_client_CA(&context, root) == 1)) {
      ++roots;
    }
    X509_free(root);
  }
  BIO_free(pem);
  ERR_clear_error();  // the end of the text
  if (roots == 0) return fail(ErrorKind::configuration, "TLS: there is no root that clients' certificates stand on");
  // An issuing CA is anchor enough; the purpose is checked by OpenSSL (clientAuth, where the certificate limits it).
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(&context), X509_V_FLAG_PARTIAL_CHAIN);
  const bool required = tls.client_certificates == ClientCertificates::required;
  SSL_CTX_set_verify(&context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  if (tls.client_certificates == ClientCertificates::any) {
    SSL_CTX_set_cert_verify_callback(&context, verify_without_refusing, nullptr);
  }
  SSL_CTX_set_max_cert_list(&context, kMostShownOctets);
  // A resumed session would bring a certificate back that nobody looks at again.
  SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(&context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(&context, 0);
  return {};
}

}  // namespace

Status set_up_tls(net::ssl::context& tls_context, const HttpTls& tls) {
  SSL_CTX* const context = tls_context.native_handle();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
  // ECDHE with AEAD only, for TLS 1.2; 1.3 has nothing else.
  SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  error_code code;
  tls_context.use_certificate_chain(net::buffer(tls.certificates_pem), code);
  if (code) return fail(ErrorKind::configuration, "TLS: the certificate cannot be used: " + code.message());
  const ByteView der = tls.private_key.expose_secret();
  const unsigned char* at = der.data();
  EVP_PKEY* const key = d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size()));
  const bool taken = key != nullptr && SSL_CTX_use_PrivateKey(context, key) == 1;
  EVP_PKEY_free(key);
  if (!taken || SSL_CTX_check_private_key(context) != 1) {
    return fail(ErrorKind::configuration, "TLS: the key is not that of the certificate");
  }
  if (tls.client_certificates != ClientCertificates::none) TRY(ask_for_certificates(*context, tls));
  return {};
}

}  // namespace karta::service::serving
