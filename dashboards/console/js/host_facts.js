/* host_facts.js - what a host is: system, kernel, processors, memory, running since; its disks. */
import {t} from './text.js';
import * as api from './api.js';
import {quoted} from './api.js';
import * as format from './format.js';

const FACTS_KEPT = '1h';

/* [[name, text]]: only what is known. */
export async function facts_of(instance, at, signal) {
  /* What a host is does not change when it falls silent; how long it runs is unknown then. */
  const of = `{instance=${quoted(instance)}}`;
  const kept = (name, more = '') =>
    `last_over_time(${name}{instance=${quoted(instance)}${more}}[${FACTS_KEPT}])`;
  const ask = (expression) => api.query(expression, at, signal).then((rows) => rows[0] || null);
  const [os, uname, cpus, memory, boot] = await Promise.all([
    ask(kept('node_os_info')), ask(kept('node_uname_info')),
    ask(`count(${kept('node_cpu_seconds_total', ',mode="idle"')})`),
    ask(kept('node_memory_MemTotal_bytes')), ask(`node_boot_time_seconds${of}`)]);
  const facts = [];
  if (os) facts.push([t('fact.os'), os.metric.pretty_name || os.metric.name || '']);
  if (uname) facts.push([t('fact.kernel'), `${uname.metric.release} ${uname.metric.machine}`]);
  if (cpus) facts.push([t('fact.cpus'), String(cpus.value)]);
  if (memory) facts.push([t('fact.memory'), format.bytes(memory.value)]);
  if (boot) facts.push([t('fact.running'), format.span(at - boot.value)]);
  return facts;
}

/* [{mount, device, type, size, free, used}], fullest first; of a silent host as it was last. */
export async function filesystems(instance, at, signal) {
  const of = `{instance=${quoted(instance)},fstype!~"tmpfs|devtmpfs|ramfs|overlay|squashfs|iso9660"}`;
  const ask = (around) => Promise.all(['size', 'avail'].map((what) =>
    api.query(around(`node_filesystem_${what}_bytes${of}`), at, signal)));
  let [sizes, frees] = await ask((selector) => selector);
  if (sizes.length === 0)
    [sizes, frees] = await ask((selector) => `last_over_time(${selector}[${FACTS_KEPT}])`);
  const key = ({metric}) => metric.device + '\n' + metric.mountpoint;
  const free_of = new Map(frees.map((row) => [key(row), row.value]));
  return sizes.filter((row) => row.value > 0).map((row) => {
    const free = free_of.get(key(row));
    return {mount: row.metric.mountpoint, device: row.metric.device, type: row.metric.fstype,
      size: row.value, free, used: free === undefined ? NaN : 1 - free / row.value};
  }).sort((a, b) => b.used - a.used || (a.mount < b.mount ? -1 : 1));
}
