// desktop: a screen in memory (Xvfb) and a hand at its keyboard (xdotool), for the windows of a browser that are no pages:
// the choice of a certificate, the PIN of a token.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Program } from './programs.mjs';
import { until, work } from './world.mjs';

const width = 1200, height = 900;

export class Desktop {
  static async start() {
    const desktop = new Desktop();
    // Its socket is a name of this network namespace: neither files nor other screens of the machine are touched.
    desktop.server = new Program('xvfb', 'Xvfb', ['-displayfd', '1', '-screen', '0', `${width}x${height}x24`, '-nolisten', 'tcp', '-nolisten', 'unix', '-fbdir', work]);
    await desktop.server.ready(() => desktop.server.lines.length > 0);
    desktop.env = { ...process.env, DISPLAY: `:${desktop.server.lines[0].trim()}` };
    desktop.answered = new Set();
    return desktop;
  }

  #hand(...words) { return spawnSync('xdotool', words, { encoding: 'utf8', env: this.env }); }

  press(key) { assert.equal(this.#hand('key', key).status, 0, `the key ${key}`); }

  /// The window of that title that was not answered yet; undefined if there is none.
  window(title) {
    return this.#hand('search', '--onlyvisible', '--name', `^${title}$`).stdout.split('\n').find((one) => one && !this.answered.has(one));
  }

  /// Types into the next window of that title, and Return until it goes: a window that has just opened takes none.
  async answer(title, text) {
    const window = await until(`the window "${title}"`, () => this.window(title));
    const typed = this.#hand('windowfocus', '--sync', window, 'type', '--delay', '20', text);
    assert.equal(typed.status, 0, typed.stderr);
    const gone = () => this.window(title) !== window;
    await until(`the window "${title}" to go`, async () => {
      if (!gone()) this.press('Return');
      return until('it to go', gone, 2).catch(() => false);
    });
    this.answered.add(window);
  }

  /// How bright the screen is at a place, 0 to 255. The screen is a file in the format of xwd.
  brightness(x, y) {
    const file = readFileSync(join(work, 'Xvfb_screen0'));
    const word = (index) => file.readUInt32BE(index * 4);
    const pixels = word(0) + word(19) * 12; // the header, then the colours of a palette
    return file[pixels + y * word(12) + x * 4 + 1];
  }

  stop() { return this.server.stop(); }
}
