// CurlLibrary: libcurl, loaded when the first request is made. It brings some thirty libraries with it (Kerberos, LDAP,
// HTTP/2): a program that makes no request must not pay for them at every start.
#pragma once

#include <curl/curl.h>

#include "base/result.h"

namespace karta::service {

/// The functions the HTTP client uses, by their names without "curl_".
struct CurlLibrary {
  decltype(&::curl_easy_init) easy_init = nullptr;
  decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&::curl_easy_reset) easy_reset = nullptr;
  decltype(&::curl_easy_setopt) easy_setopt = nullptr;
  decltype(&::curl_easy_perform) easy_perform = nullptr;
  decltype(&::curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&::curl_easy_strerror) easy_strerror = nullptr;
  decltype(&::curl_slist_append) slist_append = nullptr;
  decltype(&::curl_slist_free_all) slist_free_all = nullptr;
};

/// Loads and initialises it once; usable from several threads, and stays until the program ends. Fails with
/// unsupported where the library is not installed.
Result<const CurlLibrary*> curl_library();

}  // namespace karta::service
