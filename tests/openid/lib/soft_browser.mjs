// soft_browser: a browser without a window: a jar of cookies by host, redirects one at a time, links and forms of a page.
// For what depends on requests and answers; what depends on a browser is tried in Chromium.
import { strict as assert } from 'node:assert';

import { send } from './http.mjs';

const entities = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#x27': "'", '#34': '"', nbsp: '\u00a0' };
const decode = (text) => text.replace(/&(#?\w+);/g, (all, name) => entities[name] ?? all);

function attributes(text) {
  const out = {};
  for (const [, name, quoted, bare] of text.matchAll(/([a-zA-Z-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s">]+)))?/g)) {
    out[name.toLowerCase()] = decode(quoted ?? bare ?? '');
  }
  return out;
}

/// One answer: the page that is shown, or the way to somewhere else.
export class Page {
  constructor(url, status, headers, text) { Object.assign(this, { url, status, headers, text }); }

  get location() {
    const to = this.headers.location;
    return to && this.status >= 300 && this.status < 400 ? new URL(to, this.url).href : null;
  }

  links() { return [...this.text.matchAll(/<a\s([^>]*)>/gi)].map(([, rest]) => new URL(attributes(rest).href ?? '', this.url).href); }

  forms() {
    return [...this.text.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, head, body]) => {
      const { action = '', method = 'get', id = '' } = attributes(head);
      const fields = [], buttons = [];
      for (const [, input, button, inner] of body.matchAll(/<input\b([^>]*)>|<button\b([^>]*)>([\s\S]*?)<\/button>/gi)) {
        const one = attributes(input ?? button);
        if (button !== undefined || one.type === 'submit') {
          buttons.push({ name: one.name, value: one.value ?? '', label: (inner ?? '').replace(/<[^>]*>/g, '').trim() });
        } else if (one.name && !((one.type === 'checkbox' || one.type === 'radio') && !('checked' in one))) {
          fields.push([one.name, one.value ?? '']);
        } else if (one.name) {
          fields.push([one.name, null]);
        }
      }
      return { id, action: new URL(action, this.url).href, method: method.toLowerCase(), fields, buttons };
    });
  }

  /// The one form whose address ends so.
  form(ending) {
    const found = this.forms().filter(({ action }) => new URL(action).pathname.endsWith(ending));
    assert.equal(found.length, 1, `a form that leads to ${ending} at ${this.url}:\n${this.text}`);
    return found[0];
  }

  words() { return decode(this.text.replace(/<(style|script)[\s\S]*?<\/\1>/gi, ' ').replace(/<[^>]*>/g, ' ')).replace(/\s+/g, ' ').trim(); }
}

export class SoftBrowser {
  constructor({ language = 'en' } = {}) {
    this.language = language;
    this.jar = new Map(); // host -> name -> value
  }

  cookies(url) { return this.jar.get(new URL(url).host) ?? new Map(); }

  /// One request, no redirect followed.
  async ask(url, { method = 'GET', form, headers = {}, origin, tls } = {}) {
    const cookies = [...this.cookies(url)].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await send(url, {
      method,
      tls,
      headers: {
        'Accept-Language': this.language,
        ...(cookies ? { Cookie: cookies } : {}),
        ...(form ? { 'Content-Type': 'application/x-www-form-urlencoded', Origin: origin ?? new URL(url).origin } : {}),
        ...headers,
      },
      ...(form ? { body: new URLSearchParams(form).toString() } : {}),
    });
    for (const line of answer.headers['set-cookie'] ?? []) this.#keep(url, line);
    return new Page(url, answer.status, answer.headers, answer.text);
  }

  #keep(url, line) {
    const [pair, ...rest] = line.split(';');
    const at = pair.indexOf('=');
    const name = pair.slice(0, at).trim(), value = pair.slice(at + 1).trim();
    const flags = rest.map((one) => one.trim().toLowerCase());
    const { host } = new URL(url);
    if (!this.jar.has(host)) this.jar.set(host, new Map());
    const age = flags.find((one) => one.startsWith('max-age='));
    if (age && Number(age.slice(8)) <= 0) this.jar.get(host).delete(name);
    else this.jar.get(host).set(name, value);
    this.lastFlags = flags;
  }

  /// Follows redirects as long as `here` says that the next address is still one of these pages.
  async open(url, { here = () => true, ...request } = {}) {
    let page = await this.ask(url, request);
    for (let hops = 0; page.location && here(page.location); hops += 1) {
      assert.ok(hops < 10, `redirects without end: ${page.url}`);
      page = await this.ask(page.location);
    }
    return page;
  }

  /// Sends a form of a page with changes and, where one is named, a button.
  async submit(form, { values = {}, button, here } = {}) {
    const fields = Object.fromEntries(form.fields.filter(([, value]) => value !== null));
    Object.assign(fields, values);
    const pressed = button ? form.buttons.find((one) => one.value === button || one.name === button) : form.buttons[0];
    if (button) assert.ok(pressed, `a button ${button}: ${JSON.stringify(form.buttons)}`);
    if (pressed?.name) fields[pressed.name] = pressed.value;
    if (form.method === 'post') return this.open(form.action, { method: 'POST', form: fields, here });
    const url = new URL(form.action);
    for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value);
    return here && !here(url.href) ? new Page(form.action, 303, { location: url.href }, '') : this.open(url.href, { here });
  }
}
