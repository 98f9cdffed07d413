// What the log-in's pages say, in both languages.
#pragma once

#include "identity/pages/language.h"

namespace karta::identity::words {

inline constexpr Words kArea{"Log in", "Вход"};
inline constexpr Words kLogIn{"Log in", "Вход"};
inline constexpr Words kAsks{"asks you to log in", "просит вас войти"};
inline constexpr Words kOwnPage{"Your own page", "Ваша страница"};
inline constexpr Words kWhatFor{"What for", "Зачем"};
inline constexpr Words kWhatData{"What it will learn", "Что портал узнает"};
inline constexpr Words kNothingButYou{"Only that it is you: no personal data.",
                                      "Только то, что это вы: никаких личных данных."};
inline constexpr Words kStepUp{
    "You are logged in, but more is asked for here: please show once more who you are.",
    "Вы уже вошли, но здесь требуется более надёжное подтверждение: подтвердите ещё раз, кто вы."};

inline constexpr Words kByCard{"With your card", "По карте"};
inline constexpr Words kByCardText{
    "Put the card into the reader. You type the PIN in the agent on your computer, never here.",
    "Вставьте карту в считыватель. ПИН-код вводится в программе-агенте на вашем компьютере, а не здесь."};
inline constexpr Words kByCardButton{"Log in with the card", "Войти по карте"};
inline constexpr Words kAgentMissingPlain{
    "If the browser then says that it cannot reach the address, the agent is not running on this computer: come back "
    "here, install or start the agent, or choose another way.",
    "Если браузер после этого сообщит, что адрес недоступен, программа-агент на этом компьютере не запущена: вернитесь "
    "сюда, установите или запустите её либо выберите другой способ."};
inline constexpr Words kLookingForAgent{"Looking for the agent on this computer…",
                                        "Ищем программу-агент на этом компьютере…"};
inline constexpr Words kNoAgent{"No agent answers on this computer", "Программа-агент на этом компьютере не отвечает"};
inline constexpr Words kNoAgentText{
    "The agent is the small program that talks to your card. Install it (on Debian: apt install karta) or start it "
    "(systemctl --user start kartad-agent), then try again. Or choose another way to log in.",
    "Агент — небольшая программа, которая общается с картой. Установите её (в Debian: apt install karta) или запустите "
    "(systemctl --user start kartad-agent) и попробуйте снова. Или выберите другой способ входа."};
inline constexpr Words kAgentHere{"The agent is here. You can close this window.",
                                  "Программа-агент найдена. Это окно можно закрыть."};

inline constexpr Words kByCertificate{"With the card through the browser", "По карте через браузер"};
inline constexpr Words kByCertificateText{
    "For browsers that are set up for your card (PKCS #11). The browser asks for the certificate and the PIN.",
    "Для браузеров, настроенных для работы с картой (PKCS #11). Браузер сам спросит сертификат и ПИН-код."};
inline constexpr Words kByCertificateButton{"Choose a certificate", "Выбрать сертификат"};

inline constexpr Words kByCode{"With a one-time code", "По одноразовому коду"};
inline constexpr Words kByCodeText{
    "For accounts made at a service counter. Not every portal takes it.",
    "Для учётных записей, заведённых в окне обслуживания. Принимается не всеми порталами."};
inline constexpr Words kLoginName{"Login name", "Имя для входа"};
inline constexpr Words kEnter{"Log in", "Войти"};
inline constexpr Words kGoOn{"Go on", "Продолжить"};
inline constexpr Words kEnterCode{"Enter the code", "Введите код"};
inline constexpr Words kEnterCodeText{
    "If there is such an account, the code is in your app, or has been sent to your mail address.",
    "Если такая учётная запись есть, код показывает ваше приложение или он отправлен на вашу почту."};
inline constexpr Words kCode{"Code, six digits", "Код из шести цифр"};
inline constexpr Words kCodeWrong{"This login name or this code is not right.", "Имя для входа или код неверны."};
inline constexpr Words kCodeOver{"This code is over", "Код больше не действует"};
inline constexpr Words kCodeOverText{"Too much time has passed, or too many codes were tried. Please begin again.",
                                     "Прошло слишком много времени или было слишком много попыток. Начните заново."};
inline constexpr Words kAccountChanged{"Your way in by codes has been changed meanwhile. Please begin again.",
                                       "Ваш вход по кодам тем временем изменили. Начните заново."};
inline constexpr Words kChangedMeanwhile{
    "Something has changed since you began: your log-in here, the card, or what the portal may ask. Nothing was handed "
    "over. Please show once more who you are.",
    "С начала входа что-то изменилось: ваш вход здесь, карта или то, что порталу можно запрашивать. Ничего не "
    "передано. "
    "Подтвердите ещё раз, кто вы."};
inline constexpr Words kTooSoon{"Too many attempts. Try again in:", "Слишком много попыток. Повторите через:"};
inline constexpr Words kBeginAgain{"Begin again", "Начать заново"};

inline constexpr Words kOtherWays{"Other ways", "Другие способы"};
inline constexpr Words kTryAgain{"Try again", "Попробовать снова"};
inline constexpr Words kCancel{"Do not log in", "Не входить"};
inline constexpr Words kNoWay{"There is no way to log in here that is strong enough for this portal.",
                              "Здесь нет способа входа, достаточно надёжного для этого портала."};

inline constexpr Words kOver{"This log-in is over", "Этот вход завершён"};
inline constexpr Words kOverText{
    "It took too long, was finished already, or was begun in another browser. Go back to the portal and log in there "
    "again.",
    "Прошло слишком много времени, вход уже завершён или был начат в другом браузере. Вернитесь на портал и войдите "
    "заново."};
inline constexpr Words kOwnOverText{"It took too long, or was begun in another browser.",
                                    "Прошло слишком много времени, или вход был начат в другом браузере."};
inline constexpr Words kBroken{"This request cannot be answered", "На этот запрос нельзя ответить"};
inline constexpr Words kBrokenText{"It did not come from a page of ours. Nothing has been done.",
                                   "Он пришёл не с нашей страницы. Ничего не сделано."};
inline constexpr Words kPortalFault{"The portal's request is not in order", "Запрос портала составлен неверно"};
inline constexpr Words kPortalFaultText{"You did nothing wrong. Tell the portal what stands below.",
                                        "Вы ничего не нарушили. Сообщите порталу то, что указано ниже."};
inline constexpr Words kUnavailable{"This cannot be done at present", "Сейчас это невозможно"};
inline constexpr Words kUnavailableText{"Please try again in a minute. Nothing has been lost.",
                                        "Попробуйте через минуту. Ничего не потеряно."};
inline constexpr Words kRefused{"You were not logged in", "Вход не выполнен"};
inline constexpr Words kNoCertificate{"No certificate was shown", "Сертификат не предъявлен"};
inline constexpr Words kNoCertificateText{
    "The browser showed none. Is the card in the reader, and is the browser set up for it? Browsers keep such a choice "
    "until they are closed.",
    "Браузер его не предъявил. Вставлена ли карта и настроен ли браузер? Браузеры помнят такой выбор до закрытия."};
inline constexpr Words kUsedAlready{"This answer of the card has been used already. Please begin again.",
                                    "Этот ответ карты уже использован. Начните вход заново."};

inline constexpr Words kConsent{"May this portal learn this?", "Разрешить порталу узнать это?"};
inline constexpr Words kConsentAsks{"asks for your data", "запрашивает ваши данные"};
inline constexpr Words kNew{"new", "впервые"};
inline constexpr Words kRequired{"required", "обязательно"};
inline constexpr Words kLeftOutBefore{"left out last time", "в прошлый раз без этого"};
inline constexpr Words kLeaveOut{
    "Take the mark away from what the portal is not to learn. You can log in all the same.",
    "Снимите отметку с того, чего порталу знать не нужно. Войти это не помешает."};
inline constexpr Words kHowLong{"For how long may it ask again without a question to you?",
                                "Как долго портал может получать это, не спрашивая вас?"};
inline constexpr Words kConsentNote{"You can take this back at any time on your own page.",
                                    "Согласие можно отозвать в любой момент на вашей странице."};
inline constexpr Words kAllow{"Allow", "Разрешить"};
inline constexpr Words kDeny{"Do not allow", "Не разрешать"};

inline constexpr Words kLogOut{"Log out", "Выход"};
inline constexpr Words kLogOutAsk{"Do you want to log out?", "Выйти?"};
inline constexpr Words kLogOutPortal{"asks you to log out here, too.", "просит выйти и здесь."};
inline constexpr Words kLogOutText{"Portals that you entered with this log-in are told.",
                                   "Порталам, в которые вы вошли этим входом, будет сообщено."};
inline constexpr Words kStay{"Stay logged in", "Остаться"};
inline constexpr Words kLoggedOut{"You are logged out", "Вы вышли"};
inline constexpr Words kLoggedOutText{"Take your card with you.", "Не забудьте карту."};

}  // namespace karta::identity::words
