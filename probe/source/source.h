/*
 * source.h - what a probe can measure, one small file per subject.
 *
 * A source turns something the host knows into samples.  It opens no sockets, keeps no time and
 * has no variables of its own: the scheduler hands it the clock and the file roots, and all it
 * must remember lives in a state block that the scheduler owns.  A test can therefore run any
 * source twice, side by side, against a directory of recorded files.
 *
 * To add one: write probe/source/<name>.c ending in a `const struct source`, add one line to
 * the list in source.c, and record a fixture.
 *
 * Thread: all calls come from the loop's thread, except collect() of a `blocking` source (a
 * hung file system must not hang the probe): gather() then runs on a worker and collect()
 * emits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/emitter.h"
#include "proto/base/diagnosis.h"

struct config;
struct config_node;
struct uv_loop_s;

struct source_env {
    const char *procfs; /* "/proc", or a recorded tree */
    const char *sysfs;  /* "/sys", ... */
    const char *rootfs; /* "/", ...: prefix of paths outside proc and sys */
    bool live;          /* the roots are this host's own: system calls may be asked too */
    int64_t now_ms;     /* the tick's time, the same for all sources */
    int64_t interval_ms;
    bool is_between; /* a look between two ticks (has_more): emit no samples, their time is off
                        the grid */
};

struct source {
    const char *name;    /* key in probe.yml under sources:, and the label source="..." */
    const char *summary; /* one line for --help and the manual */
    const char *needs;  /* what a host must have for it, for --check; NULL: every host has it */
    size_t state_bytes; /* zeroed before configure(); 0 if stateless */
    int64_t interval_ms; /* its own default; 0: the probe's */
    bool blocking;       /* gather() may wait; it runs on a worker thread */
    bool is_optional;    /* off where probe.yml does not say enabled: true */
    bool has_targets;    /* an instance for each map in its list `targets`; none: it is off */

    /* Reads the source's part of probe.yml (node may be NULL: defaults).  May be NULL: there is
     * nothing to configure but the common options. */
    int (*configure)(void *state, struct config *config, const struct config_node *node,
                     struct diagnosis *why);
    /* Opens files, registers fixed series.  ERR_NOTFOUND: this host has no such thing; the
     * source is then left out, which is no fault. */
    int (*start)(void *state, const struct source_env *env, struct emitter *out);
    /* Blocking sources only: reads into the state, on a worker; no emitter. */
    int (*gather)(void *state, const struct source_env *env);
    /* Sources that wait for the network, instead of gather(): begins a look on the loop and
     * returns; done() is called once, later, from the loop, with what gather() would return.
     * The scheduler does not touch the state meanwhile.  An error: nothing was begun. */
    int (*begin)(void *state, const struct source_env *env, struct uv_loop_s *loop,
                 void (*done)(void *context, int error), void *context);
    /* Of a source with begin(): the processor time that its callbacks on the loop have taken so
     * far, since the state was made.  Asked in done(). */
    uint64_t (*spent_ns)(const void *state);
    /* Lets the look under way end soon; done() is still called. */
    void (*cancel)(void *state);
    /* What tells this instance from others of the source, valid as long as the state.  NULL:
     * the source's name. */
    const char *(*title)(const void *state);
    /* Emits one tick.  A negative return drops what it had not emitted yet, is counted in
     * node_scrape_collector_success / fengsui_probe_source_failures_total, and tried again next
     * tick. */
    int (*collect)(void *state, const struct source_env *env, struct emitter *out);
    /* The last collect() left something behind for want of room in the batch.  The scheduler
     * then looks again before the next tick, if the batches find a way out as fast.  May be
     * NULL: never. */
    bool (*has_more)(const void *state);
    /* What a person should mend although collect() succeeds (a file that does not parse), or
     * NULL.  Called after collect(); the scheduler logs it when it is new.  May be NULL. */
    const char *(*complaint)(const void *state);
    /* For --check, of a configured state that was not started: looks once, may wait as long as
     * gather().  0 and nothing in `why`: all that it could measure is there.  ERR_NOTFOUND:
     * this host has no such thing; anything else: with what to do in `why`.  May be NULL:
     * nothing to tell. */
    int (*check)(void *state, const struct source_env *env, struct diagnosis *why);
    /* Closes files, frees memory.  Accepts a half-started state.  May be NULL. */
    void (*stop)(void *state);

    /* Keys of its map in probe.yml that a policy of the collector may set, too;
     * NULL-terminated, NULL: none.  Never one that names a file, a command or an address. */
    const char *const *policy_options;
};

/* What may stand in every source's map in probe.yml.  The scheduler obeys them; they are rows
 * of every source's table all the same, so that one config_read() checks the whole map. */
struct source_common_options {
    bool enabled;
    int64_t interval_ms;
};

/* Rows for a struct source_common_options at `offset` of the table's target. */
#define SOURCE_COMMON_OPTIONS(at)                                                              \
    {"enabled", CONFIG_BOOL, (at) + offsetof(struct source_common_options, enabled),           \
     .fallback = "true", .help = "false leaves the source out"},                               \
    {                                                                                          \
        "interval", CONFIG_DURATION,                                                           \
            (at) + offsetof(struct source_common_options, interval_ms),                        \
            .min = 100, .max = 86400000, .help = "between two ticks of this source"            \
    }

/* Every compiled-in source, in the order they run; ends with NULL. */
extern const struct source *const sources[];

/* Would it take this map?  Configures a state and throws it away.  ERR_INVALID with the reason.
 */
int source_try(const struct source *source, struct config *config,
               const struct config_node *node, struct diagnosis *why);

/* One of them by name, or NULL. */
const struct source *source_find(const char *name);
