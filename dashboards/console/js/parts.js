/* parts.js - small pieces that several pages show. */
import {h, svg} from './dom.js';
import {t, t_or} from './text.js';
import * as format from './format.js';
import * as state from './state.js';
import {now_ms} from './api.js';
import {rank, identity, started_ms, may_acknowledge, may_silence} from './model.js';

const CLASSES = ['critical', 'error', 'warning', 'info', 'none'];

export function severity_class(alert) {
  return CLASSES[rank(alert)];
}

/* A severity as a word and a shape, never by colour alone. */
export function severity(alert) {
  const name = alert.labels.severity || '';
  return h('span', {class: 'severity ' + severity_class(alert)},
    name === '' ? t('severity.none') : t_or('severity.' + name.toLowerCase(), name));
}

export function host_link(instance, more) {
  return h('a', {href: state.query({host: instance, ...more}), 'data-nav': true}, instance);
}

export function alert_link(alert) {
  return h('a', {href: state.query({alert: identity(alert)}), 'data-nav': true},
    alert.labels.alertname);
}

/* A time, its full form at hand. */
export function time(ms) {
  return h('time', {datetime: format.is_number(ms) && ms > 0 ? new Date(ms).toISOString() : null,
    title: format.when_full(ms)}, format.when(ms, now_ms()));
}

export function since(ms) {
  return h('span', {class: 'since'}, time(ms), ' ',
    h('span', {class: 'quiet'}, t('for', format.span((now_ms() - ms) / 1000))));
}

/* What an alert says: its summary, else its labels. */
export function summary(alert) {
  const said = alert.annotations || {};
  return said.summary || said.description || said.message || labels_text(alert.labels);
}

export function labels_text(labels) {
  return Object.entries(labels).filter(([name]) => !['alertname', 'severity'].includes(name))
    .map((pair) => pair.join('=')).join(' ');
}

/* Labels as small tags. */
export function tags(labels, hidden = []) {
  return Object.entries(labels).filter(([name]) => !hidden.includes(name))
    .map(([name, value]) => h('span', {class: 'tag'},
      h('span', {class: 'tag-name'}, name), h('span', null, value)));
}

/* Without data, coming and going; acknowledged by whom, silenced until when, or nothing yet. */
export function standing(alert, silences) {
  const parts = [];
  if (alert.flappingSince)
    parts.push(h('span', {class: 'flapping', title: t('flapping.hint')}, t('flapping')));
  if (alert.staleSince)
    parts.push(h('span', {class: 'stale', title: t('stale.hint')}, t('stale.since', ''),
      time(Date.parse(alert.staleSince))));
  const marks = parts.length;
  if (alert.acknowledged) {
    const {by, at, comment} = alert.acknowledged;
    parts.push(h('span', {class: 'acked', title: comment || null},
      t('acked.by', by || t('somebody')), ' ', time(Date.parse(at)),
      comment ? h('span', {class: 'comment'}, comment) : null));
  }
  for (const id of (alert.status && alert.status.silencedBy) || []) {
    const found = (silences || []).find((one) => one.id === id);
    parts.push(h('span', {class: 'silenced'}, found
      ? [t('silenced.until', ''), time(Date.parse(found.endsAt))] : t('silenced')));
  }
  if (alert.status && (alert.status.inhibitedBy || []).length > 0)
    parts.push(h('span', {class: 'silenced'}, t('inhibited')));
  for (const name of (alert.status && alert.status.mutedBy) || [])
    parts.push(h('span', {class: 'silenced'}, t('muted.by', name)));
  if (parts.length === marks && alert.state === 'firing' && alert.status)
    parts.push(h('span', {class: 'open'}, t('open')));
  return parts;
}

function button(action, text, target, is_main) {
  return h('button', {type: 'button', class: 'small' + (is_main ? ' main' : ''), 'data-do': action, ...target}, text);
}

export function alert_buttons(alert) {
  const target = {'data-alert': identity(alert)};
  const buttons = [];
  if (may_acknowledge() && alert.state === 'firing') {
    buttons.push(alert.acknowledged ? button('unacknowledge', t('unacknowledge'), target)
      : button('acknowledge', t('acknowledge'), target, true));
  }
  if (may_silence()) buttons.push(button('silence', t('silence'), target));
  return buttons;
}

/* The same for all alerts of a name that are shown as one line. */
export function group_buttons(name, group) {
  const target = {'data-group': name};
  const buttons = [];
  if (may_acknowledge() && group.some((alert) => !alert.acknowledged))
    buttons.push(button('acknowledge', t('acknowledge.all'), target, true));
  if (may_silence()) buttons.push(button('silence', t('silence.all'), target));
  return buttons;
}

const WARM = 0.8;
const HOT = 0.9;

/* A bar of a part of a whole, with its number. */
export function bar(ratio, title) {
  if (!format.is_number(ratio)) return h('span', {class: 'quiet'}, '–');
  const level = ratio >= HOT ? ' hot' : ratio >= WARM ? ' warm' : '';
  const width = Math.min(100, Math.max(0, ratio * 100)).toFixed(1) + '%';
  return h('span', {class: 'meter' + level, title},
    h('span', {class: 'meter-track', 'aria-hidden': 'true'}, h('span', {class: 'meter-fill', css: {width}})),
    h('span', {class: 'meter-text'}, format.percent(ratio)));
}

/* The shape of values in 0..1; what is missing stays empty. */
export function spark(values) {
  const WIDTH = 60;
  const HEIGHT = 18;
  if (!values || values.length < 2) return null;
  let path = '';
  let is_down = false;
  values.forEach((value, i) => {
    if (value === null) {
      is_down = false;
      return;
    }
    const x = (i / (values.length - 1) * WIDTH).toFixed(1);
    const y = (HEIGHT - 1 - Math.min(1, Math.max(0, value)) * (HEIGHT - 2)).toFixed(1);
    path += (is_down ? 'L' : 'M') + x + ' ' + y;
    is_down = true;
  });
  return svg('svg', {class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH,
    height: HEIGHT, 'aria-hidden': 'true'}, svg('path', {d: path}));
}

export function age(alert_ms) {
  return format.span((now_ms() - alert_ms) / 1000);
}

export {started_ms};
