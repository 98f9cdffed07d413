// raw_client: a relying party that can say anything, wrong things too: what libraries refuse to send.
import { createHash, randomUUID } from 'node:crypto';
import { SignJWT, base64url } from 'jose';

import { send } from './http.mjs';
import { issuer, portalKey } from './world.mjs';

const now = () => Math.floor(Date.now() / 1000);
const compact = (header, claims, signature) => [JSON.stringify(header), JSON.stringify(claims)].map((one) => base64url.encode(one)).concat(signature).join('.');

export class RawClient {
  /// `key`: of portalKey(); `metadata`: the provider's.
  constructor(id, key, metadata, redirect) { Object.assign(this, { id, key, metadata, redirect }); }

  jwt(claims, { header = {}, key = this.key } = {}) {
    return new SignJWT(claims).setProtectedHeader({ alg: key.alg, kid: key.kid, ...header }).sign(key.key);
  }

  /// A client assertion (RFC 7523): good, unless the changes make it otherwise. undefined takes a claim away.
  assertion(changes = {}, options = {}) {
    const claims = { iss: this.id, sub: this.id, aud: issuer, jti: randomUUID(), iat: now(), exp: now() + 60, ...changes };
    for (const [name, value] of Object.entries(claims)) if (value === undefined) delete claims[name];
    return this.jwt(claims, options);
  }

  async proofKey() { this.proof ??= await portalKey(); return this.proof; }

  /// A DPoP proof (RFC 9449 4.2).
  async dpop(htm, htu, { token, nonce = this.nonce, key, claims = {}, header = {} } = {}) {
    const pair = key ?? await this.proofKey();
    const { kid, use, alg, ...jwk } = pair.jwk;
    const body = {
      htm, htu, jti: randomUUID(), iat: now(), ...(nonce ? { nonce } : {}),
      ...(token ? { ath: createHash('sha256').update(token).digest('base64url') } : {}), ...claims,
    };
    for (const [name, value] of Object.entries(body)) if (value === undefined) delete body[name];
    return new SignJWT(body).setProtectedHeader({ typ: 'dpop+jwt', alg: pair.alg, jwk, ...header }).sign(pair.key);
  }

  /// A form to an endpoint; what is not given is added as it must be, null leaves it out. Returns { status, json, headers }.
  async post(endpoint, fields, { assertion, dpop, tls, once = false } = {}) {
    for (let attempt = 0; ; attempt += 1) {
      const form = { ...fields };
      if (assertion !== null) {
        form.client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
        form.client_assertion = assertion ?? await this.assertion();
      }
      const proof = dpop === null ? undefined : dpop ?? await this.dpop('POST', endpoint);
      const answer = await send(endpoint, {
        method: 'POST', tls, body: new URLSearchParams(form).toString(),
        headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...(proof ? { DPoP: proof } : {}) },
      });
      const json = answer.text.startsWith('{') ? JSON.parse(answer.text) : null;
      if (answer.headers['dpop-nonce']) this.nonce = answer.headers['dpop-nonce'];
      if (json?.error === 'use_dpop_nonce' && attempt === 0 && !once && dpop === undefined) continue;
      return { ...answer, json };
    }
  }

  /// The parameters of a good request, and what belongs to it.
  async request(changes = {}) {
    const verifier = base64url.encode(createHash('sha256').update(randomUUID()).digest());
    const parameters = {
      client_id: this.id, response_type: 'code', redirect_uri: this.redirect, scope: 'openid profile', state: randomUUID(), nonce: randomUUID(),
      code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256', ...changes,
    };
    for (const [name, value] of Object.entries(parameters)) if (value === undefined) delete parameters[name];
    return { verifier, parameters };
  }

  /// A signed request object (RFC 9101) of these parameters.
  requestObject(parameters, changes = {}, options = {}) {
    const claims = { ...parameters, iss: this.id, aud: issuer, iat: now(), nbf: now() - 1, exp: now() + 120, jti: randomUUID(), ...changes };
    for (const [name, value] of Object.entries(claims)) if (value === undefined) delete claims[name];
    return this.jwt(claims, { ...options, header: { typ: 'oauth-authz-req+jwt', ...options.header } });
  }

  push(parameters, options) { return this.post(this.metadata.pushed_authorization_request_endpoint, parameters, options); }

  /// The address a pushed request is brought to.
  authorization(uri, id = this.id) {
    const url = new URL(this.metadata.authorization_endpoint);
    url.searchParams.set('client_id', id);
    url.searchParams.set('request_uri', uri);
    return url.href;
  }

  redeem(code, verifier, changes = {}, options = {}) {
    return this.post(this.metadata.token_endpoint, { grant_type: 'authorization_code', code, redirect_uri: this.redirect, code_verifier: verifier, ...changes }, options);
  }

  async userinfo(token, { dpop, scheme = 'DPoP', tls, once = false } = {}) {
    const url = this.metadata.userinfo_endpoint;
    for (let attempt = 0; ; attempt += 1) {
      const proof = dpop === null ? undefined : dpop ?? await this.dpop('GET', url, { token });
      const answer = await send(url, { headers: { Authorization: `${scheme} ${token}`, ...(proof ? { DPoP: proof } : {}) }, tls });
      if (answer.headers['dpop-nonce']) this.nonce = answer.headers['dpop-nonce'];
      if (answer.status === 401 && /use_dpop_nonce/.test(answer.headers['www-authenticate'] ?? '') && attempt === 0 && !once && dpop === undefined) continue;
      return answer;
    }
  }
}

/// The same text with alg "none" and no signature.
export const unsigned = (claims, header = {}) => compact({ alg: 'none', ...header }, claims, '');
