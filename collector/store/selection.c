/* selection.c - see selection.h. */
#include "collector/store/selection.h"

#include <xxhash.h>

#define SELECTED_MAX 16384 /* series; more take longer to read than to find */

void selection_question(struct matcher *const *matchers, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        buf_put_u8(out, (uint8_t)matchers[i]->kind);
        buf_put_sized(out, matchers[i]->name);
        buf_put_sized(out, matchers[i]->value);
    }
}

struct group_key selection_key(uint64_t generation, struct bytes question)
{
    return (struct group_key){.generation = generation,
                              .first = (uint32_t)XXH3_64bits(question.data, question.size),
                              .letter = 'm'};
}

bool selection_find(struct group_cache *cache, uint64_t generation, struct bytes question,
                    struct selection *ret_selection)
{
    struct group_view view;
    struct cached_group *cached =
        group_cache_find(cache, selection_key(generation, question), &view);
    if (cached == NULL)
        return false;
    if (!bytes_equal(group_entry(&view, 1), question)) { /* another's of the same hash */
        group_cache_release(cache, cached);
        return false;
    }
    struct bytes items = group_entry(&view, 0);
    *ret_selection =
        (struct selection){.cached = cached,
                           .items = (const struct selected *)(const void *)items.data,
                           .count = items.size / sizeof(struct selected)};
    return true;
}

void selection_release(struct group_cache *cache, struct selection *selection)
{
    group_cache_release(cache, selection->cached);
    *selection = (struct selection){0};
}

/* The entries one behind the other; false where a series has no place in the file. */
static bool list_selected(struct span_reader *reader, const roaring_bitmap_t *ordinals,
                          struct buf *entries)
{
    roaring_uint32_iterator_t at;
    roaring_init_iterator(ordinals, &at);
    for (; at.has_value; roaring_advance_uint32_iterator(&at)) {
        struct selected selected;
        if (span_reader_place(reader, at.current_value, &selected) != 0)
            return false;
        buf_put(entries, &selected, sizeof selected);
    }
    return true;
}

void selection_offer(struct group_cache *cache, struct span_reader *reader,
                     struct bytes question, const roaring_bitmap_t *ordinals)
{
    const uint64_t count = roaring_bitmap_get_cardinality(ordinals);
    const struct group_key key = selection_key(span_reader_generation(reader), question);
    const size_t items = (size_t)count * sizeof(struct selected);
    struct buf entries = {0};
    if (count > SELECTED_MAX || !group_cache_wants(cache, key, items + question.size))
        return;
    if (list_selected(reader, ordinals, &entries)) {
        buf_put(&entries, question.data, question.size);
        const uint32_t offsets[] = {0, (uint32_t)items, (uint32_t)(items + question.size)};
        if (buf_ok(&entries))
            group_cache_put(cache, key, &(struct group_view){entries.data, offsets, 2});
    }
    buf_done(&entries);
}
