/* ports.js - the ports on which a host listens, and those on which it should and does not. */
import {h} from './dom.js';
import {t} from './text.js';
import * as api from './api.js';
import {quoted} from './api.js';
import * as format from './format.js';

const KEPT = '1h';
const ROWS = 10;
const CROWDED = 0.8; /* of the connections that may wait: above it the rule alerts, too */

const COLUMNS = {up: 'is_up', backlog: 'waiting', backlog_limit: 'limit'};

/* [{port, protocol, service, is_up, waiting, limit}], those that nobody serves first; of a silent
 * host as it was last. */
export async function ports_of(instance, at, signal) {
  const of = `{__name__=~"listen_port_(${Object.keys(COLUMNS).join('|')})",instance=${quoted(instance)}}`;
  let rows = await api.query(of, at, signal);
  if (rows.length === 0) rows = await api.query(`last_over_time(${of}[${KEPT}])`, at, signal);
  const found = new Map();
  for (const {metric, value} of rows) {
    const {port, protocol, service = ''} = metric;
    const key = [protocol, port, service].join('\n');
    if (!found.has(key)) found.set(key, {key, port: Number(port), protocol, service});
    found.get(key)[COLUMNS[metric.__name__.replace('listen_port_', '')]] = value;
  }
  const is_down = (one) => one.is_up === 0 ? 0 : 1;
  return [...found.values()].filter((one) => one.is_up !== undefined).sort((a, b) =>
    is_down(a) - is_down(b) || a.port - b.port || (a.key < b.key ? -1 : 1));
}

/* A listener of datagrams, and an older kernel, say less. */
function waiting(one) {
  if (!format.is_number(one.waiting)) return '–';
  const is_crowded = format.is_number(one.limit) && one.waiting > CROWDED * one.limit;
  return h('span', {class: is_crowded ? 'warn' : null, title: t('ports.waiting.hint')},
    format.is_number(one.limit) ? `${one.waiting} / ${one.limit}` : String(one.waiting));
}

function row(one) {
  return h('tr', {'data-key': one.key, 'data-port': one.port},
    h('td', {class: 'num'}, String(one.port), ' ', h('span', {class: 'quiet'}, one.protocol)),
    h('td', {class: 'port-service'}, one.service || '–'),
    h('td', null, one.is_up === 0 ? h('span', {class: 'port-down'}, t('ports.down')) : h('span', {class: 'quiet'}, t('ports.up'))),
    h('td', {class: 'num'}, waiting(one)));
}

function table(ports, key) {
  return h('table', {'data-key': key}, h('caption', {class: 'hidden'}, t('ports')),
    h('thead', null, h('tr', null, ['port', 'service', 'state', 'waiting'].map((name) =>
      h('th', {scope: 'col', class: ['port', 'waiting'].includes(name) ? 'num' : null}, t('ports.' + name))))),
    h('tbody', null, ports.map(row)));
}

/* What the section holds. */
export function ports_table(ports) {
  const title = h('h3', {'data-key': 'title'}, t('ports'));
  if (ports.length === 0) return [title, h('p', {class: 'empty', 'data-key': 'none'}, t('ports.none'))];
  const first = [title, table(ports.slice(0, ROWS), 'table')];
  if (ports.length <= ROWS) return first;
  return [...first, h('details', {class: 'more', 'data-key': 'more'},
    h('summary', null, t('ports.more', ports.length - ROWS)), table(ports.slice(ROWS), 'rest'))];
}
