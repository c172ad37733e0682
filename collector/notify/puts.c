/*
 * puts.c - see puts.h.
 */
#include "collector/notify/puts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_BYTES 96

static struct bytes keep(struct puts *puts, struct bytes bytes)
{
    uint8_t *copy = arena_alloc(puts->arena, bytes.size + 1, 1);
    if (copy == NULL) {
        puts->failed = true;
        return (struct bytes){0};
    }
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return (struct bytes){copy, bytes.size};
}

void puts_add(struct puts *puts, struct bytes key, struct bytes value)
{
    struct store_put *item;
    if (puts->count == puts->capacity) {
        size_t capacity = puts->capacity == 0 ? 64 : puts->capacity * 2;
        struct store_put *longer = realloc(puts->items, capacity * sizeof *longer);
        puts->failed = puts->failed || longer == NULL;
        if (longer != NULL) {
            puts->items = longer;
            puts->capacity = capacity;
        }
    }
    if (puts->failed)
        return;
    item = &puts->items[puts->count];
    item->key = keep(puts, key);
    item->value = value.data == NULL ? value : keep(puts, value);
    puts->count++;
}

static void add_row(struct puts *puts, const char *key, const struct buf *row)
{
    if (row != NULL && !buf_ok(row))
        puts->failed = true;
    puts_add(puts, bytes_of(key), row == NULL ? (struct bytes){0} : buf_bytes(row));
}

void puts_add_numbered(struct puts *puts, const char *prefix, uint64_t number,
                       const struct buf *row)
{
    char key[KEY_BYTES];
    (void)snprintf(key, sizeof key, "%s%016" PRIx64, prefix, number);
    add_row(puts, key, row);
}

void puts_add_named(struct puts *puts, const char *prefix, const char *name,
                    const struct buf *row)
{
    char key[KEY_BYTES];
    (void)snprintf(key, sizeof key, "%s%s", prefix, name);
    add_row(puts, key, row);
}
