/* silences.js - the page of silences: what is quiet, until when, by whom, and its end. */
import {h} from './dom.js';
import {t} from './text.js';
import * as format from './format.js';
import * as parts from './parts.js';
import {now_ms} from './api.js';
import {model, may_silence} from './model.js';

const ENDED_SHOWN = 50;

function operator_of(matcher) {
  const is_equal = matcher.isEqual !== false;
  return matcher.isRegex ? (is_equal ? '=~' : '!~') : is_equal ? '=' : '!=';
}

function matches(alert, silence) {
  return ((alert.status && alert.status.silencedBy) || []).includes(silence.id);
}

function row(silence) {
  const kind = silence.status.state;
  const ends_ms = Date.parse(silence.endsAt);
  const starts_ms = Date.parse(silence.startsAt);
  const hit = (model.alerts || []).filter((alert) => matches(alert, silence)).length;
  return h('tr', {'data-key': silence.id, class: 'silence ' + kind},
    h('td', {class: 'c-what'}, silence.matchers.map((matcher) => h('code', {class: 'tag'},
      matcher.name + operator_of(matcher) + matcher.value)),
    h('div', {class: 'summary'}, silence.comment)),
    h('td', {class: 'c-until'}, kind === 'pending'
      ? [t('silence.starts'), ' ', parts.time(starts_ms), ' → ', parts.time(ends_ms)]
      : [parts.time(ends_ms), kind === 'active' ? h('span', {class: 'quiet'}, ' ',
        t('left', format.span((ends_ms - now_ms()) / 1000))) : null]),
    h('td', {class: 'c-by'}, silence.createdBy),
    h('td', {class: 'c-hit'}, kind === 'active' ? t('alerts.count', hit) : null),
    h('td', {class: 'c-act'}, kind !== 'expired' && may_silence()
      ? h('button', {type: 'button', class: 'small', 'data-do': 'expire', 'data-id': silence.id},
        t('expire')) : null));
}

function table(list, caption) {
  return h('table', {class: 'silences'}, h('caption', {class: 'hidden'}, caption),
    h('thead', null, h('tr', null, ['what', 'until', 'by', 'hit'].map((name) =>
      h('th', {scope: 'col', class: 'c-' + name}, t('column.silence.' + name))),
    h('th', {scope: 'col', class: 'c-act'}, h('span', {class: 'hidden'}, t('column.act'))))),
    h('tbody', null, list.map(row)));
}

export function page() {
  if (model.silences === null) {
    return [h('p', {class: model.status === null ? 'loading' : 'empty', 'data-key': 'none'},
      t(model.status === null ? 'loading' : 'silences.absent'))];
  }
  const soonest = (a, b) => Date.parse(a.endsAt) - Date.parse(b.endsAt);
  const now = model.silences.filter((one) => one.status.state !== 'expired').sort(soonest);
  const ended = model.silences.filter((one) => one.status.state === 'expired')
    .sort((a, b) => soonest(b, a)).slice(0, ENDED_SHOWN);
  return [h('section', {'data-key': 'now'},
    h('h1', null, t('nav.silences'), ' ', h('span', {class: 'quiet'}, now.length)),
    now.length > 0 ? table(now, t('nav.silences')) : h('p', {class: 'empty'}, t('silences.none'))),
  ended.length > 0 ? h('details', {'data-key': 'ended', class: 'more'},
    h('summary', null, t('silences.ended', ended.length)), table(ended, t('silences.ended', ''))) : null];
}
