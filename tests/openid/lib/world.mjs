// world: an issuing centre with citizens and cards, karta-identity over it, and portals it knows.
import '../../../docs/examples/portal/web_crypto.mjs';
import { strict as assert } from 'node:assert';
import { spawn, spawnSync } from 'node:child_process';
import { createPrivateKey, randomBytes } from 'node:crypto';
import { appendFileSync, closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';

import { send } from './http.mjs';

export const issuer = 'https://id.example';
export const mtlsAddress = 'https://mtls.id.example';
export const work = process.env.KARTA_WORK;
export const tls = (name) => readFileSync(join(work, 'tls', name));
const programs = process.env.KARTA_BIN, testPrograms = process.env.KARTA_TEST;
const passphrase = 'only for this test';

/// Waits until `look` gives something true; fails with `what` after the deadline.
export async function until(what, look, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < end, `waited in vain for ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 25); });
  }
}

/// The PostgreSQL of this run (tests/identity/with_postgres.sh); without one the registry is a file.
const postgres = process.env.KARTA_TEST_POSTGRES;

/// Runs a program that must succeed; returns its standard output. `secrets`: lines for descriptors 3, 4, ...
export function run(program, words, { input, secrets = [], env = {}, code = 0 } = {}) {
  const handles = secrets.map((text) => {
    const file = join(work, `secret-${randomBytes(6).toString('hex')}`);
    writeFileSync(file, `${text}\n`, { mode: 0o600 });
    return openSync(file, 'r');
  });
  const outcome = spawnSync(program.includes('/') ? program : join(programs, program), words, {
    cwd: work, input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe', ...handles], env: { ...process.env, KARTA_DIR: join(work, 'centre'), ...env },
  });
  for (const one of handles) closeSync(one);
  assert.equal(outcome.status, code, `${program} ${words.join(' ')}: ${outcome.status ?? outcome.signal}\n${outcome.stdout}${outcome.stderr}`);
  return code === 0 ? outcome.stdout : outcome.stderr;
}
export const karta = (words, options = {}) => run('karta', words, { secrets: [passphrase], ...options });

/// A key pair of a portal: the private half as a CryptoKey with its kid, the public half as a JWK.
export async function portalKey(alg = 'ES256') {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  return { alg, kid, key: privateKey, jwk: { ...jwk, kid, alg, use: 'sig' } };
}

export class World {
  /// A centre with `cards` citizens whose cards' keys are here.
  static async make({ cards = 1 } = {}) {
    const world = new World();
    karta(['init', join(work, 'centre'), '--name', 'Sample Issuing Centre', '--country', 'XX', '--passphrase-fd', '3',
      ...(postgres ? ['--database', postgres] : [])]);
    world.cards = world.softCards(1, cards);
    world.issuingPem = readFileSync(join(work, 'centre/ca/issuing.crt.pem'), 'utf8');
    world.rootPem = readFileSync(join(work, 'centre/ca/root.crt.pem'), 'utf8');
    writeFileSync(join(work, 'passphrase'), `${passphrase}\n`, { mode: 0o600 });
    for (const name of ['openid', 'login']) writeFileSync(join(work, `${name}.secret`), `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
    // What the provider signs its requests to the agent with is certified for its own name by the centre.
    karta(['ca', 'request', '--subject', 'CN=id.example,O=Sample Issuing Centre,C=XX', '--san', 'dns:id.example', '--key-type', 'p256',
      '--key-out', 'agent.key', '--out', 'agent.csr', '--passphrase-fd', '3']);
    karta(['ca', 'issue', 'centre:issuing', '--request', 'agent.csr', '--profile', 'tls-server', '--out', 'agent.crt', '--passphrase-fd', '3']);
    writeFileSync(join(work, 'agent.pem'), readFileSync(join(work, 'agent.crt'), 'utf8') + world.issuingPem);
    world.signingKeys = [];
    world.newSigningKey('ES256');
    mkdirSync(join(work, 'mail'), { recursive: true });
    return world;
  }

  softCards(first, count, ...state) {
    const made = JSON.parse(run(join(testPrograms, 'soft_cards'), [join(work, 'centre'), String(first), String(count), ...state], { input: `${passphrase}\n` }));
    return made.map((one) => ({ ...one, key: createPrivateKey({ key: Buffer.from(one.key, 'base64'), format: 'der', type: 'pkcs8' }) }));
  }

  /// A key for ID tokens that signs from `from` on.
  newSigningKey(algorithm, from = undefined) {
    const name = `id-token-${this.signingKeys.length}`;
    const options = { ES256: ['EC', 'ec_paramgen_curve:P-256'], PS256: ['RSA', 'rsa_keygen_bits:2048'], EdDSA: ['ED25519'] }[algorithm];
    run('/usr/bin/openssl', ['genpkey', '-algorithm', options[0], ...(options[1] ? ['-pkeyopt', options[1]] : []),
      '-aes256', '-pass', 'file:passphrase', '-out', `${name}.key`]);
    this.signingKeys.push({ name, algorithm, from });
  }

  /// identity.toml. `more`: lines for the tables named. `at`: where it listens, for everybody and for certificates.
  writeConfig(more = {}, at = ['127.0.0.10:443', '127.0.0.11:443']) {
    const lines = (table) => (more[table] ?? []).join('\n');
    const text = `schema = "karta.identity/1"
database = "${this.database ?? postgres ?? 'centre/registry.sqlite'}"
[server]
listen = ["${at[0]}"]
workers = 2
${lines('server')}
[limits]
${more.limits ? lines('limits') : 'connections_per_address = 200'}
[tls]
key = "tls/host.key"
certificate = "tls/host.crt"
passphrase_file = "tls/passphrase"
[[ca]]
name = "issuing"
certificate = "centre/ca/issuing.crt.pem"
[openid]
issuer = "${issuer}"
secret_file = "openid.secret"
mtls_listen = ["${at[1]}"]
mtls_address = "${mtlsAddress}"
mtls_roots = ["tls/root.pem", "centre/ca/issuing.crt.pem"]
${lines('openid')}
${this.signingKeys.map(({ name, algorithm, from }) => `[[openid.key]]
key = "${name}.key"
algorithm = "${algorithm}"
${from ? `from = "${from.toISOString().replace(/\.\d+Z$/, 'Z')}"\n` : ''}passphrase_file = "passphrase"`).join('\n')}
[openid.logout]
roots = "tls/root.pem"
any_address = true
[login]
address = "${issuer}"
certificate_address = "${mtlsAddress}"
secret_file = "login.secret"
card_roots = ["centre/ca/root.crt.pem"]
card_authorities = ["centre/ca/issuing.crt.pem"]
${lines('login')}
[login.agent]
key = "agent.key"
certificate = "agent.pem"
passphrase_file = "passphrase"
[login.codes]
[login.codes.message]
from = "karta@id.example"
folder = "mail"
${lines('more')}
`;
    writeFileSync(join(work, 'identity.toml'), text);
  }

  async startServer() {
    const log = openSync(join(work, 'server.log'), 'a');
    this.server = spawn(join(programs, 'karta-identity'), ['serve', '--config', 'identity.toml'], { cwd: work, stdio: ['ignore', log, log] });
    closeSync(log);
    this.server.once('exit', (code, signal) => { this.server.over = `${code ?? signal}`; });
    await until('karta-identity', async () => {
      assert.equal(this.server.over, undefined, `karta-identity ended: ${this.log()}`);
      return (await send(`${issuer}/.well-known/openid-configuration`).catch(() => null))?.status === 200;
    });
  }

  /// Reads the configuration again, and returns when the log says so.
  async reload() {
    const again = () => this.log().split('read again').length + this.log().split('stays as it was').length;
    const before = again();
    this.server.kill('SIGHUP');
    await until('the configuration', () => again() > before);
    assert.doesNotMatch(this.log().split('\n').slice(-5).join('\n'), /stays as it was/, this.log());
  }

  log() { return readFileSync(join(work, 'server.log'), 'utf8'); }

  async stopServer(signal = 'SIGTERM') {
    if (!this.server || this.server.over !== undefined) return;
    const ended = new Promise((resolve) => { this.server.once('exit', resolve); });
    this.server.kill(signal);
    await ended;
  }

  /// Registers a portal. `document`: as docs/openid.md has it; what all samples have in common is added.
  addClient(document) {
    const file = join(work, `${document.client_id}.client.json`);
    const home = new URL(document.redirect_uris[0]).origin;
    writeFileSync(file, JSON.stringify({
      client_name: 'Sample Portal', 'client_name#ru': 'Портал для примера', client_uri: home,
      purpose: 'show your account', 'purpose#ru': 'показать ваш кабинет', scope: 'openid profile', ...document,
    }));
    return karta(['client', 'add', file], { secrets: [] });
  }
}
