#include "collector/ingest/range_set.h"

#include <stdlib.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

void range_set_done(struct range_set *set)
{
    free(set->ranges);
    *set = (struct range_set){0};
}

/* Index of the first range whose last is >= number. */
static size_t find(const struct range_set *set, uint64_t number)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->ranges[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool range_set_has(const struct range_set *set, uint64_t number)
{
    if (number <= set->low_water)
        return true;
    size_t at = find(set, number);
    return at < set->count && set->ranges[at].first <= number;
}

bool range_set_covers(const struct range_set *set, uint64_t first, uint64_t last)
{
    if (last <= set->low_water)
        return true;
    size_t at = find(set, last); /* ranges never touch, so one of them must hold it all */
    return at < set->count && set->ranges[at].first <= first;
}

uint64_t range_set_highest(const struct range_set *set)
{
    return set->count > 0 ? set->ranges[set->count - 1].last : set->low_water;
}

static int make_room(struct range_set *set)
{
    if (set->count < set->capacity)
        return 0;
    size_t capacity = set->capacity == 0 ? 4 : set->capacity * 2;
    struct number_range *grown = realloc(set->ranges, capacity * sizeof *grown);
    if (grown == NULL)
        return ERR_NOMEM;
    set->ranges = grown;
    set->capacity = capacity;
    return 0;
}

/* Ranges that now touch the low-water mark become part of it. */
static void raise_low_water(struct range_set *set)
{
    size_t taken = 0;
    while (taken < set->count && set->ranges[taken].first <= set->low_water + 1) {
        if (set->ranges[taken].last > set->low_water)
            set->low_water = set->ranges[taken].last;
        taken++;
    }
    if (taken == 0)
        return;
    set->count -= taken;
    memmove(set->ranges, set->ranges + taken, set->count * sizeof *set->ranges);
}

int range_set_add(struct range_set *set, uint64_t first, uint64_t last)
{
    must(first >= 1 && first <= last && last < UINT64_MAX);
    if (first <= set->low_water + 1) {
        if (last > set->low_water)
            set->low_water = last;
        raise_low_water(set);
        return 0;
    }
    size_t from = find(set, first - 1); /* the first that touches or follows */
    size_t until = from;
    while (until < set->count && set->ranges[until].first <= last + 1)
        until++;
    if (until > from) { /* joins ranges from..until-1 into one */
        if (set->ranges[from].first < first)
            first = set->ranges[from].first;
        if (set->ranges[until - 1].last > last)
            last = set->ranges[until - 1].last;
        set->ranges[from] = (struct number_range){first, last};
        memmove(set->ranges + from + 1, set->ranges + until,
                (set->count - until) * sizeof *set->ranges);
        set->count -= until - from - 1;
        return 0;
    }
    if (set->count >= STREAM_RANGES_MAX)
        return ERR_LIMIT;
    int error = make_room(set);
    if (error != 0)
        return error;
    memmove(set->ranges + from + 1, set->ranges + from,
            (set->count - from) * sizeof *set->ranges);
    set->ranges[from] = (struct number_range){first, last};
    set->count++;
    return 0;
}

int range_set_copy(const struct range_set *set, struct range_set *ret_copy)
{
    struct number_range *ranges = NULL;
    if (set->count > 0) {
        ranges = malloc(set->count * sizeof *ranges);
        if (ranges == NULL)
            return ERR_NOMEM;
        memcpy(ranges, set->ranges, set->count * sizeof *ranges);
    }
    *ret_copy = (struct range_set){set->low_water, ranges, set->count, set->count};
    return 0;
}

void range_set_write(const struct range_set *set, struct buf *out)
{
    uint64_t before = set->low_water;
    buf_put_varint(out, set->low_water);
    buf_put_varint(out, set->count);
    for (size_t i = 0; i < set->count; i++) {
        buf_put_varint(out, set->ranges[i].first - before);
        buf_put_varint(out, set->ranges[i].last - set->ranges[i].first);
        before = set->ranges[i].last;
    }
}

int range_set_read(struct reader *reader, struct range_set *ret_set)
{
    struct range_set set = {.low_water = reader_varint(reader)};
    uint64_t count = reader_varint(reader);
    uint64_t before = set.low_water;
    int error = reader->failed || count > STREAM_RANGES_MAX ? ERR_MALFORMED : 0;
    for (uint64_t i = 0; error == 0 && i < count; i++) {
        uint64_t first, last;
        uint64_t step = reader_varint(reader);
        uint64_t length = reader_varint(reader);
        if (reader->failed || step < 2 || __builtin_add_overflow(before, step, &first) ||
            __builtin_add_overflow(first, length, &last) || last == UINT64_MAX)
            error = ERR_MALFORMED;
        else
            error = range_set_add(&set, first, last);
        before = error == 0 ? last : before;
    }
    if (error != 0) {
        range_set_done(&set);
        return error;
    }
    *ret_set = set;
    return 0;
}
