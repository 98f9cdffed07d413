// clinic: who is here, and are they insured?
import { el, facts, field, fill, icon, say, shout } from './dom.mjs';
import { picture, post, remove } from './api.mjs';
import { desk, refreshReaders, start } from './shell.mjs';
import { canField, emptyPanel, period, problemPanel, readerPanel, readerState, reasonList, receiptPanel, spoken, timelinePanel,
  verdict, when, workPanel } from './parts.mjs';
import { age, clock, day, grouped, known, language, t, told } from './words.mjs';
import { bloodGroup } from './model.mjs';

/// As [clinic] has them unless the daemon says others.
const usualPurposes = ['treatment', 'emergency', 'registration'];
const purposes = () => desk.status?.modes.find((one) => one.name === 'clinic')?.purposes ?? usualPurposes;
/// How long what a card said may stand on a screen nobody looks at.
const shownFor = 10 * 60 * 1000;

start((main) => {
  const form = el('form', { class: 'panel ask', novalidate: true, autocomplete: 'off' });
  const result = el('div', { class: 'result' });
  main.replaceChildren(el('div', { class: 'columns' }, form, result));
  const state = { can: '', canError: '', purpose: null, number: '', reader: null, visit: null, problem: null, steps: [],
    gone: false, until: null, timer: null, portrait: null };

  const purposeWords = (one) => (known(`purpose.${one}`) ? t(`purpose.${one}`) : one);

  function drawForm() {
    fill(form,
      el('h1', {}, t('new-visit')),
      readerPanel(state.reader, (name) => { state.reader = name; drawForm(); }),
      canField(state.can, state.canError, (value) => { state.can = value; }),
      field({ id: 'purpose', label: t('purpose'), input: el('select', { on: { change: (event) => { state.purpose = event.target.value; } } },
        purposes().map((one) => el('option', { value: one, selected: one === state.purpose }, purposeWords(one)))) }),
      field({ id: 'case', label: `${t('case')} (${t('optional')})`,
        input: el('input', { type: 'text', maxlength: 64, value: state.number, on: { input: (event) => { state.number = event.target.value; } } }) }),
      el('div', { class: 'actions' },
        el('button', { id: 'read', type: 'submit', class: 'main', disabled: desk.work !== null }, t(desk.work ? 'reading' : 'read-card')),
        (state.visit || state.problem) && el('button', { id: 'clear', type: 'button', class: 'quiet', on: { click: clear } }, t('clear'))));
  }

  function drawResult() {
    if (desk.work) return fill(result, workPanel(t('reading'), state.steps));
    if (state.problem) return fill(result, problemPanel(state.problem, { again: () => form.requestSubmit() }));
    if (!state.visit) return fill(result, emptyPanel('clinic'));
    const visit = state.visit;
    const kind = { accepted: 'good', refused: 'bad' }[visit.decision] ?? 'unsure';
    return fill(result,
      verdict(kind, t(`decision.${visit.decision}`), t(`decision.${visit.decision}.next`), reasonList(visit.reasons ?? [])),
      state.gone && el('p', { class: 'notice warn', id: 'gone' }, icon('card'), el('span', {}, t('card-gone', { time: clock(state.until, false) }))),
      Object.keys(visit.holder ?? {}).length > 0 && holderPanel(visit),
      el('div', { class: 'pair' }, insurancePanel(visit), emergencyPanel(visit)),
      notRead(visit),
      visit.decision !== 'refused' && receiptPanel({
        title: t('receipt'),
        signed: Boolean(visit.receipt?.signature),
        rows: [[t('receipt.number'), el('code', {}, visit.id)], [t('receipt.time'), when(visit.time)],
          [t('purpose'), purposeWords(visit.purpose)], [t('case'), visit.case],
          [t('status-index'), visit.card?.status_index], [t('receipt.journal'), visit.journal_record],
          [t('receipt.signature'), visit.receipt?.signature && el('code', {}, visit.receipt.signature), 'wide']],
      }),
      timelinePanel(visit.timeline));
  }

  const snils = (digits) => digits?.replace(/^(\d{3})(\d{3})(\d{3})(\d{2})$/, '$1-$2-$3\u00a0$4');

  const nameOf = (holder) => [holder.family_names, holder.given_names, holder.patronymic].filter(Boolean).join(' ');

  /// The frame has its size from the beginning: what comes into it later moves nothing.
  function portraitFrame({ holder, portrait }) {
    if (!portrait) return null;
    const { url, failed } = state.portrait ?? {};
    return el('div', { class: `portrait${url ? '' : ' awaited'}`, id: 'portrait' },
      url ? el('img', { src: url, alt: t('portrait.alt', { name: nameOf(holder) }) })
        : [icon('person', 48), el('p', { class: 'hint' }, t(failed ? 'portrait.failed' : 'portrait.coming'))]);
  }

  async function fetchPortrait(visit) {
    const portrait = { url: null, failed: false };
    state.portrait = portrait;
    try {
      portrait.url = await picture(visit.portrait);
    } catch {
      portrait.failed = true;
    }
    if (state.portrait !== portrait) {
      if (portrait.url) URL.revokeObjectURL(portrait.url);
      return;
    }
    document.getElementById('portrait')?.replaceWith(portraitFrame(visit));
  }

  function holderPanel(visit) {
    const { holder, card } = visit;
    const years = age(holder.birth_date);
    const frame = portraitFrame(visit);
    return el('section', { class: 'panel', 'aria-labelledby': 'name' }, el('div', { class: frame && 'holder' }, frame, el('div', { class: 'who' },
      el('p', { class: 'over' }, t('holder')),
      el('h2', { id: 'name', class: 'name' }, nameOf(holder) || t('not-read')),
      facts([
        [t('birth-date'), holder.birth_date && `${day(holder.birth_date)}${years === null ? '' : ` · ${t('age', { n: years })}`}`],
        [t('sex'), holder.sex && (known(`sex.${holder.sex}`) ? t(`sex.${holder.sex}`) : holder.sex)],
        [t('group.national-numbers'), snils(holder.national_numbers?.snils)],
        [t('group.nationality'), holder.nationality],
        [t('group.residence'), holder.residence],
        [t('valid-until'), (card?.valid_until ?? holder.expiry) && day(card?.valid_until ?? holder.expiry)],
      ]))));
  }

  /// Whether the holder is insured is what a reception asks first: no record is an answer, too.
  function insurancePanel({ insurance, time, groups }) {
    if (!insurance) {
      const why = ['absent', 'refused', 'denied'].find((one) => groups?.[one]?.includes('insurance'));
      return why && el('section', { class: 'panel', 'aria-labelledby': 'insurance' },
        el('div', { class: 'panel-head' }, el('h2', { id: 'insurance' }, t('insurance')),
          el('p', { class: 'badge unsure' }, icon('question', 18), t(`not-read.${why}`))));
    }
    const standing = insurance.valid_today ? 'valid' : insurance.from > time ? 'early' : 'over';
    return el('section', { class: 'panel', 'aria-labelledby': 'insurance' },
      el('div', { class: 'panel-head' }, el('h2', { id: 'insurance' }, t('insurance')),
        el('p', { class: `badge ${standing === 'valid' ? 'good' : 'bad'}` }, icon(standing === 'valid' ? 'check' : 'cross', 18), t(`insurance.${standing}`))),
      facts([[t('enp'), el('span', { class: 'digits' }, grouped(insurance.number))], [t('insurer'), insurance.insurer],
        [t('period'), period(insurance.from, insurance.until)]]));
  }

  function emergencyPanel({ emergency }) {
    if (!emergency) return null;
    const blood = bloodGroup(emergency.blood_group, language());
    const finding = (one) => el('li', {}, el('span', {}, one.words), one.code && el('code', {}, one.code));
    const findings = (title, list, kind) => el('div', {}, el('h3', {}, title),
      list?.length ? el('ul', { class: `findings ${kind}` }, list.map(finding)) : el('p', { class: 'hint' }, t('none-noted')));
    return el('section', { class: 'panel emergency', 'aria-labelledby': 'emergency' },
      el('div', { class: 'panel-head' }, el('h2', { id: 'emergency' }, t('emergency')),
        blood && el('p', { class: 'blood' }, el('span', {}, t('blood-group')), el('strong', {}, blood))),
      findings(t('allergies'), emergency.allergies, 'grave'),
      findings(t('conditions'), emergency.conditions, ''),
      emergency.contacts?.length > 0 && el('div', {}, el('h3', {}, t('contacts')),
        el('ul', { class: 'contacts' }, emergency.contacts.map((one) => el('li', {}, el('span', {}, one.name), el('span', { class: 'digits' }, one.telephone))))));
  }

  function notRead({ groups }) {
    const parts = ['refused', 'denied', 'absent'].filter((one) => groups?.[one]?.length > 0);
    if (parts.length === 0) return null;
    const name = (one) => (known(`group.${one}`) ? t(`group.${one}`) : one);
    return el('details', { class: 'panel' }, el('summary', {}, t('not-read')),
      facts(parts.map((one) => [t(`not-read.${one}`), groups[one].map(name).join(', ')])));
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
    forget();
    const { name } = readerState(state.reader);
    const work = { name };
    desk.work = work;
    state.steps = [];
    draw();
    say(t('reading'));
    try {
      const visit = await post('/v1/visits', { ...(name && { reader: name }), can: state.can, purpose: state.purpose ?? purposes()[0],
        ...(state.number && { case: state.number }) });
      state.visit = visit;
      if (visit.portrait) fetchPortrait(visit);
      state.can = '';
      state.number = '';
      keepFor();
      const first = visit.reasons?.[0];
      say(`${t(`decision.${visit.decision}`)}. ${first ? told(first.words) : ''}`);
      if (visit.decision !== 'accepted') shout(t(`decision.${visit.decision}`));
    } catch (problem) {
      state.problem = problem;
      if (['wrong-pin', 'wrong-can'].includes(problem.kind)) state.can = '';
      shout(spoken(problem));
    }
    desk.work = null;
    refreshReaders();
    draw();
    // The next Tab goes on from what came out; a wrong number is typed again at once.
    (state.problem && !state.can ? document.getElementById('can') : document.getElementById('outcome'))?.focus();
  }

  function keepFor() {
    state.until = new Date(Date.now() + shownFor);
    clearTimeout(state.timer);
    state.timer = setTimeout(clear, shownFor);
  }

  /// What the last card said, here and at the daemon.
  function forget() {
    if (state.visit) remove(`/v1/visits/${encodeURIComponent(state.visit.id)}`).catch(() => {});
    clearTimeout(state.timer);
    if (state.portrait?.url) URL.revokeObjectURL(state.portrait.url);
    Object.assign(state, { visit: null, problem: null, gone: false, portrait: null });
  }

  function clear() {
    if (desk.work) return;
    const shown = state.visit || state.problem;
    forget();
    Object.assign(state, { can: '', canError: '', number: '' });
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
    onStatus: drawForm,
    onEvent(kind, data) {
      if (kind === 'progress' && desk.work && data.reader === desk.work.name) {
        state.steps.push(data.step);
        drawResult();
      }
      if (kind === 'card-out' && state.visit && !state.gone && data.reader === state.visit.reader) {
        state.gone = true;
        keepFor();
        drawResult();
        say(t('card-gone', { time: clock(state.until, false) }));
      }
    },
  };
});
