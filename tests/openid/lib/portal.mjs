// portal: a relying party on openid-client, as a portal's developer would write it, with its parts open to tests.
import * as openid from 'openid-client';

import { issuer } from './world.mjs';

export class Portal {
  static async discover({ id, key, redirect, scope = 'openid profile', metadata = {}, authentication }) {
    const portal = new Portal();
    Object.assign(portal, { id, key, redirect, scope });
    portal.config = await openid.discovery(new URL(issuer), id, { userinfo_signed_response_alg: 'ES256', id_token_signed_response_alg: 'ES256', ...metadata },
      authentication ?? openid.PrivateKeyJwt({ key: key.key, kid: key.kid }));
    openid.enableNonRepudiationChecks(portal.config);
    portal.server = portal.config.serverMetadata();
    return portal;
  }

  async begin(wishes = {}) {
    const pending = {
      state: openid.randomState(), nonce: openid.randomNonce(), verifier: openid.randomPKCECodeVerifier(),
      DPoP: openid.getDPoPHandle(this.config, await openid.randomDPoPKeyPair('ES256')), maxAge: wishes.max_age,
    };
    const parameters = {
      redirect_uri: this.redirect, scope: this.scope, state: pending.state, nonce: pending.nonce,
      code_challenge: await openid.calculatePKCECodeChallenge(pending.verifier), code_challenge_method: 'S256',
    };
    for (const [name, value] of Object.entries(wishes)) parameters[name] = String(value);
    const url = await openid.buildAuthorizationUrlWithPAR(this.config, parameters, { DPoP: pending.DPoP });
    return { url: url.href, pending };
  }

  complete(back, pending, { verifier = pending.verifier, DPoP = pending.DPoP, parameters } = {}) {
    return openid.authorizationCodeGrant(this.config, new URL(back), {
      expectedState: pending.state, expectedNonce: pending.nonce, pkceCodeVerifier: verifier, maxAge: pending.maxAge, idTokenExpected: true,
    }, parameters, { DPoP });
  }

  userinfo(tokens, pending) { return openid.fetchUserInfo(this.config, tokens.access_token, tokens.claims().sub, { DPoP: pending.DPoP }); }

  /// A whole log-in of this citizen: { tokens, claims, pending, back }.
  async logIn(citizen, wishes = {}, way = {}) {
    const { url, pending } = await this.begin(wishes);
    const back = await citizen.follow(url, way);
    const tokens = await this.complete(back, pending);
    return { back, pending, tokens, claims: tokens.claims() };
  }
}

/// What the answer in this address is: { code } or { error }.
export function answerOf(url) {
  const query = new URL(url).searchParams;
  return Object.fromEntries(['code', 'error', 'error_description', 'iss', 'state'].filter((name) => query.has(name)).map((name) => [name, query.get(name)]));
}
