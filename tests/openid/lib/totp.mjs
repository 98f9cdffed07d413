// totp: the code an app shows for an otpauth address (RFC 6238, RFC 4226 5.3), with Node's own cryptography.
import { createHmac } from 'node:crypto';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

function fromBase32(text) {
  const bits = [...text.replace(/=+$/, '')].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('');
  return Buffer.from(bits.match(/.{8}/g).map((octet) => Number.parseInt(octet, 2)));
}

export function codeOf(otpauth, time = Date.now()) {
  const query = new URL(otpauth).searchParams;
  const digits = Number(query.get('digits') ?? 6), period = Number(query.get('period') ?? 30);
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(time / 1000 / period)));
  const hmac = createHmac((query.get('algorithm') ?? 'SHA1').toLowerCase(), fromBase32(query.get('secret'))).update(counter).digest();
  const at = hmac[hmac.length - 1] & 15;
  return String((hmac.readUInt32BE(at) & 0x7fffffff) % 10 ** digits).padStart(digits, '0');
}
