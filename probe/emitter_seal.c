/*
 * emitter_seal.c - from the bits and values of a tick to its batch, or batches.
 */
#include <stdlib.h>
#include <string.h>

#include "probe/emitter_parts.h"
#include "proto/base/error.h"

/* Words of bits from one part to the next. */
#define PART_WORDS ((uint32_t)(BATCH_SAMPLES_MAX / WORD_BITS))

/* The words of the part that is next. */
static void part_words(const struct emitter *out, uint32_t *ret_first, uint32_t *ret_end)
{
    uint32_t words = (out->count + WORD_BITS - 1) / WORD_BITS;
    uint32_t first = out->part * PART_WORDS;
    *ret_first = first < words ? first : words;
    *ret_end = words - *ret_first < PART_WORDS ? words : *ret_first + PART_WORDS;
}

/* Walks the part's emitted bits into the sealed columns. */
static size_t seal_samples(struct emitter *out)
{
    size_t sealed = 0;
    uint32_t first, end;
    part_words(out, &first, &end);
    for (uint32_t i = first; i < end; i++) {
        for (uint64_t word = out->emitted[i]; word != 0; word &= word - 1) {
            uint32_t ref = i * WORD_BITS + (uint32_t)__builtin_ctzll(word);
            out->sealed_refs[sealed] = ref;
            out->sealed_values[sealed++] = out->values[ref];
        }
    }
    return sealed;
}

static int seal_ended(struct emitter *out, size_t *ret_count)
{
    size_t most = out->ended_count < BATCH_SAMPLES_MAX ? out->ended_count : BATCH_SAMPLES_MAX;
    if (most > out->ended_room) {
        uint64_t *grown = reallocarray(out->ended_refs, most, sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        out->ended_refs = grown;
        out->ended_room = most;
    }
    size_t sealed = 0;
    uint32_t first, end;
    part_words(out, &first, &end);
    for (uint32_t i = first; i < end && out->ended_count > 0; i++)
        for (uint64_t word = out->ended[i]; word != 0; word &= word - 1)
            out->ended_refs[sealed++] = i * WORD_BITS + (uint32_t)__builtin_ctzll(word);
    *ret_count = sealed;
    return 0;
}

/* Where the refs of a part begin in a late group. */
static size_t late_start(const struct emitter *out, const struct late_group *group,
                         uint32_t part)
{
    const uint64_t *refs = out->late_refs + group->first;
    size_t low = 0, high = group->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (refs[middle] < (uint64_t)part * BATCH_SAMPLES_MAX)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t seal_late(struct emitter *out)
{
    size_t sealed = 0;
    for (size_t i = 0; i < out->late_count; i++) {
        const struct late_group *group = &out->late[i];
        size_t from = late_start(out, group, out->part);
        size_t count = late_start(out, group, out->part + 1) - from;
        if (count == 0)
            continue;
        size_t first = group->first + from;
        out->late_view[sealed++] = (struct late_samples){
            .ts_ms = group->ts_ms,
            .samples = {out->late_refs + first, out->late_values + first, count}};
    }
    return sealed;
}

static void clear_samples(struct emitter *out)
{
    size_t words = out->capacity / WORD_BITS;
    if (words > 0)
        memset(out->emitted, 0, words * sizeof *out->emitted);
    out->order_count = 0;
    out->late_count = 0;
    out->late_used = 0;
    out->part = 0;
}

/* Is there something in the part that is next? */
static bool part_has_something(const struct emitter *out)
{
    uint32_t first, end;
    part_words(out, &first, &end);
    for (uint32_t i = first; i < end; i++)
        if ((out->emitted[i] | out->ended[i]) != 0)
            return true;
    for (size_t i = 0; i < out->late_count; i++)
        if (late_start(out, &out->late[i], out->part) <
            late_start(out, &out->late[i], out->part + 1))
            return true;
    return false;
}

/* To the next part that has something; past the last one if none has. */
static void next_part(struct emitter *out)
{
    do
        out->part++;
    while (out->part * BATCH_SAMPLES_MAX < out->count && !part_has_something(out));
}

/* The batch's own tick: behind the part before, which may be of a tick that was as short ago. */
static int64_t part_tick_ms(const struct emitter *out)
{
    int64_t behind = out->kept_ms - out->tick_ms;
    bool is_taken = out->count > BATCH_SAMPLES_MAX && behind >= 0 &&
                    behind < 2 * (int64_t)BATCH_PARTS_MAX;
    return is_taken ? out->kept_ms + 1 : out->tick_ms;
}

int emitter_seal(struct emitter *out, struct plain_batch *ret_batch)
{
    size_t ended;
    if (out->part == 0 && !part_has_something(out) && pending_is_empty(&out->pending) &&
        out->changed.run.size == 0)
        next_part(out);
    int error = seal_ended(out, &ended);
    if (error != 0)
        return error;
    struct plain_batch batch = {
        .tick_ms = part_tick_ms(out),
        .definition_count = out->count,
        .samples = {out->sealed_refs, out->sealed_values, seal_samples(out)},
        .late = out->late_view,
        .late_count = seal_late(out),
        .ended = out->ended_refs,
        .ended_count = ended,
    };
    pending_view(&out->pending, &batch);
    *ret_batch = batch;
    return 0;
}

void emitter_kept(struct emitter *out)
{
    uint32_t first, end;
    out->kept_ms = part_tick_ms(out);
    part_words(out, &first, &end);
    for (uint32_t i = first; i < end && out->ended_count > 0; i++) {
        out->ended_count -= (uint32_t)__builtin_popcountll(out->ended[i]);
        out->ended[i] = 0;
    }
    pending_clear(&out->pending);
    notes_clear(&out->changed);
    next_part(out);
    if (out->part * BATCH_SAMPLES_MAX >= out->count)
        clear_samples(out);
}

/* Stale markers wait as well: a series must not seem to live on because a disk was full. */
void emitter_not_kept(struct emitter *out)
{
    clear_samples(out);
}

bool emitter_is_crowded(const struct emitter *out)
{
    uint32_t alive = 0;
    if (out->count <= EMITTER_CROWD_LEAST)
        return false;
    for (uint32_t ref = 0; ref < out->count; ref++)
        alive += out->owners[ref] != 0;
    /* One that is full takes nothing new: a few of the past are then enough. */
    return alive < (out->count < EMITTER_SERIES_MAX ? out->count / 2 : out->count / 8 * 7);
}
