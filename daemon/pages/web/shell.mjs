// shell: the frame every page shares: head with desks and language, notices, the readers, the foot, the live events.
import { el, fill, icon, say } from './dom.mjs';
import { get, listen, logOut, loggedIn, onSessionEnd } from './api.mjs';
import { capital, language, switchLanguage, t } from './words.mjs';
import { noticesOf, listsOf, terminalsOf } from './model.mjs';

const root = document.documentElement;
const mode = root.dataset.mode;
const modes = root.dataset.modes ? root.dataset.modes.split(' ') : [];
const head = document.getElementById('head');
const notices = document.getElementById('notices');
const main = document.getElementById('main');
const foot = document.getElementById('foot');

/// What is known of the daemon now.
export const desk = { mode, modes, status: null, readers: [], pcscd: true, live: null, work: null };

let view = null;

export function drawFrame() {
  document.title = `${t(`mode.${mode}`)} · karta`;
  document.querySelector('.skip').textContent = language() === 'ru' ? 'Перейти к содержанию' : 'Skip to the content';
  const links = modes.length > 1 ? modes : [];
  fill(head,
    el('a', { class: 'brand', href: '/', 'aria-label': `karta, ${t('mode.home')}`, 'aria-current': mode === 'home' && 'page' }, icon('card', 26), el('span', {}, 'karta')),
    loggedIn() && links.length > 0 && el('nav', { 'aria-label': t('nav') }, el('ul', {}, links.map((one) => el('li', {},
      el('a', { href: `/${one}`, 'aria-current': one === mode && 'page' },
        icon(one, 18), el('span', {}, t(`mode.${one}`))))))),
    el('div', { class: 'tools' },
      desk.live !== null && el('span', { class: `live ${desk.live ? 'on' : 'off'}` }, el('i', { 'aria-hidden': 'true' }),
        el('span', {}, t(desk.live ? 'live' : 'not-live'))),
      el('button', { id: 'language', type: 'button', class: 'quiet', lang: language() === 'ru' ? 'en' : 'ru',
        'aria-label': t('language.switch'), on: { click: changeLanguage } }, t('language.other')),
      loggedIn() && el('button', { id: 'logout', type: 'button', class: 'quiet', on: { click: leave } },
        icon('out', 18), el('span', {}, t('logout')))));
  drawNotices();
  drawFoot();
}

function changeLanguage() {
  switchLanguage();
  if (view) {
    drawFrame();
    view.draw();
  } else {
    document.dispatchEvent(new Event('language'));
  }
}

async function leave() {
  view?.clear?.();
  try { await logOut(); } catch { /* the session ends here all the same */ }
  location.replace('/login#out');
}

let told = '';
function drawNotices() {
  const list = desk.status ? noticesOf(desk) : [];
  fill(notices, list.length > 0 && el('section', { 'aria-label': t('notices') }, list.map(({ level, key, values }) =>
    el('p', { class: `notice ${level}` }, icon(level === 'bad' ? 'cross' : 'warning'), el('span', {}, capital(t(key, values)))))));
  const now = list.map(({ key, values }) => t(key, values)).join(' ');
  if (now && now !== told) say(now);
  told = now;
}

function drawFoot() {
  if (!desk.status) return fill(foot);
  return fill(foot,
    el('span', {}, `kartad ${desk.status.version ?? ''}`),
    terminalsOf(desk.status, mode).map((one) => el('span', {}, icon('shield', 16),
      `${one.holder}${one.until ? `, ${t('certificate-until', { date: one.until })}` : ''}`)),
    listsOf(desk.status, mode).map((one) => el('span', { class: `list ${one.state}` }, `${capital(t(one.kind))} `,
      one.epoch ? `${t('list.epoch', { n: one.epoch })}, ` : '', t(`list.${one.state}`))));
}

export async function refreshStatus() {
  try {
    desk.status = await get('/v1/status');
    drawNotices();
    drawFoot();
    view?.onStatus?.();
  } catch { /* the stream tells whether the daemon is there */ }
}

let looking = null;
export async function refreshReaders() {
  try {
    const answer = await get('/v1/readers');
    const before = desk.pcscd;
    desk.readers = answer.readers;
    desk.pcscd = answer.pcscd !== false;
    if (before !== desk.pcscd) drawNotices();
    view?.onReaders?.();
    // No event says that a reader has its hands free again.
    clearTimeout(looking);
    if (desk.readers.some((one) => one.state === 'working')) looking = setTimeout(refreshReaders, 300);
  } catch { /* as above */ }
}

/// Readers of this page's mode.
export const readersHere = () => desk.readers.filter((one) => mode === 'home' || (one.modes ?? []).includes(mode));

/// Events after which readers, or the daemon's own state, may be others.
const ofReaders = new Set(['reader-added', 'reader-removed', 'card-in', 'card-out', 'card-mute', 'pcscd-started', 'pcscd-stopped',
  'failure', 'visit', 'redemption', 'counter', 'refusal']);
const ofStatus = new Set(['trust-data', 'data', 'terminal', 'renewal', 'upload', 'clock', 'reader-added', 'reader-removed',
  'pcscd-started', 'pcscd-stopped']);

/// Begins: `make` gives {draw, clear, onReaders, onEvent, onStatus}.
export function start(make) {
  if (!loggedIn()) {
    location.replace('/login');
    return;
  }
  onSessionEnd(() => { location.replace('/login#ended'); });
  view = make(main);
  drawFrame();
  view.draw();
  refreshStatus();
  refreshReaders();
  listen({
    onEvent(kind, data) {
      if (ofReaders.has(kind)) refreshReaders();
      if (ofStatus.has(kind)) refreshStatus();
      view.onEvent?.(kind, data);
    },
    onState(live) {
      if (desk.live === live) return;
      desk.live = live;
      drawFrame();
      if (live) {
        refreshStatus();
        refreshReaders();
      }
    },
  });
  setInterval(refreshStatus, 30000);
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === 'Escape') view.clear?.();
    // A desk with both hands full: digits go to the access number wherever the keyboard was.
    const can = document.getElementById('can');
    const elsewhere = ['BODY', 'MAIN'].includes(document.activeElement?.tagName);
    if (/^\d$/.test(event.key) && elsewhere && can && !can.disabled) can.focus();
  });
}
