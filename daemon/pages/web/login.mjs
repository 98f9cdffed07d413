// login: the link's code becomes a session.
import { el, fill, icon, shout } from './dom.mjs';
import { logIn, loggedIn } from './api.mjs';
import { drawFrame } from './shell.mjs';
import { t } from './words.mjs';

const main = document.getElementById('main');
const said = location.hash.slice(1);
// Out of the address, the history and anybody's sight.
history.replaceState(null, '', '/login');

let note = { ended: 'login.ended', out: 'login.out' }[said] ?? null;
let waiting = /^[0-9a-f]{64}$/.test(said);

function draw() {
  drawFrame();
  fill(main, el('section', { class: 'panel empty login' }, icon('key', 56),
    el('h1', {}, t(waiting ? 'login.wait' : note === 'login.out' ? 'login.out' : 'login.title')),
    !waiting && note && note !== 'login.out' && el('p', { class: 'notice warn' }, icon('warning'), el('span', {}, t(note))),
    !waiting && el('p', {}, t('login.how')),
    !waiting && el('p', { class: 'hint' }, `${t('login.command')} `, el('code', {}, 'karta terminal desk'))));
}

document.addEventListener('language', draw);
draw();
if (waiting) {
  try {
    await logIn(said);
    location.replace('/');
  } catch (problem) {
    waiting = false;
    note = problem.kind === 'no-daemon' ? 'error.no-daemon' : 'login.used';
    draw();
    shout(t(note));
  }
} else if (loggedIn() && !note) {
  location.replace('/');
}
