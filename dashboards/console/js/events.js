/*
 * events.js - what happened on a host in a stretch of time: alerts, silences of its probe,
 * restarts of the system and of process groups.  They are listed, and marked on the charts.
 */
import * as api from './api.js';
import {quoted} from './api.js';
import {rank_of} from './model.js';

const GROUPS_SHOWN = 12;
const LASTING_S = 300;
const RESTARTS_AT_MOST = 3;

/* Runs of values that fit: [{from, to}], a run ending at the last step is still going on. */
export function runs(values, grid, fits) {
  const found = [];
  let first = -1;
  for (let i = 0; i <= values.length; i++) {
    const is_in = i < values.length && values[i] !== null && fits(values[i]);
    if (is_in && first < 0) first = i;
    if (!is_in && first >= 0) {
      found.push({from: grid.start + first * grid.step, to: grid.start + (i - 1) * grid.step,
        is_open: i === values.length, is_cut: first === 0});
      first = -1;
    }
  }
  return found;
}

export function severity_colour(labels) {
  return ['critical', 'critical', 'warning', 'info', 'info'][rank_of(labels)];
}

/* Wide steps must not step over what was short. */
function in_step(aggregate, selector, {step}) {
  return step > 60 ? `${aggregate}(${selector}[${step}s])` : selector;
}

async function alert_events(of, grid, signal) {
  const rows = await api.query_range(in_step('max_over_time', `ALERTS{alertstate="firing",${of}}`, grid),
    grid, signal);
  return rows.flatMap(({metric, values}) => runs(values, grid, (v) => v > 0).map((run) =>
    ({kind: 'alert', name: metric.alertname, labels: metric, colour: severity_colour(metric), ...run})));
}

async function silent_events(of, grid, signal) {
  const rows = await api.query_range(in_step('min_over_time', `up{${of}}`, grid), grid, signal);
  return rows.flatMap(({values}) => runs(values, grid, (v) => v === 0)
    .map((run) => ({kind: 'silent', colour: 'quiet', ...run})));
}

/* Process groups that began here and stayed, or that were there before and began again: what comes
 * and goes (cron, shells, compilers) is no news. */
function lasting_starts(of, {start, end}) {
  const began = `namedprocess_namegroup_oldest_start_time_seconds{${of}}`;
  return `topk(${GROUPS_SHOWN}, (${began} >= ${start}) and on (groupname) ` +
    `(${began} <= ${end - LASTING_S} or on (groupname) (${began} @ ${start})) unless on (groupname) ` +
    `(changes(${began}[${Math.ceil(end - start)}s]) > ${RESTARTS_AT_MOST}))`;
}

/* Times told by gauges that hold a start time. */
async function start_events(of, grid, signal) {
  const boot = await api.query(`node_boot_time_seconds{${of}} >= ${grid.start}`, grid.end, signal);
  const groups = await api.query(lasting_starts(of, grid), grid.end, signal);
  return [...boot.map((row) => ({kind: 'boot', colour: 'warning', from: row.value, to: row.value})),
    ...groups.map((row) => ({kind: 'process', name: row.metric.groupname, colour: 'info', from: row.value,
      to: row.value}))];
}

/* Newest first.  A kind that cannot be asked is left out. */
export async function events(instance, grid, signal) {
  const of = `instance=${quoted(instance)}`;
  const kinds = await Promise.all([alert_events, silent_events, start_events].map((read) =>
    read(of, grid, signal).catch((error) => {
      if (signal && signal.aborted) throw error;
      return [];
    })));
  return kinds.flat().sort((a, b) => b.from - a.from);
}
