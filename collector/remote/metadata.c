/*
 * metadata.c - see metadata.h.
 */
#include "collector/remote/metadata.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/error.h"

void metadata_copy_init(struct metadata_copy *copy)
{
    *copy = (struct metadata_copy){0};
    arena_init(&copy->arena, METADATA_COPY_BYTES_MAX);
}

void metadata_copy_done(struct metadata_copy *copy)
{
    arena_reset(&copy->arena);
    free(copy->entries);
    copy->entries = NULL;
    copy->count = 0;
    copy->capacity = 0;
}

static int keep(struct arena *arena, struct bytes bytes, struct bytes *ret_copy)
{
    uint8_t *to = arena_alloc(arena, bytes.size + 1, 1);
    if (to == NULL)
        return ERR_NOMEM;
    if (bytes.size > 0)
        memcpy(to, bytes.data, bytes.size);
    *ret_copy = (struct bytes){to, bytes.size};
    return 0;
}

static int take_entry(void *context, struct bytes name, const struct metadata *metadata)
{
    struct metadata_copy *copy = context;
    if (copy->count == copy->capacity) {
        size_t capacity = copy->capacity == 0 ? 256 : copy->capacity * 2;
        struct metadata_entry *grown = realloc(copy->entries, capacity * sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        copy->entries = grown;
        copy->capacity = capacity;
    }
    struct metadata_entry *entry = &copy->entries[copy->count];
    *entry = (struct metadata_entry){.metadata.type = metadata->type};
    int error = keep(&copy->arena, name, &entry->name);
    if (error == 0)
        error = keep(&copy->arena, metadata->unit, &entry->metadata.unit);
    if (error == 0)
        error = keep(&copy->arena, metadata->help, &entry->metadata.help);
    if (error == 0)
        copy->count++;
    return error;
}

static int by_name(const void *a, const void *b)
{
    const struct metadata_entry *left = a, *right = b;
    return bytes_compare(left->name, right->name);
}

int metadata_copy_take(struct metadata_copy *copy, struct store *store)
{
    arena_reset(&copy->arena);
    copy->count = 0;
    int error = store_metadata_scan(store, take_entry, copy);
    if (error != 0)
        copy->count = 0;
    if (copy->count > 1)
        qsort(copy->entries, copy->count, sizeof *copy->entries, by_name);
    return error;
}

const struct metadata *metadata_copy_find(const struct metadata_copy *copy, struct bytes name)
{
    const struct metadata_entry wanted = {.name = name};
    const struct metadata_entry *found =
        copy->count == 0
            ? NULL
            : bsearch(&wanted, copy->entries, copy->count, sizeof *copy->entries, by_name);
    return found == NULL ? NULL : &found->metadata;
}

struct bytes metadata_family(struct bytes name, enum metric_type type)
{
    static const char *const suffixes[] = {"_bucket", "_count", "_sum"};
    if (type != METRIC_HISTOGRAM && type != METRIC_SUMMARY)
        return name;
    for (size_t i = type == METRIC_SUMMARY; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t size = strlen(suffixes[i]);
        if (name.size > size && memcmp(name.data + name.size - size, suffixes[i], size) == 0) {
            name.size -= size;
            return name;
        }
    }
    return name;
}

unsigned metadata_type_number(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER:
        return 1;
    case METRIC_GAUGE:
        return 2;
    case METRIC_HISTOGRAM:
        return 3;
    case METRIC_SUMMARY:
        return 5;
    case METRIC_INFO:
        return 6;
    default:
        return 0;
    }
}
