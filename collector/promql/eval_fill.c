/*
 * eval_fill.c - fill, fill_left, fill_right: samples that stand in for what a match lacks.
 *
 * A made column bears its group's signature for labels and has a value at the steps where only
 * the other side of the group has any.  Matching then needs to know nothing of fills.  Which
 * fill serves which side is Prometheus's: with group_right, too, fill_left makes the "many" and
 * fill_right the "one" (promql/engine.go VectorBinop).
 */
#include <string.h>

#include "collector/promql/eval_match.h"
#include "proto/base/error.h"

struct filling {
    struct evaluation *ev;
    const struct grid *grid;
    struct signatures *signatures;
    struct value *values[2]; /* by side: their columns as they were */
};

/* The steps at which any column of the group has a value on this side. */
static void group_presence(const struct filling *filling, size_t side, size_t group,
                           uint64_t *out)
{
    const size_t *offsets = filling->signatures->offsets[side];
    size_t words = (filling->grid->count + 63) / 64;
    memset(out, 0, words * sizeof *out);
    for (size_t m = offsets[group]; m < offsets[group + 1]; m++) {
        size_t member = filling->signatures->members[side][m];
        for (size_t word = 0; word < words; word++)
            out[word] |= filling->values[side]->columns[member].present[word];
    }
}

/* A column with `number` wherever `wanted` has a bit and `there` has none. */
static int make_column(const struct filling *filling, size_t group, double number,
                       const uint64_t *wanted, const uint64_t *there, struct column *out)
{
    int error = column_init(filling->ev, filling->grid, out);
    if (error != 0)
        return error;
    out->labels = filling->signatures->index.keys[group];
    for (size_t step = 0; step < filling->grid->count; step++)
        if (((wanted[step / 64] & ~there[step / 64]) >> (step % 64) & 1) != 0)
            column_set(out, step, number);
    return 0;
}

/* The side with its made columns, and the groups with their new members. */
static int fill_side(const struct filling *filling, size_t side, double number,
                     struct value *ret_value, size_t **ret_offsets, size_t **ret_members)
{
    struct evaluation *ev = filling->ev;
    const struct value *from = filling->values[side];
    const size_t groups = filling->signatures->index.count;
    const size_t *offsets = filling->signatures->offsets[side];
    size_t words = (filling->grid->count + 63) / 64;
    uint64_t *own = arena_alloc(ev->arena, words, sizeof *own);
    uint64_t *other = arena_alloc(ev->arena, words, sizeof *other);
    size_t *new_offsets = arena_alloc(ev->arena, groups + 1, sizeof *new_offsets);
    size_t *members = arena_alloc(ev->arena, from->count + groups + 1, sizeof *members);
    size_t count = 0;
    int error = value_columns(ev, from->count + groups, ret_value);

    if (own == NULL || other == NULL || new_offsets == NULL || members == NULL)
        return ERR_NOMEM;
    if (error == 0 && from->count > 0)
        memcpy(ret_value->columns, from->columns, from->count * sizeof *from->columns);
    ret_value->count = from->count;
    for (size_t group = 0; error == 0 && group < groups; group++) {
        new_offsets[group] = count;
        for (size_t m = offsets[group]; m < offsets[group + 1]; m++)
            members[count++] = filling->signatures->members[side][m];
        group_presence(filling, side, group, own);
        group_presence(filling, 1 - side, group, other);
        struct column *made = &ret_value->columns[ret_value->count];
        error = make_column(filling, group, number, other, own, made);
        if (error == 0 && column_any(made, filling->grid))
            members[count++] = ret_value->count++;
    }
    new_offsets[groups] = count;
    *ret_offsets = new_offsets;
    *ret_members = members;
    return error;
}

int match_fill(struct evaluation *ev, const struct matching *matching, const struct grid *grid,
               size_t one_side, struct value sides[2], struct signatures *signatures)
{
    struct filling filling = {ev, grid, signatures, {&sides[0], &sides[1]}};
    struct value filled[2] = {sides[0], sides[1]};
    size_t *offsets[2] = {signatures->offsets[0], signatures->offsets[1]};
    size_t *members[2] = {signatures->members[0], signatures->members[1]};
    int error = 0;

    if (matching->fills_left)
        error = fill_side(&filling, 1 - one_side, matching->fill_left, &filled[1 - one_side],
                          &offsets[1 - one_side], &members[1 - one_side]);
    if (error == 0 && matching->fills_right)
        error = fill_side(&filling, one_side, matching->fill_right, &filled[one_side],
                          &offsets[one_side], &members[one_side]);
    for (size_t side = 0; side < 2; side++) {
        sides[side] = filled[side];
        signatures->offsets[side] = offsets[side];
        signatures->members[side] = members[side];
    }
    return error;
}
