/*
 * scheduler.h - which source ticks when.
 *
 *     timer ─► due sources ─► collect() ──────────────────► sealed(tick)
 *                   └──────► gather() on a worker ─► collect() ┘
 *
 * Sources whose ticks coincide share a batch.  A batch waits for its blocking sources at most
 * until it would be late (a tenth of their interval, at least 50 ms) or the next tick is due;
 * who comes later is emitted with the next batch and stamped with its real time.  A source that
 * is still busy, and a tick that nobody woke up for, are skipped and counted.
 *
 * A source that found more than a batch takes (a burst of log lines) is asked again between two
 * ticks while there is room, with a batch for itself that is stamped with the time of the look.
 *
 * Thread: the loop's.
 */
#pragma once

#include <uv.h>

#include "probe/emitter_tick.h"
#include "probe/source/source.h"
#include "probe/tick_clock.h"
#include "proto/base/diagnosis.h"

struct scheduler;

/* How fast batches leave. */
enum scheduler_room {
    SCHEDULER_ROOM_NONE, /* they gather in the spool: what can wait waits where it is */
    SCHEDULER_ROOM_SOON, /* as many as may be are on their way */
    SCHEDULER_ROOM_NOW
};

struct scheduler_options {
    struct source_env env; /* roots; times are filled in */
    struct emitter *emitter;
    struct tick_clock *ticks;
    /* The tick is complete: take the batch out of the emitter. */
    void (*sealed)(void *context, int64_t tick_ms);
    /* A source was configured, and starts next: what else must its state know?  NULL: nothing.
     */
    int (*prepare)(void *context, const struct source *source, void *state,
                   struct diagnosis *why);
    /* May a source that has more be asked between two ticks?  NULL: no. */
    enum scheduler_room (*room)(void *context);
    /* The part of a core that all sources together may take at their usual intervals; above it
     * the dearest is slowed (scheduler_cost.c).  0: whatever it takes. */
    double cpu_limit;
    int64_t cpu_window_ms;               /* costs are judged so often; 0: once a minute */
    mono_ns (*cpu_clock)(void *context); /* NULL: the thread's processor time */
    void *context;
};

/* How a source is doing. */
struct source_report {
    const char *name;
    int64_t interval_ms;     /* asked for */
    int64_t in_force_ms;     /* the same, or longer: slowed, for it is dear */
    double cpu_seconds;      /* since it was added */
    double duration_seconds; /* of the last run: gather and collect */
    bool is_on;              /* asked for */
    bool is_running;         /* started: this host has what it measures */
    bool has_succeeded;      /* last run; until there was one, whether it started */
    int64_t succeeded_ms; /* tick of the last run that did; until then, when it was started */
    bool is_busy;         /* gather() has not come back */
    uint64_t failures;
    uint64_t late;
    uint64_t skipped; /* ticks */
};

int scheduler_open(const struct scheduler_options *options, struct scheduler **ret_scheduler);

/* Adds a source and configures it.  `interval_ms` as decided by the configuration.  Its state
 * is `ret_state` (may be NULL). */
int scheduler_add(struct scheduler *scheduler, const struct source *source,
                  struct config *config, const struct config_node *node, int64_t interval_ms,
                  void **ret_state, struct diagnosis *why);

/* One that is not asked for: it costs a slot, and is configured when it is switched on. */
int scheduler_add_off(struct scheduler *scheduler, const struct source *source,
                      struct config *config, const struct config_node *node,
                      int64_t interval_ms, struct diagnosis *why);

/* Before scheduler_start(): lets one that was added off run after all. */
int scheduler_configure(struct scheduler *scheduler, size_t index, struct diagnosis *why);

/* Of a source that is off: another map of options, a YAML text, instead of the node it was
 * added with; NULL: that node again.  The text is copied.  ERR_NOMEM. */
int scheduler_override(struct scheduler *scheduler, size_t index, const char *text,
                       struct diagnosis *why);
/* The text, or NULL. */
const char *scheduler_override_of(const struct scheduler *scheduler, size_t index);

/* Starts every source.  What they emit in start() is sealed at once: inventory need not wait
 * for a tick. */
void scheduler_start(struct scheduler *scheduler);

/* Begins ticking on `loop`: a first look of every source at once, off the grid
 * (scheduler_first.c), then ticks. */
int scheduler_run(struct scheduler *scheduler, uv_loop_t *loop);

/* While ticking, not from within a tick.  Ticks that are due are run first; from then on the
 * source has this interval, on its grid, and is or is not asked for.  One that is switched off
 * is stopped at once, and its series end with stale markers; one that is switched on starts
 * with its first tick, or with the first look while that is ahead.  An error leaves it off. */
int scheduler_set(struct scheduler *scheduler, size_t index, bool is_on, int64_t interval_ms,
                  struct diagnosis *why);
/* Configures and starts a source anew that is not running: what it lacked may be there now. */
int scheduler_start_again(struct scheduler *scheduler, size_t index, struct diagnosis *why);

/* One tick of every source, in this thread, blocking ones too.  For --once. */
void scheduler_once(struct scheduler *scheduler);

/* Stops and frees; the memory goes after the loop has run its close callbacks, and after a
 * worker that hangs has come back.  Once scheduler_run() has been called it must be closed
 * before the loop is.  NULL is allowed. */
void scheduler_close(struct scheduler *scheduler);

size_t scheduler_count(const struct scheduler *scheduler);
/* NULL: it is off. */
void *scheduler_state(const struct scheduler *scheduler, size_t index);
struct source_report scheduler_report(const struct scheduler *scheduler, size_t index);
