/*
 * jobs.c - life, the timer, pings; see jobs.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/jobs/job_row.h"
#include "collector/jobs/jobs_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define RETRY_MS      1000
#define LOOK_MS_MAX   5000 /* so that a step of the clock is seen soon */
#define LOOK_MS_LEAST 10

/* ---- finding ----------------------------------------------------------------------------- */

/* One of jobs.yml. */
static struct job *find_job(const struct jobs *jobs, const char *name)
{
    for (struct job *job = jobs->first; job != NULL; job = job->next)
        if (job->entry != NULL && strcmp(job->name, name) == 0)
            return job;
    return NULL;
}

static int not_found(const struct jobs *jobs, const char *name, struct diagnosis *why)
{
    const char *near = NULL;
    size_t count = jobs_file_count(jobs->file);
    const char **names = calloc(count + 1, sizeof *names);
    for (size_t i = 0; names != NULL && i < count; i++)
        names[i] = jobs_file_entry(jobs->file, i)->spec.name;
    if (names != NULL)
        near = nearest_name(name, names, count);
    free(names);
    return diagnose(why, ERR_NOTFOUND, "jobs.yml has no job \"%s\"%s%s%s", name,
                    near == NULL ? "" : " (did you mean \"", near == NULL ? "" : near,
                    near == NULL ? "" : "\"?)");
}

bool jobs_admits(struct jobs *jobs, const char *name, const char *token)
{
    const struct job *job;
    bool is_admitted;
    (void)pthread_mutex_lock(&jobs->lock);
    job = find_job(jobs, name);
    is_admitted = job != NULL && jobs_file_admits(jobs->file, job->entry, token);
    (void)pthread_mutex_unlock(&jobs->lock);
    return is_admitted;
}

/* ---- changes by others ------------------------------------------------------------------- */

typedef bool step(const struct jobs *jobs, const struct job *job, struct job_state *state,
                  const void *order, int64_t now_ms);

/* Under the lock; the lock is given up while another change of the job is under way. */
static int begin_change(struct jobs *jobs, const char *name, struct change **ret_change,
                        struct job **ret_job, struct diagnosis *why)
{
    struct job *job = find_job(jobs, name);
    while (job != NULL && job->is_busy) {
        (void)pthread_cond_wait(&jobs->changed, &jobs->lock);
        job = find_job(jobs, name); /* a reload may have come */
    }
    if (job == NULL)
        return not_found(jobs, name, why);
    *ret_change = change_new(jobs);
    *ret_job = job;
    return *ret_change == NULL ? ERR_NOMEM : 0;
}

static int change_job(struct jobs *jobs, const char *name, step *take, const void *order,
                      struct diagnosis *why)
{
    struct change *change = NULL;
    struct job *job = NULL;
    struct job_state *state;
    bool is_changed = false;
    int error;

    (void)pthread_mutex_lock(&jobs->lock);
    error = begin_change(jobs, name, &change, &job, why);
    if (error != 0) {
        (void)pthread_mutex_unlock(&jobs->lock);
        return error;
    }
    state = change_add(change, job);
    if (state == NULL)
        error = ERR_NOMEM;
    else
        is_changed = take(jobs, job, state, order, change->now_ms);
    if (!is_changed) {
        change_drop(change);
        (void)pthread_mutex_unlock(&jobs->lock);
        return error;
    }
    error = change_collect(change);
    (void)pthread_mutex_unlock(&jobs->lock);
    return change_wait(change, error);
}

static bool take_ping(const struct jobs *jobs, const struct job *job, struct job_state *state,
                      const void *order, int64_t now_ms)
{
    return job_ping(&job->entry->spec, &jobs->workdays, state, order, now_ms);
}

static bool take_pause(const struct jobs *jobs, const struct job *job, struct job_state *state,
                       const void *order, int64_t now_ms)
{
    (void)jobs;
    (void)job;
    (void)now_ms;
    return job_pause(state, *(const int64_t *)order);
}

static bool take_resume(const struct jobs *jobs, const struct job *job, struct job_state *state,
                        const void *order, int64_t now_ms)
{
    (void)order;
    (void)jobs;
    (void)job;
    return job_resume(state, now_ms);
}

int jobs_ping(struct jobs *jobs, const char *name, const struct job_ping *ping,
              struct diagnosis *why)
{
    int error =
        strlen(ping->rid) < JOB_RID_BYTES
            ? change_job(jobs, name, take_ping, ping, why)
            : diagnose(why, ERR_INVALID, "rid has more than %d bytes", JOB_RID_BYTES - 1);
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->pings += error == 0;
    jobs->pings_refused += error != 0;
    (void)pthread_mutex_unlock(&jobs->lock);
    return error;
}

int jobs_pause(struct jobs *jobs, const char *name, int64_t until_ms, struct diagnosis *why)
{
    return change_job(jobs, name, take_pause, &until_ms, why);
}

int jobs_resume(struct jobs *jobs, const char *name, struct diagnosis *why)
{
    return change_job(jobs, name, take_resume, NULL, why);
}

/* ---- changes by time --------------------------------------------------------------------- */

/* Does the row say what it should? */
static bool is_true(const struct job *job)
{
    return job->entry != NULL && job->is_stored && job->told != NULL &&
           labels_equal(job->told, job->entry->labels) &&
           job->state.schedule_hash == job->entry->spec.schedule_hash;
}

void job_plan(const struct jobs *jobs, struct job *job)
{
    job->next_look_ms =
        is_true(job) ? job_next_look(&job->entry->spec, &jobs->workdays, &job->state) : 0;
}

/* What time, or a new jobs.yml, has made of the job goes into the change. */
static void look_at(struct jobs *jobs, struct change *change, struct job *job)
{
    struct job_state *state;
    bool is_changed = !is_true(job);
    if (job->is_busy || job->next_look_ms > change->now_ms ||
        (state = change_add(change, job)) == NULL)
        return;
    if (job->entry != NULL) {
        (void)job_adapt(&job->entry->spec, state, change->now_ms);
        is_changed =
            job_look(&job->entry->spec, &jobs->workdays, state, change->now_ms) || is_changed;
    }
    if (is_changed)
        return;
    free(state);
    change->items[--change->count] = (struct changed){0};
    job->is_busy = false;
    job->next_look_ms = change->now_ms + LOOK_MS_MAX; /* the clock was set back meanwhile */
}

/* Frees those that left and whose end is stored. */
static void sweep(struct jobs *jobs)
{
    struct job **at = &jobs->first;
    while (*at != NULL) {
        struct job *job = *at;
        if (job->entry == NULL && !job->is_busy && !job->is_stored) {
            *at = job->next;
            job_free(job);
        } else {
            at = &job->next;
        }
    }
}

static void on_timer(uv_timer_t *timer);

/* When the timer looks next, at a job that is not busy: a busy one's end wakes us. */
static void arm(struct jobs *jobs, bool has_failed, bool has_more)
{
    int64_t now_ms = clock_unix_ms(jobs->clock), wait_ms = LOOK_MS_MAX;
    for (const struct job *job = jobs->first; job != NULL; job = job->next)
        if (!job->is_busy && job->next_look_ms < now_ms + wait_ms)
            wait_ms = job->next_look_ms - now_ms;
    if (has_more || wait_ms < LOOK_MS_LEAST)
        wait_ms = LOOK_MS_LEAST;
    if (has_failed && wait_ms < RETRY_MS)
        wait_ms = RETRY_MS;
    uv_update_time(jobs->loop);
    (void)uv_timer_start(&jobs->timer, on_timer, (uint64_t)wait_ms, 0);
}

static void turn(struct jobs *jobs)
{
    struct change *change;
    int error = 0;
    if (jobs->is_closing)
        return;
    change = change_new(jobs);
    (void)pthread_mutex_lock(&jobs->lock);
    sweep(jobs);
    for (struct job *job = jobs->first; change != NULL && job != NULL; job = job->next)
        look_at(jobs, change, job);
    arm(jobs, jobs->write_fails || change == NULL,
        change != NULL && change->count == CHANGE_JOBS_MAX);
    if (change != NULL && change->count == 0) {
        change_drop(change);
        change = NULL;
    } else if (change != NULL) {
        error = change_collect(change);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    if (change != NULL)
        change_submit(change, error);
}

static void on_timer(uv_timer_t *timer)
{
    turn(timer->data);
}

/* A change has ended: what waited behind it is looked at, and those that left are freed.  After
 * a failure the timer comes a second later. */
static void on_wake(uv_async_t *async)
{
    struct jobs *jobs = async->data;
    bool has_failed;
    if (jobs->is_closing)
        return;
    (void)pthread_mutex_lock(&jobs->lock);
    has_failed = jobs->write_fails;
    if (has_failed)
        arm(jobs, true, false);
    (void)pthread_mutex_unlock(&jobs->lock);
    if (!has_failed)
        turn(jobs);
}

/* ---- the file ---------------------------------------------------------------------------- */

void job_free(struct job *job)
{
    labels_free(job->told);
    free(job);
}

static struct job *job_new(const char *name)
{
    struct job *job = calloc(1, sizeof *job);
    if (job != NULL)
        (void)snprintf(job->name, sizeof job->name, "%s", name);
    return job;
}

/* Takes a job out of the list; NULL: it is not there. */
static struct job *unlink_job(struct jobs *jobs, const char *name)
{
    for (struct job **at = &jobs->first; *at != NULL; at = &(*at)->next)
        if (strcmp((*at)->name, name) == 0) {
            struct job *job = *at;
            *at = job->next;
            return job;
        }
    return NULL;
}

void jobs_set_file(struct jobs *jobs, struct jobs_file *file)
{
    struct job *first = NULL, **last = &first;
    struct jobs_file *before;
    const int64_t now_ms = clock_unix_ms(jobs->clock);

    (void)pthread_mutex_lock(&jobs->lock);
    for (size_t i = 0; i < jobs_file_count(file); i++) {
        const struct jobs_entry *entry = jobs_file_entry(file, i);
        struct job *job = unlink_job(jobs, entry->spec.name);
        if (job == NULL && (job = job_new(entry->spec.name)) != NULL)
            job_begin(&entry->spec, &job->state, now_ms);
        if (job == NULL) {
            log_error("jobs", "no memory for job %s: it is not watched", entry->spec.name);
            continue;
        }
        job->entry = entry;
        *last = job;
        last = &job->next;
    }
    *last = jobs->first;
    for (struct job *job = jobs->first; job != NULL; job = job->next)
        job->entry = NULL;
    jobs->first = first;
    for (struct job *job = jobs->first; job != NULL; job = job->next)
        job_plan(jobs, job);
    before = jobs->file;
    jobs->file = file;
    jobs_file_free(before);
    (void)pthread_mutex_unlock(&jobs->lock);
    (void)uv_async_send(&jobs->wake);
}

static bool is_workday(void *calendar, int64_t day)
{
    return calendar_is_workday(calendar, day);
}

void jobs_set_calendar(struct jobs *jobs, const struct calendar *calendar)
{
    struct calendar *before;
    (void)pthread_mutex_lock(&jobs->lock);
    before = jobs->calendar;
    jobs->calendar = calendar_ref((struct calendar *)(uintptr_t)calendar); /* counts alone */
    jobs->workdays = (struct workdays){is_workday, jobs->calendar};
    calendar_unref(before);
    for (struct job *job = jobs->first; job != NULL; job = job->next)
        job_plan(jobs, job);
    (void)pthread_mutex_unlock(&jobs->lock);
    (void)uv_async_send(&jobs->wake);
}

/* ---- life -------------------------------------------------------------------------------- */

static int load_row(void *context, struct bytes key, struct bytes value)
{
    struct jobs *jobs = context;
    const size_t prefix = strlen(JOB_ROW_PREFIX);
    char name[JOB_NAME_BYTES];
    struct job *job;
    int error;
    if (key.size - prefix >= sizeof name)
        return 0;
    memcpy(name, key.data + prefix, key.size - prefix);
    name[key.size - prefix] = '\0';
    job = job_new(name);
    if (job == NULL)
        return ERR_NOMEM;
    error = job_row_read(value, &job->state, &job->told);
    if (error != 0) {
        job_free(job);
        if (error == ERR_CORRUPT)
            log_error("jobs", "the row of job %s is unreadable, it begins anew", name);
        return error == ERR_NOMEM ? error : 0;
    }
    job->is_stored = true;
    job->next = jobs->first;
    jobs->first = job;
    return 0;
}

static void free_all(struct jobs *jobs)
{
    while (jobs->first != NULL) {
        struct job *next = jobs->first->next;
        job_free(jobs->first);
        jobs->first = next;
    }
    jobs_file_free(jobs->file);
    calendar_unref(jobs->calendar);
    (void)pthread_mutex_destroy(&jobs->lock);
    (void)pthread_cond_destroy(&jobs->changed);
    free(jobs->external_url);
    free(jobs);
}

int jobs_check(const char *path, struct diagnosis *why)
{
    struct jobs_file *file;
    int error = jobs_file_load(path, &file, why);
    if (error == 0)
        jobs_file_free(file);
    return error;
}

static struct jobs *jobs_new(uv_loop_t *loop, const struct jobs_options *options,
                             struct store *store, struct notify *notify)
{
    struct jobs *jobs = calloc(1, sizeof *jobs);
    if (jobs == NULL)
        return NULL;
    jobs->loop = loop;
    jobs->store = store;
    jobs->notify = notify;
    jobs->clock = options->clock != NULL ? options->clock : &clock_system;
    jobs->workdays = workdays_plain;
    must(pthread_mutex_init(&jobs->lock, NULL) == 0);
    must(pthread_cond_init(&jobs->changed, NULL) == 0);
    jobs->external_url = strdup(options->external_url != NULL ? options->external_url : "");
    if (jobs->external_url != NULL)
        return jobs;
    free_all(jobs);
    return NULL;
}

int jobs_open(uv_loop_t *loop, const struct jobs_options *options, struct store *store,
              struct notify *notify, struct jobs **ret_jobs, struct diagnosis *why)
{
    struct jobs *jobs = jobs_new(loop, options, store, notify);
    struct jobs_file *file = NULL;
    int error = jobs == NULL ? ERR_NOMEM : jobs_file_load(options->path, &file, why);
    if (error == 0)
        error = store_state_scan(store, bytes_of(JOB_ROW_PREFIX), load_row, jobs);
    if (error != 0) {
        jobs_file_free(file);
        if (jobs != NULL)
            free_all(jobs);
        return error;
    }
    must(uv_async_init(loop, &jobs->wake, on_wake) == 0);
    must(uv_timer_init(loop, &jobs->timer) == 0);
    jobs->wake.data = jobs;
    jobs->timer.data = jobs;
    jobs->open_handles = 2;
    jobs_set_file(jobs, file);
    *ret_jobs = jobs;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct jobs *jobs = handle->data;
    if (--jobs->open_handles == 0)
        free_all(jobs);
}

void jobs_close(struct jobs *jobs)
{
    if (jobs == NULL)
        return;
    jobs->is_closing = true;
    (void)pthread_mutex_lock(&jobs->lock);
    while (jobs->changes_under_way > 0)
        (void)pthread_cond_wait(&jobs->changed, &jobs->lock);
    (void)pthread_mutex_unlock(&jobs->lock);
    uv_close((uv_handle_t *)&jobs->wake, on_closed);
    uv_close((uv_handle_t *)&jobs->timer, on_closed);
}
