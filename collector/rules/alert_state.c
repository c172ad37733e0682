/*
 * alert_state.c - see alert_state.h.
 */
#include "collector/rules/alert_state.h"

#include "proto/base/error.h"
#include "proto/base/must.h"

#define ALERT_STATE_ROW_VERSION 2
#define ALERT_STATE_ROW_OLDEST  1 /* without stale_since and flap */

static struct alert_step stay(struct alert_life now)
{
    return (struct alert_step){.life = now};
}

static struct alert_step fire(struct alert_life now, int64_t ts_ms)
{
    now.state = ALERT_FIRING;
    now.fired_ms = ts_ms;
    now.sent_ms = ts_ms;
    return (struct alert_step){.life = now, .changed = true, .telling = TELL_FIRING};
}

static struct alert_step end(enum alert_telling telling)
{
    return (struct alert_step){.changed = true, .telling = telling};
}

static struct alert_step next_without_data(struct alert_life now, int64_t patience_ms,
                                           int64_t ts_ms)
{
    struct alert_step step = stay(now);
    bool fires = now.state == ALERT_FIRING;

    if (now.stale_since_ms == 0) {
        step.life.stale_since_ms = ts_ms;
        step.changed = true;
        step.telling = fires ? TELL_FIRING : TELL_NOTHING;
    }
    if (ts_ms - step.life.stale_since_ms < patience_ms)
        return step;
    step = end(fires ? TELL_RESOLVED : TELL_NOTHING);
    step.without_data = true;
    return step;
}

static struct alert_step next_while_pending(struct alert_life now, enum alert_sight sight,
                                            int64_t for_ms, int64_t ts_ms)
{
    struct alert_step step;
    if (sight == SIGHT_NO_DATA)
        return next_without_data(now, PENDING_STALE_MS, ts_ms);
    if (sight != SIGHT_HOLDS)
        return end(TELL_NOTHING);
    step = stay(now);
    step.changed = now.stale_since_ms != 0;
    step.life.stale_since_ms = 0;
    return ts_ms - now.active_ms >= for_ms ? fire(step.life, ts_ms) : step;
}

static struct alert_step next_while_firing(struct alert_life now, enum alert_sight sight,
                                           const struct alert_terms *terms, int64_t ts_ms)
{
    struct alert_step step = stay(now);
    /* What had ended before the data went is kept no longer for their sake. */
    if (sight == SIGHT_NO_DATA && now.keep_since_ms == 0)
        return next_without_data(now, terms->stale_ms, ts_ms);
    if (now.stale_since_ms != 0) {
        step.life.stale_since_ms = 0;
        step.changed = true;
        step.telling = TELL_FIRING;
    }
    if (sight == SIGHT_HOLDS || sight == SIGHT_BETWEEN) {
        step.changed = step.changed || now.keep_since_ms != 0;
        step.life.keep_since_ms = 0;
        return step;
    }
    if (terms->keep_ms <= 0)
        return end(TELL_RESOLVED);
    if (now.keep_since_ms == 0) {
        step.life.keep_since_ms = ts_ms;
        step.changed = true;
        return step;
    }
    return ts_ms - now.keep_since_ms < terms->keep_ms ? step : end(TELL_RESOLVED);
}

struct alert_step alert_next(struct alert_life now, enum alert_sight sight,
                             const struct alert_terms *terms, int64_t ts_ms)
{
    struct alert_step step;

    switch (now.state) {
    case ALERT_INACTIVE:
        if (sight != SIGHT_HOLDS)
            return stay(now);
        now = (struct alert_life){.state = ALERT_PENDING, .active_ms = ts_ms};
        if (terms->for_ms <= 0)
            return fire(now, ts_ms);
        step = stay(now);
        step.changed = true;
        return step;
    case ALERT_PENDING:
        return next_while_pending(now, sight, terms->for_ms, ts_ms);
    case ALERT_FIRING:
        return next_while_firing(now, sight, terms, ts_ms);
    }
    must(now.state <= ALERT_FIRING);
    return stay(now);
}

void alert_row_write(const struct alert_row *row, struct buf *out)
{
    uint64_t bits;
    memcpy(&bits, &row->value, sizeof bits);
    buf_put_u8(out, ALERT_STATE_ROW_VERSION);
    buf_put_u8(out, (uint8_t)row->life.state);
    buf_put_zigzag(out, row->life.active_ms);
    buf_put_zigzag(out, row->life.fired_ms);
    buf_put_zigzag(out, row->life.keep_since_ms);
    buf_put_zigzag(out, row->life.sent_ms);
    buf_put_u64(out, bits);
    labels_write(row->labels, out);
    labels_write(row->annotations, out);
    buf_put_sized(out, row->instance);
    buf_put_zigzag(out, row->life.stale_since_ms);
    flap_write(&row->flap, out);
}

int alert_row_read(struct bytes bytes, struct arena *arena, struct alert_row *ret_row)
{
    struct reader reader = reader_of(bytes);
    struct alert_row row = {0};
    uint64_t bits;
    uint8_t version = reader_u8(&reader), state = reader_u8(&reader);
    int error;

    if (version < ALERT_STATE_ROW_OLDEST || version > ALERT_STATE_ROW_VERSION ||
        state > ALERT_FIRING)
        return ERR_CORRUPT;
    row.life.state = (enum alert_state)state;
    row.life.active_ms = reader_zigzag(&reader);
    row.life.fired_ms = reader_zigzag(&reader);
    row.life.keep_since_ms = reader_zigzag(&reader);
    row.life.sent_ms = reader_zigzag(&reader);
    bits = reader_u64(&reader);
    memcpy(&row.value, &bits, sizeof bits);
    error = labels_read(&reader, arena, &row.labels);
    if (error == 0)
        error = labels_read(&reader, arena, &row.annotations);
    if (error != 0)
        return error == ERR_NOMEM ? ERR_NOMEM : ERR_CORRUPT;
    row.instance = reader_sized(&reader);
    if (version > ALERT_STATE_ROW_OLDEST) {
        row.life.stale_since_ms = reader_zigzag(&reader);
        if (!flap_read(&reader, &row.flap))
            return ERR_CORRUPT;
    }
    if (reader.failed || reader_left(&reader) != 0)
        return ERR_CORRUPT;
    *ret_row = row;
    return 0;
}

const char *alert_state_text(enum alert_state state)
{
    static const char *const texts[] = {"inactive", "pending", "firing"};
    return texts[state];
}
