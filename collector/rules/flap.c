/*
 * flap.c - see flap.h.
 */
#include "collector/rules/flap.h"

#include <string.h>

int64_t flap_last_ms(const struct flap *flap)
{
    return flap->count == 0 ? 0 : flap->at_ms[flap->count - 1];
}

static void drop_oldest(struct flap *flap, unsigned count)
{
    flap->count -= count;
    memmove(flap->at_ms, flap->at_ms + count, flap->count * sizeof flap->at_ms[0]);
}

void flap_change(struct flap *flap, const struct flap_terms *terms, int64_t ts_ms)
{
    unsigned old = 0;
    if (terms->changes == 0)
        return;
    while (old < flap->count && flap->at_ms[old] <= ts_ms - terms->within_ms)
        old++;
    if (old == 0 && flap->count == FLAP_CHANGES_MAX)
        old = 1;
    drop_oldest(flap, old);
    flap->at_ms[flap->count++] = ts_ms;
    if (!flap->flapping && flap->count >= terms->changes) {
        flap->flapping = true;
        flap->began_ms = flap->at_ms[0];
    }
}

int64_t flap_hold_ms(const struct flap *flap, const struct flap_terms *terms)
{
    const int64_t most_ms = terms->within_ms / 40;
    int64_t fired_ms;
    if (terms->changes == 0 || flap->count < 2)
        return 0; /* it began longer ago than is remembered */
    fired_ms = flap_last_ms(flap) - flap->at_ms[flap->count - 2];
    if (fired_ms >= terms->within_ms / 10)
        return 0;
    return fired_ms + fired_ms / 4 < most_ms ? fired_ms + fired_ms / 4 : most_ms;
}

bool flap_is_over(const struct flap *flap, const struct flap_terms *terms, int64_t ts_ms)
{
    int64_t quiet_ms = flap->flapping ? terms->within_ms / 2 : terms->within_ms;
    return flap->count > 0 && (terms->changes == 0 || ts_ms - flap_last_ms(flap) >= quiet_ms);
}

void flap_write(const struct flap *flap, struct buf *out)
{
    buf_put_u8(out, flap->flapping);
    buf_put_zigzag(out, flap->began_ms);
    buf_put_u8(out, (uint8_t)flap->count);
    for (unsigned i = 0; i < flap->count; i++)
        buf_put_zigzag(out, flap->at_ms[i]);
}

bool flap_read(struct reader *reader, struct flap *ret_flap)
{
    struct flap flap = {0};
    uint8_t flapping = reader_u8(reader);
    flap.began_ms = reader_zigzag(reader);
    flap.count = reader_u8(reader);
    if (reader->failed || flapping > 1 || flap.count > FLAP_CHANGES_MAX)
        return false;
    flap.flapping = flapping == 1;
    for (unsigned i = 0; i < flap.count; i++)
        flap.at_ms[i] = reader_zigzag(reader);
    if (reader->failed)
        return false;
    *ret_flap = flap;
    return true;
}
