/* range.js - which stretch of time the address asks for, and its buttons. */
import {h} from './dom.js';
import {t} from './text.js';
import * as state from './state.js';
import * as format from './format.js';
import {now_ms} from './api.js';

export const RANGES = {'15m': 900, '1h': 3600, '6h': 21600, '24h': 86400, '7d': 604800};
const SPAN_LEAST = 30;

export function range_name() {
  return RANGES[state.get('range')] ? state.get('range') : '1h';
}

/* {from, to, is_live}, Unix seconds. */
export function current() {
  const from = Number(state.get('from'));
  const to = Number(state.get('to'));
  if (from > 0 && to > from) return {from, to, is_live: false};
  const end = now_ms() / 1000;
  return {from: end - RANGES[range_name()], to: end, is_live: true};
}

export function set_stretch(from, to) {
  const middle = (from + to) / 2;
  const half = Math.max(SPAN_LEAST, to - from) / 2;
  state.set({from: Math.round(middle - half), to: Math.round(middle + half), range: null}, true);
}

/* Half a screen back or forth; forth of now is live again. */
export function shift(by) {
  const {from, to} = current();
  const move = (to - from) / 2 * by;
  if (to + move >= now_ms() / 1000) go_live(range_name());
  else set_stretch(from + move, to + move);
}

export function go_live(name) {
  state.set({from: null, to: null, at: null, range: name === '1h' ? null : name}, true);
}

export function range_bar() {
  const {from, to, is_live} = current();
  return h('div', {class: 'range', role: 'group', 'aria-label': t('range')},
    Object.keys(RANGES).map((name) => h('button', {type: 'button', 'data-do': 'range-' + name,
      'aria-pressed': String(is_live && name === range_name())}, t('range.' + name))),
    h('button', {type: 'button', 'data-do': 'shift-back', 'aria-label': t('range.back'), title: t('range.back')}, '◀'),
    h('button', {type: 'button', 'data-do': 'shift-forth', 'aria-label': t('range.forth'), title: t('range.forth'),
      disabled: is_live}, '▶'),
    h('button', {type: 'button', 'data-do': 'live', class: 'live' + (is_live ? ' on' : ''),
      'aria-pressed': String(is_live)}, h('span', {class: 'dot', 'aria-hidden': 'true'}), t('live')),
    h('details', {class: 'custom', 'data-key': 'custom'},
      h('summary', null, is_live ? t('range.custom')
        : `${format.when(from * 1000, now_ms())} – ${format.when(to * 1000, now_ms())}`),
      h('div', {class: 'custom-box'},
        h('label', null, t('range.from'), h('input', {type: 'datetime-local', id: 'range-from',
          value: format.to_input(from * 1000)})),
        h('label', null, t('range.to'), h('input', {type: 'datetime-local', id: 'range-to',
          value: format.to_input(to * 1000)})),
        h('button', {type: 'button', class: 'main', 'data-do': 'range-custom'}, t('range.show')))));
}

export const actions = {
  live: () => go_live(range_name()),
  'shift-back': () => shift(-1),
  'shift-forth': () => shift(1),
  'range-custom': () => {
    const from = format.from_input(document.getElementById('range-from').value) / 1000;
    const to = format.from_input(document.getElementById('range-to').value) / 1000;
    if (to > from) set_stretch(from, to);
    document.querySelector('.custom').open = false;
  },
};
for (const name of Object.keys(RANGES)) actions['range-' + name] = () => go_live(name);
