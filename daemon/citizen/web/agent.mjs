// Notices a card that comes or goes, so that nobody has to press "look again". Nothing needs this.
const seen = document.getElementById('card').dataset.seen;
const changes = new EventSource(`${location.pathname}/events?after=${seen}`);
let sent = false;
addEventListener('submit', () => { sent = true; });
changes.addEventListener('change', () => {
  // A form on its way to the card brings its own answer.
  if (!sent) location.replace(location.pathname);
});
addEventListener('pagehide', () => { changes.close(); });
