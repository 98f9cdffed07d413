// dom: elements, icons, and what is said to who cannot see them.

/// el('p', {class: 'x', 'aria-label': 'y', on: {click: f}}, 'text', other, [more]): null and false are left out.
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === 'on') {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else if (key === 'value') {
      element.value = value;
    } else {
      element.setAttribute(key, value === true ? '' : String(value));
    }
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/// Puts `children` in place of what is in `place`, and the keyboard back where it was, if its element has an id.
export function fill(place, ...children) {
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  place.replaceChildren(...children.flat(3).filter(Boolean));
  if (focused?.id) document.getElementById(focused.id)?.focus({ preventScroll: true });
}

// On a grid of 24.
const paths = {
  check: 'M4 12.5l5.2 5.2L20 7',
  cross: 'M6 6l12 12M18 6L6 18',
  question: 'M8.5 9a3.6 3.6 0 1 1 5.3 3.2c-1.2.7-1.8 1.3-1.8 2.8M12 18.6v.2',
  warning: 'M12 3.5L22 20.5H2zM12 10v5M12 17.6v.2',
  info: 'M12 11v6M12 7.3v.2M12 2.8a9.2 9.2 0 1 0 0 18.4 9.2 9.2 0 0 0 0-18.4',
  card: 'M2.5 6.5a2 2 0 0 1 2-2h15a2 2 0 0 1 2 2v11a2 2 0 0 1-2 2h-15a2 2 0 0 1-2-2zM6 9h4v4H6zM6 16.3h7M16 16.3h2',
  reader: 'M5 13V6a2 2 0 0 1 2-2h10a2 2 0 0 1 2 2v7M3 13h18v5a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2zM8 16.5h8',
  person: 'M12 12a4.2 4.2 0 1 0 0-8.4 4.2 4.2 0 0 0 0 8.4M4 20.5c.6-4 3.8-6 8-6s7.4 2 8 6',
  clinic: 'M9 3.5h6V9h5.5v6H15v5.5H9V15H3.5V9H9z',
  pharmacy: 'M5 9h14l-1.4 9.2a2 2 0 0 1-2 1.8H8.4a2 2 0 0 1-2-1.8zM3.5 9h17M8 9l2.5-5.5M16 9l-2.5-5.5M12 12v5M9.5 14.5h5',
  counter: 'M3 20.5V12h18v8.5M2 12h20M7 12V8.5M7 5.5v.2M12.5 12V4h6v8M5.5 8.5h3',
  transit: 'M6 3.5h12a2 2 0 0 1 2 2V17H4V5.5a2 2 0 0 1 2-2zM4 11.5h16M7.5 14.3v.2M16.5 14.3v.2M6 17v3M18 17v3',
  print: 'M7 9V3.5h10V9M7 17H4V9h16v8h-3M7 14h10v6.5H7z',
  out: 'M10 4H5v16h5M10 12h10M16.5 8.5L20 12l-3.5 3.5',
  key: 'M15.5 3.5a5 5 0 1 0 0 10 5 5 0 0 0 0-10M17 8.4h.1M11.7 12L4 19.7V21h3.2v-2.2h2.2V16.6h2.2l1.6-1.6',
  shield: 'M12 3l8 3v6c0 5-3.5 8-8 9-4.5-1-8-4-8-9V6z',
  clock: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 7v5l3.5 2.5',
  gate: 'M4 20.5V4h16v16.5M4 4l7 3v11l-7 2.5M8 12.3v.2',
  network: 'M3 9.5a13 13 0 0 1 18 0M6.3 13a8.3 8.3 0 0 1 11.400 0M9.5 16.400a3.700 3.700 0 0 1 5 0M12 19.5v.2',
};
const svg = 'http://www.w3.org/2000/svg';

/// Decoration: what it says is always said in words beside it.
export function icon(name, size = 20) {
  const out = document.createElementNS(svg, 'svg');
  const path = document.createElementNS(svg, 'path');
  for (const [key, value] of [['viewBox', '0 0 24 24'], ['width', size], ['height', size], ['class', 'icon'],
    ['aria-hidden', 'true'], ['focusable', 'false']]) out.setAttribute(key, value);
  path.setAttribute('d', paths[name]);
  out.append(path);
  return out;
}

function announce(id, text) {
  const place = document.getElementById(id);
  // The same text again is news again.
  place.textContent = '';
  setTimeout(() => { place.textContent = text; }, 50);
}
/// Read out when the screen reader has finished its sentence, and at once.
export const say = (text) => announce('polite', text);
export const shout = (text) => announce('urgent', text);

/// A field with its label and, below, what is wrong with it or what it is.
export function field({ id, label, hint, error, input }) {
  input.id = id;
  const below = [hint && el('p', { id: `${id}-hint`, class: 'hint' }, hint),
    error && el('p', { id: `${id}-error`, class: 'field-error' }, icon('warning', 16), error)].filter(Boolean);
  if (below.length > 0) input.setAttribute('aria-describedby', below.map((one) => one.id).join(' '));
  if (error) input.setAttribute('aria-invalid', 'true');
  return el('div', { class: 'field' }, el('label', { for: id }, label), input, below);
}

/// What is shown as name and value; a third member "wide" gives a row the whole width.
export function facts(rows, kind = 'facts') {
  const filled = rows.filter(([, value]) => value !== null && value !== undefined && value !== '');
  return el('dl', { class: kind }, filled.map(([name, value, wide]) => el('div', { class: wide }, el('dt', {}, name), el('dd', {}, value))));
}
