// transit: gates as they work, and what a card says of its last taps.
import { el, facts, fill, icon, say, shout } from './dom.mjs';
import { get, post } from './api.mjs';
import { desk, refreshReaders, start } from './shell.mjs';
import { canField, problemPanel, readerPanel, readerState, spoken, workPanel } from './parts.mjs';
import { capital, clock, day, known, number, t, told } from './words.mjs';

const mostTaps = 50;
/// How long a gate shows the last passage before it is ready again.
const shownFor = 4000;

start((main) => {
  const gates = el('section', { class: 'gates', 'aria-labelledby': 'gates-title' });
  const taps = el('section', { class: 'panel', 'aria-labelledby': 'taps-title' });
  const form = el('form', { class: 'panel ask', novalidate: true });
  const result = el('div', { class: 'result' });
  main.replaceChildren(gates, el('div', { class: 'columns' }, form, el('div', { class: 'result' }, result, taps)));
  const state = { gates: [], taps: [], reader: null, inspection: null, problem: null, last: new Map(), can: '', canError: '' };

  const reasonWords = (one) => capital(told(one.words) || one.decision);
  const opened = (one) => one.decision === 'open';
  const took = (one) => (one.timeline ?? []).reduce((sum, step) => sum + step.ms, 0);
  const sum = (counts) => Object.values(counts ?? {}).reduce((all, one) => all + one, 0);
  const stateOf = (one) => desk.readers.find((reader) => reader.name === one.reader)?.state;

  function drawGates() {
    fill(gates, el('h1', { id: 'gates-title' }, t('gates')),
      state.gates.length === 0 ? el('p', { class: 'panel' }, t('gates.none')) : el('ul', { class: 'gate-list' }, state.gates.map((one) => {
        const last = state.last.get(one.gate);
        const look = last ? (opened(last) ? 'open' : 'denied') : { card: 'ready', working: 'working', empty: 'ready' }[stateOf(one)] ?? 'closed';
        return el('li', { class: `gate ${look}` },
          el('div', { class: 'gate-head' }, el('strong', {}, t('gate.n', { n: one.gate })), el('span', {}, one.reader)),
          el('p', { class: 'gate-now' }, icon({ open: 'check', denied: 'cross', ready: 'gate', working: 'clock', closed: 'warning' }[look], 28), el('span', {}, t(`gate.${look}`))),
          el('p', { class: 'gate-why' }, last ? reasonWords(last) : '\u00a0'),
          el('p', { class: 'gate-counts' }, el('span', {}, el('strong', {}, number(one.opened ?? 0)), ` ${t('gate.opened.n')}`),
            el('span', {}, el('strong', {}, number(sum(one.refused))), ` ${t('gate.denied.n')}`)),
        );
      })));
  }

  function drawTaps() {
    fill(taps, el('h2', { id: 'taps-title' }, t('taps')),
      state.taps.length === 0 ? el('p', { class: 'hint' }, t('taps.none')) : el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-labelledby': 'taps-title' },
        el('table', {}, el('thead', {}, el('tr', {}, ['time', 'gate', 'outcome', 'reason'].map((one) => el('th', { scope: 'col' }, t(`tap.${one}`))),
          el('th', { scope: 'col', class: 'right' }, t('tap.took')))),
        el('tbody', {}, state.taps.map((one) => el('tr', {},
          el('td', { class: 'digits' }, clock(one.time)), el('td', {}, number(one.gate)),
          el('td', {}, el('span', { class: `badge ${opened(one) ? 'good' : 'bad'}` }, icon(opened(one) ? 'check' : 'cross', 16), t(opened(one) ? 'gate.open' : 'gate.denied'))),
          el('td', {}, reasonWords(one)), el('td', { class: 'right digits' }, took(one) > 0 && t('ms', { n: number(took(one)) })))))))); 
  }

  function drawForm() {
    fill(form, el('h2', {}, t('inspect')), el('p', { class: 'hint' }, t('inspect.about')),
      readerPanel(state.reader, (name) => { state.reader = name; drawForm(); }),
      canField(state.can, state.canError, (value) => { state.can = value; }, true),
      el('div', { class: 'actions' }, el('button', { id: 'inspect', type: 'submit', class: 'main', disabled: desk.work !== null }, t(desk.work ? 'inspecting' : 'inspect')),
        (state.inspection || state.problem) && el('button', { id: 'clear', type: 'button', class: 'quiet', on: { click: clear } }, t('clear'))));
  }

  function drawResult() {
    if (desk.work) return fill(result, workPanel(t('inspecting'), []));
    if (state.problem) return fill(result, problemPanel(state.problem, { again: () => form.requestSubmit() }));
    if (!state.inspection) return fill(result);
    const one = state.inspection;
    return fill(result, el('section', { class: 'panel', 'aria-labelledby': 'inspection', tabindex: '-1', id: 'outcome' },
      el('div', { class: 'panel-head' }, el('h2', { id: 'inspection' }, t('inspection')),
        el('p', { class: `badge ${{ good: 'good', stopped: 'bad' }[one.state] ?? 'unsure'}` }, icon({ good: 'check', stopped: 'cross' }[one.state] ?? 'question', 18), t(`verdict.${one.state}`))),
      facts([[t('status-index'), one.status_index], [t('card-sequence'), one.sequence],
        [t('concession'), one.concession ? `${known(`concession.${one.concession}`) ? t(`concession.${one.concession}`) : one.concession}${one.concession_until ? `, ${t('until.short', { date: day(one.concession_until) })}` : ''}` : null]]),
      (one.products ?? []).map((product) => facts([[t('product'), known(`product.${product.kind}`) ? t(`product.${product.kind}`) : product.kind], [t('left'), product.kind === 'period' || product.left === undefined ? null : number(product.left)],
        [t('until'), product.until && day(product.until)]])),
      one.entries.length === 0 ? el('p', {}, t('inspection.none')) : el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-labelledby': 'inspection' },
        el('table', {}, el('thead', {}, el('tr', {}, ['time', 'gate', 'outcome'].map((name) => el('th', { scope: 'col' }, t(`tap.${name}`))))),
          el('tbody', {}, one.entries.map((tap) => el('tr', {}, el('td', { class: 'digits' }, `${day(tap.time)} ${clock(tap.time)}`),
            el('td', {}, number(tap.gate)), el('td', {}, known(`event.${tap.event}`) ? t(`event.${tap.event}`) : tap.event))))))));
  }

  async function refreshGates() {
    try {
      state.gates = (await get('/v1/gates')).gates;
      drawGates();
    } catch { /* the frame tells of a daemon that is gone */ }
  }

  async function submit(event) {
    event.preventDefault();
    if (desk.work) return;
    state.canError = /^(\d{6})?$/.test(state.can) ? '' : t('can.wrong');
    if (state.canError) {
      drawForm();
      document.getElementById('can').focus();
      shout(state.canError);
      return;
    }
    const { name } = readerState(state.reader);
    Object.assign(state, { inspection: null, problem: null });
    desk.work = { name };
    drawForm();
    drawResult();
    try {
      state.inspection = await post('/v1/inspections', { ...(name && { reader: name }), ...(state.can && { can: state.can }) });
      state.can = '';
      say(t('inspection'));
    } catch (problem) {
      state.problem = problem;
      shout(spoken(problem));
    }
    desk.work = null;
    refreshReaders();
    drawForm();
    drawResult();
    document.getElementById('outcome')?.focus();
  }

  function clear() {
    if (desk.work) return;
    Object.assign(state, { inspection: null, problem: null, can: '', canError: '' });
    drawForm();
    drawResult();
    document.getElementById('inspect').focus();
  }
  function draw() {
    drawGates();
    drawTaps();
    drawForm();
    drawResult();
  }
  form.addEventListener('submit', submit);
  refreshGates();

  return {
    draw,
    clear,
    onReaders() {
      drawForm();
      refreshGates();
    },
    onEvent(kind, data) {
      if (kind !== 'tap') return;
      state.taps.unshift(data);
      state.taps.length = Math.min(state.taps.length, mostTaps);
      state.last.set(data.gate, data);
      setTimeout(() => {
        if (state.last.get(data.gate) !== data) return;
        state.last.delete(data.gate);
        drawGates();
      }, shownFor);
      drawTaps();
      drawGates();
      refreshGates();
      if (!opened(data)) say(`${t('gate.n', { n: data.gate })}: ${t('gate.denied')}. ${reasonWords(data)}`);
    },
  };
});
