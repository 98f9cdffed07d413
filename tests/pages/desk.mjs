// desk: stories of people at desks, told in Chromium before a kartad over simulated cards.
//
//   desk.mjs STORY DAEMON FOLDER      STORY: clinic, pharmacy, counter, transit, strangers; pictures go to FOLDER
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { Browser, until } from './browser.mjs';

const [story, program, folder] = process.argv.slice(2);
const can = '314159';

/// desk_daemon, and what happens around it.
class Daemon {
  static async start() {
    const out = new Daemon();
    out.process = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] });
    out.lines = createInterface({ input: out.process.stdout })[Symbol.asyncIterator]();
    Object.assign(out, await out.#line());
    return out;
  }

  async #line() {
    const { value, done } = await this.lines.next();
    if (done) throw new Error('the daemon ended');
    return JSON.parse(value);
  }

  async does(command) {
    this.process.stdin.write(`${command}\n`);
    const answer = await this.#line();
    if (answer.error) throw new Error(`${command}: ${answer.error}`);
    return answer;
  }

  /// The link that is good now.
  link() { return readFileSync(this.link_file, 'utf8').trim(); }

  async stop() {
    const ended = new Promise((resolve) => { this.process.once('exit', resolve); });
    this.process.stdin.write('quit\n');
    assert.equal(await ended, 0, 'the daemon ends well');
  }
}

async function logIn(daemon, page) {
  const link = daemon.link();
  await page.open(link);
  await until('the log-in', async () => (await page.path()) === '/');
  assert.notEqual(daemon.link(), link, 'a link is good once');
  assert.equal(await page.run('location.hash'), '', 'the code is out of the address');
}

async function readCard(page, number = can) {
  await page.fill('#can', number);
  await page.press('Enter');
}

/// What assistive technology needs of any page.
async function checkAccess(page, language) {
  assert.equal(await page.run('document.documentElement.lang'), language);
  assert.equal(await page.run('document.querySelectorAll("main, [role=main]").length'), 1);
  assert.equal(await page.run('document.querySelectorAll("h1").length'), 1, 'one heading above all');
  const operable = ['button', 'textbox', 'combobox', 'radio', 'link', 'spinbutton', 'checkbox'];
  for (const { role, name } of await page.accessible()) {
    if (operable.includes(role)) assert.notEqual(name.trim(), '', `a ${role} without a name`);
  }
  assert.deepEqual(await page.run(`(() => { const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
    return ids.filter((one, at) => ids.indexOf(one) !== at); })()`), [], 'every id stands once');
  const wide = await page.run('document.documentElement.scrollWidth - document.documentElement.clientWidth');
  assert.ok(wide <= 0, `the page is ${wide} pixels wider than the window`);
}

/// Contrast of every text with what is behind it (WCAG 2.2, 1.4.3), as the browser computed the colours.
async function checkContrast(page) {
  const poor = await page.run(`(() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data]; };
    const light = ([r, g, b]) => [r, g, b].map((one) => { const part = one / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; }).reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = (element) => { for (let one = element; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor); if (colour[3] === 255) return colour; }
      return [255, 255, 255]; };
    const out = [];
    for (const element of document.querySelectorAll('body *')) {
      const says = [...element.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
      if (!says || element.disabled || !element.checkVisibility() || element.closest('.unseen, .skip, .choice.off')) continue;
      const style = getComputedStyle(element);
      const [a, b] = [light(rgba(style.color)), light(behind(element))].sort((x, y) => y - x);
      const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < (large ? 3 : 4.5)) out.push(element.tagName + ' ' + element.className + ' "' + element.textContent.trim().slice(0, 30) + '" ' + ratio.toFixed(2));
    }
    return out;
  })()`);
  assert.deepEqual(poor, [], 'text too faint');
}

const stories = {
  /// A visit by the keyboard alone; refusals and troubles, each with its look; both languages.
  async clinic({ daemon, browser, page, shot }) {
    await daemon.does('insert desk');
    await logIn(daemon, page);
    await page.sees('Choose a desk');
    await checkAccess(page, 'en');
    await page.tabTo('tile-clinic');
    await page.press('Enter');
    await page.sees('Ready to read it');
    await shot('clinic-before');
    await checkAccess(page, 'en');
    await checkContrast(page);

    // A number that is none is said at the field; a wrong one by the card.
    await page.tabTo('can');
    await page.type('3141');
    await page.press('Enter');
    await page.sees('The number has six digits');
    await page.focuses('can');
    await page.type('58');
    await page.press('Enter');
    await page.sees('The access number is not right');
    await page.focuses('can'); // to be typed again at once

    // The visit, with a case number, without a mouse.
    await page.type(can);
    await page.tabTo('case');
    await page.type('C-118');
    await page.press('Enter');
    await page.sees('Card accepted');
    for (const words of ['The card is not on the stop-list', 'Person Sample Testovich', '17 May 1990', '000-000-000\u00a000', 'Sample Insurer', 'AB−', 'penicillin',
      'Signed by the card', 'C-118']) await page.sees(words);
    await page.focuses('outcome');
    // The portrait comes later into a frame that has had its size from the beginning.
    await until('the portrait', () => page.run('document.querySelector("#portrait img")?.complete'));
    assert.deepEqual(await page.run('(({ naturalWidth, naturalHeight, alt }) => [naturalWidth, naturalHeight, alt])(document.querySelector("#portrait img"))'),
      [360, 480, 'Portrait from the card: Person Sample Testovich']);
    assert.deepEqual(await page.run(`(() => {
      const frame = document.getElementById('portrait');
      const places = () => ['portrait', 'name', 'receipt'].map((id) => JSON.stringify(document.getElementById(id).getBoundingClientRect()));
      const later = places();
      const picture = [...frame.childNodes];
      frame.replaceChildren();
      const before = places();
      frame.replaceChildren(...picture);
      return before.map((place, at) => place === later[at]);
    })()`), [true, true, true], 'the picture moves nothing');
    assert.equal(await page.run('document.getElementById("can").value'), '', 'the access number does not stay');
    await until('it to be read out', async () => (await page.text('#polite')).startsWith('Card accepted'));
    const signature = await page.run('[...document.querySelectorAll(".receipt code")].pop().textContent');
    assert.match(signature, /^30[0-9a-f]{100,}$/);
    assert.ok(!(await page.text()).includes('Sample Street'), 'a clinic has no right to the residence');
    await checkAccess(page, 'en');
    await checkContrast(page);
    await shot('clinic-accepted');
    // On paper: whom it was about and the receipt, no health data.
    const printed = (selector) => page.run(`document.querySelector(${JSON.stringify(selector)}).checkVisibility()`);
    await page.send('Emulation.setEmulatedMedia', { media: 'print' });
    for (const shown of ['.receipt', '.name', '.verdict']) assert.ok(await printed(shown), shown);
    for (const hidden of ['#head', '.ask', '.emergency', '.timeline', '#print', '#foot', '#portrait']) assert.ok(!(await printed(hidden)), hidden);
    await shot('clinic-paper');
    await page.look({ width: 1280, height: 900 });
    await page.click('.timeline summary');
    await page.sees('Chip proves it is no copy');
    await shot('clinic-timeline');
    await page.look({ width: 1280, height: 900, dark: true });
    await checkContrast(page);
    await shot('clinic-accepted-dark');
    await page.look({ width: 320, height: 700 });
    await checkAccess(page, 'en');
    await shot('clinic-accepted-narrow');
    await page.look({ width: 1600, height: 900 });
    await page.tabTo('language');
    await page.press('Enter');
    await page.sees('Карта принята');
    await page.sees('Карты нет в стоп-листе');
    await page.focuses('language'); // the keyboard stays where it was
    await checkAccess(page, 'ru');
    await shot('clinic-accepted-russian');
    await page.look({ width: 1280, height: 900 });

    // The card goes; what it said stays until the screen is cleared, then it is nowhere.
    await daemon.does('remove desk');
    await page.sees('Карта извлечена');
    await page.press('Escape');
    await page.sees('Карта ещё не прочитана');
    assert.ok(!(await page.text()).includes('Testovich'));
    await page.click('#language');
    await page.sees('No card in the reader');

    // Digits go to the access number wherever the keyboard is.
    await page.run('document.activeElement.blur()');
    await page.type('31');
    assert.equal(await page.run('document.getElementById("can").value'), '31');
    await page.press('Escape');

    // Every trouble with its own words, and the next card works.
    await readCard(page);
    await page.sees('There is no card in the reader');
    await shot('clinic-no-card');
    await daemon.does('mute desk');
    await page.sees('The card does not answer');
    await shot('clinic-mute');
    await daemon.does('remove desk');
    await page.sees('No card in the reader');
    await daemon.does('insert desk');
    await daemon.does('hold desk');
    await page.sees('A card is in the reader');
    await readCard(page);
    await page.sees('Another program holds the card');
    await shot('clinic-busy');
    await daemon.does('release desk');
    await daemon.does('stall');
    await readCard(page);
    await page.sees('Leave the card in the reader');
    await shot('clinic-working');
    await daemon.does('remove desk');
    await page.sees('The card was taken out too early');
    await shot('clinic-removed');
    await daemon.does('unplug desk');
    await page.sees('No card reader');
    await shot('clinic-no-reader');
    await daemon.does('plug desk');
    await daemon.does('pcscd stop');
    await page.sees('The service of card readers has stopped');
    await shot('clinic-no-pcscd');
    await daemon.does('pcscd start');
    await daemon.does('insert desk');
    await page.sees('A card is in the reader');
    await readCard(page);
    await page.sees('Card accepted');

    // A stopped card is refused, and nothing of its holder is shown. The session lives through the daemon's reload.
    await daemon.does('stop');
    await readCard(page);
    await page.sees('Card refused');
    await page.sees('lost, stolen or revoked');
    assert.ok(!(await page.text()).includes('Testovich'), 'who found a card is not shown whose it is');
    assert.ok(!(await page.has('.receipt')));
    await checkContrast(page);
    await shot('clinic-refused');
    await daemon.does('good');

    // Lists that are too old.
    await daemon.does('age 100');
    await page.open(`${daemon.address}/clinic`);
    await page.sees('stop-list. Cards are still served');
    await readCard(page);
    await page.sees('older than it should be');
    await page.sees('has leapt far ahead');
    await shot('clinic-stale');
    await daemon.does('age 72');
    // The session's hours are over.
    await page.open(`${daemon.address}/clinic`);
    await page.sees('The session of this desk has ended');
    await shot('login-ended');
    await logIn(daemon, page);
    await page.open(`${daemon.address}/clinic`);
    await page.sees('A card is in the reader');
    await readCard(page);
    await page.sees('too old to decide by');

    await page.click('#logout');
    await page.sees('You are logged out');
    await page.open(`${daemon.address}/clinic`);
    await until('the log-in page', async () => (await page.path()) === '/login');
    // A page in Russian from the first octet, for who asks for it.
    const russian = await browser.page({ language: 'ru-RU' });
    await russian.open(`${daemon.address}/login`);
    await russian.sees('Вход на рабочее место не выполнен');
    await checkAccess(russian, 'ru');
  },

  /// Medicine taken off a card once, though its answer was lost, the page loaded again and the button pressed twice.
  async pharmacy({ daemon, page, shot }) {
    await daemon.does('insert desk');
    await logIn(daemon, page);
    await page.open(`${daemon.address}/pharmacy`);
    await page.sees('Ready to read it');
    await shot('pharmacy-before');
    await readCard(page);
    await page.sees('Left');
    const left = async () => Number((await page.text('.choice:has(input:enabled) .choice-side strong')).trim());
    const before = await left();
    assert.ok(before >= 3, `${before} packages to begin with`);
    if (await page.has('#entitlement-0:not(:checked)')) {
      await page.tabTo('entitlement-0');
      await page.press(' ');
    }
    await page.sees('Prescription number');
    await checkAccess(page, 'en');
    await checkContrast(page);
    await shot('pharmacy-entitlements');
    await page.tabTo('prescription');
    await page.press('Enter');
    await page.sees('digits only');
    await page.focuses('prescription');
    await page.type('7001');
    await page.press('Enter');
    await page.sees('Hand the medicine out');
    await page.sees('7001');
    await checkAccess(page, 'en');
    await checkContrast(page);
    await shot('pharmacy-redeemed');
    assert.equal((await daemon.does('journal redemption')).length, 1);

    // The card writes, and is gone before it can say so.
    await readCard(page);
    await until('the counter', async () => (await left().catch(() => 0)) === before - 1);
    if (await page.has('#entitlement-0:not(:checked)')) await page.click('#entitlement-0');
    await page.fill('#prescription', '7002');
    await daemon.does('pull');
    await page.press('Enter');
    await page.sees('It is not known whether the card wrote it');
    await shot('pharmacy-unclear');
    await page.press('Escape');
    await page.sees('It is not known');
    await page.open(`${daemon.address}/pharmacy`);
    await page.sees('It is not known');
    await daemon.does('insert desk');
    await page.sees('A card is in the reader');
    await readCard(page);
    await page.sees('Hand the medicine out');
    await page.sees('nothing was taken off twice');
    await shot('pharmacy-settled');
    assert.equal((await daemon.does('journal redemption')).length, 2);
    await readCard(page);
    await until('the counter', async () => (await left().catch(() => 0)) === before - 2);

    // A stopped card gets nothing.
    await daemon.does('stop');
    await readCard(page);
    await page.sees('Card refused');
    await page.sees('The card is on the stop-list');
    assert.ok(!(await page.text()).includes('no entitlements'), 'nobody has looked for them');
    await page.click('#language');
    await page.sees('Карта в стоп-листе: утрачена');
    await shot('pharmacy-refused');
  },

  /// The counter without its centre, and with it: what the centre would answer is put in place of the answer.
  async counter({ daemon, page, shot }) {
    await daemon.does('insert desk');
    await logIn(daemon, page);
    await page.open(`${daemon.address}/counter`);
    await page.sees('What is to be done');
    await page.sees('A card is in the reader');
    await checkAccess(page, 'en');
    await checkContrast(page);
    await shot('counter-before');
    // Arrow keys choose among the deeds, as everywhere.
    await page.tabTo('deed-activate');
    await page.press('ArrowDown');
    await page.sees('A letter with a new transport PIN');
    await page.focuses('deed-unblock');
    await page.press('ArrowDown');
    await page.sees('Which certificates');
    await page.tabTo('do');
    await page.press('Enter');
    await until('an outcome', async () => (await page.has('#outcome')) && !(await page.has('.work')));
    await shot('counter-no-centre');
    if (await page.has('#leave')) await page.click('#leave');
    else await page.press('Escape');
    await page.sees('Nothing done yet');

    await page.answer('/v1/renewals', 200, { schema: 'karta.kartad.renewal/1', serial: 'KRT00000042', status_index: 4711, profile: 'citizen', state: 'active',
      valid_until: '2031-11-21T00:00:00Z', certificates: [{ key: 'everyday', outcome: 'renewed', serial: '0a', not_after: '2029-11-21T00:00:00Z' }] });
    await page.click('#do');
    await page.sees('The certificates are up to date');
    await page.sees('21 November 2029');
    await checkAccess(page, 'en');
    await checkContrast(page);
    await shot('counter-renewed');

    // The holder's PUK stays nowhere.
    await page.click('#deed-unblock');
    await page.run(`(() => { const how = document.getElementById('with'); how.value = 'puk'; how.dispatchEvent(new Event('change')); })()`);
    await page.fill('#puk', '123');
    await page.press('Enter');
    await page.sees('8 to 10 digits');
    await page.fill('#puk', '9081726354');
    await page.fill('#fresh', '246802');
    await shot('counter-puk');
    await page.press('Enter');
    await until('an outcome', async () => (await page.has('#outcome')) && !(await page.has('.work')));
    await shot('counter-unblocked');
    assert.equal(await page.run(`JSON.stringify({ ...sessionStorage, ...localStorage }).includes('9081726354')`), false);

    // An account for one-time codes, by the keyboard: nothing without the holder's word, and the secret once.
    await page.click('#deed-account');
    await page.sees('The holder chooses it');
    await page.tabTo('login');
    await page.type('my name');
    await page.press('Enter');
    await page.sees('3 to 64 Latin letters, digits, dots');
    await page.focuses('login');
    await page.fill('#login', 'Sample.Citizen');
    await page.press('Enter');
    await page.sees('Nothing is done without the holder’s word');
    await page.focuses('agreed');
    await checkAccess(page, 'en');
    await checkContrast(page);
    await page.press(' ');
    await page.answer('/v1/accounts', 409, { type: 'urn:karta:error:already-exists', title: 'already exists', status: 409, detail: 'another citizen has this login name' });
    await page.click('#do');
    await page.sees('Somebody else has this login name');
    await page.focuses('login');
    const otpauth = 'otpauth://totp/id.example:other.citizen?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=id.example';
    const made = { schema: 'karta.kartad.account/1', serial: 'KRT00000042', status_index: 4711, profile: 'citizen', state: 'active',
      valid_until: '2031-11-21T00:00:00Z', login: 'other.citizen', way: 'app' };
    const qr = readFileSync(new URL('account-qr.svg', import.meta.url), 'utf8');
    await page.answer('/v1/accounts', 200, { ...made, otpauth, qr });
    await page.fill('#login', 'other.citizen');
    await page.press('Enter');
    await page.sees('The account is made');
    await page.focuses('outcome');
    assert.ok(!(await page.text('.receipt')).includes('Certificates'), 'no row without a value');
    await until('the picture', () => page.run('(() => { const one = document.getElementById("qr"); return one?.complete && one.naturalWidth > 0; })()'));
    await checkAccess(page, 'en');
    await checkContrast(page);
    await shot('counter-account');
    assert.equal(await page.run(`JSON.stringify({ ...sessionStorage, ...localStorage }).includes('GEZDGNBV')`), false);
    await page.click('.secret summary');
    await page.sees('GEZD\u00a0GNBV', '#key');
    await page.tabTo('scanned');
    await page.press('Enter');
    await page.sees('The holder logs in with the login name');
    assert.equal(await page.has('#qr'), false, 'the secret is off the screen');
    assert.equal(await page.run('document.documentElement.outerHTML.includes("GEZD")'), false);
    await page.focuses('outcome');
    // An answer that was lost: asked again it tells no secret any more.
    await page.answer('/v1/accounts', 200, made);
    await page.fill('#login', 'other.citizen');
    await page.click('#agreed');
    await page.click('#do');
    await page.sees('make the account anew');
    // By mail; and no longer.
    await page.run(`(() => { const way = document.getElementById('way'); way.value = 'mail'; way.dispatchEvent(new Event('change')); })()`);
    await page.fill('#login', 'other.citizen');
    await page.fill('#mail', 'nowhere');
    await page.click('#agreed');
    await page.click('#do');
    await page.sees('A mail address is like');
    await page.answer('/v1/accounts', 503, { type: 'urn:karta:error:configuration', title: 'configuration', status: 503, detail: 'no codes are sent here' });
    await page.fill('#mail', 'sample@mail.example');
    await page.press('Enter');
    await page.sees('Such accounts are not made here');
    await page.run(`(() => { const way = document.getElementById('way'); way.value = 'remove'; way.dispatchEvent(new Event('change')); })()`);
    await page.answer('/v1/account-removals', 200, { ...made, schema: 'karta.kartad.account-removal/1', login: undefined, way: undefined, already: false });
    await page.click('#do');
    await page.sees('The account is removed');
    await page.click('#language');
    await page.sees('Учётная запись удалена');
    await page.sees('Владелец присутствует');
    await checkContrast(page);
    await shot('counter-account-removed');
    await page.click('#language');

    // What the desk must know in time, the worst first.
    const status = await page.run(`fetch('/v1/status', { headers: { 'Karta-Desk': localStorage.getItem('karta-desk-key') } })
      .then((answer) => answer.json())`);
    await page.answer('/v1/status', 200, { ...status, clock: 'back', journal: { ...status.journal, health: 'full' },
      upload: { ...status.upload, state: 'alarm' },
      terminals: [{ role: 'counter', terminal: '', holder: 'XXCOUNTER00001', state: 'urgent', until: '2026-06-03T00:00:00Z', problem: 'no answer' }],
      trust: [{ ...status.trust[0], kind: 'stop-list', state: 'missing', until: null }] });
    await page.open(`${daemon.address}/counter`);
    for (const words of ['ends on 3 June 2026 and could not be renewed', 'Missing: stop-list', 'another journal of this terminal',
      'The journal cannot be written', 'clock was turned back']) await page.sees(words, '#notices');
    assert.ok((await page.text('#notices')).trim().endsWith('clock was turned back: check it.'), 'warnings stand last');
    await checkContrast(page);
    await shot('counter-notices');
    await page.click('#language');
    await page.sees('обновить его не удалось', '#notices');
  },

  /// Gates as they work, and a card that is looked into.
  async transit({ daemon, page, shot }) {
    await logIn(daemon, page);
    await page.open(`${daemon.address}/transit`);
    await page.sees('Gate 17');
    await page.sees('Ready');
    await page.sees('Live'); // taps before that are nobody's here
    await shot('transit-ready');
    await daemon.does('insert gate');
    await page.sees('Open');
    await page.sees('1 opened');
    await shot('transit-open');
    await daemon.does('remove gate');
    await daemon.does('insert gate');
    await page.sees('Denied');
    await page.sees('The card has just been used here');
    await checkAccess(page, 'en');
    await checkContrast(page);
    await shot('transit-denied');
    await page.tabTo('inspect');
    await page.press('Enter');
    await page.sees('What the card says');
    await page.sees('entry');
    await page.sees('pensioner'); // the ground by its name
    // A pass has nothing that is used up.
    assert.equal((await page.text('#outcome')).match(/\bLeft\b/g).length, 1, 'what is left is told of trips alone');
    await checkContrast(page);
    await shot('transit-inspection');
    await daemon.does('stop');
    await daemon.does('remove gate');
    await daemon.does('insert gate');
    await page.sees('The card is stopped');
    await page.click('#language');
    await page.sees('Карта заблокирована');
    await checkAccess(page, 'ru');
    await shot('transit-russian');
  },

  /// Pages from elsewhere, names that lie, and halves of a session get nothing, and the journal says so.
  async strangers({ daemon, browser, page }) {
    await logIn(daemon, page);
    const elsewhere = createServer((request, response) => {
      response.setHeader('Content-Type', 'text/html');
      response.end('<!doctype html><title>elsewhere</title><h1>elsewhere</h1>');
    });
    await new Promise((resolve) => { elsewhere.listen(8471, '127.0.0.1', resolve); });
    // In the same jar of cookies: the browser would send the desk's cookie along.
    const stranger = await browser.page({ beside: page });
    await stranger.open('http://127.0.0.1:8471/');
    const tried = (address, options) => stranger.run(`fetch(${JSON.stringify(address)}, ${JSON.stringify(options)})
      .then((answer) => answer.type + ' ' + answer.status, (error) => error.name)`);
    const body = JSON.stringify({ purpose: 'treatment', can });
    assert.equal(await tried(`${daemon.address}/v1/status`, { credentials: 'include' }), 'TypeError', 'it cannot be read');
    assert.equal(await tried(`${daemon.address}/v1/visits`, { method: 'POST', credentials: 'include', body,
      headers: { 'Content-Type': 'application/json' } }), 'TypeError', 'nor asked with JSON');
    assert.equal(await tried(`${daemon.address}/v1/visits`, { method: 'POST', mode: 'no-cors', credentials: 'include', body }), 'opaque 0');
    const refused = await until('the refusals', async () => {
      const all = await daemon.does('journal caller-refused');
      return all.length >= 3 && all;
    });
    for (const one of refused) {
      assert.equal(one.why, 'foreign-origin');
      assert.equal(one.origin, 'http://127.0.0.1:8471');
    }
    // Nor can the page be framed, nor its window be looked into.
    await stranger.run(`document.body.append(Object.assign(document.createElement('iframe'), { src: '${daemon.address}/clinic' }))`);
    await until('the frame to be refused', () => stranger.run('frames.length === 1 && document.querySelector("iframe").contentDocument === null'));

    // A name of the stranger's own that leads here.
    await stranger.open('http://rebound.example:8470/clinic');
    await stranger.sees('foreign-host');
    await until('the refusal', async () => (await daemon.does('journal caller-refused')).some((one) =>
      one.why === 'foreign-host' && one.host === 'rebound.example:8470'));

    // The cookie alone, as another port of this machine would see it, is no session; nor is the page's half.
    const same = (options) => page.run(`fetch('/v1/status', ${JSON.stringify(options)}).then((answer) => answer.status)`);
    const key = await page.run(`localStorage.getItem('karta-desk-key')`);
    assert.equal(await same({ headers: { 'Karta-Desk': key } }), 200);
    assert.equal(await same({}), 401);
    assert.equal(await same({ credentials: 'omit', headers: { 'Karta-Desk': key } }), 401);
    assert.equal(await page.run('document.cookie'), '', 'no script sees the cookie');
    // The desk may what its modes need, and no more.
    assert.equal(await page.run(`fetch('/v1/journal?after=0', { headers: { 'Karta-Desk': '${key}' } }).then((answer) => answer.status)`), 403);
    // Everything the pages load is the daemon's own.
    for (const mode of ['', 'clinic', 'pharmacy', 'counter', 'transit']) await page.open(`${daemon.address}/${mode}`);
    for (const address of page.requests) assert.ok(address.startsWith(daemon.address), address);
    elsewhere.close();
    stranger.complaints.length = 0;
  },
};

if (!(story in stories)) throw new Error(`no such story: ${story}`);
const daemon = await Daemon.start();
const browser = await Browser.start();
let page;
try {
  page = await browser.page();
  await page.look({ width: 1280, height: 900 });
  const shot = (name) => page.picture(join(folder, `${name}.png`));
  await stories[story]({ daemon, browser, page, shot });
  for (const one of browser.pages.values()) assert.deepEqual(one.complaints, [], 'the browser complains of nothing');
} catch (error) {
  await page?.picture(join(folder, `${story}-failed.png`)).catch(() => {});
  throw error;
} finally {
  await browser.stop();
  await daemon.stop();
}
