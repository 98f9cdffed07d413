// karta-sign: the citizen's program: signs files with the card.
#include "cli/commands.h"

int main(int argc, char** argv) {
  return karta::cli::run_program(argc, argv, "karta-sign", "Signs files with the citizen card in the reader",
                                 karta::cli::add_sign);
}
