/*
 * overview.js - the first page: what is wrong, since when, where; then every host.
 *
 * One sentence says how things stand.  Alerts: worst first, many of one kind folded into a line.
 * Hosts: those with trouble first, unless asked otherwise.
 */
import {h} from './dom.js';
import {t} from './text.js';
import * as api from './api.js';
import * as state from './state.js';
import * as format from './format.js';
import * as parts from './parts.js';
import {model, sorted_alerts, rank, identity, started_ms, silent_probes} from './model.js';
import {hosts_section, host_rows} from './hosts.js';

const FOLD_FROM = 5;
const SILENT_NAMED = 3;
const PAST_MS = 86400000;
const PAST_SHOWN = 20;
const unfolded = new Set();

export function toggle_fold(name) {
  if (unfolded.has(name)) unfolded.delete(name);
  else unfolded.add(name);
}

/* ---- the sentence --------------------------------------------------------------------------- */

function counts(firing) {
  const names = ['critical', 'error', 'warning', 'info', 'none'];
  return names.map((name, i) => [name, firing.filter((a) => rank(a) === i).length])
    .filter(([, count]) => count > 0);
}

function verdict(firing) {
  const {probes} = model.status;
  const trouble = [];
  for (const [name, count] of counts(firing))
    trouble.push(h('span', {class: 'count ' + name}, t('count.' + name, count)));
  if (probes.silent > 0) trouble.push(h('span', {class: 'count critical'}, t('count.silent', probes.silent)));
  if (!model.status.ready) trouble.push(h('span', {class: 'count critical'}, t('count.notready')));
  if (trouble.length === 0) {
    const is_empty = probes.up + probes.waiting === 0;
    return h('section', {class: 'verdict' + (is_empty ? '' : ' calm'), 'data-key': 'verdict', 'aria-label': t('verdict')},
      h('h1', null, is_empty ? t('calm.empty') : t('calm')),
      h('p', null, t('calm.watching', probes.up, model.status.alerts.rules)));
  }
  const untaken = firing.filter((a) => a.status && !a.acknowledged).length;
  const silent = silent_probes();
  const hosts = new Set(firing.map((a) => a.labels.instance).filter(Boolean));
  const newest = firing.map(started_ms).sort((a, b) => b - a)[0];
  return h('section', {class: 'verdict trouble', 'data-key': 'verdict', 'aria-label': t('verdict')},
    h('h1', null, trouble),
    silent.length > 0 ? h('p', null, t('verdict.silent'), ' ', silent.slice(0, SILENT_NAMED).map((probe) =>
      [parts.host_link(probe.instance), ' ', h('span', {class: 'quiet'}, parts.since(probe.lastTickMs)), ' ']),
    silent.length > SILENT_NAMED ? '…' : '') : null,
    h('p', null, hosts.size > 1 ? t('involved', hosts.size) : [...hosts].map((name) => parts.host_link(name)), ' ',
      untaken > 0 ? t('untaken', untaken) : firing.length > 0 && firing[0].status
      ? t('taken') : '', newest ? [' ', t('newest'), ' ', parts.since(newest)] : null));
}

/* ---- how the watchers are ------------------------------------------------------------------- */

function fact(label, value, kind, title) {
  return h('div', {class: 'fact' + (kind ? ' ' + kind : ''), title},
    h('dt', null, label), h('dd', null, value));
}

function facts() {
  const {probes, store, alerts, notifications, ready, uptimeSeconds} = model.status;
  return h('dl', {class: 'facts', 'data-key': 'facts', 'aria-label': t('facts')},
    fact(t('fact.up'), probes.up, probes.up > 0 ? 'good' : ''),
    fact(t('fact.silent'), probes.silent, probes.silent > 0 ? 'bad' : ''),
    probes.waiting > 0 ? fact(t('fact.waiting'), probes.waiting, 'warn') : null,
    fact(t('fact.pending'), probes.pending, probes.pending > 0 ? 'warn' : '', t('fact.pending.hint')),
    fact(t('fact.firing'), alerts.firing, alerts.firing > 0 ? 'bad' : ''),
    fact(t('fact.waitingalerts'), alerts.pending, alerts.pending > 0 ? 'warn' : ''),
    fact(t('fact.rules'), alerts.rules),
    fact(t('fact.collector'), ready ? t('ready') : store.full ? t('full') : t('notready'),
      ready ? 'good' : 'bad', store.fullReason || t('uptime', format.span(uptimeSeconds))),
    fact(t('fact.disk'), format.bytes(store.diskBytes), store.full ? 'bad' : ''),
    fact(t('fact.outbox'), notifications.waiting, notifications.failed > 0 ? 'warn' : '',
      t('fact.outbox.hint', notifications.sent, notifications.failed)));
}

/* ---- alerts --------------------------------------------------------------------------------- */

function host_cell(alert) {
  const {instance} = alert.labels;
  return instance ? parts.host_link(instance) : h('span', {class: 'quiet'}, '–');
}

export function alert_row(alert, is_member) {
  return h('tr', {'data-key': identity(alert), class: 'alert ' + parts.severity_class(alert) +
    (alert.acknowledged ? ' taken' : '') + (is_member ? ' member' : ''), tabindex: '0',
  'data-row': 'alert', 'data-alert': identity(alert)},
  h('td', {class: 'c-severity'}, parts.severity(alert)),
  h('td', {class: 'c-what'}, h('div', {class: 'name'}, parts.alert_link(alert)),
    h('div', {class: 'summary'}, parts.summary(alert))),
  h('td', {class: 'c-host'}, host_cell(alert)),
  h('td', {class: 'c-since'}, parts.since(started_ms(alert))),
  h('td', {class: 'c-standing'}, parts.standing(alert, model.silences)),
  h('td', {class: 'c-act'}, h('div', {class: 'buttons'}, parts.alert_buttons(alert))));
}

function group_row(name, group) {
  const silent = silent_probes();
  const hosts = new Set(group.map((a) => a.labels.instance).filter(Boolean));
  const is_open = unfolded.has(name);
  return h('tr', {'data-key': 'group ' + name, class: 'alert group ' + parts.severity_class(group[0])},
    h('td', {class: 'c-severity'}, parts.severity(group[0])),
    h('td', {class: 'c-what'},
      h('button', {type: 'button', class: 'fold', 'data-do': 'fold', 'data-name': name,
        'aria-expanded': String(is_open)}, h('span', {'aria-hidden': 'true'}, is_open ? '▾' : '▸'),
      ' ', name, ' ', h('b', null, '× ' + group.length)),
      h('div', {class: 'summary'}, parts.summary(group[0]))),
    h('td', {class: 'c-host'}, t('hosts.count', hosts.size)),
    h('td', {class: 'c-since'}, parts.since(Math.min(...group.map(started_ms)))),
    h('td', {class: 'c-standing'}, t('taken.of', group.filter((a) => a.acknowledged).length,
      group.length)),
    h('td', {class: 'c-act'}, h('div', {class: 'buttons'}, parts.group_buttons(name, group))));
}

function alert_rows(alerts) {
  const groups = new Map();
  for (const alert of alerts) {
    const name = alert.labels.alertname;
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(alert);
  }
  const rows = [];
  const done = new Set();
  for (const alert of alerts) {
    const name = alert.labels.alertname;
    const group = groups.get(name);
    if (group.length < FOLD_FROM) {
      rows.push(alert_row(alert));
    } else if (!done.has(name)) {
      done.add(name);
      rows.push(group_row(name, group));
      if (unfolded.has(name)) rows.push(...group.map((one) => alert_row(one, true)));
    }
  }
  return rows;
}

export function alert_table(alerts, caption) {
  return h('table', {class: 'alerts'},
    h('caption', {class: 'hidden'}, caption),
    h('thead', null, h('tr', null,
      ...['severity', 'alert', 'host', 'since', 'standing'].map((name) =>
        h('th', {scope: 'col', class: 'c-' + (name === 'alert' ? 'what' : name)}, t('column.' + name))),
      h('th', {scope: 'col', class: 'c-act'}, h('span', {class: 'hidden'}, t('column.act'))))),
    h('tbody', null, alert_rows(alerts)));
}

function folded(key, title, alerts) {
  if (alerts.length === 0) return null;
  return h('details', {'data-key': key, class: 'more'},
    h('summary', null, title), alert_table(alerts, title));
}

function alerts_section({firing, silenced, pending}) {
  let body = null;
  if (firing.length > 0) body = alert_table(firing, t('alerts.firing'));
  else if (model.status.alerts.rules === 0) body = no_rules();
  else body = h('p', {class: 'empty'}, t('alerts.none', model.status.alerts.rules));
  return h('section', {'data-key': 'alerts', id: 'alerts', 'aria-labelledby': 'alerts-title'},
    h('h2', {id: 'alerts-title'}, t('alerts.firing'), ' ', h('span', {class: 'quiet'}, firing.length)),
    body, folded('pending', t('alerts.pending', pending.length), pending),
    folded('silenced', t('alerts.silenced', silenced.length), silenced), past_alerts());
}

/* Of the last day: what nobody was told, because it was over when the collector was up again. */
function past_alerts() {
  const recent = model.past.filter((one) => Date.parse(one.endsAt) > api.now_ms() - PAST_MS);
  if (recent.length === 0) return null;
  return h('details', {'data-key': 'past', class: 'more'},
    h('summary', null, t('alerts.past', recent.length)),
    h('ul', null, recent.slice(0, PAST_SHOWN).map((one) => h('li', {'data-key': one.fingerprint + one.endsAt},
      parts.time(Date.parse(one.startsAt)), ' – ', parts.time(Date.parse(one.endsAt)), ' ',
      one.labels.alertname, ' ', one.labels.instance || '', ' ', one.annotations.summary || ''))));
}

function no_rules() {
  return h('div', {class: 'empty'}, h('p', null, t('rules.none')),
    h('pre', null, 'rules: {files: [rules/*.yml]}'), h('p', null, t('rules.none.then')));
}

export function overview() {
  if (model.status === null || model.probes === null || model.alerts === null) return [loading()];
  const alerts = sorted_alerts();
  return [verdict(alerts.firing), facts(), alerts_section(alerts), hosts_section(host_rows())];
}

export function loading() {
  return h('p', {class: 'loading', 'data-key': 'loading'}, t(model.failure ? 'unreachable' : 'loading'));
}

export function title() {
  const {firing} = sorted_alerts();
  return (firing.length > 0 ? `(${firing.length}) ` : '') + t('title');
}

export const filter = () => state.get('q') || '';
