/*
 * restrict.c - see restrict.h.
 */
#include "collector/rules/restrict.h"

#include <stdlib.h>

#include "collector/rules/scope.h"
#include "proto/base/error.h"

#define MATCHERS_MAX 64

struct restricted_querier {
    struct restricted *owner;
    struct querier *inner;
};

static struct restricted_querier *of_querier(struct querier *querier)
{
    return (struct restricted_querier *)(void *)querier;
}

static int restricted_open(struct queryable *store, int64_t from_ms, int64_t until_ms,
                           struct querier **ret_querier, struct diagnosis *why)
{
    struct restricted *owner = (struct restricted *)(void *)store; /* its first member */
    struct restricted_querier *querier = calloc(1, sizeof *querier);
    int error;

    if (querier == NULL)
        return ERR_NOMEM;
    querier->owner = owner;
    error = owner->inner->calls->open(owner->inner, from_ms, until_ms, &querier->inner, why);
    if (error != 0) {
        free(querier);
        return error;
    }
    *ret_querier = (struct querier *)(void *)querier;
    return 0;
}

static int restricted_select(struct querier *opaque, struct matcher *const *matchers,
                             size_t matcher_count, const struct select_hints *hints,
                             struct query_budget *budget, struct arena *arena,
                             struct series_samples **ret_series, size_t *ret_count,
                             struct diagnosis *why)
{
    struct restricted_querier *querier = of_querier(opaque);
    struct matcher *more[MATCHERS_MAX + 1];

    if (matcher_count > MATCHERS_MAX)
        return diagnose(why, ERR_LIMIT, "more than %d matchers", MATCHERS_MAX);
    for (size_t i = 0; i < matcher_count; i++)
        more[i] = matchers[i];
    more[matcher_count] = querier->owner->matcher;
    return querier->owner->inner->calls->select(querier->inner, more, matcher_count + 1, hints,
                                                budget, arena, ret_series, ret_count, why);
}

static int restricted_names(struct querier *opaque, struct matcher *const *matchers,
                            size_t matcher_count, const struct query_budget *budget,
                            struct arena *arena, struct bytes **ret_names, size_t *ret_count,
                            struct diagnosis *why)
{
    struct restricted_querier *querier = of_querier(opaque);
    return querier->owner->inner->calls->label_names(querier->inner, matchers, matcher_count,
                                                     budget, arena, ret_names, ret_count, why);
}

static int restricted_values(struct querier *opaque, struct bytes name,
                             struct matcher *const *matchers, size_t matcher_count,
                             const struct query_budget *budget, struct arena *arena,
                             struct bytes **ret_values, size_t *ret_count, struct diagnosis *why)
{
    struct restricted_querier *querier = of_querier(opaque);
    return querier->owner->inner->calls->label_values(querier->inner, name, matchers,
                                                      matcher_count, budget, arena, ret_values,
                                                      ret_count, why);
}

static void restricted_close(struct querier *opaque)
{
    struct restricted_querier *querier = of_querier(opaque);
    if (opaque == NULL)
        return;
    querier->owner->inner->calls->close(querier->inner);
    free(querier);
}

static const struct queryable_calls restricted_calls = {
    .open = restricted_open,
    .select = restricted_select,
    .label_names = restricted_names,
    .label_values = restricted_values,
    .close = restricted_close,
};

static void put_escaped(struct buf *pattern, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("\\.+*?()|[]{}^$", *text) != NULL)
            buf_put_char(pattern, '\\');
        buf_put_char(pattern, *text);
    }
}

int restricted_init(struct restricted *restricted, struct queryable *inner,
                    const char *const *instances, size_t count)
{
    struct restricted fresh = {.queryable = {&restricted_calls}, .inner = inner};
    struct buf pattern = {0};
    int error;

    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_put_char(&pattern, '|');
        if (count == 1)
            buf_put_text(&pattern, instances[i]);
        else
            put_escaped(&pattern, instances[i]);
    }
    error = buf_ok(&pattern) ? matcher_new(count == 1 ? MATCH_EQUAL : MATCH_REGEX,
                                           bytes_of(SCOPE_LABEL), buf_bytes(&pattern),
                                           &fresh.matcher, NULL)
                             : ERR_NOMEM;
    buf_done(&pattern);
    if (error == 0)
        *restricted = fresh;
    return error;
}

void restricted_done(struct restricted *restricted)
{
    matcher_free(restricted->matcher);
    restricted->matcher = NULL;
}
