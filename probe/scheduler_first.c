/*
 * scheduler_first.c - the first look after a start is at once, whatever the interval.
 *
 * The grid of ticks is the same after a restart, and its next point may be a whole interval
 * away.  So every source looks once when the loop begins, with a time off the grid, and then
 * goes on by its grid:
 *
 *     start() emitted something:   its batch   50 ms   look   50 ms   look at dear ones   ticks
 *     it did not:                                      look   50 ms   look at dear ones   ticks
 *
 * What start() emitted (a new epoch's word) goes alone, for a new folder owes the disk a wait
 * with its second batch.  Sources that are seldom asked are so because they are dear: thousands
 * of processes are not read before the others' batch had time to leave.  A grid point so near
 * that a look would be its double takes its place.
 *
 * A look's batch does not wait as long for blocking sources as a tick's: those that are not
 * back soon get a batch of their own, in which they are waited for as ever.
 */
#include "probe/scheduler_parts.h"
#include "proto/base/error.h"

/* Between a batch of start(), the look, and that at dear sources. */
#define APART_MS 50
/* Whose usual interval is longer is dear. */
#define DEAR_ABOVE_MS 5000
/* A tick so soon after the look takes its place.  Parts of a batch (emitter_tick.h) are fewer
 * milliseconds. */
#define DOUBLE_MS 20

int scheduler_run(struct scheduler *scheduler, uv_loop_t *loop)
{
    int64_t now_ms = tick_clock_now(scheduler->options.ticks);
    int64_t first_ms = scheduler->has_told ? now_ms + APART_MS : now_ms;
    scheduler->loop = loop;
    if (uv_timer_init(loop, &scheduler->timer) != 0 ||
        uv_timer_init(loop, &scheduler->deadline) != 0)
        return ERR_IO;
    scheduler->timer.data = scheduler;
    scheduler->deadline.data = scheduler;
    scheduler->looks_until_ms = first_ms + APART_MS;
    for (size_t i = 0; i < scheduler->count; i++) {
        struct slot *slot = scheduler->slots[i];
        bool is_dear = slot->source->interval_ms > DEAR_ABOVE_MS;
        int64_t look_ms = is_dear ? first_ms + APART_MS : first_ms;
        int64_t grid_ms = tick_after(scheduler->options.ticks, now_ms, slot->interval_ms);
        slot->due_ms = grid_ms <= look_ms + DOUBLE_MS ? grid_ms : look_ms;
    }
    scheduler_arm(scheduler);
    return 0;
}

bool scheduler_part_look(struct scheduler *scheduler)
{
    int64_t now_ms = tick_clock_now(scheduler->options.ticks);
    if (!scheduler->is_look || now_ms <= scheduler->tick_ms)
        return false;
    for (size_t i = 0; i < scheduler->count; i++)
        if (scheduler->slots[i]->is_running && scheduler->slots[i]->due_ms <= now_ms)
            return false;
    scheduler->is_look = false;
    scheduler->options.sealed(scheduler->options.context, scheduler->tick_ms);
    scheduler->tick_ms = now_ms;
    emitter_begin(scheduler->options.emitter, now_ms);
    return true;
}
