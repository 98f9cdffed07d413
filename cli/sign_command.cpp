// karta-sign FILE...: CAdES-B-B signatures with the card's everyday or qualified key.
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/random.h"
#include "card/card_signer.h"
#include "cli/card_session.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/prompt_pins.h"
#include "crypto/cms/sign.h"
#include "crypto/x509/certificate.h"

namespace karta::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::vector<std::string> files;
  std::string key = "everyday";
  std::string reader;
  std::string folder;
  bool enveloping = false;
  bool json = false;
  SecretOptions secret;
};

struct Job {
  std::string file;
  fs::path output;
  std::optional<Error> error;
  bool done = false;
};

/// Everything that can be wrong with a file is found before the card or a PIN is asked for.
Result<fs::path> check_job(const std::string& file, const Arguments& given, std::set<fs::path>& outputs) {
  const fs::path input(file);
  TRY(crypto::FileContent::open(input));  // there, readable, no folder
  fs::path output = given.folder.empty() ? input : fs::path(given.folder) / input.filename();
  output += given.enveloping ? ".p7m" : ".p7s";
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(output, ignored)) ||
      !outputs.insert(fs::absolute(output).lexically_normal()).second) {
    return fail(ErrorKind::already_exists, "\"" + output.string() + "\" is there already",
                "move it away first: karta-sign never overwrites");
  }
  const fs::path folder = output.has_parent_path() ? output.parent_path() : fs::path(".");
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    return fail(errno == EROFS || errno == EACCES ? ErrorKind::not_permitted : ErrorKind::io,
                "cannot write to \"" + folder.string() + "\": " + std::strerror(errno),
                "name a folder for the signatures: --output-dir FOLDER");
  }
  return output;
}

Status sign_one(crypto::Signer& signer, const Job& job, const Arguments& given) {
  auto content = TRY(crypto::FileContent::open(job.file));
  crypto::CmsSignOptions options;
  options.form = given.enveloping ? crypto::CmsForm::enveloping : crypto::CmsForm::detached;
  options.signing_time = SystemClock().now();
  const Bytes signature = TRY(crypto::sign_cms(signer, content, options));
  return write_new_file(job.output, signature, 0644);
}

/// Errors of the card end the run: the next file would meet the same one. Errors of a file concern that file.
bool ends_the_run(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::already_exists:
    case ErrorKind::not_found:
    case ErrorKind::not_permitted:
    case ErrorKind::io:
    case ErrorKind::limit:
      return false;
    default:
      return true;
  }
}

void print_results(const std::vector<Job>& jobs, const Arguments& given, const std::string& signer) {
  if (given.json) {
    Json document = json_document("karta.sign/1");
    document["key"] = given.key;
    document["level"] = "CAdES-B-B";
    if (!signer.empty()) document["signer"] = signer;
    document["files"] = Json::array();
    for (const Job& job : jobs) {
      Json row{{"file", job.file}, {"signed", job.done}};
      if (job.done) row["output"] = job.output.string();
      if (job.error) row["error"] = {{"kind", row_of(job.error->kind).name}, {"message", job.error->message}};
      document["files"].push_back(std::move(row));
    }
    print_json(document);
    return;
  }
  for (const Job& job : jobs) {
    if (job.done) print(job.output.string());
  }
}

Result<int> run(const Arguments& given) {
  std::vector<Job> jobs;
  std::set<fs::path> outputs;
  int code = 0;
  for (const std::string& file : given.files) {
    Job job{file, {}, {}, false};
    auto output = check_job(file, given, outputs);
    if (output) {
      job.output = *output;
    } else {
      job.error = output.error();
      code = report(file, *job.error);
    }
    jobs.push_back(std::move(job));
  }

  std::string signer_name;
  if (std::any_of(jobs.begin(), jobs.end(), [](const Job& job) { return !job.error; })) {
    auto session = TRY(CardSession::open_issued(given.reader));
    card::ESignApplication& esign = session->esign();
    const card::KeyRole role = given.key == "qualified" ? card::KeyRole::qualified : card::KeyRole::signature;
    const card::CardKey key = TRY(esign.key(role));
    const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
    PromptPins pins(*input, given.secret.descriptor >= 0);
    SystemRandom random;
    auto signer = TRY(card::CardSigner::make(esign, key, pins, random));
    const auto certificate = TRY(crypto::Certificate::from_der(signer.certificate_chain().front()));
    signer_name = certificate.subject().to_text();
    if (!given.json) say("signing as " + certificate.subject().display() + ", " + given.key + " key");
    for (Job& job : jobs) {
      if (job.error) continue;
      signer.set_subject(fs::path(job.file).filename().string());
      const Status signed_it = sign_one(signer, job, given);
      job.done = signed_it.has_value();
      if (signed_it) continue;
      job.error = signed_it.error();
      code = report(job.file, *job.error);
      if (ends_the_run(job.error->kind)) break;
    }
  }
  print_results(jobs, given, signer_name);
  return code;
}

}  // namespace

void add_sign(CLI::App& app, Run& chosen) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("file", arguments->files, "what to sign")->required();
  app.add_option("--key", arguments->key, "everyday (PIN1, asked once) or qualified (PIN2, asked for each file)")
      ->check(CLI::IsMember({"everyday", "qualified"}))
      ->capture_default_str();
  app.add_flag("--enveloping", arguments->enveloping,
               "put the content into the signature: FILE.p7m instead of FILE.p7s");
  app.add_option("--output-dir", arguments->folder, "write signatures here (default: beside each file)")
      ->check(CLI::ExistingDirectory);
  add_reader_option(app, arguments->reader);
  add_pin_options(app, arguments->secret, "PIN1 once, or PIN2 for each file");
  app.add_flag("--json", arguments->json, "as karta.sign/1");
  app.footer("Writes FILE.p7s (CAdES-B-B, detached). Check it with: karta verify FILE.p7s");
  on_call(app, chosen, [arguments] { return run(*arguments); });
}

}  // namespace karta::cli
