/* points.c - see points.h. */
#include "collector/http/points.h"

#include <stdatomic.h>

#include "collector/promql/engine.h"
#include "collector/series/crew.h"
#include "proto/base/must.h"

#define POINT_BYTES (JSON_SECONDS_BYTES + NUMBER_TEXT_BYTES + 8)
#define SHARED_MIN  4096 /* points; fewer are written sooner than a thread awakes, */
#define ALERT_MIN   1024 /* but for one that is awake */

/* Put where it belongs; gives its end. */
static char *put_point(char *at, int64_t ts_ms, double value)
{
    *at++ = '[';
    at += json_seconds_text(ts_ms, at);
    *at++ = ',';
    *at++ = '"';
    at = promql_number_put(value, at);
    *at++ = '"';
    *at++ = ']';
    return at;
}

void points_write_one(struct json_writer *json, int64_t ts_ms, double value)
{
    char text[POINT_BYTES];
    const char *end = put_point(text, ts_ms, value);
    json_write_raw(json, (struct bytes){(const uint8_t *)text, (size_t)(end - text)});
}

/* The points with commas between them. */
static void put_points(struct buf *out, const struct series_samples *series)
{
    for (size_t i = 0; i < series->count; i++) {
        char *to = (char *)buf_reserve(out, POINT_BYTES + 1);
        if (to == NULL)
            break; /* the buffer remembers */
        char *at = to;
        if (i > 0)
            *at++ = ',';
        at = put_point(at, series->times_ms[i], series->values[i]);
        out->size += (size_t)(at - to);
    }
}

void points_write(struct json_writer *json, const struct series_samples *series)
{
    json_write_array(json);
    put_points(json->out, series);
    json_write_end(json);
}

struct points_loop {
    const struct series_samples *series;
    size_t count;
    struct buf *texts;
    _Atomic size_t next;
};

static void take_share(void *context, unsigned place)
{
    struct points_loop *loop = context;
    (void)place;
    for (;;) {
        size_t i = atomic_fetch_add_explicit(&loop->next, 1, memory_order_relaxed);
        if (i >= loop->count)
            return;
        buf_put_char(&loop->texts[i], '[');
        put_points(&loop->texts[i], &loop->series[i]);
        buf_put_char(&loop->texts[i], ']');
    }
}

bool points_make(const struct series_samples *series, size_t count, struct crew *crew,
                 struct buf texts[POINTS_BATCH])
{
    struct points_loop loop = {.series = series, .count = count, .texts = texts};
    size_t points = 0;
    must(count <= POINTS_BATCH);
    for (size_t i = 0; i < count; i++)
        points += series[i].count;
    if (crew_helpers(crew) == 0 || count < 2 ||
        points < (crew_is_alert(crew) ? ALERT_MIN : SHARED_MIN))
        return false;
    crew_share(crew, take_share, &loop);
    return true;
}
