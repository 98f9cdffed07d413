// words: everything the pages say, in English and Russian, one row a sentence.

const rows = {
  // The frame.
  'mode.home': ['Desk', 'Рабочее место'],
  'mode.clinic': ['Clinic', 'Клиника'],
  'mode.pharmacy': ['Pharmacy', 'Аптека'],
  'mode.counter': ['Counter', 'Обслуживание'],
  'mode.transit': ['Transit', 'Транспорт'],
  'mode.login': ['Log in', 'Вход'],
  'about.clinic': ['Who is here, and are they insured?', 'Кто пришёл на приём и застрахован ли он'],
  'about.pharmacy': ['Subsidised medicine, once for each prescription', 'Льготные лекарства: один раз по каждому рецепту'],
  'about.counter': ['Activate, unblock, renew a card; load an application', 'Активация, разблокировка, обновление карт, загрузка приложений'],
  'about.transit': ['Gates as they work, and the inspection of a card', 'Работа турникетов и контроль карт'],
  'nav': ['Desks', 'Разделы'],
  'language.other': ['Русский', 'English'],
  'language.switch': ['Перейти на русский язык', 'Switch to English'],
  'logout': ['Log out', 'Выйти'],
  'live': ['Live', 'На связи'],
  'not-live': ['Reconnecting…', 'Связь восстанавливается…'],
  'notices': ['Notices', 'Сообщения'],
  'choose-desk': ['Choose a desk', 'Выберите раздел'],
  'details': ['Technical details', 'Технические подробности'],
  'print': ['Print', 'Печать'],
  'clear': ['Clear the screen', 'Очистить экран'],
  'try-again': ['Try again', 'Повторить'],
  'leave': ['The holder has left', 'Владелец ушёл'],
  'optional': ['not required', 'необязательно'],
  'needed': ['Please fill this in.', 'Заполните это поле.'],
  'keys': ['Enter reads the card, Esc clears the screen.', 'Enter — прочитать карту, Esc — очистить экран.'],

  // Log-in.
  'login.wait': ['Logging in…', 'Выполняется вход…'],
  'login.title': ['This desk is not logged in', 'Вход на рабочее место не выполнен'],
  'login.how': ['Open the link that the daemon keeps for this desk. It is good once; a new one is there after each log-in.',
    'Откройте ссылку, которую служба хранит для этого рабочего места. Она действует один раз; после каждого входа появляется новая.'],
  'login.command': ['As a rule it is in', 'Обычно она записана в файле'],
  'login.used': ['This link was used already, or is not the newest one.', 'Эта ссылка уже использована или устарела.'],
  'login.ended': ['The session of this desk has ended.', 'Сеанс этого рабочего места завершён.'],
  'login.out': ['You are logged out.', 'Вы вышли из системы.'],

  // Readers.
  'reader': ['Card reader', 'Считыватель'],
  'readers': ['Card readers', 'Считыватели'],
  'reader.none': ['No card reader', 'Нет считывателя'],
  'reader.none.next': ['Plug a reader in. It is noticed by itself.', 'Подключите считыватель: он определится сам.'],
  'reader.empty': ['No card in the reader', 'В считывателе нет карты'],
  'reader.empty.next': ['Put the card on the reader.', 'Положите карту на считыватель.'],
  'reader.card': ['A card is in the reader', 'Карта в считывателе'],
  'reader.card.next': ['Ready to read it.', 'Можно читать.'],
  'reader.working': ['Reading the card', 'Идёт чтение карты'],
  'reader.working.next': ['Leave the card where it is.', 'Не убирайте карту.'],
  'reader.busy': ['Another program holds the card', 'Карту использует другая программа'],
  'reader.busy.next': ['Close that program, or wait a moment.', 'Закройте её или немного подождите.'],
  'reader.mute': ['The card does not answer', 'Карта не отвечает'],
  'reader.mute.next': ['Take it out, clean its contacts, put it back.', 'Извлеките карту, протрите контакты и вставьте снова.'],

  // The form.
  'can': ['Card access number (CAN)', 'Код доступа с карты (CAN)'],
  'can.hint': ['Six digits printed on the card', 'Шесть цифр, напечатанных на карте'],
  'can.wrong': ['The number has six digits.', 'Код состоит из шести цифр.'],
  'purpose': ['Purpose of the visit', 'Цель обращения'],
  'purpose.treatment': ['Treatment', 'Лечение'],
  'purpose.registration': ['Registration', 'Прикрепление'],
  'purpose.emergency': ['Emergency care', 'Экстренная помощь'],
  'case': ['Case number', 'Номер случая'],
  'read-card': ['Read the card', 'Прочитать карту'],
  'reading': ['Reading the card…', 'Карта читается…'],
  'reading.keep': ['Leave the card in the reader.', 'Не убирайте карту из считывателя.'],
  'new-visit': ['New visit', 'Новое обращение'],
  'empty.clinic': ['Put the card on the reader and type the six digits printed on it.', 'Положите карту на считыватель и введите шесть цифр, напечатанных на ней.'],
  'empty.clinic.title': ['Nobody has been read yet', 'Карта ещё не прочитана'],
  'card-gone': ['The card was taken out. What it said stays here until {time}.', 'Карта извлечена. Сведения останутся на экране до {time}.'],
  'cleared': ['The screen was cleared.', 'Экран очищен.'],

  // The decision.
  'decision.accepted': ['Card accepted', 'Карта принята'],
  'decision.refused': ['Card refused', 'Карта отклонена'],
  'decision.unknown': ['Card could not be judged', 'Карту не удалось проверить до конца'],
  'decision.accepted.next': ['Genuine, in force, and present.', 'Карта подлинная, действует и предъявлена лично.'],
  'decision.refused.next': ['Do not serve the holder by this card.', 'Обслуживать по этой карте нельзя.'],
  'decision.unknown.next': ['Decide by the rules of your organisation; the reasons are below.', 'Решение — по правилам вашей организации; причины указаны ниже.'],
  'reasons': ['Reasons', 'Причины'],

  // The holder.
  'holder': ['Holder', 'Владелец карты'],
  'portrait.alt': ['Portrait from the card: {name}', 'Фотография с карты: {name}'],
  'portrait.coming': ['The portrait is coming', 'Читается фотография'],
  'portrait.failed': ['The portrait could not be read', 'Фотографию прочитать не удалось'],
  'birth-date': ['Date of birth', 'Дата рождения'],
  'age': ['{n} years old', { one: '{n} год', few: '{n} года', many: '{n} лет', other: '{n} года' }],
  'sex': ['Sex', 'Пол'],
  'sex.M': ['male', 'мужской'],
  'sex.F': ['female', 'женский'],
  'valid-until': ['Card valid until', 'Карта действует до'],
  'status-index': ['Status index', 'Номер состояния'],
  'state': ['State', 'Состояние'],
  'not-read': ['Not shown', 'Не показано'],
  'not-read.refused': ['This desk’s role has no right to it', 'Роль рабочего места не даёт на это права'],
  'not-read.denied': ['The card did not release it', 'Карта не раскрыла эти сведения'],
  'not-read.absent': ['Not on this card', 'Этого нет на карте'],
  'group.document-type': ['document type', 'вид документа'],
  'group.issuing-state': ['issuing state', 'страна выдачи'],
  'group.expiry': ['date of expiry', 'срок действия'],
  'group.given-names': ['given names', 'имя'],
  'group.family-names': ['family names', 'фамилия'],
  'group.patronymic': ['patronymic', 'отчество'],
  'group.academic-title': ['academic title', 'учёное звание'],
  'group.birth-date': ['date of birth', 'дата рождения'],
  'group.birth-place': ['place of birth', 'место рождения'],
  'group.nationality': ['nationality', 'гражданство'],
  'group.sex': ['sex', 'пол'],
  'group.national-numbers': ['SNILS', 'СНИЛС'],
  'group.birth-name': ['name at birth', 'фамилия при рождении'],
  'group.issue-date': ['date of issue', 'дата выдачи'],
  'group.insurance-number': ['insurance policy number', 'номер полиса ОМС'],
  'group.portrait': ['portrait', 'фотография'],
  'group.residence': ['place of residence', 'место жительства'],
  'group.community': ['community of residence', 'код муниципалитета'],
  'group.taxpayer-number': ['taxpayer number', 'ИНН'],
  'group.optional-data': ['data written after issue', 'сведения, внесённые после выдачи'],
  'group.insurance': ['insurance', 'страхование'],
  'group.emergency': ['emergency data', 'экстренные сведения'],

  // Insurance and emergency data.
  'insurance': ['Health insurance', 'Обязательное медицинское страхование'],
  'insurance.valid': ['Insured', 'Застрахован'],
  'insurance.over': ['Policy has ended', 'Полис не действует'],
  'insurance.early': ['Policy has not begun', 'Полис ещё не действует'],
  'enp': ['Policy number', 'Номер полиса (ЕНП)'],
  'insurer': ['Insurer', 'Страховая организация'],
  'period': ['Valid', 'Срок действия'],
  'period.open': ['from {from}, without end', 'с {from}, бессрочно'],
  'period.none': ['without limit', 'без ограничения срока'],
  'period.until': ['until {until}', 'по {until}'],
  'period.closed': ['{from} to {until}', 'с {from} по {until}'],
  'emergency': ['Emergency data', 'Экстренные медицинские сведения'],
  'blood-group': ['Blood group', 'Группа крови'],
  'allergies': ['Allergies', 'Аллергии'],
  'conditions': ['Conditions', 'Заболевания и состояния'],
  'contacts': ['Call in an emergency', 'Кому сообщить'],
  'none-noted': ['none noted', 'не указаны'],

  // The receipt and the timeline.
  'receipt': ['Visit receipt', 'Квитанция о предъявлении карты'],
  'receipt.signed': ['Signed by the card: it was here', 'Подписана картой: карта была предъявлена'],
  'receipt.unsigned': ['Not signed by the card', 'Без подписи карты'],
  'receipt.number': ['Number', 'Номер'],
  'receipt.journal': ['Journal record', 'Запись журнала'],
  'receipt.signature': ['The card’s signature', 'Подпись карты'],
  'receipt.time': ['Time', 'Время'],
  'timeline': ['Where the time went', 'На что ушло время'],
  'timeline.step': ['Step', 'Шаг'],
  'timeline.commands': ['Commands', 'Команды'],
  'timeline.octets': ['Octets', 'Байты'],
  'timeline.time': ['Time', 'Время'],
  'ms': ['{n} ms', '{n} мс'],
  'step.connect': ['Connecting to the card', 'Соединение с картой'],
  'step.card-access': ['What the card can do', 'Возможности карты'],
  'step.pace': ['Access number, encrypted channel', 'Код доступа, защищённый канал'],
  'step.terminal-certificates': ['Terminal shows its certificates', 'Терминал предъявляет сертификаты'],
  'step.terminal-authentication': ['Terminal proves its key', 'Терминал подтверждает свой ключ'],
  'step.issuer-signature': ['Issuer’s signature over the card', 'Подпись издателя карты'],
  'step.chip-authentication': ['Chip proves it is no copy', 'Чип подтверждает, что он не копия'],
  'step.select': ['Choosing the application', 'Выбор приложения'],
  'step.data': ['Reading data', 'Чтение данных'],
  'step.health': ['Insurance and emergency data', 'Страховые и экстренные сведения'],
  'step.holder': ['Data of the holder', 'Сведения о владельце'],
  'step.ledger': ['The card’s counter', 'Счётчик карты'],
  'step.signature': ['Card signs the receipt', 'Карта подписывает квитанцию'],
  'step.receipt': ['Card signs the receipt', 'Карта подписывает квитанцию'],
  'step.open': ['Opening the card’s counter', 'Открытие счётчика карты'],
  'step.commit': ['Writing the change', 'Запись изменения'],
  'step.ratify': ['Confirming it', 'Подтверждение записи'],
  'step.pin': ['PIN', 'PIN'],
  'step.update': ['Writing to the card', 'Запись на карту'],
  'step.n': ['Exchange with the centre no. {n}', 'Обмен с центром № {n}'],
  'step.other': ['Other', 'Прочее'],

  // Pharmacy.
  'empty.pharmacy.title': ['No entitlements shown yet', 'Льготы ещё не прочитаны'],
  'empty.pharmacy': ['Put the card on the reader and type its six digits: the holder’s entitlements appear here.', 'Положите карту на считыватель и введите шесть цифр: здесь появятся льготы владельца.'],
  'entitlements': ['Entitlements', 'Льготы на лекарства'],
  'entitlements.show': ['Show entitlements', 'Показать льготы'],
  'entitlements.none': ['This card has no entitlements.', 'На карте нет льгот.'],
  'medicine': ['Medicine (ATC)', 'Лекарство (АТХ)'],
  'package': ['Package', 'Код упаковки'],
  'left': ['Left', 'Осталось'],
  'packages.n': [{ one: '{n} package', other: '{n} packages' }, { one: '{n} упаковка', few: '{n} упаковки', many: '{n} упаковок', other: '{n} упаковки' }],
  'used-up': ['used up', 'использовано'],
  'not-valid-now': ['not valid today', 'сегодня не действует'],
  'redeem.title': ['Dispense medicine', 'Отпуск лекарства'],
  'packages': ['Packages', 'Количество упаковок'],
  'packages.wrong': ['From 1 to {n}.', 'От 1 до {n}.'],
  'prescription': ['Prescription number', 'Номер рецепта'],
  'prescription.wrong': ['The number of the prescription: digits only.', 'Номер рецепта — только цифры.'],
  'redeem': ['Take off the card', 'Списать с карты'],
  'redeeming': ['Writing to the card…', 'Запись на карту…'],
  'redeemed': ['Taken off the card', 'Списано с карты'],
  'redeemed.next': ['Hand the medicine out.', 'Выдайте лекарство.'],
  'redeemed.settled': ['It had been written already before the card was taken out: nothing was taken off twice.', 'Запись уже была сделана до извлечения карты: повторного списания нет.'],
  'redeem.unclear': ['It is not known whether the card wrote it', 'Неизвестно, успела ли карта записать списание'],
  'redeem.unclear.next': ['Do not hand anything out yet. Put the same card back and press “Try again”: if it was written, it is not written again.',
    'Пока не выдавайте лекарство. Верните ту же карту и нажмите «Повторить»: если списание уже прошло, второго не будет.'],
  'redeem.left': ['Noted. If the card wrote it, the next visit of this card here settles it.', 'Учтено. Если карта сделала запись, это выяснится при следующем предъявлении карты.'],
  'redeem.refused': ['Nothing may be handed out for this card', 'По этой карте выдавать нельзя'],
  'redeem.refused.next': ['The reason is below.', 'Причина указана ниже.'],
  'redeem.already': ['Another pharmacy has just redeemed this prescription', 'По этому рецепту только что выдали в другой аптеке'],
  'redeem.already.next': ['Do not hand anything out.', 'Лекарство не выдавайте.'],
  'redeem.receipt': ['Receipt', 'Квитанция'],
  'card-sequence': ['Card’s sequence number', 'Порядковый номер карты'],
  'settlement': ['Settlement code', 'Код расчёта'],

  // Counter.
  'deed': ['What is to be done?', 'Что нужно сделать?'],
  'deed.activate': ['Activate the card', 'Активировать карту'],
  'deed.activate.about': ['A new card starts to work once it is handed over', 'Новая карта начинает действовать при выдаче'],
  'deed.unblock': ['Unblock a PIN', 'Разблокировать PIN'],
  'deed.unblock.about': ['By the holder’s PUK, or by a new letter', 'По PUK владельца или новым письмом'],
  'deed.renew': ['Renew certificates', 'Обновить сертификаты'],
  'deed.renew.about': ['New certificates for the keys on the card', 'Новые сертификаты для ключей карты'],
  'deed.application': ['Load an application', 'Загрузить приложение'],
  'deed.application.about': ['Of a department or a region', 'Ведомственное или региональное приложение'],
  'deed.replace': ['Replace the card', 'Заменить карту'],
  'deed.replace.about': ['This one is stopped, a new one is ordered', 'Эта карта блокируется, заказывается новая'],
  'with': ['How', 'Способ'],
  'with.letter': ['A letter with a new transport PIN', 'Письмо с новым транспортным PIN'],
  'with.puk': ['The holder’s PUK, typed here', 'PUK владельца, ввод здесь'],
  'with.pad': ['The holder’s PUK, on the reader’s keys', 'PUK владельца, на клавишах считывателя'],
  'puk': ['PUK', 'PUK'],
  'puk.hint': ['8 to 10 digits: the holder types them', 'От 8 до 10 цифр: вводит владелец'],
  'puk.wrong': ['The PUK has 8 to 10 digits.', 'PUK — от 8 до 10 цифр.'],
  'new-pin': ['New PIN', 'Новый PIN'],
  'new-pin.hint': ['6 to 8 digits: the holder types them', 'От 6 до 8 цифр: вводит владелец'],
  'new-pin.wrong': ['A PIN has 6 to 8 digits.', 'PIN — от 6 до 8 цифр.'],
  'why': ['Why', 'Причина'],
  'why.lost': ['lost', 'утрачена'],
  'why.stolen': ['stolen', 'украдена'],
  'why.damaged': ['damaged', 'повреждена'],
  'why.expiring': ['about to expire', 'истекает срок'],
  'why.name_changed': ['the holder’s name has changed', 'изменились данные владельца'],
  'pin.which': ['Which PIN', 'Какой PIN'],
  'pin.PIN1': ['PIN1, everyday', 'PIN1, для повседневных операций'],
  'pin.PIN2': ['PIN2, signature', 'PIN2, для подписи'],
  'renew.which': ['Which certificates', 'Какие сертификаты'],
  'renew.ending': ['Those that end within 60 days', 'Истекающие в ближайшие 60 дней'],
  'renew.all': ['All of them', 'Все'],
  'aid': ['Application identifier (AID)', 'Идентификатор приложения (AID)'],
  'aid.hint': ['Hexadecimal, as the department gave it', 'В шестнадцатеричном виде, от ведомства'],
  'aid.wrong': ['10 to 32 hexadecimal digits.', 'От 10 до 32 шестнадцатеричных цифр.'],
  'offer': ['The department’s offer', 'Предложение ведомства'],
  'offer.hint': ['The file it sent for this card', 'Файл, полученный для этой карты'],
  'reason': ['Reason', 'Основание'],
  'reason.hint': ['For the record: number of the application or request', 'Для истории: номер заявления или обращения'],
  'operator': ['Operator', 'Оператор'],
  'operator.hint': ['Your number', 'Ваш табельный номер'],
  'do-deed': ['Start', 'Выполнить'],
  'deed.working': ['The centre is working on the card…', 'Центр работает с картой…'],
  'deed.activate.done': ['The card is active', 'Карта активирована'],
  'deed.unblock.done': ['The PIN is unblocked', 'PIN разблокирован'],
  'deed.replace.done': ['A new card is ordered', 'Новая карта заказана'],
  'deed.renew.done': ['The certificates are up to date', 'Сертификаты обновлены'],
  'deed.application.done': ['The application is on the card', 'Приложение загружено'],
  'deed.activate.next': ['Hand it to its holder; the PINs are chosen with the letter.', 'Передайте карту владельцу; PIN он задаст сам по письму.'],
  'deed.unblock.next': ['Give the card back. After a letter, the PIN in it is changed first.', 'Верните карту владельцу. Если оформлено письмо, PIN из него сначала меняют.'],
  'deed.replace.next': ['Keep the old card; it is stopped.', 'Изымите старую карту: она заблокирована.'],
  'ordered': ['New card', 'Новая карта'],
  'deed.renew.next': ['Give the card back; nothing else has changed.', 'Верните карту владельцу; остальное не изменилось.'],
  'deed.application.next': ['Give the card back. The receipt below goes to the department.', 'Верните карту владельцу. Квитанция ниже — для ведомства.'],
  'deed.already': ['It had been done before; nothing was done twice.', 'Это уже было сделано раньше; повторно ничего не выполнялось.'],
  'deed.unclear': ['It broke off in the middle', 'Операция прервалась'],
  'deed.unclear.next': ['Put the same card back and press “Try again”: what is done already is not done twice.', 'Верните ту же карту и нажмите «Повторить»: выполненное повторно не выполняется.'],
  'deed.what': ['Operation', 'Операция'],
  'until': ['Valid until', 'Действует до'],
  'until.short': ['until {date}', 'до {date}'],
  'card-serial': ['Card number', 'Номер карты'],
  'profile': ['Profile', 'Профиль'],
  'certificates': ['Certificates', 'Сертификаты'],
  'outcome.kept': ['in order', 'в порядке'],
  'outcome.completed': ['completed', 'завершён'],
  'outcome.renewed': ['renewed', 'обновлён'],
  'state.produced': ['produced', 'изготовлена'],
  'state.shipped': ['shipped', 'отправлена'],
  'state.active': ['active', 'действует'],
  'state.suspended': ['suspended', 'приостановлена'],
  'state.revoked': ['revoked', 'отозвана'],
  'state.replaced': ['replaced', 'заменена'],
  'state.expired': ['expired', 'истекла'],
  'department-receipt': ['Receipt for the department', 'Квитанция для ведомства'],
  'deed.receipt': ['Record of the deed', 'Сведения об операции'],
  'empty.counter.title': ['Nothing done yet', 'Операции ещё не выполнялись'],
  'empty.counter': ['Put the card on the reader, choose what is to be done, and press “Start”. The centre must be reachable.', 'Положите карту на считыватель, выберите операцию и нажмите «Выполнить». Нужна связь с центром.'],

  // Transit.
  'gates': ['Gates', 'Турникеты'],
  'gates.none': ['No gate is at work.', 'Нет работающих турникетов.'],
  'gate.n': ['Gate {n}', 'Турникет {n}'],
  'gate.open': ['Open', 'Проход открыт'],
  'gate.denied': ['Denied', 'Проход закрыт'],
  'gate.ready': ['Ready', 'Готов'],
  'gate.working': ['Reading', 'Чтение'],
  'gate.closed': ['Out of service', 'Не работает'],
  'gate.opened.n': ['opened', 'проходов'],
  'gate.denied.n': ['denied', 'отказов'],
  'taps': ['Last taps', 'Последние проходы'],
  'taps.none': ['Nobody has tapped yet.', 'Проходов ещё не было.'],
  'tap.time': ['Time', 'Время'],
  'tap.gate': ['Gate', 'Турникет'],
  'tap.outcome': ['Outcome', 'Результат'],
  'tap.reason': ['Reason', 'Причина'],
  'tap.took': ['Took', 'Заняло'],
  'inspect': ['Inspect a card', 'Проверить карту'],
  'inspect.about': ['What the card itself has recorded: the last tap, and all of them with the access number.', 'Что записано на самой карте: последний проход, а с кодом доступа — все.'],
  'inspecting': ['Reading the card…', 'Карта читается…'],
  'inspection': ['What the card says', 'Что записано на карте'],
  'inspection.none': ['No trips on this card.', 'Поездок на карте нет.'],
  'verdict.good': ['in force', 'действует'],
  'verdict.stopped': ['on the stop-list', 'в стоп-листе'],
  'verdict.unknown': ['unknown here', 'неизвестна'],
  'product.period': ['pass', 'абонемент'],
  'product.trips': ['trips', 'на поездки'],
  'product.purse': ['purse', 'кошелёк'],
  'event.entry': ['entry', 'вход'],
  'event.exit': ['exit', 'выход'],
  'event.inspection': ['inspection', 'контроль'],
  'event.sale': ['sale', 'пополнение'],
  'product': ['Product', 'Проездной'],
  'concession': ['Concession', 'Льгота'],

  // The daemon's own state.
  'terminal': ['Terminal', 'Терминал'],
  'certificate-until': ['certificate until {date}', 'сертификат до {date}'],
  'trust-list': ['trust list', 'список доверия'],
  'stop-list': ['stop-list', 'стоп-лист'],
  'rules': ['transit rules', 'правила проезда'],
  'list.fresh': ['fresh', 'актуален'],
  'list.stale': ['stale', 'устарел'],
  'list.expired': ['expired', 'просрочен'],
  'list.missing': ['missing', 'отсутствует'],
  'list.early': ['from the future', 'с датой из будущего'],
  'list.epoch': ['no. {n}', '№ {n}'],
  'notice.stale': ['Overdue since {date}: {list}. Cards are still served.', '{list}: новая версия ожидалась {date}; карты пока обслуживаются по старой.'],
  'notice.expired': ['Out of date since {date}: {list}. Tell whoever looks after this desk.', '{list}: данные устарели {date}. Сообщите администратору.'],
  'notice.missing': ['Missing: {list}. Without it no card can be judged to the end.', 'Нет данных: {list}. Без них проверить карту до конца нельзя.'],
  'notice.early': ['Dated in the future: {list}. Check this machine’s clock.', '{list}: дата в будущем — проверьте часы компьютера.'],
  'notice.certificate.due': ['The terminal’s certificate ends on {date}; it is being renewed.', 'Сертификат терминала действует до {date}; выполняется обновление.'],
  'notice.certificate.urgent': ['The terminal’s certificate ends on {date} and could not be renewed. After that no card can be read.', 'Сертификат терминала действует до {date}, обновить его не удалось. После этого карты читаться не будут.'],
  'notice.certificate.expired': ['The terminal’s certificate has ended: cards show it nothing. Call whoever looks after this desk.', 'Срок сертификата терминала истёк: карты не раскрывают ему данные. Обратитесь к администратору.'],
  'notice.journal': ['The journal has not been uploaded for a while: {n} records wait.', 'Журнал давно не передавался: ожидают {n} записей.'],
  'notice.journal.full': ['The journal cannot be written, perhaps because the disk is full: what would have to be written down is refused.', 'Журнал не пишется: возможно, диск заполнен. Операции, которые нужно записать, отклоняются.'],
  'notice.journal.fork': ['The authority has another journal of this terminal. Stop working and call whoever looks after this desk.', 'В центре другой журнал этого терминала. Прекратите работу и обратитесь к администратору.'],
  'notice.clock.back': ['This machine’s clock was turned back: check it.', 'Часы компьютера переведены назад: проверьте их.'],
  'notice.clock.leapt': ['This machine’s clock has leapt far ahead: check it.', 'Часы компьютера ушли далеко вперёд: проверьте их.'],
  'notice.pcscd': ['The service of card readers has stopped. Readers are found again as soon as it is back.', 'Служба считывателей остановлена. Считыватели появятся, как только она возобновит работу.'],

  // What goes wrong: what, and what to do now. Kinds as the daemon names them.
  'error.no-daemon': ['The daemon does not answer', 'Служба не отвечает'],
  'next.no-daemon': ['It may be starting again. This page goes on as soon as it is back.', 'Возможно, она перезапускается. Страница продолжит работу, как только служба вернётся.'],
  'error.no-pcscd': ['The service of card readers has stopped', 'Служба считывателей остановлена'],
  'next.no-pcscd': ['Readers are found again as soon as it is back.', 'Считыватели появятся, как только она возобновит работу.'],
  'error.no-reader': ['There is no card reader', 'Нет считывателя'],
  'next.no-reader': ['Plug a reader in. It is noticed by itself.', 'Подключите считыватель: он определится сам.'],
  'error.no-card': ['There is no card in the reader', 'В считывателе нет карты'],
  'next.no-card': ['Put the card on the reader, then read it again.', 'Положите карту на считыватель и повторите чтение.'],
  'error.card-removed': ['The card was taken out too early', 'Карту убрали слишком рано'],
  'next.card-removed': ['Put it back and read it again; leave it until the result is shown.', 'Верните карту и повторите; не убирайте её до появления результата.'],
  'error.card-busy': ['Another program holds the card', 'Карту использует другая программа'],
  'next.card-busy': ['Close that program, or wait a moment, then read the card again.', 'Закройте её или немного подождите, затем повторите.'],
  'error.card-unresponsive': ['The card does not answer', 'Карта не отвечает'],
  'next.card-unresponsive': ['Take it out, clean its contacts, put it back. If it stays mute, the card is damaged.', 'Извлеките карту, протрите контакты, вставьте снова. Если не помогло, карта повреждена.'],
  'error.card-refused': ['The card refused', 'Карта отказала'],
  'next.card-refused': ['Read it again. If it refuses again, the holder needs another card.', 'Повторите чтение. Если отказ повторится, карту нужно заменить.'],
  'error.card-unknown': ['This is no card this desk can use', 'Это не карта гражданина'],
  'next.card-unknown': ['Ask for the citizen card.', 'Попросите карту гражданина.'],
  'error.card-insecure': ['The talk with the card was disturbed', 'Обмен с картой нарушен'],
  'next.card-insecure': ['Read it again. If it happens again, trust neither this card nor this reader.', 'Повторите чтение. Если это повторится, не доверяйте ни карте, ни считывателю.'],
  'error.wrong-pin': ['The access number is not right', 'Код доступа неверен'],
  'next.wrong-pin': ['Compare it with the six digits on the card and type it again.', 'Сверьте его с шестью цифрами на карте и введите ещё раз.'],
  'error.wrong-can': ['The access number is not right', 'Код доступа неверен'],
  'next.wrong-can': ['Compare it with the six digits on the card and type it again.', 'Сверьте его с шестью цифрами на карте и введите ещё раз.'],
  'error.pin-blocked': ['The PIN is blocked', 'PIN заблокирован'],
  'next.pin-blocked': ['A counter can unblock it.', 'Разблокировать можно в окне обслуживания.'],
  'error.transport-pin': ['The holder has not chosen a PIN yet', 'Владелец ещё не задал PIN'],
  'next.transport-pin': ['The transport PIN of the letter is changed first.', 'Сначала нужно сменить транспортный PIN из письма.'],
  'error.pin-rejected': ['The new PIN does not follow the rules', 'Новый PIN не подходит'],
  'next.pin-rejected': ['A PIN has 6 to 8 digits.', 'PIN — от 6 до 8 цифр.'],
  'error.untrusted': ['This card is not genuine, or of an issuer nobody here trusts', 'Карта не подлинная или выдана неизвестным издателем'],
  'next.untrusted': ['Do not serve the holder by this card.', 'Обслуживать по этой карте нельзя.'],
  'error.invalid-signature': ['A signature on the card is wrong', 'Подпись на карте неверна'],
  'next.invalid-signature': ['Do not serve the holder by this card.', 'Обслуживать по этой карте нельзя.'],
  'error.not-permitted': ['This desk may not do that', 'Этому рабочему месту это не разрешено'],
  'next.not-permitted': ['The reason is in the details.', 'Причина указана в подробностях.'],
  'error.stale': ['The lists of this desk are too old', 'Данные рабочего места просрочены'],
  'next.stale': ['Cards are refused until new lists arrive. Call whoever looks after this desk.', 'Карты отклоняются до поступления новых данных. Обратитесь к администратору.'],
  'error.not-found': ['That is not there any more', 'Этого уже нет'],
  'next.not-found': ['Read the card again.', 'Прочитайте карту ещё раз.'],
  'error.busy': ['The reader is busy with something else', 'Считыватель занят'],
  'next.busy': ['Try again in a moment.', 'Повторите через несколько секунд.'],
  'error.io': ['The network or a disk failed', 'Сбой сети или диска'],
  'next.io': ['Nothing was done. Try again; the details say what failed.', 'Ничего не выполнено. Повторите; подробности ниже.'],
  'error.configuration': ['This desk is not set up for that', 'Рабочее место для этого не настроено'],
  'next.configuration': ['Call whoever looks after this desk.', 'Обратитесь к администратору.'],
  'error.usage': ['The request was not understood', 'Запрос не понят'],
  'next.usage': ['Check what was typed.', 'Проверьте введённые данные.'],
  'error.malformed': ['What came could not be read', 'Данные не удалось прочитать'],
  'next.malformed': ['Read the card again.', 'Прочитайте карту ещё раз.'],
  'error.already-exists': ['That was done already', 'Это уже выполнено'],
  'next.already-exists': ['Nothing is left to be done.', 'Повторять не нужно.'],
  'error.limit': ['Too many at once', 'Слишком много запросов'],
  'next.limit': ['Wait a moment and try again.', 'Подождите и повторите.'],
  'error.unsupported': ['This card cannot do that', 'Карта этого не умеет'],
  'next.unsupported': ['The reason is in the details.', 'Причина указана в подробностях.'],
  'error.two-cards': ['Two cards are on the reader', 'На считывателе две карты'],
  'next.two-cards': ['Leave only one there.', 'Оставьте только одну.'],
  'error.unknown-caller': ['The session of this desk has ended', 'Сеанс рабочего места завершён'],
  'next.unknown-caller': ['Open the link of this desk again.', 'Откройте ссылку рабочего места ещё раз.'],
  'error.internal': ['A fault of the daemon', 'Внутренняя ошибка службы'],
  'next.internal': ['Try again. If it stays so, report it with the details.', 'Повторите. Если не поможет, сообщите о ней с подробностями.'],
};

// Why a card is refused, where the API says it in English only (daemon/decision.cpp).
const refusals = [
  ['The stop-list is too old to decide by: connect the terminal.', 'Стоп-лист слишком старый: подключите терминал к сети.'],
  ['The trust list is too old to decide by: connect the terminal.', 'Список доверия слишком старый: подключите терминал к сети.'],
  ['No issuer this terminal trusts has signed this card.', 'Карту не подписал ни один издатель, которому доверяет терминал.'],
  ['The chip does not prove that it is the one the issuer made.', 'Чип не подтвердил, что он изготовлен издателем: возможно, копия.'],
  ['The card is on the stop-list: lost, stolen or revoked.', 'Карта в стоп-листе: утрачена, украдена или отозвана.'],
  ['The identity system says now that the card is suspended or revoked.', 'Система идентификации сообщает: карта приостановлена или отозвана.'],
  ['The card\'s time is over.', 'Срок действия карты истёк.'],
];

const languages = ['en', 'ru'];
const place = 'karta-language';
let chosen = null;
try { chosen = localStorage.getItem(place); } catch { /* not kept */ }
let at = Math.max(0, languages.indexOf(chosen ?? document.documentElement.lang));
document.documentElement.lang = languages[at];

export const language = () => languages[at];

export function switchLanguage() {
  at = 1 - at;
  document.documentElement.lang = languages[at];
  try { localStorage.setItem(place, languages[at]); } catch { /* not kept */ }
}

export const known = (key) => key in rows;

/// The sentence of `key` with {name} filled in; where it has plural forms, by {n}. An unknown key is shown as it is.
export function t(key, values = {}) {
  let text = rows[key]?.[at] ?? key;
  if (typeof text === 'object') text = text[new Intl.PluralRules(language()).select(Number(values.n))] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/// What the daemon said in words: a text, or one a language.
export function told(words) {
  if (words === null || words === undefined) return '';
  if (typeof words === 'object') return words[language()] ?? words.en ?? '';
  return String(words);
}

/// The reason for a refusal in the reader's language; null: the text is none.
export const refusal = (text) => refusals.find(([english]) => english === text)?.[at] ?? null;

const locale = () => (language() === 'ru' ? 'ru-RU' : 'en-GB');
/// "2026-11-22", "1990-05", "1990" or a moment, as a date for people; other text as it is.
export function day(value) {
  const parts = /^(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?/.exec(value ?? '');
  if (!parts) return value ?? '';
  const [, year, month, date] = parts;
  if (!month) return year;
  const at0 = new Date(Date.UTC(Number(year), Number(month) - 1, Number(date ?? 1)));
  const form = date ? { day: 'numeric', month: 'long', year: 'numeric' } : { month: 'long', year: 'numeric' };
  return new Intl.DateTimeFormat(locale(), { ...form, timeZone: 'UTC' }).format(at0);
}
export function moment(value, seconds = true) {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return value ?? '';
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: seconds ? 'medium' : 'short' }).format(date);
}
export function clock(value, seconds = true) {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return value ?? '';
  return new Intl.DateTimeFormat(locale(), { timeStyle: seconds ? 'medium' : 'short' }).format(date);
}
/// As a sentence begins.
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const number = (value, digits = 0) =>
  new Intl.NumberFormat(locale(), { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
/// Whole years from `value`, a whole date, to today; null where the day is not known.
export function age(value) {
  const parts = /^(\d{4})-(\d{2})-(\d{2})$/.exec(value ?? '');
  if (!parts) return null;
  const now = new Date();
  const [year, month, date] = parts.slice(1).map(Number);
  const before = now.getMonth() + 1 < month || (now.getMonth() + 1 === month && now.getDate() < date);
  return now.getFullYear() - year - (before ? 1 : 0);
}
/// Digits in groups of four, with spaces that do not break.
export const grouped = (digits) => String(digits).replace(/(.{4})(?=.)/g, '$1\u00a0');
