// What the operator's console says, in both languages.
#pragma once

#include <array>

#include "identity/card_life.h"
#include "identity/pages/language.h"
#include "identity/terminals.h"

namespace karta::identity::console_words {

inline constexpr Words kArea{"Console", "Консоль оператора"};
inline constexpr Words kOverview{"Overview", "Обзор"};
inline constexpr Words kFind{"Find", "Поиск"};
inline constexpr Words kTerminals{"Terminals", "Терминалы"};
inline constexpr Words kCounters{"Numbers", "Показатели"};
inline constexpr Words kRequests{"Requests", "Запросы"};
inline constexpr Words kActs{"Acts", "Действия"};

inline constexpr Words kLoggedInAs{"Logged in as", "Вы вошли как"};
inline constexpr Words kMay{"May", "Права"};
inline constexpr Words kNotAnOperator{"This is no operator's card", "Это не карта оператора"};
inline constexpr Words kNotAnOperatorText{"Whoever is logged in here is not registered as an operator of this system.",
                                          "Вошедший не зарегистрирован как оператор этой системы."};
inline constexpr Words kNotYourScope{"You have no right to this", "У вас нет на это права"};
inline constexpr Words kNotYourScopeText{
    "It is none of the scopes that the configuration gives you; the overview lists those.",
    "Этого нет среди прав, данных вам в настройках; ваши права перечислены на странице обзора."};
inline constexpr Words kNothingHere{"There is nothing here", "Здесь ничего нет"};
inline constexpr Words kNotDone{"It was not done", "Действие не выполнено"};
inline constexpr Words kFormOver{"This form is over", "Форма устарела"};
inline constexpr Words kFormOverText{"It was made for another log-in. Go back, load the page again and repeat.",
                                     "Она относится к другому сеансу. Вернитесь, обновите страницу и повторите."};
inline constexpr Words kBack{"Back", "Назад"};
inline constexpr Words kToday{"Today", "Сегодня"};
inline constexpr Words kNow{"Now", "Сейчас"};

inline constexpr Words kFindTitle{"Find a citizen or a card", "Найти гражданина или карту"};
inline constexpr Words kBy{"Search by", "Искать по"};
inline constexpr Words kByName{"Name: family name first, at least two letters",
                               "имени: сначала фамилия, не менее двух букв"};
inline constexpr Words kBySnils{"SNILS", "СНИЛС"};
inline constexpr Words kByCard{"Card: serial of the chip, status index or number in the registry",
                               "карте: номер микросхемы, индекс статуса или номер в реестре"};
inline constexpr Words kWhat{"What to search for", "Что искать"};
inline constexpr Words kPurpose{"Purpose", "Цель"};
inline constexpr Words kPurposeHint{"What for, in words the citizen will read.",
                                    "Для чего — эти слова увидит гражданин."};
inline constexpr Words kCase{"Case", "Номер дела"};
inline constexpr Words kCaseHint{"Number of the request, visit or order.", "Номер обращения, визита или заказа."};
inline constexpr Words kPurposeFirst{"Say what for, and on which case", "Укажите цель и номер дела"};
inline constexpr Words kPurposeFirstText{
    "Nothing is shown without. It is written into the citizen's access log first.",
    "Без этого ничего не показывается. Запись сначала попадает в журнал доступа гражданина."};
inline constexpr Words kSearch{"Search", "Найти"};
inline constexpr Words kFound{"Found", "Найдено"};
inline constexpr Words kNobody{"Nobody is found so.", "Никого не найдено."};
inline constexpr Words kMore{"There are more: type more of the name.", "Есть ещё: введите больше букв имени."};
inline constexpr Words kName{"Name", "Имя"};
inline constexpr Words kBorn{"Born", "Дата рождения"};
inline constexpr Words kOpen{"Open", "Открыть"};

inline constexpr Words kCitizen{"Citizen", "Гражданин"};
inline constexpr Words kLatin{"In Latin letters", "Латиницей"};
inline constexpr Words kSnils{"SNILS", "СНИЛС"};
inline constexpr Words kInsurance{"Medical insurance", "Медицинское страхование"};
inline constexpr Words kRegion{"Region", "Регион"};
inline constexpr Words kRegistryId{"Number in the registry", "Номер в реестре"};
inline constexpr Words kConcessions{"Concessions", "Льготы"};
inline constexpr Words kCards{"Cards", "Карты"};
inline constexpr Words kNoCards{"No card has been ordered.", "Карты не заказаны."};
inline constexpr Words kNone{"none", "нет"};

inline constexpr Words kCard{"Card", "Карта"};
inline constexpr Words kInRegistry{"in the registry:", "в реестре:"};
inline constexpr Words kOver{"The card is past its end", "Срок карты истёк"};
inline constexpr Words kOverText{"It is not activated, sent off or released any more. Order another in its place.",
                                 "Её больше нельзя активировать, отправить или возобновить. Закажите карту взамен."};
inline constexpr Words kSerial{"Serial of the chip", "Номер микросхемы"};
inline constexpr Words kStatusIndex{"Status index", "Индекс статуса"};
inline constexpr Words kProfile{"Kind", "Вид"};
inline constexpr Words kState{"State", "Состояние"};
inline constexpr Words kValidUntil{"Valid until", "Действует до"};
inline constexpr Words kChanged{"Since", "С"};
inline constexpr Words kReplaces{"In the place of", "Взамен"};
inline constexpr Words kCertificates{"Certificates", "Сертификаты"};
inline constexpr Words kUse{"Use", "Назначение"};
inline constexpr Words kNumber{"Serial number", "Серийный номер"};
inline constexpr Words kUntil{"Until", "До"};
inline constexpr Words kLife{"Life", "История"};
inline constexpr Words kWhen{"When", "Когда"};
inline constexpr Words kWho{"Who", "Кто"};
inline constexpr Words kWhatHappened{"What", "Что"};
inline constexpr Words kWhy{"Why", "Причина"};
inline constexpr Words kNextSteps{"Next steps", "Следующие шаги"};
inline constexpr Words kNoSteps{"Its life is over: nothing follows.", "Карта завершила свой путь, шагов больше нет."};
inline constexpr Words kWhyHint{"In a few words, for the card's events.", "Кратко, для истории карты."};
inline constexpr Words kRevocationReason{"Reason in the revocation list", "Причина в списке отзыва"};
inline constexpr Words kConfirm{"Confirm", "Подтверждение"};
inline constexpr Words kFinal{"This cannot be undone. The card's certificates go with it.",
                              "Это необратимо. Сертификаты карты отзываются вместе с ней."};
inline constexpr Words kTakesEffect{
    "It takes effect at once; gates without a network learn of it with the next stop-list.",
    "Действует сразу; турникеты без сети узнают об этом со следующим стоп-листом."};
inline constexpr Words kDoIt{"Do it", "Выполнить"};
inline constexpr Words kCancel{"Cancel", "Отмена"};
inline constexpr Words kMovedMeanwhile{"The card has moved on meanwhile", "Состояние карты уже изменилось"};
inline constexpr Words kDone{"It is done.", "Выполнено."};

inline constexpr Words kRole{"Role", "Роль"};
inline constexpr Words kLastSeen{"Last seen", "Последняя связь"};
inline constexpr Words kCvUntil{"Certificate towards cards until", "Сертификат для карт до"};
inline constexpr Words kTlsUntil{"Certificate towards the authority until", "Сертификат для связи до"};
inline constexpr Words kJournal{"Journal", "Журнал"};
inline constexpr Words kRecords{"records", "записей"};
inline constexpr Words kNever{"never", "никогда"};
inline constexpr Words kNoTerminals{"No terminal is enrolled.", "Терминалы не зарегистрированы."};
inline constexpr Words kRevokeTerminal{"Revoke the terminal", "Отозвать терминал"};
inline constexpr Words kRevokeTerminalText{
    "It is refused from now on, and its name is not given again. Cards accept its certificate until that ends.",
    "Терминал больше не обслуживается, имя повторно не выдаётся. Карты принимают его сертификат до конца срока."};
inline constexpr Words kNext{"Go on", "Дальше"};
inline constexpr Words kExpired{"over", "истёк"};
inline constexpr Words kSoon{"ends soon", "скоро истекает"};

inline constexpr Words kDays{"Days", "Дней"};
inline constexpr Words kLogIns{"Log-ins a day", "Входов в день"};
inline constexpr Words kHigh{"with card and PIN", "по карте и ПИН-коду"};
inline constexpr Words kSubstantial{"with a certificate", "по сертификату"};
inline constexpr Words kLow{"with a code", "по коду"};
inline constexpr Words kLogInsToday{"Log-ins today", "Входов сегодня"};
inline constexpr Words kCardsByState{"Cards by state", "Карты по состояниям"};
inline constexpr Words kRequestsADay{"Requests between departments a day", "Межведомственных запросов в день"};
inline constexpr Words kReceived{"received", "получено"};
inline constexpr Words kAnswersADay{"Answers a day", "Ответов в день"};
inline constexpr Words kInTime{"in time", "в срок"};
inline constexpr Words kLate{"late", "с опозданием"};
inline constexpr Words kRequestsOpen{"Requests without an answer", "Запросов без ответа"};
inline constexpr Words kRequestsOverdue{"of these overdue", "из них просрочено"};

inline constexpr Words kRequestsTitle{"Requests between departments", "Межведомственные запросы"};
inline constexpr Words kNoRequests{"There are no such requests.", "Таких запросов нет."};
inline constexpr Words kRequest{"Request", "Запрос"};
inline constexpr Words kDepartment{"Department, asking or asked", "Ведомство: спрашивает или отвечает"};
inline constexpr Words kAnyDepartment{"any", "любое"};
inline constexpr Words kAllRequests{"all, overdue ones first", "все, сначала просроченные"};
inline constexpr Words kOverdueRequests{"overdue", "просроченные"};
inline constexpr Words kOpenRequests{"not answered", "без ответа"};
inline constexpr Words kAnsweredRequests{"answered", "с ответом"};
inline constexpr Words kShow{"Show", "Показать"};
inline constexpr Words kOverdue{"overdue", "просрочен"};
inline constexpr Words kNotAnswered{"not answered", "без ответа"};
inline constexpr Words kAnswered{"answered", "ответ дан"};
inline constexpr Words kAnsweredLate{"answered late", "ответ дан с опозданием"};
inline constexpr Words kAnsweredAt{"Answered", "Ответ получен"};
inline constexpr Words kToldAt{"The citizen is told", "Гражданину сообщат"};
inline constexpr Words kLegalBasis{"Legal basis", "Правовое основание"};
inline constexpr Words kUnknownCitizen{"nobody the registry knows", "нет в реестре"};
inline constexpr Words kNotYoursToSee{"shown to operators who may find people (find)",
                                      "видно операторам с правом поиска (find)"};
inline constexpr Words kReceipts{"Receipts", "Расписки"};
inline constexpr Words kReceiptsText{
    "Signed by the identity system, without personal data: karta request check reads them.",
    "Подписаны системой, личных данных нет; проверяет karta request check."};
inline constexpr Words kRequestReceipt{"For the request", "О запросе"};
inline constexpr Words kAnswerReceipt{"For the answer", "Об ответе"};
inline constexpr Words kFrom{"From", "От"};
inline constexpr Words kTo{"To", "Кому"};
inline constexpr Words kAsked{"Asked for", "Запрошено"};
inline constexpr Words kReceivedAt{"Received", "Получен"};
inline constexpr Words kDeadline{"Deadline", "Срок"};

inline constexpr Words kActsTitle{"What operators did and looked at", "Что делали и смотрели операторы"};
inline constexpr Words kNoActs{"Nothing yet.", "Пока ничего."};
inline constexpr Words kAbout{"About", "О ком или о чём"};

struct CardStateWords {
  CardState state;
  Words name;  ///< the state
  Words step;  ///< to bring a card there
};
inline constexpr auto kCardStates = std::to_array<CardStateWords>({
    {CardState::ordered, {"ordered", "заказана"}, {"Order", "Заказать"}},
    {CardState::produced, {"produced", "изготовлена"}, {"Produce", "Изготовить"}},
    {CardState::shipped, {"on its way", "в пути"}, {"Send it off", "Отправить"}},
    {CardState::active, {"active", "действует"}, {"Activate", "Активировать"}},
    {CardState::suspended, {"suspended", "приостановлена"}, {"Suspend", "Приостановить"}},
    {CardState::revoked, {"revoked", "отозвана"}, {"Revoke", "Отозвать"}},
    {CardState::expired, {"expired", "срок истёк"}, {"Set expired", "Завершить срок"}},
    {CardState::replaced, {"replaced", "заменена"}, {"Set replaced", "Отметить заменённой"}},
});

struct TerminalStateWords {
  TerminalState state;
  Words name;
};
inline constexpr auto kTerminalStates = std::to_array<TerminalStateWords>({
    {TerminalState::invited, {"invited", "приглашён"}},
    {TerminalState::enrolled, {"enrolled", "в работе"}},
    {TerminalState::revoked, {"revoked", "отозван"}},
});

}  // namespace karta::identity::console_words
