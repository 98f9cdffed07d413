// What the citizen's own page says, in both languages.
#pragma once

#include "identity/pages/language.h"

namespace karta::identity::own_words {

inline constexpr Words kArea{"My page", "Моя страница"};
inline constexpr Words kCards{"My cards", "Мои карты"};
inline constexpr Words kCard{"Card", "Карта"};
inline constexpr Words kNoCards{"You have no card.", "У вас нет карты."};
inline constexpr Words kState{"State", "Состояние"};
inline constexpr Words kSerial{"Chip number", "Номер чипа"};
inline constexpr Words kValidUntil{"Valid until", "Действует до"};
inline constexpr Words kSince{"In this state since", "В этом состоянии с"};
inline constexpr Words kDetails{"Certificates and details", "Сертификаты и подробности"};
inline constexpr Words kCertificates{"Certificates", "Сертификаты"};
inline constexpr Words kNoCertificates{"There is no certificate on this card.", "На этой карте нет сертификатов."};
inline constexpr Words kKind{"For", "Назначение"};
inline constexpr Words kNumber{"Serial number", "Серийный номер"};
inline constexpr Words kGood{"good", "действует"};
inline constexpr Words kHeld{"on hold", "приостановлен"};
inline constexpr Words kRevoked{"revoked", "отозван"};
inline constexpr Words kExpired{"expired", "истёк"};

inline constexpr Words kLost{"I have lost this card", "Я потерял(а) эту карту"};
inline constexpr Words kSuspend{"Suspend the card", "Приостановить карту"};
inline constexpr Words kSuspendAsk{"Suspend this card?", "Приостановить эту карту?"};
inline constexpr Words kSuspendText{
    "From this moment on nobody can log in, sign or show it with success. Log-ins made with it end. If you find it "
    "again, "
    "a service counter releases it; you cannot do that here.",
    "С этого момента никто не сможет войти по ней, подписать ею или предъявить её. Входы, сделанные по ней, "
    "завершатся. "
    "Если карта найдётся, её действие возобновят в окне обслуживания; здесь это сделать нельзя."};
inline constexpr Words kDoSuspend{"Yes, suspend it now", "Да, приостановить сейчас"};
inline constexpr Words kKeep{"No, go back", "Нет, вернуться"};
inline constexpr Words kSuspended{"The card is suspended", "Карта приостановлена"};
inline constexpr Words kSuspendedText{
    "Log-ins made with it have ended. Ask for a new card or its release at a service counter.",
    "Входы, сделанные по ней, завершены. Новую карту или возобновление этой оформят в окне обслуживания."};
inline constexpr Words kCannot{"This cannot be done", "Это невозможно"};
inline constexpr Words kNotActive{"Only a card that is active can be suspended.",
                                  "Приостановить можно только действующую карту."};
inline constexpr Words kNoSuchCard{"You have no such card.", "У вас нет такой карты."};

inline constexpr Words kSessions{"My log-ins", "Мои входы"};
inline constexpr Words kThisOne{"this one", "этот"};
inline constexpr Words kBegan{"Began", "Начат"};
inline constexpr Words kLastUsed{"Last used", "Последнее действие"};
inline constexpr Words kWay{"How", "Способ"};
inline constexpr Words kFrom{"From", "Откуда"};
inline constexpr Words kBrowser{"Browser", "Браузер"};
inline constexpr Words kEnd{"End it", "Завершить"};
inline constexpr Words kEndAll{"Log out everywhere", "Выйти везде"};
inline constexpr Words kEndAllText{
    "Ends all log-ins, this one too, and tells every portal you are logged in to.",
    "Завершает все входы, включая этот, и сообщает об этом всем порталам, где вы вошли."};
inline constexpr Words kByCard{"Card, by the agent", "Карта, через агента"};
inline constexpr Words kByCertificate{"Card, by the browser", "Карта, через браузер"};
inline constexpr Words kByCode{"One-time code", "Одноразовый код"};

inline constexpr Words kRequests{"Who asked for my data", "Кто запрашивал мои данные"};
inline constexpr Words kTotals{"In all", "Всего"};
inline constexpr Words kWho{"Who", "Кто"};
inline constexpr Words kWhatFor{"What for", "Зачем"};
inline constexpr Words kTimes{"Times", "Раз"};
inline constexpr Words kLast{"Last", "Последний раз"};
inline constexpr Words kNewestFirst{"One by one, newest first", "По одному, сначала новые"};
inline constexpr Words kWhen{"When", "Когда"};
inline constexpr Words kWhat{"What", "Что"};
inline constexpr Words kCase{"Case", "Дело"};
inline constexpr Words kLaw{"Legal basis", "Основание"};
inline constexpr Words kNobody{"Nobody has asked.", "Никто не запрашивал."};
inline constexpr Words kOwnPage{"own page", "своя страница"};
inline constexpr Words kYou{"you yourself", "вы сами"};
inline constexpr Words kPortal{"portal", "портал"};
inline constexpr Words kOperator{"operator", "оператор"};
inline constexpr Words kDepartment{"department", "ведомство"};
inline constexpr Words kTerminal{"terminal", "терминал"};
inline constexpr Words kOlder{"Older ones", "Более ранние"};

inline constexpr Words kConsents{"My consents", "Мои согласия"};
inline constexpr Words kNoConsents{"You have allowed no portal to get your data.",
                                   "Вы не разрешали порталам получать ваши данные."};
inline constexpr Words kMayLearn{"May learn", "Может узнать"};
inline constexpr Words kGiven{"Given", "Дано"};
inline constexpr Words kUntil{"Until", "До"};
inline constexpr Words kOpenLogins{"Open log-ins there", "Открытые входы там"};
inline constexpr Words kTakeBack{"Take it back", "Отозвать"};
inline constexpr Words kOnlyWho{"only that it is you", "только то, что это вы"};

inline constexpr Words kMoreNeeded{"This needs a log-in with your card", "Для этого нужен вход по карте"};
inline constexpr Words kMoreNeededText{
    "You logged in with a one-time code. That is enough to suspend a lost card and to log out everywhere.",
    "Вы вошли по одноразовому коду. Этого достаточно, чтобы приостановить потерянную карту и выйти везде."};
inline constexpr Words kLogInWithCard{"Log in with the card", "Войти по карте"};
inline constexpr Words kBroken{"This request cannot be answered", "На этот запрос нельзя ответить"};
inline constexpr Words kBrokenText{"It did not come from a page of ours. Nothing has been done.",
                                   "Он пришёл не с нашей страницы. Ничего не сделано."};
inline constexpr Words kUnavailable{"This cannot be done at present", "Сейчас это невозможно"};
inline constexpr Words kUnavailableText{"Please try again in a minute.", "Попробуйте через минуту."};

}  // namespace karta::identity::own_words
