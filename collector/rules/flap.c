/*
 * flap.c - see flap.h.
 */
#include "collector/rules/flap.h"

#include <string.h>

#define FLAPPING 1u
#define OWES_END 2u

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
    flap->owes_end = false;
    if (!flap->flapping && flap->count >= terms->changes) {
        flap->flapping = true;
        flap->began_ms = flap->at_ms[0];
    }
}

int64_t flap_fired_ms(const struct flap *flap)
{
    return flap->count < 2 ? flap_last_ms(flap) : flap->at_ms[flap->count - 2];
}

/* 0: it is told at once; what fired for longer than is remembered is. */
static int64_t hold_ms(const struct flap *flap, const struct flap_terms *terms)
{
    const int64_t fired_ms = flap_last_ms(flap) - flap_fired_ms(flap);
    const int64_t most_ms = terms->within_ms / 20;
    if (terms->changes == 0 || flap->count < 2 || fired_ms >= terms->within_ms / 10)
        return 0;
    return 2 * fired_ms < most_ms ? 2 * fired_ms : most_ms;
}

static enum flap_tells take_change(struct flap *flap, const struct flap_terms *terms,
                                   enum flap_change change, int64_t ts_ms)
{
    const bool owed_end = flap->owes_end;
    flap_change(flap, terms, ts_ms);
    flap->owes_end = change == FLAP_ENDED && !flap->flapping && hold_ms(flap, terms) > 0;
    if (flap->owes_end || (owed_end && !flap->flapping))
        return FLAP_TELLS_NOTHING; /* it is not over yet; or it never was, as far as told */
    return change == FLAP_ENDED && flap->flapping ? FLAP_TELLS_FIRING : FLAP_TELLS_CHANGE;
}

enum flap_tells flap_step(struct flap *flap, const struct flap_terms *terms,
                          enum flap_change change, int64_t ts_ms, bool *ret_changed)
{
    enum flap_tells tells = FLAP_TELLS_NOTHING;

    *ret_changed = true;
    if (change != FLAP_NO_CHANGE)
        return take_change(flap, terms, change, ts_ms);
    if (flap->owes_end && ts_ms - flap_last_ms(flap) >= hold_ms(flap, terms)) {
        flap->owes_end = false;
        return FLAP_TELLS_END;
    }
    *ret_changed = flap_is_over(flap, terms, ts_ms);
    if (*ret_changed) {
        tells = flap->flapping ? FLAP_TELLS_SETTLED : FLAP_TELLS_NOTHING;
        *flap = (struct flap){0};
    }
    return tells;
}

bool flap_is_over(const struct flap *flap, const struct flap_terms *terms, int64_t ts_ms)
{
    int64_t quiet_ms = flap->flapping ? terms->within_ms / 2 : terms->within_ms;
    return flap->count > 0 && (terms->changes == 0 || ts_ms - flap_last_ms(flap) >= quiet_ms);
}

void flap_write(const struct flap *flap, struct buf *out)
{
    buf_put_u8(out, (uint8_t)((flap->flapping ? FLAPPING : 0u) | (flap->owes_end ? OWES_END : 0u)));
    buf_put_zigzag(out, flap->began_ms);
    buf_put_u8(out, (uint8_t)flap->count);
    for (unsigned i = 0; i < flap->count; i++)
        buf_put_zigzag(out, flap->at_ms[i]);
}

bool flap_read(struct reader *reader, struct flap *ret_flap)
{
    struct flap flap = {0};
    uint8_t flags = reader_u8(reader);
    flap.began_ms = reader_zigzag(reader);
    flap.count = reader_u8(reader);
    if (reader->failed || flags > (FLAPPING | OWES_END) || flap.count > FLAP_CHANGES_MAX)
        return false;
    flap.flapping = (flags & FLAPPING) != 0;
    flap.owes_end = (flags & OWES_END) != 0;
    for (unsigned i = 0; i < flap.count; i++)
        flap.at_ms[i] = reader_zigzag(reader);
    if (reader->failed)
        return false;
    *ret_flap = flap;
    return true;
}
