/*
 * scheduler_cost.c - what measuring costs, and what happens when that is too much.
 *
 * Each run's processor time is that of the thread that did it.  Once a window the shares of all
 * sources are added up: what a run costs, by the time between two runs.  Above the limit the
 * dearest source is run half as often; well below it, the cheapest of the slowed ones is run
 * twice as often again.  One step a window, so that its effect is seen before the next.
 *
 * An interval that was asked for and is shorter than the source's usual one counts as the usual
 * one: who asks for one tick a second gets it, unless the same work would be too dear at the
 * usual interval.  A source's first run, which opens what it reads, does not count; nor do
 * sources that take what comes (log lines): reading those later makes it no less.  A source
 * that asks others (begin) measures its own callbacks on the loop, which come between
 * everything else's.
 */
#include "probe/scheduler_parts.h"
#include "proto/base/log.h"

#define WINDOW_MS  60000
#define USUAL_MS   5000   /* of sources without an interval of their own */
#define SLOWEST_MS 240000 /* a query looks back five minutes */
/* What the sum must fall below, if a source were run twice as often, for it to be done. */
#define RELAX_BELOW 0.7

mono_ns scheduler_cost_now(const struct scheduler *scheduler)
{
    if (scheduler != NULL && scheduler->options.cpu_clock != NULL)
        return scheduler->options.cpu_clock(scheduler->options.context);
    return clock_thread_cpu();
}

int64_t slot_interval_ms(const struct slot *slot)
{
    return slot->interval_ms << slot->slowed;
}

static void add(struct slot *slot, mono_ns spent)
{
    slot->cpu_ns += spent;
    if (slot->has_opened) {
        slot->window_ns += spent;
        slot->window_runs++;
    }
    slot->has_opened = true;
}

int scheduler_cost_collect(struct scheduler *scheduler, struct slot *slot,
                           const struct source_env *env, int error)
{
    struct emitter *emitter = scheduler->options.emitter;
    mono_ns began = scheduler_cost_now(scheduler);
    emitter_set_owner(emitter, slot->owner);
    if (error == 0 && slot->source->collect != NULL)
        error = slot->source->collect(slot->state, env, emitter);
    emitter_set_owner(emitter, 0);
    add(slot, slot->gather_ns + scheduler_cost_now(scheduler) - began);
    slot->gather_ns = 0;
    return error;
}

int scheduler_cost_begin(struct scheduler *scheduler, struct slot *slot,
                         void (*done)(void *context, int error))
{
    mono_ns began = scheduler_cost_now(scheduler);
    int error = slot->source->begin(slot->state, &slot->env, scheduler->loop, done, slot);
    slot->gather_ns += scheduler_cost_now(scheduler) - began;
    return error;
}

void scheduler_cost_end(struct slot *slot)
{
    if (slot->source->spent_ns == NULL)
        return;
    mono_ns spent = slot->source->spent_ns(slot->state);
    slot->gather_ns += spent - slot->callbacks_ns;
    slot->callbacks_ns = spent;
}

static int64_t usual_ms(const struct slot *slot)
{
    int64_t own_ms = slot->source->interval_ms != 0 ? slot->source->interval_ms : USUAL_MS;
    return slot->interval_ms > own_ms ? slot->interval_ms : own_ms;
}

/* The part of a core that a source takes, as it is slowed now. */
static double share_of(const struct slot *slot)
{
    bool counts = slot->is_running && slot->source->has_more == NULL;
    return counts ? slot->run_ns / 1e6 / (double)(usual_ms(slot) << slot->slowed) : 0;
}

static void begin_window(struct slot *slot)
{
    if (slot->window_runs > 0)
        slot->run_ns = (double)slot->window_ns / (double)slot->window_runs;
    slot->window_ns = slot->window_runs = 0;
}

static void set_slowed(struct scheduler *scheduler, struct slot *slot, unsigned slowed,
                       double sum)
{
    bool is_slower = slowed > slot->slowed;
    slot->slowed = slowed;
    slot->due_ms = tick_after(scheduler->options.ticks,
                              tick_clock_now(scheduler->options.ticks), slot_interval_ms(slot));
    if (is_slower)
        log_warn(
            "scheduler",
            "measuring takes %.2f %% of a core, more than %.2f %%: source %s, the dearest, "
            "is now read every %lld ms",
            sum * 100, scheduler->options.cpu_limit * 100, slot_title(slot),
            (long long)slot_interval_ms(slot));
    else
        log_info("scheduler", "source %s is read every %lld ms again", slot_title(slot),
                 (long long)slot_interval_ms(slot));
}

void scheduler_cost_judge(struct scheduler *scheduler)
{
    int64_t now_ms = tick_clock_now(scheduler->options.ticks);
    int64_t window_ms =
        scheduler->options.cpu_window_ms != 0 ? scheduler->options.cpu_window_ms : WINDOW_MS;
    struct slot *dearest = NULL, *cheapest = NULL;
    double limit = scheduler->options.cpu_limit, sum = 0;

    if (limit <= 0 || now_ms < scheduler->judged_ms + window_ms)
        return;
    bool is_first = scheduler->judged_ms == 0;
    scheduler->judged_ms = now_ms;
    if (is_first)
        return;
    for (size_t i = 0; i < scheduler->count; i++) {
        struct slot *slot = scheduler->slots[i];
        begin_window(slot);
        double share = share_of(slot);
        sum += share;
        if (share > 0 && slot_interval_ms(slot) * 2 <= SLOWEST_MS &&
            (dearest == NULL || share > share_of(dearest)))
            dearest = slot;
        if (slot->slowed > 0 && (cheapest == NULL || share < share_of(cheapest)))
            cheapest = slot;
    }
    if (sum > limit && dearest != NULL)
        set_slowed(scheduler, dearest, dearest->slowed + 1, sum);
    else if (cheapest != NULL && sum + share_of(cheapest) < limit * RELAX_BELOW)
        set_slowed(scheduler, cheapest, cheapest->slowed - 1, sum);
}
