// browser: Chromium, driven over a pipe by its DevTools protocol: no package besides Chromium and Node.js.
//
// A page is used as a person does: keys and clicks go in as input events, and what is looked for is what assistive
// technology is told (roles and names), not the document's structure. Nothing sleeps: every wait has a condition and a
// deadline.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/// Where something never comes; on a busy machine all comes late.
const patience = 60_000;
/// What Chromium says of a question that a navigation overtook: it is asked again.
const overtaken = /context|navigated|detached/i;

/// Waits until `look` gives something true; fails with `what` after the deadline.
export async function until(what, look, deadline = patience) {
  const end = Date.now() + deadline;
  for (;;) {
    let found = null;
    try {
      found = await look();
    } catch (error) {
      if (!overtaken.test(error.message)) throw error;
    }
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

export class Browser {
  static async start({ language = 'en' } = {}) {
    const out = new Browser();
    out.profile = mkdtempSync(join(tmpdir(), 'karta-chromium-'));
    out.process = spawn(process.env.CHROMIUM ?? 'chromium', [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--remote-debugging-pipe',
      // A name that is somebody else's and leads to this machine.
      '--host-resolver-rules=MAP rebound.example 127.0.0.1', `--lang=${language}`,
      `--accept-lang=${language}`, `--user-data-dir=${out.profile}`, 'about:blank',
    ], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    out.ended = new Promise((resolve) => { out.process.once('exit', resolve); });
    let rest = '';
    out.process.stdio[4].setEncoding('utf8');
    out.process.stdio[4].on('data', (text) => {
      const parts = (rest + text).split('\0');
      rest = parts.pop();
      for (const part of parts) out.#take(JSON.parse(part));
    });
    out.process.once('exit', () => { for (const { reject } of out.waiting.values()) reject(new Error('Chromium ended')); });
    await out.send('Target.setDiscoverTargets', { discover: true });
    return out;
  }

  waiting = new Map();
  pages = new Map();
  number = 0;

  #take(message) {
    if (message.id) {
      const { resolve, reject, method } = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if (message.error) reject(new Error(`${method}: ${message.error.message}`));
      else resolve(message.result);
    } else if (message.sessionId) {
      this.pages.get(message.sessionId)?.take(message);
    }
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.number;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, method });
      this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  /// A page in a fresh jar of cookies, or in that of `beside`.
  async page({ beside, language } = {}) {
    const context = beside?.context ?? (await this.send('Target.createBrowserContext')).browserContextId;
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId: context });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, sessionId, context);
    this.pages.set(sessionId, page);
    for (const domain of ['Page', 'Runtime', 'Network', 'Log', 'DOM', 'Accessibility']) await page.send(`${domain}.enable`);
    if (language) {
      await page.send('Network.setUserAgentOverride', { userAgent: 'karta-test', acceptLanguage: language });
    }
    return page;
  }

  async stop() {
    this.send('Browser.close').catch(() => {});
    await this.ended;
    // Its helpers may write there a moment longer than it lives.
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 20 });
  }
}

const keys = {
  Tab: { code: 'Tab', keyCode: 9 }, Enter: { code: 'Enter', keyCode: 13, text: '\r' }, Escape: { code: 'Escape', keyCode: 27 },
  ' ': { code: 'Space', keyCode: 32, text: ' ' }, ArrowDown: { code: 'ArrowDown', keyCode: 40 }, ArrowUp: { code: 'ArrowUp', keyCode: 38 },
  Backspace: { code: 'Backspace', keyCode: 8 },
};

export class Page {
  constructor(browser, session, context) {
    Object.assign(this, { browser, session, context, complaints: [], requests: [] });
  }

  send(method, params) { return this.browser.send(method, params, this.session); }

  take({ method, params }) {
    if (method === 'Runtime.exceptionThrown') {
      this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    }
    // A refused request is told by the page itself; what the policy of contents blocks is a fault of ours.
    if (method === 'Log.entryAdded' && params.entry.level === 'error' && params.entry.source !== 'network') this.complaints.push(params.entry.text);
    if (method === 'Network.requestWillBeSent') this.requests.push(params.request.url);
    if (method === 'Fetch.requestPaused') this.#standIn(params);
  }

  answers = new Map();

  #standIn({ requestId, request }) {
    const answer = this.answers.get(new URL(request.url).pathname);
    if (!answer) return this.send('Fetch.continueRequest', { requestId });
    return this.send('Fetch.fulfillRequest', { requestId, responseCode: answer.status,
      responseHeaders: [{ name: 'Content-Type', value: 'application/json' }], body: Buffer.from(JSON.stringify(answer.body)).toString('base64') });
  }

  /// From now on requests of `path` get this answer, and the server hears nothing of them.
  async answer(path, status, body) {
    this.answers.set(path, { status, body });
    await this.send('Fetch.enable', { patterns: [...this.answers.keys()].map((one) => ({ urlPattern: `*${one}` })) });
  }

  async open(address) {
    await this.send('Page.navigate', { url: address });
    await until(`${address} to load`, () => this.run('document.readyState === "complete"'));
  }

  /// The value of an expression; promises are waited for.
  async run(expression) {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  path() { return this.run('location.pathname'); }
  /// What the page says, as a reader sees it.
  text(selector = 'body') { return this.run(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ''`); }
  has(selector) { return this.run(`document.querySelector(${JSON.stringify(selector)}) !== null`); }
  async sees(words, selector = 'body') {
    try {
      await until(`"${words}"`, async () => (await this.text(selector)).includes(words));
    } catch (error) {
      throw new Error(`${error.message}; the page says:\n${await this.text()}`);
    }
  }

  async press(key, modifiers = 0) {
    const known = keys[key] ?? { code: `Key${key.toUpperCase()}`, keyCode: key.toUpperCase().charCodeAt(0), text: key };
    const event = { key, code: known.code, windowsVirtualKeyCode: known.keyCode, modifiers };
    await this.send('Input.dispatchKeyEvent', { ...event, type: known.text ? 'keyDown' : 'rawKeyDown', text: known.text });
    await this.send('Input.dispatchKeyEvent', { ...event, type: 'keyUp' });
  }

  async type(text) {
    for (const one of text) {
      // A full stop's code is that of the key Delete: signs have none here.
      const event = { key: one, windowsVirtualKeyCode: /[a-z0-9]/i.test(one) ? one.toUpperCase().charCodeAt(0) : 0 };
      await this.send('Input.dispatchKeyEvent', { ...event, type: 'keyDown', text: one });
      await this.send('Input.dispatchKeyEvent', { ...event, type: 'keyUp' });
    }
  }

  /// Presses Tab until the element with this id has the keyboard: what a mouse alone could reach is never found.
  async tabTo(id, most = 60) {
    for (let pressed = 0; pressed <= most; ++pressed) {
      if ((await this.focused()) === id) return pressed;
      await this.press('Tab');
    }
    throw new Error(`"${id}" cannot be reached by the keyboard`);
  }
  focused() { return this.run('document.activeElement?.id ?? ""'); }
  /// The element with this id gets the keyboard: a page's autofocus comes a frame after its words do.
  focuses(id) { return until(`the keyboard at "${id}"`, async () => (await this.focused()) === id); }

  /// Clicks what the selector finds, once it stands still, until the page has heard the click: style sheets may come, a
  /// picture may have been taken of a larger window, an element may be drawn anew between button down and button up.
  click(selector) {
    const box = `new Promise((done) => {
      const found = document.querySelector(${JSON.stringify(selector)});
      if (!found || found.disabled || document.readyState !== 'complete') return done(null);
      found.scrollIntoView({ block: 'center' });
      const place = () => { const { x, y, width, height } = found.getBoundingClientRect(); return { x: x + width / 2, y: y + height / 2, width, height }; };
      const before = place();
      setTimeout(() => {
        const now = place();
        const still = found.isConnected && now.width > 0 && Object.keys(now).every((one) => now[one] === before[one]);
        if (!still || !document.elementFromPoint(now.x, now.y)) return done(null);
        window.clickHeard = false;
        document.addEventListener('click', () => { window.clickHeard = true; }, { once: true, capture: true });
        done({ x: now.x, y: now.y });
      }, 20);
    })`;
    return until(`a click at ${selector}`, async () => {
      const at = await this.run(box);
      if (!at) return false;
      await Promise.all(['mousePressed', 'mouseReleased'].map((type) => this.send('Input.dispatchMouseEvent', { type, ...at, button: 'left', clickCount: 1 })));
      // Another document knows of no click that was not heard, nor does one that is on its way.
      return this.run('window.clickHeard !== false').catch((error) => overtaken.test(error.message));
    });
  }

  /// Types over what is in the field, which may write it in small letters. A page that is drawn anew meanwhile is typed
  /// into once more.
  fill(selector, text) {
    const field = `document.querySelector(${JSON.stringify(selector)})`;
    return until(`"${text}" in ${selector}`, async () => {
      if (!await this.run(`(() => { const field = ${field}; field?.focus(); field?.select(); return field !== null; })()`)) return false;
      await this.type(text);
      return (await this.run(`${field}?.value`))?.toLowerCase() === text.toLowerCase();
    });
  }

  /// [{role, name}] of everything assistive technology is told of, in order.
  async accessible() {
    const { nodes } = await this.send('Accessibility.getFullAXTree');
    return nodes.filter((node) => !node.ignored).map((node) => ({ role: node.role?.value, name: node.name?.value ?? '' }));
  }

  async look({ width = 1280, height = 800, dark = false, scale = 1 } = {}) {
    await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: scale, mobile: false });
    await this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' },
      { name: 'prefers-reduced-motion', value: 'reduce' }] });
  }

  /// A picture of the whole page. Afterwards the window is as large as it was before.
  async picture(file) {
    const size = () => this.run('`${innerWidth} ${innerHeight}`');
    const before = await size();
    const { cssContentSize } = await this.send('Page.getLayoutMetrics');
    const { data } = await this.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true,
      clip: { x: 0, y: 0, width: cssContentSize.width, height: cssContentSize.height, scale: 1 } });
    writeFileSync(file, Buffer.from(data, 'base64'));
    await until('the window to be as it was', async () => (await size()) === before);
  }
}
