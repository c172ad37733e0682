/*
 * gather_history.c - collecting series and their pieces from history files.
 */
#include <roaring/roaring.h>

#include "collector/store/codec/codec.h"
#include "collector/store/gather.h"
#include "collector/store/selection.h"
#include "collector/store/span_set.h"
#include "proto/base/error.h"

struct visit {
    struct gather *gather;
    struct found *found;
    uint64_t generation;
};

static int add_chunk(struct gather *gather, struct found *found, struct bytes chunk,
                     struct piece *piece)
{
    if (!gather->hints->no_samples) {
        uint8_t *copy = arena_alloc_raw(&gather->scratch, chunk.size, 1);
        if (copy == NULL)
            return ERR_LIMIT;
        memcpy(copy, chunk.data, chunk.size);
        piece->chunk = (struct bytes){copy, chunk.size};
    }
    return gather_add_piece(gather, found, piece);
}

static int take_chunk(void *context, struct bytes chunk)
{
    struct visit *visit = context;
    struct gather *gather = visit->gather;
    struct piece piece = {.rank = RANK_HISTORY(visit->generation)};
    if (chunk_describe(chunk, &piece.count, &piece.first_ms, &piece.last_ms) != 0)
        return ERR_CORRUPT;
    const bool is_inside = piece.first_ms <= gather->hints->until_ms &&
                           piece.last_ms >= gather->hints->from_ms;
    if (gather->joins && !gather_run_has_room(gather, piece.count))
        gather_run_give_up(gather);
    if ((!is_inside && !gather->joins) ||
        gather_is_deleted(gather, visit->found, piece.rank, piece.first_ms, piece.last_ms))
        return 0;
    int error = add_chunk(gather, visit->found, chunk, &piece);
    if (error != ERR_LIMIT || is_inside)
        return error;
    gather_run_give_up(gather); /* nobody asked for it */
    gather->scratch.total_refused = false;
    return 0;
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
    struct bytes entry;
    struct visit visit = {.gather = gather, .generation = manifest->generation};
    (void)context;
    int error = span_reader_label_bytes(reader, ordinal, &entry);
    if (error == 0)
        error = gather_obtain_stored(gather, entry, &visit.found);
    if (error != 0)
        return error;
    if (gather->hints->no_samples && !gather->wants_counts && visit.found->holes.count == 0 &&
        is_inside(gather, manifest)) {
        struct piece piece = {.first_ms = manifest->min_ms, .last_ms = manifest->max_ms};
        return gather_add_piece(gather, visit.found, &piece);
    }
    error = span_reader_entry(reader, ordinal, &entry);
    if (error == 0)
        error = span_entry_chunks(entry, take_chunk, &visit);
    return error == ERR_MALFORMED ? ERR_CORRUPT : error;
}

/* What a gathering does with each series of a file. */
struct taking {
    struct gather *gather;
    struct span *span;
    struct span_reader *reader;
    gather_take *take;
    void *context;
};

static int take_one(struct taking *taking, uint32_t ordinal)
{
    int error = select_watch_step(&taking->gather->watch);
    if (error != 0)
        return error;
    error =
        taking->take(taking->gather, taking->span, taking->reader, ordinal, taking->context);
    if (error != ERR_CORRUPT || span_reader_is_lost(taking->reader))
        return error;
    span_reader_complain(taking->reader, "a series");
    taking->gather->is_damaged = true;
    return 0;
}

static int take_known(struct taking *taking, const struct selection *selection)
{
    int error = 0;
    for (size_t i = 0; i < selection->count && error == 0; i++) {
        span_reader_expect(taking->reader, &selection->items[i]);
        error = take_one(taking, selection->items[i].ordinal);
    }
    return error;
}

static int take_selected(struct taking *taking, const roaring_bitmap_t *ordinals)
{
    int error = 0;
    roaring_uint32_iterator_t at;
    roaring_init_iterator(ordinals, &at);
    for (; at.has_value && error == 0; roaring_advance_uint32_iterator(&at))
        error = take_one(taking, at.current_value);
    return error;
}

/* Looks up what the matchers select, and takes it. */
static int take_found(struct taking *taking, struct matcher *const *matchers, size_t count)
{
    struct gather *gather = taking->gather;
    roaring_bitmap_t *ordinals = NULL;
    int error = span_reader_map(taking->reader);
    if (error != 0)
        return error;
    struct postings_source source = span_postings(taking->reader);
    error = postings_select(&source, matchers, count, &gather->watch, &ordinals);
    if (error == ERR_CORRUPT) /* nothing of it can be found reliably */
        span_quarantine(taking->span, "its index is damaged");
    if (error != 0)
        return error;
    selection_offer(span_set_groups(gather->store->spans), taking->reader,
                    buf_bytes(&gather->question), ordinals);
    error = take_selected(taking, ordinals);
    roaring_bitmap_free(ordinals);
    return error;
}

int gather_span(struct gather *gather, struct span *span, struct matcher *const *matchers,
                size_t count, gather_take *take, void *context, bool *ret_read)
{
    struct group_cache *groups = span_set_groups(gather->store->spans);
    struct taking taking = {.gather = gather, .span = span, .take = take, .context = context};
    struct selection selection;
    int error = span_reader_begin(span, &taking.reader);
    if (error != 0) {
        gather->is_damaged = true;
        return error == ERR_CORRUPT ? 0 : error; /* named and counted */
    }
    gather->last = NULL;
    buf_clear(&gather->question);
    selection_question(matchers, count, &gather->question);
    if (!buf_ok(&gather->question)) {
        error = ERR_NOMEM;
    } else if (selection_find(groups, span_reader_generation(taking.reader),
                              buf_bytes(&gather->question), &selection)) {
        error = take_known(&taking, &selection);
        selection_release(groups, &selection);
    } else {
        error = take_found(&taking, matchers, count);
    }
    span_reader_close(taking.reader);
    gather->is_damaged |= error != 0;
    if (error == 0 && ret_read != NULL)
        *ret_read = true;
    return error == ERR_CORRUPT ? 0 : error; /* the same */
}

/* Out of the files one by one; and what they have is joined for the next time, if it is wanted. */
static int take_files(struct gather *gather, struct span *const *spans, size_t span_count,
                      struct matcher *const *matchers, size_t count)
{
    int error = 0;
    for (size_t i = 0; i < span_count && error == 0; i++) {
        error = select_watch_look(&gather->watch);
        if (error == 0)
            error = gather_span(gather, spans[i], matchers, count, take_series, NULL, NULL);
    }
    if (error == 0 && gather->joins)
        error = gather_run_make(gather,
                                span_info_of(spans[span_count - 1])->manifest.generation);
    else if (error == ERR_LIMIT && gather->joins)
        gather_run_give_up(gather); /* the next time it may be enough */
    return error;
}

int gather_history(struct gather *gather, struct matcher *const *matchers, size_t count)
{
    struct span_set *set = gather->store->spans;
    struct span **spans = NULL;
    size_t span_count = 0;
    bool is_taken = false;
    int error = span_set_acquire(set, gather->hints->from_ms, gather->hints->until_ms, &spans,
                                 &span_count);
    if (error != 0)
        return error;
    error = gather_run_take(gather, spans, span_count, matchers, count, &is_taken);
    if (error == 0 && !is_taken)
        error = take_files(gather, spans, span_count, matchers, count);
    span_set_release(set, spans, span_count);
    return error;
}
