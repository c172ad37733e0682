/*
 * ticks.js - how often a host's series really come.
 *
 * Charts must know: a value may stand for the time until the next one is due, and no longer.
 * (A plain selector would carry it on for five minutes, across a gap.)  Sources of one probe may
 * have intervals of their own; the slowest of those that the charts use decides.
 */
import * as api from './api.js';
import {quoted} from './api.js';

const LOOK_BACK = '5m';
const NAMES = 'node_load1|node_memory_MemFree_bytes|node_intr_total|node_network_up|node_disk_io_now';

function median_gap(values) {
  const gaps = values.slice(1).map(([time], i) => time - values[i][0]).sort((a, b) => a - b);
  return gaps.length > 0 ? gaps[Math.floor(gaps.length / 2)] : 0;
}

/* Seconds between two samples at a time; `otherwise` where there are none, and never less. */
export async function interval_at(instance, at, otherwise, signal) {
  const series = await api.query_raw(
    `{__name__=~"${NAMES}",instance=${quoted(instance)}}[${LOOK_BACK}]`, at, signal);
  return Math.max(otherwise, ...series.map((one) => median_gap(one.values)));
}
