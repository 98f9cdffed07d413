// server: a small portal whose visitors log in with their citizen card.
//
//   node server.mjs [portal.json]
//
// What belongs to OpenID Connect stands in login.mjs; here are the portal's own sessions and routes.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as createPlain } from 'node:http';
import { createServer as createTls } from 'node:https';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Login, refusal } from './login.mjs';
import { account, languageOf, refused, welcome } from './pages.mjs';

/// What cannot be at the start: what it is and what to do.
function stop(code, what, hint) {
  console.error(`error: ${what}`);
  if (hint) console.error(`hint: ${hint}`);
  process.exit(code);
}
/// `file` through `read`, or the end.
function need(file, read, hint) {
  try {
    return read(readFileSync(file, 'utf8'));
  } catch (error) {
    return stop(error.code === 'ENOENT' ? 66 : 65, `${file}: ${error.message}`, hint);
  }
}

const file = resolve(process.argv[2] ?? 'portal.json');
const settings = need(file, JSON.parse, 'its members are in README.md, step 1');
const beside = (name) => resolve(dirname(file), name);
const style = readFileSync(resolve(dirname(fileURLToPath(import.meta.url)), 'portal.css'));
const key = need(beside(settings.key), JSON.parse, `make it: node make-client.mjs ${process.argv[2] ?? ''}`.trim());
const login = await Login.discover(settings, key).catch((error) => {
  const why = error.cause?.message ?? error.message;
  stop(69, `${settings.issuer}: ${why}`, /certificate/.test(why) ? 'a root of its own is named by NODE_EXTRA_CA_CERTS=root.pem' : undefined);
});

// Sessions: in memory, which is enough for one process. Whoever has several keeps them in a database.
const secure = settings.origin.startsWith('https:');
const sessionSeconds = 8 * 3600, pendingSeconds = 600, mostKept = 10_000;
/// What is kept for a browser under a cookie of its own: hash of the cookie -> { content, until }.
function shelf(name, seconds) {
  const cookieName = secure ? `__Host-${name}` : name;
  const attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
  const kept = new Map();
  const cookieOf = (request) => {
    for (const one of (request.headers.cookie ?? '').split(';')) {
      const [key, value] = one.trim().split('=');
      if (key === cookieName && value) return value;
    }
    return null;
  };
  return {
    find(request) {
      const cookie = cookieOf(request);
      const one = cookie && kept.get(hash(cookie));
      return one && one.until > Date.now() ? one.content : null;
    },
    /// A new cookie with every change of what it is good for: nobody can plant one.
    keep(request, response, content) {
      this.forget(request);
      for (const [key, one] of kept) if (one.until <= Date.now() || kept.size >= mostKept) kept.delete(key);
      const cookie = randomBytes(32).toString('base64url');
      kept.set(hash(cookie), { content, until: Date.now() + seconds * 1000 });
      response.appendHeader('Set-Cookie', `${cookieName}=${cookie}; ${attributes}`);
    },
    forget(request) {
      const cookie = cookieOf(request);
      if (cookie) kept.delete(hash(cookie));
    },
    forgetWhere(fits) {
      for (const [key, { content }] of kept) if (fits(content)) kept.delete(key);
    },
  };
}
// Apart, so that log-ins nobody finishes cannot push visitors out. A browser may have begun several, a tab each: `begun`
// keeps them by their state.
const visitors = shelf('portal', sessionSeconds), begun = shelf('portal-login', pendingSeconds);
const mostBegun = 8;

const hash = (text) => createHash('sha256').update(text).digest('base64url');

function show(response, text, status = 200) {
  response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8' });
  response.end(text);
}
function go(response, url) {
  response.writeHead(303, { Location: String(url) });
  response.end();
}
async function form(request, most = 16_384) {
  let text = '';
  for await (const part of request) {
    text += part;
    if (text.length > most) throw new Error('the form is too large');
  }
  return new URLSearchParams(text);
}

const routes = {
  'GET /': (request, response, language) => {
    const visitor = visitors.find(request);
    show(response, visitor ? account(language, visitor) : welcome(language));
  },
  'GET /login': async (request, response, language) => {
    const query = new URL(request.url, settings.origin).searchParams;
    const wishes = { ui_locales: language };
    if (settings.acr) wishes.acr_values = settings.acr.join(' ');
    if (query.has('again')) wishes.prompt = 'login';
    const { url, pending } = await login.begin(wishes);
    const open = begun.find(request) ?? new Map();
    if (open.size >= mostBegun) open.delete(open.keys().next().value);
    begun.keep(request, response, open.set(pending.state, pending));
    go(response, url);
  },
  'GET /callback': async (request, response, language) => {
    const open = begun.find(request), state = new URL(request.url, settings.origin).searchParams.get('state');
    const pending = open?.get(state);
    if (!pending) return show(response, refused(language, 'expired'), 400);
    open.delete(state); // an answer is taken once
    try {
      const visitor = await login.complete(request.url, pending);
      visitors.keep(request, response, visitor);
      go(response, '/');
    } catch (error) {
      console.error(`log-in failed: ${error.message}${error.error ? ` (${error.error})` : ''}`);
      show(response, refused(language, refusal(error) ?? 'other'), 403);
    }
  },
  'POST /logout': (request, response, language) => {
    const visitor = visitors.find(request);
    visitors.forget(request);
    go(response, visitor ? login.ending(visitor.idToken, language) : '/logged-out');
  },
  'GET /logged-out': (request, response, language) => show(response, welcome(language, 'out')),
  'POST /backchannel-logout': async (request, response) => {
    // The provider speaks here, not a browser: the visitor logged out elsewhere.
    try {
      const { session, subject } = await login.ended((await form(request)).get('logout_token') ?? '');
      visitors.forgetWhere((visitor) => (session ? visitor.session === session : visitor.subject === subject));
      response.writeHead(200);
    } catch (error) {
      console.error(`a log-out token was refused: ${error.message}`);
      response.writeHead(400);
    }
    response.end();
  },
  'GET /portal.css': (request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/css', 'Cache-Control': 'max-age=3600' });
    response.end(style);
  },
};

async function answer(request, response) {
  // form-action names the provider: the log-out form is answered by a way there.
  response.setHeader('Content-Security-Policy', `default-src 'none'; style-src 'self'; form-action 'self' ${new URL(settings.issuer).origin}; base-uri 'none'; frame-ancestors 'none'`);
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Referrer-Policy', 'no-referrer');
  response.setHeader('Cache-Control', 'no-store');
  if (secure) response.setHeader('Strict-Transport-Security', 'max-age=31536000');
  const language = languageOf(request);
  try {
    const route = routes[`${request.method} ${request.url.split('?')[0]}`];
    if (!route) return show(response, welcome(language), 404);
    await route(request, response, language);
  } catch (error) {
    console.error(error);
    if (response.headersSent) response.destroy();
    else show(response, refused(language, 'other'), 502);
  }
}

/// The server with the site's certificate. Node wants the key unencrypted.
function withTls({ key, certificate }) {
  const hint = 'the site\'s TLS key, unencrypted PEM, and its certificate; without "tls" in portal.json another server ends TLS';
  const files = { key: need(beside(key), (text) => text, hint), cert: need(beside(certificate), (text) => text, hint) };
  try {
    return createTls(files, answer);
  } catch (error) {
    return stop(65, `${beside(key)}, ${beside(certificate)}: ${error.message}`, hint);
  }
}

const server = settings.tls ? withTls(settings.tls) : createPlain(answer);
server.once('error', (error) => stop(74, `${settings.host ?? '127.0.0.1'}:${settings.port}: ${error.message}`, 'host and port in portal.json say where the portal listens'));
server.listen(settings.port, settings.host ?? '127.0.0.1', () => console.log(`the portal is at ${settings.origin}`));
process.once('SIGTERM', () => { server.close(() => process.exit(0)); server.closeAllConnections(); });
