// relying_parties: what portals on openid-client and oauth4webapi, libraries of others, get from the provider; and what
// they, or whoever passes himself off as them, do not get.
//
// The citizens' browsers are scripts, their cards are keys in this process: browser.mjs has the real ones.
import { strict as assert } from 'node:assert';
import { createPublicKey, generateKeyPairSync, randomUUID, X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

import { Citizen } from './lib/citizen.mjs';
import { fetchWith, send } from './lib/http.mjs';
import { answerOf, Portal } from './lib/portal.mjs';
import { RawClient, unsigned } from './lib/raw_client.mjs';
import { answerRequest } from './lib/soft_agent.mjs';
import { codeOf } from './lib/totp.mjs';
import { issuer, karta, mtlsAddress, portalKey, run, tls, until, work, World } from './lib/world.mjs';

const redirect = 'https://portal.example/callback';
const otherRedirect = 'https://other.example/callback';
let world, metadata, portal, other, raw, keys;
const loggedOut = []; // log-out tokens that reached the portal
let logoutServer;

const citizenOf = (card, options = {}) => new Citizen(card, { roots: [world.rootPem], ...options });

before(async () => {
  world = await World.make({ cards: 16 });
  keys = { portal: await portalKey(), other: await portalKey('PS256'), strict: await portalKey('EdDSA'), resource: await portalKey() };
  world.writeConfig();
  await world.startServer();
  world.addClient({
    client_id: 'portal', redirect_uris: [redirect], post_logout_redirect_uris: ['https://portal.example/logged-out'], jwks: { keys: [keys.portal.jwk] },
    scope: 'openid profile birthdate offline_access', userinfo_signed_response_alg: 'ES256', backchannel_logout_uri: 'https://portal.example/backchannel-logout',
  });
  world.addClient({ client_id: 'other', client_name: 'Other Portal', redirect_uris: [otherRedirect], jwks: { keys: [keys.other.jwk] }, userinfo_signed_response_alg: 'ES256' });
  world.addClient({
    client_id: 'strict', client_name: 'Strict Portal', redirect_uris: ['https://portal.example/strict'], jwks: { keys: [keys.strict.jwk] },
    require_signed_request_object: true, least_acr: 'high',
  });
  world.addClient({ client_id: 'resource', client_name: 'Resource', redirect_uris: ['https://other.example/none'], jwks: { keys: [keys.resource.jwk] }, introspects: true });
  world.addClient({
    client_id: 'ministry', client_name: 'Sample Ministry', redirect_uris: ['https://other.example/mtls'], token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_san_dns: 'client.example', tls_client_certificate_bound_access_tokens: true,
  });
  portal = await Portal.discover({ id: 'portal', key: keys.portal, redirect, scope: 'openid profile birthdate' });
  other = await Portal.discover({ id: 'other', key: keys.other, redirect: otherRedirect });
  metadata = portal.server;
  raw = new RawClient('portal', keys.portal, metadata, redirect);
  logoutServer = createServer({ key: tls('plain.key'), cert: tls('host.crt') }, (request, response) => {
    let text = '';
    request.on('data', (part) => { text += part; });
    request.on('end', () => { loggedOut.push(new URLSearchParams(text).get('logout_token')); response.end(); });
  });
  await new Promise((resolve) => { logoutServer.listen(443, '127.0.0.12', resolve); });
});
after(async () => {
  logoutServer?.close();
  await world?.stopServer();
  if (process.exitCode || process.env.KARTA_SHOW_LOG) console.error(world?.log());
});

// What everybody is to see.

test('discovery tells the settings of FAPI 2.0', async () => {
  assert.equal(metadata.issuer, issuer);
  assert.equal(metadata.authorization_response_iss_parameter_supported, true);
  assert.deepEqual(metadata.response_types_supported, ['code']);
  assert.deepEqual(metadata.code_challenge_methods_supported, ['S256']);
  assert.deepEqual(metadata.subject_types_supported, ['pairwise']);
  for (const name of ['ES256', 'PS256', 'EdDSA']) assert.ok(metadata.dpop_signing_alg_values_supported.includes(name), name);
  for (const [name, values] of Object.entries(metadata)) {
    if (/alg_values/.test(name)) assert.ok(!values.some((one) => /^(none|HS|RS)/.test(one)), `${name}: ${values}`);
  }
  for (const name of ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth']) assert.ok(metadata.token_endpoint_auth_methods_supported.includes(name), name);
  assert.ok(metadata.mtls_endpoint_aliases.token_endpoint.startsWith(mtlsAddress));
  assert.equal(metadata.tls_client_certificate_bound_access_tokens, true);
  assert.equal(metadata.backchannel_logout_session_supported, true);
  for (const level of ['low', 'substantial', 'high']) assert.ok(metadata.acr_values_supported.includes(level), level);
  const plain = await send(`${issuer}/.well-known/oauth-authorization-server`);
  assert.equal(JSON.parse(plain.text).issuer, issuer);
  const published = JSON.parse((await send(metadata.jwks_uri)).text);
  assert.ok(published.keys.length > 0 && published.keys.every((key) => key.kid && key.use === 'sig' && !('d' in key)));
});

test('a card, its PIN, a consent: the portal knows who it is', async () => {
  const citizen = citizenOf(world.cards[0]);
  const { url, pending } = await portal.begin();
  const back = await citizen.follow(url);
  assert.deepEqual(citizen.steps, ['login', 'agent', 'consent']);
  assert.equal(citizen.asked.client.name, 'Sample Portal');
  assert.equal(citizen.asked.client.origin, 'https://portal.example');
  assert.deepEqual(citizen.asked.purpose, { en: 'show your account', ru: 'показать ваш кабинет' });
  assert.ok(citizen.asked.claims.includes('birthdate'));
  assert.match(citizen.consentPage.words(), /date of birth/i);
  assert.ok(back.startsWith(`${redirect}?`));
  assert.equal(answerOf(back).iss, issuer);
  const tokens = await portal.complete(back, pending);
  const claims = tokens.claims();
  assert.equal(tokens.token_type, 'dpop');
  assert.equal(claims.acr, 'high');
  assert.deepEqual([...claims.amr].sort(), ['hwk', 'pin']);
  assert.ok(claims.auth_time <= claims.iat && claims.iat - claims.auth_time < 60);
  assert.ok(claims.sid, 'the session is named, for log-out');
  assert.equal(claims.name, undefined, 'personal data are not in the ID token');
  const who = await portal.userinfo(tokens, pending);
  assert.equal(who.name, world.cards[0].name);
  assert.equal(who.birthdate, '1985-03-14');
  assert.equal(who.snils, undefined, 'what was not asked for is not told');
  assert.ok(!JSON.stringify([claims, who]).includes(world.cards[0].citizen), 'the registry\'s own number is nobody else\'s');
});

test('the signed answer about the citizen verifies with the published keys', async () => {
  const citizen = citizenOf(world.cards[0]);
  const { tokens, pending } = await portal.logIn(citizen);
  const keysOf = createRemoteJWKSet(new URL(metadata.jwks_uri));
  const answer = await raw.userinfo(tokens.access_token, { dpop: null });
  assert.equal(answer.status, 401, 'without its key the token is worth nothing');
  const response = await openid.fetchProtectedResource(portal.config, tokens.access_token, new URL(metadata.userinfo_endpoint), 'GET', undefined, undefined, { DPoP: pending.DPoP });
  const text = await response.text();
  const { payload } = await jwtVerify(text, keysOf, { issuer, audience: 'portal', algorithms: ['ES256'] });
  assert.equal(payload.sub, tokens.claims().sub);
});

test('a live session and a consent need no page; prompt=login and prompt=consent bring them back', async () => {
  const citizen = citizenOf(world.cards[1]);
  const first = await portal.logIn(citizen);
  const again = await portal.logIn(citizen, {}, { consent: null });
  assert.deepEqual(citizen.steps, []);
  assert.equal(again.claims.sub, first.claims.sub);
  assert.equal(again.claims.auth_time, first.claims.auth_time);
  await portal.logIn(citizen, { prompt: 'login' }, { consent: null });
  assert.deepEqual(citizen.steps, ['login', 'agent']);
  await portal.logIn(citizen, { prompt: 'consent' });
  assert.deepEqual(citizen.steps, ['consent']);
});

test('prompt=none shows nothing: it is a code or a reason', async () => {
  const stranger = citizenOf(world.cards[2]);
  const ask = async (who, party, wishes = {}) => answerOf(await who.follow((await party.begin({ prompt: 'none', ...wishes })).url, { consent: null }));
  assert.equal((await ask(stranger, portal)).error, 'login_required');
  await portal.logIn(stranger);
  assert.ok((await ask(stranger, portal)).code);
  assert.equal((await ask(stranger, other)).error, 'consent_required');
  assert.deepEqual(stranger.steps, []);
});

test('max_age asks for a log-in that is recent enough', async () => {
  const citizen = citizenOf(world.cards[3]);
  const first = await portal.logIn(citizen);
  const kept = await portal.logIn(citizen, { max_age: 3600 }, { consent: null });
  assert.equal(kept.claims.auth_time, first.claims.auth_time);
  await until('the next second', () => Math.floor(Date.now() / 1000) > first.claims.auth_time);
  const fresh = await portal.logIn(citizen, { max_age: 0 }, { consent: null });
  assert.deepEqual(citizen.steps, ['login', 'agent']);
  assert.ok(fresh.claims.auth_time > first.claims.auth_time);
});

test('what is refused is told: no consent, a log-in that was cancelled', async () => {
  const citizen = citizenOf(world.cards[4]);
  const { url, pending } = await portal.begin();
  const back = await citizen.follow(url, { consent: 'deny' });
  assert.equal(answerOf(back).error, 'access_denied');
  await assert.rejects(portal.complete(back, pending), (error) => error instanceof openid.AuthorizationResponseError && error.error === 'access_denied');
  const again = citizenOf(world.cards[4]);
  await assert.rejects(again.follow((await portal.begin()).url, { answer: { error: 'cancelled' } }), ({ page }) => {
    assert.ok(page.words().length > 20, 'the page says what to do');
    return true;
  });
});

test('subjects are pairwise: two portals cannot compare them', async () => {
  const citizen = citizenOf(world.cards[0]);
  const here = await portal.logIn(citizen);
  const there = await other.logIn(citizen);
  assert.notEqual(here.claims.sub, there.claims.sub);
  const later = await portal.logIn(citizenOf(world.cards[0]), {}, { consent: null });
  assert.equal(later.claims.sub, here.claims.sub);
});

test('a refresh token goes on, with its key only', async () => {
  const citizen = citizenOf(world.cards[5]);
  const lasting = await Portal.discover({ id: 'portal', key: keys.portal, redirect, scope: 'openid profile offline_access' });
  const { tokens, pending } = await lasting.logIn(citizen, { prompt: 'consent' });
  assert.ok(tokens.refresh_token);
  const next = await openid.refreshTokenGrant(lasting.config, tokens.refresh_token, {}, { DPoP: pending.DPoP });
  assert.ok(next.access_token && next.access_token !== tokens.access_token);
  const who = await openid.fetchUserInfo(lasting.config, next.access_token, tokens.claims().sub, { DPoP: pending.DPoP });
  assert.equal(who.name, world.cards[5].name);
  // Another client has no use for it.
  await assert.rejects(openid.refreshTokenGrant(other.config, next.refresh_token ?? tokens.refresh_token, {}, {
    DPoP: openid.getDPoPHandle(other.config, await openid.randomDPoPKeyPair('ES256')),
  }), (error) => error.error === 'invalid_grant');
  await openid.tokenRevocation(lasting.config, next.refresh_token ?? tokens.refresh_token);
  await assert.rejects(openid.refreshTokenGrant(lasting.config, next.refresh_token ?? tokens.refresh_token, {}, { DPoP: pending.DPoP }), (error) => error.error === 'invalid_grant');
});

test('tokens can be asked about and revoked', async () => {
  const citizen = citizenOf(world.cards[6]);
  const { tokens, pending } = await portal.logIn(citizen);
  const resource = await Portal.discover({ id: 'resource', key: keys.resource, redirect: 'https://other.example/none' });
  const alive = await openid.tokenIntrospection(resource.config, tokens.access_token);
  assert.equal(alive.active, true);
  assert.equal(alive.client_id, 'portal');
  assert.ok(alive.cnf?.jkt, 'the key it is bound to');
  const foreign = await openid.tokenIntrospection(other.config, tokens.access_token).catch((error) => ({ active: false, error: error.error }));
  assert.equal(foreign.active, false, 'a token of another portal is none of its business');
  await openid.tokenRevocation(other.config, tokens.access_token).catch(() => {});
  assert.equal((await openid.tokenIntrospection(resource.config, tokens.access_token)).active, true, 'another portal cannot revoke it');
  await openid.tokenRevocation(portal.config, tokens.access_token);
  assert.deepEqual(await openid.tokenIntrospection(resource.config, tokens.access_token), { active: false });
  await assert.rejects(portal.userinfo(tokens, pending));
});

test('log-out at the provider tells the portals, in words only it can sign', async () => {
  const citizen = citizenOf(world.cards[7]);
  const { tokens, pending, claims } = await portal.logIn(citizen);
  loggedOut.length = 0;
  const url = openid.buildEndSessionUrl(portal.config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: 'https://portal.example/logged-out', state: 'bye' });
  let page = await citizen.open(url.href, { here: (to) => to.startsWith(issuer) });
  if (!page.location) page = await citizen.submit(page.form('/logout'), { here: (to) => to.startsWith(issuer) });
  assert.equal(page.location, 'https://portal.example/logged-out?state=bye');
  const token = await until('the log-out token', () => loggedOut[0]);
  const { payload, protectedHeader } = await jwtVerify(token, createRemoteJWKSet(new URL(metadata.jwks_uri)), { issuer, audience: 'portal', typ: 'logout+jwt' });
  assert.ok(protectedHeader.kid);
  assert.equal(payload.sid, claims.sid);
  assert.ok(payload.events['http://schemas.openid.net/event/backchannel-logout'] && payload.jti && !('nonce' in payload));
  await assert.rejects(portal.userinfo(tokens, pending), 'its tokens have ended');
  assert.equal(answerOf(await citizen.follow((await portal.begin({ prompt: 'none' })).url)).error, 'login_required');
  // No way back to where nobody registered it.
  const astray = openid.buildEndSessionUrl(portal.config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: 'https://evil.example/' });
  const refused = await citizen.open(astray.href, { here: (to) => to.startsWith(issuer) });
  assert.ok(!refused.location?.startsWith('https://evil.example'));
});

test('oauth4webapi: a portal that shows a certificate instead of signing', async () => {
  const citizen = citizenOf(world.cards[8]);
  const as = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oidc' }));
  const client = { client_id: 'ministry', token_endpoint_auth_method: 'tls_client_auth', use_mtls_endpoint_aliases: true };
  const mine = { [oauth.customFetch]: fetchWith({ key: tls('client.key'), cert: tls('client.pem') }) };
  const authentication = oauth.TlsClientAuth();
  const verifier = oauth.generateRandomCodeVerifier(), state = oauth.generateRandomState(), nonce = oauth.generateRandomNonce();
  const parameters = {
    redirect_uri: 'https://other.example/mtls', scope: 'openid profile', response_type: 'code', state, nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  };
  const pushed = await oauth.processPushedAuthorizationResponse(as, client, await oauth.pushedAuthorizationRequest(as, client, authentication, parameters, mine));
  const url = new URL(as.authorization_endpoint);
  url.searchParams.set('client_id', 'ministry');
  url.searchParams.set('request_uri', pushed.request_uri);
  const back = await citizen.follow(url.href);
  const checked = oauth.validateAuthResponse(as, client, new URL(back), state);
  // Whoever shows another certificate, or none, does not get the tokens.
  const stranger = { [oauth.customFetch]: fetchWith({ key: tls('stranger.key'), cert: tls('stranger.pem') }) };
  for (const wrong of [stranger, { [oauth.customFetch]: fetchWith({}) }]) {
    const answer = await oauth.authorizationCodeGrantRequest(as, client, authentication, checked, 'https://other.example/mtls', verifier, wrong);
    await assert.rejects(oauth.processAuthorizationCodeResponse(as, client, answer), (error) => error.error === 'invalid_client');
  }
  const answer = await oauth.authorizationCodeGrantRequest(as, client, authentication, checked, 'https://other.example/mtls', verifier, mine);
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, answer, { expectedNonce: nonce, requireIdToken: true });
  assert.equal(tokens.token_type, 'bearer');
  const { sub } = oauth.getValidatedIdTokenClaims(tokens);
  const who = await oauth.processUserInfoResponse(as, client, sub, await oauth.userInfoRequest(as, client, tokens.access_token, mine));
  assert.equal(who.name, world.cards[8].name);
  // The token is bound to the certificate (RFC 8705 3).
  for (const wrong of [stranger, { [oauth.customFetch]: fetchWith({}) }]) {
    const refused = await oauth.userInfoRequest(as, client, tokens.access_token, wrong);
    assert.equal(refused.status, 401);
  }
});

/// Certificates of a portal's own making, with OpenSSL: key and cert for TLS, and the JWK Set that karta client keys makes.
function ownCertificate(name, { subject = '/C=XX/O=Sample Ministry/CN=own', key } = {}) {
  const words = key ? ['-key', `${key}.key`] : ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
  run('/usr/bin/openssl', ['req', '-x509', ...words, '-subj', subject, '-days', '30', '-out', `${name}.pem`]);
  return { key: readFileSync(join(work, `${key ?? name}.key`)), cert: readFileSync(join(work, `${name}.pem`)) };
}
const keysOf = (...names) => JSON.parse(karta(['client', 'keys', ...names.map((one) => `${one}.pem`)], { secrets: [] }));

test('openid-client: a portal whose certificate is of its own making, and nobody else with one like it', async () => {
  const mine = ownCertificate('own'), next = ownCertificate('own-next');
  const document = {
    client_id: 'own', client_name: 'Own Certificate', redirect_uris: ['https://other.example/own'], token_endpoint_auth_method: 'self_signed_tls_client_auth',
    jwks: keysOf('own'), userinfo_signed_response_alg: 'ES256',
  };
  assert.equal(document.jwks.keys[0].x5c[0], new X509Certificate(mine.cert).raw.toString('base64'));
  world.addClient(document);
  const portalWith = async (shown) => {
    const made = await Portal.discover({ id: 'own', redirect: 'https://other.example/own', metadata: { use_mtls_endpoint_aliases: true }, authentication: openid.TlsClientAuth() });
    made.config[openid.customFetch] = fetchWith(shown);
    return made;
  };
  const own = await portalWith(mine);
  const { tokens, pending } = await own.logIn(citizenOf(world.cards[8]));
  assert.equal((await own.userinfo(tokens, pending)).name, world.cards[8].name);
  const refused = async (shown, what) => {
    await assert.rejects((await portalWith(shown)).begin(), (error) => error.error === 'invalid_client' && error.status === 401, what);
  };
  await refused(ownCertificate('own-again', { key: 'own' }), 'the same key and names in another certificate');
  await refused(next, 'the same names, another key');
  await refused(ownCertificate('own-renamed', { key: 'own', subject: '/CN=somebody' }), 'the same key, other names');
  await refused({ key: tls('client.key'), cert: tls('client.pem') }, 'one of an authority that is trusted');
  await refused({}, 'none');
  // With the key of another it does not come so far.
  const thief = { key: next.key, cert: mine.cert };
  await assert.rejects((await portalWith(thief)).begin(), (error) => error.error === undefined);
  // Nor is it anybody who is known by the name in a certificate: that one must be of an authority.
  const named = ownCertificate('named', { subject: '/C=XX/O=Sample Ministry/CN=client' });
  const ministry = await Portal.discover({ id: 'ministry', redirect: 'https://other.example/mtls', metadata: { use_mtls_endpoint_aliases: true }, authentication: openid.TlsClientAuth() });
  ministry.config[openid.customFetch] = fetchWith(named);
  await assert.rejects(ministry.begin(), (error) => error.error === 'invalid_client');
  // Changed over: both, then the new one alone.
  const rotate = (...names) => {
    writeFileSync(join(work, 'own-keys.json'), JSON.stringify(keysOf(...names)));
    karta(['client', 'rotate', 'own', '--jwks', 'own-keys.json'], { secrets: [] });
  };
  const good = async (shown) => (await portalWith(shown)).begin().then(() => true, (error) => { assert.equal(error.error, 'invalid_client'); return false; });
  rotate('own', 'own-next');
  await until('the new certificate', () => good(next));
  assert.ok(await good(mine));
  rotate('own-next');
  await until('the end of the old one', async () => !(await good(mine)));
  assert.ok(await good(next));
});

test('oauth4webapi: proofs carry the provider\'s nonce', async () => {
  const as = await oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer)));
  const client = { client_id: 'other', id_token_signed_response_alg: 'ES256' };
  const authentication = oauth.PrivateKeyJwt({ key: keys.other.key, kid: keys.other.kid });
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
  const verifier = oauth.generateRandomCodeVerifier(), state = oauth.generateRandomState(), nonce = oauth.generateRandomNonce();
  const parameters = {
    redirect_uri: otherRedirect, scope: 'openid profile', response_type: 'code', state, nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  };
  const push = () => oauth.pushedAuthorizationRequest(as, client, authentication, parameters, { DPoP });
  const retry = async (request, process) => {
    try {
      return await process(await request());
    } catch (error) {
      if (!oauth.isDPoPNonceError(error)) throw error;
      return process(await request());
    }
  };
  const pushed = await retry(push, (answer) => oauth.processPushedAuthorizationResponse(as, client, answer));
  const url = new URL(as.authorization_endpoint);
  url.searchParams.set('client_id', 'other');
  url.searchParams.set('request_uri', pushed.request_uri);
  const back = await citizenOf(world.cards[9]).follow(url.href);
  const checked = oauth.validateAuthResponse(as, client, new URL(back), state);
  const tokens = await retry(() => oauth.authorizationCodeGrantRequest(as, client, authentication, checked, otherRedirect, verifier, { DPoP }),
    (answer) => oauth.processAuthorizationCodeResponse(as, client, answer, { expectedNonce: nonce, requireIdToken: true }));
  const { sub } = oauth.getValidatedIdTokenClaims(tokens);
  const answer = await oauth.userInfoRequest(as, client, tokens.access_token, { DPoP });
  const who = await oauth.processUserInfoResponse(as, client, sub, answer.status === 401 ? await oauth.userInfoRequest(as, client, tokens.access_token, { DPoP }) : answer);
  assert.equal(who.sub, sub);
});

test('the card as a TLS certificate is another way in, and another level', async () => {
  const card = world.cards[15];
  const pem = `-----BEGIN CERTIFICATE-----\n${card.certificate.match(/.{1,64}/g).join('\n')}\n-----END CERTIFICATE-----\n`;
  const certificate = { key: card.key.export({ type: 'pkcs8', format: 'pem' }), cert: pem };
  const citizen = citizenOf(card);
  const { claims } = await portal.logIn(citizen, {}, { certificate });
  assert.deepEqual(citizen.steps, ['certificate', 'consent']);
  assert.equal(claims.acr, 'substantial');
  // More is asked for: the same citizen, the same session, one step up.
  const more = await portal.logIn(citizen, { acr_values: 'high' }, { consent: null });
  assert.deepEqual(citizen.steps, ['login', 'agent']);
  assert.equal(more.claims.acr, 'high');
  assert.equal(more.claims.sub, claims.sub);
  const stranger = citizenOf(card);
  await assert.rejects(stranger.follow((await portal.begin()).url, { certificate: { key: tls('client.key'), cert: tls('client.pem') } }), ({ page }) => {
    assert.ok(page && page.status >= 400, 'a certificate that is no card\'s');
    return true;
  });
});

test('a login name and a one-time code: the lowest level, for portals that take it', async () => {
  const [app, mail] = world.softCards(300, 2);
  const enrol = (card, words) => JSON.parse(karta(['account', 'enrol', card.snils, '--secret-file', 'login.secret', '--json', '--why', 'asked for it', ...words], { secrets: [] }));
  const { otpauth } = enrol(app, ['--login', 'sample.app']);
  const citizen = citizenOf(null);
  const used = codeOf(otpauth); // an app shows another one every half minute
  const { claims } = await portal.logIn(citizen, {}, { code: { login: 'sample.app', code: () => used } });
  assert.deepEqual(citizen.steps, ['name', 'code', 'consent']);
  assert.equal(claims.acr, 'low');
  assert.deepEqual(claims.amr, ['otp']);
  // The same code again, a wrong one, a name nobody has: the same words.
  const attempt = (login, code) => citizenOf(null).follow(`${issuer}/login`, { code: { login, code } }).then(() => null, ({ page }) => page);
  const words = [];
  for (const [login, code] of [['sample.app', () => used], ['sample.app', () => '000000'], ['nobody.here', () => '000000']]) {
    const page = await attempt(login, code);
    assert.ok(page && page.status >= 400, `${login}: refused`);
    words.push(page.words());
  }
  assert.equal(new Set(words).size, 1, 'nobody learns which names there are');
  // By mail.
  enrol(mail, ['--login', 'sample.mail', '--mail', 'citizen@mail.example']);
  const before = new Set(readdirSync(join(work, 'mail')));
  const byMail = async () => {
    const file = await until('the mail', () => readdirSync(join(work, 'mail')).find((one) => !before.has(one) && !one.startsWith('.')));
    return readFileSync(join(work, 'mail', file), 'utf8').match(/\b(\d{6})\b/)[1];
  };
  const reader = citizenOf(null);
  assert.equal((await portal.logIn(reader, {}, { code: { login: 'sample.mail', code: byMail } })).claims.acr, 'low');
  // More is asked for than a code can give: the page does not offer it.
  const asked = await reader.follow((await portal.begin({ acr_values: 'high' })).url, { stopAt: 'agent', code: { login: 'sample.mail', code: byMail } });
  assert.ok(asked.nonce, 'the card is asked for');
});

test('request objects: signed by the portal, or not taken from who must sign', async () => {
  const strict = new RawClient('strict', keys.strict, metadata, 'https://portal.example/strict');
  const { parameters, verifier } = await strict.request();
  const plain = await strict.push(parameters);
  assert.equal(plain.status, 400);
  assert.ok(['invalid_request', 'invalid_request_object'].includes(plain.json.error), plain.json.error);
  const pushed = await strict.push({ client_id: 'strict', request: await strict.requestObject(parameters) });
  assert.equal(pushed.status, 201, JSON.stringify(pushed.json));
  const back = await citizenOf(world.cards[10]).follow(strict.authorization(pushed.json.request_uri));
  const tokens = await strict.redeem(answerOf(back).code, verifier);
  assert.equal(tokens.status, 200, JSON.stringify(tokens.json));
  const past = Math.floor(Date.now() / 1000) - 3600;
  const good = await strict.requestObject(parameters);
  const [head, body, signature] = good.split('.');
  const altered = Buffer.from(JSON.stringify({ ...decodeJwt(good), redirect_uri: 'https://evil.example/' })).toString('base64url');
  const publicPem = createPublicKey({ key: strict.key.jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const wrong = {
    'expired': await strict.requestObject(parameters, { iat: past, nbf: past, exp: past + 60 }),
    'without an end': await strict.requestObject(parameters, { exp: undefined }),
    'of the future': await strict.requestObject(parameters, { nbf: past + 7200 }),
    'altered': `${head}.${altered}.${signature}`,
    'with another signature': `${head}.${body}.${Buffer.from(signature, 'base64url').map((one, i) => (i === 5 ? one ^ 1 : one)).toString('base64url')}`,
    'unsigned': unsigned({ ...parameters, iss: 'strict', aud: issuer, exp: past + 7200, nbf: past + 3600 }, { typ: 'oauth-authz-req+jwt' }),
    'signed with the public key as a secret': await new SignJWT({ ...parameters, iss: 'strict', aud: issuer, exp: past + 7200, nbf: past + 3600 })
      .setProtectedHeader({ alg: 'HS256', kid: strict.key.kid, typ: 'oauth-authz-req+jwt' }).sign(Buffer.from(publicPem)),
    'signed by another portal': await strict.requestObject(parameters, {}, { key: keys.portal }),
    'for another provider': await strict.requestObject(parameters, { aud: 'https://other.example' }),
    'of another client': await strict.requestObject(parameters, { iss: 'portal', client_id: 'portal' }),
    'with a request inside': await strict.requestObject(parameters, { request_uri: 'https://evil.example/x' }),
  };
  for (const [what, request] of Object.entries(wrong)) {
    const answer = await strict.push({ client_id: 'strict', request });
    assert.ok(answer.status >= 400 && answer.status < 500, `${what}: ${answer.status}`);
    assert.match(answer.json.error, /^invalid_(request|request_object|client)$/, what);
  }
});

// What nobody is to get.

async function codeFor(party, citizen, changes = {}) {
  const { parameters, verifier } = await party.request(changes);
  const pushed = await party.push(parameters);
  assert.equal(pushed.status, 201, JSON.stringify(pushed.json));
  const back = await citizen.follow(party.authorization(pushed.json.request_uri));
  return { ...answerOf(back), verifier, parameters, uri: pushed.json.request_uri };
}

test('a code is good once; used twice, what it gave ends', async () => {
  const citizen = citizenOf(world.cards[11]);
  const { code, verifier } = await codeFor(raw, citizen);
  const first = await raw.redeem(code, verifier);
  assert.equal(first.status, 200, JSON.stringify(first.json));
  assert.equal((await raw.userinfo(first.json.access_token)).status, 200);
  const second = await raw.redeem(code, verifier);
  assert.equal(second.status, 400);
  assert.equal(second.json.error, 'invalid_grant');
  assert.equal((await raw.userinfo(first.json.access_token)).status, 401, 'the tokens of a code that was stolen are worth nothing');
});

test('a code wants its verifier, its redirect address and its client', async () => {
  const citizen = citizenOf(world.cards[11]);
  const rawOther = new RawClient('other', keys.other, metadata, otherRedirect);
  const cases = {
    'another verifier': (one) => raw.redeem(one.code, `${one.verifier}x`),
    'no verifier': (one) => raw.post(metadata.token_endpoint, { grant_type: 'authorization_code', code: one.code, redirect_uri: redirect }),
    'the challenge as the verifier': (one) => raw.redeem(one.code, one.parameters.code_challenge),
    'another redirect address': (one) => raw.redeem(one.code, one.verifier, { redirect_uri: `${redirect}/` }),
    'another client': (one) => rawOther.redeem(one.code, one.verifier, { redirect_uri: redirect }),
  };
  for (const [what, attempt] of Object.entries(cases)) {
    const answer = await attempt(await codeFor(raw, citizen));
    assert.equal(answer.status, 400, what);
    assert.match(answer.json.error, /^invalid_(grant|request)$/, what);
  }
  // openid-client's own way to say it.
  const { url, pending } = await portal.begin();
  const back = await citizen.follow(url);
  await assert.rejects(portal.complete(back, pending, { verifier: openid.randomPKCECodeVerifier() }), (error) => error.error === 'invalid_grant');
});

test('requests that FAPI 2.0 does not know are refused where they are pushed', async () => {
  const cases = {
    'a redirect address nobody registered': { redirect_uri: 'https://evil.example/callback' },
    'a redirect address with something added': { redirect_uri: `${redirect}?x=1` },
    'no redirect address': { redirect_uri: undefined },
    'an implicit answer': { response_type: 'id_token' },
    'a hybrid answer': { response_type: 'code id_token' },
    'a plain challenge': { code_challenge_method: 'plain' },
    'no challenge': { code_challenge: undefined, code_challenge_method: undefined },
    'an answer in the fragment': { response_mode: 'fragment' },
    'a request address of its own': { request_uri: 'https://evil.example/request' },
    'a scope it has not': { scope: 'openid snils' },
    'a level nobody knows': { max_age: '-1' },
    'prompts that contradict': { prompt: 'none login' },
  };
  for (const [what, changes] of Object.entries(cases)) {
    const answer = await raw.push((await raw.request(changes)).parameters);
    assert.equal(answer.status, 400, `${what}: ${answer.text}`);
    assert.match(answer.json.error, /^(invalid_(request|scope)|unsupported_response_type|invalid_request_uri)$/, what);
  }
  const { parameters } = await raw.request();
  const url = new URL(metadata.authorization_endpoint);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const unpushed = await citizenOf(world.cards[0]).open(url.href, { here: (to) => to.startsWith(issuer) });
  assert.ok(!unpushed.location || answerOf(unpushed.location).error, 'a request that was not pushed gets nothing');
});

test('a pushed request is its client\'s, and good once', async () => {
  const citizen = citizenOf(world.cards[0]);
  const { parameters } = await raw.request();
  const uri = (await raw.push(parameters)).json.request_uri;
  const foreign = await citizen.open(raw.authorization(uri, 'other'), { here: (to) => to.startsWith(issuer) });
  assert.ok(!foreign.location && foreign.status === 400, 'brought by another client');
  const unknown = await citizen.open(raw.authorization('urn:ietf:params:oauth:request_uri:none'), { here: (to) => to.startsWith(issuer) });
  assert.ok(!unknown.location && unknown.status === 400, 'never pushed');
  const used = await codeFor(raw, citizen);
  const again = await citizen.open(raw.authorization(used.uri), { here: (to) => to.startsWith(issuer) });
  assert.ok(!again.location && again.status === 400, 'brought twice');
});

test('an answer of another provider is noticed', async () => {
  const citizen = citizenOf(world.cards[0]);
  const { url, pending } = await portal.begin();
  const back = new URL(await citizen.follow(url));
  back.searchParams.set('iss', 'https://evil.example');
  await assert.rejects(portal.complete(back, pending), ({ cause }) => /"iss"|issuer/.test(cause?.message));
  back.searchParams.delete('iss');
  await assert.rejects(portal.complete(back, pending), ({ cause }) => /"iss"|issuer/.test(cause?.message));
});

test('a stolen token is worth nothing without its key', async () => {
  const citizen = citizenOf(world.cards[0]);
  const { code, verifier } = await codeFor(raw, citizen);
  const token = (await raw.redeem(code, verifier)).json.access_token;
  const url = metadata.userinfo_endpoint;
  assert.equal((await raw.userinfo(token)).status, 200);
  const thief = await portalKey();
  const used = await raw.dpop('GET', url, { token });
  assert.equal((await raw.userinfo(token, { dpop: used })).status, 200);
  const cases = {
    'no proof': { dpop: null },
    'as a bearer token': { dpop: null, scheme: 'Bearer' },
    'a proof by another key': { dpop: await raw.dpop('GET', url, { token, key: thief }) },
    'a proof for another method': { dpop: await raw.dpop('POST', url, { token }) },
    'a proof for another address': { dpop: await raw.dpop('GET', metadata.token_endpoint, { token }) },
    'a proof without the token\'s hash': { dpop: await raw.dpop('GET', url) },
    'a proof for another token': { dpop: await raw.dpop('GET', url, { token: `${token}x` }) },
    'a proof of yesterday': { dpop: await raw.dpop('GET', url, { token, claims: { iat: Math.floor(Date.now() / 1000) - 86_400 } }) },
    'a proof without a nonce': { dpop: await raw.dpop('GET', url, { token, nonce: null }) },
    'a proof with a nonce nobody gave': { dpop: await raw.dpop('GET', url, { token, nonce: randomUUID() }) },
    'a proof used before': { dpop: used },
    'an unsigned proof': { dpop: unsigned({ htm: 'GET', htu: url, jti: randomUUID(), iat: Math.floor(Date.now() / 1000) }, { typ: 'dpop+jwt', jwk: (await raw.proofKey()).jwk }) },
    'a proof of another type': { dpop: await raw.dpop('GET', url, { token, header: { typ: 'JWT' } }) },
  };
  for (const [what, options] of Object.entries(cases)) {
    const answer = await raw.userinfo(token, { ...options, once: true });
    assert.equal(answer.status, 401, `${what}: ${answer.status}`);
    assert.match(answer.headers['www-authenticate'], /DPoP/, what);
    if (/nonce/.test(what)) assert.match(answer.headers['www-authenticate'], /use_dpop_nonce/, what);
  }
  assert.equal((await raw.userinfo(token)).status, 200, 'its owner goes on');
  // Nor can a code be turned into tokens with another key than the request was pushed with.
  const second = await codeFor(raw, citizen);
  const answer = await raw.redeem(second.code, second.verifier, {}, { dpop: await raw.dpop('POST', metadata.token_endpoint, { key: thief }) });
  assert.equal(answer.status, 400, 'redeemed with another key');
});

test('a portal proves that it is itself', async () => {
  const past = Math.floor(Date.now() / 1000) - 3600;
  const publicPem = createPublicKey({ key: keys.portal.jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const once = await raw.assertion();
  assert.equal((await raw.push((await raw.request()).parameters, { assertion: once })).status, 201);
  const body = { iss: 'portal', sub: 'portal', aud: issuer, jti: randomUUID(), iat: past + 3600, exp: past + 3660 };
  const cases = {
    'nothing': null,
    'an assertion used before': once,
    'an expired one': await raw.assertion({ iat: past, exp: past + 60 }),
    'one without an end': await raw.assertion({ exp: undefined }),
    'one for another provider': await raw.assertion({ aud: 'https://other.example' }),
    'one of another portal': await raw.assertion({}, { key: keys.other }),
    'one about another portal': await raw.assertion({ sub: 'other', iss: 'other' }),
    'an unsigned one': unsigned(body),
    'one signed with the public key as a secret': await new SignJWT(body).setProtectedHeader({ alg: 'HS256', kid: keys.portal.kid }).sign(Buffer.from(publicPem)),
    'one that brings its own key': await raw.assertion({}, { key: keys.other, header: { kid: undefined, jwk: keys.other.jwk } }),
    'one that says where its key is': await raw.assertion({}, { key: keys.other, header: { jku: 'https://evil.example/jwks' } }),
  };
  for (const [what, assertion] of Object.entries(cases)) {
    const answer = await raw.push((await raw.request()).parameters, { assertion });
    assert.ok(answer.status === 401 || answer.status === 400, `${what}: ${answer.status}`);
    assert.equal(answer.json.error, 'invalid_client', what);
  }
});

test('a token of the card is good for one origin, one nonce, one browser, once', async () => {
  const refused = async (answer, what) => {
    const citizen = citizenOf(world.cards[12]);
    const outcome = await citizen.follow((await portal.begin()).url, { answer }).then((url) => answerOf(url), ({ page }) => ({ page }));
    assert.ok(outcome.error || (outcome.page && outcome.page.status >= 400 || /again|сначала/i.test(outcome.page?.words() ?? '')), `${what}: ${outcome.page?.words() ?? JSON.stringify(outcome)}`);
    assert.ok(!outcome.code, what);
    assert.equal(answerOf(await citizen.follow((await portal.begin({ prompt: 'none' })).url)).error, 'login_required', `${what}: no session`);
  };
  await refused({ origin: 'https://evil.example' }, 'made for another origin');
  await refused({ nonce: 'x'.repeat(44) }, 'made for another nonce');
  await refused({ token: { algorithm: 'ES384' } }, 'another algorithm');
  await refused({ token: { algorithm: 'none', signature: '' } }, 'no signature');
  await refused({ token: { signature: Buffer.alloc(64).toString('base64') } }, 'an empty signature');
  await refused({ token: { unverifiedCertificate: world.cards[13].certificate } }, 'somebody else\'s certificate');
  await refused({ token: { format: 'web-eid:2.0' } }, 'another format');
  // Another browser brings the answer: a link that was sent to somebody.
  const victim = citizenOf(world.cards[12]), attacker = citizenOf(world.cards[12]);
  const claims = await attacker.follow((await portal.begin()).url, { stopAt: 'agent' });
  const back = answerRequest(claims, world.cards[12]);
  const page = await victim.open(back, { here: (to) => to.startsWith(issuer) });
  assert.ok(page.status >= 400 || !page.location?.startsWith(redirect), 'brought by another browser');
  assert.equal(answerOf(await victim.follow((await portal.begin({ prompt: 'none' })).url)).error, 'login_required');
  // The same answer twice.
  const citizen = citizenOf(world.cards[12]);
  const asked = await citizen.follow((await portal.begin()).url, { stopAt: 'agent' });
  const twice = answerRequest(asked, world.cards[12]);
  await citizen.open(twice, { here: (to) => to.startsWith(issuer) });
  const again = await citizen.open(twice, { here: (to) => to.startsWith(issuer) });
  assert.equal(again.status, 403, 'a second time, in the very browser');
  assert.match(again.words(), /used already/);
});

test('cards that are not to be accepted are refused with the reason, at once', async () => {
  const attempt = async (card) => {
    const citizen = citizenOf(card);
    return citizen.follow((await portal.begin()).url).then((url) => ({ answer: answerOf(url) }), ({ page, message }) => {
      if (!page) throw new Error(message);
      return { words: page.words() };
    });
  };
  const reason = (outcome, pattern, what) => {
    assert.ok(!outcome.answer?.code, `${what}: let in`);
    assert.match(outcome.words ?? outcome.answer.error_description ?? '', pattern, what);
  };
  const [suspended, revoked] = world.softCards(200, 2);
  karta(['card', 'suspend', suspended.serial, '--why', 'lost'], { secrets: [] });
  reason(await attempt(suspended), /suspend/i, 'suspended');
  karta(['card', 'resume', suspended.serial, '--why', 'found'], { secrets: [] });
  assert.ok((await attempt(suspended)).answer.code, 'found again');
  karta(['card', 'revoke', revoked.serial, '--why', 'stolen', '--reason', 'keyCompromise'], { secrets: [] });
  reason(await attempt(revoked), /revoked/i, 'revoked');
  reason(await attempt(world.softCards(210, 1, 'expired')[0]), /expired/i, 'expired');
  reason(await attempt(world.softCards(220, 1, 'replaced')[0]), /taken the place/i, 'replaced');
  // A certificate of nobody we know, for the same person.
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(`${work}/foreign.key`, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  run('/usr/bin/openssl', ['req', '-x509', '-key', 'foreign.key', '-subj', '/C=XX/CN=Sample Foreigner', '-days', '30', '-out', 'foreign.pem',
    '-addext', 'extendedKeyUsage=clientAuth', '-addext', 'keyUsage=critical,digitalSignature']);
  const foreign = new X509Certificate(readFileSync(`${work}/foreign.pem`));
  reason(await attempt({ key: privateKey, certificate: foreign.raw.toString('base64') }), /issue|unknown|trust/i, 'an unknown issuer');
});

test('a card that is suspended takes its sessions and tokens along', async () => {
  const [card] = world.softCards(100, 1);
  const citizen = citizenOf(card);
  const lasting = await Portal.discover({ id: 'portal', key: keys.portal, redirect, scope: 'openid profile offline_access' });
  const { tokens, pending } = await lasting.logIn(citizen, { prompt: 'consent' });
  assert.equal((await lasting.userinfo(tokens, pending)).name, card.name);
  karta(['card', 'suspend', card.serial, '--why', 'lost'], { secrets: [] });
  await assert.rejects(lasting.userinfo(tokens, pending), 'the access token');
  await assert.rejects(openid.refreshTokenGrant(lasting.config, tokens.refresh_token, {}, { DPoP: pending.DPoP }), (error) => error.error === 'invalid_grant');
  assert.equal(answerOf(await citizen.follow((await portal.begin({ prompt: 'none' })).url)).error, 'login_required', 'the session');
});

test('pages of the log-in cannot be framed, cached or told apart by strangers', async () => {
  const citizen = citizenOf(world.cards[0]);
  const page = await citizen.open((await portal.begin()).url, { here: (to) => to.startsWith(issuer) });
  assert.match(page.headers['content-security-policy'], /frame-ancestors 'none'/);
  assert.doesNotMatch(page.headers['content-security-policy'], /unsafe/);
  assert.match(page.headers['cache-control'], /no-store/);
  assert.equal(page.headers['x-content-type-options'], 'nosniff');
  assert.match(page.headers['referrer-policy'], /^(no-referrer|same-origin)$/);
});

test('a portal that was revoked is gone within two seconds', async () => {
  const key = await portalKey();
  world.addClient({ client_id: 'passing', client_name: 'Passing Portal', redirect_uris: [otherRedirect], jwks: { keys: [key.jwk] } });
  const passing = new RawClient('passing', key, metadata, otherRedirect);
  const push = async () => (await passing.push((await passing.request()).parameters)).status;
  await until('the new portal', async () => (await push()) === 201);
  karta(['client', 'revoke', 'passing', '--why', 'closed'], { secrets: [] });
  const revoked = Date.now();
  // What was begun later than that is refused, however long this machine takes for it.
  let latest = 0;
  await until('the end of the portal', async () => {
    const began = Date.now();
    const status = await push();
    if (status === 201) latest = began - revoked;
    return status === 401;
  });
  assert.ok(latest <= 2000, `a request begun ${latest} ms after the revocation was taken`);
});

test('certificates of TLS are renewed by a reload, at both doors', async () => {
  const shown = (host) => new Promise((resolve, reject) => {
    const socket = connectTls({ host, port: 443, servername: host }, () => { resolve(socket.getPeerCertificate().fingerprint256); socket.destroy(); });
    socket.on('error', reject);
  });
  const doors = [issuer, mtlsAddress].map((one) => new URL(one).hostname);
  const early = await Promise.all(doors.map(shown));
  run('/usr/bin/openssl', ['x509', '-req', '-in', 'tls/host.csr', '-CA', 'tls/root.pem', '-CAkey', 'tls/root.key', '-days', '7', '-extfile', 'tls/host.ext', '-out', 'tls/host.crt']);
  const renewed = new X509Certificate(tls('host.crt')).fingerprint256;
  await world.reload();
  for (const [i, door] of doors.entries()) {
    assert.notEqual(early[i], renewed);
    assert.equal(await shown(door), renewed, door);
  }
  await portal.logIn(citizenOf(world.cards[14]));
});

// The last: libraries keep the keys they have read for minutes.
test('keys are renewed while portals go on', async () => {
  const citizen = citizenOf(world.cards[0]);
  const early = await portal.logIn(citizen);
  const kids = async () => JSON.parse((await send(metadata.jwks_uri)).text).keys.map(({ kid }) => kid);
  const before = await kids();
  const from = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3000); // the configuration says whole seconds
  world.newSigningKey('ES256', from);
  world.writeConfig();
  await world.reload();
  const published = await kids();
  for (const kid of before) assert.ok(published.includes(kid), 'the key before stays published');
  assert.equal(published.length, before.length + 1, 'the next one is published before it signs');
  const fresh = await Portal.discover({ id: 'portal', key: keys.portal, redirect, scope: 'openid profile birthdate' });
  const kidOf = ({ tokens }) => decodeProtectedHeader(tokens.id_token).kid;
  const between = await fresh.logIn(citizen, {}, { consent: null });
  assert.ok(kidOf(between) === kidOf(early) || Date.now() >= from.getTime());
  let late;
  await until('the new key', async () => { late = await fresh.logIn(citizen, {}, { consent: null }); return kidOf(late) !== kidOf(early); });
  assert.ok(Date.now() >= from.getTime());
  for (const { tokens } of [early, late]) await jwtVerify(tokens.id_token, createRemoteJWKSet(new URL(metadata.jwks_uri)), { issuer, audience: 'portal' });
});
