/*
 * mute.h - is this alert not to be told now?
 *
 *     silenced    a silence somebody set matches it                silence.h
 *     inhibited   another alert that fires says it already         inhibit.h
 *
 * Both mute what fires and leave owed what was told (dedup.h); both are looked at when a group
 * has something to say, and again before a message is sent.  What is not to be told at this
 * time of day is so for a whole group (interval.h).
 *
 * Thread: under the view lock, any.
 */
#pragma once

#include "collector/notify/group.h"

struct mutes {
    const struct silences *silences;
    const struct inhibition *inhibition; /* refreshed */
};

/* Could anything be muted at all? */
bool mutes_exist(const struct mutes *mutes);
/* Is this one?  ERR_NOMEM: not known. */
int mutes_look(const struct mutes *mutes, struct tracked *tracked, int64_t now_ms,
               bool *ret_muted);

/* The names of the intervals because of which groups of this route are not told now: the active
 * ones if none holds, else the mute ones that hold.  0: they are told. */
size_t mute_by_time(const struct route *route, int64_t now_ms,
                    const char *ret_names[ROUTE_INTERVALS_MAX]);
