#include "tests/bench/swarm/script.h"

#include <stdlib.h>

#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/wire/columns.h"

#define ARENA_BYTES ((size_t)64 << 20)
/* Far below the wire's limits, so that long labels fit too. */
#define DEFINITIONS_A_MESSAGE 1000
#define PLAIN_SAMPLE_BYTES    9 /* a ref that follows on the last one, and its value */

int script_desk_init(struct script_desk *desk, size_t samples_max)
{
    *desk = (struct script_desk){.refs = calloc(samples_max, sizeof *desk->refs),
                                 .base_refs = calloc(samples_max, sizeof *desk->base_refs),
                                 .values = calloc(samples_max, sizeof *desk->values),
                                 .base_values = calloc(samples_max, sizeof *desk->base_values)};
    arena_init(&desk->arena, ARENA_BYTES);
    if (desk->refs != NULL && desk->base_refs != NULL && desk->values != NULL &&
        desk->base_values != NULL)
        return 0;
    script_desk_done(desk);
    return ERR_NOMEM;
}

void script_desk_done(struct script_desk *desk)
{
    free(desk->refs);
    free(desk->base_refs);
    free(desk->values);
    free(desk->base_values);
    arena_reset(&desk->arena);
    *desk = (struct script_desk){0};
}

void script_init(struct script *script, const struct load *load, size_t probe, uint64_t epoch,
                 size_t first_tick, uint64_t count, uint64_t depth, bool is_backlog)
{
    must(depth >= 1 && depth <= SCRIPT_DEPTH_MAX);
    *script = (struct script){.load = load,
                              .probe = probe,
                              .epoch = epoch,
                              .first_tick = first_tick,
                              .count = count,
                              .depth = depth,
                              .is_backlog = is_backlog};
    (void)load_definitions(load, probe, &script->definition_count);
}

void script_done(struct script *script)
{
    buf_done(&script->messages);
    free(script->ends);
    script->ends = NULL;
}

static size_t tick_of(const struct script *script, uint64_t number)
{
    must(number >= 1 && number <= script->count);
    return script->first_tick + (size_t)number - 1;
}

size_t script_samples(const struct script *script, uint64_t number)
{
    return load_tick_samples(script->load, script->probe, tick_of(script, number));
}

int64_t script_tick_ms(const struct script *script, uint64_t number)
{
    return load_tick_ms(script->load, script->probe, tick_of(script, number));
}

/* One batch, in the desk's arena; base 0: alone. */
static int code_batch(const struct script *script, struct script_desk *desk, uint64_t number,
                      uint64_t base_number, struct coded_batch *ret_coded)
{
    struct sample_columns base = {desk->base_refs, desk->base_values, 0};
    struct plain_batch plain = {
        .definition_count = script->definition_count,
        .samples = {desk->refs, desk->values, script_samples(script, number)}};

    plain.tick_ms = load_columns(script->load, script->probe, tick_of(script, number),
                                 desk->refs, desk->values);
    if (base_number > 0) {
        base.count = script_samples(script, base_number);
        (void)load_columns(script->load, script->probe, tick_of(script, base_number),
                           desk->base_refs, desk->base_values);
    }
    return batch_code(&plain, number, base_number > 0 ? &base : NULL, base_number,
                      &desk->arena, ret_coded);
}

/* Appends one BatchGroup. */
static int put_group(const struct script *script, struct script_desk *desk,
                     const struct coded_batch *items, size_t count, struct buf *out)
{
    struct envelope envelope = {.kind = ENVELOPE_BATCHES,
                                .batches = {script->epoch, items, count}};
    return envelope_encode(&envelope, &desk->arena, out);
}

/* Appends one BatchGroup with one batch. */
static int code(const struct script *script, struct script_desk *desk, uint64_t number,
                bool alone, struct buf *out)
{
    struct coded_batch coded;
    uint64_t base = !alone && number > script->depth ? number - script->depth : 0;
    int error = code_batch(script, desk, number, base, &coded);
    if (error == 0)
        error = put_group(script, desk, &coded, 1, out);
    arena_reset(&desk->arena);
    return error;
}

/* Appends a group of a backlog that begins with `first`, as the probe would cut it. */
static int code_group(const struct script *script, struct script_desk *desk, uint64_t first,
                      struct buf *out, uint64_t *ret_last)
{
    struct coded_batch items[BACKLOG_GROUP_BATCHES];
    size_t count = 0, plain_bytes = 0;
    uint64_t number = first;
    int error = 0;

    while (error == 0 && number <= script->count && count < BACKLOG_GROUP_BATCHES &&
           plain_bytes < BACKLOG_GROUP_PLAIN_BYTES) {
        plain_bytes += script_samples(script, number) * PLAIN_SAMPLE_BYTES;
        error = code_batch(script, desk, number, count == 0 ? 0 : number - 1, &items[count]);
        count++;
        number++;
    }
    if (error == 0)
        error = put_group(script, desk, items, count, out);
    arena_reset(&desk->arena);
    if (error == 0)
        *ret_last = number - 1;
    return error;
}

int script_code_all(struct script *script, struct script_desk *desk)
{
    int error = 0;
    script->ends = calloc(script->count == 0 ? 1 : script->count, sizeof *script->ends);
    if (script->ends == NULL)
        return ERR_NOMEM;
    for (uint64_t number = 1; error == 0 && number <= script->count; number++) {
        error = script->is_backlog
                    ? code_group(script, desk, number, &script->messages, &number)
                    : code(script, desk, number, false, &script->messages);
        script->ends[number - 1] = script->messages.size;
    }
    return error;
}

int script_message(const struct script *script, struct script_desk *desk, uint64_t number,
                   bool alone, struct buf *out, struct bytes *ret_message, uint64_t *ret_last)
{
    *ret_last = number;
    if (script->is_backlog) /* a group needs no base; what begins within one goes alone */
        alone = number > 1 && script->ends[number - 2] == 0;
    if (!alone && script->ends != NULL) {
        size_t start = number == 1 ? 0 : script->ends[number - 2];
        while (script->ends[*ret_last - 1] == 0)
            (*ret_last)++;
        *ret_message =
            (struct bytes){script->messages.data + start, script->ends[*ret_last - 1] - start};
        return 0;
    }
    buf_clear(out);
    int error = code(script, desk, number, alone, out);
    if (error == 0)
        *ret_message = buf_bytes(out);
    return error;
}

int script_define(const struct script *script, struct script_desk *desk, uint64_t first_ref,
                  struct buf *out, uint64_t *ret_count)
{
    size_t count;
    const struct definition *items = load_definitions(script->load, script->probe, &count);

    must(first_ref < count);
    uint64_t left = count - first_ref;
    uint64_t taken = left < DEFINITIONS_A_MESSAGE ? left : DEFINITIONS_A_MESSAGE;
    struct envelope envelope = {
        .kind = ENVELOPE_DEFINITIONS,
        .definitions = {.epoch = script->epoch,
                        .first_ref = first_ref,
                        .items = items + first_ref,
                        .count = taken}};
    buf_clear(out);
    int error = envelope_encode(&envelope, &desk->arena, out);
    arena_reset(&desk->arena);
    if (error == 0)
        *ret_count = taken;
    return error;
}
