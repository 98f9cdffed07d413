// proxied: karta-identity behind Debian's HAProxy, which passes connections on as they are and says whose they are: by
// version 2 of the PROXY protocol before the pages, by version 1 before the listener for certificates.
//
// Citizens come from addresses of their own (127.0.0.71 and on) to HAProxy, which comes to karta-identity from 127.0.0.9.
import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';

import { Citizen } from './lib/citizen.mjs';
import { send } from './lib/http.mjs';
import { Portal } from './lib/portal.mjs';
import { Program } from './lib/programs.mjs';
import { issuer, mtlsAddress, portalKey, until, work, World } from './lib/world.mjs';

const balancer = '127.0.0.9', direct = { host: '127.0.0.30', port: 8443 };
const door = '127.0.0.10', certificatesDoor = '127.0.0.11';
const redirect = 'https://portal.example/callback';
const perAddress = 10;
let world, portal, haproxy;

/// As docs/identity-server.md shows it, and with each server tried five times a second.
const balancerConfig = `
global
  maxconn 1000
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  default-server source ${balancer} check inter 200ms
frontend pages
  bind ${door}:443
  bind ::1:443
  default_backend pages
backend pages
  server one 127.0.0.30:8443 send-proxy-v2
frontend certificates
  bind ${certificatesDoor}:443
  default_backend certificates
backend certificates
  server one 127.0.0.30:8444 send-proxy
`;

before(async () => {
  world = await World.make({ cards: 2 });
  world.writeConfig({
    server: [`proxy_protocol_from = ["${balancer}", "192.0.2.0/24"]`],
    openid: [`mtls_proxy_protocol_from = ["${balancer}"]`],
    limits: [`connections_per_address = ${perAddress}`],
  }, [`${direct.host}:${direct.port}`, '127.0.0.30:8444']);
  writeFileSync(join(work, 'haproxy.cfg'), balancerConfig);
  haproxy = new Program('haproxy', '/usr/sbin/haproxy', ['-f', 'haproxy.cfg', '-db']);
  await world.startServer();
  const key = await portalKey();
  world.addClient({ client_id: 'portal', redirect_uris: [redirect], jwks: { keys: [key.jwk] }, userinfo_signed_response_alg: 'ES256', least_acr: 'low' });
  portal = await Portal.discover({ id: 'portal', key, redirect });
});
after(async () => {
  await world?.stopServer();
  await haproxy?.stop();
});

/// A citizen who comes from `from`.
class Visitor extends Citizen {
  constructor(card, from) {
    super(card, { roots: [world.rootPem] });
    this.from = from;
  }

  ask(url, { tls, ...request } = {}) { return super.ask(url, { ...request, tls: { localAddress: this.from, ...tls } }); }
}

const counter = async (name) => Number((await send(`${issuer}/metrics`)).text.match(new RegExp(`^${name}(?:{[^}]*})? ([0-9.e+]+)$`, 'm'))?.[1] ?? 0);
const badHeaders = () => counter('karta_http_proxy_headers_bad_total');

/// What a connection from `from` that sends `octets` is told until it ends, within a deadline.
function raw(octets, { from, host, port = 443, end = false }) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, localAddress: from });
    let told = '';
    socket.setEncoding('latin1');
    socket.setTimeout(30_000, () => { socket.destroy(); reject(new Error(`the connection from ${from} does not end`)); });
    socket.on('data', (text) => { told += text; });
    socket.on('error', () => {});
    socket.once('close', () => resolve(told));
    socket.once('connect', () => { if (end) socket.end(octets); else socket.write(octets); });
  });
}
const signature = '\r\n\r\n\0\r\nQUIT\n';
const binary = (client, more = 0) => Buffer.concat([Buffer.from(`${signature}\x21\x11`, 'latin1'), Buffer.from([(12 + more) >> 8, (12 + more) & 255]),
  Buffer.from(client.split('.').map(Number)), Buffer.from([127, 0, 0, 10, 0x9c, 0x40, 1, 0xbb]), Buffer.alloc(more)]);

test('a citizen\'s page tells the address the citizen comes from', async () => {
  for (const [number, from] of [[0, '127.0.0.71'], [1, '127.0.0.72']]) {
    const visitor = new Visitor(world.cards[number], from);
    const { claims } = await portal.logIn(visitor);
    assert.equal(claims.acr, 'high');
    const words = (await visitor.open(`${issuer}/me/sessions`)).words();
    assert.ok(words.includes(from), words);
    assert.ok(!words.includes(balancer), 'nothing of the balancer');
  }
});

test('by the listener for certificates, too', async () => {
  const visitor = new Visitor(world.cards[0], '127.0.0.73');
  const { claims } = await portal.logIn(visitor, {}, {
    certificate: { key: world.cards[0].key.export({ type: 'pkcs8', format: 'pem' }), cert: pemOf(world.cards[0]), localAddress: '127.0.0.73' },
  });
  assert.equal(claims.acr, 'substantial');
  // Whose handshake fails is told by his own address.
  await raw('no TLS\r\n\r\n', { from: '127.0.0.74', host: certificatesDoor });
  await until('a line of the log', () => world.log().includes('TLS with 127.0.0.74 failed'));
});

const pemOf = ({ certificate }) => `-----BEGIN CERTIFICATE-----\n${certificate.match(/.{1,64}/g).join('\n')}\n-----END CERTIFICATE-----\n`;

test('who types names without end is braked, and nobody else', async () => {
  const typeName = async (from) => {
    const visitor = new Visitor(null, from);
    const page = await visitor.open(`${issuer}/login`);
    const answer = await visitor.submit(page.form('/login/name'), { values: { login: 'nobody.here' } });
    return answer.status;
  };
  const statuses = [];
  while (statuses.at(-1) !== 429 && statuses.length < 40) statuses.push(await typeName('127.0.0.75'));
  assert.equal(statuses[0], 200);
  assert.equal(statuses.at(-1), 429, `${statuses}`);
  assert.equal(await typeName('127.0.0.76'), 200, 'another citizen behind the same balancer');
});

test('connections are counted to the citizen and not to the balancer', async () => {
  const open = (from) => new Promise((resolve) => {
    const socket = connectTls({ host: door, port: 443, localAddress: from, servername: 'id.example' });
    socket.once('secureConnect', () => resolve(socket));
    socket.on('error', () => {});
    socket.once('close', () => resolve(null));
  });
  const all = [];
  for (const from of ['127.0.0.77', '127.0.0.78', '127.0.0.79']) {
    for (let i = 0; i < perAddress; i += 1) all.push(await open(from));
  }
  assert.ok(all.every(Boolean), `${3 * perAddress} connections of three citizens by one balancer`);
  assert.equal(await open('127.0.0.78'), null, 'one more than a citizen may have');
  for (const one of all) one.destroy();
});

test('a header from anybody but the balancer is no TLS, whoever it names', async () => {
  const before = await badHeaders();
  for (const header of [binary('127.0.0.1'), Buffer.from('PROXY TCP4 127.0.0.1 127.0.0.10 40000 443\r\n')]) {
    const told = await raw(header, { ...direct, from: '127.0.0.66' });
    assert.doesNotMatch(told, /HTTP/);
  }
  // Through the balancer it stands behind the balancer's own, where TLS would be.
  await raw(binary('127.0.0.1'), { host: door, from: '127.0.0.67' });
  await until('the log', () => /TLS with 127\.0\.0\.66 failed/.test(world.log()) && /TLS with 127\.0\.0\.67 failed/.test(world.log()));
  assert.doesNotMatch(world.log(), /TLS with 127\.0\.0\.1 failed/);
  assert.equal(await badHeaders(), before);
  // And without one such a client is served as ever.
  const answer = await send(`https://${direct.host}:${direct.port}/.well-known/openid-configuration`, { tls: { localAddress: '127.0.0.66', servername: 'id.example' } });
  assert.equal(answer.status, 200);
});

test('a balancer without a good header is sent away; the log does not fill', async () => {
  const before = await badHeaders();
  const from = { ...direct, from: balancer };
  const whole = binary('127.0.0.80', 20);
  const wrong = [
    ['no header', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['TLS at once', Buffer.from([0x16, 3, 1, 2, 0])],
    ['a line without end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`)],
    ['an address that is none', Buffer.from('PROXY TCP4 127.0.0.256 127.0.0.1 1 2\r\n')],
    ['too short for its addresses', Buffer.from(`${signature}\x21\x11\0\x0b`, 'latin1')],
    ['another version', Buffer.from(`${signature}\x11\x11\0\x0c`, 'latin1')],
    ...Array.from({ length: whole.length - 1 }, (_, size) => [`its first ${size + 1} octets`, whole.subarray(0, size + 1), true]),
  ];
  for (const [what, octets, end] of wrong) assert.equal(await raw(octets, { ...from, end }), '', what);
  // Slow ones: nothing at all, half a header, a length that never comes.
  await Promise.all([Buffer.alloc(0), Buffer.from('PROXY TCP4 127.'), binary('127.0.0.80', 60_000).subarray(0, 5_000)].map((octets) => raw(octets, from)));
  await until('the count', async () => (await badHeaders()) === before + wrong.length + 3);
  const lines = world.log().match(/the balancer 127\.0\.0\.9 was sent away for its PROXY header: /g).length;
  assert.ok(lines >= 10 && lines <= 15, `${lines} lines for ${wrong.length + 3} connections`);
  // Citizens have gone on.
  assert.equal((await portal.logIn(new Visitor(world.cards[1], '127.0.0.80'))).claims.acr, 'high');
});

test('however much stands behind the addresses, it is skipped', async () => {
  const socket = net.connect({ ...direct, localAddress: balancer });
  await new Promise((resolve) => { socket.once('connect', resolve); });
  socket.write(binary('127.0.0.81', 65_000));
  const secure = connectTls({ socket, servername: 'id.example' });
  secure.on('error', () => {});
  secure.write('GET /metrics HTTP/1.1\r\nHost: id.example\r\nConnection: close\r\n\r\n');
  let told = '';
  for await (const part of secure) told += part;
  assert.match(told, /^HTTP\/1\.1 404 /, 'the metrics are for 127.0.0.1 alone');
});

test('a citizen of IPv6 is told over IPv4', async () => {
  const metrics = async (host) => (await send(`https://id.example/metrics`, { tls: { host, servername: 'id.example' } })).status;
  assert.equal(await metrics('::1'), 200, 'the metrics are for ::1, too');
  const elsewhere = await send(`https://id.example/metrics`, { tls: { localAddress: '127.0.0.81' } });
  assert.equal(elsewhere.status, 404);
});

test('a balancer that tries the server does so without a trace', async () => {
  const taken = () => counter('karta_http_connections_total');
  const first = await taken(), bad = await badHeaders();
  await until('twenty trials', async () => (await taken()) > first + 40);
  assert.equal(await badHeaders(), bad);
  assert.doesNotMatch(world.log(), /TLS with 127\.0\.0\.9 failed/);
  assert.equal(await counter('karta_http_connections_refused_total') < 5, true);
});

// The last: the world is another one behind it.
test('a balancer that ends TLS says it before plain HTTP', async () => {
  const file = (name) => join(work, name);
  await world.stopServer();
  await haproxy.stop();
  const text = readFileSync(file('identity.toml'), 'utf8').replace(/\[tls\][^[]*/, '').replace(/^(mtls_|certificate_address).*\n/gm, '');
  assert.doesNotMatch(text, /\[tls\]|mtls/);
  writeFileSync(file('identity.toml'), text);
  writeFileSync(file('site.pem'), ['plain.key', 'host.crt'].map((name) => readFileSync(file(join('tls', name)), 'utf8')).join(''));
  const pages = balancerConfig.slice(0, balancerConfig.indexOf('frontend certificates'));
  writeFileSync(file('haproxy.cfg'), pages.replace(`bind ${door}:443`, `bind ${door}:443 ssl crt ${file('site.pem')}`));
  haproxy = new Program('haproxy', '/usr/sbin/haproxy', ['-f', 'haproxy.cfg', '-db']);
  await world.startServer();
  const visitor = new Visitor(world.cards[0], '127.0.0.82');
  assert.equal((await portal.logIn(visitor)).claims.acr, 'high');
  const words = (await visitor.open(`${issuer}/me/sessions`)).words();
  assert.ok(words.includes('127.0.0.82'), words);
});
