// counter: a citizen without a reader is given an account for one-time codes at a service counter, where a reader is: a
// card behind a real pcscd, kartad without any issuer's key, the authority on line, and then a portal that takes codes.
//
// The authority is a process of its own, as docs/login.md says: citizens' browsers must not be asked for certificates.
import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Citizen } from './lib/citizen.mjs';
import { send } from './lib/http.mjs';
import { Portal } from './lib/portal.mjs';
import { Cards, Program } from './lib/programs.mjs';
import { codeOf } from './lib/totp.mjs';
import { issuer, karta, portalKey, until, work, World } from './lib/world.mjs';

const programs = process.env.KARTA_BIN;
const snils = '001-001-999 65', name = 'Образцов Пример Тестович';
const authorityAddress = 'https://id.example:8443', counterAddress = 'http://127.0.0.1:8470';
const token = 'a token for tests only';
let world, cards, card, authority, counter, portal;

/// kartad's answer to a deed, as the counter's own program gets it.
async function ask(path, body, key) {
  const answer = await send(`${counterAddress}${path}`, { method: 'POST', body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}`, 'Idempotency-Key': key } });
  return { status: answer.status, headers: answer.headers, body: JSON.parse(answer.text) };
}
const readers = async () => JSON.parse((await send(`${counterAddress}/v1/readers`, { headers: { Authorization: `Bearer ${token}` } })).text).readers;

before(async () => {
  world = await World.make({ cards: 1 });
  writeFileSync(join(work, 'people.csv'), `snils,family,given,patronymic,birth_date\n${snils},Образцов,Пример,Тестович,1980-02-29\n`);
  karta(['citizen', 'import', 'people.csv'], { secrets: [] });
  cards = await Cards.start(1);
  card = cards.issue(1, snils);
  world.writeConfig();
  await world.startServer();

  writeFileSync(join(work, 'authority.toml'), `schema = "karta.identity/1"
database = "centre/registry.sqlite"
[server]
listen = ["127.0.0.10:8443"]
[tls]
key = "tls/host.key"
certificate = "tls/host.crt"
passphrase_file = "tls/passphrase"
[authority]
centre = "centre"
passphrase_file = "passphrase"
desk = true
[authority.tls]
key = "centre/keys/issuing.key.pem"
certificate = "centre/ca/issuing.crt.pem"
passphrase_file = "passphrase"
[authority.accounts]
secret_file = "login.secret"
issuer = "id.example"
mail = true
`);
  authority = await new Program('authority', join(programs, 'karta-identity'), ['serve', '--config', 'authority.toml'])
    .ready(async () => (await send(`${authorityAddress}/healthz`).catch(() => null)) !== null);
  const { code } = JSON.parse(karta(['terminal', 'enrol', 'window-1', '--role', 'counter', '--json'], { secrets: [] }));
  karta(['terminal', 'join', authorityAddress, '--role', 'counter', '--folder', 'window-1', '--roots', 'tls/root.pem', '--passphrase-fd', '3'],
    { secrets: [`${code}\nthe counter's own`] });
  writeFileSync(join(work, 'counter.secret'), 'the counter\'s own\n', { mode: 0o600 });
  writeFileSync(join(work, 'counter.toml'), `schema = "karta.kartad/1"
state = "counter-state"
[server]
listen = ["127.0.0.1:8470"]
[[caller]]
name = "window"
token_sha256 = "${createHash('sha256').update(token).digest('hex')}"
verbs = ["status", "account"]
[[reader]]
name = "*"
modes = ["counter"]
[[terminal]]
role = "counter"
folder = "window-1"
passphrase_file = "counter.secret"
[trust]
[authority]
url = "${authorityAddress}"
roots = "tls/root.pem"
[counter]
`);
  counter = await new Program('counter', join(programs, 'kartad'), ['--config', 'counter.toml'])
    .ready(async () => (await readers().catch(() => [])).some(({ state }) => state === 'card'));

  const redirect = 'https://portal.example/callback';
  const key = await portalKey();
  world.addClient({ client_id: 'portal', redirect_uris: [redirect], jwks: { keys: [key.jwk] }, userinfo_signed_response_alg: 'ES256' });
  portal = await Portal.discover({ id: 'portal', key, redirect });
});
after(async () => {
  for (const program of [counter, authority, cards]) await program?.stop();
  await world?.stopServer();
});

/// A log-in by a code, from the portal and back; the page that refuses it is thrown.
async function logIn(login, code) {
  const citizen = new Citizen(null, { roots: [world.rootPem] });
  const { claims, tokens, pending } = await portal.logIn(citizen, {}, { code: { login, code } });
  assert.equal(claims.acr, 'low');
  assert.deepEqual(claims.amr, ['otp']);
  return portal.userinfo(tokens, pending);
}
const refused = (login, code) => assert.rejects(logIn(login, code), ({ page }) => page && page.status >= 400);
const mails = () => readdirSync(join(work, 'mail')).filter((one) => one.endsWith('.eml'));

test('an app is told its secret once, and its codes let the citizen in', async () => {
  const wish = { login: 'Sample.Citizen', way: 'app', agreed: true, operator: 'clerk 3', reason: 'application 17' };
  const made = await ask('/v1/accounts', wish, 'app-1');
  assert.equal(made.status, 200, JSON.stringify(made.body));
  assert.equal(made.body.login, 'sample.citizen');
  assert.equal(made.body.state, 'active');
  assert.match(made.body.otpauth, /^otpauth:\/\/totp\/id\.example:sample\.citizen\?secret=[A-Z2-7]{32}&issuer=id\.example/);
  assert.match(made.body.qr, /^<svg [\s\S]*<\/svg>\s*$/);
  const who = await logIn('sample.citizen', () => codeOf(made.body.otpauth));
  assert.equal(who.name, name);

  const again = await ask('/v1/accounts', wish, 'app-1');
  assert.equal(again.status, 200);
  assert.equal(again.headers['idempotent-replayed'], 'true');
  assert.ok(!('otpauth' in again.body) && !('qr' in again.body), 'told once');
  const secret = new URL(made.body.otpauth).searchParams.get('secret');
  const inside = (folder) => readdirSync(join(work, folder), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile()).map((one) => join(one.path, one.name));
  const files = [...['counter.log', 'authority.log', 'server.log'].map((one) => join(work, one)), ...inside('counter-state'), ...inside('centre')];
  assert.ok(files.length > 5, 'files to look into');
  for (const file of files) assert.ok(!readFileSync(file).includes(secret), `the secret is in ${file}`);
});

test('a name that somebody has, an account nobody asked for, a card that is stopped', async () => {
  karta(['account', 'enrol', world.cards[0].snils, '--login', 'taken', '--secret-file', 'login.secret', '--json'], { secrets: [] });
  const taken = await ask('/v1/accounts', { login: 'Taken', way: 'app', agreed: true }, 'taken-1');
  assert.equal(taken.status, 409);
  assert.equal(taken.body.type, 'urn:karta:error:already-exists');
  assert.equal((await ask('/v1/accounts', { login: 'sample.citizen', way: 'app' }, 'silent-1')).status, 400);
  assert.equal((await ask('/v1/accounts', { login: 'имя', way: 'app', agreed: true }, 'name-1')).status, 400);
  karta(['card', 'suspend', card.serial, '--why', 'left in a tram'], { secrets: [] });
  assert.equal((await ask('/v1/accounts', { login: 'sample.citizen', way: 'app', agreed: true }, 'stopped-1')).status, 403);
  karta(['card', 'resume', card.serial, '--why', 'found'], { secrets: [] });
});

test('codes by mail take the place of the app\'s', async () => {
  const made = await ask('/v1/accounts', { login: 'sample.citizen', way: 'mail', mail: 'sample@mail.example', agreed: true }, 'mail-1');
  assert.equal(made.status, 200, JSON.stringify(made.body));
  assert.ok(!('otpauth' in made.body));
  const before = new Set(mails());
  const who = await logIn('sample.citizen', async () => {
    const file = await until('the mail', () => mails().find((one) => !before.has(one)));
    return readFileSync(join(work, 'mail', file), 'utf8').match(/\b(\d{6})\b/)[1];
  });
  assert.equal(who.name, name);
});

test('an account that is removed lets nobody in', async () => {
  const gone = await ask('/v1/account-removals', { agreed: true, reason: 'has a reader now' }, 'gone-1');
  assert.equal(gone.status, 200, JSON.stringify(gone.body));
  assert.equal(gone.body.already, false);
  await refused('sample.citizen', () => '000000');
  const none = await ask('/v1/account-removals', { agreed: true }, 'gone-2');
  assert.equal(none.body.already, true);
});
