/*
 * template_logic.c - Go's built-in functions: and or not, comparisons, len, index, slice.
 */
#include <inttypes.h>
#include <math.h>

#include "collector/notify/template_tree.h"
#include "proto/base/error.h"

typedef struct template_machine machine_type;

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
    *ret_value = template_value_of_bool(!template_value_is_true(&arguments[0]));
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
    if (a->kind == VALUE_DURATION && b->kind == VALUE_DURATION) {
        *ret_order = a->as.duration_ms < b->as.duration_ms ? -1
                                                           : a->as.duration_ms > b->as.duration_ms;
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
    *ret_value = template_value_of_bool(equal);
    return 0;
}

#define COMPARISON(name, test)                                                                 \
    int name(machine_type *machine, const struct value *arguments, size_t count,               \
             struct value *ret_value)                                                          \
    {                                                                                          \
        int order, error = compare(machine, &arguments[0], &arguments[1], &order);             \
        (void)count;                                                                           \
        if (error == 0)                                                                        \
            *ret_value = template_value_of_bool(test);                                                        \
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

/* slice TEXT [FROM [TO]] */
int template_slice(machine_type *machine, const struct value *arguments, size_t count,
                   struct value *ret_value)
{
    const struct value *of = &arguments[0];
    const bool is_text = of->kind == VALUE_STRING;
    const size_t size = is_text ? of->as.text.size : of->as.list.count;
    int64_t ends[2] = {0, (int64_t)size};

    if ((!is_text && of->kind != VALUE_LIST) || count > 3)
        return diagnose(machine->why, ERR_INVALID, "can't slice a %s",
                        template_value_kind_name(of->kind));
    for (size_t i = 1; i < count; i++) {
        if (arguments[i].kind != VALUE_INTEGER)
            return diagnose(machine->why, ERR_INVALID, "can't slice with a %s",
                            template_value_kind_name(arguments[i].kind));
        ends[i - 1] = arguments[i].as.integer;
    }
    if (ends[0] < 0 || ends[0] > ends[1] || ends[1] > (int64_t)size)
        return diagnose(machine->why, ERR_INVALID, "index out of range: %" PRId64 ":%" PRId64,
                        ends[0], ends[1]);
    *ret_value = *of;
    if (is_text)
        ret_value->as.text =
            (struct bytes){of->as.text.data + ends[0], (size_t)(ends[1] - ends[0])};
    else
        *ret_value = (struct value){
            .kind = VALUE_LIST,
            .as.list = {of->as.list.items + ends[0], (size_t)(ends[1] - ends[0])}};
    return 0;
}
