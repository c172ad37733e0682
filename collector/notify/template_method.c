/*
 * template_method.c - what can be asked of values by a dot: .CommonLabels.SortedPairs.Names
 *
 * Label sets of a message are Alertmanager's KV: SortedPairs (alertname first), Names, Values,
 * Remove LIST.  The list of alerts knows Firing and Resolved.  Times and durations know what is
 * of use in a message.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "collector/notify/template_tree.h"
#include "proto/base/civil.h"
#include "proto/base/error.h"

typedef struct template_machine machine_type;

static struct value list_of(const struct value *items, size_t count)
{
    return (struct value){.kind = VALUE_LIST, .as.list = {items, count}};
}

static struct value text_value(struct bytes text)
{
    return (struct value){.kind = VALUE_STRING, .as.text = text};
}

static struct value integer_value(int64_t integer)
{
    return (struct value){.kind = VALUE_INTEGER, .as.integer = integer};
}

/* ---- label sets -------------------------------------------------------------------------- */

static const struct labels *labels_of(const struct value *value)
{
    static const struct labels none = {0};
    return value->as.labels != NULL ? value->as.labels : &none;
}

/* The i-th pair, alertname first. */
static const struct label *pair_at(const struct labels *labels, size_t i)
{
    for (size_t name = 0; name < labels->count; name++)
        if (bytes_equal(labels->pairs[name].name, bytes_of("alertname")))
            return &labels->pairs[i == 0 ? name : i <= name ? i - 1 : i];
    return &labels->pairs[i];
}

static int sorted_pairs(machine_type *machine, const struct value *value,
                        const struct value *arguments, size_t count, struct value *ret_value)
{
    const struct labels *labels = labels_of(value);
    struct value *items = arena_alloc(machine->arena, labels->count + 1, sizeof *items);
    struct value_field *fields =
        arena_alloc(machine->arena, labels->count * 2 + 1, sizeof *fields);

    (void)arguments;
    (void)count;
    if (items == NULL || fields == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < labels->count; i++) {
        const struct label *pair = pair_at(labels, i);
        fields[2 * i] = (struct value_field){"Name", text_value(pair->name)};
        fields[2 * i + 1] = (struct value_field){"Value", text_value(pair->value)};
        items[i] = (struct value){.kind = VALUE_MAP, .as.map = {&fields[2 * i], 2}};
    }
    *ret_value = list_of(items, labels->count);
    ret_value->trait = TRAIT_PAIRS;
    return 0;
}

/* "Name" or "Value" of each pair. */
static int column(machine_type *machine, const struct value *pairs, size_t which,
                  struct value *ret_value)
{
    struct value *items = arena_alloc(machine->arena, pairs->as.list.count + 1, sizeof *items);
    if (items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < pairs->as.list.count; i++)
        items[i] = pairs->as.list.items[i].as.map.fields[which].value;
    *ret_value = list_of(items, pairs->as.list.count);
    return 0;
}

static int names(machine_type *machine, const struct value *value,
                 const struct value *arguments, size_t count, struct value *ret_value)
{
    struct value pairs = *value;
    int error =
        value->kind == VALUE_LIST ? 0 : sorted_pairs(machine, value, arguments, count, &pairs);
    return error == 0 ? column(machine, &pairs, 0, ret_value) : error;
}

static int values(machine_type *machine, const struct value *value,
                  const struct value *arguments, size_t count, struct value *ret_value)
{
    struct value pairs = *value;
    int error =
        value->kind == VALUE_LIST ? 0 : sorted_pairs(machine, value, arguments, count, &pairs);
    return error == 0 ? column(machine, &pairs, 1, ret_value) : error;
}

static bool is_listed(const struct value *list, struct bytes name)
{
    for (size_t i = 0; i < list->as.list.count; i++)
        if (list->as.list.items[i].kind == VALUE_STRING &&
            bytes_equal(list->as.list.items[i].as.text, name))
            return true;
    return false;
}

static int remove_names(machine_type *machine, const struct value *value,
                        const struct value *arguments, size_t count, struct value *ret_value)
{
    const struct labels *labels = labels_of(value);
    struct label *pairs = arena_alloc(machine->arena, labels->count + 1, sizeof *pairs);
    const struct labels *left;
    size_t kept = 0;
    int error;

    (void)count;
    if (pairs == NULL)
        return ERR_NOMEM;
    if (arguments[0].kind != VALUE_LIST)
        return diagnose(machine->why, ERR_INVALID, "Remove takes a list of names");
    for (size_t i = 0; i < labels->count; i++)
        if (!is_listed(&arguments[0], labels->pairs[i].name))
            pairs[kept++] = labels->pairs[i];
    error = labels_build(pairs, kept, machine->arena, &left);
    if (error == 0) {
        *ret_value = value_of_labels(left);
        ret_value->trait = TRAIT_METHODS;
    }
    return error;
}

/* ---- alerts ------------------------------------------------------------------------------ */

static int with_status(machine_type *machine, const struct value *value, const char *status,
                       struct value *ret_value)
{
    struct value *items = arena_alloc(machine->arena, value->as.list.count + 1, sizeof *items);
    size_t count = 0;

    if (items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < value->as.list.count; i++) {
        struct value is = {0};
        if (template_value_field(&value->as.list.items[i], bytes_of("Status"), &is) &&
            is.kind == VALUE_STRING && bytes_equal(is.as.text, bytes_of(status)))
            items[count++] = value->as.list.items[i];
    }
    *ret_value = list_of(items, count);
    ret_value->trait = TRAIT_METHODS;
    return 0;
}

static int firing(machine_type *machine, const struct value *value,
                  const struct value *arguments, size_t count, struct value *ret_value)
{
    (void)arguments;
    (void)count;
    return with_status(machine, value, "firing", ret_value);
}

static int resolved(machine_type *machine, const struct value *value,
                    const struct value *arguments, size_t count, struct value *ret_value)
{
    (void)arguments;
    (void)count;
    return with_status(machine, value, "resolved", ret_value);
}

/* ---- times ------------------------------------------------------------------------------- */

/* A duration, or a number of nanoseconds, as Go has them. */
static bool to_ms(const struct value *value, int64_t *ret_ms)
{
    double number;
    if (value->kind == VALUE_DURATION) {
        *ret_ms = value->as.duration_ms;
        return true;
    }
    if ((value->kind != VALUE_INTEGER && value->kind != VALUE_FLOAT) ||
        !template_value_to_number(value, &number) || !(fabs(number) < 9.2e18))
        return false;
    *ret_ms = (int64_t)(number / 1e6);
    return true;
}

static int format_time(machine_type *machine, const struct value *value,
                       const struct value *arguments, size_t count, struct value *ret_value)
{
    struct buf out = {0};
    (void)count;
    if (arguments[0].kind != VALUE_STRING)
        return diagnose(machine->why, ERR_INVALID, "Format takes a layout, a text");
    template_time_format(value, arguments[0].as.text, &out);
    return template_value_keep(machine, &out, ret_value);
}

static int add_to_time(machine_type *machine, const struct value *value,
                       const struct value *arguments, size_t count, struct value *ret_value)
{
    struct value moved = *value;
    int64_t ms;
    (void)count;
    if (!to_ms(&arguments[0], &ms))
        return diagnose(machine->why, ERR_INVALID, "Add takes a duration or nanoseconds");
    moved.as.time.unix_ms += ms;
    *ret_value = moved;
    return 0;
}

static int time_between(machine_type *machine, const struct value *value,
                        const struct value *arguments, size_t count, struct value *ret_value)
{
    (void)count;
    if (arguments[0].kind != VALUE_TIME)
        return diagnose(machine->why, ERR_INVALID, "Sub takes a time");
    *ret_value =
        (struct value){.kind = VALUE_DURATION,
                       .as.duration_ms = value->as.time.unix_ms - arguments[0].as.time.unix_ms};
    return 0;
}

static int in_utc(machine_type *machine, const struct value *value,
                  const struct value *arguments, size_t count, struct value *ret_value)
{
    (void)machine;
    (void)arguments;
    (void)count;
    *ret_value = value_of_time(value->as.time.unix_ms);
    return 0;
}

static int in_local(machine_type *machine, const struct value *value,
                    const struct value *arguments, size_t count, struct value *ret_value)
{
    const struct value both[2] = {value_of_text("Local"), *value};
    (void)arguments;
    (void)count;
    return template_tz(machine, both, 2, ret_value);
}

/* Numbers and texts of a time that a layout gives. */
static int time_part(machine_type *machine, const struct value *value, struct bytes name,
                     struct value *ret_value)
{
    static const struct {
        const char *name, *layout;
        bool is_text;
    } parts[] = {{"Year", "2006", false},   {"Month", "January", true}, {"Day", "2", false},
                 {"Hour", "15", false},     {"Minute", "4", false},     {"Second", "5", false},
                 {"YearDay", "__2", false}, {"Weekday", "Monday", true}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct buf out = {0};
        double number = 0;
        int error;
        if (!bytes_equal(name, bytes_of(parts[i].name)))
            continue;
        template_time_format(value, bytes_of(parts[i].layout), &out);
        error = template_value_keep(machine, &out, ret_value);
        if (error == 0 && !parts[i].is_text) {
            while (ret_value->as.text.size > 0 && ret_value->as.text.data[0] == ' ')
                ret_value->as.text =
                    (struct bytes){ret_value->as.text.data + 1, ret_value->as.text.size - 1};
            (void)template_value_to_number(ret_value, &number);
            *ret_value = integer_value((int64_t)number);
        }
        return error;
    }
    if (bytes_equal(name, bytes_of("Unix")))
        *ret_value = integer_value(value->as.time.unix_ms / 1000);
    else if (bytes_equal(name, bytes_of("UnixMilli")))
        *ret_value = integer_value(value->as.time.unix_ms);
    else if (bytes_equal(name, bytes_of("IsZero")))
        *ret_value = template_value_of_bool(value->as.time.unix_ms == VALUE_TIME_NONE);
    else
        return ERR_NOTFOUND;
    return 0;
}

static int compare_times(machine_type *machine, const struct value *value, struct bytes name,
                         const struct value *arguments, struct value *ret_value)
{
    int64_t other;
    if (arguments[0].kind != VALUE_TIME)
        return diagnose(machine->why, ERR_INVALID, "a time is compared with a time");
    other = arguments[0].as.time.unix_ms;
    if (bytes_equal(name, bytes_of("Before")))
        *ret_value = template_value_of_bool(value->as.time.unix_ms < other);
    else if (bytes_equal(name, bytes_of("After")))
        *ret_value = template_value_of_bool(value->as.time.unix_ms > other);
    else
        *ret_value = template_value_of_bool(value->as.time.unix_ms == other);
    return 0;
}

static int duration_part(const struct value *value, struct bytes name, struct value *ret_value)
{
    const int64_t ms = value->as.duration_ms;
    if (bytes_equal(name, bytes_of("Seconds")))
        *ret_value = value_of_number((double)ms / 1e3);
    else if (bytes_equal(name, bytes_of("Minutes")))
        *ret_value = value_of_number((double)ms / 6e4);
    else if (bytes_equal(name, bytes_of("Hours")))
        *ret_value = value_of_number((double)ms / 3.6e6);
    else if (bytes_equal(name, bytes_of("Milliseconds")))
        *ret_value = integer_value(ms);
    else
        return ERR_NOTFOUND;
    return 0;
}

/* Round and Truncate, to a whole number of `unit`s. */
static int cut_duration(machine_type *machine, const struct value *value, struct bytes name,
                        const struct value *argument, struct value *ret_value)
{
    const int64_t ms = value->as.duration_ms;
    int64_t unit, rest;
    if (!to_ms(argument, &unit))
        return diagnose(machine->why, ERR_INVALID, "a duration is cut to a duration");
    *ret_value = *value;
    if (unit <= 0)
        return 0;
    rest = ms % unit;
    ret_value->as.duration_ms = ms - rest;
    if (bytes_equal(name, bytes_of("Round")) && 2 * (rest < 0 ? -rest : rest) >= unit)
        ret_value->as.duration_ms += rest < 0 ? -unit : unit;
    return 0;
}

/* ---- the table --------------------------------------------------------------------------- */

enum of { OF_LABELS, OF_PAIRS, OF_ALERTS, OF_TIME };

static const struct method {
    enum of of;
    const char *name;
    size_t arguments;
    int (*call)(machine_type *machine, const struct value *value, const struct value *arguments,
                size_t count, struct value *ret_value);
} methods[] = {
    {OF_LABELS, "SortedPairs", 0, sorted_pairs},
    {OF_LABELS, "Names", 0, names},
    {OF_LABELS, "Values", 0, values},
    {OF_LABELS, "Remove", 1, remove_names},
    {OF_PAIRS, "Names", 0, names},
    {OF_PAIRS, "Values", 0, values},
    {OF_ALERTS, "Firing", 0, firing},
    {OF_ALERTS, "Resolved", 0, resolved},
    {OF_TIME, "Format", 1, format_time},
    {OF_TIME, "Add", 1, add_to_time},
    {OF_TIME, "Sub", 1, time_between},
    {OF_TIME, "UTC", 0, in_utc},
    {OF_TIME, "Local", 0, in_local},
};

static bool has_methods(const struct value *value, enum of *ret_of)
{
    *ret_of = value->kind == VALUE_TIME     ? OF_TIME
              : value->kind == VALUE_LABELS ? OF_LABELS
              : value->trait == TRAIT_PAIRS ? OF_PAIRS
                                            : OF_ALERTS;
    return value->kind == VALUE_TIME || value->trait == TRAIT_PAIRS ||
           (value->trait == TRAIT_METHODS &&
            (value->kind == VALUE_LABELS || value->kind == VALUE_LIST));
}

static int wrong_count(machine_type *machine, struct bytes name, size_t wanted, size_t count)
{
    return diagnose(
        machine->why, ERR_INVALID, "wrong number of args for %.*s: want %zu, got %zu",
        (int)(name.size < 40 ? name.size : 40), (const char *)name.data, wanted, count);
}

int template_method(machine_type *machine, const struct value *value, struct bytes name,
                    const struct value *arguments, size_t count, struct value *ret_value)
{
    enum of of;
    const struct value self = *value; /* may be what ret_value points to */

    if ((self.kind == VALUE_TIME || self.kind == VALUE_DURATION) &&
        bytes_equal(name, bytes_of("String")) && count == 0) {
        struct buf out = {0};
        template_value_print(&self, &out);
        return template_value_keep(machine, &out, ret_value);
    }
    if (self.kind == VALUE_DURATION && count == 0)
        return duration_part(&self, name, ret_value);
    if (self.kind == VALUE_DURATION && count == 1 &&
        (bytes_equal(name, bytes_of("Round")) || bytes_equal(name, bytes_of("Truncate"))))
        return cut_duration(machine, &self, name, &arguments[0], ret_value);
    if (!has_methods(&self, &of))
        return ERR_NOTFOUND;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const struct method *method = &methods[i];
        if (method->of != of || !bytes_equal(bytes_of(method->name), name))
            continue;
        return method->arguments != count
                   ? wrong_count(machine, name, method->arguments, count)
                   : method->call(machine, &self, arguments, count, ret_value);
    }
    if (of == OF_TIME && count == 0)
        return time_part(machine, &self, name, ret_value);
    if (of == OF_TIME && count == 1 &&
        (bytes_equal(name, bytes_of("Before")) || bytes_equal(name, bytes_of("After")) ||
         bytes_equal(name, bytes_of("Equal"))))
        return compare_times(machine, &self, name, arguments, ret_value);
    return ERR_NOTFOUND;
}
