/*
 * gather_history.c - collecting series and their pieces from history files.
 */
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
        uint8_t *copy = arena_alloc(&gather->scratch, chunk.size, 1);
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

static int take_series(struct gather *gather, struct span_reader *reader,
                       const struct span_manifest *manifest, uint32_t ordinal)
{
    const struct labels *labels;
    struct visit visit = {.gather = gather, .generation = manifest->generation};
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

static int take_span(struct gather *gather, struct span *span, struct span_reader *reader,
                     struct matcher *const *matchers, size_t count)
{
    roaring_bitmap_t *ordinals = NULL;
    const struct span_manifest *manifest = &span_info_of(span)->manifest;
    struct postings_source source = span_postings(reader);
    int error = postings_select(&source, matchers, count, &ordinals);
    if (error == ERR_CORRUPT) {
        /* Without its index nothing of it can be found reliably. */
        span_quarantine(span, "its index is damaged");
        return 0;
    }
    if (error != 0)
        return error;
    roaring_uint32_iterator_t at;
    roaring_init_iterator(ordinals, &at);
    for (size_t i = 0; at.has_value && error == 0; i++) {
        if (i % CANCEL_EVERY == 0 && gather_is_cancelled(gather))
            error = ERR_CANCELLED;
        else
            error = take_series(gather, reader, manifest, at.current_value);
        if (error == ERR_CORRUPT) {
            span_reader_complain(reader, "a series");
            error = 0;
        }
        roaring_advance_uint32_iterator(&at);
    }
    roaring_bitmap_free(ordinals);
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
    for (size_t i = 0; i < span_count && error == 0; i++) {
        struct span_reader *reader;
        int opened = span_reader_open(spans[i], &reader);
        if (opened == ERR_CORRUPT)
            continue; /* named and counted */
        error = opened;
        if (error == 0) {
            error = take_span(gather, spans[i], reader, matchers, count);
            span_reader_close(reader);
        }
    }
    span_set_release(set, spans, span_count);
    return error;
}
