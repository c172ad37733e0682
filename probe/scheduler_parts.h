/*
 * scheduler_parts.h - what scheduler.c and scheduler_set.c share; nothing else includes it.
 */
#pragma once

#include "probe/scheduler.h"

struct slot {
    struct scheduler *scheduler; /* NULL: the scheduler was closed under a busy worker */
    const struct source *source;
    struct config *config;
    const struct config_node *node;
    char *override;     /* its map as YAML, instead of the node; NULL: the node holds */
    struct config *own; /* the override as the state has it */
    uint16_t owner;     /* the emitter's name for it: its place + 1 */
    void *state;        /* NULL: off */
    int64_t interval_ms;
    int64_t due_ms;
    bool is_running;
    bool is_starting;  /* switched on: its first tick starts it */
    bool is_busy;      /* gather() is on a worker */
    bool has_gathered; /* came back after its batch was sealed */
    bool is_awaited;   /* by the open batch */
    bool has_succeeded;
    int64_t succeeded_ms;
    bool was_failing;
    uint32_t complaint; /* hash of the last one, 0: none */
    int gather_error;
    int64_t tick_ms; /* of the gather under way */
    int64_t gathered_ms;
    mono_ns began;
    double duration_seconds;
    uint64_t failures, late, skipped;
    /* What it costs (scheduler_cost.c).  The worker writes gather_ns while it is busy. */
    unsigned slowed;                /* its interval is doubled so many times */
    bool has_opened;                /* its first run is over */
    mono_ns gather_ns;              /* of the gather under way */
    mono_ns callbacks_ns;           /* spent_ns() at the end of the look before */
    mono_ns cpu_ns;                 /* since it was added */
    mono_ns window_ns, window_runs; /* since the last judgement */
    double run_ns;                  /* a run, in the window before */
    struct source_env env;          /* for the worker */
    uv_work_t work;
};

struct scheduler {
    struct scheduler_options options;
    struct slot **slots;
    size_t count;
    uv_loop_t *loop;
    uv_timer_t timer;    /* the next tick */
    uv_timer_t deadline; /* the open batch waits no longer */
    size_t closing;      /* handles not closed yet */
    bool is_open;        /* a batch waits for blocking sources */
    int64_t tick_ms;     /* of the open batch */
    int64_t judged_ms;   /* costs were last looked at */
    /* scheduler_first.c */
    bool has_told;          /* a batch of what start() emitted was sealed */
    bool is_look;           /* the open batch is a first look's */
    int64_t looks_until_ms; /* ticks until then are */
};

/* Gives an empty slot its state; on failure it stays empty. */
int slot_configure(struct slot *slot, struct diagnosis *why);
void slot_free(struct slot *slot);
/* What a person calls it, for as long as it is on. */
const char *slot_title(const struct slot *slot);

/* Processor time of this thread. */
mono_ns scheduler_cost_now(const struct scheduler *scheduler);
/* Lets a source emit if its gather() went well (`error` 0), and books what both have cost. */
int scheduler_cost_collect(struct scheduler *scheduler, struct slot *slot,
                           const struct source_env *env, int error);
/* begin() of a source, booked; and its callbacks, when it is done. */
int scheduler_cost_begin(struct scheduler *scheduler, struct slot *slot,
                         void (*done)(void *context, int error));
void scheduler_cost_end(struct slot *slot);
/* Once a window: slows the dearest source if all are too dear, or relaxes. */
void scheduler_cost_judge(struct scheduler *scheduler);
/* Between two ticks, as it is in force. */
int64_t slot_interval_ms(const struct slot *slot);

/* A first look waits so long for those that are not back at once. */
#define SCHEDULER_LOOK_PATIENCE_MS 10
/* Lets what the open batch holds go, if it is a first look's, and opens another for those it
 * waits for.  False: it is not, or a tick is due, which takes them. */
bool scheduler_part_look(struct scheduler *scheduler);

/* The open batch waits no longer. */
void scheduler_seal(struct scheduler *scheduler);
/* Sets the timer for what is due next. */
void scheduler_arm(struct scheduler *scheduler);
/* Runs what is due, and arms. */
void scheduler_on_tick(uv_timer_t *timer);
