// curl_browser: Debian's curl as a browser without a window: its own cookies, its own TLS, and for one address the card as
// its client certificate, through OpenSSL's pkcs11 engine and the PKCS #11 module.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Page, SoftBrowser } from './soft_browser.mjs';
import { issuer, work } from './world.mjs';

/// The module under test.
export const module = process.env.KARTA_PKCS11;

/// What curl ended with when it got no answer. `code`: curl's exit code.
export class CurlFailure extends Error {
  constructor(code, words) {
    super(`curl ended with ${code}: ${words}`);
    Object.assign(this, { code, words });
  }
}

/// The URI of an object of the everyday token (RFC 7512).
export const uriOf = (id, type) => `pkcs11:token=KARTA%20%28PIN1%29;id=%${id};type=${type}`;

export class CurlBrowser extends SoftBrowser {
  constructor(options) {
    super(options);
    this.folder = mkdtempSync(join(work, 'curl-'));
  }

  /// One request, no redirect followed. `card`: { pin, id } shows the card's certificate and signs with its key.
  /// Throws CurlFailure where no answer came.
  async ask(url, { method = 'GET', form, headers = {}, origin, card, words = [] } = {}) {
    const fields = { 'Accept-Language': this.language, ...(form ? { Origin: origin ?? new URL(url).origin } : {}), ...headers };
    const jar = join(this.folder, 'cookies'), body = join(this.folder, 'body');
    const all = ['--silent', '--show-error', '--max-time', '60', '--cacert', join(work, 'tls/root.pem'), '--cookie', jar, '--cookie-jar', jar,
      '--dump-header', '-', '--output', body, ...Object.entries(fields).flatMap(([name, value]) => ['--header', `${name}: ${value}`]), ...words];
    if (form) all.push('--data', new URLSearchParams(form).toString());
    else if (method !== 'GET') all.push('--request', method);
    if (card) {
      // The PIN by a file: what stands among a program's words, every user of the machine can read.
      const pin = join(this.folder, 'pin');
      writeFileSync(pin, card.pin, { mode: 0o600 });
      all.push('--engine', 'pkcs11', '--cert-type', 'ENG', '--cert', uriOf(card.id ?? '01', 'cert'),
        '--key-type', 'ENG', '--key', `${uriOf(card.id ?? '01', 'private')}?pin-source=file:${pin}`);
    }
    writeFileSync(jar, '', { flag: 'a' });
    writeFileSync(body, '');
    const outcome = spawnSync('/usr/bin/curl', [...all, url], { encoding: 'utf8', env: { ...process.env, PKCS11_MODULE_PATH: module }, stdio: ['ignore', 'pipe', 'pipe'] });
    assert.equal(outcome.signal, null, `curl: ${outcome.error ?? outcome.signal}`);
    if (outcome.status !== 0) throw new CurlFailure(outcome.status, outcome.stderr.trim());
    const [first, ...lines] = outcome.stdout.trim().split('\r\n');
    const told = Object.fromEntries(lines.filter((one) => one.includes(':')).map((one) => [one.slice(0, one.indexOf(':')).toLowerCase(), one.slice(one.indexOf(':') + 1).trim()]));
    return new Page(url, Number(first.split(' ')[1]), told, readFileSync(body, 'utf8'));
  }

  /// From the portal to the page with the ways in; returns where a certificate is asked for, null if that is not offered.
  async toCertificate(portal) {
    this.ways = await this.open(`${portal}/login`);
    assert.ok(this.ways.url.startsWith(`${issuer}/`), `the ways in, and not ${this.ways.url}`);
    return this.ways.links().find((one) => new URL(one).pathname === '/login/certificate') ?? null;
  }
}
