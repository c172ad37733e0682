/*
 * duty_shifts.c - who is on duty at a moment, and over a range: layers from the top, then the
 * file's overrides, then swaps.
 *
 *     swaps                     [ B ]
 *     the file's overrides           [  C  ]
 *     layer "holidays"                            [ A      ]
 *     layer "weekdays"    [ A       |  B     |  A    |  B     ]
 *     in effect           [ A  | B  |C |  B  |  A  | A     | B ]
 *
 * A moment's answer comes with the time up to which it surely holds; a range is a walk from one
 * such time to the next, so both can never differ.
 */
#include <string.h>

#include "collector/duty/duty_parts.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

/* ---- a moment ---------------------------------------------------------------------------- */

static void put(struct duty_present *all, size_t *count, struct duty_present present)
{
    for (size_t i = 0; i < *count; i++)
        if (all[i].person == present.person)
            return;
    if (*count < DUTY_GROUP_MAX)
        all[(*count)++] = present;
}

static void drop(struct duty_present *all, size_t *count, size_t index)
{
    (*count)--;
    memmove(&all[index], &all[index + 1], (*count - index) * sizeof *all);
}

/* `stand_in` for one of them, or (NULL) for all.  One who is not on duty cannot be replaced. */
static void replace(struct duty_present *all, size_t *count,
                    const struct duty_person *instead_of, struct duty_present stand_in)
{
    if (instead_of == NULL) {
        *count = 0;
        put(all, count, stand_in);
        return;
    }
    for (size_t i = 0; i < *count; i++)
        if (all[i].person == instead_of) {
            drop(all, count, i);
            put(all, count, stand_in);
            return;
        }
}

/* Is `at` in [from, to)?  Lowers *until to the next border. */
static bool is_between(int64_t from_ms, int64_t to_ms, int64_t at_ms, int64_t *until_ms)
{
    if (at_ms < from_ms) {
        *until_ms = from_ms < *until_ms ? from_ms : *until_ms;
        return false;
    }
    if (at_ms >= to_ms)
        return false;
    *until_ms = to_ms < *until_ms ? to_ms : *until_ms;
    return true;
}

static size_t layers_at(const struct duty *duty, const struct duty_roster *roster,
                        int64_t local_ms, struct duty_present *all, int64_t *until_ms)
{
    size_t count = 0;
    for (size_t i = roster->layer_count; i-- > 0;) {
        const struct duty_layer *layer = &roster->layers[i];
        const struct duty_group *group = duty_layer_at(duty, layer, local_ms, until_ms);
        if (group == NULL)
            continue;
        for (size_t k = 0; k < group->count; k++)
            put(all, &count, (struct duty_present){group->persons[k], layer->name, NULL});
        break;
    }
    return count;
}

size_t duty_present_at(const struct duty *duty, const struct duty_roster *roster,
                       const struct duty_overrides *overrides, int64_t at_ms,
                       struct duty_present *ret_present, int64_t *until_ms)
{
    const int64_t offset_ms = roster->zone.offset_ms, local_ms = at_ms + offset_ms;
    int64_t until_local_ms = INT64_MAX;
    size_t count = layers_at(duty, roster, local_ms, ret_present, &until_local_ms);

    for (size_t i = 0; i < roster->fixed_count; i++) {
        const struct duty_fixed *fixed = &roster->fixed[i];
        if (is_between(fixed->from_ms, fixed->to_ms, local_ms, &until_local_ms))
            replace(ret_present, &count, fixed->instead_of,
                    (struct duty_present){fixed->person, DUTY_LAYER_OVERRIDE, NULL});
    }
    if (until_local_ms != INT64_MAX && until_local_ms - offset_ms < *until_ms)
        *until_ms = until_local_ms - offset_ms;
    for (size_t i = 0; overrides != NULL && i < overrides->count; i++) {
        const struct duty_override *override = &overrides->items[i];
        const struct duty_person *person, *instead_of = NULL;
        if (strcmp(override->roster, roster->name) != 0 ||
            !is_between(override->from_ms, override->to_ms, at_ms, until_ms))
            continue;
        person = duty_person(duty, override->person_id);
        if (override->instead_of != NULL)
            instead_of = duty_person(duty, override->instead_of);
        /* Whoever has left the file since stands in for nobody: the rotation holds. */
        if (person != NULL && (override->instead_of == NULL) == (instead_of == NULL))
            replace(ret_present, &count, instead_of,
                    (struct duty_present){person, DUTY_LAYER_OVERRIDE, override});
    }
    return count;
}

/* ---- a range ----------------------------------------------------------------------------- */

struct walk {
    struct arena *arena;
    struct duty_shift *shifts;
    size_t count, capacity;
    size_t open[DUTY_GROUP_MAX]; /* shifts that reach up to now */
    size_t open_count;
};

static struct duty_shift *add_shift(struct walk *walk)
{
    if (walk->count == walk->capacity) {
        const size_t capacity = walk->capacity == 0 ? 64 : walk->capacity * 2;
        struct duty_shift *grown = arena_alloc(walk->arena, capacity, sizeof *grown);
        if (grown == NULL)
            return NULL;
        if (walk->count > 0)
            memcpy(grown, walk->shifts, walk->count * sizeof *grown);
        walk->shifts = grown;
        walk->capacity = capacity;
    }
    return &walk->shifts[walk->count];
}

static bool is_same(const struct duty_shift *shift, const struct duty_present *present)
{
    return shift->person == present->person && shift->override == present->override &&
           strcmp(shift->layer, present->layer) == 0;
}

/* Prolongs the shift that ends where this begins, or begins one. */
static int put_shift(struct walk *walk, const struct duty_present *present, int64_t from_ms,
                     int64_t to_ms, size_t *ret_index)
{
    for (size_t i = 0; i < walk->open_count; i++) {
        struct duty_shift *shift = &walk->shifts[walk->open[i]];
        if (is_same(shift, present)) {
            shift->to_ms = to_ms;
            *ret_index = walk->open[i];
            return 0;
        }
    }
    struct duty_shift *shift = add_shift(walk);
    if (shift == NULL)
        return ERR_NOMEM;
    *shift =
        (struct duty_shift){from_ms, to_ms, present->person, present->layer, present->override};
    *ret_index = walk->count++;
    return 0;
}

static int put_moment(struct walk *walk, const struct duty_present *all, size_t count,
                      int64_t from_ms, int64_t to_ms)
{
    static const struct duty_present nobody = {NULL, "", NULL};
    const struct duty_present *present = count == 0 ? &nobody : all;
    size_t open[DUTY_GROUP_MAX], open_count = 0;

    for (; open_count < (count == 0 ? 1 : count); open_count++) {
        int error = put_shift(walk, &present[open_count], from_ms, to_ms, &open[open_count]);
        if (error != 0)
            return error;
    }
    memcpy(walk->open, open, open_count * sizeof *open);
    walk->open_count = open_count;
    return 0;
}

int duty_shifts(const struct duty *duty, const char *roster_name,
                const struct duty_overrides *overrides, int64_t from_ms, int64_t to_ms,
                struct arena *arena, struct duty_shift **ret_shifts, size_t *ret_count)
{
    const struct duty_roster *roster = duty_roster(duty, roster_name);
    struct duty_present all[DUTY_GROUP_MAX];
    struct walk walk = {.arena = arena};

    if (roster == NULL)
        return ERR_NOTFOUND;
    if (from_ms < 0 || to_ms > DUTY_TIME_MAX_MS || to_ms - from_ms > DUTY_RANGE_MAX_MS)
        return ERR_LIMIT;
    for (int64_t at_ms = from_ms; at_ms < to_ms;) {
        int64_t until_ms = to_ms;
        size_t count = duty_present_at(duty, roster, overrides, at_ms, all, &until_ms);
        int error = put_moment(&walk, all, count, at_ms, until_ms);
        if (error != 0)
            return error;
        must(until_ms > at_ms);
        at_ms = until_ms;
    }
    *ret_shifts = walk.shifts;
    *ret_count = walk.count;
    return 0;
}
