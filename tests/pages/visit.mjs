// visit: one visit in Chromium at a kartad that runs already.
//
//   visit.mjs LINK_FILE CAN NAME PICTURE      NAME: what the page must call the holder
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';

import { Browser, until } from './browser.mjs';

const [link_file, can, name, picture] = process.argv.slice(2);
const link = readFileSync(link_file, 'utf8').trim();
const browser = await Browser.start();
try {
  const page = await browser.page({ language: 'ru-RU' });
  await page.look({ width: 1280, height: 900 });
  await page.open(link);
  // One desk alone: there is nothing to choose.
  await until('the clinic', async () => (await page.path()) === '/clinic');
  await page.sees('Можно читать');
  await page.tabTo('can');
  await page.type(can);
  await page.press('Enter');
  await page.sees('Карта принята');
  await page.sees('Карты нет в стоп-листе');
  await page.sees(name);
  // Nobody has written an insurance record: that is said, for it is the question.
  await page.sees('Этого нет на карте', '[aria-labelledby=insurance]');
  await page.sees('Квитанция о предъявлении карты');
  await page.picture(picture);
  assert.deepEqual(page.complaints, []);
} finally {
  await browser.stop();
}
