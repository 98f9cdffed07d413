// soft_agent: answers the provider's signed requests as the citizen's agent does, with a card whose key is in this process.
import { strict as assert } from 'node:assert';
import { X509Certificate } from 'node:crypto';
import { compactVerify } from 'jose';

import { makeToken } from './web_eid.mjs';

export const agentAddress = 'http://127.0.0.1:8471';

/// The claims of a request object, once its signature and its certificate have been checked.
export async function openRequest(url, { issuer, roots }) {
  const request = new URL(url).searchParams.get('request');
  assert.ok(request, 'the address carries a request');
  let chain;
  const { payload, protectedHeader } = await compactVerify(request, (header) => {
    chain = header.x5c.map((one) => new X509Certificate(Buffer.from(one, 'base64')));
    return chain[0].publicKey;
  }, { algorithms: ['ES256', 'PS256', 'EdDSA'] });
  assert.equal(protectedHeader.typ, 'karta-agent-request+jwt');
  assert.ok(chain[0].checkHost(new URL(issuer).hostname), 'the certificate is of the issuer\'s host');
  const known = roots.map((one) => new X509Certificate(one));
  for (let i = 0; i < chain.length; i += 1) {
    const above = chain[i + 1] ?? known.find((root) => chain[i].checkIssued(root));
    assert.ok(above && chain[i].verify(above.publicKey), 'the chain of certificates ends at a root');
  }
  const claims = JSON.parse(Buffer.from(payload).toString('utf8'));
  const now = Date.now() / 1000;
  assert.equal(claims.iss, issuer);
  assert.equal(claims.aud, 'karta-agent');
  assert.ok(claims.iat <= now + 5 && claims.exp > now && claims.exp - claims.iat <= 300, 'the times');
  assert.ok(claims.nonce.length >= 44 && claims.jti, 'the nonce');
  assert.ok(claims.return_uri.startsWith(`${claims.origin}/`), 'it returns to where it came from');
  return claims;
}

/// Where the agent sends the browser back to. `answer`: what goes with the state: by default the card's token.
export function answerRequest(claims, card, answer = {}) {
  const back = new URL(claims.return_uri);
  back.searchParams.set('state', claims.state);
  if (answer.error) {
    back.searchParams.set('error', answer.error);
  } else {
    const token = makeToken(card, answer.origin ?? claims.origin, answer.nonce ?? claims.nonce);
    back.searchParams.set('token', Buffer.from(JSON.stringify({ ...token, ...answer.token })).toString('base64url'));
  }
  return back.href;
}
