/*
 * keys.js - the keyboard: rows with j and k, what buttons do with one letter.
 *
 * Nothing is taken while somebody types, or from the browser (Ctrl, Alt, Meta).
 */
import * as state from './state.js';
import * as dialogs from './dialogs.js';
import * as model_of from './model.js';

function is_typing(target) {
  return target.closest('input, textarea, select, dialog') !== null;
}

function rows() {
  return [...document.querySelectorAll('#main [data-row]')].filter((row) => row.offsetParent !== null);
}

function step(by) {
  const all = rows();
  if (all.length === 0) return;
  const here = all.indexOf(document.activeElement.closest('[data-row]'));
  const next = here < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, here + by));
  all[next].focus();
}

function open_row(row) {
  if (row.dataset.row === 'alert') state.go(state.query({alert: row.dataset.alert}));
  else if (row.dataset.row === 'host') state.go(state.query({host: row.dataset.host}));
}

/* The alert that the keys speak of: the focused row's, or the page's. */
function alert_here(find) {
  const row = document.activeElement.closest('[data-row="alert"]');
  const id = row ? row.dataset.alert : state.get('alert');
  return id ? find(id) : null;
}

export function bind_keys({act, find}) {
  const button = (name) => {
    const target = document.querySelector(`[data-do="${name}"]`);
    if (target) act(target);
  };
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    '/': () => {
      const filter = document.querySelector('#filter, #log-filter');
      if (filter) filter.focus();
    },
    a: () => {
      const alert = alert_here(find);
      if (alert && model_of.may_acknowledge() && !alert.acknowledged) dialogs.acknowledge([alert]);
    },
    s: () => {
      const alert = alert_here(find);
      if (alert && model_of.may_silence()) dialogs.silence([alert]);
    },
    g: () => state.go(state.query({})),
    l: () => button('language'),
    t: () => button('theme'),
    '?': () => dialogs.help(),
    '.': () => button('live'),
    1: () => button('range-15m'),
    2: () => button('range-1h'),
    3: () => button('range-6h'),
    4: () => button('range-24h'),
    5: () => button('range-7d'),
    ArrowLeft: (event) => button(event.shiftKey ? 'back-far' : 'back'),
    ArrowRight: (event) => button(event.shiftKey ? 'forth-far' : 'forth'),
    Enter: (event) => {
      const row = event.target.closest('[data-row]');
      if (row && event.target === row) open_row(row);
    },
    Escape: () => button('unpin'),
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key === 'Escape' && event.target.closest('input')) event.target.blur();
    if (is_typing(event.target) || !Object.prototype.hasOwnProperty.call(keys, event.key)) return;
    if (event.key.startsWith('Arrow') && event.target.closest('[role="tablist"], .log-lines')) return;
    if (!['Enter', 'Escape'].includes(event.key)) event.preventDefault();
    keys[event.key](event);
  });
}
