/*
 * jobs.js - jobs that report when they have run: what is late, failed or too long; one with its last
 * runs.
 */
import {h} from './dom.js';
import {t, t_or} from './text.js';
import * as format from './format.js';
import * as state from './state.js';
import * as parts from './parts.js';
import {now_ms} from './api.js';
import {model, may_handle} from './model.js';

/* Worst first. */
const STATES = ['failed', 'down', 'late', 'running', 'new', 'up', 'paused'];
const RUNS_OF_NOTE = ['failed', 'lost'];

function ms_of(text) {
  return text ? Date.parse(text) : null;
}

function by_need(a, b) {
  return STATES.indexOf(a.state) - STATES.indexOf(b.state) ||
    (ms_of(a.due) || Infinity) - (ms_of(b.due) || Infinity) || (a.name < b.name ? -1 : 1);
}

function standing(job) {
  return h('span', {class: 'job-state is-' + job.state}, t_or('job.state.' + job.state, job.state));
}

function problem_name(problem) {
  return t_or('job.problem.' + problem.alertname.toLowerCase(), problem.alertname);
}

function problems(job) {
  return job.problems.map((one) => h('div', {class: 'job-problem', 'data-key': one.alertname},
    h('b', null, problem_name(one)), ' ', one.summary, ' ',
    h('span', {class: 'quiet'}, parts.time(ms_of(one.since)))));
}

/* When it is expected, in the words of jobs.yml. */
function schedule(job) {
  const words = [];
  if (job.every) words.push(t('job.every', job.every));
  if (job.cron) words.push(h('code', null, job.cron));
  if (job.calendar) words.push(t_or('job.calendar.' + job.calendar.replace('-', '.'), job.calendar));
  if (words.length === 0) return t('job.unscheduled');
  return [words.flatMap((word, i) => (i > 0 ? [' ', word] : [word])), ' ',
    h('span', {class: 'quiet'}, t('job.grace', job.grace))];
}

function due(job) {
  const due_ms = ms_of(job.due);
  if (job.state === 'paused')
    return job.pausedUntil ? [t('job.paused.until'), ' ', parts.time(ms_of(job.pausedUntil))] : t('job.paused');
  if (due_ms === null) return '–';
  const left_s = (due_ms - now_ms()) / 1000;
  return h('span', {class: 'since'}, parts.time(due_ms), ' ', h('span', {class: left_s < 0 ? 'warn' : 'quiet'},
    left_s < 0 ? t('job.overdue', format.span(-left_s)) : t('left', format.span(left_s))));
}

function outcome(run) {
  return h('span', {class: 'job-outcome is-' + run.outcome}, t_or('job.outcome.' + run.outcome, run.outcome));
}

/* What a run told of itself: how long, how much, its code. */
function measures(run) {
  const told = [];
  if (run.seconds !== null) told.push(format.span(run.seconds));
  if (run.size !== null) told.push(format.bytes(run.size));
  if (run.exit !== null && run.exit !== 0) told.push(t('job.exit', run.exit));
  return told.join(' · ');
}

function last_run(job) {
  const run = job.lastRun;
  if (run === null) return h('span', {class: 'quiet'}, t('never'));
  return h('span', {class: 'since'}, h('span', null, outcome(run), ' ', parts.time(ms_of(run.ended || run.started))),
    h('span', {class: 'quiet'}, measures(run)));
}

function buttons(job) {
  if (!may_handle()) return null;
  const name = job.state === 'paused' ? 'resume-job' : 'pause-job';
  return h('button', {type: 'button', class: 'small', 'data-do': name, 'data-job': job.name},
    t(name === 'resume-job' ? 'job.resume' : 'job.pause'));
}

function row(job) {
  return h('tr', {'data-key': job.name, 'data-job': job.name, class: 'job is-' + job.state},
    h('td', {class: 'c-state'}, standing(job)),
    h('td', {class: 'c-what'}, h('a', {class: 'job-name', href: state.query({view: 'jobs', job: job.name}),
      'data-nav': true}, job.title || job.name),
    job.title && job.title !== job.name ? [' ', h('span', {class: 'quiet'}, job.name)] : null,
    problems(job)),
    h('td', {class: 'c-schedule'}, schedule(job)),
    h('td', {class: 'c-due'}, due(job)),
    h('td', {class: 'c-last'}, last_run(job)),
    h('td', {class: 'c-act'}, buttons(job)));
}

function list(jobs) {
  const names = ['state', 'what', 'schedule', 'due', 'last'];
  return h('table', {class: 'jobs'}, h('caption', {class: 'hidden'}, t('nav.jobs')),
    h('thead', null, h('tr', null, names.map((name) =>
      h('th', {scope: 'col', class: 'c-' + name}, t('column.job.' + name))),
    h('th', {scope: 'col', class: 'c-act'}, h('span', {class: 'hidden'}, t('column.act'))))),
    h('tbody', null, jobs.map(row)));
}

/* ---- one ----------------------------------------------------------------------------------- */

function run_row(run, index) {
  const when = run.started || run.ended || run.due;
  return h('tr', {'data-key': when + index, class: RUNS_OF_NOTE.includes(run.outcome) ? 'bad' : null},
    h('td', null, outcome(run)),
    h('td', null, run.due ? parts.time(ms_of(run.due)) : '–'),
    h('td', null, run.started ? parts.time(ms_of(run.started)) : '–'),
    h('td', null, run.ended ? parts.time(ms_of(run.ended)) : '–'),
    h('td', null, measures(run)),
    h('td', {class: 'c-detail'}, run.message ? h('pre', {class: 'job-message'}, run.message) : null));
}

function facts(job) {
  return h('p', null, schedule(job), ' · ', t('job.counts', job.runs, job.failures, job.missed), ' · ',
    t('job.last.ok'), ' ', job.lastOk ? parts.since(ms_of(job.lastOk)) : t('never'));
}

function whole(job) {
  const names = ['outcome', 'due', 'started', 'ended', 'measures', 'message'];
  return [h('section', {'data-key': 'job-' + job.name},
    h('h1', null, job.title || job.name, ' ', standing(job)),
    facts(job),
    h('p', null, t('job.due'), ' ', due(job)),
    h('p', null, parts.tags({job_name: job.name, severity: job.severity, ...job.labels})),
    problems(job),
    h('p', null, buttons(job)),
    h('h2', null, t('job.runs')),
    job.lastRuns.length > 0 ? h('table', {class: 'timeline runs'},
      h('thead', null, h('tr', null, names.map((name) => h('th', {scope: 'col'}, t('column.run.' + name))))),
      h('tbody', null, job.lastRuns.map(run_row))) : h('p', {class: 'empty'}, t('job.runs.none')))];
}

function teach() {
  return h('div', {class: 'empty', 'data-key': 'none'}, h('p', null, t('jobs.none')),
    h('pre', null, 'jobs:\n- {name: backup, title: ' + t('jobs.example') + ", cron: '0 2 * * *', grace: 30m}"),
    h('p', null, t('jobs.none.then')),
    h('pre', null, 'fengsuictl jobs run backup -- /usr/local/bin/backup.sh'));
}

/* Whether one of them needs somebody: the link in the frame says so. */
export function count_wrong() {
  return (model.jobs || []).filter((job) => job.problems.length > 0 && job.state !== 'paused').length;
}

export function page() {
  const chosen = state.get('job');
  if (chosen !== null && model.job !== null && model.job.name === chosen) return whole(model.job);
  if (model.jobs === null) {
    return [h('p', {class: model.status === null ? 'loading' : 'empty', 'data-key': 'none'},
      t(model.status === null ? 'loading' : 'jobs.absent'))];
  }
  const jobs = [...model.jobs].sort(by_need);
  return [h('section', {'data-key': 'jobs'},
    h('h1', null, t('nav.jobs'), ' ', h('span', {class: 'quiet'}, jobs.length)),
    jobs.length > 0 ? list(jobs) : teach())];
}
