/*
 * check.c - what can be known wrong before a query runs: types, arities, empty selectors.
 *
 * The messages are Prometheus's (promql/parser/parse.go checkAST), placed where the offending
 * node begins.
 */
#include <stdio.h>

#include "collector/promql/aggregations.h"
#include "collector/promql/functions_impl.h"
#include "collector/promql/parser.h"

const char *promql_type_text(enum promql_type type)
{
    switch (type) {
    case PROMQL_SCALAR:
        return "scalar";
    case PROMQL_VECTOR:
        return "instant vector";
    case PROMQL_MATRIX:
        return "range vector";
    case PROMQL_STRING:
        return "string";
    }
    return "";
}

const struct node *node_unwrap(const struct node *node)
{
    while (node->kind == NODE_PAREN)
        node = node->first;
    return node;
}

/* What is wrong within comes first. */
static bool expect_type(struct parser *parser, const struct node *node, enum promql_type type,
                        const char *context, const char *name)
{
    if (!check_expression(parser, node))
        return false;
    if (node->type == type)
        return true;
    return parser_fail(parser, node->at, "expected type %s in %s%s, got %s",
                       promql_type_text(type), context, name, promql_type_text(node->type));
}

static bool check_selector(struct parser *parser, const struct node *node)
{
    for (size_t i = 0; i < node->matcher_count; i++)
        if (!matcher_matches_empty(node->matchers[i]))
            return true;
    if (parser->code == 0)
        parser->error->is_empty_selector = true;
    return parser_fail(parser, node->at,
                       "vector selector must contain at least one non-empty matcher");
}

/* The second argument of info() says which labels, and may name the info metric by a matcher.
 */
static bool check_info(struct parser *parser, const struct node *call)
{
    const struct node *selector = call->first->next;
    if (selector == NULL)
        return true;
    if (selector->kind != NODE_SELECTOR)
        return parser_fail(parser, selector->at, "expected label selectors only");
    if (selector->name.size > 0 && !selector->name_quoted)
        return parser_fail(parser, selector->at,
                           "expected label selectors only, got vector selector instead");
    return true;
}

static bool check_call(struct parser *parser, const struct node *node)
{
    const struct function *function = node->function;
    char name[100];
    size_t least = (size_t)function->min_args;
    bool exact = function->min_args == function->max_args;

    (void)snprintf(name, sizeof name, "function \"%s\"", function->name);
    if (exact && node->argument_count != least)
        return parser_fail(parser, node->at,
                           "expected %zu argument(s) in call to \"%s\", got %zu", least,
                           function->name, node->argument_count);
    if (node->argument_count < least)
        return parser_fail(parser, node->at,
                           "expected at least %zu argument(s) in call to \"%s\", got %zu",
                           least, function->name, node->argument_count);
    if (function->max_args != FUNCTION_UNLIMITED &&
        node->argument_count > (size_t)function->max_args)
        return parser_fail(parser, node->at,
                           "expected at most %d argument(s) in call to \"%s\", got %zu",
                           function->max_args, function->name, node->argument_count);
    if (function->whole == whole_info && !check_info(parser, node))
        return false;
    size_t index = 0;
    for (const struct node *argument = node->first; argument != NULL;
         argument = argument->next, index++)
        if (index == 1 && function->whole == whole_info)
            continue; /* may match everything */
        else if (!expect_type(parser, argument, function_argument_type(function, index),
                              "call to ", name))
            return false;
    return true;
}

/* A label that decides which partner it is cannot be taken over from it. */
static bool check_labels(struct parser *parser, const struct node *node)
{
    const struct matching *matching = &node->matching;
    for (size_t i = 0; i < matching->labels.count && matching->on; i++)
        for (size_t j = 0; j < matching->include.count; j++)
            if (bytes_equal(matching->labels.items[i], matching->include.items[j]))
                return parser_fail(
                    parser, node->operator_at,
                    "label \"%.*s\" must not occur in ON and GROUP clause at once",
                    (int)matching->labels.items[i].size,
                    (const char *)matching->labels.items[i].data);
    return true;
}

static bool check_matching(struct parser *parser, const struct node *node, bool has_scalar)
{
    const struct matching *matching = &node->matching;
    const bool is_set = operator_is_set(node->operation);
    const bool fills = matching->fills_left || matching->fills_right;

    if (has_scalar && matching->labels.count > 0)
        return parser_fail(parser, node->at,
                           "vector matching only allowed between instant vectors");
    if (has_scalar && fills)
        return parser_fail(parser, node->at,
                           "filling in missing series only allowed between instant vectors");
    if (has_scalar && is_set)
        return parser_fail(parser, node->at,
                           "set operator \"%s\" not allowed in binary scalar expression",
                           operator_text(node->operation));
    if (is_set &&
        (matching->cardinality == MANY_TO_ONE || matching->cardinality == ONE_TO_MANY))
        return parser_fail(parser, node->at, "no grouping allowed for \"%s\" operation",
                           operator_text(node->operation));
    if (is_set && fills)
        return parser_fail(parser, node->at,
                           "filling in missing series not allowed for set operators");
    return true;
}

static bool check_binary(struct parser *parser, const struct node *node)
{
    const struct node *sides[] = {node->first, node->second};
    size_t scalars = 0;

    if (!check_expression(parser, node->first) || !check_expression(parser, node->second))
        return false;
    if (node->returns_bool && !operator_is_comparison(node->operation))
        return parser_fail(parser, node->operator_at,
                           "bool modifier can only be used on comparison operators");
    for (size_t i = 0; i < 2; i++)
        scalars += sides[i]->type == PROMQL_SCALAR;
    if (scalars == 2 && operator_is_comparison(node->operation) && !node->returns_bool)
        return parser_fail(parser, node->operator_at,
                           "comparisons between scalars must use BOOL modifier");
    if (!check_labels(parser, node))
        return false;
    for (size_t i = 0; i < 2; i++)
        if (sides[i]->type != PROMQL_SCALAR && sides[i]->type != PROMQL_VECTOR)
            return parser_fail(parser, sides[i]->at,
                               "binary expression must contain only scalar and instant vector "
                               "types");
    return check_matching(parser, node, scalars > 0);
}

/* A chain of operators leans left and is no deeper to the parser than one of them, but each
 * node of a path costs a stack frame to whoever walks the tree. */
bool check_height(struct parser *parser, const struct node *node, int height)
{
    if (node == NULL)
        return true;
    if (height > EXPRESSION_HEIGHT_MAX)
        return parser_fail(parser, node->at, "expression nests too deeply");
    for (const struct node *argument = node->first; argument != NULL; argument = argument->next)
        if (!check_height(parser, argument, height + 1))
            return false;
    return check_height(parser, node->second, height + 1) &&
           check_height(parser, node->range, height + 1) &&
           check_height(parser, node->step, height + 1) &&
           check_height(parser, node->offset, height + 1);
}

static bool check_subquery(struct parser *parser, const struct node *node)
{
    if (!check_expression(parser, node->first))
        return false;
    if (node->first->type == PROMQL_VECTOR)
        return true;
    return parser_fail(parser, node->at,
                       "subquery is only allowed on instant vector, got %s instead",
                       node->first->type == PROMQL_MATRIX ? "matrix"
                                                          : promql_type_text(node->first->type));
}

static bool check_unary(struct parser *parser, const struct node *node)
{
    if (!check_expression(parser, node->first))
        return false;
    if (node->type == PROMQL_SCALAR || node->type == PROMQL_VECTOR)
        return true;
    return parser_fail(parser, node->at,
                       "unary expression only allowed on expressions of type scalar or instant "
                       "vector, got \"%s\"",
                       promql_type_text(node->type));
}

bool check_expression(struct parser *parser, const struct node *node)
{
    switch (node->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
        return true;
    case NODE_SELECTOR:
        return check_selector(parser, node);
    case NODE_MATRIX:
        return check_selector(parser, node->first);
    case NODE_SUBQUERY:
        return check_subquery(parser, node);
    case NODE_CALL:
        return check_call(parser, node);
    case NODE_AGGREGATE:
        return expect_type(parser, node->first, PROMQL_VECTOR, "aggregation expression", "") &&
               (node->second == NULL ||
                expect_type(parser, node->second, node->aggregation->parameter_type,
                            "aggregation parameter", ""));
    case NODE_BINARY:
        return check_binary(parser, node);
    case NODE_UNARY:
        return check_unary(parser, node);
    case NODE_PAREN:
        return check_expression(parser, node->first);
    }
    return true;
}
