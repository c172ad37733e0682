/*
 * timeline.c - see timeline.h.
 */
#include "collector/rules/timeline.h"

#include <stdlib.h>

#define VOTES_MAX 1000u /* older ones count half from there on */

static int64_t ms_of(mono_ns now)
{
    return (int64_t)(now / NS_PER_MS);
}

static bool is_jump(int64_t a_ms, int64_t b_ms)
{
    return llabs(a_ms - b_ms) > TIMELINE_JUMP_MS;
}

void timeline_init(struct timeline *timeline, int64_t wall_ms, mono_ns now)
{
    *timeline = (struct timeline){.offset_ms = wall_ms - ms_of(now)};
}

/* Notices jumps, and jumps back. */
static void look(struct timeline *timeline, int64_t wall_ms, mono_ns now)
{
    int64_t wall_offset_ms = wall_ms - ms_of(now);
    if (!is_jump(wall_offset_ms, timeline->offset_ms)) {
        timeline->offset_ms = wall_offset_ms;
        timeline->jumped = false;
        return;
    }
    if (!timeline->jumped || is_jump(wall_offset_ms, timeline->wall_offset_ms)) {
        timeline->jumped = true;
        timeline->jumped_at = now;
        timeline->old_votes = timeline->new_votes = 0;
    }
    timeline->wall_offset_ms = wall_offset_ms;
}

void timeline_witness(struct timeline *timeline, int64_t ts_ms, int64_t wall_ms, mono_ns now)
{
    int64_t offset_ms = ts_ms - ms_of(now);
    look(timeline, wall_ms, now);
    if (!timeline->jumped)
        return;
    if (llabs(offset_ms - timeline->offset_ms) <= llabs(offset_ms - timeline->wall_offset_ms))
        timeline->old_votes++;
    else
        timeline->new_votes++;
    if (timeline->old_votes + timeline->new_votes > VOTES_MAX) {
        timeline->old_votes /= 2;
        timeline->new_votes /= 2;
    }
}

int64_t timeline_now(struct timeline *timeline, int64_t wall_ms, mono_ns now)
{
    look(timeline, wall_ms, now);
    if (timeline->jumped) {
        bool has_votes = timeline->old_votes + timeline->new_votes > 0;
        bool waits = now - timeline->jumped_at < (mono_ns)TIMELINE_WAIT_MS * NS_PER_MS;
        if (has_votes ? timeline->new_votes > timeline->old_votes : !waits) {
            timeline->offset_ms = timeline->wall_offset_ms;
            timeline->jumped = false;
        }
    }
    return ms_of(now) + timeline->offset_ms;
}
