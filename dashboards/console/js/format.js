/* format.js - numbers, spans and times as people read them. */
import {t, language_tag} from './text.js';
import {zone} from './state.js';

const NONE = '–';

function scaled(value, base, units) {
  let size = Math.abs(value);
  let unit = 0;
  while (size >= base && unit < units.length - 1) {
    size /= base;
    unit++;
  }
  const digits = size >= 100 || (unit === 0 && Number.isInteger(size)) ? 0 : size >= 10 ? 1 : 2;
  return (value < 0 ? '-' : '') + size.toFixed(digits) + ' ' + units[unit];
}

export function is_number(value) {
  return typeof value === 'number' && Number.isFinite(value);
}

export function bytes(value) {
  return is_number(value) ? scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']) : NONE;
}

export function bytes_rate(value) {
  return is_number(value) ? bytes(value) + '/s' : NONE;
}

export function bits_rate(value) {
  return is_number(value) ? scaled(value, 1000, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s'])
                          : NONE;
}

export function percent(ratio) {
  if (!is_number(ratio)) return NONE;
  const value = ratio * 100;
  return (value !== 0 && Math.abs(value) < 9.95 ? value.toFixed(1) : value.toFixed(0)) + '%';
}

export function plain(value) {
  if (!is_number(value)) return NONE;
  if (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3)) return value.toPrecision(3);
  return String(Math.round(value * 1000) / 1000);
}

/* 75 -> "1 分 15 秒": at most two units. */
export function span(seconds) {
  if (!is_number(seconds)) return NONE;
  let rest = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [size, key] of [[86400, 'days'], [3600, 'hours'], [60, 'minutes'], [1, 'seconds']]) {
    const count = Math.floor(rest / size);
    if (count > 0 && parts.length < 2) parts.push(t(key, count));
    else if (parts.length > 0) break;
    rest -= count * size;
  }
  return parts.length > 0 ? parts.join(' ') : t('seconds', 0);
}

const formats = new Map();

function format(kind, options) {
  const id = [kind, language_tag(), zone()].join();
  if (!formats.has(id)) {
    formats.set(id, new Intl.DateTimeFormat(language_tag() === 'en' ? 'en-GB' : 'zh-CN',
      {hour12: false, timeZone: zone(), ...options}));
  }
  return formats.get(id);
}

function parts_of(ms) {
  const parts = {};
  const found = format('parts', {year: 'numeric', month: '2-digit', day: '2-digit',
    hour: '2-digit', minute: '2-digit', second: '2-digit'}).formatToParts(new Date(ms));
  for (const {type, value} of found) parts[type] = value;
  if (parts.hour === '24') parts.hour = '00';
  return parts;
}

export function clock(ms) {
  const p = parts_of(ms);
  return `${p.hour}:${p.minute}:${p.second}`;
}

export function day(ms) {
  const p = parts_of(ms);
  return `${p.year}-${p.month}-${p.day}`;
}

/* The clock time; with the day where that is not today's. */
export function when(ms, now_ms) {
  if (!is_number(ms) || ms <= 0) return NONE;
  const p = parts_of(ms);
  return day(ms) === day(now_ms) ? `${p.hour}:${p.minute}:${p.second}`
                                 : `${p.month}-${p.day} ${p.hour}:${p.minute}`;
}

export function when_full(ms) {
  return is_number(ms) && ms > 0 ? `${day(ms)} ${clock(ms)}` : NONE;
}

/* Marks of a time axis whose marks are `step` seconds apart. */
export function axis_time(seconds, step) {
  const p = parts_of(seconds * 1000);
  if (step >= 86400 || (p.hour === '00' && p.minute === '00' && p.second === '00'))
    return `${p.month}-${p.day}`;
  return step < 60 ? `${p.hour}:${p.minute}:${p.second}` : `${p.hour}:${p.minute}`;
}

/* "Asia/Shanghai (UTC+8)" */
export function zone_name() {
  const name = zone() || Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
  let offset = '';
  try {
    const parts = new Intl.DateTimeFormat('en', {timeZone: zone(), timeZoneName: 'short'})
      .formatToParts(new Date());
    offset = parts.find((part) => part.type === 'timeZoneName').value.replace('GMT', 'UTC');
  } catch (error) {
    return name;
  }
  return name === offset ? name : `${name} (${offset})`;
}

/* <input type="datetime-local"> and back, in the chosen zone. */
export function to_input(ms) {
  const p = parts_of(ms);
  return `${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}`;
}

export function from_input(text) {
  const guess = Date.parse(text + 'Z');
  if (Number.isNaN(guess)) return NaN;
  const p = parts_of(guess);
  const shown = Date.parse(`${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}:${p.second}Z`);
  return guess - (shown - guess);
}
