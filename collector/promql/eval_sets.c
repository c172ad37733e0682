/*
 * eval_sets.c - signatures, and the set operators and, or, unless.
 */
#include <string.h>

#include "collector/promql/eval_match.h"
#include "proto/base/error.h"

static bool is_named(const struct names *names, struct bytes name)
{
    for (size_t i = 0; i < names->count; i++)
        if (bytes_equal(names->items[i], name))
            return true;
    return false;
}

/* With on(): those labels alone; else all but the ignored ones and what goes with the name. */
static int signature_of(struct evaluation *ev, const struct matching *matching,
                        const struct labels *labels, const struct labels **ret_signature)
{
    labels_builder_reset(&ev->builder, NULL);
    for (size_t i = 0; i < labels->count; i++) {
        const struct label *pair = &labels->pairs[i];
        bool named = is_named(&matching->labels, pair->name);
        if (matching->on ? named : !named && !label_goes_with_name(ev, pair->name))
            labels_builder_set(&ev->builder, pair->name, pair->value);
    }
    return labels_builder_build(&ev->builder, ev->arena, ret_signature);
}

static int number_side(struct evaluation *ev, const struct matching *matching,
                       const struct value *side, struct label_index *index, size_t *ret_numbers)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < side->count; i++) {
        const struct labels *signature;
        error = evaluation_tick(ev);
        if (error == 0)
            error = signature_of(ev, matching, side->columns[i].labels, &signature);
        if (error == 0)
            error = label_index_add(ev, index, signature, &ret_numbers[i]);
    }
    return error;
}

/* Sorts columns by their numbers, counting first. */
static void group_by_number(const size_t *numbers, size_t count, size_t *offsets, size_t groups,
                            size_t *members)
{
    for (size_t i = 0; i < count; i++)
        offsets[numbers[i] + 1]++;
    for (size_t n = 0; n < groups; n++)
        offsets[n + 1] += offsets[n];
    for (size_t i = count; i > 0; i--) /* fill each group from its end ... */
        members[--offsets[numbers[i - 1] + 1]] = i - 1;
    memmove(offsets, offsets + 1, groups * sizeof *offsets); /* ... which leaves its begin */
    offsets[groups] = count;
}

int signatures_make(struct evaluation *ev, const struct matching *matching,
                    const struct value *left, const struct value *right,
                    struct signatures *ret_signatures)
{
    const struct value *sides[2] = {left, right};
    size_t *numbers[2];

    int error = label_index_init(ev, left->count, &ret_signatures->index);
    for (size_t side = 0; error == 0 && side < 2; side++) {
        numbers[side] = arena_alloc(ev->arena, sides[side]->count + 1, sizeof(size_t));
        error = numbers[side] == NULL ? ERR_NOMEM
                                      : number_side(ev, matching, sides[side],
                                                    &ret_signatures->index, numbers[side]);
    }
    size_t groups = ret_signatures->index.count;
    for (size_t side = 0; error == 0 && side < 2; side++) {
        size_t *members = arena_alloc(ev->arena, sides[side]->count + 1, sizeof *members);
        size_t *offsets = arena_alloc(ev->arena, groups + 2, sizeof *offsets);
        if (members == NULL || offsets == NULL)
            return ERR_NOMEM;
        group_by_number(numbers[side], sides[side]->count, offsets, groups, members);
        ret_signatures->members[side] = members;
        ret_signatures->offsets[side] = offsets;
    }
    return error;
}

int side_presence(struct evaluation *ev, const struct grid *grid, const struct value *side,
                  uint64_t **ret_present)
{
    size_t words = (grid->count + 63) / 64;
    uint64_t *present = arena_alloc(ev->arena, words, sizeof *present);
    if (present == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < side->count; i++)
        for (size_t word = 0; word < words; word++)
            present[word] |= side->columns[i].present[word];
    *ret_present = present;
    return 0;
}

/* Keeps of `columns` what the mask says: and keeps where the mask has a bit, unless and or
 * where it has none. */
static void mask_column(struct column *column, const uint64_t *mask, bool inverted,
                        size_t words)
{
    for (size_t word = 0; word < words; word++)
        column->present[word] &= inverted ? ~mask[word] : mask[word];
}

int match_sets(struct evaluation *ev, const struct node *node, const struct grid *grid,
               const struct value *left, const struct value *right, struct value *ret_value)
{
    struct signatures signatures;
    size_t words = (grid->count + 63) / 64;
    bool is_or = node->operation == OP_OR;
    size_t masked = is_or ? 1 : 0; /* the side that is thinned out by the other */
    const struct value *sides[2] = {left, right};

    int error = signatures_make(ev, &node->matching, left, right, &signatures);
    uint64_t *mask = arena_alloc(ev->arena, words, sizeof *mask);
    if (error == 0 && mask == NULL)
        error = ERR_NOMEM;
    if (error == 0)
        error = value_columns(ev, left->count + right->count, ret_value);
    if (error != 0)
        return error;
    for (size_t n = 0; n < signatures.index.count; n++) {
        const size_t *offsets = signatures.offsets[1 - masked];
        memset(mask, 0, words * sizeof *mask);
        for (size_t m = offsets[n]; m < offsets[n + 1]; m++)
            for (size_t word = 0; word < words; word++)
                mask[word] |=
                    sides[1 - masked]->columns[signatures.members[1 - masked][m]].present[word];
        offsets = signatures.offsets[masked];
        for (size_t m = offsets[n]; m < offsets[n + 1]; m++)
            mask_column(&sides[masked]->columns[signatures.members[masked][m]], mask,
                        node->operation != OP_AND, words);
    }
    for (size_t side = 0; side < (is_or ? 2u : 1u); side++)
        for (size_t i = 0; i < sides[side]->count; i++)
            if (column_any(&sides[side]->columns[i], grid))
                ret_value->columns[ret_value->count++] = sides[side]->columns[i];
    return is_or ? value_merge(ev, grid, ret_value) : 0;
}
