/*
 * job_row.h - a job's state as the store keeps it.
 *
 *     "job/<name>"   u8 version (1) | u8 flags (1 paused, 2 heard) | zigzag paused_until,
 * served | u64 schedule_hash | varint mask of problems, each: zigzag since | sized summary |
 * labels its alerts bear (without alertname) | zigzag last_ok | varint runs, failures, missed
 *                    | varint n, n runs: zigzag started, ended, due, duration, size, exit code
 *                    | u8 outcome | sized rid, message
 *
 * Pure; any thread.
 */
#pragma once

#include "collector/jobs/job.h"
#include "collector/series/labels.h"

#define JOB_ROW_PREFIX "job/"

void job_row_write(const struct job_state *state, const struct labels *labels, struct buf *out);
/* The labels are the caller's.  ERR_CORRUPT, ERR_NOMEM. */
int job_row_read(struct bytes row, struct job_state *ret_state,
                 const struct labels **ret_labels);
