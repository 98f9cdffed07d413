#include "daemon/citizen/agent_pages.h"

#include <algorithm>

#include "daemon/citizen/agent_script.h"
#include "identity/openid/scopes.h"
#include "identity/pages/page.h"

namespace karta::daemon {
namespace {

using identity::ButtonKind;
using identity::Html;
using identity::Language;
using identity::NoticeKind;
using identity::PageFrame;
using identity::Words;
using service::HttpResponse;
using State = CardLook::State;

// All the agent says, one row a sentence.
constexpr Words kArea{"Card agent", "Карта на этом компьютере"};
constexpr Words kTitle{"Log in with your card", "Вход по карте"};
constexpr Words kAsks{"This site asks you to log in:", "Вас просят войти на сайт:"};
constexpr Words kThrough{"The request comes through %, whose signature was checked.",
                         "Запрос пришёл через %, его подпись проверена."};
constexpr Words kPurpose{"What for", "Для чего"};
constexpr Words kData{"What it will learn", "Что он узнает"};
constexpr Words kNoData{"Only that it is you again; no data.", "Только то, что это снова вы; никаких данных."};
constexpr Words kDataLater{"You are asked for your consent before anything is handed over.",
                           "Перед передачей данных у вас спросят согласие."};
constexpr Words kCard{"Card", "Карта"};
constexpr Words kChoose{"Which card?", "Какая карта?"};
constexpr Words kReader{"Reader", "Считыватель"};
constexpr Words kNumber{"Number ends with", "Номер оканчивается на"};
constexpr Words kContactless{"Card on a contactless reader", "Карта на бесконтактном считывателе"};
constexpr Words kPin{"PIN1 of the card", "ПИН1 карты"};
constexpr Words kPinHint{"6 to 8 digits. It goes to the card only, not to the site.",
                         "От 6 до 8 цифр. Он передаётся только карте, сайту — нет."};
constexpr Words kCan{"Access number (CAN)", "Номер доступа (CAN)"};
constexpr Words kCanHint{"Six digits, printed on the card. Contactless readers need it.",
                         "Шесть цифр, напечатаны на карте. Нужен бесконтактным считывателям."};
constexpr Words kCanHintSome{"Six digits, printed on the card; only for the card on the contactless reader.",
                             "Шесть цифр, напечатаны на карте; только для карты на бесконтактном считывателе."};
constexpr Words kCanKnown{"The access number was right and is remembered for this log-in.",
                          "Номер доступа подошёл; он запомнен для этого входа."};
constexpr Words kPad{"Press \"Log in\", then type PIN1 on the keys of the reader.",
                     "Нажмите «Войти» и наберите ПИН1 на клавишах считывателя."};
constexpr Words kPadSome{"Leave the field empty for a card in a reader with keys of its own, and type the PIN there.",
                         "Для карты в считывателе с клавишами оставьте поле пустым и наберите ПИН на нём."};
constexpr Words kTries{"Tries left", "Осталось попыток"};
constexpr Words kLastTitle{"One try is left", "Осталась одна попытка"};
constexpr Words kLastText{
    "If this PIN is wrong, PIN1 is blocked, and only the PUK in your letter unblocks it.",
    "Если ПИН окажется неверным, ПИН1 заблокируется, и разблокировать его сможет только PUK из вашего письма."};
constexpr Words kLastKnown{"I know that this is the last try", "Я знаю, что это последняя попытка"};
constexpr Words kLogIn{"Log in", "Войти"};
constexpr Words kCancel{"Cancel", "Отменить"};
constexpr Words kGoBack{"Go back to the site", "Вернуться на сайт"};
constexpr Words kLookAgain{"Look again", "Проверить ещё раз"};
constexpr Words kLanguageLabel{"Language", "Язык"};
constexpr Words kWorkingTitle{"The card is at work", "Карта занята этим входом"};
constexpr Words kWorkingText{"This log-in was sent to the card already. If the reader has keys, type the PIN there.",
                             "Запрос уже передан карте. Если у считывателя есть клавиши, наберите ПИН на нём."};

struct SceneRow {
  Words title, text;
};
constexpr SceneRow kNoService{
    {"The card service is not running", "Служба карт не запущена"},
    {"Start it: sudo systemctl start pcscd.socket", "Запустите её: sudo systemctl start pcscd.socket"}};
constexpr SceneRow kNoReader{{"No card reader is attached", "Считыватель не подключён"},
                             {"Plug the reader in.", "Подключите считыватель карт."}};
constexpr SceneRow kNoCard{{"Put your card in", "Вставьте карту"},
                           {"Put it into the reader, or on it. It may take a moment to be noticed.",
                            "Вставьте карту в считыватель или положите на него. Карта определится через мгновение."}};

struct StateRow {
  State state;
  NoticeKind kind;
  Words title, text;
  std::string_view error;  ///< on the way back
};
constexpr StateRow kStates[] = {
    {State::transport_pin,
     NoticeKind::warning,
     {"Choose your own PIN first", "Сначала придумайте свой ПИН"},
     {"The card still has the PIN of the letter. Replace it: karta card change-pin --pin 1",
      "У карты ещё ПИН из письма. Замените его: karta card change-pin --pin 1"},
     "transport_pin"},
    {State::pin_blocked,
     NoticeKind::bad,
     {"PIN1 is blocked", "ПИН1 заблокирован"},
     {"Too many wrong PINs were given. With the PUK of your letter: karta card unblock --pin 1. Without it: at a "
      "service "
      "centre.",
      "ПИН вводили неверно слишком много раз. С PUK из письма: karta card unblock --pin 1. Без него — в центре "
      "обслуживания."},
     "pin_blocked"},
    {State::wrong_card,
     NoticeKind::bad,
     {"This card cannot log you in", "По этой карте войти нельзя"},
     {"It is not a citizen card, or it has no key for logging in. Is it the right way round?",
      "Это не карта гражданина, или на ней нет ключа для входа. Той ли стороной она вставлена?"},
     "wrong_card"},
    {State::busy,
     NoticeKind::warning,
     {"Another program is using the card", "Карту использует другая программа"},
     {"Close it, or wait a moment, and look again.", "Закройте её или подождите немного и проверьте ещё раз."},
     "card_error"},
    {State::unreadable,
     NoticeKind::bad,
     {"The card does not answer", "Карта не отвечает"},
     {"Take it out and put it in again, the chip first.", "Выньте её и вставьте снова чипом вперёд."},
     "card_error"},
};
const StateRow* row_of(State state) {
  const auto found = std::ranges::find_if(kStates, [&](const StateRow& row) { return row.state == state; });
  return found == std::end(kStates) ? nullptr : found;
}

struct NoticeRow {
  AgentNotice notice;
  NoticeKind kind;
  Words title, text;
};
constexpr NoticeRow kNotices[] = {
    {AgentNotice::pin_form,
     NoticeKind::bad,
     {"That is no PIN", "Это не ПИН"},
     {"A PIN1 has 6 to 8 digits and nothing else. The card was not asked; no try is lost.",
      "ПИН1 — это от 6 до 8 цифр и ничего больше. Карту не спрашивали, попытка не потрачена."}},
    {AgentNotice::wrong_pin,
     NoticeKind::bad,
     {"Wrong PIN", "Неверный ПИН"},
     {"The card did not take it. See how many tries are left.",
      "Карта его не приняла. Посмотрите, сколько осталось попыток."}},
    {AgentNotice::last_try,
     NoticeKind::warning,
     {"One try is left", "Осталась одна попытка"},
     {"It was not used. Type the PIN again and confirm that you know.",
      "Она не потрачена. Наберите ПИН ещё раз и подтвердите, что знаете об этом."}},
    {AgentNotice::wrong_can,
     NoticeKind::bad,
     {"Wrong access number", "Неверный номер доступа"},
     {"Compare it with the six digits printed on the card. The PIN was not used.",
      "Сверьте его с шестью цифрами, напечатанными на карте. ПИН не использован."}},
    {AgentNotice::no_can,
     NoticeKind::bad,
     {"The access number is missing", "Нет номера доступа"},
     {"A card on a contactless reader needs the six digits printed on it.",
      "Для карты на бесконтактном считывателе нужны шесть цифр, напечатанные на ней."}},
    {AgentNotice::pad_cancelled,
     NoticeKind::warning,
     {"Nothing was typed at the reader", "ПИН на считывателе не набран"},
     {"It was cancelled there, or took too long. No try is lost.",
      "Ввод отменён или занял слишком много времени. Попытка не потрачена."}},
    {AgentNotice::card_removed,
     NoticeKind::bad,
     {"The card was taken out too early", "Карту вынули слишком рано"},
     {"Put it in again and leave it there until you are back on the site.",
      "Вставьте её снова и не вынимайте, пока не вернётесь на сайт."}},
    {AgentNotice::card_busy,
     NoticeKind::warning,
     {"Another program is using the card", "Карту использует другая программа"},
     {"Close it, or wait a moment, and try again.", "Закройте её или подождите немного и попробуйте снова."}},
    {AgentNotice::card_failed,
     NoticeKind::bad,
     {"The card did not do it", "Карта не справилась"},
     {"Take it out, put it in again, and try once more.", "Выньте её, вставьте снова и попробуйте ещё раз."}},
    {AgentNotice::pin_blocked, NoticeKind::bad, kStates[1].title, kStates[1].text},
    {AgentNotice::transport_pin, NoticeKind::warning, kStates[0].title, kStates[0].text},
    {AgentNotice::wrong_card, NoticeKind::bad, kStates[2].title, kStates[2].text},
    {AgentNotice::no_choice,
     NoticeKind::bad,
     {"No card was chosen", "Карта не выбрана"},
     {"Choose one of them.", "Выберите одну из них."}},
};

struct FaultRow {
  RequestFault fault;
  int status;
  Words title, text;
};
constexpr Words kStartAnew{"Go back to the site and begin the log-in anew.",
                           "Вернитесь на сайт и начните вход заново."};
constexpr FaultRow kFaults[] = {
    {RequestFault::broken, 400, {"This request is broken", "Запрос повреждён"}, kStartAnew},
    {RequestFault::unknown_provider,
     403,
     {"An unknown log-in service asks", "Просит неизвестная служба входа"},
     {"It is not one this agent was set up for. If you trust it, add it as a [[citizen.provider]] to the agent's "
      "configuration.",
      "Агент на неё не настроен. Если вы ей доверяете, добавьте её в настройки агента: [[citizen.provider]]."}},
    {RequestFault::not_trusted,
     403,
     {"The log-in service could not prove who it is", "Служба входа не подтвердила, кто она"},
     {"Its certificate is not from the authority this agent trusts for it. Nothing was signed.",
      "Её сертификат выдан не тем центром, которому доверяет агент. Ничего не подписано."}},
    {RequestFault::altered,
     403,
     {"This request was altered on its way", "Запрос изменён по пути"},
     {"Its signature does not fit. Nothing was signed. Begin the log-in anew; if it happens again, tell the site.",
      "Его подпись не подходит. Ничего не подписано. Начните вход заново; если это повторится, сообщите сайту."}},
    {RequestFault::expired,
     400,
     {"This request is too old", "Запрос устарел"},
     {"Requests are good for a few minutes. Begin the log-in anew. If that does not help: is the clock of this "
      "machine right?",
      "Запрос действует несколько минут. Начните вход заново. Если не поможет: верны ли часы этого компьютера?"}},
    {RequestFault::replayed, 400, {"This request was used already", "Запрос уже использован"}, kStartAnew},
    {RequestFault::too_many,
     503,
     {"Too many log-ins are open", "Открыто слишком много входов"},
     {"Wait a few minutes, then begin anew.", "Подождите несколько минут и начните заново."}},
};

constexpr SceneRow kOver{{"This log-in is over", "Этот вход завершён"}, kStartAnew};
constexpr SceneRow kBadForm{{"The form did not come from this page", "Форма пришла не с этой страницы"}, kStartAnew};
constexpr SceneRow kHere{
    {"The card agent is here", "Агент карты работает"},
    {"It answers log-ins of sites you visit. There is nothing to do here.",
     "Он отвечает на запросы входа с сайтов, которые вы посещаете. Здесь ничего делать не нужно."}};

std::string filled(std::string_view text, std::string_view with) {
  std::string out(text);
  if (const std::size_t at = out.find('%'); at != std::string::npos) out.replace(at, 1, with);
  return out;
}

const std::string& in_language(Language language, const std::string& english, const std::string& russian) {
  return (language == Language::russian && !russian.empty()) || english.empty() ? russian : english;
}

std::string_view without_scheme(std::string_view origin) {
  const std::size_t at = origin.find("://");
  return at == std::string_view::npos ? origin : origin.substr(at + 3);
}

constexpr std::string_view kNoFrames = "X-Frame-Options: DENY\r\n";

HttpResponse notice_page(int status, Language language, NoticeKind kind, const Words& title, const Words& text) {
  Html html;
  html.open("div", {{"class", "panel"}});
  identity::notice(html, kind, "", text.in(language));
  html.close();
  return identity::page_response(
      status, {.language = language, .title = std::string(title.in(language)), .area = std::string(kArea.in(language))},
      html, std::string(kNoFrames));
}

bool is_usable(const ReaderLook& one) {
  return one.has_card && (one.card.state == State::ready || one.card.state == State::needs_can);
}

/// "Citizen card, ends with 0042": what tells cards apart.
std::string name_of(Language language, const ReaderLook& one) {
  if (one.card.state == State::needs_can) return std::string(kContactless.in(language));
  return one.card.label.empty() ? std::string(kCard.in(language)) : one.card.label;
}

void write_asker(Html& html, const OpenLogin& login) {
  const Language language = login.language;
  const AgentRequest& request = login.request;
  html.open("section", {{"class", "panel"}, {"aria-labelledby", "who"}});
  html.element("p", kAsks.in(language), {{"id", "who"}});
  html.open("div", {{"class", "asker"}});
  html.element("strong", in_language(language, request.client_name, request.client_name_ru), {{"id", "client"}});
  html.element("span", request.client_origin, {{"class", "mono"}, {"id", "client-origin"}});
  html.element("span", filled(kThrough.in(language), without_scheme(request.origin)), {{"class", "hint"}});
  html.close();
  const std::string& purpose = in_language(language, request.purpose, request.purpose_ru);
  if (!purpose.empty()) {
    html.element("h2", kPurpose.in(language));
    html.element("p", purpose, {{"id", "purpose"}});
  }
  html.element("h2", kData.in(language));
  if (request.claims.empty()) {
    html.element("p", kNoData.in(language));
  } else {
    html.open("ul", {{"id", "data"}});
    for (const std::string& claim : request.claims) {
      const identity::ClaimRow* const row = identity::find_claim(claim);
      // A datum with a name of the provider's own is shown as it is.
      html.element("li", row == nullptr                  ? std::string_view(claim)
                         : language == Language::russian ? row->russian
                                                         : row->english);
    }
    html.close();
    html.element("p", kDataLater.in(language), {{"class", "hint"}});
  }
  html.close();
}

void write_languages(Html& html, const OpenLogin& login) {
  html.open("nav", {{"class", "languages"}, {"aria-label", kLanguageLabel.in(login.language)}});
  for (const auto& [language, label] : {std::pair{Language::english, "English"}, {Language::russian, "Русский"}}) {
    const std::string_view name = identity::name_of(language);
    if (language == login.language) {
      html.element("span", label, {{"lang", name}, {"aria-current", "true"}});
    } else {
      html.element("a", label, {{"lang", name}, {"href", path_of(login) + "?lang=" + std::string(name)}});
    }
  }
  html.close();
}

void write_notice(Html& html, const OpenLogin& login) {
  const auto row = std::ranges::find_if(kNotices, [&](const NoticeRow& one) { return one.notice == login.notice; });
  if (row == std::end(kNotices)) return;
  identity::notice(html, row->kind, row->title.in(login.language), row->text.in(login.language));
}

void write_facts(Html& html, Language language, const ReaderLook& one) {
  html.open("dl", {{"class", "facts"}});
  identity::fact(html, kCard.in(language), name_of(language, one));
  if (!one.card.serial_tail.empty()) identity::fact(html, kNumber.in(language), one.card.serial_tail);
  identity::fact(html, kReader.in(language), one.reader);
  if (one.card.tries_left) identity::fact(html, kTries.in(language), std::to_string(*one.card.tries_left));
  html.close();
}

void write_choice(Html& html, const OpenLogin& login, const std::vector<const ReaderLook*>& usable) {
  const Language language = login.language;
  html.open("fieldset").element("legend", kChoose.in(language));
  for (const ReaderLook* const one : usable) {
    html.open("label", {{"class", "choice"}});
    html.leaf("input", {{"type", "radio"},
                        {"name", "reader"},
                        {"value", one->reader},
                        {"required", true},
                        {"checked", one->reader == login.notice_reader}});
    html.open("span").element("strong", name_of(language, *one)).leaf("br");
    std::string line(one->reader);
    if (!one->card.serial_tail.empty()) {
      line = std::string(kNumber.in(language)) + " " + one->card.serial_tail + ", " + line;
    }
    if (one->card.tries_left) {
      line += ". " + std::string(kTries.in(language)) + ": " + std::to_string(*one->card.tries_left);
    }
    html.element("span", line, {{"class", "hint"}});
    html.close(2);
  }
  html.close();
}

void write_form(Html& html, const OpenLogin& login, const std::vector<const ReaderLook*>& usable) {
  const Language language = login.language;
  identity::open_form(html, path_of(login), login.csrf);
  if (usable.size() == 1) {
    identity::hidden_field(html, "reader", usable.front()->reader);
    write_facts(html, language, *usable.front());
  } else {
    write_choice(html, login, usable);
  }
  const auto count = [&](const auto& is) { return static_cast<std::size_t>(std::ranges::count_if(usable, is)); };
  const std::size_t pads =
      count([](const ReaderLook* one) { return one->card.state == State::ready && one->card.pad; });
  const std::size_t bare = count([&](const ReaderLook* one) {
    return one->card.state == State::needs_can && (login.can.empty() || login.can_reader != one->reader);
  });
  const bool any_can_known =
      count([&](const ReaderLook* one) {
        return one->card.state == State::needs_can && !login.can.empty() && login.can_reader == one->reader;
      }) > 0;
  const bool all_pads = pads == usable.size();
  if (bare > 0) {
    identity::input_field(html, {.name = "can",
                                 .label = kCan.in(language),
                                 .hint = bare == usable.size() ? kCanHint.in(language) : kCanHintSome.in(language),
                                 .autocomplete = "off",
                                 .input_mode = "numeric",
                                 .most = 6,
                                 .required = bare == usable.size(),
                                 .focus = bare == usable.size()});
  }
  if (any_can_known) html.element("p", kCanKnown.in(language), {{"class", "hint"}});
  if (all_pads) {
    identity::notice(html, NoticeKind::info, "", kPad.in(language));
  } else {
    identity::input_field(html, {.name = "pin",
                                 .label = kPin.in(language),
                                 .type = "password",
                                 .hint = pads > 0 ? kPadSome.in(language) : kPinHint.in(language),
                                 .autocomplete = "off",
                                 .input_mode = "numeric",
                                 .most = 8,
                                 .required = pads == 0,
                                 .focus = bare != usable.size()});
  }
  const bool last = count([](const ReaderLook* one) { return one->card.tries_left == 1u; }) > 0 ||
                    login.notice == AgentNotice::last_try;
  if (last) {
    identity::notice(html, NoticeKind::warning, kLastTitle.in(language), kLastText.in(language));
    html.open("label", {{"class", "choice"}});
    html.leaf(
        "input",
        {{"type", "checkbox"}, {"id", "last"}, {"name", "last"}, {"value", "yes"}, {"required", usable.size() == 1}});
    html.element("span", kLastKnown.in(language)).close();
  }
  html.open("div", {{"class", "actions"}});
  html.element("button", kLogIn.in(language),
               {{"type", "submit"}, {"class", "button main"}, {"id", "log-in"}, {"name", "deed"}, {"value", "login"}});
  html.element("button", kCancel.in(language),
               {{"type", "submit"},
                {"class", "button quiet"},
                {"id", "give-up"},
                {"name", "deed"},
                {"value", "give-up"},
                {"formnovalidate", true}});
  html.close(2);
}

/// No card to log in with: what to do, look again, go back.
void write_way_on(Html& html, const OpenLogin& login, const Scene& scene) {
  const Language language = login.language;
  const bool any_card = std::ranges::any_of(scene.readers, &ReaderLook::has_card);
  if (!any_card) {
    const SceneRow& row = !scene.pcscd_running ? kNoService : scene.readers.empty() ? kNoReader : kNoCard;
    identity::notice(html, NoticeKind::info, row.title.in(language), row.text.in(language));
  }
  for (const ReaderLook& one : scene.readers) {
    const StateRow* const row = one.has_card ? row_of(one.card.state) : nullptr;
    if (row == nullptr) continue;
    identity::notice(html, row->kind, row->title.in(language), row->text.in(language));
    write_facts(html, language, one);
  }
  identity::open_form(html, path_of(login), login.csrf);
  html.open("div", {{"class", "actions"}});
  html.element("a", kLookAgain.in(language), {{"class", "button main"}, {"id", "again"}, {"href", path_of(login)}});
  html.element(
      "button", kGoBack.in(language),
      {{"type", "submit"}, {"class", "button quiet"}, {"id", "give-up"}, {"name", "deed"}, {"value", "give-up"}});
  html.close(2);
}

PageFrame frame_of(const OpenLogin& login) {
  return {.language = login.language,
          .title = std::string(kTitle.in(login.language)),
          .area = std::string(kArea.in(login.language)),
          // Where consent stands, the provider's answer leads on to the portal in the same redirect.
          .form_targets = {login.request.origin, login.request.client_origin},
          .leads_to_portals = true};
}

}  // namespace

std::string path_of(const OpenLogin& login) { return "/agent/r/" + login.id; }

std::string_view error_of(const Scene& scene) {
  if (scene.readers.empty()) return "no_reader";
  if (std::ranges::any_of(scene.readers, is_usable)) return "cancelled";
  for (const StateRow& row : kStates) {
    for (const ReaderLook& one : scene.readers) {
      if (one.has_card && one.card.state == row.state) return row.error;
    }
  }
  return "no_card";
}

HttpResponse login_page(const OpenLogin& login, const Scene& scene, std::chrono::seconds seconds_left) {
  Html html;
  write_languages(html, login);
  write_asker(html, login);
  html.open("section", {{"class", "panel"}, {"id", "card"}, {"data-seen", std::to_string(scene.seen)}});
  write_notice(html, login);
  std::vector<const ReaderLook*> usable;
  for (const ReaderLook& one : scene.readers) {
    if (is_usable(one)) usable.push_back(&one);
  }
  if (usable.empty()) {
    write_way_on(html, login, scene);
  } else {
    write_form(html, login, usable);
  }
  html.close();
  html.element("script", "", {{"type", "module"}, {"src", "/agent/agent.mjs"}});
  // When its time is over the page asks once more, and is led back to the site.
  std::string fields = std::string(kNoFrames) +
                       "Refresh: " + std::to_string(std::max<std::int64_t>(seconds_left.count(), 1) + 1) +
                       "; url=" + path_of(login) + "\r\n";
  return identity::page_response(200, frame_of(login), html, std::move(fields));
}

HttpResponse working_page(const OpenLogin& login) {
  Html html;
  html.open("div", {{"class", "panel"}});
  identity::notice(html, NoticeKind::info, kWorkingTitle.in(login.language), kWorkingText.in(login.language));
  html.element("a", kLookAgain.in(login.language),
               {{"class", "button main"}, {"id", "again"}, {"href", path_of(login)}});
  html.close();
  return identity::page_response(409, frame_of(login), html, std::string(kNoFrames));
}

HttpResponse refused_page(Language language, RequestFault fault) {
  const auto row = std::ranges::find_if(kFaults, [&](const FaultRow& one) { return one.fault == fault; });
  return notice_page(row->status, language, NoticeKind::bad, row->title, row->text);
}

HttpResponse over_page(Language language) {
  return notice_page(410, language, NoticeKind::info, kOver.title, kOver.text);
}
HttpResponse bad_form_page(Language language) {
  return notice_page(400, language, NoticeKind::bad, kBadForm.title, kBadForm.text);
}
HttpResponse here_page(Language language) {
  return notice_page(200, language, NoticeKind::good, kHere.title, kHere.text);
}

HttpResponse script_response() {
  HttpResponse out;
  out.media_type = "text/javascript; charset=utf-8";
  out.fields =
      "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n";
  out.body = to_bytes(as_bytes(agent_script()));
  return out;
}

}  // namespace karta::daemon
