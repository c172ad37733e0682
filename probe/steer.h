/*
 * steer.h - the policy in force: taken over at the start, and changed while the probe runs.
 *
 *     Policy ─► parse ─► STATE/policy.yml ─► what holds? ─► scheduler, log files ─► told
 *
 * A change takes nothing away that was measured: ticks that are due run first, sources that go
 * end their series, files that stay are read on where they were.
 *
 * Thread: the loop's; not from within a tick.
 */
#pragma once

#include "probe/emitter.h"
#include "probe/policy.h"
#include "probe/scheduler.h"

struct steer {
    struct options *options;
    struct policy *policy; /* in force; never NULL once open */
    struct permit *permit;
    struct log_settings_list logs; /* wanted, until the log source takes them */
    uint64_t rejected_version;     /* was no policy; it may be sent again */
};

/* Takes over what lies in the state folder; what cannot be read is logged and left out.
 * ERR_NOMEM. */
int steer_open(struct options *options, struct steer *steer, struct diagnosis *why);
void steer_done(struct steer *steer);

/* Something for the duty desk. */
typedef void steer_event(void *context, const char *kind, const char *text);

/* A policy came.  True: it is in force now.  The sources of `scheduler` are those of the
 * options, in their order. */
bool steer_take(struct steer *steer, const struct policy_push *push,
                struct scheduler *scheduler, struct emitter *emitter, steer_event *event,
                void *context);

/* What silence is measured by: the fastest source that speaks at every tick. */
uint32_t steer_fastest_interval(const struct options *options);
