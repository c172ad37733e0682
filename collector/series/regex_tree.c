/*
 * regex_tree.c - what a parsed pattern is good for: PCRE2's text, its literals, its prefix.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/series/regex_syntax.h"
#include "proto/base/error.h"

static void emit_literal(struct bytes text, struct buf *out)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool plain = c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z');
        if (plain)
            buf_put_char(out, (char)c);
        else
            buf_printf(out, "\\x%02x", (unsigned)c);
    }
}

static void emit_children(const struct regex_node *node, const char *between, struct buf *out)
{
    for (const struct regex_node *child = node->first; child != NULL; child = child->next) {
        if (child != node->first)
            buf_put_text(out, between);
        regex_syntax_emit(child, out);
    }
}

static void emit_repeat(const struct regex_node *node, struct buf *out)
{
    /* The group lets what PCRE2 would not repeat, such as an assertion, be repeated, and keeps
     * a literal of several bytes together. */
    buf_put_text(out, "(?:");
    emit_children(node, "", out);
    buf_put_char(out, ')');
    if (node->max == REGEX_UNBOUNDED)
        buf_printf(out, "{%d,}", node->min);
    else
        buf_printf(out, "{%d,%d}", node->min, node->max);
    if (!node->greedy)
        buf_put_char(out, '?');
}

void regex_syntax_emit(const struct regex_node *node, struct buf *out)
{
    switch (node->kind) {
    case REGEX_LITERAL:
    case REGEX_CLASS:
        if (node->fold)
            buf_put_text(out, "(?i:");
        if (node->kind == REGEX_LITERAL)
            emit_literal(node->text, out);
        else
            buf_put(out, node->text.data, node->text.size);
        if (node->fold)
            buf_put_char(out, ')');
        break;
    case REGEX_ASSERTION:
    case REGEX_BEGIN:
    case REGEX_END:
        buf_put(out, node->text.data, node->text.size);
        break;
    case REGEX_GROUP:
        buf_put_text(out, node->capture > 0 ? "(" : "(?:");
        emit_children(node, "", out);
        buf_put_char(out, ')');
        break;
    case REGEX_REPEAT:
        emit_repeat(node, out);
        break;
    case REGEX_CONCAT:
        emit_children(node, "", out);
        break;
    case REGEX_ALTERNATE:
        emit_children(node, "|", out);
        break;
    }
}

/* A finite language; count 0 means that it is not finite, or too large. */
struct language {
    struct bytes *items;
    size_t count;
};

#define PRODUCT_BYTES_MAX ((size_t)1 << 20)

static int language_of(const struct regex_node *node, bool at_start, bool at_end,
                       struct arena *arena, struct language *ret_language);

static int one_literal(struct bytes text, struct arena *arena, struct language *ret_language)
{
    struct bytes *item = arena_alloc(arena, 1, sizeof *item);
    if (item == NULL)
        return ERR_NOMEM;
    *item = text;
    *ret_language = (struct language){item, 1};
    return 0;
}

static int product(struct language a, struct language b, struct arena *arena,
                   struct language *ret_language)
{
    size_t bytes = 0;
    *ret_language = (struct language){NULL, 0};
    if (a.count * b.count > REGEX_LITERALS_MAX)
        return 0;
    for (size_t i = 0; i < a.count; i++)
        bytes += a.items[i].size * b.count;
    for (size_t i = 0; i < b.count; i++)
        bytes += b.items[i].size * a.count;
    if (bytes > PRODUCT_BYTES_MAX)
        return 0;

    struct bytes *items = arena_alloc(arena, a.count * b.count, sizeof *items);
    uint8_t *at = arena_alloc(arena, bytes + 1, 1);
    if (items == NULL || at == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < a.count; i++)
        for (size_t j = 0; j < b.count; j++) {
            struct bytes head = a.items[i];
            struct bytes tail = b.items[j];
            items[i * b.count + j] = (struct bytes){at, head.size + tail.size};
            if (head.size > 0)
                memcpy(at, head.data, head.size);
            at += head.size;
            if (tail.size > 0)
                memcpy(at, tail.data, tail.size);
            at += tail.size;
        }
    *ret_language = (struct language){items, a.count * b.count};
    return 0;
}

static int language_of_concat(const struct regex_node *node, bool at_start, bool at_end,
                              struct arena *arena, struct language *ret_language)
{
    struct language all;
    int error = one_literal((struct bytes){NULL, 0}, arena, &all);
    for (const struct regex_node *child = node->first; error == 0 && child != NULL;
         child = child->next) {
        struct language part = {NULL, 0};
        error = language_of(child, at_start && child == node->first,
                            at_end && child == node->last, arena, &part);
        if (error == 0 && part.count == 0) {
            *ret_language = part;
            return 0;
        }
        bool empty_so_far = all.count == 1 && all.items[0].size == 0;
        if (error == 0 && empty_so_far)
            all = part;
        else if (error == 0)
            error = product(all, part, arena, &all);
        if (error == 0 && all.count == 0)
            break;
    }
    if (error == 0)
        *ret_language = all;
    return error;
}

static int language_of_alternate(const struct regex_node *node, bool at_start, bool at_end,
                                 struct arena *arena, struct language *ret_language)
{
    size_t capacity = 64;
    struct language all = {arena_alloc(arena, capacity, sizeof(struct bytes)), 0};
    int error = all.items == NULL ? ERR_NOMEM : 0;
    for (const struct regex_node *child = node->first; error == 0 && child != NULL;
         child = child->next) {
        struct language part = {NULL, 0};
        error = language_of(child, at_start, at_end, arena, &part);
        if (error == 0 && (part.count == 0 || all.count + part.count > REGEX_LITERALS_MAX)) {
            *ret_language = (struct language){NULL, 0};
            return 0;
        }
        if (error == 0 && all.count + part.count > capacity) {
            capacity = (all.count + part.count) * 2;
            struct bytes *items = arena_alloc(arena, capacity, sizeof *items);
            if (items == NULL)
                return ERR_NOMEM;
            memcpy(items, all.items, all.count * sizeof *items);
            all.items = items;
        }
        if (error == 0) {
            memcpy(all.items + all.count, part.items, part.count * sizeof *part.items);
            all.count += part.count;
        }
    }
    if (error == 0)
        *ret_language = all;
    return error;
}

static int language_of(const struct regex_node *node, bool at_start, bool at_end,
                       struct arena *arena, struct language *ret_language)
{
    *ret_language = (struct language){NULL, 0};
    switch (node->kind) {
    case REGEX_LITERAL:
        return node->fold ? 0 : one_literal(node->text, arena, ret_language);
    case REGEX_BEGIN:
        return at_start ? one_literal((struct bytes){NULL, 0}, arena, ret_language) : 0;
    case REGEX_END:
        return at_end ? one_literal((struct bytes){NULL, 0}, arena, ret_language) : 0;
    case REGEX_GROUP:
        return language_of(node->first, at_start, at_end, arena, ret_language);
    case REGEX_CONCAT:
        return language_of_concat(node, at_start, at_end, arena, ret_language);
    case REGEX_ALTERNATE:
        return language_of_alternate(node, at_start, at_end, arena, ret_language);
    case REGEX_CLASS:
    case REGEX_ASSERTION:
    case REGEX_REPEAT:
        return 0;
    }
    return 0;
}

static int order_of_bytes(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

int regex_syntax_literals(const struct regex_node *root, struct arena *arena,
                          struct bytes **ret_literals, size_t *ret_count)
{
    struct language all = {NULL, 0};
    int error = language_of(root, true, true, arena, &all);
    if (error != 0)
        return error;
    if (all.count > 1)
        qsort(all.items, all.count, sizeof *all.items, order_of_bytes);
    size_t unique = 0;
    for (size_t i = 0; i < all.count; i++)
        if (unique == 0 || !bytes_equal(all.items[unique - 1], all.items[i]))
            all.items[unique++] = all.items[i];
    *ret_literals = all.items;
    *ret_count = unique;
    return 0;
}

/* Appends to `out`; true if the node is exactly what was appended, so that the next may follow.
 */
static bool put_prefix(const struct regex_node *node, bool at_start, struct buf *out)
{
    switch (node->kind) {
    case REGEX_LITERAL:
        if (node->fold)
            return false;
        buf_put(out, node->text.data, node->text.size);
        return true;
    case REGEX_BEGIN:
        return at_start;
    case REGEX_GROUP:
        return put_prefix(node->first, at_start, out);
    case REGEX_CONCAT:
        for (const struct regex_node *child = node->first; child != NULL; child = child->next)
            if (!put_prefix(child, at_start && child == node->first, out))
                return false;
        return true;
    case REGEX_REPEAT:
        if (node->min > 0)
            (void)put_prefix(node->first, false, out);
        return false;
    case REGEX_CLASS:
    case REGEX_ASSERTION:
    case REGEX_END:
    case REGEX_ALTERNATE:
        return false;
    }
    return false;
}

void regex_syntax_prefix(const struct regex_node *root, struct buf *out)
{
    (void)put_prefix(root, true, out);
}
