// counter: what the centre does to a card that lies here, and for its holder.
import { el, field, fill, icon, say, shout } from './dom.mjs';
import { isUnclear, openDeed, post, settleDeed, unsettledDeed } from './api.mjs';
import { desk, refreshReaders, start } from './shell.mjs';
import { emptyPanel, problemPanel, readerPanel, readerState, receiptPanel, spoken, verdict, when, workPanel } from './parts.mjs';
import { day, grouped, known, t } from './words.mjs';

const deeds = [
  { name: 'activate', path: '/v1/activations' },
  { name: 'unblock', path: '/v1/unblockings' },
  { name: 'renew', path: '/v1/renewals' },
  { name: 'application', path: '/v1/applications' },
  { name: 'replace', path: '/v1/replacements' },
  { name: 'account', path: '/v1/accounts' },
];
/// Chosen within "account".
const removal = { name: 'removal', path: '/v1/account-removals' };

const ways = ['letter', 'puk', 'pad'];
const reasons = ['damaged', 'expiring', 'name-changed', 'lost', 'stolen'];
const accountWays = ['app', 'mail', 'remove'];
const shownFor = 10 * 60 * 1000;

start((main) => {
  const form = el('form', { class: 'panel ask', novalidate: true, autocomplete: 'off' });
  const result = el('div', { class: 'result' });
  main.replaceChildren(el('div', { class: 'columns' }, form, result));
  const state = { deed: deeds[0], reader: null, operator: '', reason: '', with: 'letter', pin: 'PIN1', puk: '', pukError: '', fresh: '', freshError: '', why: reasons[0], all: false, aid: '', aidError: '', offer: null, offerError: '',
    way: accountWays[0], login: '', loginError: '', mail: '', mailError: '', agreed: false, agreedError: '', secret: null,
    steps: [], problem: null, done: null, open: unsettledDeed('counter') };
  // The page was loaded again while it was not known how far the centre had come.
  if (state.open) {
    state.open.unclear = true;
    state.problem = { kind: 'card-removed' };
  }

  /// A select of what `state` holds under `name`; its options are in words under the same name.
  const choice = (name, label, options, then = () => {}) => field({ id: name, label: t(label), input: el('select', { on: { change: (event) => {
    state[name] = event.target.value;
    then();
  } } }, options.map((one) => el('option', { value: one, selected: one === state[name] }, t(`${name}.${one}`)))) });
  const secret = (name, most) => el('input', { type: 'password', inputmode: 'numeric', autocomplete: 'off', maxlength: most, value: state[name],
    on: { input: (event) => { state[name] = event.target.value; } } });

  const typed = (name, most, more = {}) => el('input', { type: 'text', maxlength: most, autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', value: state[name],
    ...more, on: { input: (event) => { state[name] = event.target.value; } } });

  /// An account for one-time codes: which, and that the citizen wants it.
  function accountFields() {
    const agreed = el('input', { type: 'checkbox', id: 'agreed', checked: state.agreed, 'aria-invalid': state.agreedError && 'true', 'aria-describedby': state.agreedError && 'agreed-error',
      on: { change: (event) => { state.agreed = event.target.checked; } } });
    return [
      choice('way', 'way', accountWays, () => drawForm()),
      state.way !== 'remove' && field({ id: 'login', label: t('login-name'), hint: t('login-name.hint'), error: state.loginError, input: typed('login', 64) }),
      state.way === 'mail' && field({ id: 'mail', label: t('mail'), hint: t('mail.hint'), error: state.mailError, input: typed('mail', 254, { inputmode: 'email' }) }),
      el('div', { class: 'field' }, el('label', { class: 'choice', for: 'agreed' }, agreed, el('span', { class: 'choice-main' }, t('agreed'))),
        state.agreedError && el('p', { id: 'agreed-error', class: 'field-error' }, icon('warning', 16), state.agreedError))];
  }

  /// What the citizen's app is to learn, shown once: scanned, or typed by hand.
  function secretPanel() {
    const { url, key } = state.secret;
    return el('section', { class: 'panel secret', 'aria-labelledby': 'secret' }, el('h2', { id: 'secret' }, t('secret')), el('p', {}, t('secret.how')),
      el('img', { id: 'qr', src: url, alt: t('secret.alt'), width: 240, height: 240 }),
      el('details', {}, el('summary', {}, t('secret.by-hand')), el('p', {}, t('secret.key')), el('p', {}, el('code', { id: 'key' }, grouped(key)))),
      el('p', { class: 'actions' }, el('button', { id: 'scanned', type: 'button', class: 'main', on: { click: () => {
        forget();
        draw();
        say(t('secret.gone'));
        document.getElementById('outcome')?.focus();
      } } }, t('secret.done'))));
  }

  function drawForm() {
    fill(form,
      el('h1', {}, t('mode.counter')),
      readerPanel(state.reader, (name) => { state.reader = name; drawForm(); }),
      el('fieldset', { class: 'deeds' }, el('legend', {}, t('deed')), deeds.map((one) => {
        const id = `deed-${one.name}`;
        return el('label', { class: 'choice', for: id },
          el('input', { type: 'radio', name: 'deed', id, checked: one === state.deed, on: { change: () => { state.deed = one; drawForm(); } } }),
          el('span', { class: 'choice-main' }, el('strong', {}, t(`deed.${one.name}`)), el('span', { class: 'hint' }, t(`deed.${one.name}.about`))));
      })),
      state.deed.name === 'unblock' && [
        choice('with', 'with', ways, () => drawForm()),
        choice('pin', 'pin.which', ['PIN1', 'PIN2']),
        state.with === 'puk' && [
          field({ id: 'puk', label: t('puk'), hint: t('puk.hint'), error: state.pukError, input: secret('puk', 10) }),
          field({ id: 'fresh', label: t('new-pin'), hint: t('new-pin.hint'), error: state.freshError, input: secret('fresh', 8) })]],
      state.deed.name === 'replace' && choice('why', 'why', reasons),
      state.deed.name === 'renew' && field({ id: 'which', label: t('renew.which'), input: el('select', { on: { change: (event) => { state.all = event.target.value === 'all'; } } },
        ['ending', 'all'].map((one) => el('option', { value: one, selected: (one === 'all') === state.all }, t(`renew.${one}`)))) }),
      state.deed.name === 'account' && accountFields(),
      state.deed.name === 'application' && [
        field({ id: 'aid', label: t('aid'), hint: t('aid.hint'), error: state.aidError, input: el('input', { type: 'text', maxlength: 48, spellcheck: 'false',
          class: 'mono', value: state.aid, on: { input: (event) => { state.aid = event.target.value; } } }) }),
        field({ id: 'offer', label: t('offer'), hint: state.offer?.name ?? t('offer.hint'), error: state.offerError,
          input: el('input', { type: 'file', on: { change: (event) => { [state.offer] = event.target.files; } } }) })],
      field({ id: 'operator', label: `${t('operator')} (${t('optional')})`, hint: t('operator.hint'), input: el('input', { type: 'text', maxlength: 80, value: state.operator,
        on: { input: (event) => { state.operator = event.target.value; } } }) }),
      field({ id: 'reason', label: `${t('reason')} (${t('optional')})`, hint: t('reason.hint'), input: el('input', { type: 'text', maxlength: 120, value: state.reason,
        on: { input: (event) => { state.reason = event.target.value; } } }) }),
      el('div', { class: 'actions' },
        el('button', { id: 'do', type: 'submit', class: 'main', disabled: desk.work !== null }, t(desk.work ? 'deed.working' : state.open ? 'try-again' : 'do-deed')),
        !state.open && (state.problem || state.done) && el('button', { id: 'clear', type: 'button', class: 'quiet', on: { click: clear } }, t('clear'))));
  }

  /// A better sentence than the kind's own, for accounts.
  function better({ kind }) {
    if (state.deed.name !== 'account' || state.open) return undefined;
    return { 'already-exists': 'login-taken', configuration: 'account-way' }[kind];
  }

  /// Of an app's account whose secret was told in an answer that is gone, that another one is made.
  const nextOf = (done) => (done.deed === 'account' && done.way === 'app' && !done.told ? 'deed.account.again'
    : done.deed === 'account' ? `deed.account.next.${done.way}` : `deed.${done.deed}.next`);

  function drawResult() {
    if (desk.work) return fill(result, workPanel(t('deed.working'), state.steps));
    if (state.problem) {
      const open = state.open !== null;
      return fill(result, problemPanel(state.problem, { unclear: open && 'deed.unclear', instead: better(state.problem), again: () => form.requestSubmit(), leave: open && leave }));
    }
    if (!state.done) return fill(result, emptyPanel('counter'));
    const { done } = state;
    return fill(result,
      verdict('good', t(`deed.${done.deed}.done`), t(nextOf(done)), done.already && [el('p', {}, t(done.deed === 'removal' ? 'deed.removal.already' : 'deed.already'))]),
      state.secret && secretPanel(),
      receiptPanel({ title: t('deed.receipt'), rows: [
        [t('deed.what'), t(`deed.${done.deed}`)], [t('card-serial'), done.serial ?? done.old?.serial], [t('ordered'), done.ordered && `${done.ordered.card}`],
        [t('login-name'), done.login], [t('codes'), done.way && t(`codes.${done.way}`)],
        [t('profile'), done.profile],
        [t('state'), done.state && (known(`state.${done.state}`) ? t(`state.${done.state}`) : done.state)],
        [t('status-index'), done.status_index], [t('valid-until'), done.valid_until && day(done.valid_until)],
        [t('pin.which'), done.pin && (known(`pin.${done.pin}`) ? t(`pin.${done.pin}`) : done.pin)],
        [t('operator'), done.order.operator], [t('reason'), done.order.reason], [t('receipt.time'), when(done.at)],
        [t('certificates'), done.certificates?.length > 0 ? el('ul', { class: 'plain' }, done.certificates.map((one) => el('li', {},
          `${one.key}: ${t(`outcome.${one.outcome}`)}, ${t('until.short', { date: day(one.not_after) })}`))) : null, 'wide'],
        [t('department-receipt'), done.receipt && el('code', {}, done.receipt), 'wide']] }));
  }

  async function submit(event) {
    event.preventDefault();
    if (desk.work) return;
    if (state.open) {
      await run();
      return;
    }
    const body = { ...(state.operator && { operator: state.operator }), ...(state.reason && { reason: state.reason }) };
    if (state.deed.name === 'unblock') {
      Object.assign(body, { with: state.with, which: state.pin });
      if (state.with === 'puk') {
        state.pukError = /^\d{8,10}$/.test(state.puk) ? '' : t('puk.wrong');
        state.freshError = /^\d{6,8}$/.test(state.fresh) ? '' : t('new-pin.wrong');
        if (state.pukError || state.freshError) {
          drawForm();
          document.getElementById(state.pukError ? 'puk' : 'fresh').focus();
          shout(state.pukError || state.freshError);
          return;
        }
        Object.assign(body, { puk: state.puk, new_pin: state.fresh });
      }
    }
    if (state.deed.name === 'replace') body.why = state.why;
    if (state.deed.name === 'renew' && state.all) body.all = true;
    if (state.deed.name === 'account') {
      state.loginError = state.way === 'remove' || /^[A-Za-z0-9._@-]{3,64}$/.test(state.login) ? '' : t('login-name.wrong');
      state.mailError = state.way !== 'mail' || /^[!-~]+@[!-~]+$/.test(state.mail) ? '' : t('mail.wrong');
      state.agreedError = state.agreed ? '' : t('agreed.wrong');
      const wrong = [['login', state.loginError], ['mail', state.mailError], ['agreed', state.agreedError]].find(([, error]) => error);
      if (wrong) {
        drawForm();
        document.getElementById(wrong[0]).focus();
        shout(wrong[1]);
        return;
      }
      Object.assign(body, { agreed: true }, state.way !== 'remove' && { login: state.login, way: state.way }, state.way === 'mail' && { mail: state.mail });
    }
    if (state.deed.name === 'application') {
      state.aidError = /^([0-9a-fA-F]{2}){5,16}$/.test(state.aid.replace(/[ :]/g, '')) ? '' : t('aid.wrong');
      state.offerError = state.offer ? '' : t('needed');
      if (state.aidError || state.offerError) {
        drawForm();
        document.getElementById(state.aidError ? 'aid' : 'offer').focus();
        shout(state.aidError || state.offerError);
        return;
      }
      body.aid = state.aid.replace(/[ :]/g, '');
      body.offer = [...new Uint8Array(await state.offer.arrayBuffer())].map((octet) => octet.toString(16).padStart(2, '0')).join('');
    }
    state.open = openDeed('counter', { deed: state.deed.name === 'account' && state.way === 'remove' ? removal.name : state.deed.name, body }, !body.puk);
    await run();
  }

  async function run() {
    const { open } = state;
    const { body } = open.order;
    const deed = [...deeds, removal].find((one) => one.name === open.order.deed);
    const { name } = readerState(state.reader);
    forget();
    Object.assign(state, { problem: null, done: null, steps: [] });
    desk.work = { name };
    draw();
    say(t('deed.working'));
    try {
      const { otpauth, qr, ...answer } = await post(deed.path, { ...(name && { reader: name }), ...body }, { once: open.key });
      settleDeed(open);
      state.done = { ...answer, deed: deed.name, order: body, told: otpauth !== undefined, at: answer.time ?? new Date().toISOString() };
      Object.assign(state, { open: null, puk: '', fresh: '', login: '', loginError: '', mail: '', mailError: '', agreed: false, agreedError: '' });
      if (otpauth) keep(otpauth, qr);
      say(`${t(`deed.${deed.name}.done`)}. ${t(nextOf(state.done))}`);
    } catch (problem) {
      state.problem = problem;
      if (isUnclear(problem)) open.unclear = true;
      if (!open.unclear) {
        settleDeed(open);
        state.open = null;
      }
      const instead = better(problem);
      if (instead === 'login-taken') state.loginError = t('login-taken');
      shout(instead ? `${t(instead)}. ${t(`${instead}.next`)}` : spoken(problem));
    }
    desk.work = null;
    refreshReaders();
    draw();
    // A name that is taken is typed again at once.
    (state.loginError ? document.getElementById('login') : document.getElementById('outcome'))?.focus();
  }

  /// The secret is in this page alone, until it is scanned or its time is over.
  function keep(otpauth, qr) {
    state.secret = { key: new URL(otpauth).searchParams.get('secret'), url: URL.createObjectURL(new Blob([qr], { type: 'image/svg+xml' })),
      timer: setTimeout(() => { forget(); draw(); }, shownFor) };
  }
  function forget() {
    if (!state.secret) return;
    clearTimeout(state.secret.timer);
    URL.revokeObjectURL(state.secret.url);
    state.secret = null;
  }

  /// A deed begun stays where it is, and goes on when it is asked for again.
  function leave() {
    settleDeed(state.open);
    state.open = null;
    clear();
  }

  function clear() {
    // What may have been done is not cleared away before it is known.
    if (desk.work || state.open) return;
    const shown = state.problem || state.done;
    forget();
    Object.assign(state, { problem: null, done: null, puk: '', pukError: '', fresh: '', freshError: '', reason: '', aid: '', aidError: '', offer: null, offerError: '',
      login: '', loginError: '', mail: '', mailError: '', agreed: false, agreedError: '' });
    draw();
    if (shown) say(t('cleared'));
    document.getElementById(`deed-${state.deed.name}`).focus();
  }
  function draw() {
    drawForm();
    drawResult();
  }
  form.addEventListener('submit', submit);

  return {
    draw,
    clear,
    onReaders: drawForm,
    onEvent(kind, data) {
      if (kind !== 'progress' || !desk.work || data.reader !== desk.work.name) return;
      state.steps.push(data.step);
      drawResult();
    },
  };
});
