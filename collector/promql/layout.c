/*
 * layout.c - an expression over several lines, as Prometheus's Pretty() breaks it.
 *
 * A part whose one-line text (print.c) fits in LINE_BYTES stays on its line.  Of one that does not,
 * each operand has lines of its own, two spaces deeper; those of an operator stand deeper than it:
 *
 *     sum by (a) (            a            -rate(             rate(
 *       x                   + on (i)         x[5m]              x[5m]
 *     )                       b            )                  )[1h:5m] offset 1d
 *
 * Selectors, their ranges and literals are never broken.  A subquery that fits is not indented, as
 * in Prometheus.
 *
 * The text is printed once; what is laid out are its pieces, by where each part stands in it.
 */
#include <stdlib.h>

#include "collector/promql/ast.h"

#define LINE_BYTES   100 /* bytes, not characters: Prometheus counts those */
#define INDENT_BYTES 2

struct layout {
    const uint8_t *text; /* on one line */
    const struct node_span *spans;
    struct buf *out;
    bool behind_sign; /* what comes next is not indented */
};

static void put_parts(struct layout *layout, const struct node *node, unsigned level);

static void put_text(struct layout *layout, size_t at, size_t until)
{
    buf_put(layout->out, layout->text + at, until - at);
    layout->behind_sign = false;
}

static void put_indent(struct layout *layout, unsigned level)
{
    static const char spaces[] = "                                ";
    for (size_t left = layout->behind_sign ? 0 : (size_t)level * INDENT_BYTES; left > 0;) {
        size_t size = left < sizeof spaces - 1 ? left : sizeof spaces - 1;
        buf_put(layout->out, spaces, size);
        left -= size;
    }
}

static bool is_whole(const struct layout *layout, const struct node *node)
{
    const struct node_span *span = &layout->spans[node->id];
    return span->until - span->at <= LINE_BYTES || node->kind == NODE_NUMBER ||
           node->kind == NODE_STRING || node->kind == NODE_SELECTOR || node->kind == NODE_MATRIX;
}

static void put_node(struct layout *layout, const struct node *node, unsigned level)
{
    const struct node_span *span = &layout->spans[node->id];
    if (!is_whole(layout, node)) {
        put_parts(layout, node, level);
        return;
    }
    if (node->kind != NODE_SUBQUERY)
        put_indent(layout, level);
    put_text(layout, span->at, span->until);
}

/* f(...), op by (x) (...) and (...): what stands before the first operand ends in "(". */
static void put_parenthesised(struct layout *layout, const struct node *node, unsigned level)
{
    bool has_parameter = node->kind == NODE_AGGREGATE && node->second != NULL;
    const struct node *first = has_parameter ? node->second : node->first;

    put_indent(layout, level);
    put_text(layout, layout->spans[node->id].at, layout->spans[first->id].at);
    buf_put_char(layout->out, '\n');
    put_node(layout, first, level + 1);
    for (const struct node *next = has_parameter ? node->first : first->next; next != NULL;
         next = next->next) {
        buf_put_text(layout->out, ",\n");
        put_node(layout, next, level + 1);
    }
    buf_put_char(layout->out, '\n');
    put_indent(layout, level);
    buf_put_char(layout->out, ')');
}

/* The operator's line is what stands between the operands, without the spaces around it. */
static void put_binary(struct layout *layout, const struct node *node, unsigned level)
{
    put_node(layout, node->first, level + 1);
    buf_put_char(layout->out, '\n');
    put_indent(layout, level);
    put_text(layout, layout->spans[node->first->id].until + 1,
             layout->spans[node->second->id].at - 1);
    buf_put_char(layout->out, '\n');
    put_node(layout, node->second, level + 1);
}

static void put_parts(struct layout *layout, const struct node *node, unsigned level)
{
    switch (node->kind) {
    case NODE_BINARY:
        put_binary(layout, node, level);
        break;
    case NODE_UNARY:
        put_indent(layout, level);
        put_text(layout, layout->spans[node->id].at, layout->spans[node->first->id].at);
        layout->behind_sign = true;
        put_node(layout, node->first, level);
        break;
    case NODE_SUBQUERY:
        put_node(layout, node->first, level);
        put_text(layout, layout->spans[node->first->id].until, layout->spans[node->id].until);
        break;
    default:
        put_parenthesised(layout, node, level);
        break;
    }
}

void promql_expression_lay_out(const struct promql_expression *expression, struct buf *out)
{
    struct buf text = {.total = out->total};
    struct node_span *spans = calloc(expression->node_count, sizeof *spans);

    if (spans != NULL)
        node_print_spans(expression->root, &text, spans);
    if (spans == NULL || !buf_ok(&text)) {
        out->failed = true;
        out->total_refused = text.total_refused;
    } else {
        struct layout layout = {.text = text.data, .spans = spans, .out = out};
        put_node(&layout, expression->root, 0);
    }
    free(spans);
    buf_done(&text);
}
