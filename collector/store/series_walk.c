/*
 * series_walk.c - several history files as one, series by series.
 */
#include "collector/store/series_walk.h"

#include <stdlib.h>

#include "collector/store/codec/codec.h"
#include "proto/base/error.h"

#define SERIES_ARENA ((size_t)1 << 20)

/* What a tolerant walk makes of damage. */
static int pass_by(const struct series_walk *walk, const struct walk_input *input, int error)
{
    if (error != ERR_CORRUPT || !walk->is_tolerant)
        return error;
    span_reader_complain(input->reader, "a series");
    return 0;
}

static int read_labels(struct series_walk *walk, struct walk_input *input)
{
    int error = 0;
    input->labels = NULL;
    for (; input->next < input->count && input->labels == NULL && error == 0;) {
        arena_reset(&input->arena);
        error = pass_by(
            walk, input,
            span_reader_labels(input->reader, input->next, &input->arena, &input->labels));
        input->next += input->labels == NULL;
    }
    return error;
}

int series_walk_open(struct series_walk *walk, struct span *const *spans, size_t count,
                     bool is_tolerant)
{
    int error = 0;
    *walk = (struct series_walk){.is_tolerant = is_tolerant};
    walk->inputs = calloc(count == 0 ? 1 : count, sizeof *walk->inputs);
    if (walk->inputs == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count && error == 0; i++) {
        struct walk_input *input = &walk->inputs[walk->count++];
        const struct span_manifest *manifest = &span_info_of(spans[i])->manifest;
        arena_init(&input->arena, SERIES_ARENA);
        input->generation = manifest->generation;
        error = span_reader_open(spans[i], &input->reader);
        if (error == 0)
            input->count = (uint32_t)manifest->series;
        else if (error == ERR_CORRUPT && is_tolerant)
            error = 0; /* named and counted */
        if (error == 0)
            error = read_labels(walk, input);
    }
    return error;
}

void series_walk_close(struct series_walk *walk)
{
    for (size_t i = 0; i < walk->count; i++) {
        span_reader_close(walk->inputs[i].reader);
        arena_reset(&walk->inputs[i].arena);
    }
    free(walk->inputs);
    free(walk->pieces);
    *walk = (struct series_walk){0};
}

int series_walk_next(struct series_walk *walk, const struct labels **ret_labels)
{
    const struct labels *least = NULL;
    int error = 0;
    for (size_t i = 0; i < walk->count && error == 0; i++) {
        struct walk_input *input = &walk->inputs[i];
        if (!input->has)
            continue;
        input->has = false;
        input->next++;
        error = read_labels(walk, input);
    }
    for (size_t i = 0; i < walk->count; i++)
        if (walk->inputs[i].labels != NULL &&
            (least == NULL || labels_compare(walk->inputs[i].labels, least) < 0))
            least = walk->inputs[i].labels;
    for (size_t i = 0; i < walk->count && least != NULL; i++)
        walk->inputs[i].has =
            walk->inputs[i].labels != NULL && labels_equal(walk->inputs[i].labels, least);
    *ret_labels = least;
    return error;
}

static int take_chunk(void *context, struct bytes chunk)
{
    struct series_walk *walk = context;
    struct piece piece = {.rank = RANK_HISTORY(walk->generation)};
    if (chunk_describe(chunk, &piece.count, &piece.first_ms, &piece.last_ms) != 0)
        return ERR_CORRUPT;
    if (walk->piece_count == walk->piece_capacity) {
        size_t capacity = walk->piece_capacity == 0 ? 64 : walk->piece_capacity * 2;
        struct piece *pieces = realloc(walk->pieces, capacity * sizeof *pieces);
        if (pieces == NULL)
            return ERR_NOMEM;
        walk->pieces = pieces;
        walk->piece_capacity = capacity;
    }
    /* The entry lives in the reader's buffer until the walk goes on, no longer. */
    piece.chunk = chunk;
    walk->pieces[walk->piece_count++] = piece;
    return 0;
}

int series_walk_entry(struct series_walk *walk, size_t input, struct bytes *ret_entry)
{
    struct walk_input *at = &walk->inputs[input];
    *ret_entry = (struct bytes){NULL, 0};
    return at->has ? pass_by(walk, at, span_reader_entry(at->reader, at->next, ret_entry)) : 0;
}

int series_walk_pieces(struct series_walk *walk, size_t first, size_t count)
{
    int error = 0;
    walk->piece_count = 0;
    for (size_t i = first; i < first + count && error == 0; i++) {
        struct bytes entry;
        size_t before = walk->piece_count;
        walk->generation = walk->inputs[i].generation;
        error = series_walk_entry(walk, i, &entry);
        if (error != 0 || entry.data == NULL)
            continue;
        error = span_entry_chunks(entry, take_chunk, walk);
        if (error == ERR_MALFORMED)
            error = ERR_CORRUPT;
        if (error == ERR_CORRUPT)
            walk->piece_count = before;
        error = pass_by(walk, &walk->inputs[i], error);
    }
    return error;
}
