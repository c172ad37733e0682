/*
 * api_parse.c - /api/v1/parse_query: an expression's tree, for tools that draw it.
 *
 * The shape is Prometheus's (web/api/v1/translate_ast.go): an object a node, its keys in
 * alphabetical order.  Trees nest deeper than json_write.h goes, so text is put down directly.
 */
#include <inttypes.h>
#include <math.h>

#include "collector/http/api_parts.h"
#include "collector/notify/json.h"
#include "collector/promql/aggregations.h"
#include "collector/promql/ast.h"
#include "collector/promql/functions.h"

static void put_node(const struct node *node, struct buf *out);

static void put_boolean(struct buf *out, bool value)
{
    buf_put_text(out, value ? "true" : "false");
}

static void put_names(const struct names *names, struct buf *out)
{
    buf_put_char(out, '[');
    for (size_t i = 0; i < names->count; i++) {
        if (i > 0)
            buf_put_char(out, ',');
        json_put_string(out, names->items[i]);
    }
    buf_put_char(out, ']');
}

static const char *type_text(enum promql_type type)
{
    static const char *const texts[] = {[PROMQL_SCALAR] = "scalar",
                                        [PROMQL_VECTOR] = "vector",
                                        [PROMQL_MATRIX] = "matrix",
                                        [PROMQL_STRING] = "string"};
    return texts[type];
}

/* Milliseconds of a duration that was written as a number; what must be worked out at a query's
 * times is 0 here, as in Prometheus. */
static int64_t duration_ms(const struct node *duration)
{
    bool is_known = duration != NULL && duration->kind == NODE_NUMBER;
    return is_known ? duration_literal_ms(duration) : 0;
}

static void put_matchers(const struct node *selector, struct buf *out)
{
    static const char *const kinds[] = {[MATCH_EQUAL] = "=",
                                        [MATCH_NOT_EQUAL] = "!=",
                                        [MATCH_REGEX] = "=~",
                                        [MATCH_NOT_REGEX] = "!~"};
    buf_put_char(out, '[');
    for (size_t i = 0; i < selector->matcher_count; i++) {
        const struct matcher *matcher = selector->matchers[i];
        buf_put_text(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        json_put_string(out, matcher->name);
        buf_printf(out, ",\"type\":\"%s\",\"value\":", kinds[matcher->kind]);
        json_put_string(out, matcher->value);
        buf_put_char(out, '}');
    }
    buf_put_char(out, ']');
}

/* "startOrEnd" and, after what the kind has between them, "timestamp". */
static void put_start_or_end(const struct node *node, struct buf *out)
{
    buf_printf(out, "\"startOrEnd\":%s",
               node->at_modifier == AT_START ? "\"start\""
               : node->at_modifier == AT_END ? "\"end\""
                                             : "null");
}

static void put_timestamp(const struct node *node, struct buf *out)
{
    if (node->at_modifier == AT_TIME)
        buf_printf(out, ",\"timestamp\":%" PRId64, node->at_ms);
    else
        buf_put_text(out, ",\"timestamp\":null");
}

static void put_selector(const struct node *selector, const struct node *range, struct buf *out)
{
    buf_put_text(out, "{\"anchored\":");
    put_boolean(out, selector->anchored);
    buf_put_text(out, ",\"matchers\":");
    put_matchers(selector, out);
    buf_put_text(out, ",\"name\":");
    /* A name in the braces is a matcher like others. */
    json_put_string(out, selector->name_quoted ? bytes_of("") : selector->name);
    buf_printf(out, ",\"offset\":%" PRId64 ",", duration_ms(selector->offset));
    if (range != NULL)
        buf_printf(out, "\"range\":%" PRId64 ",", duration_ms(range));
    buf_put_text(out, "\"smoothed\":");
    put_boolean(out, selector->smoothed);
    buf_put_char(out, ',');
    put_start_or_end(selector, out);
    put_timestamp(selector, out);
    buf_printf(out, ",\"type\":\"%s\"}", range != NULL ? "matrixSelector" : "vectorSelector");
}

static void put_subquery(const struct node *node, struct buf *out)
{
    buf_put_text(out, "{\"expr\":");
    put_node(node->first, out);
    buf_printf(out, ",\"offset\":%" PRId64 ",\"range\":%" PRId64 ",", duration_ms(node->offset),
               duration_ms(node->range));
    put_start_or_end(node, out);
    buf_printf(out, ",\"step\":%" PRId64, duration_ms(node->step));
    put_timestamp(node, out);
    buf_put_text(out, ",\"type\":\"subquery\"}");
}

static void put_call(const struct node *node, struct buf *out)
{
    const struct function *function = node->function;
    bool unlimited = function->max_args == FUNCTION_UNLIMITED;
    const bool varies = unlimited || function->max_args > function->min_args;
    int listed = varies ? function->min_args + 1 : function->max_args;
    buf_put_text(out, "{\"args\":[");
    for (const struct node *argument = node->first; argument != NULL;
         argument = argument->next) {
        if (argument != node->first)
            buf_put_char(out, ',');
        put_node(argument, out);
    }
    buf_put_text(out, "],\"func\":{\"argTypes\":[");
    for (int i = 0; i < listed && i < FUNCTION_TYPES_MAX; i++)
        buf_printf(out, "%s\"%s\"", i > 0 ? "," : "",
                   type_text(function_argument_type(function, (size_t)i)));
    buf_printf(out,
               "],\"name\":\"%s\",\"returnType\":\"%s\",\"variadic\":%d},\"type\":\"call\"}",
               function->name, type_text(function->returns),
               unlimited ? -1 : function->max_args - function->min_args);
}

static void put_aggregate(const struct node *node, struct buf *out)
{
    buf_put_text(out, "{\"expr\":");
    put_node(node->first, out);
    buf_put_text(out, ",\"grouping\":");
    put_names(&node->grouping, out);
    buf_printf(out, ",\"op\":\"%s\",\"param\":", node->aggregation->name);
    if (node->second != NULL)
        put_node(node->second, out);
    else
        buf_put_text(out, "null");
    buf_put_text(out, ",\"type\":\"aggregation\",\"without\":");
    put_boolean(out, node->without);
    buf_put_char(out, '}');
}

static void put_fill(struct buf *out, const char *side, bool is_set, double value)
{
    char text[NUMBER_TEXT_BYTES];
    if (!is_set)
        buf_printf(out, "\"%s\":null", side);
    else if (isfinite(value))
        buf_printf(out, "\"%s\":%s", side, promql_number_text(value, text));
    else
        buf_printf(out, "\"%s\":\"%s\"", side, promql_number_text(value, text));
}

static void put_matching(const struct node *node, struct buf *out)
{
    static const char *const cardinalities[] = {[ONE_TO_ONE] = "one-to-one",
                                                [MANY_TO_ONE] = "many-to-one",
                                                [ONE_TO_MANY] = "one-to-many",
                                                [MANY_TO_MANY] = "many-to-many"};
    const struct matching *matching = &node->matching;
    if (node->first->type != PROMQL_VECTOR || node->second->type != PROMQL_VECTOR) {
        buf_put_text(out, "null");
        return;
    }
    buf_printf(out, "{\"card\":\"%s\",\"fillValues\":{", cardinalities[matching->cardinality]);
    put_fill(out, "lhs", matching->fills_left, matching->fill_left);
    buf_put_char(out, ',');
    put_fill(out, "rhs", matching->fills_right, matching->fill_right);
    buf_put_text(out, "},\"include\":");
    put_names(&matching->include, out);
    buf_put_text(out, ",\"labels\":");
    put_names(&matching->labels, out);
    buf_put_text(out, ",\"on\":");
    put_boolean(out, matching->on);
    buf_put_char(out, '}');
}

static void put_binary(const struct node *node, struct buf *out)
{
    buf_put_text(out, "{\"bool\":");
    put_boolean(out, node->returns_bool);
    buf_put_text(out, ",\"lhs\":");
    put_node(node->first, out);
    buf_put_text(out, ",\"matching\":");
    put_matching(node, out);
    buf_put_text(out, ",\"op\":");
    json_put_text(out, operator_text(node->operation));
    buf_put_text(out, ",\"rhs\":");
    put_node(node->second, out);
    buf_put_text(out, ",\"type\":\"binaryExpr\"}");
}

static void put_node(const struct node *node, struct buf *out)
{
    char text[NUMBER_TEXT_BYTES];
    switch (node->kind) {
    case NODE_NUMBER:
        buf_printf(out, "{\"type\":\"numberLiteral\",\"val\":\"%s\"}",
                   promql_number_plain(node->number, text));
        return;
    case NODE_STRING:
        buf_put_text(out, "{\"type\":\"stringLiteral\",\"val\":");
        json_put_string(out, node->string);
        buf_put_char(out, '}');
        return;
    case NODE_SELECTOR:
        put_selector(node, NULL, out);
        return;
    case NODE_MATRIX:
        put_selector(node->first, node->range, out);
        return;
    case NODE_SUBQUERY:
        put_subquery(node, out);
        return;
    case NODE_CALL:
        put_call(node, out);
        return;
    case NODE_AGGREGATE:
        put_aggregate(node, out);
        return;
    case NODE_BINARY:
        put_binary(node, out);
        return;
    case NODE_UNARY:
        buf_put_text(out, "{\"expr\":");
        put_node(node->first, out);
        buf_printf(out, ",\"op\":\"%s\",\"type\":\"unaryExpr\"}",
                   node->operation == OP_SUB ? "-" : "+");
        return;
    case NODE_PAREN:
        buf_put_text(out, "{\"expr\":");
        put_node(node->first, out);
        buf_put_text(out, ",\"type\":\"parenExpr\"}");
        return;
    }
}

void api_parse_query(struct http_request *request, struct http_response *response)
{
    struct promql_expression *expression = NULL;
    if (!api_expression(request, response, &expression))
        return;
    response->content_type = "application/json";
    buf_put_text(&response->body, "{\"status\":\"success\",\"data\":");
    put_node(expression->root, &response->body);
    buf_put_char(&response->body, '}');
    promql_expression_free(expression);
}
