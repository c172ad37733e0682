/*
 * dialogs.js - what a person does to an alert: acknowledge, silence, and their undoing.
 *
 * Native <dialog>s: focus stays inside, Escape closes, the page behind waits.  A failed request
 * leaves the dialog and what was typed, with the collector's own words.
 */
import {h} from './dom.js';
import {t} from './text.js';
import * as api from './api.js';
import * as state from './state.js';
import * as format from './format.js';
import * as parts from './parts.js';
import {model, refresh_all} from './model.js';

const overlay = document.getElementById('overlay');
const MINUTE_MS = 60000;
const AT_ONCE = 4;
const SPANS_MIN = [30, 60, 120, 240, 480, 1440];

/* Shows a dialog; `send` (may be null) is called at its main button, and may throw. */
function open(title, body, {button, send, first}) {
  const error = h('p', {class: 'error', role: 'alert'});
  const submit = send ? h('button', {type: 'submit', class: 'main'}, button) : null;
  const close_button = h('button', {type: 'button'}, send ? t('cancel') : t('close'));
  const form = h('form', {method: 'dialog'}, h('h2', {id: 'dialog-title'}, title), body, error,
    h('div', {class: 'buttons end'}, close_button, submit));
  const dialog = h('dialog', {'aria-labelledby': 'dialog-title'}, form);
  const before = document.activeElement;
  close_button.addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (before && before.isConnected) before.focus({preventScroll: true});
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (!send) return dialog.close();
    submit.disabled = true;
    error.textContent = '';
    try {
      await send();
      dialog.close();
      await refresh_all();
    } catch (failure) {
      error.textContent = failure.status === 403 ? t('forbidden')
        : t('failed', failure.message || failure.status);
    }
    submit.disabled = false;
  });
  overlay.replaceChildren(dialog);
  dialog.showModal();
  if (first) first.focus();
}

function about(alert, count = 1) {
  return h('div', {class: 'about ' + parts.severity_class(alert)},
    h('p', null, parts.severity(alert), ' ', h('b', null, alert.labels.alertname, count > 1 ? ' × ' + count : '')),
    h('p', {class: 'summary'}, parts.summary(alert)));
}

function field(label, input, hint) {
  return h('label', {class: 'field'}, h('span', null, label), input,
    hint ? h('small', null, hint) : null);
}

/* Who acts: the user that is logged in, or what this browser's person said last time. */
function name_field() {
  const user = (model.session && model.session.user) || '';
  const input = h('input', {type: 'text', maxlength: '100', value: user || state.remembered('name') || '',
    autocomplete: 'name', readonly: user !== ''});
  return {node: field(t('who'), input), value: () => {
    if (user === '') state.remember('name', input.value.trim());
    return input.value.trim();
  }, input};
}

/* One request an alert, a few at a time; what fails stays unacknowledged, and is said. */
async function acknowledge_all(alerts, words) {
  const left = [...alerts];
  const work = async () => {
    for (let alert = left.shift(); alert !== undefined; alert = left.shift())
      await api.acknowledge({fingerprint: alert.fingerprint, ...words});
  };
  await Promise.all(Array.from({length: AT_ONCE}, work));
}

export function acknowledge(alerts) {
  if (alerts.length === 0) return;
  const comment = h('textarea', {rows: '2', maxlength: '1000', placeholder: t('ack.comment.hint')});
  const who = name_field();
  open(t('ack.title'), [about(alerts[0], alerts.length), field(t('comment'), comment), who.node], {
    button: t('acknowledge'), first: comment,
    send: () => acknowledge_all(alerts, {comment: comment.value.trim(),
      ...(who.value() ? {by: who.value()} : {})}),
  });
}

export function unacknowledge(alert) {
  if (!alert) return;
  open(t('unack.title'), [about(alert), h('p', null, t('unack.what'))], {
    button: t('unacknowledge'), send: () => api.unacknowledge({fingerprint: alert.fingerprint}),
  });
}

/* ---- silence -------------------------------------------------------------------------------- */

/* Labels that all of them have alike. */
function common_labels(alerts) {
  return Object.fromEntries(Object.entries(alerts[0].labels).filter(([name, value]) =>
    alerts.every((one) => one.labels[name] === value)));
}

function matcher_choices(labels) {
  return Object.entries(labels).map(([name, value]) => ({name, value,
    input: h('input', {type: 'checkbox', checked: name !== 'severity'})}));
}

function matched(choices) {
  const chosen = choices.filter((one) => one.input.checked);
  return model.alerts.filter((alert) =>
    chosen.every((one) => alert.labels[one.name] === one.value)).length;
}

function span_choices() {
  return SPANS_MIN.map((minutes, i) => {
    const input = h('input', {type: 'radio', name: 'span', value: String(minutes), checked: i === 2});
    return {minutes, input, node: h('label', {class: 'choice'}, input,
      h('span', null, format.span(minutes * 60)))};
  });
}

/* Everything of a host, also what is yet to fire: for work on it. */
export function silence_host(instance) {
  open_silence({instance}, h('div', {class: 'about'}, h('p', null, t('silence.host', instance))));
}

export function silence(alerts) {
  if (alerts.length > 0) open_silence(common_labels(alerts), about(alerts[0], alerts.length));
}

function open_silence(labels, head) {
  const choices = matcher_choices(labels);
  const spans = span_choices();
  const until = h('input', {type: 'datetime-local'});
  const comment = h('textarea', {rows: '2', required: true, maxlength: '1000',
    placeholder: t('silence.comment.hint')});
  const who = name_field();
  who.input.required = true;
  const preview = h('p', {class: 'preview', 'aria-live': 'polite'});
  const ends_ms = () => (until.value !== '' ? format.from_input(until.value)
    : api.now_ms() + MINUTE_MS * spans.find((one) => one.input.checked).minutes);
  const body = h('div', null, head,
    h('fieldset', null, h('legend', null, t('silence.span')),
      h('div', {class: 'choices'}, spans.map((one) => one.node)), field(t('silence.until'), until)),
    h('fieldset', null, h('legend', null, t('silence.what')), choices.map((one) =>
      h('label', {class: 'matcher'}, one.input, h('code', null, `${one.name} = ${one.value}`)))),
    field(t('comment'), comment), who.node, preview);
  const show = () => {
    preview.textContent = t('silence.preview', matched(choices), format.when_full(ends_ms()));
  };
  body.addEventListener('input', (event) => {
    if (event.target.name === 'span') until.value = '';
    show();
  });
  show();
  open(t('silence.title'), body, {button: t('silence'), first: comment, send: () => {
    const chosen = choices.filter((one) => one.input.checked);
    if (chosen.length === 0) throw new Error(t('silence.nothing'));
    if (!(ends_ms() > api.now_ms())) throw new Error(t('silence.past'));
    return api.silence({
      matchers: chosen.map(({name, value}) => ({name, value, isRegex: false, isEqual: true})),
      startsAt: new Date(api.now_ms()).toISOString(), endsAt: new Date(ends_ms()).toISOString(),
      createdBy: who.value(), comment: comment.value.trim()});
  }});
}

export function approve(probe) {
  if (!probe) return;
  const name = h('input', {type: 'text', required: true, value: probe.instance, maxlength: '200'});
  open(t('approve.title'), [h('p', null, t('approve.what', probe.address)),
    h('pre', null, probe.key), field(t('column.host'), name)], {button: t('approve'), first: name,
    send: () => api.approve({key: probe.key, instance: name.value.trim()})});
}

/* "I am on it", for all of an incident; or not any more. */
export function take(number, takes) {
  const comment = h('textarea', {rows: '2', maxlength: '1000', placeholder: t('ack.comment.hint')});
  const who = name_field();
  const name = takes ? 'incident.take' : 'incident.untake';
  open(t(name) + ' · ' + t('incident', number), [h('p', null, t(name + '.what')),
    takes ? [field(t('comment'), comment), who.node] : null], {
    button: t(name), first: takes ? comment : null,
    send: () => (takes ? api.take({incident: number, comment: comment.value.trim(),
      ...(who.value() ? {by: who.value()} : {})}) : api.untake({incident: number})),
  });
}

/* ---- jobs ----------------------------------------------------------------------------------- */

const PAUSES = [['1h', 3600], ['4h', 14400], ['1d', 86400], ['7d', 604800], ['', 0]];

/* A job that is paused is not expected, and nothing of it is wrong. */
export function pause_job(name) {
  const choices = PAUSES.map(([text, seconds], i) => ({text, node: h('label', {class: 'choice'},
    h('input', {type: 'radio', name: 'span', value: text, checked: i === 0}),
    h('span', null, text === '' ? t('job.pause.open') : format.span(seconds)))}));
  const body = h('div', null, h('p', null, t('job.pause.what')),
    h('fieldset', null, h('legend', null, t('silence.span')),
      h('div', {class: 'choices'}, choices.map((one) => one.node))));
  open(t('job.pause') + ' · ' + name, body, {button: t('job.pause'),
    send: () => api.pause_job(name, body.querySelector('input:checked').value)});
}

export function resume_job(name) {
  open(t('job.resume') + ' · ' + name, h('p', null, t('job.resume.what')), {button: t('job.resume'),
    send: () => api.resume_job(name)});
}

export function expire(one) {
  if (!one) return;
  open(t('expire.title'), [h('p', null, one.comment), h('p', null, t('expire.what'))],
    {button: t('expire'), send: () => api.expire(one.id)});
}

/* ---- keys ----------------------------------------------------------------------------------- */

const KEYS = [['j  k', 'key.rows'], ['Enter', 'key.open'], ['a', 'key.acknowledge'],
  ['s', 'key.silence'], ['/', 'key.filter'], ['g', 'key.overview'], ['1 … 5', 'key.ranges'],
  ['.', 'key.live'], ['←  →', 'key.cursor'], ['Esc', 'key.unpin'], ['l', 'key.language'],
  ['t', 'key.theme'], ['?', 'key.help']];

export function help() {
  if (overlay.querySelector('dialog')) return;
  open(t('keys'), h('dl', {class: 'keys'}, KEYS.map(([key, text]) =>
    [h('dt', null, h('kbd', null, key)), h('dd', null, t(text))])), {});
}
