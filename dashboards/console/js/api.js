/*
 * api.js - the collector's HTTP API, and nothing else: requests go to this server only.
 *
 * Paths are relative to the page, so a proxy may serve the console below a folder.  The Date
 * header of answers tells how far the browser's clock is off: ages are counted by the collector's.
 */

const TIMEOUT_MS = 20000;
const base = location.origin + location.pathname.replace(/[^/]*$/, '');
let clock_offset_ms = 0;

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status; /* 0: no answer */
  }
}

/* The collector's clock, within a second. */
export function now_ms() {
  return Date.now() + clock_offset_ms;
}

export function clock_skew_ms() {
  return clock_offset_ms;
}

function note_clock(answer, asked_ms) {
  const said = Date.parse(answer.headers.get('Date') || '');
  if (Number.isNaN(said) || Date.now() - asked_ms > 2000) return;
  const offset = said + 500 - (asked_ms + Date.now()) / 2;
  /* The header has whole seconds: below that it says nothing. */
  clock_offset_ms = Math.abs(offset) < 1500 ? 0 : offset;
}

async function request(method, path, {params, body, signal} = {}) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
  if (signal) signal.addEventListener('abort', () => stop.abort());
  const search = params ? '?' + new URLSearchParams(params) : '';
  const asked_ms = Date.now();
  try {
    const answer = await fetch(base + path + search, {
      method, signal: stop.signal, cache: 'no-store', credentials: 'same-origin',
      headers: body === undefined ? {} : {'Content-Type': 'application/json'},
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    note_clock(answer, asked_ms);
    const text = await answer.text();
    let json = null;
    try {
      json = JSON.parse(text);
    } catch (error) {
      json = null;
    }
    if (!answer.ok) throw new ApiError(answer.status, reason_of(json, text));
    return json;
  } catch (error) {
    if (signal && signal.aborted) throw error;
    if (error instanceof ApiError) throw error;
    throw new ApiError(0, error.name === 'AbortError' ? 'timeout' : error.message);
  } finally {
    clearTimeout(timer);
  }
}

function reason_of(json, text) {
  if (typeof json === 'string') return json; /* Alertmanager's API v2 */
  return (json && (json.error || json.message)) || text.slice(0, 200).trim();
}

async function data(path, params, signal) {
  return (await request('GET', path, {params, signal})).data;
}

export const probes = () => data('api/fengsui/v1/probes');
export const status = () => data('api/fengsui/v1/status');
export const rules = () => data('api/v1/rules', {type: 'alert'});
export const session = () => data('api/fengsui/v1/session');
export const processes = (instance, at, signal) =>
  data('api/fengsui/v1/processes', {instance, time: at.toFixed(3)}, signal);
export const logs = (params, signal) => data('api/fengsui/v1/logs', params, signal);

/* What began and ended while the collector was down. */
export async function past_alerts() {
  return (await data('api/fengsui/v1/alerts/past')).alerts;
}

export async function alerts() {
  return (await data('api/fengsui/v1/alerts')).alerts;
}

export const explain = (fingerprint, signal) =>
  data(`api/fengsui/v1/alerts/${encodeURIComponent(fingerprint)}/explain`, undefined, signal);
export const acknowledge = (body) =>
  request('POST', 'api/fengsui/v1/alerts/acknowledge', {body});
export const unacknowledge = (body) =>
  request('POST', 'api/fengsui/v1/alerts/unacknowledge', {body});
export async function incidents() {
  return (await data('api/fengsui/v1/incidents', {state: 'active'})).incidents;
}

export const incident = (number) => data('api/fengsui/v1/incidents/' + encodeURIComponent(number));
export const take = (body) => request('POST', 'api/fengsui/v1/incidents/acknowledge', {body});
export const untake = (body) => request('POST', 'api/fengsui/v1/incidents/unacknowledge', {body});
export const jobs = async () => (await data('api/fengsui/v1/jobs')).jobs;
export const job = (name) => data('api/fengsui/v1/jobs/' + encodeURIComponent(name));
/* `span`: 2h; "" until it is resumed. */
export const pause_job = (name, span) => request('POST',
  'api/fengsui/v1/jobs/' + encodeURIComponent(name) + '/pause', span ? {params: {for: span}} : {});
export const resume_job = (name) => request('POST', 'api/fengsui/v1/jobs/' + encodeURIComponent(name) + '/resume');
export const keys = () => data('api/fengsui/v1/keys');
export const approve = (body) => request('POST', 'api/fengsui/v1/keys/approve', {body});
export const silences = () => request('GET', 'api/v2/silences');
export const silence = (body) => request('POST', 'api/v2/silences', {body});
export const expire = (id) => request('DELETE', 'api/v2/silence/' + encodeURIComponent(id));

/* [{metric, value}] of an instant query; `at` in Unix seconds, now if absent. */
export async function query(expression, at, signal) {
  const params = {query: expression};
  if (at !== undefined && at !== null) params.time = at.toFixed(3);
  const {result} = await data('api/v1/query', params, signal);
  return result.map(({metric, value}) => ({metric, value: Number(value[1]), at: value[0]}));
}

/* [{metric, values: [[seconds, text]]}]: the samples of a range selector as they are. */
export async function query_raw(expression, at, signal) {
  return (await data('api/v1/query', {query: expression, time: at.toFixed(3)}, signal)).result;
}

/* [{metric, values}] on the whole grid start, start+step .. end: what is missing is null. */
export async function query_range(expression, {start, end, step}, signal) {
  const {result} = await data('api/v1/query_range',
    {query: expression, start: start.toFixed(3), end: end.toFixed(3), step: String(step)}, signal);
  const count = Math.floor((end - start) / step + 1e-9) + 1;
  return result.map(({metric, values}) => {
    const grid = new Array(count).fill(null);
    for (const [time, text] of values) {
      const value = Number(text);
      const index = Math.round((time - start) / step);
      if (index >= 0 && index < count && Number.isFinite(value)) grid[index] = value;
    }
    return {metric, values: grid};
  });
}

/* A text inside a PromQL string. */
export function quoted(text) {
  return JSON.stringify(text).replace(/[\u007f-\u009f]/g, (c) =>
    '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
}
