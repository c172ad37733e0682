/*
 * jobs_print.c - jobs as JSON, and as metrics.
 */
#include <inttypes.h>

#include "collector/jobs/jobs_parts.h"
#include "collector/notify/json.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

/* ---- JSON -------------------------------------------------------------------------------- */

/* Members after a first one, as those of json.h. */

static void put_key(struct buf *out, const char *key)
{
    buf_printf(out, ",\"%s\":", key);
}

/* null for none. */
static void put_time(struct buf *out, const char *key, int64_t ts_ms)
{
    json_put_instant_member(out, key, ts_ms == SCHEDULE_NEVER ? 0 : ts_ms);
}

static void put_count(struct buf *out, const char *key, uint64_t count)
{
    put_key(out, key);
    buf_printf(out, "%" PRIu64, count);
}

/* null for -1. */
static void put_known(struct buf *out, const char *key, int64_t value)
{
    put_key(out, key);
    if (value < 0)
        buf_put_text(out, "null");
    else
        buf_printf(out, "%" PRId64, value);
}

static void put_seconds(struct buf *out, const char *key, int64_t ms)
{
    put_key(out, key);
    if (ms < 0)
        buf_put_text(out, "null");
    else
        buf_printf(out, "%" PRId64 ".%03d", ms / MS_PER_SEC, (int)(ms % MS_PER_SEC));
}

static void put_run(struct buf *out, const struct job_run *run)
{
    buf_printf(out, "{\"outcome\":\"%s\"", job_outcome_name(run->outcome));
    put_time(out, "due", run->due_ms);
    put_time(out, "started", run->started_ms);
    put_time(out, "ended", run->ended_ms);
    put_seconds(out, "seconds", run->duration_ms);
    put_known(out, "size", run->size);
    put_known(out, "exit", run->exit_code);
    json_put_text_member(out, "rid", run->rid);
    json_put_text_member(out, "message", run->message);
    buf_put_char(out, '}');
}

static void put_problems(struct buf *out, const struct job_state *state)
{
    bool is_first = true;
    put_key(out, "problems");
    buf_put_char(out, '[');
    for (int i = 0; i < JOB_PROBLEMS; i++) {
        if (state->problems[i].since_ms == 0)
            continue;
        if (!is_first)
            buf_put_char(out, ',');
        is_first = false;
        buf_printf(out, "{\"alertname\":\"%s\"", job_problem_name((enum job_problem)i));
        put_time(out, "since", state->problems[i].since_ms);
        json_put_text_member(out, "summary", state->problems[i].summary);
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}

static void put_schedule(struct buf *out, const struct jobs_entry *entry)
{
    const struct job_spec *spec = &entry->spec;
    char text[DURATION_TEXT_BYTES];
    json_put_text_member(out, "cron", entry->schedule);
    json_put_text_member(out, "every",
                         spec->schedule.every_ms > 0 ? duration_format(spec->schedule.every_ms, text) : "");
    json_put_text_member(out, "calendar", entry->calendar);
    json_put_text_member(out, "timeZone", spec->schedule.zone.name);
    json_put_text_member(out, "grace", duration_format(spec->grace_ms, text));
}

static void put_job(struct jobs *jobs, const struct job *job, bool has_runs, int64_t now_ms,
                    struct buf *out)
{
    const struct job_spec *spec = &job->entry->spec;
    const struct job_state *state = &job->state;
    buf_put_text(out, "{\"name\":");
    json_put_text(out, spec->name);
    json_put_text_member(out, "title", spec->title);
    json_put_text_member(out, "state", job_word(spec, &jobs->workdays, state, now_ms));
    put_problems(out, state);
    json_put_text_member(out, "severity", job->entry->severity);
    put_key(out, "labels");
    json_put_labels(out, job->entry->labels);
    put_schedule(out, job->entry);
    put_time(out, "due", state->is_paused ? 0 : job_due(spec, &jobs->workdays, state));
    put_time(out, "pausedUntil", state->paused_until_ms);
    put_time(out, "lastOk", state->last_ok_ms);
    put_count(out, "runs", state->run_total);
    put_count(out, "failures", state->failure_total);
    put_count(out, "missed", state->missed_total);
    put_key(out, "lastRun");
    if (state->run_count > 0)
        put_run(out, &state->runs[0]);
    else
        buf_put_text(out, "null");
    if (has_runs) {
        put_key(out, "lastRuns");
        buf_put_char(out, '[');
        for (size_t i = 0; i < state->run_count; i++) {
            if (i > 0)
                buf_put_char(out, ',');
            put_run(out, &state->runs[i]);
        }
        buf_put_char(out, ']');
    }
    buf_put_char(out, '}');
}

int jobs_print_json(struct jobs *jobs, const char *name, struct buf *out)
{
    const int64_t now_ms = clock_unix_ms(jobs->clock);
    size_t count = 0;
    (void)pthread_mutex_lock(&jobs->lock);
    if (name == NULL)
        buf_put_text(out, "{\"jobs\":[");
    for (const struct job *job = jobs->first; job != NULL; job = job->next) {
        if (job->entry == NULL || (name != NULL && strcmp(name, job->name) != 0))
            continue;
        if (count++ > 0)
            buf_put_char(out, ',');
        put_job(jobs, job, name != NULL, now_ms, out);
    }
    if (name == NULL)
        buf_put_text(out, "]}");
    (void)pthread_mutex_unlock(&jobs->lock);
    if (name != NULL && count == 0)
        return ERR_NOTFOUND;
    return buf_ok(out) ? 0 : ERR_NOMEM;
}

/* ---- metrics ----------------------------------------------------------------------------- */

/* NONE: nothing to say. */
typedef double gauge(struct jobs *jobs, const struct job *job);

#define NONE (-1.0)

static double last_ok(struct jobs *jobs, const struct job *job)
{
    (void)jobs;
    return job->state.last_ok_ms == 0 ? NONE : (double)job->state.last_ok_ms / MS_PER_SEC;
}

static double last_start(struct jobs *jobs, const struct job *job)
{
    (void)jobs;
    return job->state.run_count == 0 || job->state.runs[0].started_ms == 0
               ? NONE
               : (double)job->state.runs[0].started_ms / MS_PER_SEC;
}

/* The newest run that has ended. */
static const struct job_run *ended(const struct job *job)
{
    for (size_t i = 0; i < job->state.run_count; i++)
        if (job->state.runs[i].outcome == JOB_WELL || job->state.runs[i].outcome == JOB_BROKEN)
            return &job->state.runs[i];
    return NULL;
}

static double last_duration(struct jobs *jobs, const struct job *job)
{
    const struct job_run *run = ended(job);
    (void)jobs;
    return run == NULL || run->duration_ms < 0 ? NONE : (double)run->duration_ms / MS_PER_SEC;
}

static double last_size(struct jobs *jobs, const struct job *job)
{
    const struct job_run *run = ended(job);
    (void)jobs;
    return run == NULL || run->size < 0 ? NONE : (double)run->size;
}

static double last_exit(struct jobs *jobs, const struct job *job)
{
    const struct job_run *run = ended(job);
    (void)jobs;
    return run == NULL || run->exit_code < 0 ? NONE : (double)run->exit_code;
}

static double due(struct jobs *jobs, const struct job *job)
{
    int64_t due_ms = job_due(&job->entry->spec, &jobs->workdays, &job->state);
    return due_ms == SCHEDULE_NEVER || job->state.is_paused ? NONE
                                                            : (double)due_ms / MS_PER_SEC;
}

static double is_well(struct jobs *jobs, const struct job *job)
{
    (void)jobs;
    return job_is_well(&job->state);
}

static double is_running(struct jobs *jobs, const struct job *job)
{
    (void)jobs;
    return job->state.run_count > 0 && job->state.runs[0].outcome == JOB_RUNNING;
}

static double is_paused(struct jobs *jobs, const struct job *job)
{
    (void)jobs;
    return job->state.is_paused;
}

static double runs(struct jobs *jobs, const struct job *job)
{
    (void)jobs;
    return (double)job->state.run_total;
}

static double failures(struct jobs *jobs, const struct job *job)
{
    (void)jobs;
    return (double)job->state.failure_total;
}

static double missed(struct jobs *jobs, const struct job *job)
{
    (void)jobs;
    return (double)job->state.missed_total;
}

static const struct {
    const char *name, *type, *help;
    gauge *value;
} metrics[] = {
    {"fengsui_collector_job_well", "gauge", "1 while nothing is wrong with the job.", is_well},
    {"fengsui_collector_job_running", "gauge", "1 while a run is under way.", is_running},
    {"fengsui_collector_job_paused", "gauge", "1 while the job is paused.", is_paused},
    {"fengsui_collector_job_due_timestamp_seconds", "gauge", "When the job is expected next.",
     due},
    {"fengsui_collector_job_last_success_timestamp_seconds", "gauge",
     "When it last ended well.", last_ok},
    {"fengsui_collector_job_last_start_timestamp_seconds", "gauge",
     "When it last said that it began.", last_start},
    {"fengsui_collector_job_last_duration_seconds", "gauge", "How long its last run took.",
     last_duration},
    {"fengsui_collector_job_last_size_bytes", "gauge", "The size its last run told.",
     last_size},
    {"fengsui_collector_job_last_exit_code", "gauge", "The exit code its last run told.",
     last_exit},
    {"fengsui_collector_job_runs_total", "counter", "Runs heard of.", runs},
    {"fengsui_collector_job_failures_total", "counter", "Runs that failed.", failures},
    {"fengsui_collector_job_missed_total", "counter", "Times at which it did not come.",
     missed},
};

static void put_metric(struct jobs *jobs, size_t at, struct buf *out)
{
    bool is_first = true;
    for (const struct job *job = jobs->first; job != NULL; job = job->next) {
        double value = job->entry == NULL ? NONE : metrics[at].value(jobs, job);
        if (value < 0)
            continue;
        if (is_first)
            buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metrics[at].name, metrics[at].help,
                       metrics[at].name, metrics[at].type);
        is_first = false;
        buf_printf(out, "%s{job_name=\"%s\"} %.15g\n", metrics[at].name, job->name, value);
    }
}

static void put_total(struct buf *out, const char *name, const char *type, const char *help,
                      uint64_t value)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type,
               name, value);
}

void jobs_print_metrics(struct jobs *jobs, struct buf *out)
{
    (void)pthread_mutex_lock(&jobs->lock);
    put_total(out, "fengsui_collector_jobs", "gauge", "Jobs in jobs.yml.",
              jobs_file_count(jobs->file));
    put_total(out, "fengsui_collector_job_pings_total", "counter", "Pings taken.", jobs->pings);
    put_total(out, "fengsui_collector_job_pings_refused_total", "counter",
              "Pings that could not be stored, or were for no job.", jobs->pings_refused);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        put_metric(jobs, i, out);
    (void)pthread_mutex_unlock(&jobs->lock);
}
