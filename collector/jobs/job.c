/*
 * job.c - see job.h.
 */
#include "collector/jobs/job.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/clock.h"
#include "proto/base/units.h"
#include "proto/base/utf8.h"

const char *job_problem_name(enum job_problem problem)
{
    static const char *const names[JOB_PROBLEMS] = {
        "JobMissed",   "JobNotStarted",     "JobFailed",  "JobTooLong",
        "JobTooShort", "JobSizeUnexpected", "JobRanTwice"};
    return names[problem];
}

const char *job_outcome_name(enum job_outcome outcome)
{
    static const char *const names[] = {"running", "ok", "failed", "lost"};
    return names[outcome];
}

/* ---- texts ------------------------------------------------------------------------------- */

/* Copies what fits, and no half of a character at its end. */
static void copy_text(char *to, size_t capacity, const char *from)
{
    size_t size = strlen(from);
    if (size >= capacity) {
        size = capacity - 1;
        while (size > 0 && ((uint8_t)from[size] & 0xC0) == 0x80)
            size--;
    }
    memcpy(to, from, size);
    to[size] = '\0';
}

/* "11月28日 02:00" in the job's zone. */
#define WHEN_BYTES 48
static const char *when_text(const struct job_spec *spec, int64_t ts_ms, char text[WHEN_BYTES])
{
    struct civil at;
    civil_read(ts_ms + spec->schedule.zone.offset_ms, &at);
    (void)snprintf(text, WHEN_BYTES, "%d月%d日 %02d:%02d", at.month, at.day, at.minute / 60,
                   at.minute % 60);
    return text;
}

static const char *duration_text(int64_t ms, char text[DURATION_TEXT_BYTES])
{
    return duration_format(ms < MS_PER_SEC ? ms : ms / MS_PER_SEC * MS_PER_SEC, text);
}

static void raise_problem(const struct job_spec *spec, struct job_state *state,
                          enum job_problem problem, int64_t now_ms, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* A problem that is there already keeps its beginning and gets the newer sentence. */
static void raise_problem(const struct job_spec *spec, struct job_state *state,
                          enum job_problem problem, int64_t now_ms, const char *format, ...)
{
    char text[2 * JOB_SUMMARY_BYTES];
    int size = snprintf(text, sizeof text, "任务 %.200s ", spec->title);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + size, sizeof text - (size_t)size, format, arguments);
    va_end(arguments);
    if (state->problems[problem].since_ms == 0)
        state->problems[problem].since_ms = now_ms;
    copy_text(state->problems[problem].summary, JOB_SUMMARY_BYTES, text);
}

static bool has(const struct job_state *state, enum job_problem problem)
{
    return state->problems[problem].since_ms != 0;
}

static void end_problem(struct job_state *state, enum job_problem problem)
{
    memset(&state->problems[problem], 0, sizeof state->problems[problem]);
}

/* ---- when -------------------------------------------------------------------------------- */

int64_t job_due(const struct job_spec *spec, const struct workdays *workdays,
                const struct job_state *state)
{
    return schedule_next(&spec->schedule, workdays, state->served_ms);
}

static bool is_running(const struct job_state *state)
{
    return state->run_count > 0 && state->runs[0].outcome == JOB_RUNNING;
}

/* When the run under way must have ended. */
static int64_t end_deadline(const struct job_spec *spec, const struct job_state *state)
{
    const struct job_run *run = &state->runs[0];
    if (spec->max_duration_ms > 0)
        return run->started_ms + spec->max_duration_ms;
    if (!spec->schedule.has_cron && spec->schedule.every_ms == 0)
        return SCHEDULE_NEVER;
    return (run->due_ms > run->started_ms ? run->due_ms : run->started_ms) + spec->grace_ms;
}

static int64_t patience_ms(const struct job_spec *spec)
{
    return spec->start_within_ms > 0 ? spec->start_within_ms : spec->grace_ms;
}

static bool overran(const struct job_spec *spec, const struct job_state *state)
{
    return has(state, spec->max_duration_ms > 0 ? JOB_TOO_LONG : JOB_MISSED);
}

int64_t job_next_look(const struct job_spec *spec, const struct workdays *workdays,
                      const struct job_state *state)
{
    int64_t due_ms;
    if (state->is_paused)
        return state->paused_until_ms > 0 ? state->paused_until_ms : SCHEDULE_NEVER;
    if (is_running(state))
        return overran(spec, state) ? SCHEDULE_NEVER : end_deadline(spec, state);
    due_ms = job_due(spec, workdays, state);
    return due_ms == SCHEDULE_NEVER ? due_ms : due_ms + patience_ms(spec);
}

/* The time of the schedule that a run begun then is for. */
static int64_t time_for(const struct job_spec *spec, const struct workdays *workdays,
                        int64_t started_ms)
{
    int64_t due_ms = schedule_last(&spec->schedule, workdays, started_ms + JOB_EARLY_MS);
    return due_ms == INT64_MIN ? 0 : due_ms;
}

/* ---- looking ----------------------------------------------------------------------------- */

static bool look_at_run(const struct job_spec *spec, struct job_state *state, int64_t now_ms)
{
    char text[DURATION_TEXT_BYTES], when[WHEN_BYTES];
    int64_t started_ms = state->runs[0].started_ms;
    if (overran(spec, state) || now_ms < end_deadline(spec, state))
        return false;
    if (spec->max_duration_ms > 0)
        raise_problem(spec, state, JOB_TOO_LONG, now_ms, "%s 开始，超过 %s 还没有结束",
                      when_text(spec, started_ms, when),
                      duration_text(spec->max_duration_ms, text));
    else
        raise_problem(spec, state, JOB_MISSED, now_ms, "%s 开始，没有按时结束",
                      when_text(spec, started_ms, when));
    return true;
}

/* One time of the schedule, or several in a long sleep, went by without the job. */
static bool look_at_schedule(const struct job_spec *spec, const struct workdays *workdays,
                             struct job_state *state, int64_t now_ms)
{
    char when[WHEN_BYTES], text[DURATION_TEXT_BYTES];
    const int64_t due_ms = job_due(spec, workdays, state);
    const int64_t over_ms = now_ms - patience_ms(spec);
    int64_t last_ms;
    if (due_ms == SCHEDULE_NEVER || due_ms > over_ms)
        return false;
    if (spec->start_within_ms > 0)
        raise_problem(spec, state, JOB_NOT_STARTED, now_ms, "没有按时开始：应于 %s 开始",
                      when_text(spec, due_ms, when));
    else
        raise_problem(spec, state, JOB_MISSED, now_ms,
                      "没有按计划完成：应于 %s 执行，%s 内没有成功",
                      when_text(spec, due_ms, when), duration_text(spec->grace_ms, text));
    state->missed_total++;
    last_ms =
        spec->schedule.has_cron ? schedule_last(&spec->schedule, workdays, over_ms) : over_ms;
    state->served_ms = last_ms > due_ms ? last_ms : due_ms;
    return true;
}

bool job_look(const struct job_spec *spec, const struct workdays *workdays,
              struct job_state *state, int64_t now_ms)
{
    if (state->is_paused)
        return state->paused_until_ms > 0 && now_ms >= state->paused_until_ms &&
               job_resume(state, now_ms);
    if (is_running(state))
        return look_at_run(spec, state, now_ms);
    return look_at_schedule(spec, workdays, state, now_ms);
}

/* ---- pings ------------------------------------------------------------------------------- */

static struct job_run *find_run(struct job_state *state, const char *rid)
{
    for (size_t i = 0; rid[0] != '\0' && i < state->run_count; i++)
        if (strcmp(state->runs[i].rid, rid) == 0)
            return &state->runs[i];
    return NULL;
}

static struct job_run *push_run(struct job_state *state, const struct job_ping *ping)
{
    if (state->run_count < JOB_RUNS)
        state->run_count++;
    memmove(&state->runs[1], &state->runs[0], (state->run_count - 1) * sizeof state->runs[0]);
    state->runs[0] = (struct job_run){.duration_ms = -1, .size = -1, .exit_code = -1};
    copy_text(state->runs[0].rid, JOB_RID_BYTES, ping->rid);
    state->run_total++;
    return &state->runs[0];
}

/* Has another run of the same time ended well? */
static bool came_before(const struct job_state *state, const struct job_run *run)
{
    for (size_t i = 0; i < state->run_count; i++) {
        const struct job_run *other = &state->runs[i];
        if (other != run && run->due_ms != 0 && other->due_ms == run->due_ms &&
            other->outcome == JOB_WELL)
            return true;
    }
    return false;
}

static void judge_once(const struct job_spec *spec, struct job_state *state,
                       const struct job_run *run, int64_t now_ms)
{
    char when[WHEN_BYTES];
    if (!spec->once)
        return;
    if (came_before(state, run))
        raise_problem(spec, state, JOB_RAN_TWICE, now_ms, "重复执行：%s 这一次已经执行过",
                      when_text(spec, run->due_ms, when));
    else
        end_problem(state, JOB_RAN_TWICE);
}

static void start_run(const struct job_spec *spec, const struct workdays *workdays,
                      struct job_state *state, const struct job_ping *ping, int64_t now_ms)
{
    bool was_running = is_running(state);
    struct job_run *run;
    if (was_running) {
        state->runs[0].outcome = JOB_ABANDONED;
        state->runs[0].ended_ms = now_ms;
    }
    run = push_run(state, ping);
    run->started_ms = now_ms;
    run->due_ms = time_for(spec, workdays, now_ms);
    copy_text(run->message, JOB_MESSAGE_BYTES, ping->message);
    end_problem(state, JOB_NOT_STARTED);
    judge_once(spec, state, run, now_ms);
    if (was_running && !has(state, JOB_RAN_TWICE) && !overran(spec, state))
        raise_problem(spec, state, JOB_FAILED, now_ms, "执行中断：上一次没有结束就又开始了");
}

/* The size must fit if anything is said of it. */
static void judge_size(const struct job_spec *spec, struct job_state *state,
                       const struct job_run *run, int64_t now_ms)
{
    char size[SIZE_TEXT_BYTES], bound[SIZE_TEXT_BYTES];
    bool is_small =
        spec->min_size > 0 && run->size >= 0 && (uint64_t)run->size < spec->min_size;
    bool is_large =
        spec->max_size > 0 && run->size >= 0 && (uint64_t)run->size > spec->max_size;
    if (run->size < 0 && (spec->min_size > 0 || spec->max_size > 0))
        raise_problem(spec, state, JOB_SIZE_UNEXPECTED, now_ms, "没有报告结果的大小（size=）");
    else if (is_small || is_large)
        raise_problem(spec, state, JOB_SIZE_UNEXPECTED, now_ms, "结果的大小为 %s，%s %s",
                      size_format((uint64_t)run->size, size), is_small ? "小于" : "大于",
                      size_format(is_small ? spec->min_size : spec->max_size, bound));
    else
        end_problem(state, JOB_SIZE_UNEXPECTED);
}

static void judge_duration(const struct job_spec *spec, struct job_state *state,
                           const struct job_run *run, int64_t now_ms)
{
    char took[DURATION_TEXT_BYTES], bound[DURATION_TEXT_BYTES];
    if (run->duration_ms >= 0 && run->duration_ms < spec->min_duration_ms)
        raise_problem(spec, state, JOB_TOO_SHORT, now_ms, "只用了 %s 就结束，少于 %s",
                      duration_text(run->duration_ms, took),
                      duration_text(spec->min_duration_ms, bound));
    else
        end_problem(state, JOB_TOO_SHORT);
    if (spec->max_duration_ms > 0 && run->duration_ms > spec->max_duration_ms)
        raise_problem(spec, state, JOB_TOO_LONG, now_ms, "用了 %s，超过 %s",
                      duration_text(run->duration_ms, took),
                      duration_text(spec->max_duration_ms, bound));
    else
        end_problem(state, JOB_TOO_LONG);
}

static void judge_end(const struct job_spec *spec, struct job_state *state, struct job_run *run,
                      int64_t now_ms)
{
    end_problem(state, JOB_NOT_STARTED);
    if (run->outcome == JOB_WELL) {
        state->last_ok_ms = now_ms;
        end_problem(state, JOB_MISSED);
        end_problem(state, JOB_FAILED);
        judge_duration(spec, state, run, now_ms);
        judge_size(spec, state, run, now_ms);
        judge_once(spec, state, run, now_ms);
        return;
    }
    state->failure_total++;
    if (run->exit_code >= 0)
        raise_problem(spec, state, JOB_FAILED, now_ms, "执行失败（退出码 %" PRId64 "）",
                      run->exit_code);
    else
        raise_problem(spec, state, JOB_FAILED, now_ms, "执行失败");
}

/* The run that this ping ends: the one with its number, the one under way, or one that never
 * said that it began. */
static struct job_run *ended_run(const struct job_spec *spec, const struct workdays *workdays,
                                 struct job_state *state, const struct job_ping *ping,
                                 int64_t now_ms)
{
    struct job_run *run = find_run(state, ping->rid);
    if (run == NULL && is_running(state) &&
        (ping->rid[0] == '\0' || state->runs[0].rid[0] == '\0'))
        run = &state->runs[0];
    if (run != NULL)
        return run;
    run = push_run(state, ping);
    if (ping->duration_ms >= 0)
        run->started_ms = now_ms - ping->duration_ms;
    run->due_ms = time_for(spec, workdays, run->started_ms > 0 ? run->started_ms : now_ms);
    return run;
}

static void end_run(const struct job_spec *spec, const struct workdays *workdays,
                    struct job_state *state, const struct job_ping *ping,
                    enum job_outcome outcome, int64_t now_ms)
{
    struct job_run *run = ended_run(spec, workdays, state, ping, now_ms);
    int64_t came_ms;
    run->outcome = outcome;
    run->ended_ms = now_ms;
    run->size = ping->size;
    run->exit_code = ping->exit_code;
    run->duration_ms = ping->duration_ms;
    if (run->duration_ms < 0 && run->started_ms > 0)
        run->duration_ms = now_ms > run->started_ms ? now_ms - run->started_ms : 0;
    copy_text(run->message, JOB_MESSAGE_BYTES, ping->message);
    came_ms = spec->schedule.has_cron ? run->due_ms
              : run->started_ms > 0   ? run->started_ms
                                      : now_ms;
    if (came_ms > state->served_ms)
        state->served_ms = came_ms;
    judge_end(spec, state, run, now_ms);
}

static enum job_outcome outcome_of(const struct job_ping *ping)
{
    return ping->kind == JOB_OK && ping->exit_code <= 0 ? JOB_WELL : JOB_BROKEN;
}

/* Somebody was not sure to have been heard, and says it again. */
static bool is_repeated(struct job_state *state, const struct job_ping *ping)
{
    const struct job_run *run = find_run(state, ping->rid);
    return run != NULL && (ping->kind == JOB_START || run->outcome == outcome_of(ping));
}

bool job_ping(const struct job_spec *spec, const struct workdays *workdays,
              struct job_state *state, const struct job_ping *ping, int64_t now_ms)
{
    if (is_repeated(state, ping))
        return job_look(spec, workdays, state, now_ms);
    state->was_heard = true;
    if (ping->kind == JOB_START)
        start_run(spec, workdays, state, ping, now_ms);
    else
        end_run(spec, workdays, state, ping, outcome_of(ping), now_ms);
    for (int i = 0; state->is_paused && i < JOB_PROBLEMS; i++)
        end_problem(state, (enum job_problem)i);
    (void)job_look(spec, workdays, state, now_ms);
    return true;
}

/* ---- the rest ---------------------------------------------------------------------------- */

void job_begin(const struct job_spec *spec, struct job_state *ret_state, int64_t now_ms)
{
    memset(ret_state, 0, sizeof *ret_state);
    ret_state->served_ms = now_ms;
    ret_state->schedule_hash = spec->schedule_hash;
}

bool job_adapt(const struct job_spec *spec, struct job_state *state, int64_t now_ms)
{
    if (state->schedule_hash == spec->schedule_hash)
        return false;
    state->schedule_hash = spec->schedule_hash;
    state->served_ms = now_ms;
    return true;
}

bool job_pause(struct job_state *state, int64_t until_ms)
{
    if (state->is_paused && state->paused_until_ms == until_ms)
        return false;
    state->is_paused = true;
    state->paused_until_ms = until_ms;
    for (int i = 0; i < JOB_PROBLEMS; i++)
        end_problem(state, (enum job_problem)i);
    return true;
}

bool job_resume(struct job_state *state, int64_t now_ms)
{
    if (!state->is_paused)
        return false;
    state->is_paused = false;
    state->paused_until_ms = 0;
    if (state->served_ms < now_ms)
        state->served_ms = now_ms;
    return true;
}

bool job_is_well(const struct job_state *state)
{
    for (int i = 0; i < JOB_PROBLEMS; i++)
        if (has(state, (enum job_problem)i))
            return false;
    return true;
}

const char *job_word(const struct job_spec *spec, const struct workdays *workdays,
                     const struct job_state *state, int64_t now_ms)
{
    if (state->is_paused)
        return "paused";
    if (is_running(state) && now_ms < end_deadline(spec, state))
        return "running";
    if (has(state, JOB_FAILED) || has(state, JOB_TOO_SHORT) || has(state, JOB_SIZE_UNEXPECTED))
        return "failed";
    if (has(state, JOB_MISSED) || has(state, JOB_NOT_STARTED) || has(state, JOB_TOO_LONG))
        return "down";
    if (job_due(spec, workdays, state) <= now_ms)
        return "late";
    return state->was_heard ? "up" : "new";
}
