/*
 * processes.js - what ran at one second: the newest process table at or before it.
 *
 * The cursor moves faster than answers come: only the latest wish is asked for, one at a time,
 * and what was asked before is kept.
 */
import {h, morph} from './dom.js';
import {t} from './text.js';
import * as api from './api.js';
import * as format from './format.js';

const KEPT = 300;
const ROWS = 12;
const FRESH_S = 600;

const orders = {
  cpu: (row) => row.cpu,
  memory: (row) => row.residentBytes,
  io: (row) => row.readBytesPerSecond + row.writeBytesPerSecond,
};

export function process_table(instance) {
  const root = h('section', {class: 'processes', id: 'processes', 'aria-label': t('processes')});
  const known = new Map(); /* second -> {table} or {error} */
  let wanted = null;       /* Unix seconds */
  let busy = false;
  let order = 'cpu';
  let shown = null;
  let stopped = false;

  function head(name, text, title) {
    return h('th', {scope: 'col', class: 'num', 'aria-sort': order === name ? 'descending' : null},
      h('button', {type: 'button', class: 'sort', 'data-do': 'processes-by', 'data-order': name, title},
        text, order === name ? h('span', {'aria-hidden': 'true'}, ' ▾') : null));
  }

  /* What has just begun is what changed. */
  function fresh(one) {
    const age = shown.at - one.startMs / 1000;
    return age >= 0 && age < FRESH_S ? h('span', {class: 'fresh'}, t('process.fresh', format.span(age)), ' ') : null;
  }

  /* An older probe tells none. */
  function ports(one) {
    if (!one.ports || !one.ports.length) return null;
    return [' ', h('span', {class: 'ports', title: t('process.ports.hint')}, one.ports.map((port) => ':' + port).join(' '))];
  }

  function row(one) {
    return h('tr', {'data-key': one.pid + ' ' + one.startMs},
      h('td', {class: 'p-name'}, h('span', {class: 'p-line'}, h('b', null, one.name), ' ',
        fresh(one), h('span', {class: 'quiet'}, `${one.pid} ${one.user}`), ports(one)),
      h('span', {class: 'command', title: one.commandLine}, one.commandLine)),
      h('td', {class: 'num'}, format.percent(one.cpu)),
      h('td', {class: 'num'}, format.bytes(one.residentBytes)),
      h('td', {class: 'num'}, format.bytes_rate(orders.io(one))));
  }

  function body() {
    const {at, table, error} = shown;
    if (error) {
      return [h('p', {class: 'empty', 'data-key': 'empty'},
        error.status === 404 ? t('processes.none', format.when_full(at * 1000)) : t('chart.failed', error.message))];
    }
    const rows = [...table.processes].sort((a, b) => orders[order](b) - orders[order](a)).slice(0, ROWS);
    const age = Math.round(at - table.timeMs / 1000);
    return [
      h('p', {class: 'quiet small-text', 'data-key': 'note'},
        t('processes.of', format.clock(table.timeMs), table.processCount),
        age > 30 ? h('b', {class: 'warn'}, ' ', t('processes.old', format.span(age))) : null),
      h('table', {'data-key': 'table', 'data-time': table.timeMs},
        h('caption', {class: 'hidden'}, t('processes')),
        h('thead', null, h('tr', null, h('th', {scope: 'col'}, t('process')),
          head('cpu', 'CPU', t('process.cpu.hint')),
          head('memory', t('column.memory')), head('io', t('process.io')))),
        h('tbody', null, rows.map(row)))];
  }

  function draw() {
    morph(root, [h('h3', {'data-key': 'title'}, t('processes')), ...(shown ? body() : [])]);
  }

  async function ask() {
    if (busy || wanted === null || stopped) return;
    const at = wanted;
    busy = true;
    if (!known.has(at)) {
      try {
        known.set(at, {table: await api.processes(instance, at)});
      } catch (error) {
        if (error.status === 404) known.set(at, {error});
        else shown = {at, error};
      }
      if (known.size > KEPT) known.delete(known.keys().next().value);
    }
    busy = false;
    if (stopped) return;
    if (known.has(at)) shown = {at, ...known.get(at)};
    draw();
    if (wanted !== at) ask();
  }

  draw();
  return {
    root,
    /* The second to show; `is_live` asks again, though it was asked before. */
    show(seconds, is_live) {
      const at = Math.round(seconds);
      if (is_live) known.delete(at);
      wanted = at;
      ask();
    },
    sort(name) {
      order = orders[name] ? name : 'cpu';
      draw();
    },
    stop() {
      stopped = true;
    },
  };
}
