// Documents signed and verified a second, in this process and as processes, beside OpenSSL and pdfsig in the same run.
//
//   signatures_bench sign | verify
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poppler.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "crypto/ades/pades.h"
#include "crypto/ades/pdf_testing.h"
#include "crypto/cms/sign.h"
#include "crypto/digest.h"
#include "crypto/pem.h"
#include "crypto/validation/verify_pdf.h"

using namespace karta;
using namespace karta::crypto;
using namespace karta::crypto::testing;
using Stopwatch = std::chrono::steady_clock;

namespace {

/// Calls a second, the median of five runs of at least a fifth of a second each.
double rate(const std::function<void()>& work) {
  std::vector<double> rates;
  for (int run = 0; run < 5; ++run) {
    const auto begin = Stopwatch::now();
    std::size_t calls = 0;
    std::chrono::duration<double> spent{};
    do {
      work();
      ++calls;
      spent = Stopwatch::now() - begin;
    } while (spent.count() < 0.2);
    rates.push_back(static_cast<double>(calls) / spent.count());
  }
  std::sort(rates.begin(), rates.end());
  return rates[rates.size() / 2];
}

/// Calls a second of `processes` at once, each in a process of its own: poppler's NSS wants to begin in the process it
/// serves, and neither side shares anything with itself.
double rate_of_processes(unsigned processes, const std::function<void()>& work) {
  int ends[2];
  if (::pipe(ends) != 0) return 0;
  std::vector<pid_t> children;
  for (unsigned i = 0; i < processes; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      work();
      const double own = rate(work);
      const ssize_t put = ::write(ends[1], &own, sizeof own);
      ::_exit(put == sizeof own ? 0 : 1);
    }
    children.push_back(child);
  }
  ::close(ends[1]);
  double all = 0, one = 0;
  while (::read(ends[0], &one, sizeof one) == sizeof one) all += one;
  ::close(ends[0]);
  for (const pid_t child : children) {
    int status = 0;
    if (::waitpid(child, &status, 0) != child || status != 0) std::exit(70);
  }
  return all;
}

void show(const std::string& name, double ours, const std::string& peer, double theirs) {
  std::printf("%-44s %10.0f /s   %-26s %10.0f /s   %6.2f\n", name.c_str(), ours, peer.c_str(), theirs, ours / theirs);
  if (const char* const file = std::getenv("KARTA_BENCH_JSON")) {
    if (FILE* const out = std::fopen(file, "a")) {
      std::fprintf(out,
                   "{\"name\": \"%s\", \"value\": %.1f, \"unit\": \"1/s\", \"peer\": \"%s\", \"peer_value\": %.1f, "
                   "\"ratio\": %.3f}\n",
                   name.c_str(), ours, peer.c_str(), theirs, ours / theirs);
      std::fclose(out);
    }
  }
}

void demand(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "error: %s\n", what);
  std::exit(70);
}

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};

/// What poppler makes of a document in memory: every signature must be valid. Its certificate is not asked about, which
/// spares poppler that work.
void poppler_verifies(const Bytes& octets, int signatures) {
  GBytes* const view = g_bytes_new_static(octets.data(), octets.size());
  PopplerDocument* const document = poppler_document_new_from_bytes(view, nullptr, nullptr);
  demand(document != nullptr, "poppler does not open the document");
  GList* const fields = poppler_document_get_signature_fields(document);
  int valid = 0;
  for (GList* at = fields; at != nullptr; at = at->next) {
    PopplerSignatureInfo* const info = poppler_form_field_signature_validate_sync(
        POPPLER_FORM_FIELD(at->data), PopplerSignatureValidationFlags{}, nullptr, nullptr);
    if (info == nullptr) continue;
    if (poppler_signature_info_get_signature_status(info) == POPPLER_SIGNATURE_VALID) ++valid;
    poppler_signature_info_free(info);
  }
  g_list_free_full(fields, g_object_unref);
  g_object_unref(document);
  g_bytes_unref(view);
  demand(valid == signatures, "poppler refuses a signature");
}

struct Files {
  TestCentre centre{KeyType::p256, KeyType::p256};
  TemporaryFolder folder;
  Bytes content = Bytes(10'000, 'k');
  Bytes large = Bytes(10'000'000, 'k');
  Bytes document = to_bytes(as_bytes(plain_pdf(20)));

  Files() {
    folder.write("root.pem", centre.root.to_pem());
    folder.write("ca.pem", centre.ca.to_pem());
    folder.write("content", content);
  }
  Bytes sign(const Bytes& text) {
    MemoryContent source(text);
    return must(sign_cms(centre.citizen, source, {.signing_time = SystemClock().now()}));
  }
  Bytes sign_document(const Bytes& octets) {
    PdfFile file = must(PdfFile::open(octets));
    PadesOptions options;
    options.request.time = SystemClock().now();
    must(sign_pades(file, centre.citizen, options));
    return to_bytes(file.octets());
  }
};

void bench_verify(Files& files) {
  const TrustMaterial trust{.anchors = {files.centre.root}, .intermediates = {}};
  const PathVerifier paths(trust.anchors, trust.intermediates);
  ValidateOptions options;
  options.at = SystemClock().now();
  options.paths = &paths;
  const std::unique_ptr<X509_STORE, Freed<X509_STORE_free>> store(X509_STORE_new());
  const auto read = [](const Bytes& der) {
    const std::uint8_t* at = der.data();
    return d2i_X509(nullptr, &at, static_cast<long>(der.size()));
  };
  X509* const root = read(files.centre.root.der());
  X509_STORE_add_cert(store.get(), root);
  X509_free(root);
  X509_STORE_set_purpose(store.get(), X509_PURPOSE_ANY);
  const auto openssl_verifies = [&](const Bytes& signature, const Bytes& text) {
    const std::uint8_t* at = signature.data();
    const std::unique_ptr<CMS_ContentInfo, Freed<CMS_ContentInfo_free>> cms(
        d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(signature.size())));
    const std::unique_ptr<BIO, Freed<BIO_free>> data(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    demand(CMS_verify(cms.get(), nullptr, store.get(), data.get(), nullptr, CMS_BINARY) == 1, "OpenSSL refuses");
  };
  const auto cms = [&](const std::string& name, const Bytes& text) -> double {
    const Bytes signature = files.sign(text);
    const double ours = rate([&] {
      MemoryContent content(text);
      demand(verify_cms(signature, &content, trust, options).passed(), "karta refuses");
    });
    const double theirs = rate([&] { openssl_verifies(signature, text); });
    show(name, ours, "OpenSSL CMS_verify", theirs);
    return theirs;
  };
  cms("verify CMS, 10 kB, in process", files.content);
  const double theirs = cms("verify CMS, 10 MB, in process", files.large);
  // What nobody can be faster than on one core: the content's digest, and nothing else.
  show("  of that, SHA-256 of 10 MB alone", rate([&] { (void)digest(Hash::sha256, files.large); }),
       "OpenSSL CMS_verify", theirs);

  const Bytes signed_once = files.sign_document(files.document);
  Bytes signed_often = signed_once;
  for (int i = 1; i < 50; ++i) signed_often = files.sign_document(signed_often);
  files.folder.write("once.pdf", signed_once);
  files.folder.write("often.pdf", signed_often);
  files.folder.write("content.p7s", files.sign(files.content));
  const auto document = [&](const Bytes& octets) {
    const PdfFile file = must(PdfFile::open(octets));
    demand(verify_pdf(file, trust, options).passed(), "karta refuses a PDF");
  };
  const auto process = [&](const std::string& command) {
    return rate([&] { demand(run(files.folder, command).status == 0, command.c_str()); });
  };
  const char* const folder = std::getenv("KARTA_BIN");
  // In a process each, before this one has seen poppler.
  Bytes long_document = files.sign_document(to_bytes(as_bytes(plain_pdf(20'000))));
  const std::tuple<const char*, const Bytes*, int> rows[] = {{"verify PDF, 10 kB, 1 signature", &signed_once, 1},
                                                             {"verify PDF, 50 signatures", &signed_often, 50},
                                                             {"verify PDF, 6 MB, 1 signature", &long_document, 1}};
  for (const auto& [name, octets, signatures] : rows) {
    for (const unsigned cores : {1u, 2u}) {
      const double ours = rate_of_processes(cores, [&] { document(*octets); });
      const double poppler = rate_of_processes(cores, [&] { poppler_verifies(*octets, signatures); });
      show(std::string(name) + (cores == 1 ? ", one core" : ", two cores"), ours, "poppler in process", poppler);
    }
  }
  const double pdfsig = process("pdfsig -nocert once.pdf");
  if (folder == nullptr) return;
  const std::string karta = std::string(folder) + "/karta verify --anchor root.pem --dir . ";
  show("verify PDF, 1 signature, a process", process(karta + "once.pdf"), "pdfsig, a process", pdfsig);
  show("verify CMS, 10 kB, a process", process(karta + "content.p7s"), "openssl cms, a process",
       process("openssl cms -verify -binary -inform DER -in content.p7s -content content -CAfile root.pem -purpose any "
               "-out /dev/null"));
}

void bench_sign(Files& files) {
  const SecretBytes der = test_key(KeyType::p256).expose_secret_der();
  const std::uint8_t* at = der.expose_secret().data();
  const std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>> key(
      d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
  const std::uint8_t* certificate_at = files.centre.citizen_certificate.der().data();
  const std::unique_ptr<X509, Freed<X509_free>> certificate(
      d2i_X509(nullptr, &certificate_at, static_cast<long>(files.centre.citizen_certificate.der().size())));
  demand(key != nullptr && certificate != nullptr, "OpenSSL cannot read the key");
  const auto openssl_signs = [&](const Bytes& text) {
    const std::unique_ptr<BIO, Freed<BIO_free>> data(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    const std::unique_ptr<CMS_ContentInfo, Freed<CMS_ContentInfo_free>> cms(CMS_sign(
        certificate.get(), key.get(), nullptr, data.get(), CMS_BINARY | CMS_DETACHED | CMS_NOSMIMECAP | CMS_CADES));
    std::uint8_t* out = nullptr;
    demand(cms != nullptr && i2d_CMS_ContentInfo(cms.get(), &out) > 0, "OpenSSL does not sign");
    OPENSSL_free(out);
  };
  // Key and certificate are parsed once on both sides, as whoever signs many documents has them.
  CmsSigning signing = must(CmsSigning::prepare(files.centre.citizen, {}));
  const auto we_sign = [&](const Bytes& text) {
    MemoryContent source(text);
    (void)must(signing.sign(must(digest(signing.hash(), source)), SystemClock().now()));
  };
  show("sign CMS, 10 kB, in process", rate([&] { we_sign(files.content); }), "OpenSSL CMS_sign",
       rate([&] { openssl_signs(files.content); }));
  // SHA-256 of the content is nearly all of it, and the same function on both sides.
  show("sign CMS, 10 MB, in process", rate([&] { we_sign(files.large); }), "OpenSSL CMS_sign",
       rate([&] { openssl_signs(files.large); }));
  Bytes often = files.document;
  for (int i = 0; i < 49; ++i) often = files.sign_document(often);
  const double first = rate([&] { files.sign_document(files.document); });
  show("sign PDF, the 50th signature, read anew", rate([&] { files.sign_document(often); }), "the 1st signature",
       first);
  // One after the other in one sitting: what stands there is neither read nor hashed again.
  const auto in_one_sitting = [&](const Bytes& base) {
    std::vector<double> rates;
    for (int run = 0; run < 25; ++run) {
      PdfFile file = must(PdfFile::open(base));
      const auto sign = [&] {
        must(sign_pades(file, files.centre.citizen, {.request = {.time = SystemClock().now()}}));
      };
      sign();
      const auto begin = Stopwatch::now();
      for (int i = 0; i < 10; ++i) sign();
      rates.push_back(10 / std::chrono::duration<double>(Stopwatch::now() - begin).count());
    }
    std::sort(rates.begin(), rates.end());
    return rates[rates.size() / 2];
  };
  show("sign PDF, the 50th signature, one sitting", in_one_sitting(often), "the 2nd signature",
       in_one_sitting(files.document));
}

}  // namespace

int main(int argc, char** argv) {
  Files files;
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "verify") {
    bench_verify(files);
  } else if (what == "sign") {
    bench_sign(files);
  } else {
    std::fprintf(stderr, "usage: signatures_bench sign | verify\n");
    return 64;
  }
  return 0;
}
