// console: the operator's console in Chromium: an operator logs in with a card, finds a citizen for a purpose, stops a
// lost card, revokes a terminal, looks at the numbers; by keyboard, in both languages, light and dark, wide and narrow.
//
//   ../openid/run ../pages/console.mjs      pictures go to KARTA_PICTURES
import { strict as assert } from 'node:assert';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { Citizen } from '../openid/lib/citizen.mjs';
import { World, issuer, karta, run, work } from '../openid/lib/world.mjs';
import { Browser, until } from './browser.mjs';

const pictures = process.env.KARTA_PICTURES ?? join(work, 'pictures');
mkdirSync(pictures, { recursive: true });
const step = (text) => console.log(`- ${text}`);

const world = await World.make({ cards: 2 });
const [registrar, holder] = world.cards;
karta(['terminal', 'enrol', 'clinic-7.reception', '--role', 'clinic', '--why', 'a new machine'], { secrets: [] });
world.writeConfig({ more: [
  '[[console.operator]]', 'name = "registrar"', `citizen = "${registrar.citizen}"`,
  'scopes = ["find", "card-life", "terminals", "counters", "requests", "acts"]'] });
await world.startServer();
const browser = await Browser.start();
let page;
try {
  step('days of numbers, as a system that has run for a month has them');
  run('/usr/bin/python3', ['-c', `
import sqlite3, sys, time
database = sqlite3.connect("centre/registry.sqlite")
today = int(time.time()) // 86400
for back in range(1, 60):
    day = today - back
    week = 1 if day % 7 in (2, 3) else 3
    for name, value in (("log-ins-high", 40 * week + back % 11), ("log-ins-substantial", 12 * week + back % 5),
                        ("log-ins-low", 9 + back % 7), ("requests-received", 6 * week), ("requests-answered", 5 * week),
                        ("requests-answered-late", 1 + back % 2), ("cards-4", 30 + back % 9), ("cards-5", back % 3 - 1 if back < 58 else 3)):
        database.execute("INSERT INTO daily_counts (day, name, part, value) VALUES (?, ?, 0, ?)", (day, name, value))
database.commit()
`]);

  step('requests of departments, as their programs have left them');
  const overdue = '1'.repeat(32), answered = '2'.repeat(32);
  run('/usr/bin/python3', ['-c', `
import sqlite3, sys, time
database = sqlite3.connect("centre/registry.sqlite")
now, citizen = int(time.time()), int("${registrar.citizen}", 16)
for name, title, russian in (("pension-fund", "Pension fund of the sample land", "Пенсионный фонд образцового края"),
                             ("tax-service", "Tax service", "Налоговая служба")):
    database.execute("INSERT INTO departments (name, title, state, deadline_days, created_at, changed_at, title_ru) VALUES (?, ?, 1, 5, ?, ?, ?)",
                     (name, title, now, now, russian))
rows = [("${overdue}", "pension-fund", "tax-service", "income", -3600, None), ("3" * 32, "tax-service", "pension-fund", "insurance", 86400, None),
        ("${answered}", "pension-fund", "registry", "insurance,card-status", 86400, now - 7200)]
rows += [("4%031d" % i, "tax-service", "registry", "identity", 86400, now - 90000 - i) for i in range(150)]
for id, asker, answerer, subjects, left, done in rows:
    database.execute("INSERT INTO request_by_id VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     (id, citizen, bytes(32), asker, answerer, subjects, (done or now - 90000), now + left, done))
    database.execute("INSERT INTO requests VALUES (?, ?, 'reckon a pension', '12-7', 'Act 7, article 3', NULL, ?, ?, ?, ?)",
                     (citizen, id, b"request", b"a receipt", done and b"answer", done and b"its receipt"))
number = database.execute("SELECT coalesce(max(number), 0) FROM access_log WHERE citizen_id = ?", (citizen,)).fetchone()[0]
for actor, what in (("pension-fund", "asked tax-service: income"), ("pension-fund", "asked registry: insurance,card-status"),
                    ("pension-fund", "looked up: insurance,card-status"), ("tax-service", "took the request: income")):
    number += 1
    database.execute("INSERT INTO access_log (citizen_id, number, at, actor, purpose, case_id, what, legal_basis) VALUES (?, ?, ?, ?, 'reckon a pension', '12-7', ?, 'Act 7, article 3')",
                     (citizen, number, now - 100 + number, "department:" + actor, what))
database.commit()
`]);

  step('who is no operator is refused, who is not logged in is led there');
  const stranger = new Citizen(holder, { roots: [world.rootPem] });
  const refused = await stranger.follow(`${issuer}/login?acr=high&back=/console`).catch((error) => error.page);
  assert.equal(refused.status, 403, refused.words());
  const operator = new Citizen(registrar, { roots: [world.rootPem] });
  const led = await operator.ask(`${issuer}/console/numbers`);
  assert.ok(led.location?.startsWith(`${issuer}/login?acr=high&back=%2Fconsole%2Fnumbers`), led.location);
  const inside = await operator.follow(led.location).catch((error) => error.page);
  assert.equal(inside.status, 200, inside.words());
  assert.equal(new URL(inside.url).pathname, '/console/numbers');

  page = await browser.page({ language: 'en' });
  await page.send('Security.enable');
  await page.send('Security.setIgnoreCertificateErrors', { ignore: true });
  for (const [name, value] of operator.cookies(issuer)) {
    await page.send('Network.setCookie', { name, value, url: `${issuer}/`, path: '/', secure: true, httpOnly: true });
  }
  /// No row of the page is wider than the window, nothing is without a name, no policy was broken.
  const sound = async (name, { width = 1280 } = {}) => {
    const over = await page.run('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    assert.ok(over <= 0, `${name} at ${width}: ${over} pixels too wide`);
    const nameless = (await page.accessible()).filter((one) => ['button', 'link', 'textbox', 'radio', 'combobox', 'image'].includes(one.role) && !one.name);
    assert.deepEqual(nameless, [], `${name}: without a name`);
    assert.deepEqual(page.complaints, [], name);
    await page.picture(join(pictures, `console-${name}.png`));
  };

  step('overview');
  await page.look();
  await page.open(`${issuer}/console`);
  await page.sees('registrar');
  await sound('overview');

  step('a citizen is found by name, by keyboard alone');
  await page.open(`${issuer}/console/find`);
  await page.focuses('what');
  const [family] = holder.name.split(' ');
  await page.type(family);
  await page.tabTo('purpose');
  await page.type('a lost card');
  await page.tabTo('case');
  await page.type('visit 7');
  await sound('find');
  await page.press('Enter');
  await page.sees('Found', 'h1');
  await sound('found');
  assert.equal(await page.run('location.search'), '', 'no name in an address');
  await page.click(`a[href^="/console/citizens/${holder.citizen}"]`);
  await page.sees(holder.snils);
  await sound('citizen');

  step('the card is suspended: a reason, then done');
  await page.click(`a[href^="/console/cards/${holder.card}?"]`);
  await page.sees('Next steps');
  await sound('card');
  await page.click('a[href*="to=suspended"]');
  await page.sees('Confirm', 'h1');
  await page.focuses('why');
  await page.type('left in a tram');
  await sound('confirm');
  await page.press('Enter');
  await page.sees('It is done.');
  await page.sees('left in a tram');
  await sound('suspended');
  assert.match(karta(['card', 'status', holder.card], { secrets: [] }), /is suspended/);
  // The holder's log-in is over with it.
  assert.equal((await stranger.ask(`${issuer}/console`)).status, 303);

  step('terminals');
  await page.open(`${issuer}/console/terminals`);
  await page.sees('clinic-7.reception');
  await sound('terminals');
  await page.click('a[href="/console/terminals/clinic-7.reception"]');
  await page.click('a[href$="/revoke"]');
  await page.focuses('why');
  await page.type('the machine was stolen');
  await page.press('Enter');
  await page.sees('the machine was stolen');
  await page.sees('revoked');
  await sound('terminal');

  step('numbers, requests, acts');
  await page.open(`${issuer}/console/numbers?days=30`);
  await page.sees('Log-ins a day');
  assert.ok(await page.run('document.querySelectorAll("svg rect").length') > 60, 'bars');
  await page.open(`${issuer}/console/numbers?days=30`);
  await sound('numbers');
  await page.click('details summary');
  await until('the table', () => page.run('document.querySelector("details").open'));
  assert.ok(await page.run('document.querySelector("details tbody").rows.length') === 30, 'a row a day');
  await page.open(`${issuer}/console/requests`);
  await page.sees('Pension fund of the sample land');
  assert.ok(await page.run('document.querySelector("tbody tr").innerText.includes("overdue")'), 'overdue ones first');
  await sound('requests');
  await page.click('a[href*="after="]');
  await until('the second page', () => page.run('location.search.includes("among=answered")'));
  assert.ok(await page.run('document.querySelectorAll("tbody tr").length') > 50, 'the rest');
  // Which department and state, by keyboard alone.
  await page.open(`${issuer}/console/requests`);
  // By arrows: what is typed into a list counts as one word only if its letters follow within a second.
  const choose = async (id, words) => {
    await page.tabTo(id);
    const shown = () => page.run('document.activeElement.selectedOptions[0].text.trim()');
    for (let pressed = 0; !(await shown()).startsWith(words); pressed += 1) {
      assert.ok(pressed < 20, `"${words}" is not in the list "${id}"`);
      await page.press('ArrowDown');
    }
  };
  await choose('department', 'Pension');
  await choose('state', 'answered');
  await page.press('Tab');
  await page.press('Enter');
  await until('the answered ones', () => page.run('document.querySelectorAll("tbody tr").length === 1'));
  await page.click(`a[href="/console/requests/${answered}"]`);
  await page.sees('Say what for');
  await page.focuses('purpose');
  await page.type('a complaint about the answer');
  await page.tabTo('case');
  await page.type('complaint 5');
  await page.press('Enter');
  await page.sees('Act 7, article 3');
  await page.sees('number and insurer of the compulsory medical insurance');
  assert.ok(await page.run(`Boolean(document.querySelector('a[href^="/console/citizens/${registrar.citizen}?"]'))`), 'about whom');
  const receipt = await operator.ask(`${issuer}${await page.run(`document.querySelector('a[href*="/answer-receipt?"]').getAttribute('href')`)}`);
  assert.equal(receipt.status, 200);
  await sound('request');
  await page.open(`${issuer}/me/requests`);
  await page.sees('Pension fund of the sample land (department)');
  await page.sees('asked Tax service: income');
  await page.sees('a complaint about the answer');
  assert.ok(!(await page.text()).includes('department:'), 'no word of the log as it stands');
  await sound('own-requests');

  step('a card past its end is expired, whatever the registry says');
  run('/usr/bin/python3', ['-c', `
import sqlite3, time
database = sqlite3.connect("centre/registry.sqlite")
database.execute("UPDATE cards SET valid_until = ? WHERE card_id = ?", (int(time.time()) - 60, int("${holder.card}", 16)))
database.commit()
`]);
  await page.open(`${issuer}/console/cards/${holder.card}?purpose=x&case=y`);
  await page.sees('expired');
  await page.sees('in the registry: suspended');
  assert.ok(!await page.run(`Boolean(document.querySelector('a[href*="to=active"]'))`), 'it is not released');
  await sound('expired');
  assert.match(karta(['card', 'status', holder.card], { secrets: [] }), /is expired since .*, in the registry suspended/);
  await page.open(`${issuer}/console/acts`);
  for (const words of ['card-step', 'terminal-revoke', 'find', 'left in a tram']) await page.sees(words);
  assert.ok(!(await page.text()).includes(family), 'no name among the acts');
  await sound('acts');

  step('dark and narrow, in Russian');
  await page.look({ width: 390, height: 800, dark: true });
  await page.open(`${issuer}/assets/language?to=ru&back=%2Fconsole%2Fnumbers`);
  await page.sees('Входов в день');
  await sound('numbers-narrow', { width: 390 });
  await page.open(`${issuer}/console/requests/${overdue}?purpose=x&case=y`);
  await page.sees('просрочен');
  await page.sees('Налоговая служба');
  await sound('ru-request', { width: 390 });
  await page.open(`${issuer}/me/requests`);
  await page.sees('Пенсионный фонд образцового края (ведомство)');
  await sound('ru-own-requests', { width: 390 });
  for (const section of ['', '/find', '/terminals', '/requests', '/acts']) {
    await page.open(`${issuer}/console${section}`);
    await page.sees('Консоль оператора');
    await sound(`ru${section.replace('/', '-')}`, { width: 390 });
  }

  step('without scripts');
  await page.send('Emulation.setScriptExecutionDisabled', { value: true });
  await page.open(`${issuer}/console/find`);
  await page.picture(join(pictures, 'console-without-scripts.png'));
} catch (error) {
  if (page) {
    await page.picture(join(pictures, 'console-failed.png')).catch(() => {});
    console.error(await page.text().catch(() => ''));
  }
  console.error(world.log().split('\n').slice(-20).join('\n'));
  throw error;
} finally {
  await browser.stop();
  await world.stopServer();
}
console.log('the console does what it should');
