/*
 * regex_glob.c - patterns that are literals with gaps, ".*-17", "web-.+", and matching them.
 *
 * Those are most of what people write, and finding literals is several times cheaper than
 * running an expression.  The leftmost place of each literal is as good as any: what it leaves
 * to those behind it is most.
 */
#include <string.h>

#include "collector/series/regex.h"
#include "collector/series/regex_syntax.h"
#include "proto/base/error.h"

static bool is_anything(const struct regex_node *node)
{
    return node->kind == REGEX_CLASS && !node->fold && node->text.size == 1 &&
           node->text.data[0] == '.';
}

static int append_literal(struct bytes *literal, struct bytes text, struct arena *arena)
{
    if (text.size == 0)
        return 0;
    uint8_t *joined = arena_alloc(arena, literal->size + text.size, 1);
    if (joined == NULL)
        return ERR_NOMEM;
    if (literal->size > 0)
        memcpy(joined, literal->data, literal->size);
    memcpy(joined + literal->size, text.data, text.size);
    *literal = (struct bytes){joined, literal->size + text.size};
    return 0;
}

/* Appends a node; *is_glob becomes false at the first that is neither literal nor gap. */
static int append_node(const struct regex_node *node, bool at_start, bool at_end,
                       struct arena *arena, struct regex_glob *glob, bool *is_glob)
{
    int error = 0;
    switch (node->kind) {
    case REGEX_LITERAL:
        *is_glob = !node->fold;
        return append_literal(&glob->literals[glob->gap_count], node->text, arena);
    case REGEX_BEGIN:
        *is_glob = at_start;
        return 0;
    case REGEX_END:
        *is_glob = at_end;
        return 0;
    case REGEX_GROUP:
        return append_node(node->first, at_start, at_end, arena, glob, is_glob);
    case REGEX_CONCAT:
        for (const struct regex_node *child = node->first;
             child != NULL && *is_glob && error == 0; child = child->next)
            error = append_node(child, at_start && child == node->first,
                                at_end && child == node->last, arena, glob, is_glob);
        return error;
    case REGEX_REPEAT:
        *is_glob = node->max == REGEX_UNBOUNDED && node->min <= 1 && is_anything(node->first) &&
                   glob->gap_count < REGEX_GAPS_MAX;
        if (*is_glob)
            glob->needs_one[glob->gap_count++] = node->min == 1;
        return 0;
    case REGEX_CLASS:
    case REGEX_ASSERTION:
    case REGEX_ALTERNATE:
        break;
    }
    *is_glob = false;
    return 0;
}

int regex_syntax_glob(const struct regex_node *root, struct arena *arena,
                      struct regex_glob *ret_glob)
{
    struct regex_glob glob = {.gap_count = 0};
    bool is_glob = true;
    int error = append_node(root, true, true, arena, &glob, &is_glob);
    if (error == 0)
        *ret_glob = is_glob ? glob : (struct regex_glob){.gap_count = 0};
    return error;
}

static size_t after_character(struct bytes text, size_t at)
{
    do
        at++;
    while (at < text.size && (text.data[at] & 0xc0) == 0x80);
    return at;
}

bool regex_glob_matches(const struct regex_glob *glob, struct bytes text)
{
    struct bytes first = glob->literals[0];
    struct bytes last = glob->literals[glob->gap_count];
    size_t at = first.size;
    if (text.size < first.size + last.size ||
        (first.size > 0 && memcmp(text.data, first.data, first.size) != 0) ||
        (last.size > 0 && memcmp(text.data + text.size - last.size, last.data, last.size) != 0))
        return false;
    const size_t end = text.size - last.size;
    for (size_t i = 1; i < glob->gap_count; i++) {
        struct bytes literal = glob->literals[i];
        if (glob->needs_one[i - 1])
            at = after_character(text, at);
        if (at > end || literal.size > end - at)
            return false;
        if (literal.size == 0)
            continue;
        const uint8_t *found = memmem(text.data + at, end - at, literal.data, literal.size);
        if (found == NULL)
            return false;
        at = (size_t)(found - text.data) + literal.size;
    }
    return at + glob->needs_one[glob->gap_count - 1] <= end;
}
