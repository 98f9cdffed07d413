// pharmacy: a holder's entitlements, and medicine taken off them exactly once.
import { el, field, fill, say, shout } from './dom.mjs';
import { isUnclear, openDeed, post, settleDeed, unsettledDeed } from './api.mjs';
import { desk, refreshReaders, start } from './shell.mjs';
import { canField, emptyPanel, period, problemPanel, readerPanel, readerState, reasonList, receiptPanel, spoken, timelinePanel,
  verdict, when, workPanel } from './parts.mjs';
import { number, t } from './words.mjs';

const shownFor = 10 * 60 * 1000;

start((main) => {
  const form = el('form', { class: 'panel ask', novalidate: true, autocomplete: 'off' });
  const result = el('div', { class: 'result' });
  main.replaceChildren(el('div', { class: 'columns' }, form, result));
  const state = { can: '', canError: '', reader: null, list: null, problem: null, steps: [], chosen: null, packages: '1', packagesError: '',
    prescription: '', prescriptionError: '', deed: unsettledDeed('redemption'), done: null, timer: null };
  // The page was loaded again while it was not known whether a card had written.
  if (state.deed) {
    state.deed.unclear = true;
    state.problem = { kind: 'card-removed' };
  }

  function drawForm() {
    fill(form,
      el('h1', {}, t('entitlements')),
      readerPanel(state.reader, (name) => { state.reader = name; drawForm(); }),
      canField(state.can, state.canError, (value) => { state.can = value; }),
      el('div', { class: 'actions' },
        el('button', { id: 'read', type: 'submit', class: 'main', disabled: desk.work !== null }, t(desk.work ? 'reading' : state.deed ? 'try-again' : 'entitlements.show')),
        !state.deed && (state.list || state.problem || state.done) && el('button', { id: 'clear', type: 'button', class: 'quiet', on: { click: clear } }, t('clear'))));
  }

  const medicineName = (one) => (one.package ? `${one.medicine} · ${one.package}` : one.medicine);
  const usable = (one) => one.left > 0 && one.valid_today;

  function drawResult() {
    if (desk.work) return fill(result, workPanel(t(desk.work.verb === 'redeem' ? 'redeeming' : 'reading'), state.steps));
    if (state.problem) {
      const open = state.deed !== null;
      return fill(result,
        problemPanel(state.problem, { unclear: open && 'redeem.unclear', instead: { 'already-exists': 'redeem.already', 'not-permitted': 'redeem.refused' }[state.problem.kind], again: () => form.requestSubmit(), leave: open && leave }),
        state.list && !open && [listPanel(), redeemPanel()]);
    }
    if (state.done) return fill(result, donePanel(), receiptOf(state.done), timelinePanel(state.done.timeline));
    if (!state.list) return fill(result, emptyPanel('pharmacy'));
    const refused = state.list.decision && state.list.decision !== 'accepted';
    return fill(result,
      refused && verdict(state.list.decision === 'refused' ? 'bad' : 'unsure', t(`decision.${state.list.decision}`),
        t(`decision.${state.list.decision}.next`), reasonList(state.list.reasons ?? [])),
      state.list.decision !== 'refused' && [listPanel(), redeemPanel()], timelinePanel(state.list.timeline));
  }

  function listPanel() {
    const { entitlements } = state.list;
    const choose = (at) => { state.chosen = at; state.packages = '1'; drawResult(); };
    return el('section', { class: 'panel', 'aria-labelledby': 'entitlements-title', tabindex: '-1', id: 'list' },
      el('h2', { id: 'entitlements-title' }, t('entitlements')),
      entitlements.length === 0 ? el('p', {}, t('entitlements.none'))
        : el('div', { class: 'choices', role: 'radiogroup', 'aria-labelledby': 'entitlements-title' }, entitlements.map((one, at) => {
          const id = `entitlement-${at}`;
          return el('label', { class: `choice ${usable(one) ? '' : 'off'}`, for: id },
            el('input', { type: 'radio', name: 'entitlement', id, checked: state.chosen === at, disabled: !usable(one), on: { change: () => choose(at) } }),
            el('span', { class: 'choice-main' }, el('strong', { class: 'digits' }, medicineName(one)), el('span', { class: 'hint' }, period(one.from, one.until))),
            el('span', { class: 'choice-side' }, usable(one)
              ? [el('strong', {}, number(one.left)), el('span', { class: 'hint' }, t('left'))]
              : el('span', { class: 'hint' }, t(one.left > 0 ? 'not-valid-now' : 'used-up'))));
        })));
  }

  function redeemPanel() {
    const one = state.list.entitlements[state.chosen];
    if (!one) return null;
    const part = el('form', { class: 'panel redeem', novalidate: true, autocomplete: 'off', 'aria-labelledby': 'redeem-title' },
      el('h2', { id: 'redeem-title' }, `${t('redeem.title')}: ${medicineName(one)}`),
      el('div', { class: 'row' },
        field({ id: 'packages', label: t('packages'), error: state.packagesError, input: el('input', { type: 'number', min: 1, max: one.left, step: 1,
          value: state.packages, required: true, on: { input: (event) => { state.packages = event.target.value; } } }) }),
        field({ id: 'prescription', label: t('prescription'), error: state.prescriptionError, input: el('input', { type: 'text', inputmode: 'numeric',
          maxlength: 10, value: state.prescription, required: true, on: { input: (event) => { state.prescription = event.target.value; } } }) })),
      el('div', { class: 'actions' }, el('button', { id: 'redeem', type: 'submit', class: 'main' }, t('redeem'))));
    part.addEventListener('submit', (event) => {
      event.preventDefault();
      const count = Number(state.packages);
      state.packagesError = Number.isInteger(count) && count >= 1 && count <= one.left ? '' : t('packages.wrong', { n: one.left });
      state.prescriptionError = /^\d{1,10}$/.test(state.prescription) && Number(state.prescription) <= 0xffffffff ? '' : t('prescription.wrong');
      if (state.packagesError || state.prescriptionError) {
        drawResult();
        document.getElementById(state.packagesError ? 'packages' : 'prescription').focus();
        shout(state.packagesError || state.prescriptionError);
        return;
      }
      state.deed = openDeed('redemption', { medicine: one.medicine, ...(one.package && { package: one.package }), packages: count, prescription: Number(state.prescription) });
      redeem();
    });
    return part;
  }

  function donePanel() {
    const { packages } = state.done.order;
    return verdict('good', t('redeemed'), t('redeemed.next'), [
      el('p', { class: 'strong' }, `${state.done.order.medicine} · ${t('packages.n', { n: packages })}`),
      state.done.settled && el('p', {}, t('redeemed.settled'))]);
  }

  function receiptOf(done) {
    const receipt = done.receipt ?? {};
    return receiptPanel({ title: t('redeem.receipt'), rows: [
      [t('medicine'), done.order.medicine], [t('package'), done.order.package], [t('packages'), number(done.order.packages)],
      [t('left'), done.left !== undefined && number(done.left)],
      [t('prescription'), done.order.prescription], [t('receipt.time'), when(done.at)], [t('receipt.journal'), done.journal_record],
      [t('card-sequence'), receipt.sequence],
      [t('settlement'), receipt.code && el('code', {}, receipt.code), 'wide']] });
  }

  async function submit(event) {
    event.preventDefault();
    if (desk.work) return;
    state.canError = /^\d{6}$/.test(state.can) ? '' : t('can.wrong');
    if (state.canError) {
      drawForm();
      document.getElementById('can').focus();
      shout(state.canError);
      return;
    }
    if (state.deed) {
      await redeem();
      return;
    }
    forget();
    await work('entitlements', async (base) => {
      state.list = await post('/v1/entitlements', base);
      const able = state.list.entitlements.map((one, at) => at).filter((at) => usable(state.list.entitlements[at]));
      if (able.length === 1) [state.chosen] = able;
      keepFor();
      const usables = state.list.entitlements.filter(usable).map((one) => `${medicineName(one)}, ${t('left')} ${one.left}`).join('; ');
      say(state.list.decision === 'refused' ? t('decision.refused') : `${t('entitlements')}: ${usables || t('entitlements.none')}`);
    });
    if (!state.problem) (document.querySelector('input[name=entitlement]:checked') ?? document.querySelector('input[name=entitlement]:enabled')
      ?? document.getElementById('list'))?.focus();
  }

  async function redeem() {
    if (desk.work) return;
    const { deed } = state;
    const { order } = deed;
    state.problem = null;
    await work('redeem', async (base) => {
      const answer = await post('/v1/redemptions', { ...base, ...order }, { once: deed.key });
      settleDeed(deed);
      state.done = { ...answer, order, at: new Date().toISOString() };
      Object.assign(state, { deed: null, list: null, chosen: null, prescription: '', packages: '1', can: '' });
      keepFor();
      say(`${t('redeemed')}. ${t('redeemed.next')}`);
    });
    // Once it is not known what happened, only a success ends it, or who leaves it: another answer may be to the second
    // attempt, while the first is still at work.
    if (state.problem && isUnclear(state.problem)) deed.unclear = true;
    if (state.problem && !deed.unclear && state.problem.kind !== 'wrong-pin') {
      settleDeed(deed);
      state.deed = null;
      draw();
    }
  }

  async function work(verb, what) {
    const { name } = readerState(state.reader);
    desk.work = { name, verb };
    state.steps = [];
    draw();
    say(t(verb === 'redeem' ? 'redeeming' : 'reading'));
    try {
      await what({ ...(name && { reader: name }), can: state.can });
    } catch (problem) {
      state.problem = problem;
      if (['wrong-pin', 'wrong-can'].includes(problem.kind)) state.can = '';
      shout(spoken(problem));
    }
    desk.work = null;
    refreshReaders();
    draw();
    (state.problem && !state.can ? document.getElementById('can') : document.getElementById('outcome'))?.focus();
  }

  /// The daemon keeps it in mind and settles it when the card comes again.
  function leave() {
    settleDeed(state.deed);
    state.deed = null;
    clear();
    say(t('redeem.left'));
  }

  function keepFor() {
    clearTimeout(state.timer);
    state.timer = setTimeout(clear, shownFor);
  }
  function forget() {
    clearTimeout(state.timer);
    Object.assign(state, { list: null, problem: null, chosen: null, done: null, packages: '1', packagesError: '', prescription: '', prescriptionError: '' });
  }
  function clear() {
    // What may have been written is not cleared away before it is known.
    if (desk.work || state.deed) return;
    const shown = state.list || state.problem || state.done;
    forget();
    Object.assign(state, { can: '', canError: '' });
    draw();
    if (shown) say(t('cleared'));
    document.getElementById('can').focus();
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
