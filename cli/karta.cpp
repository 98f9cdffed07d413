// karta: the issuing centre's and the operator's program.
#include <CLI/CLI.hpp>

#include "cli/commands.h"

int main(int argc, char** argv) {
  return karta::cli::run_program(argc, argv, "karta", "A toolkit for universal citizen cards",
                                 [](CLI::App& app, karta::cli::Run& chosen) {
                                   karta::cli::add_init(app, chosen);
                                   karta::cli::add_account(app, chosen);
                                   karta::cli::add_ca(app, chosen);
                                   karta::cli::add_cert(app, chosen);
                                   karta::cli::add_citizen(app, chosen);
                                   karta::cli::add_client(app, chosen);
                                   karta::cli::add_card(app, chosen);
                                   karta::cli::add_card_trace(*app.get_subcommand("card"), chosen);
                                   karta::cli::add_card_life(*app.get_subcommand("card"), chosen);
                                   karta::cli::add_card_desk(*app.get_subcommand("card"), chosen);
                                   karta::cli::add_cv(app, chosen);
                                   karta::cli::add_department(app, chosen);
                                   karta::cli::add_domain(app, chosen);
                                   karta::cli::add_health(app, chosen);
                                   karta::cli::add_journal(app, chosen);
                                   karta::cli::add_reader(app, chosen);
                                   karta::cli::add_pkcs11(app, chosen);
                                   karta::cli::add_request(app, chosen);
                                   karta::cli::add_sam(app, chosen);
                                   karta::cli::add_stop_list(app, chosen);
                                   karta::cli::add_stop_list_foreign(*app.get_subcommand("stop-list"), chosen);
                                   karta::cli::add_terminal(app, chosen);
                                   karta::cli::add_transit(app, chosen);
                                   karta::cli::add_verify(app, chosen);
                                   app.require_subcommand(0, 1);
                                 });
}
