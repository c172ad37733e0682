/*
 * template_logic.c - Go's built-in functions: and or not, comparisons, len, index; printf.
 */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "collector/notify/template_tree.h"
#include "proto/base/error.h"

typedef struct template_machine machine_type;

static struct value of_bool(bool truth)
{
    return (struct value){.kind = VALUE_BOOL, .as.boolean = truth};
}

/* and, or: the run has already stopped at an argument that decides; so it is the last. */
int template_last(machine_type *machine, const struct value *arguments, size_t count,
                  struct value *ret_value)
{
    (void)machine;
    *ret_value = arguments[count - 1];
    return 0;
}

int template_not(machine_type *machine, const struct value *arguments, size_t count,
                 struct value *ret_value)
{
    (void)machine;
    (void)count;
    *ret_value = of_bool(!template_value_is_true(&arguments[0]));
    return 0;
}

static bool is_number(const struct value *value)
{
    return value->kind == VALUE_INTEGER || value->kind == VALUE_FLOAT;
}

/* <0, 0, >0; 2 for values without an order (NaN). */
static int compare(machine_type *machine, const struct value *a, const struct value *b,
                   int *ret_order)
{
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING) {
        int order = bytes_compare(a->as.text, b->as.text);
        *ret_order = order < 0 ? -1 : order > 0;
        return 0;
    }
    if (a->kind == VALUE_BOOL && b->kind == VALUE_BOOL) {
        *ret_order = a->as.boolean != b->as.boolean;
        return 0;
    }
    if (is_number(a) && is_number(b)) {
        double x = 0, y = 0;
        (void)template_value_to_number(a, &x);
        (void)template_value_to_number(b, &y);
        *ret_order = isnan(x) || isnan(y) ? 2 : x < y ? -1 : x > y;
        return 0;
    }
    return diagnose(machine->why, ERR_INVALID, "incompatible types for comparison: %s and %s",
                    template_value_kind_name(a->kind), template_value_kind_name(b->kind));
}

/* eq a b c: is a equal to any of the others? */
int template_equal(machine_type *machine, const struct value *arguments, size_t count,
                   struct value *ret_value)
{
    bool equal = false;
    for (size_t i = 1; i < count && !equal; i++) {
        int order, error = compare(machine, &arguments[0], &arguments[i], &order);
        if (error != 0)
            return error;
        equal = order == 0;
    }
    *ret_value = of_bool(equal);
    return 0;
}

#define COMPARISON(name, test)                                                                 \
    int name(machine_type *machine, const struct value *arguments, size_t count,               \
             struct value *ret_value)                                                          \
    {                                                                                          \
        int order, error = compare(machine, &arguments[0], &arguments[1], &order);             \
        (void)count;                                                                           \
        if (error == 0)                                                                        \
            *ret_value = of_bool(test);                                                        \
        return error;                                                                          \
    }
COMPARISON(template_not_equal, order != 0)
COMPARISON(template_less, order == -1)
COMPARISON(template_at_most, order == -1 || order == 0)
COMPARISON(template_greater, order == 1)
COMPARISON(template_at_least, order == 1 || order == 0)
#undef COMPARISON

int template_length(machine_type *machine, const struct value *arguments, size_t count,
                    struct value *ret_value)
{
    const struct value *value = &arguments[0];
    size_t length;
    (void)count;

    if (value->kind == VALUE_STRING)
        length = value->as.text.size;
    else if (value->kind == VALUE_LIST)
        length = value->as.list.count;
    else if (value->kind == VALUE_MAP)
        length = value->as.map.count;
    else if (value->kind == VALUE_LABELS)
        length = value->as.labels == NULL ? 0 : value->as.labels->count;
    else
        return diagnose(machine->why, ERR_INVALID, "len of type %s",
                        template_value_kind_name(value->kind));
    *ret_value = (struct value){.kind = VALUE_INTEGER, .as.integer = (int64_t)length};
    return 0;
}

int template_index(machine_type *machine, const struct value *arguments, size_t count,
                   struct value *ret_value)
{
    struct value at = arguments[0];
    for (size_t i = 1; i < count; i++) {
        const struct value *key = &arguments[i];
        if (at.kind == VALUE_LIST && key->kind == VALUE_INTEGER) {
            if (key->as.integer < 0 || (size_t)key->as.integer >= at.as.list.count)
                return diagnose(machine->why, ERR_INVALID, "index out of range: %" PRId64,
                                key->as.integer);
            at = at.as.list.items[key->as.integer];
        } else if (key->kind == VALUE_STRING && at.kind == VALUE_LABELS) {
            (void)template_value_field(&at, key->as.text, &at);
        } else if (key->kind != VALUE_STRING || !template_value_field(&at, key->as.text, &at)) {
            return diagnose(machine->why, ERR_INVALID, "can't index a %s with a %s",
                            template_value_kind_name(at.kind),
                            template_value_kind_name(key->kind));
        }
    }
    *ret_value = at;
    return 0;
}

/* ---- printf ------------------------------------------------------------------------------ */

/* One verb of Go's Sprintf; `flags` is what stood between % and the verb. */
static void format_one(struct buf *out, const char *flags, char verb, const struct value *value)
{
    char format[40];
    double number = 0;
    bool numeric = is_number(value) && template_value_to_number(value, &number);

    if (strchr("eEfFgG", verb) != NULL && value->kind == VALUE_FLOAT) {
        if (!isfinite(number)) {
            buf_put_text(out, isnan(number) ? "NaN" : number > 0 ? "+Inf" : "-Inf");
        } else if ((verb == 'g' || verb == 'G') && strchr(flags, '.') == NULL) {
            template_value_print(value, out);
        } else {
            char text[512];
            (void)snprintf(format, sizeof format, "%%%s%c", flags, verb);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            (void)snprintf(text, sizeof text, format, number);
#pragma GCC diagnostic pop
            buf_put_text(out, text);
        }
    } else if (strchr("dxXo", verb) != NULL && value->kind == VALUE_INTEGER) {
        char text[512];
        (void)snprintf(format, sizeof format, "%%%sl%c", flags, verb);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(text, sizeof text, format, (long)value->as.integer);
#pragma GCC diagnostic pop
        buf_put_text(out, text);
    } else if (verb == 'v' || (verb == 's' && !numeric) ||
               (verb == 't' && value->kind == VALUE_BOOL)) {
        template_value_print(value, out);
    } else if (verb == 'q' && value->kind == VALUE_STRING) {
        buf_put_char(out, '"');
        template_value_print(value, out);
        buf_put_char(out, '"');
    } else {
        buf_printf(out, "%%!%c(%s=", verb, template_value_kind_name(value->kind));
        template_value_print(value, out);
        buf_put_char(out, ')');
    }
}

/* Pads what was appended since `start` to the width in flags, as %10s and %-10s. */
static void pad(struct buf *out, size_t start, const char *flags)
{
    size_t width = 0, shown = 0, missing;
    bool left = strchr(flags, '-') != NULL;
    uint8_t *room;

    for (const char *at = flags; *at != '\0' && *at != '.'; at++)
        if (isdigit((unsigned char)*at))
            width = width * 10 + (size_t)(*at - '0');
    for (size_t i = start; i < out->size; i++)
        shown += (out->data[i] & 0xC0) != 0x80;
    if (width > 200 || shown >= width)
        return;
    missing = width - shown;
    for (size_t i = 0; i < missing; i++)
        buf_put_char(out, ' ');
    if (left || !buf_ok(out))
        return;
    room = out->data + start;
    memmove(room + missing, room, out->size - start - missing);
    memset(room, ' ', missing);
}

static void format_all(struct buf *out, struct bytes format, const struct value *arguments,
                       size_t count)
{
    size_t next = 0, at = 0;
    while (at < format.size) {
        char flags[16] = "", verb;
        size_t flag_count = 0, start;
        if (format.data[at] != '%') {
            buf_put_u8(out, format.data[at++]);
            continue;
        }
        for (at++; at < format.size && strchr("+-# 0123456789.", format.data[at]) != NULL; at++)
            if (flag_count < 8)
                flags[flag_count++] = (char)format.data[at];
        verb = at < format.size ? (char)format.data[at++] : '!';
        if (verb == '%') {
            buf_put_char(out, '%');
            continue;
        }
        if (next >= count) {
            buf_printf(out, "%%!%c(MISSING)", verb);
            continue;
        }
        start = out->size;
        format_one(out, flags, verb, &arguments[next++]);
        pad(out, start, flags);
    }
    if (next < count)
        buf_put_text(out, "%!(EXTRA)");
}

int template_printf(machine_type *machine, const struct value *arguments, size_t count,
                    struct value *ret_value)
{
    struct buf out;
    uint8_t *copy;

    if (arguments[0].kind != VALUE_STRING)
        return diagnose(machine->why, ERR_INVALID, "printf: the format is no string");
    buf_init(&out, TEMPLATE_OUTPUT_MAX);
    format_all(&out, arguments[0].as.text, arguments + 1, count - 1);
    copy = buf_ok(&out) ? arena_alloc(machine->arena, out.size + 1, 1) : NULL;
    if (copy != NULL) {
        memcpy(copy, buf_text(&out), out.size);
        *ret_value = (struct value){.kind = VALUE_STRING, .as.text = {copy, out.size}};
    }
    buf_done(&out);
    return copy == NULL ? ERR_NOMEM : 0;
}
