/*
 * pool.h - a few named threads and a bounded queue of jobs.
 *
 * What must not run on the loop runs here: queries, decoding of remote writes, password hashing.
 * Each kind has a pool of its own, so that slow queries never delay writes,
 * nor who looks after alerts.
 *
 * Thread: pool_submit() from any; jobs run on the pool's threads, first come first served.
 */
#pragma once

#include <stddef.h>

struct pool;

struct pool_job {
    void (*run)(struct pool_job *job);
    struct pool_job *next; /* the queue's */
};

/* `name` (at most 15 bytes) is what ps and perf show.  ERR_NOMEM, ERR_IO. */
int pool_open(const char *name, unsigned threads, size_t queue_limit, struct pool **ret_pool);

/* The job belongs to the pool until run() begins.  ERR_LIMIT if the queue is full. */
int pool_submit(struct pool *pool, struct pool_job *job);

/* Runs what is queued, then ends the threads.  NULL is allowed. */
void pool_close(struct pool *pool);
