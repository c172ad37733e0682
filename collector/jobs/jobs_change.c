/*
 * jobs_change.c - from a job's old and new state to rows and alerts in one write, and what is
 * true when it is done.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/jobs/job_row.h"
#include "collector/jobs/jobs_parts.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define ARENA_BYTES_MAX ((size_t)16 << 20)
#define PUTS_A_JOB      (1 + 2 * JOB_PROBLEMS) /* its row; each alert ends and begins at most */

/* What to do, beside the sentence that says what is wrong. */
static const char *const advice[JOB_PROBLEMS] = {
    [JOB_MISSED] =
        "先在该任务的主机上看它是否还在运行、定时是否还在，再看它的日志；补跑成功后自动恢复。",
    [JOB_NOT_STARTED] =
        "先看主机是否在线、定时服务（crond）是否在运行，再看上一次是否还没有结束。",
    [JOB_FAILED] = "先看任务自己的日志；按规程重新执行并上报，执行成功后自动恢复。",
    [JOB_TOO_LONG] = "先看任务是否卡住（等锁、等磁盘、等网络），再看数据量是否突增；下一次按时"
                     "结束后自动恢复。",
    [JOB_TOO_SHORT] =
        "多半没有真正执行：先看任务的日志与输入，再补跑；下一次正常结束后自动恢复。",
    [JOB_SIZE_UNEXPECTED] =
        "备份可能不完整：先核对结果文件能否读出，再补做；下一次大小正常后自动恢复。",
    [JOB_RAN_TWICE] = "先看是否有两处定时或有人手工重复执行，核对数据是否被处理了两遍；下一期正"
                      "常执行后自动恢复。",
};

/* ---- life -------------------------------------------------------------------------------- */

struct change *change_new(struct jobs *jobs)
{
    struct change *change = calloc(1, sizeof *change);
    if (change == NULL)
        return NULL;
    change->jobs = jobs;
    change->now_ms = clock_unix_ms(jobs->clock);
    arena_init(&change->arena, ARENA_BYTES_MAX);
    return change;
}

static void change_free(struct change *change)
{
    for (size_t i = 0; i < change->count; i++) {
        free(change->items[i].state);
        labels_free(change->items[i].told);
    }
    arena_reset(&change->arena);
    free(change);
}

struct job_state *change_add(struct change *change, struct job *job)
{
    struct changed *item = &change->items[change->count];
    struct job_state *state;
    if (change->count == CHANGE_JOBS_MAX)
        return NULL;
    state = malloc(sizeof *state);
    if (state == NULL)
        return NULL;
    *state = job->state;
    *item = (struct changed){.job = job, .state = state, .is_gone = job->entry == NULL};
    job->is_busy = true;
    change->count++;
    return state;
}

void change_drop(struct change *change)
{
    for (size_t i = 0; i < change->count; i++)
        change->items[i].job->is_busy = false;
    (void)pthread_cond_broadcast(&change->jobs->changed);
    change_free(change);
}

/* ---- alerts ------------------------------------------------------------------------------ */

struct telling {
    struct change *change;
    struct alert *alerts;
    size_t count;
    int error;
};

static const struct labels *build(struct telling *telling, const struct label *pairs,
                                  size_t count)
{
    const struct labels *labels = NULL;
    int error = labels_build(pairs, count, &telling->change->arena, &labels);
    if (error != 0)
        telling->error = error;
    return labels;
}

static const char *job_url(struct telling *telling, const struct job *job)
{
    struct buf url = {0};
    char *copy = NULL;
    buf_printf(&url, "%s/api/fengsui/v1/jobs/%s", telling->change->jobs->external_url,
               job->name);
    if (buf_ok(&url))
        copy = arena_alloc(&telling->change->arena, url.size + 1, 1);
    if (copy != NULL)
        memcpy(copy, buf_text(&url), url.size);
    else
        telling->error = ERR_NOMEM;
    buf_done(&url);
    return copy;
}

static void tell(struct telling *telling, const struct job *job, const struct labels *base,
                 const struct job_state *state, enum job_problem problem, bool firing)
{
    struct label pairs[SERIES_LABELS_MAX];
    const struct label texts[] = {
        {bytes_of("summary"), bytes_of(state->problems[problem].summary)},
        {bytes_of("description"), bytes_of(advice[problem])},
    };
    struct alert *alert = &telling->alerts[telling->count];
    memcpy(pairs, base->pairs, base->count * sizeof *pairs);
    pairs[base->count] =
        (struct label){bytes_of("alertname"), bytes_of(job_problem_name(problem))};
    *alert = (struct alert){
        .labels = build(telling, pairs, base->count + 1),
        .annotations = build(telling, texts, sizeof texts / sizeof *texts),
        .starts_ms = state->problems[problem].since_ms,
        .ends_ms = firing ? 0 : telling->change->now_ms,
        .firing = firing,
        .value = 1,
        .generator_url = job_url(telling, job),
        .updated_ms = telling->change->now_ms,
        .is_ruleless = true,
    };
    if (telling->error != 0)
        return;
    alert->fingerprint = labels_fingerprint(alert->labels);
    telling->count++;
}

/* What was raised and is not, or bears other labels, ends; what is new or says something else
 * is told. */
static void tell_changes(struct telling *telling, const struct changed *item)
{
    const struct job *job = item->job;
    const struct labels *before = job->told, *after = item->told;
    const bool same = before != NULL && after != NULL && labels_equal(before, after);
    for (int i = 0; i < JOB_PROBLEMS && telling->error == 0; i++) {
        const enum job_problem problem = (enum job_problem)i;
        const bool was = before != NULL && job->state.problems[i].since_ms != 0;
        const bool is = after != NULL && item->state->problems[i].since_ms != 0;
        const bool news =
            strcmp(job->state.problems[i].summary, item->state->problems[i].summary) != 0;
        if (was && (!is || !same))
            tell(telling, job, before, &job->state, problem, false);
        if (is && (!was || !same || news))
            tell(telling, job, after, item->state, problem, true);
    }
}

/* ---- the write --------------------------------------------------------------------------- */

static void on_written(struct store_write *write, int error);

static struct bytes keep(struct arena *arena, struct bytes bytes)
{
    uint8_t *copy = arena_alloc(arena, bytes.size + 1, 1);
    if (copy == NULL)
        return (struct bytes){0};
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return (struct bytes){copy, bytes.size};
}

static int put_row(struct change *change, const struct changed *item, struct store_put *put)
{
    struct buf text = {0};
    buf_printf(&text, JOB_ROW_PREFIX "%s", item->job->name);
    put->key = buf_ok(&text) ? keep(&change->arena, buf_bytes(&text)) : (struct bytes){0};
    put->value = (struct bytes){0};
    if (!item->is_gone) {
        buf_clear(&text);
        job_row_write(item->state, item->told, &text);
        if (buf_ok(&text))
            put->value = keep(&change->arena, buf_bytes(&text));
    }
    buf_done(&text);
    return put->key.data == NULL || (!item->is_gone && put->value.data == NULL) ? ERR_NOMEM : 0;
}

/* Labels of the job's next alerts; none for one that left. */
static int take_labels(struct changed *item)
{
    if (item->is_gone || item->job->entry == NULL)
        return 0;
    return labels_build(item->job->entry->labels->pairs, item->job->entry->labels->count, NULL,
                        &item->told);
}

int change_collect(struct change *change)
{
    struct telling telling = {.change = change};
    struct store_put *puts, *more = NULL;
    size_t count = 0, more_count = 0;
    int error = 0;

    puts = arena_alloc(&change->arena, change->count * PUTS_A_JOB, sizeof *puts);
    telling.alerts =
        arena_alloc(&change->arena, change->count * PUTS_A_JOB, sizeof *telling.alerts);
    error = puts == NULL || telling.alerts == NULL ? ERR_NOMEM : 0;
    for (size_t i = 0; error == 0 && i < change->count; i++) {
        error = take_labels(&change->items[i]);
        if (error == 0)
            error = put_row(change, &change->items[i], &puts[count++]);
        if (error == 0)
            tell_changes(&telling, &change->items[i]);
    }
    if (error == 0)
        error = telling.error;
    if (error == 0 && telling.count > 0)
        error = notify_transitions(change->jobs->notify, telling.alerts, telling.count,
                                   change->now_ms, &change->arena, &more, &more_count);
    change->jobs->changes_under_way++;
    if (error != 0)
        return error;
    if (more_count > 0)
        memcpy(puts + count, more, more_count * sizeof *puts);
    change->write = (struct store_write){.puts = puts,
                                         .put_count = count + more_count,
                                         .is_essential = true,
                                         .done = on_written,
                                         .context = change};
    return 0;
}

/* Under the lock. */
static void apply(struct change *change)
{
    for (size_t i = 0; i < change->count; i++) {
        struct changed *item = &change->items[i];
        struct job *job = item->job;
        const struct labels *before = job->told;
        job->state = *item->state;
        job->told = item->told;
        job->is_stored = !item->is_gone;
        item->told = before;
        job_plan(change->jobs, job);
    }
}

/* Any thread, once. */
static void finish(struct change *change, int error)
{
    struct jobs *jobs = change->jobs;
    bool is_waited_for;
    (void)pthread_mutex_lock(&jobs->lock);
    if (error == 0)
        apply(change);
    else if (!jobs->write_fails)
        log_error("jobs", "could not store what jobs say: %s", error_text(error));
    jobs->write_fails = error != 0;
    for (size_t i = 0; i < change->count; i++)
        change->items[i].job->is_busy = false;
    is_waited_for = change->is_waited_for;
    change->error = error;
    change->is_done = true;
    jobs->changes_under_way--;
    (void)pthread_cond_broadcast(&jobs->changed);
    if (error == 0)
        notify_wake(jobs->notify);
    (void)uv_async_send(&jobs->wake); /* inside the lock: jobs_close() waits for it */
    (void)pthread_mutex_unlock(&jobs->lock);
    if (!is_waited_for)
        change_free(change);
}

/* Writer thread. */
static void on_written(struct store_write *write, int error)
{
    finish(write->context, error);
}

void change_submit(struct change *change, int error)
{
    if (error == 0)
        error = store_write_submit(change->jobs->store, &change->write);
    if (error != 0)
        finish(change, error);
}

int change_wait(struct change *change, int error)
{
    struct jobs *jobs = change->jobs;
    change->is_waited_for = true;
    change_submit(change, error);
    (void)pthread_mutex_lock(&jobs->lock);
    while (!change->is_done)
        (void)pthread_cond_wait(&jobs->changed, &jobs->lock);
    error = change->error;
    (void)pthread_mutex_unlock(&jobs->lock);
    change_free(change);
    return error;
}
