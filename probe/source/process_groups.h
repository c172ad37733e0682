/*
 * process_groups.h - groups of processes: their sums, and their series.
 *
 * Counters are the steps seen while a process was a member, so they go on when a member exits.
 * What processes had used before the probe first saw them is not counted: after a restart
 * counters begin at zero, as process-exporter's do.
 *
 * A group that has lost its last member keeps its series (num_procs 0) for
 * GROUP_LINGER_MS, then they end; a group with a fixed name stays for ever.
 *
 * Processes can invent names without end.  Past GROUPS_MAX groups the members of new ones are
 * counted together in the group GROUP_OVERFLOW, which shows that it happened.
 */
#pragma once

#include "probe/source/process.h"
#include "probe/source/process_scan.h"
#include "probe/source/tracked.h"

#define GROUPS_MAX      ((size_t)1000)
#define GROUP_LINGER_MS (INT64_C(15) * 60 * 1000)

#define GROUP_OVERFLOW "(overflow)"

struct process_groups {
    struct tracked set;  /* of struct process_group, by name */
    double boot_seconds; /* Unix time */
    double page_bytes;
    bool has_events; /* how processes end is known */
};

/* `boot_seconds` from /proc/stat. */
void process_groups_start(struct process_groups *groups, double boot_seconds);

/* The group of that name, made if need be, or the overflow group; NULL: out of memory. */
struct process_group *process_groups_get(struct process_groups *groups, struct bytes name,
                                         bool is_fixed);

/* The group of that name, or NULL. */
struct process_group *process_groups_find(struct process_groups *groups, struct bytes name);

/* Sums up the table and emits every group. */
void process_groups_emit(struct process_groups *groups, const struct process_scan *scan,
                         int64_t now_ms, struct emitter *out);

void process_groups_done(struct process_groups *groups);
