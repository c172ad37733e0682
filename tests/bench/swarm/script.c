#include "tests/bench/swarm/script.h"

#include <stdlib.h>

#include "proto/base/error.h"
#include "proto/base/must.h"
#include "proto/wire/columns.h"

#define ARENA_BYTES ((size_t)64 << 20)
/* Far below the wire's limits, so that long labels fit too. */
#define DEFINITIONS_A_MESSAGE 1000

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
                 size_t first_tick, uint64_t count, uint64_t depth)
{
    must(depth >= 1 && depth <= SCRIPT_DEPTH_MAX);
    *script = (struct script){.load = load,
                              .probe = probe,
                              .epoch = epoch,
                              .first_tick = first_tick,
                              .count = count,
                              .depth = depth};
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

/* Appends one BatchGroup with one batch. */
static int code(const struct script *script, struct script_desk *desk, uint64_t number,
                bool alone, struct buf *out)
{
    bool has_base = !alone && number > script->depth;
    uint64_t base_number = has_base ? number - script->depth : 0;
    struct sample_columns base = {desk->base_refs, desk->base_values, 0};
    struct coded_batch coded;
    struct plain_batch plain = {
        .definition_count = script->definition_count,
        .samples = {desk->refs, desk->values, script_samples(script, number)}};

    plain.tick_ms = load_columns(script->load, script->probe, tick_of(script, number),
                                 desk->refs, desk->values);
    if (has_base) {
        base.count = script_samples(script, base_number);
        (void)load_columns(script->load, script->probe, tick_of(script, base_number),
                           desk->base_refs, desk->base_values);
    }
    int error =
        batch_code(&plain, number, has_base ? &base : NULL, base_number, &desk->arena, &coded);
    if (error == 0) {
        struct envelope envelope = {.kind = ENVELOPE_BATCHES,
                                    .batches = {script->epoch, &coded, 1}};
        error = envelope_encode(&envelope, &desk->arena, out);
    }
    arena_reset(&desk->arena);
    return error;
}

int script_code_all(struct script *script, struct script_desk *desk)
{
    int error = 0;
    script->ends = calloc(script->count == 0 ? 1 : script->count, sizeof *script->ends);
    if (script->ends == NULL)
        return ERR_NOMEM;
    for (uint64_t number = 1; error == 0 && number <= script->count; number++) {
        error = code(script, desk, number, false, &script->messages);
        script->ends[number - 1] = script->messages.size;
    }
    return error;
}

int script_message(const struct script *script, struct script_desk *desk, uint64_t number,
                   bool alone, struct buf *out, struct bytes *ret_message)
{
    if (!alone && script->ends != NULL) {
        size_t start = number == 1 ? 0 : script->ends[number - 2];
        *ret_message =
            (struct bytes){script->messages.data + start, script->ends[number - 1] - start};
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
        .definitions = {script->epoch, first_ref, items + first_ref, taken}};
    buf_clear(out);
    int error = envelope_encode(&envelope, &desk->arena, out);
    arena_reset(&desk->arena);
    if (error == 0)
        *ret_count = taken;
    return error;
}
