/*
 * panels.js - which charts a host has: titles, units, and the queries behind them.
 *
 * A query yields one series (name is a text) or one a label (name is a function of the metric).
 * `rate` is the window of rates: at least four ticks of the probe, and a whole step.
 */
import {t} from './text.js';
import * as format from './format.js';
import {quoted} from './api.js';

const DEVICES_SHOWN = 6;
const MODE_LEAST = 0.01; /* rarer modes are left out where they never came that far */
const MODES = ['user', 'nice', 'system', 'softirq', 'irq', 'steal', 'iowait'];
const MODE_COLOURS = {user: 'c1', nice: 'c7', system: 'c2', softirq: 'c5', irq: 'c6', steal: 'c8',
  iowait: 'c3'};
const PALETTE = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8'];

function order_modes(series) {
  return MODES.map((mode) => series.find((one) => one.name === mode)).filter(Boolean)
    .filter((one) => ['user', 'system', 'iowait'].includes(one.name) ||
      one.values.some((v) => v !== null && v >= MODE_LEAST));
}

/* The busiest devices only, in the order of their names. */
function busiest(series) {
  const peak = (one) => Math.max(0, ...one.values.map((v) => v || 0));
  const sorted = [...series].sort((a, b) => peak(b) - peak(a)).slice(0, DEVICES_SHOWN);
  return sorted.filter((one, i) => i === 0 || peak(one) > 0)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function panels(instance, rate) {
  const of = (more) => `{instance=${quoted(instance)}${more ? ',' + more : ''}}`;
  const real = 'device!~"lo|veth.*|docker.*|br-.*|cni.*|flannel.*|cali.*|virbr.*|bonding_masters"';
  /* A value stands for one window: after that there is a gap, and it is seen. */
  const gauge = (name, more) => `last_over_time(${name}${of(more)}[${rate}])`;
  const memory = (name) => gauge(`node_memory_${name}_bytes`);
  return [
    {id: 'cpu', title: t('panel.cpu'), unit: format.percent, stack: true, ceiling: 1,
      colours: MODE_COLOURS, choose: order_modes, queries: [
        {expression: `avg by (mode) (rate(node_cpu_seconds_total${of('mode!="idle"')}[${rate}]))`,
          name: (metric) => metric.mode}]},
    {id: 'memory', title: t('panel.memory'), unit: format.bytes, stack: true, is_binary: true, queries: [
      {expression: `${memory('MemTotal')} - ${memory('MemAvailable')}`, name: t('memory.used'), colour: 'c1'},
      {expression: `${memory('MemAvailable')} - ${memory('MemFree')}`, name: t('memory.cache'), colour: 'c4'},
      {expression: memory('MemFree'), name: t('memory.free'), colour: 'c9'}]},
    {id: 'load', title: t('panel.load'), unit: format.plain, queries: [
      {expression: gauge('node_load1'), name: t('load.1'), colour: 'c1'},
      {expression: gauge('node_load5'), name: t('load.5'), colour: 'c2'},
      {expression: gauge('node_load15'), name: t('load.15'), colour: 'c4'},
      {expression: `count(${gauge('node_cpu_seconds_total', 'mode="idle"')})`, name: t('load.cpus'),
        colour: 'quiet', dashed: true}]},
    {id: 'disk', title: t('panel.disk'), unit: format.bytes_rate, is_binary: true, queries: [
      {expression: `sum(rate(node_disk_read_bytes_total${of()}[${rate}]))`, name: t('disk.read'), colour: 'c1'},
      {expression: `sum(rate(node_disk_written_bytes_total${of()}[${rate}]))`, name: t('disk.written'),
        colour: 'c2'}]},
    {id: 'busy', title: t('panel.busy'), unit: format.percent, ceiling: 1, choose: busiest, queries: [
      {expression: `rate(node_disk_io_time_seconds_total${of()}[${rate}])`, name: (metric) => metric.device}]},
    {id: 'network', title: t('panel.network'), unit: format.bits_rate, queries: [
      {expression: `8 * sum(rate(node_network_receive_bytes_total${of(real)}[${rate}]))`,
        name: t('network.in'), colour: 'c1'},
      {expression: `8 * sum(rate(node_network_transmit_bytes_total${of(real)}[${rate}]))`,
        name: t('network.out'), colour: 'c2'}]},
  ];
}

/* Answers of a panel's queries to named, coloured series. */
export function series_of(panel, answers) {
  const series = [];
  panel.queries.forEach((query, i) => {
    for (const {metric, values} of answers[i]) {
      const name = typeof query.name === 'function' ? query.name(metric) : query.name;
      series.push({name, values, colour: query.colour, dashed: query.dashed});
    }
  });
  const chosen = panel.choose ? panel.choose(series) : series;
  chosen.forEach((one, i) => {
    one.colour = one.colour || (panel.colours && panel.colours[one.name]) || PALETTE[i % PALETTE.length];
  });
  return chosen;
}

const STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400];
const POINTS = 360;

/* The step for a stretch of time, seconds: never finer than the probe's ticks. */
export function step_for(seconds, interval) {
  const least = Math.max(interval, seconds / POINTS);
  return STEPS.find((step) => step >= least) || STEPS[STEPS.length - 1];
}

export function rate_for(step, interval) {
  return Math.ceil(Math.max(step, 4 * interval)) + 's';
}
