/*
 * jobs_parts.h - struct jobs, between jobs.c (life, pings), jobs_change.c (the write) and
 * jobs_print.c; nothing else includes it.
 */
#pragma once

#include <pthread.h>

#include "collector/jobs/jobs.h"
#include "proto/base/arena.h"
#include "proto/base/clock.h"

/* All under the lock. */
struct job {
    char name[JOB_NAME_BYTES];
    const struct jobs_entry *entry; /* NULL: left jobs.yml; its row and alerts are to end */
    struct job_state state;         /* as committed */
    const struct labels *told; /* owned: what its alerts bear, as committed; NULL: none yet */
    int64_t next_look_ms;           /* job_plan() says when */
    bool is_stored;            /* there is a row */
    bool is_busy;              /* a change is under way */
    struct job *next;
};

struct jobs {
    /* fixed after jobs_open() */
    uv_loop_t *loop;
    struct store *store;
    struct notify *notify;
    const struct clock *clock;
    char *external_url;
    /* owned by the loop */
    uv_timer_t timer;
    uv_async_t wake;
    unsigned open_handles;
    bool is_closing;
    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a change has ended */
    struct jobs_file *file;
    struct calendar *calendar; /* a reference; NULL: Monday to Friday are workdays */
    struct workdays workdays;  /* asks it */
    struct job *first; /* in the file's order, those that left behind them */
    size_t changes_under_way;
    bool write_fails; /* logged; until a write succeeds */
    uint64_t pings, pings_refused;
};

#define CHANGE_JOBS_MAX 64 /* of one write; each has its row and its alerts */

/* One write and what it will make true.  On the heap. */
struct change {
    struct store_write write;
    struct arena arena; /* keys, rows, alerts */
    struct jobs *jobs;
    int64_t now_ms;
    size_t count;
    struct changed {
        struct job *job;
        struct job_state *state;   /* owned */
        const struct labels *told; /* owned */
        bool is_gone;
    } items[CHANGE_JOBS_MAX];
    bool is_waited_for; /* change_wait() frees it, otherwise its end does */
    bool is_done;       /* under the jobs' lock, with the error */
    int error;
};

/* NULL: out of memory. */
struct change *change_new(struct jobs *jobs);
/* Takes a job into it, which must not be busy and then is; a copy of its state to work on.
 * NULL: out of memory, or no room.  Under the lock. */
struct job_state *change_add(struct change *change, struct job *job);
/* Makes the write: rows, and alerts by comparing with what is committed.  Under the same lock
 * as change_add(); submit or wait must follow, and get the error. */
int change_collect(struct change *change);
/* Hands it to the store, or ends it with the error; not under the lock.  It is freed then. */
void change_submit(struct change *change, int error);
/* The same, and waits.  The error. */
int change_wait(struct change *change, int error);
/* Of one that was not submitted; under the lock. */
void change_drop(struct change *change);

void job_free(struct job *job);
/* Notes when the timer has to look at it; at once, if its row does not say what it should.  After
 * every change of state, file or calendar.  Under the lock. */
void job_plan(const struct jobs *jobs, struct job *job);
