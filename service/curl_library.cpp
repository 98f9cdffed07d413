#include "service/curl_library.h"

#include <dlfcn.h>

namespace karta::service {
namespace {

/// The name that libcurl has kept since 2006.
constexpr const char* kFile = "libcurl.so.4";

Result<CurlLibrary> load() {
  void* const library = ::dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return fail(ErrorKind::unsupported, std::string(kFile) + " cannot be loaded, and nothing fetched without it",
                "install libcurl4");
  }
  CurlLibrary out;
  bool complete = true;
  const auto find = [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    complete = complete && function != nullptr;
  };
  decltype(&::curl_global_init) global_init = nullptr;
  find("curl_global_init", global_init);
  find("curl_easy_init", out.easy_init);
  find("curl_easy_cleanup", out.easy_cleanup);
  find("curl_easy_reset", out.easy_reset);
  find("curl_easy_setopt", out.easy_setopt);
  find("curl_easy_perform", out.easy_perform);
  find("curl_easy_getinfo", out.easy_getinfo);
  find("curl_easy_strerror", out.easy_strerror);
  find("curl_slist_append", out.slist_append);
  find("curl_slist_free_all", out.slist_free_all);
  if (!complete || global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    return fail(ErrorKind::unsupported, std::string(kFile) + " is not the library it should be");
  }
  return out;
}

}  // namespace

Result<const CurlLibrary*> curl_library() {
  static const Result<CurlLibrary> loaded = load();
  if (!loaded) return fail(loaded.error());
  return &*loaded;
}

}  // namespace karta::service
