// citizen: somebody with a browser and a card, who walks through the log-in's pages to wherever they lead.
import { strict as assert } from 'node:assert';

import { agentAddress, answerRequest, openRequest } from './soft_agent.mjs';
import { SoftBrowser } from './soft_browser.mjs';
import { issuer, mtlsAddress } from './world.mjs';

const here = (url) => url.startsWith(`${issuer}/`);

export class Citizen extends SoftBrowser {
  constructor(card, { roots = [], language = 'en' } = {}) {
    super({ language });
    Object.assign(this, { card, roots, steps: [] });
  }

  /// Follows a portal's request to its end: the address the browser leaves the provider for.
  ///   consent: 'allow', 'deny', or null where no such page may come
  ///   answer:  what the agent says instead of a good token (soft_agent.mjs); a function gets the request's claims
  ///   stopAt:  'agent' or 'consent': returns that page instead
  ///   certificate: key and cert for TLS: that way in, instead of the agent
  ///   code:    { login, code() }: that way in
  async follow(url, { consent = 'allow', answer = {}, stopAt, certificate, code } = {}) {
    this.steps = [];
    let page = await this.open(url, { here });
    for (let step = 0; step < 8; step += 1) {
      const way = page.location;
      if (way && !way.startsWith(agentAddress)) return way;
      if (way) {
        this.steps.push('agent');
        const claims = await openRequest(way, { issuer, roots: this.roots });
        this.asked = claims;
        if (stopAt === 'agent') return claims;
        const back = answerRequest(claims, this.card, typeof answer === 'function' ? answer(claims) : answer);
        page = await this.open(back, { here });
        continue;
      }
      const form = page.forms().find(({ action }) => new URL(action).pathname === '/consent');
      if (form) {
        this.steps.push('consent');
        this.consentPage = page;
        if (stopAt === 'consent') return page;
        assert.ok(consent, `no consent was to be asked for:\n${page.words()}`);
        page = await this.submit(form, { button: consent, here });
        continue;
      }
      const named = code && page.forms().find(({ action }) => new URL(action).pathname === '/login/name');
      if (named) {
        this.steps.push('name');
        page = await this.submit(named, { values: { login: code.login }, here });
        continue;
      }
      const asked = code && page.status === 200 && page.forms().find(({ action }) => new URL(action).pathname === '/login/code');
      if (asked) {
        this.steps.push('code');
        page = await this.submit(asked, { values: { code: await code.code() }, here });
        continue;
      }
      const shown = certificate && page.links().find((one) => one.startsWith(`${mtlsAddress}/login/certificate`));
      if (shown) {
        this.steps.push('certificate');
        page = await this.open(shown, { here, tls: certificate });
        certificate = undefined;
        continue;
      }
      const card = page.links().find((one) => new URL(one).pathname === '/login/card');
      if (card && page.status === 200) {
        this.steps.push('login');
        page = await this.open(card, { here });
        continue;
      }
      this.last = page;
      throw Object.assign(new Error(`the way ends at ${page.status} ${page.url}: ${page.words()}`), { page });
    }
    throw new Error('the way has no end');
  }
}
