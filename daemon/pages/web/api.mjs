// api: the desk's calls of kartad, its session, and the events.

const keyPlace = 'karta-desk-key';
// The page's half of the session; the other half is a cookie no script sees.
let key = null;
try { key = localStorage.getItem(keyPlace); } catch { /* a browser that keeps nothing: log in every time */ }

export const loggedIn = () => key !== null;

export function keepKey(value) {
  key = value;
  try {
    if (value === null) localStorage.removeItem(keyPlace);
    else localStorage.setItem(keyPlace, value);
  } catch { /* as above */ }
}

/// What went wrong, in the daemon's words (RFC 9457) or the browser's: `kind` is the end of the problem's type.
export class Problem extends Error {
  constructor({ kind, status = 0, detail = '', hint = '', members = {} }) {
    super(detail || kind);
    Object.assign(this, { kind, status, detail, hint, members });
  }
}

const ended = new Set();
/// Called when the session is over.
export function onSessionEnd(handler) { ended.add(handler); }

async function problemOf(response) {
  let body = {};
  try { body = await response.json(); } catch { /* not the daemon's own answer */ }
  const kind = String(body.type ?? '').split(':').pop() || `http-${response.status}`;
  const problem = new Problem({ kind, status: response.status, detail: body.detail, hint: body.hint, members: body });
  if (response.status === 401) {
    keepKey(null);
    for (const handler of ended) handler();
  }
  return problem;
}

async function ask(method, path, { body, once, accept = 'application/json' } = {}) {
  const headers = { Accept: accept };
  if (key) headers['Karta-Desk'] = key;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (once) headers['Idempotency-Key'] = once;
  let response;
  try {
    response = await fetch(path, {
      method, headers, cache: 'no-store', credentials: 'same-origin', redirect: 'error',
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem({ kind: 'no-daemon' });
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

export async function get(path) { return (await ask('GET', path)).json(); }
export async function post(path, body, options) {
  const response = await ask('POST', path, { ...options, body });
  return response.status === 204 ? null : response.json();
}
/// A picture as an address of this page's own; URL.revokeObjectURL lets go of it.
export async function picture(path) { return URL.createObjectURL(await (await ask('GET', path, { accept: 'image/jpeg, application/problem+json' })).blob()); }
export async function remove(path) { await ask('DELETE', path); }

export async function logIn(code) {
  const answer = await post('/login', { code });
  keepKey(answer.key);
}
export async function logOut() {
  try { await ask('POST', '/logout'); } finally { keepKey(null); }
}

/// What must happen once: `order` under a key of its own, kept until it is known what became of it. A reload, and a
/// second attempt, ask under the same key. `kept`: false where the order holds what must not outlive the page.
export function openDeed(name, order, kept = true) {
  const key = [...crypto.getRandomValues(new Uint8Array(16))].map((octet) => octet.toString(16).padStart(2, '0')).join('');
  const deed = { name, key, order };
  if (kept) sessionStorage.setItem(`karta-deed-${name}`, JSON.stringify(deed));
  return deed;
}
/// The one whose outcome is not known; null: none.
export const unsettledDeed = (name) => JSON.parse(sessionStorage.getItem(`karta-deed-${name}`));
export const settleDeed = (deed) => sessionStorage.removeItem(`karta-deed-${deed.name}`);
/// After these it may have happened or not; anything else is an answer.
const unclear = new Set(['card-removed', 'card-unresponsive', 'card-insecure', 'no-daemon', 'io', 'internal', 'http-500', 'http-504']);
export const isUnclear = (problem) => unclear.has(problem.kind);

/// Events, for ever: after a break from where it broke. EventSource cannot send the page's half of the session.
export function listen({ onEvent, onState }) {
  let last = '';
  let stopped = false;
  const abort = new AbortController();
  onSessionEnd(() => { stopped = true; abort.abort(); });
  const read = async () => {
    const headers = { Accept: 'text/event-stream', 'Karta-Desk': key };
    if (last) headers['Last-Event-ID'] = last;
    const response = await fetch('/v1/events', { headers, cache: 'no-store', credentials: 'same-origin', signal: abort.signal });
    if (!response.ok) throw await problemOf(response);
    onState(true);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const blocks = rest.split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) {
        const event = { kind: 'message', data: '' };
        for (const line of block.split(/\r?\n/)) {
          const [, name, text] = /^([^:]*):? ?(.*)$/.exec(line);
          if (name === 'id') last = text;
          else if (name === 'event') event.kind = text;
          else if (name === 'data') event.data += text;
        }
        if (event.data) onEvent(event.kind, JSON.parse(event.data));
      }
    }
  };
  (async () => {
    let wait = 500;
    while (!stopped) {
      try {
        await read();
        wait = 500;
      } catch (error) {
        if (error.name === 'AbortError') return;
      }
      onState(false);
      await new Promise((resolve) => { setTimeout(resolve, wait); });
      wait = Math.min(wait * 2, 10000);
    }
  })();
}
