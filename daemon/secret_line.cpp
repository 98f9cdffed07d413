// read_secret_line (config.h): apart, for what opens keys without reading a configuration.
#include <sys/stat.h>

#include "base/file.h"
#include "daemon/config.h"

namespace karta::daemon {
namespace {

constexpr std::size_t kMostSecretFile = 4096;

}  // namespace

Result<SecretBytes> read_secret_line(const std::filesystem::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) {
    return fail(ErrorKind::not_found, "\"" + file.string() + "\" cannot be read",
                "it holds a passphrase or PIN, one line");
  }
  if ((info.st_mode & 077) != 0) {
    return fail(ErrorKind::not_permitted, "\"" + file.string() + "\" can be read by others",
                "chmod 600 " + file.string());
  }
  SecretBytes whole(TRY(read_file(file, kMostSecretFile)));
  const std::string_view text = whole.expose_secret_text();
  const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
  if (line.empty()) return fail(ErrorKind::malformed, "the first line of \"" + file.string() + "\" is empty");
  return SecretBytes::copy_of(line);
}

}  // namespace karta::daemon
