/*
 * tracked.c - keyed sets with mark and sweep (tracked.h).
 *
 * An entry is one block: header, value, key.  Sets are small (tens of devices, at most some
 * hundred groups), so a search is a walk along 32-bit hashes.
 */
#include "probe/source/tracked.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/must.h"

struct tracked_entry {
    uint32_t hash;
    uint32_t round; /* when it was last met */
    uint32_t key_bytes;
    uint32_t value_bytes;
    alignas(max_align_t) unsigned char value[];
};

/* FNV-1a, 32 bits. */
static uint32_t hash_of(struct bytes key)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ key.data[i]) * 16777619u;
    return hash;
}

static struct tracked_entry *entry_of(const void *value)
{
    return (struct tracked_entry *)((uintptr_t)value - offsetof(struct tracked_entry, value));
}

static struct bytes key_of(const struct tracked_entry *entry)
{
    return (struct bytes){entry->value + entry->value_bytes, entry->key_bytes};
}

void tracked_begin(struct tracked *set)
{
    set->round++;
    set->next = 0;
}

static struct tracked_entry *entry_new(struct tracked *set, struct bytes key, uint32_t hash)
{
    if (set->count >= set->limit || key.size > UINT16_MAX)
        return NULL;
    if (set->count == set->capacity) {
        size_t capacity = set->capacity > 0 ? set->capacity * 2 : 8;
        struct tracked_entry **grown = realloc(set->entries, capacity * sizeof(*grown));
        if (grown == NULL)
            return NULL;
        set->entries = grown;
        set->capacity = capacity;
    }
    struct tracked_entry *entry = calloc(1, sizeof(*entry) + set->value_bytes + key.size);
    if (entry == NULL)
        return NULL;
    entry->hash = hash;
    entry->key_bytes = (uint32_t)key.size;
    entry->value_bytes = (uint32_t)set->value_bytes;
    if (key.size > 0)
        memcpy(entry->value + entry->value_bytes, key.data, key.size);
    set->entries[set->count++] = entry;
    return entry;
}

/* Where the key's entry is; count: nowhere. */
static size_t find(const struct tracked *set, struct bytes key, uint32_t hash)
{
    for (size_t step = 0; step < set->count; step++) {
        size_t i = set->next + step;
        if (i >= set->count)
            i -= set->count;
        const struct tracked_entry *entry = set->entries[i];
        if (entry->hash == hash && bytes_equal(key_of(entry), key))
            return i;
    }
    return set->count;
}

void *tracked_find(const struct tracked *set, struct bytes key)
{
    size_t i = find(set, key, hash_of(key));
    return i < set->count ? set->entries[i]->value : NULL;
}

void *tracked_touch(struct tracked *set, struct bytes key, bool *ret_new)
{
    must(set->value_bytes > 0);
    uint32_t hash = hash_of(key);
    size_t i = find(set, key, hash);
    if (i < set->count) {
        set->next = i + 1 < set->count ? i + 1 : 0;
        set->entries[i]->round = set->round;
        *ret_new = false;
        return set->entries[i]->value;
    }
    struct tracked_entry *entry = entry_new(set, key, hash);
    if (entry == NULL)
        return NULL;
    entry->round = set->round;
    set->next = 0;
    *ret_new = true;
    return entry->value;
}

void tracked_meet(const struct tracked *set, void *value)
{
    entry_of(value)->round = set->round;
}

void tracked_sweep(struct tracked *set, void (*gone)(void *value, void *context), void *context)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        struct tracked_entry *entry = set->entries[i];
        if (entry->round == set->round) {
            set->entries[kept++] = entry;
            continue;
        }
        if (gone != NULL)
            gone(entry->value, context);
        free(entry);
    }
    set->count = kept;
    set->next = 0;
}

void *tracked_at(const struct tracked *set, size_t i)
{
    must(i < set->count);
    return set->entries[i]->value;
}

struct bytes tracked_key(const void *value)
{
    return key_of(entry_of(value));
}

bool tracked_is_met(const struct tracked *set, const void *value)
{
    return entry_of(value)->round == set->round;
}

void tracked_done(struct tracked *set, void (*gone)(void *value, void *context), void *context)
{
    for (size_t i = 0; i < set->count; i++) {
        if (gone != NULL)
            gone(set->entries[i]->value, context);
        free(set->entries[i]);
    }
    free(set->entries);
    set->entries = NULL;
    set->count = set->capacity = set->next = 0;
}
