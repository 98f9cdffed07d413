// model: what the API answers, in the shape the pages show.
import { day, t } from './words.mjs';

const listKinds = ['trust-list', 'stop-list', 'rules'];

/// The signed lists a desk of `mode` works with; all of them at home.
export const listsOf = (status, mode) => status.trust.filter((one) =>
  listKinds.includes(one.kind) && (one.kind !== 'rules' || ['home', 'transit'].includes(mode)));
/// The terminals a desk of `mode` is to cards: its own role's, or all where none is of that name.
export function terminalsOf(status, mode) {
  const own = status.terminals.filter((one) => one.role === mode);
  return (own.length > 0 ? own : status.terminals).map((one) => ({ ...one, until: one.until && day(one.until) }));
}

/// What whoever sits at the desk has to know now, the worst first.
export function noticesOf({ status, pcscd, mode }) {
  const out = [];
  const add = (level, key, values = {}) => out.push({ level, key, values: values.list ? { ...values, list: t(values.list) } : values });
  if (!pcscd) add('bad', 'notice.pcscd');
  for (const one of terminalsOf(status, mode)) {
    if (one.state === 'expired') add('bad', 'notice.certificate.expired', { date: one.until });
    else if (one.state === 'urgent') add('bad', 'notice.certificate.urgent', { date: one.until });
    else if (one.state === 'due' && one.problem) add('warn', 'notice.certificate.due', { date: one.until });
  }
  for (const one of listsOf(status, mode)) {
    const values = { list: one.kind, date: one.until && day(one.until) };
    if (one.state === 'expired' || one.state === 'missing') add('bad', `notice.${one.state}`, values);
    if (one.state === 'stale' || one.state === 'early') add('warn', `notice.${one.state}`, values);
  }
  if (status.clock !== 'fine') add('warn', `notice.clock.${status.clock}`);
  if (status.journal.health !== 'fine') add('bad', 'notice.journal.full');
  const { upload } = status;
  if (upload?.state === 'alarm') add('bad', 'notice.journal.fork');
  else if (upload?.state === 'away' && upload.waiting > 100) add('warn', 'notice.journal', { n: upload.waiting });
  return out.sort((a, b) => (a.level === 'bad' ? 0 : 1) - (b.level === 'bad' ? 0 : 1));
}

const bloodGroups = { O: '0(I)', A: 'A(II)', B: 'B(III)', AB: 'AB(IV)' };
/// "A+": as a Russian physician writes it, too.
export function bloodGroup(name, language) {
  const parts = /^(O|A|B|AB)([+-])$/.exec(name ?? '');
  if (!parts) return null;
  const sign = parts[2] === '+' ? '+' : '−';
  return language === 'ru' ? `${bloodGroups[parts[1]]} Rh${sign}` : `${parts[1]}${sign}`;
}
