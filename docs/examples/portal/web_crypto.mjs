// Node.js 18 keeps the Web Cryptography API to itself; from 20 on it is there for everybody. Imported before all else.
import { webcrypto } from 'node:crypto';

globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;
