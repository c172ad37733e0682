/*
 * alert_state.c - see alert_state.h.
 */
#include "collector/rules/alert_state.h"

#include "proto/base/error.h"
#include "proto/base/must.h"

#define ALERT_STATE_ROW_VERSION 1

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

static struct alert_step next_while_firing(struct alert_life now, bool holds, int64_t keep_ms,
                                           int64_t ts_ms)
{
    struct alert_step step = stay(now);
    if (holds) {
        step.changed = now.keep_since_ms != 0;
        step.life.keep_since_ms = 0;
        return step;
    }
    if (keep_ms <= 0)
        return end(TELL_RESOLVED);
    if (now.keep_since_ms == 0) {
        step.life.keep_since_ms = ts_ms;
        step.changed = true;
        return step;
    }
    return ts_ms - now.keep_since_ms < keep_ms ? step : end(TELL_RESOLVED);
}

struct alert_step alert_next(struct alert_life now, bool holds, int64_t for_ms, int64_t keep_ms,
                             int64_t ts_ms)
{
    struct alert_step step;

    switch (now.state) {
    case ALERT_INACTIVE:
        if (!holds)
            return stay(now);
        now = (struct alert_life){.state = ALERT_PENDING, .active_ms = ts_ms};
        if (for_ms <= 0)
            return fire(now, ts_ms);
        step = stay(now);
        step.changed = true;
        return step;
    case ALERT_PENDING:
        if (!holds)
            return end(TELL_NOTHING);
        return ts_ms - now.active_ms >= for_ms ? fire(now, ts_ms) : stay(now);
    case ALERT_FIRING:
        return next_while_firing(now, holds, keep_ms, ts_ms);
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
}

int alert_row_read(struct bytes bytes, struct arena *arena, struct alert_row *ret_row)
{
    struct reader reader = reader_of(bytes);
    struct alert_row row = {0};
    uint64_t bits;
    uint8_t state;
    int error;

    if (reader_u8(&reader) != ALERT_STATE_ROW_VERSION)
        return ERR_CORRUPT;
    state = reader_u8(&reader);
    if (state != ALERT_PENDING && state != ALERT_FIRING)
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
