// What makes pages nicer where scripts run; nothing needs it.

// Times in the reader's own zone.
const format = new Intl.DateTimeFormat(document.documentElement.lang === 'ru' ? 'ru-RU' : 'en-GB', { dateStyle: 'medium', timeStyle: 'short' });
for (const one of document.querySelectorAll('time[datetime]')) {
  const at = new Date(one.dateTime);
  if (Number.isNaN(at.getTime())) continue;
  one.title = one.textContent;
  one.textContent = format.format(at);
}

// A form goes out once; back in the history it can be used again.
const sent = new WeakSet();
document.addEventListener('submit', (event) => {
  if (sent.has(event.target)) event.preventDefault();
  else sent.add(event.target);
});
addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
