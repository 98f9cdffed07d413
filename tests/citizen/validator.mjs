// validator: a web-eid:1.0 token as a site would check it, written from the format's specification alone: Node.js and
// its WebCrypto, nothing of ours.
import { X509Certificate, webcrypto } from 'node:crypto';

const { subtle } = webcrypto;
const hashes = { 256: 'SHA-256', 384: 'SHA-384', 512: 'SHA-512' };
const curves = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function octets(text, what) {
  if (typeof text !== 'string' || text === '' || !base64.test(text)) throw new Error(`${what} is not base64`);
  return Buffer.from(text, 'base64');
}

/// The certificate that signed for `origin` and `nonce`; throws where it did not. Whether it is to be trusted is the
/// caller's next question.
export async function validate(token, origin, nonce) {
  const [name, version] = String(token.format).split(':');
  if (name !== 'web-eid' || !/^1\.\d+$/.test(version)) throw new Error('format');
  const match = /^(ES|PS|RS)(256|384|512)$/.exec(token.algorithm);
  if (!match) throw new Error('algorithm');
  const hash = hashes[match[2]];
  const certificate = new X509Certificate(octets(token.unverifiedCertificate, 'certificate'));
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  const kinds = {
    ES: [{ name: 'ECDSA', namedCurve: curves[token.algorithm] }, { name: 'ECDSA', hash }],
    PS: [{ name: 'RSA-PSS', hash }, { name: 'RSA-PSS', saltLength: Number(match[2]) / 8 }],
    RS: [{ name: 'RSASSA-PKCS1-v1_5', hash }, { name: 'RSASSA-PKCS1-v1_5' }],
  };
  const [importing, verifying] = kinds[match[1]];
  const key = await subtle.importKey('spki', spki, importing, false, ['verify']);
  const digest = async (text) => Buffer.from(await subtle.digest(hash, Buffer.from(text, 'utf8')));
  const signed = Buffer.concat([await digest(origin), await digest(nonce)]);
  if (!await subtle.verify(verifying, key, octets(token.signature, 'signature'), signed)) throw new Error('signature');
  return certificate;
}
