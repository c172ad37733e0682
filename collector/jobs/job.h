/*
 * job.h - one job on some host that says when it starts and how it ends, and what is wrong if
 * it does not: a pure state machine.
 *
 *            start                ok                          (spec: what is expected)
 *     up ------------> running --------> up
 *     ^ |                 |  fail
 *     | | due passed      +--------> failed -----+
 *     | v                 | too long             |   every problem is over when a run ends
 * well: | late ------------> down -----------------+-> up |      start_within or grace passed
 *     +-- new: nothing heard yet          paused: heard, but nothing is wrong
 *
 * Times.  A job is due at schedule_next(served): `served` is the time of its schedule that it
 * last came for, or missed.  A run is for the last time of the crontab line at its start (up to
 * JOB_EARLY_MS before it, for clocks differ); a run that failed has come, too.  While a run is
 * under way, no other is missed.
 *
 * Problems, each an alert of its own; since when and a sentence are kept with it:
 *     JobMissed          no success at due + grace, nor (max_duration unset) of a run under way
 *     JobNotStarted      start_within is set, and no start at due + start_within; ends at a
 * start JobFailed          fail, or an exit code, or a start while the run before has not ended
 *     JobTooLong         a run passed max_duration, under way or at its end
 *     JobTooShort        it ended before min_duration
 *     JobSizeUnexpected  of its result: outside the bounds, or not told
 *     JobRanTwice        `once`: a second run for a time that has one; ends with the next
 * time's
 *
 * Retries are harmless: a ping whose run (rid) has said the same already changes nothing.
 *
 * Pure: no I/O, no clock, no memory.  Times are Unix ms.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/jobs/schedule.h"
#include "proto/base/buf.h"

#define JOB_NAME_BYTES    65 /* letters, digits, "_.-" and a NUL */
#define JOB_RID_BYTES     65
#define JOB_MESSAGE_BYTES 512
#define JOB_SUMMARY_BYTES 320
#define JOB_RUNS          10
#define JOB_EARLY_MS      ((int64_t)60 * 1000)

enum job_problem {
    JOB_MISSED,
    JOB_NOT_STARTED,
    JOB_FAILED,
    JOB_TOO_LONG,
    JOB_TOO_SHORT,
    JOB_SIZE_UNEXPECTED,
    JOB_RAN_TWICE,
    JOB_PROBLEMS
};
/* "JobMissed" */
const char *job_problem_name(enum job_problem problem);

/* What is expected; of jobs.yml. */
struct job_spec {
    const char *name;
    const char *title; /* what people call it; the name if nothing is said */
    struct schedule schedule;
    uint64_t schedule_hash; /* another one: begin anew */
    int64_t grace_ms;
    int64_t start_within_ms;                  /* 0: starts are not waited for */
    int64_t min_duration_ms, max_duration_ms; /* 0: no bound */
    uint64_t min_size, max_size;              /* bytes; 0: no bound */
    bool once;
};

enum job_outcome { JOB_RUNNING, JOB_WELL, JOB_BROKEN, JOB_ABANDONED };
const char *job_outcome_name(enum job_outcome outcome); /* "running", "ok", "failed", "lost" */

struct job_run {
    int64_t started_ms;  /* 0: nobody said */
    int64_t ended_ms;    /* 0: has not */
    int64_t due_ms;      /* the time of the schedule it was for; 0: none */
    int64_t duration_ms; /* -1: nobody knows */
    int64_t size;        /* -1: not told */
    int64_t exit_code;   /* -1: not told */
    enum job_outcome outcome;
    char rid[JOB_RID_BYTES]; /* "": none */
    char message[JOB_MESSAGE_BYTES];
};

struct job_state {
    bool is_paused;
    bool was_heard;          /* ever */
    int64_t paused_until_ms; /* 0: until somebody says so */
    int64_t served_ms;       /* see above */
    uint64_t schedule_hash;
    struct {
        int64_t since_ms; /* 0: not raised */
        char summary[JOB_SUMMARY_BYTES];
    } problems[JOB_PROBLEMS];
    int64_t last_ok_ms; /* 0: never */
    uint64_t run_total, failure_total, missed_total;
    struct job_run runs[JOB_RUNS]; /* newest first */
    size_t run_count;
};

enum job_ping_kind { JOB_START, JOB_OK, JOB_FAIL };

struct job_ping {
    enum job_ping_kind kind;
    const char *rid;     /* "": none; shorter than JOB_RID_BYTES */
    int64_t exit_code;   /* -1: not told; above 0 an ok is a fail */
    int64_t size;        /* -1 */
    int64_t duration_ms; /* -1 */
    const char *message; /* "": none; cut to what fits */
};

/* A job nobody has heard of before now. */
void job_begin(const struct job_spec *spec, struct job_state *ret_state, int64_t now_ms);
/* The spec may have changed since: another schedule counts from now. */
bool job_adapt(const struct job_spec *spec, struct job_state *state, int64_t now_ms);

/* Each changes the state and says whether it did.  job_ping() looks, too. */
bool job_ping(const struct job_spec *spec, const struct workdays *workdays,
              struct job_state *state, const struct job_ping *ping, int64_t now_ms);
/* What time alone has brought about. */
bool job_look(const struct job_spec *spec, const struct workdays *workdays,
              struct job_state *state, int64_t now_ms);
/* All problems are over while it is paused; until_ms 0: until resumed. */
bool job_pause(struct job_state *state, int64_t until_ms);
bool job_resume(struct job_state *state, int64_t now_ms);

/* When it is expected next, maybe in the past (then it is late); SCHEDULE_NEVER. */
int64_t job_due(const struct job_spec *spec, const struct workdays *workdays,
                const struct job_state *state);
/* When job_look() will have something to say if nothing is heard until then. */
int64_t job_next_look(const struct job_spec *spec, const struct workdays *workdays,
                      const struct job_state *state);
/* "new", "up", "late", "running", "down", "failed", "paused". */
const char *job_word(const struct job_spec *spec, const struct workdays *workdays,
                     const struct job_state *state, int64_t now_ms);
bool job_is_well(const struct job_state *state); /* no problem is raised */
