/*
 * jobs_file.h - jobs.yml: which jobs are expected, when, and how they should go.
 *
 *     time_zone: Asia/Shanghai               # of all that do not say
 *     token_hash: "blake2b:..."              # whose token may ping every job
 *     jobs:
 *       - name: db-backup-incremental        # in URLs: letters, digits, "_.-"
 *         title: 数据库每日增量备份
 *         cron: "0 2 * * *"                  # or every: 1h; neither: only failures are seen
 *         calendar: cn-workday               # or cn-holiday; default: all days
 *         time_zone: Asia/Shanghai
 *         grace: 1h                          # from the due time to the success
 *         start_within: 10m                  # from the due time to the start; none
 *         min_duration: 5m
 *         max_duration: 3h
 *         min_size: 1GiB
 *         max_size: 1TiB
 *         once: true                         # a second run for a time is an alert
 *         severity: critical                 # default
 *         labels: {team: db}
 *         token_hash: "blake2b:..."          # of this job
 *
 * Every error names file, line, key and reason.  Loaded whole or not at all; immutable then,
 * any thread.
 */
#pragma once

#include <stddef.h>

#include "collector/jobs/job.h"
#include "collector/series/labels.h"
#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

#define JOBS_MAX ((size_t)2000)

struct jobs_file;

struct jobs_entry {
    struct job_spec spec;
    const struct labels *labels;                /* job_name, severity, and its own */
    const char *severity, *calendar, *schedule; /* as written; "" if nothing is */
    const char *token_hash;                     /* NULL: none */
};

/* `path` NULL: no jobs.  ERR_INVALID, ERR_NOTFOUND ... */
int jobs_file_load(const char *path, struct jobs_file **ret_file, struct diagnosis *why);
int jobs_file_parse(const char *name, struct bytes text, struct jobs_file **ret_file,
                    struct diagnosis *why);
void jobs_file_free(struct jobs_file *file); /* NULL is allowed */

size_t jobs_file_count(const struct jobs_file *file);
const struct jobs_entry *jobs_file_entry(const struct jobs_file *file, size_t at);
/* Is it the token of this job, or of all? */
bool jobs_file_admits(const struct jobs_file *file, const struct jobs_entry *entry,
                      const char *token);

bool job_name_is_fit(const char *name);
