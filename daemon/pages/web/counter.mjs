// counter: what the centre does to a card that lies here.
import { el, field, fill, say, shout } from './dom.mjs';
import { isUnclear, openDeed, post, settleDeed, unsettledDeed } from './api.mjs';
import { desk, refreshReaders, start } from './shell.mjs';
import { emptyPanel, problemPanel, readerPanel, readerState, receiptPanel, spoken, verdict, when, workPanel } from './parts.mjs';
import { day, known, t } from './words.mjs';

const deeds = [
  { name: 'activate', path: '/v1/activations' },
  { name: 'unblock', path: '/v1/unblockings' },
  { name: 'renew', path: '/v1/renewals' },
  { name: 'application', path: '/v1/applications' },
  { name: 'replace', path: '/v1/replacements' },
];

const ways = ['letter', 'puk', 'pad'];
const reasons = ['damaged', 'expiring', 'name_changed', 'lost', 'stolen'];

start((main) => {
  const form = el('form', { class: 'panel ask', novalidate: true, autocomplete: 'off' });
  const result = el('div', { class: 'result' });
  main.replaceChildren(el('div', { class: 'columns' }, form, result));
  const state = { deed: deeds[0], reader: null, operator: '', reason: '', with: 'letter', pin: 'PIN1', puk: '', pukError: '', fresh: '', freshError: '', why: reasons[0], all: false, aid: '', aidError: '', offer: null, offerError: '',
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
      state.deed.name === 'application' && [
        field({ id: 'aid', label: t('aid'), hint: t('aid.hint'), error: state.aidError, input: el('input', { type: 'text', maxlength: 48, spellcheck: 'false',
          class: 'mono', value: state.aid, on: { input: (event) => { state.aid = event.target.value; } } }) }),
        field({ id: 'offer', label: t('offer'), hint: state.offer?.name ?? t('offer.hint'), error: state.offerError,
          input: el('input', { type: 'file', on: { change: (event) => { [state.offer] = event.target.files; } } }) })],
      field({ id: 'operator', label: `${t('operator')} (${t('optional')})`, hint: t('operator.hint'), input: el('input', { type: 'text', maxlength: 64, value: state.operator,
        on: { input: (event) => { state.operator = event.target.value; } } }) }),
      field({ id: 'reason', label: `${t('reason')} (${t('optional')})`, hint: t('reason.hint'), input: el('input', { type: 'text', maxlength: 120, value: state.reason,
        on: { input: (event) => { state.reason = event.target.value; } } }) }),
      el('div', { class: 'actions' },
        el('button', { id: 'do', type: 'submit', class: 'main', disabled: desk.work !== null }, t(desk.work ? 'deed.working' : state.open ? 'try-again' : 'do-deed')),
        !state.open && (state.problem || state.done) && el('button', { id: 'clear', type: 'button', class: 'quiet', on: { click: clear } }, t('clear'))));
  }

  function drawResult() {
    if (desk.work) return fill(result, workPanel(t('deed.working'), state.steps));
    if (state.problem) {
      const open = state.open !== null;
      return fill(result, problemPanel(state.problem, { unclear: open && 'deed.unclear', again: () => form.requestSubmit(), leave: open && leave }));
    }
    if (!state.done) return fill(result, emptyPanel('counter'));
    const { done } = state;
    return fill(result,
      verdict('good', t(`deed.${done.deed}.done`), t(`deed.${done.deed}.next`), done.already && [el('p', {}, t('deed.already'))]),
      receiptPanel({ title: t('deed.receipt'), rows: [
        [t('deed.what'), t(`deed.${done.deed}`)], [t('card-serial'), done.serial ?? done.old?.serial], [t('ordered'), done.ordered && `${done.ordered.card}`],
        [t('profile'), done.profile],
        [t('state'), done.state && (known(`state.${done.state}`) ? t(`state.${done.state}`) : done.state)],
        [t('status-index'), done.status_index], [t('valid-until'), done.valid_until && day(done.valid_until)],
        [t('pin.which'), done.pin && (known(`pin.${done.pin}`) ? t(`pin.${done.pin}`) : done.pin)],
        [t('operator'), done.order.operator], [t('reason'), done.order.reason], [t('receipt.time'), when(done.at)],
        [t('certificates'), done.certificates?.length > 0 && el('ul', { class: 'plain' }, done.certificates.map((one) => el('li', {},
          `${one.key}: ${t(`outcome.${one.outcome}`)}, ${t('until.short', { date: day(one.not_after) })}`))), 'wide'],
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
    state.open = openDeed('counter', { deed: state.deed.name, body }, !body.puk);
    await run();
  }

  async function run() {
    const { open } = state;
    const { body } = open.order;
    const deed = deeds.find((one) => one.name === open.order.deed);
    const { name } = readerState(state.reader);
    Object.assign(state, { problem: null, done: null, steps: [] });
    desk.work = { name };
    draw();
    say(t('deed.working'));
    try {
      const answer = await post(deed.path, { ...(name && { reader: name }), ...body }, { once: open.key });
      settleDeed(open);
      state.done = { ...answer, deed: deed.name, order: body, at: answer.time ?? new Date().toISOString() };
      Object.assign(state, { open: null, puk: '', fresh: '' });
      say(`${t(`deed.${deed.name}.done`)}. ${t(`deed.${deed.name}.next`)}`);
    } catch (problem) {
      state.problem = problem;
      if (isUnclear(problem)) open.unclear = true;
      if (!open.unclear) {
        settleDeed(open);
        state.open = null;
      }
      shout(spoken(problem));
    }
    desk.work = null;
    refreshReaders();
    draw();
    document.getElementById('outcome')?.focus();
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
    Object.assign(state, { problem: null, done: null, puk: '', pukError: '', fresh: '', freshError: '', reason: '', aid: '', aidError: '', offer: null, offerError: '' });
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
