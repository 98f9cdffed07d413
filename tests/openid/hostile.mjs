// hostile: clients that want karta-identity to serve nobody: they dawdle, send too much, come in crowds, speak no HTTP.
// Meanwhile citizens log in from other addresses, and none of them may notice.
//
// All of it is bounded in count and time and stays on this machine: the crowd is at 127.0.0.66, citizens at 127.0.0.1.
import { strict as assert } from 'node:assert';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';

import { Citizen } from './lib/citizen.mjs';
import { send } from './lib/http.mjs';
import { answerOf, Portal } from './lib/portal.mjs';
import { answerRequest } from './lib/soft_agent.mjs';
import { issuer, portalKey, until, World } from './lib/world.mjs';

const address = '127.0.0.10', certificatesAddress = '127.0.0.11', crowd = '127.0.0.66';
const limits = { requestSeconds: 2, perAddress: 40, all: 200, headerOctets: 16_384, bodyOctets: 65_536, answerSeconds: 3 };
const redirect = 'https://portal.example/callback';
let world, portal;

before(async () => {
  world = await World.make({ cards: 4 });
  const key = await portalKey();
  world.writeConfig({
    limits: [`connections_per_address = ${limits.perAddress}`, `connections = ${limits.all}`, `request_seconds = ${limits.requestSeconds}`,
      `answer_seconds = ${limits.answerSeconds}`],
  });
  await world.startServer();
  world.addClient({ client_id: 'portal', redirect_uris: [redirect], jwks: { keys: [key.jwk] }, userinfo_signed_response_alg: 'ES256' });
  portal = await Portal.discover({ id: 'portal', key, redirect });
  await logIn(0);
});
after(async () => {
  await world?.stopServer();
});

const citizenOf = (number) => new Citizen(world.cards[number], { roots: [world.rootPem] });
async function logIn(number) {
  const { claims } = await portal.logIn(citizenOf(number));
  assert.equal(claims.acr, 'high');
}

/// A connection of the crowd. `ended` resolves with what it was told when it is over.
function intruder({ handshake = true, from = crowd, at = address } = {}) {
  const socket = handshake
    ? connectTls({ host: at, port: 443, localAddress: from, servername: 'id.example' })
    : net.connect({ host: at, port: 443, localAddress: from });
  let told = '';
  socket.setEncoding('latin1');
  socket.on('data', (text) => { told += text; });
  socket.on('error', () => {});
  const ended = new Promise((resolve) => { socket.once('close', () => resolve(told)); });
  const ready = new Promise((resolve) => { socket.once(handshake ? 'secureConnect' : 'connect', resolve); socket.once('close', resolve); });
  return { socket, ended, ready, told: () => told };
}
const everyone = (count, make) => Promise.all(Array.from({ length: count }, (_, i) => make(i)));
/// Resolves with true if the promise does within so many seconds.
const within = (seconds, promise) => Promise.race([promise.then(() => true), new Promise((resolve) => { setTimeout(resolve, seconds * 1000, false); })]);
const counter = async (name) => Number((await send(`${issuer}/metrics`)).text.match(new RegExp(`^${name}(?:{[^}]*})? ([0-9.e+]+)$`, 'm'))?.[1] ?? 0);

// The first: the counts begin at nothing.
test('what comes in by either door is counted', async () => {
  const broken = () => counter('karta_http_requests_bad_total'), each = 7;
  let all = 0;
  for (const at of [address, certificatesAddress]) {
    assert.equal(await broken(), all);
    await everyone(each, async () => {
      const one = intruder({ at });
      await one.ready;
      one.socket.write('no HTTP\r\n\r\n');
      await one.ended;
    });
    all += each;
    await until(`what was broken at ${at}`, async () => (await broken()) === all);
  }
});

test('those who send a request octet by octet are sent away', async () => {
  const slow = await everyone(limits.perAddress - 5, async () => {
    const one = intruder();
    await one.ready;
    one.socket.write('GET /openid/authorize HTTP/1.1\r\nHost: id.example\r\nX-Slow: ');
    one.timer = setInterval(() => { if (one.socket.writable) one.socket.write('x'); }, 100);
    return one;
  });
  await logIn(1);
  await logIn(2);
  const gone = await within(3 * limits.requestSeconds + 4, Promise.all(slow.map(({ ended }) => ended)));
  for (const one of slow) { clearInterval(one.timer); one.socket.destroy(); }
  assert.ok(gone, 'every one of them was closed');
  for (const one of slow) assert.match(one.told(), /^(HTTP\/1\.1 408 |$)/);
  await until('the count of those who were slow', async () => (await counter('karta_http_timeouts_total')) >= slow.length);
});

test('those who begin no handshake are sent away', async () => {
  const silent = await everyone(limits.perAddress - 5, async () => { const one = intruder({ handshake: false }); await one.ready; return one; });
  await logIn(1);
  assert.ok(await within(3 * limits.requestSeconds + 4, Promise.all(silent.map(({ ended }) => ended))), 'every one of them was closed');
});

test('those who send a body without end are sent away', async () => {
  const slow = await everyone(10, async () => {
    const one = intruder();
    await one.ready;
    one.socket.write('POST /openid/par HTTP/1.1\r\nHost: id.example\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\nclient_id=');
    one.timer = setInterval(() => { if (one.socket.writable) one.socket.write('x'); }, 100);
    return one;
  });
  await logIn(3);
  const gone = await within(3 * limits.requestSeconds + 4, Promise.all(slow.map(({ ended }) => ended)));
  for (const one of slow) { clearInterval(one.timer); one.socket.destroy(); }
  assert.ok(gone);
});

test('too much is told to be too much', async () => {
  const ask = async (text) => {
    const one = intruder();
    await one.ready;
    one.socket.write(text);
    assert.ok(await within(limits.requestSeconds + 6, one.ended), text.slice(0, 60));
    return one.told();
  };
  assert.match(await ask(`GET / HTTP/1.1\r\nHost: id.example\r\nX-Huge: ${'x'.repeat(2 * limits.headerOctets)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  assert.match(await ask(`GET /${'x'.repeat(2 * limits.headerOctets)} HTTP/1.1\r\nHost: id.example\r\n\r\n`), /^HTTP\/1\.1 (414|431) /);
  assert.match(await ask(`GET / HTTP/1.1\r\nHost: id.example\r\n${'X-Many: y\r\n'.repeat(5000)}\r\n`), /^HTTP\/1\.1 (400|431) /);
  assert.match(await ask(`POST /openid/token HTTP/1.1\r\nHost: id.example\r\nContent-Length: ${limits.bodyOctets + 1}\r\n\r\n`), /^HTTP\/1\.1 413 /);
  assert.match(await ask(`POST /openid/token HTTP/1.1\r\nHost: id.example\r\nContent-Length: 99999999999999999999\r\n\r\n`), /^HTTP\/1\.1 4\d\d /);
  await logIn(0);
});

test('what is no HTTP, or two requests in one, gets no answer that is worth anything', async () => {
  const texts = [
    'hello\r\n\r\n', 'GET / HTTP/9.9\r\nHost: x\r\n\r\n', 'GET /\r\n\r\n', '\0\0\0\0\r\n\r\n', 'GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n', 'GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n', 'GET / HTTP/1.1\r\nHost : x\r\n\r\n',
    'POST /openid/token HTTP/1.1\r\nHost: id.example\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef',
    'POST /openid/token HTTP/1.1\r\nHost: id.example\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: id.example\r\n\r\n',
    'POST /openid/token HTTP/1.1\r\nHost: id.example\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
    'POST /openid/token HTTP/1.1\r\nHost: id.example\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n',
  ];
  for (const text of texts) {
    const one = intruder();
    await one.ready;
    one.socket.write(text);
    assert.ok(await within(limits.requestSeconds + 6, one.ended), `it was closed: ${JSON.stringify(text.slice(0, 80))}`);
    assert.doesNotMatch(one.told(), /^HTTP\/1\.1 [23]/, JSON.stringify(text));
    assert.doesNotMatch(one.told(), /karta_http/, 'nothing was smuggled in');
  }
  await logIn(1);
});

test('those who ask and do not read are sent away', async () => {
  const one = intruder();
  await one.ready;
  one.socket.pause();
  const text = 'GET /assets/pages.css HTTP/1.1\r\nHost: id.example\r\n\r\n'.repeat(200);
  for (let i = 0; i < 60 && one.socket.writable; i += 1) one.socket.write(text);
  await logIn(2);
  const dead = new Promise((resolve) => { one.socket.once('error', resolve); one.socket.once('close', resolve); });
  const probe = setInterval(() => { if (one.socket.writable) one.socket.write(text); }, 250);
  const gone = await within(limits.answerSeconds * 3 + 6, dead);
  clearInterval(probe);
  one.socket.destroy();
  assert.ok(gone, 'it was closed');
});

test('a crowd from one address fills its own places only; a log-in under way goes on', async () => {
  const citizen = citizenOf(3);
  const { url, pending } = await portal.begin();
  const asked = await citizen.follow(url, { stopAt: 'agent' });
  const before = await counter('karta_http_connections_refused_total');
  const many = await everyone(3 * limits.perAddress, async () => { const one = intruder({ handshake: false }); await one.ready; return one; });
  await until('those beyond the limit', async () => (await counter('karta_http_connections_refused_total')) >= before + 2 * limits.perAddress - 5);
  // Whoever has a place uses it without pause.
  const busy = await everyone(Math.floor(limits.perAddress / 2), async () => intruder());
  const noise = setInterval(() => { for (const { socket } of busy) if (socket.writable) socket.write('GET /openid/jwks HTTP/1.1\r\nHost: id.example\r\n\r\n'); }, 20);
  const page = await citizen.open(answerRequest(asked, citizen.card), { here: (to) => to.startsWith(issuer) });
  const back = page.location ?? await citizen.submit(page.form('/consent'), { button: 'allow', here: (to) => to.startsWith(issuer) }).then(({ location }) => location);
  assert.ok(answerOf(back).code);
  assert.equal((await portal.complete(back, pending)).claims().acr, 'high');
  for (let i = 0; i < 4; i += 1) await logIn(i);
  clearInterval(noise);
  for (const { socket } of [...many, ...busy]) socket.destroy();
  await Promise.all([...many, ...busy].map(({ ended }) => ended));
  // Its places are free again.
  await until('a place', async () => {
    const one = intruder();
    await one.ready;
    one.socket.write('GET /openid/jwks HTTP/1.1\r\nHost: id.example\r\nConnection: close\r\n\r\n');
    return /^HTTP\/1\.1 200/.test(await one.ended);
  });
});

test('one address cannot guess without end', async () => {
  world.writeConfig({
    limits: [`connections_per_address = ${limits.perAddress}`, `connections = ${limits.all}`, `request_seconds = ${limits.requestSeconds}`, 'requests_per_second = 50'],
  });
  await world.stopServer();
  await world.startServer();
  const one = intruder();
  await one.ready;
  one.socket.write('GET /openid/userinfo HTTP/1.1\r\nHost: id.example\r\nAuthorization: DPoP guess\r\n\r\n'.repeat(300));
  await within(10, one.ended);
  const answers = one.told().match(/HTTP\/1\.1 \d{3}/g);
  assert.ok(answers.some((line) => line.endsWith('429')), 'it was told to wait');
  assert.match(one.told(), /Retry-After: \d+/i);
  assert.ok(answers.filter((line) => line.endsWith('401')).length <= 120, 'few guesses were judged');
  await logIn(0);
});
