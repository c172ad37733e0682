/* hosts.js - the table of hosts: state, load, worst disk, alerts, age of the last data. */
import {h} from './dom.js';
import {t, t_or} from './text.js';
import * as state from './state.js';
import * as format from './format.js';
import * as parts from './parts.js';
import {now_ms} from './api.js';
import {model, rank, is_suppressed} from './model.js';

const ROWS_AT_FIRST = 200;
const STATES = {silent: 0, waiting: 1, up: 2};
let rows_shown = ROWS_AT_FIRST;

export function show_more() {
  rows_shown += 500;
}

/* Firing alerts by instance: {count, worst}. */
function alerts_by_host() {
  const found = new Map();
  for (const alert of model.alerts) {
    if (alert.state !== 'firing' || is_suppressed(alert)) continue;
    const name = alert.labels.instance || '';
    const here = found.get(name) || {count: 0, worst: alert};
    here.count++;
    if (rank(alert) < rank(here.worst)) here.worst = alert;
    found.set(name, here);
  }
  return found;
}

export function host_rows() {
  const alerts = alerts_by_host();
  return model.probes.map((probe) => ({
    probe, name: probe.instance, usage: model.usage.get(probe.instance) || {},
    spark: model.sparks.get(probe.instance), alerts: alerts.get(probe.instance) || null,
    age: probe.lastTickMs > 0 ? (now_ms() - probe.lastTickMs) / 1000 : Infinity,
  }));
}

const number = (value) => (format.is_number(value) ? value : -1);
const trouble = (row) => (row.alerts ? rank(row.alerts.worst) : 9);

const orders = {
  trouble: (a, b) => STATES[a.probe.state] - STATES[b.probe.state] || trouble(a) - trouble(b),
  name: () => 0,
  cpu: (a, b) => number(b.usage.cpu) - number(a.usage.cpu),
  memory: (a, b) => number(b.usage.memory) - number(a.usage.memory),
  disk: (a, b) => number(b.usage.disk) - number(a.usage.disk),
  alerts: (a, b) => (b.alerts ? b.alerts.count : 0) - (a.alerts ? a.alerts.count : 0),
  age: (a, b) => (b.age === a.age ? 0 : b.age - a.age),
};

const collator = new Intl.Collator('zh-CN', {numeric: true});

export function sort_name() {
  return orders[state.get('sort')] ? state.get('sort') : 'trouble';
}

function fits(row, words) {
  const text = [row.name, row.probe.job, row.probe.state,
    ...Object.entries(row.probe.labels || {}).map((pair) => pair.join('='))].join(' ').toLowerCase();
  return words.every((word) => text.includes(word));
}

function state_cell(probe) {
  return h('span', {class: 'state ' + probe.state}, t_or('state.' + probe.state, probe.state));
}

function host_row(row) {
  const {probe, usage, alerts} = row;
  const is_stale = probe.state !== 'up';
  return h('tr', {'data-key': probe.key, class: is_stale ? 'stale' : null, tabindex: '0',
    'data-row': 'host', 'data-host': probe.instance},
  h('td', {class: 'c-state'}, state_cell(probe)),
  h('td', {class: 'c-name'}, parts.host_link(probe.instance), ' ',
    parts.tags(probe.labels || {})),
  h('td', {class: 'c-cpu', 'data-label': 'CPU'}, parts.bar(usage.cpu, t('cpu.hint')), parts.spark(row.spark)),
  h('td', {class: 'c-memory', 'data-label': t('column.memory')}, parts.bar(usage.memory, t('memory.hint'))),
  h('td', {class: 'c-disk', 'data-label': t('column.disk')}, parts.bar(usage.disk, usage.mount),
    usage.mount ? h('span', {class: 'mount'}, usage.mount) : null),
  h('td', {class: 'c-alerts'}, alerts ? h('span', {class: 'badge ' +
    parts.severity_class(alerts.worst)}, t('alerts.count', alerts.count)) : null),
  h('td', {class: 'c-age'}, probe.lastTickMs > 0
    ? [is_stale ? [t('last.data'), ' ', parts.time(probe.lastTickMs), ' '] : null,
      h('span', {class: is_stale ? '' : 'quiet'}, t('ago', format.span(row.age)))] : t('never')));
}

function head(name, order, class_name) {
  const sorted = sort_name() === order;
  return h('th', {scope: 'col', class: class_name, 'aria-sort': sorted ? 'descending' : null},
    h('button', {type: 'button', class: 'sort', 'data-do': 'sort', 'data-order': order},
      name, sorted ? h('span', {'aria-hidden': 'true'}, ' ▾') : null));
}

function hosts_table(rows) {
  return h('table', {class: 'hosts'}, h('caption', {class: 'hidden'}, t('hosts')),
    h('thead', null, h('tr', null, head(t('column.state'), 'trouble', 'c-state'),
      head(t('column.host'), 'name', 'c-name'), head('CPU', 'cpu', 'c-cpu'),
      head(t('column.memory'), 'memory', 'c-memory'), head(t('column.disk'), 'disk', 'c-disk'),
      head(t('column.alerts'), 'alerts', 'c-alerts'), head(t('column.age'), 'age', 'c-age'))),
    h('tbody', null, rows.slice(0, rows_shown).map(host_row)));
}

/* How a first probe gets in. */
function enrol() {
  const host = location.hostname;
  return h('div', {class: 'empty teach'},
    h('p', null, h('b', null, t('enrol.none'))), h('p', null, t('enrol.how')),
    h('pre', null, `fengsui-probe --collector tcp://${host}:9471 \\\n` +
      '  --collector-key collector.pub --token enrol.token'),
    h('p', null, t('enrol.files')));
}

function pending_note() {
  const {pending} = model.status.probes;
  if (pending === 0) return null;
  return h('div', {class: 'note-line'}, h('p', null, t('enrol.pending', pending), ' ',
    h('code', null, 'fengsuictl keys'), ' → ', h('code', null, 'fengsuictl probes approve KEY')),
  h('ul', null, model.pending.map((one) => h('li', {class: 'pending-probe', 'data-key': one.key},
    h('b', null, one.instance), ' ', h('span', {class: 'quiet'}, one.address), ' ',
    h('code', null, one.key), ' ', parts.since(one.firstSeenMs), ' ', one.note ? h('span', {class: 'note'}, one.note) : null,
    h('button', {type: 'button', class: 'small', 'data-do': 'approve', 'data-probe': one.key}, t('approve'))))));
}

export function hosts_section(rows) {
  const text = state.get('q') || '';
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const order = orders[sort_name()];
  const found = rows.filter((row) => fits(row, words))
    .sort((a, b) => order(a, b) || collator.compare(a.name, b.name));
  return h('section', {'data-key': 'hosts', id: 'hosts', 'aria-labelledby': 'hosts-title'},
    h('div', {class: 'section-head'},
      h('h2', {id: 'hosts-title'}, t('hosts'), ' ', h('span', {class: 'quiet'},
        words.length > 0 ? `${found.length} / ${rows.length}` : rows.length)),
      rows.length > 0 ? h('input', {type: 'search', id: 'filter', class: 'filter', value: text,
        placeholder: t('hosts.filter'), 'aria-label': t('hosts.filter'), 'data-input': 'q',
        spellcheck: 'false', autocomplete: 'off'}) : null),
    pending_note(),
    rows.length === 0 ? enrol() : found.length === 0
      ? h('p', {class: 'empty'}, t('hosts.nothing', text)) : hosts_table(found),
    found.length > rows_shown ? h('button', {type: 'button', 'data-do': 'more-hosts'},
      t('hosts.more', found.length - rows_shown)) : null);
}
