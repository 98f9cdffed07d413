// home: which desks there are, and how the daemon is.
import { el, facts, fill, icon } from './dom.mjs';
import { desk, start } from './shell.mjs';
import { listsOf, terminalsOf } from './model.mjs';
import { day, known, t } from './words.mjs';

if (desk.modes.length === 1) location.replace(`/${desk.modes[0]}`);

start((main) => {
  const draw = () => fill(main,
    el('h1', {}, t('choose-desk')),
    el('ul', { class: 'tiles' }, desk.modes.map((one) => el('li', {}, el('a', { href: `/${one}`, id: `tile-${one}` },
      icon(one, 40), el('strong', {}, t(`mode.${one}`)), el('span', { class: 'hint' }, t(`about.${one}`)))))),
    el('div', { class: 'pair' },
      el('section', { class: 'panel', 'aria-labelledby': 'readers' }, el('h2', { id: 'readers' }, t('readers')),
        desk.readers.length === 0 ? el('p', { class: 'hint' }, t('reader.none.next'))
          : el('ul', { class: 'plain lines' }, desk.readers.map((one) => el('li', {}, el('span', {}, one.name, el('span', { class: 'hint' },
            ` ${(one.modes ?? []).map((mode) => t(`mode.${mode}`)).join(', ')}`)), el('span', { class: `badge ${{ card: 'good', busy: 'unsure', mute: 'bad' }[one.state] ?? ''}` }, t(`reader.${one.state}`)))))),
      desk.status && el('section', { class: 'panel', 'aria-labelledby': 'terminal' }, el('h2', { id: 'terminal' }, t('terminal')),
        facts(terminalsOf(desk.status, desk.mode).map((one) => [known(`mode.${one.role}`) ? t(`mode.${one.role}`) : one.role, `${one.holder}${one.until ? `, ${t('certificate-until', { date: one.until })}` : ''}`])),
        facts(listsOf(desk.status, desk.mode).map((one) => [t(one.kind), [t(`list.${one.state}`), one.until && `, ${day(one.until)}`]]))))); 
  return { draw, onReaders: draw, onStatus: draw };
});
