/*
 * incidents.js - whom troubles were told to, whom they are told to next; one with its time line.
 */
import {h} from './dom.js';
import {t, t_or} from './text.js';
import * as state from './state.js';
import * as parts from './parts.js';
import {model, may_handle} from './model.js';

/* 值班员甲（一线，0017）: two may bear one name. */
function person(one) {
  if (!one.name) return one.id;
  return `${one.name}（${one.post ? one.post + '，' : ''}${one.id}）`;
}

function standing_name(incident) {
  return incident.muted ? 'muted' : incident.state;
}

function standing(incident) {
  const name = standing_name(incident);
  return h('span', {class: 'incident-state is-' + name}, t('incident.state.' + name));
}

/* Each person once, with the time of the first message. */
function told(incident) {
  const seen = new Set();
  return incident.told.filter((one) => !seen.has(one.id) && seen.add(one.id)).map((one) =>
    h('div', null, person(one), ' ', h('span', {class: 'quiet'}, parts.time(Date.parse(one.at)))));
}

function buttons(incident) {
  if (!may_handle() || incident.state === 'closed') return null;
  const name = incident.state === 'open' ? 'take' : 'untake';
  return h('button', {type: 'button', class: 'small' + (name === 'take' ? ' main' : ''),
    'data-do': name, 'data-incident': incident.number}, t('incident.' + name));
}

function link(incident) {
  return h('a', {href: state.query({view: 'incidents', incident: incident.number}), 'data-nav': true},
    t('incident', incident.number));
}

function row(incident) {
  const next_ms = Date.parse(incident.nextStepAt || '');
  return h('tr', {'data-key': incident.number, class: 'incident'},
    h('td', {class: 'c-what'}, link(incident), h('div', {class: 'summary'}, incident.title)),
    h('td', {class: 'c-standing'}, standing(incident)),
    h('td', {class: 'c-since'}, parts.since(Date.parse(incident.openedAt))),
    h('td', {class: 'c-told'}, incident.told.length > 0 ? told(incident) : t('incident.told.none')),
    h('td', {class: 'c-next'}, incident.nextStepAt === null ? '–' : parts.time(next_ms)),
    h('td', {class: 'c-act'}, buttons(incident)));
}

function list() {
  const names = ['what', 'standing', 'since', 'told', 'next'];
  return h('table', {class: 'incidents'}, h('caption', {class: 'hidden'}, t('nav.incidents')),
    h('thead', null, h('tr', null, names.map((name) =>
      h('th', {scope: 'col', class: 'c-' + name}, t('column.incident.' + name))),
    h('th', {scope: 'col', class: 'c-act'}, h('span', {class: 'hidden'}, t('column.act'))))),
    h('tbody', null, model.incidents.map(row)));
}

/* ---- one ----------------------------------------------------------------------------------- */

function event_row(event, index) {
  const result = event.messageState ? t_or('message.' + event.messageState, event.messageState) : null;
  return h('tr', {'data-key': index, class: 'event-' + event.kind},
    h('td', null, parts.time(Date.parse(event.at))),
    h('td', null, t_or('incident.event.' + event.kind, event.kind)),
    h('td', null, event.person ? person(event.person) : null),
    h('td', null, event.channel || null),
    h('td', {class: 'c-detail'}, result, event.reason ? [' ', event.reason] : null,
      result === null ? event.text : null));
}

function next_row(step) {
  return h('tr', {'data-key': step.step},
    h('td', null, parts.time(Date.parse(step.at))),
    h('td', null, t('incident.step', step.step)),
    h('td', null, step.persons.length > 0 ? step.persons.map((one) => h('div', null, person(one)))
      : h('b', {class: 'warn'}, t('incident.nobody'))),
    h('td', null, [...new Set(step.persons.flatMap((one) => one.channels))].join(', ')));
}

function whole(incident) {
  return [h('section', {'data-key': 'incident-' + incident.number},
    h('h1', null, t('incident', incident.number), ' ', standing(incident)),
    h('p', null, incident.title, ' ', h('span', {class: 'quiet'}, parts.since(Date.parse(incident.openedAt)))),
    h('p', null, buttons(incident)),
    h('h2', null, t('incident.timeline')),
    h('table', {class: 'timeline'}, h('tbody', null, incident.events.map(event_row)))),
  incident.next.length > 0 ? h('section', {'data-key': 'next'}, h('h2', null, t('incident.next')),
    h('table', {class: 'timeline'}, h('tbody', null, incident.next.map(next_row)))) : null];
}

export function page() {
  const chosen = state.get('incident');
  if (chosen !== null && model.incident !== null && String(model.incident.number) === chosen)
    return whole(model.incident);
  if (model.incidents === null) {
    return [h('p', {class: model.status === null ? 'loading' : 'empty', 'data-key': 'none'},
      t(model.status === null ? 'loading' : 'incidents.absent'))];
  }
  return [h('section', {'data-key': 'incidents'},
    h('h1', null, t('nav.incidents'), ' ', h('span', {class: 'quiet'}, model.incidents.length)),
    model.incidents.length > 0 ? list() : h('p', {class: 'empty'}, t('incidents.none')))];
}
