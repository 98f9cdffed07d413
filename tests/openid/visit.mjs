// visit: one log-in to a portal in Chromium, told in a line a step; pictures of the pages go to a folder.
//
//   visit.mjs PORTAL PIN FOLDER       PIN: of the card in the reader. Chromium trusts the roots of $HOME/.pki/nssdb.
import { join } from 'node:path';
import { chromium } from 'playwright-core';

import { askAgent } from './lib/by_card.mjs';

const [portal, pin, folder] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage', '--disable-background-networking'],
});
try {
  const page = await (await browser.newContext({ locale: 'en-GB', viewport: { width: 1000, height: 760 } })).newPage();
  const keep = (name) => page.screenshot({ path: join(folder, `portal-${name}.png`), fullPage: true });
  const say = (text) => console.log(`    ${text}`);
  await page.goto(portal);
  say(`${new URL(page.url()).host}: "${await page.locator('a[href="/login"]').innerText()}"`);
  await page.locator('a[href="/login"]').click();
  await page.locator('#by-card').waitFor();
  say(`${new URL(page.url()).host}: who asks, for what, and the ways in`);
  await keep('1-log-in');
  await askAgent(page, page.locator('#pin').waitFor({ timeout: 60_000 }));
  say(`${new URL(page.url()).host}, the agent on this machine: ${await page.locator('#client-origin').innerText()} asks; the PIN is typed here`);
  const choices = page.locator('input[type="radio"]:not([disabled])');
  if (await choices.count() > 0) await choices.first().check();
  await keep('2-agent');
  await page.locator('#pin').fill(pin);
  await page.locator('#log-in').click();
  await page.locator('button[value="allow"]').waitFor();
  say(`${new URL(page.url()).host}: "${await page.locator('h1').first().innerText()}"`);
  await keep('3-consent');
  await page.locator('button[value="allow"]').click();
  await page.locator('[data-claim="name"]').waitFor();
  say(`${new URL(page.url()).host}: ${await page.locator('h1').innerText()}`);
  await keep('4-logged-in');
} finally {
  await browser.close();
}
