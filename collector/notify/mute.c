/*
 * mute.c - see mute.h.
 */
#include "collector/notify/mute.h"

#include "collector/notify/interval.h"

bool mutes_exist(const struct mutes *mutes)
{
    return mutes->silences->count > 0 || mutes->inhibition->rule_count > 0;
}

int mutes_look(const struct mutes *mutes, struct tracked *tracked, int64_t now_ms,
               bool *ret_muted)
{
    const struct labels *labels = tracked->alert->labels;
    uint64_t by;
    int error = muting_refresh(&tracked->muting, mutes->silences, labels, now_ms);
    if (error == 0)
        *ret_muted = muting_is_active(&tracked->muting, now_ms) ||
                     inhibition_holds(mutes->inhibition, labels, &tracked->inhibited, &by);
    return error;
}

size_t mute_by_time(const struct route *route, int64_t now_ms,
                    const char *ret_names[ROUTE_INTERVALS_MAX])
{
    bool is_active = route->active_interval_count == 0;
    size_t count = 0;

    for (size_t i = 0; i < route->active_interval_count; i++) {
        is_active = is_active || interval_holds(route->active_intervals[i], now_ms);
        ret_names[i] = route->active_intervals[i]->name;
    }
    if (!is_active)
        return route->active_interval_count;
    for (size_t i = 0; i < route->mute_interval_count; i++)
        if (interval_holds(route->mute_intervals[i], now_ms))
            ret_names[count++] = route->mute_intervals[i]->name;
    return count;
}
