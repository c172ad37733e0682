/*
 * jobs.h - jobs that say when they start and how they end, and the alerts if they do not.
 *
 *     GET|POST /api/fengsui/v1/jobs/NAME/start|ok|fail --> job_ping() --+--> ONE store write:
 *     a timer at the next deadline --------------------> job_look() ---+    row "job/NAME",
 *                                                                           the alerts it owes
 *
 * A ping is answered when its write is durable; what is wrong is handed to the notifier in that
 * same write (notify_transitions()), so neither is there without the other, and a restart that
 * slept over a deadline says so once.  A job that left jobs.yml ends its alerts and its row.
 *
 * Changes of one job are made one after the other, those of different jobs together.
 *
 * Threads: any, but where a comment says loop.  One lock; never held over a commit.
 */
#pragma once

#include <uv.h>

#include "collector/calendar/calendar.h"
#include "collector/jobs/job.h"
#include "collector/jobs/jobs_file.h"
#include "collector/notify/notify.h"
#include "collector/store/store.h"
#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"

struct jobs;

struct jobs_options {
    const char *path;          /* jobs.yml; NULL: no jobs */
    const char *external_url;  /* links of alerts begin with it */
    const struct clock *clock; /* NULL: the system's */
};

int jobs_check(const char *path, struct diagnosis *why);
/* Loop. */
int jobs_open(uv_loop_t *loop, const struct jobs_options *options, struct store *store,
              struct notify *notify, struct jobs **ret_jobs, struct diagnosis *why);
/* Puts the jobs of a file in the place of those before; takes it.  Loop. */
void jobs_set_file(struct jobs *jobs, struct jobs_file *file);
/* The calendar that says what a workday is; NULL: Monday to Friday are.  Takes a reference. */
void jobs_set_calendar(struct jobs *jobs, const struct calendar *calendar);
/* Waits for writes under way; before the notifier and the store close.  The loop must run once
 * more.  Loop; NULL is allowed. */
void jobs_close(struct jobs *jobs);

/* May who shows this token ping the job?  False, too, if there is no such job. */
bool jobs_admits(struct jobs *jobs, const char *name, const char *token);

/* Each returns when it is durable and visible, or has failed.  Not the loop's thread.
 * ERR_NOTFOUND with the nearest name; ERR_INVALID; the store's errors. */
int jobs_ping(struct jobs *jobs, const char *name, const struct job_ping *ping,
              struct diagnosis *why);
/* until_ms 0: until resumed. */
int jobs_pause(struct jobs *jobs, const char *name, int64_t until_ms, struct diagnosis *why);
int jobs_resume(struct jobs *jobs, const char *name, struct diagnosis *why);

/* {"jobs":[...]} of all, or with a name that one with its runs.  ERR_NOTFOUND, ERR_NOMEM. */
int jobs_print_json(struct jobs *jobs, const char *name, struct buf *out);
/* fengsui_collector_job_*, for /metrics and the store. */
void jobs_print_metrics(struct jobs *jobs, struct buf *out);
