// counter: what the centre does to a card that lies here.
import { el, field, fill, say, shout } from './dom.mjs';
import { deedKey, post } from './api.mjs';
import { desk, start } from './shell.mjs';
import { emptyPanel, problemPanel, readerPanel, readerState, receiptPanel, spoken, verdict, when, workPanel } from './parts.mjs';
import { day, known, t } from './words.mjs';

const deeds = [
  { name: 'activate', path: '/v1/activations' },
  { name: 'unblock', path: '/v1/unblockings' },
  { name: 'renew', path: '/v1/renewals' },
  { name: 'application', path: '/v1/applications' },
];
/// After these it may have gone on at the centre or on the card: the same again, under the same key.
const unclear = new Set(['card-removed', 'card-unresponsive', 'card-insecure', 'no-daemon', 'io', 'internal', 'http-504', 'http-500']);

start((main) => {
  const form = el('form', { class: 'panel ask', novalidate: true, autocomplete: 'off' });
  const result = el('div', { class: 'result' });
  main.replaceChildren(el('div', { class: 'columns' }, form, result));
  const state = { deed: deeds[0], reader: null, operator: '', reason: '', pin: 'PIN1', all: false, aid: '', aidError: '', offer: null, offerError: '',
    steps: [], problem: null, done: null, order: null };

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
      state.deed.name === 'unblock' && field({ id: 'pin', label: t('pin.which'), input: el('select', { on: { change: (event) => { state.pin = event.target.value; } } },
        ['PIN1', 'PIN2'].map((one) => el('option', { value: one, selected: one === state.pin }, t(`pin.${one}`)))) }),
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
        el('button', { id: 'do', type: 'submit', class: 'main', disabled: desk.work !== null }, t(desk.work ? 'deed.working' : 'do-deed')),
        (state.problem || state.done) && el('button', { id: 'clear', type: 'button', class: 'quiet', on: { click: clear } }, t('clear'))));
  }

  function drawResult() {
    if (desk.work) return fill(result, workPanel(t('deed.working'), state.steps));
    if (state.problem) {
      const open = state.order && unclear.has(state.problem.kind);
      return fill(result, problemPanel(state.problem, { unclear: open && 'deed.unclear', again: () => (state.order ? run() : form.requestSubmit()) }));
    }
    if (!state.done) return fill(result, emptyPanel('counter'));
    const { done } = state;
    return fill(result,
      verdict('good', t(`deed.${done.deed}.done`), t(`deed.${done.deed}.next`), done.already && [el('p', {}, t('deed.already'))]),
      receiptPanel({ title: t('deed.receipt'), rows: [
        [t('deed'), t(`deed.${done.deed}`)], [t('card-serial'), done.serial], [t('profile'), done.profile],
        [t('state'), done.state && (known(`state.${done.state}`) ? t(`state.${done.state}`) : done.state)],
        [t('status-index'), done.status_index], [t('valid-until'), done.valid_until && day(done.valid_until)],
        [t('pin.which'), done.pin && (known(`pin.${done.pin}`) ? t(`pin.${done.pin}`) : done.pin)],
        [t('operator'), done.order.operator], [t('reason'), done.order.reason], [t('receipt.time'), when(done.at)],
        [t('certificates'), done.certificates?.length > 0 && el('ul', { class: 'plain' }, done.certificates.map((one) => el('li', {},
          `${one.key}: ${t(`outcome.${one.outcome}`)}, ${t('valid-until').toLowerCase()} ${day(one.not_after)}`)))],
        [t('department-receipt'), done.receipt && el('code', {}, done.receipt)]] }));
  }

  async function submit(event) {
    event.preventDefault();
    if (desk.work) return;
    const body = { ...(state.operator && { operator: state.operator }), ...(state.reason && { reason: state.reason }) };
    if (state.deed.name === 'unblock') body.pin = state.pin;
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
    state.order = { deed: state.deed, body };
    await run();
  }

  async function run() {
    const { deed, body } = state.order;
    const { name } = readerState(state.reader);
    const key = deedKey(deed.name);
    Object.assign(state, { problem: null, done: null, steps: [] });
    desk.work = { name };
    draw();
    say(t('deed.working'));
    try {
      const answer = await post(deed.path, { ...(name && { reader: name }), ...body }, { once: key.value });
      key.settle();
      state.done = { ...answer, deed: deed.name, order: body, at: answer.time ?? new Date().toISOString() };
      state.order = null;
      say(`${t(`deed.${deed.name}.done`)}. ${t(`deed.${deed.name}.next`)}`);
    } catch (problem) {
      state.problem = problem;
      if (!unclear.has(problem.kind)) {
        key.settle();
        state.order = null;
      }
      shout(spoken(problem));
    }
    desk.work = null;
    draw();
    document.getElementById('outcome')?.focus();
  }

  function clear() {
    // What may have been done is not cleared away before it is known.
    if (desk.work || state.order) return;
    const shown = state.problem || state.done;
    Object.assign(state, { problem: null, done: null, reason: '', aid: '', aidError: '', offer: null, offerError: '' });
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
