/*
 * scheduler_set.c - intervals that change, sources that come and go, while ticks go on.
 *
 * A change happens between two ticks: those that are due are run before it, and a batch that is
 * open is sealed before a source leaves, so no sample is lost to it.
 */
#include <stdlib.h>
#include <string.h>

#include "probe/scheduler_parts.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

/* Takes a source off: its series end with the next batch. */
static int switch_off(struct scheduler *scheduler, size_t index, struct diagnosis *why)
{
    struct slot *slot = scheduler->slots[index];
    struct slot *empty = calloc(1, sizeof *empty);
    char *override = slot->override == NULL ? NULL : strdup(slot->override);
    if (empty == NULL || (slot->override != NULL && override == NULL)) {
        free(empty);
        free(override);
        return diagnose(why, ERR_NOMEM, "out of memory");
    }
    *empty = (struct slot){.scheduler = scheduler,
                           .source = slot->source,
                           .config = slot->config,
                           .node = slot->node,
                           .override = override,
                           .owner = slot->owner,
                           .interval_ms = slot->interval_ms};
    if (scheduler->is_open) { /* what it has emitted there stays */
        must(uv_timer_stop(&scheduler->deadline) == 0);
        scheduler_seal(scheduler);
    }
    emitter_end_owned(scheduler->options.emitter, slot->owner);
    scheduler->slots[index] = empty;
    if (!slot->is_busy) {
        slot_free(slot);
        return 0;
    }
    slot->scheduler = NULL; /* come_back() frees it */
    if (slot->source->cancel != NULL)
        slot->source->cancel(slot->state);
    return 0;
}

/* The state is there; the first tick starts it. */
static int switch_on(struct slot *slot, struct diagnosis *why)
{
    int error = slot_configure(slot, why);
    slot->is_starting = slot->is_running = error == 0;
    return error;
}

/* A first look that is still ahead (scheduler_first.c) is not put off to a tick, whatever has
 * changed before it. */
static int64_t due_after_change(const struct scheduler *scheduler, const struct slot *slot)
{
    int64_t now_ms = tick_clock_now(scheduler->options.ticks);
    int64_t look_ms = scheduler->looks_until_ms;
    return now_ms < look_ms && slot->due_ms <= look_ms
               ? look_ms
               : tick_after(scheduler->options.ticks, now_ms, slot->interval_ms);
}

int scheduler_set(struct scheduler *scheduler, size_t index, bool is_on, int64_t interval_ms,
                  struct diagnosis *why)
{
    must(index < scheduler->count && interval_ms > 0 && scheduler->loop != NULL);
    int error = 0;

    scheduler_on_tick(&scheduler->timer);
    if (!is_on && scheduler->slots[index]->state != NULL)
        error = switch_off(scheduler, index, why);
    else if (is_on && scheduler->slots[index]->state == NULL)
        error = switch_on(scheduler->slots[index], why);
    struct slot *slot = scheduler->slots[index];
    slot->interval_ms = interval_ms;
    slot->slowed = 0; /* what it costs now is another matter */
    slot->due_ms = due_after_change(scheduler, slot);
    scheduler_arm(scheduler);
    return error;
}

int scheduler_override(struct scheduler *scheduler, size_t index, const char *text,
                       struct diagnosis *why)
{
    must(index < scheduler->count && scheduler->slots[index]->state == NULL);
    struct slot *slot = scheduler->slots[index];
    char *copy = text == NULL ? NULL : strdup(text);
    if (text != NULL && copy == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    free(slot->override);
    slot->override = copy;
    return 0;
}

const char *scheduler_override_of(const struct scheduler *scheduler, size_t index)
{
    must(index < scheduler->count);
    return scheduler->slots[index]->override;
}

int scheduler_start_again(struct scheduler *scheduler, size_t index, struct diagnosis *why)
{
    must(index < scheduler->count);
    const struct slot *slot = scheduler->slots[index];
    must(!slot->is_running || slot->is_starting);
    int64_t interval_ms = slot->interval_ms;
    int error = scheduler_set(scheduler, index, false, interval_ms, why);
    return error == 0 ? scheduler_set(scheduler, index, true, interval_ms, why) : error;
}
