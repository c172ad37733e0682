/*
 * state.js - what is looked at, kept in the address: a link shows another person the same.
 *
 *     ?host=web-01&range=6h           one host, the last six hours
 *     ?host=web-01&from=...&to=...    a stretch of time, Unix seconds
 *     &at=1700000000                  the pinned second
 *     ?alert=FINGERPRINT              one alert        ?view=silences     silences
 *     ?view=jobs&job=NAME             one job
 *     &lang=en   &tz=shanghai         language and time zone; also remembered by the browser
 */
import {set_language} from './text.js';

const listeners = [];
let params = new URLSearchParams(location.search);

function recall(name) {
  try {
    return localStorage.getItem('fengsui.' + name);
  } catch (error) {
    return null; /* storage is forbidden here; the address is enough */
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem('fengsui.' + name, value);
  } catch (error) {
    /* as above */
  }
}

export const remembered = recall;

export function get(name) {
  return params.get(name);
}

export function language() {
  return (params.get('lang') || recall('lang')) === 'en' ? 'en' : 'zh';
}

/* 'Asia/Shanghai', or undefined: the browser's own. */
export function zone() {
  return (params.get('tz') || recall('tz')) === 'shanghai' ? 'Asia/Shanghai' : undefined;
}

export function theme() {
  return recall('theme') || 'auto';
}

export function view() {
  if (params.get('host')) return 'host';
  if (params.get('alert')) return 'alert';
  return ['silences', 'incidents', 'jobs'].includes(params.get('view')) ? params.get('view') : 'overview';
}

/* Names that stay while one walks from page to page. */
const KEPT = ['lang', 'tz'];

/* The address of a page: query({host: 'web-01'}) -> "?host=web-01&lang=en". */
export function query(wanted) {
  const next = new URLSearchParams();
  for (const [name, value] of Object.entries(wanted)) next.set(name, value);
  for (const name of KEPT) {
    if (params.has(name) && !next.has(name)) next.set(name, params.get(name));
  }
  const text = next.toString();
  return text === '' ? location.pathname : '?' + text;
}

function changed() {
  set_language(language());
  listeners.forEach((listener) => listener());
}

/* Walks to another page. */
export function go(address) {
  history.pushState(null, '', address);
  params = new URLSearchParams(location.search);
  changed();
}

/* Changes some parameters of this page; null removes one. */
export function set(changes, is_step) {
  const next = new URLSearchParams(params);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === '') next.delete(name);
    else next.set(name, value);
  }
  if (next.toString() === params.toString()) return;
  params = next;
  const text = next.toString();
  history[is_step ? 'pushState' : 'replaceState'](null, '', text ? '?' + text : location.pathname);
  changed();
}

export function on_change(listener) {
  listeners.push(listener);
}

addEventListener('popstate', () => {
  params = new URLSearchParams(location.search);
  changed();
});
set_language(language());
