/*
 * why.js - why somebody was told of an alert, or nobody: the collector's explanation as a panel.
 *
 * The sentence comes first; what it rests on is below, section by section.
 */
import {h} from './dom.js';
import {t, t_or} from './text.js';
import {now_ms} from './api.js';
import * as format from './format.js';
import * as parts from './parts.js';

const at = (text) => format.when(Date.parse(text || ''), now_ms());

const listed = (texts) => texts.join(t('why.and'));

function way({receiver, person, channel, index}) {
  return t('why.way', person || receiver, index > 0 ? `${channel} ${index + 1}` : channel);
}

const ways = (list) => listed(list.map(way));

/* The persons of an incident's next step, else the way. */
const next_who = (next) => (next.persons.length > 0 ? listed(next.persons) : way(next));

function title(labels) {
  const {alertname, ...others} = labels;
  return [alertname, ...Object.entries(others).map((pair) => pair.join('='))].join(' ');
}

/* ---- the sentence ------------------------------------------------------------------------ */

function tried(messages) {
  return listed(messages.map((one) => one.attempts > 0
    ? t('why.tries', way(one), one.attempts, one.reason) : way(one)));
}

/* What keeps it from being told now, and until when; null: nothing. */
function mute(alert) {
  const {next, mutedUntil} = alert.verdict;
  const silence = alert.silences.find((one) => one.state === 'active');
  const intervals = alert.groups.flatMap((group) => group.mutedBy);
  let said = null;
  if (silence) said = t('why.silence', silence.id.slice(0, 8), silence.createdBy, silence.comment);
  else if (alert.inhibitedBy.length > 0) said = t('why.inhibited', title(alert.inhibitedBy[0].labels));
  else if (intervals.length > 0) said = t('why.interval', intervals[0]);
  if (said === null) return null;
  if (mutedUntil) said += t('why.until', at(mutedUntil));
  if (next && next.why === 'after_mute') said += t('why.after', at(next.at));
  return said;
}

function edge(list, key, pick) {
  return at(list.map((one) => one[key]).sort()[pick === 'last' ? list.length - 1 : 0]);
}

function told(alert) {
  const {verdict} = alert;
  const said = [t('why.told', edge(verdict.told, 'at', 'first'), ways(verdict.told))];
  if (verdict.told.some((one) => one.times > 1)) said.push(t('why.last', edge(verdict.told, 'lastAt', 'last')));
  if (verdict.undelivered.length > 0) said.push(t('why.undelivered', tried(verdict.undelivered)));
  if (alert.acknowledged) said.push(t('why.acked', alert.acknowledged.by || t('somebody')));
  const muted = mute(alert);
  if (muted) said.push(t('why.muted', muted));
  else if (verdict.next && verdict.next.why === 'repeat') said.push(t('why.again', at(verdict.next.at)));
  else if (verdict.next && verdict.next.why === 'step') said.push(t('why.step', at(verdict.next.at), next_who(verdict.next)));
  return said;
}

function over({verdict}) {
  const said = [t('why.over')];
  if (verdict.told.length > 0) said.push(t('why.over.told', edge(verdict.told, 'lastAt', 'last'), ways(verdict.told)));
  if (verdict.toldEnd.length > 0)
    said.push(t('why.over.end', edge(verdict.toldEnd, 'lastAt', 'last'), ways(verdict.toldEnd)));
  else if (verdict.next) said.push(t('why.over.will', at(verdict.next.at), way(verdict.next)));
  else said.push(t('why.over.never'));
  return said;
}

function sentence(alert) {
  const {verdict, rule} = alert;
  const receivers = alert.routes.filter((one) => one.outcome === 'taken').map((one) => one.receiver);
  switch (verdict.code) {
    case 'told': return told(alert);
    case 'over': return over(alert);
    case 'pending': return [t('why.pending', at(rule.activeAt), format.span(rule.for / 1000), at(rule.firesAt))];
    case 'new': return [t('why.new')];
    case 'nobody': return [t('why.nobody', listed(receivers))];
    case 'failing': return [t('why.failing', tried(verdict.undelivered))];
    case 'sending': return [t('why.sending', tried(verdict.undelivered))];
    case 'waiting': return verdict.next ? [t('why.waiting', at(verdict.next.at), next_who(verdict.next))] : [t('why.nottold', '–')];
    default: return [t('why.nottold', mute(alert) || '–')];
  }
}

/* ---- what it rests on -------------------------------------------------------------------- */

function messages(alert) {
  return alert.messages.slice(-20).reverse().map((one) => h('li', {'data-key': one.id},
    parts.time(Date.parse(one.settledAt || one.createdAt)), ' ',
    t(one.tells === 'firing' ? 'why.tells.firing' : 'why.tells.resolved'), ' ', way(one), ' ',
    h('b', null, t_or('message.' + one.state, one.state)),
    one.attempts > 1 ? ' ' + t('why.attempts', one.attempts) : null,
    one.reason ? h('span', {class: 'quiet'}, ' ' + one.reason) : null));
}

function groups(alert) {
  return alert.groups.flatMap((group) => group.integrations.map((one) =>
    h('li', {'data-key': group.key + one.channel + one.index},
      way({receiver: group.receiver, ...one}), ' ',
      t(one.told ? 'why.lane.told' : 'why.lane.nottold'), ' ',
      t('why.next.' + one.next.replace('_', ''), at(one.nextAt)),
      h('span', {class: 'quiet'}, ' ' + t('why.flush', at(group.dueAt), group.alerts)))));
}

const MARKS = {taken: '●', passed: '○', missed: '✗', unasked: '·'};

function routes(alert) {
  return alert.routes.map((one) => h('li', {'data-key': one.key, class: 'why-' + one.outcome,
    css: {marginLeft: one.depth * 18 + 'px'}}, MARKS[one.outcome] || '', ' ',
  one.matchers.length > 0 ? h('code', null, one.matchers.join(' ')) : t('why.all'), ' → ', one.receiver,
  one.outcome === 'taken' ? null : h('span', {class: 'quiet'}, ' ' + t('why.route.' + one.outcome, one.missed))));
}

/* Who else was and will be told: the duty roster's. */
function people(alert) {
  const line = (one, last, shade) =>
    h('li', {class: shade}, at(one.at), ' ', one.who, ' ', one.channel, ' ', last);
  const state = (one) => t(one.tells === 'firing' ? 'why.tells.firing' : 'why.tells.resolved') + ' ' +
    t_or('message.' + one.state, one.state);
  return alert.incidents.flatMap(({told: done, will}) => [
    ...done.map((one) => line(one, state(one), null)),
    ...will.map((one) => line(one, t('incident.step', one.step), 'quiet'))]);
}

function section(key, items) {
  return items.length === 0 ? null : h('div', {'data-key': key}, h('h3', null, t('why.' + key)), h('ul', {class: 'why-list'}, items));
}

/* The panel; null until the collector has explained. */
export function why_panel(alert) {
  if (alert === null) return null;
  return h('section', {'data-key': 'why', class: 'why'}, h('h2', null, t('why')),
    h('p', {class: 'why-verdict ' + alert.verdict.code}, sentence(alert).join(t('why.then'))),
    section('people', people(alert)), section('messages', messages(alert)),
    section('groups', groups(alert)), section('routes', routes(alert)));
}
