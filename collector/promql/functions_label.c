/*
 * functions_label.c - label_replace and label_join.
 */
#include "collector/promql/functions_impl.h"
#include "proto/base/error.h"

static struct bytes string_argument(const struct node *argument)
{
    return node_unwrap(argument)->string;
}

/* Puts a label's new value, held by ev->text, on a column. */
static int relabel(struct evaluation *ev, struct column *column, struct bytes name)
{
    if (!buf_ok(&ev->text))
        return diagnose(ev->why, ERR_INVALID, "the value made for label \"%.*s\" is too long",
                        (int)name.size, (const char *)name.data);
    labels_builder_reset(&ev->builder, column->labels);
    labels_builder_set(&ev->builder, name, buf_bytes(&ev->text));
    int error = labels_builder_build(&ev->builder, ev->arena, &column->labels);
    if (error == ERR_LIMIT || error == ERR_MALFORMED)
        return diagnose(ev->why, ERR_INVALID, "the value made for label \"%.*s\" is %s",
                        (int)name.size, (const char *)name.data,
                        error == ERR_LIMIT ? "too long" : "not valid UTF-8");
    if (bytes_equal(name, bytes_of(LABEL_NAME)))
        column->drop_name = false;
    return error;
}

static int replace_all(struct evaluation *ev, const struct node *call,
                       const struct regex *regex, struct value *value)
{
    const struct node *argument = call->first->next;
    struct bytes destination = string_argument(argument);
    struct bytes replacement = string_argument(argument->next);
    struct bytes source = string_argument(argument->next->next);
    int error = 0;

    for (size_t i = 0; error == 0 && i < value->count; i++) {
        struct column *column = &value->columns[i];
        int limit = 0;
        buf_clear(&ev->text);
        bool matched = regex_expand(regex, labels_get(column->labels, source), replacement,
                                    &ev->text, &limit);
        error = evaluation_tick(ev);
        if (limit == ERR_NOMEM)
            return ERR_NOMEM;
        if (limit != 0)
            return diagnose(ev->why, ERR_INVALID,
                            "the regular expression of label_replace() took too long");
        if (error == 0 && matched)
            error = relabel(ev, column, destination);
    }
    return error;
}

WHOLE_FUNCTION(label_replace)
{
    const struct node *argument = call->first->next;
    struct bytes destination = string_argument(argument);
    struct bytes pattern = string_argument(argument->next->next->next);
    struct regex *regex = NULL;
    struct diagnosis why = {""};

    int error = regex_new(pattern, true, &regex, &why);
    if (error == ERR_INVALID)
        return diagnose(ev->why, ERR_INVALID,
                        "invalid regular expression in label_replace(): %.*s",
                        (int)pattern.size, (const char *)pattern.data);
    if (error == 0 && (destination.size == 0 || !utf8_is_valid(destination)))
        error = diagnose(ev->why, ERR_INVALID,
                         "invalid destination label name in label_replace(): %.*s",
                         (int)destination.size, (const char *)destination.data);
    if (error == 0)
        error = evaluate(ev, call->first, grid, ret_value);
    if (error == 0)
        error = replace_all(ev, call, regex, ret_value);
    regex_free(regex);
    return error == 0 ? value_merge(ev, grid, ret_value) : error;
}

static int check_label_names(struct evaluation *ev, const struct node *names)
{
    for (; names != NULL; names = names->next) {
        struct bytes name = string_argument(names);
        if (name.size == 0 || !utf8_is_valid(name))
            return diagnose(ev->why, ERR_INVALID,
                            "invalid source label name in label_join(): %.*s", (int)name.size,
                            (const char *)name.data);
    }
    return 0;
}

WHOLE_FUNCTION(label_join)
{
    const struct node *argument = call->first->next;
    struct bytes destination = string_argument(argument);
    struct bytes separator = string_argument(argument->next);
    const struct node *sources = argument->next->next;

    if (destination.size == 0 || !utf8_is_valid(destination))
        return diagnose(ev->why, ERR_INVALID,
                        "invalid destination label name in label_join(): %.*s",
                        (int)destination.size, (const char *)destination.data);
    int error = check_label_names(ev, sources);
    if (error == 0)
        error = evaluate(ev, call->first, grid, ret_value);
    for (size_t i = 0; error == 0 && i < ret_value->count; i++) {
        buf_clear(&ev->text);
        for (const struct node *source = sources; source != NULL; source = source->next) {
            struct bytes value =
                labels_get(ret_value->columns[i].labels, string_argument(source));
            if (source != sources)
                buf_put(&ev->text, separator.data, separator.size);
            buf_put(&ev->text, value.data, value.size);
        }
        error = evaluation_tick(ev);
        if (error == 0)
            error = relabel(ev, &ret_value->columns[i], destination);
    }
    return error == 0 ? value_merge(ev, grid, ret_value) : error;
}
