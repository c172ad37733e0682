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
#include "proto/base/config_memory.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

static int64_t month_of(int64_t local_ms, struct civil *ret_at)
{
    civil_read(local_ms, ret_at);
    return ret_at->year * 12 + ret_at->month - 1;
}

int duty_count_days(struct duty *duty, struct duty_layer *layer)
{
    struct civil at;
    const int64_t last_day = DUTY_TIME_MAX_MS / CIVIL_DAY_MS;
    const int64_t first = month_of(layer->start_day * CIVIL_DAY_MS, &at);
    const int64_t months = month_of(last_day * CIVIL_DAY_MS, &at) - first + 2;
    uint32_t *before = config_alloc(duty->config, (size_t)months, sizeof *before), counted = 0;

    if (before == NULL)
        return ERR_NOMEM;
    for (int64_t day = layer->start_day; day <= last_day; day++) {
        int64_t month = month_of(day * CIVIL_DAY_MS, &at) - first;
        if (at.day == 1)
            before[month] = counted;
        counted += duty_when_has_day(&layer->when, duty->calendar, day);
    }
    before[0] = 0;
    layer->days_before = before;
    return 0;
}

/* From the start to before `day`. */
static int64_t days_in_force(const struct duty *duty, const struct duty_layer *layer,
                             int64_t day)
{
    struct civil at, start;
    if (day <= layer->start_day)
        return 0;
    const int64_t month =
        month_of(day * CIVIL_DAY_MS, &at) - month_of(layer->start_day * CIVIL_DAY_MS, &start);
    int64_t counted = layer->days_before[month];
    for (int64_t at_day = month == 0 ? layer->start_day : day - at.day + 1; at_day < day;
         at_day++)
        counted += duty_when_has_day(&layer->when, duty->calendar, at_day);
    return counted;
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
                                       int64_t local_ms, int64_t *until_ms)
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
        turn = days_in_force(duty, layer, day) / (layer->length_ms / CIVIL_DAY_MS);
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
