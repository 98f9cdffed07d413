// login: everything the portal says to the identity provider. Take this file into your own portal.
//
// A log-in is three calls: begin() pushes the request (PAR, RFC 9126) and tells where to send the browser; complete()
// changes the code it came back with for tokens and asks who it is; ending() tells where to send the browser to log out
// of the provider, too. The portal proves that it is itself with a key (private_key_jwt), each log-in proves that it is
// the same browser's (state, PKCE), and the tokens are good with this log-in's DPoP key only (RFC 9449).
import './web_crypto.mjs';
import { createRemoteJWKSet, importJWK, jwtVerify } from 'jose';
import * as openid from 'openid-client';

const clockSkewSeconds = 30;

export class Login {
  /// Asks the provider for its configuration. `settings`: portal.json; `key`: the private JWK of make-client.mjs.
  static async discover(settings, key) {
    const login = new Login();
    login.settings = settings;
    login.callback = `${settings.origin}/callback`;
    const privateKey = { key: await importJWK(key, key.alg), kid: key.kid };
    login.provider = await openid.discovery(new URL(settings.issuer), settings.client_id, {
      token_endpoint_auth_method: 'private_key_jwt',
      id_token_signed_response_alg: settings.id_token_alg ?? 'ES256',
      userinfo_signed_response_alg: settings.userinfo_alg ?? 'ES256',
      [openid.clockTolerance]: clockSkewSeconds,
    }, openid.PrivateKeyJwt(privateKey));
    // Signatures of the ID token and of the claims are checked, though they came over TLS: they may be kept as evidence.
    openid.enableNonRepudiationChecks(login.provider);
    login.keys = createRemoteJWKSet(new URL(login.provider.serverMetadata().jwks_uri));
    return login;
  }

  /// Where to send the browser, and what complete() will need: keep it in the visitor's session, it is nobody else's.
  /// `wishes`: prompt, max_age, acr_values, ui_locales as OpenID Connect has them.
  async begin(wishes = {}) {
    const pending = {
      state: openid.randomState(),
      nonce: openid.randomNonce(),
      verifier: openid.randomPKCECodeVerifier(),
      keys: await openid.randomDPoPKeyPair('ES256'),
      maxAge: wishes.max_age,
    };
    const url = await openid.buildAuthorizationUrlWithPAR(this.provider, {
      redirect_uri: this.callback,
      // The client may ask for what its scopes cover; this portal wants single claims only.
      scope: 'openid',
      // What is not essential a visitor may leave out.
      claims: JSON.stringify({
        userinfo: Object.fromEntries(this.settings.claims.map((name) => [name, this.settings.essential?.includes(name) ? { essential: true } : null])),
      }),
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: await openid.calculatePKCECodeChallenge(pending.verifier),
      code_challenge_method: 'S256',
      ...Object.fromEntries(Object.entries(wishes).map(([name, value]) => [name, String(value)])),
    }, { DPoP: openid.getDPoPHandle(this.provider, pending.keys) });
    return { url, pending };
  }

  /// Who it is. `target`: path and query the browser came to callback with. Throws where anything is not as it must be:
  /// openid.AuthorizationResponseError where the provider says no (its `error` is access_denied and the like).
  async complete(target, pending) {
    const DPoP = openid.getDPoPHandle(this.provider, pending.keys);
    const tokens = await openid.authorizationCodeGrant(this.provider, new URL(target, this.settings.origin), {
      expectedState: pending.state,
      expectedNonce: pending.nonce,
      pkceCodeVerifier: pending.verifier,
      maxAge: pending.maxAge,
      idTokenExpected: true,
    }, undefined, { DPoP });
    const proof = tokens.claims();
    // The provider may have said less than was asked for: what level is enough, the portal decides.
    if (this.settings.acr && !this.settings.acr.includes(proof.acr)) {
      throw new Error(`the log-in is of level "${proof.acr}", and this portal asks for ${this.settings.acr.join(' or ')}`);
    }
    const claims = await openid.fetchUserInfo(this.provider, tokens.access_token, proof.sub, { DPoP });
    return {
      subject: proof.sub,
      session: proof.sid,
      level: proof.acr,
      methods: proof.amr ?? [],
      at: new Date((proof.auth_time ?? proof.iat) * 1000),
      claims,
      idToken: tokens.id_token,
    };
  }

  /// Where to send the browser to log out of the provider; it comes back to /logged-out.
  ending(idToken, locale) {
    return openid.buildEndSessionUrl(this.provider, {
      id_token_hint: idToken,
      post_logout_redirect_uri: `${this.settings.origin}/logged-out`,
      ui_locales: locale,
    });
  }

  #seen = new Map(); // identifiers of log-out tokens, until they are too old to be taken

  /// What a log-out token says is over: { session } or { subject } (OpenID Connect Back-Channel Logout 1.0, 2.6).
  async ended(token) {
    const { payload } = await jwtVerify(token, this.keys, {
      issuer: this.provider.serverMetadata().issuer,
      audience: this.settings.client_id,
      typ: 'logout+jwt',
      algorithms: ['ES256', 'PS256', 'EdDSA'],
      requiredClaims: ['iat', 'exp', 'jti', 'events'],
      maxTokenAge: '5 minutes',
      clockTolerance: clockSkewSeconds,
    });
    if (!payload.events['http://schemas.openid.net/event/backchannel-logout'] || 'nonce' in payload || !(payload.sid || payload.sub)) {
      throw new Error('this is no log-out token');
    }
    const now = Date.now() / 1000;
    for (const [jti, until] of this.#seen) if (until < now) this.#seen.delete(jti);
    if (this.#seen.has(payload.jti)) throw new Error('this log-out token has been used');
    this.#seen.set(payload.jti, payload.exp + clockSkewSeconds);
    return { session: payload.sid, subject: payload.sub };
  }
}

/// What the provider answered instead of a code ("access_denied"), or null if it was something else that failed.
export function refusal(error) {
  return error instanceof openid.AuthorizationResponseError ? error.error : null;
}
