#include "tests/bench/tsgen/series_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/error.h"

#define ARENA_BYTES ((size_t)8 << 30)
#define SLOTS       ((size_t)1 << 18)

static const double powers[SERIES_DECIMALS_MAX + 1] = {1,   1e1, 1e2, 1e3, 1e4,
                                                       1e5, 1e6, 1e7, 1e8, 1e9};

int series_set_init(struct series_set *set)
{
    *set = (struct series_set){.slots = calloc(SLOTS, sizeof *set->slots)};
    arena_init(&set->arena, ARENA_BYTES);
    return set->slots == NULL ? ERR_NOMEM : 0;
}

void series_set_done(struct series_set *set)
{
    arena_reset(&set->arena);
    free(set->items);
    free(set->slots);
    *set = (struct series_set){0};
}

/* Copies a quoted value without its escapes; *at stands behind the opening quote, and then
 * behind the closing one. */
static struct bytes unquote(const uint8_t **at, const uint8_t *end, uint8_t *to)
{
    struct bytes value = {to, 0};
    for (; *at < end && **at != '"'; (*at)++) {
        if (**at == '\\' && *at + 1 < end)
            (*at)++;
        to[value.size++] = (*at)[0] == 'n' && (*at)[-1] == '\\' ? '\n' : **at;
    }
    if (*at < end)
        (*at)++;
    return value;
}

static int parse_labels(struct series_set *set, struct series *series, const uint8_t *at)
{
    struct label labels[SERIES_LABELS_MAX];
    const uint8_t *end = series->key.data + series->key.size;
    while (at < end && *at != '}') {
        const uint8_t *equals = memchr(at, '=', (size_t)(end - at));
        if (equals == NULL || equals + 1 >= end || equals[1] != '"')
            return ERR_MALFORMED;
        if (series->label_count == SERIES_LABELS_MAX)
            return ERR_LIMIT;
        struct label *label = &labels[series->label_count++];
        label->name = (struct bytes){at, (size_t)(equals - at)};
        at = equals + 2;
        uint8_t *room = arena_alloc(&set->arena, (size_t)(end - at) + 1, 1);
        if (room == NULL)
            return ERR_NOMEM;
        label->value = unquote(&at, end, room);
        if (at < end && *at == ',')
            at++;
    }
    series->labels = arena_alloc(&set->arena, series->label_count + 1, sizeof *labels);
    if (series->labels == NULL)
        return ERR_NOMEM;
    memcpy(series->labels, labels, series->label_count * sizeof *labels);
    return 0;
}

static int parse_key(struct series_set *set, struct series *series)
{
    const uint8_t *brace = memchr(series->key.data, '{', series->key.size);
    size_t name_size = brace == NULL ? series->key.size : (size_t)(brace - series->key.data);
    series->name = (struct bytes){series->key.data, name_size};
    return parse_labels(set, series,
                        brace == NULL ? series->key.data + series->key.size : brace + 1);
}

static int add(struct series_set *set, struct bytes key)
{
    struct series series = {.unit = 1};
    if (set->count == SLOTS / 2)
        return ERR_LIMIT;
    if (set->count == set->capacity) {
        size_t capacity = set->capacity == 0 ? 1024 : set->capacity * 2;
        struct series *items = reallocarray(set->items, capacity, sizeof *items);
        if (items == NULL)
            return ERR_NOMEM;
        set->items = items;
        set->capacity = capacity;
    }
    uint8_t *copy = arena_alloc(&set->arena, key.size + 1, 1);
    if (copy == NULL)
        return ERR_NOMEM;
    memcpy(copy, key.data, key.size);
    series.key = (struct bytes){copy, key.size};
    int error = parse_key(set, &series);
    if (error == 0)
        set->items[set->count++] = series;
    return error;
}

int series_set_find(struct series_set *set, struct bytes key, size_t *ret_index)
{
    size_t slot = XXH3_64bits(key.data, key.size) & (SLOTS - 1);
    while (set->slots[slot] != 0) {
        size_t index = set->slots[slot] - 1;
        if (bytes_equal(set->items[index].key, key)) {
            *ret_index = index;
            return 0;
        }
        slot = (slot + 1) & (SLOTS - 1);
    }
    int error = add(set, key);
    if (error != 0)
        return error;
    set->slots[slot] = (uint32_t)set->count;
    *ret_index = set->count - 1;
    return 0;
}

double series_to_units(const struct series *series, double value)
{
    if (series->decimals > 0)
        return nearbyint(value * powers[series->decimals]);
    return series->decimals == 0 ? value / (double)series->unit : value;
}

double series_from_units(const struct series *series, double units)
{
    if (series->decimals > 0)
        return units / powers[series->decimals];
    return series->decimals == 0 ? units * (double)series->unit : units;
}
