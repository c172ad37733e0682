/*
 * main.js - the frame of the page, what buttons and keys do, which page is shown.
 *
 * Pages come in two kinds.  Most are a function from the model to a tree (overview, silences, one
 * alert).  The host page has charts, which live on their own: it is mounted, updated, unmounted.
 */
import {h, morph} from './dom.js';
import {t} from './text.js';
import * as state from './state.js';
import * as format from './format.js';
import * as api from './api.js';
import * as model_of from './model.js';
import * as overview from './overview.js';
import * as hosts from './hosts.js';
import * as silences from './silences.js';
import * as incidents from './incidents.js';
import * as jobs from './jobs.js';
import * as alert_page from './alert.js';
import * as dialogs from './dialogs.js';
import * as host_page from './host.js';
import {bind_keys} from './keys.js';

const {model} = model_of;
const SILENT_AFTER_MS = 10000;
const DARK_APPLIES = {auto: '(prefers-color-scheme: dark)', dark: 'all', light: 'not all'};

const top_bar = document.getElementById('top');
const banner = document.getElementById('banner');
const main = document.getElementById('main');
const foot = document.getElementById('foot');
let mounted = null; /* the page with a life of its own, or null */

/* ---- the frame ------------------------------------------------------------------------------ */

function nav_link(view, text) {
  const is_here = state.view() === view;
  return h('a', {href: state.query(view === 'overview' ? {} : {view}), 'data-nav': true,
    'aria-current': is_here ? 'page' : null}, text);
}

function jobs_text() {
  const wrong = jobs.count_wrong();
  return wrong === 0 ? t('nav.jobs') : [t('nav.jobs'), ' ', h('span', {class: 'badge warning'}, wrong)];
}

function bar() {
  const is_old = is_stale();
  return [
    h('a', {class: 'brand', href: state.query({}), 'data-nav': true, 'data-key': 'brand'},
      h('span', {class: 'beacon ' + (is_old ? 'lost' : model_of.is_troubled() ? 'lit' : 'calm'),
        'aria-hidden': 'true'}), t('title')),
    h('nav', {'aria-label': t('nav'), 'data-key': 'nav'}, nav_link('overview', t('nav.overview')),
      nav_link('incidents', t('nav.incidents')), nav_link('jobs', jobs_text()),
      nav_link('silences', t('nav.silences'))),
    h('span', {class: 'as-of' + (is_old ? ' old' : ''), 'data-key': 'asof'},
      model.as_of_ms > 0 ? [t('as.of'), ' ', h('b', null, format.when(model.as_of_ms, api.now_ms()))] : ''),
    h('span', {class: 'switches', 'data-key': 'switches'},
      h('button', {type: 'button', 'data-do': 'language', id: 'language', lang: state.language() === 'en' ? 'zh-CN' : 'en'},
        state.language() === 'en' ? '中文' : 'English'),
      h('button', {type: 'button', 'data-do': 'theme', id: 'theme', title: t('theme')},
        t('theme.' + state.theme())),
      h('button', {type: 'button', 'data-do': 'help', title: t('keys'), 'aria-label': t('keys')}, '?')),
  ];
}

function is_stale() {
  return model.failure !== null && (model.as_of_ms === 0 || model.failures > 1 ||
    api.now_ms() - model.as_of_ms > SILENT_AFTER_MS);
}

/* What is wrong with what is shown, in words; null: nothing. */
function trouble() {
  const {failure, status} = model;
  if (failure !== null && failure.status === 401) return [t('banner.login')];
  if (failure !== null && (is_stale() || failure.status !== 0)) {
    const since = t('banner.lost', format.span((Date.now() - model.since_ms) / 1000));
    return [since, ' ', model.as_of_ms > 0 ? t('banner.old', format.when_full(model.as_of_ms)) : '',
      ' ', h('span', {class: 'quiet'}, failure.message)];
  }
  if (status !== null && status.store.full) return [t('banner.full'), ' ', status.store.fullReason];
  if (status !== null && !status.ready) return [t('banner.notready')];
  if (status !== null && status.store.quarantined > 0)
    return [t('banner.quarantined', status.store.quarantined)];
  return null;
}

function footer() {
  const skew = api.clock_skew_ms();
  return [
    h('span', {'data-key': 'zone'}, t('zone'), ' ', h('b', null, format.zone_name()), ' ',
      h('button', {type: 'button', class: 'link', 'data-do': 'zone'},
        state.zone() ? t('zone.browser') : t('zone.shanghai'))),
    Math.abs(skew) > 5000 ? h('span', {'data-key': 'skew', class: 'warn'},
      t('skew', format.span(Math.abs(skew) / 1000))) : null,
    model.session && model.session.users ? h('span', {'data-key': 'user'},
      t('user', model.session.user, model.session.role)) : null,
    model.status ? h('span', {'data-key': 'version'}, 'Fengsui ' + model.status.version) : null,
  ].filter(Boolean);
}

function show_frame() {
  morph(top_bar, bar());
  const words = trouble();
  banner.className = words === null ? '' : 'shown';
  morph(banner, words === null ? [] : [h('p', null, words)]);
  morph(foot, footer());
  document.body.classList.toggle('is-stale', is_stale());
  document.getElementById('dark').media = DARK_APPLIES[state.theme()];
  const icon = document.getElementById('icon');
  const name = is_stale() ? 'lost' : model_of.is_troubled() ? 'firing' : 'calm';
  const href = icon.dataset.folder + name + '.svg';
  if (icon.getAttribute('href') !== href) icon.setAttribute('href', href);
}

/* ---- pages ---------------------------------------------------------------------------------- */

const pages = {
  overview: {tree: overview.overview, title: overview.title},
  silences: {tree: silences.page, title: () => t('nav.silences')},
  incidents: {tree: incidents.page, title: () => t('nav.incidents')},
  jobs: {tree: jobs.page, title: () => state.get('job') || t('nav.jobs')},
  alert: {mount: alert_page.mount, title: alert_page.title},
  host: {mount: host_page.mount, title: () => state.get('host')},
};

/* What must change for a page to be another one. */
function page_id() {
  return [state.view(), state.get('host'), state.get('alert'), state.language(), state.zone()].join('\n');
}

let shown_id = null;

function show_page() {
  const page = pages[state.view()];
  if (page_id() !== shown_id) {
    if (mounted !== null) mounted.unmount();
    mounted = null;
    shown_id = page_id();
    main.className = 'page-' + state.view();
    main.replaceChildren();
    if (page.mount) mounted = page.mount(main);
  }
  if (mounted !== null) mounted.update();
  else morph(main, page.tree().filter(Boolean));
  document.title = page.title();
}

function show() {
  show_frame();
  show_page();
}

/* Charts are painted, not styled: they must be told of other colours. */
function restyle() {
  if (mounted !== null && mounted.restyle) mounted.restyle();
}

/* ---- what buttons do ------------------------------------------------------------------------ */

const THEMES = ['auto', 'light', 'dark'];

const actions = {
  language: () => {
    const next = state.language() === 'en' ? 'zh' : 'en';
    state.remember('lang', next);
    state.set({lang: next});
  },
  theme: () => {
    state.remember('theme', THEMES[(THEMES.indexOf(state.theme()) + 1) % THEMES.length]);
    show_frame();
    restyle();
  },
  zone: () => {
    const next = state.zone() ? 'local' : 'shanghai';
    state.remember('tz', next);
    state.set({tz: next});
  },
  sort: (target) => state.set({sort: target.dataset.order === 'trouble' ? null : target.dataset.order}),
  fold: (target) => {
    overview.toggle_fold(target.dataset.name);
    show_page();
  },
  'more-hosts': () => {
    hosts.show_more();
    show_page();
  },
  acknowledge: (target) => dialogs.acknowledge(alerts_of(target).filter((one) => !one.acknowledged)),
  unacknowledge: (target) => dialogs.unacknowledge(find_alert(target.dataset.alert)),
  silence: (target) => dialogs.silence(alerts_of(target)),
  'silence-host': (target) => dialogs.silence_host(target.dataset.host),
  approve: (target) => dialogs.approve(model.pending.find((one) => one.key === target.dataset.probe)),
  take: (target) => dialogs.take(Number(target.dataset.incident), true),
  untake: (target) => dialogs.take(Number(target.dataset.incident), false),
  'pause-job': (target) => dialogs.pause_job(target.dataset.job),
  'resume-job': (target) => dialogs.resume_job(target.dataset.job),
  expire: (target) => dialogs.expire(model.silences.find((one) => one.id === target.dataset.id)),
  help: () => dialogs.help(),
};

function find_alert(id) {
  return model.alerts.find((alert) => model_of.identity(alert) === id);
}

/* The one alert of a button, or all that its line stands for. */
function alerts_of(target) {
  const {group, alert} = target.dataset;
  if (group !== undefined)
    return model_of.sorted_alerts().firing.filter((one) => one.labels.alertname === group);
  return [find_alert(alert)].filter(Boolean);
}

function act(target, event) {
  const name = target.dataset.do;
  if (mounted !== null && mounted.actions && mounted.actions[name]) mounted.actions[name](target, event);
  else if (actions[name]) actions[name](target, event);
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (button) {
    act(button, event);
    return;
  }
  const link = event.target.closest('a[data-nav]');
  if (link && event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
    event.preventDefault();
    state.go(link.getAttribute('href'));
    scrollTo(0, 0);
    main.focus({preventScroll: true});
  }
});

document.addEventListener('input', (event) => {
  const input = event.target.closest('[data-input]');
  if (input) state.set({[input.dataset.input]: input.value});
});

document.addEventListener('change', (event) => {
  const target = event.target.closest('[data-change]');
  if (target && mounted !== null && mounted.actions) mounted.actions[target.dataset.change](target, event);
});

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', restyle);
bind_keys({act, find: find_alert});
state.on_change(show);
model_of.on_change(show);
setInterval(show_frame, 1000); /* how old things are goes on without answers */
show();
model_of.refresh();
