/*
 * host.js - one host: its charts, what ran at the cursor's second, what happened, what it logged.
 *
 * One moment rules the page: the pinned second if there is one, else the cursor's, else now.  The
 * process table follows the cursor; the log follows the pin only, for text that jumps with the
 * mouse cannot be read.
 */
import {h, morph} from './dom.js';
import {t} from './text.js';
import * as api from './api.js';
import * as state from './state.js';
import * as format from './format.js';
import * as parts from './parts.js';
import * as range from './range.js';
import {model, identity, by_urgency, started_ms, may_silence} from './model.js';
import {make_chart} from './chart.js';
import {panels, series_of, step_for, rate_for} from './panels.js';
import {interval_at} from './ticks.js';
import {process_table} from './processes.js';
import {log_tail} from './logs.js';
import {events as read_events} from './events.js';
import {facts_of, filesystems} from './host_facts.js';
import {ports_of, ports_table} from './ports.js';

const LIVE_LEAST_MS = 5000;
const EVENTS_SHOWN = 30;
const ALERTS_AT_FIRST = 4;

export function mount(main) {
  const instance = state.get('host');
  const charts = new Map();
  let grid = null;
  let events = [];
  let facts = null;
  let disks = [];
  let ports = [];
  let hovered = null;
  let timer = null;
  let stop = null;
  let asked = '';

  const head = h('div', {class: 'host-head'});
  const tools = h('div', {class: 'host-tools'});
  const moment_bar = h('div', {class: 'moment'});
  const chart_grid = h('div', {class: 'charts', 'data-island': true});
  const disk_box = h('section', {class: 'filesystems'});
  const port_box = h('section', {class: 'listening'});
  const event_box = h('section', {class: 'events'});
  const table = process_table(instance);
  const logs = log_tail(instance);
  main.append(head, h('div', {class: 'sticky'}, tools, moment_bar), h('div', {class: 'host-body'},
    h('div', {class: 'host-charts'}, chart_grid, disk_box, port_box),
    h('div', {class: 'host-side'}, table.root, event_box)), logs.root);

  const probe = () => (model.probes || []).find((one) => one.instance === instance);
  const interval = () => Math.max(1, ((probe() || {}).intervalMs || 5000) / 1000);
  const pinned = () => Number(state.get('at')) || null;
  const moment = () => pinned() || hovered;

  /* ---- reading ---------------------------------------------------------------------------- */

  function grid_now() {
    const {from, to} = range.current();
    const step = step_for(to - from, interval());
    const end = Math.floor(to / step) * step;
    return {start: Math.ceil((from - 0.001) / step) * step, end, step};
  }

  async function read_panel(panel, wanted, signal) {
    const chart = charts.get(panel.id);
    try {
      const answers = await Promise.all(panel.queries.map((query) =>
        api.query_range(query.expression, wanted, signal)));
      if (!signal.aborted) chart.show(series_of(panel, answers), wanted, marks(), pinned());
    } catch (error) {
      if (!signal.aborted) chart.fail(error.message);
    }
  }

  /* What stands beside the charts; where it cannot be read, what was known stays. */
  async function read_rest(wanted, signal) {
    try {
      const found = await Promise.all([read_events(instance, wanted, signal),
        facts_of(instance, wanted.end, signal), filesystems(instance, pinned() || wanted.end, signal),
        ports_of(instance, pinned() || wanted.end, signal)]);
      if (signal.aborted) return;
      [events, facts, disks, ports] = found;
    } catch (error) {
      return;
    }
    for (const chart of charts.values()) chart.mark(marks(), pinned());
    draw();
  }

  async function load() {
    clearTimeout(timer);
    if (stop) stop.abort();
    stop = new AbortController();
    const {signal} = stop;
    const wanted = grid_now();
    grid = wanted;
    chart_grid.setAttribute('aria-busy', 'true');
    const real = await interval_at(instance, wanted.end, interval(), signal).catch(() => interval());
    if (signal.aborted) return;
    const list = panels(instance, rate_for(wanted.step, real));
    for (const panel of list) {
      if (charts.has(panel.id)) continue;
      charts.set(panel.id, make_chart(panel, on));
      chart_grid.append(charts.get(panel.id).root);
    }
    await Promise.all([...list.map((panel) => read_panel(panel, wanted, signal)),
      read_rest(wanted, signal)]);
    if (signal.aborted) return;
    chart_grid.removeAttribute('aria-busy');
    if (range.current().is_live)
      timer = setTimeout(tick, Math.max(LIVE_LEAST_MS, wanted.step * 500, interval() * 1000));
  }

  function tick() {
    if (document.hidden) timer = setTimeout(tick, LIVE_LEAST_MS);
    else load();
  }

  function marks() {
    const order = ['quiet', 'info', 'warning', 'critical']; /* the worst is painted last */
    return events.filter((one) => one.kind !== 'process')
      .sort((a, b) => order.indexOf(a.colour) - order.indexOf(b.colour));
  }

  /* ---- the moment ------------------------------------------------------------------------- */

  const on = {
    cursor(seconds) {
      if (hovered === seconds) return;
      hovered = seconds;
      draw_moment();
      show_processes();
    },
    pin(seconds) {
      state.set({at: String(Math.round(seconds))});
    },
    zoom(from, to) {
      range.set_stretch(from, to);
    },
  };

  function show_processes() {
    const {to, is_live} = range.current();
    table.show(moment() || to, moment() === null && is_live);
  }

  function move_pin(steps) {
    const {to} = range.current();
    const at = Math.round((moment() || to) + steps * (grid ? grid.step : 1));
    state.set({at: String(at)});
  }

  function draw_moment() {
    const at = moment();
    const {to} = range.current();
    const kind = pinned() ? 'pinned' : hovered !== null ? 'hovered' : 'latest';
    const button = (name, text, label) => h('button', {type: 'button', class: 'small', 'data-do': name,
      title: label, 'aria-label': label}, text);
    morph(moment_bar, [
      button('back-far', '«', t('moment.back.far')), button('back', '‹', t('moment.back')),
      h('span', {class: 'moment-time ' + kind, 'data-at': Math.round(at || to)},
        h('b', null, format.when_full((at || to) * 1000)), ' ', h('span', {class: 'quiet'}, t('moment.' + kind))),
      button('forth', '›', t('moment.forth')), button('forth-far', '»', t('moment.forth.far')),
      pinned() ? h('button', {type: 'button', class: 'small', 'data-do': 'unpin'}, t('moment.unpin'))
        : h('span', {class: 'quiet hint'}, t('moment.hint'))]);
  }

  /* ---- drawing ---------------------------------------------------------------------------- */

  function alerts_here() {
    return (model.alerts || []).filter((one) => one.labels.instance === instance).sort(by_urgency);
  }

  function alert_chip(alert) {
    return h('li', {class: 'chip ' + parts.severity_class(alert) + (alert.state === 'pending' ? ' pending' : ''),
      'data-key': identity(alert), 'data-row': 'alert', 'data-alert': identity(alert), tabindex: '0'},
    parts.severity(alert), ' ', parts.alert_link(alert), ' ', h('span', {class: 'summary'}, parts.summary(alert)), ' ',
    parts.since(started_ms(alert)), ' ', parts.standing(alert, model.silences), ' ',
    h('span', {class: 'buttons'}, parts.alert_buttons(alert)));
  }

  function alert_list(alerts) {
    return h('ul', {class: 'host-alerts', 'aria-label': t('column.alerts')}, alerts.map(alert_chip));
  }

  function draw_head() {
    const here = probe();
    const known = facts || [];
    const is_up = here && here.state === 'up';
    const alerts = alerts_here();
    morph(head, [
      h('div', {class: 'host-title', 'data-key': 'title'}, h('h1', null, instance),
        here ? h('span', {class: 'state ' + here.state}, t('state.' + here.state)) : null,
        here && here.lastTickMs > 0 ? h('span', {class: is_up ? 'quiet' : 'warn'}, t('last.data'), ' ',
          parts.time(here.lastTickMs), ' ', t('ago', parts.age(here.lastTickMs))) : null,
        may_silence() ? h('button', {type: 'button', class: 'small', 'data-do': 'silence-host',
          'data-host': instance}, t('silence.this')) : null,
        here ? parts.tags(here.labels || {}) : model.probes ? h('span', {class: 'warn'}, t('host.unknown')) : null),
      h('dl', {class: 'host-facts', 'data-key': 'facts'}, known.map(([name, value]) =>
        h('div', {'data-key': name}, h('dt', null, name), h('dd', null, value)))),
      alerts.length > 0 ? h('div', {'data-key': 'alerts'}, alert_list(alerts.slice(0, ALERTS_AT_FIRST)),
        alerts.length > ALERTS_AT_FIRST ? h('details', {class: 'more'},
          h('summary', null, t('host.more', alerts.length - ALERTS_AT_FIRST)),
          alert_list(alerts.slice(ALERTS_AT_FIRST))) : null)
        : h('p', {class: 'quiet', 'data-key': 'alerts'}, t('host.noalerts'))]);
  }

  function draw_disks() {
    morph(disk_box, [h('h3', {'data-key': 'title'}, t('filesystems')), disks.length === 0
      ? h('p', {class: 'empty', 'data-key': 'none'}, t('chart.empty'))
      : h('table', {'data-key': 'table'}, h('caption', {class: 'hidden'}, t('filesystems')),
        h('thead', null, h('tr', null, ['mount', 'use', 'free', 'size', 'device'].map((name) =>
          h('th', {scope: 'col', class: ['free', 'size'].includes(name) ? 'num' : null}, t('fs.' + name))))),
        h('tbody', null, disks.map((one) => h('tr', {'data-key': one.mount + ' ' + one.device},
          h('td', {class: 'fs-mount'}, one.mount), h('td', null, parts.bar(one.used)),
          h('td', {class: 'num'}, format.bytes(one.free)), h('td', {class: 'num'}, format.bytes(one.size)),
          h('td', {class: 'quiet fs-device'}, one.device + ' ' + one.type)))))]);
  }

  function event_row(one) {
    const words = t('event.' + one.kind, one.name || '');
    const span = one.to > one.from || one.is_open ? one.is_open ? t('event.open')
      : t('event.lasted', format.span(one.to - one.from)) : '';
    return h('li', {'data-key': [one.kind, one.name, one.from, JSON.stringify(one.labels || '')].join()},
      h('button', {type: 'button', class: 'link', 'data-do': 'pin-at', 'data-at': String(Math.round(one.from))},
        (one.is_cut ? '≤ ' : '') + format.when(one.from * 1000, api.now_ms())), ' ',
      h('span', {class: 'event ' + one.colour}, words), ' ', h('span', {class: 'quiet'}, span));
  }

  function draw_events() {
    morph(event_box, [h('h3', {'data-key': 'title'}, t('events')), events.length === 0
      ? h('p', {class: 'empty', 'data-key': 'none'}, t('events.none'))
      : h('ol', {'data-key': 'list'}, events.slice(0, EVENTS_SHOWN).map(event_row))]);
  }

  function draw() {
    draw_head();
    morph(tools, [range.range_bar()]);
    draw_moment();
    draw_disks();
    morph(port_box, ports_table(ports));
    draw_events();
  }

  /* What of the address makes other data. */
  function asked_for() {
    return [state.get('range'), state.get('from'), state.get('to'), interval()].join();
  }

  let pin_before = pinned();

  function update() {
    if (asked_for() !== asked) {
      asked = asked_for();
      load();
    }
    draw();
    if (pin_before !== pinned()) {
      pin_before = pinned();
      for (const chart of charts.values()) chart.mark(marks(), pinned());
      if (grid !== null) read_rest(grid, stop.signal);
    }
    show_processes();
    logs.show({...range.current(), at: pinned()});
  }

  return {
    update,
    actions: {...range.actions,
      back: () => move_pin(-1), forth: () => move_pin(1), 'back-far': () => move_pin(-10),
      'forth-far': () => move_pin(10), unpin: () => state.set({at: null}),
      'pin-at': (target) => state.set({at: target.dataset.at}),
      'processes-by': (target) => table.sort(target.dataset.order),
      'log-severity': (target) => state.set({severity: target.value})},
    restyle() {
      for (const chart of charts.values()) chart.restyle();
    },
    unmount() {
      clearTimeout(timer);
      if (stop) stop.abort();
      table.stop();
      logs.stop();
      for (const chart of charts.values()) chart.destroy();
    },
  };
}

