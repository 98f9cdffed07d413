// certificate: the second way in with the real thing: a card behind a real pcscd, the PKCS #11 module, and Debian's programs
// that show the card's certificate in the TLS handshake: curl with OpenSSL's pkcs11 engine, Chromium with NSS.
import { strict as assert } from 'node:assert';
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { CurlBrowser, CurlFailure, module } from './lib/curl_browser.mjs';
import { Desktop } from './lib/desktop.mjs';
import { Cards, keepPicture, startChromium, startPortal } from './lib/programs.mjs';
import { issuer, karta, mtlsAddress, run, until, work, World } from './lib/world.mjs';

const name = 'Образцов Пример Тестович', snils = '001-001-999 65';
const wrongPin = '999999';
const cannotUseCertificate = 58; // curl's words for it: CURLE_SSL_CERTPROBLEM
let world, cards, card, portal, strict, foreign;

/// A certificate made with OpenSSL, by an authority's certificate and key (both PEM files) or by itself; `before`: as many
/// days ago. Returns curl's words to show it.
function certificateOf(name, { ca, key, pass, before = 0, days = 5 } = {}) {
  const openssl = (words) => run('/usr/bin/faketime', ['-f', `-${before}d`, 'openssl', ...words]);
  const file = (kind) => join(work, `${name}.${kind}`);
  const made = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file('key'), '-subj', `/C=XX/CN=${name}`];
  writeFileSync(file('ext'), 'keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n');
  if (ca) {
    openssl([...made, '-out', file('csr')]);
    openssl(['x509', '-req', '-in', file('csr'), '-CA', ca, '-CAkey', key, '-passin', `file:${pass}`, '-days', String(days), '-extfile', file('ext'), '-out', file('crt')]);
  } else {
    openssl([...made, '-x509', '-days', String(days), '-addext', 'extendedKeyUsage=clientAuth', '-out', file('crt')]);
  }
  return ['--cert', file('crt'), '--key', file('key')];
}

before(async () => {
  assert.ok(module, 'KARTA_PKCS11 names the module to test');
  world = await World.make({ cards: 1 });
  writeFileSync(join(work, 'people.csv'), `snils,family,given,patronymic,birth_date\n${snils},Образцов,Пример,Тестович,1980-02-29\n`);
  karta(['citizen', 'import', 'people.csv'], { secrets: [] });
  cards = await Cards.start(1);
  card = cards.issue(1, snils);
  // Two operators of the console: one's certificate is of an authority that is trusted, the other's of nobody's.
  foreign = certificateOf('foreign');
  const operator = (of, file) => ['[[console.operator]]', `name = "${of}"`, 'scopes = ["find"]',
    `certificate_sha256 = "${createHash('sha256').update(new X509Certificate(readFileSync(file)).raw).digest('hex')}"`];
  world.writeConfig({ more: ['[console]', ...operator('trusted', join(work, 'tls/client.pem')), ...operator('foreign', join(work, 'foreign.crt'))] });
  await world.startServer();
  portal = await startPortal('city-portal', 'https://portal.example', '127.0.0.12');
  strict = await startPortal('registry-office', 'https://other.example', '127.0.0.13', { acr: ['high'] });
});
after(async () => {
  for (const program of [portal, strict, cards]) await program?.stop();
  await world?.stopServer();
});

/// What the card grants PIN1, by its own word: null while PIN1 counts as verified, which it does not once curl has ended.
const tries = () => JSON.parse(karta(['card', 'info', '--reader', 'Reader 1 ', '--json'], { secrets: [] }))
  .pins.find(({ pin }) => pin === 'PIN1').tries_left;
const claim = (page, of) => page.text.match(new RegExp(`data-claim="${of}"[^>]*>([^<]*)<`))?.[1];

/// The whole way; returns the portal's page.
async function logIn(browser, words = []) {
  const shown = await browser.toCertificate('https://portal.example');
  assert.ok(shown.startsWith(`${mtlsAddress}/login/certificate?`), shown);
  const page = await browser.open(shown, { card: { pin: card.pin1 }, words });
  if (new URL(page.url).origin === 'https://portal.example') return page;
  assert.equal(new URL(page.url).pathname, '/consent', page.words());
  assert.match(page.words(), /Primersk city portal/);
  return browser.submit(page.form('/consent'), { button: 'allow' });
}
function assertLoggedIn(page) {
  assert.equal(page.url, 'https://portal.example/');
  assert.equal(claim(page, 'name'), name, page.words());
  assert.match(page.text, /data-claim="acr"[^>]*data-value="substantial"/);
}

test('portal, log-in, TLS by the card, consent, portal', async () => {
  const browser = new CurlBrowser();
  const page = await logIn(browser);
  assertLoggedIn(page);
  assert.equal(claim(page, 'birthdate'), '1980-02-29');
  // The session is the provider's own: its pages know the citizen, by the level shown.
  const own = await browser.open(`${issuer}/me/sessions`);
  assert.equal(own.status, 200, own.words());
});

test('over TLS 1.2 as over TLS 1.3', async () => {
  for (const version of ['1.2', '1.3']) {
    const browser = new CurlBrowser();
    const words = [`--tlsv${version}`, '--tls-max', version];
    assertLoggedIn(await logIn(browser, words));
  }
});

test('a wrong PIN: no handshake, one try less, and nobody is logged in', async () => {
  const before = tries();
  const browser = new CurlBrowser();
  const shown = await browser.toCertificate('https://portal.example');
  await assert.rejects(browser.open(shown, { card: { pin: wrongPin } }), (error) => error instanceof CurlFailure && error.code === cannotUseCertificate);
  assert.equal(tries(), before - 1);
  assert.equal(claim(await browser.open('https://portal.example/'), 'name'), undefined);
  // The same link is still good for whoever knows the PIN, and the card counts from the beginning again.
  const page = await browser.open(shown, { card: { pin: card.pin1 } });
  assertLoggedIn(page);
  assert.equal(tries(), before);
});

test('whatever certificate is shown, the page says why it is refused', async () => {
  const browser = new CurlBrowser();
  const shown = await browser.toCertificate('https://portal.example');
  const centre = { ca: join(work, 'centre/ca/issuing.crt.pem'), key: join(work, 'centre/keys/issuing.key.pem'), pass: join(work, 'passphrase') };
  const expired = certificateOf('late', { ...centre, before: 10 });
  const old = certificateOf('foreign-and-old', { before: 10 });
  const trusted = ['--cert', join(work, 'tls/client.pem'), '--key', join(work, 'tls/client.key')];
  const cases = {
    'none': [{}, /No certificate was shown/],
    'that for signatures, of the same card': [{ card: { pin: card.pin1, id: '02' } }, /not one for logging in/],
    'one whose time is over': [{ words: expired }, /certificate has expired/],
    'one of somebody else': [{ words: foreign }, /issued by somebody we do not know/],
    'one of somebody else whose time is over': [{ words: old }, /issued by somebody we do not know/],
    'one of the portals\'': [{ words: trusted }, /issued by somebody we do not know/],
    'one that was issued, but never given to a card': [{ words: certificateOf('nobody', centre) }, /not in the register/],
  };
  for (const version of ['1.2', '1.3']) {
    for (const [what, [given, reason]] of Object.entries(cases)) {
      const page = await browser.open(shown, { ...given, words: [...(given.words ?? []), `--tlsv${version}`, '--tls-max', version] });
      assert.equal(page.status, 403, `${what}: ${page.words()}`);
      assert.match(page.words(), reason, what);
      assert.ok(page.links().some((one) => one.startsWith(`${issuer}/login?`)), 'the way to the other ways in');
    }
  }
  assert.equal(new URL((await browser.open(`${issuer}/me`)).url).pathname, '/login', 'nobody was logged in');
  // In the citizen's own language, and with the words of the page alone: nothing of the certificate stands on it.
  const russian = new CurlBrowser({ language: 'ru' });
  const page = await russian.open(await russian.toCertificate('https://portal.example'), { words: expired });
  assert.match(page.words(), /Срок действия сертификата карты истёк/);
  // Elsewhere behind that listener such a certificate is nobody's name.
  assert.equal((await browser.ask(`${mtlsAddress}/console`, { words: trusted })).status, 200, 'an operator is known by his certificate');
  for (const [path, status] of [['/console', 403], ['/console/acts', 403], ['/openid/userinfo', 401], ['/me', 404], ['/login', 404], ['/ocsp', 404]]) {
    assert.equal((await browser.ask(`${mtlsAddress}${path}`, { words: foreign })).status, status, path);
  }
  // The other listeners do not ask for one, or take good ones only.
  assert.equal((await browser.ask(`${issuer}/login/certificate`, { words: foreign })).status, 404);
});

test('a portal that wants more than this way gives is not offered it', async () => {
  const browser = new CurlBrowser();
  assert.equal(await browser.toCertificate('https://other.example'), null);
  assert.ok(browser.ways.links().some((one) => new URL(one).pathname === '/login/card'), browser.ways.words());
});

test('a suspended card: its session is over, and it is refused with the reason', async () => {
  const browser = new CurlBrowser();
  assertLoggedIn(await logIn(browser));
  const own = async () => new URL((await browser.open(`${issuer}/me`)).url).pathname;
  assert.equal(await own(), '/me');
  karta(['card', 'suspend', card.serial, '--why', 'reported lost'], { secrets: [] });
  assert.equal(await own(), '/login');
  const shown = await browser.toCertificate('https://portal.example');
  assert.ok(shown, 'he is asked again');
  const page = await browser.open(shown, { card: { pin: card.pin1 } });
  assert.equal(page.status, 403);
  assert.match(page.words(), /suspended|on hold/);
  karta(['card', 'resume', card.serial, '--why', 'found'], { secrets: [] });
  assertLoggedIn(await logIn(new CurlBrowser()));
});

test('Chromium with windows: the certificate is chosen, a wrong PIN is asked for again, the right one logs in', async () => {
  const before = tries();
  const desktop = await Desktop.start();
  const browser = await startChromium({ desktop, module });
  try {
    const page = await (await browser.newContext({ locale: 'en-GB' })).newPage();
    await page.goto('https://portal.example/');
    await page.locator('a[href="/login"]').click();
    const shown = await page.locator('#by-certificate').getAttribute('href');
    const going = page.goto(shown, { timeout: 90_000 }); // until both windows are answered
    going.catch(() => { /* told below */ });
    // Chromium darkens the page behind its choice of certificates, which is no window of its own. Of the card's four
    // certificates it offers the one that is good here, and that is chosen already.
    const pinWindow = 'Unlock Security Device', dark = 160;
    await until('the choice of certificates, and the question for the PIN', async () => {
      if (!desktop.window(pinWindow) && desktop.brightness(1000, 700) < dark) {
        desktop.press('Return'); // a window that has just opened takes no keys; one that closes is given time to
        await until('an answer', () => desktop.window(pinWindow) || desktop.brightness(1000, 700) >= dark, 1).catch(() => {});
      }
      return desktop.window(pinWindow);
    });
    await desktop.answer(pinWindow, wrongPin);
    await until('to be asked again', () => desktop.window(pinWindow));
    assert.equal(tries(), before - 1);
    await desktop.answer(pinWindow, card.pin1);
    await going;
    if (new URL(page.url()).pathname === '/consent') await page.locator('button[value="allow"]').click();
    await page.waitForURL('https://portal.example/');
    assert.equal(await page.locator('[data-claim="name"]').innerText(), name);
    assert.equal(await page.locator('[data-claim="acr"]').getAttribute('data-value'), 'substantial');
    await keepPicture(page, 'portal-by-card-certificate');
  } finally {
    await browser.close();
    await desktop.stop();
  }
});
