/*
 * postings_select.c - matchers to a bitmap of series, over any source of postings.
 *
 *     start   the matchers that refuse the empty string, intersected (none: all series)
 *     then    minus, for each other matcher, the values it refuses
 */
#include <roaring/roaring.h>
#include <stdlib.h>

#include "collector/store/postings.h"
#include "proto/base/error.h"

struct gather {
    const struct postings_source *source;
    const struct matcher *matcher;
    struct select_watch *watch;
    bool wanted; /* gather values that match, or those that do not */
    roaring_bitmap_t *into;
};

static int gather_value(void *visitor, struct bytes name, struct bytes value, const void *token)
{
    struct gather *gather = visitor;
    bool matches = false;
    (void)name;
    int error = select_watch_match(gather->watch, gather->matcher, value, &matches);
    if (error != 0 || matches != gather->wanted)
        return error;
    return gather->source->merge(gather->source->context, token, gather->into);
}

static int gather_values(const struct postings_source *source, const struct matcher *matcher,
                         struct select_watch *watch, bool wanted, roaring_bitmap_t *into)
{
    struct gather gather = {source, matcher, watch, wanted, into};
    /* No value without the prefix matches. */
    const bool is_within = wanted && matcher->kind == MATCH_REGEX;
    return source->each(source->context, matcher->name,
                        is_within ? matcher->prefix : (struct bytes){0}, gather_value, &gather);
}

/* The series that have the label with a value the matcher accepts. */
static int gather_accepted(const struct postings_source *source, const struct matcher *matcher,
                           struct select_watch *watch, roaring_bitmap_t *into)
{
    if (matcher->kind == MATCH_EQUAL)
        return source->equal(source->context, matcher->name, matcher->value, into);
    if (matcher->kind == MATCH_REGEX && matcher->literal_count > 0) {
        int error = 0;
        for (size_t i = 0; i < matcher->literal_count && error == 0; i++)
            error = source->equal(source->context, matcher->name, matcher->literals[i], into);
        return error;
    }
    return gather_values(source, matcher, watch, true, into);
}

/* The series that have the label with a value the matcher refuses. */
static int gather_refused(const struct postings_source *source, const struct matcher *matcher,
                          struct select_watch *watch, roaring_bitmap_t *into)
{
    if (matcher->kind == MATCH_NOT_EQUAL && matcher->value.size > 0)
        return source->equal(source->context, matcher->name, matcher->value, into);
    if (matcher->kind == MATCH_NOT_REGEX && matcher->literal_count > 0) {
        int error = 0;
        for (size_t i = 0; i < matcher->literal_count && error == 0; i++)
            error = source->equal(source->context, matcher->name, matcher->literals[i], into);
        return error;
    }
    return gather_values(source, matcher, watch, false, into);
}

static int intersect_accepted(const struct postings_source *source,
                              const struct matcher *matcher, struct select_watch *watch,
                              roaring_bitmap_t **result)
{
    roaring_bitmap_t *found = roaring_bitmap_create();
    if (found == NULL)
        return ERR_NOMEM;
    int error = gather_accepted(source, matcher, watch, found);
    if (error != 0) {
        roaring_bitmap_free(found);
        return error;
    }
    if (*result == NULL) {
        *result = found;
        return 0;
    }
    roaring_bitmap_and_inplace(*result, found);
    roaring_bitmap_free(found);
    return 0;
}

static int subtract_refused(const struct postings_source *source, const struct matcher *matcher,
                            struct select_watch *watch, roaring_bitmap_t *result)
{
    roaring_bitmap_t *refused = roaring_bitmap_create();
    if (refused == NULL)
        return ERR_NOMEM;
    int error = gather_refused(source, matcher, watch, refused);
    if (error == 0)
        roaring_bitmap_andnot_inplace(result, refused);
    roaring_bitmap_free(refused);
    return error;
}

/* A name's series stand together: what other matchers accept is looked for among them alone, and
 * patterns come last. */
#define TURNS 3
static unsigned turn_of(const struct matcher *matcher)
{
    if (matcher->kind == MATCH_EQUAL)
        return bytes_equal(matcher->name, bytes_of(LABEL_NAME)) ? 0 : 1;
    return 2;
}

/* Other ids do not matter any more. */
static void bound_by(const struct postings_source *source, const roaring_bitmap_t *result)
{
    if (source->bound != NULL && !roaring_bitmap_is_empty(result))
        source->bound(source->context, roaring_bitmap_minimum(result),
                      roaring_bitmap_maximum(result));
}

/* Where nothing is left nothing more is looked at. */
static bool is_over(const roaring_bitmap_t *result)
{
    return result != NULL && roaring_bitmap_is_empty(result);
}

static int accept(const struct postings_source *source, struct matcher *const *matchers,
                  size_t count, struct select_watch *watch, roaring_bitmap_t **result)
{
    int error = 0;
    for (unsigned turn = 0; turn < TURNS; turn++)
        for (size_t i = 0; i < count && error == 0 && !is_over(*result); i++) {
            if (turn_of(matchers[i]) != turn || matcher_matches_empty(matchers[i]))
                continue;
            error = intersect_accepted(source, matchers[i], watch, result);
            if (error == 0)
                bound_by(source, *result);
        }
    return error;
}

static int select_ids(const struct postings_source *source, struct matcher *const *matchers,
                      size_t count, struct select_watch *watch, roaring_bitmap_t **ret_ids)
{
    roaring_bitmap_t *result = NULL;
    int error = accept(source, matchers, count, watch, &result);

    if (error == 0 && result == NULL) {
        result = roaring_bitmap_create();
        error = result == NULL ? ERR_NOMEM : source->all(source->context, result);
    }
    for (size_t i = 0; i < count && error == 0 && !is_over(result); i++)
        if (matcher_matches_empty(matchers[i]))
            error = subtract_refused(source, matchers[i], watch, result);
    if (error != 0) {
        if (result != NULL)
            roaring_bitmap_free(result);
        return error;
    }
    *ret_ids = result;
    return 0;
}

int postings_select(const struct postings_source *source, struct matcher *const *matchers,
                    size_t count, struct select_watch *watch, roaring_bitmap_t **ret_ids)
{
    struct select_watch own = {.cancelled = NULL};
    int error = select_ids(source, matchers, count, watch != NULL ? watch : &own, ret_ids);
    if (source->bound != NULL)
        source->bound(source->context, 0, UINT32_MAX);
    select_watch_done(&own);
    return error;
}
