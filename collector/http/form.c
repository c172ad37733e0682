/* form.c - see form.h. */
#include "collector/http/form.h"

#include <stdbool.h>
#include <stdlib.h>

#include "proto/base/error.h"

void form_init(struct form *form, struct arena *arena)
{
    *form = (struct form){.arena = arena};
}

void form_done(struct form *form)
{
    free(form->items);
    form_init(form, form->arena);
}

int form_add(struct form *form, const char *name, const char *value)
{
    if (form->count == FORM_PARAMETERS_MAX)
        return ERR_LIMIT;
    if (form->count == form->capacity) {
        size_t capacity = form->capacity == 0 ? 16 : form->capacity * 2;
        struct http_parameter *items = realloc(form->items, capacity * sizeof *items);
        if (items == NULL)
            return ERR_NOMEM;
        form->items = items;
        form->capacity = capacity;
    }
    form->items[form->count++] = (struct http_parameter){name, value};
    return 0;
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

static int decode(struct arena *arena, struct bytes text, const char **ret_text)
{
    char *to = arena_alloc(arena, text.size + 1, 1);
    if (to == NULL)
        return ERR_NOMEM;
    size_t n = 0;
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
        to[n++] = (char)c;
    }
    to[n] = '\0';
    *ret_text = to;
    return 0;
}

static int add_pair(struct form *form, struct bytes pair)
{
    const uint8_t *equals = memchr(pair.data, '=', pair.size);
    struct bytes name = pair;
    struct bytes value = {pair.data, 0};
    if (equals != NULL) {
        name.size = (size_t)(equals - pair.data);
        value = (struct bytes){equals + 1, pair.size - name.size - 1};
    }
    const char *name_text = NULL;
    const char *value_text = NULL;
    int error = decode(form->arena, name, &name_text);
    if (error == 0)
        error = decode(form->arena, value, &value_text);
    return error != 0 ? error : form_add(form, name_text, value_text);
}

int form_add_encoded(struct form *form, struct bytes text)
{
    while (text.size > 0) {
        const uint8_t *end = memchr(text.data, '&', text.size);
        size_t size = end != NULL ? (size_t)(end - text.data) : text.size;
        if (size > 0) {
            int error = add_pair(form, (struct bytes){text.data, size});
            if (error != 0)
                return error;
        }
        size += end != NULL ? 1 : 0;
        text.data += size;
        text.size -= size;
    }
    return 0;
}
