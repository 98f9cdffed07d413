// Two karta-identity on one PostgreSQL behind what shares connections out, and citizens who log in without a pause. One
// server is killed, then the database; then it comes back.
//
// Nothing acknowledged may be lost: tokens that were given are good afterwards. No code may be used twice. Whatever fails
// must fail clearly and soon: 503 with Retry-After, or a connection that was cut where its server was killed. And the
// server that is left must serve within two seconds after the database does.
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Citizen } from '../openid/lib/citizen.mjs';
import { send } from '../openid/lib/http.mjs';
import { answerOf, Portal } from '../openid/lib/portal.mjs';
import { issuer, portalKey, until, work, World } from '../openid/lib/world.mjs';

const visitors = 6, enough = 12;
const redirect = 'https://portal.example/callback';
const addresses = ['127.0.0.20', '127.0.0.21'];
let world, portal, door;
const servers = [];
const away = new Set(); // addresses of servers that are dead

/// The database, as the script outside has it.
const told = openSync(process.env.KARTA_POSTGRES_TOLD, constants.O_RDWR | constants.O_NONBLOCK);
const asked = openSync(process.env.KARTA_POSTGRES_ASKED, constants.O_RDWR | constants.O_NONBLOCK);
async function database(word) {
  writeSync(asked, `${word}\n`);
  await until(`the database to ${word}`, () => {
    try {
      return readSync(told, Buffer.alloc(16)) > 0;
    } catch {
      return false; // nothing yet
    }
  }, 60);
}

before(async () => {
  world = await World.make({ cards: visitors });
  world.writeConfig();
  const text = readFileSync(join(work, 'identity.toml'), 'utf8');
  for (const [i, address] of addresses.entries()) {
    const file = `identity-${i}.toml`;
    writeFileSync(join(work, file), text.replace('127.0.0.10:443', `${address}:443`).replace('127.0.0.11:443', `${address}:8443`));
    const log = openSync(join(work, `server-${i}.log`), 'a');
    servers.push(spawn(join(process.env.KARTA_BIN, 'karta-identity'), ['serve', '--config', file], { cwd: work, stdio: ['ignore', log, log] }));
    closeSync(log);
  }
  // A connection goes to one and then to the other; to the one that is left where the other is dead.
  let turn = 0;
  door = net.createServer((visitor) => {
    turn += 1;
    const living = addresses.filter((one) => !away.has(one));
    const server = net.connect({ host: living[turn % living.length], port: 443 });
    const end = () => { visitor.destroy(); server.destroy(); };
    for (const one of [visitor, server]) one.on('error', end).on('close', end);
    visitor.pipe(server).pipe(visitor);
  });
  await new Promise((resolve) => { door.listen(443, '127.0.0.10', resolve); });
  for (const address of addresses) {
    await until(`the server at ${address}`, () => new Promise((resolve) => {
      const one = net.connect({ host: address, port: 443 });
      one.once('connect', () => { one.destroy(); resolve(true); });
      one.once('error', () => resolve(false));
    }));
  }
  const key = await portalKey();
  world.addClient({ client_id: 'portal', redirect_uris: [redirect], jwks: { keys: [key.jwk] }, userinfo_signed_response_alg: 'ES256' });
  portal = await Portal.discover({ id: 'portal', key, redirect });
});
after(async () => {
  for (const one of servers) one.kill('SIGKILL');
  door?.close();
  closeSync(told);
  closeSync(asked);
});

/// For how many milliseconds, since the machine started, somebody on it has waited for a processor or a disk (the kernel's
/// pressure stall information, proc(5)); 0 where the kernel keeps none. What passes by this clock is not the servers'.
const stalled = () => ['cpu', 'io'].reduce((all, one) => {
  try {
    return all + Number(readFileSync(`/proc/pressure/${one}`, 'utf8').match(/^some .*total=(\d+)$/m)[1]) / 1000;
  } catch {
    return all;
  }
}, 0);
/// A moment, and how many milliseconds have passed since one that were the servers' own.
const moment = () => ({ at: Date.now(), stalled: stalled() });
const since = (begin, end = moment()) => Math.max(0, end.at - begin.at - (end.stalled - begin.stalled));

const statusOf = (error) => error.page?.status ?? error.status ?? error.cause?.status ?? error.cause?.cause?.status;
/// Somebody with an old link: the server has to look it up.
const probe = () => send(`${issuer}/openid/authorize?client_id=portal&request_uri=${encodeURIComponent(`urn:ietf:params:oauth:request_uri:${'x'.repeat(43)}`)}`);

test('log-ins through two servers, one of them killed, and the database restarted', async (t) => {
  const made = [], failures = [], doubtful = [];
  let over = false;
  t.after(() => { over = true; });
  async function visit(number) {
    while (!over) {
      const began = moment();
      let step = 'begin', code, pending, back;
      try {
        const citizen = new Citizen(world.cards[number], { roots: [world.rootPem] });
        const begun = await portal.begin();
        pending = begun.pending;
        step = 'pages';
        back = await citizen.follow(begun.url, { consent: 'allow' });
        ({ code } = answerOf(back));
        step = 'tokens';
        const tokens = await portal.complete(back, pending);
        made.push({ at: Date.now(), back, pending, tokens });
      } catch (error) {
        const ended = moment();
        failures.push({ ...ended, took: since(began, ended), step, status: statusOf(error), text: `${error.message} ${error.cause?.message ?? ''}` });
        if (step === 'tokens' && code) doubtful.push({ back, pending });
        await new Promise((resolve) => { setTimeout(resolve, 50); });
      }
    }
  }
  const walks = Array.from({ length: visitors }, (_, i) => visit(i));
  const more = (what, count = enough) => {
    const from = made.length;
    return until(`${what}; the latest failure: ${JSON.stringify(failures.at(-1))}`, () => made.length >= from + count, 90);
  };

  await more('log-ins through both');
  assert.deepEqual(failures, [], 'nothing fails while nothing is wrong');

  away.add(addresses[0]);
  const killed = moment();
  servers[0].kill('SIGKILL');
  await more('log-ins through the one that is left');

  const stopped = Date.now();
  await database('stop');
  let probed;
  const refused = await until('an answer while the database is away', async () => {
    const answer = await probe();
    probed = answer.status;
    return answer.status === 503 && answer;
  }).catch((error) => { throw new Error(`${error.message}: ${probed}`); });
  assert.ok(Number(refused.headers['retry-after']) >= 1, `Retry-After: ${refused.headers['retry-after']}`);
  assert.doesNotMatch(refused.text, /postgres|SQL|socket/i, 'nothing of what is inside');
  await until('failures of log-ins', () => failures.some(({ at, status }) => at > stopped && status === 503));
  await database('start');
  const started = moment();
  await until('an answer', async () => (await probe()).status !== 503);
  const silent = since(started);
  assert.ok(silent < 2000, `after the database was back it took ${silent} ms, not counting ${Date.now() - started.at - silent} in which this machine was busy`);
  await more('log-ins after it all');
  over = true;
  await Promise.all(walks);

  for (const one of failures) {
    // A connection may be cut where its server was killed; else the answer says what is the matter. One that lost its
    // place with the server or the database (a page too old, an interaction that is over) is told to begin again.
    const cut = one.status === undefined && since(killed, one) < 5000;
    assert.ok(cut || one.status === 503 || (one.status >= 400 && one.status < 500 && one.at > killed.at), JSON.stringify(one));
    assert.ok(one.took < 15_000, `it took ${one.took} ms: ${JSON.stringify(one)}`);
  }

  // What was acknowledged is there.
  for (const { tokens, pending } of made) assert.equal((await portal.userinfo(tokens, pending)).sub, tokens.claims().sub);
  // A code is good once: those that were redeemed are not any more, those whose answer was lost at the most this once.
  const codes = made.map(({ back }) => answerOf(back).code);
  assert.equal(new Set(codes).size, codes.length, 'no code twice');
  let redeemed = 0;
  for (const { back, pending } of doubtful) {
    await portal.complete(back, pending).then(() => { redeemed += 1; }, (error) => assert.equal(error.error, 'invalid_grant', error.message));
    await assert.rejects(portal.complete(back, pending), (error) => error.error === 'invalid_grant');
  }
  for (const { back, pending } of made.slice(-3)) await assert.rejects(portal.complete(back, pending), (error) => error.error === 'invalid_grant');
  console.log(`${made.length} log-ins, ${failures.length} failures, ${doubtful.length} codes in doubt of which ${redeemed} were good; `
    + `served again ${Math.round(silent)} ms of its own after the database`);
});
