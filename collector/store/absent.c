/*
 * absent.c - a sorted list of silent sources.
 */
#include "collector/store/absent.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

void absent_init(struct absent *absent)
{
    *absent = (struct absent){0};
    must(pthread_mutex_init(&absent->lock, NULL) == 0);
}

void absent_done(struct absent *absent)
{
    free(absent->items);
    (void)pthread_mutex_destroy(&absent->lock);
}

static size_t position_of(const struct absent_source *items, size_t count, uint64_t source)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (items[middle].source < source)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int insert(struct absent *absent, size_t at, uint64_t source, int64_t since_ms)
{
    if (absent->count == absent->capacity) {
        size_t capacity = absent->capacity == 0 ? 16 : absent->capacity * 2;
        struct absent_source *items = realloc(absent->items, capacity * sizeof *items);
        if (items == NULL)
            return ERR_NOMEM;
        absent->items = items;
        absent->capacity = capacity;
    }
    memmove(absent->items + at + 1, absent->items + at,
            (absent->count - at) * sizeof *absent->items);
    absent->items[at] = (struct absent_source){source, since_ms};
    absent->count++;
    return 0;
}

int absent_set(struct absent *absent, uint64_t source, int64_t since_ms)
{
    int error = 0;
    must(pthread_mutex_lock(&absent->lock) == 0);
    size_t at = position_of(absent->items, absent->count, source);
    bool known = at < absent->count && absent->items[at].source == source;
    if (since_ms > 0 && known) {
        absent->items[at].since_ms = since_ms;
    } else if (since_ms > 0) {
        error = insert(absent, at, source, since_ms);
    } else if (known) {
        absent->count--;
        memmove(absent->items + at, absent->items + at + 1,
                (absent->count - at) * sizeof *absent->items);
    }
    must(pthread_mutex_unlock(&absent->lock) == 0);
    return error;
}

int absent_copy(struct absent *absent, struct absent_source **ret_items, size_t *ret_count)
{
    struct absent_source *items = NULL;
    must(pthread_mutex_lock(&absent->lock) == 0);
    size_t count = absent->count;
    if (count > 0)
        items = malloc(count * sizeof *items);
    if (items != NULL)
        memcpy(items, absent->items, count * sizeof *items);
    must(pthread_mutex_unlock(&absent->lock) == 0);
    if (count > 0 && items == NULL)
        return ERR_NOMEM;
    *ret_items = items;
    *ret_count = count;
    return 0;
}

int64_t absent_since(const struct absent_source *items, size_t count, uint64_t source)
{
    size_t at = position_of(items, count, source);
    return at < count && items[at].source == source ? items[at].since_ms : 0;
}
