// make-client: the portal's own key, and the document the operator of the identity system registers the portal with.
//
//   node make-client.mjs [portal.json]
//
// client-key.json (or whatever `key` names) is the private half and stays here; client.json holds the public half and
// goes to the operator. A key that is there is kept: after a change of portal.json, client.json is made anew with it.
import './web_crypto.mjs';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';

const file = resolve(process.argv[2] ?? 'portal.json');
const settings = JSON.parse(readFileSync(file, 'utf8'));
const beside = (name) => resolve(dirname(file), name);
const there = existsSync(beside(settings.key));
if (!there) {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(privateKey);
  const named = { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'ES256', use: 'sig' };
  writeFileSync(beside(settings.key), `${JSON.stringify(named, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
}
const { d: secret, ...publicHalf } = JSON.parse(readFileSync(beside(settings.key), 'utf8'));
const client = {
  client_id: settings.client_id,
  client_name: settings.name.en,
  'client_name#ru': settings.name.ru,
  client_uri: settings.origin,
  purpose: settings.purpose.en,
  'purpose#ru': settings.purpose.ru,
  redirect_uris: [`${settings.origin}/callback`],
  post_logout_redirect_uris: [`${settings.origin}/logged-out`],
  backchannel_logout_uri: `${settings.origin}/backchannel-logout`,
  scope: settings.scope,
  token_endpoint_auth_method: 'private_key_jwt',
  dpop_bound_access_tokens: true,
  id_token_signed_response_alg: 'ES256',
  userinfo_signed_response_alg: 'ES256',
  jwks: { keys: [publicHalf] },
};
writeFileSync(beside('client.json'), `${JSON.stringify(client, null, 2)}\n`);
console.log(`${beside(settings.key)}  the private key${there ? ', as it was' : ': keep it'}\n${beside('client.json')}  for the operator: karta client ${there ? 'change' : 'add'} client.json`);
