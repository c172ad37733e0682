/*
 * alert.js - one alert: what it says, the curve behind it with its threshold, when it fired
 * before, and what can be done.
 */
import {h, morph} from './dom.js';
import {t} from './text.js';
import * as api from './api.js';
import {quoted} from './api.js';
import * as state from './state.js';
import * as format from './format.js';
import * as parts from './parts.js';
import {model, identity, rule_of, started_ms} from './model.js';
import {make_chart} from './chart.js';
import {step_for} from './panels.js';
import {split_comparison} from './expression.js';
import {runs, severity_colour} from './events.js';
import {why_panel} from './why.js';

const RELOAD_MS = 15000;
const HISTORY_S = 7 * 86400;
const HISTORY_STEP_S = 300;
const AROUND_S = 1800;
const SERIES_SHOWN = 8;

function find() {
  return (model.alerts || []).find((one) => identity(one) === state.get('alert')) || null;
}

export function title() {
  const alert = find();
  return alert ? alert.labels.alertname + ' ' + (alert.labels.instance || '') : t('alert');
}

function looks_like_ratio(series, threshold) {
  return Math.abs(threshold === null ? 0 : threshold) <= 1 &&
    series.every((one) => one.values.every((v) => v === null || (v >= -0.001 && v <= 1.001)));
}

/* Series of the answer that speak of this alert. */
function of_alert(rows, labels) {
  return rows.filter(({metric}) => Object.entries(metric).every(([name, value]) =>
    name === '__name__' || labels[name] === undefined || labels[name] === value));
}

function series_name(metric) {
  return Object.entries(metric).filter(([name]) => !['__name__', 'job'].includes(name))
    .map(([, value]) => value).join(' ') || t('value');
}

function annotation(name, text) {
  const is_link = /^https?:\/\//.test(text);
  return [h('dt', null, name), h('dd', null, is_link
    ? h('a', {href: text, rel: 'noreferrer noopener', target: '_blank'}, text) : text)];
}

/* The host's page around the alert's beginning; live, if that is in the last minutes. */
function beginning(alert) {
  const at = Math.round(started_ms(alert) / 1000);
  const is_recent = at + AROUND_S > api.now_ms() / 1000;
  return {host: alert.labels.instance, at: String(at),
    ...(is_recent ? {} : {from: String(at - AROUND_S), to: String(at + AROUND_S)})};
}

export function mount(main) {
  const head = h('div', {class: 'alert-head'});
  const chart_box = h('div', {class: 'alert-chart', 'data-island': true});
  const detail = h('div', {class: 'alert-detail'});
  main.append(head, chart_box, detail);
  let chart = null;
  let last = null; /* the alert as it was seen last: it may end while it is looked at */
  let history = null;
  let why = null; /* the collector's explanation */
  let why_of = ''; /* what it was asked for */
  let timer = null;
  let started = false;
  const stop = new AbortController();

  function grid_now(alert) {
    const end_s = api.now_ms() / 1000;
    const seconds = Math.min(HISTORY_S, Math.max(3600, (end_s - started_ms(alert) / 1000) * 1.3));
    const step = step_for(seconds, 5);
    const end = Math.floor(end_s / step) * step;
    return {start: Math.ceil((end_s - seconds) / step) * step, end, step};
  }

  async function read_history(alert) {
    const end = Math.floor(api.now_ms() / 1000 / HISTORY_STEP_S) * HISTORY_STEP_S;
    const grid = {start: end - HISTORY_S, end, step: HISTORY_STEP_S};
    const only = Object.entries(alert.labels).map(([name, value]) => `${name}=${quoted(value)}`).join();
    const rows = await api.query_range(
      `count_over_time(ALERTS{alertstate="firing",${only}}[${HISTORY_STEP_S}s])`, grid, stop.signal);
    const now_s = started_ms(alert) / 1000;
    history = rows.flatMap(({values}) => runs(values, grid, (v) => v > 0))
      .map((run) => ({...run, from: run.from - HISTORY_STEP_S})).filter((run) => run.to < now_s);
    if (alert.state === 'firing') history.push({from: now_s, to: end, is_open: true});
    history.sort((a, b) => b.from - a.from);
  }

  async function read_chart(alert) {
    const found = rule_of(alert);
    if (found === null) return;
    const query = found.rule.query;
    const cut = split_comparison(query);
    const grid = grid_now(alert);
    const rows = of_alert(await api.query_range(cut ? cut.left : query, grid, stop.signal), alert.labels);
    const series = rows.slice(0, SERIES_SHOWN).map(({metric, values}, i) =>
      ({name: series_name(metric), values, colour: 'c' + (i + 1)}));
    const threshold = cut ? cut.threshold : null;
    const count = Math.floor((grid.end - grid.start) / grid.step + 1e-9) + 1;
    if (threshold !== null) {
      series.push({name: `${t('threshold')} ${cut.operator}`, values: new Array(count).fill(threshold),
        colour: severity_colour(alert.labels), dashed: true});
    }
    if (chart === null) {
      const unit = looks_like_ratio(series, threshold) ? format.percent : format.plain;
      chart = make_chart({id: 'expression', title: cut ? cut.left : query, unit, height: 220,
        ...(threshold === null ? {} : {threshold})}, {});
      chart_box.append(chart.root);
    }
    const active = alert.state === 'firing' ? [{kind: 'alert', colour: severity_colour(alert.labels),
      from: started_ms(alert) / 1000, to: grid.end}] : [];
    chart.show(series, grid, active, null);
  }

  /* Asked again when something was done about the alert; of one that is gone, too. */
  async function read_why() {
    const alert = find();
    const fingerprint = alert ? alert.fingerprint : state.get('alert');
    why_of = JSON.stringify(alert && [alert.state, alert.status, alert.acknowledged]);
    if (!/^[0-9a-f]{16}$/.test(fingerprint || '')) return;
    try {
      why = await api.explain(fingerprint, stop.signal);
      draw();
    } catch (error) {
      if (error.status === 404) why = null; /* nobody remembers it; else what was known stays */
    }
  }

  function is_why_old() {
    const alert = find();
    return why_of !== JSON.stringify(alert && [alert.state, alert.status, alert.acknowledged]);
  }

  async function load() {
    clearTimeout(timer);
    if (!document.hidden) read_why();
    const alert = find();
    if (alert !== null && !document.hidden) {
      await Promise.all([read_chart(alert), read_history(alert)].map((work) => work.catch((error) => {
        if (chart && !stop.signal.aborted) chart.fail(error.message);
      })));
      draw();
    }
    if (!stop.signal.aborted) timer = setTimeout(load, RELOAD_MS);
  }

  function draw_head(alert, is_over) {
    const {instance} = alert.labels;
    morph(head, [
      h('p', {class: 'crumb', 'data-key': 'crumb'},
        h('a', {href: state.query({}), 'data-nav': true}, '‹ ' + t('nav.overview'))),
      h('h1', {'data-key': 'title'}, parts.severity(alert), ' ', alert.labels.alertname),
      h('p', {class: 'lead', 'data-key': 'lead'}, parts.summary(alert)),
      is_over ? h('p', {class: 'over', 'data-key': 'over', role: 'status'}, t('alert.over')) : null,
      h('p', {class: 'alert-line', 'data-key': 'line'},
        instance ? h('span', null, t('column.host'), ' ', parts.host_link(instance)) : null,
        h('span', null, t('column.since'), ' ', parts.since(started_ms(alert))),
        h('span', null, t('value'), ' ', h('b', null, format.plain(Number(alert.value)))),
        parts.standing(alert, model.silences)),
      is_over ? null : h('div', {class: 'buttons', 'data-key': 'buttons'}, parts.alert_buttons(alert),
        instance ? h('a', {class: 'button', 'data-nav': true, href: state.query(beginning(alert))},
          t('alert.moment')) : null),
    ].filter(Boolean));
  }

  function history_list() {
    if (history === null) return h('p', {class: 'quiet'}, t('loading'));
    if (history.length === 0) return h('p', {class: 'quiet'}, t('history.none'));
    return h('ol', {class: 'history'}, history.slice(0, 20).map((run) => h('li', {'data-key': String(run.from)},
      parts.time(run.from * 1000), ' ', h('span', {class: 'quiet'}, run.is_open ? t('event.open')
        : t('event.lasted', format.span(run.to - run.from))))));
  }

  function draw_detail(alert) {
    const found = rule_of(alert);
    const said = Object.entries(alert.annotations || {}).filter(([name]) => name !== 'summary');
    morph(detail, [
      why_panel(why),
      h('section', {'data-key': 'rule'}, h('h2', null, t('rule')),
        found ? [h('pre', {class: 'expression'}, found.rule.query),
          h('p', {class: 'quiet'}, t('rule.where', found.group.name, found.group.file),
            found.rule.duration > 0 ? ' · ' + t('rule.for', format.span(found.rule.duration)) : '')]
          : h('p', {class: 'quiet'}, t('rule.none'))),
      said.length > 0 ? h('section', {'data-key': 'said'}, h('h2', null, t('annotations')),
        h('dl', {class: 'pairs'}, said.map((pair) => annotation(...pair)))) : null,
      h('section', {'data-key': 'labels'}, h('h2', null, t('labels')), h('p', null, parts.tags(alert.labels))),
      h('section', {'data-key': 'history'}, h('h2', null, t('history')), history_list()),
    ].filter(Boolean));
  }

  function draw() {
    const alert = find() || last;
    if (alert === null) {
      morph(head, [h('p', {class: model.alerts ? 'empty' : 'loading', 'data-key': 'none'},
        model.alerts ? t('alert.gone') : t('loading'))]);
      morph(detail, [why_panel(why)].filter(Boolean));
      return;
    }
    draw_head(alert, find() === null);
    draw_detail(alert);
  }

  return {
    update() {
      last = find() || last;
      draw();
      if (!started && last !== null && model.rules !== null) {
        started = true;
        load();
      } else if (model.alerts !== null && is_why_old()) {
        read_why();
      }
    },
    restyle() {
      if (chart) chart.restyle();
    },
    unmount() {
      stop.abort();
      clearTimeout(timer);
      if (chart) chart.destroy();
    },
  };
}
