/*
 * matcher.c - one condition on one label.
 *
 * A pattern whose language is a finite set of strings is not compiled at all: a binary search
 * in the set is the match, and the index looks the strings up one by one.  Nor are literals with
 * gaps (regex_glob.c).
 */
#include "collector/series/matcher.h"

#include <stdlib.h>
#include <string.h>

#include "collector/series/regex.h"
#include "proto/base/error.h"

#define MATCHER_BYTES ((size_t)64 << 20)

/* What matcher_new() allocates: the matcher and what its fields point to. */
struct matcher_block {
    struct matcher matcher;
    struct arena arena;
};

static int copy_bytes(struct bytes from, struct arena *arena, struct bytes *ret_copy)
{
    uint8_t *copy = arena_alloc(arena, from.size + 1, 1);
    if (copy == NULL)
        return ERR_NOMEM;
    if (from.size > 0)
        memcpy(copy, from.data, from.size);
    *ret_copy = (struct bytes){copy, from.size};
    return 0;
}

static int keep_literals(struct matcher *matcher, struct bytes *literals, size_t count,
                         struct arena *arena)
{
    struct bytes *kept = arena_alloc(arena, count, sizeof *kept);
    int error = kept == NULL ? ERR_NOMEM : 0;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = copy_bytes(literals[i], arena, &kept[i]);
    matcher->literals = kept;
    matcher->literal_count = count;
    return error;
}

static int keep_prefix(struct matcher *matcher, const struct regex_node *root,
                       struct arena *arena)
{
    struct buf prefix = {0};
    regex_syntax_prefix(root, &prefix);
    int error =
        buf_ok(&prefix) ? copy_bytes(buf_bytes(&prefix), arena, &matcher->prefix) : ERR_NOMEM;
    buf_done(&prefix);
    return error;
}

static int keep_glob(struct matcher *matcher, const struct regex_node *root, struct arena *arena)
{
    struct regex_glob *kept = arena_alloc(arena, 1, sizeof *kept);
    int error = kept == NULL ? ERR_NOMEM : regex_syntax_glob(root, arena, kept);
    if (error == 0 && kept->gap_count > 0)
        matcher->glob = kept;
    return error;
}

static int prepare_regex(struct matcher *matcher, struct arena *arena, struct diagnosis *why)
{
    struct regex_syntax syntax;
    struct arena scratch;
    struct bytes *literals = NULL;
    size_t count = 0;

    arena_init(&scratch, MATCHER_BYTES);
    int error = regex_syntax_parse(matcher->value, &scratch, &syntax, why);
    if (error == 0)
        error = regex_syntax_check_anchored(&syntax, matcher->value, why);
    if (error == 0)
        error = regex_syntax_literals(syntax.root, &scratch, &literals, &count);
    if (error == 0 && count > 0)
        error = keep_literals(matcher, literals, count, arena);
    if (error == 0)
        error = keep_prefix(matcher, syntax.root, arena);
    if (error == 0 && count == 0)
        error = keep_glob(matcher, syntax.root, arena);
    if (error == 0 && count == 0 && matcher->glob == NULL)
        error = regex_compile_syntax(&syntax, true, &matcher->regex, why);
    arena_reset(&scratch);
    return error;
}

int matcher_new(enum matcher_kind kind, struct bytes name, struct bytes value,
                struct matcher **ret_matcher, struct diagnosis *why)
{
    struct matcher_block *block = calloc(1, sizeof *block);
    if (block == NULL)
        return ERR_NOMEM;
    arena_init(&block->arena, MATCHER_BYTES);
    struct matcher *matcher = &block->matcher;
    matcher->kind = kind;
    int error = copy_bytes(name, &block->arena, &matcher->name);
    if (error == 0)
        error = copy_bytes(value, &block->arena, &matcher->value);
    if (error == 0 && (kind == MATCH_REGEX || kind == MATCH_NOT_REGEX))
        error = prepare_regex(matcher, &block->arena, why);
    if (error != 0) {
        matcher_free(matcher);
        return error;
    }
    *ret_matcher = matcher;
    return 0;
}

void matcher_free(struct matcher *matcher)
{
    if (matcher == NULL)
        return;
    struct matcher_block *block = (struct matcher_block *)matcher;
    regex_free(matcher->regex);
    arena_reset(&block->arena);
    free(block);
}

static bool is_literal(const struct matcher *matcher, struct bytes value)
{
    size_t low = 0;
    size_t high = matcher->literal_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = bytes_compare(matcher->literals[middle], value);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool pattern_matches(const struct matcher *matcher, struct bytes value, int *ret_error)
{
    if (matcher->glob != NULL)
        return regex_glob_matches(matcher->glob, value);
    if (matcher->regex == NULL)
        return is_literal(matcher, value);
    if (value.size < matcher->prefix.size ||
        (matcher->prefix.size > 0 &&
         memcmp(value.data, matcher->prefix.data, matcher->prefix.size) != 0))
        return false;
    return regex_matches(matcher->regex, value, ret_error);
}

bool matcher_matches(const struct matcher *matcher, struct bytes value, int *ret_error)
{
    int error = 0;
    bool matched = false;

    switch (matcher->kind) {
    case MATCH_EQUAL:
        return bytes_equal(matcher->value, value);
    case MATCH_NOT_EQUAL:
        return !bytes_equal(matcher->value, value);
    case MATCH_REGEX:
        matched = pattern_matches(matcher, value, &error);
        break;
    case MATCH_NOT_REGEX:
        matched = !pattern_matches(matcher, value, &error) && error == 0;
        break;
    }
    if (error != 0 && ret_error != NULL)
        *ret_error = error;
    return matched;
}

bool matcher_is_slow(const struct matcher *matcher)
{
    return matcher->regex != NULL && regex_is_slow(matcher->regex);
}

void matchers_prepare(struct matcher *const *matchers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (matchers[i]->regex != NULL)
            regex_prepare(matchers[i]->regex);
}

bool matcher_matches_empty(const struct matcher *matcher)
{
    return matcher_matches(matcher, (struct bytes){NULL, 0}, NULL);
}

bool matchers_equal(struct matcher *const *a, size_t a_count, struct matcher *const *b,
                    size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (a[i]->kind != b[i]->kind || !bytes_equal(a[i]->name, b[i]->name) ||
            !bytes_equal(a[i]->value, b[i]->value))
            return false;
    return true;
}

bool matchers_match(struct matcher *const *matchers, size_t count, const struct labels *labels)
{
    for (size_t i = 0; i < count; i++)
        if (!matcher_matches(matchers[i], labels_get(labels, matchers[i]->name), NULL))
            return false;
    return true;
}
