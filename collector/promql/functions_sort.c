/*
 * functions_sort.c - the order of an instant result.  A range result is ordered by labels
 * whatever was asked for, and says so.
 */
#include <math.h>
#include <stdlib.h>

#include "collector/promql/functions_impl.h"
#include "proto/base/error.h"

struct sort_key {
    double value;
    size_t index;
};

static int order_up(const void *left, const void *right)
{
    const struct sort_key *a = left;
    const struct sort_key *b = right;
    if (isnan(a->value) || isnan(b->value)) {
        int order = isnan(a->value) - isnan(b->value); /* NaN last */
        if (order != 0)
            return order;
    } else if (a->value != b->value) {
        return a->value < b->value ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

static int order_down(const void *left, const void *right)
{
    const struct sort_key *a = left;
    const struct sort_key *b = right;
    if (isnan(a->value) == isnan(b->value) && a->value != b->value && !isnan(a->value))
        return a->value > b->value ? -1 : 1;
    return order_up(left, right);
}

static int sort_values(struct evaluation *ev, const struct node *call, const struct grid *grid,
                       int (*order)(const void *, const void *), struct value *ret_value)
{
    int error = evaluate(ev, call->first, grid, ret_value);
    if (error != 0)
        return error;
    if (ev->query->step_ms != 0) {
        annotate(ev, call, true,
                 "sort is ineffective for range queries since results are always "
                 "ordered by labels");
        return 0;
    }
    struct sort_key *keys = arena_alloc(ev->arena, ret_value->count + 1, sizeof *keys);
    struct column *columns = arena_alloc(ev->arena, ret_value->count + 1, sizeof *columns);
    if (keys == NULL || columns == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < ret_value->count; i++)
        keys[i] = (struct sort_key){ret_value->columns[i].values[0], i};
    qsort(keys, ret_value->count, sizeof *keys, order);
    for (size_t i = 0; i < ret_value->count; i++)
        columns[i] = ret_value->columns[keys[i].index];
    ret_value->columns = columns;
    return 0;
}

WHOLE_FUNCTION(sort)
{
    return sort_values(ev, call, grid, order_up, ret_value);
}

WHOLE_FUNCTION(sort_desc)
{
    return sort_values(ev, call, grid, order_down, ret_value);
}

static bool is_digit(const struct bytes *text, size_t at)
{
    return at < text->size && text->data[at] >= '0' && text->data[at] <= '9';
}

/* Natural order: runs of digits compare as numbers, so node-9 comes before node-10. */
static int natural_order(struct bytes a, struct bytes b)
{
    size_t i = 0;
    size_t j = 0;
    while (i < a.size && j < b.size) {
        if (!is_digit(&a, i) || !is_digit(&b, j)) {
            if (a.data[i] != b.data[j])
                return a.data[i] < b.data[j] ? -1 : 1;
            i++;
            j++;
            continue;
        }
        while (is_digit(&a, i) && a.data[i] == '0')
            i++;
        while (is_digit(&b, j) && b.data[j] == '0')
            j++;
        size_t from_a = i;
        size_t from_b = j;
        while (is_digit(&a, i))
            i++;
        while (is_digit(&b, j))
            j++;
        if (i - from_a != j - from_b)
            return i - from_a < j - from_b ? -1 : 1;
        for (size_t n = 0; n < i - from_a; n++)
            if (a.data[from_a + n] != b.data[from_b + n])
                return a.data[from_a + n] < b.data[from_b + n] ? -1 : 1;
    }
    size_t left_a = a.size - i;
    size_t left_b = b.size - j;
    return left_a != left_b ? (left_a < left_b ? -1 : 1) : bytes_compare(a, b);
}

static int order_of_columns(const struct node *call, const struct column *a,
                            const struct column *b)
{
    for (const struct node *name = call->first->next; name != NULL; name = name->next) {
        const struct bytes label = node_unwrap(name)->string;
        int order = natural_order(labels_get(a->labels, label), labels_get(b->labels, label));
        if (order != 0)
            return order;
    }
    return labels_compare(a->labels, b->labels);
}

/* Merge sort of columns[0, count), because the order depends on the call. */
static void sort_columns(const struct node *call, int direction, struct column *columns,
                         size_t count, struct column *scratch)
{
    if (count < 2)
        return;
    size_t half = count / 2;
    sort_columns(call, direction, columns, half, scratch);
    sort_columns(call, direction, columns + half, count - half, scratch);
    for (size_t i = 0, left = 0, right = half; i < count; i++) {
        bool take_left =
            right == count ||
            (left < half &&
             direction * order_of_columns(call, &columns[left], &columns[right]) <= 0);
        scratch[i] = take_left ? columns[left++] : columns[right++];
    }
    for (size_t i = 0; i < count; i++)
        columns[i] = scratch[i];
}

static int sort_labels(struct evaluation *ev, const struct node *call, const struct grid *grid,
                       int direction, struct value *ret_value)
{
    int error = evaluate(ev, call->first, grid, ret_value);
    if (error != 0)
        return error;
    if (ev->query->step_ms != 0) {
        annotate(ev, call, true,
                 "sort is ineffective for range queries since results are always "
                 "ordered by labels");
        return 0;
    }
    struct column *scratch = arena_alloc(ev->arena, ret_value->count + 1, sizeof *scratch);
    if (scratch == NULL)
        return ERR_NOMEM;
    sort_columns(call, direction, ret_value->columns, ret_value->count, scratch);
    return 0;
}

WHOLE_FUNCTION(sort_by_label)
{
    return sort_labels(ev, call, grid, 1, ret_value);
}

WHOLE_FUNCTION(sort_by_label_desc)
{
    return sort_labels(ev, call, grid, -1, ret_value);
}
