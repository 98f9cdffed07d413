// parts: what several desks show: the reader, the access number, problems, people, receipts.
import { el, facts, field, icon } from './dom.mjs';
import { desk, readersHere } from './shell.mjs';
import { day, known, moment, number, refusal, t, told } from './words.mjs';

/// The state the reader is shown in: "none" where there is no reader.
export function readerState(name) {
  const here = readersHere();
  const reader = here.find((one) => one.name === name) ?? here.find((one) => one.state !== 'empty') ?? here[0];
  return { name: reader?.name ?? null, state: desk.work ? 'working' : reader?.state ?? 'none' };
}

const readerIcons = { none: 'reader', empty: 'card', card: 'check', working: 'clock', busy: 'warning', mute: 'warning' };

/// The reader and what to do with it now; with several readers a choice.
export function readerPanel(chosen, choose) {
  const here = readersHere();
  const { name, state } = readerState(chosen);
  return el('div', { class: `reader ${state}`, id: 'reader-state' },
    el('div', { class: 'reader-now' }, icon(readerIcons[state] ?? 'reader', 28),
      el('div', {}, el('p', { class: 'strong' }, t(`reader.${state}`)), el('p', { class: 'hint' }, t(`reader.${state}.next`)))),
    here.length > 1 && field({ id: 'reader', label: t('reader'),
      input: el('select', { on: { change: (event) => choose(event.target.value) } },
        here.map((one) => el('option', { value: one.name, selected: one.name === name }, one.name))) }));
}

export function canField(value, error, change, optional = false) {
  return field({ id: 'can', label: optional ? `${t('can')} (${t('optional')})` : t('can'), hint: t('can.hint'), error,
    input: el('input', { type: 'text', inputmode: 'numeric', autocomplete: 'off', maxlength: 6, class: 'can',
      spellcheck: 'false', required: !optional, value, on: { input: (event) => {
        event.target.value = event.target.value.replace(/\D/g, '');
        change(event.target.value);
      } } }) });
}

/// A large statement: of a decision, of an outcome.
export function verdict(kind, title, next, more = []) {
  const icons = { good: 'check', bad: 'cross', unsure: 'question', wait: 'clock' };
  return el('section', { class: `verdict ${kind}`, 'aria-labelledby': 'verdict', tabindex: '-1', id: 'outcome' },
    el('div', { class: 'seal' }, icon(icons[kind], 40)),
    el('div', {}, el('h2', { id: 'verdict' }, title), next && el('p', {}, next), more));
}

/// What went wrong, and what to do now; the daemon's own words below.
/// `unclear`: whether it happened is not known; `instead`: a better sentence than the kind's own.
export function problemPanel(problem, { unclear, instead, again, leave } = {}) {
  const kind = known(`error.${problem.kind}`) ? problem.kind : 'internal';
  const other = unclear || instead;
  const title = other ? t(other) : t(`error.${kind}`);
  const next = other ? t(`${other}.next`) : t(`next.${kind}`);
  const reason = refusal(problem.detail);
  return verdict(unclear ? 'unsure' : 'bad', title, next, [
    reason && el('p', { class: 'strong' }, reason),
    unclear && el('p', { class: 'strong' }, t(`error.${kind}`)),
    again && el('p', { class: 'actions' }, el('button', { id: 'again', type: 'button', class: 'main', on: { click: again } }, t('try-again')),
      leave && el('button', { id: 'leave', type: 'button', class: 'quiet', on: { click: leave } }, t('leave'))),
    !reason && (problem.detail || problem.hint) && el('details', { open: ['not-permitted', 'unsupported', 'usage'].includes(kind) }, el('summary', {}, t('details')),
      el('p', { lang: 'en', class: 'mono' }, problem.detail), problem.hint && el('p', { lang: 'en', class: 'mono' }, problem.hint)),
  ]);
}

export function spoken(problem) {
  const kind = known(`error.${problem.kind}`) ? problem.kind : 'internal';
  return `${t(`error.${kind}`)}. ${t(`next.${kind}`)}`;
}

export function emptyPanel(kind) {
  return el('section', { class: 'panel blank' }, icon('card', 56), el('h2', {}, t(`empty.${kind}.title`)), el('p', {}, t(`empty.${kind}`)),
    el('p', { class: 'hint' }, t('keys')));
}

const mostSteps = 6;
/// What is going on: steps as they are told, the last one at work.
export function workPanel(title, steps) {
  return el('section', { class: 'panel work' }, el('div', { class: 'spinner', 'aria-hidden': 'true' }),
    el('div', {}, el('h2', {}, title), el('p', { class: 'hint' }, t('reading.keep')),
      el('ol', { class: 'steps' }, steps.slice(-mostSteps).map((step, at, all) =>
        el('li', { class: at + 1 < all.length && 'done' }, stepWords(step))))));
}
export function stepWords(step) {
  const [, counted] = /^step (\d+)$/.exec(step) ?? [];
  if (counted) return t('step.n', { n: counted });
  return known(`step.${step}`) ? t(`step.${step}`) : step;
}

/// Where the milliseconds went: a bar of the steps, and the table it is made from.
export function timelinePanel(timeline) {
  if (!timeline || timeline.length === 0) return null;
  const whole = timeline.reduce((sum, one) => sum + one.ms + (one.host_ms ?? 0), 0) || 1;
  const bar = el('div', { class: 'bar', 'aria-hidden': 'true' }, timeline.map((one, at) => {
    const part = el('i', { class: `tone-${at % 6}`, title: stepWords(one.step) });
    part.style.flexGrow = String(Math.max((one.ms + (one.host_ms ?? 0)) / whole, 0.004));
    return part;
  }));
  return el('details', { class: 'panel timeline' },
    el('summary', {}, el('span', {}, t('timeline')), el('span', { class: 'figure' }, t('ms', { n: number(whole) }))),
    bar,
    el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': t('timeline') }, el('table', {}, el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, t('timeline.step')),
      el('th', { scope: 'col', class: 'right' }, t('timeline.commands')), el('th', { scope: 'col', class: 'right' }, t('timeline.octets')),
      el('th', { scope: 'col', class: 'right' }, t('timeline.time')))),
    el('tbody', {}, timeline.map((one, at) => el('tr', {},
      el('th', { scope: 'row' }, el('i', { class: `dot tone-${at % 6}`, 'aria-hidden': 'true' }), stepWords(one.step)),
      el('td', { class: 'right' }, number(one.commands ?? 0)), el('td', { class: 'right' }, number(one.octets ?? 0)),
      el('td', { class: 'right' }, t('ms', { n: number(one.ms + (one.host_ms ?? 0), 1) }))))))));
}

/// A receipt, which is what goes on paper.
export function receiptPanel({ title, signed, rows }) {
  return el('section', { class: 'panel receipt', 'aria-labelledby': 'receipt' },
    el('div', { class: 'panel-head' }, el('h2', { id: 'receipt' }, title),
      el('button', { id: 'print', type: 'button', class: 'quiet', on: { click: () => window.print() } }, icon('print', 18), el('span', {}, t('print')))),
    signed !== undefined && el('p', { class: `badge ${signed ? 'good' : 'unsure'}` }, icon(signed ? 'check' : 'warning', 18),
      t(signed ? 'receipt.signed' : 'receipt.unsigned')),
    facts(rows));
}

export const reasonList = (reasons) => (reasons.length > 0 && el('ul', { class: 'reasons' },
  reasons.map((one) => el('li', {}, told(one.words) || one.code))));

/// Either end may be open: null.
export function period(from, until) {
  const kind = from && until ? 'closed' : from ? 'open' : until ? 'until' : 'none';
  return t(`period.${kind}`, { from: day(from), until: day(until) });
}
export const when = (value) => moment(value);
