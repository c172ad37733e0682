/*
 * print.c - an expression as Prometheus's String() writes it: canonical, and parsing back to
 * the same tree.
 */
#include <math.h>
#include <stdlib.h>
#include <strings.h>
#include <string.h>

#include "collector/promql/aggregations.h"
#include "collector/promql/ast.h"
#include "collector/promql/engine.h"
#include "collector/promql/functions.h"
#include "proto/base/units.h"

static void print_number(double value, struct buf *out)
{
    char text[NUMBER_TEXT_BYTES];
    buf_put_text(out, promql_number_plain(value, text));
}

static void print_seconds(double seconds, struct buf *out)
{
    char text[DURATION_TEXT_BYTES];
    buf_put_text(out, duration_format((int64_t)llround(seconds * 1000.0), text));
}

/* Durations: numbers are written as durations, because that is what they mean there. */
static void print_duration(const struct node *node, struct buf *out)
{
    switch (node->kind) {
    case NODE_NUMBER:
        print_seconds(node->number, out);
        break;
    case NODE_PAREN:
        buf_put_char(out, '(');
        print_duration(node->first, out);
        buf_put_char(out, ')');
        break;
    case NODE_UNARY:
        buf_put_text(out, operator_text(node->operation));
        print_duration(node->first, out);
        break;
    case NODE_BINARY:
        print_duration(node->first, out);
        buf_printf(out, " %s ", operator_text(node->operation));
        print_duration(node->second, out);
        break;
    default:
        buf_printf(out, "%s(", node->function->name);
        for (const struct node *argument = node->first; argument != NULL;
             argument = argument->next) {
            print_duration(argument, out);
            if (argument->next != NULL)
                buf_put_text(out, ", ");
        }
        buf_put_char(out, ')');
        break;
    }
}

static void print_names(const struct names *names, struct buf *out)
{
    buf_put_char(out, '(');
    for (size_t i = 0; i < names->count; i++) {
        if (i > 0)
            buf_put_text(out, ", ");
        if (label_name_is_legacy(names->items[i]))
            buf_put(out, names->items[i].data, names->items[i].size);
        else
            text_quote(names->items[i], out);
    }
    buf_put_char(out, ')');
}

static void print_matcher(const struct matcher *matcher, struct buf *out)
{
    static const char *const operators[] = {"=", "!=", "=~", "!~"};
    if (label_name_is_legacy(matcher->name))
        buf_put(out, matcher->name.data, matcher->name.size);
    else
        text_quote(matcher->name, out);
    buf_put_text(out, operators[matcher->kind]);
    text_quote(matcher->value, out);
}

void promql_print_matchers(struct matcher *const *matchers, size_t count, struct buf *out)
{
    buf_put_char(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_put_text(out, ", ");
        print_matcher(matchers[i], out);
    }
    buf_put_char(out, '}');
}

/* By their texts; one that there is no memory for is empty. */
static int compare_matchers(const void *a, const void *b)
{
    struct buf texts[2] = {{0}};
    print_matcher(*(struct matcher *const *)a, &texts[0]);
    print_matcher(*(struct matcher *const *)b, &texts[1]);
    const int order = bytes_compare(buf_bytes(&texts[0]), buf_bytes(&texts[1]));
    buf_done(&texts[0]);
    buf_done(&texts[1]);
    return order;
}

/* In the order of their texts.  A name that was quoted is one of the matchers: bare, it might be
 * a number, or an operator. */
static void print_selector(const struct node *node, struct buf *out)
{
    const bool plain = node->name.size > 0 && !node->name_quoted;
    const size_t count = node->matcher_count - plain; /* the name is the last matcher */
    struct matcher **sorted;

    if (plain)
        buf_put(out, node->name.data, node->name.size);
    if (count == 0) {
        if (!plain)
            buf_put_text(out, "{}");
        return;
    }
    sorted = malloc(count * sizeof *sorted);
    if (sorted == NULL) {
        out->failed = true;
        return;
    }
    memcpy(sorted, node->matchers, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_matchers);
    for (size_t i = 0; i < count; i++) {
        buf_put_char(out, i == 0 ? '{' : ',');
        print_matcher(sorted[i], out);
    }
    buf_put_char(out, '}');
    free(sorted);
}

/* Those of a range selector stand before its time, of others behind it. */
static void print_extension(const struct node *node, struct buf *out)
{
    if (node->anchored || node->smoothed)
        buf_put_text(out, node->anchored ? " anchored" : " smoothed");
}

static void print_modifiers(const struct node *node, bool is_range, struct buf *out)
{
    if (is_range)
        print_extension(node, out);
    if (node->at_modifier == AT_TIME)
        buf_printf(out, " @ %.3f", (double)node->at_ms / 1000.0);
    else if (node->at_modifier != AT_NONE)
        buf_put_text(out, node->at_modifier == AT_START ? " @ start()" : " @ end()");
    if (!is_range)
        print_extension(node, out);
    if (node->offset != NULL &&
        !(node->offset->kind == NODE_NUMBER && node->offset->number == 0)) {
        buf_put_text(out, " offset ");
        print_duration(node->offset, out);
    }
}

static void print_range(const struct node *node, struct buf *out)
{
    if (node->kind == NODE_MATRIX)
        print_selector(node->first, out);
    else
        node_print(node->first, out);
    buf_put_char(out, '[');
    print_duration(node->range, out);
    if (node->kind == NODE_SUBQUERY)
        buf_put_char(out, ':');
    if (node->step != NULL)
        print_duration(node->step, out);
    buf_put_char(out, ']');
    print_modifiers(node->kind == NODE_MATRIX ? node->first : node, true, out);
}

static void print_aggregate(const struct node *node, struct buf *out)
{
    buf_put_text(out, node->aggregation->name);
    if (node->without || node->grouping.count > 0) {
        buf_put_text(out, node->without ? " without " : " by ");
        print_names(&node->grouping, out);
        buf_put_char(out, ' ');
    }
    buf_put_char(out, '(');
    if (node->second != NULL) {
        node_print(node->second, out);
        buf_put_text(out, ", ");
    }
    node_print(node->first, out);
    buf_put_char(out, ')');
}

static void print_fill(const struct matching *matching, struct buf *out)
{
    if (matching->fills_left && matching->fills_right &&
        matching->fill_left == matching->fill_right) {
        buf_put_text(out, " fill (");
        print_number(matching->fill_left, out);
        buf_put_char(out, ')');
        return;
    }
    if (matching->fills_left) {
        buf_put_text(out, " fill_left (");
        print_number(matching->fill_left, out);
        buf_put_char(out, ')');
    }
    if (matching->fills_right) {
        buf_put_text(out, " fill_right (");
        print_number(matching->fill_right, out);
        buf_put_char(out, ')');
    }
}

static void print_binary(const struct node *node, struct buf *out)
{
    const struct matching *matching = &node->matching;

    /* "+Inf ^ x" would be +(Inf ^ x). */
    if (node->operation == OP_POW && node->first->kind == NODE_NUMBER &&
        isinf(node->first->number))
        buf_put_text(out, "Inf");
    else
        node_print(node->first, out);
    buf_printf(out, " %s%s", operator_text(node->operation), node->returns_bool ? " bool" : "");
    if (matching->present &&
        (matching->on || matching->labels.count > 0 || matching->cardinality == MANY_TO_ONE ||
         matching->cardinality == ONE_TO_MANY)) {
        buf_put_text(out, matching->on ? " on " : " ignoring ");
        print_names(&matching->labels, out);
        if (matching->cardinality == MANY_TO_ONE || matching->cardinality == ONE_TO_MANY) {
            buf_put_text(out, matching->cardinality == MANY_TO_ONE ? " group_left "
                                                                   : " group_right ");
            print_names(&matching->include, out);
        }
    }
    print_fill(matching, out);
    buf_put_char(out, ' ');
    node_print(node->second, out);
}

void node_print(const struct node *node, struct buf *out)
{
    switch (node->kind) {
    case NODE_NUMBER:
        if (node->is_duration)
            print_seconds(node->number, out);
        else
            print_number(node->number, out);
        break;
    case NODE_STRING:
        text_quote(node->string, out);
        break;
    case NODE_SELECTOR:
        print_selector(node, out);
        print_modifiers(node, false, out);
        break;
    case NODE_MATRIX:
    case NODE_SUBQUERY:
        print_range(node, out);
        break;
    case NODE_CALL:
        buf_printf(out, "%s(", node->function->name);
        for (const struct node *argument = node->first; argument != NULL;
             argument = argument->next) {
            node_print(argument, out);
            if (argument->next != NULL)
                buf_put_text(out, ", ");
        }
        buf_put_char(out, ')');
        break;
    case NODE_AGGREGATE:
        print_aggregate(node, out);
        break;
    case NODE_BINARY:
        print_binary(node, out);
        break;
    case NODE_UNARY:
        buf_put_text(out, operator_text(node->operation));
        node_print(node->first, out);
        break;
    case NODE_PAREN:
        buf_put_char(out, '(');
        node_print(node->first, out);
        buf_put_char(out, ')');
        break;
    }
}

void promql_expression_print(const struct promql_expression *expression, struct buf *out)
{
    node_print(expression->root, out);
}
