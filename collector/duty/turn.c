/*
 * turn.c - whose turn it is in one layer.
 *
 *     start            +length          +2 length
 *     |---- group 0 ----|---- group 1 ----|---- group 0 ----|      turns by the clock
 *
 *     |-- Sat 0 --|-- Sun 1 --|   (weekdays)   |-- Sat 2 --|       turns by days in force
 *
 * By the clock a turn passes whether or not the layer is in force.  Where seven people share
 * the weekends a day each, that would give Saturdays to one of them for ever: `skip: true`
 * counts days in force only.
 */
#include "collector/duty/duty_parts.h"
#include "proto/base/must.h"

/* Counting goes on where it stopped, so that a walk over a range looks at each day once. */
static int64_t days_in_force(const struct duty *duty, const struct duty_layer *layer,
                             struct duty_count *count, int64_t day)
{
    if (count->day < layer->start_day || count->day > day)
        *count = (struct duty_count){.day = layer->start_day};
    for (; count->day < day; count->day++)
        count->counted += duty_when_has_day(&layer->when, duty->calendar, count->day);
    return count->counted;
}

static int64_t month_of(int64_t local_ms, struct civil *ret_at)
{
    civil_read(local_ms, ret_at);
    return ret_at->year * 12 + ret_at->month - 1;
}

/* The n-th month's handover after the start, which is no later than a month's 28th. */
static int64_t month_begin(const struct duty_layer *layer, int64_t n)
{
    struct civil start;
    const int64_t month = month_of(layer->start_day * CIVIL_DAY_MS, &start) + n;
    return civil_days(month / 12, (int)(month % 12) + 1, start.day) * CIVIL_DAY_MS +
           layer->handover * CIVIL_MINUTE_MS;
}

static int64_t turn_by_month(const struct duty_layer *layer, int64_t local_ms,
                             int64_t *until_ms)
{
    struct civil at, start;
    int64_t turn = month_of(local_ms, &at) - month_of(layer->start_day * CIVIL_DAY_MS, &start);
    if (local_ms < month_begin(layer, turn))
        turn--;
    int64_t end_ms = month_begin(layer, turn + 1);
    if (end_ms < *until_ms)
        *until_ms = end_ms;
    return turn;
}

const struct duty_group *duty_layer_at(const struct duty *duty, const struct duty_layer *layer,
                                       int64_t local_ms, struct duty_count *count,
                                       int64_t *until_ms)
{
    const int64_t start_ms =
        layer->start_day * CIVIL_DAY_MS + layer->handover * CIVIL_MINUTE_MS;
    int64_t turn = 0, day, border_ms = INT64_MAX;

    if (local_ms < start_ms) {
        if (start_ms < *until_ms)
            *until_ms = start_ms;
        return NULL;
    }
    if (local_ms >= layer->until_ms)
        return NULL;
    if (layer->until_ms < border_ms)
        border_ms = layer->until_ms;
    bool holds = duty_when_holds(&layer->when, duty->calendar, layer->handover, local_ms,
                                 &border_ms, &day);
    if (holds && layer->skips_days) {
        turn = days_in_force(duty, layer, count, day) / (layer->length_ms / CIVIL_DAY_MS);
        if (layer->when.count == 0) { /* else the hours of a day end it */
            int64_t end_ms = (day + 1) * CIVIL_DAY_MS + layer->handover * CIVIL_MINUTE_MS;
            border_ms = end_ms < border_ms ? end_ms : border_ms;
        }
    } else if (holds && layer->is_monthly) {
        turn = turn_by_month(layer, local_ms, &border_ms);
    } else if (holds && layer->length_ms > 0) {
        turn = (local_ms - start_ms) / layer->length_ms;
        int64_t end_ms = start_ms + (turn + 1) * layer->length_ms;
        border_ms = end_ms < border_ms ? end_ms : border_ms;
    }
    must(border_ms > local_ms && turn >= 0);
    if (border_ms < *until_ms)
        *until_ms = border_ms;
    return holds ? &layer->groups[turn % (int64_t)layer->group_count] : NULL;
}
