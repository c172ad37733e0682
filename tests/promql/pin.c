/*
 * pin.c - see pin.h.
 */
#include "tests/promql/pin.h"

#include <string.h>

#include "collector/promql/ast.h"
#include "collector/promql/functions_impl.h"

/* False: no time can be put on it. */
static bool pin_node(struct node *node, int64_t at_ms)
{
    if (node->kind == NODE_CALL && ((node->function->flags & FUNCTION_TIME_BOUND) != 0 ||
                                    node->function->whole == whole_info))
        return false;
    if (node->kind == NODE_SELECTOR || node->kind == NODE_SUBQUERY) {
        if (node->at_modifier == AT_NONE) {
            node->at_modifier = AT_TIME;
            node->at_ms = at_ms;
        }
        return true; /* what is inside a subquery is looked at at its own times */
    }
    for (struct node *child = node->first; child != NULL; child = child->next)
        if (!pin_node(child, at_ms))
            return false;
    return node->second == NULL || pin_node(node->second, at_ms);
}

struct promql_expression *pin_parse(const char *text, int64_t at_ms)
{
    static const char *const own[] = {"start(", "end(", "range(", "step("};
    struct promql_expression *expression = NULL;
    struct promql_error error;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcasestr(text, own[i]) != NULL)
            return NULL;
    if (promql_parse(text, &expression, &error) != 0)
        return NULL;
    if (pin_node(expression->root, at_ms))
        return expression;
    promql_expression_free(expression);
    return NULL;
}
