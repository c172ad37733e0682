/*
 * mute.c - see mute.h.
 */
#include "collector/notify/mute.h"

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
