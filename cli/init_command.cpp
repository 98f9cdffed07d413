// karta init: a whole issuing centre in one folder.
#include <CLI/CLI.hpp>

#include "base/random.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/secret_input.h"
#include "issuing/centre.h"

namespace karta::cli {
namespace {

struct Options {
  std::string folder;
  issuing::CentreOptions centre;
  std::string root_key = "p384";
  std::string issuing_key = "p256";
  SecretOptions secret;
};

Result<crypto::KeyType> key_type(const std::string& name) {
  const auto type = crypto::find_key_type(name);
  if (type) return *type;
  return fail(ErrorKind::usage, "\"" + name + "\" is no key type", "p256, p384, p521, rsa-3072 or rsa-4096");
}

Result<int> run(const Options& given) {
  issuing::CentreOptions options = given.centre;
  options.root_key = TRY(key_type(given.root_key));
  options.issuing_key = TRY(key_type(given.issuing_key));
  TRY(issuing::check_new_centre(given.folder, options));
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const SecretBytes passphrase =
      TRY(input->ask({"A passphrase for every key of the issuing centre \"" + options.name + "\".",
                      "passphrase (at least 8 characters)", "", true}));
  const SystemClock clock;
  SystemRandom random;
  TRY(issuing::create_centre(given.folder, options, passphrase, clock, random));
  const issuing::CentreConfig config = TRY(issuing::load_centre_config(given.folder));
  say("issuing centre \"" + options.name + "\" is ready in " + given.folder + ":");
  say("  " + config.root.certificate.string() + "  the root: what verifiers trust");
  say("  " + config.issuing.certificate.string() + "  the issuing CA, certified by the root");
  say("  " + config.document_signer.certificate.string() + "  signs what cards say of themselves");
  say("  " + config.root.key.parent_path().string() + "  all keys, encrypted; move the root's off line");
  say("  " + config.terminals.string() + "  who may read cards: authority and verifier of terminals");
  say("  " + config.database + "  the registry");
  say("  " + config.card_profiles.parent_path().string() + "  what cards and certificates hold");
  say("next: karta --help; then karta citizen import FILE --dir " + given.folder);
  return 0;
}

}  // namespace

void add_init(CLI::App& app, Run& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App& command = *app.add_subcommand("init", "Make an issuing centre: root, issuing CA, profiles, registry");
  command.add_option("folder", options->folder, "a folder that does not exist yet")->required();
  command.add_option("--name", options->centre.name, "the organisation, in the names of its CAs")
      ->capture_default_str();
  command.add_option("--country", options->centre.country, "two capital letters")->capture_default_str();
  command.add_option("--database", options->centre.database,
                     "postgresql://... of an empty database for the registry (default: a file in the folder)");
  command.add_option("--root-key", options->root_key, "key type of the root")->capture_default_str();
  command.add_option("--issuing-key", options->issuing_key, "key type of the issuing CA")->capture_default_str();
  add_passphrase_options(command, options->secret);
  command.footer("Example: karta init centre --name \"Regional issuing centre\"");
  on_call(command, chosen, [options] { return run(*options); });
}

}  // namespace karta::cli
