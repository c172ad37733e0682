/*
 * pace.c - see pace.h.
 */
#include "probe/pace.h"

void pace_begin(struct pace *pace)
{
    if (pace->bytes == 0 || pace->bytes > PACE_FIRST_BYTES)
        pace->bytes = PACE_FIRST_BYTES;
    pace->least = 0;
    pace->slowed = 0;
    pace->tried = 0;
}

void pace_landed(struct pace *pace, uint64_t bytes, uint64_t under_way, mono_ns sent,
                 mono_ns now)
{
    mono_ns took = now > sent ? now - sent : 1;
    if (pace->least == 0 || took < pace->least)
        pace->least = took;
    if (under_way > pace->tried)
        pace->tried = under_way;
    if (took - pace->least <= PACE_QUEUE_NS) {
        if (pace->tried >= pace->bytes / 2)
            pace->bytes += bytes;
        if (pace->bytes > PACE_MOST_BYTES)
            pace->bytes = PACE_MOST_BYTES;
    } else if (sent >= pace->slowed) {
        pace->bytes = pace->bytes / 2 > PACE_LEAST_BYTES ? pace->bytes / 2 : PACE_LEAST_BYTES;
        pace->slowed = now;
        pace->tried = 0;
    }
}
