/*
 * logs.js - the log tail: live, or what was written around the pinned second.
 *
 * Lines are text nodes: whatever they say, they do nothing.  The oldest is on top; a reader who is
 * at the end stays at the end when lines come, one who has scrolled up is left alone.
 */
import {h, morph} from './dom.js';
import {t} from './text.js';
import * as api from './api.js';
import * as state from './state.js';
import * as format from './format.js';

const LINES = 200;
const AFTER_S = 30;
const LIVE_MS = 2500;
const TYPING_MS = 300;
const NEAR_END_PX = 40;
const SEVERITIES = ['', 'err', 'warning', 'info'];
const WORDS = {emerg: 'critical', alert: 'critical', crit: 'critical', err: 'error',
  warning: 'warning', notice: 'info', info: 'info', debug: 'debug'};

/* Text with the filter's matches marked. */
function marked(text, pattern) {
  if (pattern === null) return text;
  const parts = [];
  let rest = 0;
  pattern.lastIndex = 0;
  for (let found; (found = pattern.exec(text)) !== null && parts.length < 50;) {
    if (found[0] === '') break;
    parts.push(text.slice(rest, found.index), h('mark', null, found[0]));
    rest = found.index + found[0].length;
  }
  return [...parts, text.slice(rest)];
}

function pattern_of(text) {
  try {
    return text === '' ? null : new RegExp(text, 'g');
  } catch (error) {
    return null; /* the collector's syntax and the browser's differ a little */
  }
}

function base_name(path) {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function log_tail(instance) {
  const lines = h('div', {class: 'log-lines', role: 'log', tabindex: '0', 'aria-label': t('logs')});
  const note = h('span', {class: 'quiet'});
  const filter = h('input', {type: 'search', id: 'log-filter', class: 'filter',
    placeholder: t('logs.filter'), 'aria-label': t('logs.filter'), 'data-input': 'log', spellcheck: 'false',
    autocomplete: 'off', value: state.get('log') || ''});
  const level = h('select', {'aria-label': t('logs.severity'), 'data-change': 'log-severity'},
    SEVERITIES.map((name) => h('option', {value: name, selected: (state.get('severity') || '') === name},
      t('logs.severity.' + (name || 'all')))));
  const root = h('section', {class: 'logs', id: 'logs', 'aria-label': t('logs')},
    h('div', {class: 'section-head'}, h('h2', null, t('logs'), ' ', note), level, filter), lines);
  let wish = null;
  let timer = null;
  let stop = null;

  function line(one, pattern, at) {
    const kind = WORDS[one.severity] || 'plain';
    return h('div', {class: 'log-line ' + kind + (at !== null && one.timeMs > at * 1000 + 999 ? ' after' : ''),
      'data-key': one.path + ' ' + one.file + ' ' + one.offset},
    h('time', {title: format.when_full(one.timeMs)}, format.clock(one.timeMs)),
    h('span', {class: 'log-severity'}, one.severity),
    h('span', {class: 'log-path', title: one.path}, base_name(one.path)),
    h('span', {class: 'log-text'}, marked(one.text, pattern)));
  }

  function draw(found, at) {
    const pattern = pattern_of(state.get('log') || '');
    const is_at_end = lines.scrollHeight - lines.scrollTop - lines.clientHeight < NEAR_END_PX;
    const rows = [...found].reverse().map((one) => line(one, pattern, at));
    if (at !== null && found.length > 0) {
      const after = found.filter((one) => one.timeMs > at * 1000 + 999).length;
      rows.splice(rows.length - after, 0, h('div', {class: 'log-pin', 'data-key': 'pin'},
        format.when_full(at * 1000)));
    }
    morph(lines, rows.length > 0 ? rows : [h('p', {class: 'empty', 'data-key': 'none'},
      t(state.get('log') || state.get('severity') ? 'logs.nothing' : 'logs.none')),
    state.get('log') ? '' : h('pre', {'data-key': 'how'}, 'logs:\n- path: /var/log/messages')].filter(Boolean));
    if (at !== null) {
      const pin = lines.querySelector('.log-pin');
      if (pin && wish && wish.is_new) lines.scrollTop = pin.offsetTop - lines.clientHeight * 0.7;
    } else if (is_at_end || (wish && wish.is_new)) {
      lines.scrollTop = lines.scrollHeight;
    }
    if (wish) wish.is_new = false;
    note.textContent = at !== null ? t('logs.around', format.clock(at * 1000))
      : t('logs.live') + (found.length >= LINES ? ' · ' + t('logs.cut', LINES) : '');
  }

  async function ask() {
    clearTimeout(timer);
    if (wish === null) return;
    if (stop) stop.abort();
    stop = new AbortController();
    const {from, to, at, is_live} = wish;
    const end = at !== null ? at + AFTER_S : is_live ? api.now_ms() / 1000 + 60 : to;
    const params = {instance, limit: LINES, start: Math.min(from, end - 1800).toFixed(3), end: end.toFixed(3)};
    if (state.get('log')) params.contains = state.get('log');
    if (state.get('severity')) params.severity = state.get('severity');
    const mine = stop;
    try {
      const found = (await api.logs(params, mine.signal)).lines;
      if (mine === stop && wish !== null) draw(found, at);
    } catch (error) {
      if (mine !== stop || mine.signal.aborted) return;
      note.textContent = error.message;
    }
    if (is_live && at === null && wish !== null && mine === stop) timer = setTimeout(tick, LIVE_MS);
  }

  function tick() {
    if (document.hidden) timer = setTimeout(tick, LIVE_MS);
    else ask();
  }

  let asked = '';
  return {
    root,
    /* {from, to, at | null, is_live}; asks again only if something else is wanted. */
    show(next) {
      const key = [next.at, next.is_live || [next.from, next.to], state.get('log'), state.get('severity')].join();
      if (key === asked) {
        Object.assign(wish, {from: next.from, to: next.to});
        return;
      }
      const is_typing = asked !== '' && document.activeElement === filter;
      asked = key;
      wish = {...next, is_new: true};
      clearTimeout(timer);
      if (stop) stop.abort();
      timer = setTimeout(ask, is_typing ? TYPING_MS : 0);
    },
    stop() {
      wish = null;
      clearTimeout(timer);
      if (stop) stop.abort();
    },
  };
}
