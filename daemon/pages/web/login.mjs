// login: the link's code becomes a session.
import { el, fill, icon, shout } from './dom.mjs';
import { logIn, loggedIn } from './api.mjs';
import { drawFrame } from './shell.mjs';
import { t } from './words.mjs';

const main = document.getElementById('main');
const state = { note: null, waiting: false };

function draw() {
  const { note, waiting } = state;
  drawFrame();
  fill(main, el('section', { class: 'panel blank login' }, icon('key', 56),
    el('h1', {}, t(waiting ? 'login.wait' : note === 'login.out' ? 'login.out' : 'login.title')),
    !waiting && note && note !== 'login.out' && el('p', { class: 'notice warn' }, icon('warning'), el('span', {}, t(note))),
    !waiting && el('p', {}, t('login.how')),
    !waiting && el('p', { class: 'hint' }, `${t('login.command')} `, el('code', {}, '/var/lib/kartad/desk-link'))));
}

async function take() {
  const said = location.hash.slice(1);
  // Out of the address, the history and anybody's sight.
  history.replaceState(null, '', '/login');
  state.note = { ended: 'login.ended', out: 'login.out' }[said] ?? null;
  if (!/^[0-9a-f]{64}$/.test(said)) {
    if (loggedIn() && !state.note) location.replace('/');
    else draw();
    return;
  }
  state.waiting = true;
  draw();
  try {
    await logIn(said);
    location.replace('/');
  } catch (problem) {
    state.waiting = false;
    state.note = problem.kind === 'no-daemon' ? 'error.no-daemon' : 'login.used';
    draw();
    shout(t(state.note));
  }
}

document.addEventListener('language', draw);
// The link, opened where this page is already shown, changes nothing but what is behind the number sign.
addEventListener('hashchange', take);
take();
