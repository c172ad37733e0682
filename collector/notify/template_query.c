/*
 * template_query.c - samples in templates: query and what is done with its result; links to the
 * console; calling templates from inside of a pipeline.
 *
 * A sample is a record {Labels, Value}, as Prometheus's templates know it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "collector/notify/template_tree.h"
#include "proto/base/error.h"

typedef struct template_machine machine_type;

int template_query_call(machine_type *machine, const struct value *arguments, size_t count,
                        struct value *ret_value)
{
    const struct template_environment *environment = machine->environment;
    struct bytes text = {0};
    int error = template_value_to_text(machine, &arguments[0], &text);
    (void)count;
    if (error != 0)
        return error;
    if (environment->query == NULL)
        return diagnose(machine->why, ERR_INVALID, "query() is for rules only");
    return environment->query(environment->query_context, text, machine->arena, ret_value,
                              machine->why);
}

static int list_of(machine_type *machine, const struct value *value)
{
    return value->kind == VALUE_LIST ? 0
                                     : diagnose(machine->why, ERR_INVALID, "a %s is no list",
                                                template_value_kind_name(value->kind));
}

int template_first(machine_type *machine, const struct value *arguments, size_t count,
                   struct value *ret_value)
{
    int error = list_of(machine, &arguments[0]);
    (void)count;
    if (error != 0)
        return error;
    if (arguments[0].as.list.count == 0)
        return diagnose(machine->why, ERR_INVALID, "first() called on vector with no elements");
    *ret_value = arguments[0].as.list.items[0];
    return 0;
}

static int field_of(machine_type *machine, const struct value *sample, const char *name,
                    struct value *ret_value)
{
    if (sample->kind == VALUE_MAP && template_value_field(sample, bytes_of(name), ret_value))
        return 0;
    return diagnose(machine->why, ERR_INVALID, "a %s is no sample",
                    template_value_kind_name(sample->kind));
}

int template_value_of_sample(machine_type *machine, const struct value *arguments, size_t count,
                             struct value *ret_value)
{
    (void)count;
    return field_of(machine, &arguments[0], "Value", ret_value);
}

static int label_of(machine_type *machine, const struct value *sample, struct bytes name,
                    struct value *ret_value)
{
    struct value labels = {0};
    int error = field_of(machine, sample, "Labels", &labels);
    if (error == 0 && !template_value_field(&labels, name, ret_value))
        error = diagnose(machine->why, ERR_INVALID, "a sample without labels");
    return error;
}

int template_label(machine_type *machine, const struct value *arguments, size_t count,
                   struct value *ret_value)
{
    struct bytes name = {0};
    int error = template_value_to_text(machine, &arguments[0], &name);
    (void)count;
    return error != 0 ? error : label_of(machine, &arguments[1], name, ret_value);
}

int template_string_value(machine_type *machine, const struct value *arguments, size_t count,
                          struct value *ret_value)
{
    (void)count;
    return label_of(machine, &arguments[0], bytes_of("__value__"), ret_value);
}

/* Insertion keeps equal ones in their order; results of a query are few. */
int template_sort_by_label(machine_type *machine, const struct value *arguments, size_t count,
                           struct value *ret_value)
{
    struct bytes name = {0};
    struct value *items, *keys;
    size_t size;
    int error = template_value_to_text(machine, &arguments[0], &name);

    (void)count;
    if (error == 0)
        error = list_of(machine, &arguments[1]);
    if (error != 0)
        return error;
    size = arguments[1].as.list.count;
    items = arena_alloc(machine->arena, size + 1, sizeof *items);
    keys = arena_alloc(machine->arena, size + 1, sizeof *keys);
    if (items == NULL || keys == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < size; i++) {
        struct value key = {0};
        size_t at = i;
        error = label_of(machine, &arguments[1].as.list.items[i], name, &key);
        if (error != 0)
            return error;
        if (machine->steps_left == 0)
            return diagnose(machine->why, ERR_LIMIT, "the template runs too long");
        machine->steps_left--;
        for (; at > 0 && bytes_compare(keys[at - 1].as.text, key.as.text) > 0; at--) {
            keys[at] = keys[at - 1];
            items[at] = items[at - 1];
        }
        keys[at] = key;
        items[at] = arguments[1].as.list.items[i];
    }
    *ret_value = (struct value){.kind = VALUE_LIST, .as.list = {items, size}};
    return 0;
}

/* ---- links ------------------------------------------------------------------------------- */

static int link_to(machine_type *machine, const struct value *expression, int tab,
                   struct value *ret_value)
{
    struct value query = {0};
    struct buf out = {0};
    int error = template_url_query(machine, expression, 1, &query);
    if (error != 0)
        return error;
    buf_put_text(&out, "/graph?g0.expr=");
    buf_put(&out, query.as.text.data, query.as.text.size);
    buf_printf(&out, "&g0.tab=%d", tab);
    return template_value_keep(machine, &out, ret_value);
}

int template_graph_link(machine_type *machine, const struct value *arguments, size_t count,
                        struct value *ret_value)
{
    (void)count;
    return link_to(machine, &arguments[0], 0, ret_value);
}

int template_table_link(machine_type *machine, const struct value *arguments, size_t count,
                        struct value *ret_value)
{
    (void)count;
    return link_to(machine, &arguments[0], 1, ret_value);
}

int template_external_url(machine_type *machine, const struct value *arguments, size_t count,
                          struct value *ret_value)
{
    const char *url = machine->environment->external_url;
    (void)arguments;
    (void)count;
    *ret_value = value_of_text(url != NULL ? url : "");
    return 0;
}

/* https://console.example/fengsui -> /fengsui */
int template_path_prefix(machine_type *machine, const struct value *arguments, size_t count,
                         struct value *ret_value)
{
    const char *url = machine->environment->external_url;
    const char *host = url != NULL ? strstr(url, "://") : NULL;
    const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
    (void)arguments;
    (void)count;
    *ret_value = value_of_text("");
    if (path != NULL)
        ret_value->as.text = (struct bytes){(const uint8_t *)path, strcspn(path, "?#")};
    return 0;
}

/* ---- templates from inside of a pipeline ------------------------------------------------- */

int template_args(machine_type *machine, const struct value *arguments, size_t count,
                  struct value *ret_value)
{
    struct value_field *fields = arena_alloc(machine->arena, count + 1, sizeof *fields);
    char *names = arena_alloc(machine->arena, count + 1, 8);

    if (fields == NULL || names == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(names + 8 * i, 8, "arg%u", (unsigned)i % 1000);
        fields[i] = (struct value_field){names + 8 * i, arguments[i]};
    }
    *ret_value =
        (struct value){.kind = VALUE_MAP, .trait = TRAIT_OPEN, .as.map = {fields, count}};
    return 0;
}

int template_tmpl(machine_type *machine, const struct value *arguments, size_t count,
                  struct value *ret_value)
{
    struct bytes name = {0};
    struct buf out;
    int error = template_value_to_text(machine, &arguments[0], &name);

    (void)count;
    if (error != 0)
        return error;
    buf_init(&out, TEMPLATE_OUTPUT_MAX);
    error = template_run_named(machine, name, arguments[1], &out);
    if (error != 0) {
        buf_done(&out);
        return error;
    }
    error = template_value_keep(machine, &out, ret_value);
    if (error == 0)
        ret_value->trait = TRAIT_HTML; /* it has been escaped where it was made */
    return error;
}
