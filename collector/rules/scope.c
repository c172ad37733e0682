/*
 * scope.c - see scope.h.
 *
 * What mixes instances: aggregations that do not keep the label, matching that ignores it,
 * absent() and its kind (which answer for what is not there), and functions that make or change
 * labels.  Without a selector there is nothing that arrives, so nothing to run early.
 */
#include "collector/rules/scope.h"

#include "collector/promql/aggregations.h"
#include "collector/promql/ast.h"
#include "collector/promql/functions.h"

static bool holds_label(const struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        if (bytes_equal(names->items[i], bytes_of(SCOPE_LABEL)))
            return true;
    return false;
}

static bool is_mixing_function(const char *name)
{
    static const char *const mixing[] = {"absent",     "absent_over_time", "scalar", "vector",
                                         "label_join", "label_replace",    "info"};
    for (size_t i = 0; i < sizeof mixing / sizeof mixing[0]; i++)
        if (strcmp(name, mixing[i]) == 0)
            return true;
    return false;
}

static bool keeps_instances(const struct node *node, size_t *selectors);

static bool binary_keeps_instances(const struct node *node, size_t *selectors)
{
    const struct matching *matching = &node->matching;
    if (matching->present && matching->on != holds_label(&matching->labels))
        return false;
    return keeps_instances(node->first, selectors) && keeps_instances(node->second, selectors);
}

static bool aggregate_keeps_instances(const struct node *node, size_t *selectors)
{
    if (!node->grouped || node->without == holds_label(&node->grouping))
        return false;
    if (strcmp(node->aggregation->name, "count_values") == 0)
        return false;
    return keeps_instances(node->first, selectors) &&
           (node->second == NULL || keeps_instances(node->second, selectors));
}

static bool call_keeps_instances(const struct node *node, size_t *selectors)
{
    if (is_mixing_function(node->function->name))
        return false;
    for (const struct node *at = node->first; at != NULL; at = at->next)
        if (!keeps_instances(at, selectors))
            return false;
    return true;
}

static bool keeps_instances(const struct node *node, size_t *selectors)
{
    switch (node->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
        return true;
    case NODE_SELECTOR:
        ++*selectors;
        return true;
    case NODE_MATRIX:
    case NODE_SUBQUERY:
    case NODE_UNARY:
    case NODE_PAREN:
        return keeps_instances(node->first, selectors);
    case NODE_CALL:
        return call_keeps_instances(node, selectors);
    case NODE_AGGREGATE:
        return aggregate_keeps_instances(node, selectors);
    case NODE_BINARY:
        return binary_keeps_instances(node, selectors);
    }
    return false;
}

bool scope_is_single(const struct promql_expression *expression)
{
    size_t selectors = 0;
    return keeps_instances(expression->root, &selectors) && selectors > 0;
}
