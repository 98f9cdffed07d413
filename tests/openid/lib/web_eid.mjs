// web_eid: tokens of the format web-eid:1.0 made and judged from its specification alone, with Node's own cryptography.
//
// The specification (Web eID, format version 1): the token is JSON with unverifiedCertificate (base64 DER), algorithm
// (a JWA name), signature (base64) and format; what is signed is hash(origin) || hash(nonce), where the hash is the
// algorithm's, and origin and nonce are taken as they are written. Signatures by EC keys are r || s.
import { strict as assert } from 'node:assert';
import { createHash, createPublicKey, sign, verify, X509Certificate } from 'node:crypto';

const algorithms = {
  ES256: { hash: 'sha256', type: 'ec', curve: 'prime256v1' },
  ES384: { hash: 'sha384', type: 'ec', curve: 'secp384r1' },
  ES512: { hash: 'sha512', type: 'ec', curve: 'secp521r1' },
};

function signedOctets(hash, origin, nonce) {
  const digest = (text) => createHash(hash).update(text, 'utf8').digest();
  return Buffer.concat([digest(origin), digest(nonce)]);
}

/// A token by a key in this process. `card`: { key: KeyObject (P-256), certificate: base64 DER }.
export function makeToken(card, origin, nonce) {
  const { hash } = algorithms.ES256;
  return {
    unverifiedCertificate: card.certificate,
    algorithm: 'ES256',
    signature: sign(hash, signedOctets(hash, origin, nonce), { key: card.key, dsaEncoding: 'ieee-p1363' }).toString('base64'),
    format: 'web-eid:1.0',
    appVersion: 'https://soft.example/cards/1.0',
  };
}

/// Throws unless `text` is a token of a certificate that `issuer` (PEM) signed, made for this origin and nonce.
/// Returns the certificate.
export function judgeToken(text, { origin, nonce, issuer }) {
  const token = JSON.parse(text);
  assert.match(token.format, /^web-eid:1(\.\d+)?$/, 'the format');
  const row = algorithms[token.algorithm];
  assert.ok(row, `the algorithm ${token.algorithm}`);
  assert.match(token.unverifiedCertificate, /^[A-Za-z0-9+/]+={0,2}$/, 'the certificate is base64 on one line');
  const certificate = new X509Certificate(Buffer.from(token.unverifiedCertificate, 'base64'));
  const above = new X509Certificate(issuer);
  assert.ok(certificate.checkIssued(above) && certificate.verify(above.publicKey), 'the issuer signed the certificate');
  const now = Date.now();
  assert.ok(Date.parse(certificate.validFrom) <= now && now <= Date.parse(certificate.validTo), 'the certificate is valid now');
  assert.ok(certificate.keyUsage === undefined || certificate.keyUsage.includes('1.3.6.1.5.5.7.3.2'), 'the certificate is for logging in');
  const key = createPublicKey(certificate.publicKey.export({ type: 'spki', format: 'pem' }));
  assert.equal(key.asymmetricKeyType, row.type);
  assert.equal(key.asymmetricKeyDetails.namedCurve, row.curve, 'the algorithm is of the key');
  const signature = Buffer.from(token.signature, 'base64');
  assert.ok(verify(row.hash, signedOctets(row.hash, origin, nonce), { key, dsaEncoding: 'ieee-p1363' }, signature), 'the signature');
  return certificate;
}
