/*
 * template_value.c - how template values print, compare to nothing, and yield fields.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/template_tree.h"
#include "proto/base/error.h"

const char *template_value_number_text(double number, char text[VALUE_NUMBER_BYTES])
{
    int exponent;

    if (isnan(number))
        return strcpy(text, "NaN");
    if (isinf(number))
        return strcpy(text, number > 0 ? "+Inf" : "-Inf");
    /* %g's threshold moves with its precision, Go's stays at 6: so digits are found
     * with %e, and printed again in the form that Go would choose. */
    for (int precision = 0; precision < 17; precision++) {
        (void)snprintf(text, VALUE_NUMBER_BYTES, "%.*e", precision, number);
        if (strtod(text, NULL) == number) {
            exponent = atoi(strchr(text, 'e') + 1);
            if (exponent < -4 || exponent >= 6)
                return text;
            if (precision < exponent)
                precision = exponent;
            (void)snprintf(text, VALUE_NUMBER_BYTES, "%.*f", precision - exponent, number);
            return text;
        }
    }
    return text;
}

static void print_labels(const struct labels *labels, struct buf *out)
{
    buf_put_text(out, "map[");
    for (size_t i = 0; labels != NULL && i < labels->count; i++) {
        if (i > 0)
            buf_put_char(out, ' ');
        buf_put(out, labels->pairs[i].name.data, labels->pairs[i].name.size);
        buf_put_char(out, ':');
        buf_put(out, labels->pairs[i].value.data, labels->pairs[i].value.size);
    }
    buf_put_char(out, ']');
}

struct value template_value_of_bool(bool truth)
{
    return (struct value){.kind = VALUE_BOOL, .as.boolean = truth};
}

static void print_scalar(const struct value *value, struct buf *out)
{
    char text[VALUE_NUMBER_BYTES];
    switch (value->kind) {
    case VALUE_BOOL:
        buf_put_text(out, value->as.boolean ? "true" : "false");
        return;
    case VALUE_INTEGER:
        buf_printf(out, "%" PRId64, value->as.integer);
        return;
    case VALUE_FLOAT:
        buf_put_text(out, template_value_number_text(value->as.real, text));
        return;
    case VALUE_STRING:
        buf_put(out, value->as.text.data, value->as.text.size);
        return;
    case VALUE_LABELS:
        print_labels(value->as.labels, out);
        return;
    case VALUE_TIME:
        template_time_print(value, out);
        return;
    case VALUE_DURATION:
        template_duration_print(value->as.duration_ms, out);
        return;
    default:
        buf_put_text(out, value->kind == VALUE_NIL ? "<no value>" : "...");
    }
}

/* A record or map inside of a list: its fields, without going deeper. */
static void print_item(const struct value *value, struct buf *out)
{
    const bool is_open = value->trait == TRAIT_OPEN;
    if (value->kind != VALUE_MAP) {
        print_scalar(value, out);
        return;
    }
    buf_put_text(out, is_open ? "map[" : "{");
    for (size_t i = 0; i < value->as.map.count; i++) {
        if (i > 0)
            buf_put_char(out, ' ');
        if (is_open)
            buf_printf(out, "%s:", value->as.map.fields[i].name);
        print_scalar(&value->as.map.fields[i].value, out);
    }
    buf_put_char(out, is_open ? ']' : '}');
}

void template_value_print(const struct value *value, struct buf *out)
{
    if (value->kind != VALUE_LIST) {
        print_item(value, out);
        return;
    }
    buf_put_char(out, '[');
    for (size_t i = 0; i < value->as.list.count; i++) {
        if (i > 0)
            buf_put_char(out, ' ');
        print_item(&value->as.list.items[i], out);
    }
    buf_put_char(out, ']');
}

bool template_value_is_true(const struct value *value)
{
    switch (value->kind) {
    case VALUE_BOOL:
        return value->as.boolean;
    case VALUE_INTEGER:
        return value->as.integer != 0;
    case VALUE_FLOAT:
        return value->as.real != 0;
    case VALUE_STRING:
        return value->as.text.size > 0;
    case VALUE_LABELS:
        return value->as.labels != NULL && value->as.labels->count > 0;
    case VALUE_LIST:
        return value->as.list.count > 0;
    case VALUE_MAP:
        return value->trait != TRAIT_OPEN || value->as.map.count > 0; /* a record is true */
    case VALUE_TIME:
        return true;
    case VALUE_DURATION:
        return value->as.duration_ms != 0;
    default:
        return false;
    }
}

bool template_value_field(const struct value *value, struct bytes name, struct value *ret_value)
{
    if (value->kind == VALUE_LABELS) {
        struct bytes found =
            value->as.labels == NULL ? (struct bytes){0} : labels_get(value->as.labels, name);
        *ret_value = (struct value){.kind = VALUE_STRING, .as.text = found};
        return true;
    }
    if (value->kind != VALUE_MAP)
        return false;
    for (size_t i = 0; i < value->as.map.count; i++)
        if (bytes_equal(bytes_of(value->as.map.fields[i].name), name)) {
            *ret_value = value->as.map.fields[i].value;
            return true;
        }
    if (value->trait == TRAIT_OPEN) {
        *ret_value = (struct value){.kind = VALUE_NIL};
        return true;
    }
    return false;
}

bool template_value_to_number(const struct value *value, double *ret_number)
{
    char text[64], *end;
    double number;

    if (value->kind == VALUE_INTEGER) {
        *ret_number = (double)value->as.integer;
        return true;
    }
    if (value->kind == VALUE_FLOAT) {
        *ret_number = value->as.real;
        return true;
    }
    if (value->kind == VALUE_DURATION) {
        *ret_number = (double)value->as.duration_ms / 1000;
        return true;
    }
    if (value->kind != VALUE_STRING || value->as.text.size == 0 ||
        value->as.text.size >= sizeof text)
        return false;
    memcpy(text, value->as.text.data, value->as.text.size);
    text[value->as.text.size] = '\0';
    number = strtod(text, &end);
    if (end != text + value->as.text.size || text[0] == ' ')
        return false;
    *ret_number = number;
    return true;
}

const char *template_value_kind_name(enum value_kind kind)
{
    static const char *const names[] = {
        [VALUE_NIL] = "nil",        [VALUE_BOOL] = "bool",
        [VALUE_INTEGER] = "int",    [VALUE_FLOAT] = "float64",
        [VALUE_STRING] = "string",  [VALUE_LABELS] = "map",
        [VALUE_LIST] = "list",      [VALUE_MAP] = "map",
        [VALUE_TIME] = "time.Time", [VALUE_DURATION] = "time.Duration"};
    return names[kind];
}

int template_value_keep(struct template_machine *machine, struct buf *scratch,
                        struct value *ret_value)
{
    uint8_t *copy = buf_ok(scratch) ? arena_alloc(machine->arena, scratch->size + 1, 1) : NULL;
    if (copy != NULL) {
        memcpy(copy, buf_text(scratch), scratch->size);
        *ret_value = (struct value){.kind = VALUE_STRING, .as.text = {copy, scratch->size}};
    }
    buf_done(scratch);
    return copy == NULL ? ERR_NOMEM : 0;
}

int template_value_to_text(struct template_machine *machine, const struct value *value,
                           struct bytes *ret_text)
{
    struct buf scratch;
    struct value text = {0};
    int error;

    if (value->kind == VALUE_STRING) {
        *ret_text = value->as.text;
        return 0;
    }
    buf_init(&scratch, TEMPLATE_OUTPUT_MAX);
    template_value_print(value, &scratch);
    error = template_value_keep(machine, &scratch, &text);
    if (error == 0)
        *ret_text = text.as.text;
    return error;
}
