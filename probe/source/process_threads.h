/*
 * process_threads.h - threads of processes by name, in each group: process-exporter's
 * namedprocess_namegroup_thread_*.  Off unless probe.yml asks for it: it costs some ten
 * microseconds a thread at every look.
 *
 * As process-exporter has it, threads of processes that have but one are not told.  Counters
 * are the steps seen while a thread lived, so they go on when it ends; those of a thread that
 * began after the first look count from its birth.  Context switches and I/O are read of
 * threads that have used CPU since, and of the others every SLOW_LOOKS looks.
 *
 * Programs can invent names without end: past THREAD_GROUPS_MAX names new ones are not told,
 * past THREADS_MAX threads neither.
 */
#pragma once

#include "probe/source/process_scan.h"
#include "probe/source/tracked.h"

#define THREADS_MAX       ((size_t)32768)
#define THREAD_GROUPS_MAX ((size_t)1000)

struct thread; /* private */

/* Zeroed is off. */
struct process_threads {
    bool is_on;
    struct tracked names;        /* by group and thread name */
    struct thread *rows, *spare; /* ascending by pid and thread */
    size_t count, capacity, spare_count, spare_capacity;
    uint32_t *tids;
    size_t tid_count, tid_capacity;
    bool has_run;
    uint32_t looks;
};

void process_threads_start(struct process_threads *threads);

/* A look; after process_scan_run().  ERR_NOMEM: some are missing. */
int process_threads_emit(struct process_threads *threads, struct process_scan *scan,
                         struct emitter *out);

void process_threads_done(struct process_threads *threads);
