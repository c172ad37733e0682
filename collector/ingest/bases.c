/*
 * bases.c - see bases.h.
 */
#include "collector/ingest/bases.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/must.h"

struct base_refs {
    size_t users, count, run_count;
    struct run {
        uint32_t first, count;
    } runs[];
};

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* -- refs -----------------------------------------------------------------------------------
 */

static void release_refs(struct base_refs *refs)
{
    if (refs != NULL && --refs->users == 0)
        free(refs);
}

/* How many refs from `at` on follow each other. */
static size_t run_at(const struct sample_columns *samples, size_t at)
{
    size_t end = at + 1;
    while (end < samples->count && samples->refs[end] == samples->refs[end - 1] + 1)
        end++;
    return end - at;
}

static struct base_refs *make_refs(const struct sample_columns *samples)
{
    size_t runs = 0;
    for (size_t i = 0; i < samples->count; i += run_at(samples, i))
        runs++;
    struct base_refs *refs = malloc(sizeof *refs + runs * sizeof refs->runs[0]);
    if (refs == NULL)
        return NULL;
    *refs = (struct base_refs){.users = 1, .count = samples->count};
    for (size_t i = 0; i < samples->count;) {
        const size_t count = run_at(samples, i);
        must(samples->refs[i] <= UINT32_MAX);
        refs->runs[refs->run_count++] =
            (struct run){(uint32_t)samples->refs[i], (uint32_t)count};
        i += count;
    }
    return refs;
}

static bool has_refs(const struct base_refs *refs, const struct sample_columns *samples)
{
    if (refs->count != samples->count)
        return false;
    const uint64_t *at = samples->refs;
    for (size_t i = 0; i < refs->run_count; i++)
        for (uint32_t k = 0; k < refs->runs[i].count; k++)
            if (*at++ != (uint64_t)refs->runs[i].first + k)
                return false;
    return true;
}

static uint64_t *write_refs(const struct base_refs *refs, struct arena *arena)
{
    uint64_t *written = arena_alloc_raw(arena, refs->count + 1, sizeof *written);
    uint64_t *to = written;
    for (size_t i = 0; i < refs->run_count && to != NULL; i++)
        for (uint32_t k = 0; k < refs->runs[i].count; k++)
            *to++ = (uint64_t)refs->runs[i].first + k;
    return written;
}

/* -- what differs ---------------------------------------------------------------------------
 */

static size_t mask_bytes(size_t count)
{
    return (count + 7) / 8;
}

static size_t count_differing(const double *values, const double *newer, size_t count)
{
    size_t differing = 0;
    for (size_t i = 0; i < count; i++)
        differing += !same_bits(values[i], newer[i]);
    return differing;
}

/* NULL: no memory. */
static uint8_t *make_differing(const double *values, const double *newer, size_t count)
{
    const size_t differing = count_differing(values, newer, count);
    const size_t mask = mask_bytes(count);
    uint8_t *made = calloc(1, mask + differing * sizeof *values + 1);
    if (made == NULL)
        return NULL;
    uint8_t *to = made + mask;
    for (size_t i = 0; i < count; i++) {
        if (same_bits(values[i], newer[i]))
            continue;
        made[i / 8] |= (uint8_t)(1u << i % 8);
        memcpy(to, &values[i], sizeof values[i]);
        to += sizeof values[i];
    }
    return made;
}

/* From the values of the next newer to its own. */
static void apply_differing(const uint8_t *differing, double *values, size_t count)
{
    const uint8_t *from = differing + mask_bytes(count);
    for (size_t i = 0; i < count; i += 8)
        for (unsigned byte = differing[i / 8]; byte != 0; byte &= byte - 1) {
            memcpy(&values[i + (unsigned)__builtin_ctz(byte)], from, sizeof *values);
            from += sizeof *values;
        }
}

/* -- keeping and finding --------------------------------------------------------------------
 */

static void drop(struct kept_base *base)
{
    release_refs(base->refs);
    free(base->values);
    free(base->differing);
    *base = (struct kept_base){0};
}

void bases_done(struct bases *bases)
{
    if (bases->next != NULL)
        bases_done(bases->next);
    free(bases->next);
    for (size_t i = 0; i < BASES_KEPT; i++)
        drop(&bases->items[i]);
    *bases = (struct bases){0};
}

/* Those of a part, made if they are not there yet.  NULL: no memory. */
static struct bases *of_part(struct bases *bases, size_t part)
{
    if (part == 0)
        return bases;
    struct bases **at = &bases->next;
    while (*at != NULL && (*at)->part != part)
        at = &(*at)->next;
    if (*at == NULL) {
        *at = calloc(1, sizeof **at);
        if (*at != NULL)
            (*at)->part = part;
    }
    return *at;
}

/* BASES_KEPT: it is not kept. */
static size_t place_of(const struct bases *bases, uint64_t number)
{
    size_t at = 0;
    while (at < BASES_KEPT && bases->items[at].number != number)
        at++;
    return at;
}

/* The memory of the newest's values for a batch with the same refs; the newest is from then on
 * what differs from that. */
static double *take_over(struct kept_base *newest, const struct sample_columns *samples)
{
    if (newest->number == 0 || !has_refs(newest->refs, samples))
        return NULL;
    newest->differing = make_differing(newest->values, samples->values, samples->count);
    if (newest->differing == NULL)
        return NULL;
    double *values = newest->values;
    newest->values = NULL;
    newest->refs->users++;
    return values;
}

void bases_keep(struct bases *all, uint64_t number, const struct sample_columns *samples)
{
    struct bases *bases = of_part(all, part_of(samples));
    if (number == 0 || bases == NULL || place_of(bases, number) < BASES_KEPT)
        return;
    struct kept_base *items = bases->items;
    struct kept_base base = {.number = number, .values = take_over(&items[0], samples)};
    if (base.values != NULL) {
        base.refs = items[0].refs;
    } else {
        base.refs = make_refs(samples);
        base.values = malloc((samples->count + 1) * sizeof *base.values);
        if (base.refs == NULL || base.values == NULL) {
            drop(&base);
            return;
        }
    }
    if (samples->count > 0)
        memcpy(base.values, samples->values, samples->count * sizeof *base.values);
    drop(&items[BASES_KEPT - 1]);
    memmove(items + 1, items, (BASES_KEPT - 1) * sizeof *items);
    items[0] = base;
}

bool bases_find(const struct bases *bases, uint64_t number, struct arena *arena,
                struct sample_columns *ret_samples)
{
    size_t at = 0;
    while (bases != NULL && (at = place_of(bases, number)) == BASES_KEPT)
        bases = bases->next;
    if (number == 0 || bases == NULL)
        return false;
    const struct kept_base *base = &bases->items[at];
    const size_t count = base->refs->count;
    size_t whole = at;
    while (bases->items[whole].values == NULL)
        whole--;
    const double *values = bases->items[whole].values;
    const uint64_t *refs = write_refs(base->refs, arena);
    if (refs == NULL)
        return false;
    if (whole < at) {
        double *changed = arena_alloc_raw(arena, count + 1, sizeof *changed);
        if (changed == NULL)
            return false;
        memcpy(changed, values, count * sizeof *changed);
        for (size_t i = whole + 1; i <= at; i++)
            apply_differing(bases->items[i].differing, changed, count);
        values = changed;
    }
    *ret_samples = (struct sample_columns){.refs = refs, .values = values, .count = count};
    return true;
}

size_t bases_bytes(const struct bases *bases)
{
    size_t bytes = bases->next == NULL ? 0 : sizeof *bases + bases_bytes(bases->next);
    for (size_t i = 0; i < BASES_KEPT && bases->items[i].number != 0; i++) {
        const struct kept_base *base = &bases->items[i];
        const size_t count = base->refs->count;
        if (base->values != NULL)
            bytes += count * sizeof *base->values;
        for (size_t k = 0; base->differing != NULL && k < mask_bytes(count); k++)
            bytes += 1 + (size_t)__builtin_popcount(base->differing[k]) * sizeof *base->values;
        if (i == 0 || base->refs != bases->items[i - 1].refs)
            bytes += sizeof *base->refs + base->refs->run_count * sizeof base->refs->runs[0];
    }
    return bytes;
}
