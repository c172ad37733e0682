/* text_set.c - open addressing over an array of texts. */
#include "collector/store/text_set.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/error.h"

#define ITEMS_FIRST 256u
_Static_assert((ITEMS_FIRST & (ITEMS_FIRST - 1)) == 0, "slots are masked");

/* The slot that has the text, or the free one where it belongs. */
static size_t slot_of(const struct text_set *set, struct bytes text)
{
    size_t at = XXH3_64bits(text.data, text.size) & (set->slot_count - 1);
    while (set->slots[at] != 0 && !bytes_equal(set->items[set->slots[at] - 1], text))
        at = (at + 1) & (set->slot_count - 1);
    return at;
}

bool text_set_has(const struct text_set *set, struct bytes text)
{
    return set->count > 0 && set->slots[slot_of(set, text)] != 0;
}

/* Of so many items: twice as many slots. */
static size_t room_bytes(size_t capacity)
{
    return capacity * (sizeof(struct bytes) + 2 * sizeof(uint32_t));
}

/* The room counts as what lies in the arena does; the old one is there while it is copied. */
static bool hold_room(struct text_set *set, size_t capacity)
{
    struct arena *arena = set->arena;
    if (arena->held_bytes > arena->limit_bytes ||
        room_bytes(capacity) > arena->limit_bytes - arena->held_bytes)
        return false;
    const struct arena_total *full = arena_total_take(arena->total, room_bytes(capacity));
    if (full != NULL)
        arena->total_refused = full->parent == NULL;
    return full == NULL;
}

static int grow(struct text_set *set)
{
    size_t capacity = set->capacity == 0 ? ITEMS_FIRST : set->capacity * 2;
    if (capacity > UINT32_MAX / 2 || !hold_room(set, capacity))
        return ERR_LIMIT;
    uint32_t *slots = calloc(capacity * 2, sizeof *slots);
    struct bytes *items = slots == NULL ? NULL : realloc(set->items, capacity * sizeof *items);
    if (items == NULL) {
        free(slots);
        arena_total_release(set->arena->total, room_bytes(capacity));
        return ERR_NOMEM;
    }
    arena_total_release(set->arena->total, room_bytes(set->capacity));
    free(set->slots);
    set->items = items;
    set->capacity = capacity;
    set->slots = slots;
    set->slot_count = capacity * 2;
    for (size_t i = 0; i < set->count; i++)
        slots[slot_of(set, items[i])] = (uint32_t)(i + 1);
    return 0;
}

int text_set_add(struct text_set *set, struct bytes text)
{
    int error = set->count == set->capacity ? grow(set) : 0;
    if (error != 0)
        return error;
    const size_t slot = slot_of(set, text);
    if (set->slots[slot] != 0)
        return 0;
    uint8_t *copy = arena_alloc_raw(set->arena, 1, text.size + 1);
    if (copy == NULL)
        return ERR_LIMIT;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    set->items[set->count++] = (struct bytes){copy, text.size};
    set->slots[slot] = (uint32_t)set->count;
    return 0;
}

static int by_bytes(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* Where the ascending run begins that ends the list: what a file, whose values are in order, added
 * to what was there. */
static size_t last_run(const struct text_set *set)
{
    size_t first = set->count;
    while (first > 0 && (first == set->count ||
                         bytes_compare(set->items[first - 1], set->items[first]) < 0))
        first--;
    return first;
}

int text_set_sorted(const struct text_set *set, struct bytes **ret_items, size_t *ret_count)
{
    struct bytes *items = arena_alloc(set->arena, set->count == 0 ? 1 : set->count, sizeof *items);
    if (items == NULL)
        return ERR_LIMIT;
    const size_t run = last_run(set);
    size_t left = run;
    size_t right = set->count;
    if (left > 0)
        memcpy(items, set->items, left * sizeof *items);
    if (left > 1)
        qsort(items, left, sizeof *items, by_bytes);
    /* From the back, where there is room. */
    for (size_t to = set->count; right > run; to--) {
        const bool takes_left =
            left > 0 && bytes_compare(items[left - 1], set->items[right - 1]) > 0;
        items[to - 1] = takes_left ? items[--left] : set->items[--right];
    }
    *ret_items = items;
    *ret_count = set->count;
    return 0;
}

void text_set_done(struct text_set *set)
{
    arena_total_release(set->arena->total, room_bytes(set->capacity));
    free(set->items);
    free(set->slots);
    *set = (struct text_set){.arena = set->arena};
}
