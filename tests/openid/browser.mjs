// browser: the whole way in Chromium: portal, log-in, the agent's page and a card behind a real pcscd, PIN, consent,
// portal; and the ways that end otherwise. Every connection is HTTPS with a test root, but the agent's on this machine.
import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { decodeJwt } from 'jose';

import { askAgent } from './lib/by_card.mjs';
import { send } from './lib/http.mjs';
import { Cards, keepPicture, startAgent, startChromium, startPortal } from './lib/programs.mjs';
import { agentAddress } from './lib/soft_agent.mjs';
import { codeOf } from './lib/totp.mjs';
import { judgeToken } from './lib/web_eid.mjs';
import { issuer, karta, mtlsAddress, tls, until, work, World } from './lib/world.mjs';

const name = 'Образцов Пример Тестович', snils = '001-001-999 65';
const otherName = 'Примерова Проба Образцовна', otherSnils = '001-002-000 15';
let world, cards, card, other, agent, portal, library, browser, evil;

before(async () => {
  world = await World.make({ cards: 1 });
  writeFileSync(join(work, 'people.csv'), `snils,family,given,patronymic,birth_date
${snils},Образцов,Пример,Тестович,1980-02-29
${otherSnils},Примерова,Проба,Образцовна,1991-07-01
`);
  karta(['citizen', 'import', 'people.csv'], { secrets: [] });
  cards = await Cards.start(2);
  card = cards.issue(1, snils);
  other = cards.issue(2, otherSnils, { choose: false });
  cards.tell('remove', 2);
  world.writeConfig();
  await world.startServer();
  agent = await startAgent();
  portal = await startPortal('city-portal', 'https://portal.example', '127.0.0.12');
  // A portal that takes every level.
  library = await startPortal('library', 'https://other.example', '127.0.0.13', {
    name: { en: 'Sample library', ru: 'Библиотека для примера' }, acr: ['low', 'substantial', 'high'], claims: ['name'],
  });
  browser = await startChromium();
  // A site that would like to use the card, too.
  evil = createServer({ key: tls('plain.key'), cert: tls('host.crt') }, (request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' });
    response.end('<!doctype html><title>Evil</title><h1>Win a prize</h1>');
  });
  await new Promise((resolve) => { evil.listen(443, '127.0.0.14', resolve); });
});
after(async () => {
  await browser?.close();
  evil?.close();
  for (const program of [portal, library, agent, cards]) await program?.stop();
  await world?.stopServer();
});

// Whatever the test before did, each begins with the first card alone in its reader.
beforeEach(async () => {
  for (const [command, number] of [['remove', 2], ['insert', 1]]) {
    try { cards.tell(command, number); } catch { /* it is so already */ }
  }
  await cards.seen(1);
});

/// A visitor with a browser of his own. `seen`: what passed his address bar on its way.
async function visitor({ locale = 'en-GB', ...more } = {}) {
  const context = await browser.newContext({ locale, viewport: { width: 1100, height: 820 }, ...more });
  const page = await context.newPage();
  const seen = { request: null, token: null, complaints: [] };
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.href.startsWith(`${agentAddress}/agent/login`)) seen.request = decodeJwt(url.searchParams.get('request'));
    if (url.origin === issuer && url.searchParams.has('token')) seen.token = Buffer.from(url.searchParams.get('token'), 'base64url').toString();
  });
  page.on('pageerror', (error) => seen.complaints.push(error.message));
  page.on('console', (line) => { if (line.type() === 'error' && /policy|refused/i.test(line.text())) seen.complaints.push(line.text()); });
  return { context, page, seen };
}

const byCard = (page, ask) => askAgent(page, page.waitForURL(`${agentAddress}/agent/r/**`), ask);
/// From the portal to the agent's page.
async function toAgent(page) {
  await page.goto('https://portal.example/');
  await page.locator('a[href="/login"]').click();
  await byCard(page);
}
async function typePin(page, pin) {
  await page.locator('#pin').fill(pin);
  await page.locator('#log-in').click();
}
const loggedIn = (page) => page.waitForURL('https://portal.example/');

test('portal, log-in, card and PIN, consent, portal', async () => {
  const { context, page, seen } = await visitor();
  await page.goto('https://portal.example/');
  await keepPicture(page, 'portal');
  await page.locator('a[href="/login"]').click();
  await page.waitForURL(`${issuer}/**`);
  await page.getByText('Primersk city portal').first().waitFor();
  await page.getByText('show your account').first().waitFor();
  await keepPicture(page, 'log-in');
  await byCard(page);
  assert.equal(await page.locator('#client').innerText(), 'Primersk city portal');
  assert.equal(await page.locator('#client-origin').innerText(), 'https://portal.example');
  assert.equal(await page.locator('#purpose').innerText(), 'show your account');
  await keepPicture(page, 'agent');
  await typePin(page, '999999');
  await page.getByText('Wrong PIN').first().waitFor();
  await keepPicture(page, 'agent-wrong-pin');
  await typePin(page, card.pin1);
  await page.waitForURL(`${issuer}/consent**`);
  await keepPicture(page, 'consent');
  await page.locator('button[value="allow"]').click();
  await loggedIn(page);
  assert.equal(await page.locator('[data-claim="name"]').innerText(), name);
  assert.equal(await page.locator('[data-claim="birthdate"]').innerText(), '1980-02-29');
  assert.equal(await page.locator('[data-claim="acr"]').getAttribute('data-value'), 'high');
  await keepPicture(page, 'portal-logged-in');
  assert.deepEqual(seen.complaints, []);
  // What the agent signed, judged by somebody who knows the specification only.
  const judged = (origin, nonce) => judgeToken(seen.token, { origin, nonce, issuer: readFileSync(join(work, 'centre/ca/issuing.crt.pem')) });
  judged(seen.request.origin, seen.request.nonce);
  assert.equal(seen.request.origin, issuer);
  assert.throws(() => judged('https://evil.example', seen.request.nonce), 'for another origin');
  assert.throws(() => judged(seen.request.origin, `${seen.request.nonce}x`), 'for another nonce');
  await context.close();
});

test('the same in Russian, by keyboard alone', async () => {
  const { context, page } = await visitor({ locale: 'ru-RU' });
  await page.goto('https://portal.example/');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.locator('#by-card').waitFor();
  await keepPicture(page, 'log-in-ru');
  await byCard(page, async () => {
    await page.locator('#by-card').focus();
    await page.keyboard.press('Enter');
  });
  await page.getByText('Вход по карте').first().waitFor();
  await keepPicture(page, 'agent-ru');
  await page.locator('#pin').focus();
  await page.keyboard.type(card.pin1);
  await page.keyboard.press('Enter');
  await loggedIn(page); // the consent stands
  await page.getByText('Здравствуйте').waitFor();
  await keepPicture(page, 'portal-logged-in-ru');
  await context.close();
});

test('cancelled at the agent, then at the log-in: the portal is told', async () => {
  const { context, page } = await visitor();
  await toAgent(page);
  await page.locator('#cancel, button[value="give-up"]').first().click();
  await page.waitForURL(`${issuer}/login/answer**`);
  await page.getByText('You were not logged in').first().waitFor();
  await keepPicture(page, 'cancelled');
  await page.locator('form[action="/login/cancel"] button').click();
  await page.waitForURL('https://portal.example/callback**');
  assert.equal(await page.locator('[data-error]').getAttribute('data-error'), 'access_denied');
  await keepPicture(page, 'portal-cancelled');
  await context.close();
});

test('no card, then one comes: the page notices by itself', async () => {
  cards.tell('remove', 1);
  const { context, page } = await visitor();
  await toAgent(page);
  await page.getByText('Put your card in').first().waitFor();
  await keepPicture(page, 'agent-no-card');
  cards.tell('insert', 1);
  await page.locator('#pin').waitFor();
  await typePin(page, card.pin1);
  await loggedIn(page);
  await context.close();
});

test('a card with the PIN of its letter is told to get another; of two cards one is chosen', async () => {
  cards.tell('remove', 1);
  cards.tell('insert', 2);
  await cards.seen(2);
  const { context, page } = await visitor();
  await toAgent(page);
  await page.getByText('Choose your own PIN first').first().waitFor();
  assert.equal(await page.locator('#pin').count(), 0, 'no PIN is asked for');
  await keepPicture(page, 'agent-transport-pin');
  cards.choosePin(other);
  cards.tell('insert', 1);
  await cards.seen(1);
  await page.locator('input[type="radio"]').nth(1).waitFor(); // the page notices by itself
  await keepPicture(page, 'agent-two-cards');
  await page.locator('input[type="radio"][value*="Reader 2"]').check();
  await typePin(page, other.pin1);
  await page.locator('button[value="allow"]').click();
  await loggedIn(page);
  assert.equal(await page.locator('[data-claim="name"]').innerText(), otherName);
  await context.close();
});

test('a card that was reported lost is refused, with the reason', async () => {
  karta(['card', 'suspend', card.serial, '--why', 'reported lost'], { secrets: [] });
  const { context, page } = await visitor();
  await toAgent(page);
  await typePin(page, card.pin1);
  await page.waitForURL(`${issuer}/login/answer**`);
  await page.getByText(/suspended/i).first().waitFor();
  await keepPicture(page, 'suspended');
  karta(['card', 'resume', card.serial, '--why', 'found'], { secrets: [] });
  await byCard(page);
  await typePin(page, card.pin1);
  await loggedIn(page);
  await context.close();
});

test('without a reader: a login name and a code of an app, where the portal takes that', async () => {
  const { otpauth } = JSON.parse(karta(['account', 'enrol', otherSnils, '--login', 'sample.citizen', '--secret-file', 'login.secret', '--json', '--why', 'asked for it'], { secrets: [] }));
  const { context, page } = await visitor();
  await page.goto('https://portal.example/');
  await page.locator('a[href="/login"]').click();
  await page.locator('#by-card').waitFor();
  assert.equal(await page.locator('form[action="/login/name"]').count(), 0, 'this portal wants more');
  await page.goto('https://other.example/');
  await page.locator('a[href="/login"]').click();
  await page.locator('input[name="login"]').fill('sample.citizen');
  await keepPicture(page, 'log-in-all-ways');
  await page.keyboard.press('Enter');
  await page.locator('input[name="code"]').fill('000000');
  await page.keyboard.press('Enter');
  await page.getByText('is not right').waitFor();
  await keepPicture(page, 'code-wrong');
  await page.locator('input[name="code"]').fill(codeOf(otpauth));
  await page.keyboard.press('Enter');
  await page.locator('button[value="allow"]').click();
  await page.waitForURL('https://other.example/');
  assert.equal(await page.locator('[data-claim="acr"]').getAttribute('data-value'), 'low');
  assert.equal(await page.locator('[data-claim="name"]').innerText(), otherName);
  await context.close();
});

test('with the card as a TLS certificate of the browser', async () => {
  const [soft] = world.cards;
  const pem = `-----BEGIN CERTIFICATE-----\n${soft.certificate.match(/.{1,64}/g).join('\n')}\n-----END CERTIFICATE-----\n`;
  const { context, page } = await visitor({
    clientCertificates: [{ origin: mtlsAddress, cert: Buffer.from(pem), key: Buffer.from(soft.key.export({ type: 'pkcs8', format: 'pem' })) }],
  });
  await page.goto('https://other.example/');
  await page.locator('a[href="/login"]').click();
  await page.locator('#by-certificate').click();
  await page.locator('button[value="allow"]').click();
  await page.waitForURL('https://other.example/');
  assert.equal(await page.locator('[data-claim="acr"]').getAttribute('data-value'), 'substantial');
  await keepPicture(page, 'portal-by-certificate');
  await context.close();
});

test('the citizen leaves out what the portal can do without, by keyboard alone, and is not asked again', async () => {
  const [soft] = world.cards;
  const pem = `-----BEGIN CERTIFICATE-----\n${soft.certificate.match(/.{1,64}/g).join('\n')}\n-----END CERTIFICATE-----\n`;
  const holder = () => visitor({
    locale: 'ru-RU', clientCertificates: [{ origin: mtlsAddress, cert: Buffer.from(pem), key: Buffer.from(soft.key.export({ type: 'pkcs8', format: 'pem' })) }],
  });
  const logIn = async (page) => {
    await page.goto('https://portal.example/');
    await page.locator('a[href="/login"]').click();
    await page.locator('#by-certificate').click();
  };
  const { context, page, seen } = await holder();
  await logIn(page);
  await page.waitForURL(`${issuer}/consent**`);
  assert.ok(await page.locator('#claim-name').isDisabled(), 'the portal cannot do without the name');
  assert.ok(await page.locator('#claim-birthdate').isChecked());
  const focused = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.getAttribute('value') || '');
  const tabTo = async (what) => {
    for (let steps = 0; (await focused()) !== what; steps += 1) {
      assert.ok(steps < 30, `the keyboard does not lead to ${what}`);
      await page.keyboard.press('Tab');
    }
  };
  await tabTo('claim-birthdate');
  await page.keyboard.press('Space');
  assert.ok(!(await page.locator('#claim-birthdate').isChecked()));
  await keepPicture(page, 'consent-left-out-ru');
  await tabTo('allow');
  await page.keyboard.press('Enter');
  await loggedIn(page);
  assert.equal(await page.locator('[data-claim="name"]').innerText(), soft.name);
  assert.equal(await page.locator('[data-claim="birthdate"]').count(), 0);
  assert.deepEqual(seen.complaints, []);
  await context.close();
  // Another day, another browser: no question, and the same answer.
  const later = await holder();
  await logIn(later.page);
  await loggedIn(later.page);
  assert.equal(await later.page.locator('[data-claim="birthdate"]').count(), 0);
  await later.context.close();
});

test('log-ins begun in two tabs do not disturb each other', async () => {
  const { context, page } = await visitor();
  const other = await context.newPage();
  await toAgent(page);
  await toAgent(other);
  await typePin(page, card.pin1);
  await loggedIn(page);
  await typePin(other, card.pin1);
  await loggedIn(other);
  assert.equal(await other.locator('[data-claim="name"]').innerText(), name);
  await context.close();
});

test('a form of the portal that logs out at the provider finds the session', async () => {
  const { context, page } = await visitor();
  await toAgent(page);
  await typePin(page, card.pin1);
  await loggedIn(page);
  await page.evaluate((target) => {
    const form = document.createElement('form');
    form.method = 'post';
    form.action = target;
    const client = document.createElement('input');
    client.name = 'client_id';
    client.value = 'city-portal';
    form.append(client);
    document.body.append(form);
    form.submit();
  }, `${issuer}/openid/end-session`);
  await page.waitForURL(`${issuer}/openid/end-session**`);
  await page.getByText('Do you want to log out?').first().waitFor(); // not "You are logged out", which nobody is yet
  await page.locator('form[action="/logout"] button.main').click();
  await page.getByText('You are logged out').first().waitFor();
  await until('the portal to hear of it', async () => {
    await page.goto('https://portal.example/');
    return (await page.locator('[data-claim="name"]').count()) === 0;
  });
  await context.close();
});

test('logged out of the portal is logged out of the provider; logged out everywhere, of every portal', async () => {
  const { context, page } = await visitor();
  await toAgent(page);
  await typePin(page, card.pin1);
  await loggedIn(page);
  await page.locator('form[action="/logout"] button').click();
  await page.waitForURL('https://portal.example/logged-out**');
  await keepPicture(page, 'portal-logged-out');
  await page.locator('a[href="/login"]').click();
  await page.locator('#by-card').waitFor(); // the session is over: the card is asked for again
  await byCard(page);
  await typePin(page, card.pin1);
  await loggedIn(page);
  // The citizen's own page, and from there everywhere.
  const own = await context.newPage();
  await own.goto(`${issuer}/me`);
  await keepPicture(own, 'me');
  await own.goto(`${issuer}/me/sessions`);
  await keepPicture(own, 'me-sessions');
  await own.locator('form[action="/me/sessions/end-all"] button').first().click();
  await until('the portal to hear of it', async () => {
    await page.goto('https://portal.example/');
    return (await page.locator('[data-claim="name"]').count()) === 0;
  });
  await context.close();
});

test('without an agent the page says what to do', async () => {
  await agent.stop();
  const { context, page } = await visitor();
  await page.goto('https://portal.example/');
  await page.locator('a[href="/login"]').click();
  await page.locator('#by-card').click();
  await page.getByText('No agent answers on this computer').waitFor();
  await keepPicture(page, 'no-agent');
  agent = await startAgent();
  await byCard(page);
  await context.close();
});

test('a page of another site cannot make the agent sign, cannot read from it, cannot frame it', async () => {
  const { context, page } = await visitor();
  await toAgent(page);
  const place = page.url();
  const spy = await context.newPage();
  await spy.goto('https://evil.example/');
  const outcomes = await spy.evaluate(async (targets) => {
    const out = {};
    for (const url of targets) {
      for (const mode of ['cors', 'no-cors']) {
        out[`${mode} ${url}`] = await fetch(url, { mode, credentials: 'include', signal: AbortSignal.timeout(3000) }).then((answer) => `${answer.type} ${answer.status}`, () => 'blocked');
      }
      out[`frame ${url}`] = await new Promise((resolve) => {
        const frame = document.createElement('iframe');
        frame.src = url;
        frame.onload = () => { try { resolve(frame.contentDocument?.body?.innerText ? 'readable' : 'closed'); } catch { resolve('closed'); } };
        setTimeout(() => resolve('closed'), 1500);
        document.body.append(frame);
      });
    }
    return out;
  }, [place, `${agentAddress}/agent`, `${agentAddress}/agent/agent.mjs`]);
  for (const [what, outcome] of Object.entries(outcomes)) assert.ok(['blocked', 'closed', 'opaque 0'].includes(outcome), `${what}: ${outcome}`);
  for (const frame of spy.frames()) {
    if (frame !== spy.mainFrame()) assert.ok(!/PIN|Log in/.test(await frame.locator('body').innerText({ timeout: 500 }).catch(() => '')), 'no page of the agent in a frame');
  }
  // A form that types the PIN for the citizen.
  await spy.goto('https://evil.example/');
  await spy.evaluate((target) => {
    const form = document.createElement('form');
    form.method = 'post';
    form.action = target;
    for (const [field, value] of [['pin', '258036'], ['deed', 'login'], ['csrf', 'x']]) {
      const input = document.createElement('input');
      input.name = field;
      input.value = value;
      form.append(input);
    }
    document.body.append(form);
    form.submit();
  }, place);
  await spy.waitForURL(place);
  assert.doesNotMatch(await spy.locator('body').innerText(), /PIN1|Tries/, 'the form was refused');
  // A request of its own making, or one that another provider signed.
  await spy.goto(`${agentAddress}/agent/login?request=${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{}').toString('base64url')}.`);
  assert.equal(await spy.locator('#pin').count(), 0);
  await keepPicture(spy, 'agent-refuses');
  // Another name for this machine: DNS rebinding.
  const rebound = await send(`${agentAddress}/agent`, { headers: { Host: 'rebound.example:8471' } });
  assert.equal(rebound.status, 403);
  await context.close();
});
