// OpenSSL handles: owners of what EVP gives out. For the .cpp files of this room; public headers never include it.
#pragma once

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include <memory>

#include "base/result.h"
#include "crypto/algorithm.h"

namespace karta::crypto {

template <auto Free>
struct OpensslFree {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using PkeyPtr = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using PkeyCtxPtr = std::unique_ptr<EVP_PKEY_CTX, OpensslFree<EVP_PKEY_CTX_free>>;
using MdCtxPtr = std::unique_ptr<EVP_MD_CTX, OpensslFree<EVP_MD_CTX_free>>;
using CipherCtxPtr = std::unique_ptr<EVP_CIPHER_CTX, OpensslFree<EVP_CIPHER_CTX_free>>;
using ParamBldPtr = std::unique_ptr<OSSL_PARAM_BLD, OpensslFree<OSSL_PARAM_BLD_free>>;
using ParamPtr = std::unique_ptr<OSSL_PARAM, OpensslFree<OSSL_PARAM_free>>;
using BignumPtr = std::unique_ptr<BIGNUM, OpensslFree<BN_clear_free>>;
using Pkcs8Ptr = std::unique_ptr<PKCS8_PRIV_KEY_INFO, OpensslFree<PKCS8_PRIV_KEY_INFO_free>>;

/// The digest's implementation, fetched once for the life of the program.
const EVP_MD* evp_md(Hash hash);

/// An error of kind `internal` with OpenSSL's own last reason; empties its queue.
inline tl::unexpected<Error> openssl_failed(const char* what) {
  const unsigned long code = ERR_peek_last_error();
  const char* const reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return fail(ErrorKind::internal, std::string(what) + ": " + (reason != nullptr ? reason : "OpenSSL failed"));
}

}  // namespace karta::crypto
