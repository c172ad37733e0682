/*
 * print.c - an expression as Prometheus's String() writes it: on one line, canonical, and parsing
 * back to the same tree.
 *
 * Where Prometheus's own text does not, ours is another: of "+Inf ^ x", which is +(Inf ^ x); of
 * x[(-2) ^ 2], where it drops the parentheses; of by ("inf"), where it drops the quotes; of
 * info(x, {}), where it drops the braces; of a duration among numbers (1s1ms), which loses a
 * millisecond to its rounding; of offset 0.0001, which is "offset 0s", and to us none.
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

static void print_ms(int64_t ms, struct buf *out)
{
    char text[DURATION_TEXT_BYTES];
    buf_put_text(out, duration_format(ms, text));
}

/* As it was written. */
static void print_literal(const struct node *node, struct buf *out)
{
    if (node->is_duration)
        print_ms((int64_t)llround(node->number * 1000.0), out);
    else
        print_number(node->number, out);
}

static void print_arithmetic(const struct node *node, struct buf *out);

static void print_left(const struct node *binary, struct buf *out)
{
    const struct node *left = binary->first;
    bool is_negative_base =
        binary->operation == OP_POW && left->kind == NODE_NUMBER && signbit(left->number);
    if (is_negative_base)
        buf_put_char(out, '(');
    print_arithmetic(left, out);
    if (is_negative_base)
        buf_put_char(out, ')');
}

/* What duration arithmetic is made of. */
static void print_arithmetic(const struct node *node, struct buf *out)
{
    switch (node->kind) {
    case NODE_NUMBER:
        print_literal(node, out);
        break;
    case NODE_PAREN:
        buf_put_char(out, '(');
        print_arithmetic(node->first, out);
        buf_put_char(out, ')');
        break;
    case NODE_UNARY:
        buf_put_text(out, operator_text(node->operation));
        print_arithmetic(node->first, out);
        break;
    case NODE_BINARY:
        print_left(node, out);
        buf_printf(out, " %s ", operator_text(node->operation));
        print_arithmetic(node->second, out);
        break;
    default:
        buf_printf(out, "%s(", node->function->name);
        for (const struct node *argument = node->first; argument != NULL;
             argument = argument->next) {
            print_arithmetic(argument, out);
            if (argument->next != NULL)
                buf_put_text(out, ", ");
        }
        buf_put_char(out, ')');
        break;
    }
}

/* A range, step or offset.  A number alone is a duration there, in arithmetic it stays a number. */
static void print_duration(const struct node *node, struct buf *out)
{
    if (node->kind == NODE_NUMBER)
        print_ms(duration_literal_ms(node), out);
    else
        print_arithmetic(node, out);
}

/* Does it stand there without quotes?  Two names would be numbers. */
static bool is_bare(struct bytes name)
{
    bool is_number = name.size == 3 && (strncasecmp((const char *)name.data, "inf", 3) == 0 ||
                                        strncasecmp((const char *)name.data, "nan", 3) == 0);
    return label_name_is_legacy(name) && !is_number;
}

static void print_names(const struct names *names, struct buf *out)
{
    buf_put_char(out, '(');
    for (size_t i = 0; i < names->count; i++) {
        if (i > 0)
            buf_put_text(out, ", ");
        if (is_bare(names->items[i]))
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
        (node->offset->kind != NODE_NUMBER || duration_literal_ms(node->offset) != 0)) {
        buf_put_text(out, " offset ");
        print_duration(node->offset, out);
    }
}

/* Where the text goes, and where its parts are to be noted (by id), or NULL. */
struct printing {
    struct buf *out;
    struct node_span *spans;
};

static void note(const struct printing *printing, const struct node *node, size_t at)
{
    if (printing->spans != NULL)
        printing->spans[node->id] = (struct node_span){at, printing->out->size};
}

static void print_node(const struct printing *printing, const struct node *node);

static void print_range(const struct printing *printing, const struct node *node)
{
    struct buf *out = printing->out;
    if (node->kind == NODE_MATRIX)
        print_selector(node->first, out);
    else
        print_node(printing, node->first);
    buf_put_char(out, '[');
    print_duration(node->range, out);
    if (node->kind == NODE_SUBQUERY)
        buf_put_char(out, ':');
    if (node->step != NULL)
        print_duration(node->step, out);
    buf_put_char(out, ']');
    print_modifiers(node->kind == NODE_MATRIX ? node->first : node, true, out);
}

static void print_call(const struct printing *printing, const struct node *node)
{
    buf_printf(printing->out, "%s(", node->function->name);
    for (const struct node *argument = node->first; argument != NULL;
         argument = argument->next) {
        print_node(printing, argument);
        if (argument->next != NULL)
            buf_put_text(printing->out, ", ");
    }
    buf_put_char(printing->out, ')');
}

static void print_aggregate(const struct printing *printing, const struct node *node)
{
    struct buf *out = printing->out;
    buf_put_text(out, node->aggregation->name);
    if (node->without || node->grouping.count > 0) {
        buf_put_text(out, node->without ? " without " : " by ");
        print_names(&node->grouping, out);
        buf_put_char(out, ' ');
    }
    buf_put_char(out, '(');
    if (node->second != NULL) {
        print_node(printing, node->second);
        buf_put_text(out, ", ");
    }
    print_node(printing, node->first);
    buf_put_char(out, ')');
}

static void print_filler(const char *word, double value, struct buf *out)
{
    char text[NUMBER_TEXT_BYTES];
    buf_printf(out, " %s (%s)", word, promql_number_general(value, text));
}

static void print_fill(const struct matching *matching, struct buf *out)
{
    if (matching->fills_alike) {
        print_filler("fill", matching->fill_left, out);
        return;
    }
    if (matching->fills_left)
        print_filler("fill_left", matching->fill_left, out);
    if (matching->fills_right)
        print_filler("fill_right", matching->fill_right, out);
}

/* Nothing beside a scalar, where on() and ignoring() may be written and mean nothing. */
static void print_matching(const struct node *node, struct buf *out)
{
    const struct matching *matching = &node->matching;
    bool has_group =
        matching->cardinality == MANY_TO_ONE || matching->cardinality == ONE_TO_MANY;

    if (node->first->type != PROMQL_VECTOR || node->second->type != PROMQL_VECTOR)
        return;
    if (matching->on || matching->labels.count > 0 || has_group) {
        buf_put_text(out, matching->on ? " on " : " ignoring ");
        print_names(&matching->labels, out);
    }
    if (has_group) {
        buf_put_text(out, matching->cardinality == MANY_TO_ONE ? " group_left "
                                                               : " group_right ");
        print_names(&matching->include, out);
    }
    print_fill(matching, out);
}

static void print_binary(const struct printing *printing, const struct node *node)
{
    struct buf *out = printing->out;
    size_t at = out->size;
    if (node->operation == OP_POW && node->first->kind == NODE_NUMBER &&
        isinf(node->first->number)) {
        buf_put_text(out, "Inf"); /* "+Inf ^ x" would be +(Inf ^ x) */
        note(printing, node->first, at);
    } else {
        print_node(printing, node->first);
    }
    buf_printf(out, " %s%s", operator_text(node->operation), node->returns_bool ? " bool" : "");
    print_matching(node, out);
    buf_put_char(out, ' ');
    print_node(printing, node->second);
}

static void print_kind(const struct printing *printing, const struct node *node)
{
    struct buf *out = printing->out;
    switch (node->kind) {
    case NODE_NUMBER:
        print_literal(node, out);
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
        print_range(printing, node);
        break;
    case NODE_CALL:
        print_call(printing, node);
        break;
    case NODE_AGGREGATE:
        print_aggregate(printing, node);
        break;
    case NODE_BINARY:
        print_binary(printing, node);
        break;
    case NODE_UNARY:
        buf_put_text(out, operator_text(node->operation));
        print_node(printing, node->first);
        break;
    case NODE_PAREN:
        buf_put_char(out, '(');
        print_node(printing, node->first);
        buf_put_char(out, ')');
        break;
    }
}

static void print_node(const struct printing *printing, const struct node *node)
{
    size_t at = printing->out->size;
    print_kind(printing, node);
    note(printing, node, at);
}

void node_print(const struct node *node, struct buf *out)
{
    node_print_spans(node, out, NULL);
}

void node_print_spans(const struct node *node, struct buf *out, struct node_span *spans)
{
    const struct printing printing = {out, spans};
    print_node(&printing, node);
}

void promql_expression_print(const struct promql_expression *expression, struct buf *out)
{
    node_print(expression->root, out);
}
