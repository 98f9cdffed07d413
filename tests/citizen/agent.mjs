// agent: the citizen's agent in Chromium. A small stand-in for an identity provider, which signs requests by itself and
// takes what comes back; pages of somebody else's; and what a citizen does in front of the agent's page.
//   agent.mjs STORY STAGE FOLDER
import assert from 'node:assert/strict';
import { createPrivateKey, randomBytes, sign } from 'node:crypto';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Browser, until } from '../pages/browser.mjs';
import { validate } from './validator.mjs';

const [story, program, folder] = process.argv.slice(2);
const port = 9443;
const issuer = `http://localhost:${port}`, evil = 'http://rebound.example:9444';
const pin = '135790', can = '314159';
const base64url = (text) => Buffer.from(text).toString('base64url');

// The agent and its readers.
const stage = spawn(program, [String(port)], { stdio: ['pipe', 'pipe', 'inherit'] });
const ended = new Promise((resolve) => { stage.once('exit', resolve); });
const answers = createInterface({ input: stage.stdout })[Symbol.asyncIterator]();
const line = async () => JSON.parse((await answers.next()).value);
const here = await line();
const agent = here.address;
async function tell(command) {
  stage.stdin.write(`${command}\n`);
  const answer = await line();
  assert.ok(!answer.error, `${command}: ${answer.error}`);
  return answer;
}

// The provider: requests go out, browsers come back.
let age = 0;
const back = [];
createServer((request, response) => {
  const address = new URL(request.url, issuer);
  if (address.pathname === '/start') {
    response.writeHead(303, { Location: `${agent}/agent/${address.searchParams.get('verb')}?request=${address.searchParams.get('request')}` }).end();
  } else {
    if (address.pathname === '/back') back.push(address.searchParams);
    response.writeHead(200, { 'Content-Type': 'text/html' }).end(`<title>provider</title><p>${address.pathname}</p>`);
  }
}).listen(port);
createServer((request, response) => {
  response.writeHead(200, { 'Content-Type': 'text/html' }).end('<title>evil</title><p>evil</p>');
}).listen(9444);

function claims(changes = {}) {
  const now = here.now + age;
  return { iss: issuer, aud: 'karta-agent', jti: randomBytes(16).toString('hex'), iat: now, exp: now + 300,
    nonce: randomBytes(33).toString('base64'), origin: issuer, return_uri: `${issuer}/back`, state: randomBytes(9).toString('base64url'),
    verb: 'login', client: { name: 'Sample Portal', name_ru: 'Портал-образец', origin: 'https://portal.example' },
    purpose: { en: 'An appointment at the clinic', ru: 'Запись на приём' }, claims: ['name', 'birthdate'], acr: 'high', locale: 'en', ...changes };
}
function request(payload, { by = here.provider, typ = 'karta-agent-request+jwt', alg = 'ES256' } = {}) {
  const input = `${base64url(JSON.stringify({ typ, alg, x5c: by.chain }))}.${base64url(JSON.stringify(payload))}`;
  if (alg === 'none') return `${input}.`;
  const key = createPrivateKey({ key: Buffer.from(by.key, 'base64'), format: 'der', type: 'pkcs8' });
  return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

const browser = await Browser.start();
const picture = (page, name) => page.picture(join(folder, `${name}.png`));

/// Leads a page from the provider to the agent, as a log-in does. Returns what was asked.
async function ask(page, changes = {}, signing = {}) {
  const asked = claims(changes);
  await page.open(`${issuer}/start?verb=${asked.verb}&request=${request(asked, signing)}`);
  return asked;
}
/// What the provider is told next.
async function told(before) {
  await until('the browser to come back', () => back.length > before);
  return back[before];
}
/// A fresh page in front of a log-in.
async function open(changes = {}, options = {}) {
  const page = await browser.page(options);
  await page.look();
  return { page, asked: await ask(page, changes) };
}
async function proved(got, asked) {
  assert.equal(got.get('state'), asked.state);
  assert.equal(got.get('error'), null);
  const token = JSON.parse(Buffer.from(got.get('token'), 'base64url').toString());
  const certificate = await validate(token, asked.origin, asked.nonce);
  await assert.rejects(validate(token, 'https://portal.example', asked.nonce));
  await assert.rejects(validate(token, asked.origin, `${asked.nonce}=`));
  return { token, certificate };
}
/// Where scripts run the page may come anew by itself while it is looked at.
async function gives(page, button, error) {
  const before = back.length;
  await page.click(button);
  const got = await told(before);
  assert.equal(got.get('error'), error);
  assert.equal(got.get('token'), null);
}

const stories = {
  async login() {
    await tell('plug Desk');
    for (const [card, algorithm] of [['p256', 'ES256'], ['p384', 'ES384'], ['rsa', 'RS256']]) {
      await tell(`insert Desk ${card}`);
      const { page, asked } = await open();
      await page.sees('Sample Portal');
      for (const words of ['https://portal.example', 'An appointment at the clinic', 'full name', 'date of birth', `localhost:${port}`, 'Tries left']) await page.sees(words);
      if (card === 'p256') {
        await picture(page, 'login-en');
        const tree = await page.accessible();
        assert.ok(tree.some((one) => one.role === 'textbox' && one.name.startsWith('PIN1')), 'the field has its name');
        assert.ok(tree.some((one) => one.role === 'heading' && one.name === 'Log in with your card'));
        assert.equal(await page.run('document.documentElement.lang'), 'en');
      }
      // The field has the keyboard already; Enter logs in.
      await page.focuses('pin');
      const before = back.length;
      await page.type(pin);
      await page.press('Enter');
      const got = await told(before);
      const { token } = await proved(got, asked);
      assert.equal(token.algorithm, algorithm);
      assert.equal(token.format, 'web-eid:1.0');
      assert.deepEqual(page.complaints, []);
      assert.deepEqual([...new Set(page.requests.map((one) => new URL(one).origin))].sort(), [agent, issuer].sort());
      await tell('remove Desk');
    }

    // In Russian, dark, small; a card that comes is noticed; by the keyboard alone.
    {
      const { page, asked } = await open({ locale: 'ru' });
      await page.look({ width: 360, height: 740, dark: true });
      await page.sees('Вставьте карту');
      await picture(page, 'no-card-ru-dark');
      await tell('insert Desk p256');
      await page.sees('ПИН1 карты');
      assert.equal(await page.run('document.documentElement.lang'), 'ru');
      await page.sees('Портал-образец');
      await picture(page, 'login-ru-dark');
      const before = back.length;
      await page.tabTo('pin');
      await page.type(pin);
      await page.tabTo('log-in');
      await page.press('Enter');
      await proved(await told(before), asked);
    }

    // Without scripts; two cards to choose from, one of them without contacts.
    {
      await tell('plug Field');
      await tell('field Field second');
      const page = await browser.page();
      await page.look();
      await page.send('Emulation.setScriptExecutionDisabled', { value: true });
      const asked = await ask(page);
      const has = async (name) => (await page.accessible()).some((one) => one.name.includes(name));
      await until('both cards', () => has('contactless reader'));
      await picture(page, 'two-cards');
      // Nothing is chosen for the citizen: the form does not go out.
      const { root } = await page.send('DOM.getDocument', { depth: -1 });
      const find = async (selector) => (await page.send('DOM.querySelector', { nodeId: root.nodeId, selector })).nodeId;
      const press = async (selector) => {
        const { model } = await page.send('DOM.getBoxModel', { nodeId: await find(selector) });
        const [x, y] = [(model.content[0] + model.content[2]) / 2, (model.content[1] + model.content[5]) / 2];
        for (const type of ['mousePressed', 'mouseReleased']) await page.send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
      };
      const write = async (selector, text) => {
        await page.send('DOM.focus', { nodeId: await find(selector) });
        await page.type(text);
      };
      await page.send('DOM.scrollIntoViewIfNeeded', { nodeId: await find('input[value=Field]') });
      await press('input[value=Field]');
      await write('#can', can);
      await write('#pin', pin);
      const before = back.length;
      await page.press('Enter');
      await proved(await told(before), asked);
      await tell('unplug Field');
    }

    // "Hello" leads back by itself, and once.
    {
      const page = await browser.page();
      const before = back.length;
      const asked = await ask(page, { verb: 'hello' });
      const got = await told(before);
      assert.equal(got.get('agent'), 'hello');
      assert.equal(got.get('state'), asked.state);
    }
    const log = await tell('journal agent-login');
    assert.ok(log.length >= 5 && log.every((one) => one.site === 'https://portal.example' && one.outcome === 'signed'));
    assert.ok(!JSON.stringify(log).includes('Образец'));
  },

  async outcomes() {
    const dead = async (name, words, error, changes = {}) => {
      const { page } = await open(changes);
      await page.sees(words);
      await picture(page, name);
      await gives(page, '#give-up', error);
    };
    await tell('pcscd start');
    await dead('no-reader', 'No card reader is attached', 'no_reader');
    await tell('plug Desk');
    await dead('no-card', 'Put your card in', 'no_card');
    await tell('insert Desk blank');
    await dead('wrong-card', 'This card cannot log you in', 'wrong_card');
    await tell('insert Desk letter');
    await dead('transport-pin', 'karta card change-pin --pin 1', 'transport_pin');
    await tell('mute Desk');
    await dead('mute', 'The card does not answer', 'card_error');
    await tell('insert Desk p256');
    await tell('hold Desk');
    await dead('busy', 'Another program is using the card', 'card_error');
    await tell('release Desk');
    await dead('cancelled', 'PIN1 of the card', 'cancelled');

    // Wrong PINs, up to the one that is not spent unasked.
    {
      const { page, asked } = await open();
      for (const left of [2, 1]) {
        await page.fill('#pin', '111111');
        await page.press('Enter');
        await page.sees('Wrong PIN');
        await until(`${left} tries`, async () => (await page.text('.facts')).replace(/\s+/g, ' ').includes(`Tries left ${left}`));
        if (left === 2) await picture(page, 'wrong-pin');
      }
      await page.sees('One try is left');
      await picture(page, 'last-try');
      await page.fill('#pin', pin);
      await page.press('Enter');
      // The box is not ticked: the browser keeps the form here.
      assert.equal(await page.run('document.querySelector("#last").matches(":invalid")'), true);
      // A form without it, however it came about, does not spend the try.
      await page.run('document.querySelector("#last").remove(); document.querySelector("form").requestSubmit(document.querySelector("#log-in"))');
      await page.sees('It was not used');
      await page.fill('#pin', pin);
      await page.click('#last');
      const before = back.length;
      await page.click('#log-in');
      await proved(await told(before), asked);
    }
    // Letters are no PIN, and cost nothing.
    {
      const { page } = await open();
      await page.fill('#pin', 'secret');
      await page.press('Enter');
      await page.sees('That is no PIN');
      await until('3 tries', async () => (await page.text('.facts')).replace(/\s+/g, ' ').includes('Tries left 3'));
      await gives(page, '#give-up', 'cancelled');
    }
    // Taken out while it signs, put in again.
    {
      const { page, asked } = await open();
      await tell('pull');
      await page.fill('#pin', pin);
      await page.press('Enter');
      await page.sees('The card was taken out too early');
      await picture(page, 'pulled');
      await tell('insert Desk p256');
      await page.sees('PIN1 of the card');
      await until('the page to notice', async () => !(await page.text()).includes('too early'));
      await page.fill('#pin', pin);
      const before = back.length;
      await page.press('Enter');
      await proved(await told(before), asked);
    }
    await tell('remove Desk'); // a page may be looking at it
    await tell('spend p256 0');
    await tell('insert Desk p256');
    await dead('blocked', 'karta card unblock --pin 1', 'pin_blocked');
    await tell('pcscd stop');
    await dead('no-service', 'The card service is not running', 'no_reader');
    await tell('pcscd start');

    // An access number that is wrong, then one that is remembered.
    {
      await tell('unplug Desk');
      await tell('plug Field');
      await tell('field Field p384');
      const { page, asked } = await open();
      await page.fill('#can', '000000');
      await page.fill('#pin', pin);
      await page.press('Enter');
      await page.sees('Wrong access number');
      await page.fill('#can', can);
      await page.fill('#pin', '111111');
      await page.press('Enter');
      await page.sees('Wrong PIN');
      await page.sees('is remembered for this log-in');
      assert.equal(await page.has('#can'), false);
      const before = back.length;
      await page.fill('#pin', pin);
      await page.press('Enter');
      await proved(await told(before), asked);
    }
    // Time runs out in front of the page.
    {
      const { page } = await open();
      await page.sees('PIN1 of the card');
      await tell('age 400');
      age += 400;
      const before = back.length;
      // The page's script, listening again after a while without a network, does not use up the way back.
      assert.equal(await page.run(`new Promise((done) => { const one = new EventSource(location.pathname + '/events?after=0');
        one.onopen = () => { one.close(); done('heard'); }; one.onerror = () => { one.close(); done('refused'); }; })`), 'heard');
      await page.fill('#can', can);
      await page.fill('#pin', pin);
      await page.press('Enter');
      assert.equal((await told(before)).get('error'), 'timed_out');
    }
    // Requests that are not heard. None leads anywhere.
    const before = back.length;
    const deaf = async (name, words, changes, signing, alter = (one) => one) => {
      const page = await browser.page();
      await page.look();
      await page.open(`${agent}/agent/login?request=${alter(request(claims(changes), signing))}`);
      await page.sees(words);
      assert.equal(await page.has('form'), false);
      await picture(page, `refused-${name}`);
    };
    await deaf('expired', 'This request is too old', { iat: here.now - 700, exp: here.now - 400 });
    await deaf('unknown', 'An unknown log-in service asks', { iss: 'https://id.example' });
    await deaf('foreign-root', 'could not prove who it is', {}, { by: here.foreign });
    await deaf('other-host', 'could not prove who it is', {}, { by: here.other_host });
    await deaf('stolen-chain', 'altered on its way', {}, { by: { ...here.provider, key: here.foreign.key } });
    await deaf('altered', 'altered on its way', {}, {}, (one) => {
      const parts = one.split('.');
      const payload = JSON.parse(Buffer.from(parts[1], 'base64url').toString());
      payload.client.name = 'Another Portal';
      return [parts[0], base64url(JSON.stringify(payload)), parts[2]].join('.');
    });
    await deaf('none', 'This request is broken', {}, { alg: 'none' });
    await deaf('typ', 'This request is broken', {}, { typ: 'JWT' });
    await deaf('origin', 'This request is broken', { origin: 'https://portal.example', return_uri: 'https://portal.example/back' });
    await deaf('return', 'This request is broken', { return_uri: 'https://evil.example/back' });
    {
      const one = request(claims());
      const page = await browser.page();
      await page.open(`${agent}/agent/login?request=${one}`);
      await page.sees('Sample Portal');
      const again = await browser.page();
      await again.open(`${agent}/agent/login?request=${one}`);
      await again.sees('was used already');
      // The first is not disturbed by it.
      await page.open(await page.run('location.href'));
      await page.sees('Sample Portal');
    }
    assert.equal(back.length, before);
  },

  async attacks() {
    await tell('plug Desk');
    await tell('insert Desk p256');
    // A log-in is open, and somebody knows everything of it: its address and the token of its form.
    const { page: victim } = await open();
    await victim.sees('PIN1 of the card');
    const place = await victim.run('location.href');
    const csrf = await victim.run('document.querySelector("[name=csrf]").value');
    const body = `csrf=${csrf}&reader=Desk&pin=${pin}&deed=login`;
    const fresh = () => `${agent}/agent/login?request=${request(claims())}`;
    const page = await browser.page();
    await page.open(`${evil}/`);
    const asks = (expression) => page.run(`(async () => { try { return await (${expression}); } catch (error) { return 'refused'; } })()`);

    for (const address of [fresh(), place, `${place}/events`, `${agent}/agent`, `${agent}/v1/status`, `${agent}/healthz`]) {
      const text = JSON.stringify(address);
      assert.equal(await asks(`fetch(${text}, { credentials: 'include' }).then((one) => one.text())`), 'refused', address);
      // What "no-cors" lets through cannot be read.
      const type = await asks(`fetch(${text}, { mode: 'no-cors' }).then((one) => one.type)`);
      assert.ok(type === 'opaque' || type === 'refused', type);
    }
    await asks(`fetch(${JSON.stringify(place)}, { method: 'POST', mode: 'no-cors', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: ${JSON.stringify(body)} })`);
    assert.equal(await asks(`new Promise((done) => { const one = new Image(); one.onload = () => done('shown'); one.onerror = () => done('refused'); one.src = ${JSON.stringify(fresh())}; })`), 'refused');
    assert.equal(await asks(`new Promise((done) => { const one = document.createElement('script'); one.onload = () => done('ran'); one.onerror = () => done('refused'); one.src = '${agent}/agent/agent.mjs'; document.head.append(one); })`), 'refused');
    assert.equal(await asks(`new Promise((done) => { const one = new WebSocket('ws://127.0.0.1:8471/agent'); one.onopen = () => done('open'); one.onerror = () => done('refused'); })`), 'refused');
    assert.equal(await asks(`new Promise((done) => { const one = new EventSource(${JSON.stringify(`${place}/events`)}); one.onopen = () => done('open'); one.onerror = () => done('refused'); })`), 'refused');
    // A frame stays empty: not even its load event tells of more than an error page.
    await asks(`new Promise((done) => { const one = document.createElement('iframe'); one.onload = () => done('loaded'); one.src = ${JSON.stringify(fresh())}; document.body.append(one); })`);
    const { frameTree } = await page.send('Page.getFrameTree');
    for (const { frame } of frameTree.childFrames ?? []) assert.ok(!frame.url.startsWith(`${agent}/agent/r/`), frame.url);
    // A window of its own: the request is shown to the citizen, as it may be, and nothing of it to who opened it.
    assert.equal(await asks(`new Promise((done) => { const other = window.open(${JSON.stringify(fresh())}); const look = () => { try { return other.document.body.innerText; } catch { return null; } };
      let tries = 0; const again = () => { if (other.closed || ++tries > 40) return done('refused'); const text = look(); if (text && text.includes('PIN')) return done(text); setTimeout(again, 25); }; again(); })`), 'refused');
    // A form, with all it takes but the page it should come from.
    await page.run(`(() => { const form = document.createElement('form'); form.method = 'post'; form.action = ${JSON.stringify(place)};
      for (const [name, value] of new URLSearchParams(${JSON.stringify(body)})) { const one = document.createElement('input'); one.name = name; one.value = value; form.append(one); }
      document.body.append(form); form.submit(); })()`);
    await until('the refusal', async () => (await page.text()).includes('page of another'));
    // A name that leads here and is not ours.
    const rebound = await browser.page();
    const text = request(claims());
    for (const path of [`/agent/login?request=${text}`, '/agent', new URL(place).pathname]) {
      await rebound.open(`http://rebound.example:8471${path}`);
      await rebound.sees('another server');
    }
    // Another user of the machine: connections of his are closed before a word is read. (In a namespace with one user
    // there is no other to try it with.)
    const other = await new Promise((resolve) => {
      const script = `fetch('${agent}/agent').then((one) => process.exit(one.status === 200 ? 3 : 4), () => process.exit(0))`;
      const one = spawn(process.execPath, ['-e', script], { uid: 65534, gid: 65534, stdio: 'ignore', cwd: '/' });
      one.once('error', () => resolve('nobody to try it with'));
      one.once('exit', resolve);
    });
    console.error(`another user's connection: ${other}`);
    assert.ok(other === 0 || other === 'nobody to try it with', `another user was answered (${other})`);
    // A page of ours whose form token is not known.
    await page.open(`${agent}/agent`);
    assert.equal(await page.run(`fetch(${JSON.stringify(place)}, { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: 'csrf=x&reader=Desk&pin=${pin}&deed=login' }).then((one) => one.status)`), 400);
    // Nobody came back, nothing was signed, no try was spent; and the one whose log-in it is can still log in.
    assert.deepEqual(await tell('journal agent-login'), []);
    assert.equal(back.length, 0);
    const refusals = await until('the refusals', async () => {
      const found = await tell('journal caller-refused');
      return found.length > 5 && found;
    });
    assert.ok(refusals.every((one) => !JSON.stringify(one).includes(csrf)));
    await victim.sees('Tries left');
    await victim.fill('#pin', pin);
    await victim.press('Enter');
    await told(0);
    assert.equal((await tell('journal agent-login')).length, 1);
  },
};

let code = 0;
try {
  await stories[story]();
} catch (error) {
  console.error(error);
  code = 1;
}
await browser.stop();
stage.stdin.end('quit\n');
if (await ended !== 0) code = 1;
process.exit(code);
