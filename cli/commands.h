// The commands of karta, a function a noun: each puts its verbs on the program.
#pragma once

#include "cli/program.h"

namespace karta::cli {

void add_init(CLI::App& app, Run& chosen);
void add_account(CLI::App& app, Run& chosen);
void add_ca(CLI::App& app, Run& chosen);
void add_cert(CLI::App& app, Run& chosen);
void add_citizen(CLI::App& app, Run& chosen);
void add_client(CLI::App& app, Run& chosen);
void add_card(CLI::App& app, Run& chosen);
/// `karta card trace`: on the noun that add_card has made.
void add_card_trace(CLI::App& card_noun, Run& chosen);
/// `karta card suspend` and the like, on the same noun.
void add_card_life(CLI::App& card_noun, Run& chosen);
/// `karta card renew` and `replace`, on the same noun.
void add_card_desk(CLI::App& card_noun, Run& chosen);
void add_cv(CLI::App& app, Run& chosen);
void add_department(CLI::App& app, Run& chosen);
void add_domain(CLI::App& app, Run& chosen);
void add_health(CLI::App& app, Run& chosen);
void add_journal(CLI::App& app, Run& chosen);
void add_reader(CLI::App& app, Run& chosen);
void add_pkcs11(CLI::App& app, Run& chosen);
void add_request(CLI::App& app, Run& chosen);
void add_sam(CLI::App& app, Run& chosen);
void add_stop_list(CLI::App& app, Run& chosen);
/// `karta stop-list foreign`: on the noun that add_stop_list has made.
void add_stop_list_foreign(CLI::App& stop_list_noun, Run& chosen);
void add_terminal(CLI::App& app, Run& chosen);
/// `karta terminal watch`: on the noun that add_terminal has made.
void add_terminal_watch(CLI::App& terminal_noun, Run& chosen);
void add_transit(CLI::App& app, Run& chosen);
void add_verify(CLI::App& app, Run& chosen);
/// karta-sign has no verbs: the program is the command.
void add_sign(CLI::App& app, Run& chosen);

}  // namespace karta::cli
