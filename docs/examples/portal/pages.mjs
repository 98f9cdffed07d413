// pages: what visitors see, in Russian and English.
const texts = {
  title: { ru: 'Портал города Примерска', en: 'Primersk city portal' },
  lead: { ru: 'Справки, заявления и запись к врачу — без очередей.', en: 'Certificates, applications and appointments, without queues.' },
  login: { ru: 'Войти по карте гражданина', en: 'Log in with your citizen card' },
  logout: { ru: 'Выйти', en: 'Log out' },
  greeting: { ru: 'Здравствуйте', en: 'Welcome' },
  about: { ru: 'Что портал о вас знает', en: 'What this portal knows about you' },
  level: { ru: 'Уровень входа', en: 'Level of log-in' },
  at: { ru: 'Вход выполнен', en: 'Logged in at' },
  out: { ru: 'Вы вышли.', en: 'You are logged out.' },
  refused: { ru: 'Войти не удалось', en: 'You are not logged in' },
  again: { ru: 'Попробовать ещё раз', en: 'Try again' },
  sample: { ru: 'Пример портала: весь город выдуман.', en: 'A sample portal: the whole city is made up.' },
  how: {
    ru: 'Приготовьте карту и ПИН. Портал увидит только то, что вы разрешите.',
    en: 'Have your card and PIN at hand. The portal sees only what you allow.',
  },
};
const levels = {
  high: { ru: 'высокий: карта, ПИН, состояние карты проверено', en: 'high: card, PIN, status of the card looked up' },
  substantial: { ru: 'существенный: карта и ПИН', en: 'substantial: card and PIN' },
  low: { ru: 'низкий: одноразовый код', en: 'low: one-time code' },
};
const claims = {
  name: { ru: 'Имя', en: 'Name' },
  birthdate: { ru: 'Дата рождения', en: 'Date of birth' },
  snils: { ru: 'СНИЛС', en: 'SNILS' },
  inn: { ru: 'ИНН', en: 'INN' },
  region: { ru: 'Регион', en: 'Region' },
};
const refusals = {
  access_denied: { ru: 'Вход отменён, или карту нельзя принять.', en: 'The log-in was cancelled, or the card cannot be accepted.' },
  login_required: { ru: 'Нужно войти заново.', en: 'You have to log in anew.' },
  consent_required: { ru: 'Без вашего согласия портал не получит данных.', en: 'Without your consent the portal gets no data.' },
  expired: { ru: 'Время на вход истекло, или эта страница открыта не в том же браузере.', en: 'The time for this log-in is over, or this is another browser.' },
  other: { ru: 'Служба входа сейчас не отвечает как должно. Попробуйте позже.', en: 'The log-in service does not answer as it should at present. Try again later.' },
};

const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text) => String(text).replace(/[&<>"']/g, (one) => escapes[one]);

export const languageOf = (request) => (/^\s*en\b/i.test(request.headers['accept-language'] ?? '') ? 'en' : 'ru');

function page(language, body) {
  const say = (key) => escape(texts[key][language]);
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${say('title')}</title>
<link rel="stylesheet" href="/portal.css">
</head>
<body>
<header><p class="name">${say('title')}</p></header>
<main>
${body}
</main>
<footer>${say('sample')}</footer>
</body>
</html>
`;
}

export function welcome(language, note) {
  const say = (key) => escape(texts[key][language]);
  return page(language, `${note ? `<p class="note" role="status">${say(note)}</p>` : ''}
<h1>${say('title')}</h1>
<p class="lead">${say('lead')}</p>
<p><a class="button" href="/login">${say('login')}</a></p>
<p class="hint">${say('how')}</p>`);
}

export function account(language, visitor) {
  const say = (key) => escape(texts[key][language]);
  const rows = Object.entries(claims)
    .filter(([name]) => visitor.claims[name] !== undefined)
    .map(([name, label]) => `<div><dt>${escape(label[language])}</dt><dd data-claim="${name}">${escape(visitor.claims[name])}</dd></div>`);
  const level = levels[visitor.level]?.[language] ?? visitor.level;
  const at = visitor.at.toLocaleString(language === 'ru' ? 'ru-RU' : 'en-GB', { dateStyle: 'long', timeStyle: 'short' });
  return page(language, `<h1>${say('greeting')}${visitor.claims.name ? `, <span class="who">${escape(visitor.claims.name)}</span>` : ''}</h1>
<h2>${say('about')}</h2>
<dl>
${rows.join('\n')}
<div><dt>${say('level')}</dt><dd data-claim="acr" data-value="${escape(visitor.level)}">${escape(level)}</dd></div>
<div><dt>${say('at')}</dt><dd>${escape(at)}</dd></div>
</dl>
<form method="post" action="/logout"><button class="button">${say('logout')}</button></form>`);
}

export function refused(language, error) {
  const say = (key) => escape(texts[key][language]);
  const why = (refusals[error] ?? refusals.other)[language];
  return page(language, `<h1>${say('refused')}</h1>
<p class="lead" data-error="${escape(error)}">${escape(why)}</p>
<p><a class="button" href="/login">${say('again')}</a></p>`);
}
