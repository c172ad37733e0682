/*
 * process_totals.h - how many processes and threads there are in all, by state: node_exporter's
 * node_processes_*, at no cost beside the scan that process groups need anyway.
 *
 * Every process counts, kernel threads and those of no group, too.
 *
 * Beside them, what could not be read: process-exporter's namedprocess_scrape_*, and how many
 * processes of groups do not let us see what they read and write (their bytes are then in no
 * sum; process-exporter has a 0 there).
 */
#pragma once

#include "probe/source/process_scan.h"
#include "probe/source/source.h"

#define PROCESS_STATES_MOST 16

struct process_totals {
    series_handle pids, threads, most_pids, most_threads;
    series_handle looks_failed, reads_failed, reads_incomplete, unreadable;
    struct {
        char letter;
        uint32_t count;
        series_handle handle;
    } states[PROCESS_STATES_MOST]; /* seen so far */
    size_t state_count;
    struct readbuf text;
};

void process_totals_start(struct process_totals *totals);
void process_totals_emit(struct process_totals *totals, const struct process_scan *scan,
                         const struct source_env *env, struct emitter *out);
void process_totals_done(struct process_totals *totals);
