/*
 * route.c - see route.h.
 *
 * Keys must be Alertmanager's to the byte: they name groups in stored rows and in every webhook
 * body, and people's scripts compare them.
 */
#include "collector/notify/route.h"

#include <stdlib.h>

#include "proto/base/error.h"

int route_matcher_add(enum matcher_kind kind, struct bytes name, struct bytes value,
                      struct matcher ***list, size_t *count, struct diagnosis *why)
{
    struct matcher *matcher;
    struct matcher **longer = realloc(*list, (*count + 1) * sizeof(struct matcher *));
    int error;

    if (longer == NULL)
        return ERR_NOMEM;
    *list = longer;
    error = matcher_new(kind, name, value, &matcher, why);
    if (error != 0)
        return error;
    longer[(*count)++] = matcher;
    return 0;
}

static const char *matcher_sign(enum matcher_kind kind)
{
    static const char *const signs[] = {
        [MATCH_EQUAL] = "=", [MATCH_NOT_EQUAL] = "!=", [MATCH_REGEX] = "=~",
        [MATCH_NOT_REGEX] = "!~"};
    return signs[kind];
}

static int compare_matchers(const void *left, const void *right)
{
    const struct matcher *a = *(struct matcher *const *)left;
    const struct matcher *b = *(struct matcher *const *)right;
    int order = bytes_compare(a->name, b->name);
    if (order == 0)
        order = bytes_compare(a->value, b->value);
    return order != 0 ? order : (int)a->kind - (int)b->kind;
}

void route_put_quoted(struct buf *out, struct bytes value)
{
    buf_put_char(out, '"');
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] == '"')
            buf_put_text(out, "\\\"");
        else if (value.data[i] == '\\')
            buf_put_text(out, "\\\\");
        else if (value.data[i] == '\n')
            buf_put_text(out, "\\n");
        else
            buf_put_u8(out, value.data[i]);
    }
    buf_put_char(out, '"');
}

static void put_name(struct buf *out, struct bytes name)
{
    if (label_name_is_legacy(name))
        buf_put(out, name.data, name.size);
    else
        route_put_quoted(out, name);
}

void route_put_matcher(struct buf *out, const struct matcher *matcher)
{
    put_name(out, matcher->name);
    buf_put_text(out, matcher_sign(matcher->kind));
    route_put_quoted(out, matcher->value);
}

int route_finish(struct route *route)
{
    struct buf key = {0};

    if (route->matcher_count > 1)
        qsort(route->matchers, route->matcher_count, sizeof(struct matcher *),
              compare_matchers);
    if (route->parent != NULL) {
        buf_put_text(&key, route->parent->key);
        buf_put_char(&key, '/');
    }
    buf_put_char(&key, '{');
    for (size_t i = 0; i < route->matcher_count; i++) {
        if (i > 0)
            buf_put_char(&key, ',');
        route_put_matcher(&key, route->matchers[i]);
    }
    buf_put_char(&key, '}');
    if (buf_ok(&key))
        route->key = strdup(buf_text(&key));
    buf_done(&key);
    return route->key != NULL ? 0 : ERR_NOMEM;
}

void route_free(struct route *route)
{
    if (route == NULL)
        return;
    for (size_t i = 0; i < route->child_count; i++)
        route_free(route->children[i]);
    for (size_t i = 0; i < route->matcher_count; i++)
        matcher_free(route->matchers[i]);
    free(route->children);
    free(route->matchers);
    free((void *)(uintptr_t)route->group_by);
    free(route->key);
    free(route);
}

/* Adds what this node's subtree takes; false if its matchers do not hold. */
static bool match_below(const struct route *route, const struct labels *labels,
                        const struct route *taken[ROUTE_MATCHES_MAX], size_t *count)
{
    bool child_took = false;

    if (!matchers_match(route->matchers, route->matcher_count, labels))
        return false;
    for (size_t i = 0; i < route->child_count; i++) {
        if (!match_below(route->children[i], labels, taken, count))
            continue;
        child_took = true;
        if (!route->children[i]->goes_on)
            break;
    }
    if (!child_took && *count < ROUTE_MATCHES_MAX)
        taken[(*count)++] = route;
    return true;
}

size_t route_match(const struct route *root, const struct labels *labels,
                   const struct route *ret_routes[ROUTE_MATCHES_MAX])
{
    size_t count = 0;
    (void)match_below(root, labels, ret_routes, &count);
    return count;
}

int route_group_labels(const struct route *route, const struct labels *labels,
                       struct arena *arena, const struct labels **ret_group_labels)
{
    struct label *pairs = arena_alloc(arena, labels->count + 1, sizeof *pairs);
    size_t count = 0;

    if (pairs == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < labels->count; i++) {
        bool wanted = route->group_by_all;
        for (size_t j = 0; !wanted && j < route->group_by_count; j++)
            wanted = bytes_equal(labels->pairs[i].name, bytes_of(route->group_by[j]));
        if (wanted)
            pairs[count++] = labels->pairs[i];
    }
    return labels_build(pairs, count, arena, ret_group_labels);
}

void route_group_key(const struct route *route, const struct labels *group_labels,
                     struct buf *out)
{
    buf_put_text(out, route->key);
    buf_put_text(out, ":{");
    for (size_t i = 0; i < group_labels->count; i++) {
        if (i > 0)
            buf_put_text(out, ", ");
        put_name(out, group_labels->pairs[i].name);
        buf_put_char(out, '=');
        route_put_quoted(out, group_labels->pairs[i].value);
    }
    buf_put_char(out, '}');
}
