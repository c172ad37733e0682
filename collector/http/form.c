/* form.c - see form.h. */
#include "collector/http/form.h"

#include <stdbool.h>
#include <string.h>

#include "proto/base/error.h"

void form_init(struct form *form, struct arena *arena)
{
    *form = (struct form){.arena = arena};
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Where texts are written to: decoded they are no longer than encoded, and their NULs take the places
 * of the marks between them. */
static int decode(char **to, struct bytes text, const char **ret_text)
{
    char *out = *to;
    *ret_text = out;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '+') {
            c = ' ';
        } else if (c == '%' && i + 2 < text.size && hex_digit(text.data[i + 1]) >= 0 &&
                   hex_digit(text.data[i + 2]) >= 0) {
            c = (uint8_t)(hex_digit(text.data[i + 1]) * 16 + hex_digit(text.data[i + 2]));
            i += 2;
        }
        if (c == '\0')
            return ERR_MALFORMED;
        *out++ = (char)c;
    }
    *out++ = '\0';
    *to = out;
    return 0;
}

static int decode_pair(char **to, struct bytes pair, struct http_parameter *parameter)
{
    const uint8_t *equals = memchr(pair.data, '=', pair.size);
    if (equals == NULL) {
        parameter->value = "";
        return decode(to, pair, &parameter->name);
    }
    struct bytes name = {pair.data, (size_t)(equals - pair.data)};
    int error = decode(to, name, &parameter->name);
    struct bytes value = {equals + 1, pair.size - name.size - 1};
    return error != 0 ? error : decode(to, value, &parameter->value);
}

/* The next pair that is not empty; false at the end. */
static bool next_pair(struct bytes *rest, struct bytes *ret_pair)
{
    while (rest->size > 0) {
        const uint8_t *end = memchr(rest->data, '&', rest->size);
        struct bytes pair = {rest->data, end != NULL ? (size_t)(end - rest->data) : rest->size};
        size_t taken = pair.size + (end != NULL);
        *rest = (struct bytes){rest->data + taken, rest->size - taken};
        if (pair.size > 0) {
            *ret_pair = pair;
            return true;
        }
    }
    return false;
}

int form_add_encoded(struct form *form, struct bytes text)
{
    size_t count = form->count;
    struct bytes pair;
    for (struct bytes rest = text; next_pair(&rest, &pair);)
        count++;
    if (count == form->count)
        return 0;
    struct http_parameter *items = arena_alloc_raw(form->arena, count, sizeof *items);
    char *to = arena_alloc_raw(form->arena, text.size + 1, 1);
    if (items == NULL || to == NULL)
        return ERR_LIMIT;
    if (form->count > 0)
        memcpy(items, form->items, form->count * sizeof *items);
    count = form->count;
    for (struct bytes rest = text; next_pair(&rest, &pair); count++) {
        int error = decode_pair(&to, pair, &items[count]);
        if (error != 0)
            return error;
    }
    form->items = items;
    form->count = count;
    return 0;
}
