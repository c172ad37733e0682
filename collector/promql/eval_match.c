/*
 * eval_match.c - arithmetic and comparison between two vectors.
 *
 * Signatures and result labels do not depend on the step, so they are worked out once a pair of
 * series; what may differ from step to step is which series have a value, and so whether a
 * match is unique.  The rules, and the order in which they complain, are Prometheus's
 * VectorBinop: a step where one side is empty is no match and no error; else two series of one
 * signature on the "one" side are an error even if nothing matches them; then a second match on
 * the other.
 */
#include <string.h>

#include "collector/promql/eval_match.h"
#include "proto/base/error.h"

struct matcher_run {
    struct evaluation *ev;
    const struct node *node;
    const struct grid *grid;
    const struct value *many, *one;
    bool swapped;         /* the "one" side is the left one */
    const uint64_t *both; /* steps where neither side is empty */
    struct value *result;
};

static bool bit(const uint64_t *bits, size_t step)
{
    return (bits[step / 64] >> (step % 64) & 1) != 0;
}

static int complain_duplicate(const struct matcher_run *run, const struct labels *signature,
                              const struct column *a, const struct column *b)
{
    struct evaluation *ev = run->ev;
    struct buf *text = &ev->text;
    buf_clear(text);
    buf_put_text(text, "found duplicate series for the match group ");
    labels_print_pairs(signature, text);
    buf_printf(text, " on the %s hand-side of the operation: [",
               run->swapped ? "left" : "right");
    labels_print_pairs(a->labels, text);
    buf_put_text(text, ", ");
    labels_print_pairs(b->labels, text);
    buf_put_text(text, "];many-to-many matching not allowed: matching labels must be unique on "
                       "one side");
    return diagnose(ev->why, ERR_INVALID, "%s", buf_text(text));
}

/* The labels of a result: of the many side, less what was matched away, plus what is included.
 */
static int result_labels(const struct matcher_run *run, const struct labels *many,
                         const struct labels *one, const struct labels **ret_labels)
{
    const struct matching *matching = &run->node->matching;
    struct labels_builder *builder = &run->ev->builder;

    labels_builder_reset(builder, many);
    if (!operator_is_comparison(run->node->operation) ||
        (run->node->returns_bool && !run->ev->options->delayed_name_removal))
        builder_drop_name(run->ev);
    if (matching->cardinality == ONE_TO_ONE) {
        for (size_t i = 0; i < many->count; i++) {
            bool named = false;
            for (size_t n = 0; n < matching->labels.count; n++)
                named = named || bytes_equal(matching->labels.items[n], many->pairs[i].name);
            if (matching->on ? !named : named)
                labels_builder_delete(builder, many->pairs[i].name);
        }
    }
    for (size_t n = 0; n < matching->include.count; n++)
        labels_builder_set(builder, matching->include.items[n],
                           one != NULL ? labels_get(one, matching->include.items[n])
                                       : (struct bytes){NULL, 0});
    return labels_builder_build(builder, run->ev->arena, ret_labels);
}

/* The values of one pair at every step both have one; `matched` collects the steps, and a step
 * that was there before is an error. */
static int combine(const struct matcher_run *run, const struct column *many,
                   const struct column *one, uint64_t *matched, struct column *out)
{
    const struct node *node = run->node;
    const bool grouped = node->matching.cardinality != ONE_TO_ONE;

    for (size_t step = 0; step < run->grid->count; step++) {
        bool keep;
        if (!bit(run->both, step) || !column_has(many, step) || !column_has(one, step))
            continue;
        if (bit(matched, step))
            return diagnose(run->ev->why, ERR_INVALID,
                            grouped
                                ? "multiple matches for labels: grouping labels must ensure "
                                  "unique matches"
                                : "multiple matches for labels: many-to-one matching must be "
                                  "explicit (group_left/group_right)");
        matched[step / 64] |= UINT64_C(1) << (step % 64);
        double left = run->swapped ? one->values[step] : many->values[step];
        double right = run->swapped ? many->values[step] : one->values[step];
        double result = operate(node->operation, left, right, &keep);
        if (node->returns_bool)
            column_set(out, step, (double)keep);
        else if (keep)
            column_set(out, step, result);
    }
    return 0;
}

/* Any two series of the one side with a value at the same step? */
static int check_one_side(const struct matcher_run *run, const struct labels *signature,
                          const size_t *members, size_t count, uint64_t *scratch)
{
    size_t words = (run->grid->count + 63) / 64;
    if (count < 2)
        return 0;
    memset(scratch, 0, words * sizeof *scratch);
    for (size_t i = 0; i < count; i++) {
        const struct column *column = &run->one->columns[members[i]];
        for (size_t word = 0; word < words; word++) {
            uint64_t clash = scratch[word] & column->present[word] & run->both[word];
            if (clash == 0)
                continue;
            for (size_t j = 0; j < i; j++)
                if ((run->one->columns[members[j]].present[word] & clash) != 0)
                    return complain_duplicate(run, signature, &run->one->columns[members[j]],
                                              column);
        }
        for (size_t word = 0; word < words; word++)
            scratch[word] |= column->present[word];
    }
    return 0;
}

/* Every pair of one signature.  One-to-one, all pairs share one set of matched steps; grouped,
 * each result label set has its own. */
static int combine_group(const struct matcher_run *run, const size_t *many, size_t many_count,
                         const size_t *one, size_t one_count)
{
    struct evaluation *ev = run->ev;
    size_t words = (run->grid->count + 63) / 64;
    bool grouped = run->node->matching.cardinality != ONE_TO_ONE;
    struct label_index index;
    uint64_t **matched = arena_alloc(ev->arena, many_count * one_count + 1, sizeof *matched);
    size_t first = run->result->count;
    int error = matched == NULL ? ERR_NOMEM : label_index_init(ev, many_count, &index);

    for (size_t i = 0; error == 0 && i < many_count; i++)
        for (size_t j = 0; error == 0 && j < one_count; j++) {
            const struct column *left = &run->many->columns[many[i]];
            const struct column *right = &run->one->columns[one[j]];
            const struct labels *labels;
            size_t number = 0;
            error = result_labels(run, left->labels, right->labels, &labels);
            if (error == 0)
                error = label_index_add(ev, &index, labels, &number);
            size_t shared = grouped ? number : 0;
            if (error == 0 && matched[shared] == NULL) {
                matched[shared] = arena_alloc(ev->arena, words, sizeof **matched);
                error = matched[shared] == NULL ? ERR_NOMEM : 0;
            }
            struct column *out = &run->result->columns[first + number];
            if (error == 0 && out->values == NULL) {
                error = column_init(ev, run->grid, out);
                out->labels = labels;
                out->drop_name = run->node->returns_bool || left->drop_name;
                run->result->count = first + number + 1;
            }
            if (error == 0)
                error = combine(run, left, right, matched[shared], out);
        }
    return error;
}

/* The columns that can come out: pairs of every signature. */
static size_t count_pairs(const struct signatures *signatures)
{
    size_t pairs = 0;
    for (size_t n = 0; n < signatures->index.count; n++)
        pairs += (signatures->offsets[0][n + 1] - signatures->offsets[0][n]) *
                 (signatures->offsets[1][n + 1] - signatures->offsets[1][n]);
    return pairs;
}

static void drop_empty(const struct grid *grid, struct value *value)
{
    size_t kept = 0;
    for (size_t i = 0; i < value->count; i++)
        if (column_any(&value->columns[i], grid))
            value->columns[kept++] = value->columns[i];
    value->count = kept;
}

int match_vectors(struct evaluation *ev, const struct node *node, const struct grid *grid,
                  const struct value *left, const struct value *right, struct value *ret_value)
{
    struct signatures signatures;
    uint64_t *both = NULL;
    uint64_t *other = NULL;
    size_t words = (grid->count + 63) / 64;
    struct value sides[2] = {*left, *right};
    bool swapped = node->matching.cardinality == ONE_TO_MANY;
    size_t one_side = swapped ? 0 : 1;
    struct matcher_run run = {ev,      node, grid,     &sides[1 - one_side], &sides[one_side],
                              swapped, NULL, ret_value};
    bool fills = node->matching.fills_left || node->matching.fills_right;

    int error = signatures_make(ev, &node->matching, left, right, &signatures);
    if (error == 0)
        error = side_presence(ev, grid, left, &both);
    if (error == 0)
        error = side_presence(ev, grid, right, &other);
    if (error == 0 && fills)
        error = match_fill(ev, &node->matching, grid, one_side, sides, &signatures);
    if (error == 0)
        error = value_columns(ev, count_pairs(&signatures), ret_value);
    for (size_t word = 0; error == 0 && word < words; word++)
        both[word] = fills ? both[word] | other[word] : both[word] & other[word];
    run.both = both;
    const size_t *one_at = error == 0 ? signatures.offsets[one_side] : NULL;
    const size_t *many_at = error == 0 ? signatures.offsets[1 - one_side] : NULL;
    for (size_t n = 0; error == 0 && n < signatures.index.count; n++)
        error = check_one_side(&run, signatures.index.keys[n],
                               signatures.members[one_side] + one_at[n],
                               one_at[n + 1] - one_at[n], other);
    for (size_t n = 0; error == 0 && n < signatures.index.count; n++)
        error = combine_group(
            &run, signatures.members[1 - one_side] + many_at[n], many_at[n + 1] - many_at[n],
            signatures.members[one_side] + one_at[n], one_at[n + 1] - one_at[n]);
    if (error != 0)
        return error;
    drop_empty(grid, ret_value);
    return value_merge(ev, grid, ret_value);
}
