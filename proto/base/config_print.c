/*
 * config_print.c - see config_print.h.
 */
#include "proto/base/config_print.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/units.h"

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

static void put_list(struct buf *out, const struct config_strings *list)
{
    buf_put_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        buf_put_text(out, i > 0 ? ", " : "");
        put_text(out, list->items[i]);
    }
    buf_put_char(out, ']');
}

static bool is_absent(const struct config_option *option, const void *field)
{
    switch (option->type) {
    case CONFIG_STRING:
    case CONFIG_FILE:
        return *(const char *const *)field == NULL;
    case CONFIG_STRINGS:
    case CONFIG_FILES:
        return ((const struct config_strings *)field)->items == NULL;
    case CONFIG_NODE:
        return true;
    case CONFIG_BOOL:
    case CONFIG_INTEGER:
    case CONFIG_NUMBER:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        break;
    }
    return false;
}

static void put_value(struct buf *out, const struct config_option *option, const void *field)
{
    char duration[DURATION_TEXT_BYTES];
    char size[SIZE_TEXT_BYTES];
    switch (option->type) {
    case CONFIG_STRING:
    case CONFIG_FILE:
        put_text(out, *(const char *const *)field);
        break;
    case CONFIG_BOOL:
        buf_put_text(out, *(const bool *)field ? "true" : "false");
        break;
    case CONFIG_INTEGER:
        buf_printf(out, "%" PRId64, *(const int64_t *)field);
        break;
    case CONFIG_NUMBER:
        buf_printf(out, "%.17g", *(const double *)field);
        break;
    case CONFIG_DURATION:
        buf_put_text(out, duration_format(*(const int64_t *)field, duration));
        break;
    case CONFIG_SIZE:
        buf_put_text(out, size_format(*(const uint64_t *)field, size));
        break;
    case CONFIG_STRINGS:
    case CONFIG_FILES:
        put_list(out, field);
        break;
    case CONFIG_NODE:
        break;
    }
}

void config_print_values(const struct config_option *options, size_t count, const void *source,
                         unsigned indent, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const void *field = (const char *)source + options[i].offset;
        if (is_absent(&options[i], field))
            continue;
        buf_printf(out, "%*s", (int)indent, "");
        put_key(out, options[i].key);
        put_value(out, &options[i], field);
        buf_put_char(out, '\n');
    }
}
