/*
 * gather_history.c - collecting series and their pieces from history files.
 */
#include <roaring/roaring.h>

#include "collector/store/codec/codec.h"
#include "collector/store/gather.h"
#include "collector/store/span_set.h"
#include "proto/base/error.h"

#define CANCEL_EVERY 256

struct visit {
    struct gather *gather;
    struct found *found;
    uint64_t generation;
};

static int take_chunk(void *context, struct bytes chunk)
{
    struct visit *visit = context;
    struct gather *gather = visit->gather;
    struct piece piece = {.rank = RANK_HISTORY(visit->generation)};
    if (chunk_describe(chunk, &piece.count, &piece.first_ms, &piece.last_ms) != 0)
        return ERR_CORRUPT;
    if (piece.first_ms > gather->hints->until_ms || piece.last_ms < gather->hints->from_ms ||
        gather_is_deleted(gather, visit->found, piece.rank, piece.first_ms, piece.last_ms))
        return 0;
    if (!gather->hints->no_samples) {
        uint8_t *copy = arena_alloc_raw(&gather->scratch, chunk.size, 1);
        if (copy == NULL)
            return ERR_LIMIT;
        memcpy(copy, chunk.data, chunk.size);
        piece.chunk = (struct bytes){copy, chunk.size};
    }
    return gather_add_piece(gather, visit->found, &piece);
}

static bool is_inside(const struct gather *gather, const struct span_manifest *manifest)
{
    return gather->hints->from_ms <= manifest->min_ms &&
           manifest->max_ms <= gather->hints->until_ms;
}

static int take_series(struct gather *gather, struct span *span, struct span_reader *reader,
                       uint32_t ordinal, void *context)
{
    const struct span_manifest *manifest = &span_info_of(span)->manifest;
    const struct labels *labels;
    struct visit visit = {.gather = gather, .generation = manifest->generation};
    (void)context;
    int error = span_reader_labels(reader, ordinal, gather->arena, &labels);
    if (error == 0)
        error = gather_obtain_owned(gather, labels, &visit.found);
    if (error != 0)
        return error;
    if (gather->hints->no_samples && !gather->wants_counts && visit.found->holes.count == 0 &&
        is_inside(gather, manifest)) {
        struct piece piece = {.first_ms = manifest->min_ms, .last_ms = manifest->max_ms};
        return gather_add_piece(gather, visit.found, &piece);
    }
    struct bytes entry;
    error = span_reader_entry(reader, ordinal, &entry);
    if (error == 0)
        error = span_entry_chunks(entry, take_chunk, &visit);
    return error == ERR_MALFORMED ? ERR_CORRUPT : error;
}

static int take_selected(struct gather *gather, struct span *span, struct span_reader *reader,
                         const roaring_bitmap_t *ordinals, gather_take *take, void *context)
{
    int error = 0;
    roaring_uint32_iterator_t at;
    roaring_init_iterator(ordinals, &at);
    for (size_t i = 0; at.has_value && error == 0; i++) {
        if (i % CANCEL_EVERY == 0 && gather_is_cancelled(gather))
            error = ERR_CANCELLED;
        else
            error = take(gather, span, reader, at.current_value, context);
        if (error == ERR_CORRUPT) {
            span_reader_complain(reader, "a series");
            error = 0;
        }
        roaring_advance_uint32_iterator(&at);
    }
    return error;
}

int gather_span(struct gather *gather, struct span *span, struct matcher *const *matchers,
                size_t count, gather_take *take, void *context, bool *ret_read)
{
    roaring_bitmap_t *ordinals = NULL;
    struct span_reader *reader;
    int error = span_reader_open(span, &reader);
    if (error != 0)
        return error == ERR_CORRUPT ? 0 : error; /* named and counted */
    struct postings_source source = span_postings(reader);
    error = postings_select(&source, matchers, count, &gather->watch, &ordinals);
    if (error == 0) {
        error = take_selected(gather, span, reader, ordinals, take, context);
        roaring_bitmap_free(ordinals);
        if (ret_read != NULL)
            *ret_read = true;
    } else if (error == ERR_CORRUPT) { /* nothing of it can be found reliably */
        span_quarantine(span, "its index is damaged");
        error = 0;
    }
    span_reader_close(reader);
    return error;
}

int gather_history(struct gather *gather, struct matcher *const *matchers, size_t count)
{
    struct span_set *set = gather->store->spans;
    struct span **spans = NULL;
    size_t span_count = 0;
    int error = span_set_acquire(set, gather->hints->from_ms, gather->hints->until_ms, &spans,
                                 &span_count);
    if (error != 0)
        return error;
    for (size_t i = 0; i < span_count && error == 0; i++)
        error = gather_is_cancelled(gather)
                    ? ERR_CANCELLED
                    : gather_span(gather, spans[i], matchers, count, take_series, NULL, NULL);
    span_set_release(set, spans, span_count);
    return error;
}
