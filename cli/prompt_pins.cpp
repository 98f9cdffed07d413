#include "cli/prompt_pins.h"

namespace karta::cli {
namespace {

using Reason = card::PinRequest::Reason;

std::string title_of(const card::PinRequest& request) {
  const std::string for_what = request.subject.empty() ? "" : " \"" + request.subject + "\"";
  switch (request.reason) {
    case Reason::login:
      return "The card asks for its PIN.";
    case Reason::sign:
      return "To sign" + for_what + ":";
    case Reason::decipher:
      return "To open" + for_what + ":";
    case Reason::update:
      return "To write to the card:";
    case Reason::change_old:
    case Reason::change_new:
    case Reason::unblock_puk:
    case Reason::unblock_new:
      break;
  }
  return "";
}

std::string prompt_of(const card::PinRequest& request) {
  const card::PinRules& rules = card::rules_of(request.kind);
  const std::string name(rules.name);
  const std::string digits = rules.min_digits == rules.max_digits ? std::to_string(rules.min_digits) + " digits"
                                                                  : std::to_string(rules.min_digits) + " to " +
                                                                        std::to_string(rules.max_digits) + " digits";
  switch (request.reason) {
    case Reason::change_old:
      return request.transport
                 ? "transport " + name + " from the letter (" + std::to_string(rules.transport_digits) + " digits)"
                 : "present " + name;
    case Reason::change_new:
    case Reason::unblock_new:
      return "new " + name + " (" + digits + ")";
    case Reason::unblock_puk:
      return "PUK from the letter (" + std::to_string(card::rules_of(card::PinKind::puk).min_digits) + " digits)";
    default:
      return name + " (" + digits + ")";
  }
}

}  // namespace

std::string warning_of(const card::PinRequest& request) {
  std::string warning;
  if (request.after_wrong) warning = "That was wrong.";
  const bool told = request.tries_left && *request.tries_left < card::rules_of(request.kind).tries;
  if (request.tries_left && (request.after_wrong || told)) {
    if (!warning.empty()) warning += " ";
    warning +=
        *request.tries_left == 1 ? "This is the last try." : std::to_string(*request.tries_left) + " tries are left.";
  }
  return warning;
}

Result<SecretBytes> PromptPins::pin(const card::PinRequest& request) {
  if (unattended_ && request.after_wrong) {
    return fail(ErrorKind::wrong_pin,
                std::string(card::name_of(request.kind)) + " is wrong" +
                    (request.tries_left ? "; tries left: " + std::to_string(*request.tries_left) : ""));
  }
  const bool is_new = request.reason == Reason::change_new || request.reason == Reason::unblock_new;
  return input_.ask({title_of(request), prompt_of(request), warning_of(request), is_new});
}

}  // namespace karta::cli
