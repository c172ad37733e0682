/*
 * config_print.c - see config_print.h.
 */
#include "proto/base/config_print.h"

#include <stdio.h>

/* Bytes at `at` that YAML does not take as they are (C1 controls, U+FEFF, U+FFFE, U+FFFF), and
 * their escape; 0: it takes them. */
static size_t escape_of(const uint8_t *at, char escape[8])
{
    unsigned code = 0;
    if (at[0] == '"' || at[0] == '\\') {
        (void)snprintf(escape, 8, "\\%c", at[0]);
        return 1;
    }
    if (at[0] < 0x20 || at[0] == 0x7F) {
        (void)snprintf(escape, 8, "\\x%02X", at[0]);
        return 1;
    }
    if (at[0] == 0xC2 && at[1] < 0xA0)
        code = at[1];
    else if (at[0] == 0xEF && at[1] == 0xBB && at[2] == 0xBF)
        code = 0xFEFF;
    else if (at[0] == 0xEF && at[1] == 0xBF && at[2] >= 0xBE)
        code = 0xFFC0u + (at[2] & 0x3Fu);
    if (code == 0)
        return 0;
    (void)snprintf(escape, 8, "\\u%04X", code);
    return code < 0x100 ? 2 : 3;
}

/* A text in YAML's double quotes. */
static void put_text(struct buf *out, const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    char escape[8];
    buf_put_char(out, '"');
    while (*at != '\0') {
        size_t size = escape_of(at, escape);
        if (size == 0)
            buf_put_char(out, (char)*at++);
        else
            buf_put_text(out, escape);
        at += size;
    }
    buf_put_char(out, '"');
}

static void put_key(struct buf *out, const char *key)
{
    bool is_plain = key[0] >= 'a' && key[0] <= 'z' &&
                    strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(key);
    if (is_plain)
        buf_put_text(out, key);
    else
        put_text(out, key);
    buf_put_text(out, ": ");
}

void config_print(const struct config_node *node, struct buf *out)
{
    const char *separator = "";
    if (node->kind == CONFIG_SCALAR) {
        put_text(out, node->text);
        return;
    }
    buf_put_char(out, node->kind == CONFIG_MAP ? '{' : '[');
    for (size_t i = 0; i < node->count; i++) {
        const struct config_node *child = node->children[i];
        buf_put_text(out, separator);
        separator = ", ";
        if (child->key != NULL)
            put_key(out, child->key);
        /* "key:" with nothing behind it is an empty map to who reads it; a quoted "" is not. */
        if (child->key == NULL || child->kind != CONFIG_SCALAR || child->quoted ||
            child->text[0] != '\0')
            config_print(child, out);
    }
    buf_put_char(out, node->kind == CONFIG_MAP ? '}' : ']');
}
