/*
 * model.js - what the collector last said, asked again every few seconds while the page is seen.
 *
 * Each kind of fact has its own rhythm.  A kind that fails leaves what was known, with its time;
 * the banner says since when.  Kinds that this collector does not have (404) or that this user may
 * not ask (403) are absent, and so are the buttons that need them.
 */
import * as api from './api.js';
import * as state from './state.js';

const FAST_MS = 5000;
const MANY_HOSTS = 500; /* their list is long: it is asked for less often */
const AGAIN_MS = 2000; /* after a failure */

export const model = {
  probes: null, status: null, alerts: null, rules: null, silences: null, session: null, pending: [], past: [],
  incidents: null, incident: null, /* those that are not over; the one that is looked at */
  jobs: null, job: null,
  usage: new Map(),  /* instance -> {cpu, memory, disk, mount} */
  sparks: new Map(), /* instance -> the last half hour of CPU, one value a minute */
  as_of_ms: 0, failure: null, failures: 0, since_ms: 0,
};

const listeners = [];
let timer = null;
let turn = 0;

const FILESYSTEMS = '{fstype!~"tmpfs|devtmpfs|ramfs|overlay|squashfs|iso9660"}';
const CPU = '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[1m]))';
const MEMORY = '1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes';
const DISK = `topk by (instance) (1, 1 - node_filesystem_avail_bytes${FILESYSTEMS} / ` +
  `node_filesystem_size_bytes)`;

async function read_usage(kind) {
  const [cpu, memory, disk] = await Promise.all([CPU, MEMORY, DISK].map((e) => api.query(e)));
  const usage = new Map();
  const of = (row) => {
    const name = row.metric.instance || '';
    if (!usage.has(name)) usage.set(name, {});
    return usage.get(name);
  };
  for (const row of cpu) of(row).cpu = row.value;
  for (const row of memory) of(row).memory = row.value;
  for (const row of disk) Object.assign(of(row), {disk: row.value, mount: row.metric.mountpoint});
  model.usage = usage;
  kind.every = usage.size < (model.probes || []).length ? 1 : 2; /* a new host is awaited */
}

async function read_sparks() {
  const end = Math.floor(api.now_ms() / 60000) * 60;
  const rows = await api.query_range(CPU, {start: end - 1800, end, step: 60});
  model.sparks = new Map(rows.map((row) => [row.metric.instance || '', row.values]));
}

/* every: in turns of FAST_MS.  A missing kind is asked for again now and then: rights change. */
const kinds = [
  {every: 1, needed: true, read: async (kind) => {
    model.probes = await api.probes();
    kind.every = model.probes.length > MANY_HOSTS ? 6 : 1;
  }},
  {every: 1, needed: true, read: async () => { model.status = await api.status(); }},
  {every: 1, needed: true, read: async () => { model.alerts = await api.alerts(); }},
  {every: 2, read: read_usage},
  {every: 12, read: read_sparks},
  {every: 12, read: async () => { model.rules = (await api.rules()).groups; }},
  {every: 2, read: async () => { model.silences = await api.silences(); }},
  {every: 1, read: async () => { model.incidents = await api.incidents(); }},
  {every: 1, read: async () => {
    const chosen = state.get('incident');
    model.incident = chosen === null ? null : await api.incident(chosen);
  }},
  {every: 2, read: async () => { model.jobs = await api.jobs(); }},
  {every: 1, read: async () => {
    const chosen = state.get('job');
    model.job = chosen === null ? null : await api.job(chosen);
  }},
  {every: 12, read: async () => { model.past = await api.past_alerts(); }},
  {every: 12, read: async () => { model.session = await api.session(); }},
  {every: 2, read: async () => {
    const is_needed = model.status !== null && model.status.probes.pending > 0 && has_role();
    model.pending = is_needed ? (await api.keys()).filter((one) => one.standing === 'pending') : [];
  }},
];

function is_denied(error) {
  return error instanceof api.ApiError && (error.status === 404 || error.status === 403);
}

async function read_kind(kind) {
  if (turn < (kind.next || 0)) return;
  kind.next = Infinity; /* while it is under way */
  try {
    await kind.read(kind);
    kind.next = turn + kind.every;
  } catch (error) {
    kind.next = is_denied(error) && !kind.needed ? turn + 60 : turn + 1;
    if (kind.needed) throw error;
  }
}

export async function refresh() {
  clearTimeout(timer);
  turn++;
  try {
    await Promise.all(kinds.map(read_kind));
    model.as_of_ms = api.now_ms();
    model.failure = null;
    model.failures = 0;
  } catch (error) {
    if (model.failure === null) model.since_ms = Date.now();
    model.failure = error;
    model.failures++;
  }
  listeners.forEach((listener) => listener());
  if (!document.hidden) timer = setTimeout(refresh, model.failure ? AGAIN_MS : FAST_MS);
}

/* All kinds again, at once: after something was changed here. */
export function refresh_all() {
  for (const kind of kinds) kind.next = 0;
  return refresh();
}

export function on_change(listener) {
  listeners.push(listener);
}

const chosen_now = () => [state.get('incident'), state.get('job')].join('\n');
let looked_at = chosen_now();
state.on_change(() => {
  if (chosen_now() === looked_at) return;
  looked_at = chosen_now();
  refresh_all(); /* it is not shown before it was asked for */
});

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) refresh();
  else clearTimeout(timer);
});

/* ---- what follows from it ------------------------------------------------------------------ */

function has_role() {
  const session = model.session;
  return session !== null && (!session.users || ['operator', 'admin'].includes(session.role));
}

/* Acts on incidents. */
export function may_handle() {
  return has_role();
}

export function may_acknowledge() {
  return has_role() && (model.alerts || []).some((alert) => alert.fingerprint !== undefined);
}

export function may_silence() {
  return has_role() && model.silences !== null;
}

/* What a link names an alert by. */
export function identity(alert) {
  return alert.fingerprint ||
    Object.entries(alert.labels).sort().map((pair) => pair.join('=')).join(',');
}

/* The words that rules in the field use. */
const RANKS = [['critical', 'disaster', 'emergency', 'fatal', 'page', 'p1', '严重', '紧急', '灾难'],
  ['error', 'major', 'high', 'average', 'p2', '错误', '高'],
  ['warning', 'warn', 'minor', 'low', 'p3', '警告', '一般'],
  ['info', 'information', 'notice', 'p4', '提示', '信息']];

/* Of labels: 0 critical, 1 error, 2 warning, 3 info, 4 none said. */
export function rank_of(labels) {
  const found = RANKS.findIndex((words) => words.includes((labels.severity || '').toLowerCase()));
  return found < 0 ? RANKS.length : found;
}

export function rank(alert) {
  return rank_of(alert.labels);
}

export function is_suppressed(alert) {
  return alert.status !== undefined && alert.status.state === 'suppressed';
}

export function started_ms(alert) {
  return Date.parse(alert.activeAt);
}

/* Worst first; of the same severity those nobody has taken, then the newest. */
export function by_urgency(a, b) {
  return rank(a) - rank(b) || Number(Boolean(a.acknowledged)) - Number(Boolean(b.acknowledged)) ||
    started_ms(b) - started_ms(a) || (identity(a) < identity(b) ? -1 : 1);
}

/* {firing, pending, silenced}, each sorted. */
export function sorted_alerts() {
  const all = [...(model.alerts || [])].sort(by_urgency);
  const firing = all.filter((a) => a.state === 'firing');
  return {firing: firing.filter((a) => !is_suppressed(a)),
    silenced: firing.filter(is_suppressed), pending: all.filter((a) => a.state === 'pending')};
}

export function silent_probes() {
  return (model.probes || []).filter((probe) => probe.state === 'silent')
    .sort((a, b) => b.lastTickMs - a.lastTickMs);
}

/* Whether somebody should look: the tab's icon and the beacon say so. */
export function is_troubled() {
  return model.status !== null && (!model.status.ready || model.status.probes.silent > 0 ||
    sorted_alerts().firing.length > 0);
}

/* The rule an alert comes from: {rule, group}, or null. */
export function rule_of(alert) {
  for (const group of model.rules || []) {
    for (const rule of group.rules) {
      if (rule.name === alert.labels.alertname && (rule.alerts || []).some((one) =>
        one.activeAt === alert.activeAt && same_labels(one.labels, alert.labels)))
        return {rule, group};
    }
  }
  return rule_by_name(alert.labels.alertname);
}

function rule_by_name(name) {
  for (const group of model.rules || []) {
    const rule = group.rules.find((one) => one.name === name);
    if (rule) return {rule, group};
  }
  return null;
}

function same_labels(a, b) {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
