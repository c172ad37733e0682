/*
 * outlook.c - see outlook.h.
 */
#include "collector/notify/outlook.h"

/* The group's first flush that is not before `at_ms`. */
static int64_t flush_at(const struct outlook_lane *lane, int64_t at_ms)
{
    int64_t late_ms = at_ms - lane->due_ms, interval_ms = lane->interval_ms;
    if (late_ms <= 0)
        return lane->due_ms;
    if (interval_ms <= 0)
        return at_ms;
    return lane->due_ms + (late_ms + interval_ms - 1) / interval_ms * interval_ms;
}

struct outlook outlook_of(const struct outlook_lane *lane, int64_t now_ms)
{
    /* What mutes it may be over before a flush has looked: then it never was. */
    const bool is_muted = lane->muted_until_ms > now_ms &&
                          !(lane->is_told && lane->muted_until_ms <= lane->due_ms);
    /* What was told before it was muted is no news afterwards if somebody has it in hand. */
    const bool counts_as_told = lane->is_told || (lane->was_told && lane->is_acknowledged);

    if (lane->is_over)
        return lane->owes_end ? (struct outlook){NEXT_END, flush_at(lane, now_ms)}
                              : (struct outlook){NEXT_NOTHING, 0};
    if (is_muted && (lane->is_told || lane->was_told) && lane->is_acknowledged)
        return (struct outlook){NEXT_ACKNOWLEDGED, 0};
    if (is_muted && lane->muted_until_ms == OUTLOOK_OPEN)
        return (struct outlook){NEXT_MUTED, 0};
    if (is_muted)
        return (struct outlook){NEXT_AFTER_MUTE, flush_at(lane, lane->muted_until_ms)};
    if (!counts_as_told)
        return (struct outlook){NEXT_FIRST, flush_at(lane, now_ms)};
    if (lane->all_acknowledged)
        return (struct outlook){NEXT_ACKNOWLEDGED, 0};
    /* dedup.h repeats when said + repeat has gone by, not at that very millisecond. */
    const int64_t earliest_ms = lane->said_ms + lane->repeat_ms + 1;
    return (struct outlook){NEXT_REPEAT,
                            flush_at(lane, earliest_ms > now_ms ? earliest_ms : now_ms)};
}

const char *outlook_next_text(enum outlook_next next)
{
    static const char *const texts[] = {[NEXT_FIRST] = "first",
                                        [NEXT_REPEAT] = "repeat",
                                        [NEXT_AFTER_MUTE] = "after_mute",
                                        [NEXT_MUTED] = "muted",
                                        [NEXT_ACKNOWLEDGED] = "acknowledged",
                                        [NEXT_END] = "end",
                                        [NEXT_STEP] = "step",
                                        [NEXT_NOTHING] = "nothing"};
    return texts[next];
}

enum verdict verdict_of(const struct verdict_facts *facts)
{
    if (facts->is_over)
        return VERDICT_OVER;
    if (facts->is_pending)
        return VERDICT_PENDING;
    if (!facts->is_tracked)
        return VERDICT_NEW;
    if (facts->told_count > 0)
        return VERDICT_TOLD;
    if (facts->failing_count > 0)
        return VERDICT_FAILING;
    if (facts->sending_count > 0)
        return VERDICT_SENDING;
    if (facts->is_silenced)
        return VERDICT_SILENCED;
    if (facts->is_inhibited)
        return VERDICT_INHIBITED;
    if (facts->lane_count == 0)
        return VERDICT_NOBODY;
    return facts->lanes_out_of_time == facts->lane_count ? VERDICT_OUT_OF_TIME
                                                         : VERDICT_WAITING;
}

const char *verdict_text(enum verdict verdict)
{
    static const char *const texts[] = {
        [VERDICT_PENDING] = "pending",     [VERDICT_NEW] = "new",
        [VERDICT_TOLD] = "told",           [VERDICT_FAILING] = "failing",
        [VERDICT_SENDING] = "sending",     [VERDICT_SILENCED] = "silenced",
        [VERDICT_INHIBITED] = "inhibited", [VERDICT_OUT_OF_TIME] = "out_of_time",
        [VERDICT_NOBODY] = "nobody",       [VERDICT_WAITING] = "waiting",
        [VERDICT_OVER] = "over",
    };
    return texts[verdict];
}
