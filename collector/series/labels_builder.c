/*
 * labels_builder.c - changing labels: a growing list of borrowed pairs, built at the end.
 *
 * A failed allocation is remembered and reported by labels_builder_build().
 */
#include <stdlib.h>
#include <string.h>

#include "collector/series/labels.h"
#include "proto/base/error.h"

void labels_builder_init(struct labels_builder *builder)
{
    *builder = (struct labels_builder){0};
}

void labels_builder_done(struct labels_builder *builder)
{
    free(builder->pairs);
    labels_builder_init(builder);
}

static bool make_room(struct labels_builder *builder, size_t count)
{
    if (count <= builder->capacity)
        return true;
    size_t capacity = count < 16 ? 16 : count * 2;
    struct label *pairs = realloc(builder->pairs, capacity * sizeof *pairs);
    if (pairs == NULL) {
        builder->failed = true;
        return false;
    }
    builder->pairs = pairs;
    builder->capacity = capacity;
    return true;
}

void labels_builder_reset(struct labels_builder *builder, const struct labels *labels)
{
    builder->count = 0;
    builder->failed = false;
    if (labels == NULL || labels->count == 0 || !make_room(builder, labels->count))
        return;
    memcpy(builder->pairs, labels->pairs, labels->count * sizeof *builder->pairs);
    builder->count = labels->count;
}

void labels_builder_set(struct labels_builder *builder, struct bytes name, struct bytes value)
{
    if (value.size == 0) {
        labels_builder_delete(builder, name);
        return;
    }
    for (size_t i = 0; i < builder->count; i++)
        if (bytes_equal(builder->pairs[i].name, name)) {
            builder->pairs[i].value = value;
            return;
        }
    if (make_room(builder, builder->count + 1))
        builder->pairs[builder->count++] = (struct label){name, value};
}

void labels_builder_delete(struct labels_builder *builder, struct bytes name)
{
    for (size_t i = 0; i < builder->count; i++)
        if (bytes_equal(builder->pairs[i].name, name)) {
            memmove(&builder->pairs[i], &builder->pairs[i + 1],
                    (builder->count - i - 1) * sizeof *builder->pairs);
            builder->count--;
            return;
        }
}

int labels_builder_build(struct labels_builder *builder, struct arena *arena,
                         const struct labels **ret_labels)
{
    if (builder->failed)
        return ERR_NOMEM;
    return labels_build(builder->pairs, builder->count, arena, ret_labels);
}
