/*
 * labels.c - sorted label sets in one allocation, and the operations on them.
 *
 *     struct labels | pairs[count] | name NUL value NUL name NUL value NUL ...
 *
 * Building copies the pairs into their final place, sorts them there, and only then copies the
 * bytes behind them, so no scratch memory is needed.
 */
#define XXH_STATIC_LINKING_ONLY
#include "collector/series/labels.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/error.h"
#include "proto/base/must.h"

#define HASH_STACK_BYTES ((size_t)1024)

static const uint8_t separator = 0xff;

static void sort_pairs(struct label *pairs, size_t count)
{
    /* Nearly always sorted already, and few: insertion is the fast way. */
    for (size_t i = 1; i < count; i++) {
        struct label pair = pairs[i];
        size_t at = i;
        for (; at > 0 && bytes_compare(pairs[at - 1].name, pair.name) > 0; at--)
            pairs[at] = pairs[at - 1];
        pairs[at] = pair;
    }
}

static uint64_t hash_streamed(const struct labels *labels)
{
    XXH3_state_t state;
    (void)XXH3_64bits_reset(&state);
    for (size_t i = 0; i < labels->count; i++) {
        const struct label *pair = &labels->pairs[i];
        (void)XXH3_64bits_update(&state, pair->name.data, pair->name.size);
        (void)XXH3_64bits_update(&state, &separator, 1);
        (void)XXH3_64bits_update(&state, pair->value.data, pair->value.size);
        (void)XXH3_64bits_update(&state, &separator, 1);
    }
    return XXH3_64bits_digest(&state);
}

static uint64_t hash_of(const struct labels *labels, size_t text_bytes)
{
    uint8_t flat[HASH_STACK_BYTES];
    size_t size = 0;

    if (text_bytes > sizeof flat)
        return hash_streamed(labels);
    for (size_t i = 0; i < labels->count; i++) {
        const struct label *pair = &labels->pairs[i];
        memcpy(flat + size, pair->name.data, pair->name.size);
        size += pair->name.size;
        flat[size++] = separator;
        memcpy(flat + size, pair->value.data, pair->value.size);
        size += pair->value.size;
        flat[size++] = separator;
    }
    return XXH3_64bits(flat, size);
}

/* A byte for the size, or 0xFF and three. */
static void hash_sized(XXH64_state_t *state, struct bytes text)
{
    const uint8_t size[] = {text.size < 255 ? (uint8_t)text.size : 255, (uint8_t)text.size,
                            (uint8_t)(text.size >> 8), (uint8_t)(text.size >> 16)};
    (void)XXH64_update(state, size, text.size < 255 ? 1 : sizeof size);
    (void)XXH64_update(state, text.data, text.size);
}

uint64_t labels_prometheus_hash(const struct labels *labels)
{
    XXH64_state_t state;
    (void)XXH64_reset(&state, 0);
    for (size_t i = 0; i < labels->count; i++) {
        hash_sized(&state, labels->pairs[i].name);
        hash_sized(&state, labels->pairs[i].value);
    }
    return XXH64_digest(&state);
}

static int check_pair(const struct label *pair)
{
    if (pair->name.size == 0)
        return ERR_INVALID;
    if (pair->name.size > NAME_BYTES_MAX || pair->value.size > LABEL_VALUE_BYTES_MAX)
        return ERR_LIMIT;
    if (memchr(pair->name.data, 0, pair->name.size) != NULL ||
        memchr(pair->value.data, 0, pair->value.size) != NULL || !utf8_is_valid(pair->name) ||
        !utf8_is_valid(pair->value))
        return ERR_MALFORMED;
    return 0;
}

/* What an allocation must hold: the number of pairs kept and the bytes of their texts. */
static int measure(const struct label *pairs, size_t count, size_t *ret_kept,
                   size_t *ret_text_bytes)
{
    size_t kept = 0;
    size_t text_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].value.size == 0)
            continue;
        int error = check_pair(&pairs[i]);
        if (error != 0)
            return error;
        kept++;
        text_bytes += pairs[i].name.size + pairs[i].value.size + 2;
    }
    if (kept > SERIES_LABELS_MAX)
        return ERR_LIMIT;
    *ret_kept = kept;
    *ret_text_bytes = text_bytes;
    return 0;
}

static struct bytes put_text(struct bytes from, uint8_t **at)
{
    struct bytes placed = {*at, from.size};
    memcpy(*at, from.data, from.size);
    (*at)[from.size] = '\0';
    *at += from.size + 1;
    return placed;
}

int labels_build(const struct label *pairs, size_t count, struct arena *arena,
                 const struct labels **ret_labels)
{
    size_t kept = 0;
    size_t text_bytes = 0;
    int error = measure(pairs, count, &kept, &text_bytes);
    if (error != 0)
        return error;

    size_t size = sizeof(struct labels) + kept * sizeof(struct label) + text_bytes;
    struct labels *labels = arena != NULL ? arena_alloc(arena, 1, size) : malloc(size);
    if (labels == NULL)
        return ERR_NOMEM;
    labels->count = kept;
    for (size_t i = 0, n = 0; i < count; i++)
        if (pairs[i].value.size > 0)
            labels->pairs[n++] = pairs[i];
    sort_pairs(labels->pairs, kept);
    for (size_t i = 1; i < kept; i++)
        if (bytes_equal(labels->pairs[i - 1].name, labels->pairs[i].name)) {
            if (arena == NULL)
                free(labels);
            return ERR_INVALID;
        }

    uint8_t *at = (uint8_t *)&labels->pairs[kept];
    for (size_t i = 0; i < kept; i++) {
        labels->pairs[i].name = put_text(labels->pairs[i].name, &at);
        labels->pairs[i].value = put_text(labels->pairs[i].value, &at);
    }
    must(at == (uint8_t *)labels + size);
    labels->hash = hash_of(labels, text_bytes);
    *ret_labels = labels;
    return 0;
}

const struct labels *labels_copy(const struct labels *labels, struct arena *arena)
{
    size_t text_bytes = 0;
    for (size_t i = 0; i < labels->count; i++)
        text_bytes += labels->pairs[i].name.size + labels->pairs[i].value.size + 2;
    struct labels *copy = arena_alloc_raw(
        arena, 1, sizeof *copy + labels->count * sizeof labels->pairs[0] + text_bytes);
    if (copy == NULL)
        return NULL;
    copy->hash = labels->hash;
    copy->count = labels->count;
    uint8_t *to = (uint8_t *)&copy->pairs[labels->count];
    for (size_t i = 0; i < labels->count; i++) {
        copy->pairs[i].name = put_text(labels->pairs[i].name, &to);
        copy->pairs[i].value = put_text(labels->pairs[i].value, &to);
    }
    return copy;
}

void labels_free(const struct labels *labels)
{
    free((void *)(uintptr_t)labels);
}

struct bytes labels_get(const struct labels *labels, struct bytes name)
{
    for (size_t i = 0; i < labels->count; i++)
        if (bytes_equal(labels->pairs[i].name, name))
            return labels->pairs[i].value;
    return (struct bytes){NULL, 0};
}

bool labels_equal(const struct labels *a, const struct labels *b)
{
    return a == b || (a->hash == b->hash && labels_compare(a, b) == 0);
}

int labels_compare(const struct labels *a, const struct labels *b)
{
    size_t shorter = a->count < b->count ? a->count : b->count;
    for (size_t i = 0; i < shorter; i++) {
        int order = bytes_compare(a->pairs[i].name, b->pairs[i].name);
        if (order == 0)
            order = bytes_compare(a->pairs[i].value, b->pairs[i].value);
        if (order != 0)
            return order;
    }
    return a->count < b->count ? -1 : a->count > b->count;
}

static uint64_t fnv1a(uint64_t hash, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * UINT64_C(1099511628211);
    return hash;
}

uint64_t labels_fingerprint(const struct labels *labels)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < labels->count; i++) {
        const struct label *pair = &labels->pairs[i];
        hash = fnv1a(hash, pair->name.data, pair->name.size);
        hash = fnv1a(hash, &separator, 1);
        hash = fnv1a(hash, pair->value.data, pair->value.size);
        hash = fnv1a(hash, &separator, 1);
    }
    return hash;
}

void labels_write(const struct labels *labels, struct buf *out)
{
    buf_put_varint(out, labels->count);
    for (size_t i = 0; i < labels->count; i++) {
        buf_put_sized(out, labels->pairs[i].name);
        buf_put_sized(out, labels->pairs[i].value);
    }
}

int labels_read(struct reader *reader, struct arena *arena, const struct labels **ret_labels)
{
    struct label pairs[SERIES_LABELS_MAX];
    uint64_t count = reader_varint(reader);

    if (reader->failed || count > SERIES_LABELS_MAX)
        return ERR_MALFORMED;
    for (size_t i = 0; i < count; i++) {
        pairs[i].name = reader_sized(reader);
        pairs[i].value = reader_sized(reader);
    }
    if (reader->failed)
        return ERR_MALFORMED;
    return labels_build(pairs, (size_t)count, arena, ret_labels);
}
