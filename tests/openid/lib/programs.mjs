// programs: what stands on the tables of a citizen and of a portal: a card in a reader, kartad, the sample portal, Chromium.
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

import { send } from './http.mjs';
import { issuer, karta, run, tls, until, work } from './world.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const programs = process.env.KARTA_BIN;

/// A program that runs until it is stopped; its words go to NAME.log.
export class Program {
  constructor(name, command, words, { env = {} } = {}) {
    this.name = name;
    const log = openSync(join(work, `${name}.log`), 'a');
    this.process = spawn(command, words, { cwd: work, stdio: ['ignore', 'pipe', log], env: { ...process.env, ...env } });
    this.lines = [];
    this.reader = createInterface({ input: this.process.stdout });
    this.reader.on('line', (line) => this.lines.push(line));
    this.process.once('exit', (code, signal) => { this.over = `${code ?? signal}`; });
  }

  log() { return readFileSync(join(work, `${this.name}.log`), 'utf8'); }

  /// Until `look` gives something true. A program that never comes so far is ended, and its last words are told.
  async ready(look) {
    try {
      await until(this.name, () => {
        assert.equal(this.over, undefined, `${this.name} ended with ${this.over}: ${this.lines.join('\n')}`);
        return look();
      });
    } catch (error) {
      await this.stop('SIGKILL');
      throw new Error(`${error.message}\n${this.log()}`);
    }
    return this;
  }

  async stop(signal = 'SIGTERM') {
    if (this.over !== undefined) return;
    const ended = new Promise((resolve) => { this.process.once('exit', resolve); });
    this.process.kill(signal);
    await ended;
  }
}

/// Cards of karta-sim in the readers of this network's pcscd.
export class Cards {
  static async start(count) {
    const cards = new Cards();
    const files = Array.from({ length: count }, (_, i) => `card-${i + 1}.image`);
    for (const file of files) run('karta-sim', ['new', file]);
    cards.simulator = new Program('karta-sim', join(programs, 'karta-sim'), ['run', ...files, '--control', 'control', '--quiet']);
    await cards.simulator.ready(() => cards.simulator.lines.includes('ready'));
    for (let i = 1; i <= count; i += 1) await cards.seen(i);
    return cards;
  }

  tell(...words) { run('karta-sim', ['control', 'control', ...words.map(String)]); }

  /// Until pcscd tells programs of the card in that reader.
  seen(number) {
    return until(`a card in reader ${number}`, () => JSON.parse(karta(['reader', 'list', '--json'], { secrets: [] }))
      .readers.some(({ name, card_present: present }) => name.includes(`Reader ${number} 00 00`) && present));
  }

  /// The card in a reader becomes a citizen's, with the holder's own PINs. Returns { serial, can, ... }.
  issue(reader, snils, { pin1 = '258036', pin2 = '963074', choose = true } = {}) {
    const made = JSON.parse(karta(['card', 'issue', '--citizen', snils, '--reader', `Reader ${reader} `, '--json', '--passphrase-fd', '3'])).cards[0];
    const letter = readFileSync(made.letter, 'utf8');
    const secret = (label) => letter.match(new RegExp(`${label}: (\\d+)$`, 'm'))[1];
    karta(['card', 'ship', made.serial, '--why', 'posted'], { secrets: [] });
    karta(['card', 'activate', made.serial, '--why', 'handed over'], { secrets: [] });
    const card = { serial: made.serial, reader, pin1, pin2, transport: secret('transport PIN1'), puk: secret('PUK') };
    card.transport2 = secret('transport PIN2');
    if (choose) this.choosePin(card);
    return card;
  }

  /// What a citizen does first.
  choosePin(card) {
    for (const [number, from, to] of [['1', card.transport, card.pin1], ['2', card.transport2, card.pin2]]) {
      karta(['card', 'change-pin', '--pin', number, '--reader', `Reader ${card.reader} `, '--pin-fd', '3'], { secrets: [`${from}\n${to}`] });
    }
  }

  stop() { return this.simulator.stop(); }
}

/// The citizen's agent.
export async function startAgent(more = '') {
  writeFileSync(join(work, 'agent-roots.pem'), readFileSync(join(work, 'centre/ca/root.crt.pem'), 'utf8'));
  writeFileSync(join(work, 'kartad.toml'), `schema = "karta.kartad/1"
state = "${join(work, 'kartad-state')}"
[server]
listen = ["127.0.0.1:8471"]
[citizen]
${more}
[[citizen.provider]]
issuer = "${issuer}"
roots = "agent-roots.pem"
`);
  mkdirSync(join(work, 'kartad-state'), { recursive: true, mode: 0o700 });
  return new Program('kartad', join(programs, 'kartad'), ['--config', 'kartad.toml'])
    .ready(async () => (await send('http://127.0.0.1:8471/healthz').catch(() => null)) !== null);
}

/// The sample portal as its README says: its key made, its document given to the operator, started.
export async function startPortal(name, origin, host, changes = {}) {
  const folder = join(work, name), source = join(root, 'docs/examples/portal');
  mkdirSync(folder, { recursive: true });
  const settings = {
    ...JSON.parse(readFileSync(join(source, 'portal.json'), 'utf8')), issuer, client_id: name, origin, host, port: 443,
    tls: { key: 'portal.key', certificate: 'portal.pem' }, ...changes,
  };
  writeFileSync(join(folder, 'portal.json'), JSON.stringify(settings));
  writeFileSync(join(folder, 'portal.key'), tls('plain.key'));
  writeFileSync(join(folder, 'portal.pem'), tls('host.crt'));
  run(process.execPath, [join(source, 'make-client.mjs'), join(folder, 'portal.json')]);
  karta(['client', 'add', join(folder, 'client.json')], { secrets: [] });
  const portal = new Program(name, process.execPath, [join(source, 'server.mjs'), join(folder, 'portal.json')]);
  return portal.ready(() => portal.lines.some((line) => line.startsWith('the portal is at')));
}

/// The NSS database that Chromium reads, with the test root in it; a PKCS #11 module, where one is named.
function browserDatabase(module) {
  const folder = join(process.env.HOME, '.pki/nssdb'), database = `sql:${folder}`;
  if (!existsSync(join(folder, 'cert9.db'))) {
    mkdirSync(folder, { recursive: true });
    run('/usr/bin/certutil', ['-d', database, '-N', '--empty-password']);
    run('/usr/bin/certutil', ['-d', database, '-A', '-t', 'C,,', '-n', 'test root', '-i', join(work, 'tls/root.pem')]);
  }
  if (module) run('/usr/bin/modutil', ['-dbdir', database, '-add', 'karta', '-libfile', module, '-mechanisms', 'FRIENDLY', '-force']);
}

/// Chromium that trusts the test root. Pictures go to KARTA_PICTURES. With a desktop it has windows, with a module cards.
export async function startChromium({ desktop, module } = {}) {
  browserDatabase(module);
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage', '--disable-background-networking'],
    ...(desktop ? { headless: false, env: desktop.env } : {}),
  });
  const open = browser.newContext.bind(browser);
  browser.newContext = async (options) => {
    const context = await open(options);
    context.setDefaultTimeout(60_000); // as world.mjs waits
    return context;
  };
  return browser;
}

let picture = 0;
export async function keepPicture(page, name) {
  const folder = process.env.KARTA_PICTURES;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  picture += 1;
  await page.screenshot({ path: join(folder, `${String(picture).padStart(2, '0')}-${name}.png`), fullPage: true });
}

