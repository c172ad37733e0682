/*
 * process_top.h - the processes that were largest in a tick, as one record.
 *
 * The N largest by CPU, by resident memory and by storage I/O, each process once, the largest
 * CPU first: what was eating this host at 02:13.  Kernel threads are in it too.
 */
#pragma once

#include "probe/source/process_scan.h"
#include "probe/source/process_users.h"
#include "proto/base/arena.h"
#include "proto/base/buf.h"

#define TOP_MOST              ((size_t)64) /* N */
#define TOP_NAME_BYTES_MAX    64
#define TOP_COMMAND_BYTES_MAX 512

struct top_text; /* command line and name of a process, kept while it stays in the table */

/* The ports on which a process listens, ascending; returns their number, at most `most`. */
typedef size_t process_ports_function(const void *context, const struct process *process,
                                      uint32_t *ret_ports, size_t most);

struct process_top {
    size_t most;                      /* N; 0: no table */
    process_ports_function *ports_of; /* NULL: nobody knows */
    const void *ports_context;
    double boot_seconds;
    double page_bytes;
    struct top_text *texts, *texts_before;
    size_t text_count, text_count_before;
    struct arena arena;
    struct buf coded;
};

/* ERR_NOMEM. */
int process_top_start(struct process_top *top, size_t most, double boot_seconds);

/* Emits the record.  ERR_NOMEM, ERR_LIMIT: no record this tick. */
int process_top_emit(struct process_top *top, struct process_scan *scan,
                     struct user_names *users, const char *rootfs, struct emitter *out);

void process_top_done(struct process_top *top);
